package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/server/auth"
)

// inRoots checks a folder in a media root as a start does.
func inRoots(t *testing.T, root string, f Folder) error {
	t.Helper()
	f.Pair = Pair{Reference: "{t}_ref.*", Rendition: "{t}_dis.*"}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	roots, err := auth.NewRoots([]auth.Root{{Name: "media", Dir: root}})
	if err != nil {
		t.Fatal(err)
	}
	return InRoots(f, roots)
}

func TestPlacesThatAreTheWatchedFolder(t *testing.T) {
	move := func(to string) func(string) Folder {
		return func(base string) Folder {
			return Folder{After: After{Success: Move, MoveTo: filepath.Join(base, to)}}
		}
	}
	report := func(to string) func(string) Folder {
		return func(base string) Folder { return Folder{Reports: Reports{To: filepath.Join(base, to)}} }
	}
	for _, c := range []struct {
		name   string
		folder func(base string) Folder
		want   string // "": it is fine
	}{
		{"moved to a link to the folder", move("link"), "after.move_to: "},
		{"moved to a link to the folder above", move("top"), "after.move_to: "},
		{"moved below a link to the folder, which scans pass over", move("link/done"), ""},
		{"moved below a link to the folder above, to the folder", move("top/in"), "after.move_to: "},
		{"moved to a folder beside it", move("done"), ""},
		{"moved to a link to a folder in it", move("sublink"), ""},
		{"reports in a link to the folder", report("link"), "reports.to: "},
		{"reports below a link to the folder", report("link/out"), ""},
		{"reports in the folder above", report("."), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			err := os.MkdirAll(filepath.Join(base, "in", "sub"), 0o755)
			for link, to := range map[string]string{"link": "in", "top": ".", "sublink": "in/sub"} {
				if err == nil {
					err = os.Symlink(filepath.Join(base, to), filepath.Join(base, link))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			f := c.folder(base)
			f.Path = filepath.Join(base, "in")
			err = inRoots(t, base, f)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("InRoots: %v, want %q", err, c.want)
			}
		})
	}
}

// What is mounted at two paths has one inode.
func TestPlacesThatAreTheWatchedFolderByAMount(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"top/in", "in again", "top again"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"top/in": "in again", "top": "top again"} {
		to := filepath.Join(base, to)
		if err := unix.Mount(filepath.Join(base, from), to, "", unix.MS_BIND, ""); err != nil {
			t.Skipf("nothing can be mounted here: %v", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(to, 0); err != nil {
				t.Error(err)
			}
		})
	}
	for dir, want := range map[string]standing{
		"in again": same, "top again": above, "top again/in": same, "in again/a/b": disguised, "top/in/a/b": inside, "top again/other": outside, "top": above,
	} {
		got, err := standingOf(filepath.Join(base, dir), filepath.Join(base, "top/in"))
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", dir, got, err, want)
		}
	}
}

func TestFolderBehindALinkOutOfItsRoot(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"root/real/in", "out/in"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"root/away": "../out", "root/inner": "real", "root link": "root"} {
		if err := os.Symlink(to, filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ root, path, want string }{
		{"root", "root/away", "leads out of the media root"},
		{"root", "root/away/in", "leads out of the media root"},
		{"root", "root/inner/in", ""},
		{"root link", "root link/real/in", ""},
		{"root link", "root link", ""},
	} {
		err := inRoots(t, filepath.Join(base, c.root), Folder{Name: "in", Path: filepath.Join(base, c.path)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
}

func TestWatchedFolderThatBecomesALinkOutOfItsRoot(t *testing.T) {
	r := newRig(t, nil)
	r.look()
	if err := os.Remove(r.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), r.dir); err != nil {
		t.Fatal(err)
	}
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	if s := r.folder.statusNow(); !strings.Contains(s.Err, "leads out of the media root") || len(r.workflow.subs) != 0 {
		t.Errorf("status %+v, submitted %q", s, r.submitted())
	}
}

func TestPlacesThatGoElsewhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(dir string) error
	}{
		{"renamed", func(dir string) error { return os.Rename(dir, dir+".old") }},
		{"renamed and made anew", func(dir string) error {
			if err := os.Rename(dir, dir+".old"); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o755)
		}},
		{"removed", os.RemoveAll},
	} {
		for _, early := range []bool{true, false} {
			name := c.name + ", before a scan"
			if early {
				name = c.name + ", before a measurement ends"
			}
			t.Run(name, func(t *testing.T) {
				r := newRig(t, func(f *Folder) {
					base := filepath.Dir(f.Path)
					f.After = After{Success: Move, MoveTo: filepath.Join(base, "done")}
					f.Reports.To = filepath.Join(base, "out")
				})
				r.file("ref/x.y4m", "ref")
				r.file("dis/x_a.y4m", "a")
				r.look()
				r.end(0, nil)
				r.file("dis/x_b.y4m", "b")
				r.look()
				for _, dir := range []string{"done", "out"} {
					if err := c.leave(filepath.Join(r.base, dir)); err != nil {
						t.Fatal(err)
					}
				}
				if !early {
					r.look()
				}
				r.end(1, nil)
				r.time = r.time.Add(time.Minute)
				r.look()
				r.wantFiles("ref/x.y4m")
				for dir, want := range map[string]string{"done/dis": "x_b.y4m", "out/dis": "x_b.y4m.vmaf.xml"} {
					list, err := os.ReadDir(filepath.Join(r.base, dir))
					if err != nil || len(list) != 1 || list[0].Name() != want {
						t.Errorf("in %s there is %v, %v; want %s", dir, list, err, want)
					}
				}
				if s := r.folder.statusNow(); s.Err != "" {
					t.Errorf("status %+v", s)
				}
				for _, e := range r.events {
					if e.Kind == Done && e.Path == "dis/x_b.y4m" && (e.MovedTo == "" || !slices.Contains(e.Reports, filepath.Join(r.base, "out/dis/x_b.y4m.vmaf.xml"))) {
						t.Errorf("told %+v", e)
					}
				}
			})
		}
	}
}

// While a watcher runs, the folder that files are moved to becomes a link to the watched one.
func TestPlaceThatBecomesALinkToTheFolder(t *testing.T) {
	r := newRig(t, func(f *Folder) { f.After = After{Success: Move, MoveTo: filepath.Join(filepath.Dir(f.Path), "done")} })
	r.file("ref/x.y4m", "ref")
	r.look()
	place := filepath.Join(r.base, "done")
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(r.dir, place); err != nil {
		t.Fatal(err)
	}
	r.file("dis/x_a.y4m", "a")
	r.look()
	if s := r.folder.statusNow(); !strings.Contains(s.Err, "after.move_to: ") || len(r.workflow.subs) != 0 {
		t.Errorf("status %+v, submitted %q", s, r.submitted())
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.end(0, nil)
	r.wantFiles("ref/x.y4m")
}
