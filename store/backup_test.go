package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
)

// dump gives all entries of a store but its secret.
func dump(t testing.TB, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, nil, true, func(item *badger.Item) error {
			if bytes.Equal(item.Key(), secretKey) {
				return nil
			}
			return item.Value(func(value []byte) error {
				all[string(item.Key())] = fmt.Sprintf("%d %x", item.ExpiresAt(), value)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// filled is a store with some of everything.
func filled(t testing.TB, cfg Config) *Store {
	t.Helper()
	ctx := context.Background()
	s := openTest(t, cfg)
	for n := 1; n < 8; n++ {
		if err := live(ctx, s, n, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	m := pendingMeasurement(20)
	if _, err := s.Create(ctx, m, "twenty", [32]byte{1}, []Task{firstTask(m)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDocument(ctx, bytes.Repeat([]byte("a document "), 3e5)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutNote(ctx, NoteKey{3}, randomBytes(3<<20)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutFile(ctx, File{Source: m.Request.Reference, Host: "here", Fingerprint: "sha256:00"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBackup_RoundTrip(t *testing.T) {
	ctx := context.Background()
	s := filled(t, testConfig(t.TempDir()))
	var backup bytes.Buffer
	info, err := s.Backup(ctx, &backup)
	if err != nil {
		t.Fatal(err)
	}
	if info.Bytes != int64(backup.Len()) || info.Measurements != 7 {
		t.Errorf("%+v of %d bytes", info, backup.Len())
	}
	want := dump(t, s)
	cfg := testConfig(filepath.Join(t.TempDir(), "new", "data"))
	restored, err := Restore(ctx, cfg, bytes.NewReader(backup.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if restored.Entries != info.Entries || restored.SHA256 != info.SHA256 || restored.Measurements != 7 {
		t.Errorf("backed up %+v\nrestored %+v", info, restored)
	}
	copied := openTest(t, cfg)
	verified(t, copied)
	if diff := cmp.Diff(want, dump(t, copied)); diff != "" {
		t.Errorf("after restoring (-want +got):\n%.3000s", diff)
	}
	if existing, err := copied.Create(ctx, pendingMeasurement(21), "twenty", [32]byte{1}, nil); err != nil || existing == nil {
		t.Errorf("the request ID is not known: %v, %v", existing, err)
	}
	if _, err := Restore(ctx, cfg, bytes.NewReader(backup.Bytes())); !errors.Is(err, ErrExists) {
		t.Errorf("restored into a directory that is not empty: %v", err)
	}
	verified(t, copied)
}

// A backup that is damaged or cut off anywhere is refused, and leaves the directory empty.
func TestRestore_RefusesDamage(t *testing.T) {
	ctx := context.Background()
	s := filled(t, testConfig(t.TempDir()))
	var buffer bytes.Buffer
	if _, err := s.Backup(ctx, &buffer); err != nil {
		t.Fatal(err)
	}
	backup := buffer.Bytes()
	changed := func(at int, by byte) []byte {
		b := bytes.Clone(backup)
		b[at] ^= by
		return b
	}
	n := len(backup)
	for _, c := range []struct {
		name   string
		backup []byte
		err    error
	}{
		{"nothing", nil, ErrCorrupt},
		{"half a header", backup[:5], ErrCorrupt},
		{"a header alone", backup[:17], ErrCorrupt},
		{"a third", backup[:n/3], ErrCorrupt},
		{"without its trailer", backup[:n-40], ErrCorrupt},
		{"without its last byte", backup[:n-1], ErrCorrupt},
		{"with something behind it", append(bytes.Clone(backup), 0), ErrCorrupt},
		{"twice", append(bytes.Clone(backup), backup...), ErrCorrupt},
		{"another magic", changed(0, 1), ErrCorrupt},
		{"a newer format", changed(8, 3), ErrNewerFormat},
		{"another time", changed(10, 1), ErrCorrupt},
		{"a length that is too large", changed(20, 0x80), ErrCorrupt},
		{"a bit in a block", changed(n/2, 1), ErrCorrupt},
		{"a bit in the count", changed(n-40, 1), ErrCorrupt},
		{"a bit in the checksum", changed(n-3, 1), ErrCorrupt},
	} {
		cfg := testConfig(t.TempDir())
		if _, err := Restore(ctx, cfg, bytes.NewReader(c.backup)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", c.name, left, err)
		}
	}
	cfg := testConfig(t.TempDir())
	broken := errors.New("broken")
	if _, err := Restore(ctx, cfg, io.MultiReader(bytes.NewReader(backup[:n/2]), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader's error: %v", err)
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
		t.Errorf("a reader's error: %v is left, %v", left, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRestore_InterruptedIsNotOpened(t *testing.T) {
	cfg := testConfig(t.TempDir())
	if err := os.WriteFile(filepath.Join(cfg.Dir, restoringName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), cfg); err == nil {
		t.Error("opened")
	}
}

// A backup taken while others write is of one moment.
func TestBackup_WhileOthersWrite(t *testing.T) {
	s := openTest(t, testConfig(t.TempDir()))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mu sync.Mutex
	var said []string
	wrote := make(chan struct{}, 1)
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for n := w + 1; ctx.Err() == nil; n += 3 {
				err := live(ctx, s, n, func(line string) {
					mu.Lock()
					said = append(said, line)
					mu.Unlock()
					select {
					case wrote <- struct{}{}:
					default:
					}
				})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		for range 30 {
			<-wrote
		}
		mu.Lock()
		before := append([]string(nil), said...)
		mu.Unlock()
		var backup bytes.Buffer
		if _, err := s.Backup(ctx, &backup); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := Restore(ctx, testConfig(dir), &backup); err != nil {
			t.Fatal(err)
		}
		checkAcknowledged(t, dir, before)
	}
	stop()
	writers.Wait()
}
