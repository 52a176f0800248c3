package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/rules"
)

// Transport carries tasks and messages between the daemon and its workers. Package queue has it on NATS.
type Transport interface {
	// Publish hands a task to the workers of its class. Publishing one id again soon has no effect.
	Publish(ctx context.Context, class, id string, body []byte) error
	// Handle answers requests on a subject, several at a time, until the transport is closed.
	Handle(subject string, answer func(ctx context.Context, body []byte) []byte) error
	// Listen hears messages on a subject, one at a time, until the transport is closed.
	Listen(subject string, hear func(body []byte)) error
	// Broadcast sends a message to all who listen.
	Broadcast(subject string, body []byte) error
}

// Limits bound what may be outstanding. In each field 0 means the default.
type Limits struct {
	// Measurements is how many measurements may be unfinished at a time; default 100,000. A further one is refused.
	Measurements int64
	// OwnerMeasurements is the same of one owner; default: Measurements.
	OwnerMeasurements int64
	// Chunks is the largest number of chunks of one measurement; default 4096. Longer videos get longer chunks.
	Chunks int
}

// Config says what a [Service] works with and how. Store, Transport and Rules are required; zero values of the rest are defaults.
type Config struct {
	Store     *store.Store
	Transport Transport
	Rules     *rules.Set
	Version   string // of the program, for provenance and the handshake

	// Attempts is how often a task is begun before it has failed for good. Range 1–100; default 3.
	Attempts int
	// Lease is how long a worker may be silent before its tasks go to others. Range 1 s – 10 min; default 15 s.
	Lease time.Duration
	// RetryDelay is the pause before the second attempt after a failure that may go away; it doubles each time. Range 0 – 1 min;
	// default 1 s.
	RetryDelay time.Duration
	// Window is how many tasks of a class are handed out beyond what is being worked on. Range 1–10,000; default: twice the slots of all workers, at
	// least 4.
	Window int
	// ReconcileInterval is how often what is outstanding is compared with what was handed out. Range 100 ms – 10 min; default 30 s.
	ReconcileInterval time.Duration
	Limits            Limits

	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Tracer     trace.Tracer          // nil: none
	Now        func() time.Time      // nil: time.Now
	// NewID makes the name of a measurement; names have to ascend in time. Required: this package has no randomness of its own.
	NewID func(now time.Time) store.MeasurementID
}

// poolsByDefault are the poolings of aggregate scores where nobody says.
const poolsByDefault = "mean harmonic_mean min max p1 p5 p50"

// validate reports every problem at once and fills in defaults.
func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Store == nil || c.Transport == nil || c.Rules == nil || c.NewID == nil {
		add("workflow needs a store, a transport, rules and a maker of names")
	}
	fill(&c.Attempts, 3)
	fill(&c.Lease, 15*time.Second)
	fill(&c.RetryDelay, time.Second)
	fill(&c.ReconcileInterval, 30*time.Second)
	fill(&c.Limits.Measurements, 100_000)
	fill(&c.Limits.OwnerMeasurements, c.Limits.Measurements)
	fill(&c.Limits.Chunks, 4096)
	if c.Attempts < 1 || c.Attempts > 100 {
		add("workers.attempts is %d; the range is 1 to 100", c.Attempts)
	}
	if c.Lease < time.Second || c.Lease > 10*time.Minute {
		add("workers.lease is %v; the range is 1s to 10m", c.Lease)
	}
	if c.RetryDelay < 0 || c.RetryDelay > time.Minute {
		add("workers.retry_delay is %v; the range is 0s to 1m", c.RetryDelay)
	}
	if c.Window < 0 || c.Window > 10_000 {
		add("queue.window is %d; the range is 1 to 10000", c.Window)
	}
	if c.ReconcileInterval < 100*time.Millisecond || c.ReconcileInterval > 10*time.Minute {
		add("queue.reconcile_interval is %v; the range is 100ms to 10m", c.ReconcileInterval)
	}
	if c.Limits.Measurements < 1 || c.Limits.OwnerMeasurements < 1 || c.Limits.Chunks < 1 || c.Limits.Chunks > 16384 {
		add("limits: outstanding_measurements and owner_measurements are at least 1, chunks 1 to 16384")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(errs...)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
