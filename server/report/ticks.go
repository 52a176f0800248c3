//go:build !noplot

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// scale is a range with marks at round numbers.
type scale struct {
	min, max float64
	step     float64
	label    func(x float64) string
}

// Ticks returns the marks, as a plot wants them.
func (s scale) Ticks(_, _ float64) []plot.Tick {
	var ticks []plot.Tick
	const slack = 1e-9 // of a step
	for k := math.Ceil(s.min/s.step - slack); k*s.step <= s.max+slack*s.step && len(ticks) < 100; k++ {
		x := k * s.step
		if x == 0 {
			x = 0 // not −0
		}
		ticks = append(ticks, plot.Tick{Value: x, Label: s.label(x)})
	}
	return ticks
}

// roundStep is the smallest of 1, 2, 5 × 10ⁿ that cuts span into at most parts.
func roundStep(span float64, parts int) float64 {
	raw := span / float64(parts)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw {
			return m * power
		}
	}
	return 10 * power
}

// scoreScale covers lowest … highest with some room, most of it below, where the labels of dips go. Scores never leave
// the range that their metric has: nothing above 100 or below 0 is shown unless a value is there.
func scoreScale(lowest, highest float64) scale {
	span := highest - lowest
	lo, hi := lowest-0.12*span, highest+0.05*span
	if least := max(math.Abs(highest)*0.05, 1e-6); span < least { // do not blow noise up
		lo, hi = lo-(least-span)/2, hi+(least-span)/2
	}
	if lo < 0 && lowest >= 0 {
		lo = 0
	}
	for _, top := range []float64{1, 100} {
		if hi > top && highest <= top && highest > 0.5*top {
			hi = top
		}
	}
	s := scale{min: lo, max: hi, step: roundStep(hi-lo, 7)}
	s.min = math.Floor(lo/s.step) * s.step
	places := max(0, -int(math.Floor(math.Log10(s.step)+1e-9)))
	s.label = func(x float64) string {
		if math.Abs(x) >= 1e7 || places > 9 {
			return strings.ReplaceAll(strconv.FormatFloat(x, 'g', 4, 64), "-", "−")
		}
		return strings.Replace(strconv.FormatFloat(x, 'f', places, 64), "-", "−", 1)
	}
	return s
}

// frameScale covers frames first … last.
func frameScale(first, last float64) scale {
	if first == last {
		first, last = first-0.5, last+0.5
	}
	return scale{first, last, max(1, roundStep(last-first, 10)), func(x float64) string { return grouped(int(math.Round(x))) }}
}

// timeSteps are the distances of marks that people expect on a clock, in seconds.
var timeSteps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400}

// timeScale covers first … last seconds.
func timeScale(first, last float64) scale {
	if last-first < 1e-6 {
		first, last = first-0.5, last+0.5
	}
	s := scale{min: first, max: last, step: roundStep(last-first, 10), label: clock}
	if s.step < 1 {
		places := max(0, -int(math.Floor(math.Log10(s.step)+1e-9)))
		s.label = func(x float64) string { return score(x, places) }
		return s
	}
	for _, step := range timeSteps {
		if (last-first)/step <= 10 {
			s.step = step
			break
		}
	}
	if last < 120 {
		s.label = func(x float64) string { return strconv.FormatFloat(x, 'f', 0, 64) }
	}
	return s
}

// timeUnit says how a time scale up to last counts.
func timeUnit(last float64) string {
	switch {
	case last >= 3600:
		return "h:min:s"
	case last >= 120:
		return "min:s"
	}
	return "seconds"
}

// clock writes seconds as m:ss or h:mm:ss.
func clock(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	t := int64(math.Round(seconds))
	if t < 3600 {
		return fmt.Sprintf("%s%d:%02d", sign, t/60, t%60)
	}
	return fmt.Sprintf("%s%d:%02d:%02d", sign, t/3600, t/60%60, t%60)
}

// moment writes a time in full, for tables.
func moment(seconds float64) string {
	if math.Abs(seconds) < 60 {
		return strings.Replace(strconv.FormatFloat(seconds, 'f', 3, 64), "-", "−", 1) + " s"
	}
	whole, part := math.Modf(math.Abs(math.Round(seconds*1000) / 1000))
	sign := ""
	if seconds < 0 {
		sign = "−"
	}
	return fmt.Sprintf("%s%s.%03d", sign, clock(whole), int(math.Round(part*1000)))
}
