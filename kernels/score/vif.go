package score

import (
	"fmt"

	"github.com/vqsd/vqsd/vmaf"
)

// VIFSums are VIF's integer accumulators over one picture at scales 0 … 3. They are exact, so sums from any backend and
// any order of work are equal. Source: spec/vif.md §5.
type VIFSums struct {
	NL [4]int64 // Σ log2(n2) − log2(n1), in 1/2048
	DL [4]int64 // Σ log2(s1 + σn²) − 17, in 1/2048; depends on the reference alone
	NV [4]int64 // Σ s2 over flat pixels, in 1/65536 of a squared 8-bit grey level
	C  [4]int64 // number of flat pixels; depends on the reference alone
}

// VIF turns sums into the figures of one option set. Make it with [NewVIF].
type VIF struct {
	gainLimit         float64
	skipScale0, debug bool
}

// NewVIF reads the options of a vif extraction.
func NewVIF(e vmaf.Extraction) (*VIF, error) {
	if e.Extractor() != "vif" {
		return nil, fmt.Errorf("%s is not a vif extraction", e)
	}
	return &VIF{
		gainLimit:  e.Float("vif_enhn_gain_limit"),
		skipScale0: e.Bool("vif_skip_scale0"),
		debug:      e.Bool("debug"),
	}, nil
}

// GainLimit is the upper limit of the gain, 1 … 100, which the sums depend on.
func (v *VIF) GainLimit() float64 { return v.gainLimit }

// vifNoDenominator is what a skipped scale 0 reports as its denominator.
const vifNoDenominator = -1.0

// Figures appends the figures of a frame to dst, in the order of [vmaf.Extraction.Raw]: vif_scale0 … 3; with debug then vif,
// vif_num, vif_den and num and den of each scale.
//
// Identical pictures score a little below 1. The figure of an empty plane would be NaN; backends refuse such sizes.
// Source: spec/vif.md §6.
func (v *VIF) Figures(dst []float64, sums *VIFSums) []float64 {
	var num, den [4]float32
	for s := range num {
		// One rounding to single precision at the end of each; the conversions keep the compiler from fusing.
		penalty := float64(float64(sums.NV[s])/16384) / 65025
		num[s] = float32(float64(float64(sums.NL[s])/2048) + float64(float64(sums.C[s])-penalty))
		den[s] = float32(float64(float64(sums.DL[s])/2048) + float64(sums.C[s]))
	}
	first := 0
	if v.skipScale0 {
		num[0], den[0], first = 0, vifNoDenominator, 1
	}
	for s := range num {
		score := 0.0
		if s >= first {
			score = float64(num[s] / den[s])
		}
		dst = append(dst, score)
	}
	if !v.debug {
		return dst
	}
	var totalNum, totalDen float64
	for s := first; s < 4; s++ {
		totalNum += float64(num[s])
		totalDen += float64(den[s])
	}
	total := 1.0
	if totalDen != 0 {
		total = totalNum / totalDen
	}
	dst = append(dst, total, totalNum, totalDen)
	for s := range num {
		dst = append(dst, float64(num[s]), float64(den[s]))
	}
	return dst
}
