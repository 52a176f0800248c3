package cpu

import (
	"io"
	"os"
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
