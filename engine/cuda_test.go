package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// The driver of this process is the software libcuda, where it has been built; the tests that need it skip elsewhere.
//
// It does not check the kernels' accesses here, unless the environment says so: that takes more than twice as long, and gpu's tests do it on every
// size and depth. What is won goes into more golden frames.
func TestMain(m *testing.M) {
	_ = emulator.Prepare() // emulator.Library says what is wrong, in the test that needs it
	if os.Getenv("VQSD_EMU_CHECK") == "" {
		os.Setenv("VQSD_EMU_CHECK", "0")
	}
	os.Exit(m.Run())
}

// openGPU opens the GPU, which is the software one unless the tests run on a real device.
func openGPU(t testing.TB, cfg BackendConfig) *Backend {
	t.Helper()
	emulator.Library(t)
	if cfg.Device == "" {
		cfg.Device = DeviceCUDA
	}
	b, err := OpenBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Whatever computes, and in batches of whatever size: the same bits.
func TestCUDA_sameBitsAsTheProcessor(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 100, 70, 11, "25:1", moving(1, 0))
	dis := []string{
		writeY4M(t, "a.y4m", 100, 70, 11, "25:1", moving(2, 3)),
		writeY4M(t, "b.y4m", 100, 70, 11, "25:1", moving(3, 40)),
		writeY4M(t, "small.y4m", 50, 36, 11, "25:1", moving(4, 10)),
	}
	short := writeY4M(t, "short.y4m", 100, 70, 6, "25:1", moving(5, 9))
	bicubic := decode.Bicubic
	for name, c := range map[string]struct {
		dis    []string
		change func(*Request)
	}{
		"one rendition":    {dis[:1], func(*Request) {}},
		"ladder, scaled":   {dis, func(r *Request) { r.Scale = &bicubic }},
		"one ends earlier": {append([]string{short}, dis[0]), func(r *Request) { r.Shortest = true }},
		"subsampled":       {dis[:2], func(r *Request) { r.Subsample, r.First = 3, 2 }},
		"range, offset":    {dis[:2], func(r *Request) { r.First, r.End, r.Offset = 3, 9, -2 }},
		"odd crop":         {dis[:2], func(r *Request) { r.Crop = &decode.Rect{X: 6, Y: 4, Width: 94, Height: 66} }},
		"small chunks":     {dis[:2], func(r *Request) { r.ChunkFrames = 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, ref, c.dis...)
			c.change(&req)
			want := mustMeasure(t, req)
			for _, batch := range []int{0, 1, 3} {
				req.Backend = openGPU(t, BackendConfig{BatchFrames: batch})
				got := mustMeasure(t, req)
				if !strings.HasPrefix(got.Backend, "cuda (") {
					t.Errorf("measured on %s", got.Backend)
				}
				for k := range want.Renditions {
					if err := got.Renditions[k].Err; err != nil {
						t.Fatalf("batches of %d: rendition %d: %v", batch, k, err)
					}
					sameTable(t, got.Renditions[k].Table, want.Renditions[k].Table)
				}
			}
		})
	}
}

// goldenFrames is how many frames of a pair of that size are measured on the software device: the fewer the larger they are.
// VQSD_GOLDEN_EMULATED=all takes all of them.
func goldenFrames(t *testing.T, width, height int) int64 {
	if os.Getenv(emulator.EnvDevice) == "1" || os.Getenv("VQSD_GOLDEN_EMULATED") == "all" {
		return math.MaxInt32
	}
	if testing.Short() {
		t.Skip("takes long on the software device; not under -short")
	}
	if width*height <= 321*241 {
		return 24
	}
	return max(2, 6*576*324/int64(width*height))
}

// The golden figures, to the bit: of all pairs, and as many frames as there is time for.
func TestGolden_onCUDA(t *testing.T) {
	backend := openGPU(t, BackendConfig{BatchFrames: 6}) // what lies in the device's memory lies in this machine's on a software one
	for _, pair := range golden.Pairs(t) {
		t.Run(pair, func(t *testing.T) {
			table := golden.Scores(t, pair)
			req := goldenRequest(t, table, goldenPlan(t, table))
			c := mustOpen(t, req)
			d := c.Describe()
			if err := d.Renditions[0].Err; err != nil {
				t.Fatal(err)
			}
			format := d.Renditions[0].Format
			most := goldenFrames(t, format.Width, format.Height)
			all := d.End >= 0 && d.End-d.First <= most
			if !all {
				req.End = req.First + most
			}
			req.Backend = backend
			got := mustMeasure(t, req).Renditions[0]
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			if all {
				compareGolden(t, got.Table, table)
			} else {
				compareGoldenStart(t, got.Table, table)
			}
		})
	}
}

// compareGoldenStart compares the first frames of a pair, but for the last two measured ones, whose motion depends on frames that
// were not measured.
func compareGoldenStart(t *testing.T, got *vmaf.Table, want *golden.Table) {
	t.Helper()
	part := &golden.Table{Columns: slices.Clone(want.Columns)}
	n := got.Frames
	start := &vmaf.Table{Frames: n, Series: slices.Clone(got.Series)}
	for i := range start.Series {
		name := vmaf.Alias(start.Series[i].Name)
		keep := n
		if strings.HasPrefix(name, "vmaf") || strings.HasPrefix(name, "integer_motion") {
			keep -= 2
		}
		start.Series[i].Values = start.Series[i].Values[:max(keep, 0)]
		for k := range part.Columns {
			if part.Columns[k].Name == name {
				part.Columns[k].Values = part.Columns[k].Values[:max(keep, 0)]
				part.Columns[k].Present = part.Columns[k].Present[:max(keep, 0)]
			}
		}
	}
	compareGolden(t, start, part)
}

// extractorContract holds an implementation to what Extractor's comment promises.
func extractorContract(t *testing.T, open func(format vmaf.Format, renditions int, extractions []vmaf.Extraction) (Extractor, error)) {
	const frames, renditions = 7, 3
	format := vmaf.Format{Width: 67, Height: 49, BitsPerComponent: 10}
	plan := testPlan(t)
	picture := func(n, k int) *vmaf.Picture {
		p := vmaf.Plane{StrideBytes: 2*format.Width + 6, Width: format.Width, Height: format.Height}
		p.Data = slices.Repeat([]byte{0}, p.StrideBytes*p.Height)
		for y := range p.Height {
			for x := range p.Width {
				v := (x*x/3 + y*n*5 + x*y*(k+1)/7 + 40*k) % 1024
				p.Data[y*p.StrideBytes+2*x], p.Data[y*p.StrideBytes+2*x+1] = byte(v), byte(v>>8)
			}
		}
		return &vmaf.Picture{Format: format, Planes: [3]vmaf.Plane{p}}
	}
	var refs []*vmaf.Picture
	for n := range frames {
		refs = append(refs, picture(n, 0))
	}
	sets := []FrameSet{}
	for n := range frames {
		s := FrameSet{Reference: refs[n]}
		for d := range s.Previous {
			if n-1-d >= 0 {
				s.Previous[d] = refs[n-1-d]
			}
		}
		for k := range renditions {
			if (n+k)%4 == 0 { // not measured at this frame
				s.Distorted = append(s.Distorted, nil)
				continue
			}
			s.Distorted = append(s.Distorted, picture(n, k+1))
		}
		sets = append(sets, s)
	}
	columns := ColumnsOf(plan.Extractions)
	newRows := func(n int) []Row {
		var rows []Row
		for range n {
			r := Row{Reference: slices.Repeat([]float64{-7}, columns.Reference)}
			for range renditions {
				r.Distorted = append(r.Distorted, slices.Repeat([]float64{-7}, columns.Distorted))
			}
			rows = append(rows, r)
		}
		return rows
	}
	e, err := open(format, renditions, plan.Extractions)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if e.BatchFrames() < 1 || e.Workers() < 1 || e.Describe() == "" {
		t.Fatalf("batches of %d frames, %d workers, %q", e.BatchFrames(), e.Workers(), e.Describe())
	}
	split := func(size int) []Row {
		rows := newRows(frames)
		for at := 0; at < frames; at += size {
			end := min(at+size, frames)
			if err := e.Extract(context.Background(), sets[at:end], rows[at:end]); err != nil {
				t.Fatal(err)
			}
		}
		return rows
	}
	before := fmt.Sprint(refs[3].Planes[0].Data)
	want := split(1)
	for n := range want {
		for k, d := range want[n].Distorted {
			if absent := sets[n].Distorted[k] == nil; absent != (slices.Max(d) == -7 && slices.Min(d) == -7) {
				t.Errorf("frame %d, rendition %d: absent %v, figures %v", n, k, absent, d)
			}
		}
	}
	if slices.ContainsFunc(want[0].Reference, func(v float64) bool { return v != 0 }) {
		t.Errorf("motion of a frame without predecessors: %v", want[0].Reference)
	}
	for size := 2; size <= min(frames, e.BatchFrames()); size++ {
		if got := split(size); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("batches of %d give other figures:\n%v\n%v", size, got, want)
		}
	}
	var group sync.WaitGroup
	for range 2 * e.Workers() {
		group.Go(func() {
			rows := newRows(1)
			if err := e.Extract(context.Background(), sets[4:5], rows); err != nil {
				t.Error(err)
			} else if fmt.Sprint(rows[0]) != fmt.Sprint(want[4]) {
				t.Errorf("another goroutine's figures differ: %v", rows[0])
			}
		})
	}
	group.Wait()
	if fmt.Sprint(refs[3].Planes[0].Data) != before {
		t.Error("a picture was written to")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Extract(ctx, sets[:1], newRows(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before it began: %v", err)
	}
}

func TestExtractor_contract(t *testing.T) {
	t.Run("cpu", func(t *testing.T) {
		extractorContract(t, func(f vmaf.Format, renditions int, e []vmaf.Extraction) (Extractor, error) {
			return NewCPU(f, make([]vmaf.Encoded, renditions), e, 2)
		})
	})
	t.Run("cuda", func(t *testing.T) {
		b := openGPU(t, BackendConfig{})
		extractorContract(t, func(f vmaf.Format, renditions int, e []vmaf.Extraction) (Extractor, error) {
			return b.newCUDA(f, e, make([]vmaf.Encoded, renditions), false)
		})
	})
}

func TestOpenBackend(t *testing.T) {
	for _, device := range []Device{DeviceCPU, ""} {
		b, err := OpenBackend(BackendConfig{Device: device})
		if err != nil {
			t.Fatal(err)
		}
		if device == DeviceCPU && (b.Name() != "cpu" || !strings.HasPrefix(b.Describe(), "cpu (")) {
			t.Errorf("the processor: %s, %s", b.Name(), b.Describe())
		}
		if b.Notice() != "" || b.Err() != nil {
			t.Errorf("%q: notice %q, error %v", device, b.Notice(), b.Err())
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := OpenBackend(BackendConfig{Device: "cuda:200"})
	if !errors.Is(err, ErrDevice) || !strings.Contains(err.Error(), "cuda:200") {
		t.Errorf("no such device: %v", err)
	}
	_, err = OpenBackend(BackendConfig{Device: "gpu", MemoryLimitBytes: -1, BatchFrames: 257})
	for _, want := range []string{`"gpu" is no device`, "-1 bytes is negative", "257 frames is not in 0 … 256"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// Memory that does not suffice for large batches suffices for small ones; where it does not for one frame, the error says so.
func TestCUDA_littleMemory(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 100, 70, 9, "25:1", moving(1, 0))
	req := request(t, ref, writeY4M(t, "a.y4m", 100, 70, 9, "25:1", moving(2, 3)))
	want := mustMeasure(t, req)
	format := vmaf.Format{Width: 100, Height: 70, BitsPerComponent: 8}
	f, err := featuresOf(req.Plan.Extractions, format, make([]vmaf.Encoded, 1))
	if err != nil {
		t.Fatal(err)
	}
	one := f.plan(1, 1).Bytes()
	req.Backend = openGPU(t, BackendConfig{MemoryLimitBytes: 5 * one})
	sameTable(t, mustMeasure(t, req).Renditions[0].Table, want.Renditions[0].Table)

	req.Backend = openGPU(t, BackendConfig{MemoryLimitBytes: one / 2})
	if _, err := Measure(context.Background(), req); !errors.Is(err, ErrDeviceFailed) || !strings.Contains(err.Error(), "one frame of 100x70") {
		t.Errorf("got %v", err)
	}
	// auto goes on without
	req.Backend = openGPU(t, BackendConfig{Device: DeviceAuto, MemoryLimitBytes: one / 2})
	got := mustMeasure(t, req)
	if !strings.HasPrefix(got.Backend, "cpu (") || !strings.Contains(req.Backend.Notice(), "the processor took over") {
		t.Errorf("backend %s, notice %q", got.Backend, req.Backend.Notice())
	}
	sameTable(t, got.Renditions[0].Table, want.Renditions[0].Table)
}
