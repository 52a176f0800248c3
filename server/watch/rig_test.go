package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// fakeWorkflow accepts measurements into a store and ends them when the test says so. Measuring is all that it does not do.
type fakeWorkflow struct {
	store *store.Store
	now   func() time.Time

	mu      sync.Mutex
	refuse  error // of Measure; nil: accepted
	frames  error // of Frames
	changed chan struct{}
	subs    []workflow.Submission // accepted and not of before
	ids     []store.MeasurementID
}

// lastID is the last measurement's time in milliseconds: names are unique, also in a store that tests share.
var lastID atomic.Uint64

func (w *fakeWorkflow) Measure(ctx context.Context, sub workflow.Submission) (*workflow.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return nil, w.refuse
	}
	for last := lastID.Load(); !lastID.CompareAndSwap(last, max(last+1, ulid.Timestamp(w.now()))); last = lastID.Load() {
	}
	var id ulid.ULID
	if err := id.SetTime(lastID.Load()); err != nil {
		return nil, err
	}
	name := store.MeasurementID(strings.ToLower(id.String()))
	m := &store.Measurement{ID: name, Owner: sub.Owner, Request: sub.Request, State: store.StateRunning, Created: name.Time()}
	for _, r := range sub.Request.Renditions {
		m.Renditions = append(m.Renditions, store.Rendition{Name: r.Name, State: store.StateRunning})
	}
	existing, err := w.store.Create(ctx, m, sub.RequestID, sub.Body, nil)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return &workflow.Status{Measurement: existing}, nil
	}
	w.subs, w.ids = append(w.subs, sub), append(w.ids, m.ID)
	return &workflow.Status{Measurement: m}, nil
}

func (w *fakeWorkflow) Watch(ctx context.Context, id store.MeasurementID, _ bool, tell func(workflow.Event) error) error {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		m, err := w.store.Measurement(ctx, id)
		if err != nil {
			return err
		}
		if m.State.Final() {
			return tell(workflow.Event{Status: &workflow.Status{Measurement: m}})
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *fakeWorkflow) Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.frames != nil {
		return nil, w.frames
	}
	if _, err := w.store.Measurement(ctx, id); err != nil {
		return nil, err
	}
	t := &vmaf.Table{Frames: 2, Width: 64, Height: 64, FPS: 10, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{90, 92}}}}
	return &workflow.Frames{Name: rendition, Table: t}, nil
}

func (w *fakeWorkflow) Segments(context.Context, *store.Measurement, int, workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	return nil, nil
}

// signal has watchers look again.
func (w *fakeWorkflow) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *fakeWorkflow) set(field *error, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*field = err
}

// rig is a watcher of a real folder, over a real store, with a clock and a workflow that the test moves.
type rig struct {
	t        *testing.T
	dir      string // the watched folder
	base     string // the media root above it
	cfg      Folder
	time     time.Time
	store    *store.Store
	workflow *fakeWorkflow
	bound    int
	ledger   Ledger   // nil: store
	measures Workflow // nil: workflow
	folder   *watched
	events   []Event
	cancel   context.CancelFunc
	ctx      context.Context
}

// newRig makes a folder with titles by pattern: ref/NAME.y4m and dis/NAME_ANY.y4m. change adapts its configuration.
func newRig(t *testing.T, change func(*Folder)) *rig {
	t.Helper()
	return newRigOver(t, openStore(t, time.Now), change)
}

// openStore is a store of the test's own.
func openStore(t *testing.T, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{
		Dir: filepath.Join(t.TempDir(), "store"), MinFreeBytes: -1, MemoryBytes: 16 << 20, Logger: slog.New(slog.DiscardHandler), Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// rigs tells the folders of rigs over one store apart.
var rigs atomic.Int64

// newRigOver is newRig with a store that others may use, too: making one takes longer than most tests.
func newRigOver(t *testing.T, s *store.Store, change func(*Folder)) *rig {
	t.Helper()
	r := &rig{t: t, base: t.TempDir(), time: time.Now(), store: s}
	r.dir = filepath.Join(r.base, "in")
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stable := time.Duration(0)
	r.cfg = Folder{
		Name: fmt.Sprintf("inbox-%d", rigs.Add(1)), Path: r.dir, Events: new(bool), Ready: Ready{StableFor: &stable},
		Pair: Pair{Reference: "ref/{title}.y4m", Rendition: "dis/{title}_{rung}.y4m"}, Reports: Reports{Formats: []string{"xml"}},
	}
	if change != nil {
		change(&r.cfg)
	}
	if err := r.cfg.Check(); err != nil {
		t.Fatal(err)
	}
	r.workflow = &fakeWorkflow{store: r.store, now: func() time.Time { return r.time }, changed: make(chan struct{})}
	r.start()
	t.Cleanup(r.kill)
	return r
}

// start makes a watcher as a process that starts does.
func (r *rig) start() {
	r.t.Helper()
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: r.base}})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.ledger == nil {
		r.ledger, r.measures = r.store, r.workflow
	}
	w, err := New(Config{
		Folders: []Folder{r.cfg}, Roots: roots, Ledger: r.ledger, Workflow: r.measures, Version: "test", Outstanding: r.bound,
		Logger: slog.New(slog.NewTextHandler(logTo{r.t}, nil)), Now: func() time.Time { return r.time }, Tell: func(e Event) { r.events = append(r.events, e) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.folder = w.folders[0]
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := r.folder.load(r.ctx); err != nil {
		r.t.Fatal(err)
	}
}

// logTo writes a log to a test's.
type logTo struct{ t *testing.T }

func (l logTo) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// kill ends the watcher without a word, as the end of its process would: nothing but the store and files is left.
func (r *rig) kill() {
	r.cancel()
	r.folder.following.Wait()
	r.folder.close()
}

func (r *rig) restart() {
	r.t.Helper()
	r.kill()
	r.start()
}

// file writes a file of the folder, which thereby is a new one each time.
func (r *rig) file(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path+".part", []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		r.t.Fatal(err)
	}
}

// look has time pass and the folder looked at, as often as it takes to see what is stable.
func (r *rig) look() {
	r.t.Helper()
	for range 2 {
		r.time = r.time.Add(time.Second)
		r.folder.look(r.ctx)
		r.folder.show()
	}
}

// end ends the n-th measurement that was accepted: every rendition succeeds unless it is in failed. The folder hears of it and looks.
func (r *rig) end(n int, failed map[string]store.Failure) {
	r.t.Helper()
	r.endOnly(n, failed)
	r.hear()
	r.look()
}

// endOnly is end, and nobody hears of it.
func (r *rig) endOnly(n int, failed map[string]store.Failure) {
	r.t.Helper()
	r.time = r.time.Add(time.Second)
	_, err := r.store.Update(r.ctx, r.workflow.ids[n], func(m *store.Measurement) (store.Changes, error) {
		m.State, m.Finished = store.StateSucceeded, r.time
		m.Plan = &store.Plan{Models: []store.Model{{Name: "vmaf", Series: []string{"vmaf"}}}, Pools: []vmaf.PoolMethod{vmaf.PoolMean}}
		for k := range m.Renditions {
			d := &m.Renditions[k]
			d.State, d.Scores = store.StateSucceeded, []store.Score{{Series: "vmaf", Model: "vmaf", Pooled: []store.Pooled{{Method: vmaf.PoolMean, Value: 91}}}}
			if f, bad := failed[d.Name]; bad {
				m.State, d.State, d.Scores, d.Failure = store.StatePartial, store.StateFailed, nil, &f
			}
		}
		return store.Changes{}, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.workflow.signal()
}

// hear deals with one measurement that has ended.
func (r *rig) hear() {
	r.t.Helper()
	select {
	case j := <-r.folder.ended:
		r.folder.finish(r.ctx, j)
		r.folder.show()
	case <-time.After(time.Minute):
		r.t.Fatal("no measurement has ended")
	}
}

// submitted are the renditions of all measurements that were accepted, each "ref: dis dis".
func (r *rig) submitted() []string {
	var list []string
	for _, sub := range r.workflow.subs {
		line := strings.TrimPrefix(sub.Request.Reference.Path, "in/") + ":"
		for _, d := range sub.Request.Renditions {
			line += " " + strings.TrimPrefix(d.Source.Path, "in/")
		}
		list = append(list, line)
	}
	return list
}

func (r *rig) wantSubmitted(want ...string) {
	r.t.Helper()
	if got := r.submitted(); !slices.Equal(got, want) {
		r.t.Fatalf("submitted %q, want %q", got, want)
	}
}

// files lists every file of the folder, below it.
func (r *rig) files() []string {
	r.t.Helper()
	var list []string
	err := filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			below, _ := filepath.Rel(r.dir, path) // it is below
			list = append(list, below)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func (r *rig) wantFiles(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	if got := r.files(); !slices.Equal(got, want) {
		r.t.Fatalf("there are files %q, want %q", got, want)
	}
}

func (r *rig) text(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// states are those of the ledger, by path.
func (r *rig) states() map[string]store.WatchState {
	r.t.Helper()
	states := map[string]store.WatchState{}
	err := r.store.WatchEntries(r.t.Context(), r.cfg.Name, func(e store.WatchEntry) error {
		states[e.Path] = e.State
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for path, e := range r.folder.entries {
		if states[path] != e.State {
			r.t.Errorf("%s: memory says %s, the ledger %s", path, e.State, states[path])
		}
	}
	return states
}

func (r *rig) wantStates(want map[string]store.WatchState) {
	r.t.Helper()
	if got := r.states(); !maps.Equal(got, want) {
		r.t.Fatalf("the ledger has %v, want %v", got, want)
	}
}

// kinds are those of the events so far, with what they are about.
func (r *rig) told() []string {
	var list []string
	for _, e := range r.events {
		list = append(list, fmt.Sprintf("%s %s", e.Kind, e.Path))
	}
	r.events = nil
	return list
}

func (r *rig) wantTold(want ...string) {
	r.t.Helper()
	if got := r.told(); !slices.Equal(got, want) {
		r.t.Fatalf("told %q, want %q", got, want)
	}
}

var errTest = errors.New("an error for the test")
