package score

// #include "adm.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/vqsd/vqsd/vmaf"
)

// ADMSums are ADM's integer accumulators over one picture, by scale (0 … 3) and band (H, V, D). They are exact, so sums
// from any backend and any order of work are equal.
// Source: spec/adm.md §8, §10.
type ADMSums struct {
	Den [4][3]uint64 // of the reference alone
	Num [4][3]int64
	AIM [4][3]int64 // zero where it was not asked for
}

// ADMOptions are the effective options of the adm extractor. The zero value is not the default: start from [DefaultADMOptions] or
// [ADMOptionsOf].
type ADMOptions struct {
	GainLimit        float64 // adm_enhn_gain_limit, 1 … 100
	ViewDistance     float64 // adm_norm_view_dist in picture heights, 0.75 … 24
	DisplayHeight    int     // adm_ref_display_height in lines, 1 … 4320
	CSFMode          int     // adm_csf_mode, 0 … 3
	CSFScale         float64 // adm_csf_scale, 0 … 50, mode 1 only
	CSFDiagonalScale float64 // adm_csf_diag_scale, 0 … 50, mode 1 only
	NoiseWeight      float64 // adm_noise_weight, 0 … 1500
	DLMWeight        float64 // adm_dlm_weight, 0 … 1
	MinValue         float64 // adm_min_val, 0 … 1
	SkipAIM          bool    // adm_skip_aim
	SkipScale0       bool    // adm_skip_scale0
	Debug            bool    // debug
}

// DefaultADMOptions are the options of an extractor that is asked for by name alone.
func DefaultADMOptions() ADMOptions {
	return ADMOptions{
		GainLimit: 100, ViewDistance: 3, DisplayHeight: 1080,
		CSFScale: 1, CSFDiagonalScale: 1,
		NoiseWeight: 0.03125, DLMWeight: 0.5,
	}
}

// ADMOptionsOf reads the effective options of an adm extraction.
func ADMOptionsOf(e vmaf.Extraction) (ADMOptions, error) {
	if e.Extractor() != "adm" {
		return ADMOptions{}, fmt.Errorf("adm options of extractor %s", e.Extractor())
	}
	return ADMOptions{
		GainLimit:        e.Float("adm_enhn_gain_limit"),
		ViewDistance:     e.Float("adm_norm_view_dist"),
		DisplayHeight:    e.Int("adm_ref_display_height"),
		CSFMode:          e.Int("adm_csf_mode"),
		CSFScale:         e.Float("adm_csf_scale"),
		CSFDiagonalScale: e.Float("adm_csf_diag_scale"),
		NoiseWeight:      e.Float("adm_noise_weight"),
		DLMWeight:        e.Float("adm_dlm_weight"),
		MinValue:         e.Float("adm_min_val"),
		SkipAIM:          e.Bool("adm_skip_aim"),
		SkipScale0:       e.Bool("adm_skip_scale0"),
		Debug:            e.Bool("debug"),
	}, nil
}

// ErrADMDisplay is the error of options that leave ADM's contrast sensitivity undefined.
var ErrADMDisplay = errors.New("contrast sensitivity is not defined for these options")

// ADM turns sums into the figures of one option set. Make it with [NewADM].
type ADM struct {
	options ADMOptions
	c       C.VqsAdmOptions
	weights C.VqsAdmWeights
}

// NewADM computes the contrast sensitivities of an option set. The error is [ErrADMDisplay] and says which options are at
// odds.
// Source: spec/adm.md §2, §7.
func NewADM(o ADMOptions) (*ADM, error) {
	if o.ViewDistance*float64(o.DisplayHeight) < 3.0*1080 {
		return nil, fmt.Errorf("%w: adm_norm_view_dist × adm_ref_display_height must be at least 3240, is %g × %d",
			ErrADMDisplay, o.ViewDistance, o.DisplayHeight)
	}
	a := &ADM{options: o}
	a.c = C.VqsAdmOptions{
		view_distance: C.double(o.ViewDistance), display_height: C.int32_t(o.DisplayHeight), csf_mode: C.int32_t(o.CSFMode),
		csf_scale: C.double(o.CSFScale), csf_diagonal_scale: C.double(o.CSFDiagonalScale),
		noise_weight: C.double(o.NoiseWeight), dlm_weight: C.double(o.DLMWeight), min_value: C.double(o.MinValue),
	}
	if o.SkipScale0 {
		a.c.skip_scale0 = 1
	}
	switch C.vqs_adm_weights(&a.c, &a.weights) {
	case C.kVqsAdmNoDisplay:
		return nil, fmt.Errorf("%w: adm_csf_mode %d knows adm_ref_display_height at adm_norm_view_dist 1080 at 3 and 5, "+
			"2160 at 1.5, 3 and 5, 720 at 5; not %d at %g", ErrADMDisplay, o.CSFMode, o.DisplayHeight, o.ViewDistance)
	case C.kVqsAdmTooLarge:
		return nil, fmt.Errorf("%w: adm_csf_mode %d gives weights (scale 0: %g, %g; others up to %g) beyond what the integer "+
			"pipeline holds (below 0.03125, 0.0078125; 0.5); lower adm_csf_scale and adm_csf_diag_scale",
			ErrADMDisplay, o.CSFMode, a.weights.f[0][0], a.weights.f[0][1], a.largestWeight())
	}
	return a, nil
}

func (a *ADM) largestWeight() float32 {
	var largest float32
	for _, f := range a.weights.f[1:] {
		largest = max(largest, float32(f[0]), float32(f[1]))
	}
	return largest
}

// ADMWeights is [NewADM] for an extraction.
func ADMWeights(e vmaf.Extraction) (*ADM, error) {
	o, err := ADMOptionsOf(e)
	if err != nil {
		return nil, err
	}
	return NewADM(o)
}

// Options are the options that a was made from.
func (a *ADM) Options() ADMOptions { return a.options }

// ADMConfig is what the integer part of ADM has to know of an option set. Two sets that agree in it share one computation.
type ADMConfig struct {
	Gain    float64      // adm_enhn_gain_limit, 1 … 100
	Weights [4][2]uint32 // contrast sensitivities of scales 0 … 3, see [ADM.FixedWeights]
	AIM     bool         // sum the additive impairment too, which aim and adm3 need but adm2 does not
}

// Config is the configuration for the option set. A set that skips scale 0 needs nothing else here: its figures leave out the
// sums of that scale.
func (a *ADM) Config() ADMConfig {
	return ADMConfig{Gain: a.options.GainLimit, Weights: a.FixedWeights(), AIM: !a.options.SkipAIM}
}

// FixedWeights are the contrast sensitivities as the kernels take them: by scale, for bands H and V and for D. Scale 0
// is in Q21 and Q23, the others in Q32.
func (a *ADM) FixedWeights() [4][2]uint32 {
	return *(*[4][2]uint32)(unsafe.Pointer(&a.weights.fixed))
}

// Figures appends the figures of a frame of width × height samples to dst, in the order of [vmaf.Extraction.Raw]: adm2, aim,
// adm3, adm_scale0 … 3; with debug then adm, adm_num, adm_den, adm_num_scale0, adm_den_scale0 … .
//
// A reference without any detail, which needs a noise weight of 0, has nothing to lose: adm2 and the adm_scale are 1 and aim is
// 0 there.
// Source: spec/adm.md §8, §10, §11.
func (a *ADM) Figures(dst []float64, sums *ADMSums, width, height int) []float64 {
	var f C.VqsAdmFigures
	C.vqs_adm_figures(
		(*[3]C.uint64_t)(unsafe.Pointer(&sums.Den)),
		(*[3]C.int64_t)(unsafe.Pointer(&sums.Num)),
		(*[3]C.int64_t)(unsafe.Pointer(&sums.AIM)),
		&a.weights, &a.c, C.int(width), C.int(height), &f)
	dst = append(dst, float64(f.adm2), float64(f.aim), float64(f.adm3))
	for _, v := range f.scale {
		dst = append(dst, float64(v))
	}
	if a.options.Debug {
		dst = append(dst, float64(f.adm2), float64(f.num), float64(f.den))
		for s := range f.scale_num {
			dst = append(dst, float64(f.scale_num[s]), float64(f.scale_den[s]))
		}
	}
	return dst
}
