package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/store"
)

const users = "somebody's own text"

func TestFilesOfOthersStay(t *testing.T) {
	fails := map[string]store.Failure{"x_a": damaged}
	for _, c := range []struct {
		name    string
		change  func(*Folder)
		theirs  []string
		fail    map[string]store.Failure
		want    []string // beside theirs and the reference
		replace []string // likewise, when the rendition was replaced and measured well
	}{
		{
			name: "at the name of a report", theirs: []string{"dis/x_a.y4m.vmaf.xml"},
			want:    []string{"dis/x_a.y4m", "dis/x_a.y4m.vmaf-2.xml"},
			replace: []string{"dis/x_a.y4m", "dis/x_a.y4m.vmaf-2.xml"},
		},
		{
			name: "at the name of one of two reports", theirs: []string{"dis/x_a.csv", "dis/x_a-2.xml"},
			change:  func(f *Folder) { f.Reports = Reports{Name: "{name}", Formats: []string{"csv", "xml"}} },
			want:    []string{"dis/x_a.y4m", "dis/x_a-3.csv", "dis/x_a-3.xml"},
			replace: []string{"dis/x_a.y4m", "dis/x_a-3.csv", "dis/x_a-3.xml"},
		},
		{
			name: "at the name of a mark", theirs: []string{"dis/x_a.y4m.vqsd-failed.txt"}, fail: fails,
			want:    []string{"dis/x_a.y4m", "dis/x_a.y4m-2.vqsd-failed.txt"},
			replace: []string{"dis/x_a.y4m", "dis/x_a.y4m.vmaf.xml"},
		},
		{
			name: "where a file is moved to", theirs: []string{"done/dis/x_a.y4m.vmaf.xml"}, change: moving,
			want:    []string{"done/dis/x_a.y4m", "done/dis/x_a.y4m.vmaf-2.xml"},
			replace: []string{"done/dis/x_a.y4m", "done/dis/x_a.y4m.vmaf-2.xml", "done/dis/x_a-2.y4m", "done/dis/x_a-2.y4m.vmaf.xml"},
		},
		{
			name: "at the name of a mark where a file is moved to", theirs: []string{"done/dis/x_a.y4m.vqsd-failed.txt"}, change: moving, fail: fails,
			want:    []string{"done/dis/x_a.y4m", "done/dis/x_a.y4m-2.vqsd-failed.txt"},
			replace: []string{"done/dis/x_a.y4m", "done/dis/x_a.y4m-2.vqsd-failed.txt", "done/dis/x_a-2.y4m", "done/dis/x_a-2.y4m.vmaf.xml"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.change)
			r.file("ref/x.y4m", "ref")
			r.file("dis/x_a.y4m", "a")
			for _, file := range c.theirs {
				r.file(file, users)
			}
			check := func(want []string) {
				t.Helper()
				r.wantFiles(append(append([]string{"ref/x.y4m"}, c.theirs...), want...)...)
				for _, file := range c.theirs {
					if text := r.text(file); text != users {
						t.Errorf("%s was written over: %.40q", file, text)
					}
				}
			}
			r.look()
			r.end(0, c.fail)
			check(c.want)
			r.restart()
			r.file("dis/x_a.y4m", "another a")
			r.look()
			r.end(1, nil)
			check(c.replace)
			r.look()
			if n := len(r.workflow.subs); n != 2 {
				t.Errorf("%d submissions: %q", n, r.submitted())
			}
		})
	}
}

func TestMarksOfWrongFilesLeaveOthersAlone(t *testing.T) {
	const manifest, theirs = "x.vqsd.yaml", "x.vqsd.yaml.vqsd-failed.txt"
	r := newRig(t, func(f *Folder) { f.Pair = Pair{By: ByManifest} })
	r.file(theirs, users)
	r.file(manifest, "reference: [")
	r.look()
	r.wantFiles(manifest, theirs, manifest+"-2.vqsd-failed.txt")
	r.file(manifest, "renditions: [")
	r.look()
	r.wantFiles(manifest, theirs, manifest+"-2.vqsd-failed.txt")
	if err := os.Remove(filepath.Join(r.dir, manifest)); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.wantFiles(theirs)
	if r.text(theirs) != users {
		t.Error("somebody's file was written over")
	}
}

// TestDeathWithReportsOfAllFormats has a process die with some reports written that the ledger does not know of. The next one knows them, beside files of
// others that have names like them.
func TestDeathWithReportsOfAllFormats(t *testing.T) {
	s := openStore(t, time.Now)
	for at := range 12 {
		r := newRigOver(t, s, func(f *Folder) {
			f.Reports.Formats = nil
			for _, format := range export.Formats() {
				if !format.Table() {
					f.Reports.Formats = append(f.Reports.Formats, string(format))
				}
			}
		})
		m := &mortal{Store: s, fakeWorkflow: r.workflow, at: at, after: true}
		r.kill()
		r.ledger, r.measures = m, m
		r.start()
		r.file("ref/x.y4m", "ref")
		r.file("dis/x_a.y4m", "a")
		r.file("dis/x_a.y4m.vmaf.json", users)
		survived := r.lives(m)
		left := r.files()
		m.at = -1
		r.restart()
		r.lives(m)
		for _, file := range left {
			if !slices.Contains(r.files(), file) {
				t.Errorf("died %s: %s is gone", m.died, file)
			}
		}
		for _, file := range r.files() {
			theirs := file == "dis/x_a.y4m.vmaf.json"
			if strings.Contains(file, ".vmaf") && !theirs && !strings.Contains(file, ".vmaf-2.") || strings.Contains(file, ".vmaf-3") {
				t.Errorf("died %s: there is %s", m.died, file)
			}
			if theirs && r.text(file) != users {
				t.Errorf("died %s: %s was written over", m.died, file)
			}
		}
		if survived {
			return
		}
	}
}

// A rendition is replaced while no process runs, after its reports were written and before the ledger knew.
func TestReportsThatNobodyKnowsOfGoWithWhatTheyAreOf(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.Reports.Formats = []string{"xml", "csv"} })
	m := &mortal{Store: r.store, fakeWorkflow: r.workflow, at: -1}
	r.kill()
	r.ledger, r.measures = m, m
	r.start()
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	m.at = m.steps + 2 // that it has ended, figures for xml, and figures for csv
	if r.lives(m) || !slices.Contains(r.files(), "dis/x_a.y4m.vmaf.xml") {
		t.Fatalf("died %q with %q", m.died, r.files())
	}
	m.at = -1
	r.file("dis/x_a.y4m", "another")
	r.restart()
	r.look()
	r.hear()
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m")
	r.look()
	r.lives(m)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.csv", "dis/x_a.y4m.vmaf.xml")
}

// Twice replaced while it is measured, a rendition has one report, of what it is in the end.
func TestReportsOfWhatWasReplacedTwice(t *testing.T) {
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	r.end(0, nil)
	r.file("dis/x_a.y4m", "b")
	r.look()
	r.file("dis/x_a.y4m", "c")
	r.end(1, map[string]store.Failure{"x_a": damaged})
	r.end(2, nil)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.xml")
}

// Two folders have one place for reports, and files of the same names.
func TestFoldersWithOnePlaceForReports(t *testing.T) {
	s := openStore(t, time.Now)
	out := t.TempDir()
	for n, want := range [][]string{
		{"x_a.y4m.vmaf.xml", "x_b.y4m.vqsd-failed.txt"},
		{"x_a.y4m.vmaf-2.xml", "x_a.y4m.vmaf.xml", "x_b.y4m-2.vqsd-failed.txt", "x_b.y4m.vqsd-failed.txt"},
	} {
		r := newRigOver(t, s, func(f *Folder) { f.Reports.To = out })
		r.file("ref/x.y4m", "ref")
		r.file("dis/x_a.y4m", "a")
		r.file("dis/x_b.y4m", "b")
		r.look()
		r.end(0, map[string]store.Failure{"x_b": damaged})
		list, err := os.ReadDir(filepath.Join(out, "dis"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, file := range list {
			got = append(got, file.Name())
		}
		if !slices.Equal(got, want) {
			t.Errorf("after folder %d there is %q, want %q", n+1, got, want)
		}
	}
	if reportInWork("a", "x.xml") == reportInWork("b", "x.xml") {
		t.Error("two folders have one name for files in work")
	}
}

// Reports are told from videos by their names, also those that have a number, or were cut.
func TestNumberedAndCutReportsAreNoRenditions(t *testing.T) {
	long := "x/" + strings.Repeat("l", 245) + ".y4m"
	for _, name := range []string{"", "{name}.score"} {
		r := newRig(t, func(f *Folder) {
			f.Pair = Pair{By: ByFolder}
			f.Reports = Reports{Name: name, Formats: []string{"xml", "record"}}
		})
		r.file("x/reference.y4m", "ref")
		r.file("x/a.y4m", "a")
		r.file("x/a.mkv", "a")
		r.file("x/b.y4m", "b")
		r.file("x/b.y4m.vmaf.xml", users)
		r.file(long, "l")
		r.look()
		r.end(0, nil)
		r.look()
		if n := len(r.workflow.subs); n != 1 || len(r.workflow.subs[0].Request.Renditions) != 4 {
			t.Errorf("reports called %q: submitted %q", name, r.submitted())
		}
		if n := len(r.files()); n != 6+4*2 {
			t.Errorf("reports called %q: there is %q", name, r.files())
		}
	}
}

func TestFileWithoutItsReportIsNotDeleted(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		f.After.Success = Delete
		f.Reports.Formats = []string{"xml", "ffmpeg-psnr"}
	})
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	r.end(0, nil)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.y4m.vmaf.xml")
	r.wantStates(map[string]store.WatchState{"dis/x_a.y4m": done})
	r.wantTold("submitted ref/x.y4m", "trouble dis/x_a.y4m", "done dis/x_a.y4m")
	r.restart()
	r.look()
	if s := r.folder.statusNow(); !s.Idle() || len(r.workflow.subs) != 1 {
		t.Errorf("status %+v, submitted %q", s, r.submitted())
	}
}

func TestTroubleGoesWithItsFile(t *testing.T) {
	const manifest = "a/x.vqsd.yaml"
	r := newRig(t, func(f *Folder) {
		f.Pair = Pair{By: ByManifest}
		f.Reports.To = filepath.Join(filepath.Dir(f.Path), "out")
	})
	if err := os.MkdirAll(filepath.Join(r.base, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.base, "out", "a"), nil, 0o644); err != nil { // no mark can be written below it
		t.Fatal(err)
	}
	r.file(manifest, "reference: [")
	r.look()
	if s := r.folder.statusNow(); s.Err == "" || s.Idle() {
		t.Errorf("status %+v of a folder with a file that cannot be marked", s)
	}
	if err := os.Remove(filepath.Join(r.dir, manifest)); err != nil {
		t.Fatal(err)
	}
	r.look()
	if s := r.folder.statusNow(); s.Err != "" || !s.Idle() {
		t.Errorf("status %+v when the file is gone", s)
	}
}
