package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

// workerURL has the test binary run a worker that hangs in its first task, for others to kill.
const workerURL = "VQSD_TEST_WORKER_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(workerURL); url != "" {
		conn, err := queue.Connect(context.Background(), queue.Config{URLs: []string{url}})
		if err == nil {
			err = Run(context.Background(), Config{Conn: conn, Handler: stuck(make(chan protocol.Chunk, 1)), ID: "victim", Host: "host"})
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// gated does chunks when it is let.
func gated(begun chan<- protocol.Chunk, release <-chan struct{}) *hands {
	h := measuring()
	measure := h.measure
	h.measure = func(ctx context.Context, c protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error, progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		begun <- task
		select {
		case <-release:
		case <-ctx.Done():
			return nil, protocol.Timing{}, ctx.Err()
		}
		return measure(ctx, c, task, emit, progress)
	}
	return h
}

func TestDrainingFinishesWhatRuns(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	begun, release := make(chan protocol.Chunk, 1), make(chan struct{})
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: gated(begun, release), DrainGrace: within})
	d.publish(chunk(1, 5))
	wait(t, "the task's beginning", begun)
	p.stop()
	for {
		if b := wait(t, "a heartbeat that tells of the draining", d.heartbeats); b.Draining {
			break
		}
	}
	d.publish(chunk(2, 5)) // which is for others
	close(release)
	must(t, wait(t, "the worker's end", p.ended))
	if f := wait(t, "finish", d.finishes); f.Task.Number != 1 || f.Chunk == nil {
		t.Errorf("finish %+v", f)
	}
	if len(d.finishes) > 0 {
		t.Error("a draining worker began another task")
	}
}

func TestDrainingGivesTheRestBack(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	begun := make(chan protocol.Chunk, 1)
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: stuck(begun)})
	d.publish(chunk(1, 5))
	wait(t, "the task's beginning", begun)
	p.end()
	if f := wait(t, "finish", d.finishes); !f.Returned || f.Failure == nil || !f.Failure.Transient {
		t.Errorf("finish %+v", f)
	}
	from := time.Now()
	run(t, Config{ID: "next", Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	if f := wait(t, "finish", d.finishes); f.Worker != "next" || f.Chunk == nil {
		t.Errorf("finish %+v", f)
	}
	if took := time.Since(from); took > within/2 {
		t.Errorf("the next worker got it after %v", took)
	}
	d.empty()
}

func TestDrainingWhileADaemonIsAwayEnds(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	d.lease = time.Second
	hanging := make(chan struct{}, 10)
	d.receipt = func(string) *protocol.Receipt { hanging <- struct{}{}; return &protocol.Receipt{Retry: "no space"} }
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring(), DrainGrace: time.Millisecond, HangGrace: 10 * time.Millisecond, ResultPatience: time.Hour})
	d.publish(chunk(1, 5))
	wait(t, "a result that is put off", hanging)
	go func() {
		for range hanging { // goes on being put off
		}
	}()
	p.end()
	must(t, d.conn.Close(context.Background()))
	close(hanging)
}

func TestResultsOutwaitAFullStore(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	var asked atomic.Int64
	d.receipt = func(string) *protocol.Receipt {
		if asked.Add(1)%4 != 0 {
			return &protocol.Receipt{Retry: "no space left on device"}
		}
		return nil
	}
	d.start(queue.Config{Server: s})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	d.publish(chunk(1, 5))
	if f := wait(t, "finish", d.finishes); f.Chunk == nil || len(d.frames) != 5 {
		t.Errorf("finish %+v with %d figures", f, len(d.frames))
	}
	d.empty()
}

func TestPatienceHasAnEnd(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t)
	d.lease = 50 * time.Millisecond
	var full atomic.Bool
	full.Store(true)
	d.receipt = func(string) *protocol.Receipt {
		if full.Load() {
			return &protocol.Receipt{Retry: "no space left on device"}
		}
		return nil
	}
	d.start(queue.Config{Server: s})
	begun := make(chan protocol.Chunk, 100)
	release := make(chan struct{})
	close(release)
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: gated(begun, release), ResultPatience: 100 * time.Millisecond})
	d.publish(chunk(1, 5))
	wait(t, "the task's beginning", begun)
	wait(t, "the task's beginning once more, since its results were given up", begun)
	full.Store(false)
	wait(t, "finish", d.finishes)
}

func TestADaemonThatRestartsGetsTheResult(t *testing.T) {
	cfg := queue.ServerConfig{Port: -1}
	s := server(t, cfg)
	urls := []string{s.ClientURL()}
	first := newDaemon(t).start(queue.Config{URLs: urls})
	begun, release := make(chan protocol.Chunk, 1), make(chan struct{})
	p := run(t, Config{Conn: connect(t, queue.Config{URLs: urls}), Handler: gated(begun, release)})
	wait(t, "hello", first.hellos)
	first.publish(chunk(1, 50))
	wait(t, "the task's beginning", begun)

	// The daemon and its queue end, and with the memory all that was in it.
	must(t, first.conn.Close(context.Background()))
	s.Shutdown()
	close(release) // the result comes while nobody is there
	var err error
	cfg.Port, err = strconv.Atoi(urls[0][strings.LastIndexByte(urls[0], ':')+1:])
	must(t, err)
	server(t, cfg)
	second := newDaemon(t)
	second.start(queue.Config{URLs: urls})

	if f := wait(t, "finish at the second daemon", second.finishes); f.Chunk == nil || f.Task.Number != 1 {
		t.Errorf("finish %+v", f)
	}
	if len(second.frames) != 50 {
		t.Errorf("%d figures came to the second daemon", len(second.frames))
	}
	wait(t, "hello at the second daemon", second.hellos)
	second.publish(chunk(2, 5))
	wait(t, "the next task's beginning", begun)
	wait(t, "the next finish", second.finishes)
	second.empty()
	p.end()
}

func TestANewDaemonOnTheSameQueueLearnsWhatRuns(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	first := newDaemon(t).start(queue.Config{Server: s})
	begun, release := make(chan protocol.Chunk, 1), make(chan struct{})
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: gated(begun, release)})
	wait(t, "hello", first.hellos)
	task := chunk(1, 5)
	first.publish(task)
	wait(t, "the task's beginning", begun)
	must(t, first.conn.Close(context.Background()))
	second := newDaemon(t).start(queue.Config{Server: s})
	if h := wait(t, "hello at the second daemon", second.hellos); len(h.Running) != 1 || h.Running[0] != task.ID {
		t.Errorf("it says to run %v", h.Running)
	}
	close(release)
	wait(t, "finish", second.finishes)
	second.empty()
}

func TestAKilledWorkersTaskGoesToAnother(t *testing.T) {
	s := server(t, queue.ServerConfig{Port: -1})
	d := newDaemon(t)
	d.lease = 500 * time.Millisecond
	d.start(queue.Config{Server: s})
	victim := exec.Command(os.Args[0], "-test.run=^$")
	victim.Env = append(os.Environ(), workerURL+"="+s.ClientURL())
	var said strings.Builder
	victim.Stderr = &said
	must(t, victim.Start())
	defer func() {
		// It has been killed, unless the test ends early.
		_ = victim.Process.Kill()
		_ = victim.Wait()
		if s := said.String(); s != "" {
			t.Logf("the victim said: %s", s)
		}
	}()
	wait(t, "the victim's hello", d.hellos)
	d.publish(chunk(1, 5))
	for {
		if b := wait(t, "the task's beginning", d.heartbeats); b.Worker == "victim" && len(b.Running) == 1 {
			break
		}
	}
	must(t, victim.Process.Kill())
	d.lose()
	run(t, Config{ID: "heir", Conn: connect(t, queue.Config{Server: s}), Handler: measuring()})
	if f := wait(t, "finish", d.finishes); f.Worker != "heir" || f.Chunk == nil {
		t.Errorf("finish %+v", f)
	}
	d.empty()
}

func TestAHandlerThatIgnoresItsEndEndsTheWorker(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	release := make(chan struct{})
	defer close(release)
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), TaskTimeout: 20 * time.Millisecond, HangGrace: 20 * time.Millisecond, Slots: 2,
		Handler: &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
			if task.First == 100 {
				<-release
			}
			<-ctx.Done()
			return nil, protocol.Timing{}, ctx.Err()
		}}})
	d.publish(chunk(1, 5))
	f := wait(t, "finish", d.finishes)
	if f.Failure == nil || !f.Failure.Transient || !strings.Contains(f.Failure.Message, "did not stop within 20ms") {
		t.Errorf("finish %+v", f.Failure)
	}
	if err := wait(t, "the worker's end", p.ended); !errors.Is(err, ErrHung) {
		t.Errorf("got %v, want ErrHung", err)
	}
}

func TestMemoryBeyondTheLimitEndsTheWorker(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	var rss atomic.Int64
	rss.Store(1000)
	begun := make(chan protocol.Chunk, 1)
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: stuck(begun), MemoryLimit: 2000, Resident: func() (int64, error) { return rss.Load(), nil }})
	d.publish(chunk(1, 5))
	wait(t, "the task's beginning", begun)
	rss.Store(2001)
	f := wait(t, "finish", d.finishes)
	if f.Failure == nil || !f.Failure.Transient || !strings.Contains(f.Failure.Message, "workers.memory_limit is 2000") {
		t.Errorf("finish %+v", f.Failure)
	}
	if err := wait(t, "the worker's end", p.ended); !errors.Is(err, ErrMemory) {
		t.Errorf("got %v, want ErrMemory", err)
	}
}

func TestAHandlerThatCanDoNoMoreEndsTheWorker(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	lost := errors.New("the device is lost")
	h := &hands{broken: lost, measure: func(context.Context, protocol.Comparison, protocol.Chunk, func(protocol.Part) error, func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		return nil, protocol.Timing{}, &protocol.Error{Reason: store.ReasonInternal, Transient: true, Message: "launch failed"}
	}}
	p := run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: h})
	d.publish(chunk(1, 5))
	if f := wait(t, "finish", d.finishes); f.Failure == nil || !f.Failure.Transient || f.Failure.Message != "launch failed" || f.Returned {
		t.Errorf("finish %+v", f)
	}
	if err := wait(t, "the worker's end", p.ended); !errors.Is(err, ErrBroken) || !errors.Is(err, lost) {
		t.Errorf("got %v, want ErrBroken and why", err)
	}
}

func TestTheTraceReachesTheHandler(t *testing.T) {
	s := server(t, queue.ServerConfig{})
	d := newDaemon(t).start(queue.Config{Server: s})
	traces := make(chan string, 1)
	run(t, Config{Conn: connect(t, queue.Config{Server: s}), Handler: &hands{measure: func(ctx context.Context, _ protocol.Comparison, task protocol.Chunk, _ func(protocol.Part) error, _ func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
		traces <- trace.SpanContextFromContext(ctx).TraceID().String()
		return done(task), protocol.Timing{}, nil
	}}})
	task := chunk(1, 5)
	task.Trace = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	d.publish(task)
	if got := wait(t, "the task", traces); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %s", got)
	}
}

func TestAThousandTasksOverFourWorkers(t *testing.T) {
	const tasks, workers = 1000, 4
	s := server(t, queue.ServerConfig{Port: -1})
	d := newDaemon(t)
	d.lease = time.Minute // nothing is to come twice because the machine is slow
	d.start(queue.Config{Server: s})
	var processes []*process
	for i := range workers {
		processes = append(processes, run(t, Config{ID: "worker " + strconv.Itoa(i), Conn: connect(t, queue.Config{URLs: []string{s.ClientURL()}}), Handler: measuring(), Slots: 1 + i%2, DrainGrace: within}))
	}
	for n := range tasks {
		d.publish(chunk(n, 100))
	}
	did := map[string]int{}
	for range tasks {
		did[wait(t, "finish", d.finishes).Worker]++
	}
	d.empty()
	for _, p := range processes {
		p.end()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range tasks {
		if d.finished[n] != 1 {
			t.Errorf("task %d was finished %d times", n, d.finished[n])
		}
	}
	if len(d.frames) != 100*tasks {
		t.Errorf("%d figures came, want %d", len(d.frames), 100*tasks)
	}
	for frame, n := range d.frames {
		if n != 1 {
			t.Errorf("frame %v came %d times", frame, n)
		}
	}
	if len(did) != workers {
		t.Errorf("the work was done by %v", did)
	}
}

func TestNothingIsLostWhileTheQueueRestarts(t *testing.T) {
	const tasks, restarts = 200, 5
	cfg := queue.ServerConfig{Port: -1}
	s := server(t, cfg)
	urls := []string{s.ClientURL()}
	var err error
	cfg.Port, err = strconv.Atoi(urls[0][strings.LastIndexByte(urls[0], ':')+1:])
	must(t, err)
	d := newDaemon(t)
	d.again, d.lease = true, within
	back := make(chan struct{}, restarts)
	d.start(queue.Config{URLs: urls, OnReconnect: func() { back <- struct{}{} }})
	for i := range 3 {
		run(t, Config{ID: "worker " + strconv.Itoa(i), Conn: connect(t, queue.Config{URLs: urls}), Handler: measuring()})
	}
	for n := range tasks {
		d.publish(chunk(n, 10))
	}
	finished := map[int]bool{}
	for range restarts {
		for until := len(finished) + tasks/restarts/2; len(finished) < until; {
			finished[wait(t, "finish", d.finishes).Task.Number] = true
		}
		s.Shutdown()
		s = server(t, cfg)
		wait(t, "the daemon's reconnection", back)
		d.mu.Lock()
		var left []int
		for n := range tasks {
			if d.finished[n] == 0 {
				left = append(left, n)
			}
		}
		d.mu.Unlock()
		for _, n := range left { // whether it was lost or is in somebody's hands
			d.publish(chunk(n, 10))
		}
	}
	for len(finished) < tasks {
		finished[wait(t, "finish", d.finishes).Task.Number] = true
	}
	d.empty()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.frames) != 10*tasks {
		t.Errorf("figures of %d frames came, want %d", len(d.frames), 10*tasks)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	err := Run(t.Context(), Config{Slots: 1000, TaskTimeout: -1, Heartbeat: 1, RecordBytes: 1})
	for _, want := range []string{"needs a connection", "workers.slots is 1000", "task timeout (-1ns)", "interval", "messages of figures are 1 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
