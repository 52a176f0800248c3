//go:build cuda

package gpu

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/vmaf"
)

// stagingBuffers are the pinned buffers through which pictures go to the device in turn: one is being filled, one is on its way, and two more
// even out what disturbs either.
const stagingBuffers = 4

// stage brings pictures of host memory to the device, and those of fewer bits that are there to the plan's depth.
type stage struct {
	places  []place // on the device, for one batch
	buffers []stagingBuffer
	next    int // of the buffers

	luma, chroma planeLayout
	withChroma   bool
	widen        *kernel // for pictures of more than 8 bits
}

// place is where the planes of one picture go. chroma is 0 where the plan needs none.
type place struct {
	luma   uint64
	chroma [2]uint64
}

// planeLayout is how a plane lies on the device. The last row is not padded: reading beyond its end is then reading beyond the allocation.
type planeLayout struct{ rows, rowBytes, pitchBytes, planeBytes int }

func layoutOf(width, height, bytesPerSample int) planeLayout {
	row := width * bytesPerSample
	pitch := (row + pitchAlignment - 1) / pitchAlignment * pitchAlignment
	return planeLayout{height, row, pitch, max(0, (height-1)*pitch+row)}
}

// lumaLayout and chromaLayout are those of a plan's pictures.
func (p Plan) lumaLayout() planeLayout {
	return layoutOf(p.Format.Width, p.Format.Height, p.Format.BytesPerSample())
}

func (p Plan) chromaLayout() planeLayout {
	width, height := p.ChromaSize()
	return layoutOf(width, height, p.Format.BytesPerSample())
}

type stagingBuffer struct {
	memory *pinned
	sent   *event // recorded behind the last copy out of it
}

// newStage makes room for the plan's pictures of host memory. A stage that is returned with an error is closed all the same.
func newStage(d *Device, p Plan, m *memory) (*stage, error) {
	s := &stage{luma: p.lumaLayout(), chroma: p.chromaLayout(), withChroma: p.NeedsChroma()}
	if p.Format.BitsPerComponent > 8 {
		var err error
		if s.widen, err = d.kernel("widen", "vqs_widen_u8"); err != nil {
			return s, err
		}
	}
	n := p.hostPlanes()
	for range n {
		at, err := s.newPlace(m)
		if err != nil {
			return s, err
		}
		s.places = append(s.places, at)
	}
	for range min(n, stagingBuffers) {
		memory, err := d.newPinned("pictures", s.luma.planeBytes)
		if err != nil {
			return s, err
		}
		s.buffers = append(s.buffers, stagingBuffer{memory: memory})
		if s.buffers[len(s.buffers)-1].sent, err = d.newEvent(false); err != nil {
			return s, err
		}
		clear(memory.data) // the padding goes along
	}
	return s, nil
}

func (s *stage) newPlace(m *memory) (at place, err error) {
	if at.luma, err = m.alloc("picture", int64(s.luma.planeBytes)); err != nil || !s.withChroma {
		return at, err
	}
	for i := range at.chroma {
		if at.chroma[i], err = m.alloc("chroma", int64(s.chroma.planeBytes)); err != nil {
			return at, err
		}
	}
	return at, nil
}

// send copies pictures[i] to s.places[i]. It returns when it has read the last, with copies to the device still going on in st. A cancelled
// ctx ends it between two pictures.
func (s *stage) send(ctx context.Context, st *stream, pictures []hostPicture) error {
	for i, picture := range pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		if picture.luma.Widened > 0 {
			if err := s.widenPicture(st, picture, s.places[i]); err != nil {
				return err
			}
			continue
		}
		if err := s.sendPlane(st, s.places[i].luma, picture.luma, s.luma); err != nil {
			return err
		}
		for k, plane := range picture.chroma {
			if plane == nil {
				continue
			}
			if err := s.sendPlane(st, s.places[i].chroma[k], plane, s.chroma); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendPlane copies a plane by way of the next buffer. No chroma plane is larger than the luma plane that buffers have room for.
func (s *stage) sendPlane(st *stream, to uint64, plane *vmaf.Plane, layout planeLayout) error {
	b := &s.buffers[s.next]
	s.next = (s.next + 1) % len(s.buffers)
	if err := b.sent.wait(); err != nil {
		return err
	}
	data := b.memory.data[:layout.planeBytes]
	copyRows(data, layout.pitchBytes, plane, layout.rowBytes, layout.rows)
	if err := st.copyIn(to, data); err != nil {
		return err
	}
	return b.sent.record(st)
}

// close frees what is not in the session's memory.
func (s *stage) close() error {
	if s == nil {
		return nil
	}
	var err error
	for _, b := range s.buffers {
		err = errors.Join(err, b.sent.close(), b.memory.close())
	}
	s.buffers = nil
	return err
}
