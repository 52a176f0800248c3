package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
	"github.com/vqsd/vqsd/workflow/queue"
)

// Why a task's context ends. Of the first two nobody wants to hear any more.
var (
	errCancelled = errors.New("the task was cancelled")
	errRefused   = errors.New("the daemon no longer wants the task")
	errTimeout   = errors.New("the task took too long")
	errDraining  = errors.New("the worker is ending")
	errOver      = errors.New("the task is over")
)

// unwanted says that a task has been stopped for good.
func unwanted(cause error) bool {
	return errors.Is(cause, errCancelled) || errors.Is(cause, errRefused)
}

// leaseParts is how often a lease is extended in its time: two may be late.
const leaseParts = 3

// task is a task in hand.
type task struct {
	protocol.Task
	w    *worker
	log  *slog.Logger
	ctx  context.Context // ends when the task is to stop
	stop context.CancelCauseFunc

	done, total atomic.Int64 // frames, as the handler says

	// mu guards delivery.
	mu       sync.Mutex
	delivery *queue.Delivery // the one that counts
}

func newTask(w *worker, message protocol.Task, d *queue.Delivery) *task {
	t := &task{Task: message, w: w, delivery: d}
	t.log = w.log.With("measurement", string(t.ID.Measurement), "task", t.ID.Number, "attempt", t.ID.Attempt)
	ctx := propagation.TraceContext{}.Extract(w.work, propagation.MapCarrier(t.Trace))
	t.ctx, t.stop = context.WithCancelCause(ctx)
	return t
}

func (t *task) deliver(d *queue.Delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivery = d
}

func (t *task) current() *queue.Delivery {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.delivery
}

// fate is what becomes of the queue's copy of a task.
type fate int

const (
	forget fate = iota // the daemon knows how it ended, or does not want to
	back               // somebody else may begin it at once
	later              // somebody else may begin it when the daemon has noticed
)

// run does the task. taking ends when the worker takes no more.
func (t *task) run(taking context.Context) {
	kept := make(chan struct{})
	keeping, over := context.WithCancel(t.w.work)
	go func() { defer close(kept); t.keep(keeping) }()
	what := t.do(taking)
	t.stop(errOver)
	over()
	<-kept
	switch what {
	case forget:
		t.w.drop(t.current())
	case back:
		t.w.giveBack(t.current(), 0)
	case later:
		t.w.giveBack(t.current(), time.Duration(t.w.lease.Load()))
	}
	t.w.forget(t)
}

// keep extends the lease and reports progress until ctx ends.
func (t *task) keep(ctx context.Context) {
	lease := time.NewTimer(time.Duration(t.w.lease.Load()) / leaseParts)
	defer lease.Stop()
	report := time.NewTicker(t.w.cfg.Progress)
	defer report.Stop()
	said := int64(-1)
	for {
		select {
		case <-lease.C:
			if err := t.current().Extend(); err != nil {
				t.log.Debug("lease not extended", "err", err)
			}
			lease.Reset(time.Duration(t.w.lease.Load()) / leaseParts)
		case <-report.C:
			if done := t.done.Load(); done != said && t.total.Load() > 0 {
				said = done
				t.report(done)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (t *task) report(done int64) {
	total := t.total.Load()
	body, err := protocol.Encode(&protocol.Progress{Worker: t.w.cfg.ID, Task: t.ID, Done: min(max(done, 0), total), Total: total})
	if err == nil {
		err = t.w.cfg.Conn.Broadcast(protocol.SubjectProgress, body)
	}
	if err != nil {
		t.log.Debug("progress not reported", "err", err)
	}
}

// do begins the task, has it handled and says how it ended.
func (t *task) do(taking context.Context) fate {
	switch leave, err := t.begin(taking); {
	case err == nil && !leave.Granted:
		t.log.Debug("task dropped", "reason", leave.Why)
		return forget
	case unwanted(context.Cause(t.ctx)):
		return forget
	case err != nil && (taking.Err() != nil || t.ctx.Err() != nil):
		// The daemon may have counted the attempt although its answer did not arrive.
		return t.finish(&protocol.Finish{Failure: drainFailure(), Returned: true}, lastWords)
	case err != nil:
		t.log.Warn("task could not be begun", "err", err)
		return later
	}
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.ctx)
	if limit := t.w.cfg.TaskTimeout; limit > 0 {
		cancel()
		ctx, cancel = context.WithTimeoutCause(t.ctx, limit, errTimeout)
	}
	defer cancel()
	ctx, span := t.w.cfg.Tracer.Start(ctx, "task", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("vqsd.measurement", string(t.ID.Measurement)), attribute.Int("vqsd.task", t.ID.Number),
		attribute.Int("vqsd.attempt", t.ID.Attempt), attribute.String("vqsd.kind", string(t.Kind)), attribute.String("vqsd.class", string(t.Class))))
	defer span.End()
	sender := newSender(ctx, t)
	f, err := t.handle(ctx, sender)
	cause := context.Cause(ctx)
	// What has been measured is worth keeping even where the task failed.
	if sendErr := sender.close(); sendErr != nil {
		switch {
		case unwanted(sendErr) || unwanted(cause):
			return forget
		case errors.Is(sendErr, errUndelivered):
			t.log.Error("results are lost, since the daemon did not take them", "patience", t.w.cfg.ResultPatience, "err", sendErr)
			return later
		}
		err, cause = sendErr, nil
	}
	if unwanted(cause) {
		return forget
	}
	if err != nil {
		if broken := t.w.cfg.Handler.Broken(); broken != nil {
			t.w.fail(fmt.Errorf("%w: %w", ErrBroken, broken))
		}
		f = &protocol.Finish{}
		f.Failure, f.Returned = t.failure(err, cause)
		span.SetStatus(codes.Error, f.Failure.Message)
	}
	f.Elapsed = time.Since(begun)
	return t.finish(f, t.w.cfg.ResultPatience)
}

// begin asks leave.
func (t *task) begin(taking context.Context) (*protocol.Leave, error) {
	body, err := protocol.Encode(&protocol.Begin{Worker: t.w.cfg.ID, Task: t.ID})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	defer context.AfterFunc(taking, cancel)()
	answer, err := t.w.cfg.Conn.Request(ctx, protocol.SubjectBegin, body)
	if err != nil {
		return nil, err
	}
	var leave protocol.Leave
	if err := protocol.Decode(answer, &leave); err != nil {
		return nil, err
	}
	return &leave, nil
}

// handle has the handler do the task. A handler that does not return long after ctx has ended is left behind.
func (t *task) handle(ctx context.Context, s *sender) (*protocol.Finish, error) {
	type result struct {
		finish *protocol.Finish
		err    error
	}
	results := make(chan result, 1)
	go func() {
		f := &protocol.Finish{}
		var err error
		switch t.Kind {
		case store.TaskInspect:
			f.Inspection, err = t.w.cfg.Handler.Inspect(ctx, t.Comparison, *t.Inspect)
		default: // TaskChunk: Decode has seen to that
			var timing protocol.Timing
			f.Chunk, timing, err = t.w.cfg.Handler.Measure(ctx, t.Comparison, *t.Chunk, s.emit, t.progress)
			f.Decode, f.Kernels, f.Reused = timing.Decode, timing.Kernels, timing.Reused
		}
		results <- result{f, err}
	}()
	select {
	case r := <-results:
		return r.finish, r.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(t.w.cfg.HangGrace)
	defer grace.Stop()
	select {
	case r := <-results:
		return r.finish, r.err
	case <-grace.C:
	}
	err := fmt.Errorf("%w: task %d of %s was told so %v ago (%w)", ErrHung, t.ID.Number, t.ID.Measurement, t.w.cfg.HangGrace, context.Cause(ctx))
	t.log.Error("task hangs; the worker ends", "err", err)
	t.w.fail(err)
	return nil, err
}

// progress is what the handler reports to. It does not block.
func (t *task) progress(done, total int64) {
	t.total.Store(total)
	t.done.Store(done)
}

// failure says what err, of a task whose context ended for cause, is to the daemon; and whether it is a task given back.
func (t *task) failure(err, cause error) (failure *protocol.Error, returned bool) {
	var known *protocol.Error
	var large *queue.PayloadError
	switch {
	case errors.As(err, &large):
		return &protocol.Error{Reason: store.ReasonLimit, Message: "the figures cannot be sent: " + large.Error()}, false
	case errors.Is(err, ErrHung):
		return &protocol.Error{Reason: store.ReasonWorker, Transient: true,
			Message: fmt.Sprintf("the task did not stop within %v when it was told to (%v)", t.w.cfg.HangGrace, cause)}, false
	case errors.Is(cause, errDraining):
		return drainFailure(), true
	case errors.Is(cause, errTimeout):
		return &protocol.Error{Reason: store.ReasonLimit, Transient: true,
			Message: fmt.Sprintf("took longer than workers.task_timeout (%v)", t.w.cfg.TaskTimeout)}, false
	case errors.Is(cause, ErrMemory):
		return &protocol.Error{Reason: store.ReasonLimit, Transient: true, Message: cause.Error()}, false
	case errors.As(err, &known):
		return known, false
	}
	t.log.Error("task failed for a reason that nobody foresaw", "err", err)
	return internal(err), false
}

// internal is a failure that is our own fault.
func internal(err error) *protocol.Error {
	message := "internal error: " + err.Error()
	return &protocol.Error{Reason: store.ReasonInternal, Message: message[:min(len(message), 4096)]}
}

func drainFailure() *protocol.Error {
	return &protocol.Error{Reason: store.ReasonWorker, Message: "the worker ended before the task did", Transient: true}
}

// finish tells the daemon how the task ended.
func (t *task) finish(f *protocol.Finish, patience time.Duration) fate {
	f.Worker, f.Task = t.w.cfg.ID, t.ID
	body, err := protocol.Encode(f)
	if err != nil {
		t.log.Error("the handler's result is none", "err", err)
		f.Failure, f.Inspection, f.Chunk = internal(err), nil, nil
		if body, err = protocol.Encode(f); err != nil {
			t.log.Error("the failure cannot be told", "err", err)
			return later
		}
	}
	err = t.send(protocol.SubjectFinish, body, patience)
	var large *queue.PayloadError
	if errors.As(err, &large) && f.Failure == nil {
		f.Failure, f.Inspection, f.Chunk = &protocol.Error{Reason: store.ReasonLimit, Message: "the result cannot be sent: " + large.Error()}, nil, nil
		return t.finish(f, patience)
	}
	switch {
	case err == nil && f.Returned:
		return back
	case err == nil:
		if f.Failure != nil {
			t.log.Info("task failed", "reason", string(f.Failure.Reason), "err", f.Failure.Message, "elapsed", f.Elapsed)
		} else {
			t.log.Debug("task done", "elapsed", f.Elapsed)
		}
		return forget
	case unwanted(err):
		t.log.Debug("result dropped", "reason", err)
		return forget
	}
	t.log.Error("the result is lost, since the daemon did not take it", "patience", patience, "err", err)
	return later
}
