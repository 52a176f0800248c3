package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	NewLogger(&b, slog.LevelWarn, Text).Info("too low")
	NewLogger(&b, slog.LevelInfo, Text).Info("serving", "listen", "127.0.0.1:1")
	if got := b.String(); !strings.Contains(got, `msg=serving listen=127.0.0.1:1`) || strings.Contains(got, "too low") {
		t.Errorf("got %q", got)
	}
	b.Reset()
	NewLogger(&b, slog.LevelInfo, JSON).Info("serving", "workers", 2, "lease", 15*time.Second)
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "serving" || line["workers"] != 2.0 || line["lease"] != "15s" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestParse(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		if _, err := ParseLevel(level); err != nil {
			t.Error(err)
		}
	}
	for _, level := range []string{"", "INFO", "trace"} {
		if _, err := ParseLevel(level); err == nil {
			t.Errorf("level %q is taken", level)
		}
	}
	if _, err := ParseFormat("yaml"); err == nil || !strings.Contains(err.Error(), "text or json") {
		t.Errorf("got %v", err)
	}
}

func TestParseEndpoint(t *testing.T) {
	for name, row := range map[string]struct {
		text, address string
		encrypted     bool
	}{
		"bare":              {"collector:4317", "collector:4317", true},
		"https":             {"https://collector:4317", "collector:4317", true},
		"http":              {"http://[::1]:4317/", "[::1]:4317", false},
		"no port":           {"collector", "", false},
		"no host":           {":4317", "", false},
		"path":              {"http://collector:4317/v1/traces", "", false},
		"another scheme":    {"grpc://collector:4317", "", false},
		"credentials in it": {"http://user:secret@collector:4317", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			address, encrypted, err := ParseEndpoint(row.text)
			if address != row.address || encrypted != row.encrypted || (err == nil) != (row.address != "") {
				t.Errorf("%q gives %q, %v, %v", row.text, address, encrypted, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	families, err := NewRegistry("1.2", "abc").Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range families {
		have[f.GetName()] = true
	}
	for _, name := range []string{"vqsd_build_info", "go_goroutines", "process_open_fds"} {
		if !have[name] {
			t.Errorf("no %s", name)
		}
	}
}

// sink is a collector that keeps the names of spans.
type sink struct {
	collector.UnimplementedTraceServiceServer
	names chan string
}

func (s *sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, spans := range r.ResourceSpans {
		for _, scope := range spans.ScopeSpans {
			for _, span := range scope.Spans {
				s.names <- span.Name
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTracesArriveOnClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{names: make(chan string, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Stop()
		<-served
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tracing, err := NewTracing(ctx, TracingConfig{Endpoint: "http://" + l.Addr().String(), Ratio: 1, Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	within, span := tracing.Provider().Tracer("test").Start(ctx, "request")
	carrier := propagation.MapCarrier{}
	Propagator().Inject(within, carrier)
	if want := span.SpanContext().TraceID().String(); !strings.Contains(carrier["traceparent"], want) {
		t.Errorf("traceparent is %q, of trace %s", carrier["traceparent"], want)
	}
	span.End()
	if err := tracing.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-s.names; got != "request" {
		t.Errorf("got span %q", got)
	}
}

func TestNoTracing(t *testing.T) {
	tracing, err := NewTracing(t.Context(), TracingConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Provider().Tracer("test").Start(t.Context(), "request")
	if span.IsRecording() {
		t.Error("a span is recorded, for nobody")
	}
	if err := tracing.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, cfg := range []TracingConfig{{Endpoint: "nonsense"}, {Endpoint: "a:1", Ratio: 2}} {
		if _, err := NewTracing(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "telemetry.") {
			t.Errorf("%v: got %v", cfg, err)
		}
	}
}
