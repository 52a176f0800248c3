package cpu

// #include "library.h"
// #include "psnrhvs/psnrhvs.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"

	_ "github.com/vqsd/vqsd/kernels/cpu/native/psnrhvs" // what vqs_psnrhvs_plane is linked from
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// PSNRHVSScratch is what [PSNRHVSScratch.PSNRHVS] needs beside the pictures, for one format: about 40 KiB. Not for concurrent use.
type PSNRHVSScratch struct {
	c      *C.VqsPsnrHvs
	format vmaf.Format
	planes []C.VqsPlane // of the reference and, from 1 on, of the distorted pictures
	sums   []C.float    // where the kernel puts its results
	pinner runtime.Pinner
}

// NewPSNRHVSScratch makes a scratch for pictures of f, which [score.CheckPSNRHVS] must allow, and up to renditions distorted ones a call. The
// caller closes it.
func NewPSNRHVSScratch(f vmaf.Format, renditions int) (*PSNRHVSScratch, error) {
	if err := score.CheckPSNRHVS(f); err != nil {
		return nil, err
	}
	if f.Width > 65536 || f.Height > 65536 {
		return nil, fmt.Errorf("psnr_hvs: pictures of %d×%d samples; width and height must be at most 65536", f.Width, f.Height)
	}
	if renditions < 1 {
		return nil, fmt.Errorf("psnr_hvs: %d renditions; must be at least 1", renditions)
	}
	s := &PSNRHVSScratch{format: f, planes: make([]C.VqsPlane, 1+renditions), sums: make([]C.float, renditions)}
	if status := C.vqs_psnrhvs_new(C.int(f.BitsPerComponent), &s.c); status != C.kVqsOk {
		return nil, errors.New("psnr_hvs: no memory for a scratch")
	}
	return s, nil
}

// PSNRHVS sets out[k] to the sums of dis[k] against ref, for each of the distorted pictures, of which there are as many as out is long and at
// most the scratch's renditions. The reference's part of the work is done once. Chroma planes may have the last column and row that odd luma
// sizes give them; it is not looked at.
// Source: spec/classic-metrics.md §5.
func (s *PSNRHVSScratch) PSNRHVS(ref *vmaf.Picture, dis []*vmaf.Picture, out []score.PSNRHVSSums) error {
	switch {
	case s.c == nil:
		return errors.New("psnr_hvs: scratch is closed")
	case len(dis) > len(s.sums):
		return fmt.Errorf("psnr_hvs: %d distorted pictures; the scratch is for %d", len(dis), len(s.sums))
	case len(out) != len(dis):
		return fmt.Errorf("psnr_hvs: room for the sums of %d distorted pictures, of which there are %d", len(out), len(dis))
	case len(dis) == 0:
		return nil
	}
	for p := range 3 {
		if err := s.plane(p, ref, dis, out); err != nil {
			return fmt.Errorf("psnr_hvs: %w", err)
		}
	}
	return nil
}

// plane is PSNRHVS of plane p.
func (s *PSNRHVSScratch) plane(p int, ref *vmaf.Picture, dis []*vmaf.Picture, out []score.PSNRHVSSums) error {
	defer func() {
		s.pinner.Unpin()
		clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
	}()
	width, height := score.PSNRHVSPlaneSize(s.format, p)
	set := func(to *C.VqsPlane, plane vmaf.Plane) error {
		if plane.Width < width || plane.Height < height {
			return fmt.Errorf("plane %d of %dx%d samples, want at least %dx%d", p, plane.Width, plane.Height, width, height)
		}
		plane.Width, plane.Height = width, height
		return setPlane(to, plane, width, height, s.format.BitsPerComponent, &s.pinner)
	}
	if err := set(&s.planes[0], ref.Planes[p]); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	for k, picture := range dis {
		if err := set(&s.planes[1+k], picture.Planes[p]); err != nil {
			return fmt.Errorf("distorted picture %d: %w", k, err)
		}
	}
	status := C.vqs_psnrhvs_plane(s.c, C.int(p), C.int(width), C.int(height), &s.planes[0], &s.planes[1], C.size_t(len(dis)), &s.sums[0])
	if status != C.kVqsOk {
		return fmt.Errorf("plane %d: status %d", p, int(status))
	}
	for k := range dis {
		out[k][p] = float32(s.sums[k])
	}
	return nil
}

// Close frees the scratch. It may be called again.
func (s *PSNRHVSScratch) Close() error {
	C.vqs_psnrhvs_free(s.c)
	s.c = nil
	return nil
}
