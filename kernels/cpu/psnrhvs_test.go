package cpu

import (
	"math"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// The spec: "psnr_hvs_y, _cb, _cr = 10 * (-1 * log10(score_p)); then psnr_hvs = the same of (score_y * 0.8 + 0.1 * (score_cb + score_cr))".
// The logarithm of the C library may differ from Go's by a unit in the last place or two; the scores are exact: one that is off by a unit of
// single precision moves the figure by 5e-7 dB, far more.
func TestPSNRHVSGolden(t *testing.T) {
	const tolerance = 4 * 0x1p-52
	for _, clip := range rawClips(t) {
		if clip.format.BitsPerComponent > 12 {
			continue
		}
		t.Run(clip.pair, func(t *testing.T) {
			eachTarget(t, func(t *testing.T, _ string) {
				s, err := NewPSNRHVSScratch(clip.format, 1)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				sums := make([]score.PSNRHVSSums, 1)
				var figures []float64
				for i := range clip.ref {
					if err := s.PSNRHVS(clip.ref[i], clip.dis[i:i+1], sums); err != nil {
						t.Fatal(err)
					}
					figures = score.PSNRHVSFigures(figures[:0], &sums[0], clip.format)
					figures = append(figures, float64(figures[0]*0.8)+float64(0.1*(figures[1]+figures[2])))
					for p, name := range []string{"psnr_hvs_y", "psnr_hvs_cb", "psnr_hvs_cr", "psnr_hvs"} {
						want, ok := clip.table.Column(name)
						if !ok {
							t.Fatalf("no column %s", name)
						}
						got := -10 * math.Log10(figures[p])
						if got != want.Values[i] && !(math.Abs(got-want.Values[i]) <= tolerance*math.Abs(want.Values[i])) {
							t.Errorf("frame %d: %s %.17g, want %.17g", i, name, got, want.Values[i])
						}
					}
				}
			})
		})
	}
}

// psnrHVSPicture is a picture of which every sample of plane p is what sample says.
func psnrHVSPicture(f vmaf.Format, sample func(p, x, y int) int) *vmaf.Picture {
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

func measurePSNRHVS(t *testing.T, f vmaf.Format, ref *vmaf.Picture, dis ...*vmaf.Picture) []score.PSNRHVSSums {
	t.Helper()
	s, err := NewPSNRHVSScratch(f, len(dis))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sums := make([]score.PSNRHVSSums, len(dis))
	if err := s.PSNRHVS(ref, dis, sums); err != nil {
		t.Fatal(err)
	}
	return sums
}

// The spec: "blocks: y = 0, 7, 14, ... while y < h-7", "for odd sizes the last chroma column/row is dropped".
func TestPSNRHVS_Spec5_RemainingSamplesAreIgnored(t *testing.T) {
	f := vmaf.Format{Width: 43, Height: 35, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	sample := func(p, x, y int) int { return (x*x*3 + y*7 + 31*p) % 200 }
	ref := psnrHVSPicture(f, sample)
	for name, c := range map[string]struct {
		plane, x, y int
		counts      bool
	}{
		"last column of the last block": {0, 42, 3, true},
		"last row of the last block":    {0, 3, 28, true},
		"row below the last block":      {0, 3, 29, false},
		"chroma's last column":          {1, 14, 14, true},
		"chroma beyond blocks":          {1, 15, 2, false},
		"dropped column of chroma":      {2, 21, 3, false},
		"dropped row of chroma":         {2, 3, 17, false},
	} {
		changed := psnrHVSPicture(f, func(p, x, y int) int {
			if p == c.plane && x == c.x && y == c.y {
				return 255 - sample(p, x, y)
			}
			return sample(p, x, y)
		})
		eachTarget(t, func(t *testing.T, _ string) {
			sums := measurePSNRHVS(t, f, ref, changed)[0]
			for p, sum := range sums {
				if want := c.counts && p == c.plane; (sum > 0) != want {
					t.Errorf("%s: sum of plane %d is %g, want it to count: %v", name, p, sum, want)
				}
			}
		})
	}
}

// A flat difference d gives constant coefficients alone, 8·d each, which nothing masks: (8·d·w)² for each block, added one by one.
func TestPSNRHVS_Spec5_FlatDifference(t *testing.T) {
	const blocks = 9 * 5
	f := vmaf.Format{Width: 64, Height: 36, BitsPerComponent: 10, Subsampling: vmaf.Chroma444}
	csf := [3]float32{1.6193873005, 1.91113096927, 2.03871978502}
	ref := psnrHVSPicture(f, func(p, x, y int) int { return 400 })
	dis := psnrHVSPicture(f, func(p, x, y int) int { return 400 + 8*(p+1) })
	eachTarget(t, func(t *testing.T, _ string) {
		sums := measurePSNRHVS(t, f, ref, dis, ref)
		if sums[1] != (score.PSNRHVSSums{}) {
			t.Errorf("identical pictures differ by %v", sums[1])
		}
		for p, got := range sums[0] {
			v := float32(8*8*(p+1)) * csf[p]
			var want float32
			for range blocks {
				want += float32(v * v)
			}
			// The transform's gain is 8 but for its roundings, which leave the coefficient within one of it.
			if math.Abs(float64(got-want)) > 0.04*float64(want) {
				t.Errorf("plane %d: %g, want about %g", p, got, want)
			}
		}
	})
}

func TestPSNRHVSRefusesWhatDoesNotFit(t *testing.T) {
	good := vmaf.Format{Width: 16, Height: 16, BitsPerComponent: 12, Subsampling: vmaf.Chroma420}
	with := func(change func(*vmaf.Format)) vmaf.Format {
		f := good
		change(&f)
		return f
	}
	for want, f := range map[string]vmaf.Format{
		"13 bits per component; must be 8 … 12": with(func(f *vmaf.Format) { f.BitsPerComponent = 13 }),
		"4:0:0 have no chroma":                  with(func(f *vmaf.Format) { f.Subsampling = vmaf.Gray }),
		"must be at least 16x16":                with(func(f *vmaf.Format) { f.Width = 15 }),
		"must be at least 16x8":                 with(func(f *vmaf.Format) { f.Height, f.Subsampling = 7, vmaf.Chroma422 }),
		"must be at least 8x8":                  with(func(f *vmaf.Format) { f.Height, f.Subsampling = 7, vmaf.Chroma444 }),
		"must be at most 65536":                 with(func(f *vmaf.Format) { f.Width = 65537 }),
	} {
		if _, err := NewPSNRHVSScratch(f, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", f, err, want)
		}
	}
	if _, err := NewPSNRHVSScratch(good, 0); err == nil {
		t.Error("a scratch for no renditions was made")
	}
	s, err := NewPSNRHVSScratch(good, 1)
	if err != nil {
		t.Fatal(err)
	}
	picture := psnrHVSPicture(good, func(p, x, y int) int { return x })
	narrow := psnrHVSPicture(good, func(p, x, y int) int { return x })
	narrow.Planes[2].Width = 7
	sums := make([]score.PSNRHVSSums, 2)
	for name, call := range map[string]func() error{
		"more renditions":    func() error { return s.PSNRHVS(picture, []*vmaf.Picture{picture, picture}, sums) },
		"room for others":    func() error { return s.PSNRHVS(picture, []*vmaf.Picture{picture}, sums) },
		"a narrow reference": func() error { return s.PSNRHVS(narrow, []*vmaf.Picture{picture}, sums[:1]) },
		"a narrow rendition": func() error { return s.PSNRHVS(picture, []*vmaf.Picture{narrow}, sums[:1]) },
		"a picture without Cr": func() error {
			return s.PSNRHVS(picture, []*vmaf.Picture{{Planes: [3]vmaf.Plane{picture.Planes[0]}}}, sums[:1])
		},
	} {
		if call() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := s.PSNRHVS(picture, nil, nil); err != nil {
		t.Errorf("no renditions: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.PSNRHVS(picture, []*vmaf.Picture{picture}, sums[:1]); err == nil {
		t.Error("a closed scratch was used")
	}
}

func TestPSNRHVSAllocatesNothing(t *testing.T) {
	f := vmaf.Format{Width: 64, Height: 36, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	s, err := NewPSNRHVSScratch(f, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	picture := psnrHVSPicture(f, func(p, x, y int) int { return x + y })
	dis, sums := []*vmaf.Picture{picture}, make([]score.PSNRHVSSums, 1)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.PSNRHVS(picture, dis, sums); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
