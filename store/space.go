package store

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// freeBytes is how much an unprivileged process can still write.
func freeBytes(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// space refuses writes while the disk is nearly full.
type space struct {
	dir     string
	min     int64 // −1: never refuse
	measure func(dir string) (int64, error)

	mu      sync.Mutex // guards the fields below
	at      time.Time  // of the last measurement
	free    int64
	written int64 // since then, in bytes
	err     error
}

// A measurement of free space holds for that long, or until that much has been written.
const (
	spaceLife  = 100 * time.Millisecond
	spaceBytes = 4 << 20
)

// admit says whether n bytes may be written. What frees space in the end (freeing) may use half of the reserve: otherwise a full store could
// not be emptied.
func (s *space) admit(n int64, freeing bool) error {
	if s.min < 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) > spaceLife || s.written+n > spaceBytes {
		s.free, s.err = s.measure(s.dir)
		s.at, s.written = now, 0
	}
	if s.err != nil {
		return s.err
	}
	least := s.min
	if freeing {
		least /= 2
	}
	if left := s.free - s.written - n; left < least {
		return fmt.Errorf("%w: %d MiB at %s, and %d MiB have to stay free (store.min_free); free some or lower it", ErrFull, max(left, 0)>>20, s.dir, least>>20)
	}
	s.written += n
	return nil
}
