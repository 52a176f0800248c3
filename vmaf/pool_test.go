package vmaf

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPool(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name   string
		method PoolMethod
		values []float64
		want   float64
	}{
		{"mean", PoolMean, []float64{1, 2, 6}, 3},
		{"min", PoolMin, []float64{3, 1, 2}, 1},
		{"max", PoolMax, []float64{1, 3, 2}, 3},
		{"harmonic mean", PoolHarmonicMean, []float64{0, 1, 1}, 0.5},
		{"harmonic mean of infinite values", PoolHarmonicMean, []float64{inf, inf}, inf},
		{"harmonic mean with −1", PoolHarmonicMean, []float64{5, -1}, -1},
		{"min keeps a first NaN", PoolMin, []float64{nan, 1}, nan},
		{"min passes over a later NaN", PoolMin, []float64{2, nan, 1}, 1},
		{"max passes over a later NaN", PoolMax, []float64{2, nan, 1}, 2},
		{"mean of a NaN", PoolMean, []float64{2, nan}, nan},
		{"percentile 0", "p0", []float64{3, 1, 2}, 1},
		{"percentile 100", "p100", []float64{3, 1, 2}, 3},
		{"median of an odd number", "p50", []float64{3, 1, 2}, 2},
		{"median of an even number", "p50", []float64{4, 1, 2, 3}, 2.5},
		{"percentile between", "p25", []float64{0, 10, 20}, 5},
		{"percentile with decimals", "p2.5", []float64{0, 40}, 1},
		{"percentile of one value", "p5", []float64{7}, 7},
		{"percentile of a NaN", "p5", []float64{7, nan}, nan},
	} {
		got, err := Pool(c.method, c.values)
		if err != nil || got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: got %v %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestPool_leavesValuesAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	if _, err := Pool("p50", values); err != nil || !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("%v %v", values, err)
	}
}

func TestPool_refuses(t *testing.T) {
	if _, err := Pool(PoolMean, nil); !errors.Is(err, ErrNoFrames) {
		t.Errorf("no values: %v", err)
	}
	if _, err := Pool("mode", []float64{1}); !errors.Is(err, ErrUnknownPooling) {
		t.Errorf("unknown method: %v", err)
	}
}

func TestParsePoolMethod(t *testing.T) {
	for text, want := range map[string]PoolMethod{
		"mean": PoolMean, "harmonic_mean": PoolHarmonicMean, "min": PoolMin, "max": PoolMax,
		"p5": "p5", "p05": "p5", "p2.50": "p2.5", "p0": "p0", "p-0": "p0", "p100": "p100",
	} {
		if got, err := ParsePoolMethod(text); err != nil || got != want {
			t.Errorf("%s: got %q %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "p", "p101", "p-1", "pnan", "px", "5", "Mean", "median", "p5 "} {
		if _, err := ParsePoolMethod(text); !errors.Is(err, ErrUnknownPooling) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A percentile lies between the order statistics around it, and does not depend on the order of values.
func TestPool_percentileProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		values := make([]float64, 1+rng.IntN(40))
		for i := range values {
			values[i] = rng.Float64() * 100
		}
		percent := rng.Float64() * 100
		method := PoolMethod("p" + exact(percent))
		got, err := Pool(method, values)
		if err != nil {
			t.Fatal(err)
		}
		rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if again, _ := Pool(method, values); again != got {
			t.Errorf("%s depends on the order: %v, %v", method, got, again)
		}
		slices.Sort(values)
		u := percent * float64(len(values)-1) / 100
		const rounding = 1e-12
		if lo, hi := values[int(math.Floor(u))], values[int(math.Ceil(u))]; got < lo-rounding || got > hi+rounding {
			t.Errorf("%s of %d values = %v, not within %v … %v", method, len(values), got, lo, hi)
		}
	}
}
