package workflow

import (
	"context"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// measured takes note of a chunk task that is done. Its figures are in the store already; with this they count.
func (s *Service) measured(ctx context.Context, a *active, t *store.Task, f *protocol.Finish) error {
	done := store.TaskDone{
		Measurement: a.id, Number: t.Key.Number, Worker: s.workers.version(f.Worker), Backend: f.Chunk.Backend, Busy: f.Elapsed,
		Frames: f.Chunk.Frames, Reference: f.Chunk.Reference, Renditions: f.Chunk.Renditions,
	}
	changes := store.Changes{DeleteTasks: []store.TaskKey{t.Key}, PutDone: []store.TaskDone{done}}
	failed := map[int]*store.Failure{}
	for k, d := range f.Chunk.Renditions {
		if d.Failure != nil && slices.Contains(t.Renditions, k) {
			failed[k] = d.Failure
		}
	}
	if len(failed) > 0 {
		return s.failRenditions(ctx, a, failed, changes)
	}
	if err := s.store.Apply(ctx, changes); err != nil {
		return err
	}
	s.drop(a, t.Key.Number)
	if s.anyComplete(a) {
		s.queueAssembly(a.id)
	}
	return nil
}

// drop forgets an outstanding task, and counts what is done.
func (s *Service) drop(a *active, numbers ...int) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range numbers {
		delete(a.tasks, n)
		delete(a.retryAt, n)
		delete(s.out, taskRef{a.id, n})
	}
	a.rate.note(now, s.framesDone(a))
}

// failTask fails what a task was needed for: its renditions, or the whole measurement where it was the inspection.
func (s *Service) failTask(ctx context.Context, a *active, t *store.Task, failure *store.Failure) error {
	if t.Kind == store.TaskChunk {
		s.mu.Lock()
		m := a.m
		s.mu.Unlock()
		f := *failure
		if m != nil && m.Plan != nil && t.Chunk < len(m.Plan.Chunks) && f.Reason == store.ReasonWorker {
			c := m.Plan.Chunks[t.Chunk]
			f.Message = fmt.Sprintf("frames %d to %d: %s", c.First, c.End-1, f.Message)
		}
		failed := map[int]*store.Failure{}
		for _, k := range t.Renditions {
			failed[k] = &f
		}
		return s.failRenditions(ctx, a, failed, store.Changes{DeleteTasks: []store.TaskKey{t.Key}})
	}
	m, err := s.store.Update(ctx, a.id, func(m *store.Measurement) (store.Changes, error) {
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		m.State, m.Failure, m.Finished = store.StateFailed, failure, s.cfg.Now()
		for k := range m.Renditions {
			if !m.Renditions[k].State.Final() {
				m.Renditions[k].State, m.Renditions[k].Failure = store.StateFailed, failure
			}
		}
		return store.Changes{DeleteTasks: []store.TaskKey{t.Key}}, nil
	})
	if err != nil {
		return err
	}
	s.log.Warn("measurement failed", "measurement", m.ID, "reason", string(failure.Reason), "err", failure.Message)
	s.ended(m)
	return nil
}

// failRenditions marks renditions as failed, with changes that belong to it, and drops the tasks that only they needed. A measurement with none
// left has ended.
func (s *Service) failRenditions(ctx context.Context, a *active, failed map[int]*store.Failure, changes store.Changes) error {
	tasks, err := s.store.MeasurementTasks(ctx, a.id)
	if err != nil {
		return err
	}
	ended := false
	var dropped []int
	m, err := s.store.Update(ctx, a.id, func(m *store.Measurement) (store.Changes, error) {
		c := changes
		c.DeleteTasks = slices.Clone(changes.DeleteTasks)
		dropped = nil
		for _, key := range changes.DeleteTasks {
			dropped = append(dropped, key.Number)
		}
		if m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		for k, failure := range failed {
			if d := &m.Renditions[k]; !d.State.Final() {
				d.State, d.Failure, d.Scores = store.StateFailed, failure, nil
			}
		}
		for _, t := range tasks {
			if t.Kind == store.TaskChunk && !slices.Contains(dropped, t.Key.Number) && !slices.ContainsFunc(t.Renditions, func(k int) bool { return !m.Renditions[k].State.Final() }) {
				c.DeleteTasks = append(c.DeleteTasks, t.Key)
				dropped = append(dropped, t.Key.Number)
			}
		}
		if ended = allFinal(m); ended {
			s.close(m)
			c.DeleteDone = true
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	for k, failure := range failed {
		s.log.Warn("rendition failed", "measurement", m.ID, "dis", m.Renditions[k].Name, "reason", string(failure.Reason), "err", failure.Message)
	}
	for _, n := range dropped {
		s.cancelTasks(m.ID, n)
	}
	if ended {
		s.ended(m)
		return nil
	}
	s.mu.Lock()
	a.m = m
	s.mu.Unlock()
	s.drop(a, dropped...)
	s.hub.notify(m.ID)
	if s.anyComplete(a) {
		s.queueAssembly(a.id)
	}
	return nil
}

// allFinal says that nothing of a measurement is left to do.
func allFinal(m *store.Measurement) bool {
	return !slices.ContainsFunc(m.Renditions, func(d store.Rendition) bool { return !d.State.Final() })
}

// close gives a measurement whose renditions have all ended its final state.
func (s *Service) close(m *store.Measurement) {
	succeeded, failed := 0, 0
	var first *store.Failure
	for _, d := range m.Renditions {
		switch d.State {
		case store.StateSucceeded:
			succeeded++
		case store.StateFailed:
			failed++
			if first == nil {
				first = d.Failure
			}
		}
	}
	switch {
	case failed == 0:
		m.State = store.StateSucceeded
	case succeeded > 0:
		m.State = store.StatePartial
	default:
		m.State, m.Failure = store.StateFailed, first
	}
	m.Finished, m.Daemon = s.cfg.Now(), s.cfg.Version
}

// anyComplete says whether a rendition that is not assembled yet has no task outstanding.
func (s *Service) anyComplete(a *active) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.complete(a)) > 0
}

// complete are the renditions that wait for assembly: running, without a task. Called with mu held.
func (s *Service) complete(a *active) []int {
	if a.m == nil || a.m.State != store.StateRunning {
		return nil
	}
	busy := make([]bool, len(a.m.Renditions))
	for _, t := range a.tasks {
		for _, k := range t.renditions {
			busy[k] = true
		}
	}
	var list []int
	for k, d := range a.m.Renditions {
		if d.State == store.StateRunning && !busy[k] {
			list = append(list, k)
		}
	}
	return list
}
