package cpu

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// speedSets are the option sets of the golden figures: by what they add to a name, the defaults and those of the v1 models.
var speedSets = map[string]string{
	"":                               "speed_chroma",
	"_mxv_45_nnf_0.1_snn_0.19_wvm_5": "speed_chroma:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5:speed_max_val=45",
	"_mxv_45_nnf_0.1_ps_0.6_psm_bilinear_snn_0.19_wvm_5": "speed_chroma:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5:" +
		"speed_max_val=45:speed_prescale=0.6:speed_prescale_method=bilinear",
	"_mxv_45_nnf_0.1_ps_0.5_psm_bilinear_snn_0.19_wvm_5": "speed_chroma:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5:" +
		"speed_max_val=45:speed_prescale=0.5:speed_prescale_method=bilinear",
}

func speedOf(t testing.TB, f vmaf.Format, text string) *score.Speed {
	t.Helper()
	e, err := vmaf.ParseExtraction(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := score.NewSpeed(e, f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rawFrames reads a file of planar 4:2:0 pictures.
func rawFrames(t testing.TB, name string, f vmaf.Format, n int) []*vmaf.Picture {
	t.Helper()
	file, err := os.Open(golden.Clip(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pictures := make([]*vmaf.Picture, n)
	for i := range pictures {
		pictures[i] = &vmaf.Picture{Format: f}
		for k := range pictures[i].Planes {
			width, height := f.Width, f.Height
			if k > 0 {
				width, height = f.Subsampling.ChromaSize(width, height)
			}
			stride := width * f.BytesPerSample()
			data := make([]byte, stride*height)
			if _, err := io.ReadFull(file, data); err != nil {
				t.Fatal(err)
			}
			pictures[i].Planes[k] = vmaf.Plane{Data: data, StrideBytes: stride, Width: width, Height: height}
		}
	}
	return pictures
}

// Every raw pair of the golden material, to the last bit: 8 to 16 bits, odd sizes, and one of which a plane is degenerate.
func TestSpeedGolden(t *testing.T) {
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !strings.HasSuffix(table.Reference, ".yuv") {
			continue
		}
		f := vmaf.Format{Width: table.Width, Height: table.Height, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
		switch table.PixFmt {
		case "yuv420p":
		case "yuv420p10le":
			f.BitsPerComponent = 10
		case "yuv420p12le":
			f.BitsPerComponent = 12
		case "yuv420p16le":
			f.BitsPerComponent = 16
		default:
			t.Fatalf("%s: pixel format %s", pair, table.PixFmt)
		}
		t.Run(pair, func(t *testing.T) {
			ref, dis := rawFrames(t, table.Reference, f, table.Frames), rawFrames(t, table.Distorted, f, table.Frames)
			var suffixes []string
			var configs []score.SpeedConfig
			var figures []*score.Speed
			for suffix, text := range speedSets {
				if _, ok := table.Column("speed_chroma_u" + suffix); ok {
					s := speedOf(t, f, text)
					suffixes, configs, figures = append(suffixes, suffix), append(configs, s.Config()), append(figures, s)
				}
			}
			if len(configs) < 2 {
				t.Fatalf("figures of %d option sets", len(configs))
			}
			eachTarget(t, func(t *testing.T, _ string) {
				scratch, err := NewSpeedScratch(f, 1, configs)
				if err != nil {
					t.Fatal(err)
				}
				defer scratch.Close()
				out := make([][]score.SpeedSums, len(configs))
				for i := range out {
					out[i] = make([]score.SpeedSums, 1)
				}
				for n := range table.Frames {
					if err := scratch.Speed(ref[n], dis[n:n+1], out); err != nil {
						t.Fatal(err)
					}
					for i, suffix := range suffixes {
						got := figures[i].Figures(nil, &out[i][0])
						for k, name := range []string{"u", "v", "uv"} {
							want, _ := table.Column("speed_chroma_" + name + suffix)
							if got[k] != want.Values[n] {
								t.Errorf("frame %d, speed_chroma_%s%s: %.17g, want %.17g", n, name, suffix, got[k], want.Values[n])
							}
						}
					}
				}
			})
		})
	}
}

// speedPicture is a picture with chroma of given samples, luma left out.
func speedPicture(f vmaf.Format, sample func(plane, x, y int) int) *vmaf.Picture {
	p := &vmaf.Picture{Format: f}
	width, height := f.Subsampling.ChromaSize(f.Width, f.Height)
	for i := range 2 {
		p.Planes[1+i] = testPlane(width, height, f.BitsPerComponent, 2*i, func(x, y int) int { return sample(i, x, y) })
	}
	return p
}

// noisy gives samples around the middle of the range, different for each seed.
func noisy(seed uint64, bpc int) func(plane, x, y int) int {
	return func(plane, x, y int) int {
		h := (seed*1e6 + uint64(plane*7919+x*104729+y*1299709)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
		h *= 0xbf58476d1ce4e5b9
		return 1<<(bpc-2) + int(h>>40)%(1<<(bpc-1))
	}
}

// Samples that are quarters of steps of 10 bits give what whole steps of 8 bits give. Source: spec/speed.md §4.1.
func TestSpeed_Spec4_1_DepthsAreOneScale(t *testing.T) {
	var want []score.SpeedSums
	for _, bpc := range []int{8, 10, 12, 16} {
		f := vmaf.Format{Width: 331, Height: 337, BitsPerComponent: bpc, Subsampling: vmaf.Chroma420}
		scaled := func(seed uint64) *vmaf.Picture {
			of8 := noisy(seed, 8)
			return speedPicture(f, func(plane, x, y int) int { return of8(plane, x, y) << (bpc - 8) })
		}
		eachTarget(t, func(t *testing.T, _ string) {
			got := speedSums(t, f, scaled(1), []*vmaf.Picture{scaled(2)}, speedOf(t, f, "speed_chroma").Config())[0]
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d bit: %+v, want %+v", bpc, got, want)
			}
			if got[0].U == 0 || got[0].V == 0 {
				t.Errorf("scores of 0: %+v", got)
			}
		})
	}
}

func speedSums(t *testing.T, f vmaf.Format, ref *vmaf.Picture, dis []*vmaf.Picture, configs ...score.SpeedConfig) [][]score.SpeedSums {
	t.Helper()
	s, err := NewSpeedScratch(f, len(dis), configs)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := make([][]score.SpeedSums, len(configs))
	for i := range out {
		out[i] = make([]score.SpeedSums, len(dis))
	}
	if err := s.Speed(ref, dis, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What configurations and pictures share changes nothing: together they give what each gives alone.
func TestSpeed_TogetherAsAlone(t *testing.T) {
	f := vmaf.Format{Width: 553, Height: 541, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	var configs []score.SpeedConfig
	for _, text := range []string{
		"speed_chroma", "speed_chroma:speed_sigma_nn=0.19", "speed_chroma:speed_nn_floor=0.5", "speed_chroma:speed_weight_var_mode=5",
		"speed_chroma:speed_prescale=0.6:speed_prescale_method=bilinear", "speed_chroma:speed_kernelscale=0.5", "speed_chroma",
	} {
		configs = append(configs, speedOf(t, f, text).Config())
	}
	ref := speedPicture(f, noisy(1, 10))
	dis := []*vmaf.Picture{speedPicture(f, noisy(2, 10)), ref, speedPicture(f, noisy(3, 10))}
	eachTarget(t, func(t *testing.T, _ string) {
		together := speedSums(t, f, ref, dis, configs...)
		for i, c := range configs {
			for k := range dis {
				if alone := speedSums(t, f, ref, dis[k:k+1], c)[0][0]; alone != together[i][k] {
					t.Errorf("configuration %d, picture %d: %+v, alone %+v", i, k, together[i][k], alone)
				}
			}
			// Under mode 5 the weights of equal blocks differ in their rounding.
			if self := together[i][1]; self.DegenerateU || self.U != 0 && c.WeightVarMode == 0 || self.U > 1e-4 {
				t.Errorf("configuration %d: a picture against itself: %+v", i, together[i][1])
			}
		}
		if together[0][0] == together[1][0] || together[0][0] == together[5][0] {
			t.Errorf("options make no difference: %+v", together)
		}
	})
}

// "If exactly one of the two planes is degenerate: score 0." A flat plane is, and so is one with fewer than 26 windows.
func TestSpeed_Spec6_Degenerate(t *testing.T) {
	f := vmaf.Format{Width: 330, Height: 340, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	flatV := func(seed uint64) *vmaf.Picture {
		of := noisy(seed, 8)
		return speedPicture(f, func(plane, x, y int) int {
			if plane == 1 {
				return 77
			}
			return of(plane, x, y)
		})
	}
	small := vmaf.Format{Width: 640, Height: 272, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	eachTarget(t, func(t *testing.T, _ string) {
		config := speedOf(t, f, "speed_chroma").Config()
		sums := speedSums(t, f, speedPicture(f, noisy(1, 8)), []*vmaf.Picture{flatV(2), speedPicture(f, noisy(2, 8))}, config)[0]
		if s := sums[0]; s.V != 0 || !s.DegenerateV || s.DegenerateU || s.U != sums[1].U || s.U == 0 || sums[1].V == 0 {
			t.Errorf("flat V against noise: %+v", sums)
		}
		if s := speedSums(t, f, flatV(1), []*vmaf.Picture{flatV(2)}, config)[0][0]; s.V != 0 || !s.DegenerateV || s.U != sums[0].U {
			t.Errorf("flat V against flat V: %+v", s)
		}
		few := speedSums(t, small, speedPicture(small, noisy(1, 8)), []*vmaf.Picture{speedPicture(small, noisy(2, 8))}, config)[0][0]
		if few != (score.SpeedSums{DegenerateU: true, DegenerateV: true}) {
			t.Errorf("21 windows: %+v", few)
		}
	})
}

// The odd last row and column of chroma that was rounded up is not looked at.
func TestSpeed_OddSizes(t *testing.T) {
	odd := vmaf.Format{Width: 333, Height: 321, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	even := vmaf.Format{Width: 332, Height: 320, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	config := speedOf(t, odd, "speed_chroma").Config()
	eachTarget(t, func(t *testing.T, _ string) {
		of := func(f vmaf.Format) []score.SpeedSums {
			return speedSums(t, f, speedPicture(f, noisy(1, 8)), []*vmaf.Picture{speedPicture(f, noisy(2, 8))}, config)[0]
		}
		if got, want := of(odd), of(even); !slices.Equal(got, want) {
			t.Errorf("%v: %+v, want %+v as of %v", odd, got, want, even)
		}
	})
}

func TestSpeedRefusesWhatDoesNotFit(t *testing.T) {
	f := vmaf.Format{Width: 340, Height: 330, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	config := speedOf(t, f, "speed_chroma").Config()
	with := func(change func(*vmaf.Format)) vmaf.Format {
		g := f
		change(&g)
		return g
	}
	wrong := config
	wrong.PrescaleMethod = "cubic"
	for name, c := range map[string]struct {
		format     vmaf.Format
		renditions int
		configs    []score.SpeedConfig
	}{
		"no renditions":      {f, 0, []score.SpeedConfig{config}},
		"no configuration":   {f, 1, nil},
		"a wrong one":        {f, 1, []score.SpeedConfig{config, wrong}},
		"too small":          {with(func(f *vmaf.Format) { f.Width = 159 }), 1, []score.SpeedConfig{config}},
		"gray":               {with(func(f *vmaf.Format) { f.Subsampling = vmaf.Gray }), 1, []score.SpeedConfig{config}},
		"14 bits":            {with(func(f *vmaf.Format) { f.BitsPerComponent = 14 }), 1, []score.SpeedConfig{config}},
		"the zero Format":    {vmaf.Format{}, 1, []score.SpeedConfig{config}},
		"the zero config":    {f, 1, make([]score.SpeedConfig, 1)},
		"negative, too many": {f, -1, []score.SpeedConfig{config}},
	} {
		if s, err := NewSpeedScratch(c.format, c.renditions, c.configs); err == nil {
			s.Close()
			t.Errorf("%s: a scratch was made", name)
		}
	}

	s, err := NewSpeedScratch(f, 2, []score.SpeedConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	good := speedPicture(f, noisy(1, 8))
	short := *good
	short.Planes[2].Data = short.Planes[2].Data[:len(short.Planes[2].Data)/2]
	other := speedPicture(with(func(f *vmaf.Format) { f.Width += 4 }), noisy(1, 8))
	out := [][]score.SpeedSums{make([]score.SpeedSums, 1)}
	for name, c := range map[string]struct {
		ref *vmaf.Picture
		dis []*vmaf.Picture
		out [][]score.SpeedSums
	}{
		"short plane":           {&short, []*vmaf.Picture{good}, out},
		"without chroma":        {good, []*vmaf.Picture{{Format: f}}, out},
		"another size":          {good, []*vmaf.Picture{other}, out},
		"too many pictures":     {good, []*vmaf.Picture{good, good, good}, [][]score.SpeedSums{make([]score.SpeedSums, 3)}},
		"too few results":       {good, []*vmaf.Picture{good, good}, out},
		"results of more sets":  {good, []*vmaf.Picture{good}, append(out, out[0])},
		"reference without any": {&vmaf.Picture{}, []*vmaf.Picture{good}, out},
	} {
		if err := s.Speed(c.ref, c.dis, c.out); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	two, both := []*vmaf.Picture{good, good}, [][]score.SpeedSums{make([]score.SpeedSums, 2)}
	if got := testing.AllocsPerRun(10, func() { err = s.Speed(good, two, both) }); got != 0 || err != nil {
		t.Errorf("Speed allocates %v times a call; %v", got, err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Speed(good, two, both); err == nil {
		t.Error("closed scratch: no error")
	}
}
