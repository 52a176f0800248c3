package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What is written over and over does not fill the disk: the value log is rewritten without what nobody needs any more.
func TestUpkeep_CollectsTheValueLog(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 150 MB")
	}
	ctx := context.Background()
	cfg := testConfig(t.TempDir())
	body := randomBytes(24 << 20)
	for i := range 6 { // closing writes a table each time: enough of them that Badger compacts, which tells it what is garbage
		s := openTest(t, cfg)
		body[0] = byte(i)
		if err := s.PutNote(ctx, NoteKey{1}, body); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openTest(t, cfg)
	if err := s.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	s.takeSizes()
	before := s.Stats().ValueBytes
	s.collect(ctx)
	s.takeSizes()
	after := s.Stats().ValueBytes
	if after > before*3/4 || testutil.ToFloat64(s.metrics.collected.WithLabelValues("rewritten")) == 0 {
		t.Errorf("%d MiB before and %d after", before>>20, after>>20)
	}
	if got, err := s.Note(ctx, NoteKey{1}); err != nil || !bytes.Equal(got, body) {
		t.Errorf("what is needed: %d bytes, %v", len(got), err)
	}
	verified(t, s)
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	cfg := testConfig(t.TempDir())
	cfg.Registerer = registry
	s := openTest(t, cfg)
	for n := range 3 {
		create(t, s, pendingMeasurement(n))
	}
	if _, err := s.Query(context.Background(), Query{}); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names[f.GetName()] = true
		if f.GetName() == "vqsd_store_measurements" && f.GetMetric()[0].GetGauge().GetValue() != 3 {
			t.Errorf("%v measurements", f.GetMetric()[0].GetGauge().GetValue())
		}
		if f.GetName() == "vqsd_store_write_seconds" && f.GetMetric()[0].GetHistogram().GetSampleCount() != 3 {
			t.Errorf("%v writes", f.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
	for _, name := range []string{"vqsd_store_size_bytes", "vqsd_store_measurements", "vqsd_store_reserve_bytes", "vqsd_store_write_seconds", "vqsd_store_refused_writes_total",
		"vqsd_store_failed_writes_total", "vqsd_store_value_log_collections_total", "vqsd_store_query_seconds", "vqsd_store_query_examined"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, cfg) // registers again
}

// A process that died after it had promised a large write, and before or while it was carrying it out, is no loss.
func TestJournal_IsCarriedOutWhenTheStoreIsOpened(t *testing.T) {
	for _, done := range []int{0, 1, 2} { // operations carried out before the end
		cfg := testConfig(t.TempDir())
		s := openTest(t, cfg)
		create(t, s, pendingMeasurement(1))
		gone := firstTask(pendingMeasurement(1))
		var b batch
		if err := s.db.View(func(txn *badger.Txn) error { return s.deleteTask(txn, &b, gone.Key) }); err != nil {
			t.Fatal(err)
		}
		m := pendingMeasurement(2)
		if err := b.putMeasurement(nil, m); err != nil {
			t.Fatal(err)
		}
		body, err := cborEncoder.Marshal(append(b.ops, op{Key: []byte("n/"), Delete: true}))
		if err != nil {
			t.Fatal(err)
		}
		var journal []op
		for i, part := range split(pack(nil, body), journalVersion) {
			journal = append(journal, op{Key: journalKey(0, i), Value: part})
		}
		if err := s.commitOps(append(journal, b.ops[:done]...)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, cfg)
		if _, err := s.Measurement(context.Background(), m.ID); err != nil {
			t.Errorf("after %d operations: %v", done, err)
		}
		if _, err := s.Task(context.Background(), gone.Key); !errors.Is(err, ErrNotFound) {
			t.Errorf("after %d operations, what was to be deleted: %v", done, err)
		}
		verified(t, s)
	}
}

func TestOpen_MakesIndexesAnewForAnotherFormat(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := filled(t, cfg)
	want := dump(t, s)
	plant(t, s, func(txn *badger.Txn) error {
		return errors.Join(
			txn.Set(indexFormatKey, uint64Value(0)), txn.Delete(factsKey(pendingMeasurement(20).ID)),
			txn.Set(entry(stringIndex(indexOwner, "nobody"), pendingMeasurement(20).ID), nil))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, cfg)
	if diff := cmp.Diff(want, dump(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	verified(t, s)
}

func TestOpen_RefusesNewerFormats(t *testing.T) {
	for _, key := range [][]byte{formatKey, indexFormatKey} {
		cfg := testConfig(t.TempDir())
		s := openTest(t, cfg)
		plant(t, s, func(txn *badger.Txn) error { return txn.Set(key, uint64Value(99)) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), cfg); !errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// One writer's error or panic-free refusal does not touch what is committed with it.
func TestWrite_AFailingOneLeavesTheOthersOfItsGroup(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, testConfig(t.TempDir()))
	hold, held := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.write(ctx, false, func(*badger.Txn, *batch) error { close(held); <-hold; return nil })
	}()
	<-held // the writer is busy: what comes now is one group
	mine := errors.New("mine")
	results := make(chan error, 20)
	for n := range 20 {
		go func() {
			results <- s.write(ctx, false, func(_ *badger.Txn, b *batch) error {
				b.set(selfKey(fmt.Sprint("test ", n)), uint64Value(uint64(n)))
				if n%2 == 0 {
					return mine
				}
				return nil
			})
		}()
	}
	gone, cancel := context.WithCancel(ctx)
	cancelled := make(chan error, 1)
	go func() {
		cancelled <- s.write(gone, false, func(_ *badger.Txn, b *batch) error { b.set(selfKey("cancelled"), nil); return nil })
	}()
	waitFor(t, "all wait", func() bool { return len(s.writes) == 21 })
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(hold)
	failed := 0
	for range 20 {
		if err := <-results; errors.Is(err, mine) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	if err := <-first; err != nil || failed != 10 {
		t.Errorf("%d failed, %v", failed, err)
	}
	for n := range 20 {
		got, err := s.number(selfKey(fmt.Sprint("test ", n)))
		if err != nil || (got == 0) != (n%2 == 0) {
			t.Errorf("write %d: %d, %v", n, got, err)
		}
	}
	if there := dump(t, s)[string(selfKey("cancelled"))]; there != "" {
		t.Error("what was taken back was written")
	}
}
