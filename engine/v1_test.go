package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// writeColour writes a y4m file of pictures with bands and noise, in luma and in chroma. At more than 8 bits they are those of 8, shifted.
func writeColour(t *testing.T, name string, width, height, bits, frames int, seed uint64, noise int) string {
	t.Helper()
	format := vmaf.Format{Width: width, Height: height, BitsPerComponent: 8, Subsampling: vmaf.Chroma420}
	colour := "420jpeg"
	if bits > 8 {
		colour = fmt.Sprintf("420p%d", bits)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C%s\n", width, height, colour)
	rng := rand.New(rand.NewPCG(seed, uint64(noise)))
	for range frames {
		b.WriteString("FRAME\n")
		for _, plane := range colourPicture(rng, format, noise).Planes {
			for y := range plane.Height {
				for _, v := range plane.Data[y*plane.StrideBytes:][:plane.Width] {
					if bits == 8 {
						b.WriteByte(v)
						continue
					}
					wide := int(v) << (bits - 8)
					b.Write([]byte{byte(wide), byte(wide >> 8)})
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secondPlan measures VMAF v1, for high frame rates, too, beside the first generation and the classic metrics.
func secondPlan(t *testing.T) *vmaf.Plan {
	t.Helper()
	var models []*vmaf.Model
	for _, spec := range []string{"vmaf_v0.6.1", "vmaf_v1.0.16_3d0h:name=v1", "vmaf_v1.0.16_hfr_3d0h:name=hfr"} {
		m, err := vmaf.ParseModel(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	var features []vmaf.Extraction
	for _, text := range []string{"psnr:enable_apsnr=true", "float_ssim", "float_ms_ssim", "psnr_hvs", "ciede"} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		features = append(features, e)
	}
	plan, err := vmaf.NewPlan(models, features)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// Chunks, threads and the ladder do not change a bit of VMAF v1, of its motion over five frames at the borders of chunks, or of the
// classic metrics, with renditions that were encoded in other sizes and depths than they are compared in.
func TestMeasure_divisionOfWorkNeverMattersForV1(t *testing.T) {
	const w, h, frames = 336, 324, 7
	ref := decode.Input{Path: writeColour(t, "ref.y4m", w, h, 8, frames, 1, 16)}
	dis := []decode.Input{
		{Path: writeColour(t, "a.y4m", w, h, 8, frames, 2, 30)},
		{Path: writeColour(t, "b.y4m", w/4*3, h/4*3, 8, frames, 3, 20)},
		{Path: writeColour(t, "c.y4m", w, h, 10, frames, 4, 50)},
	}
	base := Request{Reference: ref, Plan: secondPlan(t), BitsPerComponent: 10, EncodedByFile: true, Threads: 1, Subsample: 2}
	var want []Rendition
	for _, d := range dis {
		req := base
		req.Distorted = []decode.Input{d}
		want = append(want, mustMeasure(t, req).Renditions[0])
	}
	for k, encoded := range []vmaf.Encoded{{BitsPerComponent: 8}, {Width: w / 4 * 3, Height: h / 4 * 3, BitsPerComponent: 8}, {}} {
		if want[k].Err != nil || want[k].Encoded != encoded || want[k].Format.BitsPerComponent != 10 {
			t.Fatalf("rendition %d: %v, encoded in %+v, compared in %v", k, want[k].Err, want[k].Encoded, want[k].Format)
		}
	}
	for k, name := range []string{"cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8", "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_243_encw_252", "cambi_hrs_1080_cmxv_17_vlt_0.06"} {
		if _, ok := want[k].Table.Column(name); !ok {
			t.Errorf("rendition %d has no column %s", k, name)
		}
	}
	for _, chunk := range []int64{0, 1, 2, 3, 5} {
		for _, threads := range []int{1, 3} {
			req := base
			req.Distorted, req.ChunkFrames, req.Threads = dis, chunk, threads
			got := mustMeasure(t, req)
			for k := range want {
				if got.Renditions[k].Err != nil {
					t.Fatal(got.Renditions[k].Err)
				}
				sameTable(t, got.Renditions[k].Table, want[k].Table)
				if !slices.Equal(got.Renditions[k].Table.Aggregates, want[k].Table.Aggregates) {
					t.Errorf("chunks of %d, %d threads: aggregates %v, want %v", chunk, threads, got.Renditions[k].Table.Aggregates, want[k].Table.Aggregates)
				}
			}
		}
	}
}

// What is compared at 10 bits is what a file of 10 bits would be, if CAMBI is told of the 8.
func TestMeasure_widened(t *testing.T) {
	const w, h, frames = 330, 322, 3
	measured := func(bits int) Rendition {
		req := Request{
			Reference:        decode.Input{Path: writeColour(t, "ref.y4m", w, h, bits, frames, 1, 16)},
			Distorted:        []decode.Input{{Path: writeColour(t, "dis.y4m", w, h, bits, frames, 2, 30)}},
			Plan:             secondPlan(t),
			BitsPerComponent: 10, Threads: 2,
			Treatments: nil,
		}
		if bits == 10 {
			req.BitsPerComponent = 0
			req.Treatments = []Treatment{{Encoded: vmaf.Encoded{BitsPerComponent: 8}}}
		} else {
			req.EncodedByFile = true
		}
		return mustMeasure(t, req).Renditions[0]
	}
	narrow, wide := measured(8), measured(10)
	if narrow.Conversion != "8 to 10 bit by shifting" || wide.Conversion != "" {
		t.Errorf("conversions %q and %q", narrow.Conversion, wide.Conversion)
	}
	sameTable(t, narrow.Table, wide.Table)
}

func TestMeasure_heatMaps(t *testing.T) {
	const w, h, frames = 240, 230, 3
	banded := writeColour(t, "banded.y4m", w, h, 8, frames, 1, 0)
	noisy := writeColour(t, "noisy.y4m", w, h, 8, frames, 1, 120)
	e, err := vmaf.ParseExtraction("cambi")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := vmaf.NewPlan(nil, []vmaf.Extraction{e})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	sums := map[[3]int64]uint64{}
	req := Request{
		Reference: decode.Input{Path: noisy}, Distorted: []decode.Input{{Path: banded}, {Path: noisy}}, Plan: plan, Threads: 2, ChunkFrames: 2,
		HeatMaps: func(m HeatMap) error {
			width, height := w, h
			for range m.Scale {
				width, height = (width+1)/2, (height+1)/2
			}
			if m.Width != width || m.Height != height || len(m.Samples) != width*height {
				t.Errorf("scale %d: %d samples of %dx%d, want %dx%d", m.Scale, len(m.Samples), m.Width, m.Height, width, height)
			}
			sum := uint64(0)
			for _, v := range m.Samples {
				sum += uint64(v)
			}
			mu.Lock()
			defer mu.Unlock()
			sums[[3]int64{int64(m.Rendition), m.Frame, int64(m.Scale)}] = sum
			return nil
		},
	}
	result := mustMeasure(t, req)
	for k := range int64(2) {
		if result.Renditions[k].Err != nil {
			t.Fatal(result.Renditions[k].Err)
		}
		for n := range int64(frames) {
			for s := range int64(5) {
				if _, ok := sums[[3]int64{k, n, s}]; !ok {
					t.Errorf("no map of rendition %d, frame %d, scale %d", k, n, s)
				}
			}
			if score, sum := result.Renditions[k].Table.Series[0].Values[n], sums[[3]int64{k, n, 0}]; (score > 1) != (sum > 1000*w) {
				t.Errorf("rendition %d, frame %d: score %g, and the map of the first scale sums up to %d", k, n, score, sum)
			}
		}
	}
	if result.Renditions[0].Table.Series[0].Values[0] <= result.Renditions[1].Table.Series[0].Values[0] {
		t.Error("noise bands more than bands do")
	}
	stop := errors.New("disk full")
	req.HeatMaps = func(HeatMap) error { return stop }
	if _, err := Measure(context.Background(), req); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of who was told", err)
	}
	req.Plan = testPlan(t)
	if _, err := Measure(context.Background(), req); !errors.Is(err, errNoBanding) {
		t.Errorf("a plan without CAMBI: %v", err)
	}
}
