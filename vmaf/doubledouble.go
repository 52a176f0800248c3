package vmaf

import "math"

// doubleDouble is a number of about 106 bits: hi is it rounded to double precision, lo the rest.
//
// The operations are the usual ones (T. J. Dekker; J. R. Shewchuk), with a relative error below 2^−100 in what is done with them here. Fused
// multiply-adds stand only where written, where they give the exact error of a product, so the bits are the same on every platform.
type doubleDouble struct{ hi, lo float64 }

// twoSum is a + b, exactly.
func twoSum(a, b float64) doubleDouble {
	s := a + b
	t := s - a
	return doubleDouble{s, (a - (s - t)) + (b - t)}
}

// quickSum is a + b, exactly, where |a| ≥ |b| or a is 0.
func quickSum(a, b float64) doubleDouble {
	s := a + b
	return doubleDouble{s, b - (s - a)}
}

func (a doubleDouble) plus(b doubleDouble) doubleDouble {
	s, t := twoSum(a.hi, b.hi), twoSum(a.lo, b.lo)
	s = quickSum(s.hi, s.lo+t.hi)
	return quickSum(s.hi, s.lo+t.lo)
}

func (a doubleDouble) minus(b doubleDouble) doubleDouble {
	return a.plus(doubleDouble{-b.hi, -b.lo})
}

func (a doubleDouble) times(b doubleDouble) doubleDouble {
	p := float64(a.hi * b.hi) // rounded here: it must not be fused with the sums that it goes into
	e := math.FMA(a.hi, b.hi, -p)
	return quickSum(p, e+(float64(a.hi*b.lo)+float64(a.lo*b.hi)))
}

// over is a / b, for a whole number b or the like: long division in three steps.
func (a doubleDouble) over(b doubleDouble) doubleDouble {
	q1 := a.hi / b.hi
	r := a.minus(b.times(doubleDouble{hi: q1}))
	q2 := r.hi / b.hi
	r = r.minus(b.times(doubleDouble{hi: q2}))
	return quickSum(q1, q2).plus(doubleDouble{hi: r.hi / b.hi})
}

// scaled is a · 2^e, exactly while nothing leaves the range of normal numbers.
func (a doubleDouble) scaled(e int) doubleDouble {
	return doubleDouble{math.Ldexp(a.hi, e), math.Ldexp(a.lo, e)}
}

// ln2 is the natural logarithm of 2.
var ln2 = doubleDouble{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}
