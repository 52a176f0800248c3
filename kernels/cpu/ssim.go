package cpu

// #include "plane.h"
// #include "ssim/ssim.h"
// #include "targets.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	// What the entry points of this file are linked from.
	_ "github.com/vqsd/vqsd/kernels/cpu/native/ssim"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// The largest size that SSIM and MS-SSIM take, in samples each way.
const maxSSIMSize = 65536

// SSIMScratch owns what structural similarity needs for pictures of one size and depth beside the pictures. Make one per goroutine.
type SSIMScratch struct {
	c                  *C.VqsSsim
	width, height, bpc int
	renditions         int
	// For each scale that was asked for, and for each level of MS-SSIM if it was, which pass of the kernel has its sums.
	scales, levels []int
	planes         []C.VqsPlane
	sums           []C.VqsSsimSums // by pass and rendition
	pinner         runtime.Pinner
}

// NewSSIMScratch allocates for pictures of width × height luma samples of bpc bits (8, 10, 12 or 16) and up to renditions distorted pictures
// a call. scales are the factors of decimation at which SSIM is to be summed, 1 … 256 each; multiscale asks for MS-SSIM too, whose level 0
// is no work beside a scale of 1. One of them there must be. Close it.
//
// The error names each scale that leaves less than 11×11 samples, and a picture below MS-SSIM's 176×176.
func NewSSIMScratch(width, height, bpc, renditions int, scales []int, multiscale bool) (*SSIMScratch, error) {
	f := vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc}
	var errs []error
	for _, scale := range scales {
		errs = append(errs, score.CheckSSIM(f, scale))
	}
	if multiscale {
		errs = append(errs, score.CheckMSSSIM(f))
	}
	if len(scales) == 0 && !multiscale {
		errs = append(errs, errors.New("ssim of no scale"))
	}
	if max(width, height) > maxSSIMSize {
		errs = append(errs, fmt.Errorf("picture of %dx%d is too large for ssim, which takes up to %dx%d", width, height, maxSSIMSize, maxSSIMSize))
	}
	if renditions < 1 {
		errs = append(errs, fmt.Errorf("ssim needs at least one distorted picture, not %d", renditions))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s := &SSIMScratch{width: width, height: height, bpc: bpc, renditions: renditions}
	passes := s.plan(f, scales, multiscale)
	s.planes = make([]C.VqsPlane, 1+renditions)
	s.sums = make([]C.VqsSsimSums, len(passes)*renditions)
	s.c = C.vqs_ssim_new(C.size_t(width), C.size_t(height), C.int(bpc), C.size_t(renditions), &passes[0], C.size_t(len(passes)))
	if s.c == nil {
		return nil, fmt.Errorf("no memory for ssim of %dx%d pictures with %d renditions", width, height, renditions)
	}
	return s, nil
}

// plan lists the kernel's passes, each once, levels last.
func (s *SSIMScratch) plan(f vmaf.Format, scales []int, multiscale bool) []C.VqsSsimPass {
	var passes []C.VqsSsimPass
	pass := func(scale, level, width, height int) int {
		p := C.VqsSsimPass{scale: C.int32_t(scale), level: C.int32_t(level), fraction: C.int32_t(score.SSIMFraction(width, height))}
		i := slices.Index(passes, p)
		if i < 0 {
			i = len(passes)
			passes = append(passes, p)
		}
		return i
	}
	for _, scale := range scales {
		width, height := score.SSIMDecimated(f.Width, f.Height, scale)
		s.scales = append(s.scales, pass(scale, 0, width, height))
	}
	for level := range score.MSSSIMLevels {
		if multiscale {
			width, height := score.MSSSIMSize(f.Width, f.Height, level)
			s.levels = append(s.levels, pass(1, level, width, height))
		}
	}
	return passes
}

// SSIM compares each picture of dis, at most as many as the scratch has room for, with ref. out has the sums of each scale by picture, and
// ms those of MS-SSIM by picture where it was asked for. All planes have the scratch's size and depth, sample values below 2^bpc.
// Source: spec/classic-metrics.md §3, §4.
func (s *SSIMScratch) SSIM(ref vmaf.Plane, dis []vmaf.Plane, out [][]score.SSIMSums, ms []score.MSSSIMSums) error {
	switch {
	case s.c == nil:
		return errors.New("ssim: scratch is closed")
	case len(dis) > s.renditions:
		return fmt.Errorf("ssim: %d distorted pictures in a scratch for %d", len(dis), s.renditions)
	case len(out) != len(s.scales):
		return fmt.Errorf("ssim: room for the sums of %d scales of %d", len(out), len(s.scales))
	case len(s.levels) > 0 && len(ms) < len(dis):
		return fmt.Errorf("ssim: room for the multi-scale sums of %d pictures of %d", len(ms), len(dis))
	}
	for i := range out {
		if len(out[i]) < len(dis) {
			return fmt.Errorf("ssim: room for the sums of %d pictures of %d", len(out[i]), len(dis))
		}
	}
	if len(dis) == 0 {
		return nil
	}
	defer func() {
		s.pinner.Unpin()
		clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
	}()
	if err := setPlane(&s.planes[0], ref, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return fmt.Errorf("ssim: reference: %w", err)
	}
	for k := range dis {
		if err := setPlane(&s.planes[1+k], dis[k], s.width, s.height, s.bpc, &s.pinner); err != nil {
			return fmt.Errorf("ssim: distorted %d: %w", k, err)
		}
	}
	status := C.vqs_ssim(s.c, &s.planes[0], &s.planes[1], C.size_t(len(dis)), &s.sums[0])
	if status != C.kVqsOk {
		return fmt.Errorf("ssim of %dx%d pictures: status %d", s.width, s.height, int(status))
	}
	for k := range dis {
		for i, pass := range s.scales {
			out[i][k] = *(*score.SSIMSums)(unsafe.Pointer(&s.sums[pass*len(dis)+k]))
		}
		for level, pass := range s.levels {
			sums := *(*score.SSIMSums)(unsafe.Pointer(&s.sums[pass*len(dis)+k]))
			sums.Total = 0
			ms[k][level] = sums
		}
	}
	return nil
}

// The two structures are the same memory.
var _ [unsafe.Sizeof(score.SSIMSums{})]byte = [unsafe.Sizeof(C.VqsSsimSums{})]byte{}

// Close frees the scratch. It may be called again.
func (s *SSIMScratch) Close() error {
	C.vqs_ssim_free(s.c)
	s.c = nil
	return nil
}
