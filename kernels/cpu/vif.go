package cpu

// #include "plane.h"
// #include "targets.h"
// #include "vif.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// VIFSums are VIF's integer accumulators over one picture; [score.VIF] makes figures of them.
type VIFSums = score.VIFSums

// MinVIFSize is the smallest width and height that VIF takes, in samples: at scale 3 a mirror image must exist.
const MinVIFSize = 16

// VIFScratch owns what VIF needs for pictures of one size and depth beside the pictures. Make one per goroutine.
type VIFScratch struct {
	c             *C.VqsVif
	width, height int
	bpc           int
	renditions    int
	planes        []C.VqsPlane
	sums          []C.VqsVifSums
	gains         []C.double
	pinner        runtime.Pinner
}

// NewVIFScratch allocates for pictures of width × height luma samples of bpc bits (8 … 16) and up to renditions
// distorted pictures a call. Close it.
func NewVIFScratch(width, height, bpc, renditions int) (*VIFScratch, error) {
	switch {
	case width < MinVIFSize || height < MinVIFSize:
		return nil, fmt.Errorf("picture of %dx%d is too small for vif, which needs %dx%d", width, height, MinVIFSize, MinVIFSize)
	case bpc < 8 || bpc > 16:
		return nil, fmt.Errorf("vif takes 8 to 16 bits a sample, not %d", bpc)
	case renditions < 1:
		return nil, fmt.Errorf("vif needs at least one distorted picture, not %d", renditions)
	}
	c := C.vqs_vif_new(C.size_t(width), C.size_t(height), C.int(bpc), C.size_t(renditions))
	if c == nil {
		return nil, fmt.Errorf("no memory for vif of %dx%d pictures with %d renditions", width, height, renditions)
	}
	return &VIFScratch{
		c: c, width: width, height: height, bpc: bpc, renditions: renditions,
		planes: make([]C.VqsPlane, 1+renditions),
	}, nil
}

// Close frees the scratch. It may be called twice.
func (s *VIFScratch) Close() error {
	C.vqs_vif_free(s.c)
	s.c = nil
	return nil
}

// VIF measures one reference luma plane against each plane of dis, under each limit of gains (vif_enhn_gain_limit, 1 … 100),
// and puts the sums for gains[g] and dis[k] into out[g][k]. Planes have the scratch's size and depth.
func (s *VIFScratch) VIF(ref vmaf.Plane, dis []vmaf.Plane, gains []float64, out [][]VIFSums) error {
	if len(dis) < 1 || len(dis) > s.renditions {
		return fmt.Errorf("vif scratch takes 1 to %d distorted pictures, not %d", s.renditions, len(dis))
	}
	if len(gains) < 1 || len(out) != len(gains) {
		return fmt.Errorf("vif has %d gain limits and room for %d", len(gains), len(out))
	}
	defer func() {
		s.pinner.Unpin()
		clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
	}()
	if err := setPlane(&s.planes[0], ref, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return fmt.Errorf("vif: reference: %w", err)
	}
	for k := range dis {
		if err := setPlane(&s.planes[1+k], dis[k], s.width, s.height, s.bpc, &s.pinner); err != nil {
			return fmt.Errorf("vif: distorted %d: %w", k, err)
		}
	}
	if n := len(gains) * len(dis); len(s.sums) < n {
		s.sums = make([]C.VqsVifSums, n)
	}
	s.gains = s.gains[:0]
	for _, g := range gains {
		s.gains = append(s.gains, C.double(g))
	}
	status := C.vqs_vif(s.c, &s.planes[0], &s.planes[1], C.size_t(len(dis)), &s.gains[0], C.size_t(len(gains)), &s.sums[0])
	if status != C.kVqsOk {
		return fmt.Errorf("vif of %dx%d pictures: status %d", s.width, s.height, int(status))
	}
	for g := range gains {
		if len(out[g]) < len(dis) {
			return fmt.Errorf("vif has %d distorted pictures and room for %d", len(dis), len(out[g]))
		}
		for k := range dis {
			out[g][k] = *(*VIFSums)(unsafe.Pointer(&s.sums[g*len(dis)+k]))
		}
	}
	return nil
}

// The two structures are the same memory.
var _ [unsafe.Sizeof(VIFSums{})]byte = [unsafe.Sizeof(C.VqsVifSums{})]byte{}

// vifLog2 is log2 of each 2^17 ≤ x < 2^31 in 1/2048, as the target in force computes it: for tests.
func vifLog2(x []uint32, out []int32) {
	C.vqs_vif_log2((*C.uint32_t)(unsafe.Pointer(&x[0])), (*C.int32_t)(unsafe.Pointer(&out[0])), C.size_t(len(x)))
}
