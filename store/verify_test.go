package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// plant writes past everything that keeps the store consistent.
func plant(t *testing.T, s *Store, fn func(txn *badger.Txn) error) {
	t.Helper()
	if err := s.db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func TestVerify_FindsPlantedDamage(t *testing.T) {
	m := pendingMeasurement(20)    // pending, with a task
	ended := pendingMeasurement(7) // succeeded
	for _, c := range []struct {
		name string
		fn   func(txn *badger.Txn) error
		want string
	}{
		{"an index entry is gone", func(txn *badger.Txn) error { return txn.Delete(entry(stringIndex(indexOwner, "owner"), m.ID)) }, "is missing"},
		{"a score's entry is gone", func(txn *badger.Txn) error {
			return txn.Delete(scoreIndex(indexSeriesScore, "vmaf", "mean", 7, ended.ID, 0))
		}, "is missing"},
		{"an index entry too many", func(txn *badger.Txn) error { return txn.Set(entry(stringIndex(indexOwner, "nobody"), m.ID), nil) }, "has no record"},
		{"an entry of no measurement", func(txn *badger.Txn) error {
			return txn.Set(entry(stringIndex(indexOwner, "owner"), pendingMeasurement(99).ID), nil)
		}, "has no record"},
		{"one entry gone and another too many", func(txn *badger.Txn) error {
			return errors.Join(txn.Delete(entry(stringIndex(indexOwner, "owner"), m.ID)), txn.Set(entry(stringIndex(indexOwner, "nobody"), m.ID), nil))
		}, "has no record"},
		{"facts are gone", func(txn *badger.Txn) error { return txn.Delete(factsKey(m.ID)) }, "its facts: not found"},
		{"facts of another", func(txn *badger.Txn) error { return txn.Set(factsKey(m.ID), factsOf(ended).encode()) }, "not those of its record"},
		{"facts alone", func(txn *badger.Txn) error { return txn.Set(factsKey(pendingMeasurement(99).ID), factsOf(m).encode()) }, "without a record"},
		{"a record is nonsense", func(txn *badger.Txn) error { return txn.Set(measurementKey(m.ID), []byte{1, 0, 0xff}) }, "damaged"},
		{"a record is empty", func(txn *badger.Txn) error { return txn.Set(measurementKey(m.ID), nil) }, "missing"},
		{"a record of another", func(txn *badger.Txn) error {
			value, err := encodeRecord(ended)
			return errors.Join(err, txn.Set(measurementKey(m.ID), value))
		}, "the record is that of"},
		{"a record of a newer version", func(txn *badger.Txn) error { return txn.Set(measurementKey(m.ID), []byte{9}) }, "format version 9"},
		{"a task of a measurement that has ended", func(txn *badger.Txn) error {
			key, err := firstTask(ended).Key.encode()
			value, err2 := encodeRecord(&Task{Kind: TaskInspect})
			return errors.Join(err, err2, txn.Set(key, value))
		}, "that is succeeded"},
		{"a task's place is gone", func(txn *badger.Txn) error { return txn.Delete(numbered(kindTaskPlace, m.ID, 0)) }, "place is not noted"},
		{"a task is gone", func(txn *badger.Txn) error {
			key, err := firstTask(m).Key.encode()
			return errors.Join(err, txn.Delete(key))
		}, "that is not there"},
		{"a ledger entry is nonsense", func(txn *badger.Txn) error { return txn.Set(watchKey("in", "a"), []byte{1, 0, 0xff}) }, "WatchEntry"},
		{"a key of an unknown kind", func(txn *badger.Txn) error { return txn.Set([]byte("x/1"), []byte{1}) }, "unknown kind"},
		{"a key that is cut off", func(txn *badger.Txn) error { return txn.Set(measurementKey(m.ID)[:9], []byte{1}) }, "too short"},
		{"columns are cut off", func(txn *badger.Txn) error {
			return txn.Set(crashKey(1).run(Run{0, 200, 1}), encodeColumns(Columns{Figures: [][]float64{make([]float64, 200)}}, epoch)[:100])
		}, "columns"},
		{"a part of a note is gone", func(txn *badger.Txn) error { return txn.Delete(blobKey(kindNote, NoteKey{3}, 1)) }, "part"},
	} {
		s := filled(t, testConfig(t.TempDir()))
		verified(t, s)
		plant(t, s, c.fn)
		report, err := s.Verify(context.Background(), nil)
		if err != nil || report.OK() || !strings.Contains(strings.Join(report.Problems, "\n"), c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, strings.Join(report.Problems, "\n"))
		}
	}
}

// Bytes that changed on the disk are found, in a table as in the value log, whether when the store is opened or when it is verified.
func TestVerify_FindsFlippedBytes(t *testing.T) {
	const marker = "a document that is long enough to be in the value log, and that does not shrink: "
	for _, ext := range []string{".vlog", ".sst"} {
		for _, at := range []float64{0.2, 0.5, 0.8} {
			t.Run(fmt.Sprintf("%s at %g", ext, at), func(t *testing.T) {
				ctx := context.Background()
				cfg := testConfig(t.TempDir())
				s := openTest(t, cfg)
				bulkLoad(t, s, 200, synthetic)
				for i := range 20 {
					if _, err := s.PutDocument(ctx, append([]byte(fmt.Sprint(marker, i)), randomBytes(20000)...)); err != nil {
						t.Fatal(err)
					}
				}
				verified(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				flip(t, cfg.Dir, ext, at)
				s, err := Open(ctx, cfg)
				if err != nil {
					if !errors.Is(err, ErrCorrupt) {
						t.Errorf("refused, but not as damage: %v", err)
					}
					return
				}
				defer func() {
					if err := s.Close(); err != nil {
						t.Log(err) // the damage may be in its way
					}
				}()
				report, err := s.Verify(ctx, nil)
				if err != nil || report.OK() {
					t.Errorf("not found: %v, %+v", err, report)
				}
			})
		}
	}
}

// flip changes some bytes of the largest file of a kind, at a share of what is filled.
func flip(t *testing.T, dir, ext string, share float64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+ext))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", ext, err)
	}
	var name string
	var content []byte
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if b = bytes.TrimRight(b, "\x00"); len(b) > len(content) {
			name, content = n, b
		}
	}
	at := int(share * float64(len(content)))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	wrong := make([]byte, 8)
	for i := range wrong {
		wrong[i] = ^content[at+i]
	}
	if _, err := f.WriteAt(wrong, int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
