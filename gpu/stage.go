//go:build cuda

package gpu

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/vmaf"
)

// stagingBuffers are the pinned buffers through which planes go to the device in turn: one is being filled, one is on its way, and two more
// even out what disturbs either.
const stagingBuffers = 4

// stage brings planes of host memory to the device.
type stage struct {
	planes  []uint64 // on the device, for one batch
	buffers []stagingBuffer
	next    int // of the buffers

	rowBytes, pitchBytes, planeBytes int
}

type stagingBuffer struct {
	memory *pinned
	sent   *event // recorded behind the last copy out of it
}

// newStage makes room for the plan's planes of host memory. A stage that is returned with an error is closed all the same.
func newStage(d *Device, p Plan, m *memory) (*stage, error) {
	s := &stage{rowBytes: p.rowBytes(), pitchBytes: p.pitchBytes(), planeBytes: p.planeBytes()}
	n := p.hostPlanes()
	for range n {
		address, err := m.alloc("picture", int64(s.planeBytes))
		if err != nil {
			return s, err
		}
		s.planes = append(s.planes, address)
	}
	for range min(n, stagingBuffers) {
		memory, err := d.newPinned("pictures", s.planeBytes)
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

// send copies planes[i] to s.planes[i]. It returns when it has read the last, with copies to the device still going on in st. A cancelled
// ctx ends it between two planes.
func (s *stage) send(ctx context.Context, st *stream, planes []*vmaf.Plane) error {
	for i, plane := range planes {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := &s.buffers[s.next]
		s.next = (s.next + 1) % len(s.buffers)
		if err := b.sent.wait(); err != nil {
			return err
		}
		copyRows(b.memory.data, s.pitchBytes, plane, s.rowBytes)
		if err := st.copyIn(s.planes[i], b.memory.data); err != nil {
			return err
		}
		if err := b.sent.record(st); err != nil {
			return err
		}
	}
	return nil
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
