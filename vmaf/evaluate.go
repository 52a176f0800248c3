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
// raw is indexed by extraction of the plan, by raw figure ([Extraction.Raw]) and by frame, 0 … frames − 1. f is the format of the
// compared pictures. With subsample k > 1 only frames whose index is a multiple of k are measured: of the others, raw figures are
// ignored, but for those of extractions that need [Extraction.EveryFrame]. The table may share memory with raw.
//
// The order of the series is that in which a single-threaded run of libvmaf registers them (spec/legacy-logs.md A.1): what the
// first frame reports, extraction by extraction; what later frames report of it; the scores of all models; and then
// the further figures of each collection. Aggregates are in the order of extractions. Of pictures without chroma there are no series of
// chroma planes. FPS of the table is left to the caller.
//
// Errors: [ErrNoFrames]; a raw column that is missing or too short; a model's feature that pictures of this format do not have.
func (p *Plan) Evaluate(raw [][][]float64, f Format, frames, subsample int) (*Table, error) {
	t := &Table{Frames: frames, Subsample: subsample, Width: f.Width, Height: f.Height}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	features, err := p.features(raw, t, f)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for _, late := range []bool{false, true} {
		for i, e := range p.Extractions {
			for k, o := range e.outputs() {
				if o.late == late && o.has(f) && p.reports(i, k) {
					t.Series = append(t.Series, features[i][k])
				}
			}
		}
	}
	scores := make([][]Series, len(p.Models))
	for i, m := range p.Models {
		for k, from := range p.inputs[i] {
			if features[from.extraction][from.output].Values == nil {
				return nil, fmt.Errorf("evaluate: model %s needs %s, which %v pictures do not have", m.Version, m.Features()[k], f.Subsampling)
			}
		}
		scores[i] = p.predict(m, p.inputs[i], features, t)
		t.Series = append(t.Series, scores[i][0])
	}
	for _, s := range scores {
		t.Series = append(t.Series, s[1:]...)
	}
	return t, nil
}

// has says whether pictures of a format have the output.
func (o output) has(f Format) bool { return !o.chroma || f.Subsampling != Gray }

// features forms the series of every extraction, in the order of its outputs, and the aggregates of the table. Series that the pictures do
// not have are without values.
func (p *Plan) features(raw [][][]float64, t *Table, f Format) ([][]Series, error) {
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
		x := e.extractor
		columns, present := raw[i], skipped
		switch {
		case x.sequence != nil:
			columns, present = x.sequence(e, raw[i], f, t.Frames), nil
		case x.figures != nil:
			columns = t.frameByFrame(raw[i], len(e.outputs()), x.figures(e, f))
		}
		for k, o := range e.outputs() {
			s := Series{Name: e.seriesName(o)}
			if o.has(f) {
				s = newSeries(s.Name, columns[k][:t.Frames], present)
			}
			all[i] = append(all[i], s)
		}
		if x.aggregates != nil && p.used == nil {
			t.Aggregates = append(t.Aggregates, x.aggregates(e, raw[i], f, t.Frames)...)
		}
	}
	return all, nil
}

// frameByFrame applies figures to the raw columns at every frame that is measured.
func (t *Table) frameByFrame(raw [][]float64, outputs int, figures func(raw, out []float64)) [][]float64 {
	columns := make([][]float64, outputs)
	for k := range columns {
		columns[k] = make([]float64, t.Frames)
	}
	in, out := make([]float64, len(raw)), make([]float64, outputs)
	for frame := 0; frame < t.Frames; frame += max(t.Subsample, 1) {
		for k := range raw {
			in[k] = raw[k][frame]
		}
		figures(in, out)
		for k := range columns {
			columns[k][frame] = out[k]
		}
	}
	return columns
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
