//go:build cuda

package gpu

import (
	"errors"
	"fmt"
)

// The launch shape of kernels/cuda/motion.cu: a warp makes a piece of 124 columns × 32 rows, of which the first begins 2 columns
// before the picture.
const (
	motionPieceColumns = 124
	motionPieceRows    = 32
	motionThreads      = 256
	minMotionSize      = 3 // below, the mirror image of the filter leaves the picture
)

var motionKind = featureKind{
	name:     "motion",
	wanted:   func(p Plan) bool { return len(p.MotionDistances) > 0 },
	validate: motionValidate,
	bytes:    func(Plan) int64 { return 0 },
	words:    func(p Plan, frames, _ int) int { return frames * len(p.MotionDistances) },
	open:     func(d *Device, p Plan, _ *memory) (feature, error) { return newMotion(d, p) },
}

func motionValidate(p Plan) error {
	var errs []error
	fault := func(format string, arguments ...any) { errs = append(errs, fmt.Errorf(format, arguments...)) }
	if f := p.Format; min(f.Width, f.Height) < minMotionSize {
		fault("format %dx%d is too small for motion, which needs %dx%d", f.Width, f.Height, minMotionSize, minMotionSize)
	}
	seen := [3]bool{}
	for _, distance := range p.MotionDistances {
		switch {
		case distance < 1 || distance > 2:
			fault("motion distance of %d frames; must be 1 or 2", distance)
		case seen[distance]:
			fault("motion distance %d is there twice", distance)
		default:
			seen[distance] = true
		}
	}
	return errors.Join(errs...)
}

// motion sums the filtered differences of references at the plan's distances.
type motion struct {
	distances []int
	sad       *kernel
}

func newMotion(d *Device, p Plan) (feature, error) {
	k, err := d.kernel("motion", "vqs_motion_sad_"+sampleSuffix(p.Format.BytesPerSample() == 2))
	return &motion{p.MotionDistances, k}, err
}

func (m *motion) name() string { return "motion" }

// resultWords: a sum for each frame, distance after distance.
func (m *motion) resultWords(frames, _ int) int { return frames * len(m.distances) }

func (m *motion) launch(s *stream, b *batch, results uint64) error {
	across := (b.width + 2 + motionPieceColumns - 1) / motionPieceColumns
	pieces, warps := across*((b.height+motionPieceRows-1)/motionPieceRows), motionThreads/32
	grid := dim3{(pieces + warps - 1) / warps, 1, b.frames}
	for i, distance := range m.distances {
		err := s.launch(m.sad, grid, dim3{motionThreads, 1, 1}, b.referenceTable, b.frameTable,
			uint64(distance), uint64(b.width), uint64(b.height), results+uint64(i*b.frames*8))
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *motion) collect(words []uint64, b *batch, out *Sums) {
	for i, distance := range m.distances {
		for f := range b.frames {
			out.Motion[f][distance-1] = words[i*b.frames+f]
		}
	}
}

func (m *motion) close() error { return nil }
