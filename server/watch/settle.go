package watch

import (
	"time"

	"golang.org/x/sys/unix"
)

// state is what tells whether a file is being written to.
type state struct {
	size              int64
	modified, changed int64  // content and inode, ns since 1970
	inode             uint64 // 0: the file system does not keep it
}

// stateOf takes what matters of a file's attributes.
func stateOf(st *unix.Stat_t, keepsInodes bool) state {
	s := state{size: st.Size, modified: st.Mtim.Nano()}
	if keepsInodes {
		s.inode, s.changed = st.Ino, st.Ctim.Nano()
	}
	return s
}

// settling is whether a file has been left alone for long enough. Only what scans saw counts, and the time between them by their clock: a file's own times
// may be of another machine's clock, in the future, or set by whoever copies it, so they are compared with one another and never with now.
type settling struct {
	state
	unchangedSince time.Time
	steady         bool
}

// see notes what a scan saw at a time, and says whether that makes a difference.
func (f *settling) see(now state, at time.Time, stableFor time.Duration) (changed bool) {
	switch {
	case f.unchangedSince.IsZero() || f.state != now:
		f.state, f.unchangedSince, f.steady = now, at, stableFor <= 0
		return true
	case f.steady:
		return false
	case at.Before(f.unchangedSince): // the clock was put back
		f.unchangedSince = at
	}
	f.steady = f.remaining(at, stableFor) <= 0
	return f.steady
}

// remaining is how long the file has to stay as it is to be steady.
func (f *settling) remaining(at time.Time, stableFor time.Duration) time.Duration {
	return stableFor - at.Sub(f.unchangedSince)
}

// unsettle makes the wait begin anew, for a file that turned out to be another than the scan saw.
func (f *settling) unsettle(at time.Time) { f.unchangedSince, f.steady = at, false }
