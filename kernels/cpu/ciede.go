package cpu

// #include "ciede/ciede.h"
// #include "library.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"

	_ "github.com/vqsd/vqsd/kernels/cpu/native/ciede" // what vqs_ciede is linked from
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// CIEDEScratch is what [CIEDEScratch.CIEDE] needs beside the pictures, for one format: some 30 bytes a column. Not for concurrent use.
type CIEDEScratch struct {
	c      *C.VqsCiede
	format vmaf.Format
	planes []C.VqsPlane     // Y, Cb, Cr of the reference and, from 3 on, of the distorted pictures
	sums   []C.VqsCiedeSums // where the kernel puts its results
	// One for each picture: a pinner has room for five pointers, and allocates for more.
	pinners []runtime.Pinner
}

// NewCIEDEScratch makes a scratch for pictures of f, which [score.CheckCIEDE] must allow, and up to renditions distorted ones a call. The
// caller closes it.
func NewCIEDEScratch(f vmaf.Format, renditions int) (*CIEDEScratch, error) {
	if err := score.CheckCIEDE(f); err != nil {
		return nil, err
	}
	if renditions < 1 {
		return nil, fmt.Errorf("ciede: %d renditions; must be at least 1", renditions)
	}
	s := &CIEDEScratch{
		format: f, planes: make([]C.VqsPlane, 3*(1+renditions)), sums: make([]C.VqsCiedeSums, renditions), pinners: make([]runtime.Pinner, 1+renditions),
	}
	layout := map[vmaf.Subsampling]C.int{vmaf.Chroma420: C.kVqsCiede420, vmaf.Chroma422: C.kVqsCiede422, vmaf.Chroma444: C.kVqsCiede444}[f.Subsampling]
	if status := C.vqs_ciede_new(C.int(f.Width), C.int(f.Height), C.int(f.BitsPerComponent), layout, &s.c); status != C.kVqsOk {
		return nil, fmt.Errorf("ciede: no memory for the scratch of pictures of %d columns", f.Width)
	}
	return s, nil
}

// CIEDE sets out[k] to the colour differences of dis[k] from ref, for each of the distorted pictures, of which there are as many as out is long
// and at most the scratch's renditions. L*a*b* of the reference is made once. Sample values are below 2^bpc. Chroma planes may have the last
// column and row that odd luma sizes give them: they are not looked at, and the last pixels have the chroma of those before.
//
// In 4:2:2 pictures, pixels are given the chroma that the reference implementation gives them, which is not theirs.
// Source: spec/classic-metrics.md §6.
func (s *CIEDEScratch) CIEDE(ref *vmaf.Picture, dis []*vmaf.Picture, out []score.CIEDESums) error {
	switch {
	case s.c == nil:
		return errors.New("ciede: scratch is closed")
	case len(dis) > len(s.sums):
		return fmt.Errorf("ciede: %d distorted pictures; the scratch is for %d", len(dis), len(s.sums))
	case len(out) != len(dis):
		return fmt.Errorf("ciede: room for the sums of %d distorted pictures, of which there are %d", len(out), len(dis))
	case len(dis) == 0:
		return nil
	}
	defer s.unpin()
	if err := s.set(0, ref); err != nil {
		return fmt.Errorf("ciede: reference: %w", err)
	}
	for k, picture := range dis {
		if err := s.set(1+k, picture); err != nil {
			return fmt.Errorf("ciede: distorted picture %d: %w", k, err)
		}
	}
	if status := C.vqs_ciede(s.c, &s.planes[0], &s.planes[3], C.int(len(dis)), &s.sums[0]); status != C.kVqsOk {
		return fmt.Errorf("ciede: status %d", int(status))
	}
	for k := range dis {
		out[k] = score.NewCIEDESums(uint64(s.sums[k].whole), uint64(s.sums[k].fraction))
	}
	return nil
}

func (s *CIEDEScratch) unpin() {
	for i := range s.pinners {
		s.pinners[i].Unpin()
	}
	clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
}

// set describes picture i, of which 0 is the reference, to the kernel.
func (s *CIEDEScratch) set(i int, picture *vmaf.Picture) error {
	for p, plane := range picture.Planes {
		width, height := s.format.Width, s.format.Height
		if p > 0 {
			width, height = s.format.MeasuredChroma()
		}
		if plane.Width < width || plane.Height < height {
			return fmt.Errorf("plane %d of %dx%d samples, want at least %dx%d", p, plane.Width, plane.Height, width, height)
		}
		plane.Width, plane.Height = width, height
		if err := setPlane(&s.planes[3*i+p], plane, width, height, s.format.BitsPerComponent, &s.pinners[i]); err != nil {
			return fmt.Errorf("plane %d: %w", p, err)
		}
	}
	return nil
}

// Close frees the scratch. It may be called again.
func (s *CIEDEScratch) Close() error {
	C.vqs_ciede_free(s.c)
	s.c = nil
	return nil
}
