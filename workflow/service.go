package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// Service is the workflow. Make one with [New]; its methods may be called from any goroutine, and do something only while
// [Service.Run] runs.
type Service struct {
	cfg     Config
	log     *slog.Logger
	store   *store.Store
	tracer  trace.Tracer
	metrics *metrics
	workers *workers
	hub     *hub
	turns   *turns
	tables  *tables
	kick    chan struct{} // there may be something to dispatch

	// mu guards the fields below. It is held for memory only.
	mu        sync.Mutex
	active    map[store.MeasurementID]*active
	owners    map[string]int64 // unfinished measurements by owner
	out       map[taskRef]*handout
	draining  bool
	assembly  chan store.MeasurementID     // measurements, or renditions of them, that have everything
	assembled map[store.MeasurementID]bool // are in that channel
}

// taskRef names a task whichever attempt it is.
type taskRef struct {
	measurement store.MeasurementID
	number      int
}

func refOf(id protocol.TaskID) taskRef { return taskRef{id.Measurement, id.Number} }

// active is a measurement that is not finished.
type active struct {
	id      store.MeasurementID
	owner   string
	class   store.Class // its tasks are in the store under class and deadline
	due     time.Time
	tasks   map[int]*pending   // outstanding, by number
	m       *store.Measurement // as last written, not to be changed; nil while it is only pending
	rate    rateMeter
	retryAt map[int]time.Time // tasks that rest after a failure
	// redescribe is set when a kept inspection turned out to be gone: the media are opened.
	redescribe bool
	trace      map[string]string // trace context of the request; lost with the process
	began      bool              // the first task has begun
}

// pending is an outstanding task.
type pending struct {
	chunk      int
	renditions []int
	attempts   int
}

// handout is a task in the queue's or a worker's hands.
type handout struct {
	class     store.Class
	attempt   int
	published time.Time
	worker    string // "": not begun
	begun     time.Time
	done      int64 // reference frames of the task
	total     int64
}

// key is where a task is in the store.
func (a *active) key(number int) store.TaskKey {
	return store.TaskKey{Class: a.class, Deadline: a.due, Measurement: a.id, Number: number}
}

// New makes a service. It reads nothing yet.
func New(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	tracer := cfg.Tracer
	if tracer == nil {
		tracer = noop.NewTracerProvider().Tracer("")
	}
	s := &Service{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, tracer: tracer,
		workers: newWorkers(cfg.Now, cfg.Lease), hub: newHub(), turns: newTurns(), tables: newTables(),
		kick: make(chan struct{}, 1), active: map[store.MeasurementID]*active{}, owners: map[string]int64{},
		out: map[taskRef]*handout{}, assembly: make(chan store.MeasurementID, 1024), assembled: map[store.MeasurementID]bool{},
	}
	var err error
	if s.metrics, err = newMetrics(cfg.Registerer, s); err != nil {
		return nil, fmt.Errorf("workflow metrics: %w", err)
	}
	return s, nil
}

// assemblers is how many measurements are assembled at a time. Evaluation uses all processors by itself, and holds a table.
const assemblers = 2

// Run takes up what is outstanding, answers workers, hands out tasks and assembles, until ctx ends. Its error is that of the
// store or transport; nil after ctx ended.
func (s *Service) Run(ctx context.Context) error {
	if err := s.load(ctx); errors.Is(err, context.Canceled) {
		return nil
	} else if err != nil {
		return fmt.Errorf("take up what is outstanding: %w", err)
	}
	if err := s.answer(); err != nil {
		return fmt.Errorf("listen to workers: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.dispatchLoop(ctx) })
	group.Go(func() error { return s.watchWorkers(ctx) })
	for range assemblers {
		group.Go(func() error { return s.assembleLoop(ctx) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// load fills memory from the store: every measurement that is not finished, with its tasks.
func (s *Service) load(ctx context.Context) error {
	for _, state := range []store.State{store.StatePending, store.StateRunning} {
		ids, err := s.store.MeasurementsInState(ctx, state)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := s.find(ctx, id); err != nil {
				return fmt.Errorf("measurement %s: %w", id, err)
			}
		}
	}
	s.mu.Lock()
	n := len(s.active)
	s.mu.Unlock()
	if n > 0 {
		s.log.Info("unfinished measurements taken up", "measurements", n)
	}
	return nil
}

// find is a measurement that is not finished, brought into memory if it is not there. nil: it has ended. The caller does not have its turn.
func (s *Service) find(ctx context.Context, id store.MeasurementID) (*active, error) {
	s.mu.Lock()
	a := s.active[id]
	s.mu.Unlock()
	if a != nil {
		return a, nil
	}
	done, err := s.turns.take(ctx, id)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.take(ctx, id)
}

// take is find for a caller who has the measurement's turn: what is read is brought into memory before anything about it can change.
func (s *Service) take(ctx context.Context, id store.MeasurementID) (*active, error) {
	s.mu.Lock()
	a := s.active[id]
	s.mu.Unlock()
	if a != nil {
		return a, nil
	}
	m, err := s.store.Measurement(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.State.Final() {
		return nil, nil
	}
	tasks, err := s.store.MeasurementTasks(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	a = s.remember(m, tasks, nil)
	s.wake()
	if len(tasks) == 0 || s.anyComplete(a) {
		s.queueAssembly(id)
	}
	return a, nil
}

// adoptWithin is how long a task that was in a worker's hands when the daemon ended waits for that worker to say that it has it still.
const adoptWithin = 2 * time.Second

// classOf is the class under which a measurement's tasks are outstanding.
func classOf(m *store.Measurement) store.Class {
	switch {
	case m.Plan != nil && len(m.Plan.Chunks) > 0:
		return m.Plan.Class
	case m.Request.Class != "":
		return m.Request.Class
	}
	return store.ClassThroughput
}

// remember makes or replaces what memory has of a measurement that is not finished. The caller has its turn.
func (s *Service) remember(m *store.Measurement, tasks []store.Task, trace map[string]string) *active {
	a := &active{
		id: m.ID, owner: m.Owner, class: classOf(m), due: m.Request.Deadline, tasks: make(map[int]*pending, len(tasks)),
		retryAt: map[int]time.Time{}, trace: trace, began: !m.Started.IsZero(),
	}
	if m.Plan != nil {
		a.m = m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tasks {
		a.tasks[t.Key.Number] = &pending{t.Chunk, t.Renditions, t.Attempts}
		if t.Open && s.active[m.ID] == nil {
			a.retryAt[t.Key.Number] = s.cfg.Now().Add(adoptWithin)
		}
	}
	if before := s.active[m.ID]; before != nil {
		if a.trace == nil {
			a.trace = before.trace
		}
		a.redescribe = before.redescribe
	} else {
		s.owners[m.Owner]++
	}
	s.active[m.ID] = a
	return a
}

// forget drops a measurement that has ended, with all that was handed out of it.
func (s *Service) forget(id store.MeasurementID) {
	s.mu.Lock()
	if a := s.active[id]; a != nil {
		delete(s.active, id)
		if s.owners[a.owner]--; s.owners[a.owner] <= 0 {
			delete(s.owners, a.owner)
		}
	}
	for ref := range s.out {
		if ref.measurement == id {
			delete(s.out, ref)
		}
	}
	s.mu.Unlock()
	s.hub.notify(id)
}

// wake has the dispatcher look again.
func (s *Service) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Drain stops taking measurements and handing out tasks, or begins again.
func (s *Service) Drain(on bool) {
	s.mu.Lock()
	s.draining = on
	s.mu.Unlock()
	s.log.Info("draining", "on", on)
	s.wake()
}

// Draining says whether the service is draining.
func (s *Service) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Running is how many tasks workers have begun and not finished.
func (s *Service) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.out {
		if h.worker != "" {
			n++
		}
	}
	return n
}

// Workers lists the workers that are there, and those that were lost within the last minutes.
func (s *Service) Workers() []WorkerStatus {
	list := s.workers.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		for ref, h := range s.out {
			if h.worker == list[i].Hello.Worker {
				list[i].Running = append(list[i].Running, protocol.Progress{
					Worker: h.worker, Task: protocol.TaskID{Measurement: ref.measurement, Number: ref.number, Attempt: h.attempt}, Done: h.done, Total: h.total,
				})
			}
		}
		if list[i].State == WorkerIdle && len(list[i].Running) > 0 {
			list[i].State = WorkerBusy
		}
	}
	return list
}

// Queue says how much is outstanding.
func (s *Service) Queue(ctx context.Context) ([]ClassStatus, error) {
	depths, err := s.store.QueueDepths(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ClassStatus
	for _, class := range store.Classes() {
		st := ClassStatus{Class: class, Outstanding: int64(depths[class].Tasks), OldestAge: depths[class].OldestAge}
		for _, h := range s.out {
			switch {
			case h.class != class:
			case h.worker != "":
				st.Running++
			default:
				st.Published++
			}
		}
		list = append(list, st)
	}
	return list, nil
}

// Cache says how often stored figures served.
func (s *Service) Cache() CacheStatus {
	return CacheStatus{HitPairs: s.metrics.hits.Load(), MissedPairs: s.metrics.misses.Load()}
}
