package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// allFeatures is one extraction of every kind there is, and more where options change what kernels do.
func allFeatures(t *testing.T) []vmaf.Extraction {
	t.Helper()
	var list []vmaf.Extraction
	for _, text := range []string{
		"vif", "adm", "motion", "motion:motion_five_frame_window=true", "psnr:enable_apsnr=true", "float_ssim", "float_ssim:scale=2", "float_ms_ssim",
		"psnr_hvs", "ciede", "cambi:full_ref=true", "cambi:max_log_contrast=3:window_size=31", "speed_chroma",
		"speed_chroma:speed_prescale=1.2:speed_prescale_method=bilinear:speed_weight_var_mode=5",
	} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// colourPicture has smooth parts with bands, and noise of an amplitude.
func colourPicture(rng *rand.Rand, f vmaf.Format, noise int) *vmaf.Picture {
	p := &vmaf.Picture{Format: f}
	top := 1<<f.BitsPerComponent - 1
	for i := range f.Subsampling.Planes() {
		w, h := f.Width, f.Height
		if i > 0 {
			w, h = f.Subsampling.ChromaSize(w, h)
		}
		n := f.BytesPerSample()
		plane := vmaf.Plane{StrideBytes: w*n + 2*i*n, Width: w, Height: h}
		plane.Data = make([]byte, plane.StrideBytes*h)
		for y := range h {
			for x := range w {
				v := (x/5+y/9+i*20)%120*top/256 + top/8
				if x > w/2 {
					v += rng.IntN(noise+1) - noise/2
				}
				v = min(max(v, 0), top)
				plane.Data[y*plane.StrideBytes+x*n] = byte(v)
				if n == 2 {
					plane.Data[y*plane.StrideBytes+x*n+1] = byte(v >> 8)
				}
			}
		}
		p.Planes[i] = plane
	}
	return p
}

// Every feature has the same bits on the processor and on a GPU, whatever the layout of chroma, with renditions that were encoded in different
// sizes, some of them absent or left out by subsampling.
func TestExtractors_sameBitsOnEveryBackend(t *testing.T) {
	backend := openGPU(t, BackendConfig{})
	if testing.Short() {
		t.Skip("takes long on the software device; not under -short")
	}
	encoded := []vmaf.Encoded{{}, {Width: 190, Height: 222, BitsPerComponent: 8}, {BitsPerComponent: 8}}
	for _, f := range []vmaf.Format{
		{Width: 227, Height: 233, BitsPerComponent: 10, Subsampling: vmaf.Chroma420},
		{Width: 240, Height: 230, BitsPerComponent: 8, Subsampling: vmaf.Chroma422},
		{Width: 226, Height: 220, BitsPerComponent: 12, Subsampling: vmaf.Chroma444},
	} {
		t.Run(f.String(), func(t *testing.T) {
			extractions := allFeatures(t)
			rng := rand.New(rand.NewPCG(7, uint64(f.Width)))
			var sets []FrameSet
			for n := range 3 {
				s := FrameSet{Reference: colourPicture(rng, f, 20)}
				for d := range min(n, 2) {
					s.Previous[d] = sets[n-1-d].Reference
				}
				for k := range encoded {
					var p *vmaf.Picture
					if (n+k)%3 != 2 {
						p = colourPicture(rng, f, 20+30*k)
					}
					s.Distorted = append(s.Distorted, p)
				}
				sets = append(sets, s)
			}
			sets[1].Partial = []bool{true, false, false}
			cpu, err := NewCPU(f, encoded, extractions, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer cpu.Close()
			device, err := backend.newCUDA(f, extractions, encoded, false)
			if err != nil {
				t.Fatal(err)
			}
			defer device.Close()
			columns := ColumnsOf(extractions)
			measured := func(e Extractor, batch int) []Row {
				var rows []Row
				for range sets {
					r := Row{Reference: make([]float64, columns.Reference)}
					for range encoded {
						r.Distorted = append(r.Distorted, make([]float64, columns.Distorted))
					}
					rows = append(rows, r)
				}
				for at := 0; at < len(sets); at += batch {
					end := min(at+batch, len(sets))
					if err := e.Extract(context.Background(), sets[at:end], rows[at:end]); err != nil {
						t.Fatal(err)
					}
				}
				return rows
			}
			want := measured(cpu, 1)
			for _, batch := range []int{1, 3} {
				got := measured(device, min(batch, device.BatchFrames()))
				for n := range want {
					sameFigures(t, fmt.Sprintf("batches of %d, frame %d, reference", batch, n), extractions, columns, true, got[n].Reference, want[n].Reference)
					for k := range encoded {
						sameFigures(t, fmt.Sprintf("batches of %d, frame %d, rendition %d", batch, n, k), extractions, columns, false, got[n].Distorted[k], want[n].Distorted[k])
					}
				}
			}
		})
	}
}

func sameFigures(t *testing.T, where string, extractions []vmaf.Extraction, columns Columns, reference bool, got, want []float64) {
	t.Helper()
	for i, e := range extractions {
		if columns.ReferenceOnly[i] != reference {
			continue
		}
		for c, name := range e.Raw() {
			at := columns.Offset[i] + c
			if !near(got[at], want[at], 0) {
				t.Errorf("%s: %s of %s: %.17g on the device, %.17g on the processor", where, name, e, got[at], want[at])
			}
		}
	}
}

// A sample of more bits than there are is refused by both, in the same words.
func TestExtractors_sampleBeyondItsDepth(t *testing.T) {
	backend := openGPU(t, BackendConfig{})
	f := vmaf.Format{Width: 229, Height: 217, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	e, err := vmaf.ParseExtraction("cambi")
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := NewCPU(f, make([]vmaf.Encoded, 1), []vmaf.Extraction{e}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	device, err := backend.newCUDA(f, []vmaf.Extraction{e}, make([]vmaf.Encoded, 1), false)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, at := range [][2]int{{0, 0}, {228, 3}, {7, 216}} {
		dis := colourPicture(rng, f, 10)
		dis.Planes[0].Data[at[1]*dis.Planes[0].StrideBytes+2*at[0]+1] |= 4 // 1024
		set := []FrameSet{{Reference: colourPicture(rng, f, 10), Distorted: []*vmaf.Picture{dis}}}
		var texts []string
		for _, x := range []Extractor{cpu, device} {
			err := x.Extract(context.Background(), set, []Row{{Distorted: [][]float64{make([]float64, 1)}}})
			texts = append(texts, fmt.Sprint(err))
		}
		if texts[0] != texts[1] || !strings.Contains(texts[0], "exceeds its bit depth") {
			t.Errorf("sample %v: %q", at, texts)
		}
	}
}
