//go:build cuda

package gpu

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/vqsd/vqsd/gpu/internal/driver"
)

// pinned is host memory that the device copies from and to on its own, while the program goes on.
type pinned struct {
	device *Device
	data   []byte
}

// newPinned allocates. what says in errors what for. It is called with the context current.
func (d *Device) newPinned(what string, bytes int) (*pinned, error) {
	p, code := driver.AllocHost(int64(bytes))
	if err := d.noticed(codeError(code, "cuMemHostAlloc", "%d", bytes)); err != nil {
		return nil, fmt.Errorf("pinned memory for %s: %w", what, err)
	}
	return &pinned{d, unsafe.Slice((*byte)(p), bytes)}, nil
}

// close frees the memory, which the device must have done with.
func (p *pinned) close() error {
	if p == nil || p.data == nil {
		return nil
	}
	data := unsafe.Pointer(unsafe.SliceData(p.data))
	p.data = nil
	return p.device.check(cu.MemFreeHost(data), "cuMemFreeHost", "%p", data)
}
