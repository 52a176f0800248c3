package grpc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

func (r *rig) watchOne(t testing.TB, ctx context.Context, m *store.Measurement) grpc.ServerStreamingClient[pb.WatchQualityResponse] {
	t.Helper()
	stream, err := r.quality.WatchQuality(ctx, &pb.WatchQualityRequest{Name: nameOf(m.ID)})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestWatchTranslatesEvents(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	st := r.workflow.Describe(m)
	var wanted atomic.Bool
	r.workflow.watch = func(_ context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error {
		wanted.Store(segments)
		for _, e := range []workflow.Event{
			{Progress: &workflow.Progress{Done: 1, Total: 2}},
			{Segment: &workflow.SegmentScore{Rendition: 1, First: 3, End: 4, Scores: m.Renditions[1].Scores}},
			{Rendition: &workflow.RenditionEnd{Index: 1, Status: st}},
			{},
			{Status: st},
		} {
			if err := tell(e); err != nil {
				return err
			}
		}
		return nil
	}
	events, err := drain(r.watchOne(t, as(t, ""), m))
	if err != nil || len(events) != 4 || !wanted.Load() {
		t.Fatalf("%v, %v, segments %v", events, err, wanted.Load())
	}
	if events[0].GetProgress().GetFramesTotal() != 2 || events[1].GetSegment().GetRendition() != "b" || len(events[1].GetSegment().GetScores()) != 2 ||
		events[2].GetRendition().GetName() != "b" || events[2].GetRendition().GetFramesDone() != 100 || events[3].GetMeasurement().GetName() != nameOf(m.ID) {
		t.Errorf("%v", events)
	}
	stream, err := r.quality.WatchQuality(as(t, ""), &pb.WatchQualityRequest{Name: nameOf(m.ID), NoSegments: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drain(stream); err != nil || wanted.Load() {
		t.Errorf("%v, segments %v", err, wanted.Load())
	}
}

// TestWatchOfTheRealWorkflow ends with the measurement.
func TestWatchOfTheRealWorkflow(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	m := r.measure(t, ctx, &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", "clips:a.mp4")})
	stream, err := r.quality.WatchQuality(ctx, &pb.WatchQualityRequest{Name: m.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.quality.CancelQuality(ctx, &pb.CancelQualityRequest{Name: m.GetName()}); err != nil {
		t.Fatal(err)
	}
	events, err := drain(stream)
	if err != nil || len(events) == 0 || events[len(events)-1].GetMeasurement().GetState() != pb.MeasurementState_MEASUREMENT_STATE_CANCELLED {
		t.Errorf("%v, %v", events, err)
	}
}

// tellForever tells of progress until the stream has had enough.
func tellForever(ctx context.Context, _ store.MeasurementID, _ bool, tell func(workflow.Event) error) error {
	for n := int64(1); ; n++ {
		if err := tell(workflow.Event{Progress: &workflow.Progress{Done: n}}); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// TestStalledWatchersAreDropped: some clients do not read. They neither hold the others up nor stay for ever, and what is told them is
// bounded by flow control.
func TestStalledWatchersAreDropped(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.StalledStream = time.Second })
	m := r.finished("clips", nil)
	var told atomic.Int64
	ended := make(chan error, 10)
	r.workflow.watch = func(ctx context.Context, id store.MeasurementID, segments bool, tell func(workflow.Event) error) error {
		err := tellForever(ctx, id, segments, func(e workflow.Event) error {
			told.Add(1)
			return tell(e)
		})
		ended <- err
		return err
	}
	const stalled = 3
	for range stalled {
		r.watchOne(t, as(t, ""), m)
	}
	ctx, cancel := context.WithCancel(as(t, ""))
	reading := r.watchOne(t, ctx, m)
	last := int64(0)
	for range stalled { // each ends by itself while another reads
		for done := false; !done; {
			select {
			case err := <-ended:
				if done = true; err != errStalled { // the very one
					t.Errorf("%v, want %v", err, errStalled)
				}
			default:
				e, err := reading.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if n := e.GetProgress().GetFramesDone(); n <= last {
					t.Fatalf("progress went from %d to %d", last, n)
				} else {
					last = n
				}
			}
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a cancelled stream ends without an error")
	}
	if n := told.Load() - last; n > stalled*50_000 {
		t.Errorf("%d events were taken by %d clients that read none", n, stalled)
	}
}

func TestTwoHundredWatchers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.WatchStreams = 200 })
	m := r.finished("clips", nil)
	begun := make(chan struct{}, 300)
	finish := make(chan struct{})
	r.workflow.watch = func(ctx context.Context, _ store.MeasurementID, _ bool, tell func(workflow.Event) error) error {
		begun <- struct{}{}
		select {
		case <-finish:
		case <-ctx.Done():
			return ctx.Err()
		}
		return tell(workflow.Event{Status: r.workflow.Describe(m)})
	}
	ctx := as(t, "")
	streams := make([]grpc.ServerStreamingClient[pb.WatchQualityResponse], 200)
	var group sync.WaitGroup
	for i := range streams {
		streams[i] = r.watchOne(t, ctx, m)
	}
	for range streams {
		<-begun
	}
	_, err := drain(r.watchOne(t, ctx, m))
	wantCode(t, err, codes.ResourceExhausted, "limits.watch_streams is 200")
	if _, err := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: nameOf(m.ID)}); err != nil {
		t.Errorf("other calls fail meanwhile: %v", err)
	}
	close(finish)
	for _, s := range streams {
		group.Go(func() {
			if events, err := drain(s); err != nil || len(events) != 1 {
				t.Errorf("%d events, %v", len(events), err)
			}
		})
	}
	group.Wait()
	eventually(t, "the streams are given back", func() bool {
		done, err := r.server.accounts.watch("")
		if err != nil {
			return false
		}
		done()
		return true
	})
}

func TestCancelledStreamsAreGivenBack(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.WatchStreams = 1 })
	m := r.finished("clips", nil)
	begun, ended := make(chan struct{}), make(chan struct{})
	r.workflow.watch = func(ctx context.Context, _ store.MeasurementID, _ bool, _ func(workflow.Event) error) error {
		begun <- struct{}{}
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(as(t, ""))
	stream := r.watchOne(t, ctx, m)
	<-begun
	cancel()
	<-ended
	_, err := drain(stream)
	wantCode(t, err, codes.Canceled)
	r.workflow.watch = func(context.Context, store.MeasurementID, bool, func(workflow.Event) error) error { return nil }
	eventually(t, "the next one may watch", func() bool {
		_, err := drain(r.watchOne(t, as(t, ""), m))
		return err == nil
	})
}

// TestShutdownEndsWatchers with the code that says: try again.
func TestShutdownEndsWatchers(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	begun := make(chan struct{})
	r.workflow.watch = func(ctx context.Context, _ store.MeasurementID, _ bool, _ func(workflow.Event) error) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	stream := r.watchOne(t, as(t, ""), m)
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := drain(stream)
	wantCode(t, err, codes.Unavailable, "shutting down")
	if err := r.server.Shutdown(ctx); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// TestShutdownCutsOffWhatDoesNotEnd when its own time is over.
func TestShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	begun := make(chan struct{})
	r.workflow.rescore = func(ctx context.Context, _ store.MeasurementID, _ workflow.RescoreRequest) (*workflow.Status, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	stream, err := r.quality.RescoreQuality(as(t, ""), &pb.RescoreQualityRequest{Which: &pb.RescoreQualityRequest_Name{Name: nameOf(m.ID)}, Models: otherModel})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.server.Shutdown(ctx); err == nil {
		t.Error("what was cut off is not told of")
	}
	if _, err := drain(stream); err == nil {
		t.Error("the stream ended well")
	}
}

func TestWatchChecksTheCaller(t *testing.T) {
	r := newRig(t, withTokens(t))
	m := r.finished("clips", nil)
	_, err := drain(r.watchOne(t, as(t, otherToken), m))
	wantCode(t, err, codes.NotFound)
	if strings.Contains(r.log.String(), otherToken) {
		t.Error("the log has a token")
	}
	if _, err := drain(r.watchOne(t, as(t, readToken), m)); err != nil {
		t.Error(err)
	}
}
