//go:build !noplot

package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

var (
	inf = math.Inf(1)
	nan = math.NaN()
)

// ladder is a plot of three renditions over n frames with dips, the same every time.
func ladder(n int) Plot {
	p := Plot{
		Title: "VMAF of reference.mp4", Subtitle: "vmaf_v0.6.1, 1920×1080", Metric: "vmaf",
		Facts: []Fact{{"device", "CPU"}, {"scaling", "bicubic"}},
	}
	for k, base := range []float64{95, 86, 74} {
		s := PlotSeries{Name: fmt.Sprintf("ladder_%d.mp4", k), Y: make([]float64, n)}
		for i := range s.Y {
			s.Y[i] = base + 3*math.Sin(float64(i*(k+2))/17) + math.Cos(float64(i*7919%613))
		}
		for _, at := range []int{n / 5, n / 2, n - n/7 - 1} {
			s.Y[at] -= 20 + float64(k+at)/float64(n)
		}
		s.Pooled = []Figure{{"mean", base}, {"harmonic_mean", base - 0.2}, {"min", slices.Min(s.Y)}}
		p.Series = append(p.Series, s)
	}
	return p
}

func seconds(p Plot, fps float64) Plot {
	p.Seconds = true
	for k := range p.Series {
		s := &p.Series[k]
		s.X = make([]float64, len(s.Y))
		for i := range s.X {
			s.X[i] = float64(i) / fps
		}
	}
	return p
}

// awkward are plots that a drawing program may trip over.
func awkward() map[string]Plot {
	gaps := ladder(300)
	for i := 60; i < 90; i++ {
		gaps.Series[1].Y[i] = nan
	}
	gaps.Series[2].Y[10] = inf
	long := ladder(20_000)
	for i := 5000; i < 9000; i++ {
		long.Series[0].Y[i] = nan
	}
	lengths := ladder(200)
	lengths.Series[1].Y = lengths.Series[1].Y[:70]
	lengths.Series[2].Y = nil
	many := Plot{Metric: "vmaf"}
	for k := range 30 {
		many.Series = append(many.Series, PlotSeries{Name: strings.Repeat("name", k+1), Y: []float64{float64(k), 2}})
	}
	one := func(y ...float64) Plot { return Plot{Metric: "vmaf", Series: []PlotSeries{{Name: "a", Y: y}}} }
	return map[string]Plot{
		"nothing":                   {},
		"no frames":                 {Metric: "vmaf", Series: []PlotSeries{{Name: "a"}, {Name: "b", Y: []float64{}}}},
		"one frame":                 one(93.2),
		"two frames":                one(93.2, 80),
		"all the same":              one(100, 100, 100, 100),
		"zeros":                     one(0, 0),
		"only NaN":                  one(nan, nan),
		"only infinity":             one(inf, -inf, inf),
		"one value among NaN":       one(nan, nan, 50, nan),
		"tiny":                      one(1e-12, 2e-12, 5e-324),
		"huge":                      one(math.MaxFloat64, -math.MaxFloat64, 1),
		"large":                     one(1e12, 2e12),
		"negative":                  one(-5, -3, -30),
		"gaps":                      gaps,
		"gaps in a long clip":       long,
		"different lengths":         lengths,
		"thirty series":             many,
		"seconds":                   seconds(ladder(500), 25),
		"hours":                     seconds(ladder(500), 0.02),
		"milliseconds":              seconds(ladder(50), 5000),
		"one frame, seconds":        seconds(one(5), 25),
		"places far apart":          {Series: []PlotSeries{{X: []float64{0, 1e9}, Y: []float64{1, 2}}}},
		"places far out":            {Seconds: true, Series: []PlotSeries{{X: []float64{1e15, 1e15 + 1}, Y: []float64{1, 2}}}},
		"same place":                {Seconds: true, Series: []PlotSeries{{X: []float64{1, 1, 1}, Y: []float64{1, 2, 3}}}},
		"markup in every text":      hostile(),
		"a long title":              {Title: strings.Repeat("long ", 200), Subtitle: strings.Repeat("ﷺ", 500), Series: one(1, 2).Series},
		"frame numbers with gaps":   {Series: []PlotSeries{{Frames: []int{0, 5, 1000}, Y: []float64{1, 2, 3}}}},
		"worst frame is not finite": {Series: []PlotSeries{{Y: []float64{1, nan}, Worst: []int{1, 0}}}},
	}
}

const nasty = "<script>alert(1)</script>\"'&amp;]]>\x00\x1b\xff\u202E\n#0072B2 fill:#0072B2 </svg><text "

func hostile() Plot {
	return Plot{
		Title: nasty, Subtitle: nasty, Metric: nasty, Facts: []Fact{{nasty, nasty}},
		Series: []PlotSeries{{Name: nasty, Y: []float64{3, 1, 2}, Pooled: []Figure{{nasty, 1}}}},
	}
}

func write(t testing.TB, f PlotFormat, p Plot) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WritePlot(&out, f, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// element is one element of a picture or page, with the text directly in it.
type element struct {
	name  string
	attrs map[string]string
	text  string
	depth int
}

// parse reads well-formed XML, or the page's HTML, which is written so that it nearly is.
func parse(t testing.TB, text []byte) []element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	if bytes.HasPrefix(text, []byte("<!DOCTYPE html>")) {
		d.Strict = false
		d.AutoClose = []string{"meta"}
		d.Entity = xml.HTMLEntity
	}
	var all []element
	var open []int
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(open) > 0 {
				t.Fatalf("%s is not closed", all[open[len(open)-1]].name)
			}
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attrs: map[string]string{}, depth: len(open)}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		}
	}
}

// outline is what a reader of the file gets: elements and their texts, without the drawing's coordinates.
func outline(all []element) string {
	var b strings.Builder
	repeated := ""
	n := 0
	flush := func() {
		if n > 0 {
			fmt.Fprintf(&b, "%s × %d\n", repeated, n)
		}
		repeated, n = "", 0
	}
	for _, e := range all {
		indent := strings.Repeat("  ", e.depth)
		if e.name == "path" || e.name == "g" && e.text == "" {
			if line := indent + e.name; line == repeated {
				n++
			} else {
				flush()
				repeated, n = line, 1
			}
			continue
		}
		flush()
		b.WriteString(indent + e.name)
		for _, a := range []string{"id", "class", "scope", "role", "aria-labelledby", "aria-hidden"} {
			if v, ok := e.attrs[a]; ok {
				fmt.Fprintf(&b, " %s=%s", a, v)
			}
		}
		if text := strings.Join(strings.Fields(e.text), " "); text != "" && e.name != "style" {
			b.WriteString(": " + text)
		}
		b.WriteString("\n")
	}
	flush()
	return b.String()
}

func TestWritePlot_Outline(t *testing.T) {
	for name, p := range map[string]Plot{"ladder": ladder(150), "seconds": seconds(ladder(6000), 25), "empty": {Metric: "vmaf"}} {
		for _, f := range []PlotFormat{SVG, HTML} {
			got := outline(parse(t, write(t, f, p)))
			path := filepath.Join("testdata", name+"."+f.String()+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (go test -update rewrites it); got:\n%s", path, got)
			}
		}
	}
}

func TestWritePlot_Awkward(t *testing.T) {
	for name, p := range awkward() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range []PlotFormat{SVG, PNG, HTML} {
				out := write(t, f, p)
				if f == PNG {
					img, err := png.Decode(bytes.NewReader(out))
					if err != nil {
						t.Fatal(err)
					}
					if b := img.Bounds(); b.Dx() != 1800 || b.Dy() < 700 || b.Dy() > 2000 {
						t.Errorf("picture of %v", b)
					}
					continue
				}
				for _, e := range parse(t, out) {
					switch e.name {
					case "script", "link", "img", "image", "iframe", "object":
						t.Errorf("%v: element %s", f, e.name)
					case "path":
						if d := e.attrs["d"]; strings.Contains(d, "NaN") || strings.Contains(d, "Inf") {
							t.Errorf("%v: path %.80s", f, d)
						}
					}
					for a, v := range e.attrs {
						if strings.HasPrefix(a, "on") || strings.Contains(v, "://") && a != "xmlns" {
							t.Errorf("%v: %s has %s=%q", f, e.name, a, v)
						}
					}
				}
			}
		})
	}
}

func TestWritePlot_Deterministic(t *testing.T) {
	for _, p := range []Plot{ladder(150), seconds(ladder(6000), 25)} {
		for _, f := range []PlotFormat{SVG, PNG, HTML} {
			if !bytes.Equal(write(t, f, p), write(t, f, p)) {
				t.Errorf("%v: two runs give different bytes", f)
			}
		}
	}
}

// Text from outside appears as text.
func TestWritePlot_EscapesTexts(t *testing.T) {
	want := printable(nasty)
	for _, f := range []PlotFormat{SVG, HTML} {
		seen := 0
		for _, e := range parse(t, write(t, f, hostile())) {
			if e.name != "style" && strings.Contains(e.text, "<script>alert(1)</script>\"'&amp;]]>") {
				seen++
			}
		}
		if least := map[PlotFormat]int{SVG: 3, HTML: 7}[f]; seen < least {
			t.Errorf("%v: %d texts hold %q, want %d", f, seen, want, least)
		}
	}
}

// A dip of a single frame in a long clip reaches its full depth in the picture, whatever the number of frames.
func TestWritePlot_DipsSurvive(t *testing.T) {
	for _, n := range []int{500, 5000, 100_000} {
		s := PlotSeries{Name: "a", Y: make([]float64, n), Worst: []int{}}
		for i := range s.Y {
			s.Y[i] = 90
		}
		s.Y[n/3] = 10
		img, err := png.Decode(bytes.NewReader(write(t, PNG, Plot{Metric: "vmaf", Series: []PlotSeries{s}})))
		if err != nil {
			t.Fatal(err)
		}
		// The lowest line of the picture with blue in it, next to the dip's place.
		c := newChart(mustPrepare(t, Plot{Series: []PlotSeries{s}}))
		bounds := img.Bounds()
		lowest := 0
		for y := 0; y < bounds.Dy()*9/10; y++ {
			for x := 500; x < 800; x++ {
				if r, g, b, _ := img.At(x, y).RGBA(); int(b)-int(r) > 0x2000 && b > g {
					lowest = y
				}
			}
		}
		// 10 lies this share of the way up from the axis, which is 50 points above the picture's end.
		share := (10 - c.y.min) / (c.y.max - c.y.min)
		want := bounds.Dy() - int((50+share*float64(plotHeight-60))*pngDPI/72)
		if lowest < want-40 || lowest > want+40 {
			t.Errorf("%d frames: the dip ends at line %d of %d, want about %d", n, lowest, bounds.Dy(), want)
		}
	}
}

func mustPrepare(t testing.TB, p Plot) Plot {
	t.Helper()
	p, err := p.prepare()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The size of the files does not follow the number of frames.
func TestWritePlot_SizeIsBounded(t *testing.T) {
	p := ladder(200_000)
	for _, f := range []PlotFormat{SVG, HTML, PNG} {
		if n := len(write(t, f, p)); n > 1<<19 {
			t.Errorf("%v: %d bytes", f, n)
		}
	}
}

func TestWritePlot_Refuses(t *testing.T) {
	for what, s := range map[string]PlotSeries{
		"places":            {Y: []float64{1}, X: []float64{1, 2}},
		"frame numbers":     {Y: []float64{1}, Frames: []int{}},
		"place NaN":         {Y: []float64{1}, X: []float64{nan}},
		"place infinite":    {Y: []float64{1}, X: []float64{inf}},
		"places descend":    {Y: []float64{1, 2}, X: []float64{2, 1}},
		"frames descend":    {Y: []float64{1, 2}, Frames: []int{2, 1}},
		"worst out of it":   {Y: []float64{1}, Worst: []int{1}},
		"worst is negative": {Y: []float64{1}, Worst: []int{-1}},
	} {
		var out bytes.Buffer
		s.Name = "the series"
		err := WritePlot(&out, SVG, Plot{Series: []PlotSeries{s}})
		if err == nil || !strings.Contains(err.Error(), "the series") || out.Len() > 0 {
			t.Errorf("%s: error %v, want one that names the series; %d bytes written", what, err, out.Len())
		}
	}
	if err := WritePlot(io.Discard, 9, Plot{}); err == nil {
		t.Error("unknown format: no error")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWritePlot_ReportsTheWritersError(t *testing.T) {
	for _, f := range []PlotFormat{SVG, PNG, HTML} {
		if err := WritePlot(brokenWriter{}, f, ladder(20)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%v: error %v, want the writer's", f, err)
		}
	}
}

func TestWritePlot_KeepsItsArguments(t *testing.T) {
	p := hostile()
	before := fmt.Sprintf("%#v", p)
	write(t, HTML, p)
	if after := fmt.Sprintf("%#v", p); after != before {
		t.Errorf("the plot changed:\n%s\n%s", before, after)
	}
}

func TestWorst(t *testing.T) {
	flat := make([]float64, 100)
	two := slices.Clone(flat)
	two[20], two[21], two[22], two[70] = -5, -6, -5, -3
	for _, c := range []struct {
		what   string
		values []float64
		want   string
	}{
		{"nothing", nil, "[]"},
		{"one value", []float64{5}, "[]"},
		{"flat", flat, "[]"},
		{"two dips, the deepest first", two, "[21 70]"},
		{"neighbours of a dip are not dips", []float64{9, 8, 1, 8, 9}, "[2]"},
		{"the first of a level bottom", []float64{9, 1, 1, 1, 9}, "[1]"},
		{"at both ends", []float64{1, 9, 2}, "[0 2]"},
		{"beside a gap", []float64{9, nan, 1, nan, 9, 3}, "[2 5]"},
		{"infinities do not count", []float64{inf, -inf, 1, 9, inf}, "[2]"},
	} {
		if got := fmt.Sprint(Worst(c.values, 5)); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if got := Worst(ladder(1000).Series[0].Y, 2); len(got) != 2 {
		t.Errorf("two asked for, got %v", got)
	}
}

func TestPlotFormatOf(t *testing.T) {
	for path, want := range map[string]PlotFormat{"a.svg": SVG, "b/c.PNG": PNG, "d.html": HTML, "e.htm": HTML} {
		if got, err := PlotFormatOf(path); err != nil || got != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	for _, path := range []string{"plot", "plot.jpg", ""} {
		if _, err := PlotFormatOf(path); err == nil {
			t.Errorf("%q: no error", path)
		}
	}
}

func TestScales(t *testing.T) {
	labels := func(s scale) string {
		var l []string
		for _, tick := range s.Ticks(0, 0) {
			l = append(l, tick.Label)
		}
		return strings.Join(l, " ")
	}
	for _, c := range []struct {
		what string
		s    scale
		want string
	}{
		{"vmaf", scoreScale(62, 99.5), "50 60 70 80 90 100"},
		{"perfect vmaf", scoreScale(100, 100), "97.5 98.0 98.5 99.0 99.5 100.0"},
		{"ssim", scoreScale(0.91, 0.99), "0.90 0.92 0.94 0.96 0.98"},
		{"nothing below zero", scoreScale(0, 3), "0.0 0.5 1.0 1.5 2.0 2.5 3.0"},
		{"negative", scoreScale(-30, -3), "−35 −30 −25 −20 −15 −10 −5"},
		{"frames", frameScale(0, 4000), "0 500 1\u202F000 1\u202F500 2\u202F000 2\u202F500 3\u202F000 3\u202F500 4\u202F000"},
		{"few frames", frameScale(0, 3), "0 1 2 3"},
		{"one frame", frameScale(7, 7), "7"},
		{"seconds", timeScale(0, 6), "0 1 2 3 4 5 6"},
		{"parts of seconds", timeScale(0, 0.5), "0.00 0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40 0.45 0.50"},
		{"minutes", timeScale(0, 300), "0:00 0:30 1:00 1:30 2:00 2:30 3:00 3:30 4:00 4:30 5:00"},
		{"hours", timeScale(0, 7300), "0:00 15:00 30:00 45:00 1:00:00 1:15:00 1:30:00 1:45:00 2:00:00"},
		{"begins below zero", timeScale(-1, 3), "−1.0 −0.5 0.0 0.5 1.0 1.5 2.0 2.5 3.0"},
	} {
		if got := labels(c.s); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{score(93.456, 2), "93.46"}, {score(-1.5, 2), "−1.50"}, {score(nan, 2), "–"}, {score(inf, 2), "∞"}, {score(-inf, 2), "−∞"},
		{score(0, 4), "0.0000"}, {score(4.8e-7, 4), "4.8e−07"}, {score(1e12, 2), "1e+12"},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1\u202F000"}, {grouped(1234567), "1\u202F234\u202F567"},
		{moment(3.92), "3.920 s"}, {moment(59.9999), "60.000 s"}, {moment(358.08), "5:58.080"}, {moment(3661.5), "1:01:01.500"},
		{shorten("short", 20), "short"}, {shorten("a_very_long_name_of_a_rendition_540p.mp4", 20), "a_very…tion_540p.mp4"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// Text and lines stand out from the ground, in both themes (WCAG 2.1: 4.5:1 for text, 3:1 for lines).
func TestTones_Contrast(t *testing.T) {
	luminance := func(c color.RGBA) float64 {
		channel := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*channel(c.R) + 0.7152*channel(c.G) + 0.0722*channel(c.B)
	}
	contrast := func(a, b color.RGBA) float64 {
		x, y := luminance(a), luminance(b)
		return (max(x, y) + 0.05) / (min(x, y) + 0.05)
	}
	check := func(tn tone, least float64) {
		if got := contrast(tn.light, ground.light); got < least {
			t.Errorf("%s on white: %.2f:1, want %.1f:1", tn.name, got, least)
		}
		if got := contrast(tn.dark, ground.dark); got < least {
			t.Errorf("%s on the dark ground: %.2f:1, want %.1f:1", tn.name, got, least)
		}
	}
	check(ink, 4.5)
	check(muted, 4.5)
	for _, tn := range seriesTones {
		check(tn, 3)
	}
}
