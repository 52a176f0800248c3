package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// contender is one of several things that take turns.
type contender struct {
	name string
	// run runs it once and says what that took.
	run func(context.Context) (usage, error)
}

// own is a contender that runs in this process.
func own(name string, run func(context.Context) error) contender {
	return contender{name, func(ctx context.Context) (usage, error) { return ownUsage(ctx, run) }}
}

// sample is one run.
type sample struct {
	elapsed time.Duration
	usage
	others time.Duration // processor time of other processes meanwhile; 0 where the system does not tell, or the run is too short
}

// othersLeast is how long a run has to last for the processor time of others to mean anything, since that is counted in clock ticks.
const othersLeast = 20 * clockTick

// takeTurns runs every contender once to warm up, and then so many times, by turns. The first error ends it.
func takeTurns(ctx context.Context, runs int, contenders ...contender) ([][]sample, error) {
	samples := make([][]sample, len(contenders))
	for run := -1; run < runs; run++ {
		for i, c := range contenders {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			started, before := time.Now(), machineTime()
			used, err := c.run(ctx)
			elapsed, busy := time.Since(started), machineTime()-before
			if ctx.Err() != nil {
				return nil, ctx.Err() // whatever else went wrong may be due to it
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if run >= 0 {
				others := max(0, busy-used.processor)
				if elapsed < othersLeast {
					others = 0
				}
				samples[i] = append(samples[i], sample{elapsed, used, others})
			}
		}
	}
	return samples, nil
}

// Spread is a figure with how far its runs lie apart: the median and the quartiles, which the odd run that was interrupted does not
// move.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // the first quartile
	High   float64 `json:"high"` // the third
}

// half is half the distance between the quartiles.
func (s Spread) half() float64 { return (s.High - s.Low) / 2 }

// spreadOf computes a figure of every run.
func spreadOf(samples []sample, figure func(sample) float64) Spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	return Spread{quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75)}
}

// rate is how many a second there were, when each run did count of them.
func rate(samples []sample, count int) Spread {
	return spreadOf(samples, func(s sample) float64 { return float64(count) / s.elapsed.Seconds() })
}

// quantile of values that are sorted, with straight lines between them.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// most is the largest of a figure of all runs.
func most(samples []sample, figure func(sample) int64) int64 {
	n := int64(0)
	for _, s := range samples {
		n = max(n, figure(s))
	}
	return n
}
