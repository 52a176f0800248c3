package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// TracingConfig says where traces go. The zero value: nowhere.
type TracingConfig struct {
	// Endpoint is a collector that takes OTLP over gRPC: HOST:PORT or https://HOST:PORT, encrypted; http://HOST:PORT, not encrypted.
	// "": there are no traces.
	Endpoint string
	// Ratio is the part of the requests that are traced, 0 to 1. A request that comes with a trace is traced if its sender says so.
	Ratio   float64
	Service string // the program's part: "vqsd serve"
	Version string
	Logger  *slog.Logger // nil: slog.Default()
}

// Tracing makes traces and sends them. Close it when done.
type Tracing struct {
	provider trace.TracerProvider
	close    func(context.Context) error
}

// ParseEndpoint reads the address of a collector as [TracingConfig] has it.
func ParseEndpoint(text string) (address string, encrypted bool, err error) {
	encrypted = true
	address = text
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return "", false, errors.New("want HOST:PORT, https://HOST:PORT or http://HOST:PORT, with nothing behind it")
		}
		address, encrypted = u.Host, u.Scheme == "https"
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return "", false, errors.New("want HOST:PORT, such as collector.example.com:4317")
	}
	return address, encrypted, nil
}

// NewTracing sets traces up. It does not wait for the collector: one that is not there is logged, and traces are lost.
func NewTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	if cfg.Endpoint == "" {
		return &Tracing{noop.NewTracerProvider(), func(context.Context) error { return nil }}, nil
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	address, encrypted, err := ParseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint %q: %w", cfg.Endpoint, err)
	}
	if !(cfg.Ratio >= 0 && cfg.Ratio <= 1) {
		return nil, fmt.Errorf("telemetry.trace_ratio is %v; the range is 0 to 1", cfg.Ratio)
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(address)}
	if !encrypted {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint %q: %w", cfg.Endpoint, err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Logger.Warn("traces are not delivered", "err", err) }))
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // a name to tell hosts apart by, and nothing depends on it
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Ratio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version),
			attribute.String("host.name", host), attribute.Int("process.pid", os.Getpid()),
		)),
	)
	return &Tracing{provider, provider.Shutdown}, nil
}

// Provider gives tracers. It is never nil.
func (t *Tracing) Provider() trace.TracerProvider { return t.provider }

// Close sends what has not been sent, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.close(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// Propagator carries the trace from one process to the next as the W3C says: traceparent, tracestate, baggage.
func Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}
