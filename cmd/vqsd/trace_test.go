package main

import (
	"context"
	"encoding/hex"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// spanSink is a collector that keeps which spans there are.
type spanSink struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string]map[string]bool // names by trace
}

func (s *spanSink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.ResourceSpans {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.Key == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				id := hex.EncodeToString(span.TraceId)
				if s.spans[id] == nil {
					s.spans[id] = map[string]bool{}
				}
				s.spans[id][service+": "+span.Name] = true
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// One trace goes from the call to the tasks of the worker.
func TestTraceFromCallToTask(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sink := &spanSink{spans: map[string]map[string]bool{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, sink)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	ref, dis := pair(t, 10)
	s := startServe(t, nil, "--data", t.TempDir(), "--media-root", filepath.Dir(ref), "--set", "telemetry.otlp_endpoint=http://"+l.Addr().String())
	s.worker()
	vqsd(t, "measure", "-r", ref, "-d", dis, "--server", s.grpc).want(t, exitDone)
	s.end(syscall.SIGTERM, exitDone) // both processes send what they have
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for _, names := range sink.spans {
		if names["vqsd serve: vqs.v1.QualityService/MeasureQuality"] && names["vqsd worker: task"] {
			return
		}
	}
	t.Errorf("no trace goes from the call to the worker: %v", sink.spans)
}
