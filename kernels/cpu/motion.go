package cpu

// #include "motion.h"
// #include "targets.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vqsd/vqsd/vmaf"
)

// MotionScratch is what [MotionScratch.SAD] needs beside the pictures, for one picture size and depth: about 55 KiB plus
// four bytes a column. Not for concurrent use.
type MotionScratch struct {
	c                  *C.VqsMotion
	width, height, bpc int
	planes             [2]C.VqsPlane
	sad                C.uint64_t // where the kernel puts its result
	pinner             runtime.Pinner
}

// NewMotionScratch makes a scratch for luma planes of width × height samples (3 … 65536 each) and bpc bits per component
// (8 … 16). The caller closes it.
func NewMotionScratch(width, height, bpc int) (*MotionScratch, error) {
	s := &MotionScratch{width: width, height: height, bpc: bpc}
	// Checked here and again in C, where an int has fewer bits.
	if width < 3 || width > 65536 || height < 3 || height > 65536 {
		return nil, fmt.Errorf("motion: picture of %d×%d samples; width and height must be 3 … 65536", width, height)
	}
	if bpc < 8 || bpc > 16 {
		return nil, fmt.Errorf("motion: %d bits per component; must be 8 … 16", bpc)
	}
	if status := C.vqs_motion_new(C.int(width), C.int(height), C.int(bpc), &s.c); status != C.kVqsOk {
		return nil, fmt.Errorf("motion: no memory for the scratch of a picture of %d×%d samples", width, height)
	}
	return s, nil
}

// SAD is Σ|G ∗ (prev − cur)| over the plane: the differences of two luma planes of the reference, low-pass filtered, in
// units of 2^(bpc−16). Divided by 256·width·height it is the motion feature's raw score.
//
// Both planes have the scratch's size and depth, sample values below 2^bpc. Swapping them may change the sum a little:
// negative values round up at the half.
// Source: spec/motion.md §3.1.
func (s *MotionScratch) SAD(prev, cur vmaf.Plane) (uint64, error) {
	if s.c == nil {
		return 0, errors.New("motion: scratch is closed")
	}
	defer s.pinner.Unpin()
	if err := setPlane(&s.planes[0], prev, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return 0, fmt.Errorf("motion: previous picture: %w", err)
	}
	if err := setPlane(&s.planes[1], cur, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return 0, fmt.Errorf("motion: current picture: %w", err)
	}
	if status := C.vqs_motion_sad(s.c, &s.planes[0], &s.planes[1], &s.sad); status != C.kVqsOk {
		return 0, fmt.Errorf("motion: status %d", int(status))
	}
	return uint64(s.sad), nil
}

// Close frees the scratch. It may be called again.
func (s *MotionScratch) Close() error {
	C.vqs_motion_free(s.c)
	s.c = nil
	return nil
}
