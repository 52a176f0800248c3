package vmaf

import (
	"fmt"
	"math"
	"slices"
)

// speedKernelScales are those that SpEED has kernels for. Source: spec/speed.md §3.2.
var speedKernelScales = [...]float32{
	1, 1. / 2, 3. / 2, 2, 2. / 3, 2.4, 360. / 97, 4. / 3, 3.5 / 3, 3.75 / 3, 4.25 / 3, 5. / 3, 3, 1 / 2.25,
	1.4746, 1.54, 1.6, 1.06667, 0.711111, 0.740740, 1.111111,
}

// checkSpeed refuses kernel scales that there are no kernels for.
func checkSpeed(e Extraction) error {
	scale := float32(e.Float("speed_kernelscale"))
	near := func(known float32) bool { return math.Abs(float64(scale-known)) < 1e-3 }
	if !slices.ContainsFunc(speedKernelScales[:], near) {
		return fmt.Errorf("%w: speed_kernelscale %s is none of %v, to a thousandth", ErrOptionValue, formatG(e.Float("speed_kernelscale")), speedKernelScales)
	}
	return nil
}

// fitSpeed requires chroma planes that leave a block of 5×5 samples after prescaling and decimation by 16. Source: spec/speed.md §3.1.
func fitSpeed(e Extraction, c *formatCheck) {
	c.depth(8, 10, 12, 16)
	const least = 5 * 16
	prescale := e.Float("speed_prescale")
	side := int(least/prescale) - 1
	for int(float64(float64(side)*prescale)+0.5) < least {
		side++
	}
	c.chroma(side, side)
}

// speedFigures clips the scores. Source: spec/speed.md §7.
func speedFigures(e Extraction, _ Format) func(raw, out []float64) {
	most := e.Float("speed_max_val")
	return func(raw, out []float64) {
		for k, v := range raw {
			out[k] = lesser(v, most)
		}
	}
}
