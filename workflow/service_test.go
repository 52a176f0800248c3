package workflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/rules"
)

// patience is how long a test waits for something that should happen at once.
const patience = 30 * time.Second

// rig is a service with its store and farm.
type rig struct {
	t      *testing.T
	dir    string
	farm   *farm
	store  *store.Store
	s      *Service
	config Config
	stop   func()
	ids    atomic.Int64
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), farm: newFarm()}
	r.config = Config{
		Transport: r.farm, Rules: rules.Builtin(), Version: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		RetryDelay: time.Millisecond, ReconcileInterval: 100 * time.Millisecond,
		NewID: func(now time.Time) store.MeasurementID {
			var entropy [10]byte
			binary.BigEndian.PutUint64(entropy[2:], uint64(r.ids.Add(1)))
			id := ulid.ULID{}
			// Names may run ahead of the clock.
			if err := errors.Join(id.SetTime(ulid.Timestamp(now)+uint64(r.ids.Load()%3)), id.SetEntropy(entropy[:])); err != nil {
				panic(err)
			}
			return store.MeasurementID(strings.ToLower(id.String()))
		},
	}
	if change != nil {
		change(&r.config)
	}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	st, err := store.Open(r.t.Context(), store.Config{Dir: r.dir, Logger: r.config.Logger, MinFreeBytes: -1, Now: r.config.Now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store, r.config.Store = st, st
	if r.s, err = New(r.config); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	service := r.s
	go func() { done <- service.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

func (r *rig) close() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := r.store.Close(); err != nil {
		r.t.Errorf("close the store: %v", err)
	}
}

// restart is the death of the daemon, and a new one on the same data.
func (r *rig) restart() {
	r.farm.restart()
	r.close()
	r.open()
}

// work starts workers; they end with the test.
func (r *rig) work(n int, die func(step string, t *protocol.Task) bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i := range n {
		w := &farmWorker{f: r.farm, name: fmt.Sprintf("worker-%p-%d", ctx, i), die: die}
		group.Go(func() { w.run(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) clip(name string, c clip) store.Source {
	if c.width == 0 {
		c.width, c.height = 640, 360
	}
	if c.content == "" {
		c.content = name
	}
	r.farm.mu.Lock()
	defer r.farm.mu.Unlock()
	r.farm.clips[name] = &c
	return store.Source{Root: "media", Path: name, URI: "media:" + name}
}

func request(ref store.Source, dis ...store.Source) store.Request {
	r := store.Request{Reference: ref}
	for _, d := range dis {
		r.Renditions = append(r.Renditions, store.RenditionRequest{Source: d})
	}
	return r
}

func (r *rig) measure(req store.Request) store.MeasurementID {
	r.t.Helper()
	st, err := r.s.Measure(r.t.Context(), Submission{Request: req})
	if err != nil {
		r.t.Fatal(err)
	}
	return st.ID
}

// wait watches a measurement to its end.
func (r *rig) wait(id store.MeasurementID) *Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	var last *Status
	if err := r.s.Watch(ctx, id, false, func(e Event) error {
		if e.Status != nil {
			last = e.Status
		}
		return nil
	}); err != nil {
		st, _ := r.s.Status(r.t.Context(), id)
		r.t.Fatalf("measurement %s: %v; it is %+v", id, err, st)
	}
	return last
}

// expected is a rendition's table, computed of the farm's figures in one piece.
func expected(t *testing.T, m *store.Measurement, ref, dis *clip, first, end int64) *vmaf.Table {
	t.Helper()
	plan, err := (documents{}).parsePlan(t.Context(), modelSpecs(m.Plan.Models), m.Plan.Features, "")
	if err != nil {
		t.Fatal(err)
	}
	d := &m.Renditions[0] // they differ in content alone
	if plan, err = planFor(plan, d); err != nil {
		t.Fatal(err)
	}
	raw := make([][][]float64, len(plan.Extractions))
	for i, e := range plan.Extractions {
		distorted := pictures(dis.content, d.Format)
		if e.ReferenceOnly() {
			distorted = ""
		}
		raw[i] = figures(e, pictures(ref.content, d.Format), distorted, first, end, 1)
	}
	table, err := plan.Evaluate(raw, comparedIn(d.Format), int(end-first), max(m.Request.Subsample, 1))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// sameBits compares tables to the bit.
func sameBits(got, want *vmaf.Table) string {
	bits := func(t *vmaf.Table) map[string][]uint64 {
		all := map[string][]uint64{}
		for _, s := range t.Series {
			for i := range s.Values {
				v, ok := s.At(i)
				if !ok {
					v = math.Inf(-1)
				}
				all[s.Name] = append(all[s.Name], math.Float64bits(v))
			}
		}
		return all
	}
	return cmp.Diff(bits(want), bits(got))
}

func (r *rig) checkFrames(st *Status, rendition string, want *vmaf.Table) {
	r.t.Helper()
	f, err := r.s.Frames(r.t.Context(), st.ID, rendition)
	if err != nil {
		r.t.Fatal(err)
	}
	if d := sameBits(f.Table, want); d != "" {
		r.t.Errorf("rendition %s (−want +got):\n%s", rendition, d)
	}
}

func TestService_anyChunkingGivesTheSameBits(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		r := newRig(t, nil)
		frames := 1 + random.Int64N(400)
		ref := r.clip("ref", clip{frames: frames, interval: 1 + random.Int64N(60)})
		a, b := r.clip("a", clip{frames: frames}), r.clip("b", clip{frames: frames})
		req := request(ref, a, b)
		req.ChunkFrames = random.Int64N(50)
		req.Subsample = random.IntN(4)
		req.First = random.Int64N(frames)
		req.End = req.First + 1 + random.Int64N(frames-req.First)
		req.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}, {Spec: "vmaf_v0.6.1neg"}}
		req.Features = []string{"motion:motion_max_val=18:motion_five_frame_window=true:motion_moving_average=true"}
		r.work(1+i%4, nil)
		st := r.wait(r.measure(req))
		if st.State != store.StateSucceeded {
			t.Fatalf("%+v: %s, %+v", req, st.State, st.Failure)
		}
		for _, name := range []string{"a", "b"} {
			r.checkFrames(st, name, expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips[name], req.First, req.End))
		}
		for k, d := range st.Measurement.Renditions {
			f, err := r.s.Frames(t.Context(), st.ID, d.Name)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := r.s.planOf(t.Context(), st.Measurement)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := scoresOf(plan, st.Plan, &d, f.Table, 0, f.Table.Frames)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(scores, d.Scores); diff != "" || len(d.Scores) == 0 {
				t.Errorf("scores of rendition %d:\n%s", k, diff)
			}
		}
		r.close()
	}
}

func TestService_storedFeaturesAreNotMeasuredAgain(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 100}), r.clip("dis", clip{frames: 100})
	r.work(2, nil)
	first := request(ref, dis)
	first.ChunkFrames = 30
	first.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}
	one := r.wait(r.measure(first))
	if one.MeasuredFrames == 0 || one.CachedFrames != 0 {
		t.Fatalf("the first measured %d pairs and found %d", one.MeasuredFrames, one.CachedFrames)
	}
	counts := func() (chunks, opened int) {
		r.farm.mu.Lock()
		defer r.farm.mu.Unlock()
		for _, n := range r.farm.measured {
			chunks += n
		}
		return chunks, r.farm.opened
	}
	chunks, opened := counts()

	// Other models on the same features, other chunks, a part of the range: nothing is opened.
	again := request(ref, dis)
	again.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1:enable_transform"}, {Spec: "vmaf_4k_v0.6.1"}}
	again.ChunkFrames, again.First, again.End, again.Subsample = 7, 0, 0, 3
	two := r.wait(r.measure(again))
	if c, o := counts(); two.State != store.StateSucceeded || c != chunks || o != opened+0 {
		t.Errorf("state %s: %d chunks measured again, %d files opened", two.State, c-chunks, o-opened)
	}
	if two.CachedFrames != 34 || two.MeasuredFrames != 0 {
		t.Errorf("%d pairs were stored and %d measured, want 34 and 0", two.CachedFrames, two.MeasuredFrames)
	}
	r.checkFrames(two, "", expected(t, two.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 100))

	// One more feature: only that is measured.
	more := request(ref, dis)
	more.Models = first.Models
	more.Features = []string{"vif:vif_enhn_gain_limit=1"}
	three := r.wait(r.measure(more))
	r.checkFrames(three, "", expected(t, three.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 100))
	r.farm.mu.Lock()
	for what := range r.farm.measured {
		if n := r.farm.measured[what]; n != 1 {
			t.Errorf("%s was measured %d times", what, n)
		}
	}
	r.farm.mu.Unlock()

	// A changed file is noticed.
	r.clip("dis", clip{frames: 100, content: "other", stamp: 1})
	chunks, _ = counts()
	four := r.wait(r.measure(first))
	if c, _ := counts(); c == chunks {
		t.Error("a changed file was not measured")
	}
	r.checkFrames(four, "", expected(t, four.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 100))

	// no_cache measures anew.
	fresh := first
	fresh.NoCache = true
	chunks, _ = counts()
	r.wait(r.measure(fresh))
	if c, _ := counts(); c == chunks {
		t.Error("no_cache measured nothing")
	}
}

func TestService_failuresStayWhereTheyBelong(t *testing.T) {
	r := newRig(t, nil)
	ref := r.clip("ref", clip{frames: 90})
	good := r.clip("good", clip{frames: 90})
	short := r.clip("short", clip{frames: 80})
	hurt := r.clip("hurt", clip{frames: 90, hurt: map[int64]*protocol.Error{45: {Reason: store.ReasonDamaged, Message: "media:hurt: frame 45: damaged picture"}}})
	gone := store.Source{Root: "media", Path: "gone", URI: "media:gone"}
	r.work(2, nil)
	req := request(ref, good, short, hurt, gone)
	req.ChunkFrames = 20
	st := r.wait(r.measure(req))
	if st.State != store.StatePartial {
		t.Errorf("state %s, want partial", st.State)
	}
	want := []struct {
		state  store.State
		reason store.Reason
	}{{store.StateSucceeded, ""}, {store.StateFailed, store.ReasonAmbiguous}, {store.StateFailed, store.ReasonDamaged}, {store.StateFailed, store.ReasonNotFound}}
	for k, d := range st.Measurement.Renditions {
		reason := store.Reason("")
		if d.Failure != nil {
			reason = d.Failure.Reason
		}
		if d.State != want[k].state || reason != want[k].reason {
			t.Errorf("rendition %s: %s %s, want %s %s", d.Name, d.State, reason, want[k].state, want[k].reason)
		}
	}
	r.checkFrames(st, "good", expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips["good"], 0, 90))
	if _, err := r.s.Frames(t.Context(), st.ID, "hurt"); !errors.Is(err, ErrNotStored) {
		t.Errorf("frames of a failed rendition: %v", err)
	}
	if _, err := r.s.Frames(t.Context(), st.ID, "nobody"); !errors.Is(err, ErrNoRendition) {
		t.Errorf("frames of no rendition: %v", err)
	}

	none := r.wait(r.measure(request(ref, gone)))
	if none.State != store.StateFailed || none.Failure == nil || none.Failure.Reason != store.ReasonNotFound {
		t.Errorf("a measurement of nothing: %s %+v", none.State, none.Failure)
	}
	noRef := r.wait(r.measure(request(gone, good)))
	if noRef.State != store.StateFailed || noRef.Failure == nil || noRef.Failure.Reason != store.ReasonNotFound {
		t.Errorf("a measurement without a reference: %s %+v", noRef.State, noRef.Failure)
	}
	r.empty()
}

// empty requires that nothing is outstanding any more, in store and memory.
func (r *rig) empty() {
	r.t.Helper()
	list, err := r.s.Queue(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, q := range list {
		if q.Outstanding != 0 || q.Running != 0 || q.Published != 0 {
			r.t.Errorf("left in the queue: %+v", q)
		}
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if len(r.s.active) != 0 || len(r.s.out) != 0 || len(r.s.owners) != 0 {
		r.t.Errorf("left in memory: %d measurements, %d tasks, %d owners", len(r.s.active), len(r.s.out), len(r.s.owners))
	}
}

func TestService_deadWorkersCostAttempts(t *testing.T) {
	for _, step := range []string{"begin", "record", "finish"} {
		t.Run("dies before "+step, func(t *testing.T) {
			r := newRig(t, nil)
			ref, dis := r.clip("ref", clip{frames: 60}), r.clip("dis", clip{frames: 60})
			var died atomic.Int64
			dead := make(chan *protocol.Task, 10)
			// Two workers die at their first chunk; the third lives.
			r.work(2, func(at string, task *protocol.Task) bool {
				if at == step && task.Kind == store.TaskChunk && died.Add(1) <= 2 {
					dead <- task
					return true
				}
				return false
			})
			req := request(ref, dis)
			req.ChunkFrames = 60
			id := r.measure(req)
			for range 2 {
				select {
				case <-dead:
				case <-time.After(patience):
					t.Fatal("no worker took the chunk")
				}
				for _, w := range r.s.Workers() {
					if len(w.Running) > 0 {
						r.s.workers.mu.Lock()
						r.s.workers.byID[w.Hello.Worker].hello.PID = 77
						r.s.workers.mu.Unlock()
						r.s.WorkerGone(t.Context(), "host", 77, "killed by signal 11 (segmentation fault)")
					}
				}
				r.s.Reconnected() // a task that died before begin is only published
			}
			r.work(1, nil)
			st := r.wait(id)
			if st.State != store.StateSucceeded {
				t.Fatalf("state %s: %+v", st.State, st.Failure)
			}
			r.checkFrames(st, "", expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 60))
			r.empty()
		})
	}
}

func TestService_threeAttemptsAreAllThereAre(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 60}), r.clip("dis", clip{frames: 60})
	dead := make(chan *protocol.Task, 10)
	r.work(4, func(at string, task *protocol.Task) bool {
		if at == "record" && task.Chunk.First == 20 {
			dead <- task
			return true
		}
		return false
	})
	req := request(ref, dis)
	req.ChunkFrames = 20
	id := r.measure(req)
	for attempt := range 3 {
		select {
		case task := <-dead:
			if task.ID.Attempt != attempt+1 {
				t.Errorf("attempt %d is numbered %d", attempt+1, task.ID.Attempt)
			}
			r.s.mu.Lock()
			worker := r.s.out[refOf(task.ID)].worker
			r.s.mu.Unlock()
			r.s.workers.mu.Lock()
			r.s.workers.byID[worker].hello.PID = 100 + attempt
			r.s.workers.mu.Unlock()
			r.s.WorkerGone(t.Context(), "host", 100+attempt, "killed by signal 9 (killed)")
		case <-time.After(patience):
			t.Fatalf("attempt %d was not made", attempt+1)
		}
	}
	st := r.wait(id)
	d := st.Measurement.Renditions[0]
	if st.State != store.StateFailed || d.Failure == nil || d.Failure.Reason != store.ReasonWorker {
		t.Fatalf("state %s, %+v", st.State, d.Failure)
	}
	const want = "frames 20 to 39: workers failed at it 3 times, which is as often as workers.attempts allows; the last time: killed by signal 9 (killed)"
	if d.Failure.Message != want {
		t.Errorf("message %q\nwant    %q", d.Failure.Message, want)
	}
	r.empty()
}

func TestService_goesOnAfterARestart(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	r := newRig(t, nil)
	ref := r.clip("ref", clip{frames: 200})
	var ids []store.MeasurementID
	var names []string
	for i := range 6 {
		name := fmt.Sprintf("dis%d", i)
		names = append(names, name)
		req := request(ref, r.clip(name, clip{frames: 200}))
		req.ChunkFrames = 10
		ids = append(ids, r.measure(req))
	}
	for range 8 {
		// Let some chunks through, then pull the plug.
		left := atomic.Int64{}
		left.Store(1 + random.Int64N(12))
		dry := make(chan struct{})
		once := sync.OnceFunc(func() { close(dry) })
		stop := r.work(2, func(step string, task *protocol.Task) bool {
			if left.Add(-1) < 0 {
				once()
				return true
			}
			return false
		})
		select {
		case <-dry:
		case <-time.After(patience):
			t.Fatal("the workers were given nothing to do")
		}
		stop()
		r.restart()
		// Whoever had a task is not heard of again.
		r.config.Lease = time.Second
	}
	r.work(3, nil)
	for i, id := range ids {
		st := r.wait(id)
		if st.State != store.StateSucceeded {
			t.Fatalf("measurement %s: %s %+v", id, st.State, st.Failure)
		}
		r.checkFrames(st, "", expected(t, st.Measurement, r.farm.clips["ref"], r.farm.clips[names[i]], 0, 200))
	}
	r.empty()
}

func TestService_requestIDsAreIdempotent(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 10}), r.clip("dis", clip{frames: 10})
	sub := Submission{Owner: "ada", Request: request(ref, dis), RequestID: "once", Body: [32]byte{1}}
	one, err := r.s.Measure(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.s.Measure(t.Context(), sub)
	if err != nil || two.ID != one.ID {
		t.Errorf("the same request: %v, %v; want %s", two, err, one.ID)
	}
	sub.Body[0] = 2
	if _, err := r.s.Measure(t.Context(), sub); !errors.Is(err, store.ErrExists) {
		t.Errorf("another request under the same ID: %v", err)
	}
	sub.Owner = "bob"
	three, err := r.s.Measure(t.Context(), sub)
	if err != nil || three.ID == one.ID {
		t.Errorf("somebody else's ID: %v, %v", three, err)
	}
}

func TestService_cancelAndDelete(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 100}), r.clip("dis", clip{frames: 100})
	id := r.measure(request(ref, dis))
	if err := r.s.Delete(t.Context(), id, 0); !errors.Is(err, ErrState) {
		t.Errorf("delete while pending: %v", err)
	}
	st, err := r.s.Cancel(t.Context(), id)
	if err != nil || st.State != store.StateCancelled {
		t.Fatalf("cancel: %v, %v", st, err)
	}
	r.work(1, nil)
	again, err := r.s.Cancel(t.Context(), id)
	if err != nil || again.Revision != st.Revision {
		t.Errorf("cancel again: %v, %v", again, err)
	}
	r.empty()
	if err := r.s.Delete(t.Context(), id, st.Revision+1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("delete another revision: %v", err)
	}
	if err := r.s.Delete(t.Context(), id, st.Revision); err != nil {
		t.Error(err)
	}
	if _, err := r.s.Status(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after deletion: %v", err)
	}
}

func TestService_rescore(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 50}), r.clip("dis", clip{frames: 50})
	r.work(1, nil)
	st := r.wait(r.measure(request(ref, dis)))
	out, err := r.s.Rescore(t.Context(), st.ID, RescoreRequest{Models: []store.ModelSpec{{Spec: "vmaf_4k_v0.6.1"}}, Labels: map[string]string{"why": "uhd"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.ID == st.ID || out.Rescored != st.ID || out.State != store.StateSucceeded || out.Request.Labels["why"] != "uhd" {
		t.Errorf("rescored: %+v", out.Measurement)
	}
	r.checkFrames(out, "", expected(t, out.Measurement, r.farm.clips["ref"], r.farm.clips["dis"], 0, 50))
	if _, err := r.s.Rescore(t.Context(), st.ID, RescoreRequest{Models: []store.ModelSpec{{Spec: "vmaf_v0.6.1neg"}}}); !errors.Is(err, ErrNotStored) {
		t.Errorf("a model whose features are not stored: %v", err)
	}
	dry, err := r.s.Rescore(t.Context(), st.ID, RescoreRequest{Models: []store.ModelSpec{{Spec: "vmaf_4k_v0.6.1"}}, DryRun: true})
	if err != nil || dry.ID != "" {
		t.Errorf("dry run: %v, %v", dry, err)
	}
}

func TestService_watch(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 100}), r.clip("dis", clip{frames: 100})
	req := request(ref, dis)
	req.ChunkFrames = 10
	id := r.measure(req)
	r.work(2, nil)
	var segments []SegmentScore
	var ends []int
	var final *Status
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.s.Watch(ctx, id, true, func(e Event) error {
		switch {
		case final != nil:
			t.Error("an event after the end")
		case e.Segment != nil:
			segments = append(segments, *e.Segment)
		case e.Rendition != nil:
			ends = append(ends, e.Rendition.Index)
		case e.Status != nil && e.Status.State.Final():
			final = e.Status
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if final == nil || !slices.Equal(ends, []int{0}) {
		t.Fatalf("end %v, renditions %v", final, ends)
	}
	want, err := r.s.Segments(t.Context(), final.Measurement, 0, SegmentLength{})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(segments, func(a, b SegmentScore) int { return int(a.First - b.First) })
	if d := cmp.Diff(want, segments); d != "" || len(want) != 10 {
		t.Errorf("segments as told and as stored differ:\n%s", d)
	}
}

func TestService_order(t *testing.T) {
	r := newRig(t, nil)
	ref := r.clip("ref", clip{frames: 10})
	now := time.Now()
	r.stop() // nothing is handed out while they come in
	submit := func(name string, class store.Class, due time.Time) {
		req := request(ref, r.clip(name, clip{frames: 10}))
		req.Class, req.Deadline = class, due
		req.Renditions[0].Name = name
		r.measure(req)
	}
	submit("background", store.ClassBackground, time.Time{})
	submit("throughput", store.ClassThroughput, time.Time{})
	submit("throughput due later", store.ClassThroughput, now.Add(2*time.Hour))
	submit("throughput due", store.ClassThroughput, now.Add(time.Hour))
	submit("latency", store.ClassLatency, time.Time{})
	submit("latency due", store.ClassLatency, now.Add(time.Minute))
	r.stop = func() {}
	r.restart()
	r.until(func() bool {
		published := int64(0)
		list, err := r.s.Queue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range list {
			published += q.Published
		}
		return published == 6
	})
	var got []string
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		task, err := r.farm.take(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, task.Comparison.Renditions[0].Path)
	}
	want := []string{"latency due", "latency", "throughput due", "throughput due later", "throughput", "background"}
	if !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

// until waits for something that nobody announces.
func (r *rig) until(holds func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatal("it did not come about")
		}
	}
}

func TestService_limits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.Measurements, c.Limits.OwnerMeasurements = 3, 2 })
	ref, dis := r.clip("ref", clip{frames: 10}), r.clip("dis", clip{frames: 10})
	submit := func(owner string) error {
		_, err := r.s.Measure(t.Context(), Submission{Owner: owner, Request: request(ref, dis)})
		return err
	}
	for _, c := range []struct{ owner, key string }{
		{"ada", ""}, {"ada", ""}, {"ada", "limits.owner_measurements"}, {"bob", ""}, {"bob", "limits.outstanding_measurements"},
	} {
		err := submit(c.owner)
		limit := (*LimitError)(nil)
		if key := ""; errors.As(err, &limit) {
			key = limit.Key
			if key != c.key {
				t.Errorf("%s: %v, want %q", c.owner, err, c.key)
			}
		} else if err != nil || c.key != "" {
			t.Errorf("%s: %v, want %q", c.owner, err, c.key)
		}
	}
	r.s.Drain(true)
	if err := submit("eve"); !errors.Is(err, ErrDraining) {
		t.Errorf("while draining: %v", err)
	}
}

func TestService_badRequestsNameEveryField(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 10}), r.clip("dis", clip{frames: 10})
	req := request(ref, dis, dis)
	req.Renditions[0].Name, req.Renditions[1].Name = "x", "x"
	req.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}, {Spec: "nope"}}
	req.Features = []string{"vif", "nope"}
	req.Pools = []vmaf.PoolMethod{"p101"}
	req.Class, req.Pairing, req.Scale, req.OnDamage = "x", "timestamp", "x", "x"
	req.Offset, req.First, req.End, req.Subsample = 1, 5, 5, -1
	_, err := r.s.Measure(t.Context(), Submission{Request: req})
	var fields []string
	var walk func(error)
	walk = func(err error) {
		if f, ok := err.(*FieldError); ok {
			fields = append(fields, f.Field)
			return
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	want := []string{
		"spec.renditions[1].name", "spec.models[1].spec", "spec.features[1]", "spec.pools", "spec.service_class", "spec.scale_filter",
		"spec.damage_policy", "spec.offset", "spec.end_frame", "spec.subsample",
	}
	if d := cmp.Diff(want, fields); d != "" {
		t.Errorf("fields (−want +got):\n%s\n%v", d, err)
	}
	if _, err := r.s.Check(t.Context(), Submission{Request: req}); err == nil {
		t.Error("Check has nothing to say")
	}
	r.empty()
}

// TestService_whatWasReadBeforeIsNotHandedOut: between reading the store and publishing, a task may have been begun and lost. Handing out the attempt
// that was read would have workers refuse it, and nobody hand out the next.
func TestService_whatWasReadBeforeIsNotHandedOut(t *testing.T) {
	r := newRig(t, nil)
	ref, dis := r.clip("ref", clip{frames: 10}), r.clip("dis", clip{frames: 10})
	id := r.measure(request(ref, dis))
	before, err := r.store.Tasks(t.Context(), store.ClassThroughput, nil, 1)
	if err != nil || len(before) != 1 {
		t.Fatalf("%d tasks, %v", len(before), err)
	}
	w := &farmWorker{f: r.farm, name: "worker", die: func(step string, _ *protocol.Task) bool { return step == "finish" }}
	w.hello(t.Context())
	task, err := r.farm.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !w.task(t.Context(), task) {
		t.Fatal("the worker did not die")
	}
	r.stop()
	r.stop = func() {}
	r.s.WorkerGone(t.Context(), "host", 1, "killed")
	if ok, err := r.s.publish(t.Context(), before[0]); ok || err != nil {
		t.Errorf("handed out: %t, %v", ok, err)
	}
	now, err := r.store.Task(t.Context(), before[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := r.s.publish(t.Context(), *now); !ok || err != nil {
		t.Fatalf("the task as it is now was not handed out: %v", err)
	}
	if task, err = r.farm.take(t.Context()); err != nil || task.ID != (protocol.TaskID{Measurement: id, Attempt: 2}) {
		t.Errorf("handed out: %+v, %v", task.ID, err)
	}
}
