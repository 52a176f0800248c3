package workflow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// Names under which an imported measurement's figures are kept, in front of a series' name.
const (
	importedSeries  = "series:"  // values; where some listed frame has none, beside them 1 where there is one and 0 where not
	importedSegment = "segment:" // and a pooling and ":": of the plan's chunks, NaN where a chunk has none
	importedSeconds = "seconds"  // presentation times
)

// importedColumns are a file's figures as they are kept. Values keep their bits, also those of frames without one, which are NaN.
func importedColumns(r *ImportRequest, identity store.Identity) []store.ColumnsPut {
	var puts []store.ColumnsPut
	put := func(figure string, first, end, step int64, figures ...[]float64) {
		puts = append(puts, store.ColumnsPut{
			Key:     store.ColumnsKey{Identity: identity, Figure: figure},
			Columns: store.Columns{First: first, End: end, Step: step, Figures: figures},
		})
	}
	if t := r.Table; t != nil {
		step := max(t.Subsample, 1)
		for _, series := range t.Series {
			put(importedSeries+series.Name, 0, int64(t.Frames), int64(step), listedFigures(series, step)...)
		}
	}
	if r.Seconds != nil {
		put(importedSeconds, 0, int64(len(r.Seconds)), 1, r.Seconds)
	}
	columns := map[string][]float64{}
	var order []string
	for i, segment := range r.Segments {
		for _, score := range segment.Scores {
			for _, pooled := range score.Pooled {
				name := segmentFigure(pooled.Method, score.Series)
				column := columns[name]
				if column == nil {
					column = slices.Repeat([]float64{math.NaN()}, len(r.Segments))
					columns[name] = column
					order = append(order, name)
				}
				column[i] = pooled.Value
			}
		}
	}
	for _, name := range order {
		put(name, 0, int64(len(r.Segments)), 1, columns[name])
	}
	return puts
}

func segmentFigure(method vmaf.PoolMethod, series string) string {
	return importedSegment + string(method) + ":" + series
}

// listedFigures are a series' values at the frames that subsampling left in, and where it lacks some of these, which it has.
func listedFigures(series vmaf.Series, step int) [][]float64 {
	n := (len(series.Values) + step - 1) / step
	values, has, whole := make([]float64, 0, n), make([]float64, 0, n), true
	for i := 0; i < len(series.Values); i += step {
		v, ok := series.At(i)
		if !ok {
			values, has, whole = append(values, math.NaN()), append(has, 0), false
			continue
		}
		values, has = append(values, v), append(has, 1)
	}
	if whole {
		return [][]float64{values}
	}
	return [][]float64{values, has}
}

// importedTable reads the figures of an imported measurement, and of one that was made of it by scoring it anew forms the scores. Its error wraps
// [ErrNotStored] where they are gone, or the file had none by frame.
func (s *Service) importedTable(ctx context.Context, m *store.Measurement) (*vmaf.Table, error) {
	t, err := s.importedFigures(ctx, m.Imported, m.Renditions[0].Identity)
	if err != nil || m.Rescored == "" {
		return t, err
	}
	plan, err := s.planOf(ctx, m)
	if err != nil {
		return nil, err
	}
	scores, _, err := predictImported(plan, t)
	if err != nil {
		return nil, err
	}
	t.Series = append(t.Series, scores...)
	return t, nil
}

// importedFigures are the series of a file that are kept under an identity.
func (s *Service) importedFigures(ctx context.Context, imported *store.Imported, identity store.Identity) (*vmaf.Table, error) {
	if len(imported.Series) == 0 {
		return nil, fmt.Errorf("%w: the imported file has no figures of frames", ErrNotStored)
	}
	t := &vmaf.Table{
		Frames: int(imported.Frames), Subsample: int(imported.Step), Width: imported.Width, Height: imported.Height, FPS: imported.Numbers[importedSpeed],
		Aggregates: imported.Aggregates,
	}
	for _, name := range imported.Series {
		key := store.ColumnsKey{Identity: identity, Figure: importedSeries + name}
		runs, err := s.store.Columns(ctx, key, 0, imported.Frames)
		if err != nil {
			return nil, err
		}
		series := vmaf.Series{Name: name, Values: slices.Repeat([]float64{math.NaN()}, t.Frames)}
		if t.Subsample > 1 {
			series.Present = make([]bool, t.Frames)
		}
		listed := 0
		for _, run := range runs {
			if len(run.Figures) > 1 && series.Present == nil {
				series.Present = make([]bool, t.Frames)
			}
			for i, v := range run.Figures[0] {
				frame := run.First + int64(i)*run.Step
				if frame >= imported.Frames {
					return nil, fmt.Errorf("%w: figures of %s behind frame %d", store.ErrCorrupt, name, imported.Frames)
				}
				listed++
				if len(run.Figures) > 1 && run.Figures[1][i] == 0 {
					continue
				}
				series.Values[frame] = v
				if series.Present != nil {
					series.Present[frame] = true
				}
			}
		}
		if want := (t.Frames + t.Subsample - 1) / max(t.Subsample, 1); listed != want {
			return nil, fmt.Errorf("%w: %s at %d of %d frames", ErrNotStored, name, want-listed, want)
		}
		t.Series = append(t.Series, series)
	}
	return t, nil
}

// importedSpeed is the key of a table's frames a second in [store.Imported].Numbers.
const importedSpeed = "fps"

// importedTimes are the presentation times that a file had of its frames; nil without any.
func (s *Service) importedTimes(ctx context.Context, m *store.Measurement, frames int64) ([]float64, error) {
	runs, err := s.store.Columns(ctx, store.ColumnsKey{Identity: m.Renditions[0].Identity, Figure: importedSeconds}, 0, frames)
	if err != nil {
		return nil, err
	}
	var seconds []float64
	for _, run := range runs {
		seconds = append(seconds, run.Figures[0]...)
	}
	if int64(len(seconds)) != frames {
		return nil, nil
	}
	return seconds, nil
}

// importedSegments are the scores of chunks that an imported record had; nil without any.
func (s *Service) importedSegments(ctx context.Context, m *store.Measurement) ([]SegmentScore, error) {
	if m.Imported == nil || !m.Imported.Segmented {
		return nil, nil
	}
	list := make([]SegmentScore, len(m.Plan.Chunks))
	for i, c := range m.Plan.Chunks {
		list[i] = SegmentScore{First: c.First, End: c.End}
	}
	for _, score := range m.Renditions[0].Scores {
		columns := make([][]float64, len(m.Plan.Pools))
		for k, method := range m.Plan.Pools {
			key := store.ColumnsKey{Identity: m.Renditions[0].Identity, Figure: segmentFigure(method, score.Series)}
			runs, err := s.store.Columns(ctx, key, 0, int64(len(list)))
			if err != nil {
				return nil, err
			}
			for _, run := range runs {
				columns[k] = append(columns[k], run.Figures[0]...)
			}
		}
		for i := range list {
			of := store.Score{Series: score.Series, Model: score.Model}
			for k, method := range m.Plan.Pools {
				if i < len(columns[k]) && !math.IsNaN(columns[k][i]) {
					of.Pooled = append(of.Pooled, store.Pooled{Method: method, Value: columns[k][i]})
				}
			}
			if len(of.Pooled) > 0 {
				list[i].Scores = append(list[i].Scores, of)
			}
		}
	}
	return list, nil
}

// scoresOfImport are the aggregates of an imported file: the file's own where it has them, since it formed them of more digits than it lists, and else
// those of its frames. Models' series come first. The warnings say where the two contradict each other.
func scoresOfImport(p *store.Plan, imported *store.Imported, t *vmaf.Table) (scores []store.Score, warnings []string) {
	stated := map[string]map[vmaf.PoolMethod]float64{} // by alias
	names, known := slices.Clone(imported.Series), map[string]bool{}
	for _, name := range names {
		known[vmaf.Alias(name)] = true
	}
	for _, score := range imported.Pooled {
		figures := map[vmaf.PoolMethod]float64{}
		for _, pooled := range score.Pooled {
			figures[pooled.Method] = pooled.Value
		}
		if !known[vmaf.Alias(score.Series)] {
			known[vmaf.Alias(score.Series)] = true
			names = append(names, score.Series)
		}
		stated[vmaf.Alias(score.Series)] = figures
	}
	for _, name := range modelsFirst(p, names) {
		score := store.Score{Series: name, Model: modelOf(p, name)}
		column := -1
		if t != nil {
			column = slices.IndexFunc(t.Series, func(series vmaf.Series) bool { return series.Name == name })
		}
		for _, method := range p.Pools {
			formed, ok := math.NaN(), false
			if column >= 0 {
				formed, ok = t.Pooled(column, method)
			}
			value, given := stated[vmaf.Alias(name)][method]
			if !given {
				value = formed
			}
			if (given || ok) && !math.IsNaN(value) {
				score.Pooled = append(score.Pooled, store.Pooled{Method: method, Value: value})
			}
		}
		scores = append(scores, score)
		if text := contradicts(stated[vmaf.Alias(name)], t, column); text != "" {
			warnings = append(warnings, name+": the file's own "+text)
		}
	}
	return append(scores, aggregateScores(imported.Aggregates)...), warnings
}

// contradiction is how far, relative to the figure or to 1, a file's own figure may be from that of the frames it lists: no form rounds either to fewer
// than four decimals or six digits.
const contradiction = 1e-4

// contradicts says that a file's own figures of a series cannot be those of one list of values, or are not those of the frames that it lists: of
// column of t, which is −1 without any. "": neither.
func contradicts(stated map[vmaf.PoolMethod]float64, t *vmaf.Table, column int) string {
	ascending := []vmaf.PoolMethod{vmaf.PoolMin, vmaf.PoolMean, vmaf.PoolMax}
	if least, given := stated[vmaf.PoolMin]; given && least >= 0 {
		ascending = []vmaf.PoolMethod{vmaf.PoolMin, vmaf.PoolHarmonicMean, vmaf.PoolMean, vmaf.PoolMax}
	}
	for i, low := range ascending {
		for _, high := range ascending[i+1:] {
			below, hasLow := stated[low]
			above, hasHigh := stated[high]
			if hasLow && hasHigh && below > above && differ(below, above) {
				return fmt.Sprintf("%s %g is above its %s %g: no frames have such figures", low, below, high, above)
			}
		}
	}
	var other []string
	for _, method := range []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin, vmaf.PoolMax} {
		value, given := stated[method]
		if !given || column < 0 || method == vmaf.PoolHarmonicMean && negative(&t.Series[column]) {
			continue
		}
		if formed, ok := t.Pooled(column, method); ok && differ(value, formed) {
			other = append(other, fmt.Sprintf("%s %g is not that of the frames it lists, %g", method, value, formed))
		}
	}
	if len(other) == 0 {
		return ""
	}
	return strings.Join(other, ", its ") + ": formed over other frames"
}

// differ says whether a figure is not what another one is, by more than forms round. NaN, which stands for what a form has no number for, is anything.
func differ(value, formed float64) bool {
	switch {
	case math.IsNaN(value), math.IsNaN(formed), value == formed:
		return false
	case math.IsInf(value, 0), math.IsInf(formed, 0):
		return true
	}
	return math.Abs(value-formed) > contradiction*max(1, math.Abs(formed))
}

// negative says whether a series has values below 0. Its harmonic mean, which libvmaf forms of values plus 1, may then change without bounds with their
// last digit.
func negative(series *vmaf.Series) bool {
	return slices.ContainsFunc(series.Values, func(v float64) bool { return v < 0 })
}

// importedPools are the usual poolings, and what else a file has.
func importedPools(r *ImportRequest) []vmaf.PoolMethod {
	pools := defaultPools()
	add := func(scores []store.Score) {
		for _, score := range scores {
			for _, pooled := range score.Pooled {
				if pooled.Method != poolAggregate && !slices.Contains(pools, pooled.Method) {
					pools = append(pools, pooled.Method)
				}
			}
		}
	}
	add(r.Imported.Pooled)
	for _, segment := range r.Segments {
		add(segment.Scores)
	}
	return pools
}

func aggregateScores(list []vmaf.Aggregate) []store.Score {
	var scores []store.Score
	for _, a := range list {
		if !math.IsNaN(a.Value) {
			scores = append(scores, store.Score{Series: a.Name, Pooled: []store.Pooled{{Method: poolAggregate, Value: a.Value}}})
		}
	}
	return scores
}

// modelOf is the name of the model whose series it is; "": a feature.
func modelOf(p *store.Plan, series string) string {
	for _, m := range p.Models {
		if slices.ContainsFunc(m.Series, func(name string) bool { return vmaf.Alias(name) == vmaf.Alias(series) }) {
			return m.Name
		}
	}
	return ""
}

// modelsFirst orders series as aggregates are listed: the models', and then the others, each as they were.
func modelsFirst(p *store.Plan, names []string) []string {
	var scores, features []string
	for _, name := range names {
		if modelOf(p, name) != "" {
			scores = append(scores, name)
		} else {
			features = append(features, name)
		}
	}
	return append(scores, features...)
}

// scoresOfTable are the aggregates of frames [first, end) of an imported measurement's table.
func scoresOfTable(p *store.Plan, t *vmaf.Table, first, end int) []store.Score {
	part := slice(t, first, end)
	index := map[string]int{}
	var names []string
	for i, series := range part.Series {
		index[series.Name] = i
		names = append(names, series.Name)
	}
	var scores []store.Score
	for _, name := range modelsFirst(p, names) {
		score := store.Score{Series: name, Model: modelOf(p, name)}
		for _, method := range p.Pools {
			if v, ok := part.Pooled(index[name], method); ok && !math.IsNaN(v) {
				score.Pooled = append(score.Pooled, store.Pooled{Method: method, Value: v})
			}
		}
		scores = append(scores, score)
	}
	return append(scores, aggregateScores(part.Aggregates)...)
}
