package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Run is which frames some columns have: First, First + Step, … below End.
type Run struct {
	First, End int64 // reference frames, [First, End)
	Step       int64 // ≥ 1
}

func (r Run) valid() bool { return r.First >= 0 && r.First < r.End && r.Step >= 1 }

// frames is how many there are.
func (r Run) frames() int64 { return (r.End - r.First + r.Step - 1) / r.Step }

// runBytes bounds what a stored run's figures take before compression, so that its value stays below Badger's limit in any case.
const runBytes = 768 << 10

// maxFigures bounds how many figures an extraction has.
const maxFigures = 256

// PutColumns stores columns. Long runs are cut into several. It is idempotent by key, First, End and Step: a run that is there stays as it is.
func (s *Store) PutColumns(ctx context.Context, key ColumnsKey, c Columns) error {
	return s.Apply(ctx, Changes{PutColumns: []ColumnsPut{{key, c}}})
}

func (s *Store) putColumns(txn *badger.Txn, b *batch, key ColumnsKey, c Columns) error {
	whole := Run{c.First, c.End, c.Step}
	if !whole.valid() || len(c.Figures) < 1 || len(c.Figures) > maxFigures {
		return fmt.Errorf("columns of %s: %d figures of frames [%d, %d) every %d: not a run", key.Figure, len(c.Figures), c.First, c.End, c.Step)
	}
	n := whole.frames()
	for i, column := range c.Figures {
		if int64(len(column)) != n {
			return fmt.Errorf("columns of %s: figure %d has %d values, frames [%d, %d) every %d are %d", key.Figure, i, len(column), c.First, c.End, c.Step, n)
		}
	}
	most := int64(runBytes / (8 * len(c.Figures)))
	for at := int64(0); at < n; at += most {
		end := min(at+most, n)
		part := Columns{First: c.First + at*c.Step, End: c.End, Step: c.Step, Figures: make([][]float64, len(c.Figures))}
		if end < n {
			part.End = c.First + end*c.Step
		}
		for i, column := range c.Figures {
			part.Figures[i] = column[at:end]
		}
		k := key.run(Run{part.First, part.End, part.Step})
		there, err := has(txn, k)
		if err != nil {
			return err
		}
		if !there {
			b.set(k, encodeColumns(part, s.cfg.Now()))
		}
	}
	s.touched.touch(key.Identity, s.cfg.Now())
	return nil
}

// runs lists the stored runs that overlap frames [first, end), by their first frame, and gives each key to fn.
func runs(txn *badger.Txn, key ColumnsKey, first, end int64, values bool, fn func(r Run, item *badger.Item) error) error {
	return scan(txn, key.prefix(), values, func(item *badger.Item) error {
		_, r, err := parseColumnsKey(item.Key())
		if err != nil {
			return err
		}
		if r.First >= end {
			return errStop
		}
		if r.End <= first {
			return nil
		}
		return fn(r, item)
	})
}

// Runs lists which frames are stored, of those runs that overlap [first, end): ascending by first frame, overlapping where differently cut runs
// were stored. What is listed is safe from [Store.RemoveUnused] for as long as that is told to spare.
func (s *Store) Runs(ctx context.Context, key ColumnsKey, first, end int64) ([]Run, error) {
	var list []Run
	s.touched.touch(key.Identity, s.cfg.Now())
	err := s.view(ctx, func(txn *badger.Txn) error {
		return runs(txn, key, first, end, false, func(r Run, _ *badger.Item) error {
			list = append(list, r)
			return nil
		})
	})
	return list, err
}

// Columns reads all stored runs that overlap [first, end), whole: ascending by first frame, overlapping where differently cut runs were stored.
func (s *Store) Columns(ctx context.Context, key ColumnsKey, first, end int64) ([]Columns, error) {
	var list []Columns
	s.touched.touch(key.Identity, s.cfg.Now())
	err := s.view(ctx, func(txn *badger.Txn) error {
		return runs(txn, key, first, end, false, func(r Run, item *badger.Item) error {
			return item.Value(func(value []byte) error {
				c, _, err := decodeColumns(r, value)
				if err != nil {
					return fmt.Errorf("figure %s: %w", key.Figure, err)
				}
				list = append(list, c)
				return nil
			})
		})
	})
	return list, err
}

// touched remembers which columns somebody has asked for lately, and may be about to build on.
type touched struct {
	mu sync.Mutex // guards at
	at map[Identity]time.Time
}

// touchedMost bounds how many identities are remembered.
const touchedMost = 1 << 16

func (t *touched) touch(id Identity, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[Identity]time.Time{}
	}
	if _, known := t.at[id]; !known && len(t.at) >= touchedMost {
		for other, at := range t.at {
			if now.Sub(at) > time.Hour {
				delete(t.at, other)
			}
		}
		for other := range t.at { // all within an hour: then any of them
			if len(t.at) < touchedMost {
				break
			}
			delete(t.at, other)
		}
	}
	t.at[id] = now
}

func (t *touched) since(id Identity, earliest time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, known := t.at[id]
	return known && !at.Before(earliest)
}

// RemoveUnused removes columns whose identity no measurement names and that were neither written nor asked for within olderThan; notes and files that
// were not written within olderThan, which are only there to save work. It returns how many values it removed. olderThan should be longer than a
// measurement takes from planning to its end.
func (s *Store) RemoveUnused(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	earliest := s.cfg.Now().Add(-olderThan)
	candidates, err := s.unused(ctx, earliest)
	if err != nil {
		return 0, err
	}
	for len(candidates) > 0 {
		some := candidates[:min(len(candidates), 256)]
		candidates = candidates[len(some):]
		n := 0
		err := s.write(ctx, true, func(txn *badger.Txn, b *batch) error {
			for _, key := range some {
				if kind(key[0]) == kindColumns {
					// Somebody may have come to need it since.
					k, _, err := parseColumnsKey(key)
					if err != nil {
						return err
					}
					used, err := hasPrefix(txn, identityIndex(k.Identity))
					if err != nil {
						return err
					}
					if used || s.touched.since(k.Identity, earliest) {
						continue
					}
				}
				b.remove(key)
				n++
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// unused lists keys that may be removed.
func (s *Store) unused(ctx context.Context, earliest time.Time) ([][]byte, error) {
	var keys [][]byte
	err := s.view(ctx, func(txn *badger.Txn) error {
		var last Identity
		var spare, any bool // of last
		err := scan(txn, prefixOf(kindColumns), false, func(item *badger.Item) error {
			k, r, err := parseColumnsKey(item.Key())
			if err != nil {
				return err
			}
			if !any || k.Identity != last {
				if err := ctx.Err(); err != nil {
					return err
				}
				if last, any = k.Identity, true; s.touched.since(last, earliest) {
					spare = true
				} else if spare, err = hasPrefix(txn, identityIndex(last)); err != nil {
					return err
				}
			}
			if spare {
				return nil
			}
			return item.Value(func(value []byte) error {
				_, written, err := decodeColumns(r, value)
				if err == nil && written.Before(earliest) {
					keys = append(keys, item.KeyCopy(nil))
				}
				return err
			})
		})
		if err != nil {
			return err
		}
		return s.unusedNotes(txn, earliest, func(key []byte) { keys = append(keys, key) })
	})
	return keys, err
}
