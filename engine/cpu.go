package engine

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// CPU is the [Extractor] of the processor: a frame a call, and a scratch for each worker.
type CPU struct {
	format  vmaf.Format
	workers int
	*features
	scratch chan *cpuScratch // the scratches that no call uses; one for each worker
}

// cpuScratch is what one worker needs. Nil parts are not asked for.
type cpuScratch struct {
	vif     *cpu.VIFScratch
	adm     *cpu.ADMScratch
	motion  *cpu.MotionScratch
	vifSums [][]cpu.VIFSums // [gain][picture]
	admSums [][]cpu.ADMSums // [config][picture]
	planes  []vmaf.Plane
	present []int // rendition of each plane
	figures []float64
}

var _ Extractor = (*CPU)(nil)

// NewCPU makes the processor's extractor for pictures of one format, a number of renditions and a list of extractions.
// workers ≥ 1 is how many frames it measures at a time.
func NewCPU(format vmaf.Format, renditions int, extractions []vmaf.Extraction, workers int) (*CPU, error) {
	if err := cpu.EnvironmentError(); err != nil {
		return nil, err
	}
	f, err := featuresOf(extractions)
	if err != nil {
		return nil, err
	}
	c := &CPU{format: format, workers: workers, features: f, scratch: make(chan *cpuScratch, workers)}
	for range workers {
		s, err := c.newScratch(renditions)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.scratch <- s
	}
	return c, nil
}

func (c *CPU) newScratch(renditions int) (s *cpuScratch, err error) {
	f := c.format
	s = &cpuScratch{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if len(c.gains) > 0 {
		if s.vif, err = cpu.NewVIFScratch(f.Width, f.Height, f.BitsPerComponent, renditions); err != nil {
			return nil, err
		}
		s.vifSums = make([][]cpu.VIFSums, len(c.gains))
		for i := range s.vifSums {
			s.vifSums[i] = make([]cpu.VIFSums, renditions)
		}
	}
	if len(c.configs) > 0 {
		if s.adm, err = cpu.NewADMScratch(f.Width, f.Height, f.BitsPerComponent, renditions, len(c.configs)); err != nil {
			return nil, err
		}
		s.admSums = make([][]cpu.ADMSums, len(c.configs))
		for i := range s.admSums {
			s.admSums[i] = make([]cpu.ADMSums, renditions)
		}
	}
	if len(c.motion) > 0 {
		if s.motion, err = cpu.NewMotionScratch(f.Width, f.Height, f.BitsPerComponent); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *cpuScratch) close() error {
	var errs []error
	if s.vif != nil {
		errs = append(errs, s.vif.Close())
	}
	if s.adm != nil {
		errs = append(errs, s.adm.Close())
	}
	if s.motion != nil {
		errs = append(errs, s.motion.Close())
	}
	return errors.Join(errs...)
}

// BatchFrames is 1: a frame is work enough for a thread.
func (c *CPU) BatchFrames() int { return 1 }

// Workers is the number of frames measured at a time.
func (c *CPU) Workers() int { return c.workers }

// Describe names the vector target in force.
func (c *CPU) Describe() string { return cpuBackend() }

func cpuBackend() string { return "cpu (" + cpu.Target() + ")" }

// Close frees the scratches.
func (c *CPU) Close() error {
	var errs []error
	for {
		select {
		case s := <-c.scratch:
			errs = append(errs, s.close())
		default:
			return errors.Join(errs...)
		}
	}
}

// Extract measures each set on the calling goroutine.
func (c *CPU) Extract(ctx context.Context, sets []FrameSet, rows []Row) error {
	var s *cpuScratch
	select {
	case s = <-c.scratch:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.scratch <- s }()
	for i := range sets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.extract(s, &sets[i], &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *CPU) extract(s *cpuScratch, set *FrameSet, row *Row) error {
	ref := set.Reference.Planes[0]
	for _, m := range c.motion {
		sad := uint64(0)
		if prev := set.Previous[m.distance-1]; prev != nil && !m.zero {
			var err error
			if sad, err = s.motion.SAD(prev.Planes[0], ref); err != nil {
				return err
			}
		}
		row.Reference[m.offset] = float64(sad) // exact: below 2^53 for any picture that fits memory
	}
	s.planes, s.present = s.planes[:0], s.present[:0]
	for k, picture := range set.Distorted {
		if picture != nil {
			s.planes = append(s.planes, picture.Planes[0])
			s.present = append(s.present, k)
		}
	}
	if len(s.planes) == 0 {
		return nil
	}
	if s.vif != nil {
		if err := s.vif.VIF(ref, s.planes, c.gains, s.vifSums); err != nil {
			return err
		}
	}
	if s.adm != nil {
		if err := s.adm.ADM(ref, s.planes, c.configs, s.admSums); err != nil {
			return err
		}
	}
	for p, k := range s.present {
		s.figures = c.pairFigures(row.Distorted[k], s.figures, c.format,
			func(gain int) *cpu.VIFSums { return &s.vifSums[gain][p] },
			func(config int) *cpu.ADMSums { return &s.admSums[config][p] })
	}
	return nil
}
