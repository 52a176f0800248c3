package watch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
)

// running is a watcher that runs by itself, over a rig's folder.
type running struct {
	*rig
	watcher  *Watcher
	registry *prometheus.Registry
	told     chan Event
	stop     func() error
}

func runRig(t *testing.T, events bool) *running {
	t.Helper()
	r := &running{rig: newRig(t, func(f *Folder) { f.Interval = 24 * time.Hour; f.Events = &events }), told: make(chan Event, 100), registry: prometheus.NewRegistry()}
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: r.base}})
	if err != nil {
		t.Fatal(err)
	}
	r.watcher, err = New(Config{
		Folders: []Folder{r.cfg}, Roots: roots, Ledger: r.store, Workflow: r.workflow, Version: "test", Logger: slog.New(slog.DiscardHandler),
		Registerer: r.registry, Tell: func(e Event) { r.told <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// begin has the watcher run until the test ends.
func (r *running) begin() {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.watcher.Run(ctx) }()
	r.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	r.t.Cleanup(func() { _ = r.stop() }) // the test looks at the error where it matters
}

func (r *running) wait(kind EventKind) Event {
	r.t.Helper()
	select {
	case e := <-r.told:
		if e.Kind != kind {
			r.t.Fatalf("told %+v, want %s", e, kind)
		}
		return e
	case <-time.After(time.Minute):
		r.t.Fatalf("nothing was told, want %s", kind)
	}
	return Event{}
}

// The interval is a day: what happens here happens for file events, and for measurements that end.
func TestRunHearsOfFilesAndMeasurements(t *testing.T) {
	r := runRig(t, true)
	r.begin()
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	e := r.wait(Submitted)
	r.endOnly(0, nil)
	if done := r.wait(Done); done.Measurement != e.Measurement || len(done.Reports) != 1 || len(done.Scores) != 1 {
		t.Errorf("told %+v of %+v", done, e)
	}
	r.file("dis/x_a.y4m", "another")
	r.wait(Submitted)
	r.endOnly(1, map[string]store.Failure{"x_a": damaged})
	r.wait(Failed)
	if err := r.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	s := r.watcher.Status()[0]
	if s.Failed != 1 || s.Done != 0 || s.Measuring != 0 || s.Outstanding != 0 || s.Err != "" {
		t.Errorf("status %+v", s)
	}
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "folder" {
					name += " " + l.GetValue()
				}
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"vqsd_watch_submissions_total": 2, "vqsd_watch_renditions_total done": 1, "vqsd_watch_renditions_total failed": 1, "vqsd_watch_renditions_total again": 0,
		"vqsd_watch_reports_total": 1, "vqsd_watch_refusals_total": 0, "vqsd_watch_ledger_renditions failed": 1, "vqsd_watch_ledger_renditions done": 0,
		"vqsd_watch_outstanding_measurements": 0, "vqsd_watch_trouble": 0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v (%t), want %v", name, value, there, want)
		}
	}
}

// The interval is a day, and there are no file events.
func TestRunMeasuresAnewWhatWasReplacedMeanwhile(t *testing.T) {
	r := runRig(t, false)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.begin()
	r.wait(Submitted)
	r.file("dis/x_a.y4m", "another")
	r.endOnly(0, nil)
	r.wait(Again)
	if s := r.watcher.Status()[0]; s.Idle() {
		t.Errorf("idle before it is measured anew: %+v", s)
	}
	r.wait(Submitted)
}

func TestLedgerThatCannotBeReadEndsRun(t *testing.T) {
	r := newRig(t, nil)
	r.kill()
	r.ledger, r.measures = brokenLedger{r.store}, r.workflow
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: r.base}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Folders: []Folder{r.cfg}, Roots: roots, Ledger: r.ledger, Workflow: r.measures, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); !errors.Is(err, errTest) || !strings.Contains(err.Error(), r.cfg.Name) {
		t.Errorf("Run: %v", err)
	}
}

// brokenLedger cannot be read.
type brokenLedger struct{ Ledger }

func (brokenLedger) WatchEntries(context.Context, string, func(store.WatchEntry) error) error {
	return errTest
}

func TestConfigReportsEveryProblem(t *testing.T) {
	dir := t.TempDir()
	f := Folder{Name: "a", Path: dir}
	_, err := New(Config{Folders: []Folder{f, f}, Outstanding: 10_001})
	for _, part := range []string{`two folders are called "a"`, "needs a ledger", "10001 outstanding"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("New: %v; want %q", err, part)
		}
	}
}
