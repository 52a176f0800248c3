package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

const (
	done      = store.WatchDone
	failed    = store.WatchFailed
	measuring = store.WatchMeasuring
)

func TestLadderIsOneMeasurement(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		f.Request.Labels = map[string]string{"farm": "a"}
		f.Request.Models = []string{"vmaf_v0.6.1"}
	})
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_low.y4m", "low")
	r.file("dis/x_high.y4m", "high")
	r.file("dis/y_low.y4m", "nobody's")
	r.look()
	r.wantSubmitted("ref/x.y4m: dis/x_high.y4m dis/x_low.y4m")
	sub := r.workflow.subs[0]
	if sub.Owner != "watch/"+r.cfg.Name || sub.Request.Class != store.ClassBackground || len(sub.Request.Models) != 1 {
		t.Errorf("submitted %+v", sub)
	}
	if want := "map[farm:a title:x watch:" + r.cfg.Name + "]"; fmt.Sprint(sub.Request.Labels) != want {
		t.Errorf("labels %v, want %s", sub.Request.Labels, want)
	}
	if s := sub.Request.Reference; s.Root != "media" || s.Path != "in/ref/x.y4m" {
		t.Errorf("the reference is %+v", s)
	}
	r.wantTold("submitted ref/x.y4m")
	r.end(0, nil)
	r.wantStates(map[string]store.WatchState{"dis/x_low.y4m": done, "dis/x_high.y4m": done})
	r.wantTold("done dis/x_high.y4m", "done dis/x_low.y4m")
	if text := r.text("dis/x_low.y4m.vmaf.xml"); !strings.Contains(text, "<VMAF") {
		t.Errorf("the report is %.200q", text)
	}
	r.look()
	r.restart()
	r.look()
	r.wantSubmitted("ref/x.y4m: dis/x_high.y4m dis/x_low.y4m")
	r.wantFiles("ref/x.y4m", "dis/x_low.y4m", "dis/x_high.y4m", "dis/y_low.y4m", "dis/x_low.y4m.vmaf.xml", "dis/x_high.y4m.vmaf.xml")
	if s := r.folder.statusNow(); s.Done != 2 || s.Failed != 0 || s.Measuring != 0 || s.Waiting != 0 || !s.Idle() {
		t.Errorf("status %+v", s)
	}
}

func TestOneFailedRenditionDoesNotTakeTheOthers(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_bad.y4m", "bad")
	r.file("dis/x_good.y4m", "good")
	r.look()
	r.end(0, map[string]store.Failure{"x_bad": {Reason: store.ReasonDamaged, Message: "frame 3 cannot be decoded"}})
	r.wantStates(map[string]store.WatchState{"dis/x_bad.y4m": failed, "dis/x_good.y4m": done})
	r.wantFiles("ref/x.y4m", "dis/x_bad.y4m", "dis/x_bad.y4m.vqsd-failed.txt", "dis/x_good.y4m", "dis/x_good.y4m.vmaf.xml")
	mark := r.text("dis/x_bad.y4m.vqsd-failed.txt")
	for _, part := range []string{"x_bad.y4m", "damaged", "frame 3 cannot be decoded", "What to do", "measurements/" + string(r.workflow.ids[0])} {
		if !strings.Contains(mark, part) {
			t.Errorf("the mark does not say %q:\n%s", part, mark)
		}
	}
	r.time = r.time.Add(48 * time.Hour)
	r.look()
	r.restart()
	r.look()
	if len(r.workflow.subs) != 1 {
		t.Fatalf("what failed for a reason of its own was tried again: %q", r.submitted())
	}
	r.file("dis/x_bad.y4m", "better")
	r.look()
	r.wantSubmitted("ref/x.y4m: dis/x_bad.y4m dis/x_good.y4m", "ref/x.y4m: dis/x_bad.y4m")
	r.end(1, nil)
	r.wantFiles("ref/x.y4m", "dis/x_bad.y4m", "dis/x_bad.y4m.vmaf.xml", "dis/x_good.y4m", "dis/x_good.y4m.vmaf.xml")
}

// A ledger that was lost has left a mark.
func TestMarkThatNobodyKnowsOfGoesAway(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	r.end(0, map[string]store.Failure{"x_a": damaged})
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vqsd-failed.txt")
	if err := r.store.DeleteWatchEntries(r.ctx, r.cfg.Name, "dis/x_a.y4m"); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.file("dis/x_a.y4m", "another")
	r.look()
	r.end(1, nil)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.xml")
}

func TestFailureOfAReplacedFileTakesItsReportsAway(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "good")
	r.look()
	r.end(0, nil)
	r.file("dis/x_a.y4m", "bad by now")
	r.look()
	r.end(1, map[string]store.Failure{"x_a": {Reason: store.ReasonDamaged, Message: "cut off"}})
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vqsd-failed.txt")
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.After.Attempts = 3 })
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	died := map[string]store.Failure{"x_a": {Reason: store.ReasonWorker, Message: "three workers died"}}
	for attempt := range 3 {
		if n := len(r.workflow.subs); n != attempt+1 {
			t.Fatalf("%d submissions before attempt %d ended", n, attempt+1)
		}
		r.end(attempt, died)
		if attempt < 2 {
			if files := r.files(); slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, markSuffix) }) {
				t.Fatalf("marked before the last attempt: %q", files)
			}
			if s := r.folder.statusNow(); s.Idle() {
				t.Error("a folder is idle whose rendition is tried again")
			}
		}
		r.look() // too early
		r.time = r.time.Add(2 * time.Hour)
		r.look()
	}
	if n := len(r.workflow.subs); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
	r.wantTold("submitted ref/x.y4m", "again dis/x_a.y4m", "submitted ref/x.y4m", "again dis/x_a.y4m", "submitted ref/x.y4m", "failed dis/x_a.y4m")
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vqsd-failed.txt")
}

func TestFailedWorkIsTriedAgainWhenOtherThingsAreAskedFor(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.file("dis/x_b.y4m", "b")
	r.look()
	r.end(0, map[string]store.Failure{"x_a": {Reason: store.ReasonAmbiguous, Message: "frame rates differ"}})
	r.cfg.Request.Pairing = "index"
	r.restart()
	r.look()
	r.wantSubmitted("ref/x.y4m: dis/x_a.y4m dis/x_b.y4m", "ref/x.y4m: dis/x_a.y4m")
}

func TestReplacedFiles(t *testing.T) {
	for _, c := range []struct {
		name, replaced string
		again          string
	}{
		{"a rendition is measured again", "dis/x_a.y4m", "ref/x.y4m: dis/x_a.y4m"},
		{"a reference has its renditions measured again", "ref/x.y4m", "ref/x.y4m: dis/x_a.y4m dis/x_b.y4m"},
	} {
		for _, early := range []bool{false, true} {
			name := c.name
			if early {
				name += ", also when it is replaced while it is measured"
			}
			t.Run(name, func(t *testing.T) {
				r := newRig(t, nil)
				r.file("ref/x.y4m", "ref")
				r.file("ref/y.y4m", "ref")
				for _, dis := range []string{"x_a", "x_b", "y_a"} {
					r.file("dis/"+dis+".y4m", dis)
				}
				r.look()
				if early {
					r.file(c.replaced, "replaced")
					r.look()
					if n := len(r.workflow.subs); n != 2 {
						t.Fatalf("%d submissions while the first are measured", n)
					}
				}
				r.endOnly(0, nil)
				r.hear()
				r.endOnly(1, nil)
				r.hear()
				if !early {
					r.look()
					r.file(c.replaced, "replaced")
				} else if report := "dis/x_a.y4m.vmaf.xml"; slices.Contains(r.files(), report) {
					t.Errorf("there is a report of files that were replaced meanwhile")
				}
				r.look()
				r.wantSubmitted("ref/x.y4m: dis/x_a.y4m dis/x_b.y4m", "ref/y.y4m: dis/y_a.y4m", c.again)
				r.end(2, nil)
				r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done, "dis/x_b.y4m": done, "dis/y_a.y4m": done})
			})
		}
	}
}

func TestOperatorsWordHolds(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		end          func(r *rig)
	}{
		{"a cancelled measurement", "cancelled", func(r *rig) {
			_, err := r.store.Update(r.ctx, r.workflow.ids[0], func(m *store.Measurement) (store.Changes, error) {
				m.State, m.Finished, m.Renditions[0].State = store.StateCancelled, r.time, store.StateCancelled
				return store.Changes{}, nil
			})
			if err != nil {
				r.t.Fatal(err)
			}
		}},
		{"a deleted measurement", "deleted", func(r *rig) {
			if err := r.store.Delete(r.ctx, r.workflow.ids[0]); err != nil {
				r.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name+" is a failure and not repeated", func(t *testing.T) {
			r := newRig(t, nil)
			r.file("ref/x.y4m", "ref")
			r.file("dis/x_a.y4m", "a")
			r.look()
			c.end(r)
			r.workflow.signal()
			r.hear()
			r.time = r.time.Add(48 * time.Hour)
			r.look()
			r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": failed})
			if mark := r.text("dis/x_a.y4m.vqsd-failed.txt"); !strings.Contains(mark, "reason: "+c.reason) {
				t.Errorf("the mark says\n%s", mark)
			}
			r.restart()
			r.look()
			if n := len(r.workflow.subs); n != 1 {
				t.Errorf("%d submissions", n)
			}
		})
	}
}

func TestBackPressure(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"a limit", &workflow.LimitError{Key: "limits.owner_measurements", Max: 1, What: "unfinished measurements"}},
		{"draining", workflow.ErrDraining},
		{"a full disk", fmt.Errorf("create: %w", store.ErrFull)},
		{"an error that may have come after it was accepted", errTest},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.file("ref/x.y4m", "ref")
			r.file("dis/x_a.y4m", "a")
			r.workflow.set(&r.workflow.refuse, c.err)
			r.look()
			r.look()
			if s := r.folder.statusNow(); s.Failed != 0 || s.Err == "" || s.Idle() {
				t.Errorf("status %+v", s)
			}
			r.workflow.set(&r.workflow.refuse, nil)
			for range 5 {
				r.time = r.time.Add(time.Minute)
				r.look()
			}
			r.wantSubmitted("ref/x.y4m: dis/x_a.y4m")
			r.end(0, nil)
			r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done})
			if s := r.folder.statusNow(); !s.Idle() {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestWrongRequestFailsItsRenditions(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.workflow.set(&r.workflow.refuse, &workflow.FieldError{Field: "spec.models[0].spec", Err: errTest})
	r.look()
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": failed})
	if mark := r.text("dis/x_a.y4m.vqsd-failed.txt"); !strings.Contains(mark, "spec.models[0].spec") {
		t.Errorf("the mark says\n%s", mark)
	}
	r.wantTold("failed dis/x_a.y4m")
}

func TestOutstandingMeasurementsAreBounded(t *testing.T) {
	r := newRig(t, nil)
	r.kill()
	r.bound = 2
	r.start()
	for _, title := range []string{"a", "b", "c", "d", "e"} {
		r.file("ref/"+title+".y4m", "ref")
		r.file("dis/"+title+"_1.y4m", title)
	}
	r.look()
	if n := len(r.workflow.subs); n != 2 {
		t.Fatalf("%d submissions, want 2", n)
	}
	if s := r.folder.statusNow(); s.Waiting != 3 || s.Outstanding != 2 {
		t.Errorf("status %+v", s)
	}
	for n := range 5 {
		r.end(n, nil)
	}
	if n := len(r.workflow.subs); n != 5 {
		t.Errorf("%d submissions, want 5", n)
	}
}

func TestManyRenditionsAreSeveralMeasurements(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	for i := range 70 {
		r.file(fmt.Sprintf("dis/x_%02d.y4m", i), "a")
	}
	r.look()
	if n := len(r.workflow.subs); n != 2 || len(r.workflow.subs[0].Request.Renditions) != 64 || len(r.workflow.subs[1].Request.Renditions) != 6 {
		t.Fatalf("%d submissions: %q", n, r.submitted())
	}
}

func TestReportsThatCannotBeWrittenAreTriedAgain(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.Reports.To = filepath.Join(filepath.Dir(f.Path), "out") })
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	blocked := filepath.Join(r.base, "out", "dis")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	r.endOnly(0, nil)
	r.hear()
	r.look()
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": store.WatchReporting})
	if s := r.folder.statusNow(); s.Err == "" {
		t.Error("the status does not say what is in the way")
	}
	for range 5 {
		r.time = r.time.Add(time.Minute)
		r.look()
	}
	if told := r.told(); len(told) != 2 { // submitted, trouble
		t.Errorf("told %q", told)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	r.time = r.time.Add(time.Minute)
	r.look()
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done})
	if _, err := os.Stat(filepath.Join(blocked, "x_a.y4m.vmaf.xml")); err != nil {
		t.Error(err)
	}
	if n := len(r.workflow.subs); n != 1 {
		t.Errorf("%d submissions", n)
	}
}

func TestEntriesOfFilesThatAreGone(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.file("dis/x_b.y4m", "b")
	r.look()
	r.end(0, map[string]store.Failure{"x_b": {Reason: store.ReasonDamaged, Message: "cut off"}})
	both := map[string]store.WatchState{"dis/x_a.y4m": done, "dis/x_b.y4m": failed}
	aside := filepath.Join(r.base, "aside")
	if err := os.Rename(r.dir, aside); err != nil { // as if it were not mounted
		t.Fatal(err)
	}
	r.look()
	if err := os.Mkdir(r.dir, 0o755); err != nil { // an empty folder is no better
		t.Fatal(err)
	}
	for range 2 {
		r.time = r.time.Add(30 * 24 * time.Hour)
		r.look()
		r.restart()
		r.look()
	}
	r.wantStates(both)
	if err := os.Remove(r.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, r.dir); err != nil {
		t.Fatal(err)
	}
	r.look()
	if n := len(r.workflow.subs); n != 1 {
		t.Fatalf("%d submissions after the folder came back", n)
	}
	for _, name := range []string{"dis/x_a.y4m", "dis/x_b.y4m"} {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.base, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	r.look()
	if slices.Contains(r.files(), "dis/x_b.y4m.vqsd-failed.txt") {
		t.Error("there is a mark of a file that is gone")
	}
	r.time = r.time.Add(24 * time.Hour)
	r.look()
	r.wantStates(both)
	if err := os.Rename(filepath.Join(r.base, "x_a.y4m"), filepath.Join(r.dir, "dis/x_a.y4m")); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.time = r.time.Add(8 * 24 * time.Hour)
	r.look()
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done})
	if n := len(r.workflow.subs); n != 1 {
		t.Errorf("%d submissions: a file that came back as it was is not measured again", n)
	}
}

func TestProblemsAreMarkedAndUnmarked(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.Pair = Pair{By: ByManifest} })
	r.file("a/ref.y4m", "ref")
	r.file("a/dis.y4m", "dis")
	r.file("a/x.vqsd.yaml", "reference: [")
	r.look()
	r.wantStates(map[string]store.WatchState{"a/x.vqsd.yaml": failed})
	r.wantFiles("a/ref.y4m", "a/dis.y4m", "a/x.vqsd.yaml", "a/x.vqsd.yaml.vqsd-failed.txt")
	r.wantTold("failed a/x.vqsd.yaml")
	r.look()
	r.restart()
	r.look()
	r.wantTold()
	r.file("a/x.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: dis.y4m}]\n")
	r.look()
	r.wantFiles("a/ref.y4m", "a/dis.y4m", "a/x.vqsd.yaml")
	r.wantSubmitted("a/ref.y4m: a/dis.y4m")
	r.wantStates(map[string]store.WatchState{"a/dis.y4m": measuring})
}
