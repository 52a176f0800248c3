package cpu

// #include "adm.h"
// #include "plane.h"
// #include "targets.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// ADMSums are ADM's integer accumulators over one picture; [score.ADM] makes figures of them.
type ADMSums = score.ADMSums

// ADMConfig is what the integer part of ADM has to know of an option set; [score.ADM.Config] gives it.
type ADMConfig = score.ADMConfig

// The sizes ADM takes, in samples each way. Below the smallest, a mirror image would leave the picture at scale 3.
const (
	MinADMSize = 33
	MaxADMSize = 32768
)

// ADMScratch owns what ADM needs for pictures of one size and depth beside the pictures. Make one per goroutine.
type ADMScratch struct {
	c                   *C.VqsAdm
	width, height       int
	bpc                 int
	renditions, configs int
	planes              []C.VqsPlane
	options             []C.VqsAdmConfig
	sums                []C.VqsAdmSums
	pinner              runtime.Pinner
}

// NewADMScratch allocates for pictures of width × height luma samples of bpc bits (8 … 16), up to renditions distorted
// pictures and up to configs option sets a call. Close it.
func NewADMScratch(width, height, bpc, renditions, configs int) (*ADMScratch, error) {
	switch {
	case width < MinADMSize || height < MinADMSize:
		return nil, fmt.Errorf("picture of %dx%d is too small for adm, which needs %dx%d", width, height, MinADMSize, MinADMSize)
	case width > MaxADMSize || height > MaxADMSize:
		return nil, fmt.Errorf("picture of %dx%d is too large for adm, which takes up to %dx%d", width, height, MaxADMSize, MaxADMSize)
	case bpc < 8 || bpc > 16:
		return nil, fmt.Errorf("adm takes 8 to 16 bits a sample, not %d", bpc)
	case renditions < 1:
		return nil, fmt.Errorf("adm needs at least one distorted picture, not %d", renditions)
	case configs < 1:
		return nil, fmt.Errorf("adm needs at least one option set, not %d", configs)
	}
	c := C.vqs_adm_new(C.size_t(width), C.size_t(height), C.int(bpc), C.size_t(renditions), C.size_t(configs))
	if c == nil {
		return nil, fmt.Errorf("no memory for adm of %dx%d pictures with %d renditions and %d option sets", width, height, renditions, configs)
	}
	return &ADMScratch{
		c: c, width: width, height: height, bpc: bpc, renditions: renditions, configs: configs,
		planes:  make([]C.VqsPlane, 1+renditions),
		options: make([]C.VqsAdmConfig, configs),
		sums:    make([]C.VqsAdmSums, renditions*configs),
	}, nil
}

// Close frees the scratch. It may be called twice.
func (s *ADMScratch) Close() error {
	C.vqs_adm_free(s.c)
	s.c = nil
	return nil
}

// ADM measures one reference luma plane against each plane of dis, under each option set of configs, and puts the sums for
// configs[c] and dis[k] into out[c][k]. Planes have the scratch's size and depth, sample values below 2^bpc.
// Source: spec/adm.md §3 … §10.
func (s *ADMScratch) ADM(ref vmaf.Plane, dis []vmaf.Plane, configs []ADMConfig, out [][]ADMSums) error {
	switch {
	case s.c == nil:
		return fmt.Errorf("adm scratch is closed")
	case len(dis) < 1 || len(dis) > s.renditions:
		return fmt.Errorf("adm scratch takes 1 to %d distorted pictures, not %d", s.renditions, len(dis))
	case len(configs) < 1 || len(configs) > s.configs:
		return fmt.Errorf("adm scratch takes 1 to %d option sets, not %d", s.configs, len(configs))
	case len(out) < len(configs):
		return fmt.Errorf("adm has %d option sets and room for %d", len(configs), len(out))
	}
	for c := range configs {
		if len(out[c]) < len(dis) {
			return fmt.Errorf("adm has %d distorted pictures and room for %d", len(dis), len(out[c]))
		}
		if err := s.setConfig(c, configs[c]); err != nil {
			return err
		}
	}
	defer func() {
		s.pinner.Unpin()
		clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
	}()
	if err := setPlane(&s.planes[0], ref, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return fmt.Errorf("adm: reference: %w", err)
	}
	for k := range dis {
		if err := setPlane(&s.planes[1+k], dis[k], s.width, s.height, s.bpc, &s.pinner); err != nil {
			return fmt.Errorf("adm: distorted %d: %w", k, err)
		}
	}
	status := C.vqs_adm(s.c, &s.planes[0], &s.planes[1], C.size_t(len(dis)), &s.options[0], C.size_t(len(configs)), &s.sums[0])
	if status != C.kVqsOk {
		return fmt.Errorf("adm of %dx%d pictures: status %d", s.width, s.height, int(status))
	}
	for c := range configs {
		for k := range dis {
			out[c][k] = *(*ADMSums)(unsafe.Pointer(&s.sums[c*len(dis)+k]))
		}
	}
	return nil
}

func (s *ADMScratch) setConfig(c int, config ADMConfig) error {
	if !(config.Gain >= 1 && config.Gain <= 100) {
		return fmt.Errorf("adm: gain limit %g is not in 1 … 100", config.Gain)
	}
	for scale, w := range config.Weights {
		limit := uint32(1 << 31)
		if scale == 0 {
			limit = 1 << 16
		}
		if max(w[0], w[1]) >= limit {
			return fmt.Errorf("adm: weights %d of scale %d are not below %d", w, scale, limit)
		}
	}
	o := &s.options[c]
	o.gain = C.double(config.Gain)
	o.weight = *(*[4][2]C.uint32_t)(unsafe.Pointer(&config.Weights))
	o.aim = 0
	if config.AIM {
		o.aim = 1
	}
	return nil
}

// The two structures are the same memory.
var _ [unsafe.Sizeof(ADMSums{})]byte = [unsafe.Sizeof(C.VqsAdmSums{})]byte{}

// admReciprocals is 2^30/m of each 1 ≤ m ≤ 2^15, truncated, as the target in force computes it: for tests. len(m) is a
// multiple of 16.
func admReciprocals(m, out []int32) {
	C.vqs_adm_reciprocals((*C.int32_t)(unsafe.Pointer(&m[0])), (*C.int32_t)(unsafe.Pointer(&out[0])), C.size_t(len(m)))
}

// admRestored is the restored part of each t against o before enhancement, as the target in force computes it: for tests.
// len(o) is a multiple of 16.
func admRestored(scale int, o, t, r []int32) {
	C.vqs_adm_restored(C.int(scale), (*C.int32_t)(unsafe.Pointer(&o[0])), (*C.int32_t)(unsafe.Pointer(&t[0])),
		(*C.int32_t)(unsafe.Pointer(&r[0])), C.size_t(len(o)))
}
