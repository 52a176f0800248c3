// Package telemetry sets up what daemon and workers say of themselves: the log, the registry of metrics and the traces.
//
// [NewLogger], [NewRegistry] and [NewTracing] each make one thing from a Config of its own, and nothing is global but the
// handler of OpenTelemetry's own errors, which the library has no other place for.
//
// # Decisions
//
// Traces go out by OTLP over gRPC only: every collector takes it, and gRPC is in the binary anyway. Metrics are not pushed; Prometheus
// reads them from package server/http.
package telemetry
