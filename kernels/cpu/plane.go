package cpu

// #include "plane.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vqsd/vqsd/vmaf"
)

// setPlane describes p to a kernel. It pins p's data and refuses a plane that would let the kernel leave it.
func setPlane(c *C.VqsPlane, p vmaf.Plane, width, height, bpc int, pinner *runtime.Pinner) error {
	sampleBytes := 1
	if bpc > 8 {
		sampleBytes = 2
	}
	row := width * sampleBytes
	data := unsafe.Pointer(unsafe.SliceData(p.Data))
	switch {
	case p.Width != width || p.Height != height:
		return fmt.Errorf("plane of %dx%d samples, want %dx%d", p.Width, p.Height, width, height)
	case p.StrideBytes < row:
		return fmt.Errorf("plane's stride of %d bytes is shorter than a row of %d", p.StrideBytes, row)
	case len(p.Data) < row || (len(p.Data)-row)/p.StrideBytes < height-1:
		return fmt.Errorf("plane has %d bytes, too few for %d rows %d bytes apart", len(p.Data), height, p.StrideBytes)
	case sampleBytes == 2 && (p.StrideBytes%2 != 0 || uintptr(data)%2 != 0):
		return fmt.Errorf("plane's 16-bit samples are at odd addresses")
	}
	pinner.Pin(unsafe.SliceData(p.Data))
	c.data = data
	c.stride_bytes = C.size_t(p.StrideBytes)
	return nil
}
