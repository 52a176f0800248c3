package workflow

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

const (
	maxRenditions = 64
	// maxDeadline bounds deadlines: a time that the store's keys can hold and people mean.
	maxDeadline = 10 * 365 * 24 * time.Hour
)

// Check reports every problem of a submission, as Measure would, and returns its request as it would be accepted, with a name for every
// rendition.
func (s *Service) Check(ctx context.Context, sub Submission) (store.Request, error) {
	r, _, err := s.check(ctx, sub)
	return r, err
}

// check is [Service.Check]; plan is that of the models and features that the request names, nil where it names none.
func (s *Service) check(ctx context.Context, sub Submission) (r store.Request, plan *vmaf.Plan, err error) {
	r = sub.Request
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{field, fmt.Errorf(format, args...)})
	}
	if n := len(r.Renditions); n < 1 || n > maxRenditions {
		bad("spec.renditions", "%d renditions; 1 to %d can be measured together", n, maxRenditions)
	}
	if r.Renditions, err = nameRenditions(r.Renditions); err != nil {
		errs = append(errs, err)
	}
	docs := documents{sub.Documents, s.store}
	if len(r.Models) > 0 || len(r.Features) > 0 {
		if plan, err = docs.parsePlan(ctx, r.Models, r.Features, "spec."); err != nil {
			errs = append(errs, err)
		}
	}
	if len(r.Presets) > 0 {
		specs, features, err := asked(&r)
		errs = append(errs, err)
		if errors.Join(errs...) == nil {
			if plan, err = docs.parsePlan(ctx, specs, features, "spec."); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if r.Pools, err = parsePools(r.Pools); err != nil {
		errs = append(errs, &FieldError{"spec.pools", err})
	}
	switch r.Class {
	case "", store.ClassLatency, store.ClassThroughput, store.ClassBackground:
	default:
		bad("spec.service_class", "unknown class %q; use latency, throughput or background", r.Class)
	}
	switch r.Pairing {
	case "", "auto", "index", "timestamp":
	default:
		bad("spec.pairing", "unknown pairing %q; use auto, index or timestamp", r.Pairing)
	}
	switch r.Scale {
	case "", "bicubic", "bilinear", "lanczos", "none":
	default:
		bad("spec.scale_filter", "unknown filter %q; use bicubic, bilinear, lanczos or none", r.Scale)
	}
	if r.BitDepth != "" && !slices.Contains(rules.BitDepthNames(), r.BitDepth) {
		bad("spec.bit_depth", "unknown depth %q; use %s", r.BitDepth, strings.Join(rules.BitDepthNames(), ", "))
	}
	if r.Encoded != "" {
		if _, err := rules.ParseEncoded(r.Encoded); err != nil {
			bad("spec.encoded", "%w", err)
		}
	}
	switch r.OnDamage {
	case "", "strict", "conceal":
	default:
		bad("spec.damage_policy", "unknown policy %q; use strict or conceal", r.OnDamage)
	}
	if r.Offset != 0 && r.Pairing == "timestamp" {
		bad("spec.offset", "frames are counted, so it does not go with pairing by timestamp")
	}
	if r.First < 0 {
		bad("spec.first_frame", "%d is negative", r.First)
	}
	if r.End != 0 && r.End <= r.First {
		bad("spec.end_frame", "range %d:%d is empty; the second figure is the first frame that is not measured", r.First, r.End)
	}
	if r.Subsample < 0 {
		bad("spec.subsample", "%d is negative", r.Subsample)
	}
	if r.ChunkFrames < 0 || r.SegmentFrames < 0 || r.SegmentSecond < 0 {
		bad("spec.chunk_frames", "lengths of chunks and segments are not negative")
	}
	if r.Geometry != nil && (r.Geometry.Width < 1 || r.Geometry.Height < 1) {
		bad("spec.geometry", "%dx%d is no size", r.Geometry.Width, r.Geometry.Height)
	}
	if c := r.Crop; c != nil && (c.X < 0 || c.Y < 0 || c.Width < 1 || c.Height < 1) {
		bad("spec.crop", "%dx%d+%d+%d is no part of a picture", c.Width, c.Height, c.X, c.Y)
	}
	if !r.Deadline.IsZero() && (r.Deadline.Year() < 1970 || r.Deadline.After(s.cfg.Now().Add(maxDeadline))) {
		bad("spec.deadline", "%s is not within the next ten years", r.Deadline.Format(time.RFC3339))
	}
	return r, plan, errors.Join(errs...)
}

// nameRenditions gives every rendition a name of its own: the one asked for, else its file's, with a number where that is taken.
func nameRenditions(list []store.RenditionRequest) ([]store.RenditionRequest, error) {
	named := make([]store.RenditionRequest, len(list))
	taken := map[string]bool{}
	var errs []error
	for i, r := range list {
		named[i] = r
		if r.Name == "" {
			continue
		}
		if taken[r.Name] {
			errs = append(errs, &FieldError{fmt.Sprintf("spec.renditions[%d].name", i), fmt.Errorf("%q is the name of another rendition", r.Name)})
		}
		taken[r.Name] = true
	}
	for i := range named {
		if named[i].Name != "" {
			continue
		}
		base := strings.TrimSuffix(path.Base(named[i].Source.Path), path.Ext(named[i].Source.Path))
		if base == "" {
			base = path.Base(named[i].Source.Path)
		}
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[name] = true
		named[i].Name = name
	}
	return named, errors.Join(errs...)
}

// parsePools brings pooling methods into their canonical form, each once.
func parsePools(list []vmaf.PoolMethod) ([]vmaf.PoolMethod, error) {
	var pools []vmaf.PoolMethod
	var errs []error
	seen := map[vmaf.PoolMethod]bool{}
	for _, text := range list {
		p, err := vmaf.ParsePoolMethod(string(text))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !seen[p] {
			seen[p] = true
			pools = append(pools, p)
		}
	}
	return pools, errors.Join(errs...)
}

// Measure accepts a measurement: once it returns, the measurement survives anything. A request ID that the owner has used for the
// same body gives the measurement of then; for another body, [store.ErrExists].
//
// Errors: [ErrDraining]; *[LimitError]; joined *[FieldError]s; those of the store, [store.ErrFull] among them.
func (s *Service) Measure(ctx context.Context, sub Submission) (*Status, error) {
	r, plan, err := s.check(ctx, sub)
	if err != nil {
		return nil, err
	}
	if err := s.admit(sub.Owner); err != nil {
		return nil, err
	}
	for _, text := range sub.Documents {
		if _, err := s.store.PutDocument(ctx, text); err != nil {
			return nil, fmt.Errorf("keep a model's document: %w", err)
		}
	}
	id, now := s.name()
	m := &store.Measurement{
		ID: id, Owner: sub.Owner, Request: r, State: store.StatePending, Created: now,
		Renditions: make([]store.Rendition, len(r.Renditions)),
	}
	m.ExpectDepth, m.ExpectChroma = s.expect(&r, plan)
	for i := range m.Renditions {
		m.Renditions[i] = store.Rendition{Name: r.Renditions[i].Name, State: store.StatePending}
	}
	task := store.Task{
		Key:  store.TaskKey{Class: classOf(m), Deadline: r.Deadline, Measurement: m.ID},
		Kind: store.TaskInspect,
	}
	// The dispatcher may see the task before this returns.
	done, err := s.turns.take(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	existing, err := s.store.Create(ctx, m, sub.RequestID, sub.Body, []store.Task{task})
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return s.Describe(existing), nil
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	s.remember(m, []store.Task{task}, carrier)
	s.metrics.submitted.WithLabelValues(string(task.Key.Class)).Inc()
	s.log.Info("measurement accepted", "measurement", m.ID, "ref", r.Reference.URI, "renditions", len(r.Renditions), "owner", sub.Owner)
	s.wake()
	return s.Describe(m), nil
}

// name makes a name and tells its time: that is when the measurement was created. It may lie a little after now, since names ascend however many there are
// of one moment.
func (s *Service) name() (store.MeasurementID, time.Time) {
	id := s.cfg.NewID(s.cfg.Now())
	return id, id.Time()
}

// admit says whether one more measurement may be taken. Several at the same moment may together pass a limit by their number.
func (s *Service) admit(owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return ErrDraining
	case int64(len(s.active)) >= s.cfg.Limits.Measurements:
		return &LimitError{"limits.outstanding_measurements", s.cfg.Limits.Measurements, "unfinished measurements"}
	case owner != "" && s.owners[owner] >= s.cfg.Limits.OwnerMeasurements:
		return &LimitError{"limits.owner_measurements", s.cfg.Limits.OwnerMeasurements, "unfinished measurements of this caller"}
	}
	return nil
}

// Cancel ends a measurement that has not ended: workers stop within a second, and nothing more is handed out. What was measured is kept. One that
// has ended is returned as it is.
func (s *Service) Cancel(ctx context.Context, id store.MeasurementID) (*Status, error) {
	done, err := s.turns.take(ctx, id)
	if err != nil {
		return nil, err
	}
	defer done()
	tasks, err := s.outstanding(ctx, id)
	if err != nil {
		return nil, err
	}
	cancelled := false
	m, err := s.store.Update(ctx, id, func(m *store.Measurement) (store.Changes, error) {
		cancelled = !m.State.Final()
		if !cancelled {
			return store.Changes{}, store.ErrUnchanged
		}
		m.State, m.Finished = store.StateCancelled, s.cfg.Now()
		for i := range m.Renditions {
			if !m.Renditions[i].State.Final() {
				m.Renditions[i].State = store.StateCancelled
			}
		}
		return store.Changes{DeleteTasks: tasks, DeleteDone: true}, nil
	})
	if err != nil {
		return nil, err
	}
	if cancelled {
		s.log.Info("measurement cancelled", "measurement", id)
		s.ended(m)
		s.cancelTasks(id, -1)
	}
	return s.Describe(m), nil
}

// outstanding are the keys of a measurement's tasks.
func (s *Service) outstanding(ctx context.Context, id store.MeasurementID) ([]store.TaskKey, error) {
	tasks, err := s.store.MeasurementTasks(ctx, id)
	if err != nil {
		return nil, err
	}
	keys := make([]store.TaskKey, len(tasks))
	for i, t := range tasks {
		keys[i] = t.Key
	}
	return keys, nil
}

// ended is called once when a measurement has reached a final state.
func (s *Service) ended(m *store.Measurement) {
	s.metrics.finished.WithLabelValues(string(m.State), string(classOf(m))).Inc()
	s.metrics.latency.WithLabelValues(string(classOf(m))).Observe(m.Finished.Sub(m.Created).Seconds())
	s.forget(m.ID)
	s.wake()
}

// Delete removes a measurement that has ended; its features stay, since others may have use for them. With a revision other than 0 only if
// it is still at that one. Errors: [store.ErrNotFound]; [ErrState]; [store.ErrConflict].
func (s *Service) Delete(ctx context.Context, id store.MeasurementID, revision uint64) error {
	done, err := s.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	m, err := s.store.Measurement(ctx, id)
	if err != nil {
		return err
	}
	if !m.State.Final() {
		return fmt.Errorf("%w: the measurement is %s; cancel it first", ErrState, m.State)
	}
	if revision != 0 && m.Revision != revision {
		return fmt.Errorf("%w: it has changed since", store.ErrConflict)
	}
	if err := s.store.Delete(ctx, id); err != nil {
		return err
	}
	s.tables.drop(id)
	s.hub.notify(id)
	return nil
}
