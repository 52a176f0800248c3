package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// watchExample is what the ledger has of measurement n: two files.
func watchExample(n int) []WatchEntry {
	var list []WatchEntry
	for _, path := range []string{fmt.Sprintf("dis/%d_low.mp4", n), fmt.Sprintf("dis/%d_high.mp4", n)} {
		list = append(list, WatchEntry{
			Folder: "inbox", Path: path, State: WatchMeasuring, Title: "a title", Reference: "ref.mp4", Settings: "ab",
			Stamps:    map[string]WatchStamp{path: {5, 6, 7}, "ref.mp4": {SizeBytes: 1}},
			RequestID: fmt.Sprint("watch/inbox/", n), Measurement: pendingMeasurement(n).ID, Rendition: "low", Attempts: 2,
			Failure: &Failure{ReasonWorker, "it died"}, Reports: []string{"/a", "/b"}, MovedTo: "/done/a", Disposed: true, Changed: epoch, Missing: epoch.Add(time.Hour),
		})
	}
	return list
}

// ledger reads a folder's entries.
func ledger(t *testing.T, s *Store, folder string) []WatchEntry {
	t.Helper()
	var list []WatchEntry
	err := s.WatchEntries(context.Background(), folder, func(e WatchEntry) error {
		list = append(list, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWatchEntries(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	a, b := watchExample(1), watchExample(2)
	odd := WatchEntry{Folder: "inbox", Path: "\xff\x00/a\nb", State: WatchFailed}
	other := WatchEntry{Folder: "inbox2", Path: "dis/1_low.mp4", State: WatchDone}
	if err := s.PutWatchEntries(ctx, append(append([]WatchEntry{odd, other}, b...), a...)...); err != nil {
		t.Fatal(err)
	}
	want := []WatchEntry{a[1], a[0], b[1], b[0], odd} // in the order of paths
	if diff := cmp.Diff(want, ledger(t, s, "inbox")); diff != "" {
		t.Errorf("entries (−want +got):\n%s", diff)
	}
	a[0].State, a[0].Failure = WatchDone, nil
	if err := s.PutWatchEntries(ctx, a[0]); err != nil {
		t.Fatal(err)
	}
	if e, err := s.WatchEntry(ctx, "inbox", a[0].Path); err != nil || !cmp.Equal(*e, a[0]) {
		t.Errorf("changed entry: %+v, %v", e, err)
	}
	if err := s.DeleteWatchEntries(ctx, "inbox", a[0].Path, "never there", odd.Path, b[0].Path, b[1].Path); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]WatchEntry{a[1]}, ledger(t, s, "inbox")); diff != "" {
		t.Errorf("left (−want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]WatchEntry{other}, ledger(t, s, "inbox2")); diff != "" {
		t.Errorf("of another folder (−want +got):\n%s", diff)
	}
	if _, err := s.WatchEntry(ctx, "inbox", a[0].Path); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted entry: %v", err)
	}
	verified(t, s)
}

// What cannot be read again is not written, and nothing that comes with it.
func TestWatchEntries_AreTexts(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	for name, spoil := range map[string]func(e *WatchEntry){
		"no folder":    func(e *WatchEntry) { e.Folder = "" },
		"no path":      func(e *WatchEntry) { e.Path = "" },
		"a title":      func(e *WatchEntry) { e.Title = "\xff" },
		"a stamp":      func(e *WatchEntry) { e.Stamps["\xff"] = WatchStamp{} },
		"a report":     func(e *WatchEntry) { e.Reports[0] = "\xff" },
		"a failure":    func(e *WatchEntry) { e.Failure.Message = "\xff" },
		"a new folder": func(e *WatchEntry) { e.MovedTo = "\xff" },
	} {
		entries := watchExample(1)
		spoil(&entries[1])
		if err := s.PutWatchEntries(ctx, entries...); err == nil || !strings.Contains(err.Error(), "ledger entry") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := ledger(t, s, "inbox"); len(left) > 0 {
		t.Errorf("written all the same: %v", left)
	}
}

func TestWatchEntries_AreInBackups(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	want := watchExample(3)
	if err := s.PutWatchEntries(ctx, want...); err != nil {
		t.Fatal(err)
	}
	var backup strings.Builder
	if _, err := s.Backup(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t.TempDir())
	if _, err := Restore(ctx, cfg, strings.NewReader(backup.String())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]WatchEntry{want[1], want[0]}, ledger(t, openTest(t, cfg), "inbox")); diff != "" {
		t.Errorf("restored (−want +got):\n%s", diff)
	}
}
