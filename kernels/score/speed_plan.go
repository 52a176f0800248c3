package score

import (
	"fmt"
	"math"
	"math/big"
)

// SpeedPlan is the work that a list of option sets makes on chroma planes of one size, without what they have in common, and with the
// tables that both backends compute from. Make it with [NewSpeedPlan].
type SpeedPlan struct {
	Filters   []SpeedFilter  // the ways from a plane to its statistics
	Entropies []SpeedEntropy // and on to the entropies of its blocks
	Scores    []SpeedScore   // by configuration
}

// SpeedEntropy is one set of entropies: those of a filter's statistics under a noise level.
type SpeedEntropy struct {
	Filter  int // index into the filters
	SigmaNN float32
}

// SpeedScore is how entropies of two planes are compared.
type SpeedScore struct {
	Entropy       int // index into the entropies
	SigmaNN       float32
	NNFloor       float32
	WeightVarMode int
}

// SpeedFilter is one way from a plane to its decimated, mean-free version: resampling, anti-alias filter, decimation by 16 and local mean,
// each along both directions. Sample (r, c) of the decimated plane is a sum over Taps × Taps samples of the resampled plane, and each of those
// one over Points × Points of the plane itself.
// Source: spec/speed.md §3, §4.
type SpeedFilter struct {
	Width, Height int       // decimated size, at least 5 × 5
	Points        int       // 1, 2, 4 or 9: nearest or no resampling, bilinear, bicubic, lanczos4
	AntiAlias     []float32 // the filter's coefficients, at most [SpeedMaxTaps]
	Mean          []float32 // those of the local mean, at most [SpeedMaxMeanTaps]
	Columns, Rows SpeedAxis
}

// SpeedAxis says which samples of a line of the plane make those of the resampled line that the filter looks at, and with which weights.
// Entry (p, d, i) of both tables is of point p of tap i of decimated sample d, at index (p·size + d)·taps + i. Weights are those along the
// line: a sample's weight is the product of its row's and its column's. Without resampling they are 1.
type SpeedAxis struct {
	Index  []int32
	Weight []float32
}

// The largest filters, those of the kernel scale 360/97, and the largest resampling.
const (
	SpeedMaxTaps     = 35
	SpeedMaxMeanTaps = 9
	SpeedMaxPoints   = 9
	speedDecimation  = 16
	speedBlockSide   = 5
)

// Source: spec/speed.md §4.2.
var speedPoints = map[string]int{"nearest": 1, "bilinear": 2, "bicubic": 4, "lanczos4": 9}

// Blocks is how many blocks the decimated plane has across and down.
func (f *SpeedFilter) Blocks() (across, down int) {
	return f.Width / speedBlockSide, f.Height / speedBlockSide
}

// NewSpeedPlan makes the plan for chroma planes of width × height samples. Configurations are those of [NewSpeed]; the error is
// [ErrSpeed] where one is not, or the planes are too small for it.
func NewSpeedPlan(configs []SpeedConfig, width, height int) (*SpeedPlan, error) {
	type way struct {
		kernelScale float32
		prescale    float64
		method      string
	}
	p := &SpeedPlan{}
	filters, entropies := map[way]int{}, map[SpeedEntropy]int{}
	for i, c := range configs {
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("configuration %d: %w", i, err)
		}
		if least := c.leastSide(); min(width, height) < least {
			return nil, fmt.Errorf("configuration %d: %w for chroma planes of %dx%d: with prescale %g it needs at least %dx%d",
				i, ErrSpeed, width, height, c.Prescale, least, least)
		}
		w := way{c.KernelScale, c.Prescale, c.PrescaleMethod}
		if !c.resamples() {
			w.prescale, w.method = 1, "nearest"
		}
		filter, known := filters[w]
		if !known {
			filter = len(p.Filters)
			filters[w] = filter
			p.Filters = append(p.Filters, newSpeedFilter(c, width, height))
		}
		e := SpeedEntropy{filter, c.SigmaNN}
		entropy, known := entropies[e]
		if !known {
			entropy = len(p.Entropies)
			entropies[e] = entropy
			p.Entropies = append(p.Entropies, e)
		}
		p.Scores = append(p.Scores, SpeedScore{entropy, c.SigmaNN, c.NNFloor, c.WeightVarMode})
	}
	return p, nil
}

// resamples is false for a factor so near to 1 that planes are taken as they are.
func (c SpeedConfig) resamples() bool { return math.Abs(c.Prescale-1) >= 0.001 }

// resampled is the length of a line of n samples after resampling.
func (c SpeedConfig) resampled(n int) int {
	if !c.resamples() {
		return n
	}
	scaled := float64(float64(n) * c.Prescale) // rounded before the sum, which arm64 would fuse
	return int(scaled + 0.5)
}

// leastSide is the least width and height of a chroma plane: decimated, it has to hold a block.
func (c SpeedConfig) leastSide() int {
	const least = speedBlockSide * speedDecimation
	n := 1
	for c.resampled(n) < least && n < 20*least { // beyond any prescale that is allowed
		n++
	}
	return n
}

func newSpeedFilter(c SpeedConfig, width, height int) SpeedFilter {
	taps := max(nextOdd(9*c.KernelScale), 3)
	meanTaps := max(nextOdd(2*c.KernelScale), 3)
	f := SpeedFilter{
		Width: c.resampled(width) / speedDecimation, Height: c.resampled(height) / speedDecimation, Points: 1,
		AntiAlias: speedKernel(taps, float32(math.Sqrt(4)*float64(taps)/5)),
		Mean:      speedKernel(meanTaps, float32(meanTaps)/5),
	}
	if c.resamples() && (c.resampled(width) != width || c.resampled(height) != height) {
		f.Points = speedPoints[c.PrescaleMethod]
	} else {
		c.PrescaleMethod, c.Prescale = "nearest", 1
	}
	f.Columns = newSpeedAxis(c, width, f.Width, taps)
	f.Rows = newSpeedAxis(c, height, f.Height, taps)
	return f
}

// nextOdd is the least odd integer that is not below x.
func nextOdd(x float32) int {
	n := int(math.Ceil(float64(x)))
	return n + 1 - n%2
}

// speedKernel is a Gaussian of n coefficients and a standard deviation, normalised. Source: spec/speed.md §3.2.
func speedKernel(n int, sigma float32) []float32 {
	k, sum := make([]float32, n), float32(0)
	s := float64(sigma)
	density := float32(1 / (s * math.Sqrt(2*math.Pi)))
	for i := range k {
		x := float64(float32(i) - float32(n-1)/2)
		k[i] = float32(roundedExp(-0.5*x/s*x/s)) / density
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

// roundedExp is e^x for |x| < 8, rounded once: of 200 bits the series loses none that counts. So it is the same everywhere, which math.Exp is
// not.
func roundedExp(x float64) float64 {
	const precision = 200
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }
	sum, term, factor := number(1), number(1), number(x)
	for i := 1; i < 100; i++ {
		term.Quo(term.Mul(term, factor), number(float64(i)))
		sum.Add(sum, term)
	}
	v, _ := sum.Float64()
	return v
}

// newSpeedAxis describes one direction of a plane with lines of n samples. Source: spec/speed.md §4.2, §4.3.
func newSpeedAxis(c SpeedConfig, n, decimated, taps int) SpeedAxis {
	length := c.resampled(n)
	points := 1
	at := func(i int) ([]int, []float32) { return []int{i}, []float32{1} }
	if length != n || c.resamples() {
		points = speedPoints[c.PrescaleMethod]
		ratio := float32(n) / float32(length)
		at = func(i int) ([]int, []float32) { return resamplePoints(c.PrescaleMethod, i, ratio, n) }
	}
	a := SpeedAxis{make([]int32, points*decimated*taps), make([]float32, points*decimated*taps)}
	for d := range decimated {
		for i := range taps {
			index, weight := at(mirrorOnce(speedDecimation*d+i-taps/2, length))
			for p := range points {
				to := (p*decimated+d)*taps + i
				a.Index[to], a.Weight[to] = int32(index[p]), weight[p]
			}
		}
	}
	return a
}

// mirrorOnce reflects i at the ends of a line of n samples without repeating those.
func mirrorOnce(i, n int) int {
	if i < 0 {
		return -i
	}
	if i > n-1 {
		return 2*(n-1) - i
	}
	return i
}

// resamplePoints are the samples of a line of n that make sample i of the resampled one, and their weights. Source: spec/speed.md §4.2.
func resamplePoints(method string, i int, ratio float32, n int) (index []int, weight []float32) {
	if method == "nearest" {
		return []int{int(float32(i) * ratio)}, []float32{1}
	}
	scaled := float64((float64(i) + 0.5) * float64(ratio)) // rounded before the difference
	x := float32(scaled - 0.5)
	floor := int(math.Floor(float64(x)))
	if method == "bilinear" {
		x1, x2 := mirrorOnce(floor, n), mirrorOnce(int(math.Ceil(float64(x))), n)
		d := x - float32(x1) // relative to the mirrored index: beyond the first sample the edge is extrapolated
		return []int{x1, x2}, []float32{1 - d, d}
	}
	d := x - float32(floor)
	first, last, of := -1, 2, bicubicWeight
	if method == "lanczos4" {
		first, last, of = -4, 4, lanczosWeight
	}
	for k := first; k <= last; k++ {
		index = append(index, mirrorOnce(floor+k, n))
		weight = append(weight, of(float32(k)-d))
	}
	return index, weight
}

func bicubicWeight(x float32) float32 {
	const a = float32(-0.75)
	t := max(x, -x)
	switch {
	case t < 1:
		v := float32((a+2)*t) - (a + 3)
		v = float32(v * t)
		return float32(v*t) + 1
	case t < 2:
		v := float32((t-5)*t) + 8
		v = float32(v*t) - 4
		return v * a
	}
	return 0
}

func lanczosWeight(x float32) float32 {
	if x == 0 {
		return 1
	}
	if !(x > -4 && x < 4) {
		return 0
	}
	wide := float64(x)
	pi := math.Pi // a variable, so that its square is rounded too
	arc := pi * wide
	above := 4 * sine(arc) * sine(arc/4)
	below := pi * pi * wide * wide
	return float32(above / below)
}

// sine is sin(x) for |x| ≤ 4π to about a unit in the last place. Products are rounded before they are added, so that it is the same
// everywhere, which math.Sin is not.
func sine(x float64) float64 {
	// π/2 in three parts: products of the first two with 0 … 8 are exact.
	const (
		high   = 0x1.921fb544p0
		middle = 0x1.0b4611a4p-34
		low    = 0x1.13198a2e03707p-65
	)
	quarter := math.Round(x / (math.Pi / 2))
	r := x - float64(quarter*high)
	r -= float64(quarter * middle)
	r -= float64(quarter * low)
	q := int(quarter) & 3
	// The series of sin and cos up to r^19, whose next term is below 2^-65 for |r| ≤ π/4.
	var sum float64
	square := float64(r * r)
	if q%2 == 0 {
		for k := 19.0; k > 1; k -= 2 {
			sum = float64((1+sum)*square) / -(k * (k - 1))
		}
		sum = r + float64(r*sum)
	} else {
		for k := 18.0; k > 0; k -= 2 {
			sum = float64((1+sum)*square) / -(k * (k - 1))
		}
		sum++
	}
	if q >= 2 {
		return -sum
	}
	return sum
}
