package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

// worker is one run of [Run].
type worker struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	// work is what tasks and their results live in. It outlasts the context of Run, and ends when there is no more time for anything.
	work    context.Context
	hurry   context.CancelFunc
	slots   chan struct{} // one element a task
	pending sync.WaitGroup
	broken  chan error // what makes the process unfit to go on; the first counts

	lease    atomic.Int64 // nanoseconds
	drains   atomic.Bool  // we do
	beatSoon chan struct{}

	// mu guards the fields below.
	mu      sync.Mutex
	tasks   map[ref]*task
	paused  bool          // the daemon drains
	resumed chan struct{} // closed when paused ends
}

// ref names a task whichever attempt it is.
type ref struct {
	measurement store.MeasurementID
	number      int
}

func refOf(id protocol.TaskID) ref { return ref{id.Measurement, id.Number} }

// Run works until ctx ends, and then drains: nil says that it ended in order.
//
// Errors: [*RefusedError]; [ErrHung], [ErrMemory] and [ErrBroken], after which the process should end; [queue.ErrClosed].
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	w := &worker{
		cfg: cfg, log: cfg.Logger.With("worker", cfg.ID), started: time.Now(),
		slots: make(chan struct{}, cfg.Slots), broken: make(chan error, 1), beatSoon: make(chan struct{}, 1),
		tasks: map[ref]*task{}, resumed: make(chan struct{}),
	}
	w.work, w.hurry = context.WithCancel(context.WithoutCancel(ctx))
	defer w.hurry()
	renewed, err := cfg.Conn.Renewals(protocol.SubjectHello)
	if err == nil {
		err = cfg.Conn.Listen(protocol.SubjectCancel, w.cancel)
	}
	if err == nil {
		err = w.hello(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	// taking ends with ctx; reporting goes on until the last task is over.
	reporting, stopReporting := context.WithCancel(w.work)
	taking, stopTaking := context.WithCancel(ctx)
	defer stopTaking()
	var group errgroup.Group
	group.Go(func() error {
		if err := w.heartbeats(reporting); err != nil {
			w.fail(err) // nobody would know that we live
		}
		return nil
	})
	group.Go(func() error { return w.greet(reporting, renewed) })
	taker := make(chan error, 1)
	go func() { taker <- w.take(taking) }()
	takerDone := false
	select {
	case err = <-w.broken:
	case err = <-taker:
		takerDone = true
	case <-ctx.Done():
	}
	stopTaking()
	if !takerDone {
		if takerErr := <-taker; err == nil {
			err = takerErr
		}
	}
	if left := w.drain(err); err == nil {
		err = left
	}
	stopReporting()
	return errors.Join(err, group.Wait())
}

// drain lets tasks finish. why, if it is not nil, is what makes them stop at once.
func (w *worker) drain(why error) error {
	w.drains.Store(true)
	tell(w.beatSoon)
	done := make(chan struct{})
	go func() { w.pending.Wait(); close(done) }()
	if n := len(w.running()); n > 0 && why == nil {
		w.log.Info("finishing tasks before the worker ends", "tasks", n, "grace", w.cfg.DrainGrace)
	}
	var broken error
	if why == nil {
		grace := time.NewTimer(w.cfg.DrainGrace)
		defer grace.Stop()
		select {
		case <-done:
			return nil
		case broken = <-w.broken:
		case <-grace.C:
		}
	}
	w.stopAll(errDraining)
	// What a handler may take to return, and a little to tell the daemon.
	last := time.AfterFunc(w.cfg.HangGrace+lastWords, w.hurry)
	defer last.Stop()
	<-done
	if broken == nil {
		select {
		case broken = <-w.broken:
		default:
		}
	}
	if errors.Is(why, ErrHung) || errors.Is(why, ErrMemory) {
		return nil
	}
	return broken
}

// lastWords is how long a worker that ends may try to tell the daemon what became of its tasks.
const lastWords = 5 * time.Second

func (w *worker) stopAll(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tasks {
		t.stop(cause)
	}
}

// fail makes Run end.
func (w *worker) fail(err error) {
	select {
	case w.broken <- err:
	default:
	}
}

// hello introduces the worker and takes in what the daemon answers. It waits for a daemon until ctx ends.
func (w *worker) hello(ctx context.Context) error {
	for waited := false; ; waited = true {
		body, err := protocol.Encode(&protocol.Hello{
			Protocol: protocol.Version, Worker: w.cfg.ID, Host: w.cfg.Host, PID: os.Getpid(), Version: w.cfg.Version,
			Device: w.cfg.Handler.Device(), Roots: w.cfg.Roots, Slots: w.cfg.Slots, Started: w.started, Running: w.running(),
		})
		if err != nil {
			return err
		}
		var welcome protocol.Welcome
		try, cancel := context.WithTimeout(ctx, helloPatience)
		answer, err := w.cfg.Conn.Request(try, protocol.SubjectHello, body)
		cancel()
		if err == nil {
			err = protocol.Decode(answer, &welcome)
		}
		switch {
		case err == nil && welcome.Refused != "":
			return &RefusedError{Why: welcome.Refused}
		case err == nil:
			w.lease.Store(int64(welcome.Lease))
			w.pause(welcome.Draining)
			w.log.Info("the daemon knows this worker", "daemon", welcome.Version, "lease", welcome.Lease)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, queue.ErrClosed), errors.Is(err, protocol.ErrMalformed), errors.Is(err, protocol.ErrInvalid):
			return err
		case !waited:
			w.log.Warn("no daemon answers yet; is vqsd serve running on this queue?", "err", err)
		}
	}
}

// helloPatience is how long a worker waits for an answer before it says so.
const helloPatience = 10 * time.Second

// greet says hello again whenever the daemon may be a new one, and while it drains, to hear when it no longer does.
func (w *worker) greet(ctx context.Context, renewed <-chan struct{}) error {
	for {
		var again <-chan time.Time
		if w.isPaused() {
			again = time.After(time.Duration(w.lease.Load()))
		}
		select {
		case <-renewed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
		if err := w.hello(ctx); err != nil && ctx.Err() == nil {
			w.fail(err)
			return nil
		}
	}
}

func (w *worker) pause(paused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused && !paused {
		close(w.resumed)
		w.resumed = make(chan struct{})
	}
	w.paused = paused
}

func (w *worker) isPaused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paused
}

// heartbeats reports at intervals, and watches over memory.
func (w *worker) heartbeats(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Heartbeat)
	defer tick.Stop()
	for {
		rss, err := w.cfg.Resident()
		if err != nil {
			return err
		}
		body, err := protocol.Encode(&protocol.Heartbeat{Worker: w.cfg.ID, Running: w.running(), Draining: w.drains.Load(), RSSBytes: rss, Sent: time.Now()})
		if err != nil {
			return err
		}
		if err := w.cfg.Conn.Broadcast(protocol.SubjectHeartbeat, body); err != nil {
			w.log.Debug("sign of life not sent", "err", err)
		}
		if limit := w.cfg.MemoryLimit; limit > 0 && rss > limit {
			why := fmt.Errorf("%w: %d bytes are resident and workers.memory_limit is %d", ErrMemory, rss, limit)
			w.stopAll(why)
			w.fail(why)
		}
		select {
		case <-tick.C:
		case <-w.beatSoon:
		case <-ctx.Done():
			return nil
		}
	}
}

// running are the tasks in hand.
func (w *worker) running() []protocol.TaskID {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]protocol.TaskID, 0, len(w.tasks))
	for _, t := range w.tasks {
		list = append(list, t.ID)
	}
	return list
}

// cancel stops what is done for a measurement.
func (w *worker) cancel(body []byte) {
	var c protocol.Cancel
	if err := protocol.Decode(body, &c); err != nil {
		w.log.Warn("message of the daemon dropped", "err", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for r, t := range w.tasks {
		if r.measurement == c.Measurement && (c.Number == -1 || c.Number == r.number) {
			w.log.Info("task cancelled", "measurement", r.measurement, "task", r.number)
			t.stop(errCancelled)
		}
	}
}

// take takes tasks while there are slots, until ctx ends.
func (w *worker) take(ctx context.Context) error {
	for {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		d, err := w.next(ctx)
		if err != nil {
			<-w.slots
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		t := w.accept(d)
		if t == nil {
			<-w.slots
			continue
		}
		go func() {
			defer w.pending.Done()
			defer func() { <-w.slots }()
			t.run(ctx)
		}()
	}
}

// next takes a task, unless the daemon drains.
func (w *worker) next(ctx context.Context) (*queue.Delivery, error) {
	for {
		w.mu.Lock()
		paused, resumed := w.paused, w.resumed
		w.mu.Unlock()
		if !paused {
			return w.cfg.Conn.Take(ctx, classes()...)
		}
		select {
		case <-resumed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// betweenRounds is how long it takes at most, as a rule, until a task whose result the daemon has is out of hand.
const betweenRounds = 20 * time.Millisecond

// accept makes a task of a delivery. nil: there is nothing to do for it.
func (w *worker) accept(d *queue.Delivery) *task {
	var message protocol.Task
	if err := protocol.Decode(d.Body, &message); err != nil {
		w.log.Error("a task that cannot be read is dropped", "class", d.Class, "err", err)
		w.drop(d)
		return nil
	}
	t, known := w.register(message, d)
	switch {
	case t != nil:
		return t
	case known.ID.Attempt == message.ID.Attempt && !reflect.DeepEqual(known.Comparison, message.Comparison):
		// Another task of that name: the daemon has the result of the one in hand, and wants the media inspected once more, as other rules fire now.
		w.giveBack(d, betweenRounds)
	case known.ID.Attempt == message.ID.Attempt:
		// The lease has ended under our hands. What is extended from now on is this delivery.
		known.deliver(d)
	default:
		// The daemon believes that we have lost it. We have not, but whoever gets it next may have it.
		w.giveBack(d, time.Duration(w.lease.Load())/leaseParts)
	}
	return nil
}

// register notes a task unless it is in hand already: known, then.
func (w *worker) register(message protocol.Task, d *queue.Delivery) (t, known *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := refOf(message.ID)
	if known := w.tasks[r]; known != nil {
		return nil, known
	}
	t = newTask(w, message, d)
	w.tasks[r] = t
	w.pending.Add(1)
	return t, nil
}

func (w *worker) forget(t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.tasks, refOf(t.ID))
}

// drop has the queue forget a task. Where that fails it comes again, and the daemon has it dropped then.
func (w *worker) drop(d *queue.Delivery) {
	if err := d.Ack(w.work); err != nil {
		w.log.Debug("a task could not be acknowledged; it will come again, and be dropped", "err", err)
	}
}

// giveBack has the queue hand a task to somebody else. Where that fails, that happens when the lease ends.
func (w *worker) giveBack(d *queue.Delivery, delay time.Duration) {
	if err := d.Return(delay); err != nil {
		w.log.Debug("a task could not be given back; its lease will end", "err", err)
	}
}

func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
