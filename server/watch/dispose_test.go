package watch

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
)

func moving(f *Folder) { f.After = After{Success: Move, Failure: Move, MoveTo: "done"} }

var damaged = store.Failure{Reason: store.ReasonDamaged, Message: "cut off"}

func TestMove(t *testing.T) {
	r := newRig(t, moving)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.file("dis/x_b.y4m", "b")
	r.look()
	r.end(0, map[string]store.Failure{"x_b": damaged})
	r.wantFiles("ref/x.y4m", "done/dis/x_a.y4m", "done/dis/x_a.y4m.vmaf.xml", "done/dis/x_b.y4m", "done/dis/x_b.y4m.vqsd-failed.txt")
	for _, e := range r.events {
		if want := filepath.Join(r.dir, "done", e.Path); e.Kind != Submitted && e.MovedTo != want {
			t.Errorf("moved to %q, want %q", e.MovedTo, want)
		}
	}

	// A file that is put back is tried again, although it is the same.
	for n := 1; n <= 2; n++ {
		if err := os.Rename(filepath.Join(r.dir, "done/dis/x_b.y4m"), filepath.Join(r.dir, "dis/x_b.y4m")); err != nil {
			t.Fatal(err)
		}
		r.look()
		if got := r.submitted(); len(got) != n+1 || got[n] != "ref/x.y4m: dis/x_b.y4m" {
			t.Fatalf("submitted %q", got)
		}
		if n == 1 {
			r.end(n, map[string]store.Failure{"x_b": damaged})
		} else {
			r.end(n, nil)
		}
	}

	// Files of the same names are others, and those that were moved before stay as they are.
	r.file("dis/x_a.y4m", "another a")
	r.look()
	r.end(3, nil)
	r.wantFiles("ref/x.y4m", "done/dis/x_a.y4m", "done/dis/x_a.y4m.vmaf.xml", "done/dis/x_a-2.y4m", "done/dis/x_a-2.y4m.vmaf.xml",
		"done/dis/x_b.y4m", "done/dis/x_b.y4m.vmaf.xml", "done/dis/x_b.y4m.vqsd-failed.txt")
	if r.text("done/dis/x_a.y4m") != "a" || r.text("done/dis/x_a-2.y4m") != "another a" {
		t.Error("a file was moved over another")
	}
	r.look()
	r.restart()
	r.look()
	if n := len(r.workflow.subs); n != 4 {
		t.Errorf("%d submissions", n)
	}
}

func TestMarkersGoWithTheirFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		d    Disposal
		want []string
	}{
		{"moved", Move, []string{"done/dis/x_a.y4m", "done/dis/x_a.y4m.done", "done/dis/x_a.y4m.vmaf.xml"}},
		{"deleted", Delete, []string{"dis/x_a.y4m.vmaf.xml"}},
		{"kept", Keep, []string{"dis/x_a.y4m", "dis/x_a.y4m.done", "dis/x_a.y4m.vmaf.xml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(f *Folder) {
				f.Ready.Marker = ".done"
				f.After.Success = c.d
				if c.d == Move {
					f.After.MoveTo = "done"
				}
			})
			r.file("ref/x.y4m", "ref")
			r.file("ref/x.y4m.done", "")
			r.file("dis/x_a.y4m", "a")
			r.file("dis/x_a.y4m.done", "")
			r.look()
			r.end(0, nil)
			r.wantFiles(append([]string{"ref/x.y4m", "ref/x.y4m.done"}, c.want...)...)
		})
	}
}

func TestTitlesGoWhenTheirLastRenditionHas(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		moving(f)
		f.Pair = Pair{By: ByManifest}
		f.Reports.To = filepath.Join(filepath.Dir(f.Path), "out")
	})
	r.file("t/ref.y4m", "ref")
	r.file("t/a.y4m", "a")
	r.file("t/x.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: a.y4m}, {path: b.y4m}]\n")
	r.look()
	r.wantSubmitted("t/ref.y4m: t/a.y4m")
	r.end(0, nil)
	r.look()
	r.wantFiles("t/ref.y4m", "t/x.vqsd.yaml", "done/t/a.y4m")
	r.file("t/b.y4m", "b")
	r.look()
	r.restart()
	r.look()
	r.end(1, map[string]store.Failure{"b": damaged})
	r.look()
	r.wantFiles("done/t/ref.y4m", "done/t/x.vqsd.yaml", "done/t/a.y4m", "done/t/b.y4m")

	// The same names once more, one after the other: what went before says nothing of these.
	r.file("t/x.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: a.y4m}, {path: b.y4m}]\n")
	r.file("t/ref.y4m", "ref")
	r.look()
	if !slices.Contains(r.files(), "t/ref.y4m") || !slices.Contains(r.files(), "t/x.vqsd.yaml") {
		t.Fatalf("a title that waits for its renditions was moved away: %q", r.files())
	}
	if err := os.RemoveAll(filepath.Join(r.dir, "t")); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadDir(filepath.Join(r.base, "out", "t"))
	if err != nil || len(out) != 2 || out[0].Name() != "a.y4m.vmaf.xml" || out[1].Name() != "b.y4m.vqsd-failed.txt" {
		t.Errorf("reports: %v, %v", out, err)
	}
}

func TestReferenceOfAnotherTitleStays(t *testing.T) {
	r := newRig(t, func(f *Folder) { moving(f); f.Pair = Pair{By: ByManifest} })
	r.file("ref.y4m", "ref")
	r.file("a.y4m", "a")
	r.file("a.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: a.y4m}]\n")
	r.file("b.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: b.y4m}]\n")
	r.look()
	r.end(0, nil)
	r.look()
	if !slices.Contains(r.files(), "ref.y4m") {
		t.Fatal("a reference was moved away that another title waits with")
	}
	// The same title once more, whose rendition is still to come.
	r.file("a.vqsd.yaml", "reference: ref.y4m\nrenditions: [{path: a.y4m}]\n")
	r.look()
	if !slices.Contains(r.files(), "a.vqsd.yaml") {
		t.Fatal("a manifest was moved away that waits for its rendition")
	}
	if err := os.Remove(filepath.Join(r.dir, "a.vqsd.yaml")); err != nil {
		t.Fatal(err)
	}
	r.file("b.y4m", "b")
	r.look()
	r.end(1, nil)
	r.look()
	if slices.Contains(r.files(), "ref.y4m") {
		t.Errorf("the reference stays although both titles are done: %q", r.files())
	}
}

// What comes in place of a rendition between its reports and its end is another file, and stays.
func TestFileThatHasComeSinceTheReportStays(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.After = After{Success: Delete} })
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	out := &end{entry: *r.folder.entries["dis/x_a.y4m"]}
	out.entry.Disposed = true
	r.file("dis/x_a.y4m", "another a")
	if err := r.folder.dispose(out); err != nil || out.replaced != "dis/x_a.y4m" {
		t.Errorf("replaced: %q, %v", out.replaced, err)
	}
	r.wantFiles("dis/x_a.y4m", "ref/x.y4m")
}

func TestRenameNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := place{root, dir}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := rename(p, "a", p, "b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename over a file: %v", err)
	}
	f := &watched{in: p, moveTo: p}
	to, err := f.move("a", "b") // as if b had come since its name was chosen
	if err != nil || to != "b-2" {
		t.Errorf("moved to %q, %v", to, err)
	}
	if err := rename(p, "b", p, "../outside"); err == nil {
		t.Error("a file was moved out of its place")
	}
}

func TestMovesToAnotherFileSystemAreRefused(t *testing.T) {
	const other = "/dev/shm"
	dir := t.TempDir()
	var here, there unix.Stat_t
	if err := unix.Stat(dir, &here); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(other, &there); err != nil || here.Dev == there.Dev {
		t.Skip("there is no second file system at " + other)
	}
	folder := Folder{Path: dir, After: After{Success: Move, MoveTo: filepath.Join(other, "vqsd-not-there", "done")}}
	if err := folder.Check(); err != nil {
		t.Fatal(err)
	}
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	if err := InRoots(folder, roots); err == nil || !strings.Contains(err.Error(), "another file system") || !strings.Contains(err.Error(), "after.move_to") {
		t.Errorf("InRoots: %v", err)
	}
}

func TestFolderHasToBeInARoot(t *testing.T) {
	dir := t.TempDir()
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"the root itself", dir, ""},
		{"a folder of another root", t.TempDir(), "media_roots"},
		{"a folder that is not there", filepath.Join(dir, "missing"), "has to be a folder"},
	} {
		folder := Folder{Name: "in", Path: c.path}
		err := folder.Check()
		if err == nil {
			err = InRoots(folder, roots)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWritingStaysInItsPlace(t *testing.T) {
	outside := t.TempDir()
	r := newRig(t, nil)
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	// Somebody puts a link where a report is to go.
	if err := os.Rename(filepath.Join(r.dir, "dis"), filepath.Join(outside, "dis")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "dis"), filepath.Join(r.dir, "dis")); err != nil {
		t.Fatal(err)
	}
	r.endOnly(0, nil)
	r.hear()
	r.look()
	list, err := os.ReadDir(filepath.Join(outside, "dis"))
	if err != nil || len(list) != 1 {
		t.Errorf("outside of the folder there is %v, %v", list, err)
	}
}

func TestReportsOfOneNameAreToldApart(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		f.Pair.Rendition = "dis/{title}_{rung}.*"
		f.Reports.Name = "{name}"
	})
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.file("dis/x_a.mkv", "a")
	r.look()
	r.end(0, nil)
	r.wantFiles("ref/x.y4m", "dis/x_a.y4m", "dis/x_a.mkv", "dis/x_a.xml", "dis/x_a-2.xml")
}

func TestFittingNames(t *testing.T) {
	long := strings.Repeat("ü", 124) + ".mp4" // 252 bytes
	for _, stem := range []string{"short.mp4", long, long[2:] + "ü", strings.Repeat("x", 300)} {
		name := fitting(stem, markSuffix)
		if len(name) > mostName || !strings.HasSuffix(name, markSuffix) {
			t.Errorf("%q becomes %q of %d bytes", stem, name, len(name))
		}
		if strings.ToValidUTF8(name, "?") != name {
			t.Errorf("%q is not UTF-8", name)
		}
	}
	if fitting(long, ".xml") == fitting(long[2:]+"ü", ".xml") {
		t.Error("two long names become one")
	}
}

func TestHalfAReportIsNone(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := place{root, dir}
	text := func(s string, err error) func(w io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, s)
			if werr == nil {
				werr = err
			}
			return werr
		}
	}
	if err := p.write("a/b/report", ".work", false, text("whole", nil)); err != nil {
		t.Fatal(err)
	}
	if err := p.write("a/b/report", ".work", true, text(strings.Repeat("half", 1<<16), errTest)); err == nil {
		t.Error("no error")
	}
	got, err := os.ReadFile(filepath.Join(dir, "a/b/report"))
	if err != nil || string(got) != "whole" {
		t.Errorf("the report is %.20q, %v", got, err)
	}
	list, err := os.ReadDir(filepath.Join(dir, "a/b"))
	if err != nil || len(list) != 1 {
		t.Errorf("there is %v, %v", list, err)
	}
}
