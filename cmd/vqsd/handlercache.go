package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// liveComparison is one that is open.
type liveComparison struct {
	engine      *engine.Comparison
	description engine.Description
	index       []int // by rendition of the comparison: its number in the engine's; −1: it could not be used
}

// checkStamps refuses files that are not those that were looked up: they were replaced before they were opened.
func (o *openComparison) checkStamps(files []*mediaFile) error {
	changed := func(m *mediaFile) error { return fmt.Errorf("%s: %w", m.in.Path, decode.ErrChanged) }
	if o.description.ReferenceStamp != files[0].stamp {
		return &engine.ReferenceError{Err: changed(files[0])}
	}
	for k, i := range o.index {
		if i < 0 {
			continue
		}
		if d := o.description.Renditions[i]; d.Stamp != (engine.Stamp{}) && d.Stamp != files[1+k].stamp {
			return changed(files[1+k])
		}
	}
	return nil
}

// cacheKey is equal for comparisons that can be one: what is compared, the stamps of the files, and which of them are used.
func cacheKey(c *protocol.Comparison, files []*mediaFile, index []int) string {
	plain := *c
	plain.MinWidth, plain.MinHeight = 0, 0 // known later than the rest
	stamps := make([]engine.Stamp, len(files))
	for i, m := range files {
		stamps[i] = m.stamp
	}
	return fmt.Sprintf("%x %v %v", plain.Digest(), stamps, index)
}

// openComparison is a comparison in the cache.
type openComparison struct {
	key   string
	ready chan struct{} // closed when the fields of comparison and err are set
	*liveComparison
	err error

	// Guarded by the cache's mu.
	users   int
	spoiled bool        // not to be used again
	expiry  *time.Timer // runs while nobody uses it
}

// comparisonCache keeps a few comparisons open that no task uses, the latest used longest. Tasks that want the same one share it.
type comparisonCache struct {
	keep    int
	keepFor time.Duration
	log     *slog.Logger

	// mu guards the fields below, and is not held while files are opened or closed.
	mu      sync.Mutex
	entries map[string]*openComparison
	idle    []*openComparison // the latest used last
	closed  bool
}

func newComparisonCache(keep int, keepFor time.Duration, log *slog.Logger) *comparisonCache {
	return &comparisonCache{keep: keep, keepFor: keepFor, log: log, entries: map[string]*openComparison{}}
}

// acquire returns the comparison of that key, opened by open unless it is there, in which case reused is set. The caller
// releases it. One call opens while others that want the same wait for it.
func (c *comparisonCache) acquire(ctx context.Context, key string, open func(context.Context) (*liveComparison, error)) (o *openComparison, reused bool, err error) {
	for {
		o, found := c.enter(key)
		if !found {
			o.liveComparison, o.err = open(ctx)
			if o.err != nil {
				c.spoil(o)
			}
			close(o.ready)
			if o.err != nil {
				c.release(o)
				return nil, false, o.err
			}
			return o, false, nil
		}
		select {
		case <-o.ready:
		case <-ctx.Done():
			c.release(o)
			return nil, false, ctx.Err()
		}
		if o.err == nil {
			return o, true, nil
		}
		c.release(o)
		// Another task's end is not this one's.
		if ctx.Err() != nil || !errors.Is(o.err, context.Canceled) && !errors.Is(o.err, context.DeadlineExceeded) {
			return nil, false, o.err
		}
	}
}

// enter takes an entry into use, and makes it where there is none.
func (c *comparisonCache) enter(key string) (o *openComparison, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o = c.entries[key]
	if o == nil {
		o = &openComparison{key: key, ready: make(chan struct{}), users: 1, spoiled: c.closed}
		if !c.closed {
			c.entries[key] = o
		}
		return o, false
	}
	if o.users == 0 {
		o.expiry.Stop()
		c.idle = slices.DeleteFunc(c.idle, func(i *openComparison) bool { return i == o })
	}
	o.users++
	return o, true
}

// spoil sees to it that nobody else takes the comparison: something was wrong with it.
func (c *comparisonCache) spoil(o *openComparison) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(o)
}

// remove takes an entry out. Called with mu held.
func (c *comparisonCache) remove(o *openComparison) {
	o.spoiled = true
	if c.entries[o.key] == o {
		delete(c.entries, o.key)
	}
	c.idle = slices.DeleteFunc(c.idle, func(i *openComparison) bool { return i == o })
}

// release ends a task's use.
func (c *comparisonCache) release(o *openComparison) {
	c.mu.Lock()
	o.users--
	var over []*openComparison
	switch {
	case o.users > 0:
	case o.spoiled:
		over = append(over, o)
	default:
		c.idle = append(c.idle, o)
		o.expiry = time.AfterFunc(c.keepFor, func() { c.expire(o) })
		for len(c.idle) > c.keep {
			over = append(over, c.idle[0])
			c.idle[0].expiry.Stop()
			c.remove(c.idle[0])
		}
	}
	c.mu.Unlock()
	c.closeAll(over)
}

// expire closes a comparison that nobody uses any more.
func (c *comparisonCache) expire(o *openComparison) {
	c.mu.Lock()
	idle := slices.Contains(c.idle, o)
	if idle {
		c.remove(o)
	}
	c.mu.Unlock()
	if idle {
		c.closeAll([]*openComparison{o})
	}
}

// closeAll closes comparisons that nobody can reach any more. What fails then concerns no task.
func (c *comparisonCache) closeAll(list []*openComparison) {
	for _, o := range list {
		if o.liveComparison == nil {
			continue // opening it failed
		}
		if err := o.engine.Close(); err != nil {
			c.log.Warn("media could not be closed", "err", err)
		}
	}
}

// close closes what is idle; what is in use is closed by its last user.
func (c *comparisonCache) close() error {
	c.mu.Lock()
	c.closed = true
	idle := slices.Clone(c.idle)
	for _, o := range c.entries {
		if o.expiry != nil {
			o.expiry.Stop()
		}
		c.remove(o)
	}
	c.mu.Unlock()
	var errs []error
	for _, o := range idle {
		errs = append(errs, o.engine.Close())
	}
	return errors.Join(errs...)
}

// sizes are how many comparisons are open, and how many of these are idle.
func (c *comparisonCache) sizes() (open, idle int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries), len(c.idle)
}
