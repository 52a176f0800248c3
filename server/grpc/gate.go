package grpc

import (
	"context"
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
	return g.Workflow.Frames(ctx, id, rendition)
}

func (g *gated) Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	if err := g.gate.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer g.gate.Release(1)
	return g.Workflow.Segments(ctx, m, rendition, length)
}

func (g *gated) Rescore(ctx context.Context, id store.MeasurementID, r workflow.RescoreRequest) (*workflow.Status, error) {
	if err := g.gate.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer g.gate.Release(1)
	return g.Workflow.Rescore(ctx, id, r)
}
