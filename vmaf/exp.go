package vmaf

import (
	"math"
	"math/big"
)

// exp is e^x, the same bits on every platform.
//
// The method is the table-driven one of most C libraries of today (S. Nagy, ARM Optimized Routines): with N = 128,
//
//	x = (k/N)·ln2 + r,   |r| ≤ ln2/(2N)          k an integer, r by two-part Cody-Waite reduction
//	e^x = 2^(k/N) · e^r                          2^(k/N) from the table, e^r − 1 by a polynomial of degree 5
//
// Every product that is summed is fused (math.FMA, exact where the processor has no such instruction), in the order a
// C compiler gives that expression on a machine with fused multiply-add. So it returns what the library under the
// reference implementation returns, and scores agree with its to the last bit. The error is below 0.512 units in the
// last place for normal results. Results below 2^−1022 may be one unit off the correctly rounded one.
//
// math.Exp will not do: it is another algorithm on amd64, arm64, s390x and everywhere else.
func exp(x float64) float64 {
	switch {
	case x != x: // NaN
		return x
	case x > expOverflow:
		return math.Inf(1)
	case x < expUnderflow:
		return 0
	case math.Abs(x) < 0x1p-54: // e^x rounds to 1, or to its neighbour
		return 1 + x
	}
	// Adding and taking away 1.5·2^52 rounds to an integer, which the low bits of the sum then hold.
	shifted := math.FMA(expInvLn2N, x, expShift)
	k := int64(math.Float64bits(shifted)) - int64(math.Float64bits(expShift))
	kd := shifted - expShift
	r := math.FMA(kd, expNegLn2LoN, math.FMA(kd, expNegLn2HiN, x))

	entry := &expTable[k&(expN-1)]
	r2 := float64(r * r)
	p := math.FMA(r, expC3, expC2)
	q := math.FMA(r, expC5, expC4)
	t := math.FMA(float64(r2*r2), q, math.FMA(r2, p, entry.tail+r))

	// 2^(k/N) = 2^e · head. Extreme exponents are scaled in two steps, so that no factor leaves the range of normal
	// numbers on the way.
	e := k >> expBits
	if e < -1000 || e > 1000 {
		y := math.FMA(entry.head, t, entry.head)
		return float64(float64(y*math.Ldexp(1, int(e/2))) * math.Ldexp(1, int(e-e/2)))
	}
	scale := math.Float64frombits(math.Float64bits(entry.head) + uint64(e)<<52)
	return math.FMA(scale, t, scale)
}

const (
	expBits = 7
	expN    = 1 << expBits

	expOverflow  = 0x1.62e42fefa39efp+9  // ln of the largest number
	expUnderflow = -0x1.74910d52d3052p+9 // below, the result rounds to 0

	expShift     = 0x1.8p52
	expInvLn2N   = 0x1.71547652b82fep0 * expN
	expNegLn2HiN = -0x1.62e42fefa0000p-8  // −ln2/N, its last bits zero so that kd·hi is exact
	expNegLn2LoN = -0x1.cf79abc9e3b39p-47 // the rest of −ln2/N

	// e^r − 1 − r on |r| ≤ ln2/256: C2·r² + C3·r³ + C4·r⁴ + C5·r⁵, relative error of the whole 2^−66.
	expC2 = 0x1.ffffffffffdbdp-2
	expC3 = 0x1.555555555543cp-3
	expC4 = 0x1.55555cf172b91p-5
	expC5 = 0x1.1111167a4d017p-7
)

// expEntry holds 2^(i/N) as head·(1 + tail): head is it rounded, tail what the rounding lost, relative to head.
type expEntry struct{ head, tail float64 }

// expTable is computed rather than listed: big.Float is integer arithmetic, so that its bits are the same everywhere.
var expTable = newExpTable()

func newExpTable() (table [expN]expEntry) {
	const precision = 240 // bits; 128 roundings of this size stay far below the last bit of a tail
	step := big.NewFloat(2).SetPrec(precision)
	for range expBits {
		step.Sqrt(step)
	}
	exact := big.NewFloat(1).SetPrec(precision)
	for i := range table {
		head, _ := exact.Float64()
		h := big.NewFloat(head).SetPrec(precision)
		quotient := new(big.Float).SetPrec(precision).Quo(exact, h)
		tail, _ := quotient.Sub(quotient, big.NewFloat(1)).Float64()
		table[i] = expEntry{head: head, tail: tail}
		exact.Mul(exact, step)
	}
	return table
}
