package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// sameTable requires two tables to be equal to the bit.
func sameTable(t *testing.T, got, want *vmaf.Table) {
	t.Helper()
	if got.Frames != want.Frames || len(got.Series) != len(want.Series) {
		t.Fatalf("%d frames of %d series, want %d of %d", got.Frames, len(got.Series), want.Frames, len(want.Series))
	}
	for k, s := range want.Series {
		for i, v := range s.Values {
			if g := got.Series[k].Values[i]; math.Float64bits(g) != math.Float64bits(v) {
				t.Errorf("%s of frame %d: got %.17g, want %.17g", s.Name, i, g, v)
				break
			}
		}
	}
}

func mustMeasure(t *testing.T, req Request) *Result {
	t.Helper()
	result, err := Measure(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Nothing that only divides the work may change a bit: chunks, threads, what else is in the ladder, vector target.
func TestMeasure_divisionOfWorkNeverMatters(t *testing.T) {
	const w, h, frames = 131, 77, 23
	ref := writeY4M(t, "ref.y4m", w, h, frames, "25:1", moving(1, 0))
	dis := []string{
		writeY4M(t, "a.y4m", w, h, frames, "25:1", moving(2, 3)),
		writeY4M(t, "b.y4m", w, h, frames, "25:1", moving(3, 12)),
		writeY4M(t, "c.y4m", w/2, h/2, frames, "25:1", moving(4, 6)),
	}
	var want []*vmaf.Table
	for _, path := range dis {
		req := request(t, ref, path)
		req.Threads = 1
		want = append(want, mustMeasure(t, req).Renditions[0].Table)
	}
	for _, chunk := range []int64{0, 1, 2, 3, 7, 22, 23, 100} {
		for _, threads := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("chunk %d, threads %d", chunk, threads), func(t *testing.T) {
				req := request(t, ref, dis...)
				req.ChunkFrames, req.Threads = chunk, threads
				result := mustMeasure(t, req)
				for k := range want {
					sameTable(t, result.Renditions[k].Table, want[k])
				}
			})
		}
	}
	before := cpu.Target()
	defer func() {
		if err := cpu.SetTarget(before); err != nil {
			t.Error(err)
		}
	}()
	for _, target := range cpu.Targets() {
		t.Run(target, func(t *testing.T) {
			if err := cpu.SetTarget(target); err != nil {
				t.Fatal(err)
			}
			result := mustMeasure(t, request(t, ref, dis...))
			for k := range want {
				sameTable(t, result.Renditions[k].Table, want[k])
			}
			if got, want := result.Backend, "cpu ("+target+")"; got != want {
				t.Errorf("backend %q, want %q", got, want)
			}
		})
	}
}

// A range of frames is measured as if the files began there, and an offset as if the distorted one did.
func TestMeasure_rangeAndOffsetEqualCutFiles(t *testing.T) {
	const w, h, frames = 64, 48, 12
	shift := func(by int, f func(n, x, y int) byte) func(n, x, y int) byte {
		return func(n, x, y int) byte { return f(n+by, x, y) }
	}
	noisy := func(n, x, y int) byte { return moving(1, 0)(n, x, y)/2 + byte((x*y+n)%19) }
	ref := writeY4M(t, "ref.y4m", w, h, frames, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", w, h, frames, "25:1", noisy)
	cutRef := writeY4M(t, "cutref.y4m", w, h, 5, "25:1", shift(3, moving(1, 0)))
	cutDis := writeY4M(t, "cutdis.y4m", w, h, 5, "25:1", shift(5, noisy))

	want := mustMeasure(t, request(t, cutRef, cutDis)).Renditions[0].Table
	req := request(t, ref, dis)
	req.First, req.End, req.Offset = 3, 8, 2
	result := mustMeasure(t, req)
	sameTable(t, result.Renditions[0].Table, want)
	if r := result.Renditions[0]; r.First != 3 || r.End != 8 || r.Offset != 2 {
		t.Errorf("provenance says %d:%d offset %d", r.First, r.End, r.Offset)
	}
	req.ChunkFrames = 2
	sameTable(t, mustMeasure(t, req).Renditions[0].Table, want)
}

func TestMeasure_negativeOffsetStartsLater(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 10, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 64, 48, 10, "25:1", moving(1, 0))
	req := request(t, ref, dis, ref)
	req.Offset = -3
	if _, err := Measure(context.Background(), req); err == nil {
		t.Fatal("an offset that leaves frames without counterpart is accepted without Shortest")
	}
	req.Shortest = true
	result := mustMeasure(t, req)
	if r := result.Renditions[0]; r.First != 3 || r.End != 10 || r.Table.Frames != 7 {
		t.Errorf("compared %d:%d, %d frames; want 3:10, 7", r.First, r.End, r.Table.Frames)
	}
	motion, _ := result.Renditions[0].Table.Column("VMAF_integer_feature_motion2_score")
	if motion.Values[0] != 0 {
		t.Errorf("motion of the first pair is %g, want 0", motion.Values[0])
	}
}

func TestMeasure_subsampleLeavesOutAllButMotion(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 9, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 64, 48, 9, "25:1", moving(1, 5))
	all := mustMeasure(t, request(t, ref, dis)).Renditions[0].Table
	req := request(t, ref, dis)
	req.Subsample = 3
	some := mustMeasure(t, req).Renditions[0].Table
	for k, s := range some.Series {
		for i := range s.Values {
			v, ok := s.At(i)
			wantPresent := i%3 == 0 || strings.Contains(s.Name, "motion")
			if ok != wantPresent {
				t.Errorf("%s of frame %d: present %v, want %v", s.Name, i, ok, wantPresent)
			}
			if ok && v != all.Series[k].Values[i] {
				t.Errorf("%s of frame %d: %g, want %g", s.Name, i, v, all.Series[k].Values[i])
			}
		}
	}
}

func TestMeasure_timestampsPairByTime(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 20, "50:1", func(n, x, y int) byte { return moving(1, 0)(n, x, y) })
	// Half the rate: every second picture.
	dis := writeY4M(t, "dis.y4m", 64, 48, 10, "25:1", func(n, x, y int) byte { return moving(1, 0)(2*n, x, y) })
	req := request(t, ref, dis)
	_, err := Measure(context.Background(), req)
	var ambiguous *AmbiguousError
	if !errors.As(err, &ambiguous) || !strings.Contains(err.Error(), "--pairing timestamp") {
		t.Fatalf("rates that differ: %v, want an AmbiguousError that names the flag", err)
	}
	req.Pairing = PairTimestamp
	r := mustMeasure(t, req).Renditions[0]
	if r.Table.Frames != 20 || r.Repeated != 10 || r.Dropped != 0 || r.Pairing != PairTimestamp {
		t.Errorf("%d frames, %d repeated, %d dropped, by %v; want 20, 10, 0, timestamp", r.Table.Frames, r.Repeated, r.Dropped, r.Pairing)
	}
	vif, _ := r.Table.Column("VMAF_integer_feature_vif_scale3_score")
	for i := 0; i < 20; i += 2 {
		if vif.Values[i] < 0.999 {
			t.Errorf("frame %d meets its own picture but has vif %g", i, vif.Values[i])
		}
	}
	req = request(t, dis, ref) // and the other way round: every second distorted picture is passed over
	req.Pairing = PairTimestamp
	if r := mustMeasure(t, req).Renditions[0]; r.Table.Frames != 10 || r.Repeated != 0 || r.Dropped != 9 {
		t.Errorf("%d frames, %d repeated, %d dropped; want 10, 0, 9", r.Table.Frames, r.Repeated, r.Dropped)
	}
}

func TestMeasure_lengthsThatDiffer(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 6, "25:1", moving(1, 0))
	short := writeY4M(t, "short.y4m", 64, 48, 4, "25:1", moving(1, 2))
	long := writeY4M(t, "long.y4m", 64, 48, 9, "25:1", moving(1, 3))
	same := writeY4M(t, "same.y4m", 64, 48, 6, "25:1", moving(1, 4))
	for _, pairing := range []Pairing{PairAuto, PairIndex, PairTimestamp} {
		for _, dis := range []string{short, long} {
			req := request(t, ref, dis)
			req.Pairing = pairing
			_, err := Measure(context.Background(), req)
			var ambiguous *AmbiguousError
			if !errors.As(err, &ambiguous) || ambiguous.Path != dis || !strings.Contains(err.Error(), "--shortest") {
				t.Errorf("%v, %s: %v, want an AmbiguousError that names the file and the flag", pairing, filepath.Base(dis), err)
			}
		}
	}
	req := request(t, ref, short, long, same)
	result, err := Measure(context.Background(), req)
	if err != nil {
		t.Fatalf("one good rendition among bad ones: %v", err)
	}
	if result.Renditions[0].Err == nil || result.Renditions[1].Err == nil || result.Renditions[2].Err != nil {
		t.Errorf("errors %v, %v, %v; want two and none", result.Renditions[0].Err, result.Renditions[1].Err, result.Renditions[2].Err)
	}
	req.Shortest = true
	for k, want := range []int{4, 6, 6} {
		r := mustMeasure(t, req).Renditions[k]
		if r.Err != nil || r.Table.Frames != want {
			t.Fatalf("shortest: rendition %d: %d frames, %v; want %d", k, r.Table.Frames, r.Err, want)
		}
	}
}

func TestMeasure_refuses(t *testing.T) {
	good := writeY4M(t, "good.y4m", 64, 48, 3, "25:1", moving(1, 0))
	small := writeY4M(t, "small.y4m", 32, 24, 3, "25:1", moving(1, 0))
	wide := writeY4M(t, "wide.y4m", 96, 48, 3, "25:1", moving(1, 0))
	none := decode.NoScale
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"no file":             {func(r *Request) { r.Reference.Path = "/nonexistent.y4m" }, "nonexistent.y4m"},
		"no rendition":        {func(r *Request) { r.Distorted = nil }, "0 renditions"},
		"two streams":         {func(r *Request) { r.Reference.Path, r.Distorted[0].Path = "-", "-" }, "standard input"},
		"empty range":         {func(r *Request) { r.First, r.End = 2, 2 }, "range 2:2 is empty"},
		"range beyond":        {func(r *Request) { r.End = 9 }, "has 3 frames"},
		"too small":           {func(r *Request) { r.Reference.Path, r.Distorted[0].Path = small, small }, "at least 33×33"},
		"shape":               {func(r *Request) { r.Distorted[0].Path = wide }, "--scale bicubic"},
		"no scaling":          {func(r *Request) { r.Distorted[0].Path, r.Scale = small, &none }, "--scale"},
		"offset and time":     {func(r *Request) { r.Pairing, r.Offset = PairTimestamp, 1 }, "offset"},
		"threads":             {func(r *Request) { r.Threads = -1 }, "threads: -1"},
		"crop leaves picture": {func(r *Request) { r.Crop = &decode.Rect{X: 32, Y: 0, Width: 40, Height: 40} }, "leaves the picture"},
		"offset beyond":       {func(r *Request) { r.Offset, r.Shortest = 5, true }, "no frame to compare"},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, good, good)
			c.change(&req)
			_, err := Measure(context.Background(), req)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if unfit := name == "range beyond" || name == "offset beyond"; errors.Is(err, ErrUnfit) != unfit {
				t.Errorf("%v is ErrUnfit: %v, want %v", err, !unfit, unfit)
			}
		})
	}
}

func TestMeasure_cropEqualsCroppedFiles(t *testing.T) {
	crop := decode.Rect{X: 10, Y: 6, Width: 70, Height: 50}
	shifted := func(f func(n, x, y int) byte) func(n, x, y int) byte {
		return func(n, x, y int) byte { return f(n, x+crop.X, y+crop.Y) }
	}
	dis := func(n, x, y int) byte { return moving(1, 0)(n, x, y) ^ byte(x*y%8) }
	want := mustMeasure(t, request(t,
		writeY4M(t, "r.y4m", crop.Width, crop.Height, 4, "25:1", shifted(moving(1, 0))),
		writeY4M(t, "d.y4m", crop.Width, crop.Height, 4, "25:1", shifted(dis))))
	req := request(t, writeY4M(t, "R.y4m", 100, 80, 4, "25:1", moving(1, 0)), writeY4M(t, "D.y4m", 100, 80, 4, "25:1", dis))
	req.Crop = &crop
	got := mustMeasure(t, req)
	sameTable(t, got.Renditions[0].Table, want.Renditions[0].Table)
	if f := got.Renditions[0].Format; f.Width != crop.Width || f.Height != crop.Height {
		t.Errorf("compared as %v", f)
	}
}

// A file cut in the middle of a frame is one rendition's failure, and says where.
func TestMeasure_damagedRenditionFailsAlone(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 8, "25:1", moving(1, 0))
	good := writeY4M(t, "good.y4m", 64, 48, 8, "25:1", moving(1, 2))
	cut := writeY4M(t, "cut.y4m", 64, 48, 8, "25:1", moving(1, 3))
	info, err := os.Stat(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(cut, info.Size()-1000); err != nil {
		t.Fatal(err)
	}
	result := mustMeasure(t, request(t, ref, cut, good))
	var frame *decode.FrameError
	if err := result.Renditions[0].Err; !errors.As(err, &frame) || frame.Path != cut || frame.Frame != 7 {
		t.Errorf("cut rendition: %v, want a FrameError for frame 7 of it", err)
	}
	sameTable(t, result.Renditions[1].Table, mustMeasure(t, request(t, ref, good)).Renditions[0].Table)
	if _, err := Measure(context.Background(), request(t, cut, good)); !errors.As(err, &frame) || frame.Path != cut {
		t.Errorf("cut reference: %v, want a FrameError of it", err)
	}
}

// A measurement that is cancelled before any chunk began is cancelled, not one of a video without frames.
func TestMeasure_cancelledBeforeTheFirstChunk(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 5, "25:1", moving(1, 0))
	req := request(t, ref, ref)
	c, err := open(t.Context(), &req)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &measurement{c: c, figures: assembly{c: c}, over: make([]bool, len(c.renditions))}
	if err := m.run(ctx, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMeasure_cancelledSoonAndCompletely(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 640, 360, 60, "25:1", moving(1, 0))
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	req := request(t, ref, ref, ref)
	started := make(chan struct{})
	req.Progress = func(p Progress) {
		if p.Done >= 1 {
			select {
			case <-started:
			default:
				close(started)
			}
		}
	}
	ended := make(chan error)
	go func() {
		_, err := Measure(ctx, req)
		ended <- err
	}()
	<-started
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled measurement: %v", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines are left, %d were there before", n, before)
	}
}

func TestMeasure_progressReachesTheEnd(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 7, "25:1", moving(1, 0))
	req := request(t, ref, ref)
	var last Progress
	req.Progress = func(p Progress) { last = p }
	mustMeasure(t, req)
	if last.Done != 7 || last.Total != 7 {
		t.Errorf("last progress %d of %d, want 7 of 7", last.Done, last.Total)
	}
}

// A stream's length is known only at its end; one that is longer or shorter than the reference is refused all the same.
func TestMeasure_streamsOfAnotherLength(t *testing.T) {
	file := writeY4M(t, "file.y4m", 64, 48, 6, "25:1", moving(1, 0))
	for frames, want := range map[int]string{5: "ends before", 6: "", 7: "goes on after"} {
		for _, streamIsReference := range []bool{false, true} {
			for _, shortest := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d frames, reference %v, shortest %v", frames, streamIsReference, shortest), func(t *testing.T) {
					other := writeY4M(t, "stream.y4m", 64, 48, frames, "25:1", moving(1, 2))
					fifo := filepath.Join(t.TempDir(), "fifo")
					if err := syscall.Mkfifo(fifo, 0o600); err != nil {
						t.Fatal(err)
					}
					written := make(chan error, 1)
					go func() {
						data, err := os.ReadFile(other)
						if err == nil {
							err = os.WriteFile(fifo, data, 0o600)
						}
						written <- err
					}()
					req := request(t, file, fifo)
					if streamIsReference {
						req = request(t, fifo, file)
					}
					req.Shortest = shortest
					result, err := Measure(context.Background(), req)
					if err := <-written; err != nil && !errors.Is(err, syscall.EPIPE) {
						t.Fatal(err)
					}
					switch {
					case want == "" || shortest:
						if err != nil {
							t.Fatal(err)
						}
						if got := result.Renditions[0].Table.Frames; got != min(frames, 6) {
							t.Errorf("%d frames compared, want %d", got, min(frames, 6))
						}
					default:
						var ambiguous *AmbiguousError
						if !errors.As(err, &ambiguous) {
							t.Errorf("got %v, want an AmbiguousError", err)
						}
						if !streamIsReference && !strings.Contains(fmt.Sprint(err), want) {
							t.Errorf("got %v, want %q in it", err, want)
						}
					}
				})
			}
		}
	}
}

// Under Shortest a range of frames may go on after the end of a stream, on either side.
func TestMeasure_streamsOfFewerFramesThanTheRange(t *testing.T) {
	file := writeY4M(t, "file.y4m", 64, 48, 9, "25:1", moving(1, 0))
	for _, c := range []struct{ frames, end, want int }{{5, 8, 4}, {5, 4, 3}, {5, 5, 4}, {1, 8, 0}} {
		for _, streams := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			t.Run(fmt.Sprintf("%d frames, range 1:%d, streams %v", c.frames, c.end, streams), func(t *testing.T) {
				content, err := os.ReadFile(writeY4M(t, "stream.y4m", 64, 48, c.frames, "25:1", moving(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				inputs := [2]string{file, file}
				for i, isStream := range streams {
					if !isStream {
						continue
					}
					inputs[i] = filepath.Join(t.TempDir(), "fifo")
					if err := syscall.Mkfifo(inputs[i], 0o600); err != nil {
						t.Fatal(err)
					}
					written := make(chan error, 1)
					go func() { written <- os.WriteFile(inputs[i], content, 0o600) }()
					defer func() {
						if err := <-written; err != nil && !errors.Is(err, syscall.EPIPE) {
							t.Error(err)
						}
					}()
				}
				req := request(t, inputs[0], inputs[1])
				req.First, req.End, req.Shortest = 1, int64(c.end), true
				result, err := Measure(context.Background(), req)
				if c.want == 0 {
					if err == nil {
						t.Errorf("%d frames measured of none", result.Renditions[0].Table.Frames)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := result.Renditions[0].Table.Frames; got != c.want {
					t.Errorf("%d frames measured, want %d", got, c.want)
				}
			})
		}
	}
}

// One and two frames have no motion to speak of, and are measured all the same.
func TestMeasure_shortClips(t *testing.T) {
	for frames := 1; frames <= 3; frames++ {
		ref := writeY4M(t, "ref.y4m", 64, 48, frames, "25:1", moving(1, 0))
		if got := mustMeasure(t, request(t, ref, ref)).Renditions[0].Table.Frames; got != frames {
			t.Errorf("%d frames measured, want %d", got, frames)
		}
	}
}
