package vmaf

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigLog is the natural logarithm of x to about 200 bits: near is improved by what x/e^near leaves.
func bigLog(x, near float64) *big.Float {
	const precision = 300
	quotient := new(big.Float).SetPrec(precision).Quo(new(big.Float).SetPrec(precision).SetFloat64(x), bigExp(near))
	u := quotient.Sub(quotient, big.NewFloat(1)) // below 2^−40: four terms of log(1 + u) are enough
	sum, power := new(big.Float).SetPrec(precision).SetFloat64(near), new(big.Float).SetPrec(precision).SetInt64(1)
	for n := 1; n <= 4; n++ {
		power.Mul(power, u)
		term := new(big.Float).SetPrec(precision).Quo(power, big.NewFloat(float64(n)))
		if n%2 == 0 {
			term.Neg(term)
		}
		sum.Add(sum, term)
	}
	return sum
}

// bigOf is a pair of doubles as one number.
func bigOf(a doubleDouble) *big.Float {
	return new(big.Float).SetPrec(300).Add(new(big.Float).SetFloat64(a.hi), new(big.Float).SetFloat64(a.lo))
}

func randomPositive(rng *rand.Rand, kind int) float64 {
	switch kind % 4 {
	case 0:
		return rng.Float64()
	case 1:
		return 1 + (rng.Float64()-0.5)*math.Ldexp(1, -rng.IntN(40)) // next to 1, where the logarithm is small
	case 2:
		return math.Ldexp(1+rng.Float64(), rng.IntN(600)-300)
	}
	return rng.Float64() * 1e7
}

func TestLogOf_errorIsBelow2ToTheMinus98(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	worst, at := 0.0, 0.0
	for i := range 4000 {
		x := randomPositive(rng, i)
		got := logOf(x)
		exact := bigLog(x, got.hi)
		difference, _ := new(big.Float).Sub(bigOf(got), exact).Float64()
		if relative := math.Abs(difference / got.hi); relative > worst {
			worst, at = relative, x
		}
	}
	if worst > 0x1p-98 {
		t.Errorf("the error of log %v is 2^%.1f", at, math.Log2(worst))
	}
	t.Logf("worst of 4000: 2^%.1f, at %v", math.Log2(worst), at)
}

// "Correctly rounded but in cases too rare to meet."
func TestPow_isCorrectlyRounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 4000 {
		x, y := randomPositive(rng, i), rng.Float64()
		if i%3 == 0 {
			y = msSSIMContrast[i%msSSIMScales]
		}
		product := new(big.Float).SetPrec(300).SetFloat64(y)
		product.Mul(product, bigLog(x, logOf(x).hi))
		near, _ := product.Float64()
		rest, _ := new(big.Float).Sub(product, big.NewFloat(near)).Float64()
		exact := bigExp(near) // times e^rest, which is 1 + rest to 2^−100
		exact.Mul(exact, new(big.Float).SetPrec(300).Add(big.NewFloat(1).SetPrec(300), big.NewFloat(rest)))
		if want, _ := exact.Float64(); pow(x, y) != want {
			t.Errorf("pow(%v, %v) = %.17g, want %.17g", x, y, pow(x, y), want)
		}
		if got := pow(x, 0.5); got != math.Sqrt(x) {
			t.Errorf("pow(%v, 0.5) = %.17g, want the root %.17g", x, got, math.Sqrt(x))
		}
		if got := pow(x, 1); got != x {
			t.Errorf("pow(%v, 1) = %v", x, got)
		}
	}
}

// What glibc 2.36 gives.
func TestLog10_bits(t *testing.T) {
	for x, want := range map[float64]float64{
		2: 0x1.34413509f79ffp-2, 3: 0x1.e8927964fd5fdp-2, 10: 1, 1000: 3, 0.1: -1, 0.5: -0x1.34413509f79ffp-2, 1: 0,
		0.999: -0x1.c79e5dbf022b6p-12, 1.0000001: 0x1.750e5ca0b1098p-25, 65025: 0x1.34098235bca4bp+2, 1046529: 0x1.81439ad1e916ap+2,
		0.025: -0x1.9a209a84fbcffp+0, 7e-5: -0x1.09e9e9e90e678p+2, 186624: 0x1.5157880adad3ep+2, 1e-16: -16, 1e300: 300,
		5e-310: -0x1.354d104d427dfp+8,
		0:      math.Inf(-1), math.Inf(1): math.Inf(1),
	} {
		if got := log10(x); got != want {
			t.Errorf("log10(%v) = %x, want %x", x, got, want)
		}
	}
	for _, x := range []float64{-1, math.Inf(-1), math.NaN()} {
		if got := log10(x); !math.IsNaN(got) {
			t.Errorf("log10(%v) = %v", x, got)
		}
	}
}

func TestPow_bits(t *testing.T) {
	for _, c := range []struct{ x, y, want float64 }{
		{0.98, 0x1.6f0068p-5, 0x1.ff896c40786e2p-1},
		{0.5, 0x1.247454p-2, 0x1.a40b8364f812cp-1},
		{0.999999, 0x1.334d6ap-2, 0x1.fffff5ee28e49p-1},
		{0.1, 0x1.e3f142p-3, 0x1.29256337a6c54p-1},
		{0.7, 0x1.10ff98p-3, 0x1.e83a09307ce2fp-1},
		{1.0000001, 0x1.334d6ap-2, 0x1.00000080e457cp+0},
		{5e-324, 0x1.e3f142p-3, 0x1.28e4473cce3bcp-254},
		{1, 0.3, 1}, {0, 0.3, 0}, {0, 0, 1}, {-2, 0, 1}, {math.NaN(), 0, 1}, {math.Inf(1), 0.3, math.Inf(1)},
	} {
		if got := pow(c.x, c.y); got != c.want {
			t.Errorf("pow(%v, %v) = %x, want %x", c.x, c.y, got, c.want)
		}
	}
	for _, x := range []float64{-0.1, math.NaN(), math.Inf(-1)} {
		if got := pow(x, 0.3); !math.IsNaN(got) {
			t.Errorf("pow(%v, 0.3) = %v", x, got)
		}
	}
}
