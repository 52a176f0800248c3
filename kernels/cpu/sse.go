package cpu

// #include "sse/sse.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	_ "github.com/vqsd/vqsd/kernels/cpu/native/sse" // what vqs_sse is linked from
	"github.com/vqsd/vqsd/vmaf"
)

// SSE is Σ (ref − dis)² over the first width × height samples (1 … 65536 each) of two planes of bpc bits per component (8 … 16), in squared
// units of that depth. The planes may be larger: metrics leave out the last column and row of chroma where luma has an odd size. Safe for
// concurrent use; it allocates nothing.
// Source: spec/classic-metrics.md §2.
func SSE(ref, dis vmaf.Plane, width, height, bpc int) (uint64, error) {
	switch {
	case width < 1 || width > 65536 || height < 1 || height > 65536:
		return 0, fmt.Errorf("sse: %d×%d samples; width and height must be 1 … 65536", width, height)
	case bpc < 8 || bpc > 16:
		return 0, fmt.Errorf("sse: %d bits per component; must be 8 … 16", bpc)
	}
	if err := holds(ref, width, height, bpc); err != nil {
		return 0, fmt.Errorf("sse: reference: %w", err)
	}
	if err := holds(dis, width, height, bpc); err != nil {
		return 0, fmt.Errorf("sse: distorted: %w", err)
	}
	sum := C.vqs_sse(unsafe.Pointer(unsafe.SliceData(ref.Data)), C.size_t(ref.StrideBytes),
		unsafe.Pointer(unsafe.SliceData(dis.Data)), C.size_t(dis.StrideBytes), C.int(width), C.int(height), C.int(bpc))
	return uint64(sum), nil
}

// holds refuses a plane of whose memory a kernel would leave when it reads the first width × height samples.
func holds(p vmaf.Plane, width, height, bpc int) error {
	sampleBytes := 1
	if bpc > 8 {
		sampleBytes = 2
	}
	row := width * sampleBytes
	switch {
	case p.Width < width || p.Height < height:
		return fmt.Errorf("plane of %dx%d samples, want at least %dx%d", p.Width, p.Height, width, height)
	case p.StrideBytes < row:
		return fmt.Errorf("plane's stride of %d bytes is shorter than a row of %d", p.StrideBytes, row)
	case len(p.Data) < row || (len(p.Data)-row)/p.StrideBytes < height-1:
		return fmt.Errorf("plane has %d bytes, too few for %d rows %d bytes apart", len(p.Data), height, p.StrideBytes)
	case sampleBytes == 2 && (p.StrideBytes%2 != 0 || uintptr(unsafe.Pointer(unsafe.SliceData(p.Data)))%2 != 0):
		return errors.New("plane's 16-bit samples are at odd addresses")
	}
	return nil
}
