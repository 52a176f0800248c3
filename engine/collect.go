package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// batch is sets of pictures on their way to a worker, with where their figures go and the frames to let go afterwards.
type batch struct {
	sets   []FrameSet
	rows   []Row
	index  []int64 // reference frame of each set
	frames []*decode.Frame
}

func (b *batch) release() {
	for _, f := range b.frames {
		f.Release()
	}
}

// collector brings together one picture of each input. Only its goroutine touches it.
type collector struct {
	r       *run
	ctx     context.Context // of the run, whose life is the collector's
	ref     *feed
	dis     []*feed // by member of the run; nil: not measured in this run, or not any more
	batches []chan batch

	previous [2]picked // the one and two reference frames before
	pending  []batch   // by group: sets that do not fill a batch yet
}

// collect takes reference frames [start, end), measures those from first on and hands them out. complete says that it got as far
// as end.
func (c *collector) collect(start, first, end int64) (complete bool, err error) {
	defer func() {
		for _, p := range c.previous {
			p.release()
		}
		for i := range c.pending {
			c.pending[i].release()
		}
	}()
	c.pending = make([]batch, len(c.batches))
	i := start
	for ; (end < 0 || i < end) && c.wanted(max(i, first), end); i++ {
		ref, err := c.next(c.ref)
		if err != nil {
			return false, err
		}
		if ref.err != nil {
			// The reference has ended: at its natural end, or earlier than it promised.
			if err := c.referenceEnded(i, end); err != nil {
				return false, err
			}
			break
		}
		if i >= first {
			if err := c.frame(i, ref); err != nil {
				ref.release()
				return false, err
			}
			c.r.end = i + 1
		}
		c.previous[1].release()
		c.previous[1], c.previous[0] = c.previous[0], ref
	}
	for g := range c.pending {
		if err := c.flush(g); err != nil {
			return false, err
		}
	}
	return i == end, c.streamsEnd(end)
}

// wanted says whether reference frame i is of use. A stream is read to its end in any case, so that its writer is not cut off,
// unless all have failed.
func (c *collector) wanted(i, end int64) bool {
	for k, m := range c.r.members {
		if c.dis[k] != nil && (m.end < 0 || i < m.end) || end < 0 && m.slot >= 0 && m.failure == nil {
			return true
		}
	}
	return false
}

// streamsEnd sees to it that streams of unknown length end with the reference.
func (c *collector) streamsEnd(end int64) error {
	for k, m := range c.r.members {
		if c.r.c.req.Shortest || c.dis[k] == nil || !m.pairs.open || m.pairs.end != end {
			continue
		}
		p, err := c.next(c.dis[k])
		if err != nil {
			return err
		}
		c.afterEnd(m, end, p)
	}
	return nil
}

// afterEnd is called with what a member has for reference frame i, which does not exist.
func (c *collector) afterEnd(m *member, i int64, p picked) {
	switch {
	case p.err == nil:
		p.release()
		m.failure = &AmbiguousError{m.info.Path, fmt.Sprintf("goes on after the reference's last frame, %d", i-1), chooseShortest}
	case !errors.Is(p.err, io.EOF):
		m.failure = p.err
	}
}

// next waits for a picture. Its error is the context's.
func (c *collector) next(from *feed) (picked, error) {
	select {
	case p := <-from.frames:
		return p, nil
	case <-c.ctx.Done():
		return picked{}, c.ctx.Err()
	}
}

// frame makes the sets of reference frame i.
func (c *collector) frame(i int64, ref picked) error {
	row := c.r.rows.add()
	sets := make([]FrameSet, len(c.r.groups))
	held := make([][]*decode.Frame, len(c.r.groups))
	defer func() {
		for _, frames := range held {
			for _, f := range frames {
				f.Release()
			}
		}
	}()
	hold := func(g int, f *decode.Frame) *vmaf.Picture {
		held[g] = append(held[g], f.Retain())
		return &f.Picture
	}
	for g, group := range c.r.groups {
		sets[g].Reference = hold(g, ref.frames[g])
		sets[g].Distorted = make([]*vmaf.Picture, group.members)
		for n, p := range c.previous {
			if p.frames != nil && n < c.r.lookback {
				sets[g].Previous[n] = hold(g, p.frames[g])
			}
		}
	}
	for k, m := range c.r.members {
		if c.dis[k] == nil || i < m.first || m.end >= 0 && i >= m.end {
			continue
		}
		p, err := c.next(c.dis[k])
		if err != nil {
			return err
		}
		if p.err != nil {
			c.distortedEnded(k, i, p.err)
			continue
		}
		held[m.runGroup] = append(held[m.runGroup], p.frames[0])
		set, leftOut := &sets[m.runGroup], (i-m.pairs.first)%int64(c.r.c.req.Subsample) != 0
		if !leftOut {
			c.r.pairs++
		} else if !c.r.every {
			continue
		}
		set.Distorted[m.slot] = &p.frames[0].Picture
		if leftOut {
			if set.Partial == nil {
				set.Partial = make([]bool, len(set.Distorted))
			}
			set.Partial[m.slot] = true
		}
	}
	for g := range sets {
		b := &c.pending[g]
		b.sets = append(b.sets, sets[g])
		b.rows = append(b.rows, row[g])
		b.index = append(b.index, i)
		b.frames = append(b.frames, held[g]...)
		held[g] = nil
		if len(b.sets) == c.r.groups[g].extract.BatchFrames() {
			if err := c.flush(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush hands a group's pending sets to a worker.
func (c *collector) flush(g int) error {
	b := c.pending[g]
	if len(b.sets) == 0 {
		return nil
	}
	select {
	case c.batches[g] <- b:
		c.pending[g] = batch{}
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err() // collect releases what is pending
	}
}

// distortedEnded is called when member k has no frame for reference frame i.
func (c *collector) distortedEnded(k int, i int64, err error) {
	m := c.r.members[k]
	c.dis[k].stop()
	switch {
	case !errors.Is(err, io.EOF):
		m.failure = err
	case c.r.c.req.Shortest:
		m.ended = i
	default:
		m.failure = &AmbiguousError{m.info.Path, fmt.Sprintf("ends before the frame for reference frame %d", i), chooseShortest}
	}
	c.dis[k] = nil
}

// referenceEnded is called when the reference has no frame i. Renditions that go on, or that were to be compared further, are
// ambiguous unless the request takes the shortest.
func (c *collector) referenceEnded(i, end int64) error {
	req := c.r.c.req
	if req.Shortest {
		return nil
	}
	if req.End != 0 || end >= 0 {
		return &ReferenceError{fmt.Errorf("%s: ends before frame %d although frames up to %d were expected; use %s",
			c.r.c.refInfo.Path, i, max(end, req.End), chooseTail)}
	}
	for k, m := range c.r.members {
		if c.dis[k] == nil {
			continue
		}
		p, err := c.next(c.dis[k])
		if err != nil {
			return err
		}
		c.afterEnd(m, i, p)
	}
	return nil
}
