package cpu

// #include "speed/speed.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	_ "github.com/vqsd/vqsd/kernels/cpu/native/speed" // what the entry points are linked from
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// SpeedScratch is what [SpeedScratch.Speed] needs beside the pictures, for one format and list of option sets: about 0.5 MiB, and 300 bytes
// for each block of 80 × 80 chroma samples. Not for concurrent use.
type SpeedScratch struct {
	c                  *C.VqsSpeed
	width, height, bpc int
	renditions         int
	configs            int
	planes             []C.VqsPlane // of the reference, then of each rendition
	sums               []C.VqsSpeedSums
	pinners            []runtime.Pinner // one a picture: with more than a few pointers they allocate
}

// NewSpeedScratch makes a scratch for pictures of a format, up to a number of renditions (1 or more) at a time, and option sets of
// [score.NewSpeed]. The caller closes it. Errors are [score.ErrSpeed] for a format or options that SpEED has no value for.
func NewSpeedScratch(f vmaf.Format, renditions int, configs []score.SpeedConfig) (*SpeedScratch, error) {
	if renditions < 1 || len(configs) == 0 {
		return nil, fmt.Errorf("speed: %d renditions and %d configurations; must be 1 or more", renditions, len(configs))
	}
	if b := f.BitsPerComponent; b != 8 && b != 10 && b != 12 && b != 16 {
		return nil, fmt.Errorf("speed: %d bits per component; must be 8, 10, 12 or 16", b)
	}
	s := &SpeedScratch{
		bpc: f.BitsPerComponent, renditions: renditions, configs: len(configs),
		planes: make([]C.VqsPlane, 2*(1+renditions)), sums: make([]C.VqsSpeedSums, renditions*len(configs)),
		pinners: make([]runtime.Pinner, 1+renditions),
	}
	s.width, s.height = flooredChroma(f)
	plan, err := score.NewSpeedPlan(configs, s.width, s.height)
	if err != nil {
		return nil, fmt.Errorf("speed: %w", err)
	}
	var status C.int
	switch s.c, status = newSpeed(plan, s.width, s.height, s.bpc); status {
	case C.kVqsOk:
		return s, nil
	case C.kVqsNoMemory:
		return nil, fmt.Errorf("speed: no memory for the scratch of %v pictures", f)
	default:
		return nil, fmt.Errorf("speed: status %d", int(status))
	}
}

// newSpeed hands the plan to C, which copies it.
func newSpeed(plan *score.SpeedPlan, width, height, bpc int) (made *C.VqsSpeed, status C.int) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	floats := func(v []float32) *C.float {
		pinner.Pin(unsafe.SliceData(v))
		return (*C.float)(unsafe.SliceData(v))
	}
	axis := func(a score.SpeedAxis) C.VqsSpeedAxis {
		pinner.Pin(unsafe.SliceData(a.Index))
		return C.VqsSpeedAxis{index: (*C.int32_t)(unsafe.SliceData(a.Index)), weight: floats(a.Weight)}
	}
	filters := make([]C.VqsSpeedFilter, len(plan.Filters))
	for i, f := range plan.Filters {
		filters[i] = C.VqsSpeedFilter{
			width: C.int32_t(f.Width), height: C.int32_t(f.Height), points: C.int32_t(f.Points),
			taps: C.int32_t(len(f.AntiAlias)), mean_taps: C.int32_t(len(f.Mean)),
			anti_alias: floats(f.AntiAlias), mean: floats(f.Mean), columns: axis(f.Columns), rows: axis(f.Rows),
		}
	}
	entropies := make([]C.VqsSpeedEntropy, len(plan.Entropies))
	for i, e := range plan.Entropies {
		entropies[i] = C.VqsSpeedEntropy{filter: C.int32_t(e.Filter), sigma: C.float(e.SigmaNN)}
	}
	scores := make([]C.VqsSpeedScore, len(plan.Scores))
	for i, s := range plan.Scores {
		scores[i] = C.VqsSpeedScore{
			entropy: C.int32_t(s.Entropy), sigma: C.float(s.SigmaNN), floor: C.float(s.NNFloor), mode: C.int32_t(s.WeightVarMode),
		}
	}
	pinner.Pin(unsafe.SliceData(filters))
	pinner.Pin(unsafe.SliceData(entropies))
	pinner.Pin(unsafe.SliceData(scores))
	status = C.vqs_speed_new(&C.VqsSpeedPlan{
		width: C.int32_t(width), height: C.int32_t(height), bpc: C.int32_t(bpc),
		filters: C.int32_t(len(filters)), entropies: C.int32_t(len(entropies)), scores: C.int32_t(len(scores)),
		filter: unsafe.SliceData(filters), entropy: unsafe.SliceData(entropies), score: unsafe.SliceData(scores),
	}, &made)
	return made, status
}

// flooredChroma is the size of the chroma planes as libvmaf has them: an odd last row or column of luma has no chroma.
func flooredChroma(f vmaf.Format) (width, height int) {
	switch f.Subsampling {
	case vmaf.Chroma420:
		return f.Width / 2, f.Height / 2
	case vmaf.Chroma422:
		return f.Width / 2, f.Height
	case vmaf.Chroma444:
		return f.Width, f.Height
	}
	return 0, 0
}

// Speed compares the chroma planes of pictures with those of their reference and sets out[c][k], c being the configuration and k the picture.
// There may be fewer pictures than the scratch has room for. Chroma planes may have the odd last row and column of a size that was
// rounded up; it is not looked at.
// Source: spec/speed.md.
func (s *SpeedScratch) Speed(ref *vmaf.Picture, dis []*vmaf.Picture, out [][]score.SpeedSums) error {
	if s.c == nil {
		return errors.New("speed: scratch is closed")
	}
	if len(dis) > s.renditions {
		return fmt.Errorf("speed: %d pictures, room for %d", len(dis), s.renditions)
	}
	if len(out) != s.configs {
		return fmt.Errorf("speed: results for %d configurations, the scratch has %d", len(out), s.configs)
	}
	for i := range out {
		if len(out[i]) != len(dis) {
			return fmt.Errorf("speed: configuration %d: results for %d pictures, there are %d", i, len(out[i]), len(dis))
		}
	}
	if len(dis) == 0 {
		return nil
	}
	defer s.unpin()
	if err := s.setChroma(s.planes, ref, &s.pinners[0]); err != nil {
		return fmt.Errorf("speed: reference: %w", err)
	}
	for k, p := range dis {
		if err := s.setChroma(s.planes[2+2*k:], p, &s.pinners[1+k]); err != nil {
			return fmt.Errorf("speed: picture %d: %w", k, err)
		}
	}
	if status := C.vqs_speed(s.c, &s.planes[0], &s.planes[2], C.int(len(dis)), &s.sums[0]); status != C.kVqsOk {
		return fmt.Errorf("speed: status %d", int(status))
	}
	for i := range out {
		for k := range out[i] {
			sums := &s.sums[i*len(dis)+k]
			out[i][k] = score.SpeedSums{
				U: float32(sums.score[0]), V: float32(sums.score[1]),
				DegenerateU: sums.degenerate[0] != 0, DegenerateV: sums.degenerate[1] != 0,
			}
		}
	}
	return nil
}

func (s *SpeedScratch) unpin() {
	for i := range s.pinners {
		s.pinners[i].Unpin()
	}
	clear(s.planes) // a later call with fewer pictures must not show C the addresses of these
}

// setChroma describes the two chroma planes of a picture.
func (s *SpeedScratch) setChroma(c []C.VqsPlane, p *vmaf.Picture, pinner *runtime.Pinner) error {
	for i := range 2 {
		plane := p.Planes[1+i]
		if plane.Width < s.width || plane.Width > s.width+1 || plane.Height < s.height || plane.Height > s.height+1 {
			return fmt.Errorf("chroma plane %d has %dx%d samples, want %dx%d", i, plane.Width, plane.Height, s.width, s.height)
		}
		plane.Width, plane.Height = s.width, s.height
		if err := setPlane(&c[i], plane, s.width, s.height, s.bpc, pinner); err != nil {
			return fmt.Errorf("chroma plane %d: %w", i, err)
		}
	}
	return nil
}

// Close frees the scratch. It may be called again.
func (s *SpeedScratch) Close() error {
	C.vqs_speed_free(s.c)
	s.c = nil
	return nil
}
