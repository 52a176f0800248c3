package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// PlotFormat is what kind of file a plot becomes.
type PlotFormat uint8

// The formats.
const (
	SVG  PlotFormat = iota // vector picture
	PNG                    // raster picture, 1800 samples wide
	HTML                   // page with the picture and tables
)

var plotFormats = [...]string{SVG: "svg", PNG: "png", HTML: "html"}

// String returns "svg", "png" or "html".
func (f PlotFormat) String() string {
	if int(f) < len(plotFormats) {
		return plotFormats[f]
	}
	return fmt.Sprintf("PlotFormat(%d)", uint8(f))
}

// PlotFormatOf tells the format by a file's name: .svg, .png, .html or .htm.
func PlotFormatOf(path string) (PlotFormat, error) {
	ext := strings.ToLower(filepath.Ext(path))
	if ext == ".htm" {
		return HTML, nil
	}
	for f, name := range plotFormats {
		if ext == "."+name {
			return PlotFormat(f), nil
		}
	}
	return 0, fmt.Errorf("plot %q: the name must end in .svg, .png or .html, which says what to write", path)
}

// Plot is one picture: one figure of several renditions over time. Texts may hold anything; what a format cannot show is
// replaced.
type Plot struct {
	Title    string // "" means the metric's name
	Subtitle string // a line below, such as the reference's name; may be empty
	// Metric is the name of the figure, such as "vmaf". It labels the vertical axis.
	Metric string
	// Seconds says that X counts seconds. Otherwise it counts frames.
	Seconds bool
	Series  []PlotSeries // in the order of legend and tables
	// Facts says how the figures came about (models, device, scaling …). Only HTML shows them.
	Facts []Fact
}

// Fact is a line of what made a result.
type Fact struct{ Name, Value string }

// PlotSeries is one line of a plot.
type PlotSeries struct {
	Name string
	// X is the place of each value, ascending; nil means Frames.
	X []float64
	// Y are the values. One that is not finite leaves a gap.
	Y []float64
	// Frames are the numbers of the frames; nil means 0, 1, 2 ….
	Frames []int
	// Worst are the places in Y of the worst frames, the worst first; nil means Worst(Y, 5), an empty slice none. The
	// picture marks the first few of them, the fewer the more series there are; HTML lists all.
	Worst []int
	// Pooled are figures for the table, such as {"harmonic_mean", 91.2}. The mean in the legend is that of Pooled, or
	// where it has none, of Y. HTML without any shows mean and min.
	Pooled []Figure
}

// Figure is a number with a name.
type Figure struct {
	Name  string
	Value float64
}

// defaultWorst is how many worst frames a series shows unless it says which.
const defaultWorst = 5

// WritePlot draws p and writes it to w in one piece. It reads p and keeps no reference.
//
// A plot without values is drawn, too, and says that it has none. Errors: a series whose slices do not fit together, or
// whose X is not finite and ascending; what w returned.
func WritePlot(w io.Writer, f PlotFormat, p Plot) error {
	p, err := p.prepare()
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	var out []byte
	switch f {
	case SVG:
		out, err = p.svg()
	case PNG:
		out, err = p.png()
	case HTML:
		out, err = p.html()
	default:
		err = fmt.Errorf("unknown format %v", f)
	}
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("write %v plot: %w", f, err)
	}
	return nil
}

// prepare returns a copy of p with every default filled in and every text printable.
func (p Plot) prepare() (Plot, error) {
	p.Metric = printable(p.Metric)
	p.Title = cmp.Or(printable(p.Title), p.Metric, "Quality")
	p.Subtitle = printable(p.Subtitle)
	p.Facts = slices.Clone(p.Facts)
	for i := range p.Facts {
		p.Facts[i] = Fact{printable(p.Facts[i].Name), printable(p.Facts[i].Value)}
	}
	p.Series = slices.Clone(p.Series)
	var errs []error
	for i := range p.Series {
		s := &p.Series[i]
		if s.Name = printable(s.Name); s.Name == "" {
			s.Name = fmt.Sprintf("rendition %d", i+1)
		}
		if err := s.check(); err != nil {
			errs = append(errs, fmt.Errorf("series %q: %w", s.Name, err))
			continue
		}
		s.fill()
	}
	return p, errors.Join(errs...)
}

// check requires that the slices fit together.
func (s *PlotSeries) check() error {
	n := len(s.Y)
	switch {
	case s.X != nil && len(s.X) != n:
		return fmt.Errorf("%d places for %d values", len(s.X), n)
	case s.Frames != nil && len(s.Frames) != n:
		return fmt.Errorf("%d frame numbers for %d values", len(s.Frames), n)
	}
	for i, x := range s.X {
		if !finite(x) || i > 0 && x < s.X[i-1] {
			return fmt.Errorf("place %d is %v; places must be finite and ascend", i, x)
		}
	}
	for i, k := range s.Frames {
		if i > 0 && k < s.Frames[i-1] {
			return fmt.Errorf("frame %d comes after frame %d", k, s.Frames[i-1])
		}
	}
	for _, k := range s.Worst {
		if k < 0 || k >= n {
			return fmt.Errorf("worst frame at place %d of %d values", k, n)
		}
	}
	return nil
}

// fill puts defaults in.
func (s *PlotSeries) fill() {
	if s.Frames == nil {
		s.Frames = make([]int, len(s.Y))
		for i := range s.Frames {
			s.Frames[i] = i
		}
	}
	if s.X == nil {
		s.X = make([]float64, len(s.Y))
		for i, k := range s.Frames {
			s.X[i] = float64(k)
		}
	}
	if s.Worst == nil {
		s.Worst = Worst(s.Y, defaultWorst)
	}
	s.Worst = slices.DeleteFunc(slices.Clone(s.Worst), func(k int) bool { return !finite(s.Y[k]) })
	s.Pooled = slices.Clone(s.Pooled)
	for i := range s.Pooled {
		s.Pooled[i].Name = printable(s.Pooled[i].Name)
	}
	if s.Pooled == nil && len(s.Y) > 0 {
		s.Pooled = []Figure{{"mean", mean(s.Y)}, {"min", slices.Min(s.Y)}}
	}
}

// mean is the mean for the legend.
func (s *PlotSeries) mean() float64 {
	for _, f := range s.Pooled {
		if f.Name == "mean" {
			return f.Value
		}
	}
	return mean(s.Y)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, y := range values {
		sum += y
	}
	return sum / float64(len(values)) // NaN for none
}

// Worst finds up to count places of lowest values, the lowest first. They are the bottoms of dips, some way apart: the neighbours of a bad frame are nearly as bad, and a list of them would say the same thing over
// and over. A series that never changes has none; values that are not finite are passed over.
func Worst(values []float64, count int) []int {
	var bottoms []int
	highest := math.Inf(-1)
	for i, y := range values {
		if !finite(y) {
			continue
		}
		highest = max(highest, y)
		// Of a level bottom, the first frame. Neighbours that are not finite never compare as lower.
		if i > 0 && values[i-1] <= y && !math.IsInf(values[i-1], -1) || i+1 < len(values) && values[i+1] < y && !math.IsInf(values[i+1], -1) {
			continue
		}
		bottoms = append(bottoms, i)
	}
	slices.SortStableFunc(bottoms, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	n := len(values)
	apart := max(n/50, min(n/10, 12), 1)
	var worst []int
	for _, i := range bottoms {
		if len(worst) >= count || values[i] == highest {
			break
		}
		if !slices.ContainsFunc(worst, func(k int) bool { return max(i-k, k-i) < apart }) {
			worst = append(worst, i)
		}
	}
	return worst
}

// finite says whether a value can be drawn. Beyond any score that means something, differences would overflow.
func finite(x float64) bool { return math.Abs(x) < 1e100 }

// printable replaces what neither XML nor a font can show, and line ends.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || r == '\uFFFE' || r == '\uFFFF' || unicode.Is(unicode.Bidi_Control, r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
