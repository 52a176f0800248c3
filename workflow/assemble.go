package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// queueAssembly has a measurement's complete renditions assembled. Where more wait than fit, the next reconciliation asks again.
func (s *Service) queueAssembly(id store.MeasurementID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.assembled[id] {
		return
	}
	select {
	case s.assembly <- id:
		s.assembled[id] = true
	default:
	}
}

func (s *Service) assembleLoop(ctx context.Context) error {
	for {
		select {
		case id := <-s.assembly:
			s.mu.Lock()
			delete(s.assembled, id)
			s.mu.Unlock()
			if err := s.assemble(ctx, id); err != nil && ctx.Err() == nil {
				s.log.Error("a measurement could not be assembled; it will be tried again", "measurement", id, "err", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// assemble scores the renditions of a measurement that have all of their figures, and ends the measurement after the last.
func (s *Service) assemble(ctx context.Context, id store.MeasurementID) error {
	done, err := s.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	a, err := s.take(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a == nil {
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	m, complete := a.m, s.complete(a)
	s.mu.Unlock()
	if len(complete) == 0 {
		return nil
	}
	began := time.Now()
	tasks, err := s.store.Done(ctx, id)
	if err != nil {
		return err
	}
	plan, err := s.planOf(ctx, m)
	if err != nil {
		return err
	}
	scored := map[int]store.Rendition{}
	for _, k := range complete {
		d := m.Renditions[k]
		d.Damage = store.Damage{}
		for _, t := range tasks {
			if r, ok := t.Renditions[k]; ok {
				addDamage(&d.Damage, r.Damage)
				if r.EndedAt >= 0 {
					d.End = min(d.End, r.EndedAt)
				}
			}
		}
		table, err := s.table(ctx, m, &d, plan)
		switch {
		case errors.Is(err, ErrNotStored):
			return s.measureMissing(ctx, a, m, plan, err)
		case errors.Is(err, vmaf.ErrNoFrames):
			d.State, d.Failure = store.StateFailed, &store.Failure{Reason: store.ReasonInvalid, Message: fmt.Sprintf("%s: no frame to compare", m.Request.Renditions[k].Source.URI)}
		case err != nil:
			return fmt.Errorf("rendition %s: %w", d.Name, err)
		default:
			if d.Scores, err = scoresOf(plan, m.Plan, &d, table, 0, table.Frames); err != nil {
				return fmt.Errorf("rendition %s: %w", d.Name, err)
			}
			d.State = store.StateSucceeded
			s.tables.put(id, k, table)
		}
		scored[k] = d
	}
	ended := false
	m, err = s.store.Update(ctx, id, func(m *store.Measurement) (store.Changes, error) {
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		for k, d := range scored {
			if !m.Renditions[k].State.Final() {
				m.Renditions[k] = d
			}
		}
		if ended = allFinal(m); !ended {
			return store.Changes{}, nil
		}
		s.close(m)
		summarise(m, tasks)
		return store.Changes{DeleteDone: true}, nil
	})
	if err != nil {
		return err
	}
	s.metrics.assembly.Observe(time.Since(began).Seconds())
	if ended {
		s.log.Info("measurement finished", "measurement", id, "state", string(m.State), "measured", m.MeasuredFrames, "stored", m.CachedFrames, "elapsed", m.Finished.Sub(m.Created))
		s.ended(m)
		return nil
	}
	s.mu.Lock()
	a.m = m
	s.mu.Unlock()
	s.hub.notify(id)
	return nil
}

// summarise puts what the tasks have to say into the record of a measurement that has ended.
func summarise(m *store.Measurement, tasks []store.TaskDone) {
	backends, workers := map[string]bool{}, map[string]bool{}
	m.MeasuredFrames, m.Busy, m.ReferenceDamage = 0, 0, store.Damage{}
	for _, t := range tasks {
		backends[t.Backend], workers[t.Worker] = true, true
		m.MeasuredFrames += t.Frames
		m.Busy += t.Busy
		addDamage(&m.ReferenceDamage, t.Reference)
	}
	m.Backends = slices.Sorted(maps.Keys(backends))
	m.Workers = slices.Sorted(maps.Keys(workers))
}

func addDamage(sum *store.Damage, d store.Damage) {
	sum.Decoded += d.Decoded
	sum.Damaged += d.Damaged
	sum.Missing += d.Missing
	sum.FormatChanges += d.FormatChanges
}

// measureMissing makes tasks for figures that were there when the measurement was planned, or recorded since, and are gone: someone cleaned up.
func (s *Service) measureMissing(ctx context.Context, a *active, m *store.Measurement, plan *vmaf.Plan, why error) error {
	s.log.Warn("stored figures are gone; they are measured again", "measurement", m.ID, "err", why)
	p := &planning{s: s, m: m, plan: m.Plan, vmaf: plan, ds: m.Renditions}
	tasks, err := p.tasks(ctx)
	if err != nil {
		return err
	}
	if len(tasks) == 0 {
		return why
	}
	// Numbers that are new, so that results of before are not taken for theirs.
	s.mu.Lock()
	next := len(m.Plan.Chunks)*len(m.Renditions) + 1
	for n := range a.tasks {
		next = max(next, n+1)
	}
	s.mu.Unlock()
	done, err := s.store.Done(ctx, m.ID)
	if err != nil {
		return err
	}
	for _, t := range done {
		next = max(next, t.Number+1)
	}
	for i := range tasks {
		tasks[i].Key.Number = next + i
	}
	if err := s.store.Apply(ctx, store.Changes{PutTasks: tasks}); err != nil {
		return err
	}
	all, err := s.store.MeasurementTasks(ctx, m.ID)
	if err != nil {
		return err
	}
	s.remember(m, all, nil)
	s.wake()
	return nil
}

// planOf makes the domain's plan of a measurement's models and features again.
func (s *Service) planOf(ctx context.Context, m *store.Measurement) (*vmaf.Plan, error) {
	plan, err := (documents{nil, s.store}).parsePlan(ctx, modelSpecs(m.Plan.Models), m.Plan.Features, "")
	if err != nil {
		return nil, fmt.Errorf("plan of measurement %s: %w", m.ID, err)
	}
	for i, model := range plan.Models {
		if model.Digest != m.Plan.Models[i].Digest {
			return nil, fmt.Errorf("%w: model %s is not the one that measurement %s was planned with", store.ErrCorrupt, model.Name, m.ID)
		}
	}
	return plan, nil
}

// table forms all series of a rendition from stored figures. Its error wraps [ErrNotStored] where one is missing.
func (s *Service) table(ctx context.Context, m *store.Measurement, d *store.Rendition, plan *vmaf.Plan) (*vmaf.Table, error) {
	return s.tableOf(ctx, m, d, plan, d.First, d.End)
}

// tableOf is the same for reference frames [first, end), of which first is a frame that subsampling left in.
func (s *Service) tableOf(ctx context.Context, m *store.Measurement, d *store.Rendition, plan *vmaf.Plan, first, end int64) (*vmaf.Table, error) {
	if first >= end {
		return nil, vmaf.ErrNoFrames
	}
	plan, err := planFor(plan, d)
	if err != nil {
		return nil, err
	}
	subsample := max(m.Request.Subsample, 1)
	raw := make([][][]float64, len(plan.Extractions))
	same := map[string]int{} // extractions that share raw figures
	for i, e := range plan.Extractions {
		if k, ok := same[e.RawKey()]; ok {
			raw[i] = raw[k]
			continue
		}
		same[e.RawKey()] = i
		if raw[i], err = s.rawColumns(ctx, d, e, first, end, int64(subsample)); err != nil {
			return nil, err
		}
	}
	format, err := formatOf(d.Format)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return plan.Evaluate(raw, format, int(end-first), subsample)
}

// formatOf is a stored format as the features know it.
func formatOf(f store.Format) (vmaf.Format, error) {
	subsampling, err := vmaf.ParseSubsampling(f.Subsampling)
	return vmaf.Format{Width: f.Width, Height: f.Height, BitsPerComponent: f.BitDepth, Subsampling: subsampling, FullRange: f.FullRange}, err
}

// rawColumns reads the raw figures of an extraction for reference frames [first, end).
func (s *Service) rawColumns(ctx context.Context, d *store.Rendition, e vmaf.Extraction, first, end, subsample int64) ([][]float64, error) {
	n := end - first
	columns := make([][]float64, len(e.Raw()))
	for c := range columns {
		columns[c] = make([]float64, n)
	}
	need := span{first, end, subsample}
	switch {
	case e.ReferenceOnly():
		need = span{first + int64(e.Halo()), end, 1}
	case e.EveryFrame():
		need.step = 1
	}
	if need.first >= need.end {
		return columns, nil
	}
	stored, err := s.store.Columns(ctx, columnsKey(d, e), need.first, need.end)
	if err != nil {
		return nil, err
	}
	have := make([]bool, n)
	for _, run := range stored {
		if len(run.Figures) != len(columns) {
			return nil, fmt.Errorf("%w: figures of %s at frame %d have %d columns, want %d", store.ErrCorrupt, e.Key(), run.First, len(run.Figures), len(columns))
		}
		i := int64(0)
		if run.First < need.first {
			i = (need.first - run.First + run.Step - 1) / run.Step
		}
		for ; ; i++ {
			frame := run.First + i*run.Step
			if frame >= min(run.End, need.end) {
				break
			}
			have[frame-first] = true
			for c := range columns {
				columns[c][frame-first] = run.Figures[c][i]
			}
		}
	}
	for frame := need.first; frame < need.end; frame += need.step {
		if !have[frame-first] {
			return nil, fmt.Errorf("%w: %s at frame %d", ErrNotStored, e.Key(), frame)
		}
	}
	return columns, nil
}

// poolAggregate stands where the method does for figures of all frames together that no pooling gives.
const poolAggregate vmaf.PoolMethod = "aggregate"

// scoresOf are the aggregates of frames [first, end) of a rendition's table: the models' series in their order, then the models' features and those
// that were asked for. What has no figures by frame is there for all frames only.
func scoresOf(plan *vmaf.Plan, p *store.Plan, d *store.Rendition, t *vmaf.Table, first, end int) ([]store.Score, error) {
	plan, err := planFor(plan, d)
	if err != nil {
		return nil, err
	}
	part := slice(t, first, end)
	index := map[string]int{}
	for i, series := range part.Series {
		index[series.Name] = i
	}
	var list []store.Score
	seen := map[string]bool{}
	add := func(name, model string) {
		i, ok := index[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		score := store.Score{Series: name, Model: model}
		for _, method := range p.Pools {
			if v, ok := part.Pooled(i, method); ok && !math.IsNaN(v) {
				score.Pooled = append(score.Pooled, store.Pooled{Method: method, Value: v})
			}
		}
		list = append(list, score)
	}
	for _, m := range plan.Models {
		for _, name := range m.Series() {
			add(name, m.Name)
		}
	}
	for _, m := range plan.Models {
		for _, name := range m.Features() {
			add(name, "")
		}
	}
	for _, text := range p.Features {
		if e, err := vmaf.ParseExtraction(text); err == nil {
			for _, name := range told(e, d).Series() {
				add(name, "")
			}
		}
	}
	for _, a := range part.Aggregates {
		if !math.IsNaN(a.Value) {
			list = append(list, store.Score{Series: a.Name, Pooled: []store.Pooled{{Method: poolAggregate, Value: a.Value}}})
		}
	}
	return list, nil
}

// slice is a part of a table, with frame 0 a frame that subsampling left in: first is rounded up to one. It shares the table's memory.
func slice(t *vmaf.Table, first, end int) *vmaf.Table {
	if first == 0 && end == t.Frames {
		return t
	}
	step := max(t.Subsample, 1)
	first = min((first+step-1)/step*step, end)
	part := *t
	part.Frames, part.Aggregates = end-first, nil
	part.Series = make([]vmaf.Series, len(t.Series))
	for i, series := range t.Series {
		part.Series[i] = vmaf.Series{Name: series.Name, Values: series.Values[first:end]}
		if series.Present != nil {
			part.Series[i].Present = series.Present[first:end]
		}
	}
	return &part
}
