package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// QueueDepth says how much of a class is outstanding.
type QueueDepth struct {
	Tasks int
	// OldestAge is how long ago the oldest of their measurements was created; of the first 100,000 tasks in dispatch order.
	OldestAge time.Duration
}

// depthScan bounds how many tasks QueueDepths looks at for their age.
const depthScan = 100_000

// taskCounts counts outstanding tasks by class, in the order of [Classes].
type taskCounts [3]atomic.Int64

// taskPlace is the value of kindTaskPlace: the rest of a task's key.
type taskPlace struct {
	Class    Class     `cbor:"class"`
	Deadline time.Time `cbor:"deadline"`
}

// taskName names a task wherever it is.
type taskName struct {
	measurement MeasurementID
	number      int
}

func (k TaskKey) name() taskName { return taskName{k.Measurement, k.Number} }

// putTasks puts tasks, new or in place of those with the same key.
func (s *Store) putTasks(txn *badger.Txn, b *batch, tasks []Task) error {
	put := map[taskName]bool{}
	for i := range tasks {
		t := &tasks[i]
		if put[t.Key.name()] {
			return fmt.Errorf("task %d of %s is put twice", t.Key.Number, t.Key.Measurement)
		}
		put[t.Key.name()] = true
		key, err := t.Key.encode()
		if err != nil {
			return err
		}
		if err := b.setRecord(key, t); err != nil {
			return err
		}
		place := numbered(kindTaskPlace, t.Key.Measurement, t.Key.Number)
		var before taskPlace
		err = get(txn, place, func(value []byte) error { return decodeRecord(value, &before) })
		switch {
		case errors.Is(err, ErrNotFound):
			b.then = append(b.then, s.countTask(t.Key.Class, 1))
		case err != nil:
			return fmt.Errorf("task %d of %s: %w", t.Key.Number, t.Key.Measurement, err)
		case before.Class == t.Key.Class && before.Deadline.Equal(t.Key.Deadline):
			continue
		default: // it moves
			old := TaskKey{before.Class, before.Deadline, t.Key.Measurement, t.Key.Number}
			oldKey, err := old.encode()
			if err != nil {
				return err
			}
			b.remove(oldKey)
			b.then = append(b.then, s.countTask(before.Class, -1), s.countTask(t.Key.Class, 1))
		}
		if err := b.setRecord(place, &taskPlace{t.Key.Class, t.Key.Deadline.UTC()}); err != nil {
			return err
		}
	}
	return nil
}

// countTask gives a function that counts a task of a class in or out.
func (s *Store) countTask(c Class, n int64) func() {
	rank, err := classRank(c)
	if err != nil {
		return func() {} // cannot be: its key was built
	}
	return func() { s.metrics.tasks[rank].Add(n) }
}

func (s *Store) deleteTask(txn *badger.Txn, b *batch, k TaskKey) error {
	key, err := k.encode()
	if err != nil {
		return err
	}
	there, err := has(txn, key)
	if err != nil || !there {
		return err
	}
	b.remove(key)
	b.remove(numbered(kindTaskPlace, k.Measurement, k.Number))
	b.then = append(b.then, s.countTask(k.Class, -1))
	return nil
}

// PutTask stores a task, new or in place of that with the same measurement and number.
func (s *Store) PutTask(ctx context.Context, t Task) error {
	return s.Apply(ctx, Changes{PutTasks: []Task{t}})
}

// DeleteTask removes a task. One that is not there is no error.
func (s *Store) DeleteTask(ctx context.Context, key TaskKey) error {
	return s.Apply(ctx, Changes{DeleteTasks: []TaskKey{key}})
}

// Task reads a task. Errors: [ErrNotFound].
func (s *Store) Task(ctx context.Context, key TaskKey) (*Task, error) {
	encoded, err := key.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	t := Task{}
	err = s.view(ctx, func(txn *badger.Txn) error {
		return get(txn, encoded, func(value []byte) error { return decodeRecord(value, &t) })
	})
	if err != nil {
		return nil, fmt.Errorf("task %d of %s: %w", key.Number, key.Measurement, err)
	}
	t.Key = key
	return &t, nil
}

// readTask decodes an item of that kind.
func readTask(item *badger.Item) (*Task, error) {
	key, err := parseTaskKey(item.Key())
	if err != nil {
		return nil, err
	}
	t := Task{}
	if err := item.Value(func(value []byte) error { return decodeRecord(value, &t) }); err != nil {
		return nil, fmt.Errorf("task %d of %s: %w", key.Number, key.Measurement, err)
	}
	t.Key = key
	return &t, nil
}

// Tasks lists outstanding tasks of a class in dispatch order, limit at most, from the first one behind after (nil: from the start), which
// need not be there any more.
func (s *Store) Tasks(ctx context.Context, class Class, after *TaskKey, limit int) ([]Task, error) {
	prefix, err := classPrefix(class)
	if err != nil {
		return nil, err
	}
	from := prefix
	if after != nil {
		if from, err = after.encode(); err != nil {
			return nil, err
		}
		if after.Class != class {
			return nil, fmt.Errorf("tasks of class %s behind one of class %s", class, after.Class)
		}
		from = append(from, 0)
	}
	var list []Task
	err = s.view(ctx, func(txn *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.Prefix, options.PrefetchSize = prefix, min(max(limit, 1), 64)
		it := txn.NewIterator(options)
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix) && len(list) < limit; it.Next() {
			t, err := readTask(it.Item())
			if err != nil {
				return err
			}
			list = append(list, *t)
		}
		return nil
	})
	return list, err
}

// taskKeys lists the keys of a measurement's outstanding tasks, by number.
func taskKeys(txn *badger.Txn, id MeasurementID) ([]TaskKey, error) {
	var keys []TaskKey
	err := scan(txn, ofMeasurement(kindTaskPlace, id), true, func(item *badger.Item) error {
		_, number, err := parseNumbered(kindTaskPlace, item.Key())
		if err != nil {
			return err
		}
		var place taskPlace
		if err := item.Value(func(value []byte) error { return decodeRecord(value, &place) }); err != nil {
			return fmt.Errorf("task %d of %s: %w", number, id, err)
		}
		keys = append(keys, TaskKey{place.Class, place.Deadline, id, number})
		return nil
	})
	return keys, err
}

// MeasurementTasks lists the outstanding tasks of a measurement, by number.
func (s *Store) MeasurementTasks(ctx context.Context, id MeasurementID) ([]Task, error) {
	if !id.valid() {
		return nil, nil
	}
	var list []Task
	err := s.view(ctx, func(txn *badger.Txn) error {
		keys, err := taskKeys(txn, id)
		if err != nil {
			return err
		}
		for _, k := range keys {
			key, err := k.encode()
			if err != nil {
				return fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			t := Task{}
			if err := get(txn, key, func(value []byte) error { return decodeRecord(value, &t) }); err != nil {
				return fmt.Errorf("task %d of %s: %w", k.Number, id, err)
			}
			t.Key = k
			list = append(list, t)
		}
		return nil
	})
	return list, err
}

// QueueDepths says how much is outstanding, by class.
func (s *Store) QueueDepths(ctx context.Context) (map[Class]QueueDepth, error) {
	depths := map[Class]QueueDepth{}
	now := s.cfg.Now()
	err := s.view(ctx, func(txn *badger.Txn) error {
		for rank, class := range Classes() {
			d := QueueDepth{Tasks: int(s.metrics.tasks[rank].Load())}
			prefix, err := classPrefix(class)
			if err != nil {
				return err
			}
			var oldest MeasurementID
			seen := 0
			err = scan(txn, prefix, false, func(item *badger.Item) error {
				key, err := parseTaskKey(item.Key())
				if err != nil {
					return err
				}
				if oldest == "" || key.Measurement < oldest {
					oldest = key.Measurement
				}
				if seen++; seen == depthScan {
					return errStop
				}
				return nil
			})
			if err != nil {
				return err
			}
			if oldest != "" {
				d.OldestAge = max(now.Sub(oldest.Time()), 0)
			}
			depths[class] = d
		}
		return nil
	})
	return depths, err
}
