//go:build cuda

package gpu

import (
	"errors"
	"time"
	"unsafe"

	"gorgonia.org/cu"
)

// stream is a queue of work on the device, in order. It waits for no other stream, and none for it.
type stream struct {
	device *Device
	handle cu.Stream

	// What a launch passes on: 64 bits a parameter, and where each lies.
	arguments  [maxArguments]uint64
	parameters [maxArguments]unsafe.Pointer
}

func (d *Device) newStream() (*stream, error) {
	handle, err := cu.MakeStream(cu.NonBlocking)
	if err := d.check(err, "cuStreamCreate", "non-blocking"); err != nil {
		return nil, err
	}
	return &stream{device: d, handle: handle}, nil
}

// copyIn starts a copy to the device.
func (s *stream) copyIn(to uint64, from []byte) error {
	if len(from) == 0 {
		return nil
	}
	err := cu.MemcpyHtoDAsync(cu.DevicePtr(to), unsafe.Pointer(unsafe.SliceData(from)), int64(len(from)), s.handle)
	return s.device.check(err, "cuMemcpyHtoDAsync", "%#x, %d", to, len(from))
}

// copyOut starts a copy from the device.
func (s *stream) copyOut(to []byte, from uint64) error {
	if len(to) == 0 {
		return nil
	}
	err := cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(to)), cu.DevicePtr(from), int64(len(to)), s.handle)
	return s.device.check(err, "cuMemcpyDtoHAsync", "%#x, %d", from, len(to))
}

// zero starts filling memory with zeros.
func (s *stream) zero(address uint64, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	err := cu.MemsetD8Async(cu.DevicePtr(address), 0, bytes, s.handle)
	return s.device.check(err, "cuMemsetD8Async", "%#x, %d", address, bytes)
}

// drain waits until the device has done with all that was put into the stream, also with work that failed. It is what must come before
// memory that the device may be reading is used otherwise.
func (s *stream) drain() error {
	err := s.device.check(s.handle.Synchronize(), "cuStreamSynchronize", "")
	if err == nil || s.device.lost.Load() != nil {
		return err
	}
	// The wait itself failed, so the device may still be at work. If the whole context can not be waited for either, then what it does is
	// no longer known.
	again := s.device.check(cu.Synchronize(), "cuCtxSynchronize", "")
	var call *CallError
	if again != nil && errors.As(err, &call) {
		s.device.lose(call)
	}
	return err
}

func (s *stream) close() error {
	if s == nil || s.handle == (cu.Stream{}) {
		return nil
	}
	return s.device.check(s.handle.Destroy(), "cuStreamDestroy", "")
}

// event is a mark in a stream.
type event struct {
	device *Device
	handle cu.Event
}

// newEvent makes a mark that can be waited for, and timed if timed.
func (d *Device) newEvent(timed bool) (*event, error) {
	flags := cu.BlockingSyncEvent
	if !timed {
		flags |= cu.DisableTiming
	}
	handle, err := cu.MakeEvent(flags)
	if err := d.check(err, "cuEventCreate", "%d", int(flags)); err != nil {
		return nil, err
	}
	return &event{d, handle}, nil
}

// record puts the mark at the end of the stream.
func (e *event) record(s *stream) error {
	return e.device.check(e.handle.Record(s.handle), "cuEventRecord", "")
}

// wait waits until the device has come to the mark; at once if it was never recorded.
func (e *event) wait() error {
	return e.device.check(e.handle.Synchronize(), "cuEventSynchronize", "")
}

// since is the time on the device from start to e, both of which it has passed.
func (e *event) since(start *event) (time.Duration, error) {
	ms, err := start.handle.Elapsed(e.handle)
	return time.Duration(ms * float64(time.Millisecond)), e.device.check(err, "cuEventElapsedTime", "")
}

func (e *event) close() error {
	if e == nil || e.handle == (cu.Event{}) {
		return nil
	}
	return e.device.check(cu.DestroyEvent(&e.handle), "cuEventDestroy", "")
}
