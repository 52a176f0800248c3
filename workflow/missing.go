package workflow

import (
	"context"
	"slices"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// within is the part of a chunk at which a rendition is compared: [first, end), empty where first ≥ end.
func within(c store.Chunk, d *store.Rendition) (first, end int64) {
	return max(c.First, d.First), min(c.End, d.End)
}

// onStep is the first frame from first on that subsampling by step from origin leaves in.
func onStep(first, origin, step int64) int64 {
	if past := (first - origin) % step; past != 0 {
		return first + step - past
	}
	return first
}

// span is frames first, first + step … before end whose figures are needed.
type span struct{ first, end, step int64 }

// spanOf is what is needed of an extraction over a chunk, for a rendition. The first frames of a sequence have no motion, whatever is
// stored for them.
func spanOf(e vmaf.Extraction, c store.Chunk, d *store.Rendition, subsample int64) span {
	first, end := within(c, d)
	switch {
	case e.ReferenceOnly():
		return span{max(first, d.First+int64(e.Halo())), end, 1}
	case e.EveryFrame():
		return span{first, end, 1}
	}
	return span{onStep(first, d.First, subsample), end, subsample}
}

// covered says whether stored runs have every frame of a span. Runs ascend by their first frame and may overlap.
func (s span) covered(runs []store.Run) bool {
	for at := s.first; at < s.end; {
		i := slices.IndexFunc(runs, func(r store.Run) bool {
			return r.First <= at && at < r.End && (at-r.First)%r.Step == 0
		})
		if i < 0 {
			return false
		}
		if r := runs[i]; s.step%r.Step == 0 {
			at = onStep(r.End, s.first, s.step) // that run has all of them up to its end
		} else {
			at += s.step
		}
	}
	return true
}

// tasks makes the chunk tasks: for each chunk, the extractions whose figures are not stored, for the renditions that lack them. Renditions that lack the
// same are measured together, so that the reference is decoded once for them.
func (p *planning) tasks(ctx context.Context) ([]store.Task, error) {
	extractions := distinctRaw(p.vmaf.Extractions)
	first, end := p.plan.Chunks[0].First, p.plan.Chunks[len(p.plan.Chunks)-1].End
	stored := map[store.ColumnsKey][]store.Run{}
	runsOf := func(key store.ColumnsKey) ([]store.Run, error) {
		if runs, ok := stored[key]; ok || p.m.Request.NoCache {
			return runs, nil
		}
		runs, err := p.s.store.Runs(ctx, key, first, end)
		stored[key] = runs
		return runs, err
	}
	subsample := int64(max(p.m.Request.Subsample, 1))
	var tasks []store.Task
	for i, chunk := range p.plan.Chunks {
		var sets []string // extraction sets in order of appearance
		lacking := map[string]*store.Task{}
		for k := range p.ds {
			d := &p.ds[k]
			if d.State != store.StateRunning {
				continue
			}
			if from, to := within(chunk, d); from >= to {
				continue
			}
			var missing []string
			set := ""
			for _, e := range extractions {
				runs, err := runsOf(columnsKey(d, e))
				if err != nil {
					return nil, err
				}
				if !spanOf(e, chunk, d, subsample).covered(runs) {
					missing = append(missing, e.String())
					set += e.String() + "\n"
				}
			}
			if len(missing) == 0 {
				continue
			}
			if lacking[set] == nil {
				sets = append(sets, set)
				lacking[set] = &store.Task{Kind: store.TaskChunk, Chunk: i, Extractions: missing}
			}
			lacking[set].Renditions = append(lacking[set].Renditions, k)
		}
		for _, set := range sets {
			t := lacking[set]
			t.Key = store.TaskKey{Class: p.plan.Class, Deadline: p.m.Request.Deadline, Measurement: p.m.ID, Number: len(tasks) + 1}
			tasks = append(tasks, *t)
		}
	}
	return tasks, nil
}

// columnsKey is where the figures of an extraction of the plan are stored for a rendition.
func columnsKey(d *store.Rendition, e vmaf.Extraction) store.ColumnsKey {
	e = told(e, d)
	id := d.Identity
	if e.ReferenceOnly() {
		id = d.ReferenceIdentity
	}
	return store.ColumnsKey{Identity: id, Figure: e.RawKey()}
}

// distinctRaw leaves out extractions whose raw figures another one has.
func distinctRaw(list []vmaf.Extraction) []vmaf.Extraction {
	var out []vmaf.Extraction
	seen := map[string]bool{}
	for _, e := range list {
		if !seen[e.RawKey()] {
			seen[e.RawKey()] = true
			out = append(out, e)
		}
	}
	return out
}
