package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// ignoreGone is nil for figures that are not stored any more.
func ignoreGone(err error) error {
	if errors.Is(err, ErrNotStored) {
		return nil
	}
	return err
}

// Rescore scores a measurement's stored features with other models, as a new measurement. No media are opened.
//
// Errors: joined *[FieldError]s; [ErrState] where the measurement has not ended or has no scores; [ErrNotStored] names the figure that a model
// needs and the store does not have; those of the store.
func (s *Service) Rescore(ctx context.Context, id store.MeasurementID, r RescoreRequest) (*Status, error) {
	if len(r.Models) == 0 {
		return nil, &FieldError{"models", errors.New("name at least one model")}
	}
	pools, err := parsePools(r.Pools)
	if err != nil {
		return nil, &FieldError{"pools", err}
	}
	m, err := s.store.Measurement(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.State != store.StateSucceeded && m.State != store.StatePartial {
		return nil, fmt.Errorf("%w: the measurement is %s and has no scores", ErrState, m.State)
	}
	plan, err := (documents{r.Documents, s.store}).parsePlan(ctx, r.Models, m.Plan.Features, "")
	if err != nil {
		return nil, err
	}
	id, now := s.name()
	out := *m
	out.Owner, out.Rescored = r.Owner, m.ID
	out.Created, out.Started, out.Finished = now, now, now
	out.Revision, out.Daemon = 0, s.cfg.Version
	out.Request.Models, out.Request.Presets = r.Models, nil
	out.Request.Labels = maps.Clone(m.Request.Labels)
	for key, value := range r.Labels {
		if out.Request.Labels == nil {
			out.Request.Labels = map[string]string{}
		}
		out.Request.Labels[key] = value
	}
	p := *m.Plan
	p.Models = describeModels(r.Models, plan)
	p.Extractions = nil
	for _, e := range plan.Extractions {
		p.Extractions = append(p.Extractions, e.String())
	}
	if len(pools) > 0 {
		p.Pools, out.Request.Pools = pools, pools
	}
	out.Plan = &p
	out.Renditions = make([]store.Rendition, len(m.Renditions))
	out.Backends, out.Workers, out.MeasuredFrames, out.CachedFrames, out.Busy = nil, nil, 0, 0, 0
	for k, d := range m.Renditions {
		d.Scores = nil
		if d.State == store.StateSucceeded {
			var frames int
			if m.Imported != nil {
				frames, err = s.rescoreImported(ctx, m, &out, &d, plan)
			} else {
				frames, err = s.rescoreRendition(ctx, &out, &d, plan)
			}
			if err != nil {
				return nil, fmt.Errorf("rendition %s: %w", d.Name, err)
			}
			out.CachedFrames += int64((frames + max(out.Request.Subsample, 1) - 1) / max(out.Request.Subsample, 1))
		}
		out.Renditions[k] = d
	}
	if r.DryRun {
		out.ID = ""
		return s.Describe(&out), nil
	}
	for _, text := range r.Documents {
		if _, err := s.store.PutDocument(ctx, text); err != nil {
			return nil, fmt.Errorf("keep a model's document: %w", err)
		}
	}
	out.ID = id
	if _, err := s.store.Create(ctx, &out, "", [32]byte{}, nil); err != nil {
		return nil, err
	}
	s.metrics.rescored.Inc()
	return s.Describe(&out), nil
}

// rescoreRendition scores a rendition's stored features and says how many frames it has.
func (s *Service) rescoreRendition(ctx context.Context, m *store.Measurement, d *store.Rendition, plan *vmaf.Plan) (frames int, err error) {
	table, err := s.table(ctx, m, d, plan)
	if err != nil {
		return 0, err
	}
	d.Scores, err = scoresOf(plan, m.Plan, d, table, 0, table.Frames)
	return table.Frames, err
}
