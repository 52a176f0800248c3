package vmaf

// transform maps a denormalised score to the reported one, before clipping. Source: spec/prediction.md §4.4.
type transform struct {
	enabled    bool
	polynomial [3]coefficient // p0, p1, p2
	knots      []knot         // empty: no piecewise-linear map; else at least two
	// notAbove: a result above the input becomes the input. notBelow likewise. In files: out_lte_in, out_gte_in.
	notAbove, notBelow bool
}

// coefficient of a polynomial; one that is not given contributes nothing, not even a rounding.
type coefficient struct {
	value float64
	given bool
}

// knot is one corner of a piecewise-linear map.
type knot struct{ x, y float64 }

// clipRange bounds a score.
type clipRange struct{ lo, hi float64 }

func (t *transform) apply(x float64) float64 {
	out := x
	if p := t.polynomial; p[0].given || p[1].given || p[2].given {
		out = 0
		if p[0].given {
			out += p[0].value
		}
		if p[1].given {
			out += float64(p[1].value * x)
		}
		if p[2].given {
			out += float64(float64(p[2].value*x) * x) // p2·x first: p2·(x·x) rounds otherwise
		}
	}
	if len(t.knots) > 0 {
		out = piecewiseLinear(t.knots, out)
	}
	if t.notAbove && out > x {
		out = x
	}
	if t.notBelow && out < x {
		out = x
	}
	return out
}

// piecewiseLinear maps x by the segments between knots; the first and the last segment are extended. At a knot between two
// segments the right one decides.
func piecewiseLinear(knots []knot, x float64) float64 {
	result := 0.0
	last := len(knots) - 2
	for k := 0; k <= last; k++ {
		from, to := knots[k], knots[k+1]
		contains := from.x <= x && x <= to.x
		if contains || k == 0 && x < from.x || k == last && x > to.x {
			result = lineThrough(from, to, x)
		}
	}
	return result
}

func lineThrough(from, to knot, x float64) float64 {
	if from.y == to.y {
		return from.y
	}
	var slope, intercept float64
	if from.x == 0 {
		intercept = from.y
		slope = (to.y - intercept) / to.x
	} else {
		slope = (to.y - from.y) / (to.x - from.x)
		intercept = from.y - float64(from.x*slope)
	}
	return float64(slope*x) + intercept
}

// apply bounds p; NaN passes through.
func (c *clipRange) apply(p float64) float64 {
	if p < c.lo {
		p = c.lo
	}
	if p > c.hi {
		p = c.hi
	}
	return p
}
