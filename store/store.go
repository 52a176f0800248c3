package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/y"
)

// Store is an open store. Its methods may be called from any number of goroutines; a context that ends makes them return early.
type Store struct {
	cfg     Config
	db      *badger.DB
	log     *slog.Logger
	space   *space
	metrics *metrics
	secret  []byte // signs page tokens
	touched touched
	limits  planLimits // of queries; tests set others before they use the store

	writes      chan *write
	broken      error  // only touched by commit()
	nextJournal uint64 // only touched by commit()

	// closing is held for reading while something is put into writes, and for writing by Close, which sets closed.
	closing sync.RWMutex
	closed  bool
	// using is held for reading by whoever reads from db, and for writing by Close before it closes db.
	using sync.RWMutex
	gone  bool // guarded by using

	stop      context.CancelFunc // ends upkeep
	work      sync.WaitGroup     // commit() and upkeep()
	closeOnce sync.Once
	closeErr  error
}

// valueThreshold is the size, in bytes, from which values go to the value log. Facts, tasks and index entries stay below it and so in the tree,
// where iterating is fast; records, columns and documents are above it, so that compaction does not copy them about.
const valueThreshold = 4 << 10

// valueLogBytes is the length of a value log file, the unit in which garbage is collected.
const valueLogBytes = 64 << 20

// restoringName is a file that is there while Restore fills a directory.
const restoringName = "RESTORING"

// storeFormat is the version of the layout as a whole: keys, and what there is beside records. indexFormat is that of indexes and facts, which
// are made anew from records when it changes.
const (
	storeFormat = 1
	indexFormat = 1
)

// Open opens the store in cfg.Dir, or makes an empty one.
//
// It completes what an earlier process had begun to write when it died. Close it when done. Errors: every problem of cfg at once; [ErrInUse]
// with the holder's process; [ErrFull]; [ErrNewerFormat]; [ErrCorrupt].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, restoringName)); err == nil {
		return nil, fmt.Errorf("store %s: a restore was interrupted; empty the directory and restore again", cfg.Dir)
	}
	s, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	return s, nil
}

// open is Open without looking for an interrupted restore.
func open(ctx context.Context, cfg Config) (*Store, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	space := &space{dir: cfg.Dir, min: cfg.MinFreeBytes, measure: cfg.FreeBytes}
	// Opening writes too: a fresh table in memory has its file, and a table that was never flushed is.
	if err := space.admit(0, true); err != nil {
		return nil, err
	}
	db, err := openBadger(cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, db: db, log: cfg.Logger, space: space, writes: make(chan *write, groupWrites), stop: func() {}, limits: usualLimits,
	}
	s.metrics = newMetrics(s)
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(s.metrics); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := makePrivate(cfg.Dir); err != nil {
		stop()
		return nil, errors.Join(err, db.Close())
	}
	s.work.Go(s.commit)
	s.work.Go(func() { s.upkeep(run) })
	return s, nil
}

// makePrivate takes the directory away from everybody else, and the files in it too, which Badger makes with the process's umask.
func makePrivate(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := []string{dir}
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // Badger has dropped it
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(name, info.Mode().Perm()&0o700)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func badgerOptions(cfg Config) badger.Options {
	// A table in memory takes about 1.3 times its size, and up to four are alive: the one that is written to, two that wait and one that is
	// being flushed. With the indexes and filters of tables on the disk that makes three quarters of MemoryBytes.
	tables := cfg.MemoryBytes / 10
	return badger.DefaultOptions(cfg.Dir).
		WithLogger(badgerLog{cfg.Logger}).
		WithSyncWrites(true).
		WithDetectConflicts(false). // there is one writer
		WithMemTableSize(tables).
		WithNumMemtables(2).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(valueLogBytes).
		WithVerifyValueChecksum(true).
		// Tables are checked when they are opened, as a whole, and not compressed. Were they checked as they are read, an iterator would take a
		// damaged block for the end of its table and compaction would drop what follows without a word; and with compression Badger 4.9.6 dies of
		// a nil pointer where it should report the block. Uncompressed tables are read through the page cache: no cache of blocks is needed.
		WithChecksumVerificationMode(options.OnTableRead).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(cfg.MemoryBytes / 4).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithCompactL0OnClose(false)
}

func openBadger(cfg Config) (*badger.DB, error) {
	db, err := badger.Open(badgerOptions(cfg))
	if err == nil {
		return db, nil
	}
	if strings.Contains(err.Error(), "Cannot acquire directory lock") {
		holder := "another process"
		if pid, err := os.ReadFile(filepath.Join(cfg.Dir, "LOCK")); err == nil && strings.TrimSpace(string(pid)) != "" {
			holder = "process " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("%w: %s has it open; stop that one first, or use another directory", ErrInUse, holder)
	}
	return nil, badgerError(err)
}

// badgerError names damage for what it is.
func badgerError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, sign := range []string{"checksum", "crc", "magic", "MANIFEST", "does not exist for table", "uffer overflow", "failed to read index", "file with ID"} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("%w: %v", ErrCorrupt, err)
		}
	}
	return err
}

// begin brings what is stored into the state that this version works with.
func (s *Store) begin(ctx context.Context) error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.replayJournals(); err != nil {
		return err
	}
	if err := s.checkIndexes(ctx); err != nil {
		return err
	}
	if err := s.loadSecret(); err != nil {
		return err
	}
	return s.countAll(ctx)
}

// Close waits for writes that were taken, ends the upkeep and closes the database. Other methods return [ErrClosed] from then on. It may be called
// again and returns the same.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.closing.Lock()
		s.closed = true
		close(s.writes)
		s.closing.Unlock()
		s.stop()
		s.work.Wait()
		s.using.Lock()
		s.gone = true
		s.using.Unlock()
		if s.cfg.Registerer != nil {
			s.cfg.Registerer.Unregister(s.metrics)
		}
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}

// view reads from a snapshot.
func (s *Store) view(ctx context.Context, fn func(txn *badger.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.using.RLock()
	defer s.using.RUnlock()
	if s.gone {
		return ErrClosed
	}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	return badgerErrorOnce(fn(txn))
}

// badgerErrorOnce is badgerError for what may have been through it.
func badgerErrorOnce(err error) error {
	if err == nil || errors.Is(err, ErrCorrupt) {
		return err
	}
	if errors.Is(err, y.ErrChecksumMismatch) {
		return fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return err
}

// badgerLog hands Badger's log on, a level lower: what it calls information is of use to those who look for a defect.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
func (l badgerLog) Infof(format string, args ...any) {
	l.log.Debug("badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
func (l badgerLog) Debugf(string, ...any) {}
