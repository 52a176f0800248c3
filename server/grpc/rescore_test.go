package grpc

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

var otherModel = []*pb.ModelSpec{{Spec: "vmaf_v0.6.1neg"}}

func (r *rig) rescoreAll(t *testing.T, ctx context.Context, req *pb.RescoreQualityRequest) ([]*pb.RescoreQualityResponse, error) {
	t.Helper()
	stream, err := r.quality.RescoreQuality(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return drain(stream)
}

func byFilter(filter string) *pb.RescoreQualityRequest {
	return &pb.RescoreQualityRequest{Which: &pb.RescoreQualityRequest_Filter{Filter: filter}, Models: otherModel}
}

func TestRescoreByFilter(t *testing.T) {
	r := newRig(t)
	const n = 2*rescorePage + 17
	bad := map[store.MeasurementID]bool{}
	all := map[string]bool{}
	for i := range n {
		m := r.finished("clips", map[string]string{"set": "x"})
		bad[m.ID] = i%10 == 0
		all[nameOf(m.ID)] = true
	}
	r.finished("clips", nil) // not in the filter
	var running, most atomic.Int64
	r.workflow.rescore = func(ctx context.Context, id store.MeasurementID, req workflow.RescoreRequest) (*workflow.Status, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if bad[id] {
			return nil, fmt.Errorf("%w: adm", workflow.ErrNotStored)
		}
		m, err := r.store.Measurement(ctx, id)
		if err != nil {
			return nil, err
		}
		m.ID, m.Rescored = "00000000000000000000000001", id
		return r.workflow.Describe(m), nil
	}
	results, err := r.rescoreAll(t, as(t, ""), byFilter("labels.set = x"))
	if err != nil || len(results) != n {
		t.Fatalf("%d results of %d, %v", len(results), n, err)
	}
	for i, result := range results {
		if !all[result.GetSource()] {
			t.Errorf("%s twice, or not asked for", result.GetSource())
		}
		delete(all, result.GetSource())
		id := idOf(result.GetSource())
		if bad[id] != (result.GetFailure() != nil) || bad[id] == (result.GetMeasurement() != nil) {
			t.Errorf("%v", result)
		}
		if !bad[id] && result.GetMeasurement().GetProvenance().GetRescoredFrom() != result.GetSource() {
			t.Errorf("rescored from %s", result.GetMeasurement().GetProvenance().GetRescoredFrom())
		}
		if result.GetDone() != int64(i+1) {
			t.Errorf("result %d is number %d", i+1, result.GetDone())
		}
	}
	if most.Load() > 4 {
		t.Errorf("%d at a time, the default is 4", most.Load())
	}
	if dry, err := r.rescoreAll(t, as(t, ""), &pb.RescoreQualityRequest{Which: byFilter("*").Which, Models: otherModel, ValidateOnly: true}); err != nil || len(dry) != n+1 || dry[0].GetMeasurement() != nil {
		t.Errorf("validate only: %d results, %v", len(dry), err)
	}
}

func TestRescoreEndsOnWhatConcernsAll(t *testing.T) {
	r := newRig(t)
	for range 50 {
		r.finished("clips", nil)
	}
	var calls atomic.Int64
	r.workflow.rescore = func(context.Context, store.MeasurementID, workflow.RescoreRequest) (*workflow.Status, error) {
		calls.Add(1)
		return nil, store.ErrFull
	}
	results, err := r.rescoreAll(t, as(t, ""), byFilter("*"))
	wantCode(t, err, codes.ResourceExhausted, "store.min_free")
	if len(results) != 0 || calls.Load() > 10 {
		t.Errorf("%d results, %d calls after the first error", len(results), calls.Load())
	}
}

func TestRescoreIsCancelled(t *testing.T) {
	r := newRig(t)
	for range 50 {
		r.finished("clips", nil)
	}
	begun := make(chan struct{}, 50)
	ended := make(chan struct{}, 50)
	r.workflow.rescore = func(ctx context.Context, _ store.MeasurementID, _ workflow.RescoreRequest) (*workflow.Status, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(as(t, ""))
	stream, err := r.quality.RescoreQuality(ctx, byFilter("*"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		<-begun
	}
	cancel()
	for range 4 {
		<-ended
	}
	_, err = drain(stream)
	wantCode(t, err, codes.Canceled)
}

func TestRescoreOne(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	req := &pb.RescoreQualityRequest{Which: &pb.RescoreQualityRequest_Name{Name: nameOf(m.ID)}, Models: []*pb.ModelSpec{{Spec: "vmaf_v0.6.2"}}}
	_, err := r.rescoreAll(t, as(t, ""), req)
	wantCode(t, err, codes.InvalidArgument, "did you mean vmaf_v0.6.1")
	wantFields(t, err, "models[0].spec")
	req.Models = otherModel
	results, err := r.rescoreAll(t, as(t, ""), req) // the real workflow: nothing is stored of it
	if err != nil || len(results) != 1 || results[0].GetFailure() == nil || results[0].GetDone() != 1 {
		t.Errorf("%v, %v", results, err)
	}
	_, err = r.rescoreAll(t, as(t, ""), &pb.RescoreQualityRequest{Models: otherModel})
	wantFields(t, err, "which")
	_, err = r.rescoreAll(t, as(t, ""), byFilter("nope = 1"))
	wantFields(t, err, "filter")
	_, err = r.rescoreAll(t, as(t, ""), &pb.RescoreQualityRequest{Which: byFilter("*").Which})
	wantFields(t, err, "models")
}
