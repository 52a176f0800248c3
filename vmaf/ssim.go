package vmaf

import (
	"fmt"
	"math"
)

const (
	ssimWindow   = 11 // samples on a side
	msSSIMScales = 5
	msSSIMLeast  = ssimWindow << (msSSIMScales - 1) // 176: a window fits into the smallest scale
)

// ssimScale is by how much pictures are decimated. Source: spec/classic-metrics.md §3.1.
func ssimScale(e Extraction, f Format) int {
	if s := e.Int("scale"); s > 0 {
		return s
	}
	const unit = 256 // of the shorter side; halves round up, all exact
	return max(1, (min(f.Width, f.Height)+unit/2)/unit)
}

// fitSSIM requires that a window fits into the decimated picture. Source: spec/classic-metrics.md §3.2, §3.3.
func fitSSIM(e Extraction, c *formatCheck) {
	c.depth(8, 10, 12, 16)
	s, f := ssimScale(e, c.format), c.format
	// An odd width adds a column, whatever the scale.
	if f.Width/s+f.Width%2 < ssimWindow || f.Height/s+f.Height%2 < ssimWindow {
		c.tooSmall("pictures of at least %d×%d, as scale %d decimates them", ssimWindow*s, ssimWindow*s, s)
	}
}

// fitMSSSIM leaves the size to the table.
func fitMSSSIM(_ Extraction, c *formatCheck) { c.depth(8, 10, 12, 16) }

// msSSIMRaw are the means of the three factors of each scale.
func msSSIMRaw(Extraction) (names []string) {
	for _, factor := range []string{"l", "c", "s"} {
		for s := range msSSIMScales {
			names = append(names, fmt.Sprintf("%s%d", factor, s))
		}
	}
	return names
}

// ssimFigures are the score, as a ratio or in decibels, and if asked for the means of its factors. Source: spec/classic-metrics.md §3.4.
func ssimFigures(e Extraction, f Format) func(raw, out []float64) {
	score := decibels(e, f)
	return func(raw, out []float64) {
		out[0] = score(raw[0])
		copy(out[1:], raw[1:])
	}
}

// The exponents of the factors by scale, single precision constants widened. Source: spec/classic-metrics.md §4.
var (
	msSSIMLuminance = [msSSIMScales]float64{4: float64(float32(0.1333))}
	msSSIMContrast  = [msSSIMScales]float64{float64(float32(0.0448)), float64(float32(0.2856)), float64(float32(0.3001)),
		float64(float32(0.2363)), float64(float32(0.1333))}
)

// msSSIMFigures are the product of the factors' powers over all scales, and if asked for the factors. Where the structure of a scale is negative,
// the score is NaN. Source: spec/classic-metrics.md §4.
func msSSIMFigures(e Extraction, f Format) func(raw, out []float64) {
	score := decibels(e, f)
	return func(raw, out []float64) {
		l, c, s := raw[:msSSIMScales], raw[msSSIMScales:2*msSSIMScales], raw[2*msSSIMScales:]
		product := 1.0
		for i := range msSSIMScales {
			product = float64(product * (pow(l[i], msSSIMLuminance[i]) * pow(c[i], msSSIMContrast[i]) * pow(s[i], msSSIMContrast[i])))
		}
		out[0] = score(product)
		copy(out[1:], raw)
	}
}

// decibels is how the options have a similarity reported: as it is, or as −10·log10(1 − s), perhaps clipped.
func decibels(e Extraction, f Format) func(similarity float64) float64 {
	if !e.Bool("enable_db") {
		return func(similarity float64) float64 { return similarity }
	}
	most := math.Inf(1)
	if e.Bool("clip_db") {
		peak := float64(int(1)<<f.BitsPerComponent - 1)
		most = math.Ceil(10 * log10(peak*peak/(0.5/float64(f.Width*f.Height))))
	}
	return func(similarity float64) float64 { return lesser(-10*log10(1-similarity), most) }
}
