package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// progressInterval is how often [Request.Progress] is called.
const progressInterval = 100 * time.Millisecond

// progress counts measured frame sets and tells the request of it.
type progress struct {
	sets atomic.Int64
}

func (p *progress) add(n int64) { p.sets.Add(n) }

// start begins to report; the function it returns reports a last time and ends.
func (p *progress) start(m *measurement, started time.Time) func() {
	report := m.req.Progress
	if report == nil {
		return func() {}
	}
	total := int64(-1)
	if m.end >= 0 {
		total = m.end - m.first
	}
	tell := func() {
		// Each reference frame is a set in every group.
		report(Progress{Done: p.sets.Load() / int64(len(m.groups)), Total: total, Elapsed: time.Since(started)})
	}
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
