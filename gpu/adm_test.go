//go:build cuda

package gpu

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// admConfig is the configuration of an adm extraction.
func admConfig(t testing.TB, text string) score.ADMConfig {
	t.Helper()
	e, err := vmaf.ParseExtraction(text)
	if err != nil {
		t.Fatal(err)
	}
	a, err := score.ADMWeights(e)
	if err != nil {
		t.Fatal(err)
	}
	return a.Config()
}

func admConfigs(t testing.TB, texts ...string) []score.ADMConfig {
	t.Helper()
	var configs []score.ADMConfig
	for _, text := range texts {
		configs = append(configs, admConfig(t, text))
	}
	return configs
}

const (
	admPlain  = "adm:adm_skip_aim=true"
	admNEG    = "adm:adm_skip_aim=true:adm_enhn_gain_limit=1"
	admV13D0H = "adm:adm_csf_mode=2:adm_enhn_gain_limit=1:adm_noise_weight=0.02:adm_dlm_weight=0.7:adm_min_val=0.5"
	admV15D0H = admV13D0H + ":adm_norm_view_dist=5"
	admV12160 = admV13D0H + ":adm_norm_view_dist=3:adm_ref_display_height=2160"
)

// The largest weights that there can be: signals wrap around, and so do what they mask.
func admLargestWeights(gain float64) score.ADMConfig {
	c := score.ADMConfig{Gain: gain, AIM: true}
	for scale := range c.Weights {
		c.Weights[scale] = [2]uint32{1<<31 - 1, 1<<31 - 1}
	}
	c.Weights[0] = [2]uint32{1<<16 - 1, 1<<16 - 1}
	return c
}

func plane(f vmaf.Format, sample func(x, y int) int) *vmaf.Plane {
	p := &vmaf.Plane{
		Data: make([]byte, f.Width*f.Height*f.BytesPerSample()), StrideBytes: f.Width * f.BytesPerSample(), Width: f.Width, Height: f.Height,
	}
	for y := range f.Height {
		for x := range f.Width {
			setSample(p, f.BytesPerSample(), x, y, sample(x, y))
		}
	}
	return p
}

func TestADM_Spec17_Integers(t *testing.T) {
	want := []score.ADMSums{
		{
			Den: [4][3]uint64{{10782186280202, 11100227442692, 7351250327746}, {55879140970937, 219293713244756, 71788791814839},
				{1447922619246, 44033648923484, 1353742486537}, {270151809824, 36078924412983, 988243984217}},
			Num: [4][3]int64{{780785288881215, 819161663417576, 185879688351002}, {3219297957366, 13490198105547, 273299974265},
				{189071815177, 7228323462964, 29969066292}, {118047661268, 14238694446337, 119111399242}},
			AIM: [4][3]int64{{11905755217339, 13312249106801, 1005900058863}, {95130514682, 4842244719, 10132003}, {22869966, 0, 0}},
		},
		{
			Num: [4][3]int64{{241203113093069, 252904635951842, 71648543786633}, {1516979453649, 6409053683043, 153622637393},
				{182253623878, 7010638254958, 27983741277}, {248981326625, 30052334249486, 177340759118}},
			AIM: [4][3]int64{{3790394690110, 4154549646725, 449115780639}, {44784217594, 2256566756, 6994367}, {23802730, 0, 0}},
		},
	}
	want[1].Den = want[0].Den
	d := openDevice(t, 0, Config{})
	f := format(151, 117, 8)
	reference := func(x, y int) int { return 128 + (3*x+y)%64 - (x*y/5)%64 }
	s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 1, ADM: admConfigs(t, "adm", admV13D0H)})
	var got Sums
	err := s.Measure(context.Background(), []Frame{{
		Reference: plane(f, reference),
		Distorted: []*vmaf.Plane{plane(f, func(x, y int) int { return 4*reference(x, y)/5 + (x*x+3*y*y+x*y)%32 })},
	}}, &got)
	if err != nil {
		t.Fatal(err)
	}
	for c := range want {
		if d := cmp.Diff(want[c], got.ADM[c][0]); d != "" {
			t.Errorf("set %d (-want +got):\n%s", c, d)
		}
	}
}

func TestADM_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, tt := range []struct {
		name          string
		width, height int
		bpc           int
		configs       []score.ADMConfig
	}{
		{"smallest picture, which has bands without margins", 33, 33, 8, admConfigs(t, admPlain)},
		{"wide and low", 301, 34, 10, admConfigs(t, admNEG)},
		{"narrow and high", 35, 290, 9, admConfigs(t, admPlain, admNEG)},
		{"tiles that just fit", 150, 75, 12, admConfigs(t, admPlain, admNEG)},
		{"a column and a row more than tiles", 151, 76, 14, admConfigs(t, "adm", admV13D0H)},
		{"all models' sets", 131, 75, 16, admConfigs(t, admPlain, admNEG, admV13D0H, admV15D0H, admV12160)},
		{"gain that is no whole number", 97, 66, 11, admConfigs(t, "adm:adm_enhn_gain_limit=1.5", "adm:adm_enhn_gain_limit=99.9")},
		{"gain that is a whole number", 97, 66, 13, admConfigs(t, "adm:adm_enhn_gain_limit=2", "adm:adm_enhn_gain_limit=33")},
		{"largest weights", 64, 64, 15, []score.ADMConfig{admLargestWeights(1), admLargestWeights(100)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := format(tt.width, tt.height, tt.bpc)
			rng := newRand(uint64(tt.width))
			s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 3, ADM: tt.configs})
			frames := randomFrames(rng, f, 2, 3)
			frames[0].Distorted = []*vmaf.Plane{randomPlane(rng, f), nil, randomPlane(rng, f)}
			measure(t, s, frames, frames)
			measure(t, s, onDevice(t, d, rng, f, frames, tt.bpc > 8), frames)
		})
	}
}

// Strong detail, by the plain reference: beyond 2^14 at scale 0 the gain has to be exact, and r may exceed t, which at the other scales
// makes the angle matter even without enhancement.
func TestADM_StrongDetail(t *testing.T) {
	before := cpu.Target()
	if err := cpu.SetTarget("plain"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cpu.SetTarget(before); err != nil {
			t.Error(err)
		}
	}()
	d := openDevice(t, 0, Config{})
	rng := newRand(7)
	for _, bpc := range []int{8, 16} {
		f := format(90, 70, bpc)
		top := 1<<bpc - 1
		// Blocks of every size, full of contrast; the distorted ones like them but for a little, or a degree further.
		blocks := func(x, y int) int { return (x>>(x/30%3) + y>>(y/24%3)) % 2 * top }
		frames := []Frame{{
			Reference: plane(f, blocks),
			Distorted: []*vmaf.Plane{
				plane(f, blocks),
				plane(f, func(x, y int) int { return min(max(blocks(x, y)+rng.IntN(top/40)-top/80, 0), top) }),
				plane(f, func(x, y int) int { return (blocks(x, y)*60 + blocks(x, y+1)) / 61 }),
				plane(f, func(x, y int) int { return top - blocks(x, y) }),
			},
		}}
		s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 4, ADM: admConfigs(t, "adm", admV13D0H)})
		measure(t, s, frames, frames)
	}
}

// How the pairs of a frame are dealt to blocks makes no difference: all of them to one, or to several.
func TestADM_AnyGroupsGiveTheSame(t *testing.T) {
	f := format(70, 60, 8)
	frames := randomFrames(newRand(11), f, 3, 5)
	for _, multiprocessors := range []int{0, 1, 3, 1000} {
		d := openDevice(t, 0, Config{})
		d.info.Multiprocessors = multiprocessors
		s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 5, ADM: admConfigs(t, admPlain, admV13D0H)})
		measure(t, s, frames, frames)
	}
}

func TestADMGroups(t *testing.T) {
	for _, tt := range []struct {
		name                                                 string
		tiles, resident, frames, renditions, multiprocessors int
		want                                                 int
	}{
		{"more than enough tiles", 500, 4, 8, 6, 132, 1},
		{"just enough", 132, 4, 8, 6, 132, 1},
		{"a block short", 131, 4, 8, 6, 132, 2},
		{"a third of it", 88, 2, 2, 6, 132, 3},
		{"no more than renditions", 4, 2, 1, 5, 132, 5},
		{"frames without renditions", 4, 2, 1, 0, 132, 1},
		{"driver that does not tell", 4, 2, 1, 5, 0, 1},
	} {
		if got := admGroups(tt.tiles, tt.resident, tt.frames, tt.renditions, tt.multiprocessors); got != tt.want {
			t.Errorf("%s: %d groups, want %d", tt.name, got, tt.want)
		}
	}
}

// What scales are said to need is what they read, found by following each sample: as far as it goes, and not more.
func TestADMAxis_Spec15_4_NeedsWhatItReads(t *testing.T) {
	mirror := func(x, n int) int { // spec/adm.md §4
		if x < 0 {
			return -x
		}
		if x >= n {
			return 2*n - 1 - x
		}
		return x
	}
	for n := minADMSize; n <= 700; n++ {
		levels := admAxis(n)
		needed := map[int]bool{} // of the signal that the scale before gives
		for s := admScales - 1; s >= 0; s-- {
			l := levels[s]
			// spec/adm.md §5, with its floating-point numbers.
			if margin := int(math.Trunc(float64(l.out)*0.1 - 0.5)); l.active != (admRange{margin, l.out - margin}) {
				t.Fatalf("%d samples, scale %d: active %v of %d, want a margin of %d", n, s, l.active, l.out, margin)
			}
			outputs := needed
			for i := range needed {
				if i < l.approx.first || i >= l.approx.end {
					t.Fatalf("%d samples, scale %d: approximation %d is needed, not stored: %v", n, s, i, l.approx)
				}
			}
			if l.approx.length() != len(needed) {
				t.Fatalf("%d samples, scale %d: approximation %v is stored, %d of it needed", n, s, l.approx, len(needed))
			}
			for i := l.active.first; i < l.active.end; i++ {
				for k := -1; k <= 1; k++ {
					outputs[mirror(i+k, l.out)] = true
				}
			}
			for i := range outputs {
				if i < l.computed.first-1 || i > l.computed.end {
					t.Fatalf("%d samples, scale %d: %d is needed and beyond the tiles' neighbours: %v", n, s, i, l.computed)
				}
			}
			needed = map[int]bool{}
			for i := range outputs {
				for k := range 4 {
					needed[mirror(2*i-1+k, l.in)] = true
				}
			}
			if l.needed.length() != len(needed) || !needed[l.needed.first] || !needed[l.needed.end-1] {
				t.Fatalf("%d samples, scale %d: needs %v, but reads %d samples", n, s, l.needed, len(needed))
			}
			if l.tiles()*admTile < l.computed.length() {
				t.Fatalf("%d samples, scale %d: %d tiles do not cover %v", n, s, l.tiles(), l.computed)
			}
		}
	}
}

func TestADM_Refuses(t *testing.T) {
	d := openDevice(t, 0, Config{})
	large := admConfig(t, admPlain)
	large.Weights[0][1], large.Weights[2][0] = 1<<16, 1<<31
	for _, tt := range []struct {
		name string
		plan Plan
		want []string
	}{
		{"too small", Plan{Format: format(40, 32, 8), ADM: admConfigs(t, admPlain)}, []string{
			"pictures of 40x32; ADM takes 33x33 to 32768x32768",
		}},
		{"too wide", Plan{Format: format(32769, 33, 8), ADM: admConfigs(t, admPlain)}, []string{"pictures of 32769x33"}},
		{"weights", Plan{Format: format(40, 40, 8), ADM: []score.ADMConfig{admConfig(t, admPlain), large}}, []string{
			"option set 1: weights [36453 65536] of scale 0 are not below 65536",
			"option set 1: weights [2147483648 104783920] of scale 2 are not below 2147483648",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.plan.Frames, tt.plan.Renditions = 1, 1
			_, err := d.NewSession(tt.plan)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q in it", err, want)
				}
			}
		})
	}
}

// More than 2^20 active positions, where the sums of rows of scale 0's denominator are shifted (spec/adm.md §8).
func TestADM_LargeArea(t *testing.T) {
	if testing.Short() {
		t.Skip("a large picture takes seconds on the emulator")
	}
	d := openDevice(t, 0, Config{})
	f := format(2600, 2600, 8)
	rng := newRand(13)
	frames := []Frame{{Reference: randomPlane(rng, f), Distorted: []*vmaf.Plane{randomPlane(rng, f)}}}
	measure(t, newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 1, ADM: admConfigs(t, "adm")}), frames, frames)
}
