package grpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/semaphore"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// gated is a workflow that forms tables of figures for a few calls at a time, and has the others wait: each takes memory of the size of a video's
// figures, and all processors, so that more at once would only be slower together.
type gated struct {
	Workflow
	gate *semaphore.Weighted
}

// newGated lets as many in as keep all processors busy.
func newGated(w Workflow) *gated {
	return &gated{w, semaphore.NewWeighted(int64(max(4, runtime.GOMAXPROCS(0))))}
}

func (g *gated) Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error) {
	if err := g.gate.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer g.gate.Release(1)
	f, err := g.Workflow.Frames(ctx, id, rendition)
	return f, ofRecord(err)
}

func (g *gated) Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	if err := g.gate.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer g.gate.Release(1)
	list, err := g.Workflow.Segments(ctx, m, rendition, length)
	return list, ofRecord(err)
}

func (g *gated) Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error {
	return ofRecord(g.Workflow.Watch(ctx, id, segments, tell))
}

// ofRecord takes the field out of an error about a record's own models or features: these calls have no such field, and a record that cannot be read as it
// was written is a defect of ours.
func ofRecord(err error) error {
	if _, ok := errors.AsType[*workflow.FieldError](err); ok {
		return fmt.Errorf("what is stored cannot be used any more: %v", err)
	}
	return err
}

func (g *gated) Rescore(ctx context.Context, id store.MeasurementID, r workflow.RescoreRequest) (*workflow.Status, error) {
	if err := g.gate.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer g.gate.Release(1)
	return g.Workflow.Rescore(ctx, id, r)
}
