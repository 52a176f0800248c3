package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// All writes go through one goroutine, [Store.commit]. It takes whatever is waiting, lets each write read and decide in turn on top of those
// before it, and commits them together: one synced transaction for all that came while the last one was being synced. So there are no
// conflicts to retry, and concurrent callers share the disk's syncs (Badger by itself syncs once a transaction).

// groupWrites is how many writes share a transaction at most.
const groupWrites = 256

// batch is what one write wants changed. Either all of it is written or nothing.
type batch struct {
	ops []op
	// then runs after the commit, on the writer's goroutine.
	then []func()
}

// op sets a key, or deletes it.
type op struct {
	Key     []byte `cbor:"k"`
	Value   []byte `cbor:"v"`
	Delete  bool   `cbor:"d"`
	Expires uint64 `cbor:"x"` // Unix seconds; 0: never
}

func (b *batch) set(key, value []byte) { b.ops = append(b.ops, op{Key: key, Value: value}) }
func (b *batch) remove(key []byte)     { b.ops = append(b.ops, op{Key: key, Delete: true}) }

// setRecord encodes a record under a key.
func (b *batch) setRecord(key []byte, record any) error {
	value, err := encodeRecord(record)
	if err == nil {
		b.set(key, value)
	}
	return err
}

// write is one that waits for its turn.
type write struct {
	freeing bool
	fn      func(txn *badger.Txn, b *batch) error
	claimed atomic.Bool // by the writer, or by a caller who gives up
	done    chan error
	batch   batch
}

// write has fn decide in its turn what to change and returns when that is on the disk. fn reads through txn and writes to the batch only.
//
// An error means that nothing was written, with one exception: an error of Badger itself, after which the store takes no more writes. A context
// that ends while the write waits takes it back; one that ends later is ignored.
func (s *Store) write(ctx context.Context, freeing bool, fn func(txn *badger.Txn, b *batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	w := &write{freeing: freeing, fn: fn, done: make(chan error, 1)}
	s.closing.RLock()
	if s.closed {
		s.closing.RUnlock()
		return ErrClosed
	}
	select {
	case s.writes <- w:
		s.closing.RUnlock()
	case <-ctx.Done():
		s.closing.RUnlock()
		return ctx.Err()
	}
	var err error
	select {
	case err = <-w.done:
	case <-ctx.Done():
		if w.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		err = <-w.done
	}
	s.metrics.observeWrite(began, err)
	return err
}

// commit is the writer's goroutine. It ends when the channel of writes is closed and empty.
func (s *Store) commit() {
	for w := range s.writes {
		group := []*write{w}
	more:
		for len(group) < groupWrites {
			select {
			case next, ok := <-s.writes:
				if !ok {
					break more
				}
				group = append(group, next)
			default:
				break more
			}
		}
		s.commitGroup(group)
	}
}

// room is how much fits into a transaction: entries, bytes of them in the tree, and bytes of values in the value log.
type room struct{ count, size, values int64 }

// transactionValues bounds what one transaction puts into the value log. Badger maps twice valueLogBytes of a file and begins the next one behind the
// transaction that fills it; longer ones would have it map the file anew, under the feet of those who read from it.
const transactionValues = valueLogBytes * 5 / 8

// transactionRoom leaves a tenth of what Badger allows: its own accounting adds a little to each entry.
func (s *Store) transactionRoom() room {
	return room{s.db.MaxBatchCount() * 9 / 10, s.db.MaxBatchSize() * 9 / 10, transactionValues}
}

// need is what the operations take of a transaction.
func need(ops []op) room {
	n := room{count: int64(len(ops))}
	for i := range ops {
		n.size += int64(len(ops[i].Key)) + 32
		if size := int64(len(ops[i].Value)); size < valueThreshold {
			n.size += size
		} else {
			n.values += size + int64(len(ops[i].Key)) + 32
		}
	}
	return n
}

func (r room) holds(n room) bool {
	return n.count <= r.count && n.size <= r.size && n.values <= r.values
}

func bytesOf(ops []op) int64 {
	var n int64
	for i := range ops {
		n += int64(len(ops[i].Key) + len(ops[i].Value))
	}
	return n
}

func (s *Store) commitGroup(group []*write) {
	txn := s.db.NewTransaction(true)
	defer func() { txn.Discard() }()
	left := s.transactionRoom()
	var waiting []*write // whose changes are in txn
	flush := func() {
		err := s.broken
		if err == nil && len(waiting) > 0 {
			if err = txn.Commit(); err != nil {
				err = s.breakDown(err)
			}
		}
		for _, w := range waiting {
			w.finish(err)
		}
		txn.Discard()
		waiting, txn, left = nil, s.db.NewTransaction(true), s.transactionRoom()
	}
	for _, w := range group {
		if !w.claimed.CompareAndSwap(false, true) {
			continue // its caller has gone
		}
		err := s.broken
		if err == nil {
			err = w.fn(txn, &w.batch)
		}
		if err == nil && len(w.batch.ops) > 0 {
			err = s.space.admit(bytesOf(w.batch.ops), w.freeing)
		}
		if err != nil {
			w.finish(err)
			continue
		}
		n := need(w.batch.ops)
		if !left.holds(n) {
			flush() // what w has read is what is stored now
		}
		if !left.holds(n) {
			if err := s.broken; err != nil {
				w.finish(err)
				continue
			}
			w.finish(s.commitLarge(w.batch.ops))
			txn.Discard()
			txn = s.db.NewTransaction(true)
			continue
		}
		if err := applyOps(txn, w.batch.ops); err != nil {
			// Cannot be: sizes were checked. Nothing of this group may be written in part.
			waiting = append(waiting, w)
			err = s.breakDown(err)
			for _, w := range waiting {
				w.finish(err)
			}
			waiting = nil
			continue
		}
		left = room{left.count - n.count, left.size - n.size, left.values - n.values}
		waiting = append(waiting, w)
	}
	flush()
}

// finish tells the caller.
func (w *write) finish(err error) {
	if err == nil {
		for _, then := range w.batch.then {
			then()
		}
	}
	w.done <- err
}

var errBroken = errors.New("writing to the store has stopped after an error; restart the daemon")

// breakDown keeps the first error of Badger's: its state is not known any more, and a further write might be lost without a word.
func (s *Store) breakDown(err error) error {
	s.broken = fmt.Errorf("%w: %w", errBroken, err)
	s.log.Error("writing to the store has stopped", "err", err)
	return s.broken
}

func applyOps(txn *badger.Txn, ops []op) error {
	for i := range ops {
		o := &ops[i]
		e := badger.NewEntry(o.Key, o.Value)
		e.ExpiresAt = o.Expires
		var err error
		if o.Delete {
			err = txn.Delete(o.Key)
		} else {
			err = txn.SetEntry(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A write that is too large for one transaction is first written down as a whole, which is its commit point, and then carried out in several
// transactions. If the process dies in between, the next one finds the journal and carries it out again: the operations say what is to be and
// not how it changes, so that doing them twice does no harm.
//
// The layout of a journal: the parts' values one after the other, each without its version byte (1), are a packing byte and a CBOR array of
// operations, each a map of "k" key, "v" value, "d" whether to delete, "x" expiry.
const (
	journalVersion = 1
	journalBytes   = 1 << 30 // what one may unpack to
)

func (s *Store) commitLarge(ops []op) error {
	var columns, rest []op
	for _, o := range ops {
		if kind(o.Key[0]) == kindColumns && !o.Delete {
			columns = append(columns, o)
		} else {
			rest = append(rest, o)
		}
	}
	// Columns do no harm without the rest: they say what is so.
	if err := s.commitPieces(columns); err != nil {
		return s.breakDown(err)
	}
	if s.transactionRoom().holds(need(rest)) {
		if err := s.commitOps(rest); err != nil {
			return s.breakDown(err)
		}
		return nil
	}
	number := s.nextJournal
	s.nextJournal++
	body, err := cborEncoder.Marshal(rest)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var journal []op
	for i, part := range split(pack(nil, body), journalVersion) {
		journal = append(journal, op{Key: journalKey(number, i), Value: part})
	}
	if !s.transactionRoom().holds(need(journal)) {
		return fmt.Errorf("store: a write of %d entries and %d bytes is too large", len(rest), len(body))
	}
	if err := s.commitOps(journal); err != nil {
		return s.breakDown(err)
	}
	if err := s.carryOut(rest, journal); err != nil {
		return s.breakDown(err)
	}
	return nil
}

// carryOut does what a journal says, and drops the journal with the last of it.
func (s *Store) carryOut(ops, journal []op) error {
	for _, j := range journal {
		ops = append(ops, op{Key: j.Key, Delete: true})
	}
	return s.commitPieces(ops)
}

// commitPieces commits in as many transactions as it takes.
func (s *Store) commitPieces(ops []op) error {
	room := s.transactionRoom()
	for len(ops) > 0 {
		n, used := 0, need(nil)
		for n < len(ops) {
			one := need(ops[n : n+1])
			used.count += one.count
			used.size += one.size
			used.values += one.values
			if n > 0 && !room.holds(used) {
				break
			}
			n++
		}
		if err := s.commitOps(ops[:n]); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}

func (s *Store) commitOps(ops []op) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := applyOps(txn, ops); err != nil {
		return err
	}
	return txn.Commit()
}

// split cuts a body into values below Badger's limit, each led by a version byte.
func split(body []byte, version byte) [][]byte {
	var parts [][]byte
	for {
		n := min(len(body), partBytes)
		parts = append(parts, append([]byte{version}, body[:n]...))
		if body = body[n:]; len(body) == 0 {
			return parts
		}
	}
}

// replayJournals carries out what an earlier process had promised. It runs before anything else does.
func (s *Store) replayJournals() error {
	for {
		var number uint64
		var journal []op
		var body []byte
		err := s.db.View(func(txn *badger.Txn) error {
			return scan(txn, prefixOf(kindJournal), true, func(item *badger.Item) error {
				n, part, err := parseJournalKey(item.Key())
				if err != nil {
					return err
				}
				if len(journal) == 0 {
					number = n
				}
				if n != number {
					return errStop
				}
				if part != len(journal) {
					return fmt.Errorf("%w: journal %d lacks part %d", ErrCorrupt, n, len(journal))
				}
				journal = append(journal, op{Key: item.KeyCopy(nil)})
				return item.Value(func(value []byte) error {
					value, err := checkVersion(value, journalVersion)
					body = append(body, value...)
					return err
				})
			})
		})
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if len(journal) == 0 {
			return nil
		}
		ops, err := decodeJournal(body)
		if err != nil {
			return fmt.Errorf("journal %d: %w", number, err)
		}
		s.log.Info("an interrupted write is completed", "entries", len(ops))
		if err := s.carryOut(ops, journal); err != nil {
			return fmt.Errorf("journal %d: %w", number, err)
		}
	}
}

func decodeJournal(packed []byte) ([]op, error) {
	body, err := unpackLarge(packed)
	if err != nil {
		return nil, err
	}
	var ops []op
	if err := cborDecoder.Unmarshal(body, &ops); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	for i := range ops {
		if len(ops[i].Key) == 0 {
			return nil, fmt.Errorf("%w: an operation without a key", ErrCorrupt)
		}
	}
	return ops, nil
}

// uint64Value is how numbers of the store's own are written: version 1, then little endian.
func uint64Value(n uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{1}, n) }

var errStop = errors.New("enough")

// scan calls fn for each key with a prefix, in order; errStop from fn ends it. Items are valid during the call only.
func scan(txn *badger.Txn, prefix []byte, values bool, fn func(item *badger.Item) error) error {
	options := badger.DefaultIteratorOptions
	options.Prefix, options.PrefetchValues, options.PrefetchSize = prefix, values, 16
	it := txn.NewIterator(options)
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		if err := fn(it.Item()); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
	return nil
}

// get reads one value; ErrNotFound: there is none.
func get(txn *badger.Txn, key []byte, fn func(value []byte) error) error {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return badgerError(err)
	}
	return item.Value(fn)
}

// has says whether a key is there.
func has(txn *badger.Txn, key []byte) (bool, error) {
	_, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, badgerError(err)
}

// hasPrefix says whether any key starts so.
func hasPrefix(txn *badger.Txn, prefix []byte) (bool, error) {
	found := false
	err := scan(txn, prefix, false, func(*badger.Item) error { found = true; return errStop })
	return found, err
}
