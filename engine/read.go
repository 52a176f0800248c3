package engine

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/vqsd/vqsd/decode"
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

// feed is where an input's frames come from. stop ends its decoder.
type feed struct {
	frames  chan picked
	stop    context.CancelFunc
	bounded bool // its decoder knows where to end
}

// drain releases what is left when the decoder has gone.
func (f *feed) drain() {
	for {
		select {
		case p := <-f.frames:
			p.release()
		default:
			return
		}
	}
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
// ends the run; it is nil where ctx was cancelled.
func (r *run) readReference(ctx context.Context, first, end int64, to chan<- picked) error {
	if err := r.readPictures(ctx, first, end, to); err != nil && ctx.Err() == nil {
		return referenceError(err)
	}
	return nil
}

func (r *run) readPictures(ctx context.Context, first, end int64, to chan<- picked) (err error) {
	before := r.c.takeTail(r.work.First, int(r.work.First-first))
	recent := tail{end: first}
	defer func() {
		before.release()
		recent.release()
	}()
	if before != nil {
		first = r.work.First // what comes before need not be decoded again
	}
	reader, err := r.c.ref.Read(ctx, first, end)
	if err != nil {
		return err
	}
	converters := make([]*decode.Converter, len(r.groups))
	defer func() {
		r.refStats = reader.Stats()
		err = errors.Join(err, reader.Close())
		for _, c := range converters {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
	}()
	for g, group := range r.groups {
		if converters[g], err = decode.NewConverter(group.format, group.filter, !r.chroma); err != nil {
			return err
		}
	}
	for {
		started := time.Now()
		frame := before.next()
		if frame == nil {
			frame, err = reader.Next()
		}
		if errors.Is(err, io.EOF) {
			if recent.end == end {
				recent = r.c.keepTail(recent)
			}
			send(ctx, to, picked{err: io.EOF})
			return nil
		}
		if err != nil {
			return err
		}
		p := picked{frames: make([]*decode.Frame, len(converters))}
		for g, c := range converters {
			if p.frames[g], err = r.convert(c, frame); err != nil {
				frame.Release()
				p.release()
				return err
			}
		}
		recent.push(frame, r.lookback)
		r.decoding.Add(int64(time.Since(started)))
		if !send(ctx, to, p) {
			return ctx.Err()
		}
	}
}

// convert brings a frame into a group's format and crops it. The frame stays the caller's.
func (r *run) convert(c *decode.Converter, frame *decode.Frame) (*decode.Frame, error) {
	converted, err := c.Convert(frame)
	if err != nil || r.c.req.Crop == nil {
		return converted, err
	}
	defer converted.Release()
	return converted.Crop(*r.c.req.Crop)
}

// readDistorted delivers the distorted frames for reference frames [first, end), one for each, then io.EOF. Its errors
// are the rendition's alone, and travel with the frames.
func (r *run) readDistorted(ctx context.Context, m *member, first, end int64, to chan<- picked) {
	err := r.readPaired(ctx, m, first, end, to)
	if err == nil {
		err = io.EOF
	}
	send(ctx, to, picked{err: err})
}

func (r *run) readPaired(ctx context.Context, m *member, first, end int64, to chan<- picked) (err error) {
	from, until := m.pairs.disRange(first, end)
	reader, err := m.video.Read(ctx, from, until)
	if err != nil {
		return err
	}
	defer func() {
		m.stats = reader.Stats()
		err = errors.Join(err, reader.Close())
	}()
	converter, err := decode.NewConverter(r.groups[m.runGroup].format, m.treated.filter(), !r.chroma)
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
		started := time.Now()
		for want := m.pairs.distorted(i); at < want; at++ {
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
				if current, err = r.convert(converter, frame); err != nil {
					frame.Release()
					return &decode.FrameError{Path: m.info.Path, Frame: want, Err: err}
				}
			}
			frame.Release()
		}
		r.decoding.Add(int64(time.Since(started)))
		if !send(ctx, to, picked{frames: []*decode.Frame{current.Retain()}}) {
			return ctx.Err()
		}
	}
	return nil
}
