package watch

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// dead is what a process that dies at a step panics with.
type dead struct{}

// mortal counts the steps of a process, each a call of the ledger or the workflow, and dies at one: before it is done, or after.
type mortal struct {
	*store.Store
	*fakeWorkflow
	steps int
	at    int // the step, from 0; −1: none
	after bool
	died  string // what the step was
}

func (m *mortal) step(what string, do func()) {
	n := m.steps
	m.steps++
	if n == m.at && !m.after {
		m.died = "before " + what
		panic(dead{})
	}
	do()
	if n == m.at {
		m.died = "after " + what
		panic(dead{})
	}
}

func (m *mortal) PutWatchEntries(ctx context.Context, entries ...store.WatchEntry) (err error) {
	m.step(fmt.Sprintf("put %s", entries[0].State), func() { err = m.Store.PutWatchEntries(ctx, entries...) })
	return err
}

func (m *mortal) DeleteWatchEntries(ctx context.Context, folder string, paths ...string) (err error) {
	m.step("delete", func() { err = m.Store.DeleteWatchEntries(ctx, folder, paths...) })
	return err
}

func (m *mortal) Measure(ctx context.Context, sub workflow.Submission) (st *workflow.Status, err error) {
	m.step("measure", func() { st, err = m.fakeWorkflow.Measure(ctx, sub) })
	return st, err
}

func (m *mortal) Frames(ctx context.Context, id store.MeasurementID, rendition string) (f *workflow.Frames, err error) {
	m.step("frames", func() { f, err = m.fakeWorkflow.Frames(ctx, id, rendition) })
	return f, err
}

func (m *mortal) Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error {
	return m.fakeWorkflow.Watch(ctx, id, segments, tell)
}

// lives drives a rig until nothing is left to do, or the process dies. Measurements end as soon as they can.
func (r *rig) lives(m *mortal) (survived bool) {
	defer func() {
		if p := recover(); p == (dead{}) {
			survived = false
		} else if p != nil {
			panic(p)
		}
	}()
	for range 20 {
		r.look()
		for n, id := range r.workflow.ids {
			if stored, err := r.store.Measurement(r.ctx, id); err != nil {
				r.t.Fatal(err)
			} else if !stored.State.Final() {
				r.endOnly(n, map[string]store.Failure{"y_b": damaged})
			}
		}
		for len(r.folder.jobs) > 0 && !r.onlyStuck() {
			r.hear()
		}
		if s := r.folder.statusNow(); s.Idle() {
			return true
		}
	}
	r.t.Fatalf("there is no end to it: %+v, died %s", r.folder.statusNow(), m.died)
	return false
}

func (r *rig) onlyStuck() bool {
	for _, j := range r.folder.jobs {
		if !j.stuck {
			return false
		}
	}
	return true
}

// TestDeathAtEveryStep has the process die at each step that it takes, before the step and after it, and start again.
func TestDeathAtEveryStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Folder)
		want   []string
	}{
		{"files are kept", func(f *Folder) { f.Reports.Formats = []string{"xml", "csv"} }, []string{
			"ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.csv", "dis/x_a.y4m.vmaf.xml", "dis/x_b.y4m", "dis/x_b.y4m.vmaf.csv", "dis/x_b.y4m.vmaf.xml",
			"ref/y.y4m", "dis/y_a.y4m", "dis/y_a.y4m.vmaf.csv", "dis/y_a.y4m.vmaf.xml", "dis/y_b.y4m", "dis/y_b.y4m.vqsd-failed.txt",
		}},
		{"files are moved", func(f *Folder) { moving(f); f.Reports.Formats = []string{"xml", "csv"} }, []string{
			"ref/x.y4m", "done/dis/x_a.y4m", "done/dis/x_a.y4m.vmaf.csv", "done/dis/x_a.y4m.vmaf.xml", "done/dis/x_b.y4m", "done/dis/x_b.y4m.vmaf.csv", "done/dis/x_b.y4m.vmaf.xml",
			"ref/y.y4m", "done/dis/y_a.y4m", "done/dis/y_a.y4m.vmaf.csv", "done/dis/y_a.y4m.vmaf.xml", "done/dis/y_b.y4m", "done/dis/y_b.y4m.vqsd-failed.txt",
		}},
		{"files are deleted", func(f *Folder) { f.After.Success = Delete }, []string{
			"ref/x.y4m", "dis/x_a.y4m.vmaf.xml", "dis/x_b.y4m.vmaf.xml", "ref/y.y4m", "dis/y_a.y4m.vmaf.xml", "dis/y_b.y4m", "dis/y_b.y4m.vqsd-failed.txt",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, steps := openStore(t, time.Now), 0
			for at := -1; at < steps; at++ {
				for _, after := range []bool{false, true} {
					m := dies(t, s, c.change, c.want, at, after)
					if at < 0 {
						steps = m.steps
					}
				}
			}
			t.Logf("%d steps", steps)
			if steps < 10 {
				t.Errorf("%d steps are too few to be all", steps)
			}
		})
	}
}

// dies runs one life that ends at a step, and another one that has to bring it all to its end.
func dies(t *testing.T, s *store.Store, change func(*Folder), want []string, at int, after bool) *mortal {
	t.Helper()
	r := newRigOver(t, s, change)
	m := &mortal{Store: s, fakeWorkflow: r.workflow, at: at, after: after}
	r.kill()
	r.ledger, r.measures = m, m
	r.start()
	for _, title := range []string{"x", "y"} {
		r.file("ref/"+title+".y4m", "ref "+title)
		r.file("dis/"+title+"_a.y4m", title+"a")
		r.file("dis/"+title+"_b.y4m", title+"b")
	}
	survived := r.lives(m)
	if survived != (at < 0) {
		t.Fatalf("step %d: survived %t", at, survived)
	}
	m.at = -1
	r.restart()
	if !r.lives(m) {
		t.Fatal("died without reason")
	}
	fault := func(format string, args ...any) {
		t.Errorf("died at step %d, %s: "+format, append([]any{at, m.died}, args...)...)
	}
	if got := r.submitted(); len(got) != 2 {
		fault("submitted %q, want each title once", got)
	}
	slices.Sort(want)
	if got := r.files(); !slices.Equal(got, want) {
		fault("there are files %q, want %q", got, want)
	}
	for path, state := range r.states() {
		if wanted := map[bool]store.WatchState{true: failed, false: done}[strings.HasSuffix(path, "y_b.y4m")]; state != wanted {
			fault("%s is %s", path, state)
		}
	}
	// Nothing is left to do for a third life, either.
	before := m.steps
	r.restart()
	r.look()
	if m.steps != before {
		fault("a third life had %d steps to take", m.steps-before)
	}
	return m
}

// TestOldSubmissionIsFound has the process die between submission and ledger, and start when the request ID is long forgotten.
func TestOldSubmissionIsFound(t *testing.T) {
	var r *rig
	r = newRigOver(t, openStore(t, func() time.Time { return r.time }), nil)
	m := &mortal{Store: r.store, fakeWorkflow: r.workflow, at: 1, after: true}
	r.kill()
	r.ledger, r.measures = m, m
	r.start()
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	if r.lives(m) || m.died != "after measure" {
		t.Fatalf("died %q, want after measure", m.died)
	}
	r.time = r.time.Add(40 * 24 * time.Hour)
	m.at = -1
	r.restart()
	r.lives(m)
	r.wantSubmitted("ref/x.y4m: dis/x_a.y4m")
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done})
}

func TestLeftoverOfAnInterruptedReportIsTakenAway(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	half := r.dir + "/dis/" + reportInWork(r.cfg.Name, "x_a.y4m.vmaf.xml")
	if err := os.WriteFile(half, []byte("half a report"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.end(0, nil)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.xml")
}
