package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"
)

// waitFor calls until it is true, or fails the test after a while. It waits on an event of the store's: the free space that it measures anew.
func waitFor(t *testing.T, what string, until func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(spaceLife / 4)
	defer tick.Stop()
	for !until() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 20 s", what)
		case <-tick.C:
		}
	}
}

func TestFull_WritesAreRefusedUntilThereIsSpace(t *testing.T) {
	ctx := context.Background()
	var free atomic.Int64
	free.Store(1 << 40)
	cfg := testConfig(t.TempDir())
	cfg.MinFreeBytes = 100 << 20
	cfg.FreeBytes = func(string) (int64, error) { return free.Load(), nil }
	s := openTest(t, cfg)
	for n := range 3 {
		create(t, s, pendingMeasurement(n))
	}
	free.Store(80 << 20)
	n := 3
	waitFor(t, "a refusal", func() bool {
		_, err := s.Create(ctx, pendingMeasurement(n), "", [32]byte{}, nil)
		n++
		return errors.Is(err, ErrFull)
	})
	refused := pendingMeasurement(n)
	if _, err := s.Create(ctx, refused, "r", [32]byte{}, nil); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "store.min_free") {
		t.Errorf("Create: %v", err)
	}
	if err := s.PutColumns(ctx, crashKey(1), noisyColumns(10, 1)); !errors.Is(err, ErrFull) {
		t.Errorf("PutColumns: %v", err)
	}
	if _, err := s.Update(ctx, pendingMeasurement(1).ID, func(m *Measurement) (Changes, error) { m.State = StateFailed; return Changes{}, nil }); !errors.Is(err, ErrFull) {
		t.Errorf("Update: %v", err)
	}
	if m, err := s.Measurement(ctx, pendingMeasurement(1).ID); err != nil || m.State != StatePending {
		t.Errorf("a refused update: %v, %+v", err, m)
	}
	if err := s.Delete(ctx, pendingMeasurement(0).ID); err != nil {
		t.Errorf("deleting within the reserve: %v", err)
	}
	if got := testutil.ToFloat64(s.metrics.refused); got < 4 {
		t.Errorf("%v refusals counted", got)
	}
	free.Store(49 << 20) // less than half
	waitFor(t, "a refusal to delete", func() bool {
		err := s.Delete(ctx, pendingMeasurement(2).ID)
		if err == nil {
			create := pendingMeasurement(2)
			_, err = s.Create(ctx, create, "", [32]byte{}, nil)
		}
		return errors.Is(err, ErrFull) || errors.Is(err, ErrNotFound)
	})
	free.Store(1 << 40)
	waitFor(t, "writes again", func() bool {
		_, err := s.Create(ctx, refused, "r", [32]byte{}, nil)
		return err == nil
	})
	verified(t, s)
	free.Store(1 << 20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, cfg); !errors.Is(err, ErrFull) {
		t.Errorf("opened on a full disk: %v", err)
	}
}

// A file system that is really full: writes fail with ErrFull, nothing is damaged, and writes work again when there is space.
func TestFull_SmallFileSystem(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=160m,mode=0700"); err != nil {
		t.Skipf("a file system cannot be mounted here (root is needed): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	cfg := testConfig(filepath.Join(root, "data"))
	cfg.MinFreeBytes = 32 << 20
	s, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ballast := filepath.Join(root, "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte{1}, 48<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stored := map[int]bool{}
	n := 0
	c := noisyColumns(3000, 8)
	fill := func() error {
		for ; n < 1<<16; n++ {
			m := pendingMeasurement(n)
			if _, err := s.Create(ctx, m, fmt.Sprint(n), [32]byte{}, []Task{firstTask(m)}); err != nil {
				return err
			}
			stored[n] = true
			if err := s.PutColumns(ctx, crashKey(n), c); err != nil {
				return err
			}
		}
		return errors.New("it is never full")
	}
	if err := fill(); !errors.Is(err, ErrFull) {
		t.Fatalf("after %d measurements: %v", n, err)
	}
	t.Logf("full after %d measurements", n)
	check := func() {
		t.Helper()
		verified(t, s)
		for n := range stored {
			if _, err := s.Measurement(ctx, pendingMeasurement(n).ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(ctx, cfg); err != nil {
		t.Fatalf("opened on the full file system: %v", err)
	}
	check()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	before := n
	waitFor(t, "writes again", func() bool {
		n++
		m := pendingMeasurement(n)
		_, err := s.Create(ctx, m, "", [32]byte{}, []Task{firstTask(m)})
		return err == nil
	})
	n++
	if err := fill(); !errors.Is(err, ErrFull) || n < before+10 {
		t.Fatalf("%d measurements after %d: %v", n, before, err)
	}
	check()
}
