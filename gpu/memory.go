//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// keptShare is the part of the device's memory, or of the limit, that a pool keeps at the most. What it keeps is missing elsewhere, such
// as in a decoder that can not ask for it.
const keptShare = 8

// pool allocates the memory of one device, within a limit, and keeps what was freed for the next session of the same plan. Its methods but
// used are called with the context current.
type pool struct {
	device *Device
	limit  int64 // 0: none
	most   int64 // of keptBytes

	mu        sync.Mutex // guards the fields below; never held during a call of the driver
	taken     int64      // from the driver, kept or in use
	kept      map[int64][]cu.DevicePtr
	keptBytes int64
}

func newPool(d *Device, limit int64) *pool {
	most := int64(d.info.MemoryBytes)
	if limit > 0 {
		most = min(most, limit)
	}
	return &pool{device: d, limit: limit, most: most / keptShare, kept: map[int64][]cu.DevicePtr{}}
}

func (p *pool) used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// take allocates. what says in errors what for. The contents are undefined.
func (p *pool) take(what string, bytes int64) (cu.DevicePtr, error) {
	if address, ok := p.reuse(bytes); ok {
		return address, nil
	}
	if !p.reserve(bytes) {
		if err := p.trim(); err != nil {
			return 0, err
		}
		if !p.reserve(bytes) {
			return 0, fmt.Errorf("%s: %w: %d bytes more than the %d in use exceed the limit of %d; raise the limit or make batches smaller",
				what, ErrOutOfMemory, bytes, p.used(), p.limit)
		}
	}
	address, err := p.allocate(bytes)
	if errors.Is(err, ErrOutOfMemory) {
		kept := p.keeps()
		if err := p.trim(); err != nil {
			p.returned(bytes)
			return 0, err
		}
		if kept {
			address, err = p.allocate(bytes)
		}
	}
	if err != nil {
		p.returned(bytes)
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return address, nil
}

// keeps says whether there is anything to trim.
func (p *pool) keeps() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keptBytes > 0
}

func (p *pool) allocate(bytes int64) (cu.DevicePtr, error) {
	address, err := cu.MemAlloc(bytes)
	return address, p.device.check(err, "cuMemAlloc", "%d", bytes)
}

func (p *pool) reuse(bytes int64) (cu.DevicePtr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	blocks := p.kept[bytes]
	if len(blocks) == 0 {
		return 0, false
	}
	p.kept[bytes] = blocks[:len(blocks)-1]
	p.keptBytes -= bytes
	return blocks[len(blocks)-1], true
}

func (p *pool) reserve(bytes int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit > 0 && bytes > p.limit-p.taken {
		return false
	}
	p.taken += bytes
	return true
}

func (p *pool) returned(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken -= bytes
}

// give takes back what take gave. The device must have done with it.
func (p *pool) give(address cu.DevicePtr, bytes int64) error {
	if p.device.lost.Load() == nil && p.keep(address, bytes) {
		return nil
	}
	return p.free(address, bytes)
}

func (p *pool) keep(address cu.DevicePtr, bytes int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes > p.most-p.keptBytes {
		return false
	}
	p.kept[bytes] = append(p.kept[bytes], address)
	p.keptBytes += bytes
	return true
}

func (p *pool) free(address cu.DevicePtr, bytes int64) error {
	p.returned(bytes)
	return p.device.check(cu.MemFree(address), "cuMemFree", "%#x", uint64(address))
}

// trim gives all that is kept back to the driver.
func (p *pool) trim() error {
	p.mu.Lock()
	kept := p.kept
	p.kept, p.keptBytes = map[int64][]cu.DevicePtr{}, 0
	p.mu.Unlock()
	var err error
	for bytes, blocks := range kept {
		for _, address := range blocks {
			err = errors.Join(err, p.free(address, bytes))
		}
	}
	return err
}

// memory is the device memory of one session. It is used with the context current.
type memory struct {
	device *Device
	blocks []memoryBlock
}

type memoryBlock struct {
	address cu.DevicePtr
	bytes   int64
}

// alloc allocates for the life of the session. what says in errors what for. The contents are undefined. The address is a multiple of 256.
func (m *memory) alloc(what string, bytes int64) (uint64, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("%s: allocation of %d bytes", what, bytes)
	}
	address, err := m.device.pool.take(what, bytes)
	if err != nil {
		return 0, err
	}
	m.blocks = append(m.blocks, memoryBlock{address, bytes})
	return uint64(address), nil
}

// upload is alloc for a copy of data, which is there when it returns.
func (m *memory) upload(what string, data []byte) (uint64, error) {
	address, err := m.alloc(what, int64(len(data)))
	if err != nil {
		return 0, err
	}
	if err := m.device.copyIn(cu.DevicePtr(address), data); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return address, nil
}

// close frees everything. The device must have done with it.
func (m *memory) close() error {
	var err error
	for _, b := range m.blocks {
		err = errors.Join(err, m.device.pool.give(b.address, b.bytes))
	}
	m.blocks = nil
	return err
}

// copyIn copies ordinary host memory to the device and waits until it is there.
func (d *Device) copyIn(to cu.DevicePtr, data []byte) error {
	err := cu.MemcpyHtoD(to, unsafe.Pointer(unsafe.SliceData(data)), int64(len(data)))
	if err := d.check(err, "cuMemcpyHtoD", "%#x, %d", uint64(to), len(data)); err != nil {
		return err
	}
	// The call may return when it has read the host memory but the last of it is still on its way, and streams like those of sessions do
	// not wait for that.
	return d.check(cu.NoStream.Synchronize(), "cuStreamSynchronize", "default stream")
}
