package grpc

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// rescorePage is how many measurements are read at a time.
const rescorePage = 100

// RescoreQuality scores measurements several at a time and tells of each as it is done. While the client does not read, no further ones are
// scored. What is wrong with the request, or concerns them all, ends the stream; what concerns one is its failure.
func (q *quality) RescoreQuality(req *pb.RescoreQualityRequest, stream grpc.ServerStreamingServer[pb.RescoreQualityResponse]) error {
	caller := auth.FromContext(stream.Context())
	models, documents := modelsFromProto(req.GetModels())
	work := workflow.RescoreRequest{
		Owner: caller.Name, Models: models, Documents: documents, Pools: poolsFromProto(req.GetPools()), Labels: req.GetLabels(), DryRun: req.GetValidateOnly(),
	}
	out := newSender(stream, q.cfg.Limits)
	if name := req.GetName(); name != "" {
		m, err := q.visible(stream.Context(), idOf(name))
		if err != nil {
			return err
		}
		result, err := q.rescore(stream.Context(), m.ID, work)
		if err != nil {
			return err
		}
		result.Done = 1
		return out.send(result)
	}
	text := req.GetFilter()
	if text == "*" {
		text = ""
	}
	query, err := q.query(caller, text, "create_time desc", measurementOrders)
	if err != nil {
		return err
	}
	query.PageSize = rescorePage

	group, ctx := errgroup.WithContext(stream.Context())
	ids := make(chan store.MeasurementID)
	results := make(chan *pb.RescoreQualityResponse)
	group.Go(func() error { return q.readIDs(ctx, query, ids) })
	scorers, scoring := errgroup.WithContext(ctx)
	for range q.cfg.Limits.Rescores {
		scorers.Go(func() error {
			for id := range ids {
				result, err := q.rescore(scoring, id, work)
				if errors.Is(err, store.ErrNotFound) {
					continue // deleted meanwhile
				}
				if err != nil {
					return err
				}
				select {
				case results <- result:
				case <-scoring.Done():
					return scoring.Err()
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(results)
		return scorers.Wait()
	})
	group.Go(func() error {
		done := int64(0)
		for result := range results {
			done++
			result.Done = done
			if err := out.send(result); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// readIDs hands over what a query finds, and closes ids.
func (q *quality) readIDs(ctx context.Context, query store.Query, ids chan<- store.MeasurementID) error {
	defer close(ids)
	for {
		page, err := q.cfg.Store.Query(ctx, query)
		if err != nil {
			return err
		}
		for _, m := range page.Measurements {
			select {
			case ids <- m.ID:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if query.PageToken = page.NextPageToken; query.PageToken == "" {
			return nil
		}
	}
}

// rescore scores one measurement. What only it cannot have is a failure in the result; everything else is an error.
func (q *quality) rescore(ctx context.Context, id store.MeasurementID, work workflow.RescoreRequest) (*pb.RescoreQualityResponse, error) {
	result := &pb.RescoreQualityResponse{Source: nameOf(id)}
	st, err := q.cfg.Workflow.Rescore(ctx, id, work)
	switch {
	case errors.Is(err, workflow.ErrNotStored), errors.Is(err, workflow.ErrState):
		result.Failure = &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_NOT_STORED, Message: err.Error()}
	case err != nil:
		return nil, withSuggestions(err)
	case !work.DryRun:
		result.Measurement = q.shown(st, basicView, basicView)
	}
	return result, nil
}
