package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// mediaFolder is a media root for tests, and a handler that knows it as "media".
type mediaFolder struct {
	t   *testing.T
	dir string
	h   *handler
}

func newMediaFolder(t *testing.T, change func(*handlerConfig)) *mediaFolder {
	t.Helper()
	f := &mediaFolder{t: t, dir: t.TempDir()}
	cfg := handlerConfig{Host: "here", Roots: map[string]string{"media": f.dir}, Threads: 2}
	if change != nil {
		change(&cfg)
	}
	h, err := newHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), h.Close()); err != nil {
			t.Error(err)
		}
	})
	f.h = h
	return f
}

func (f *mediaFolder) source(name string) store.Source {
	return store.Source{Root: "media", Path: name, URI: "media:" + name}
}

// compare is a comparison of files in the folder, as the daemon makes it.
func (f *mediaFolder) compare(ref string, dis ...string) protocol.Comparison {
	c := protocol.Comparison{Reference: f.source(ref), Pairing: "auto", OnDamage: "strict", Subsample: 1}
	for _, name := range dis {
		c.Renditions = append(c.Renditions, f.source(name))
		c.Scales = append(c.Scales, "")
		c.Geometries = append(c.Geometries, store.Size{})
		c.Encodeds = append(c.Encodeds, "auto")
		c.RenditionFiles = append(c.RenditionFiles, nil)
	}
	return c
}

func (f *mediaFolder) inspect(c protocol.Comparison) *protocol.Inspection {
	f.t.Helper()
	in, err := f.h.Inspect(f.t.Context(), c, protocol.Inspect{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.sendable(&protocol.Finish{Inspection: in})
	return in
}

// sendable fails the test unless the daemon takes what a task came to.
func (f *mediaFolder) sendable(finish *protocol.Finish, parts ...protocol.Part) {
	f.t.Helper()
	task := protocol.TaskID{Measurement: store.MeasurementID(strings.Repeat("0", 26)), Number: 1, Attempt: 1}
	finish.Worker, finish.Task = "worker", task
	messages := []any{finish}
	if len(parts) > 0 {
		messages = append(messages, &protocol.Record{Worker: "worker", Task: task, Parts: parts})
	}
	for _, m := range messages {
		body, err := protocol.Encode(m)
		if err != nil {
			f.t.Fatal(err)
		}
		switch m.(type) {
		case *protocol.Finish:
			err = protocol.Decode(body, &protocol.Finish{})
		default:
			err = protocol.Decode(body, &protocol.Record{})
		}
		if err != nil {
			f.t.Errorf("the daemon refuses: %v", err)
		}
	}
}

// expect tells a comparison what was inspected, as the daemon does before chunks.
func expect(c *protocol.Comparison, in *protocol.Inspection) {
	c.ReferenceFile = &store.File{Source: c.Reference, Fingerprint: in.ReferenceFile.Fingerprint}
	for k := range c.Renditions {
		c.RenditionFiles[k] = &store.File{Source: c.Renditions[k], Fingerprint: in.Renditions[k].File.Fingerprint}
	}
}

// told is what tasks told the daemon.
type told struct {
	mu    sync.Mutex
	parts []protocol.Part
}

func (o *told) emit(p protocol.Part) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = append(o.parts, p)
	return nil
}

func (f *mediaFolder) measure(c protocol.Comparison, task protocol.Chunk) ([]protocol.Part, *protocol.ChunkDone, protocol.Timing) {
	f.t.Helper()
	var o told
	done, timing, err := f.h.Measure(f.t.Context(), c, task, o.emit, func(int64, int64) {})
	if err != nil {
		f.t.Fatal(err)
	}
	f.sendable(&protocol.Finish{Chunk: done, Decode: timing.Decode, Kernels: timing.Kernels}, o.parts...)
	return o.parts, done, timing
}

func allOf(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// planTexts are a plan's extractions as tasks name them.
func planTexts(p *vmaf.Plan) []string {
	var list []string
	for _, e := range p.Extractions {
		list = append(list, e.String())
	}
	return list
}

func handlerPlan(t *testing.T) *vmaf.Plan {
	t.Helper()
	model, err := vmaf.Builtin("vmaf_v0.6.1")
	if err != nil {
		t.Fatal(err)
	}
	wide, err := vmaf.ParseExtraction("motion:motion_five_frame_window=true")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := vmaf.NewPlan([]*vmaf.Model{model}, []vmaf.Extraction{wide})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// assembled puts figures where the daemon keeps them, and forms the table of rendition k of them.
func assembled(t *testing.T, plan *vmaf.Plan, c *protocol.Comparison, in *protocol.Inspection, parts []protocol.Part, k int) *vmaf.Table {
	t.Helper()
	// what the daemon tells figures of the reference apart by
	identity := func(k int) string {
		id := fmt.Sprint(in.Renditions[k].Format, c.Geometries[k])
		if in.Renditions[k].RefConvert != "" {
			id += c.Scales[k]
		}
		return id
	}
	d := &in.Renditions[k]
	raw := make([][][]float64, len(plan.Extractions))
	for i, e := range plan.Extractions {
		raw[i] = make([][]float64, len(e.Raw()))
		for column := range raw[i] {
			raw[i][column] = make([]float64, d.End-d.First)
		}
		seen := make([]bool, d.End-d.First)
		for _, p := range parts {
			if p.Extraction != e.String() || p.Rendition != k && (p.Rendition != -1 || identity(p.Group) != identity(k)) {
				continue
			}
			for at, n := p.First, 0; at < p.End; at, n = at+p.Step, n+1 {
				if at < d.First || at >= d.End {
					continue
				}
				seen[at-d.First] = true
				for column := range raw[i] {
					raw[i][column][at-d.First] = p.Figures[column][n]
				}
			}
		}
		step := int64(1)
		if !e.ReferenceOnly() {
			step = int64(c.Subsample)
		}
		for at := int64(e.Halo()); at < d.End-d.First; at++ {
			if at%step == 0 && !seen[at] {
				t.Fatalf("rendition %d: %v of frame %d was not told", k, e, d.First+at)
			}
		}
	}
	format := vmaf.Format{Width: d.Format.Width, Height: d.Format.Height, BitsPerComponent: d.Format.BitDepth, Subsampling: vmaf.Chroma420}
	table, err := plan.Evaluate(raw, format, int(d.End-d.First), c.Subsample)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Chunks of any length, with any share of renditions and extractions, several at a time, give the figures of a measurement in-process.
func TestHandler_chunksEqualMeasure(t *testing.T) {
	const frames = 17
	f := newMediaFolder(t, nil)
	clipSpec{frames: frames, width: 96, height: 72}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: frames, width: 96, height: 72, noise: 9}.write(t, f.dir, "same.y4m")
	clipSpec{frames: frames, width: 64, height: 48, noise: 5}.write(t, f.dir, "small.y4m")
	clipSpec{frames: frames - 4, width: 96, height: 72, noise: 3}.write(t, f.dir, "short.y4m")
	plan := handlerPlan(t)
	lanczos := decode.Lanczos
	for name, change := range map[string]func(*protocol.Comparison, *engine.Request){
		"plain": func(c *protocol.Comparison, r *engine.Request) { c.Shortest, r.Shortest = true, true },
		"subsampled part": func(c *protocol.Comparison, r *engine.Request) {
			c.Subsample, c.First, c.End = 3, 2, 12
			r.Subsample, r.First, r.End = 3, 2, 12
		},
		"sizes of their own": func(c *protocol.Comparison, r *engine.Request) {
			c.Shortest, r.Shortest = true, true
			c.Geometries = []store.Size{{}, {Width: 80, Height: 60}, {Width: 96, Height: 72}}
			c.Scales = []string{"", "lanczos", ""}
			r.Treatments = []engine.Treatment{{}, {Scale: &lanczos, Geometry: &engine.Size{Width: 80, Height: 60}}, {}}
		},
		"cropped": func(c *protocol.Comparison, r *engine.Request) {
			c.Shortest, r.Shortest = true, true
			c.Crop = &store.Rect{X: 4, Y: 2, Width: 80, Height: 64}
			r.Crop = &decode.Rect{X: 4, Y: 2, Width: 80, Height: 64}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := f.compare("ref.y4m", "same.y4m", "small.y4m", "short.y4m")
			r := engine.Request{Reference: decode.Input{Path: filepath.Join(f.dir, "ref.y4m")}, Plan: plan, Threads: 2}
			for _, name := range []string{"same.y4m", "small.y4m", "short.y4m"} {
				r.Distorted = append(r.Distorted, decode.Input{Path: filepath.Join(f.dir, name)})
			}
			change(&c, &r)
			want, err := engine.Measure(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			in := f.inspect(c)
			expect(&c, in)
			first, end := in.Renditions[0].First, in.Renditions[0].End
			for _, length := range []int64{end, 5, 1} {
				var all told
				var tasks errgroup.Group
				tasks.SetLimit(3)
				for at := first; at < end; at += length {
					for _, share := range [][]int{{0, 2}, {1}} {
						for _, texts := range [][]string{planTexts(plan)[:1], planTexts(plan)[1:]} {
							task := protocol.Chunk{First: at, End: min(at+length, end), Renditions: share, Extractions: texts}
							tasks.Go(func() error {
								done, _, err := f.h.Measure(t.Context(), c, task, all.emit, func(int64, int64) {})
								if err == nil && len(done.Renditions) != len(share) {
									err = fmt.Errorf("%d renditions are told of, want %d", len(done.Renditions), len(share))
								}
								return err
							})
						}
					}
				}
				if err := tasks.Wait(); err != nil {
					t.Fatal(err)
				}
				for k := range c.Renditions {
					got := assembled(t, plan, &c, in, all.parts, k)
					for i, s := range want.Renditions[k].Table.Series {
						for n := range s.Values {
							v, present := s.At(n)
							w, there := got.Series[i].At(n)
							if present != there || math.Float64bits(v) != math.Float64bits(w) {
								t.Fatalf("chunks of %d, rendition %d: %s of frame %d is %v, want %v", length, k, s.Name, n, w, v)
							}
						}
					}
				}
			}
		})
	}
}

func TestHandler_inspect(t *testing.T) {
	f := newMediaFolder(t, nil)
	clipSpec{frames: 6}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: 6, noise: 3}.write(t, f.dir, "same.y4m")
	clipSpec{frames: 4}.write(t, f.dir, "short.y4m")
	clipSpec{frames: 6, width: 32, height: 24}.write(t, f.dir, "small.y4m")
	writeFile(t, filepath.Join(f.dir, "text.mp4"), []byte("no video"))
	outside := writeFile(t, filepath.Join(t.TempDir(), "outside.y4m"), clipSpec{frames: 6}.y4m())
	if err := os.Symlink(outside, filepath.Join(f.dir, "link.y4m")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"same.y4m", "none.y4m", "short.y4m", "text.mp4", "link.y4m", "../" + filepath.Base(f.dir) + "/same.y4m", "fifo", "small.y4m", "same.y4m/x"}
	c := f.compare("ref.y4m", names...)
	c.Renditions = append(c.Renditions, store.Source{Root: "elsewhere", Path: "same.y4m", URI: "elsewhere:same.y4m"}, f.source("same.y4m"))
	c.Renditions[len(names)+1].Raw = "64by48"
	for len(c.Encodeds) < len(c.Renditions) {
		c.Encodeds = append(c.Encodeds, "auto")
	}
	c.Scales, c.Geometries, c.RenditionFiles = make([]string, len(c.Renditions)), make([]store.Size, len(c.Renditions)), make([]*store.File, len(c.Renditions))
	c.Geometries[7] = store.Size{Width: 32, Height: 24}
	c.MinWidth, c.MinHeight = 33, 33
	in := f.inspect(c)
	if in.Reference.Frames != 6 || in.Reference.Width != 64 || in.Reference.FrameRateNum != 25 || !strings.HasPrefix(string(in.ReferenceFile.Fingerprint), "sha256:") ||
		in.ReferenceFile.Host != "here" || in.ReferenceFile.Stamp.SizeBytes == 0 || !slices.Equal(in.RandomAccess, []int64{0, 1, 2, 3, 4, 5}) || in.Times != nil || !strings.HasPrefix(in.Backend, "cpu (") {
		t.Errorf("reference: %+v", in)
	}
	for k, want := range []struct {
		reason    store.Reason
		transient bool
		text      string
	}{
		{}, {store.ReasonNotFound, false, "none.y4m: no such file"}, {store.ReasonAmbiguous, false, "has 4 frames and the reference 6"},
		{store.ReasonUnsupported, false, "text.mp4: no video stream"}, {store.ReasonDenied, false, "link.y4m: "}, {store.ReasonDenied, false, "leaves its media root"},
		{store.ReasonUnsupported, false, "fifo: no regular file"}, {store.ReasonUnsupported, false, "media:small.y4m: the features need pictures of at least 33x33"},
		{store.ReasonNotFound, false, "same.y4m/x: "}, {store.ReasonDenied, true, "elsewhere:same.y4m: this worker has no media root"}, {store.ReasonInvalid, false, "64by48"},
	} {
		d := in.Renditions[k]
		if want.reason == "" {
			if d.Failure != nil || d.End != 6 || d.Pairing != "index" || d.Format.Width != 64 || !d.RandomEntry || d.File.Fingerprint == "" || d.Video.Frames != 6 {
				t.Errorf("rendition %d: %+v", k, d)
			}
			continue
		}
		if e := d.Failure; e == nil || e.Reason != want.reason || e.Transient != want.transient || !strings.Contains(e.Message, want.text) || strings.Contains(e.Message, f.dir) {
			t.Errorf("rendition %d: %+v, want %+v", k, e, want)
		}
	}
	for name, want := range map[string]store.Reason{"none.y4m": store.ReasonNotFound, "text.mp4": store.ReasonUnsupported, "link.y4m": store.ReasonDenied, "-": store.ReasonNotFound} {
		_, err := f.h.Inspect(t.Context(), f.compare(name, "same.y4m"), protocol.Inspect{})
		var e *protocol.Error
		if !errors.As(err, &e) || e.Reason != want || e.Transient {
			t.Errorf("reference %s: %v, want %s", name, err, want)
		}
	}
	// What the reference is can be told even if there is nothing to compare it with.
	if in := f.inspect(f.compare("ref.y4m", "none.y4m")); in.Reference.Frames != 6 || in.Renditions[0].Failure == nil {
		t.Errorf("no rendition: %+v", in)
	}
	c = f.compare("ref.y4m", "same.y4m")
	c.Pairing = "at random"
	var e *protocol.Error
	if _, err := f.h.Inspect(t.Context(), c, protocol.Inspect{}); !errors.As(err, &e) || e.Reason != store.ReasonInvalid {
		t.Errorf("unknown pairing: %v", err)
	}
	c = f.compare("ref.y4m", "same.y4m")
	c.First, c.End = 3, 9
	if in := f.inspect(c); in.Renditions[0].Failure == nil || in.Renditions[0].Failure.Reason != store.ReasonInvalid {
		t.Errorf("frames that there are not: %+v", in.Renditions[0].Failure)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.h.Inspect(ctx, f.compare("ref.y4m", "short.y4m"), protocol.Inspect{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What the daemon knows of files that have not changed is taken from it.
func TestHandler_inspectsAgain(t *testing.T) {
	f := newMediaFolder(t, nil)
	clipSpec{frames: 3}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: 3, noise: 3}.write(t, f.dir, "dis.y4m")
	c := f.compare("ref.y4m", "dis.y4m")
	in := f.inspect(c)
	known := []store.File{in.ReferenceFile, in.Renditions[0].File}
	known[1].Fingerprint = "sha256:told" // shows that it is taken and not computed
	fresh := newMediaFolder(t, func(cfg *handlerConfig) { cfg.Roots = map[string]string{"media": f.dir} }).h
	again, err := fresh.Inspect(t.Context(), c, protocol.Inspect{Known: known})
	if err != nil || again.Unchanged || again.Renditions[0].File.Fingerprint != "sha256:told" || again.Renditions[0].Video.Frames != 3 {
		t.Errorf("known files: %+v, %v", again, err)
	}
	fresh = newMediaFolder(t, func(cfg *handlerConfig) { cfg.Roots = map[string]string{"media": f.dir} }).h
	again, err = fresh.Inspect(t.Context(), c, protocol.Inspect{Known: known, Described: true})
	if err != nil || !again.Unchanged || again.Renditions[0].File.Fingerprint != "sha256:told" || again.ReferenceFile != in.ReferenceFile {
		t.Errorf("files known and described: %+v, %v", again, err)
	}
	if open, _ := fresh.cache.sizes(); open != 0 {
		t.Error("files were opened although all is known")
	}
	for name, change := range map[string]func(*store.File){
		"seen by another host": func(dis *store.File) { dis.Host = "there" },
		"of other pictures":    func(dis *store.File) { dis.Source.Raw = "64x48:yuv420p" },
		"written to":           func(dis *store.File) { dis.Stamp.ModifiedUnixNano-- },
		"not told":             func(dis *store.File) { dis.Fingerprint = "" },
		"sampled, and all bytes are wanted": func(dis *store.File) {
			dis.Fingerprint, c.FullHash = "sampled:told", true
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.FullHash = false
			other := slices.Clone(known)
			change(&other[1])
			fresh := newMediaFolder(t, func(cfg *handlerConfig) { cfg.Roots = map[string]string{"media": f.dir} }).h
			again, err := fresh.Inspect(t.Context(), c, protocol.Inspect{Known: other, Described: true})
			if err != nil || again.Unchanged || again.Renditions[0].File.Fingerprint != in.Renditions[0].File.Fingerprint {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}

// A file that is not what was inspected, or damaged, fails where it is needed, and nothing else does.
func TestHandler_measureFailures(t *testing.T) {
	const frames = 8
	f := newMediaFolder(t, nil)
	clipSpec{frames: frames}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: frames, noise: 3}.write(t, f.dir, "good.y4m")
	damaged := clipSpec{frames: frames, noise: 4}.y4m()
	copy(damaged[len(damaged)-3*(64*48*3/2+6):], "GRAME\n") // before frame 5
	writeFile(t, filepath.Join(f.dir, "damaged.y4m"), damaged)
	clipSpec{frames: frames, noise: 5}.write(t, f.dir, "changed.y4m")
	clipSpec{frames: frames, noise: 6}.write(t, f.dir, "gone.y4m")
	plan := handlerPlan(t)
	c := f.compare("ref.y4m", "good.y4m", "damaged.y4m", "changed.y4m", "gone.y4m", "good.y4m")
	in := f.inspect(c)
	expect(&c, in)
	clipSpec{frames: frames, noise: 7}.write(t, f.dir, "changed.y4m")
	if err := os.Remove(filepath.Join(f.dir, "gone.y4m")); err != nil {
		t.Fatal(err)
	}
	c.Renditions[4].Root = "elsewhere" // which another worker may have; this one tries again, and then says so
	task := protocol.Chunk{First: 4, End: 8, Renditions: allOf(5), Extractions: planTexts(plan)}
	parts, done, timing := f.measure(c, task)
	for k, want := range []store.Reason{"", store.ReasonDamaged, store.ReasonChanged, store.ReasonNotFound, store.ReasonDenied} {
		d, ok := done.Renditions[k]
		if failure := d.Failure; !ok || (failure == nil) != (want == "") || failure != nil && failure.Reason != want {
			t.Errorf("rendition %d: %+v, want %q", k, failure, want)
		}
	}
	if done.Renditions[0].Damage.Decoded != 4 || done.Reference.Decoded != 6 || done.Renditions[0].EndedAt != -1 || timing.Decode <= 0 || timing.Kernels <= 0 {
		t.Errorf("%+v, %+v", done, timing)
	}
	for _, p := range parts {
		if p.Rendition > 0 {
			t.Errorf("figures of rendition %d, which failed", p.Rendition)
		}
	}
	task.First, task.End, task.Renditions = 0, 4, []int{0, 1}
	if _, done, _ := f.measure(c, task); done.Renditions[0].Failure != nil || done.Renditions[1].Failure != nil {
		t.Errorf("before the damage: %+v", done.Renditions)
	}
	clipSpec{frames: frames, noise: 1}.write(t, f.dir, "ref.y4m")
	var e *protocol.Error
	if _, _, err := f.h.Measure(t.Context(), c, task, (&told{}).emit, func(int64, int64) {}); !errors.As(err, &e) || e.Reason != store.ReasonChanged {
		t.Errorf("a reference that changed: %v", err)
	}
}

// A rendition is compared at the depth that is asked for, and the worker says what its file tells CAMBI. What is asked for is part of what is open:
// another depth is another comparison.
func TestHandler_depthAndEncoding(t *testing.T) {
	f := newMediaFolder(t, nil)
	clipSpec{frames: 4, width: 352, height: 320, colour: true}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: 4, width: 264, height: 240, colour: true}.write(t, f.dir, "small.y4m")
	c := f.compare("ref.y4m", "small.y4m", "ref.y4m", "small.y4m", "small.y4m")
	c.Encodeds = []string{"auto", "auto", "compared", "300x280:9"}
	for _, depth := range []int{0, 10, 12} {
		c.BitDepth, c.Chroma = depth, true
		in := f.inspect(c)
		compared, told := max(8, depth), 0
		if depth > 8 {
			told = 8
		}
		for k, want := range []store.Encoded{{Width: 264, Height: 240, BitDepth: told}, {BitDepth: told}, {}, {Width: 300, Height: 280, BitDepth: 9}} {
			if d := in.Renditions[k]; d.Format.BitDepth != compared || d.Encoded != want {
				t.Errorf("at least %d bits, encoded %s: compared at %d, encoded as %+v; want %d, %+v", depth, c.Encodeds[k], d.Format.BitDepth, d.Encoded, compared, want)
			}
		}
		task := protocol.Chunk{End: 4, Renditions: []int{0}, Extractions: []string{"cambi", "speed_chroma", "psnr"}}
		if parts, _, _ := f.measure(c, task); len(parts) != 3 {
			t.Errorf("at least %d bits: %d parts, want one for each extraction", depth, len(parts))
		}
	}
	c.Encodeds[1] = "540p"
	if _, err := f.h.Inspect(t.Context(), c, protocol.Inspect{}); err == nil {
		t.Error("an encoding that is none was accepted")
	}
}

func TestHandler_measureRefuses(t *testing.T) {
	f := newMediaFolder(t, func(cfg *handlerConfig) { cfg.Limits.MaxWidth = 64 })
	clipSpec{frames: 5}.write(t, f.dir, "ref.y4m")
	clipSpec{frames: 5, width: 128, height: 96}.write(t, f.dir, "wide.y4m")
	c := f.compare("ref.y4m", "ref.y4m", "wide.y4m")
	if e := f.inspect(c).Renditions[1].Failure; e == nil || e.Reason != store.ReasonLimit || !strings.Contains(e.Message, "limits.max_width (64)") {
		t.Errorf("too wide: %+v", e)
	}
	emit, progress := (&told{}).emit, func(int64, int64) {}
	for name, change := range map[string]func(*protocol.Comparison, *protocol.Chunk){
		"no frames":          func(_ *protocol.Comparison, task *protocol.Chunk) { task.End = task.First },
		"no such rendition":  func(_ *protocol.Comparison, task *protocol.Chunk) { task.Renditions = []int{2} },
		"no such extraction": func(_ *protocol.Comparison, task *protocol.Chunk) { task.Extractions = []string{"vifx"} },
		"no encodings":       func(c *protocol.Comparison, _ *protocol.Chunk) { c.Encodeds = nil },
		"chroma unannounced": func(_ *protocol.Comparison, task *protocol.Chunk) { task.Extractions = []string{"psnr_hvs"} },
		"lists too short":    func(c *protocol.Comparison, _ *protocol.Chunk) { c.Scales = nil },
	} {
		wrong, task := c, protocol.Chunk{End: 5, Renditions: []int{0}, Extractions: []string{"vif"}}
		change(&wrong, &task)
		if _, _, err := f.h.Measure(t.Context(), wrong, task, emit, progress); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	full := errors.New("full")
	task := protocol.Chunk{End: 5, Renditions: []int{0, 1}, Extractions: []string{"vif"}}
	if _, _, err := f.h.Measure(t.Context(), c, task, func(protocol.Part) error { return full }, progress); !errors.Is(err, full) {
		t.Errorf("figures that nobody takes: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.h.Measure(ctx, c, task, emit, progress); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// A chunk beyond what is compared has nothing to tell.
	task.First, task.End = 7, 9
	if parts, done, _ := f.measure(c, task); len(parts) != 0 || len(done.Renditions) != 2 || done.Renditions[0].Failure != nil || done.Renditions[1].Failure == nil {
		t.Errorf("beyond the end: %v, %+v", parts, done)
	}
}

func TestHandler_cancelledInMidChunk(t *testing.T) {
	f := newMediaFolder(t, nil)
	clipSpec{frames: 150, width: 640, height: 360}.write(t, f.dir, "ref.y4m")
	c := f.compare("ref.y4m", "ref.y4m")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	task := protocol.Chunk{End: 150, Renditions: []int{0}, Extractions: planTexts(handlerPlan(t))}
	_, _, err := f.h.Measure(ctx, c, task, (&told{}).emit, func(done, total int64) {
		if total != 150 {
			t.Errorf("%d frames in all, want 150", total)
		}
		if done > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if open, _ := f.h.cache.sizes(); open != 0 {
		t.Errorf("%d comparisons are open after a chunk that was broken off", open)
	}
}

func TestNewHandler_refuses(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "file"), nil)
	good := handlerConfig{Host: "here", Roots: map[string]string{"media": t.TempDir()}}
	for name, c := range map[string]struct {
		change func(*handlerConfig)
		want   []string
	}{
		"everything": {func(c *handlerConfig) { *c = handlerConfig{Threads: -1, Keep: 65, KeepFor: -1} },
			[]string{"host: empty", "--media-root", "threads: -1", "65 is not in 0 … 64", "-1ns is negative"}},
		"no folder":  {func(c *handlerConfig) { c.Roots = map[string]string{"media": file} }, []string{"media root media: "}},
		"no such":    {func(c *handlerConfig) { c.Roots = map[string]string{"media": file + "x"} }, []string{"no such file"}},
		"no device":  {func(c *handlerConfig) { c.Device = "cuda:200" }, []string{"device not available: cuda:200"}},
		"two, a bad": {func(c *handlerConfig) { c.Roots = map[string]string{"media": good.Roots["media"], "b": file} }, []string{"media root b: "}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := newHandler(cfg)
			for _, text := range c.want {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want %q in it", err, text)
				}
			}
		})
	}
	h, err := newHandler(good)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if d := h.Device(); d.Name != "cpu" || !strings.HasPrefix(d.Backend, "cpu (") || d.Threads < 1 {
		t.Errorf("device %+v", d)
	}
}
