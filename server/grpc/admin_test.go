package grpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
	"github.com/vqsd/vqsd/workflow/protocol"
)

func TestServerInfo(t *testing.T) {
	r := newRig(t, withTokens(t))
	info, err := r.admin.GetServerInfo(as(t, readToken), &pb.GetServerInfoRequest{})
	if err != nil || info.GetVersion() != "v1.2.3" || info.GetCommit() != "abc" || info.GetCaller() != "reader" || info.GetStartTime() == nil ||
		!slices.Equal(info.GetRights(), []string{"read"}) || !slices.Equal(info.GetMediaRoots(), []string{"clips"}) {
		t.Errorf("%v, %v", info, err)
	}
	info, err = r.admin.GetServerInfo(as(t, adminToken), &pb.GetServerInfoRequest{})
	if err != nil || len(info.GetRights()) != 3 || len(info.GetMediaRoots()) != 2 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWorkerToProto(t *testing.T) {
	start := time.Unix(1, 0).UTC()
	w := workerToProto(workflow.WorkerStatus{
		Hello: protocol.Hello{
			Worker: "w", Host: "h", PID: 3, Version: "v", Roots: []string{"r"}, Slots: 4, Started: start,
			Device: protocol.Device{Name: "cpu", Backend: "cpu (avx2)", Threads: 5, Memory: 6, Emulated: true},
		},
		State: workflow.WorkerBusy, Heartbeat: start.Add(1), RSSBytes: 7, TasksDone: 8, FramesDone: 9,
		Running: []protocol.Progress{{Task: protocol.TaskID{Measurement: "m", Number: 1, Attempt: 2}, Done: 10, Total: 11}},
	})
	fields := w.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !w.ProtoReflect().Has(fields.Get(i)) {
			t.Errorf("nothing sets %s", fields.Get(i).FullName())
		}
	}
	if w.GetState() != pb.WorkerState_WORKER_STATE_BUSY || w.GetRunning()[0].GetMeasurement() != "measurements/m" || w.GetRunning()[0].GetFramesTotal() != 11 {
		t.Errorf("%v", w)
	}
}

func TestQueueAndCache(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.measure(t, ctx, &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", "clips:a.mp4")})
	queue, err := r.admin.GetQueue(ctx, &pb.GetQueueRequest{})
	if err != nil || len(queue.GetClasses()) != 3 || queue.GetClasses()[1].GetOutstanding() != 1 || queue.GetClasses()[1].GetServiceClass() != pb.ServiceClass_SERVICE_CLASS_THROUGHPUT {
		t.Errorf("%v, %v", queue, err)
	}
	cache, err := r.admin.GetCache(ctx, &pb.GetCacheRequest{})
	if err != nil || cache.GetMeasurements() != 1 {
		t.Errorf("%v, %v", cache, err)
	}
	if workers, err := r.admin.ListWorkers(ctx, &pb.ListWorkersRequest{}); err != nil || len(workers.GetWorkers()) != 0 {
		t.Errorf("%v, %v", workers, err)
	}
	if cleaned, err := r.admin.CleanCache(ctx, &pb.CleanCacheRequest{UnusedFor: durationpb.New(time.Hour)}); err != nil || cleaned.GetRemoved() != 0 {
		t.Errorf("%v, %v", cleaned, err)
	}
	_, err = r.admin.CleanCache(ctx, &pb.CleanCacheRequest{UnusedFor: durationpb.New(-1)})
	wantFields(t, err, "unused_for")
}

func TestDrainAndHealth(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	health := healthpb.NewHealthClient(r.conn)
	watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: "vqs.v1.QualityService"})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
	next(healthpb.HealthCheckResponse_SERVING)

	r.workflow.running.Store(3)
	resp, err := r.admin.Drain(ctx, &pb.DrainRequest{Wait: durationpb.New(time.Millisecond)})
	if err != nil || !resp.GetDraining() || resp.GetRunning() != 3 {
		t.Errorf("a wait that is over: %v, %v", resp, err)
	}
	next(healthpb.HealthCheckResponse_NOT_SERVING)
	waited := make(chan *pb.DrainResponse, 1)
	go func() {
		resp, err := r.admin.Drain(ctx, &pb.DrainRequest{Wait: durationpb.New(time.Minute)})
		if err != nil {
			t.Error(err)
		}
		waited <- resp
	}()
	select {
	case resp := <-waited:
		t.Errorf("it did not wait: %v", resp)
	case <-time.After(3 * drainPoll):
	}
	r.workflow.running.Store(0)
	if resp := <-waited; resp.GetRunning() != 0 {
		t.Errorf("%v", resp)
	}
	if resp, err := r.admin.Drain(ctx, &pb.DrainRequest{Resume: true}); err != nil || resp.GetDraining() {
		t.Errorf("%v, %v", resp, err)
	}
	next(healthpb.HealthCheckResponse_SERVING)
	_, err = r.admin.Drain(ctx, &pb.DrainRequest{Wait: durationpb.New(-1)})
	wantFields(t, err, "wait")

	r.workflow.running.Store(1)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = r.admin.Drain(short, &pb.DrainRequest{Wait: durationpb.New(time.Minute)})
	wantCode(t, err, codes.DeadlineExceeded)
}

func TestServerThatStartsDraining(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Workflow.Drain(true) })
	got, err := healthpb.NewHealthClient(r.conn).Check(as(t, ""), &healthpb.HealthCheckRequest{})
	if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBackupCanBeRestored(t *testing.T) {
	r := newRig(t)
	m := r.finished("clips", nil)
	stream, err := r.admin.Backup(as(t, ""), &pb.BackupRequest{})
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := drain(stream)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	for _, p := range pieces {
		if len(p.GetData()) == 0 || len(p.GetData()) > backupBytes {
			t.Errorf("a piece of %d bytes", len(p.GetData()))
		}
		file.Write(p.GetData())
	}
	cfg := store.Config{Dir: filepath.Join(t.TempDir(), "restored"), MinFreeBytes: -1, MemoryBytes: 16 << 20}
	if _, err := store.Restore(context.Background(), cfg, &file); err != nil {
		t.Fatal(err)
	}
	restored, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := restored.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := restored.Measurement(context.Background(), m.ID); err != nil || got.ID != m.ID {
		t.Errorf("%v, %v", got, err)
	}
}

// endless is a store whose backup does not end.
type endless struct{ Store }

func (endless) Backup(ctx context.Context, w io.Writer) (store.BackupInfo, error) {
	piece := make([]byte, 100_000)
	for {
		if _, err := w.Write(piece); err != nil {
			return store.BackupInfo{}, err
		}
	}
}

func TestBackupForAClientThatDoesNotRead(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Store = endless{c.Store}
		c.Limits.StalledStream = time.Second
	})
	if _, err := r.admin.Backup(as(t, ""), &pb.BackupRequest{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is given up", func() bool { return strings.Contains(r.log.String(), "/Backup code=ResourceExhausted") })
}

// TestCallsAreTraced: a call is a span, below the caller's.
func TestCallsAreTraced(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	r := newRig(t, func(c *Config) { c.TracerProvider = provider })
	const parent = "0102030405060708090a0b0c0d0e0f10"
	ctx := metadata.AppendToOutgoingContext(as(t, ""), "traceparent", "00-"+parent+"-0102030405060708-01")
	if _, err := r.admin.GetServerInfo(ctx, &pb.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the call's span ends", func() bool { return len(spans.Ended()) == 1 })
	if s := spans.Ended()[0]; s.Name() != "vqs.v1.AdminService/GetServerInfo" || s.SpanContext().TraceID().String() != parent {
		t.Errorf("%s in %s", s.Name(), s.SpanContext().TraceID())
	}
}

func TestReflection(t *testing.T) {
	r := newRig(t, withTokens(t))
	list := func(token string) ([]string, error) {
		stream, err := reflection.NewServerReflectionClient(r.conn).ServerReflectionInfo(as(t, token))
		if err != nil {
			return nil, err
		}
		if err := stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}); err != nil && !errors.Is(err, io.EOF) {
			return nil, err // at the end of the stream Recv says why it ended
		}
		resp, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		var names []string
		for _, s := range resp.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		return names, stream.CloseSend()
	}
	if names, err := list(readToken); err != nil || !slices.Contains(names, "vqs.v1.QualityService") || !slices.Contains(names, "vqs.v1.AdminService") {
		t.Errorf("%v, %v", names, err)
	}
	_, err := list("")
	wantCode(t, err, codes.Unauthenticated)
}
