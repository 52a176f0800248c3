package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

// within is how long anything may take that is about to happen.
const within = 60 * time.Second

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait[E any](t *testing.T, what string, events <-chan E) E {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(within):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// hands is a handler whose tasks are functions.
type hands struct {
	broken  error
	inspect func(ctx context.Context, c protocol.Comparison, task protocol.Inspect) (*protocol.Inspection, error)
	measure func(ctx context.Context, c protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error)
}

var _ protocol.Handler = (*hands)(nil)

func (h *hands) Inspect(ctx context.Context, c protocol.Comparison, task protocol.Inspect) (*protocol.Inspection, error) {
	return h.inspect(ctx, c, task)
}

func (h *hands) Measure(ctx context.Context, c protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
	return h.measure(ctx, c, task, emit, progress)
}

func (h *hands) Device() protocol.Device {
	return protocol.Device{Name: "cpu", Backend: "cpu (test)", Threads: 1}
}
func (h *hands) Broken() error { return h.broken }
func (h *hands) Close() error  { return nil }

// figures are a function of the frame, so that lost and repeated ones show.
func figures(task protocol.Chunk) protocol.Part {
	column := make([]float64, task.End-task.First)
	for i := range column {
		column[i] = float64(task.First + int64(i))
	}
	return protocol.Part{Extraction: "vif", First: task.First, End: task.End, Step: 1, Figures: [][]float64{column}}
}

func done(task protocol.Chunk) *protocol.ChunkDone {
	return &protocol.ChunkDone{Backend: "cpu (test)", Frames: task.End - task.First, Renditions: map[int]store.RenditionDone{0: {EndedAt: -1}}}
}

// measuring does chunks as they should be done.
func measuring() *hands {
	return &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		if err := emit(figures(task)); err != nil {
			return nil, protocol.Timing{}, err
		}
		progress(task.End-task.First, task.End-task.First)
		return done(task), protocol.Timing{Decode: 1, Kernels: 2}, nil
	}}
}

// stuck does chunks that last until they are stopped; it tells of each that begins.
func stuck(begun chan<- protocol.Chunk) *hands {
	return &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		begun <- task
		<-ctx.Done()
		return nil, protocol.Timing{}, ctx.Err()
	}}
}

// daemon is the other side: it lets workers in, counts attempts and keeps what comes. Its fields are to be set before its start.
type daemon struct {
	rounds bool // tasks of one name follow each other
	t      *testing.T
	conn   *queue.Conn

	lease   time.Duration
	welcome func(h *protocol.Hello) *protocol.Welcome // nil: all are
	receipt func(what string) *protocol.Receipt       // nil: all is taken
	again   bool                                      // results may come again, since answers get lost

	hellos     chan protocol.Hello
	heartbeats chan protocol.Heartbeat
	progress   chan protocol.Progress
	finishes   chan protocol.Finish

	// mu guards the fields below.
	mu       sync.Mutex
	owners   map[protocol.TaskID]string // who began it
	finished map[int]int                // Finishes taken, by task
	frames   map[float64]int            // figures taken
	records  int
}

func newDaemon(t *testing.T) *daemon {
	return &daemon{
		t: t, lease: 600 * time.Millisecond,
		hellos: make(chan protocol.Hello, 100), heartbeats: make(chan protocol.Heartbeat, 10_000), progress: make(chan protocol.Progress, 10_000), finishes: make(chan protocol.Finish, 10_000),
		owners: map[protocol.TaskID]string{}, finished: map[int]int{}, frames: map[float64]int{},
	}
}

// start begins to answer. The queue is an embedded server's, or at URLs.
func (d *daemon) start(cfg queue.Config) *daemon {
	d.conn = connect(d.t, d.configure(cfg))
	ctx, cancel := context.WithTimeout(d.t.Context(), within)
	defer cancel()
	must(d.t, d.conn.EnsureStream(ctx, classes()...))
	must(d.t, d.conn.Listen(protocol.SubjectHeartbeat, func(body []byte) { hear(d, body, d.heartbeats) }))
	must(d.t, d.conn.Listen(protocol.SubjectProgress, func(body []byte) { hear(d, body, d.progress) }))
	must(d.t, d.conn.Handle(protocol.SubjectHello, func(_ context.Context, body []byte) []byte { return reply(d, body, d.hello) }))
	must(d.t, d.conn.Handle(protocol.SubjectBegin, func(_ context.Context, body []byte) []byte { return reply(d, body, d.begin) }))
	must(d.t, d.conn.Handle(protocol.SubjectRecord, func(_ context.Context, body []byte) []byte { return reply(d, body, d.record) }))
	must(d.t, d.conn.Handle(protocol.SubjectFinish, func(_ context.Context, body []byte) []byte { return reply(d, body, d.finish) }))
	return d
}

func (d *daemon) configure(cfg queue.Config) queue.Config {
	cfg.Lease = d.lease
	return cfg
}

func hear[M any](d *daemon, body []byte, to chan<- M) {
	var m M
	if err := protocol.Decode(body, &m); err != nil {
		d.t.Errorf("a worker says: %v", err)
		return
	}
	to <- m
}

func reply[Q, A any](d *daemon, body []byte, f func(*Q) *A) []byte {
	var q Q
	if err := protocol.Decode(body, &q); err != nil {
		d.t.Errorf("a worker asks: %v", err)
		return nil
	}
	answer := f(&q)
	if answer == nil {
		return nil
	}
	out, err := protocol.Encode(answer)
	if err != nil {
		d.t.Errorf("answer: %v", err)
	}
	return out
}

func (d *daemon) hello(h *protocol.Hello) *protocol.Welcome {
	d.hellos <- *h
	if d.welcome != nil {
		return d.welcome(h)
	}
	return &protocol.Welcome{Lease: d.lease, Version: "test"}
}

func (d *daemon) begin(b *protocol.Begin) *protocol.Leave {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished[b.Task.Number] > 0 && !d.rounds {
		return &protocol.Leave{Why: "done"}
	}
	if owner := d.owners[b.Task]; owner != "" && owner != b.Worker {
		return &protocol.Leave{Why: "another worker has it"}
	}
	d.owners[b.Task] = b.Worker
	return &protocol.Leave{Granted: true}
}

// lose forgets who began tasks, as the daemon does with those of a worker that is gone.
func (d *daemon) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.owners)
}

func (d *daemon) record(r *protocol.Record) *protocol.Receipt {
	if d.receipt != nil {
		if receipt := d.receipt("record"); receipt != nil {
			return receipt
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records++
	for _, p := range r.Parts {
		for i, v := range p.Figures[0] {
			if v != float64(p.First+int64(i)*p.Step) {
				d.t.Errorf("figure of frame %d is %v", p.First+int64(i)*p.Step, v)
			}
			d.frames[v]++
		}
	}
	return &protocol.Receipt{}
}

func (d *daemon) finish(f *protocol.Finish) *protocol.Receipt {
	if d.receipt != nil {
		if receipt := d.receipt("finish"); receipt != nil {
			return receipt
		}
	}
	d.mu.Lock()
	done := d.finished[f.Task.Number] > 0
	if !f.Returned {
		d.finished[f.Task.Number]++
	} else {
		delete(d.owners, f.Task)
	}
	d.mu.Unlock()
	if done && d.again {
		return &protocol.Receipt{Refused: "the task was done already"}
	}
	d.finishes <- *f
	return &protocol.Receipt{}
}

const someID store.MeasurementID = "01jd9zk3v8m4t0w5x6y7r8s9q2"

func source(path string) store.Source { return store.Source{Root: "media", Path: path} }

// chunk is task number n: frames from 100·n on.
func chunk(n, frames int) *protocol.Task {
	return &protocol.Task{
		ID: protocol.TaskID{Measurement: someID, Number: n, Attempt: 1}, Kind: store.TaskChunk, Class: store.ClassThroughput,
		Comparison: protocol.Comparison{Reference: source("ref"), Renditions: []store.Source{source("dis")}, RenditionFiles: make([]*store.File, 1),
			Scales: []string{""}, Geometries: make([]store.Size, 1), Encodeds: []string{"auto"}, Pairing: "index", Subsample: 1},
		Chunk: &protocol.Chunk{First: int64(100 * n), End: int64(100*n + frames), Renditions: []int{0}, Extractions: []string{"vif"}},
	}
}

func (d *daemon) publish(task *protocol.Task) {
	d.t.Helper()
	body, err := protocol.Encode(task)
	must(d.t, err)
	ctx, cancel := context.WithTimeout(d.t.Context(), within)
	defer cancel()
	must(d.t, d.conn.Publish(ctx, string(task.Class), fmt.Sprintf("%s/%d/%d", task.ID.Measurement, task.ID.Number, task.ID.Attempt), body))
}

func (d *daemon) cancel(number int) {
	d.t.Helper()
	body, err := protocol.Encode(&protocol.Cancel{Measurement: someID, Number: number})
	must(d.t, err)
	must(d.t, d.conn.Broadcast(protocol.SubjectCancel, body))
}

// empty waits until the queue has nothing left.
func (d *daemon) empty() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), within)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		left := queue.Outstanding{}
		for _, class := range classes() {
			o, err := d.conn.Outstanding(ctx, class)
			must(d.t, err)
			left.Waiting, left.Taken = left.Waiting+o.Waiting, left.Taken+o.Taken
		}
		if left == (queue.Outstanding{}) {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			d.t.Fatalf("the queue still has %+v", left)
		}
	}
}

func server(t *testing.T, cfg queue.ServerConfig) *queue.Server {
	t.Helper()
	cfg.Logger = quiet(t)
	s, err := queue.StartServer(cfg)
	must(t, err)
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, cfg queue.Config) *queue.Conn {
	t.Helper()
	cfg.Logger = quiet(t)
	cfg.RetryFirst, cfg.RetryMost, cfg.Poll = time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c, err := queue.Connect(ctx, cfg)
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// process is a worker that runs.
type process struct {
	t     *testing.T
	stop  context.CancelFunc
	ended chan error
}

func run(t *testing.T, cfg Config) *process {
	t.Helper()
	if cfg.ID == "" {
		cfg.ID = "worker"
	}
	cfg.Host, cfg.Logger = "host", quiet(t)
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 20 * time.Millisecond
	}
	cfg.RetryFirst = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, stop: cancel, ended: make(chan error, 1)}
	go func() { p.ended <- Run(ctx, cfg) }()
	t.Cleanup(cancel)
	return p
}

// end stops the worker and waits for it.
func (p *process) end() {
	p.t.Helper()
	p.stop()
	if err := wait(p.t, "the worker's end", p.ended); err != nil {
		p.t.Errorf("the worker ended with %v", err)
	}
}
