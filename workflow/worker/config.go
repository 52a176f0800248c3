package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

// Errors that end [Run] beside those of the connection.
var (
	// ErrHung says that a handler did not return although it was told to. Its slot, and what it holds, come back with the process's end only.
	ErrHung = errors.New("a task ignores that it was stopped")
	// ErrMemory says that the process has more memory than it may.
	ErrMemory = errors.New("memory limit exceeded")
	// ErrBroken says that the handler can do no more in this process. The rest of the text says why.
	ErrBroken = errors.New("no more tasks can be done in this process")
)

// RefusedError says that the daemon does not want this worker.
type RefusedError struct{ Why string } // and what to do

func (e *RefusedError) Error() string { return "the daemon refuses this worker: " + e.Why }

// Config says what a worker is and how it works. Conn, Handler, ID and Host are required; zero values of the rest are defaults.
type Config struct {
	Conn    *queue.Conn // for one Run; stays the caller's, as Handler does
	Handler protocol.Handler

	ID      string   // unique, new with every process
	Host    string   // tells hosts apart
	Version string   // of the program
	Roots   []string // names of the media roots
	Slots   int      // tasks at a time; range 1–256, default 1

	// TaskTimeout is how long a task may take. 0: as long as it likes. A task that takes longer is stopped, and has failed with an error that may go away.
	TaskTimeout time.Duration
	// MemoryLimit is how many bytes may be resident in this process. 0: any number. Above it all tasks fail, with an error that may go away, and Run ends.
	MemoryLimit int64
	// DrainGrace is how long tasks may go on when Run's context has ended. 0: they are given back at once.
	DrainGrace time.Duration
	// HangGrace is how long a handler may take to return when it was stopped. Default 10 s.
	HangGrace time.Duration
	// ResultPatience is how long results wait for a daemon that is away or cannot store them. Default 10 min.
	ResultPatience time.Duration

	Heartbeat   time.Duration // interval of signs of life; default 1 s
	Progress    time.Duration // shortest interval of reports about one task; default 250 ms
	RetryFirst  time.Duration // first pause before a result that the daemon put off is sent again, doubling up to 20 times it; default 500 ms
	RecordBytes int           // largest message of figures, about, and at most three quarters of what the queue takes; default 512 KiB, range 1 KiB – 1 MiB

	Tracer trace.Tracer // nil: none
	Logger *slog.Logger // nil: slog.Default()
	// Resident tells how many bytes of this process are resident. nil: as the kernel says.
	Resident func() (int64, error)
}

func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Conn == nil || c.Handler == nil || c.ID == "" || c.Host == "" {
		add("a worker needs a connection, a handler, an ID and the host's name")
	}
	fill(&c.Slots, 1)
	fill(&c.HangGrace, 10*time.Second)
	fill(&c.ResultPatience, 10*time.Minute)
	fill(&c.Heartbeat, time.Second)
	fill(&c.Progress, 250*time.Millisecond)
	fill(&c.RetryFirst, 500*time.Millisecond)
	fill(&c.RecordBytes, 512<<10)
	if c.Slots < 1 || c.Slots > 256 {
		add("workers.slots is %d; the range is 1 to 256", c.Slots)
	}
	if c.TaskTimeout < 0 || c.MemoryLimit < 0 || c.DrainGrace < 0 {
		add("task timeout (%v), memory limit (%d bytes) and drain grace (%v) of a worker are at least 0", c.TaskTimeout, c.MemoryLimit, c.DrainGrace)
	}
	for _, d := range [...]time.Duration{c.HangGrace, c.ResultPatience, c.Heartbeat, c.Progress, c.RetryFirst} {
		if d < time.Millisecond || d > 24*time.Hour {
			add("an interval or patience of a worker is %v; the range is 1ms to 24h", d)
		}
	}
	if c.RecordBytes < 1<<10 || c.RecordBytes > maxRecordBytes {
		add("a worker's messages of figures are %d bytes; the range is %d to %d", c.RecordBytes, 1<<10, maxRecordBytes)
	}
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Resident == nil {
		c.Resident = resident
	}
	return errors.Join(errs...)
}

// maxRecordBytes keeps a column's figures below the most that an array of a message may have.
const maxRecordBytes = 1 << 20

// resident is this process's resident memory. proc(5): the second number of statm counts pages.
func resident() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// classes are taken in this order.
func classes() []string {
	var list []string
	for _, class := range store.Classes() {
		list = append(list, string(class))
	}
	return list
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
