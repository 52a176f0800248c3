package workflow

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// rescoreImported scores the features of m, an imported measurement, into d, the rendition of out, which is m on its way to be another with models of its
// own. What the file had stays, but for scores and what it had of chunks. It says how many frames there are.
func (s *Service) rescoreImported(ctx context.Context, m, out *store.Measurement, d *store.Rendition, plan *vmaf.Plan) (frames int, err error) {
	imported := *m.Imported
	imported.Series, imported.Pooled, imported.Segmented = nil, nil, false
	for _, name := range m.Imported.Series {
		if modelOf(m.Plan, name) == "" {
			imported.Series = append(imported.Series, name)
		}
	}
	out.Imported = &imported
	table, err := s.importedFigures(ctx, &imported, d.Identity)
	if err != nil {
		return 0, err
	}
	scores, warnings, err := predictImported(plan, table)
	if err != nil {
		return 0, err
	}
	table.Series = append(table.Series, scores...)
	out.Plan.Warnings, out.Plan.Extractions = warnings, nil
	d.Scores = scoresOfTable(out.Plan, table, 0, table.Frames)
	return table.Frames, nil
}

// predictImported scores the frames of an imported table that have all that a model needs. warnings say what its figures are worth. Errors:
// [ErrNotStored] names a feature that it does not have; [ErrState] where the file has a series of a model's name.
func predictImported(plan *vmaf.Plan, t *vmaf.Table) (scores []vmaf.Series, warnings []string, err error) {
	taken := map[string]bool{}
	for _, series := range t.Series {
		taken[vmaf.Alias(series.Name)] = true
	}
	all := make([][]vmaf.Series, len(plan.Models))
	for i, m := range plan.Models {
		for _, name := range m.Series() {
			if taken[vmaf.Alias(name)] {
				return nil, nil, fmt.Errorf("%w: the imported file has a series %s; give the model another name (name=…)", ErrState, name)
			}
		}
		inputs, notes, err := importedInputs(m, t)
		if err != nil {
			return nil, nil, err
		}
		if all[i], err = predictSeries(m, inputs, t.Frames); err != nil {
			return nil, nil, err
		}
		for _, note := range notes {
			if !slices.Contains(warnings, note) {
				warnings = append(warnings, note)
			}
		}
	}
	for _, list := range all {
		scores = append(scores, list[0])
	}
	for _, list := range all {
		scores = append(scores, list[1:]...)
	}
	return scores, warnings, nil
}

// importedInputs finds the features of a model among the series of a file. Where it lacks one that is made of integers, but has its counterpart in
// floating point, which is what releases before 2.0 computed, that stands in.
func importedInputs(m *vmaf.Model, t *vmaf.Table) (inputs []vmaf.Series, warnings []string, err error) {
	var standIns, missing []string
	for _, name := range m.Features() {
		alias := vmaf.Alias(name)
		series, ok := t.Column(alias)
		if float, integer := strings.CutPrefix(alias, "integer_"); !ok && integer {
			if series, ok = t.Column(float); ok {
				standIns = append(standIns, float)
			}
		}
		if !ok {
			missing = append(missing, alias)
			continue
		}
		inputs = append(inputs, series)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("%w: the imported file has no %s, which model %s needs", ErrNotStored, strings.Join(missing, ", "), m.Version)
	}
	if len(standIns) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s of the imported file are floating-point features; they stand in for the integer ones that model %s was given, whose figures differ a little: "+
			"scores are near those of a measurement, not equal", strings.Join(standIns, ", "), m.Version))
	}
	if decimals := decimalsOf(inputs); decimals < exactDecimals {
		warnings = append(warnings, fmt.Sprintf("the imported features of model %s have %d decimals, and scores are as exact as these allow", m.Version, decimals))
	}
	return inputs, warnings, nil
}

// exactDecimals is from how many decimals on figures count as written in full: features are below 1 or little above, and 17 digits hold any double, but
// trailing zeros are left out, so that the longest of many figures decides.
const exactDecimals = 12

// decimalsOf is how many decimals the figures need at most.
func decimalsOf(list []vmaf.Series) int {
	most := 0
	var text []byte
	for _, series := range list {
		for _, v := range series.Values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			text = strconv.AppendFloat(text[:0], v, 'f', -1, 64)
			if point := slices.Index(text, '.'); point >= 0 {
				most = max(most, len(text)-point-1)
			}
			if most >= exactDecimals {
				return most
			}
		}
	}
	return most
}

// predictSeries scores every frame that has all inputs. Frames are independent of one another, so that the result does not depend on how many processors
// share them.
func predictSeries(m *vmaf.Model, inputs []vmaf.Series, frames int) ([]vmaf.Series, error) {
	present, some := make([]bool, frames), false
	for frame := range frames {
		present[frame] = true
		for _, series := range inputs {
			if _, ok := series.At(frame); !ok {
				present[frame] = false
				break
			}
		}
		some = some || present[frame]
	}
	if !some {
		return nil, fmt.Errorf("%w: no frame of the imported file has all features of model %s", ErrNotStored, m.Version)
	}
	if !slices.Contains(present, false) {
		present = nil
	}
	names := m.Series()
	list := make([]vmaf.Series, len(names))
	for k, name := range names {
		list[k] = vmaf.Series{Name: name, Values: slices.Repeat([]float64{math.NaN()}, frames), Present: present}
	}
	predict := func(first, end int) {
		x, out := make([]float64, len(inputs)), make([]float64, len(list))
		for frame := first; frame < end; frame++ {
			if present != nil && !present[frame] {
				continue
			}
			for i := range inputs {
				x[i] = inputs[i].Values[frame]
			}
			m.PredictAll(x, out)
			for k := range list {
				list[k].Values[frame] = out[k]
			}
		}
	}
	workers := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { predict(frames*w/workers, frames*(w+1)/workers) })
	}
	group.Wait()
	return list, nil
}
