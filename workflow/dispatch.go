package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// dispatchLoop hands out tasks whenever there may be some, and at intervals looks whether what it handed out is still where it
// should be.
func (s *Service) dispatchLoop(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	reconcile := time.NewTicker(s.cfg.ReconcileInterval)
	defer reconcile.Stop()
	for {
		if err := s.dispatch(ctx); err != nil && ctx.Err() == nil {
			// The store is full, or the transport away: both may come back, and until then nothing is lost.
			s.log.Warn("tasks could not be handed out", "err", err)
		}
		select {
		case <-s.kick:
		case <-tick.C:
		case <-reconcile.C:
			if err := s.reconcile(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("outstanding work could not be compared with the store", "err", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dispatch publishes the next tasks of every class, in the store's order, up to the window.
func (s *Service) dispatch(ctx context.Context) error {
	for _, class := range store.Classes() {
		if err := s.dispatchClass(ctx, class); err != nil {
			return fmt.Errorf("class %s: %w", class, err)
		}
	}
	return nil
}

func (s *Service) dispatchClass(ctx context.Context, class store.Class) error {
	free, known := s.room(class)
	if free <= 0 {
		return nil
	}
	var after *store.TaskKey
	for free > 0 {
		tasks, err := s.store.Tasks(ctx, class, after, free+known)
		if err != nil || len(tasks) == 0 {
			return err
		}
		for _, t := range tasks {
			if free == 0 {
				return nil
			}
			ok, err := s.publish(ctx, t)
			if err != nil {
				return err
			}
			if ok {
				free--
			}
		}
		last := tasks[len(tasks)-1].Key
		after = &last
	}
	return nil
}

// room is how many tasks of a class may be published now, and how many are out.
func (s *Service) room(class store.Class) (free, known int) {
	window := s.cfg.Window
	if window == 0 {
		window = max(4, 2*s.workers.slots())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return 0, 0
	}
	for _, h := range s.out {
		if h.class != class {
			continue
		}
		known++
		if h.worker == "" {
			window--
		}
	}
	return window, known
}

// publish hands a task out unless it is out already or rests. ok says that it did.
func (s *Service) publish(ctx context.Context, t store.Task) (ok bool, err error) {
	ref := taskRef{t.Key.Measurement, t.Key.Number}
	now := s.cfg.Now()
	s.mu.Lock()
	a, out := s.active[ref.measurement], s.out[ref]
	rests := false
	var carrier map[string]string
	if a != nil {
		rests = a.retryAt[ref.number].After(now)
		carrier = a.trace
	}
	s.mu.Unlock()
	if out != nil || rests {
		return false, nil
	}
	if a == nil {
		if a, err = s.find(ctx, ref.measurement); err != nil {
			return false, err
		}
		if a == nil {
			// The measurement has ended; a task that outlived it is nobody's.
			return false, s.store.Apply(ctx, store.Changes{DeleteTasks: []store.TaskKey{t.Key}})
		}
	}
	m, err := s.store.Measurement(ctx, ref.measurement)
	if errors.Is(err, store.ErrNotFound) {
		return false, s.store.Apply(ctx, store.Changes{DeleteTasks: []store.TaskKey{t.Key}})
	}
	if err != nil {
		return false, err
	}
	message, err := s.message(ctx, m, t, a)
	if err != nil {
		return false, err
	}
	message.Trace = carrier
	body, err := protocol.Encode(message)
	if err != nil {
		return false, fmt.Errorf("task %d of %s: %w", t.Key.Number, m.ID, err)
	}
	h := &handout{class: t.Key.Class, attempt: message.ID.Attempt, published: now}
	s.mu.Lock()
	// What was read of the store may be of before: the task may have been begun, lost or done since.
	a = s.active[ref.measurement]
	if a == nil || s.out[ref] != nil || a.tasks[ref.number] == nil || a.tasks[ref.number].attempts != t.Attempts {
		s.mu.Unlock()
		return false, nil
	}
	s.out[ref] = h
	delete(a.retryAt, ref.number)
	s.mu.Unlock()
	// The time tells a task that is handed out again from a message that is sent again.
	id := fmt.Sprintf("%s/%d/%d/%d", ref.measurement, ref.number, message.ID.Attempt, now.UnixNano())
	if err := s.cfg.Transport.Publish(ctx, string(t.Key.Class), id, body); err != nil {
		s.takeBack(ref, h)
		return false, err
	}
	return true, nil
}

// takeBack forgets a handout, if it is still that one.
func (s *Service) takeBack(ref taskRef, h *handout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out[ref] == h {
		delete(s.out, ref)
	}
}

// message is a task as workers get it.
func (s *Service) message(ctx context.Context, m *store.Measurement, t store.Task, a *active) (*protocol.Task, error) {
	message := &protocol.Task{
		ID:   protocol.TaskID{Measurement: m.ID, Number: t.Key.Number, Attempt: attemptsSpent(&t) + 1},
		Kind: t.Kind, Class: t.Key.Class, Deadline: m.Request.Deadline,
		Comparison: comparisonOf(m),
	}
	switch t.Kind {
	case store.TaskInspect:
		inspect, err := s.inspectTask(ctx, &message.Comparison)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if a.redescribe || m.Request.NoCache {
			inspect.Described = false
		}
		s.mu.Unlock()
		message.Inspect = inspect
	case store.TaskChunk:
		if m.Plan == nil || t.Chunk >= len(m.Plan.Chunks) {
			return nil, fmt.Errorf("%w: task %d of measurement %s is of chunk %d, which its plan does not have", store.ErrCorrupt, t.Key.Number, m.ID, t.Chunk)
		}
		chunk := m.Plan.Chunks[t.Chunk]
		message.Chunk = &protocol.Chunk{First: chunk.First, End: chunk.End, Extractions: t.Extractions}
		for _, k := range t.Renditions {
			if !m.Renditions[k].State.Final() {
				message.Chunk.Renditions = append(message.Chunk.Renditions, k)
			}
		}
		expectFiles(m, &message.Comparison)
	default:
		return nil, fmt.Errorf("%w: task %d of measurement %s is of unknown kind %q", store.ErrCorrupt, t.Key.Number, m.ID, t.Kind)
	}
	return message, nil
}

// comparisonOf is what a measurement compares: as its plan has it, or before that as its request does.
func comparisonOf(m *store.Measurement) protocol.Comparison {
	r := &m.Request
	c := protocol.Comparison{
		Reference: r.Reference, Pairing: r.Pairing, Shortest: r.Shortest, Offset: r.Offset, First: r.First, End: r.End,
		Subsample: max(r.Subsample, 1), Crop: r.Crop, OnDamage: r.OnDamage, FullHash: r.FullHash,
		Scales: make([]string, len(r.Renditions)), Geometries: make([]store.Size, len(r.Renditions)),
		RenditionFiles: make([]*store.File, len(r.Renditions)),
		BitDepth:       m.ExpectDepth, Chroma: m.ExpectChroma, Encodeds: make([]string, len(r.Renditions)),
	}
	if c.Pairing == "" {
		c.Pairing = "auto"
	}
	if c.OnDamage == "" {
		c.OnDamage = "strict"
	}
	for k, d := range r.Renditions {
		c.Renditions = append(c.Renditions, d.Source)
		c.Scales[k] = r.Scale
		c.Encodeds[k] = cmp.Or(r.Encoded, encodedByDefault(r))
		if r.Geometry != nil {
			c.Geometries[k] = *r.Geometry
		}
	}
	if p := m.Plan; p != nil {
		c.Pairing = p.Pairing
		copy(c.Scales, p.Scales)
		copy(c.Geometries, p.Geometries)
		c.BitDepth, c.Chroma = p.BitDepth, p.Chroma
		for k := range c.Encodeds {
			c.Encodeds[k] = encodedCompared // as plans of before had it, which say nothing
		}
		copy(c.Encodeds, p.Encodeds)
	}
	return c
}

// expectFiles tells workers of chunk tasks which content the plan was made of. Stamps mean something only on the host that saw them, and any worker may
// get the task, so that it is the fingerprints that are told.
func expectFiles(m *store.Measurement, c *protocol.Comparison) {
	c.ReferenceFile = &store.File{Source: c.Reference, Fingerprint: m.ReferenceFingerprint}
	for k := range c.Renditions {
		c.RenditionFiles[k] = &store.File{Source: c.Renditions[k], Fingerprint: m.Renditions[k].Fingerprint}
	}
}

// reconcile compares what was handed out with what is outstanding: tasks that were published and never begun are published again (messages
// get lost when a queue restarts; a second copy does no harm), and what is complete is assembled.
func (s *Service) reconcile(ctx context.Context) error {
	now := s.cfg.Now()
	var complete []store.MeasurementID
	s.mu.Lock()
	for ref, h := range s.out {
		if h.worker == "" && now.Sub(h.published) > republishAfter {
			delete(s.out, ref)
		}
	}
	for id, a := range s.active {
		if len(a.tasks) == 0 && !s.assembled[id] {
			complete = append(complete, id)
		}
	}
	s.mu.Unlock()
	for _, id := range complete {
		s.queueAssembly(id)
	}
	s.wake()
	return nil
}

// republishAfter is how long a task may be published without being begun before it is published again. Waiting that long is usual
// where much is outstanding, and costs a message.
const republishAfter = 2 * time.Minute

// Reconnected is to be called when the transport has reconnected: what was handed out and not begun may be lost.
func (s *Service) Reconnected() {
	s.mu.Lock()
	for ref, h := range s.out {
		if h.worker == "" {
			delete(s.out, ref)
		}
	}
	s.mu.Unlock()
	s.wake()
}

// cancelTasks tells workers to stop.
func (s *Service) cancelTasks(id store.MeasurementID, number int) {
	body, err := protocol.Encode(&protocol.Cancel{Measurement: id, Number: number})
	if err == nil {
		err = s.cfg.Transport.Broadcast(protocol.SubjectCancel, body)
	}
	if err != nil {
		// Workers learn of it when they record or finish: refused then.
		s.log.Warn("workers could not be told to stop", "measurement", id, "err", err)
	}
}
