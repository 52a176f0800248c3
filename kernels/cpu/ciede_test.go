package cpu

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func ciedeDecibels(sums score.CIEDESums, f vmaf.Format) float64 {
	return 45 - 20*math.Log10(score.CIEDEFigures(nil, sums, f)[0])
}

// ciedeTolerance, in dB. Functions are within 2^−43 of the C library's, and what is rounded to single precision is another number once in
// 2^19 results. One pixel's ΔE00 then differs by about 500·2^−24, and the mean, relatively, by 500·2^−24·2^−19 = 6e-11 at a ΔE00 of 1;
// 1e-7 dB are 1.2e-8. What was measured differs in the last digits of a double.
const ciedeTolerance = 1e-7

func TestCIEDEGolden(t *testing.T) {
	compared := 0
	for _, clip := range rawClips(t) {
		want, ok := clip.table.Column("ciede2000")
		if !ok {
			t.Fatalf("%s: no column ciede2000", clip.pair)
		}
		t.Run(clip.pair, func(t *testing.T) {
			eachTarget(t, func(t *testing.T, target string) {
				for i := range clip.ref {
					if math.IsNaN(want.Values[i]) { // odd sizes, of which libvmaf reads what is not there
						continue
					}
					got := ciedeDecibels(measureCIEDE(t, clip.format, clip.ref[i], clip.dis[i])[0], clip.format)
					if !(math.Abs(got-want.Values[i]) <= ciedeTolerance) {
						t.Errorf("frame %d: %.17g, want %.17g", i, got, want.Values[i])
					}
					compared++
				}
			})
		})
	}
	if compared == 0 {
		t.Error("no frame was compared")
	}
}

func measureCIEDE(t testing.TB, f vmaf.Format, ref *vmaf.Picture, dis ...*vmaf.Picture) []score.CIEDESums {
	t.Helper()
	s, err := NewCIEDEScratch(f, len(dis))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sums := make([]score.CIEDESums, len(dis))
	if err := s.CIEDE(ref, dis, sums); err != nil {
		t.Fatal(err)
	}
	return sums
}

// ciedePicture is a picture of which every sample of plane p is what sample says.
func ciedePicture(f vmaf.Format, sample func(p, x, y int) int) *vmaf.Picture {
	picture := &vmaf.Picture{Format: f}
	for p := range picture.Planes {
		width, height := f.Width, f.Height
		if p > 0 {
			width, height = f.Subsampling.ChromaSize(width, height)
		}
		picture.Planes[p] = testPlane(width, height, f.BitsPerComponent, 4*p, func(x, y int) int { return sample(p, x, y) })
	}
	return picture
}

// ciedeLab is spec/classic-metrics.md §6.2 once more, with Go's functions.
func ciedeLab(f vmaf.Format, sample func(p, x, y int) int, x, y int) (l, a, b float64) {
	k := math.Ldexp(1, f.BitsPerComponent-8)
	cx, cy := x, y
	width, height := f.MeasuredChroma()
	chroma := func(p int) float64 { return float64(sample(p, cx, cy)) }
	switch f.Subsampling {
	case vmaf.Chroma420:
		cx, cy = min(x/2, width-1), min(y/2, height-1)
	case vmaf.Chroma422:
		stride := (width + 31) / 32 * 32
		cx, cy = x%stride, y/2+x/stride
		if cx >= width {
			chroma = func(int) float64 { return 0 }
		}
	}
	luma := (float64(sample(0, x, y)) - 16*k) / (219 * k)
	u, v := (chroma(1)-128*k)/(224*k), (chroma(2)-128*k)/(224*k)
	linear := func(c float64) float64 {
		if c > 10.0/255 {
			return math.Pow((c+0.055)/1.055, 2.4)
		}
		return c / 12.92
	}
	red, green, blue := linear(luma+1.28033*v), linear(luma-0.21482*u-0.38059*v), linear(luma+2.12798*u)
	f3 := func(c float64) float64 {
		if c > 216.0/24389 {
			return float64(float32(math.Pow(c, 1.0/3)))
		}
		return float64(float32((24389.0/27*c + 16) / 116))
	}
	fx := f3((red*0.4124564390896921 + green*0.357576077643909 + blue*0.18043748326639894) / 0.95047)
	fy := f3(red*0.21267285140562248 + green*0.715152155287818 + blue*0.07217499330655958)
	fz := f3((red*0.019333895582329317 + green*0.119192025881303 + blue*0.9503040785363677) / 1.08883)
	return 116*fy - 16, 500 * (fx - fy), 200 * (fy - fz)
}

// ciedeDifference is ΔE00 as its authors define it, but for kL = 0.65 and kH = 4, in double precision throughout.
func ciedeDifference(l1, a1, b1, l2, a2, b2 float64) float64 {
	mean := (math.Hypot(a1, b1) + math.Hypot(a2, b2)) / 2
	g := 1 - math.Sqrt(math.Pow(mean, 7)/(math.Pow(mean, 7)+math.Pow(25, 7)))
	grey := math.Hypot(a1, b1) == 0 || math.Hypot(a2, b2) == 0
	a1 += a1 / 2 * g
	a2 += a2 / 2 * g
	c1, c2 := math.Hypot(a1, b1), math.Hypot(a2, b2)
	hue := func(b, a float64) float64 {
		h := math.Atan2(b, a)
		if h < 0 {
			h += 2 * math.Pi
		}
		return h
	}
	h1, h2 := hue(b1, a1), hue(b2, a2)
	step, hm := h2-h1, (h1+h2)/2
	if math.Abs(step) > math.Pi {
		hm += math.Pi
		step -= math.Copysign(2*math.Pi, step)
	}
	if grey {
		step = 0
	}
	cm := (c1 + c2) / 2
	t := 1 - 0.17*math.Cos(hm-math.Pi/6) + 0.24*math.Cos(2*hm) + 0.32*math.Cos(3*hm+math.Pi/30) - 0.20*math.Cos(4*hm-7*math.Pi/20)
	q := math.Pow((l1+l2)/2-50, 2)
	l := (l2 - l1) / (0.65 * (1 + 0.015*q/math.Sqrt(20+q)))
	c := (c2 - c1) / (1 + 0.045*cm)
	h := 2 * math.Sqrt(c1*c2) * math.Sin(step/2) / (4 * (1 + 0.015*cm*t))
	theta := 60 * math.Exp(-math.Pow((hm*180/math.Pi-275)/25, 2))
	r := -2 * math.Sqrt(math.Pow(cm, 7)/(math.Pow(cm, 7)+math.Pow(25, 7))) * math.Sin(theta*math.Pi/180)
	return math.Sqrt(l*l + c*c + h*h + r*c*h)
}

// Against the formula in double precision, the steps of single precision of the description move a mean by some units of 2^−24 of it.
func TestCIEDE_Spec6_AgainstTheFormula(t *testing.T) {
	const tolerance = 1e-5 // dB; relatively 1.2e-6
	for _, f := range []vmaf.Format{
		{Width: 67, Height: 13, BitsPerComponent: 8, Subsampling: vmaf.Chroma420},
		{Width: 131, Height: 10, BitsPerComponent: 8, Subsampling: vmaf.Chroma422},
		{Width: 128, Height: 8, BitsPerComponent: 10, Subsampling: vmaf.Chroma422},
		{Width: 33, Height: 21, BitsPerComponent: 12, Subsampling: vmaf.Chroma444},
		{Width: 40, Height: 21, BitsPerComponent: 16, Subsampling: vmaf.Chroma444},
	} {
		rng := rand.New(rand.NewPCG(1, uint64(f.Width)))
		top := 1 << f.BitsPerComponent
		var samples [2][3][]int
		for i := range samples {
			for p := range samples[i] {
				for range f.Width * f.Height {
					samples[i][p] = append(samples[i][p], top/16+rng.IntN(top*7/8))
				}
			}
		}
		of := func(i int) func(p, x, y int) int {
			return func(p, x, y int) int { return samples[i][p][y*f.Width+x] }
		}
		sum := 0.0
		for y := range f.Height {
			for x := range f.Width {
				l1, a1, b1 := ciedeLab(f, of(0), x, y)
				l2, a2, b2 := ciedeLab(f, of(1), x, y)
				sum += ciedeDifference(l1, a1, b1, l2, a2, b2)
			}
		}
		want := 45 - 20*math.Log10(sum/float64(f.Width*f.Height))
		eachTarget(t, func(t *testing.T, _ string) {
			got := ciedeDecibels(measureCIEDE(t, f, ciedePicture(f, of(0)), ciedePicture(f, of(1)))[0], f)
			if !(math.Abs(got-want) <= tolerance) {
				t.Errorf("%v: %.9g, want %.9g", f, got, want)
			}
		})
	}
}

// Identical pictures have no difference at all; that of white from black is lightness alone, 100/0.65.
func TestCIEDE_Spec6_Extremes(t *testing.T) {
	f := vmaf.Format{Width: 21, Height: 9, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	flat := func(luma int) *vmaf.Picture {
		return ciedePicture(f, func(p, _, _ int) int { return [3]int{luma, 512, 512}[p] })
	}
	black, white := flat(64), flat(940)
	eachTarget(t, func(t *testing.T, _ string) {
		sums := measureCIEDE(t, f, black, black, white)
		if sums[0] != (score.CIEDESums{}) {
			t.Errorf("a picture differs from itself by %v", sums[0])
		}
		if got := score.CIEDEFigures(nil, sums[1], f)[0]; math.Abs(got-100/0.65) > 1e-3 {
			t.Errorf("white differs from black by %g, want %g", got, 100/0.65)
		}
	})
}

// The spec: "an implementation clamps the chroma index to the last sample". The last column and row that a picture has beyond those do not count.
func TestCIEDE_Spec6_1_OddSizes(t *testing.T) {
	f := vmaf.Format{Width: 9, Height: 7, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	sample := func(p, x, y int) int { return 60 + 7*p + 9*x + 5*y }
	ref := ciedePicture(f, sample)
	changed := func(dx, dy int) *vmaf.Picture {
		return ciedePicture(f, func(p, x, y int) int {
			if p == 1 && x == dx && y == dy {
				return sample(p, x, y) + 40
			}
			return sample(p, x, y)
		})
	}
	eachTarget(t, func(t *testing.T, _ string) {
		sums := measureCIEDE(t, f, ref, changed(4, 1), changed(1, 3), changed(3, 2))
		if sums[0] != (score.CIEDESums{}) || sums[1] != (score.CIEDESums{}) {
			t.Errorf("chroma beyond the half size counts: %v", sums[:2])
		}
		if sums[2] == (score.CIEDESums{}) {
			t.Error("the last chroma sample does not count")
		}
	})
}

func TestCIEDERefusesWhatDoesNotFit(t *testing.T) {
	f := vmaf.Format{Width: 16, Height: 8, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	grey := ciedePicture(f, func(int, int, int) int { return 128 })
	narrow := *grey
	narrow.Planes[2].Width = 7
	short := *grey
	short.Planes[1].Data = short.Planes[1].Data[:30]
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"no chroma", func() error {
			_, err := NewCIEDEScratch(vmaf.Format{Width: 16, Height: 8, BitsPerComponent: 8}, 1)
			return err
		}, "without chroma"},
		{"a depth that is not defined", func() error {
			_, err := NewCIEDEScratch(vmaf.Format{Width: 16, Height: 8, BitsPerComponent: 9, Subsampling: vmaf.Chroma444}, 1)
			return err
		}, "must be 8, 10, 12 or 16"},
		{"no renditions", func() error { _, err := NewCIEDEScratch(f, 0); return err }, "0 renditions"},
		{"too many pictures", func() error { return tryCIEDE(f, grey, grey, grey, grey) }, "3 distorted pictures; the scratch is for 2"},
		{"a narrow plane", func() error { return tryCIEDE(f, grey, grey, &narrow) }, "distorted picture 1: plane 2 of 7x4 samples, want at least 8x4"},
		{"a reference without its last row", func() error { return tryCIEDE(f, &short, grey) }, "reference: plane 1"},
		{"a closed scratch", func() error {
			s, err := NewCIEDEScratch(f, 1)
			if err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
			return s.CIEDE(grey, []*vmaf.Picture{grey}, make([]score.CIEDESums, 1))
		}, "scratch is closed"},
	} {
		err := c.do()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// tryCIEDE compares on a scratch for two pictures.
func tryCIEDE(f vmaf.Format, ref *vmaf.Picture, dis ...*vmaf.Picture) error {
	s, err := NewCIEDEScratch(f, 2)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.CIEDE(ref, dis, make([]score.CIEDESums, len(dis)))
}

func TestCIEDEAllocatesNothing(t *testing.T) {
	f := vmaf.Format{Width: 64, Height: 8, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	picture := ciedePicture(f, func(_, x, y int) int { return 16 + x + y })
	s, err := NewCIEDEScratch(f, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dis, sums := []*vmaf.Picture{picture}, make([]score.CIEDESums, 1)
	if n := testing.AllocsPerRun(5, func() {
		if err := s.CIEDE(picture, dis, sums); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%g allocations a call", n)
	}
}
