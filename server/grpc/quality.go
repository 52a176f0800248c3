package grpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// quality is the QualityService; scores.go, frames.go and rescore.go have more of its methods.
type quality struct {
	pb.UnimplementedQualityServiceServer
	*Server
}

var _ pb.QualityServiceServer = (*quality)(nil)

// visible is a measurement that the caller may know of. Error: errNoSuch, whether there is none or it is not for him.
func (s *Server) visible(ctx context.Context, id store.MeasurementID) (*store.Measurement, error) {
	m, err := s.cfg.Store.Measurement(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoSuch
	}
	if err != nil {
		return nil, err
	}
	if !auth.FromContext(ctx).Sees(m) {
		return nil, errNoSuch
	}
	return m, nil
}

// shown is a measurement as a view shows it; fallback is the view where none is asked for.
func (s *Server) shown(st *workflow.Status, view, fallback pb.MeasurementView) *pb.Measurement {
	if view == pb.MeasurementView_MEASUREMENT_VIEW_UNSPECIFIED {
		view = fallback
	}
	return measurementToProto(st, view)
}

const (
	basicView = pb.MeasurementView_MEASUREMENT_VIEW_BASIC
	fullView  = pb.MeasurementView_MEASUREMENT_VIEW_FULL
)

func (q *quality) MeasureQuality(ctx context.Context, req *pb.MeasureQualityRequest) (*pb.MeasureQualityResponse, error) {
	caller := auth.FromContext(ctx)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(req.GetSpec())
	if err != nil {
		return nil, fmt.Errorf("digest of the spec: %w", err)
	}
	resolve := func(uri string) (store.Source, error) { return q.cfg.Roots.Resolve(caller, uri) }
	request, documents, err := requestFromProto(req.GetSpec(), resolve)
	sub := workflow.Submission{
		Owner: caller.Name, Request: request, Documents: documents, RequestID: req.GetRequestId(), Body: sha256.Sum256(body),
	}
	if err != nil || req.GetValidateOnly() {
		// All that is wrong is told at once.
		checked, wrong := q.cfg.Workflow.Check(ctx, sub)
		if err := errors.Join(err, withSuggestions(wrong)); err != nil {
			return nil, err
		}
		request = checked
		m := &store.Measurement{Owner: caller.Name, Request: request, State: store.StatePending}
		for _, r := range request.Renditions {
			m.Renditions = append(m.Renditions, store.Rendition{Name: r.Name, State: store.StatePending})
		}
		return &pb.MeasureQualityResponse{Measurement: measurementToProto(&workflow.Status{Measurement: m}, fullView)}, nil
	}
	st, err := q.cfg.Workflow.Measure(ctx, sub)
	if err != nil {
		return nil, withSuggestions(err)
	}
	return &pb.MeasureQualityResponse{Measurement: q.shown(st, fullView, fullView)}, nil
}

func (q *quality) GetQuality(ctx context.Context, req *pb.GetQualityRequest) (*pb.GetQualityResponse, error) {
	keep, err := parseMask(req.GetReadMask(), &pb.Measurement{})
	if err != nil {
		return nil, err
	}
	m, err := q.visible(ctx, idOf(req.GetName()))
	if err != nil {
		return nil, err
	}
	view := req.GetView()
	if keep != nil {
		view = fullView
	}
	out := q.shown(q.cfg.Workflow.Describe(m), view, fullView)
	keep.apply(out.ProtoReflect())
	return &pb.GetQualityResponse{Measurement: out}, nil
}

func (q *quality) CancelQuality(ctx context.Context, req *pb.CancelQualityRequest) (*pb.CancelQualityResponse, error) {
	id := idOf(req.GetName())
	if _, err := q.visible(ctx, id); err != nil {
		return nil, err
	}
	st, err := q.cfg.Workflow.Cancel(ctx, id)
	if err != nil {
		return nil, err
	}
	return &pb.CancelQualityResponse{Measurement: q.shown(st, fullView, fullView)}, nil
}

func (q *quality) DeleteMeasurement(ctx context.Context, req *pb.DeleteMeasurementRequest) (*pb.DeleteMeasurementResponse, error) {
	revision, err := revisionOf(req.GetEtag())
	if err != nil {
		return nil, &workflow.FieldError{Field: "etag", Err: err}
	}
	id := idOf(req.GetName())
	if _, err := q.visible(ctx, id); err != nil {
		return nil, err
	}
	if err := q.cfg.Workflow.Delete(ctx, id, revision); err != nil {
		return nil, err
	}
	return &pb.DeleteMeasurementResponse{}, nil
}

// WatchQuality hands the workflow's events over as they come. While the client does not read, the workflow is asked for nothing: it passes progress over
// and keeps nothing for it.
func (q *quality) WatchQuality(req *pb.WatchQualityRequest, stream grpc.ServerStreamingServer[pb.WatchQualityResponse]) error {
	ctx := stream.Context()
	m, err := q.visible(ctx, idOf(req.GetName()))
	if err != nil {
		return err
	}
	out := newSender(stream, q.cfg.Limits)
	return q.cfg.Workflow.Watch(ctx, m.ID, !req.GetNoSegments(), func(e workflow.Event) error {
		message := &pb.WatchQualityResponse{}
		switch {
		case e.Progress != nil:
			message.Event = &pb.WatchQualityResponse_Progress{Progress: progressToProto(*e.Progress)}
		case e.Segment != nil:
			name := m.Renditions[e.Segment.Rendition].Name
			message.Event = &pb.WatchQualityResponse_Segment{Segment: segmentScoreToProto(e.Segment, name)}
		case e.Rendition != nil:
			message.Event = &pb.WatchQualityResponse_Rendition{Rendition: renditionToProto(e.Rendition.Status, e.Rendition.Index, true)}
		case e.Status != nil:
			message.Event = &pb.WatchQualityResponse_Measurement{Measurement: q.shown(e.Status, fullView, fullView)}
		default:
			return nil
		}
		return out.send(message)
	})
}
