package vmaf

import (
	"fmt"
	"math"
	"slices"
)

// Series names the series that the model yields: its score, and for a collection the scores of its members, then
// the bagging score, its standard deviation and the bounds of its 95 % confidence interval.
//
// Source: spec/prediction.md §6.
func (m *Model) Series() []string {
	names := []string{m.Name}
	if !m.IsCollection() {
		return names
	}
	for q := 1; q < len(m.members); q++ {
		names = append(names, fmt.Sprintf("%s_%04d", m.Name, q))
	}
	return append(names, m.Name+"_bagging", m.Name+"_stddev", m.Name+"_ci_p95_lo", m.Name+"_ci_p95_hi")
}

// PredictAll computes all figures of one frame: out takes one for each of [Model.Series]. x is as for [Model.Predict].
func (m *Model) PredictAll(x, out []float64) {
	m.checkInputs(x)
	if want := m.seriesCount(); len(out) != want {
		panic(fmt.Sprintf("vmaf: room for %d figures, model %s yields %d", len(out), m.Version, want))
	}
	main := m.members[0]
	out[0] = main.finish(main.raw(x))
	if !m.IsCollection() {
		return
	}
	raw := make([]float64, len(m.members)-1)
	for q, member := range m.members[1:] {
		raw[q] = member.raw(x)
		out[1+q] = member.finish(raw[q])
	}
	b := m.members[1].bootstrap(raw)
	copy(out[len(m.members):], []float64{b.bagging, b.stddev, b.lo, b.hi})
}

// seriesCount is the length of [Model.Series].
func (m *Model) seriesCount() int {
	if !m.IsCollection() {
		return 1
	}
	return len(m.members) + 4
}

// bootstrap holds what the members of a collection say together about one frame.
type bootstrap struct{ bagging, stddev, lo, hi float64 }

// bootstrap combines the members' raw predictions, which it sorts. It is called on the first member, whose transform and
// clip serve all. Source: spec/prediction.md §6, steps 3 to 7.
func (r *regression) bootstrap(raw []float64) bootstrap {
	n := float64(len(raw))
	sum := 0.0
	for _, v := range raw {
		sum += v
	}
	mean := sum / n
	squares := 0.0
	for _, v := range raw {
		d := v - mean
		squares += float64(d * d)
	}
	sigma := math.Sqrt(squares / n)

	slices.Sort(raw)
	const delta = 0.01
	slope := (r.finish(mean+delta) - r.finish(mean-delta)) / (2.0 * delta)
	return bootstrap{
		bagging: r.finish(mean),
		stddev:  float64(sigma * slope),
		lo:      r.finish(percentile(raw, 2.5)),
		hi:      r.finish(percentile(raw, 97.5)),
	}
}

// percentile interpolates between the order statistics of sorted, which is not empty. percent is 0 … 100.
// Source: spec/prediction.md §6, step 5.
func percentile(sorted []float64, percent float64) float64 {
	u := float64(percent*float64(len(sorted)-1)) / 100.0
	l, h := math.Floor(u), math.Ceil(u)
	if l == h {
		return sorted[int(l)]
	}
	return float64(sorted[int(l)]*(h-u)) + float64(sorted[int(h)]*(u-l))
}
