package vmaf

import "fmt"

// motionOptions are motion's options, read once per series. The letters are those of spec/motion.md §1.
type motionOptions struct {
	distance      int     // d: 1, or 2 with the five-frame window
	forceZero     bool    //
	blendFactor   float64 // β
	blendOffset   float64 // ω
	fpsWeight     float64 // φ
	maxVal        float64 // M
	movingAverage bool
}

func (e Extraction) motionOptions() motionOptions {
	return motionOptions{
		distance:      e.Halo(),
		forceZero:     e.Bool("motion_force_zero"),
		blendFactor:   e.Float("motion_blend_factor"),
		blendOffset:   e.Float("motion_blend_offset"),
		fpsWeight:     e.Float("motion_fps_weight"),
		maxVal:        e.Float("motion_max_val"),
		movingAverage: e.Bool("motion_moving_average"),
	}
}

// motionRawKey tells the temporal distance, which is all that motion's sums depend on.
func motionRawKey(e Extraction) string {
	switch {
	case e.Bool("motion_force_zero"):
		return "motion_force_0"
	case e.Halo() == 2:
		return "motion_mffw"
	}
	return "motion"
}

// assembleMotion forms motion's series from the raw sums of absolute differences of all frames.
func assembleMotion(e Extraction, raw [][]float64, f Format, frames int) [][]float64 {
	o := e.motionOptions()
	sad := o.scores(raw[0][:frames], f.Width, f.Height)
	motion2 := o.motion2(sad)
	columns := make([][]float64, 0, 4)
	for _, out := range e.outputs() {
		switch out.stored {
		case "VMAF_integer_feature_motion_sad_score", "VMAF_integer_feature_motion_score":
			columns = append(columns, sad)
		case "VMAF_integer_feature_motion2_score":
			columns = append(columns, motion2)
		case "VMAF_integer_feature_motion3_score":
			columns = append(columns, o.motion3(sad, motion2))
		default:
			panic(fmt.Sprintf("vmaf: motion does not report %s", out.stored))
		}
	}
	return columns
}

// scores are the per-frame scores of the raw sums, in 8-bit grey levels. Source: spec/motion.md §3.2.
func (o motionOptions) scores(raw []float64, width, height int) []float64 {
	area := float64(uint32(width) * uint32(height))
	sad := make([]float64, len(raw))
	if o.forceZero {
		return sad
	}
	for i := o.distance; i < len(raw); i++ {
		q := raw[i] / 256.0
		q = q / area
		q = q * o.fpsWeight
		sad[i] = lesser(q, o.maxVal)
	}
	return sad
}

// motion2 is the smaller of the differences to both neighbours. Source: spec/motion.md §4.1.
func (o motionOptions) motion2(sad []float64) []float64 {
	motion2 := make([]float64, len(sad))
	last := len(sad) - 1
	d := o.distance
	for i := d; i <= last; i++ {
		switch {
		case i == last:
			motion2[i] = sad[i]
		case i-(d-1) < d: // the earlier neighbour has no score yet
			motion2[i] = sad[i+1]
		default:
			motion2[i] = lesser(sad[i-(d-1)], sad[i+1])
		}
	}
	return motion2
}

// motion3 is motion2 blended and clipped, its first frames filled with the first score there is. Source: spec/motion.md §4.2.
func (o motionOptions) motion3(sad, motion2 []float64) []float64 {
	process := func(x float64) float64 {
		blended := float64(x*o.blendFactor) + float64((1-o.blendFactor)*lesser(o.blendOffset, x))
		return lesser(blended, o.maxVal)
	}
	stamp := 0.0
	if len(sad) > o.distance {
		stamp = process(sad[o.distance]) // from the score, not from motion2
	}
	motion3 := make([]float64, len(sad))
	previous := 0.0
	for i := range motion3 {
		if i < o.distance {
			motion3[i] = stamp
			previous = stamp
			continue
		}
		p := process(motion2[i])
		motion3[i] = p
		if o.movingAverage {
			motion3[i] = float64(p+previous) / 2.0
		}
		previous = p // the value before averaging
	}
	return motion3
}

// lesser is the spec's MIN(x, y): x if x < y, else y.
func lesser(x, y float64) float64 {
	if x < y {
		return x
	}
	return y
}
