package engine

import (
	"sync"
	"time"
)

// progressInterval is how often progress is told.
const progressInterval = 100 * time.Millisecond

// progress counts the frames of works, one after the other or side by side.
type progress struct {
	// mu guards the fields below, and those of the works
	mu     sync.Mutex
	before int64                  // reference frames of works that are done
	works  map[*workProgress]bool // those under way
}

// workProgress is the part of one work.
type workProgress struct {
	of     *progress
	sets   int64 // measured; each frame is a set in every group
	groups int64
}

// begin starts on a work in which each frame is a set in so many groups.
func (p *progress) begin(groups int) *workProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &workProgress{of: p, groups: int64(groups)}
	if p.works == nil {
		p.works = map[*workProgress]bool{}
	}
	p.works[w] = true
	return w
}

// add counts sets that are measured.
func (w *workProgress) add(sets int64) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.sets += sets
}

// end closes a work of so many frames.
func (w *workProgress) end(frames int64) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.of.before += frames
	delete(w.of.works, w)
}

// done is how many frames are measured in all groups.
func (p *progress) done() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.before
	for w := range p.works {
		if w.groups > 0 {
			n += w.sets / w.groups
		}
	}
	return n
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
