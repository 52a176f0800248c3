package score

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/vmaf"
)

func speedExtraction(t *testing.T, text string) vmaf.Extraction {
	t.Helper()
	e, err := vmaf.ParseExtraction(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func chromaFormat(width, height, bpc int, s vmaf.Subsampling) vmaf.Format {
	return vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc, Subsampling: s}
}

// The options of spec/speed.md §2, and what they are used as.
func TestNewSpeed_ReadsOptions(t *testing.T) {
	f := chromaFormat(1920, 1080, 8, vmaf.Chroma420)
	for text, want := range map[string]SpeedConfig{
		"speed_chroma": {1, 1, "nearest", 0.29, 0, 0},
		"speed_chroma:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5:speed_max_val=45:speed_prescale=0.6:" +
			"speed_prescale_method=bilinear": {1, 0.6, "bilinear", 0.19, 0.1, 5},
		"speed_chroma:speed_kernelscale=1.6:speed_prescale=4:speed_prescale_method=lanczos4": {1.6, 4, "lanczos4", 0.29, 0, 0},
	} {
		s, err := NewSpeed(speedExtraction(t, text), f)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.Config(); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// "In 4:2:0 this means luma sides of at least 160 (prescale 1), 266 (0.6) or 318 (0.5)."
func TestNewSpeed_Spec3_1_LeastSizes(t *testing.T) {
	half, most := "speed_chroma:speed_prescale=0.5:speed_prescale_method=bilinear", "speed_chroma:speed_prescale=0.6:speed_prescale_method=bilinear"
	for _, c := range []struct {
		text          string
		width, height int
		subsampling   vmaf.Subsampling
		want          string // in the error; empty: none
	}{
		{"speed_chroma", 160, 160, vmaf.Chroma420, ""},
		{"speed_chroma", 161, 161, vmaf.Chroma420, ""},
		{"speed_chroma", 159, 200, vmaf.Chroma420, "pictures of 159x200: with speed_prescale 1 in 4:2:0 it needs at least 160x160"},
		{"speed_chroma", 160, 80, vmaf.Chroma422, ""},
		{"speed_chroma", 160, 79, vmaf.Chroma422, "in 4:2:2 it needs at least 160x80"},
		{"speed_chroma", 80, 80, vmaf.Chroma444, ""},
		{"speed_chroma", 80, 79, vmaf.Chroma444, "in 4:4:4 it needs at least 80x80"},
		{most, 266, 266, vmaf.Chroma420, ""},
		{most, 265, 266, vmaf.Chroma420, "with speed_prescale 0.6 in 4:2:0 it needs at least 266x266"},
		{half, 318, 318, vmaf.Chroma420, ""},
		{half, 480, 270, vmaf.Chroma420, "it needs at least 318x318"},
		{"speed_chroma:speed_prescale=4", 40, 40, vmaf.Chroma420, ""},
		{"speed_chroma:speed_prescale=0.1", 1590, 1590, vmaf.Chroma420, ""},
		{"speed_chroma:speed_prescale=0.1", 1589, 1590, vmaf.Chroma420, "it needs at least 1590x1590"},
	} {
		f := chromaFormat(c.width, c.height, 10, c.subsampling)
		s, err := NewSpeed(speedExtraction(t, c.text), f)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s of %v: %v", c.text, f, err)
		case c.want != "" && (!errors.Is(err, ErrSpeed) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s of %v: error %v, want one with %q", c.text, f, err, c.want)
		case c.want == "":
			width, height := c.width/2, c.height/2
			if c.subsampling != vmaf.Chroma420 {
				continue
			}
			if _, err := NewSpeedPlan([]SpeedConfig{s.Config()}, width, height); err != nil {
				t.Errorf("%s of %v: plan: %v", c.text, f, err)
			}
			if _, err := NewSpeedPlan([]SpeedConfig{s.Config()}, width, 4); !errors.Is(err, ErrSpeed) {
				t.Errorf("%s of %dx4: plan: error %v", c.text, width, err)
			}
		}
	}
}

func TestNewSpeed_RefusesFormats(t *testing.T) {
	e := speedExtraction(t, "speed_chroma")
	for name, c := range map[string]struct {
		format vmaf.Format
		want   []string
	}{
		"4:0:0":           {chromaFormat(640, 360, 8, vmaf.Gray), []string{"for 4:0:0 pictures, which have no chroma"}},
		"9 bits":          {chromaFormat(640, 360, 9, vmaf.Chroma420), []string{"for 9 bits per component; it must be 8, 10, 12 or 16"}},
		"14 bits, small":  {chromaFormat(64, 360, 14, vmaf.Chroma420), []string{"for 14 bits", "at least 160x160"}},
		"11 bits, no hue": {chromaFormat(640, 360, 11, vmaf.Gray), []string{"for 11 bits", "no chroma"}},
	} {
		_, err := NewSpeed(e, c.format)
		for _, want := range c.want {
			if !errors.Is(err, ErrSpeed) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
		}
	}
	if _, err := NewSpeed(speedExtraction(t, "vif"), chromaFormat(640, 360, 8, vmaf.Chroma420)); err == nil {
		t.Error("no error for another extractor's options")
	}
}

func TestSpeedConfig_Validate(t *testing.T) {
	good := SpeedConfig{1, 1, "nearest", 0.29, 0, 0}
	if err := good.Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for _, scale := range speedKernelScales {
		c := good
		if c.KernelScale = scale + 0.0009; c.Validate() != nil {
			t.Errorf("kernel scale %g: %v", c.KernelScale, c.Validate())
		}
	}
	bad := SpeedConfig{1.2, math.NaN(), "cubic", 0.05, 1.5, 7}
	err := bad.Validate()
	for _, want := range []string{"speed_kernelscale 1.2", "speed_prescale NaN", `speed_prescale_method "cubic"`, "speed_sigma_nn 0.05",
		"speed_nn_floor 1.5", "speed_weight_var_mode 7"} {
		if !errors.Is(err, ErrSpeed) || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

// "For ks = 1: …", coefficient by coefficient.
func TestSpeedPlan_Spec3_2_Kernels(t *testing.T) {
	p, err := NewSpeedPlan([]SpeedConfig{{1, 1, "nearest", 0.29, 0, 0}}, 960, 540)
	if err != nil {
		t.Fatal(err)
	}
	f := p.Filters[0]
	rise := []float32{0x1.35db8cp-4, 0x1.95ed7p-4, 0x1.ec4b3cp-4, 0x1.1459bp-3}
	fall := slices.Clone(rise)
	slices.Reverse(fall)
	if want := append(append(rise, 0x1.1f3866p-3), fall...); !slices.Equal(f.AntiAlias, want) {
		t.Errorf("anti-alias filter %x, want %x", f.AntiAlias, want)
	}
	if want := []float32{0x1.54be42p-3, 0x1.55a0dep-1, 0x1.54be42p-3}; !slices.Equal(f.Mean, want) {
		t.Errorf("local mean %x, want %x", f.Mean, want)
	}
	if f.Width != 60 || f.Height != 33 || f.Points != 1 {
		t.Errorf("%dx%d of %d points, want 60x33 of 1", f.Width, f.Height, f.Points)
	}
	if across, down := f.Blocks(); across != 12 || down != 6 {
		t.Errorf("%d×%d blocks, want 12×6", across, down)
	}
}

// All kernel scales: lengths are odd, within what kernels have room for, and coefficients symmetric with a sum near 1.
func TestSpeedPlan_EveryKernelScale(t *testing.T) {
	for _, scale := range speedKernelScales {
		p, err := NewSpeedPlan([]SpeedConfig{{scale + 0.0009, 1, "nearest", 0.29, 0, 0}}, 300, 200)
		if err != nil {
			t.Fatal(err)
		}
		f := p.Filters[0]
		if len(f.AntiAlias) > SpeedMaxTaps || len(f.Mean) > SpeedMaxMeanTaps {
			t.Errorf("scale %g: %d and %d coefficients", scale, len(f.AntiAlias), len(f.Mean))
		}
		for _, k := range [][]float32{f.AntiAlias, f.Mean} {
			var sum float64
			for i, v := range k {
				sum += float64(v)
				if v != k[len(k)-1-i] || !(v > 0) {
					t.Errorf("scale %g: coefficients %v", scale, k)
				}
			}
			if len(k)%2 == 0 || math.Abs(sum-1) > 1e-6 {
				t.Errorf("scale %g: %d coefficients of sum %g", scale, len(k), sum)
			}
		}
	}
}

func TestSpeedPlan_SharesWork(t *testing.T) {
	p, err := NewSpeedPlan([]SpeedConfig{
		{1, 1, "nearest", 0.29, 0, 0},
		{1, 1.0004, "lanczos4", 0.29, 0.5, 3}, // near enough to 1
		{1, 1, "nearest", 0.19, 0.1, 5},
		{1, 0.6, "bilinear", 0.19, 0.1, 5},
		{1, 0.6, "nearest", 0.19, 0.1, 5},
		{0.5, 1, "bicubic", 0.19, 0.1, 5},
		{1, 0.6, "bilinear", 0.19, 0.2, 5},
	}, 400, 300)
	if err != nil {
		t.Fatal(err)
	}
	wantEntropies := []SpeedEntropy{{0, 0.29}, {0, 0.19}, {1, 0.19}, {2, 0.19}, {3, 0.19}}
	wantScores := []SpeedScore{{0, 0.29, 0, 0}, {0, 0.29, 0.5, 3}, {1, 0.19, 0.1, 5}, {2, 0.19, 0.1, 5}, {3, 0.19, 0.1, 5}, {4, 0.19, 0.1, 5},
		{2, 0.19, 0.2, 5}}
	if d := cmp.Diff(wantEntropies, p.Entropies); d != "" {
		t.Errorf("entropies (-want +got):\n%s", d)
	}
	if d := cmp.Diff(wantScores, p.Scores); d != "" {
		t.Errorf("scores (-want +got):\n%s", d)
	}
	var points []int
	for _, f := range p.Filters {
		points = append(points, f.Points)
	}
	if !slices.Equal(points, []int{1, 2, 1, 1}) {
		t.Errorf("filters of %v points", points)
	}
}

// axisAt is what a table says of tap i of decimated sample d.
func axisAt(a SpeedAxis, size, taps, points, d, i int) (index []int32, weight []float32) {
	for p := range points {
		at := (p*size+d)*taps + i
		index, weight = append(index, a.Index[at]), append(weight, a.Weight[at])
	}
	return index, weight
}

// "mirror without repeating the edge", and what each method looks at. Source: spec/speed.md §4.2, §4.3.
func TestSpeedPlan_Spec4_Axes(t *testing.T) {
	axis := func(prescale float64, method string, n int) (SpeedAxis, int, int) {
		p, err := NewSpeedPlan([]SpeedConfig{{1, prescale, method, 0.29, 0, 0}}, n, n)
		if err != nil {
			t.Fatal(err)
		}
		f := p.Filters[0]
		return f.Columns, f.Width, f.Points
	}
	for _, c := range []struct {
		name     string
		prescale float64
		method   string
		n, d, i  int
		index    []int32
		weight   []float32
	}{
		{"no resampling", 1, "nearest", 85, 2, 5, []int32{33}, []float32{1}},
		{"before the first", 1, "nearest", 85, 0, 0, []int32{4}, []float32{1}},
		{"halved, at its tap 6", 0.5, "bilinear", 200, 1, 6, []int32{36, 37}, []float32{0.5, 0.5}},
		{"halved, mirrored before the first", 0.5, "bilinear", 200, 0, 1, []int32{6, 7}, []float32{0.5, 0.5}},
		{"nearest, halved", 0.5, "nearest", 200, 1, 6, []int32{36}, []float32{1}},
		// x = (0 + 0.5)/2 − 0.5 = −0.25: "x1 = 1, x2 = 0, dx = x − 1, i.e. the edge is extrapolated".
		{"doubled, the first sample", 2, "bilinear", 90, 0, 4, []int32{1, 0}, []float32{2.25, -1.25}},
		{"bicubic halfway", 0.5, "bicubic", 200, 1, 4, []int32{31, 32, 33, 34}, []float32{-0.09375, 0.59375, 0.59375, -0.09375}},
		{"bicubic over the edge", 0.5, "bicubic", 200, 0, 4, []int32{1, 0, 1, 2}, []float32{-0.09375, 0.59375, 0.59375, -0.09375}},
	} {
		a, size, points := axis(c.prescale, c.method, c.n)
		index, weight := axisAt(a, size, 9, points, c.d, c.i)
		if !slices.Equal(index, c.index) || !slices.Equal(weight, c.weight) {
			t.Errorf("%s: samples %v of weights %v, want %v of %v", c.name, index, weight, c.index, c.weight)
		}
	}
	// The last sample of a doubled line lies at x = 89.25, beyond the last of the plane.
	if index, weight := resamplePoints("bilinear", 179, 0.5, 90); !slices.Equal(index, []int{89, 88}) ||
		!slices.Equal(weight, []float32{0.75, 0.25}) {
		t.Errorf("doubled, the last sample: %v of weights %v", index, weight)
	}
	// A filter of 35 taps reaches beyond the last sample: to number 81 of 80.
	wide, err := NewSpeedPlan([]SpeedConfig{{360. / 97, 1, "nearest", 0.29, 0, 0}}, 80, 80)
	if err != nil {
		t.Fatal(err)
	}
	if index, _ := axisAt(wide.Filters[0].Rows, 5, 35, 1, 4, 34); index[0] != 77 {
		t.Errorf("after the last: sample %d, want 77", index[0])
	}
	a, size, points := axis(0.5, "lanczos4", 200)
	_, weight := axisAt(a, size, 9, points, 1, 4)
	for i, got := range weight[1:] {
		x := math.Pi * (float64(i-3) - 0.5)
		want := 4 * math.Sin(x) * math.Sin(x/4) / (x * x)
		if math.Abs(float64(got)-want) > 1e-7 {
			t.Errorf("lanczos4, point %d: weight %g, want %g", i+1, got, want)
		}
	}
	if weight[0] != 0 {
		t.Errorf("lanczos4: weight %g outside of its reach", weight[0])
	}
}

// No table leaves the plane, whatever its size and prescale.
func TestSpeedPlan_StaysInThePlane(t *testing.T) {
	for _, method := range []string{"nearest", "bilinear", "bicubic", "lanczos4"} {
		for _, prescale := range []float64{0.1, 0.3333, 0.5, 0.6, 0.999, 1, 1.001, 1.7, 3.999, 4} {
			c := SpeedConfig{360. / 97, prescale, method, 0.29, 0, 0}
			for extra := 0; extra < 40; extra += 7 {
				n := c.leastSide() + extra
				p, err := NewSpeedPlan([]SpeedConfig{c}, n, n)
				if err != nil {
					t.Fatal(err)
				}
				if low, high := slices.Min(p.Filters[0].Columns.Index), slices.Max(p.Filters[0].Columns.Index); low < 0 || int(high) >= n {
					t.Errorf("%s, prescale %g, %d samples: samples %d … %d", method, prescale, n, low, high)
				}
			}
		}
	}
}

func TestSpeed_Spec7_Figures(t *testing.T) {
	s := &Speed{}
	for name, c := range map[string]struct {
		sums SpeedSums
		want []float64
	}{
		"neither degenerate":        {SpeedSums{3, 5, false, false}, []float64{3, 5, 4}},
		"U alone":                   {SpeedSums{0, 5, true, false}, []float64{0, 5, 5}},
		"V alone":                   {SpeedSums{3, 0, false, true}, []float64{3, 0, 3}},
		"both":                      {SpeedSums{2, 4, true, true}, []float64{2, 4, 3}},
		"the sum is rounded to f32": {SpeedSums{1 << 24, 1, false, false}, []float64{1 << 24, 1, 1 << 23}},
		"beyond any limit":          {SpeedSums{4000, 0, false, false}, []float64{4000, 0, 2000}},
	} {
		if got := s.Figures([]float64{7}, &c.sums); !slices.Equal(got[1:], c.want) || got[0] != 7 {
			t.Errorf("%s: %v, want 7 and %v", name, got, c.want)
		}
	}
}

// Both against the library's, which errs by a unit in the last place itself.
func TestSpeed_ExpAndSine(t *testing.T) {
	near := func(got, want float64) bool { return math.Abs(got-want) <= 2*math.Abs(math.Nextafter(want, 10)-want) }
	for i := -400; i <= 400; i++ {
		x := float64(i) * 0.0201
		if got, want := roundedExp(-math.Abs(x)), math.Exp(-math.Abs(x)); !near(got, want) {
			t.Errorf("exp(%g) = %.17g, want %.17g", -math.Abs(x), got, want)
		}
		if got, want := sine(float64(i)*0.0313), math.Sin(float64(i)*0.0313); !near(got, want) {
			t.Errorf("sin(%g) = %.17g, want %.17g", float64(i)*0.0313, got, want)
		}
	}
	for k := 1.0; k <= 4; k++ {
		// What is left of π when it is rounded, to 1 part in 10^10.
		want := 1.2246467991473532e-16 * k
		if math.Mod(k, 2) == 0 {
			want = -want
		}
		if got := sine(math.Pi * k); math.Abs(got/want-1) > 1e-10 {
			t.Errorf("sin(%gπ) = %g, want %g", k, got, want)
		}
	}
}
