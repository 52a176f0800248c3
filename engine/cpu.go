package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// CPU is the [Extractor] of the processor: a frame a call, and a scratch for each worker.
type CPU struct {
	format  vmaf.Format
	workers int
	columns Columns
	vif     []cpuVIF
	adm     []cpuADM
	motion  []cpuMotion

	// Option sets that the kernels see: several extractions may share one.
	gains   []float64
	configs []cpu.ADMConfig

	scratch chan *cpuScratch // the scratches that no call uses; one for each worker
}

// cpuVIF, cpuADM and cpuMotion are extractions with the place of their figures and the option set they share.
type cpuVIF struct {
	score  *score.VIF
	offset int
	gain   int // index into CPU.gains
}
type cpuADM struct {
	score  *score.ADM
	offset int
	config int // index into CPU.configs
}
type cpuMotion struct {
	offset   int
	distance int // 1 or 2
	zero     bool
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
	c := &CPU{
		format:  format,
		workers: workers,
		columns: ColumnsOf(extractions),
		scratch: make(chan *cpuScratch, workers),
	}
	for i, e := range extractions {
		if err := c.add(e, c.columns.Offset[i]); err != nil {
			return nil, err
		}
	}
	for range workers {
		s, err := c.newScratch(renditions)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.scratch <- s
	}
	return c, nil
}

func (c *CPU) add(e vmaf.Extraction, offset int) error {
	switch e.Extractor() {
	case "vif":
		v, err := score.NewVIF(e)
		if err != nil {
			return err
		}
		c.vif = append(c.vif, cpuVIF{score: v, offset: offset, gain: indexOrAppend(&c.gains, v.GainLimit())})
	case "adm":
		a, err := score.ADMWeights(e)
		if err != nil {
			return err
		}
		c.adm = append(c.adm, cpuADM{score: a, offset: offset, config: c.addConfig(a.Config())})
	case "motion":
		m := cpuMotion{offset: offset, distance: e.Halo(), zero: e.Bool("motion_force_zero")}
		c.motion = append(c.motion, m)
	default:
		return fmt.Errorf("the CPU has no extractor %q", e.Extractor())
	}
	return nil
}

// addConfig shares a configuration between extractions that differ only in whether the additive impairment is wanted.
func (c *CPU) addConfig(config cpu.ADMConfig) int {
	for i := range c.configs {
		with := c.configs[i]
		with.AIM = config.AIM
		if with == config {
			c.configs[i].AIM = c.configs[i].AIM || config.AIM
			return i
		}
	}
	c.configs = append(c.configs, config)
	return len(c.configs) - 1
}

func indexOrAppend(list *[]float64, v float64) int {
	if i := slices.Index(*list, v); i >= 0 {
		return i
	}
	*list = append(*list, v)
	return len(*list) - 1
}

func (c *CPU) newScratch(renditions int) (s *cpuScratch, err error) {
	f := c.format
	s = &cpuScratch{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if len(c.vif) > 0 {
		if s.vif, err = cpu.NewVIFScratch(f.Width, f.Height, f.BitsPerComponent, renditions); err != nil {
			return nil, err
		}
		s.vifSums = make([][]cpu.VIFSums, len(c.gains))
		for i := range s.vifSums {
			s.vifSums[i] = make([]cpu.VIFSums, renditions)
		}
	}
	if len(c.adm) > 0 {
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
		for _, v := range c.vif {
			s.figures = v.score.Figures(s.figures[:0], &s.vifSums[v.gain][p])
			copy(row.Distorted[k][v.offset:], s.figures)
		}
		for _, a := range c.adm {
			s.figures = a.score.Figures(s.figures[:0], &s.admSums[a.config][p], c.format.Width, c.format.Height)
			copy(row.Distorted[k][a.offset:], s.figures)
		}
	}
	return nil
}
