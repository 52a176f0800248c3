package engine

import (
	"sync"
	"time"
)

// progressInterval is how often progress is told.
const progressInterval = 100 * time.Millisecond

// progress counts the frames of one work after the other.
type progress struct {
	// mu guards the fields below
	mu     sync.Mutex
	before int64 // reference frames of works that are done
	sets   int64 // measured of the present work; each of its frames is a set in every group
	groups int64
}

// begin starts on a work in which each frame is a set in so many groups.
func (p *progress) begin(groups int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets, p.groups = 0, int64(groups)
}

// add counts sets that are measured.
func (p *progress) add(sets int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets += sets
}

// end closes a work of so many frames.
func (p *progress) end(frames int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before, p.sets = p.before+frames, 0
}

// done is how many frames are measured in all groups.
func (p *progress) done() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups == 0 {
		return p.before
	}
	return p.before + p.sets/p.groups
}

// telling calls tell now and about ten times a second from one goroutine. The function it returns has it called a last time, waits
// for that and ends.
func telling(tell func()) func() {
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		tell()
		for {
			select {
			case <-tick.C:
				tell()
			case <-done:
				tell()
				return
			}
		}
	})
	return func() {
		close(done)
		group.Wait()
	}
}
