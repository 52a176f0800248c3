package store

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// collectFrom is the share of a value log file that has to be garbage for the file to be rewritten.
const collectFrom = 0.5

// upkeep takes sizes and collects the value log's garbage until ctx ends. Badger itself drops what has expired, as it compacts.
func (s *Store) upkeep(ctx context.Context) {
	tick := time.NewTicker(s.cfg.upkeepEvery)
	defer tick.Stop()
	for {
		s.takeSizes()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := makePrivate(s.cfg.Dir); err != nil {
			s.log.Warn("files of the store may be readable for others", "err", err)
		}
		s.collect(ctx)
	}
}

// collect rewrites value log files as long as that frees something. It needs space itself, so it is left alone when there is little.
func (s *Store) collect(ctx context.Context) {
	for ctx.Err() == nil && s.space.admit(valueLogBytes, true) == nil {
		err := s.db.RunValueLogGC(collectFrom)
		switch {
		case err == nil:
			s.metrics.collected.WithLabelValues("rewritten").Inc()
			continue
		case errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected):
			s.metrics.collected.WithLabelValues("nothing").Inc()
		default:
			s.metrics.collected.WithLabelValues("failed").Inc()
			s.log.Warn("collecting the value log failed", "err", err)
		}
		return
	}
}

// takeSizes adds up what the files occupy, which is less than their length: Badger makes them longer than they are filled.
func (s *Store) takeSizes() {
	var lsm, vlog int64
	err := filepath.WalkDir(s.cfg.Dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Stat(path, &st) != nil {
			return nil // dropped meanwhile
		}
		switch filepath.Ext(path) {
		case ".sst", ".mem":
			lsm += st.Blocks * 512
		case ".vlog":
			vlog += st.Blocks * 512
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("sizes of the store are not known", "err", err)
		return
	}
	s.metrics.lsm.Store(lsm)
	s.metrics.vlog.Store(vlog)
}

// loadSecret reads what page tokens are signed with, or makes it.
func (s *Store) loadSecret() error {
	err := s.db.View(func(txn *badger.Txn) error {
		return get(txn, secretKey, func(value []byte) error {
			body, err := checkVersion(value, 1)
			s.secret = append([]byte(nil), body...)
			return err
		})
	})
	if errors.Is(err, ErrNotFound) {
		s.secret = make([]byte, 32)
		if _, err := rand.Read(s.secret); err != nil {
			return err
		}
		return s.commitOps([]op{{Key: secretKey, Value: append([]byte{1}, s.secret...)}})
	}
	return err
}

// countAll counts measurements and tasks.
func (s *Store) countAll(ctx context.Context) error {
	return s.db.View(func(txn *badger.Txn) error {
		err := scan(txn, prefixOf(kindFacts), false, func(*badger.Item) error {
			s.metrics.count.Add(1)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		for rank, class := range Classes() {
			prefix, err := classPrefix(class)
			if err != nil {
				return err
			}
			err = scan(txn, prefix, false, func(*badger.Item) error {
				s.metrics.tasks[rank].Add(1)
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
