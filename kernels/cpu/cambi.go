package cpu

// #include "cambi/cambi.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	_ "github.com/vqsd/vqsd/kernels/cpu/native/cambi" // what the entry points are linked from
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// ErrSampleRange is the error of a plane that holds samples of more bits than it says.
var ErrSampleRange = errors.New("sample exceeds its bit depth")

// CambiScratch is what CAMBI needs beside a picture, for one picture size and depth and a list of configurations: about 10 bytes a sample
// of the largest first scale. Not for concurrent use.
type CambiScratch struct {
	c                  *C.VqsCambi
	width, height, bpc int
	configs            []score.CambiConfig
	plane              C.VqsPlane
	sums               [score.CambiScales]C.uint64_t // where the kernel puts its results
	maps               [score.CambiScales]*C.uint16_t
	pinner             runtime.Pinner
}

// NewCambiScratch makes a scratch for luma planes of width × height samples (1 … 65536 each) and bpc bits per component (8 … 16), to be
// measured under any of configs, which [score.NewCambi] resolves. The caller closes it.
func NewCambiScratch(width, height, bpc int, configs []score.CambiConfig) (*CambiScratch, error) {
	s := &CambiScratch{width: width, height: height, bpc: bpc, configs: append([]score.CambiConfig(nil), configs...)}
	if width < 1 || width > 65536 || height < 1 || height > 65536 {
		return nil, fmt.Errorf("cambi: picture of %d×%d samples; width and height must be 1 … 65536", width, height)
	}
	if bpc < 8 || bpc > 16 {
		return nil, fmt.Errorf("cambi: %d bits per component; must be 8 … 16", bpc)
	}
	if len(configs) == 0 {
		return nil, errors.New("cambi: no configuration to measure under")
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	list := make([]C.VqsCambiConfig, len(configs))
	for i := range configs {
		cfg := &configs[i]
		if err := checkCambi(cfg); err != nil {
			return nil, fmt.Errorf("cambi: configuration %d: %w", i, err)
		}
		c := C.VqsCambiConfig{
			width: C.int32_t(cfg.Width), height: C.int32_t(cfg.Height), window: C.int32_t(cfg.Window),
			high_res: cBool(cfg.HighRes), anti_dither: cBool(cfg.AntiDither), contrasts: C.int32_t(cfg.Contrasts),
			dark_limit: C.int32_t(cfg.DarkLimit),
		}
		for d, v := range cfg.Visible {
			c.visible[d] = C.int32_t(v)
		}
		for scale := range c.pooled {
			c.pooled[scale] = C.uint64_t(cfg.Pooled(scale))
		}
		if cfg.Width != width || cfg.Height != height {
			c.columns = pinPositions(width, cfg.Width, &pinner)
			c.rows = pinPositions(height, cfg.Height, &pinner)
		}
		list[i] = c
	}
	switch C.vqs_cambi_new(C.int(width), C.int(height), C.int(bpc), &list[0], C.size_t(len(list)), &s.c) {
	case C.kVqsOk:
		return s, nil
	case C.kVqsNoMemory:
		return nil, fmt.Errorf("cambi: no memory for the scratch of a picture of %d×%d samples", width, height)
	}
	return nil, fmt.Errorf("cambi: configurations %+v do not fit pictures of %d×%d samples", configs, width, height)
}

// checkCambi refuses what the kernel cannot hold, and what would not survive the conversion to C.
func checkCambi(c *score.CambiConfig) error {
	var errs []error
	check := func(what string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s %d; must be %d … %d", what, v, low, high))
		}
	}
	check("width", c.Width, 1, 65536)
	check("height", c.Height, 1, 65536)
	check("window", c.Window, 1, 65)
	check("number of contrasts", c.Contrasts, 1, len(c.Visible))
	for d, v := range c.Visible {
		check(fmt.Sprintf("visibility of contrast %d", d+1), v, 0, 1023)
	}
	check("dark limit", c.DarkLimit, 0, 1023)
	if c.Window%2 == 0 {
		errs = append(errs, fmt.Errorf("window %d; must be odd", c.Window))
	}
	return errors.Join(errs...)
}

// pinPositions are the samples that a working size of out takes of in samples.
func pinPositions(in, out int, pinner *runtime.Pinner) *C.uint32_t {
	positions := score.CambiPositions(in, out)
	if positions == nil { // this direction is as it is
		positions = make([]uint32, out)
		for i := range positions {
			positions[i] = uint32(i)
		}
	}
	pinner.Pin(&positions[0])
	return (*C.uint32_t)(unsafe.Pointer(&positions[0]))
}

func cBool(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// Cambi measures the banding of a luma plane of the scratch's size and depth under configuration config, an index into those the scratch
// was made for.
//
// Errors: [ErrSampleRange] for a plane of 9 to 15 bits with larger samples.
// Source: spec/cambi.md.
func (s *CambiScratch) Cambi(p vmaf.Plane, config int, out *score.CambiSums) error {
	if err := s.prepare(p, config); err != nil {
		return err
	}
	defer s.pinner.Unpin()
	if status := C.vqs_cambi_sums(s.c, C.size_t(config), &s.plane, &s.sums[0]); status != C.kVqsOk {
		return s.statusError(status)
	}
	for scale, sum := range s.sums {
		out[scale] = uint64(sum)
	}
	return nil
}

// HeatMaps fills dst[scale] with where the plane bands at each scale: the c-values of the pixels, row by row without padding, as a share of
// the largest one possible, 65535. dst[scale] has as many elements as [score.CambiConfig.ScaleSize] has samples.
//
// Errors as [CambiScratch.Cambi].
// Source: spec/cambi.md §9.
func (s *CambiScratch) HeatMaps(p vmaf.Plane, config int, dst *[score.CambiScales][]uint16) error {
	if err := s.prepare(p, config); err != nil {
		return err
	}
	defer func() {
		s.pinner.Unpin()
		s.maps = [score.CambiScales]*C.uint16_t{} // C is not to be shown these addresses again
	}()
	for scale := range dst {
		width, height := s.configs[config].ScaleSize(scale)
		if len(dst[scale]) != width*height {
			return fmt.Errorf("cambi: heat map of scale %d has %d elements, want %d×%d", scale, len(dst[scale]), width, height)
		}
		s.pinner.Pin(&dst[scale][0])
		s.maps[scale] = (*C.uint16_t)(unsafe.Pointer(&dst[scale][0]))
	}
	if status := C.vqs_cambi_heat_maps(s.c, C.size_t(config), &s.plane, &s.maps[0]); status != C.kVqsOk {
		return s.statusError(status)
	}
	return nil
}

// prepare checks the arguments and pins p's samples; without an error the caller unpins them.
func (s *CambiScratch) prepare(p vmaf.Plane, config int) error {
	if s.c == nil {
		return errors.New("cambi: scratch is closed")
	}
	if config < 0 || config >= len(s.configs) {
		return fmt.Errorf("cambi: configuration %d of %d", config, len(s.configs))
	}
	if err := setPlane(&s.plane, p, s.width, s.height, s.bpc, &s.pinner); err != nil {
		return fmt.Errorf("cambi: %w", err)
	}
	return nil
}

func (s *CambiScratch) statusError(status C.int) error {
	if status == C.kVqsInvalid {
		return fmt.Errorf("cambi: %w: the plane is said to have %d bits", ErrSampleRange, s.bpc)
	}
	return fmt.Errorf("cambi: status %d", int(status))
}

// Close frees the scratch. It may be called again.
func (s *CambiScratch) Close() error {
	C.vqs_cambi_free(s.c)
	s.c = nil
	return nil
}

// cambiReciprocals is the kernel's table of reciprocals: for tests.
func cambiReciprocals() []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(C.vqs_cambi_reciprocals())), 65*65+1)
}

// cambiPool is the sum of the count largest of values, in 1/2^24, as the target in force finds it: for tests. It reorders the values.
func cambiPool(values []float32, count int) uint64 {
	return uint64(C.vqs_cambi_pool((*C.float)(unsafe.Pointer(&values[0])), C.size_t(len(values)), C.size_t(count)))
}
