package vmaf

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

// Evaluate forms all series from the raw figures of a whole sequence: those that need neighbouring frames, such as motion2,
// and the scores of the models.
//
// raw is indexed by extraction of the plan, by raw figure ([Extraction.Raw]) and by frame, 0 … frames − 1. width and height are
// the size of the compared pictures in luma samples. With subsample k > 1 only frames whose index is a multiple of k are
// measured: of the others, raw figures are ignored, but for motion's, which are needed of every frame. The table may share
// memory with raw.
//
// The order of the series is that in which a single-threaded run of libvmaf registers them (spec/legacy-logs.md A.1): what the
// first frame reports, extraction by extraction; what later frames report of it; the scores of all models; and then
// the further figures of each collection. FPS of the table is left to the caller.
//
// Errors: [ErrNoFrames]; a raw column that is missing or too short.
func (p *Plan) Evaluate(raw [][][]float64, width, height, frames, subsample int) (*Table, error) {
	t := &Table{Frames: frames, Subsample: subsample, Width: width, Height: height}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	features, err := p.features(raw, t)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for _, late := range []bool{false, true} {
		for i, e := range p.Extractions {
			for k, o := range e.outputs() {
				if o.late == late && p.reports(i, k) {
					t.Series = append(t.Series, features[i][k])
				}
			}
		}
	}
	scores := make([][]Series, len(p.Models))
	for i, m := range p.Models {
		scores[i] = p.predict(m, p.inputs[i], features, t)
		t.Series = append(t.Series, scores[i][0])
	}
	for _, s := range scores {
		t.Series = append(t.Series, s[1:]...)
	}
	return t, nil
}

// features forms the series of every extraction, in the order of its outputs.
func (p *Plan) features(raw [][][]float64, t *Table) ([][]Series, error) {
	if len(raw) != len(p.Extractions) {
		return nil, fmt.Errorf("raw figures of %d extractions, want %d", len(raw), len(p.Extractions))
	}
	skipped := t.presence()
	all := make([][]Series, len(raw))
	for i, e := range p.Extractions {
		names := e.Raw()
		if len(raw[i]) != len(names) {
			return nil, fmt.Errorf("%s: %d raw figures, want %d", e.Key(), len(raw[i]), len(names))
		}
		for k, column := range raw[i] {
			if len(column) < t.Frames {
				return nil, fmt.Errorf("%s: %s of %d frames, want %d", e.Key(), names[k], len(column), t.Frames)
			}
		}
		columns, present := raw[i], skipped
		if e.extractor.assemble != nil {
			columns, present = e.extractor.assemble(e, raw[i], t.Width, t.Height, t.Frames), nil
		}
		for k, name := range e.Series() {
			all[i] = append(all[i], newSeries(name, columns[k][:t.Frames], present))
		}
	}
	return all, nil
}

// presence says which frames subsampling left in; nil: all.
func (t *Table) presence() []bool {
	if t.Subsample <= 1 {
		return nil
	}
	present := make([]bool, t.Frames)
	for i := 0; i < t.Frames; i += t.Subsample {
		present[i] = true
	}
	return present
}

// newSeries makes a series of values. Frames that are not present are made NaN, in a copy.
func newSeries(name string, values []float64, present []bool) Series {
	if present == nil {
		return Series{Name: name, Values: values}
	}
	masked := make([]float64, len(values))
	for i := range masked {
		masked[i] = math.NaN()
		if present[i] {
			masked[i] = values[i]
		}
	}
	return Series{Name: name, Values: masked, Present: present}
}

// predict computes all series of one model. Frames do not depend on one another, so that ranges of them go to different
// processors; the result is the same for any number of these.
func (p *Plan) predict(m *Model, inputs []seriesIndex, features [][]Series, t *Table) []Series {
	present := t.presence()
	list := make([]Series, m.seriesCount())
	for k, name := range m.Series() {
		list[k] = Series{Name: name, Values: make([]float64, t.Frames), Present: present}
	}
	predictRange := func(first, end int) {
		x, out := make([]float64, len(inputs)), make([]float64, len(list))
		for frame := first; frame < end; frame++ {
			if present != nil && !present[frame] {
				for k := range list {
					list[k].Values[frame] = math.NaN()
				}
				continue
			}
			for i, from := range inputs {
				x[i] = features[from.extraction][from.output].Values[frame]
			}
			m.PredictAll(x, out)
			for k := range list {
				list[k].Values[frame] = out[k]
			}
		}
	}
	const framesAtLeast = 64 // a goroutine for fewer costs more than it saves
	workers := min(runtime.GOMAXPROCS(0), (t.Frames+framesAtLeast-1)/framesAtLeast)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { predictRange(t.Frames*w/workers, t.Frames*(w+1)/workers) })
	}
	group.Wait()
	return list
}
