package grpc

import (
	"context"
	"io"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// Workflow is what the server asks of the workflow; *[workflow.Service] is one. Errors are as its methods state them.
type Workflow interface {
	Check(ctx context.Context, sub workflow.Submission) (store.Request, error)
	Measure(ctx context.Context, sub workflow.Submission) (*workflow.Status, error)
	Status(ctx context.Context, id store.MeasurementID) (*workflow.Status, error)
	Describe(m *store.Measurement) *workflow.Status
	Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error
	Cancel(ctx context.Context, id store.MeasurementID) (*workflow.Status, error)
	Delete(ctx context.Context, id store.MeasurementID, revision uint64) error
	Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error)
	Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error)
	Rescore(ctx context.Context, id store.MeasurementID, r workflow.RescoreRequest) (*workflow.Status, error)
	Import(ctx context.Context, r workflow.ImportRequest) (st *workflow.Status, existed bool, err error)
	Workers() []workflow.WorkerStatus
	Queue(ctx context.Context) ([]workflow.ClassStatus, error)
	Cache() workflow.CacheStatus
	Drain(on bool)
	Draining() bool
	Running() int
}

var _ Workflow = (*workflow.Service)(nil)

// Store is what the server reads by itself; *[store.Store] is one.
type Store interface {
	Measurement(ctx context.Context, id store.MeasurementID) (*store.Measurement, error)
	Query(ctx context.Context, q store.Query) (*store.Page, error)
	Backup(ctx context.Context, w io.Writer) (store.BackupInfo, error)
	Stats() store.Stats
	RemoveUnused(ctx context.Context, olderThan time.Duration) (int, error)
}

var _ Store = (*store.Store)(nil)
