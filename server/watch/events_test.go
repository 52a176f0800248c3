package watch

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withEvents is a configuration that waits for file events.
func withEvents() Folder {
	cfg := Folder{Pair: Pair{Reference: "ref.mov", Rendition: "**/*.mp4"}, Events: new(bool)}
	*cfg.Events = true
	return cfg
}

// hint waits for one.
func (f *testFolder) hint(of string) {
	f.t.Helper()
	select {
	case <-f.s.hints():
	case <-time.After(20 * time.Second):
		f.t.Fatalf("no hint of %s\n%s", of, f.log.String())
	}
}

func TestHints(t *testing.T) {
	f := newTestFolder(t, withEvents())
	f.scan()
	f.write("ref.mov")
	f.hint("a new file")
	f.write("upload.part")
	f.rename("upload.part", "a.mp4")
	f.hint("a renamed file")
	f.write("sub/b.mp4")
	f.hint("a new folder")
	f.scan()
	f.write("sub/c.mp4")
	f.hint("a file in a new folder")
	f.scan()
	f.remove("sub")
	f.write("sub/d.mp4")
	f.hint("a folder that took another one's place")
	f.scan()
	f.write("sub/e.mp4")
	f.hint("a file in it")
	f.must(f.s.close())
	f.must(f.s.close())
}

// Our own files, and those that will get another name, are no reason to scan; of many that come together there is one hint.
func TestHintsAreFew(t *testing.T) {
	f := newTestFolder(t, withEvents())
	f.scan()
	f.write("a.mp4.vmaf.xml", ".vqsd-1.tmp", "x.part", "a.mp4.vqsd-failed.txt")
	for range 100 {
		f.write("ref.mov", "a.mp4", "b.mp4")
		f.remove("a.mp4")
	}
	f.hint("files")
	// Events come in order: what came before the file that gives the next hint has given none.
	f.write("c.mp4.vmaf.xml", "c.mp4")
	f.hint("another file")
	select {
	case <-f.s.hints():
		t.Error("a hint more than there were reasons")
	default:
	}
}

// Hints come the more seldom the longer scans take.
func TestHintsLeaveTimeBetween(t *testing.T) {
	f := newTestFolder(t, withEvents())
	f.scan()
	f.write("ref.mov")
	f.hint("a file")
	f.s.events.scanTime.Store(int64(time.Second / hintShare))
	begin := time.Now()
	f.write("a.mp4")
	f.hint("another file")
	// The last hint was given a moment before begin; a quarter is more than that moment, and well above hintDelay.
	if took := time.Since(begin); took < 750*time.Millisecond {
		t.Errorf("the next hint came after %v, want about a second", took)
	}
}

func TestHintsOff(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.scan()
	f.write("a_ref.mov")
	if f.s.events.watcher != nil || f.log.Len() > 0 {
		t.Errorf("events although they are off\n%s", f.log.String())
	}
}

// Where file events cannot be had, one line says so, and scans see all.
func TestHintsFallBack(t *testing.T) {
	f := newTestFolder(t, withEvents())
	f.s.files.tellsEvents = false
	f.s.files.name = "NFS"
	f.must(f.s.close())
	f.s.events = newEvents(f.s)
	f.write("ref.mov", "sub/a.mp4", "sub2/b.mp4")
	f.want(f.settled(), "ref.mov: sub/a.mp4 sub2/b.mp4")
	if got := strings.Count(f.log.String(), "\n"); got != 1 || !strings.Contains(f.log.String(), "NFS") {
		t.Errorf("%d lines, want one:\n%s", got, f.log.String())
	}
}

// When the system's watches are used up, events end, once.
func TestHintsUsedUp(t *testing.T) {
	f := newTestFolder(t, withEvents())
	f.s.events.without(os.NewSyscallError("inotify_add_watch", unix.ENOSPC))
	if !strings.Contains(f.log.String(), "max_user_watches") {
		t.Errorf("no advice:\n%s", f.log.String())
	}
	// A path that no watch can be added for, as when there are no more.
	f.s.events.watch(strings.Repeat("x", 300))
	f.s.events.watch(strings.Repeat("y", 300))
	if got := strings.Count(f.log.String(), "no file events"); got != 2 || f.s.events.watcher != nil {
		t.Errorf("%d lines, want the one from above and one more:\n%s", got, f.log.String())
	}
	select {
	case <-f.s.events.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the goroutine goes on")
	}
	f.write("ref.mov", "a.mp4")
	f.want(f.settled(), "ref.mov: a.mp4")
}

func TestFileSystemOf(t *testing.T) {
	for path, want := range map[string]fileSystem{t.TempDir(): {tellsEvents: true, keepsInodes: true}, "/proc": {tellsEvents: true, keepsInodes: true}} {
		dir, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fileSystemOf(int(dir.Fd())); got != want {
			t.Logf("%s is on %+v", path, got) // a machine may have its temporary files anywhere
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := fileSystemOf(-1); !got.tellsEvents || !got.keepsInodes {
		t.Errorf("what cannot be told is taken for %+v", got)
	}
}

// Where inode numbers are made up at every look, they and their times make no difference.
func TestScanWithoutInodes(t *testing.T) {
	f := newTestFolder(t, byPattern())
	f.s.files.keepsInodes = false
	f.write("a_ref.mov", "a_720p.mp4")
	f.want(f.settled(), "a_ref.mov: a_720p.mp4")
	f.sameTime("a_720p.mp4", "new")
	f.rename("new", "a_720p.mp4")
	got := f.scan()
	f.want(got, "a_ref.mov: a_720p.mp4")
	if got.files["a_720p.mp4"].Inode != 0 {
		t.Errorf("inode %d", got.files["a_720p.mp4"].Inode)
	}
}
