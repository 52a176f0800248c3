package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// entriesOf lists the index entries of a measurement: sorted, each once.
func entriesOf(m *Measurement) [][]byte { return entriesOfFacts(factsOf(m), m.Renditions) }

func entriesOfFacts(f *facts, renditions []Rendition) [][]byte {
	var keys [][]byte
	text := func(x index, values ...string) { keys = append(keys, entry(stringIndex(x, values...), f.id)) }
	optional := func(x index, value string) {
		if value != "" {
			text(x, value)
		}
	}
	text(indexState, f.state)
	text(indexClass, f.class)
	text(indexOwner, f.owner)
	for _, l := range f.labels {
		text(indexLabel, l.key, l.value)
	}
	for _, m := range f.models {
		optional(indexModel, m.name)
		optional(indexModel, m.version)
	}
	text(indexReferencePath, f.reference.path)
	optional(indexReferenceCodec, f.reference.codec)
	if f.reference.height > 0 {
		keys = append(keys, entry(floatIndex(indexReferenceLines, float64(f.reference.height)), f.id))
	}
	keys = append(keys, entry(endIndex(f.finished), f.id))
	for i := range f.renditions {
		d := &f.renditions[i]
		text(indexRendition, d.name)
		text(indexRenditionPath, d.video.path)
		optional(indexCodec, d.video.codec)
		if d.video.height > 0 {
			keys = append(keys, entry(floatIndex(indexHeight, float64(d.video.height)), f.id))
		}
		for j := range d.scores {
			s := &d.scores[j]
			for _, p := range s.pools {
				if math.IsNaN(p.value) {
					continue // no comparison holds of it
				}
				keys = append(keys, scoreIndex(indexSeriesScore, s.alias, p.method, p.value, f.id, i))
				if s.model < 0 {
					continue
				}
				model := &f.models[s.model]
				if model.version != "" {
					keys = append(keys, scoreIndex(indexModelScore, model.version, p.method, p.value, f.id, i))
				}
				if model.name != s.alias { // else the entry of its series serves
					keys = append(keys, scoreIndex(indexModelScore, model.name, p.method, p.value, f.id, i))
				}
			}
		}
	}
	for i := range renditions {
		for _, id := range []Identity{renditions[i].Identity, renditions[i].ReferenceIdentity} {
			if !id.IsZero() {
				keys = append(keys, entry(identityIndex(id), f.id))
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

// putMeasurement writes a record with its facts, and the difference between the index entries that it had and those that it has now. before is nil
// for a new one.
func (b *batch) putMeasurement(before [][]byte, m *Measurement) error {
	if err := b.setRecord(measurementKey(m.ID), m); err != nil {
		return err
	}
	f := factsOf(m)
	b.set(factsKey(m.ID), f.encode())
	now := entriesOfFacts(f, m.Renditions)
	var gone [][]byte
	for i, j := 0, 0; i < len(before) || j < len(now); {
		switch c := compareHeads(before[i:], now[j:]); {
		case c == 0:
			i++
			j++
		case c < 0:
			gone = append(gone, before[i])
			i++
		default:
			b.set(now[j], nil)
			j++
		}
	}
	// Last: should this be cut up, there are too many entries for a while and not too few. Queries look at the facts in any case.
	for _, key := range gone {
		b.remove(key)
	}
	return nil
}

// compareHeads compares the first elements; an empty list is behind everything.
func compareHeads(a, b [][]byte) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return bytes.Compare(a[0], b[0])
}

// What the store notes of itself: version 1 and a number, or bytes.
var (
	formatKey      = selfKey("format")
	indexFormatKey = selfKey("index-format")
	secretKey      = selfKey("secret")
)

// number reads one of the store's own numbers; 0: it is not there.
func (s *Store) number(key []byte) (uint64, error) {
	var n uint64
	err := s.db.View(func(txn *badger.Txn) error {
		return get(txn, key, func(value []byte) error {
			body, err := checkVersion(value, 1)
			if err == nil && len(body) != 8 {
				err = fmt.Errorf("%w: %s", ErrCorrupt, key)
			}
			if err == nil {
				n = binary.LittleEndian.Uint64(body)
			}
			return err
		})
	})
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return n, err
}

// checkFormat refuses a store of a newer version, and marks a new one.
func (s *Store) checkFormat() error {
	n, err := s.number(formatKey)
	switch {
	case err != nil:
		return err
	case n > storeFormat:
		return fmt.Errorf("%w: store format %d, this version reads up to %d; use a newer vqsd", ErrNewerFormat, n, storeFormat)
	case n == storeFormat:
		return nil
	}
	return s.commitOps([]op{{Key: formatKey, Value: uint64Value(storeFormat)}, {Key: indexFormatKey, Value: uint64Value(indexFormat)}})
}

// checkIndexes makes indexes and facts anew if another version made them.
func (s *Store) checkIndexes(ctx context.Context) error {
	n, err := s.number(indexFormatKey)
	if err != nil || n == indexFormat {
		return err
	}
	if n > indexFormat {
		return fmt.Errorf("%w: index format %d, this version knows up to %d; use a newer vqsd", ErrNewerFormat, n, indexFormat)
	}
	return s.reindex(ctx)
}

// reindex makes all indexes and facts anew from the records. Nobody else may write meanwhile.
func (s *Store) reindex(ctx context.Context) error {
	began := time.Now()
	// Until this is done the number stays wrong, so that a reindexing that is interrupted is done again.
	if err := s.commitOps([]op{{Key: indexFormatKey, Value: uint64Value(0)}}); err != nil {
		return err
	}
	if err := s.db.DropPrefix(prefixOf(kindIndex), prefixOf(kindFacts)); err != nil {
		return err
	}
	out := s.db.NewWriteBatch()
	defer out.Cancel()
	count := 0
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, prefixOf(kindMeasurement), true, func(item *badger.Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			m, err := readMeasurement(item)
			if err != nil {
				return err
			}
			count++
			f := factsOf(m)
			if err := out.Set(factsKey(m.ID), f.encode()); err != nil {
				return err
			}
			for _, key := range entriesOfFacts(f, m.Renditions) {
				if err := out.Set(key, nil); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("make the indexes anew: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("make the indexes anew: %w", err)
	}
	if err := s.commitOps([]op{{Key: indexFormatKey, Value: uint64Value(indexFormat)}}); err != nil {
		return err
	}
	s.log.Info("indexes made anew", "measurements", count, "elapsed", time.Since(began))
	return nil
}

// readMeasurement decodes an item of that kind.
func readMeasurement(item *badger.Item) (*Measurement, error) {
	id, err := parseMeasurementKey(kindMeasurement, item.Key())
	if err != nil {
		return nil, err
	}
	var m Measurement
	err = item.Value(func(value []byte) error { return decodeRecord(value, &m) })
	if err != nil {
		return nil, fmt.Errorf("measurement %s: %w", id, err)
	}
	if m.ID != id {
		return nil, fmt.Errorf("%w: measurement %s has the record of %s", ErrCorrupt, id, m.ID)
	}
	return &m, nil
}
