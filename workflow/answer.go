package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// answer begins to listen to workers.
func (s *Service) answer() error {
	t := s.cfg.Transport
	return errors.Join(
		t.Listen(protocol.SubjectHeartbeat, func(body []byte) { hear(s, body, s.heartbeat) }),
		t.Listen(protocol.SubjectProgress, func(body []byte) { hear(s, body, s.progress) }),
		t.Handle(protocol.SubjectHello, func(ctx context.Context, body []byte) []byte { return reply(s, ctx, body, s.hello) }),
		t.Handle(protocol.SubjectBegin, func(ctx context.Context, body []byte) []byte { return reply(s, ctx, body, s.begin) }),
		t.Handle(protocol.SubjectRecord, func(ctx context.Context, body []byte) []byte { return reply(s, ctx, body, s.record) }),
		t.Handle(protocol.SubjectFinish, func(ctx context.Context, body []byte) []byte { return reply(s, ctx, body, s.finish) }),
	)
}

// hear decodes a message that nobody waits for an answer to. One that cannot be read is logged and dropped.
func hear[M any](s *Service, body []byte, f func(*M)) {
	var message M
	if err := protocol.Decode(body, &message); err != nil {
		s.log.Warn("message of a worker dropped", "err", err)
		return
	}
	f(&message)
}

// reply decodes a request, has it answered, and encodes the answer. Without an answer the worker asks again.
func reply[Q, A any](s *Service, ctx context.Context, body []byte, f func(context.Context, *Q) *A) []byte {
	var question Q
	if err := protocol.Decode(body, &question); err != nil {
		s.log.Warn("request of a worker dropped", "err", err)
		return nil
	}
	answer := f(ctx, &question)
	if answer == nil {
		return nil
	}
	out, err := protocol.Encode(answer)
	if err != nil {
		s.log.Error("answer to a worker could not be encoded", "err", err)
		return nil
	}
	return out
}

// hello lets a worker in, or says why not. Tasks that it has in hand from before a restart of the daemon are noted.
func (s *Service) hello(ctx context.Context, h *protocol.Hello) *protocol.Welcome {
	w := &protocol.Welcome{Lease: s.cfg.Lease, Version: s.cfg.Version, Draining: s.Draining()}
	if h.Protocol != protocol.Version {
		w.Refused = fmt.Sprintf("this daemon (%s) speaks protocol %d and the worker (%s) %d; run the same version of vqsd on both", s.cfg.Version, protocol.Version, h.Version, h.Protocol)
		s.log.Warn("worker refused", "worker", h.Worker, "host", h.Host, "reason", w.Refused)
		return w
	}
	s.workers.hello(*h)
	s.log.Info("worker joined", "worker", h.Worker, "host", h.Host, "device", h.Device.Backend, "slots", h.Slots, "roots", h.Roots)
	for _, id := range h.Running {
		s.adopt(ctx, h.Worker, id)
	}
	s.wake()
	return w
}

// adopt notes that a worker has a task in hand which this process did not hand out.
func (s *Service) adopt(ctx context.Context, worker string, id protocol.TaskID) {
	a, err := s.find(ctx, id.Measurement)
	if err != nil || a == nil {
		return
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := a.tasks[id.Number]
	if p == nil || p.attempts != id.Attempt {
		return
	}
	if h := s.out[refOf(id)]; h == nil || h.worker == "" {
		s.out[refOf(id)] = &handout{class: a.class, attempt: id.Attempt, published: now, worker: worker, begun: now}
	}
}

func (s *Service) heartbeat(b *protocol.Heartbeat) {
	if !s.workers.heartbeat(*b) {
		return // not introduced: it will say hello when it has reconnected
	}
	// A task that the worker has not, although it began it some time ago, is lost.
	now := s.cfg.Now()
	holds := map[taskRef]bool{}
	for _, id := range b.Running {
		holds[refOf(id)] = true
	}
	var lost []taskRef
	s.mu.Lock()
	for ref, h := range s.out {
		if h.worker == b.Worker && !holds[ref] && now.Sub(h.begun) > s.cfg.Lease {
			lost = append(lost, ref)
		}
	}
	s.mu.Unlock()
	for _, ref := range lost {
		go s.lose(context.Background(), ref, b.Worker, "the worker no longer had it in hand")
	}
}

func (s *Service) progress(p *protocol.Progress) {
	s.mu.Lock()
	h := s.out[refOf(p.Task)]
	fresh := h != nil && h.worker == p.Worker && h.attempt == p.Task.Attempt && p.Done >= h.done
	if fresh {
		h.done, h.total = p.Done, p.Total
	}
	s.mu.Unlock()
	if fresh {
		s.hub.notify(p.Task.Measurement)
	}
}

// begin counts an attempt at a task, in the store, before the worker may touch it: whatever the task does to the worker, it was counted.
func (s *Service) begin(ctx context.Context, b *protocol.Begin) *protocol.Leave {
	id, ref := b.Task, refOf(b.Task)
	done, err := s.turns.take(ctx, id.Measurement)
	if err != nil {
		return nil
	}
	defer done()
	no := func(why string) *protocol.Leave {
		// The queue's copy is dropped. If it is the one that this process counts on, another has to be handed out.
		s.mu.Lock()
		if h := s.out[ref]; h != nil && h.worker == "" && h.attempt == id.Attempt {
			delete(s.out, ref)
		}
		s.mu.Unlock()
		s.wake()
		return &protocol.Leave{Why: why}
	}
	a, err := s.take(ctx, id.Measurement)
	if errors.Is(err, store.ErrNotFound) {
		return no("the measurement was deleted")
	}
	if err != nil {
		s.log.Warn("a task could not be begun", "measurement", id.Measurement, "err", err)
		return nil
	}
	if a == nil {
		return no("the measurement has ended")
	}
	t, err := s.store.Task(ctx, a.key(id.Number))
	if errors.Is(err, store.ErrNotFound) {
		return no("the task is done")
	}
	if err != nil {
		s.log.Warn("a task could not be begun", "measurement", id.Measurement, "err", err)
		return nil
	}
	now := s.cfg.Now()
	s.mu.Lock()
	h := s.out[ref]
	mine := h != nil && h.worker == b.Worker && h.attempt == id.Attempt
	taken := h != nil && h.worker != "" && !mine
	s.mu.Unlock()
	switch {
	case mine:
		return &protocol.Leave{Granted: true} // the answer of before was lost
	case taken:
		return no("another worker has it")
	case id.Attempt != attemptsSpent(t)+1:
		return no("another attempt was handed out since")
	}
	if t.Open {
		t.Interrupted++
	}
	t.Attempts, t.Open = id.Attempt, true
	if err := s.store.Apply(ctx, store.Changes{PutTasks: []store.Task{*t}}); err != nil {
		s.log.Warn("an attempt could not be counted", "measurement", id.Measurement, "err", err)
		return nil
	}
	s.mu.Lock()
	s.out[ref] = &handout{class: a.class, attempt: id.Attempt, published: now, worker: b.Worker, begun: now}
	if p := a.tasks[id.Number]; p != nil {
		p.attempts = t.Attempts
	}
	first := !a.began
	a.began = true
	s.mu.Unlock()
	if first {
		if err := s.started(ctx, id.Measurement, now); err != nil {
			s.log.Warn("the start could not be recorded", "measurement", id.Measurement, "err", err)
		}
	}
	s.hub.notify(id.Measurement)
	s.wake()
	return &protocol.Leave{Granted: true}
}

// mostInterrupted is how many attempts at a task the daemon's own end may cut short before these count as well: a task that takes the whole machine
// with it must not do so for ever.
const mostInterrupted = 20

// attemptsSpent is how many attempts a task has used up that nobody has in hand. One that was open when the daemon ended is not held against it.
func attemptsSpent(t *store.Task) int {
	if t.Open && t.Interrupted < mostInterrupted {
		return t.Attempts - 1
	}
	return t.Attempts
}

// started records when the first task began.
func (s *Service) started(ctx context.Context, id store.MeasurementID, now time.Time) error {
	_, err := s.store.Update(ctx, id, func(m *store.Measurement) (store.Changes, error) {
		if !m.Started.IsZero() || m.State.Final() {
			return store.Changes{}, store.ErrUnchanged
		}
		m.Started = now
		return store.Changes{}, nil
	})
	return err
}

// record stores parts of a chunk's figures under their identities.
func (s *Service) record(ctx context.Context, r *protocol.Record) *protocol.Receipt {
	s.workers.alive(r.Worker)
	a, err := s.find(ctx, r.Task.Measurement)
	if errors.Is(err, store.ErrNotFound) || err == nil && a == nil {
		return &protocol.Receipt{Refused: "the measurement has ended"}
	}
	if err != nil {
		return s.later(r.Task, err)
	}
	s.mu.Lock()
	m := a.m
	s.mu.Unlock()
	if m == nil {
		return &protocol.Receipt{Refused: "the measurement has no plan yet"}
	}
	puts := make([]store.ColumnsPut, 0, len(r.Parts))
	for i := range r.Parts {
		put, err := columnsOf(m, &r.Parts[i])
		if err != nil {
			s.log.Error("a worker's figures were refused", "measurement", m.ID, "worker", r.Worker, "err", err)
			return &protocol.Receipt{Refused: err.Error()}
		}
		puts = append(puts, put)
	}
	if err := s.store.Apply(ctx, store.Changes{PutColumns: puts}); err != nil {
		return s.later(r.Task, err)
	}
	return &protocol.Receipt{}
}

// later asks the worker to send it again: what it has measured is too good to lose over a full disk.
func (s *Service) later(id protocol.TaskID, err error) *protocol.Receipt {
	s.log.Warn("a worker's results could not be stored yet", "measurement", id.Measurement, "err", err)
	s.metrics.deferred.Inc()
	return &protocol.Receipt{Retry: err.Error()}
}

// columnsOf checks a part and finds where it belongs.
func columnsOf(m *store.Measurement, p *protocol.Part) (store.ColumnsPut, error) {
	var put store.ColumnsPut
	e, err := vmaf.ParseExtraction(p.Extraction)
	if err != nil {
		return put, err
	}
	id, key := store.Identity{}, ""
	for k := range m.Renditions {
		switch d := &m.Renditions[k]; {
		case e.ReferenceOnly() && p.Rendition < 0 && d.Group == p.Group && !d.ReferenceIdentity.IsZero():
			id, key = d.ReferenceIdentity, e.RawKey()
		case !e.ReferenceOnly() && p.Rendition == k:
			id, key = d.Identity, told(e, d).RawKey()
		}
	}
	frames := (p.End - p.First + p.Step - 1) / max(p.Step, 1)
	switch {
	case id.IsZero():
		return put, fmt.Errorf("figures of %s: no rendition %d, group %d is being measured", p.Extraction, p.Rendition, p.Group)
	case p.First < 0 || p.End <= p.First || p.Step < 1:
		return put, fmt.Errorf("figures of %s: no frames in %d:%d:%d", p.Extraction, p.First, p.End, p.Step)
	case len(p.Figures) != len(e.Raw()):
		return put, fmt.Errorf("figures of %s: %d columns, want %d", p.Extraction, len(p.Figures), len(e.Raw()))
	}
	for _, column := range p.Figures {
		if int64(len(column)) != frames {
			return put, fmt.Errorf("figures of %s: %d values for %d frames", p.Extraction, len(column), frames)
		}
	}
	put.Key = store.ColumnsKey{Identity: id, Figure: key}
	put.Columns = store.Columns{First: p.First, End: p.End, Step: p.Step, Figures: p.Figures}
	return put, nil
}

// finish takes note of how a task ended.
func (s *Service) finish(ctx context.Context, f *protocol.Finish) *protocol.Receipt {
	s.workers.alive(f.Worker)
	done, err := s.turns.take(ctx, f.Task.Measurement)
	if err != nil {
		return nil
	}
	defer done()
	a, err := s.take(ctx, f.Task.Measurement)
	if errors.Is(err, store.ErrNotFound) || err == nil && a == nil {
		return &protocol.Receipt{Refused: "the measurement has ended"}
	}
	if err != nil {
		return s.later(f.Task, err)
	}
	t, err := s.store.Task(ctx, a.key(f.Task.Number))
	if errors.Is(err, store.ErrNotFound) {
		return &protocol.Receipt{Refused: "the task was done already"}
	}
	if err == nil {
		err = s.finishTask(ctx, a, t, f)
	}
	if err != nil {
		return s.later(f.Task, err)
	}
	s.mu.Lock()
	delete(s.out, refOf(f.Task))
	s.mu.Unlock()
	s.hub.notify(f.Task.Measurement)
	s.wake()
	return &protocol.Receipt{}
}

func (s *Service) finishTask(ctx context.Context, a *active, t *store.Task, f *protocol.Finish) error {
	switch {
	case f.Failure != nil:
		return s.failedAttempt(ctx, a, t, f)
	case t.Kind == store.TaskInspect && f.Inspection != nil:
		s.workers.done(f.Worker, 0)
		return s.inspected(ctx, a, t, f)
	case t.Kind == store.TaskChunk && f.Chunk != nil:
		s.workers.done(f.Worker, f.Chunk.Frames)
		host, device := s.workers.name(f.Worker)
		s.metrics.chunk(host, device, f)
		return s.measured(ctx, a, t, f)
	}
	return fmt.Errorf("%w: the result of task %d of %s does not fit its kind", store.ErrCorrupt, t.Key.Number, a.id)
}

// failedAttempt handles a task that a worker gave up. What would only fail again fails now.
func (s *Service) failedAttempt(ctx context.Context, a *active, t *store.Task, f *protocol.Finish) error {
	if f.Task.Attempt != t.Attempts {
		return nil // an attempt that was given up for lost; another one is under way
	}
	t.Open = false
	if f.Returned {
		t.Attempts--
		return s.rest(ctx, a, t, 0)
	}
	s.log.Warn("task failed", "measurement", a.id, "task", t.Key.Number, "attempt", t.Attempts, "worker", f.Worker, "reason", string(f.Failure.Reason), "err", f.Failure.Message)
	t.LastWords = f.Failure.Message
	if f.Failure.Transient && t.Attempts < s.cfg.Attempts {
		return s.rest(ctx, a, t, s.cfg.RetryDelay<<(t.Attempts-1))
	}
	failure := f.Failure.Failure()
	if f.Failure.Transient {
		failure.Message = fmt.Sprintf("%s (after %d attempts)", failure.Message, t.Attempts)
	}
	return s.failTask(ctx, a, t, failure)
}

// rest puts a task back, to be handed out again after a while.
func (s *Service) rest(ctx context.Context, a *active, t *store.Task, pause time.Duration) error {
	if err := s.store.Apply(ctx, store.Changes{PutTasks: []store.Task{*t}}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := a.tasks[t.Key.Number]; p != nil {
		p.attempts = t.Attempts
	}
	if pause > 0 {
		a.retryAt[t.Key.Number] = s.cfg.Now().Add(pause)
	}
	return nil
}

// lose handles a task whose worker has died, hung or forgotten it: the attempt is spent.
func (s *Service) lose(ctx context.Context, ref taskRef, worker, words string) {
	if err := s.loseTask(ctx, ref, worker, words); err != nil {
		s.log.Warn("a lost task could not be put back", "measurement", ref.measurement, "task", ref.number, "err", err)
	}
}

func (s *Service) loseTask(ctx context.Context, ref taskRef, worker, words string) error {
	done, err := s.turns.take(ctx, ref.measurement)
	if err != nil {
		return err
	}
	defer done()
	s.mu.Lock()
	h, a := s.out[ref], s.active[ref.measurement]
	if h == nil || h.worker != worker || a == nil {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	t, err := s.store.Task(ctx, a.key(ref.number))
	if errors.Is(err, store.ErrNotFound) {
		s.takeBack(ref, h)
		return nil
	}
	if err != nil {
		return err
	}
	s.metrics.lost.Inc()
	s.log.Warn("task lost", "measurement", ref.measurement, "task", ref.number, "attempt", t.Attempts, "worker", worker, "reason", words)
	t.LastWords, t.Open = words, false
	if t.Attempts < s.cfg.Attempts {
		err = s.rest(ctx, a, t, 0)
	} else {
		err = s.failTask(ctx, a, t, &store.Failure{Reason: store.ReasonWorker,
			Message: fmt.Sprintf("workers failed at it %d times, which is as often as workers.attempts allows; the last time: %s", t.Attempts, words)})
	}
	if err == nil {
		s.takeBack(ref, h)
		s.wake()
	}
	return err
}
