package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// requestRecord is what is kept of a request ID.
type requestRecord struct {
	Measurement MeasurementID `cbor:"measurement"`
	Digest      [32]byte      `cbor:"digest"`
	Expires     time.Time     `cbor:"expires"`
}

// Create stores a new measurement, its first tasks and its request ID, together and synced. m.ID is a ULID whose time is m.Created, to the
// millisecond; m.Revision becomes 1.
//
// requestID makes it idempotent, "": it is not: if the same owner has used it within Config.RequestIDLife with the same bodyDigest, that
// measurement is returned and nothing is written. Otherwise existing is nil. Errors: [ErrExists] where the request ID was used with another
// digest, or the ID is taken; [ErrFull].
func (s *Store) Create(ctx context.Context, m *Measurement, requestID string, bodyDigest [32]byte, first []Task) (existing *Measurement, err error) {
	return s.create(ctx, m, requestID, bodyDigest, first, nil)
}

// CreateEnded is [Store.Create] of a measurement that has its figures already, and no tasks: its columns are stored with it, all or nothing.
func (s *Store) CreateEnded(ctx context.Context, m *Measurement, requestID string, bodyDigest [32]byte, columns []ColumnsPut) (existing *Measurement, err error) {
	return s.create(ctx, m, requestID, bodyDigest, nil, columns)
}

func (s *Store) create(ctx context.Context, m *Measurement, requestID string, bodyDigest [32]byte, first []Task, columns []ColumnsPut) (existing *Measurement, err error) {
	if !m.ID.valid() {
		return nil, fmt.Errorf("measurement %q: the name is not a ULID in lower case", m.ID)
	}
	if made := m.ID.Time(); made.UnixMilli() != m.Created.UnixMilli() {
		return nil, fmt.Errorf("measurement %s: its name says that it was created at %v, the record %v", m.ID, made, m.Created.UTC())
	}
	m.Revision = 1
	err = s.write(ctx, false, func(txn *badger.Txn, b *batch) error {
		if requestID != "" {
			before, err := s.requested(txn, m.Owner, requestID, bodyDigest)
			if err != nil || before != nil {
				existing = before
				return err
			}
			expires := s.cfg.Now().Add(s.cfg.RequestIDLife)
			if err := b.setRecord(requestKey(m.Owner, requestID), &requestRecord{m.ID, bodyDigest, expires.UTC()}); err != nil {
				return err
			}
			// Badger drops it by the wall clock, whatever Config.Now says, some time after it has stopped to count.
			b.ops[len(b.ops)-1].Expires = uint64(time.Now().Add(s.cfg.RequestIDLife).Unix() + 1)
		}
		taken, err := has(txn, measurementKey(m.ID))
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("measurement %s: %w", m.ID, ErrExists)
		}
		// Columns before the record that names them, as in Update.
		for i := range columns {
			if err := s.putColumns(txn, b, columns[i].Key, columns[i].Columns); err != nil {
				return err
			}
		}
		if err := b.putMeasurement(nil, m); err != nil {
			return err
		}
		b.then = append(b.then, func() { s.metrics.count.Add(1) })
		return s.putTasks(txn, b, first)
	})
	if err != nil {
		return nil, err
	}
	return existing, nil
}

// requested finds the measurement that a request ID has made; nil: none has, or it has been deleted since.
func (s *Store) requested(txn *badger.Txn, owner, requestID string, digest [32]byte) (*Measurement, error) {
	var r requestRecord
	err := get(txn, requestKey(owner, requestID), func(value []byte) error { return decodeRecord(value, &r) })
	if errors.Is(err, ErrNotFound) || err == nil && !s.cfg.Now().Before(r.Expires) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("request ID %q: %w", requestID, err)
	}
	m, err := measurement(txn, r.Measurement)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err == nil && r.Digest != digest {
		return nil, fmt.Errorf("request ID %q was used for another request: %w", requestID, ErrExists)
	}
	return m, err
}

// measurement reads a record.
func measurement(txn *badger.Txn, id MeasurementID) (*Measurement, error) {
	if !id.valid() {
		return nil, fmt.Errorf("measurement %.40q: %w", id, ErrNotFound)
	}
	item, err := txn.Get(measurementKey(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, fmt.Errorf("measurement %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, badgerError(err)
	}
	return readMeasurement(item)
}

// Measurement reads a measurement. Errors: [ErrNotFound].
func (s *Store) Measurement(ctx context.Context, id MeasurementID) (*Measurement, error) {
	var m *Measurement
	err := s.view(ctx, func(txn *badger.Txn) (err error) {
		m, err = measurement(txn, id)
		return err
	})
	return m, err
}

// Changes are written together with a record ([Store.Update]) or by themselves ([Store.Apply]): all of them or none.
type Changes struct {
	PutTasks    []Task    // new or in place of those with the same key
	DeleteTasks []TaskKey // those that are not there are passed over
	PutColumns  []ColumnsPut
	PutDone     []TaskDone
	DeleteDone  bool // with Update: every TaskDone of the measurement, but for those of PutDone
}

// ColumnsPut is columns to be stored.
type ColumnsPut struct {
	Key ColumnsKey
	Columns
}

// Update changes a measurement. fn gets the record as it is in the writer's turn, changes it in place and says what else is to change; both are
// written together, synced. It must not call the store, must be quick (every other write waits for it), and must leave ID and Created as they are.
// Revision is counted up. The record as it is now stored is returned. A change of thousands of entries may be seen in part for a moment, but is never
// stored in part.
//
// Errors: [ErrNotFound]; what fn returns, and nothing is written then, where [ErrUnchanged] stands for no error; [ErrFull].
func (s *Store) Update(ctx context.Context, id MeasurementID, fn func(m *Measurement) (Changes, error)) (*Measurement, error) {
	var m *Measurement
	unchanged := false
	err := s.write(ctx, false, func(txn *badger.Txn, b *batch) (err error) {
		if m, err = measurement(txn, id); err != nil {
			return err
		}
		before, revision, created := entriesOf(m), m.Revision, m.Created
		changes, err := fn(m)
		if errors.Is(err, ErrUnchanged) {
			unchanged = true
			m, err = measurement(txn, id) // fn may have touched it
			return err
		}
		if err != nil {
			return err
		}
		if m.ID != id || !m.Created.Equal(created) {
			return fmt.Errorf("measurement %s: an update may change neither its name nor when it was created", id)
		}
		m.Revision = revision + 1
		// Columns, record, tasks: should this be cut up, whoever finds one finds what it builds upon.
		for i := range changes.PutColumns {
			if err := s.putColumns(txn, b, changes.PutColumns[i].Key, changes.PutColumns[i].Columns); err != nil {
				return err
			}
		}
		changes.PutColumns = nil
		if err := b.putMeasurement(before, m); err != nil {
			return err
		}
		return s.apply(txn, b, changes, id)
	})
	if err != nil && !unchanged {
		return nil, err
	}
	return m, err
}

// Apply makes changes that touch no record: how parts of a chunk and its end are written. Concurrent calls share syncs. Errors: [ErrFull].
func (s *Store) Apply(ctx context.Context, c Changes) error {
	if c.DeleteDone {
		return errors.New("DeleteDone needs a measurement: use Update")
	}
	return s.write(ctx, c.frees(), func(txn *badger.Txn, b *batch) error { return s.apply(txn, b, c, "") })
}

// frees says that changes take nothing new.
func (c *Changes) frees() bool {
	return len(c.PutTasks) == 0 && len(c.PutColumns) == 0 && len(c.PutDone) == 0
}

func (s *Store) apply(txn *badger.Txn, b *batch, c Changes, id MeasurementID) error {
	for i := range c.PutColumns {
		if err := s.putColumns(txn, b, c.PutColumns[i].Key, c.PutColumns[i].Columns); err != nil {
			return err
		}
	}
	if c.DeleteDone {
		if err := removeAll(txn, b, ofMeasurement(kindDone, id)); err != nil {
			return err
		}
	}
	for i := range c.PutDone {
		d := &c.PutDone[i]
		if !d.Measurement.valid() || d.Number < 0 || int64(d.Number) >= 1<<32 {
			return fmt.Errorf("end of task %d of %q: not a task", d.Number, d.Measurement)
		}
		if err := b.setRecord(numbered(kindDone, d.Measurement, d.Number), d); err != nil {
			return err
		}
	}
	put := map[taskName]bool{}
	for i := range c.PutTasks {
		put[c.PutTasks[i].Key.name()] = true
	}
	for _, key := range c.DeleteTasks {
		if put[key.name()] {
			continue // putting it takes care of where it was
		}
		put[key.name()] = true // once is enough
		if err := s.deleteTask(txn, b, key); err != nil {
			return err
		}
	}
	return s.putTasks(txn, b, c.PutTasks)
}

// removeAll deletes every key with a prefix.
func removeAll(txn *badger.Txn, b *batch, prefix []byte) error {
	return scan(txn, prefix, false, func(item *badger.Item) error {
		b.remove(item.KeyCopy(nil))
		return nil
	})
}

// Done lists what is kept of tasks of a measurement that are done, by number.
func (s *Store) Done(ctx context.Context, id MeasurementID) ([]TaskDone, error) {
	var list []TaskDone
	if !id.valid() {
		return nil, nil
	}
	err := s.view(ctx, func(txn *badger.Txn) error {
		return scan(txn, ofMeasurement(kindDone, id), true, func(item *badger.Item) error {
			d, err := readDone(item)
			if err == nil {
				list = append(list, *d)
			}
			return err
		})
	})
	return list, err
}

func readDone(item *badger.Item) (*TaskDone, error) {
	var d TaskDone
	id, number, err := parseNumbered(kindDone, item.Key())
	if err != nil {
		return nil, err
	}
	if err := item.Value(func(value []byte) error { return decodeRecord(value, &d) }); err != nil {
		return nil, fmt.Errorf("end of task %d of %s: %w", number, id, err)
	}
	d.Measurement, d.Number = id, number
	return &d, nil
}

// Delete removes a measurement with its index entries, its outstanding tasks and what is kept of those that are done. Columns stay: they belong to
// the content, and [Store.RemoveUnused] removes those that nobody has named for long. Errors: [ErrNotFound].
func (s *Store) Delete(ctx context.Context, id MeasurementID) error {
	return s.write(ctx, true, func(txn *badger.Txn, b *batch) error {
		m, err := measurement(txn, id)
		if err != nil {
			return err
		}
		b.remove(measurementKey(id))
		b.remove(factsKey(id))
		for _, key := range entriesOf(m) {
			b.remove(key)
		}
		if err := removeAll(txn, b, ofMeasurement(kindDone, id)); err != nil {
			return err
		}
		tasks, err := taskKeys(txn, id)
		if err != nil {
			return err
		}
		for _, key := range tasks {
			if err := s.deleteTask(txn, b, key); err != nil {
				return err
			}
		}
		b.then = append(b.then, func() { s.metrics.count.Add(-1) })
		return nil
	})
}

// MeasurementsInState lists the measurements that are in a state, oldest first.
func (s *Store) MeasurementsInState(ctx context.Context, state State) ([]MeasurementID, error) {
	var ids []MeasurementID
	err := s.view(ctx, func(txn *badger.Txn) error {
		return scan(txn, stringIndex(indexState, string(state)), false, func(item *badger.Item) error {
			e, err := parseIndexKey(item.Key())
			ids = append(ids, e.id)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	return ids, nil
}

// MeasurementsOf lists the measurements that are made of the columns of an identity, oldest first.
func (s *Store) MeasurementsOf(ctx context.Context, identity Identity) ([]MeasurementID, error) {
	var ids []MeasurementID
	err := s.view(ctx, func(txn *badger.Txn) error {
		return scan(txn, identityIndex(identity), false, func(item *badger.Item) error {
			e, err := parseIndexKey(item.Key())
			ids = append(ids, e.id)
			return err
		})
	})
	return ids, err
}
