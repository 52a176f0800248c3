package cpu

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func measureSSIM(t testing.TB, ref vmaf.Plane, dis []vmaf.Plane, bpc int, scales []int, multiscale bool) ([][]score.SSIMSums, []score.MSSSIMSums) {
	t.Helper()
	s, err := NewSSIMScratch(ref.Width, ref.Height, bpc, len(dis), scales, multiscale)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := make([][]score.SSIMSums, len(scales))
	for i := range out {
		out[i] = make([]score.SSIMSums, len(dis))
	}
	var ms []score.MSSSIMSums
	if multiscale {
		ms = make([]score.MSSSIMSums, len(dis))
	}
	if err := s.SSIM(ref, dis, out, ms); err != nil {
		t.Fatal(err)
	}
	return out, ms
}

// ssimMeans is spec/classic-metrics.md §3 once more, for the plain function to be held against: an f64 sum in raster order, and
// whole images one after the other.
func ssimMeans(ref, dis [][]float32) [4]float32 {
	taps := [11]float32{0.001028, 0.007599, 0.036001, 0.109361, 0.213006, 0.266012, 0.213006, 0.109361, 0.036001, 0.007599, 0.001028}
	filter := func(a, b [][]float32) [][]float32 {
		across := make([][]float32, len(a))
		for y := range a {
			across[y] = make([]float32, len(a[y])-10)
			for x := range across[y] {
				sum := 0.0
				for i, tap := range taps {
					v := a[y][x+i]
					if b != nil {
						v = float32(v * b[y][x+i])
					}
					sum += float64(float32(v * tap))
				}
				across[y][x] = float32(sum)
			}
		}
		down := make([][]float32, len(a)-10)
		for y := range down {
			down[y] = make([]float32, len(across[y]))
			for x := range down[y] {
				sum := 0.0
				for i, tap := range taps {
					sum += float64(float32(across[y+i][x] * tap))
				}
				down[y][x] = float32(sum)
			}
		}
		return down
	}
	mr, md, rr, dd, rd := filter(ref, nil), filter(dis, nil), filter(ref, ref), filter(dis, dis), filter(ref, dis)
	c1, c2 := float32(0.01)*255, float32(0.03)*255
	c1, c2 = float32(c1*c1), float32(c2*c2)
	c3 := c2 / 2
	var sums [4]float64
	for y := range mr {
		for x := range mr[y] {
			m, n := mr[y][x], md[y][x]
			vr, vd := max(0, rr[y][x]-float32(m*m)), max(0, dd[y][x]-float32(n*n))
			cov := rd[y][x] - float32(m*n)
			sigma := float32(math.Sqrt(float64(float32(vr * vd))))
			l := (float64(2*float64(m)*float64(n)) + float64(c1)) / float64(float32(float32(m*m)+float32(n*n))+c1)
			c := (float64(2*float64(sigma)) + float64(c2)) / float64(float32(vr+vd)+c2)
			if cov < 0 && sigma <= 0 {
				cov = 0
			}
			s := float64((cov + c3) / (sigma + c3))
			for i, v := range [4]float64{float64(float64(l*c) * s), l, c, s} {
				sums[i] += v
			}
		}
	}
	n := float64(len(mr) * len(mr[0]))
	return [4]float32{float32(sums[0] / n), float32(sums[1] / n), float32(sums[2] / n), float32(sums[3] / n)}
}

// ssimDecimate is spec/classic-metrics.md §3.2.
func ssimDecimate(in [][]float32, s int) [][]float32 {
	if s == 1 {
		return in
	}
	h, w := len(in), len(in[0])
	mirror := func(i, n int) int {
		if i < 0 {
			return -1 - i
		}
		if i >= n {
			return 2*n - 1 - i
		}
		return i
	}
	k := 1 / float32(s*s)
	out := make([][]float32, h/s+h%2)
	for y := range out {
		out[y] = make([]float32, w/s+w%2)
		for x := range out[y] {
			sum := 0.0
			for v := -(s / 2); v < s-s/2; v++ {
				for u := -(s / 2); u < s-s/2; u++ {
					sum += float64(float32(in[mirror(y*s+v, h)][mirror(x*s+u, w)] * k))
				}
			}
			out[y][x] = float32(sum)
		}
	}
	return out
}

func ssimFloats(width, height, bpc int, sample func(x, y int) int) [][]float32 {
	out := make([][]float32, height)
	for y := range out {
		out[y] = make([]float32, width)
		for x := range out[y] {
			out[y][x] = float32(sample(x, y)) / float32(int(1)<<(bpc-8))
		}
	}
	return out
}

// ssimContents are pictures that are the same however often they are read. Each has a generator of its own.
func ssimContents(seed uint64, width, height, bpc int) map[string]func(x, y int) int {
	out := map[string]func(x, y int) int{}
	for name := range vifContents(seed, bpc) {
		sample := vifContents(seed, bpc)[name]
		values := make([]int, width*height)
		for i := range values {
			values[i] = sample(i%width, i/width)
		}
		out[name] = func(x, y int) int { return values[y*width+x] }
	}
	return out
}

func TestSSIM_Spec3_AgainstTheFormula(t *testing.T) {
	eachTarget(t, func(t *testing.T, _ string) {
		for _, size := range [][2]int{{11, 11}, {33, 45}, {61, 50}, {64, 37}} {
			for _, bpc := range []int{8, 10, 12, 16} {
				contents := ssimContents(3, size[0], size[1], bpc)
				for name, sample := range contents {
					f := vmaf.Format{Width: size[0], Height: size[1], BitsPerComponent: bpc}
					for _, scale := range []int{1, 2, 3, 4} {
						if score.CheckSSIM(f, scale) != nil {
							continue
						}
						other := contents["natural"]
						ref := testPlane(size[0], size[1], bpc, 4, sample)
						dis := testPlane(size[0], size[1], bpc, 0, other)
						out, _ := measureSSIM(t, ref, []vmaf.Plane{dis}, bpc, []int{scale}, false)
						want := ssimMeans(ssimDecimate(ssimFloats(size[0], size[1], bpc, sample), scale),
							ssimDecimate(ssimFloats(size[0], size[1], bpc, other), scale))
						for i, got := range score.SSIMFigures(nil, &out[0][0], f, scale) {
							// One unit of f32 where the exact mean lies at a boundary; see kernels/common/ssim. Here none does.
							if got != float64(want[i]) {
								t.Errorf("%dx%d %d bit %s scale %d, figure %d: %v, want %v", size[0], size[1], bpc, name, scale, i, got, want[i])
							}
						}
					}
				}
			}
		}
	})
}

func TestSSIM_TargetsEqualPlain(t *testing.T) {
	type result struct {
		Out [][]score.SSIMSums
		MS  []score.MSSSIMSums
	}
	cases := []struct {
		width, height int
		scales        []int
		multiscale    bool
	}{
		{11, 11, []int{1}, false}, {12, 30, []int{1}, false}, {23, 22, []int{1, 2}, false}, {33, 57, []int{3, 2, 1}, false},
		{202, 40, []int{1, 3}, false}, {203, 33, []int{1, 2}, false}, {395, 31, []int{2, 1}, false}, {121, 133, []int{10, 5, 7, 1, 4}, false},
		{176, 176, nil, true}, {181, 177, []int{4, 1}, true}, {518, 179, []int{2}, true},
	}
	plain := map[string]result{}
	eachTarget(t, func(t *testing.T, target string) {
		for i, c := range cases {
			for _, bpc := range []int{8, 10, 12, 16} {
				names := []string{"noise", "natural", "zero", "max", "checker", "binary", "ramp", "dim"}
				if c.width > 170 {
					names = names[i%3 : i%3+2] // these take long
				}
				contents := ssimContents(5, c.width, c.height, bpc)
				for _, name := range names {
					id := fmt.Sprintf("%dx%d/%d bit/%s", c.width, c.height, bpc, name)
					ref := testPlane(c.width, c.height, bpc, 2*i, contents[name])
					dis := []vmaf.Plane{
						testPlane(c.width, c.height, bpc, 6, contents["natural"]),
						testPlane(c.width, c.height, bpc, 2*i, contents["dim"]),
						ref,
					}
					var got result
					got.Out, got.MS = measureSSIM(t, ref, dis, bpc, c.scales, c.multiscale)
					if target == "plain" {
						plain[id] = got
					} else if d := cmp.Diff(plain[id], got); d != "" {
						t.Fatalf("%s (-want +got):\n%s", id, d)
					}
				}
			}
		}
	})
}

// Identical pictures score 1 in every part, a flat one too.
func TestSSIM_IdenticalPicturesAreOne(t *testing.T) {
	eachTarget(t, func(t *testing.T, _ string) {
		const width, height = 200, 190
		f := vmaf.Format{Width: width, Height: height, BitsPerComponent: 8}
		for name, sample := range ssimContents(9, width, height, 8) {
			p := testPlane(width, height, 8, 0, sample)
			out, ms := measureSSIM(t, p, []vmaf.Plane{p}, 8, []int{1, 2}, true)
			figures := append(score.SSIMFigures(nil, &out[0][0], f, 1), score.SSIMFigures(nil, &out[1][0], f, 2)...)
			for i, v := range score.MSSSIMFigures(figures, &ms[0], f) {
				// Of each of three quotients the denominator is two or three roundings to f32 off, 3·2^−24.
				if math.Abs(v-1) > 9.0/(1<<24) {
					t.Errorf("%s: figure %d is %v, want 1", name, i, v)
				}
			}
		}
	})
}

func TestSSIM_MSSSIMSharesLevel0WithScale1(t *testing.T) {
	const width, height = 178, 180
	contents := ssimContents(2, width, height, 8)
	ref := testPlane(width, height, 8, 0, contents["natural"])
	dis := []vmaf.Plane{testPlane(width, height, 8, 0, contents["noise"]), ref}
	both, ms := measureSSIM(t, ref, dis, 8, []int{2, 1, 1}, true)
	_, alone := measureSSIM(t, ref, dis, 8, nil, true)
	if d := cmp.Diff(alone, ms); d != "" {
		t.Errorf("MS-SSIM beside SSIM (-alone +beside):\n%s", d)
	}
	if d := cmp.Diff(both[1], both[2]); d != "" {
		t.Errorf("a scale that is asked for twice:\n%s", d)
	}
	want := both[1][0]
	want.Total = 0
	if ms[0][0] != want {
		t.Errorf("level 0 is %+v, want that of scale 1 without the total, %+v", ms[0][0], want)
	}
}

// The reference program's figures, from raw pictures so that no decoder has a part in it.
func TestSSIM_Golden(t *testing.T) {
	for _, pair := range []struct {
		name string
		bpc  int
	}{
		{"src01_576x324_420p10le_3frames_dis", 10}, {"src01_576x324_420p12le_3frames_dis", 12}, {"src01_576x324_420p16le_3frames_dis", 16},
		{"sparks_480x270_420p10le_5frames_dis", 10}, {"cockatoo_321x241_420p10le_8frames_odd_dis", 10},
		{"archer_1920x1080_420p8_1frame_dis", 8}, {"darkscene_1920x1080_420p8_1frame_dis", 8},
	} {
		t.Run(pair.name, func(t *testing.T) {
			table := golden.Scores(t, pair.name)
			f := vmaf.Format{Width: table.Width, Height: table.Height, BitsPerComponent: pair.bpc, Subsampling: vmaf.Chroma420}
			read := func(name string) []byte {
				data, err := os.ReadFile(golden.Clip(t, name))
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			ref, dis := read(table.Reference), read(table.Distorted)
			width, height := f.Subsampling.ChromaSize(f.Width, f.Height)
			frameBytes := (f.Width*f.Height + 2*width*height) * f.BytesPerSample()
			plane := func(data []byte, frame int) vmaf.Plane {
				return vmaf.Plane{Data: data[frame*frameBytes:][:frameBytes], StrideBytes: f.Width * f.BytesPerSample(), Width: f.Width, Height: f.Height}
			}
			plain, err := vmaf.ParseExtraction("float_ssim")
			if err != nil {
				t.Fatal(err)
			}
			scale := score.SSIMScale(plain, f)
			for frame := range table.Frames {
				out, ms := measureSSIM(t, plane(ref, frame), []vmaf.Plane{plane(dis, frame)}, f.BitsPerComponent, []int{scale}, true)
				figures := score.SSIMFigures(nil, &out[0][0], f, scale)
				if want := goldenColumn(t, table, "float_ssim")[frame]; figures[0] != want {
					t.Errorf("frame %d: ssim %.17g, want %.17g", frame, figures[0], want)
				}
				parts := score.MSSSIMFigures(nil, &ms[0], f)
				msssim := 1.0
				for level, exponent := range [5]float32{0.0448, 0.2856, 0.3001, 0.2363, 0.1333} {
					luminance := 0.0
					if level == 4 {
						luminance = float64(exponent)
					}
					msssim *= math.Pow(parts[level], luminance) * math.Pow(parts[5+level], float64(exponent)) * math.Pow(parts[10+level], float64(exponent))
				}
				if want := goldenColumn(t, table, "float_ms_ssim")[frame]; math.Abs(msssim-want) > 1e-14 {
					t.Errorf("frame %d: ms_ssim %.17g, want %.17g", frame, msssim, want)
				}
			}
		})
	}
}

func goldenColumn(t *testing.T, table *golden.Table, name string) []float64 {
	t.Helper()
	for _, column := range table.Columns {
		if column.Name == name || strings.HasPrefix(column.Name, name+"[") {
			return column.Values
		}
	}
	t.Fatalf("no column %s", name)
	return nil
}

func TestNewSSIMScratch_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		width, height, bpc, renditions int
		scales                         []int
		multiscale                     bool
		want                           []string
	}{
		"a picture smaller than the window": {10, 11, 8, 1, []int{1}, false, []string{"pictures of 10x11 at scale 1 are 10x11; ssim needs at least 11x11"}},
		"one that decimation makes so":      {42, 43, 8, 1, []int{2, 4}, false, []string{"at scale 4 are 10x11"}},
		"too few rows for five levels":      {176, 175, 8, 1, nil, true, []string{"ms_ssim needs at least 176x176"}},
		"a depth that is not defined":       {200, 200, 9, 1, []int{1}, true, []string{"9 bits per component; ssim is", "9 bits per component; ms_ssim is"}},
		"no scale":                          {200, 200, 8, 1, nil, false, []string{"no scale"}},
		"scales out of range":               {2000, 2000, 8, 0, []int{0, 257}, false, []string{"scale 0", "scale 257", "at least one distorted picture"}},
		"too large":                         {65537, 20, 8, 1, []int{1}, false, []string{"up to 65536x65536"}},
	} {
		s, err := NewSSIMScratch(c.width, c.height, c.bpc, c.renditions, c.scales, c.multiscale)
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
	}
}

func TestSSIMScratch_ChecksItsArguments(t *testing.T) {
	s, err := NewSSIMScratch(180, 180, 8, 1, []int{1}, true)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlane(180, 180, 8, 0, func(x, y int) int { return (x * y) & 255 })
	out, ms := [][]score.SSIMSums{make([]score.SSIMSums, 1)}, make([]score.MSSSIMSums, 1)
	for name, err := range map[string]error{
		"more pictures than it has room for": s.SSIM(p, []vmaf.Plane{p, p}, out, ms),
		"no room for a scale":                s.SSIM(p, []vmaf.Plane{p}, nil, ms),
		"no room for a picture":              s.SSIM(p, []vmaf.Plane{p}, [][]score.SSIMSums{nil}, ms),
		"no room for MS-SSIM":                s.SSIM(p, []vmaf.Plane{p}, out, nil),
		"a plane of another size":            s.SSIM(p, []vmaf.Plane{testPlane(180, 181, 8, 0, func(int, int) int { return 0 })}, out, ms),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	dis := []vmaf.Plane{p}
	if got := testing.AllocsPerRun(3, func() { s.SSIM(p, dis, out, ms) }); got != 0 && Target() != "plain" {
		t.Errorf("SSIM allocates %v times a call", got)
	}
	if err := s.SSIM(p, nil, out, ms); err != nil {
		t.Errorf("no pictures: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.SSIM(p, dis, out, ms); err == nil {
		t.Error("closed scratch: no error")
	}
}

func BenchmarkSSIM(b *testing.B) {
	for _, size := range [][2]int{{1920, 1080}, {3840, 2160}} {
		for _, c := range []struct {
			name       string
			scales     []int
			multiscale bool
		}{{"auto", []int{(size[1] + 128) / 256}, false}, {"scale1", []int{1}, false}, {"ms", nil, true}} {
			for _, renditions := range []int{1, 4} {
				b.Run(fmt.Sprintf("%dx%d/%s/%d", size[0], size[1], c.name, renditions), func(b *testing.B) {
					sample := vifContents(1, 8)["natural"]
					ref := testPlane(size[0], size[1], 8, 0, sample)
					dis := make([]vmaf.Plane, renditions)
					for k := range dis {
						dis[k] = testPlane(size[0], size[1], 8, 0, sample)
						dis[k].Data = bytes.Clone(dis[k].Data)
					}
					s, err := NewSSIMScratch(size[0], size[1], 8, renditions, c.scales, c.multiscale)
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					out := make([][]score.SSIMSums, len(c.scales))
					for i := range out {
						out[i] = make([]score.SSIMSums, renditions)
					}
					ms := make([]score.MSSSIMSums, renditions)
					for b.Loop() {
						if err := s.SSIM(ref, dis, out, ms); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
