package engine

import (
	"context"
	"errors"

	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// CPU is the [Extractor] of the processor: a frame a call, and a scratch for each worker.
type CPU struct {
	workers int
	*features
	pictures []score.CambiConfig // distinct configurations for which CAMBI scores a picture, reference or distorted
	cambiOf  [][]int             // by CAMBI extraction and rendition: index into pictures
	sourceOf []int               // by index into features.sources: index into pictures
	scratch  chan *cpuScratch    // the scratches that no call uses; one for each worker
}

// cpuScratch is what one worker needs. Nil parts are not asked for.
type cpuScratch struct {
	vif     *cpu.VIFScratch
	adm     *cpu.ADMScratch
	motion  *cpu.MotionScratch
	ssim    *cpu.SSIMScratch
	psnrHVS *cpu.PSNRHVSScratch
	ciede   *cpu.CIEDEScratch
	cambi   *cpu.CambiScratch
	speed   *cpu.SpeedScratch

	sums     gpu.Sums // of one frame: its pairs are numbered by present
	planes   []vmaf.Plane
	pictures []*vmaf.Picture
	present  []int               // rendition of each picture
	speeds   [][]score.SpeedSums // parts of sums.Speed: for as many pairs as there are
	cambiSum []score.CambiSums
	scored   []bool // by index into CPU.pictures: cambiSum is of the picture at hand
	figures  []float64
}

var _ Extractor = (*CPU)(nil)

// NewCPU makes the processor's extractor for pictures of one format and a list of extractions. encoded has, for each rendition, what it
// was encoded in. workers ≥ 1 is how many frames it measures at a time.
func NewCPU(format vmaf.Format, encoded []vmaf.Encoded, extractions []vmaf.Extraction, workers int) (*CPU, error) {
	if err := cpu.EnvironmentError(); err != nil {
		return nil, err
	}
	f, err := featuresOf(extractions, format, encoded)
	if err != nil {
		return nil, err
	}
	c := &CPU{workers: workers, features: f, scratch: make(chan *cpuScratch, workers)}
	for _, list := range f.cambiConfigs() {
		var indices []int
		for _, config := range list {
			indices = append(indices, indexOrAppend(&c.pictures, config))
		}
		c.cambiOf = append(c.cambiOf, indices)
	}
	for _, config := range f.sources {
		c.sourceOf = append(c.sourceOf, indexOrAppend(&c.pictures, config))
	}
	for range workers {
		s, err := c.newScratch(len(encoded))
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
	for _, part := range []struct {
		wanted bool
		open   func() error
	}{
		{len(c.gains) > 0, func() (err error) {
			s.vif, err = cpu.NewVIFScratch(f.Width, f.Height, f.BitsPerComponent, renditions)
			s.sums.VIF = rows[cpu.VIFSums](len(c.gains), renditions)
			return err
		}},
		{len(c.configs) > 0, func() (err error) {
			s.adm, err = cpu.NewADMScratch(f.Width, f.Height, f.BitsPerComponent, renditions, len(c.configs))
			s.sums.ADM = rows[cpu.ADMSums](len(c.configs), renditions)
			return err
		}},
		{len(c.motion) > 0, func() (err error) {
			s.motion, err = cpu.NewMotionScratch(f.Width, f.Height, f.BitsPerComponent)
			return err
		}},
		{c.planes > 0, func() error {
			s.sums.SSE = make([]score.SSESums, renditions)
			return nil
		}},
		{len(c.ssim)+len(c.msssim) > 0, func() (err error) {
			s.ssim, err = cpu.NewSSIMScratch(f.Width, f.Height, f.BitsPerComponent, renditions, c.scales, len(c.msssim) > 0)
			s.sums.SSIM = rows[score.SSIMSums](len(c.scales), renditions)
			if len(c.msssim) > 0 {
				s.sums.MSSSIM = make([]score.MSSSIMSums, renditions)
			}
			return err
		}},
		{len(c.psnrHVS) > 0, func() (err error) {
			s.psnrHVS, err = cpu.NewPSNRHVSScratch(f, renditions)
			s.sums.PSNRHVS = make([]score.PSNRHVSSums, renditions)
			return err
		}},
		{len(c.ciede) > 0, func() (err error) {
			s.ciede, err = cpu.NewCIEDEScratch(f, renditions)
			s.sums.CIEDE = make([]score.CIEDESums, renditions)
			return err
		}},
		{len(c.pictures) > 0, func() (err error) {
			s.cambi, err = cpu.NewCambiScratch(f.Width, f.Height, f.BitsPerComponent, c.pictures)
			s.sums.Cambi = rows[score.CambiSums](len(c.cambiOf), renditions)
			s.sums.CambiSource = rows[score.CambiSums](len(c.sourceOf), 1)
			s.cambiSum, s.scored = make([]score.CambiSums, len(c.pictures)), make([]bool, len(c.pictures))
			return err
		}},
		{len(c.speeds) > 0, func() (err error) {
			s.speed, err = cpu.NewSpeedScratch(f, renditions, c.speeds)
			s.sums.Speed = rows[score.SpeedSums](len(c.speeds), renditions)
			s.speeds = make([][]score.SpeedSums, len(c.speeds))
			return err
		}},
	} {
		if !part.wanted {
			continue
		}
		if err := part.open(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// rows are n slices of length elements.
func rows[T any](n, length int) [][]T {
	out := make([][]T, n)
	for i := range out {
		out[i] = make([]T, length)
	}
	return out
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
	if s.ssim != nil {
		errs = append(errs, s.ssim.Close())
	}
	if s.psnrHVS != nil {
		errs = append(errs, s.psnrHVS.Close())
	}
	if s.ciede != nil {
		errs = append(errs, s.ciede.Close())
	}
	if s.cambi != nil {
		errs = append(errs, s.cambi.Close())
	}
	if s.speed != nil {
		errs = append(errs, s.speed.Close())
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
	if err := c.reference(s, set, row); err != nil {
		return err
	}
	s.planes, s.pictures, s.present = s.planes[:0], s.pictures[:0], s.present[:0]
	for k, picture := range set.Distorted {
		switch {
		case picture == nil:
		case set.partial(k):
			if err := c.leftOut(s, set, k, row); err != nil {
				return err
			}
		default:
			s.planes = append(s.planes, picture.Planes[0])
			s.pictures = append(s.pictures, picture)
			s.present = append(s.present, k)
		}
	}
	if len(s.planes) == 0 {
		return nil
	}
	for i, picture := range s.pictures {
		if err := c.squaredErrors(set.Reference, picture, c.planes, &s.sums, i); err != nil {
			return err
		}
	}
	if err := c.compare(s, set.Reference); err != nil {
		return err
	}
	for p, k := range s.present {
		s.figures = c.pairFigures(row.Distorted[k], s.figures, &s.sums, place{pair: p, rendition: k}, false)
	}
	return nil
}

// reference measures what depends on the reference alone.
func (c *CPU) reference(s *cpuScratch, set *FrameSet, row *Row) error {
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
	return nil
}

// leftOut measures of a pair that subsampling leaves out what is formed of every pair.
func (c *CPU) leftOut(s *cpuScratch, set *FrameSet, k int, row *Row) error {
	planes := 0
	for _, e := range c.sse {
		if e.every {
			planes = max(planes, e.planes)
		}
	}
	if err := c.squaredErrors(set.Reference, set.Distorted[k], planes, &s.sums, 0); err != nil {
		return err
	}
	s.figures = c.pairFigures(row.Distorted[k], s.figures, &s.sums, place{rendition: k}, true)
	return nil
}

// squaredErrors sums those of the first planes of a pair.
func (c *CPU) squaredErrors(ref, dis *vmaf.Picture, planes int, sums *gpu.Sums, pair int) error {
	for i := range planes {
		width, height := c.format.Width, c.format.Height
		if i > 0 {
			width, height = c.format.MeasuredChroma()
		}
		sse, err := cpu.SSE(ref.Planes[i], dis.Planes[i], width, height, c.format.BitsPerComponent)
		if err != nil {
			return err
		}
		sums.SSE[pair][i] = sse
	}
	return nil
}

// compare measures everything else of the pairs that s lists.
func (c *CPU) compare(s *cpuScratch, ref *vmaf.Picture) error {
	if s.vif != nil {
		if err := s.vif.VIF(ref.Planes[0], s.planes, c.gains, s.sums.VIF); err != nil {
			return err
		}
	}
	if s.adm != nil {
		if err := s.adm.ADM(ref.Planes[0], s.planes, c.configs, s.sums.ADM); err != nil {
			return err
		}
	}
	if s.ssim != nil {
		if err := s.ssim.SSIM(ref.Planes[0], s.planes, s.sums.SSIM, s.sums.MSSSIM); err != nil {
			return err
		}
	}
	if s.psnrHVS != nil {
		if err := s.psnrHVS.PSNRHVS(ref, s.pictures, s.sums.PSNRHVS[:len(s.pictures)]); err != nil {
			return err
		}
	}
	if s.ciede != nil {
		if err := s.ciede.CIEDE(ref, s.pictures, s.sums.CIEDE[:len(s.pictures)]); err != nil {
			return err
		}
	}
	if s.speed != nil {
		for i, list := range s.sums.Speed {
			s.speeds[i] = list[:len(s.pictures)]
		}
		if err := s.speed.Speed(ref, s.pictures, s.speeds); err != nil {
			return err
		}
	}
	return c.banding(s, ref)
}

// banding scores each picture once under each configuration that anybody wants of it.
func (c *CPU) banding(s *cpuScratch, ref *vmaf.Picture) error {
	if s.cambi == nil {
		return nil
	}
	scored := func(picture vmaf.Plane, config int) (score.CambiSums, error) {
		if !s.scored[config] {
			if err := s.cambi.Cambi(picture, config, &s.cambiSum[config]); err != nil {
				return score.CambiSums{}, err
			}
			s.scored[config] = true
		}
		return s.cambiSum[config], nil
	}
	var err error
	clear(s.scored)
	for i, config := range c.sourceOf {
		if s.sums.CambiSource[i][0], err = scored(ref.Planes[0], config); err != nil {
			return err
		}
	}
	for p, k := range s.present {
		clear(s.scored)
		for i, list := range c.cambiOf {
			if s.sums.Cambi[i][p], err = scored(s.planes[p], list[k]); err != nil {
				return err
			}
		}
	}
	return nil
}
