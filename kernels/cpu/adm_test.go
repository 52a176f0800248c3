package cpu

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// eachADMTarget runs f under every target that runs here, "plain" first, and restores the one in force.
func eachADMTarget(t *testing.T, f func(t *testing.T, target string)) {
	before := Target()
	defer func() {
		if err := SetTarget(before); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range Targets() {
		if err := SetTarget(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// admExtraction is an adm extraction, its scorer and its configuration.
func admExtraction(tb testing.TB, text string) (vmaf.Extraction, *score.ADM, ADMConfig) {
	tb.Helper()
	e, err := vmaf.ParseExtraction(text)
	if err != nil {
		tb.Fatal(err)
	}
	a, err := score.ADMWeights(e)
	if err != nil {
		tb.Fatal(err)
	}
	return e, a, a.Config()
}

func admConfigs(tb testing.TB, texts ...string) []ADMConfig {
	tb.Helper()
	var configs []ADMConfig
	for _, text := range texts {
		_, _, c := admExtraction(tb, text)
		configs = append(configs, c)
	}
	return configs
}

const (
	admV13D0H = "adm:adm_csf_mode=2:adm_enhn_gain_limit=1:adm_noise_weight=0.02:adm_dlm_weight=0.7:adm_min_val=0.5"
	admV15D0H = admV13D0H + ":adm_norm_view_dist=5"
	admV12160 = admV13D0H + ":adm_ref_display_height=2160"
)

// measureADM makes one call; the result is by configuration and rendition.
func measureADM(tb testing.TB, bpc int, ref vmaf.Plane, dis []vmaf.Plane, configs []ADMConfig) [][]ADMSums {
	tb.Helper()
	s, err := NewADMScratch(ref.Width, ref.Height, bpc, len(dis), len(configs))
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	out := make([][]ADMSums, len(configs))
	for c := range out {
		out[c] = make([]ADMSums, len(dis))
	}
	if err := s.ADM(ref, dis, configs, out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// admPlane makes a plane of a function of column and row. Rows are pad bytes apart, begin offset bytes after the slice's
// allocation, and what lies between them is not zero.
func admPlane(width, height, bpc, pad, offset int, sample func(x, y int) int) vmaf.Plane {
	sampleBytes := 1
	if bpc > 8 {
		sampleBytes = 2
	}
	stride := width*sampleBytes + pad
	data := bytes.Repeat([]byte{0xa5}, offset+stride*height)[offset:]
	for y := range height {
		row := data[y*stride:]
		for x := range width {
			if v := sample(x, y); sampleBytes == 1 {
				row[x] = byte(v)
			} else {
				binary.LittleEndian.PutUint16(row[2*x:], uint16(v))
			}
		}
	}
	return vmaf.Plane{Data: data, StrideBytes: stride, Width: width, Height: height}
}

func specRef(x, y int) int { return 128 + (3*x+y)%64 - (x*y/5)%64 }
func specDis(x, y int) int { return 4*specRef(x, y)/5 + (x*x+3*y*y+x*y)%32 }

func TestADM_Spec17_Integers(t *testing.T) {
	want := []ADMSums{
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
	ref, dis := admPlane(151, 117, 8, 0, 0, specRef), admPlane(151, 117, 8, 0, 0, specDis)
	eachADMTarget(t, func(t *testing.T, _ string) {
		got := measureADM(t, 8, ref, []vmaf.Plane{dis}, admConfigs(t, "adm", admV13D0H))
		for c := range want {
			if d := cmp.Diff(want[c], got[c][0]); d != "" {
				t.Errorf("set %d (-want +got):\n%s", c, d)
			}
		}
	})
}

// readLuma reads the luma planes of a raw or YUV4MPEG2 file of 4:2:0 pictures.
func readLuma(t *testing.T, name string, width, height, bpc, frames int) []vmaf.Plane {
	t.Helper()
	file, err := os.Open(golden.Clip(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := bufio.NewReader(file)
	y4m := strings.HasSuffix(name, ".y4m")
	if y4m {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	sampleBytes := 1
	if bpc > 8 {
		sampleBytes = 2
	}
	luma := width * height * sampleBytes
	chroma := 2 * ((width + 1) / 2) * ((height + 1) / 2) * sampleBytes
	var planes []vmaf.Plane
	for range frames {
		if y4m {
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		data := make([]byte, luma+chroma)
		if _, err := io.ReadFull(r, data); err != nil {
			t.Fatal(err)
		}
		planes = append(planes, vmaf.Plane{Data: data[:luma], StrideBytes: width * sampleBytes, Width: width, Height: height})
	}
	return planes
}

// goldenDepth is the bit depth of a score file's pixel format, 0 if it is not a 4:2:0 one.
func goldenDepth(pixFmt string) int {
	return map[string]int{"yuv420p": 8, "yuv420p10le": 10, "yuv420p12le": 12, "yuv420p16le": 16}[pixFmt]
}

func isRaw(name string) bool {
	return strings.HasSuffix(name, ".yuv") || strings.HasSuffix(name, ".y4m")
}

// Every adm column of every pair that needs no decoder, to the last bit.
func TestADMGolden(t *testing.T) {
	sets := []string{"adm:debug=true", "adm:adm_enhn_gain_limit=1", admV13D0H, admV15D0H, admV12160,
		admV13D0H + ":adm_ref_display_height=2160:adm_norm_view_dist=1.5"}
	var extractions []vmaf.Extraction
	var scorers []*score.ADM
	var configs []ADMConfig
	for _, text := range sets {
		e, a, c := admExtraction(t, text)
		extractions, scorers, configs = append(extractions, e), append(scorers, a), append(configs, c)
	}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !isRaw(table.Reference) || !isRaw(table.Distorted) {
			continue
		}
		bpc := goldenDepth(table.PixFmt)
		if bpc == 0 {
			t.Errorf("%s: pixel format %s", pair, table.PixFmt)
			continue
		}
		ref := readLuma(t, table.Reference, table.Width, table.Height, bpc, table.Frames)
		dis := readLuma(t, table.Distorted, table.Width, table.Height, bpc, table.Frames)
		columns := 0
		for _, c := range table.Columns {
			if strings.HasPrefix(c.Name, "integer_adm") || strings.HasPrefix(c.Name, "integer_aim") {
				columns++
			}
		}
		t.Run(pair, func(t *testing.T) {
			eachADMTarget(t, func(t *testing.T, target string) {
				frames := table.Frames
				if target == "plain" && testing.Short() {
					frames = min(frames, 2)
				}
				for n := range frames {
					sums := measureADM(t, bpc, ref[n], dis[n:n+1], configs)
					seen := map[string]bool{}
					for c, e := range extractions {
						figures := scorers[c].Figures(nil, &sums[c][0], table.Width, table.Height)
						for i, name := range e.Series() {
							name = vmaf.Alias(name)
							column, ok := table.Column(name)
							if !ok { // some pairs were measured with fewer sets; that none is missed is checked below
								continue
							}
							seen[name] = true
							if figures[i] != column.Values[n] {
								t.Errorf("frame %d: %s is %.17g, want %.17g", n, name, figures[i], column.Values[n])
							}
						}
					}
					if len(seen) != columns {
						t.Fatalf("%d columns compared, the file has %d of adm", len(seen), columns)
					}
				}
			})
		})
	}
}

// admContents are pictures that reach what ordinary ones do not: each gives a reference and a distorted picture.
var admContents = map[string]func(rng *rand.Rand, top int) (ref, dis func(x, y int) int){
	"noise": func(rng *rand.Rand, top int) (ref, dis func(x, y int) int) {
		f := func(int, int) int { return rng.IntN(top + 1) }
		return f, f
	},
	"noise of two values": func(rng *rand.Rand, top int) (ref, dis func(x, y int) int) {
		f := func(int, int) int { return rng.IntN(2) * top }
		return f, f
	},
	"black": func(*rand.Rand, int) (ref, dis func(x, y int) int) {
		f := func(int, int) int { return 0 }
		return f, f
	},
	"white on black": func(_ *rand.Rand, top int) (ref, dis func(x, y int) int) {
		return func(int, int) int { return 0 }, func(int, int) int { return top }
	},
	"checkerboards": func(_ *rand.Rand, top int) (ref, dis func(x, y int) int) {
		return func(x, y int) int { return (x + y) % 2 * top }, func(x, y int) int { return (x/2 + y/2) % 2 * top }
	},
	"lines against lines one sample off": func(_ *rand.Rand, top int) (ref, dis func(x, y int) int) {
		return func(x, y int) int { return x % 3 / 2 * top }, func(x, y int) int { return (x + 1) % 3 / 2 * top }
	},
	"the wavelet's worst case": func(_ *rand.Rand, top int) (ref, dis func(x, y int) int) {
		// The signs of the taps of both filters, repeated.
		sign := func(n int) bool { return n%4 == 3 }
		f := func(x, y int) int {
			if sign(x) != sign(y) {
				return 0
			}
			return top
		}
		return f, func(x, y int) int { return top - f(x, y) }
	},
	"contours at nearly equal angles": func(rng *rand.Rand, top int) (ref, dis func(x, y int) int) {
		a, b := 0.2+rng.Float64(), 0.2+rng.Float64()
		wave := func(x, y int, tilt, gain float64) int {
			v := 0.5 + gain*math.Sin(a*float64(x)+(b+tilt)*float64(y))/2
			return min(max(int(v*float64(top)), 0), top)
		}
		return func(x, y int) int { return wave(x, y, 0, 1) }, func(x, y int) int { return wave(x, y, 0.02, 0.8) }
	},
	"smooth with a little noise": func(rng *rand.Rand, top int) (ref, dis func(x, y int) int) {
		f := func(x, y int) int {
			return top/2 + int(float64(top)/3*math.Sin(float64(x)/9)*math.Cos(float64(y)/7))
		}
		noise := top/64 + 1
		return f, func(x, y int) int { return min(max(f(x, y)+rng.IntN(2*noise+1)-noise, 0), top) }
	},
	"natural": func(rng *rand.Rand, top int) (ref, dis func(x, y int) int) {
		f := func(x, y int) int {
			v := 0.5
			for o := 1; o < 6; o++ {
				v += math.Sin(float64(x)*0.03*float64(o*o)+float64(o)) * math.Sin(float64(y)*0.05*float64(o*o)) / float64(2*o*o)
			}
			if (x/23+y/17)%5 == 0 {
				v += 0.2
			}
			return min(max(int(v*float64(top)), 0), top)
		}
		return f, func(x, y int) int {
			v := (f(x&^3, y) + 3*f(x, y)) / 4
			return min(max(v+(rng.IntN(5)-2)*top/255, 0), top)
		}
	},
}

// admSets reach every form of gain and weight: no enhancement, whole, fractional; the CSF modes; weights that only
// the plain function takes.
var admSets = []string{
	"adm", "adm:adm_enhn_gain_limit=1", admV13D0H, "adm:adm_enhn_gain_limit=1.2:adm_skip_aim=true", "adm:adm_enhn_gain_limit=2",
	"adm:adm_csf_mode=3:adm_norm_view_dist=5:adm_ref_display_height=720",
	"adm:adm_csf_mode=1:adm_csf_scale=0.00001:adm_csf_diag_scale=0.00001",
	"adm:adm_csf_mode=1:adm_csf_scale=0.00045:adm_csf_diag_scale=0.00045:adm_enhn_gain_limit=37.5",
}

// compareADM holds every other target against the plain function.
func compareADM(t *testing.T, bpc int, ref vmaf.Plane, dis []vmaf.Plane, configs []ADMConfig) {
	t.Helper()
	var want [][]ADMSums
	eachADMTarget(t, func(t *testing.T, target string) {
		got := measureADM(t, bpc, ref, dis, configs)
		if target == "plain" {
			want = got
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("differs from plain (-want +got):\n%s", d)
		}
	})
}

func TestADM_TargetsAgree(t *testing.T) {
	const seed = 1
	configs := admConfigs(t, admSets...)
	sizes := [][2]int{{33, 33}, {34, 35}, {47, 33}, {64, 64}, {65, 67}, {97, 50}, {128, 40}, {129, 131}, {150, 300}, {300, 161}, {257, 77}}
	for name, content := range admContents {
		t.Run(name, func(t *testing.T) {
			for i, size := range sizes {
				for bpc := 8; bpc <= 16; bpc++ {
					if (i+bpc)%3 != 0 && testing.Short() {
						continue
					}
					rng := rand.New(rand.NewPCG(seed, uint64(i*100+bpc)))
					f, g := content(rng, 1<<bpc-1)
					pad, offset := 2*rng.IntN(40), 2*rng.IntN(32)
					ref := admPlane(size[0], size[1], bpc, pad, offset, f)
					dis := admPlane(size[0], size[1], bpc, 2*i, 64-offset, g)
					t.Run(fmt.Sprintf("%dx%d %d bit", size[0], size[1], bpc), func(t *testing.T) {
						compareADM(t, bpc, ref, []vmaf.Plane{dis}, configs)
					})
				}
			}
		})
	}
}

// Every width and height from the smallest on, so that each border falls on each lane.
func TestADM_TargetsAgreeAtEverySize(t *testing.T) {
	const seed = 2
	configs := admConfigs(t, "adm", admV13D0H)
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 33; n <= 300; n += step {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		width, height, bpc := n, 33+rng.IntN(60), 8+n%9
		if n%2 == 0 {
			width, height = height, width
		}
		f, g := admContents["natural"](rng, 1<<bpc-1)
		ref := admPlane(width, height, bpc, 2*rng.IntN(8), 0, f)
		dis := admPlane(width, height, bpc, 0, 2*rng.IntN(8), g)
		t.Run(fmt.Sprintf("%dx%d %d bit", width, height, bpc), func(t *testing.T) {
			compareADM(t, bpc, ref, []vmaf.Plane{dis}, configs)
		})
	}
}

// One call with several renditions and option sets gives what calls for each give.
func TestADM_OneCallEqualsMany(t *testing.T) {
	const seed = 3
	configs := admConfigs(t, admSets...)
	rng := rand.New(rand.NewPCG(seed, 0))
	f, _ := admContents["natural"](rng, 1023)
	ref := admPlane(193, 141, 10, 0, 0, f)
	var dis []vmaf.Plane
	for _, name := range []string{"natural", "noise", "smooth with a little noise", "black"} {
		_, g := admContents[name](rng, 1023)
		dis = append(dis, admPlane(193, 141, 10, 6, 2, g))
	}
	dis = append(dis, ref)
	eachADMTarget(t, func(t *testing.T, _ string) {
		all := measureADM(t, 10, ref, dis, configs)
		s, err := NewADMScratch(193, 141, 10, len(dis), len(configs))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for c := range configs {
			for k := range dis {
				out := [][]ADMSums{make([]ADMSums, 1)}
				if err := s.ADM(ref, dis[k:k+1], configs[c:c+1], out); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(all[c][k], out[0][0]); d != "" {
					t.Errorf("set %d, rendition %d (-together +alone):\n%s", c, k, d)
				}
			}
		}
	})
}

// "Models that use only adm2 do not need AIM": leaving it out changes nothing else.
func TestADM_WithoutAIM(t *testing.T) {
	ref, dis := admPlane(151, 117, 8, 0, 0, specRef), admPlane(151, 117, 8, 0, 0, specDis)
	configs := admConfigs(t, "adm", "adm:adm_skip_aim=true")
	eachADMTarget(t, func(t *testing.T, _ string) {
		got := measureADM(t, 8, ref, []vmaf.Plane{dis}, configs)
		want := got[0][0]
		want.AIM = [4][3]int64{}
		if d := cmp.Diff(want, got[1][0]); d != "" {
			t.Errorf("(-with +without):\n%s", d)
		}
	})
}

// spec/adm.md §4: "an n-bit picture and the same picture left-shifted to more bits give identical bands".
func TestADM_Spec4_DepthOnlyScales(t *testing.T) {
	configs := admConfigs(t, "adm", admV13D0H)
	want := measureADM(t, 8, admPlane(151, 117, 8, 0, 0, specRef), []vmaf.Plane{admPlane(151, 117, 8, 0, 0, specDis)}, configs)
	for bpc := 9; bpc <= 16; bpc++ {
		ref := admPlane(151, 117, bpc, 0, 0, func(x, y int) int { return specRef(x, y) << (bpc - 8) })
		dis := admPlane(151, 117, bpc, 0, 0, func(x, y int) int { return specDis(x, y) << (bpc - 8) })
		eachADMTarget(t, func(t *testing.T, _ string) {
			if d := cmp.Diff(want, measureADM(t, bpc, ref, []vmaf.Plane{dis}, configs)); d != "" {
				t.Errorf("%d bit (-want +got):\n%s", bpc, d)
			}
		})
	}
}

// spec/adm.md §15.4: at 1920×1080 "only pixel columns 145..1774 and rows 65..1022 influence any score".
func TestADM_Spec15_4_BordersDoNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	f, g := admContents["natural"](rng, 255)
	inside := func(h func(x, y int) int) func(x, y int) int {
		return func(x, y int) int {
			if x < 145 || x > 1774 || y < 65 || y > 1022 {
				return rng.IntN(256)
			}
			return h(x, y)
		}
	}
	configs := admConfigs(t, "adm")
	dis := admPlane(1920, 1080, 8, 0, 0, g)
	want := measureADM(t, 8, admPlane(1920, 1080, 8, 0, 0, f), []vmaf.Plane{dis}, configs)
	at := func(x, y int) int { return int(dis.Data[y*dis.StrideBytes+x]) }
	got := measureADM(t, 8, admPlane(1920, 1080, 8, 0, 0, inside(f)), []vmaf.Plane{admPlane(1920, 1080, 8, 0, 0, inside(at))}, configs)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestADMScratch_Refuses(t *testing.T) {
	for name, c := range map[string]struct{ width, height, bpc, renditions, configs int }{
		"a picture too narrow": {32, 33, 8, 1, 1},
		"a picture too low":    {33, 32, 8, 1, 1},
		"a picture too wide":   {32769, 33, 8, 1, 1},
		"seven bits":           {33, 33, 7, 1, 1},
		"seventeen bits":       {33, 33, 17, 1, 1},
		"no rendition":         {33, 33, 8, 0, 1},
		"no option set":        {33, 33, 8, 1, 0},
	} {
		if _, err := NewADMScratch(c.width, c.height, c.bpc, c.renditions, c.configs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := NewADMScratch(40, 40, 10, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	good := admPlane(40, 40, 10, 0, 0, specRef)
	configs := admConfigs(t, "adm")
	out := [][]ADMSums{make([]ADMSums, 1)}
	if err := s.ADM(good, []vmaf.Plane{good}, configs, out); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(ref *vmaf.Plane, dis *[]vmaf.Plane, configs *[]ADMConfig, out *[][]ADMSums){
		"a reference of another size": func(ref *vmaf.Plane, _ *[]vmaf.Plane, _ *[]ADMConfig, _ *[][]ADMSums) { ref.Width = 39 },
		"a plane that ends too early": func(_ *vmaf.Plane, dis *[]vmaf.Plane, _ *[]ADMConfig, _ *[][]ADMSums) {
			(*dis)[0].Data = (*dis)[0].Data[:40*80-1]
		},
		"a plane at an odd address": func(_ *vmaf.Plane, dis *[]vmaf.Plane, _ *[]ADMConfig, _ *[][]ADMSums) {
			(*dis)[0] = admPlane(40, 40, 10, 2, 1, specRef)
		},
		"no distorted plane":     func(_ *vmaf.Plane, dis *[]vmaf.Plane, _ *[]ADMConfig, _ *[][]ADMSums) { *dis = nil },
		"too many planes":        func(ref *vmaf.Plane, dis *[]vmaf.Plane, _ *[]ADMConfig, _ *[][]ADMSums) { *dis = append(*dis, *ref) },
		"no option set":          func(_ *vmaf.Plane, _ *[]vmaf.Plane, c *[]ADMConfig, _ *[][]ADMSums) { *c = nil },
		"too many option sets":   func(_ *vmaf.Plane, _ *[]vmaf.Plane, c *[]ADMConfig, _ *[][]ADMSums) { *c = append(*c, (*c)[0]) },
		"no room":                func(_ *vmaf.Plane, _ *[]vmaf.Plane, _ *[]ADMConfig, out *[][]ADMSums) { *out = [][]ADMSums{nil} },
		"a gain below 1":         func(_ *vmaf.Plane, _ *[]vmaf.Plane, c *[]ADMConfig, _ *[][]ADMSums) { (*c)[0].Gain = 0.5 },
		"a gain that is NaN":     func(_ *vmaf.Plane, _ *[]vmaf.Plane, c *[]ADMConfig, _ *[][]ADMSums) { (*c)[0].Gain = math.NaN() },
		"a weight above 16 bits": func(_ *vmaf.Plane, _ *[]vmaf.Plane, c *[]ADMConfig, _ *[][]ADMSums) { (*c)[0].Weights[0][1] = 1 << 16 },
	} {
		ref, dis, c, out := good, []vmaf.Plane{good}, admConfigs(t, "adm"), [][]ADMSums{make([]ADMSums, 1)}
		change(&ref, &dis, &c, &out)
		if err := s.ADM(ref, dis, c, out); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.ADM(good, []vmaf.Plane{good}, configs, out); err == nil {
		t.Error("closed scratch: no error")
	}
}

// spec/adm.md §6.2: "L[n] = trunc(2^30 / n) for n = 1..32768", for every n.
func TestADM_Spec6_2_Reciprocals(t *testing.T) {
	m, got := make([]int32, 32768), make([]int32, 32768)
	for i := range m {
		m[i] = int32(i + 1)
	}
	eachADMTarget(t, func(t *testing.T, _ string) {
		admReciprocals(m, got)
		for i, n := range m {
			if want := (1 << 30) / n; got[i] != want {
				t.Fatalf("reciprocal of %d is %d, want %d", n, got[i], want)
			}
		}
	})
}

// What the vector code takes for granted at scale 0: below |o| = 2^14, |r| before enhancement is min(|t|, |o|), with
// L, k and r as spec/adm.md §6.2 and §6.3 have them.
func TestADM_Spec6_SmallDetailIsRestoredWhole(t *testing.T) {
	for o := int64(1); o < 1<<14; o++ {
		reciprocal := (1 << 30) / o
		for u := int64(0); u <= o; u++ {
			k := min((reciprocal*u+16384)>>15, 32768)
			if up, down := (k*o+16384)>>15, -((-k*o + 16384) >> 15); up != u || down != u {
				t.Fatalf("o = ±%d, t = ±%d: r is %d and −%d", o, u, up, down)
			}
		}
		if k := (reciprocal*(o+1) + 16384) >> 15; k < 32768 { // and it rises with t
			t.Fatalf("o = %d, t = %d: k is %d, want 1", o, o+1, k)
		}
	}
}

// Gains and strong signals where 32 bits wrap, whose thresholds spec/adm.md §12 leaves to wrapping arithmetic.
func TestADM_Spec12_StrongSignals(t *testing.T) {
	const seed = 5
	configs := admConfigs(t, admSets...)
	for bpc := 8; bpc <= 16; bpc += 4 {
		top := 1<<bpc - 1
		for n := range 8 {
			rng := rand.New(rand.NewPCG(seed, uint64(100*bpc+n)))
			block := 1 + n/2
			random := make(map[[2]int]int)
			two := func(x, y int) int {
				at := [2]int{x / block, y / block}
				if _, ok := random[at]; !ok {
					random[at] = rng.IntN(2) * top
				}
				return random[at]
			}
			ref := admPlane(97, 81, bpc, 0, 0, two)
			clear(random)
			dis := admPlane(97, 81, bpc, 0, 0, two)
			inverse := admPlane(97, 81, bpc, 0, 0, func(x, y int) int { return top - two(x, y) })
			faint := admPlane(97, 81, bpc, 0, 0, func(x, y int) int { return two(x, y) / 60 })
			t.Run(fmt.Sprintf("%d bit, blocks of %d, %d", bpc, block, n), func(t *testing.T) {
				compareADM(t, bpc, ref, []vmaf.Plane{dis, inverse, faint}, configs)
				compareADM(t, bpc, faint, []vmaf.Plane{ref, dis}, configs)
			})
		}
	}
}

// restoredBySpec is r = (k·o + 16384) >> 15 of spec/adm.md §6.2 and §6.3.
func restoredBySpec(o, t int64) int64 {
	m, sign := o, int64(1)
	if o < 0 {
		m, sign = -o, -1
	}
	if o == 0 {
		return 0
	}
	q := 0
	if m >= 32768 {
		q = bits.Len64(uint64(m)) - 15
		m = (m + 1<<(q-1)) >> q
	}
	k := ((1<<30)/m*t*sign + 1<<(14+q)) >> (15 + q)
	return (min(max(k, 0), 32768)*o + 16384) >> 15
}

func TestADM_Spec6_Restored(t *testing.T) {
	const seed, n = 6, 1 << 16
	const largest0, largest = 22930, 2103200000 // spec/adm.md §12
	o, u, r := make([]int32, n), make([]int32, n), make([]int32, n)
	for round := range 40 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		scale := round % 2
		for i := range o {
			size, top := 1+rng.IntN(31), int64(largest)
			if scale == 0 {
				size, top = 1+rng.IntN(15), largest0
			}
			a := min(rng.Int64N(1<<size), top)
			b := min(rng.Int64N(1<<size), top)
			switch rng.IntN(4) {
			case 0: // near one another
				b = min(max(a+rng.Int64N(9)-4, 0), top)
			case 1: // near the ends
				a = max(top-rng.Int64N(top/3), 0)
				b = rng.Int64N(top + 1)
			case 2: // near a power of two
				a = min(max(1<<(size-1)+rng.Int64N(5)-2, 0), top)
			}
			o[i], u[i] = int32(a), int32(b)
			if rng.IntN(2) == 0 {
				o[i] = -o[i]
			}
			if (o[i] < 0) != (rng.IntN(8) == 0) {
				u[i] = -u[i]
			}
		}
		eachADMTarget(t, func(t *testing.T, _ string) {
			admRestored(scale, o, u, r)
			for i := range o {
				if want := restoredBySpec(int64(o[i]), int64(u[i])); int64(r[i]) != want {
					t.Fatalf("scale %d, o = %d, t = %d: r is %d, want %d", scale, o[i], u[i], r[i], want)
				}
			}
		})
	}
}

// BenchmarkADM times one call: ns per reference picture with all its renditions.
func BenchmarkADM(b *testing.B) {
	before := Target()
	defer func() {
		if err := SetTarget(before); err != nil {
			b.Error(err)
		}
	}()
	const tile = 256
	f, g := admContents["natural"](rand.New(rand.NewPCG(7, 7)), 1023)
	var samples [2][tile][tile]int
	for y := range tile {
		for x := range tile {
			samples[0][y][x], samples[1][y][x] = f(x, y), g(x, y)
		}
	}
	for _, target := range Targets() {
		for _, size := range [][2]int{{1920, 1080}, {3840, 2160}} {
			for _, bpc := range []int{8, 10} {
				plane := func(side int) vmaf.Plane {
					return admPlane(size[0], size[1], bpc, 0, 0, func(x, y int) int {
						return samples[side][y%tile][x%tile] >> (10 - bpc)
					})
				}
				ref, dis := plane(0), plane(1)
				for _, set := range []string{"adm:adm_skip_aim=true", "adm"} {
					for _, renditions := range []int{1, 4} {
						name := fmt.Sprintf("%s/%dx%d/%dbit/%s/%d", target, size[0], size[1], bpc, map[bool]string{true: "aim", false: "adm2"}[set == "adm"], renditions)
						b.Run(name, func(b *testing.B) {
							if err := SetTarget(target); err != nil {
								b.Fatal(err)
							}
							s, err := NewADMScratch(size[0], size[1], bpc, renditions, 1)
							if err != nil {
								b.Fatal(err)
							}
							defer s.Close()
							all := []vmaf.Plane{dis, dis, dis, dis}[:renditions]
							configs, out := admConfigs(b, set), [][]ADMSums{make([]ADMSums, renditions)}
							b.SetBytes(int64(len(ref.Data) * (1 + renditions)))
							b.ResetTimer()
							for range b.N {
								if err := s.ADM(ref, all, configs, out); err != nil {
									b.Fatal(err)
								}
							}
						})
					}
				}
			}
		}
	}
}
