//go:build !noplot

package report

import (
	"cmp"
	"image/color"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes of the picture, in points.
const (
	chartWidth  = 900 * vg.Length(1)
	plotHeight  = 350 * vg.Length(1) // axes and what is between them
	margin      = 22 * vg.Length(1)
	legendLine  = 17 * vg.Length(1)
	legendBlank = 26 * vg.Length(1) // between entries
	swatch      = 20 * vg.Length(1) // length of a sample line
)

// chart is a plot on its way to a canvas.
type chart struct {
	p        Plot
	x, y     scale
	empty    bool // nothing to draw
	decimals int  // of scores in labels
	faces    *text.Plain
	legend   [][]legendEntry // by line
	taken    []vg.Rectangle  // where labels and markers are
	lines    []vg.Point      // where lines are
}

type legendEntry struct {
	series     int
	name, mean string
	at, meanAt vg.Length // from the left
}

func newChart(p Plot) *chart {
	c := &chart{p: p, faces: &text.Plain{Fonts: font.NewCache(liberation.Collection())}}
	lowest, highest, first, last := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for i, y := range s.Y {
			first, last = min(first, s.X[i]), max(last, s.X[i])
			if finite(y) {
				lowest, highest = min(lowest, y), max(highest, y)
			}
		}
	}
	if first > last { // not one frame
		first, last = 0, 1
	}
	if c.empty = lowest > highest; c.empty {
		lowest, highest = 0, 100
	}
	c.y = scoreScale(lowest, highest)
	c.decimals = decimals(max(math.Abs(lowest), math.Abs(highest)))
	if p.Seconds {
		c.x = timeScale(first, last)
	} else {
		c.x = frameScale(first, last)
	}
	c.layLegend()
	return c
}

// style is a text style of the chart.
func (c *chart) style(size vg.Length, colour color.Color, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: colour, Font: f, Handler: c.faces}
}

// layLegend breaks the legend into lines.
func (c *chart) layLegend() {
	sty := c.style(9.5, ink.light, false)
	at := margin
	for i := range c.p.Series {
		s := &c.p.Series[i]
		e := legendEntry{series: i, name: shorten(s.Name, 60), mean: "mean " + score(s.mean(), c.decimals), at: at}
		toMean := swatch + 6 + sty.Width(e.name) + 8
		width := toMean + sty.Width(e.mean)
		if len(c.legend) == 0 || at+width > chartWidth-margin {
			c.legend = append(c.legend, nil)
			e.at = margin
		}
		e.meanAt = e.at + toMean
		line := len(c.legend) - 1
		c.legend[line] = append(c.legend[line], e)
		at = e.at + width + legendBlank
	}
}

// shorten cuts the middle out of a long name: the ends of file names are what differs.
func shorten(name string, most int) string {
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	r := []rune(name)
	return string(r[:most/3]) + "…" + string(r[len(r)-(most-most/3-1):])
}

// headHeight is the height of everything above the axes.
func (c *chart) headHeight() vg.Length {
	h := margin + 18
	if c.p.Subtitle != "" {
		h += 15
	}
	return h + vg.Length(len(c.legend))*legendLine + 14
}

func (c *chart) height() vg.Length { return c.headHeight() + plotHeight + 14 }

// draw draws the chart on a canvas of its size.
func (c *chart) draw(canvas vg.CanvasSizer) {
	dc := draw.New(canvas)
	dc.SetColor(ground.light)
	dc.Fill(dc.Rectangle.Path())

	y := dc.Max.Y - margin
	title := c.style(15, ink.light, true)
	title.YAlign = text.YTop
	dc.FillText(title, vg.Point{X: margin, Y: y}, c.fit(title, c.p.Title))
	y -= 20
	if c.p.Subtitle != "" {
		subtitle := c.style(9.5, muted.light, false)
		subtitle.YAlign = text.YTop
		dc.FillText(subtitle, vg.Point{X: margin, Y: y}, c.fit(subtitle, c.p.Subtitle))
		y -= 15
	}
	for _, line := range c.legend {
		y -= legendLine
		for _, e := range line {
			c.drawLegend(&dc, e, y+5)
		}
	}

	pl := c.axes()
	pl.Draw(draw.Crop(dc, margin, -margin, 10, -c.headHeight()))
	if slices.ContainsFunc(c.p.Series, func(s PlotSeries) bool { return len(s.Worst) > 0 }) {
		note := c.style(8.5, muted.light, false)
		note.XAlign, note.YAlign = text.XRight, text.YBottom
		dc.FillText(note, vg.Point{X: dc.Max.X - margin, Y: dc.Min.Y + 10}, "worst frames marked, #frame: "+cmp.Or(shorten(c.p.Metric, 30), "score"))
	}
}

// fit shortens text to the width of the chart.
func (c *chart) fit(sty text.Style, s string) string {
	for most := utf8.RuneCountInString(s); most > 8 && sty.Width(s) > chartWidth-2*margin; most -= max(1, most/20) {
		s = shorten(s, most)
	}
	return s
}

func (c *chart) drawLegend(dc *draw.Canvas, e legendEntry, y vg.Length) {
	line := c.lineStyle(e.series)
	line.Width = 2.2
	dc.StrokeLine2(line, e.at, y, e.at+swatch, y)
	sty := c.style(9.5, ink.light, false)
	sty.YAlign = text.YCenter
	dc.FillText(sty, vg.Point{X: e.at + swatch + 6, Y: y}, e.name)
	sty.Color = muted.light
	dc.FillText(sty, vg.Point{X: e.meanAt, Y: y}, e.mean)
}

func (c *chart) lineStyle(series int) draw.LineStyle {
	return draw.LineStyle{Color: seriesTone(series).light, Width: 1.3, Dashes: seriesDash(series)}
}

// axes builds the plot proper.
func (c *chart) axes() *plot.Plot {
	pl := plot.New()
	pl.BackgroundColor = nil // the ground is there
	pl.TextHandler = c.faces
	pl.Legend.TextStyle = c.style(9, ink.light, false)
	pl.Title.TextStyle = c.style(9, ink.light, false)

	for _, a := range []*plot.Axis{&pl.X, &pl.Y} {
		a.LineStyle = draw.LineStyle{Color: axis.light, Width: 0.75}
		a.Padding = 0
		tick, label := a.Tick.Label, a.Label.TextStyle
		a.Tick.Label = c.style(9, muted.light, false)
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = tick.XAlign, tick.YAlign
		a.Label.TextStyle = c.style(9.5, muted.light, false)
		a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign = label.XAlign, label.YAlign
		a.Label.Padding = 5
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 4
	}
	pl.X.Min, pl.X.Max, pl.X.Tick.Marker = c.x.min, c.x.max, c.x
	pl.Y.Min, pl.Y.Max, pl.Y.Tick.Marker = c.y.min, c.y.max, c.y
	pl.Y.LineStyle.Width = 0 // the grid says enough
	pl.Y.Tick.LineStyle.Width = 0
	pl.Y.Tick.Length = 6
	pl.Y.Label.Text = shorten(c.p.Metric, 50)
	pl.X.Label.Text = "frame"
	if c.p.Seconds {
		pl.X.Label.Text = "time (" + timeUnit(c.x.max) + ")"
	}
	pl.Add(plotterFunc(c.drawGrid))
	if c.empty {
		pl.Add(plotterFunc(c.drawEmpty))
		return pl
	}
	// The first series matters most: it comes last, on top.
	for i := len(c.p.Series) - 1; i >= 0; i-- {
		pl.Add(plotterFunc(func(dc draw.Canvas, pl *plot.Plot) { c.drawSeries(dc, pl, i) }))
	}
	pl.Add(plotterFunc(c.drawWorst))
	return pl
}

// plotterFunc is a function that draws within the axes.
type plotterFunc func(draw.Canvas, *plot.Plot)

func (f plotterFunc) Plot(dc draw.Canvas, pl *plot.Plot) { f(dc, pl) }

func (c *chart) drawGrid(dc draw.Canvas, pl *plot.Plot) {
	_, ty := pl.Transforms(&dc)
	for _, tick := range c.y.Ticks(0, 0) {
		y := ty(tick.Value)
		dc.StrokeLine2(draw.LineStyle{Color: grid.light, Width: 0.75}, dc.Min.X, y, dc.Max.X, y)
	}
}

func (c *chart) drawEmpty(dc draw.Canvas, _ *plot.Plot) {
	sty := c.style(12, muted.light, false)
	sty.XAlign, sty.YAlign = text.XCenter, text.YCenter
	message := "no frames measured"
	for _, s := range c.p.Series {
		if len(s.Y) > 0 {
			message = "no value is finite"
		}
	}
	dc.FillText(sty, dc.Center(), message)
}

func (c *chart) drawSeries(dc draw.Canvas, pl *plot.Plot, series int) {
	tx, ty := pl.Transforms(&dc)
	s := &c.p.Series[series]
	colour := seriesTone(series).light
	line := c.lineStyle(series)
	columns := int((dc.Max.X - dc.Min.X) / 1.2)
	const dense = 3 // frames a column from which on a line turns into a band
	if len(s.Y) < dense*columns {
		for _, run := range split(s.X, s.Y) {
			points := make([]vg.Point, len(run[0]))
			for i := range points {
				points[i] = vg.Point{X: tx(run[0][i]), Y: ty(run[1][i])}
			}
			c.lines = append(c.lines, points...)
			if len(points) > 1 {
				dc.StrokeLines(line, points)
			}
			// Single frames would not show; few are easier to see as dots.
			if len(points) == 1 || len(s.Y) <= 60 {
				for _, p := range points {
					dc.DrawGlyph(draw.GlyphStyle{Color: colour, Radius: 2, Shape: draw.CircleGlyph{}}, p)
				}
			}
		}
		return
	}
	for _, run := range thin(s.X, s.Y, c.x.min, c.x.max, columns) {
		band := make([]vg.Point, 0, 2*len(run))
		low, avg := make([]vg.Point, len(run)), make([]vg.Point, len(run))
		for i, col := range run {
			x := tx(col.x)
			band = append(band, vg.Point{X: x, Y: ty(col.high)})
			low[i] = vg.Point{X: x, Y: ty(col.low)}
			avg[i] = vg.Point{X: x, Y: ty(col.avg)}
		}
		for i := len(low) - 1; i >= 0; i-- {
			band = append(band, low[i])
		}
		c.lines = append(append(c.lines, low...), avg...)
		dc.FillPolygon(alpha(colour, 0.18), band)
		dc.StrokeLines(draw.LineStyle{Color: alpha(colour, 0.45), Width: 0.6}, low)
		dc.StrokeLines(line, avg)
	}
}

// marks is how many worst frames of each series the picture shows: in all about a dozen.
func (c *chart) marks() int { return min(max(12/len(c.p.Series), 1), defaultWorst) }

// drawWorst marks the worst frames of all series and labels those for which there is room, the worst of each first.
func (c *chart) drawWorst(dc draw.Canvas, pl *plot.Plot) {
	tx, ty := pl.Transforms(&dc)
	place := func(s *PlotSeries, k int) vg.Point { return vg.Point{X: tx(s.X[k]), Y: ty(s.Y[k])} }
	for i := range c.p.Series {
		s := &c.p.Series[i]
		for _, k := range s.Worst[:min(len(s.Worst), c.marks())] {
			at := place(s, k)
			const radius = 3.4
			dc.DrawGlyph(draw.GlyphStyle{Color: ground.light, Radius: radius, Shape: draw.CircleGlyph{}}, at)
			var circle vg.Path
			circle.Move(vg.Point{X: at.X + radius, Y: at.Y})
			circle.Arc(at, radius, 0, 2*math.Pi)
			circle.Close()
			dc.SetLineStyle(draw.LineStyle{Color: seriesTone(i).light, Width: 1.4})
			dc.Stroke(circle)
			c.taken = append(c.taken, around(at, radius+1, radius+1))
		}
	}
	for rank := range c.marks() {
		for i := range c.p.Series {
			if s := &c.p.Series[i]; rank < len(s.Worst) {
				k := s.Worst[rank]
				c.drawLabel(&dc, place(s, k), "#"+grouped(s.Frames[k])+": "+score(s.Y[k], c.decimals), seriesTone(i).light)
			}
		}
	}
}

// around is the rectangle with that half width and half height.
func around(at vg.Point, w, h vg.Length) vg.Rectangle {
	return vg.Rectangle{Min: vg.Point{X: at.X - w, Y: at.Y - h}, Max: vg.Point{X: at.X + w, Y: at.Y + h}}
}

// drawLabel puts a label beside a marker where it covers no other and as little of the lines as possible. Where there is
// no room it leaves it away.
func (c *chart) drawLabel(dc *draw.Canvas, at vg.Point, label string, colour color.Color) {
	sty := c.style(8.5, colour, false)
	sty.XAlign, sty.YAlign = text.XCenter, text.YCenter
	w, h := sty.Width(label)/2, vg.Length(5)
	var best vg.Rectangle
	least := math.MaxInt
	for _, shift := range []vg.Point{
		{X: 0, Y: -11}, {X: w + 8, Y: -3}, {X: -w - 8, Y: -3}, {X: w + 5, Y: -12}, {X: -w - 5, Y: -12}, {X: 0, Y: -20}, {X: 0, Y: 11},
	} {
		box := around(at.Add(shift), w+1.5, h)
		inside := box.Min.X >= dc.Min.X && box.Max.X <= dc.Max.X && box.Min.Y >= dc.Min.Y && box.Max.Y <= dc.Max.Y
		if !inside || c.isTaken(box) {
			continue
		}
		if n := c.covered(box); n < least {
			best, least = box, n
		}
	}
	if least == math.MaxInt {
		return
	}
	dc.SetColor(alpha(ground.light, 0.75))
	dc.Fill(best.Path())
	dc.FillText(sty, vg.Point{X: (best.Min.X + best.Max.X) / 2, Y: (best.Min.Y + best.Max.Y) / 2}, label)
	c.taken = append(c.taken, best)
}

func (c *chart) isTaken(box vg.Rectangle) bool {
	for _, t := range c.taken {
		if box.Min.X < t.Max.X && t.Min.X < box.Max.X && box.Min.Y < t.Max.Y && t.Min.Y < box.Max.Y {
			return true
		}
	}
	return false
}

// covered counts the pieces of lines that a box would cover, roughly: those whose own bounds it meets.
func (c *chart) covered(box vg.Rectangle) int {
	n := 0
	for i := 1; i < len(c.lines); i++ {
		a, b := c.lines[i-1], c.lines[i]
		if b.X < a.X { // the next line begins
			continue
		}
		if a.X < box.Max.X && box.Min.X < b.X && min(a.Y, b.Y) < box.Max.Y && box.Min.Y < max(a.Y, b.Y) {
			n++
		}
	}
	return n
}

// describe says in words what the chart shows, for those who cannot see it.
func (c *chart) describe() string {
	if c.empty {
		return "No values."
	}
	var b strings.Builder
	over := "frames"
	if c.p.Seconds {
		over = "time"
	}
	b.WriteString(c.p.Metric + " over " + over + ".")
	for i := range c.p.Series {
		s := &c.p.Series[i]
		b.WriteString(" " + s.Name + ": mean " + score(s.mean(), c.decimals))
		if len(s.Worst) > 0 {
			k := s.Worst[0]
			b.WriteString(", lowest " + score(s.Y[k], c.decimals) + " at frame " + grouped(s.Frames[k]))
		}
		b.WriteString(".")
	}
	return b.String()
}
