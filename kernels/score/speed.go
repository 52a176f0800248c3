package score

import (
	"errors"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/vmaf"
)

// SpeedConfig is all that SpEED's figures depend on beside the pictures. Make it with [NewSpeed]. Source: spec/speed.md §2.
type SpeedConfig struct {
	KernelScale    float32 // speed_kernelscale, within 0.001 of one of [speedKernelScales]
	Prescale       float64 // speed_prescale, 0.1 … 4
	PrescaleMethod string  // nearest, bilinear, bicubic or lanczos4
	SigmaNN        float32 // speed_sigma_nn, 0.1 … 2
	NNFloor        float32 // speed_nn_floor, 0 … 1
	WeightVarMode  int     // speed_weight_var_mode, 0 … 6
}

// SpeedSums are the scores of the two chroma planes of a pair, and which of them are degenerate. Source: spec/speed.md §6.
type SpeedSums struct {
	U, V                     float32
	DegenerateU, DegenerateV bool
}

// ErrSpeed is the error of options or of a format for which SpEED chroma has no value.
var ErrSpeed = errors.New("speed_chroma is not defined")

// Speed turns scores of planes into the figures of one option set. Make it with [NewSpeed].
type Speed struct{ config SpeedConfig }

// NewSpeed reads the options of a speed_chroma extraction for pictures of a format. The error is [ErrSpeed] and says all that is wrong:
// options that have no meaning, and of the format its depth, missing chroma, or the least size.
// Source: spec/speed.md §2, §3.
func NewSpeed(e vmaf.Extraction, f vmaf.Format) (*Speed, error) {
	if e.Extractor() != "speed_chroma" {
		return nil, fmt.Errorf("speed_chroma options of extractor %s", e.Extractor())
	}
	c := SpeedConfig{
		KernelScale:    float32(e.Float("speed_kernelscale")),
		Prescale:       e.Float("speed_prescale"),
		PrescaleMethod: e.Text("speed_prescale_method"),
		SigmaNN:        float32(e.Float("speed_sigma_nn")),
		NNFloor:        float32(e.Float("speed_nn_floor")),
		WeightVarMode:  e.Int("speed_weight_var_mode"),
	}
	errs := []error{c.Validate()}
	switch f.BitsPerComponent {
	case 8, 10, 12, 16:
	default:
		errs = append(errs, fmt.Errorf("%w for %d bits per component; it must be 8, 10, 12 or 16", ErrSpeed, f.BitsPerComponent))
	}
	horizontal, vertical := 2, 2 // luma samples for one of chroma
	switch f.Subsampling {
	case vmaf.Chroma420:
	case vmaf.Chroma422:
		vertical = 1
	case vmaf.Chroma444:
		horizontal, vertical = 1, 1
	default:
		return nil, errors.Join(append(errs, fmt.Errorf("%w for %v pictures, which have no chroma", ErrSpeed, f.Subsampling))...)
	}
	if least := c.leastSide(); f.Width/horizontal < least || f.Height/vertical < least {
		errs = append(errs, fmt.Errorf("%w for pictures of %dx%d: with speed_prescale %g in %v it needs at least %dx%d", ErrSpeed,
			f.Width, f.Height, c.Prescale, f.Subsampling, horizontal*least, vertical*least))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Speed{c}, nil
}

// Config is what the kernels have to know of the option set.
func (s *Speed) Config() SpeedConfig { return s.config }

// Figures appends u, v and uv to dst: the scores of the planes and of the pair, which is their mean, or the other one where one plane alone
// is degenerate. They are not clipped.
// Source: spec/speed.md §7.
func (s *Speed) Figures(dst []float64, sums *SpeedSums) []float64 {
	both := sums.U + sums.V
	both = float32(float64(both) / 2)
	switch {
	case sums.DegenerateU && !sums.DegenerateV:
		both = sums.V
	case sums.DegenerateV && !sums.DegenerateU:
		both = sums.U
	}
	return append(dst, float64(sums.U), float64(sums.V), float64(both))
}

// speedKernelScales are the values that the option may have. Source: spec/speed.md §3.2.
var speedKernelScales = [...]float32{
	1, 1. / 2, 3. / 2, 2, 2. / 3, 2.4, 360. / 97, 4. / 3, 3.5 / 3, 3.75 / 3, 4.25 / 3, 5. / 3, 3, 1 / 2.25, 1.4746, 1.54, 1.6, 1.06667,
	0.711111, 0.740740, 1.111111,
}

// Validate says all that is wrong with a configuration; the errors are [ErrSpeed].
func (c SpeedConfig) Validate() error {
	var errs []error
	fault := func(format string, arguments ...any) {
		errs = append(errs, fmt.Errorf("%w for "+format, append([]any{ErrSpeed}, arguments...)...))
	}
	known := false
	for _, scale := range speedKernelScales {
		known = known || math.Abs(float64(c.KernelScale-scale)) < 1e-3
	}
	if !known {
		fault("speed_kernelscale %g; it must be one of %v", c.KernelScale, speedKernelScales)
	}
	if !(c.Prescale >= 0.1 && c.Prescale <= 4) {
		fault("speed_prescale %g; it must be 0.1 … 4", c.Prescale)
	}
	if speedPoints[c.PrescaleMethod] == 0 {
		fault("speed_prescale_method %q; it must be nearest, bilinear, bicubic or lanczos4", c.PrescaleMethod)
	}
	if !(c.SigmaNN >= 0.1 && c.SigmaNN <= 2) {
		fault("speed_sigma_nn %g; it must be 0.1 … 2", c.SigmaNN)
	}
	if !(c.NNFloor >= 0 && c.NNFloor <= 1) {
		fault("speed_nn_floor %g; it must be 0 … 1", c.NNFloor)
	}
	if c.WeightVarMode < 0 || c.WeightVarMode > 6 {
		fault("speed_weight_var_mode %d; it must be 0 … 6", c.WeightVarMode)
	}
	return errors.Join(errs...)
}
