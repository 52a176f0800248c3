package score

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/vmaf"
)

const v1Cambi = "cambi:cambi_high_res_speedup=1080:cambi_vis_lum_threshold=0.06:cambi_max_val=17"

func newCambi(t *testing.T, options string, width, height, bpc int) (*Cambi, error) {
	t.Helper()
	e, err := vmaf.ParseExtraction(options)
	if err != nil {
		t.Fatal(err)
	}
	return NewCambi(e, vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc})
}

func mustCambi(t *testing.T, options string, width, height, bpc int) *Cambi {
	t.Helper()
	c, err := newCambi(t, options, width, height, bpc)
	if err != nil {
		t.Fatalf("%s for %d×%d %d bit: %v", options, width, height, bpc, err)
	}
	return c
}

// The table of §3.3: "Examples with ws=65".
func TestCambi_Spec3_3_Window(t *testing.T) {
	for _, c := range []struct {
		width, height, hrs, want int
	}{
		{480, 270, 0, 9}, {576, 324, 0, 9}, {640, 360, 0, 11}, {960, 540, 0, 17}, {1280, 720, 0, 21}, {1920, 1080, 0, 33},
		{1920, 1080, 1080, 17}, {2560, 1440, 1440, 23}, {3840, 2160, 0, 65}, {3840, 2160, 2160, 33},
	} {
		if got := cambiWindow(65, c.width, c.height, cambiHighRes(c.hrs, c.width, c.height)); got != c.want {
			t.Errorf("%d×%d with speed-up %d: window %d, want %d", c.width, c.height, c.hrs, got, c.want)
		}
	}
}

// "The 1080 value is therefore active for 1920×1080 and inactive for 1920×1040 or 1280×720."
func TestCambi_Spec3_2_SpeedUp(t *testing.T) {
	for _, c := range []struct {
		option, width, height int
		want                  bool
	}{
		{1080, 1920, 1080, true}, {1080, 1920, 1040, false}, {1080, 1280, 720, false}, {1440, 1920, 1080, false}, {1440, 2560, 1440, true},
		{2160, 3840, 2160, true}, {2160, 3840, 2158, false}, {0, 3840, 2160, false}, {720, 3840, 2160, false},
	} {
		if got := cambiHighRes(c.option, c.width, c.height); got != c.want {
			t.Errorf("cambi_high_res_speedup %d at %d×%d: %v", c.option, c.width, c.height, got)
		}
	}
}

// The tables of §3.5, and that no comparison behind them is near the edge: a pow of other rounding gives the same.
func TestCambi_Spec3_5_Visibility(t *testing.T) {
	for _, c := range []struct {
		transfer  string
		threshold float64
		want      []int
	}{
		{"bt1886", 0.019, []int{178, 305, 432, 559, 686, 813, 1023, 1023, 1023, 1023, 1023, 1023, 1023, 1023, 1023, 1023}},
		{"pq", 0.019, []int{233, 1023, 1023, 1023, 1023, 1023, 1023, 1023}},
		{"bt1886", 0.005, []int{532, 1023, 1023, 1023}},
		{"bt1886", 0.05, []int{100, 149, 197, 246, 295, 344, 392, 441}},
		{"bt1886", 0.1, []int{76, 101, 125, 150, 175, 199, 224, 249}},
		{"bt1886", 0.5, []int{0, 0, 68, 73, 79, 84, 89, 95}},
		{"bt1886", 1.0, []int{0, 0, 0, 0, 66, 69, 72, 75}},
	} {
		luminance := cambiLuminance(c.transfer)
		nearest := math.Inf(1)
		for d, want := range c.want {
			if got := cambiVisible(luminance, d+1, c.threshold); got != want {
				t.Errorf("%s, threshold %g, step %d: %d, want %d", c.transfer, c.threshold, d+1, got, want)
			}
			for code := cambiBlack; code <= cambiWhite-d-1; code++ {
				l := luminance(code)
				if l == 0 {
					continue // pq's black: any step is visible, and none is at white
				}
				nearest = min(nearest, math.Abs((luminance(code+d+1)-l)/l-c.threshold))
			}
		}
		// Each luminance is off by a few units in the last place, a few 1e-16 of itself.
		if nearest < 1e-9 {
			t.Errorf("%s, threshold %g: a step is within %g of it", c.transfer, c.threshold, nearest)
		}
	}
}

// The values of §3.6.
func TestCambi_Spec3_6_DarkLimit(t *testing.T) {
	for _, c := range []struct {
		transfer  string
		threshold float64
		want      int
	}{
		{"bt1886", 0, 0}, {"bt1886", 0.01, 65}, {"bt1886", 0.06, 78}, {"bt1886", 0.1, 84}, {"bt1886", 1, 135}, {"bt1886", 10, 268},
		{"bt1886", 300, 940}, {"pq", 0.06, 108}, {"pq", 1, 196}, {"pq", 300, 609},
	} {
		if got := cambiDarkLimit(cambiLuminance(c.transfer), c.threshold); got != c.want {
			t.Errorf("%s, %g cd/m²: %d, want %d", c.transfer, c.threshold, got, c.want)
		}
	}
}

func TestNewCambi_defaults(t *testing.T) {
	c := mustCambi(t, "cambi", 1920, 1080, 8)
	want := CambiConfig{Width: 1920, Height: 1080, Window: 33, AntiDither: true, Contrasts: 4, Visible: [32]int{178, 305, 432, 559}, TopShare: 0.6}
	if d := cmp.Diff(want, c.Distorted()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if src, ok := c.Source(); ok || src != want {
		t.Errorf("source %+v (measured: %v), want the same and false", src, ok)
	}
}

func TestNewCambi_resolves(t *testing.T) {
	distorted := func(c *Cambi) CambiConfig { return c.distorted }
	source := func(c *Cambi) CambiConfig { return c.source }
	for name, c := range map[string]struct {
		options            string
		width, height, bpc int
		which              func(*Cambi) CambiConfig
		want               func(CambiConfig) bool
	}{
		"v1 options at 1080p": {v1Cambi, 1920, 1080, 10, distorted, func(c CambiConfig) bool {
			return c.HighRes && c.Window == 17 && c.DarkLimit == 78 && !c.AntiDither && c.Contrasts == 4
		}},
		"v1 options at 720p": {v1Cambi, 1280, 720, 8, distorted, func(c CambiConfig) bool { return !c.HighRes && c.Window == 21 && c.AntiDither }},
		"topk wins over cambi_topk": {"cambi:topk=0.25:cambi_topk=0.5", 1280, 720, 8, distorted,
			func(c CambiConfig) bool { return c.TopShare == 0.25 }},
		"cambi_topk serves while topk is 0.6": {"cambi:topk=0.6:cambi_topk=0.5", 1280, 720, 8, distorted,
			func(c CambiConfig) bool { return c.TopShare == 0.5 }},
		"cambi_eotf wins over eotf": {"cambi:cambi_eotf=pq", 1280, 720, 8, distorted, func(c CambiConfig) bool { return c.Visible[0] == 233 }},
		"eotf serves otherwise":     {"cambi:eotf=pq", 1280, 720, 8, distorted, func(c CambiConfig) bool { return c.Visible[0] == 233 }},
		"an encode of 8 bits in a file of 10 is filtered": {"cambi:enc_bitdepth=8", 1280, 720, 10, distorted,
			func(c CambiConfig) bool { return c.AntiDither }},
		"one of 10 bits in a file of 8 is not": {"cambi:enc_bitdepth=10", 1280, 720, 8, distorted, func(c CambiConfig) bool { return !c.AntiDither }},
		"a smaller encode": {"cambi:enc_width=960:enc_height=540", 1280, 720, 8, distorted, func(c CambiConfig) bool {
			return c.Width == 960 && c.Height == 540 && c.Window == 17
		}},
		"a larger encode counts as the picture": {"cambi:enc_width=1920:enc_height=540", 1280, 720, 8, distorted, func(c CambiConfig) bool {
			return c.Width == 1280 && c.Height == 720
		}},
		"half a size is none": {"cambi:enc_width=960:src_height=540", 1280, 720, 8, distorted, func(c CambiConfig) bool {
			return c.Width == 1280 && c.Height == 720
		}},
		"a reference may be enlarged": {"cambi:full_ref=true:src_width=1920:src_height=1080", 1280, 720, 8, source, func(c CambiConfig) bool {
			return c.Width == 1920 && c.Height == 1080 && c.Window == 33
		}},
		"the encode's size decides on the speed-up of both": {"cambi:full_ref=true:src_width=1920:src_height=1080:cambi_high_res_speedup=1080",
			1280, 720, 8, source, func(c CambiConfig) bool { return !c.HighRes }},
		"contrast steps are a power of two": {"cambi:max_log_contrast=5", 1280, 720, 8, distorted, func(c CambiConfig) bool {
			return c.Contrasts == 32 && c.Visible[31] == 1023
		}},
		"one side may be small": {"cambi", 120, 1080, 8, distorted, func(c CambiConfig) bool { return c.Width == 120 }},
	} {
		if got := c.which(mustCambi(t, c.options, c.width, c.height, c.bpc)); !c.want(got) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestNewCambi_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		options       string
		width, height int
		size          bool // the error is ErrCambiSize
		want          []string
	}{
		"a small picture": {"cambi", 215, 215, true, []string{"distorted", "reference", "215×215", "at least 216"}},
		"a small encode":  {"cambi:enc_width=200:enc_height=200", 1280, 720, true, []string{"enc_width", "200×200"}},
		"an encode wider and lower than the reference": {"cambi:src_width=1000:src_height=1000", 1280, 720, true,
			[]string{"1280×720", "1000×1000"}},
		"an encode narrower and higher": {"cambi:src_width=2000:src_height=600", 1280, 720, true, []string{"1280×720", "2000×600"}},
		"a window of 67":                {"cambi:window_size=127", 2160, 1080, false, []string{"window_size 127", "at most 65"}},
		"the largest pictures":          {"cambi", 7680, 4320, false, []string{"window of 131", "7680×4320"}},
	} {
		_, err := newCambi(t, c.options, c.width, c.height, 8)
		if err == nil || errors.Is(err, ErrCambiSize) != c.size {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		for _, text := range c.want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: error %q lacks %q", name, err, text)
			}
		}
	}
	if _, err := newCambi(t, "vif", 1280, 720, 8); err == nil {
		t.Error("no error for another extractor's options")
	}
}

func TestCambiConfig_ScaleSize(t *testing.T) {
	c := mustCambi(t, "cambi", 333, 217, 8).Distorted()
	fast := mustCambi(t, v1Cambi, 1921, 1081, 8).Distorted()
	for s, want := range [][4]int{{333, 217, 961, 541}, {167, 109, 481, 271}, {84, 55, 241, 136}, {42, 28, 121, 68}, {21, 14, 61, 34}} {
		w, h := c.ScaleSize(s)
		fw, fh := fast.ScaleSize(s)
		if got := [4]int{w, h, fw, fh}; got != want {
			t.Errorf("scale %d: %v, want %v", s, got, want)
		}
	}
}

// "k = clip( trunc( share · f64(E) ), 1, E )"
func TestCambiConfig_Spec7_4_Pooled(t *testing.T) {
	for _, c := range []struct {
		options string
		scale   int
		want    int
	}{
		{"cambi", 0, 43356}, {"cambi", 4, 176}, {"cambi:topk=1", 4, 294}, // of 333·217 and 21·14
		{"cambi:topk=0.0001", 4, 1},
	} {
		config := mustCambi(t, c.options, 333, 217, 8).Distorted()
		if got := config.Pooled(c.scale); got != c.want {
			t.Errorf("%s, scale %d: %d, want %d", c.options, c.scale, got, c.want)
		}
	}
}

func TestCambiPositions_Spec5_2(t *testing.T) {
	if got := CambiPositions(1920, 1920); got != nil {
		t.Errorf("equal sizes have positions: %v", got[:4])
	}
	if d := cmp.Diff([]uint32{1, 3, 5}, CambiPositions(6, 3)); d != "" {
		t.Errorf("6 → 3 (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]uint32{0, 0, 1, 1, 2, 2}, CambiPositions(3, 6)); d != "" {
		t.Errorf("3 → 6 (-want +got):\n%s", d)
	}
	// "the last position can reach in, one past the end": 4096 → 7680, 6255 → 6193, 6256 → 6191. Rounding that accumulates is what takes them there.
	for _, c := range [][2]int{{4096, 7680}, {6255, 6193}, {6256, 6191}} {
		p := CambiPositions(c[0], c[1])
		if last := p[len(p)-1]; last != uint32(c[0]-1) {
			t.Errorf("%d → %d: last position %d", c[0], c[1], last)
		}
		ratio := float32(c[0]) / float32(c[1])
		x := float32(float64(ratio/2) - 0.5)
		for range len(p) - 1 {
			x += ratio
		}
		if int(float64(x)+0.5) != c[0] {
			t.Errorf("%d → %d: the position does not pass the end (%g), so this checks nothing", c[0], c[1], x)
		}
	}
}

func TestCambi_Figures(t *testing.T) {
	c := mustCambi(t, "cambi:full_ref=true:src_width=640:src_height=360", 320, 240, 8)
	dis, src := c.Distorted(), c.source
	sums := func(config CambiConfig, means [5]float64) *CambiSums {
		var s CambiSums
		for i, m := range means {
			s[i] = uint64(m * float64(config.Pooled(i)) * (1 << 24))
		}
		return &s
	}
	got := c.Figures(nil, sums(dis, [5]float64{1, 2, 4, 8, 16}), sums(src, [5]float64{0, 0, 0, 0, 5}))
	want := []float64{80 / float64(dis.Window*dis.Window), 5 / float64(src.Window*src.Window)}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := mustCambi(t, "cambi", 320, 240, 8).Figures([]float64{7}, &CambiSums{}, nil); len(got) != 2 || got[0] != 7 || got[1] != 0 {
		t.Errorf("without full_ref: %v, want [7 0]", got)
	}
}
