package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// writeDeepY4M is writeY4M with 10 bits a sample.
func writeDeepY4M(t testing.TB, name string, width, height, frames int, rate string, sample func(n, x, y int) uint16) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F%s Ip A1:1 C420p10\n", width, height, rate)
	put := func(v uint16) { b.Write(binary.LittleEndian.AppendUint16(nil, v)) }
	for n := range frames {
		b.WriteString("FRAME\n")
		for y := range height {
			for x := range width {
				put(sample(n, x, y))
			}
		}
		for range 2 * ((width + 1) / 2) * ((height + 1) / 2) {
			put(512)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t *testing.T, req Request) *Comparison {
	t.Helper()
	c, err := Open(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, d := range c.renditions {
			if d.video != nil && d.video.Held() != 0 {
				t.Errorf("%s: %d frames are still held", d.info.Path, d.video.Held())
			}
		}
		if n := c.ref.Held(); n != 0 {
			t.Errorf("%s: %d frames are still held", c.refInfo.Path, n)
		}
	})
	return c
}

func mustExtract(t *testing.T, c *Comparison, w Work) *Figures {
	t.Helper()
	f, err := c.Extract(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// randomWorks cuts a comparison at random: frames into runs, and each run by renditions and by extractions. The works come in
// random order.
func randomWorks(rng *rand.Rand, c *Comparison, extractions []vmaf.Extraction) []Work {
	var works []Work
	for first := c.first; first < c.end; {
		end := min(first+1+rng.Int64N(1+rng.Int64N(c.end-c.first)), c.end)
		renditions := rng.Perm(len(c.renditions))
		for len(renditions) > 0 {
			n := 1 + rng.IntN(len(renditions))
			shuffled := slices.Clone(extractions)
			rng.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
			for len(shuffled) > 0 {
				m := 1 + rng.IntN(len(shuffled))
				works = append(works, Work{
					Extractions: shuffled[:m], Renditions: renditions[:n], First: first, End: end, Threads: rng.IntN(3),
				})
				shuffled = shuffled[m:]
			}
			renditions = renditions[n:]
		}
		first = end
	}
	rng.Shuffle(len(works), func(i, k int) { works[i], works[k] = works[k], works[i] })
	return works
}

// extractAll measures works, several at a time, and brings them together.
func extractAll(t *testing.T, c *Comparison, works []Work) *assembly {
	t.Helper()
	all := &assembly{c: c}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(3)
	for _, w := range works {
		group.Go(func() error {
			f, err := c.Extract(context.Background(), w)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(f)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// However a comparison is cut into works, and in whatever order and company these run, the figures are Measure's to the bit.
func TestExtract_anyCutGivesMeasuresBits(t *testing.T) {
	const frames = 23
	noisy := func(seed uint64, damage int) func(n, x, y int) byte { return moving(seed, damage) }
	ref := writeY4M(t, "ref.y4m", 64, 48, frames, "25:1", moving(1, 0))
	same := writeY4M(t, "same.y4m", 64, 48, frames, "25:1", noisy(2, 5))
	short := writeY4M(t, "short.y4m", 64, 48, frames-6, "25:1", noisy(3, 9))
	small := writeY4M(t, "small.y4m", 48, 36, frames, "25:1", noisy(4, 3))
	deep := writeDeepY4M(t, "deep.y4m", 64, 48, frames, "25:1", func(n, x, y int) uint16 { return uint16(moving(1, 0)(n, x, y))<<2 | uint16(x+n)&3 })
	fast := writeY4M(t, "fast.y4m", 64, 48, 2*frames, "50:1", noisy(5, 4))
	cut := writeY4M(t, "cut.y4m", 64, 48, frames, "25:1", noisy(6, 4))
	info, err := os.Stat(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(cut, info.Size()-1000); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dis    []string
		change func(*Request)
	}{
		"ends early":       {[]string{cut, same}, func(r *Request) { r.OnDamage, r.Shortest = decode.Conceal, true }},
		"whole ladder":     {[]string{same, small, deep}, func(*Request) {}},
		"subsampled":       {[]string{same, deep}, func(r *Request) { r.Subsample, r.First = 3, 2 }},
		"shortest":         {[]string{short, same}, func(r *Request) { r.Shortest = true }},
		"offset and range": {[]string{same, small}, func(r *Request) { r.First, r.End, r.Offset = 4, 17, -2 }},
		"by time":          {[]string{fast, same}, func(r *Request) { r.Pairing = PairTimestamp }},
		"geometry and crop": {[]string{same, deep}, func(r *Request) {
			r.Geometry, r.Crop = &Size{80, 60}, &decode.Rect{X: 2, Y: 4, Width: 60, Height: 50}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, ref, c.dis...)
			c.change(&req)
			want := mustMeasure(t, req)
			for seed := range uint64(4) {
				c := mustOpen(t, req)
				all := extractAll(t, c, randomWorks(rand.New(rand.NewPCG(seed, 7)), c, req.Plan.Extractions))
				for k, r := range want.Renditions {
					table, first, end, err := all.table(req.Plan, k)
					if err != nil {
						t.Fatalf("seed %d, rendition %d: %v", seed, k, err)
					}
					if first != r.First || end != r.End {
						t.Errorf("seed %d, rendition %d: frames %d:%d, want %d:%d", seed, k, first, end, r.First, r.End)
					}
					sameTable(t, table, r.Table)
				}
				if n := len(c.req.Backend.pool.idle); n > maxIdleExtractors {
					t.Errorf("%d idle extractors are kept, at most %d should be", n, maxIdleExtractors)
				}
			}
		})
	}
}

// Coded files, decoded from the middle by several works at a time, give the golden figures.
func TestGolden_worksInAnyOrder(t *testing.T) {
	for _, pair := range golden.Pairs(t) {
		if !strings.HasPrefix(pair, "garden_") && !strings.HasPrefix(pair, "bikes_") {
			continue
		}
		t.Run(pair, func(t *testing.T) {
			table := golden.Scores(t, pair)
			plan := goldenPlan(t, table)
			req := goldenRequest(t, table, plan)
			req.OnDamage = decode.Strict
			c := mustOpen(t, req)
			if err := c.Describe().Renditions[0].Err; err != nil {
				t.Fatal(err)
			}
			var works []Work
			step := max(1, (c.end-c.first)/4)
			for first := c.first; first < c.end; first += step {
				works = append(works, Work{Extractions: plan.Extractions, Renditions: []int{0}, First: first, End: min(first+step, c.end), Threads: 1})
			}
			slices.Reverse(works)
			got, _, _, err := extractAll(t, c, works).table(plan, 0)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, got, table)
		})
	}
}

// Motion of the comparison's first frames does not mean anything, however the work that holds them begins; later works look back.
func TestExtract_saysFromWhereMotionIsValid(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 10, "25:1", moving(1, 0))
	req := request(t, ref, ref)
	req.First, req.Shortest = 2, true
	c := mustOpen(t, req)
	var motion []vmaf.Extraction // over one frame and over two
	for _, text := range []string{"motion", "vif", "motion:motion_five_frame_window=true"} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		motion = append(motion, e)
	}
	for _, w := range []struct {
		first, end int64
		valid      []int64
	}{{2, 6, []int64{3, 2, 4}}, {3, 4, []int64{3, 3, 4}}, {6, 10, []int64{6, 6, 6}}} {
		f := mustExtract(t, c, Work{Extractions: motion, Renditions: []int{0}, First: w.first, End: w.end})
		g := f.Groups[0]
		if !slices.Equal(g.Valid, w.valid) || g.First != w.first || g.End != w.end {
			t.Errorf("%d:%d: frames %d:%d, valid from %v, want %v", w.first, w.end, g.First, g.End, g.Valid, w.valid)
		}
		for e, valid := range g.Valid {
			if g.Columns[e] == nil {
				continue
			}
			for i, v := range g.Columns[e][0] {
				if (v != 0) != (w.first+int64(i) >= valid) {
					t.Errorf("%d:%d: %v of frame %d is %g, valid from %d", w.first, w.end, motion[e], w.first+int64(i), v, valid)
				}
			}
		}
		if g.Columns[1] != nil || f.Renditions[0].Columns[0] != nil || f.Renditions[0].Columns[1] == nil {
			t.Errorf("figures of the reference and of pairs are not kept apart")
		}
	}
}

// Runs that follow one another do not decode anything twice, and keep no more pictures than they look back to.
func TestExtract_goesOnWhereItEnded(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 12, "25:1", moving(1, 0))
	req := request(t, ref, ref)
	c := mustOpen(t, req)
	var narrow []vmaf.Extraction // looks back by one picture, the plan by two
	for _, e := range req.Plan.Extractions {
		if e.Halo() < 2 {
			narrow = append(narrow, e)
		}
	}
	for _, w := range []struct {
		first, end  int64
		extractions []vmaf.Extraction
		decoded     int64
		tails       int
	}{
		{0, 4, req.Plan.Extractions, 4, 1},
		{4, 5, req.Plan.Extractions, 1, 1},  // even a run that is shorter than what is looked back to
		{5, 6, narrow, 1, 1},                // fewer pictures than are kept
		{6, 9, req.Plan.Extractions, 5, 2},  // more: only one was left
		{9, 12, req.Plan.Extractions, 3, 1}, // nothing follows the last frame
		{2, 5, req.Plan.Extractions, 5, 2},
		{7, 8, req.Plan.Extractions, 3, 2}, // one has to go
	} {
		f := mustExtract(t, c, Work{Extractions: w.extractions, Renditions: []int{0}, First: w.first, End: w.end})
		if f.ReferenceStats.Delivered != w.decoded || len(c.tails) != w.tails {
			t.Errorf("%d:%d: %d pictures decoded, %d tails kept; want %d, %d", w.first, w.end, f.ReferenceStats.Delivered, len(c.tails), w.decoded, w.tails)
		}
	}
}

func TestOpen_describes(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 10, "25:1", moving(1, 0))
	deep := writeDeepY4M(t, "deep.y4m", 64, 48, 10, "25:1", func(n, x, y int) uint16 { return uint16(x * y) })
	small := writeY4M(t, "small.y4m", 32, 24, 10, "25:1", moving(1, 0))
	short := writeY4M(t, "short.y4m", 64, 48, 7, "25:1", moving(1, 0))
	req := request(t, ref, ref, deep, short, small, filepath.Join(t.TempDir(), "none.y4m"))
	req.Plan = nil
	d := mustOpen(t, req).Describe()
	if d.First != 0 || d.End != 10 || len(d.Times) != 10 || d.Times[3] != 120*time.Millisecond {
		t.Errorf("frames %d:%d, times %v", d.First, d.End, d.Times)
	}
	if want := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(d.RandomAccess, want) || !d.Reference.Seekable {
		t.Errorf("random access at %v, want %v", d.RandomAccess, want)
	}
	if stamp, err := StampOf(req.Reference); err != nil || d.ReferenceStamp != stamp || stamp.Inode == 0 {
		t.Errorf("stamp %+v, want %+v (%v)", d.ReferenceStamp, stamp, err)
	}
	var ambiguous *AmbiguousError
	if err := d.Renditions[2].Err; !errors.As(err, &ambiguous) {
		t.Errorf("shorter rendition: %v, want an AmbiguousError", err)
	}
	if err := d.Renditions[4].Err; !errors.Is(err, os.ErrNotExist) || d.Renditions[4].Info.Path == "" {
		t.Errorf("missing rendition: %v", err)
	}
	for k, want := range map[int]struct {
		group                int
		depth                int
		conversion, reversed string
	}{0: {0, 8, "", ""}, 1: {1, 10, "", "8 to 10 bit by shifting"}, 3: {0, 8, "bicubic 32x24 to 64x48", ""}} {
		r := d.Renditions[k]
		if r.Err != nil || r.Group != want.group || r.Format.BitsPerComponent != want.depth || r.Conversion != want.conversion ||
			r.ReferenceConversion != want.reversed || r.First != 0 || r.End != 10 || r.Pairing != PairIndex {
			t.Errorf("rendition %d: %+v", k, r)
		}
	}
	if _, err := Measure(context.Background(), req); err == nil || !strings.Contains(err.Error(), "plan: nothing to measure") {
		t.Errorf("measuring without a plan: %v", err)
	}
}

func TestExtract_refuses(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 8, "25:1", moving(1, 0))
	tiny := writeY4M(t, "tiny.y4m", 32, 24, 8, "25:1", moving(1, 0))
	req := request(t, ref, ref, ref)
	req.First, req.End = 2, 7
	c := mustOpen(t, req)
	for name, w := range map[string]struct {
		change func(*Work)
		want   string
	}{
		"nothing":            {func(w *Work) { w.Extractions, w.Renditions = nil, nil }, "renditions: none"},
		"no such rendition":  {func(w *Work) { w.Renditions = []int{0, 2} }, "no number 2; there are 0 to 1"},
		"a rendition twice":  {func(w *Work) { w.Renditions = []int{1, 1} }, "1 is named twice"},
		"before the range":   {func(w *Work) { w.First = 1 }, "1:6 is no range within 2:7"},
		"after the range":    {func(w *Work) { w.End = 8 }, "3:8 is no range within 2:7"},
		"empty":              {func(w *Work) { w.End = w.First }, "3:3 is no range"},
		"to the end unknown": {func(w *Work) { w.End = -1 }, "3:-1 is no range"},
		"threads":            {func(w *Work) { w.Threads = MaxThreads + 1 }, "threads: 1025"},
	} {
		t.Run(name, func(t *testing.T) {
			work := Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, First: 3, End: 6}
			w.change(&work)
			if _, err := c.Extract(context.Background(), work); err == nil || !strings.Contains(err.Error(), w.want) {
				t.Errorf("got %v, want an error with %q", err, w.want)
			}
		})
	}
	// Pictures that a feature is not defined for are their renditions' failure.
	f := mustExtract(t, mustOpen(t, request(t, tiny, tiny)), Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, End: 8})
	if err := f.Renditions[0].Err; !errors.Is(err, ErrTooSmall) || !strings.Contains(err.Error(), "at least 33×33") {
		t.Errorf("pictures too small: %v", err)
	}
	closed, err := Open(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Fatal(err)
	}
	work := Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, First: 3, End: 6}
	if _, err := closed.Extract(context.Background(), work); !errors.Is(err, decode.ErrClosed) {
		t.Errorf("extract after close: %v", err)
	}
}

// Whose failure it is shows in the type or the place of the error.
func TestExtract_tellsWhatFailed(t *testing.T) {
	const frames = 8
	ref := writeY4M(t, "ref.y4m", 64, 48, frames, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 64, 48, frames, "25:1", moving(1, 2))
	other := writeY4M(t, "other.y4m", 64, 48, frames, "25:1", moving(1, 3))
	plan := testPlan(t)
	whole := Work{Extractions: plan.Extractions, Renditions: []int{0, 1}, End: frames}
	// Writing to a file changes its time at least.
	touch := func(path string) {
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}
	c := mustOpen(t, request(t, ref, dis, other))
	touch(dis)
	f := mustExtract(t, c, whole)
	if err := f.Renditions[0].Err; !errors.Is(err, decode.ErrChanged) || f.Renditions[0].Columns != nil {
		t.Errorf("a rendition that changed: %v", err)
	}
	if r := f.Renditions[1]; r.Err != nil || r.First != 0 || r.End != frames || r.Stats.Delivered != frames || r.EndedEarly {
		t.Errorf("the one beside it: %+v", r)
	}
	if f.Pairs != frames || f.ReferenceStats.Delivered != frames || f.Decode <= 0 || f.Kernels <= 0 || !strings.HasPrefix(f.Backend, "cpu (") {
		t.Errorf("%d pairs, %+v, %v decoding, %v in kernels on %q", f.Pairs, f.ReferenceStats, f.Decode, f.Kernels, f.Backend)
	}
	touch(ref)
	var reference *ReferenceError
	if _, err := c.Extract(context.Background(), whole); !errors.As(err, &reference) || !errors.Is(err, decode.ErrChanged) {
		t.Errorf("a reference that changed: %v", err)
	}
	if _, err := Open(context.Background(), request(t, filepath.Join(t.TempDir(), "none.y4m"), dis)); !errors.As(err, &reference) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a reference that is missing: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, request(t, ref, dis)); !errors.Is(err, context.Canceled) || errors.As(err, &reference) {
		t.Errorf("opening when cancelled: %v", err)
	}
	// A frame that cannot be read in mid-file, of either side.
	broken := writeY4M(t, "broken.y4m", 64, 48, frames, "25:1", moving(1, 2))
	file, err := os.OpenFile(broken, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	frameBytes := int64(64*48*3/2 + len("FRAME\n"))
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("GRAME\n"), info.Size()-3*frameBytes); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	var frame *decode.FrameError
	c = mustOpen(t, request(t, ref, broken, dis))
	f = mustExtract(t, c, whole)
	if err := f.Renditions[0].Err; !errors.As(err, &frame) || frame.Frame != 5 || f.Renditions[1].Err != nil {
		t.Errorf("a damaged rendition: %v; the one beside it: %v", err, f.Renditions[1].Err)
	}
	whole.End = 5
	if f := mustExtract(t, c, whole); f.Renditions[0].Err != nil {
		t.Errorf("what precedes the damage: %v", f.Renditions[0].Err)
	}
	c = mustOpen(t, request(t, broken, dis, other))
	whole.First, whole.End = 4, frames
	if _, err := c.Extract(context.Background(), whole); !errors.As(err, &reference) || !errors.As(err, &frame) || frame.Path != broken {
		t.Errorf("a damaged reference: %v", err)
	}
}

// Cancelled in the middle of a work, Extract returns within a second, and all frames have been let go.
func TestExtract_cancelledSoonAndCompletely(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 640, 360, 200, "25:1", moving(1, 0))
	small := writeY4M(t, "small.y4m", 320, 180, 200, "25:1", moving(1, 0))
	req := request(t, ref, ref, small)
	c := mustOpen(t, req) // which checks that no frame is held at the end
	for range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		var cancelled time.Time
		var once sync.Once
		_, err := c.Extract(ctx, Work{Extractions: req.Plan.Extractions, Renditions: []int{0, 1}, First: 3, End: 200, Threads: 1, Progress: func(done int64) {
			if done >= 1 {
				once.Do(func() {
					cancelled = time.Now()
					cancel()
				})
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled work: %v", err)
		}
		if took := time.Since(cancelled); took > time.Second {
			t.Errorf("it went on for %v", took)
		}
	}
}

func TestExtract_progressReachesTheEnd(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 9, "25:1", moving(1, 0))
	deep := writeDeepY4M(t, "deep.y4m", 64, 48, 9, "25:1", func(n, x, y int) uint16 { return uint16(x * y) })
	req := request(t, ref, ref, deep)
	last := int64(-1)
	mustExtract(t, mustOpen(t, req), Work{Extractions: req.Plan.Extractions, Renditions: []int{1, 0}, First: 2, End: 9, Progress: func(done int64) {
		if done < last {
			t.Errorf("progress goes back from %d to %d", last, done)
		}
		last = done
	}})
	if last != 7 {
		t.Errorf("last progress %d, want 7", last)
	}
}

// An Extract under way keeps the comparison open.
func TestClose_whileMeasuring(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 9, "25:1", moving(1, 0))
	req := request(t, ref, ref)
	c := mustOpen(t, req)
	refused := errors.New("not called")
	mustExtract(t, c, Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, End: 9, Progress: func(done int64) {
		if done == 0 {
			refused = c.Close()
		}
	}})
	if refused == nil || !strings.Contains(refused.Error(), "being measured") {
		t.Errorf("closing meanwhile: %v", refused)
	}
	mustExtract(t, c, Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, End: 9})
}

func TestExtract_refusesStreams(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 3, "25:1", moving(1, 0))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := os.ReadFile(ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil { // fits the pipe
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	req := request(t, ref, fmt.Sprintf("/dev/fd/%d", r.Fd()))
	c := mustOpen(t, req)
	if d := c.Describe(); d.Renditions[0].Stamp != (Stamp{}) || d.End != 3 {
		t.Errorf("a stream: %+v", d)
	}
	if _, err := c.Extract(context.Background(), Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, End: 3}); err == nil || !strings.Contains(err.Error(), "is a stream") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// Figures that several works have measured are the same, so that it does not matter whose are taken.
func TestAssembly_overlapsAndGaps(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 64, 48, 10, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 64, 48, 10, "25:1", moving(1, 4))
	req := request(t, ref, dis)
	want := mustMeasure(t, req).Renditions[0].Table
	c := mustOpen(t, req)
	all := &assembly{c: c}
	for _, span := range [][2]int64{{6, 10}, {2, 5}, {0, 3}} {
		all.add(mustExtract(t, c, Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, First: span[0], End: span[1]}))
	}
	if _, _, _, err := all.table(req.Plan, 0); err == nil || !strings.Contains(err.Error(), "frame 5 has not been measured") {
		t.Errorf("a frame is missing: %v", err)
	}
	all.add(mustExtract(t, c, Work{Extractions: req.Plan.Extractions, Renditions: []int{0}, First: 4, End: 8}))
	table, _, _, err := all.table(req.Plan, 0)
	if err != nil {
		t.Fatal(err)
	}
	sameTable(t, table, want)
	if math.IsNaN(table.Series[0].Values[0]) {
		t.Error("nothing was measured")
	}
}
