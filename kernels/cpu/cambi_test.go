package cpu

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

const v1Cambi = "cambi:cambi_high_res_speedup=1080:cambi_vis_lum_threshold=0.06:cambi_max_val=17"

func resolveCambi(t *testing.T, options string, f vmaf.Format) *score.Cambi {
	t.Helper()
	e, err := vmaf.ParseExtraction(options)
	if err != nil {
		t.Fatal(err)
	}
	c, err := score.NewCambi(e, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// "rcp[i] is the f32 nearest to the 9-significant-digit decimal of 1/i … 42 entries differ by one ulp"
func TestCambi_Spec3_8_Reciprocals(t *testing.T) {
	odd := 0
	for i, got := range cambiReciprocals() {
		want, exact := 0.0, float32(0)
		if i > 0 {
			exact = float32(1 / float64(i))
			var err error
			if want, err = strconv.ParseFloat(strconv.FormatFloat(1/float64(i), 'e', 8, 64), 32); err != nil {
				t.Fatal(err)
			}
		}
		if got != float32(want) {
			t.Errorf("1/%d: %g, want %g", i, got, want)
		}
		if got != exact {
			odd++
		}
	}
	if odd != 42 {
		t.Errorf("%d entries are not the nearest, want 42", odd)
	}
}

// Raw pictures of the golden material. The others have to be decoded first: see package engine.
func TestCambiGolden(t *testing.T) {
	type side struct {
		column, options string
		distorted       bool
	}
	sides := []side{
		{"cambi", "cambi", true},
		{"cambi_hrs_1080_cmxv_17_vlt_0.06", v1Cambi, true},
		{"cambi_source", "cambi", false},
	}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !strings.HasSuffix(table.Distorted, ".yuv") || !strings.HasSuffix(table.Reference, ".yuv") {
			continue
		}
		bpc := map[string]int{"yuv420p": 8, "yuv420p10le": 10, "yuv420p12le": 12, "yuv420p16le": 16}[table.PixFmt]
		if bpc == 0 {
			t.Fatalf("%s: pixel format %s", pair, table.PixFmt)
		}
		f := vmaf.Format{Width: table.Width, Height: table.Height, BitsPerComponent: bpc}
		for _, s := range sides {
			want, ok := table.Column(s.column)
			if !ok {
				continue // small pictures
			}
			name := table.Reference
			if s.distorted {
				name = table.Distorted
			}
			t.Run(pair+"/"+s.column, func(t *testing.T) {
				file, err := os.Open(golden.Clip(t, name))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				cambi := resolveCambi(t, s.options, f)
				scratch, err := NewCambiScratch(f.Width, f.Height, bpc, []score.CambiConfig{cambi.Distorted()})
				if err != nil {
					t.Fatal(err)
				}
				defer scratch.Close()
				sampleBytes := f.BytesPerSample()
				frame := make([]byte, (f.Width*f.Height+2*((f.Width+1)/2)*((f.Height+1)/2))*sampleBytes)
				luma := vmaf.Plane{Data: frame, StrideBytes: f.Width * sampleBytes, Width: f.Width, Height: f.Height}
				for i := range table.Frames {
					if _, err := io.ReadFull(file, frame); err != nil {
						t.Fatal(err)
					}
					eachTarget(t, func(t *testing.T, _ string) {
						var sums score.CambiSums
						if err := scratch.Cambi(luma, 0, &sums); err != nil {
							t.Fatal(err)
						}
						if got := cambi.Figures(nil, &sums, nil)[0]; got != want.Values[i] {
							t.Errorf("frame %d: %.17g, want %.17g", i, got, want.Values[i])
						}
					})
				}
			})
		}
	}
}
