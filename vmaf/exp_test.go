package vmaf

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigExp is e^x to about 250 bits: the series of x/2^k, squared k times.
func bigExp(x float64) *big.Float {
	const precision, halvings, terms = 300, 24, 24
	t := new(big.Float).SetPrec(precision).SetFloat64(x)
	t.SetMantExp(t, -halvings)
	sum := big.NewFloat(1).SetPrec(precision)
	term := big.NewFloat(1).SetPrec(precision)
	for i := 1; i <= terms; i++ {
		term.Mul(term, t)
		term.Quo(term, new(big.Float).SetPrec(precision).SetInt64(int64(i)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// ulps is how far got is from exact, in units in the last place of the correctly rounded result.
func ulps(got float64, exact *big.Float) float64 {
	rounded, _ := exact.Float64()
	_, exponent := math.Frexp(rounded)
	unit := math.Ldexp(1, max(exponent-53, -1074))
	difference := new(big.Float).SetPrec(300).Sub(new(big.Float).SetFloat64(got), exact)
	d, _ := difference.Float64()
	return math.Abs(d) / unit
}

func TestExp_errorIsBelow0512UnitsInTheLastPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	worst, at := 0.0, 0.0
	for range 4000 {
		for _, x := range []float64{-rng.Float64(), -rng.Float64() * 0.05, -rng.Float64() * 8, rng.Float64()*1400 - 700} {
			if d := ulps(exp(x), bigExp(x)); d > worst {
				worst, at = d, x
			}
		}
	}
	if worst > 0.512 {
		t.Errorf("exp(%v) is off by %v units in the last place", at, worst)
	}
	t.Logf("worst of 16000: %.4f units in the last place, at %v", worst, at)
}

func TestExp_subnormalResultsAreWithinOneUnit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		x := -708.5 - 36.5*rng.Float64()
		if d := ulps(exp(x), bigExp(x)); d > 1 {
			t.Errorf("exp(%v) = %v is off by %v units", x, exp(x), d)
		}
	}
}

// The bits are those that the C library under the reference implementation returned on a processor with fused multiply-add.
// They must be the same on every platform.
func TestExp_bits(t *testing.T) {
	for _, c := range expBits64 {
		if got := exp(c.x); got != c.want {
			t.Errorf("exp(%x) = %x, want %x", c.x, got, c.want)
		}
	}
}

func TestExp_specialCases(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ x, want float64 }{
		{0, 1}, {math.Copysign(0, -1), 1}, {0x1p-60, 1}, {-0x1p-60, 1}, {0x1p-53, 1}, {-0x1p-53, 1 - 0x1p-53},
		{inf, inf}, {-inf, 0}, {709.79, inf}, {-745.14, 0}, {-1e308, 0}, {1e308, inf},
		{math.Log(math.MaxFloat64), 0x1.fffffffffff2ap+1023}, {-745.13, math.SmallestNonzeroFloat64},
	} {
		if got := exp(c.x); got != c.want {
			t.Errorf("exp(%v) = %x, want %x", c.x, got, c.want)
		}
	}
	if got := exp(math.NaN()); got == got {
		t.Errorf("exp(NaN) = %v", got)
	}
}

func TestExpTable_headAndTailMakeUpThePower(t *testing.T) {
	if expTable[0] != (expEntry{1, 0}) || expTable[expN/2].head != math.Sqrt2 {
		t.Errorf("2^0 = %v, 2^½ = %v", expTable[0], expTable[expN/2])
	}
	for i, e := range expTable {
		if math.Abs(e.tail) > 0x1p-53 {
			t.Errorf("entry %d: tail %x is more than a rounding", i, e.tail)
		}
	}
}

func BenchmarkExp(b *testing.B) {
	x, sum := -0.001, 0.0
	for b.Loop() {
		sum += exp(x)
		x -= 0.0001
		if x < -1 {
			x = -0.001
		}
	}
	_ = sum
}
