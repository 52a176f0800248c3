package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// decodeAhead is how many pictures a decoder may be ahead of the collector, for each input.
const decodeAhead = 1

// picked is one reference frame in the format of each group, or one distorted frame in that of its group.
type picked struct {
	frames []*decode.Frame
	err    error // io.EOF at the end
}

func (p picked) release() {
	for _, f := range p.frames {
		if f != nil {
			f.Release()
		}
	}
}

// chunk measures reference frames [first, end); end −1 is to the end of the reference. It decodes on its own, so that chunks
// may be measured anywhere and in any order; what precedes the chunk by the plan's halo is decoded, too.
//
// One goroutine an input decodes and converts; this one collects a picture of each into sets; workers measure them.
func (m *measurement) chunk(ctx context.Context, first, end int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	c := &collector{m: m, ctx: ctx, batches: make([]chan batch, len(m.groups))}

	halo := min(int64(m.req.Plan.Halo()), first-m.first)
	start := first - halo
	ref := make(chan picked, decodeAhead)
	tasks.Go(func() error { return m.readReference(ctx, start, end, ref) })
	c.ref = ref
	c.dis = make([]*disFeed, len(m.renditions))
	for i, d := range m.renditions {
		if from, to, ok := d.within(first, end); ok {
			disCtx, stop := context.WithCancel(ctx)
			feed := &disFeed{frames: make(chan picked, decodeAhead), stop: stop}
			c.dis[i] = feed
			tasks.Go(func() error {
				defer stop()
				m.readDistorted(disCtx, d, from, to, feed.frames)
				return nil
			})
		}
	}
	for g, group := range m.groups {
		c.batches[g] = make(chan batch)
		for range group.extract.Workers() {
			tasks.Go(func() error { return m.work(ctx, group, c.batches[g]) })
		}
	}
	tasks.Go(func() error {
		defer func() {
			for _, feed := range c.dis {
				if feed != nil {
					feed.stop()
				}
			}
			for _, b := range c.batches {
				close(b)
			}
		}()
		return c.collect(start, first, end)
	})
	err := tasks.Wait()
	// Whoever waited for a place in a channel has gone; what is left in it is nobody's.
	drain(ref)
	for _, feed := range c.dis {
		if feed != nil {
			drain(feed.frames)
		}
	}
	for _, b := range c.batches {
		for left := range b {
			left.release()
		}
	}
	return err
}

func drain(from chan picked) {
	for {
		select {
		case p, open := <-from:
			if !open {
				return
			}
			p.release()
		default:
			return
		}
	}
}

// within is the part of reference frames [first, end) at which the rendition is measured; ok is false where there is none.
func (d *rendition) within(first, end int64) (from, to int64, ok bool) {
	if d.err != nil || d.ended >= 0 && d.ended <= first {
		return 0, 0, false
	}
	from, to = max(first, d.pairs.first), d.pairs.end
	if to < 0 || end >= 0 && end < to {
		to = end
	}
	if d.pairs.open && to == d.pairs.end {
		to = -1 // one frame more than is compared, if there is one
	}
	return from, to, to < 0 || from < to
}

// send puts p into the channel unless the context ends first; then p is released.
func send(ctx context.Context, to chan<- picked, p picked) bool {
	select {
	case to <- p:
		return true
	case <-ctx.Done():
		p.release()
		return false
	}
}

// readReference delivers reference frames [first, end) in the format of every group, then io.EOF. An error of the reference
// ends the measurement.
func (m *measurement) readReference(ctx context.Context, first, end int64, to chan<- picked) (err error) {
	reader, err := m.ref.Read(ctx, first, end)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	converters := make([]*decode.Converter, len(m.groups))
	defer func() {
		err = errors.Join(err, reader.Close())
		for _, c := range converters {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
	}()
	for g, group := range m.groups {
		if converters[g], err = decode.NewConverter(group.format, m.req.scale(), lumaOnly(m.req.Plan)); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
	}
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			send(ctx, to, picked{err: io.EOF})
			return nil
		}
		if err != nil {
			return fmt.Errorf("reference: %w", err)
		}
		p := picked{frames: make([]*decode.Frame, len(converters))}
		for g, c := range converters {
			if p.frames[g], err = m.convert(c, frame); err != nil {
				frame.Release()
				p.release()
				return fmt.Errorf("reference: %w", err)
			}
		}
		frame.Release()
		if !send(ctx, to, p) {
			return ctx.Err()
		}
	}
}

// convert brings a frame into a group's format and crops it. The frame stays the caller's.
func (m *measurement) convert(c *decode.Converter, frame *decode.Frame) (*decode.Frame, error) {
	converted, err := c.Convert(frame)
	if err != nil || m.req.Crop == nil {
		return converted, err
	}
	defer converted.Release()
	return converted.Crop(*m.req.Crop)
}

// disFeed is where a rendition's frames come from. stop ends its decoder.
type disFeed struct {
	frames chan picked
	stop   context.CancelFunc
}

// readDistorted delivers the distorted frames for reference frames [first, end), one for each, then io.EOF. Its errors
// are the rendition's alone, and travel with the frames.
func (m *measurement) readDistorted(ctx context.Context, d *rendition, first, end int64, to chan<- picked) {
	err := m.readPaired(ctx, d, first, end, to)
	if err == nil {
		err = io.EOF
	}
	send(ctx, to, picked{err: err})
}

func (m *measurement) readPaired(ctx context.Context, d *rendition, first, end int64, to chan<- picked) (err error) {
	from, until := d.pairs.disRange(first, end)
	reader, err := d.video.Read(ctx, from, until)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	converter, err := decode.NewConverter(m.groups[d.group].format, m.req.scale(), lumaOnly(m.req.Plan))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, converter.Close()) }()

	var current *decode.Frame // converted
	defer func() {
		if current != nil {
			current.Release()
		}
	}()
	at := from - 1 // index of current
	for i := first; end < 0 || i < end; i++ {
		for want := d.pairs.distorted(i); at < want; at++ {
			frame, err := reader.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if current != nil {
				current.Release()
				current = nil
			}
			if at+1 == want {
				if current, err = m.convert(converter, frame); err != nil {
					frame.Release()
					return &decode.FrameError{Path: d.info.Path, Frame: want, Err: err}
				}
			}
			frame.Release()
		}
		if !send(ctx, to, picked{frames: []*decode.Frame{current.Retain()}}) {
			return ctx.Err()
		}
	}
	return nil
}

// batch is sets of pictures on their way to a worker, with where their figures go and the frames to let go afterwards.
type batch struct {
	sets   []FrameSet
	rows   []Row
	frames []*decode.Frame
}

func (b *batch) release() {
	for _, f := range b.frames {
		f.Release()
	}
}

// work measures batches of one group until there are no more.
func (m *measurement) work(ctx context.Context, group *group, batches <-chan batch) error {
	for b := range batches {
		err := group.extract.Extract(ctx, b.sets, b.rows)
		b.release()
		if err != nil {
			return err
		}
		m.progress.add(int64(len(b.sets)))
	}
	return nil
}

// collector brings together one picture of each input. Only its goroutine touches it.
type collector struct {
	m       *measurement
	ctx     context.Context // of the chunk, whose life is the collector's
	ref     <-chan picked
	dis     []*disFeed // nil: not measured in this chunk, or not any more
	batches []chan batch

	previous [2]picked // the one and two reference frames before
	pending  []batch   // by group: sets that do not fill a batch yet
}

// collect takes reference frames [start, end), measures those from first on and hands them out.
func (c *collector) collect(start, first, end int64) error {
	defer func() {
		for _, p := range c.previous {
			p.release()
		}
		for i := range c.pending {
			c.pending[i].release()
		}
	}()
	c.pending = make([]batch, len(c.batches))
	for i := start; end < 0 || i < end; i++ {
		ref, err := c.next(c.ref)
		if err != nil {
			return err
		}
		if ref.err != nil {
			// The reference has ended: at its natural end, or earlier than it promised.
			c.m.rows.last = true
			if err := c.referenceEnded(i, end); err != nil {
				return err
			}
			break
		}
		if i >= first {
			if err := c.frame(i, ref); err != nil {
				ref.release()
				return err
			}
		}
		c.previous[1].release()
		c.previous[1], c.previous[0] = c.previous[0], ref
		if err := c.m.anyLeft(); err != nil {
			return err
		}
	}
	for g := range c.pending {
		if err := c.flush(g); err != nil {
			return err
		}
	}
	return c.streamsEnd(end)
}

// streamsEnd sees to it that streams of unknown length end with the reference.
func (c *collector) streamsEnd(end int64) error {
	for k, d := range c.m.renditions {
		if c.m.req.Shortest || c.dis[k] == nil || !d.pairs.open || d.pairs.end != end {
			continue
		}
		p, err := c.next(c.dis[k].frames)
		if err != nil {
			return err
		}
		c.afterEnd(k, end, p)
	}
	return nil
}

// afterEnd is called with what rendition k has for reference frame i, which does not exist.
func (c *collector) afterEnd(k int, i int64, p picked) {
	d := c.m.renditions[k]
	switch {
	case p.err == nil:
		p.release()
		d.err = &AmbiguousError{d.info.Path, fmt.Sprintf("goes on after the reference's last frame, %d", i-1), chooseShortest}
	case !errors.Is(p.err, io.EOF):
		d.err = p.err
	}
}

// next waits for a picture. Its error is the context's.
func (c *collector) next(from <-chan picked) (picked, error) {
	select {
	case p := <-from:
		return p, nil
	case <-c.ctx.Done():
		return picked{}, c.ctx.Err()
	}
}

// frame makes the sets of reference frame i.
func (c *collector) frame(i int64, ref picked) error {
	row := c.m.rows.add()
	sets := make([]FrameSet, len(c.m.groups))
	held := make([][]*decode.Frame, len(c.m.groups))
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
	for g, group := range c.m.groups {
		sets[g].Reference = hold(g, ref.frames[g])
		sets[g].Distorted = make([]*vmaf.Picture, len(group.members))
		for n, p := range c.previous {
			if p.frames != nil && n < c.m.req.Plan.Halo() {
				sets[g].Previous[n] = hold(g, p.frames[g])
			}
		}
	}
	for k, d := range c.m.renditions {
		if c.dis[k] == nil || i < d.pairs.first || d.pairs.end >= 0 && i >= d.pairs.end {
			continue
		}
		p, err := c.next(c.dis[k].frames)
		if err != nil {
			return err
		}
		if p.err != nil {
			c.distortedEnded(k, i, p.err)
			continue
		}
		held[d.group] = append(held[d.group], p.frames[0])
		if (i-d.pairs.first)%int64(c.m.req.Subsample) == 0 {
			sets[d.group].Distorted[d.slot] = &p.frames[0].Picture
		}
	}
	for g := range sets {
		b := &c.pending[g]
		b.sets = append(b.sets, sets[g])
		b.rows = append(b.rows, row[g])
		b.frames = append(b.frames, held[g]...)
		held[g] = nil
		if len(b.sets) == c.m.groups[g].extract.BatchFrames() {
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

// distortedEnded is called when rendition k has no frame for reference frame i.
func (c *collector) distortedEnded(k int, i int64, err error) {
	d := c.m.renditions[k]
	c.dis[k].stop()
	switch {
	case !errors.Is(err, io.EOF):
		d.err = err
	case c.m.req.Shortest:
		d.ended = i
	default:
		d.err = &AmbiguousError{d.info.Path, fmt.Sprintf("ends before the frame for reference frame %d", i), chooseShortest}
	}
	c.dis[k] = nil
}

// referenceEnded is called when the reference has no frame i. Renditions that go on, or that were to be compared further, are
// ambiguous unless the request takes the shortest.
func (c *collector) referenceEnded(i, end int64) error {
	if c.m.req.Shortest {
		return nil
	}
	if c.m.req.End != 0 || end >= 0 {
		return fmt.Errorf("%s: ends before frame %d although frames up to %d were expected; use %s",
			c.m.refInfo.Path, i, max(end, c.m.req.End), chooseTail)
	}
	for k := range c.m.renditions {
		if c.dis[k] == nil {
			continue
		}
		p, err := c.next(c.dis[k].frames)
		if err != nil {
			return err
		}
		c.afterEnd(k, i, p)
	}
	return c.m.anyLeft()
}
