package main

import (
	"os"
	"testing"

	"github.com/vqsd/vqsd/store"
)

// A root is what is at its path now: folders are replaced, and file systems mounted late.
func TestHandler_rootsAreReplaced(t *testing.T) {
	f := newMediaFolder(t, nil)
	first := clipSpec{frames: 2}.write(t, f.dir, "a.y4m")
	before := f.h.find(f.source("a.y4m"))
	if before.failure != nil {
		t.Fatal(before.failure.Message)
	}
	aside := f.dir + ".aside"
	if err := os.Rename(f.dir, aside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(aside); err != nil {
			t.Error(err)
		}
	})
	if gone := f.h.find(f.source("a.y4m")); gone.failure == nil || gone.failure.Reason != store.ReasonNotFound || !gone.failure.Transient {
		t.Errorf("a root that is away: %+v", gone.failure)
	}
	if err := os.Mkdir(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	clipSpec{frames: 3, noise: 5}.write(t, f.dir, "a.y4m")
	after := f.h.find(f.source("a.y4m"))
	if after.failure != nil {
		t.Fatal(after.failure.Message)
	}
	now, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	if after.stamp == before.stamp || after.stamp.SizeBytes != now.Size() {
		t.Errorf("the file of the folder of before is read: %+v", after.stamp)
	}
	if in := f.inspect(f.compare("a.y4m", "a.y4m")); in.Reference.Frames != 3 {
		t.Errorf("%d frames, want those of the new folder's file", in.Reference.Frames)
	}
}
