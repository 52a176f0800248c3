package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// VerifyReport is what [Store.Verify] found.
type VerifyReport struct {
	Keys         int64 // looked at
	Measurements int64
	IndexEntries int64
	Columns      int64 // runs
	// Problems describe damage, at most maxProblems of them.
	Problems []string
	// Further counts problems beyond those.
	Further int
}

// OK says that there is no damage.
func (r *VerifyReport) OK() bool { return len(r.Problems) == 0 }

const maxProblems = 100

func (r *VerifyReport) add(format string, args ...any) {
	if len(r.Problems) >= maxProblems {
		r.Further++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Progress of a verification: keys looked at so far.
type Progress func(keys int64)

// Verify reads everything and reports damage: checksums of tables and values, keys and values that cannot be read, facts and index entries that a record
// lacks or that no record stands for, tasks of measurements that have ended or are not there. progress (nil: nobody) is called now and then.
//
// It is meant for a store that nobody writes to meanwhile; it looks at one moment in any case. Errors are only those that keep it from looking.
func (s *Store) Verify(ctx context.Context, progress Progress) (VerifyReport, error) {
	var report VerifyReport
	err := s.view(ctx, func(txn *badger.Txn) error {
		v := &verifier{ctx: ctx, txn: txn, report: &report, progress: progress}
		if err := v.guarded(s.db.VerifyChecksum); err != nil {
			report.add("a table's checksum is wrong: %v", err)
		}
		return v.guarded(v.run)
	})
	return report, err
}

// verifier is a verification at work. Its life is that of ctx, the call's.
type verifier struct {
	ctx      context.Context
	txn      *badger.Txn
	report   *VerifyReport
	progress Progress
	expected int64 // index entries that records stand for and that are there
}

// guarded calls fn and reports a panic: Badger asserts what it reads from tables, and with wrong bytes in them that may not hold.
func (v *verifier) guarded(fn func() error) error {
	defer func() {
		if r := recover(); r != nil {
			v.report.add("the tables cannot be read: %v", r)
		}
	}()
	return fn()
}

func (v *verifier) run() error {
	options := badger.DefaultIteratorOptions
	options.PrefetchValues = false
	it := v.txn.NewIterator(options)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if v.report.Keys++; v.report.Keys&0xfff == 0 {
			if err := v.ctx.Err(); err != nil {
				return err
			}
			if v.progress != nil {
				v.progress(v.report.Keys)
			}
		}
		item := it.Item()
		err := item.Value(func(value []byte) error { return checkEntry(item.Key(), value) })
		if err == nil {
			err = v.relations(item)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err != nil {
			v.report.add("%.100q: %v", item.Key(), err)
		}
	}
	if v.report.IndexEntries != v.expected {
		return v.stale()
	}
	return nil
}

// checkEntry says whether a key can be taken apart and its value read.
func checkEntry(key, value []byte) error {
	if len(key) < 2 {
		return keyError(key, "too short")
	}
	switch k := kind(key[0]); k {
	case kindMeasurement:
		id, err := parseMeasurementKey(k, key)
		if err != nil {
			return err
		}
		var m Measurement
		if err := decodeRecord(value, &m); err != nil {
			return err
		}
		if m.ID != id {
			return fmt.Errorf("%w: the record is that of %q", ErrCorrupt, m.ID)
		}
		return nil
	case kindFacts:
		id, err := parseMeasurementKey(k, key)
		if err != nil {
			return err
		}
		var f facts
		return f.decode(id, value)
	case kindTask:
		_, err := parseTaskKey(key)
		return errors.Join(err, decodeRecord(value, &Task{}))
	case kindTaskPlace:
		_, _, err := parseNumbered(k, key)
		return errors.Join(err, decodeRecord(value, &taskPlace{}))
	case kindDone:
		_, _, err := parseNumbered(k, key)
		return errors.Join(err, decodeRecord(value, &TaskDone{}))
	case kindColumns:
		_, run, err := parseColumnsKey(key)
		if err != nil {
			return err
		}
		_, _, err = decodeColumns(run, value)
		return err
	case kindFile:
		_, _, err := parseFileKey(key)
		return errors.Join(err, decodeRecord(value, &fileRecord{}))
	case kindWatch:
		_, _, err := parseWatchKey(key)
		return errors.Join(err, decodeRecord(value, &WatchEntry{}))
	case kindDocument, kindNote:
		_, _, err := parseBlobKey(k, key)
		if err == nil {
			_, err = checkVersion(value, blobVersion)
		}
		return err
	case kindRequest:
		_, _, err := parseRequestKey(key)
		return errors.Join(err, decodeRecord(value, &requestRecord{}))
	case kindJournal:
		_, _, err := parseJournalKey(key)
		if err == nil {
			_, err = checkVersion(value, journalVersion)
		}
		return err
	case kindIndex:
		_, err := parseIndexKey(key)
		if err == nil && len(value) > 0 {
			err = fmt.Errorf("%w: an index entry with a value", ErrCorrupt)
		}
		return err
	case kindSelf:
		_, err := parseSelfKey(key)
		if err == nil {
			_, err = checkVersion(value, 1)
		}
		return err
	}
	return keyError(key, "an unknown kind")
}

// relations checks an entry, which can be read, against others.
func (v *verifier) relations(item *badger.Item) error {
	key := item.Key()
	switch k := kind(key[0]); k {
	case kindMeasurement:
		v.report.Measurements++
		return v.record(item)
	case kindFacts:
		id, err := parseMeasurementKey(k, key)
		if err != nil {
			return err
		}
		return v.needs(measurementKey(id), "facts without a record")
	case kindIndex:
		v.report.IndexEntries++
	case kindColumns:
		v.report.Columns++
	case kindTask:
		return v.task(key)
	case kindTaskPlace:
		return v.place(item)
	case kindDone:
		id, _, err := parseNumbered(k, key)
		if err != nil {
			return err
		}
		return v.needs(measurementKey(id), "the end of a task of no measurement")
	case kindDocument, kindNote:
		digest, part, err := parseBlobKey(k, key)
		if err == nil && part == 0 {
			_, err = readBlob(v.txn, k, digest)
		} else if err == nil {
			err = v.needs(blobKey(k, digest, part-1), "a part without the one before")
		}
		return err
	}
	return nil
}

func (v *verifier) needs(key []byte, problem string) error {
	there, err := has(v.txn, key)
	if err == nil && !there {
		err = fmt.Errorf("%w: %s", ErrCorrupt, problem)
	}
	return err
}

// record checks that a record's facts and index entries are there.
func (v *verifier) record(item *badger.Item) error {
	m, err := readMeasurement(item)
	if err != nil {
		return err
	}
	want := factsOf(m).encode()
	var got []byte
	err = get(v.txn, factsKey(m.ID), func(value []byte) error {
		got = bytes.Clone(value)
		return nil
	})
	switch {
	case err != nil:
		v.report.add("measurement %s: its facts: %v", m.ID, err)
	case !bytes.Equal(want, got):
		v.report.add("measurement %s: its facts are not those of its record", m.ID)
	}
	for _, key := range entriesOf(m) {
		there, err := has(v.txn, key)
		switch {
		case err != nil:
			return err
		case there:
			v.expected++
		default:
			v.report.add("measurement %s: the index entry %.100q is missing", m.ID, key)
		}
	}
	return nil
}

// stale finds the index entries that no record stands for.
func (v *verifier) stale() error {
	entries := map[MeasurementID][][]byte{} // of some measurements
	return scan(v.txn, prefixOf(kindIndex), false, func(item *badger.Item) error {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		e, err := parseIndexKey(item.Key())
		if err != nil {
			return nil // reported already
		}
		of, known := entries[e.id]
		if !known {
			m, err := measurement(v.txn, e.id)
			if err == nil {
				of = entriesOf(m)
			} else if !errors.Is(err, ErrNotFound) {
				return nil // reported already
			}
			if len(entries) >= 4096 {
				clear(entries)
			}
			entries[e.id] = of
		}
		for _, key := range of {
			if bytes.Equal(key, item.Key()) {
				return nil
			}
		}
		v.report.add("the index entry %.100q has no record that it stands for", item.Key())
		return nil
	})
}

// task checks that a task's measurement is not over, and that its place is known.
func (v *verifier) task(key []byte) error {
	k, err := parseTaskKey(key)
	if err != nil {
		return err
	}
	m, err := measurement(v.txn, k.Measurement)
	if err != nil {
		return fmt.Errorf("%w: a task of a measurement that cannot be read: %w", ErrCorrupt, err)
	}
	if m.State.Final() {
		return fmt.Errorf("%w: a task of a measurement that is %s", ErrCorrupt, m.State)
	}
	return v.needs(numbered(kindTaskPlace, k.Measurement, k.Number), "a task whose place is not noted")
}

func (v *verifier) place(item *badger.Item) error {
	id, number, err := parseNumbered(kindTaskPlace, item.Key())
	if err != nil {
		return err
	}
	var p taskPlace
	if err := item.Value(func(value []byte) error { return decodeRecord(value, &p) }); err != nil {
		return err
	}
	key, err := TaskKey{p.Class, p.Deadline, id, number}.encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return v.needs(key, "the place of a task that is not there")
}
