package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testFolder is a folder on disk with a scanner whose clock tests set.
type testFolder struct {
	t     testing.TB
	dir   string
	cfg   Folder
	clock time.Time
	log   strings.Builder
	root  *os.Root
	s     *scanner
}

// newTestFolder makes an empty folder, without file events, whose files are complete when they have been left alone for 10 s by the test's clock.
func newTestFolder(t testing.TB, cfg Folder) *testFolder {
	t.Helper()
	f := &testFolder{t: t, dir: filepath.Join(t.TempDir(), "in"), cfg: cfg, clock: time.Unix(1_700_000_000, 0)}
	f.must(os.Mkdir(f.dir, 0o755))
	f.cfg.Path, f.cfg.Name = f.dir, "in"
	if f.cfg.Events == nil {
		f.cfg.Events = new(bool)
	}
	f.must(f.cfg.Check())
	f.open()
	return f
}

// open makes a scanner, as a restart would.
func (f *testFolder) open() {
	f.t.Helper()
	root, err := os.OpenRoot(f.dir)
	f.must(err)
	s, err := newScanner(f.cfg, root, func() time.Time { return f.clock }, slog.New(slog.NewTextHandler(&f.log, nil)))
	f.must(err)
	f.root, f.s = root, s
	f.t.Cleanup(func() { f.must(errors.Join(s.close(), root.Close())) })
}

func (f *testFolder) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *testFolder) path(name string) string { return filepath.Join(f.dir, name) }

// write makes files with their folders; NAME=TEXT has that text, another one its name.
func (f *testFolder) write(names ...string) {
	f.t.Helper()
	for _, name := range names {
		name, text, given := strings.Cut(name, "=")
		if !given {
			text = name
		}
		f.must(os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
		f.must(os.WriteFile(f.path(name), []byte(text), 0o644))
	}
}

func (f *testFolder) remove(name string) { f.t.Helper(); f.must(os.RemoveAll(f.path(name))) }

func (f *testFolder) rename(from, to string) {
	f.t.Helper()
	f.must(os.Rename(f.path(from), f.path(to)))
}

func (f *testFolder) scan() *found {
	f.t.Helper()
	got, err := f.s.scan(context.Background())
	f.must(err)
	return got
}

// settled scans, lets all files settle, and scans.
func (f *testFolder) settled() *found {
	f.t.Helper()
	f.scan()
	f.clock = f.clock.Add(*f.cfg.Ready.StableFor)
	return f.scan()
}

// want compares what was found with lines as describe makes them.
func (f *testFolder) want(got *found, want ...string) {
	f.t.Helper()
	if text := describe(got); text != strings.Join(want, "\n") {
		f.t.Errorf("found\n  %s\nwant\n  %s", strings.ReplaceAll(text, "\n", "\n  "), strings.Join(want, "\n  "))
	}
}

// describe is what was found, a line a title, problem or unpaired rendition, and one if there are files that are not complete.
func describe(got *found) string {
	var lines []string
	for _, t := range got.titles {
		line := t.Reference.Path + ":"
		for _, r := range t.Renditions {
			line += " " + r.File.Path
		}
		for _, path := range t.Awaited {
			line += " -" + path
		}
		if t.Closed {
			line += " closed"
		}
		lines = append(lines, line)
	}
	for _, p := range got.problems {
		lines = append(lines, fmt.Sprintf("problem %q", p.File.Path))
	}
	for _, path := range got.unpaired {
		lines = append(lines, "unpaired "+path)
	}
	for _, path := range got.unreadable {
		lines = append(lines, "unreadable "+path)
	}
	if got.waiting > 0 {
		lines = append(lines, fmt.Sprint("waiting ", got.waiting))
	}
	return strings.Join(lines, "\n")
}

// byPattern pairs NAME_ref.mov with NAME_HEIGHTp.mp4.
func byPattern() Folder {
	return Folder{Pair: Pair{Reference: "{title}_ref.mov", Rendition: "{title}_{height:[0-9]+}p.mp4"}}
}

func TestScanUnchanged(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov", "a_720p.mp4")
	first := f.settled()
	f.want(first, "a_ref.mov: a_720p.mp4")
	if first.unchanged {
		t.Error("files that became complete are no change")
	}
	f.clock = f.clock.Add(time.Hour)
	same := f.scan()
	if !same.unchanged || same.next != 0 || &same.titles[0] != &first.titles[0] {
		t.Errorf("another scan: unchanged %v, next %v", same.unchanged, same.next)
	}
	f.write("notes.txt")
	if got := f.scan(); got.unchanged || len(got.files) != 3 {
		t.Errorf("a new file of no use: unchanged %v, %d files", got.unchanged, len(got.files))
	}
}

// A file that grows is not taken before it has been left alone for as long as it takes, however many scans there are.
func TestScanSlowCopy(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov")
	f.settled()
	for i := range 20 {
		f.write("a_720p.mp4=" + strings.Repeat("x", i+1))
		f.clock = f.clock.Add(9 * time.Second)
		got := f.scan()
		f.want(got, "waiting 1")
		if got.next < 10*time.Second || got.next > 11*time.Second {
			t.Fatalf("next scan in %v", got.next)
		}
	}
	f.clock = f.clock.Add(9 * time.Second)
	got := f.scan()
	f.want(got, "waiting 1")
	if got.next < time.Second || got.next > 2*time.Second {
		t.Errorf("9 s after the last byte, the next scan is in %v", got.next)
	}
	f.clock = f.clock.Add(got.next)
	f.want(f.scan(), "a_ref.mov: a_720p.mp4")
}

// What is put in a file's place is waited for anew, whatever it looks like.
func TestScanReplaced(t *testing.T) {
	for name, replace := range map[string]func(f *testFolder){
		"written over": func(f *testFolder) { f.write("a_720p.mp4=other") },
		"same size and time, another inode": func(f *testFolder) {
			f.sameTime("a_720p.mp4", "a_720p.mp4.new")
			f.rename("a_720p.mp4.new", "a_720p.mp4")
		},
		"same size and time, the same inode": func(f *testFolder) { f.sameTime("a_720p.mp4", "a_720p.mp4") },
		"renamed from a temporary name": func(f *testFolder) {
			f.write("a_720p.mp4.part=other")
			f.scan()
			f.rename("a_720p.mp4.part", "a_720p.mp4")
		},
		"removed and there again": func(f *testFolder) { f.remove("a_720p.mp4"); f.scan(); f.write("a_720p.mp4") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newTestFolder(t, byPattern())
			f.write("a_ref.mov", "a_720p.mp4")
			f.want(f.settled(), "a_ref.mov: a_720p.mp4")
			replace(f)
			f.want(f.scan(), "waiting 1")
			f.want(f.settled(), "a_ref.mov: a_720p.mp4")
		})
	}
}

// sameTime writes text of the same length as a file has into another (or the same) one and gives it the first one's time.
func (f *testFolder) sameTime(like, name string) {
	f.t.Helper()
	info, err := os.Stat(f.path(like))
	f.must(err)
	f.must(os.WriteFile(f.path(name), make([]byte, info.Size()), 0o644))
	f.must(os.Chtimes(f.path(name), info.ModTime(), info.ModTime()))
}

func TestScanStampDiffersAfterReplacement(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov", "a_720p.mp4")
	before := f.settled().files["a_720p.mp4"]
	f.sameTime("a_720p.mp4", "new")
	f.rename("new", "a_720p.mp4")
	after := f.settled().files["a_720p.mp4"]
	if before.Stamp() == after.Stamp() || before.Size != after.Size || !before.ModTime.Equal(after.ModTime) {
		t.Errorf("stamps %+v and %+v", before.Stamp(), after.Stamp())
	}
}

// Times of files are those of any clock, and the scanner's own may be put back: nothing waits for ever, and nothing is taken too early.
func TestScanClocks(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov", "a_720p.mp4")
	future := time.Now().Add(1000 * time.Hour)
	f.must(os.Chtimes(f.path("a_ref.mov"), future, future))
	f.must(os.Chtimes(f.path("a_720p.mp4"), time.Unix(0, 0), time.Unix(0, 0)))
	f.want(f.scan(), "waiting 2")
	f.clock = f.clock.Add(-100 * time.Hour)
	got := f.scan()
	f.want(got, "waiting 2")
	if got.next > 11*time.Second {
		t.Fatalf("after the clock was put back, the next scan is in %v", got.next)
	}
	f.clock = f.clock.Add(got.next)
	f.want(f.scan(), "a_ref.mov: a_720p.mp4")
}

func TestScanMarkers(t *testing.T) {
	cfg := byPattern()
	cfg.Ready.Marker = ".done"
	f := newTestFolder(t, cfg)
	f.write("a_ref.mov", "a_ref.mov.done", "a_720p.mp4", "a_480p.mp4", ".done")
	f.want(f.settled(), "waiting 2")
	f.write("a_720p.done")
	got := f.scan()
	f.want(got, "a_ref.mov: a_720p.mp4 -a_480p.mp4", "waiting 1")
	if marker := got.titles[0].Renditions[0].File.Marker; marker != "a_720p.done" {
		t.Errorf("marker %q", marker)
	}
	if marker := got.titles[0].Reference.Marker; marker != "a_ref.mov.done" {
		t.Errorf("marker of the reference %q", marker)
	}
	f.remove("a_720p.done")
	f.want(f.scan(), "waiting 2")
}

func TestScanMarkerAndStability(t *testing.T) {
	cfg := byPattern()
	cfg.Ready.Marker = ".done"
	wait := 30 * time.Second
	cfg.Ready.StableFor = &wait
	f := newTestFolder(t, cfg)
	f.write("a_ref.mov", "a_ref.done", "a_720p.mp4", "a_720p.done")
	f.want(f.scan(), "waiting 2")
	f.clock = f.clock.Add(29 * time.Second)
	f.want(f.scan(), "waiting 2")
	f.clock = f.clock.Add(time.Second)
	f.want(f.scan(), "a_ref.mov: a_720p.mp4")
}

// What is not the folder's own media is not taken for it.
func TestScanPassesOver(t *testing.T) {
	cfg := Folder{
		Pair:    Pair{Reference: "ref.mov", Rendition: "**"},
		Reports: Reports{To: "", Name: "{name}-quality"},
		After:   After{Success: Move, MoveTo: "done"},
	}
	f := newTestFolder(t, cfg)
	f.write("ref.mov", "a.mp4", "sub/b.mp4",
		"a-quality.xml", "a.mp4.vmaf.record.json", "a.mp4.vqsd-failed.txt", ".hidden.mp4", ".git/x.mp4",
		"c.mp4.part", "D.MP4.TMP", "e.part/f.mp4", "done/g.mp4", "done/deep/h.mp4")
	f.want(f.settled(), "ref.mov: a.mp4 sub/b.mp4")
	f.write("report.xml", "done2/i.mp4")
	f.want(f.settled(), "ref.mov: a.mp4 done2/i.mp4 report.xml sub/b.mp4")
}

// Reports in a folder of their own are not media, even if a link leads there.
func TestScanPassesOverReports(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "in"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	cfg := Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**"}, Path: filepath.Join(dir, "in"), Reports: Reports{To: filepath.Join(dir, "link/reports")}}
	f := &testFolder{t: t, dir: cfg.Path, cfg: cfg, clock: time.Unix(1_700_000_000, 0)}
	f.write("ref.mov", "a.mp4", "reports/b.mp4")
	f.must(f.cfg.Check())
	f.open()
	f.want(f.settled(), "ref.mov: a.mp4")
}

func TestScanOddEntries(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**"}})
	outside := filepath.Join(t.TempDir(), "secret")
	f.must(os.MkdirAll(outside, 0o755))
	f.must(os.WriteFile(filepath.Join(outside, "x.mp4"), []byte("x"), 0o644))
	long := strings.Repeat("n", 251) + ".mp4"
	f.write("ref.mov", "a.mp4", "hard.mp4", long)
	f.must(os.Link(f.path("hard.mp4"), f.path("hard2.mp4")))
	f.must(os.Symlink(outside, f.path("link")))
	f.must(os.Symlink(filepath.Join(outside, "x.mp4"), f.path("link.mp4")))
	f.must(os.Symlink("a.mp4", f.path("inside.mp4")))
	f.must(os.Symlink("..", f.path("up")))
	f.must(unix.Mkfifo(f.path("pipe.mp4"), 0o644))
	socket, err := net.Listen("unix", f.path("socket.mp4"))
	f.must(err)
	defer socket.Close()
	devices := 0
	if err := unix.Mknod(f.path("null.mp4"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err == nil { // only root may
		devices = 1
	}
	f.want(f.settled(), "ref.mov: a.mp4 hard.mp4 hard2.mp4 "+long)
	f.scan()
	if got, want := strings.Count(f.log.String(), "neither file nor folder"), 6+devices; got != want {
		t.Errorf("%d lines about what is passed over, want %d\n%s", got, want, f.log.String())
	}
	if strings.Contains(f.log.String(), "secret") {
		t.Errorf("a scan looked outside:\n%s", f.log.String())
	}
}

// File systems that do not tell what an entry is are asked for each, and a link that has just taken a file's place is seen as one.
func TestScanKindUnknown(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**"}})
	f.write("ref.mov", "sub/a.mp4")
	f.must(os.Symlink("ref.mov", f.path("link.mp4")))
	dir, err := os.Open(f.dir)
	f.must(err)
	defer dir.Close()
	f.s.count++
	var lost []string
	for name, kind := range map[string]byte{"ref.mov": unix.DT_UNKNOWN, "sub": unix.DT_UNKNOWN, "link.mp4": unix.DT_REG, "gone.mp4": unix.DT_REG} {
		f.s.path = []byte(name)
		f.must(f.s.meet(int(dir.Fd()), 0, 0, kind, 1, &lost))
	}
	if f.s.entries["ref.mov"] == nil || len(f.s.entries) != 1 || f.s.folders["sub"] == nil || f.s.skipped["link.mp4"] == nil || len(lost) > 0 {
		t.Errorf("files %v, folders %v, others %v, unreadable %v", f.s.entries, f.s.folders, f.s.skipped, lost)
	}
}

// Names that no report or request could have are told, and only where they would matter.
func TestScanBadNames(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}})
	f.write("ref.mov", "good.mp4", "not\xffUTF-8.mp4", "line\nbreak.mp4", "fol\tder/x.mp4", "not\xffUTF-8.txt")
	got := f.settled()
	f.want(got, "ref.mov: good.mp4 -fol\tder/x.mp4 -line\nbreak.mp4 -not\xffUTF-8.mp4", `problem "fol\tder/x.mp4"`, `problem "line\nbreak.mp4"`, `problem "not\xffUTF-8.mp4"`)
	for i, want := range []string{"U+0009", "U+000A", "not UTF-8"} {
		if !strings.Contains(got.problems[i].Err.Error(), want) {
			t.Errorf("problem %d: %v, want %s", i, got.problems[i].Err, want)
		}
	}
	f.rename("line\nbreak.mp4", "line break.mp4")
	f.remove("not\xffUTF-8.mp4")
	f.remove("fol\tder")
	f.want(f.settled(), "ref.mov: good.mp4 line break.mp4")
}

// A folder that cannot be read is no empty folder.
func TestScanUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read every folder; a folder that fails is made otherwise in TestScanLosesFolder")
	}
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}})
	f.write("ref.mov", "a.mp4", "sub/b.mp4")
	f.settled()
	f.must(os.Chmod(f.path("sub"), 0))
	f.want(f.scan(), "ref.mov: a.mp4 -sub/b.mp4", "unreadable sub")
	f.must(os.Chmod(f.path("sub"), 0o755))
	f.want(f.scan(), "ref.mov: a.mp4 sub/b.mp4")
}

// What is below a folder that cannot be read stays known, and its title waits for it; once the folder is there again, all is as before.
func TestScanLosesFolder(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}})
	f.write("ref.mov", "a.mp4", "sub/b.mp4", "sub/deep/c.mp4", "subway.mp4")
	f.want(f.settled(), "ref.mov: a.mp4 sub/b.mp4 sub/deep/c.mp4 subway.mp4")
	// As a walk that meets an input/output error in sub would leave it.
	lose := func() *found {
		f.s.count++
		f.s.tally.entries, f.s.tally.folders = 0, 0
		for _, path := range []string{"ref.mov", "a.mp4", "subway.mp4"} {
			f.s.mark(&f.s.entries[path].seen, &f.s.tally.entries)
		}
		f.s.mark(&f.s.folders["sub"].seen, &f.s.tally.folders)
		f.s.forget([]string{"sub"})
		got := f.s.pair()
		f.s.last = got
		return got
	}
	for range 2 {
		got := lose()
		f.want(got, "ref.mov: a.mp4 subway.mp4 -sub/b.mp4 -sub/deep/c.mp4")
		if len(got.files) != 5 {
			t.Errorf("%d files are known, want 5", len(got.files))
		}
	}
	f.want(f.scan(), "ref.mov: a.mp4 sub/b.mp4 sub/deep/c.mp4 subway.mp4")
}

func TestScanFolderGone(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov", "a_720p.mp4")
	f.settled()
	f.must(os.Rename(f.dir, f.dir+".away"))
	if got, err := f.s.scan(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that has gone: %v, %v", got, err)
	}
	f.must(os.Mkdir(f.dir, 0o755))
	if got, err := f.s.scan(context.Background()); !errors.Is(err, ErrFolderReplaced) {
		t.Errorf("another folder in its place: %v, %v", got, err)
	}
	f.remove(".")
	f.must(os.Rename(f.dir+".away", f.dir))
	f.want(f.scan(), "a_ref.mov: a_720p.mp4")
}

func TestScanStops(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.write("a_ref.mov", "a_720p.mp4")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.s.scan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a scan whose context has ended: %v", err)
	}
	f.want(f.settled(), "a_ref.mov: a_720p.mp4")
}

func TestScanLimits(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}})
	deep := strings.Repeat("d/", maxDepth)
	f.write("ref.mov", deep+"a.mp4", deep+"d/b.mp4", deep+"d/d/c.mp4")
	f.want(f.settled(), "ref.mov: "+deep+"a.mp4")
	if got := strings.Count(f.log.String(), "too deep"); got != 1 {
		t.Errorf("%d lines about a folder that is too deep:\n%s", got, f.log.String())
	}
	for i := range maxFiles {
		f.s.entries[fmt.Sprint("nothing", i)] = &entry{}
	}
	f.s.relevant = maxFiles
	if err := f.s.meetFile(&entry{}, &unix.Stat_t{}); !errors.Is(err, ErrTooManyFiles) {
		t.Errorf("file %d: %v", maxFiles+1, err)
	}
}

// Links that come and go in the place of folders and files while scans run lead nowhere outside.
func TestScanLinkSwaps(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}})
	outside := filepath.Join(t.TempDir(), "outside")
	f.must(os.MkdirAll(outside, 0o755))
	f.must(os.WriteFile(filepath.Join(outside, "secret.mp4"), []byte("secret"), 0o644))
	f.write("ref.mov", "sub/a.mp4")
	f.must(os.Symlink(outside, f.path("sub.link")))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			// RENAME_EXCHANGE puts one in the other's place with no moment between.
			if err := unix.Renameat2(unix.AT_FDCWD, f.path("sub"), unix.AT_FDCWD, f.path("sub.link"), unix.RENAME_EXCHANGE); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 3000 {
		f.clock = f.clock.Add(time.Minute)
		for path := range f.scan().files {
			if strings.Contains(path, "secret") {
				t.Fatalf("%s lies outside", path)
			}
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Skip("the file system cannot exchange names: ", err)
	}
}

// A scanner that has looked on all the time and one that starts now see the same, whatever came in which order.
func TestScanOrderOfArrival(t *testing.T) {
	manifest := "a.vqsd.yaml=reference: a_ref.mov\nrenditions: [a_720p.mp4, a_480p.mp4]\n"
	for name, c := range map[string]struct {
		cfg   Folder
		files []string
		want  []string
	}{
		"by pattern": {byPattern(),
			[]string{"a_ref.mov", "a_720p.mp4", "a_480p.mp4", "b_ref.mov", "b_1p.mp4", "c_1p.mp4", "other.txt"},
			[]string{"a_ref.mov: a_480p.mp4 a_720p.mp4", "b_ref.mov: b_1p.mp4", "unpaired c_1p.mp4"}},
		"by pattern, two references": {Folder{Pair: Pair{Reference: "{title}.*", Rendition: "out/{title}_*"}},
			[]string{"a.mov", "a.y4m", "out/a_1", "b.mov", "out/b_1"},
			[]string{"b.mov: out/b_1", `problem "a.mov"`, `problem "a.y4m"`, "unpaired out/a_1"}},
		"by folder": {Folder{Pair: Pair{By: ByFolder}},
			[]string{"a/reference.mov", "a/1.mp4", "a/2.mp4", "b/1.mp4", "stray.mp4", "c/reference.mov"},
			[]string{"a/reference.mov: a/1.mp4 a/2.mp4", "unpaired b/1.mp4"}},
		"by manifest": {Folder{},
			[]string{manifest, "a_ref.mov", "a_720p.mp4", "a_480p.mp4", "stray.mp4"},
			[]string{"a_ref.mov: a_480p.mp4 a_720p.mp4 closed"}},
		"two manifests of one rendition": {Folder{},
			[]string{manifest, "b" + manifest, "a_ref.mov", "a_720p.mp4", "a_480p.mp4"},
			[]string{`problem "a.vqsd.yaml"`, `problem "ba.vqsd.yaml"`}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				arrive(t, c.cfg, c.files, c.want, seed)
			}
		})
	}
}

// arrive lets files come in an order that seed decides, under temporary names first, some twice and some between scans, and compares in the end.
func arrive(t *testing.T, cfg Folder, files, want []string, seed uint64) {
	t.Helper()
	f := newTestFolder(t, cfg)
	random := newRandom(seed)
	order := slices.Clone(files)
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, file := range order {
		name, _, _ := strings.Cut(file, "=")
		switch random.IntN(4) {
		case 0:
			f.write(file)
		case 1:
			f.write(name + "=x") // not valid, or not yet what it is going to be
			f.scan()
			f.clock = f.clock.Add(time.Duration(random.IntN(20)) * time.Second)
			f.scan()
			f.write(file)
		case 2:
			f.write("upload.part=" + name)
			f.scan()
			f.remove("upload.part")
			f.write(file)
		case 3:
			f.write(file)
			f.remove(name)
			f.scan()
			f.write(file)
		}
		if random.IntN(2) == 0 {
			f.scan()
		}
		f.clock = f.clock.Add(time.Duration(random.IntN(12)) * time.Second)
	}
	f.want(f.settled(), want...)
	seen := describe(f.scan())
	f.open()
	if fresh := describe(f.settled()); fresh != seen || t.Failed() {
		t.Fatalf("seed %d, order %q: a new scanner finds\n%s\nthe old one\n%s", seed, order, fresh, seen)
	}
}
