package vmaf

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// PoolMethod says how the values of a series become one figure: one of the constants, or a percentile such as "p5".
type PoolMethod string

// The pooling methods that need no number.
const (
	PoolMin          PoolMethod = "min"
	PoolMax          PoolMethod = "max"
	PoolMean         PoolMethod = "mean"
	PoolHarmonicMean PoolMethod = "harmonic_mean"
)

// ParsePoolMethod reads "mean", "harmonic_mean", "min", "max", or "pN" with a percentile N of 0 … 100, which may have decimals.
// Errors: [ErrUnknownPooling].
func ParsePoolMethod(text string) (PoolMethod, error) {
	switch m := PoolMethod(text); m {
	case PoolMin, PoolMax, PoolMean, PoolHarmonicMean:
		return m, nil
	default:
		percent, err := m.percent()
		if err != nil {
			return "", err
		}
		return PoolMethod("p" + exact(percent)), nil
	}
}

// percent is the number of a percentile.
func (m PoolMethod) percent() (float64, error) {
	text, found := strings.CutPrefix(string(m), "p")
	percent, err := parseNumber(text)
	if !found || err != nil || percent < 0 || percent > 100 {
		return 0, fmt.Errorf("%w: %q; want mean, harmonic_mean, min, max or a percentile p0 … p100", ErrUnknownPooling, clip(string(m)))
	}
	return math.Abs(percent), nil // no −0
}

// Pool reduces values, in display order, to a single figure. It keeps no reference to them.
//
// The harmonic mean is n / Σ 1/(v+1) − 1: the +1 keeps a zero frame finite. Divisions follow IEEE rules. A NaN in front
// stays in min and max, a later one is passed over by both; either makes the means NaN. A percentile interpolates
// linearly between the two nearest order statistics, and is NaN if any value is.
//
// Errors: [ErrNoFrames] for no values, [ErrUnknownPooling]. Source: spec/prediction.md §5, percentiles §6 step 5.
func Pool(m PoolMethod, values []float64) (float64, error) {
	if len(values) == 0 {
		return 0, fmt.Errorf("pool %s: %w", m, ErrNoFrames)
	}
	n := float64(len(values))
	switch m {
	case PoolMin:
		least := values[0]
		for _, v := range values {
			if v < least {
				least = v
			}
		}
		return least, nil
	case PoolMax:
		most := values[0]
		for _, v := range values {
			if v > most {
				most = v
			}
		}
		return most, nil
	case PoolMean:
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		return sum / n, nil
	case PoolHarmonicMean:
		sum := 0.0
		for _, v := range values {
			sum += 1.0 / (v + 1.0)
		}
		return n/sum - 1.0, nil
	}
	percent, err := m.percent()
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN(), nil
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return percentile(sorted, percent), nil
}
