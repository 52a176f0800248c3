package decode

import (
	"context"
	"slices"
)

// The sessions of a file: opened as Readers need them, kept between Readers.

// freshSession opens the demuxer at the start of the file, and the decoder.
func (c *codedFile) freshSession(ctx context.Context, hardware bool) (*session, error) {
	s, err := c.openSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.openDecoder(hardware); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// sessionFor returns a session whose next pictures include frame n, having gone on from where it was, sought, or begun
// at the start.
func (c *codedFile) sessionFor(ctx context.Context, n int64, hardware bool) (*session, error) {
	if !c.seekable() {
		if s := c.takeIdle(func(s *session) bool { return s.hardware == hardware && s.running && s.frame <= n }); s != nil {
			return s, nil
		}
		return c.fromStart(ctx, hardware)
	}
	to := c.index.entryFor(n)
	if s := c.takeIdle(func(s *session) bool {
		return s.hardware == hardware && s.running && s.frame <= n && s.next > to.packet
	}); s != nil {
		return s, nil
	}
	s := c.takeIdle(func(s *session) bool { return s.hardware == hardware })
	if s == nil {
		var err error
		if s, err = c.freshSession(ctx, hardware); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, s.control.Stop)
	s.control.SetTimeout(c.cfg.Limits.StallTimeout)
	err := s.goTo(ctx, to)
	stop()
	if err == nil {
		s.frame = n // those before it will be dropped
		return s, nil
	}
	s.close()
	if err != errLost {
		return nil, err
	}
	return c.fromStart(ctx, hardware)
}

// fromStart returns a session at the start of the file.
func (c *codedFile) fromStart(ctx context.Context, hardware bool) (*session, error) {
	s, err := c.freshSession(ctx, hardware)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, s.control.Stop)
	defer stop()
	if err := s.rewind(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// takeIdle removes and returns an idle session that suits, the furthest one.
func (c *codedFile) takeIdle(suits func(*session) bool) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := -1
	for i, s := range c.idle {
		if suits(s) && (best < 0 || s.frame > c.idle[best].frame) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	s := c.idle[best]
	c.idle = slices.Delete(c.idle, best, best+1)
	return s
}

// maxIdle is how many sessions are kept between Readers: on a device, which may have eight engines, two for each.
const (
	maxIdle         = 8
	maxIdleHardware = 16
)

// giveBack keeps a session that can go on for the next Reader.
func (c *codedFile) giveBack(s *session) {
	c.mu.Lock()
	most := maxIdle
	if s.hardware {
		most = maxIdleHardware
	}
	keep := !c.closed && len(c.idle) < most
	if keep {
		c.idle = append(c.idle, s)
	}
	c.mu.Unlock()
	if !keep {
		s.close()
	}
}
