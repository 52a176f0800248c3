package workflow

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vqsd/vqsd/workflow/protocol"
)

// workers is who measures, as far as this process has heard.
type workers struct {
	now   func() time.Time
	lease time.Duration

	// mu guards the map and what is in it.
	mu   sync.Mutex
	byID map[string]*worker
}

type worker struct {
	hello    protocol.Hello
	beat     time.Time // last sign of life
	rss      int64
	draining bool
	gone     bool // lost, or its process has ended
	tasks    int64
	frames   int64
}

// forgetAfter is how long a lost worker is still listed.
const forgetAfter = 10 * time.Minute

func newWorkers(now func() time.Time, lease time.Duration) *workers {
	return &workers{now: now, lease: lease, byID: map[string]*worker{}}
}

func (w *workers) hello(h protocol.Hello) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.byID[h.Worker]
	if known == nil {
		known = &worker{}
		w.byID[h.Worker] = known
	}
	known.hello, known.beat, known.gone = h, w.now(), false
}

// heartbeat takes down a sign of life. false: the worker has not introduced itself.
func (w *workers) heartbeat(b protocol.Heartbeat) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.byID[b.Worker]
	if known == nil {
		return false
	}
	known.beat, known.rss, known.draining, known.gone = w.now(), b.RSSBytes, b.Draining, false
	return true
}

// alive counts any message as a sign of life.
func (w *workers) alive(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.byID[id]; known != nil {
		known.beat = w.now()
	}
}

// done counts a task.
func (w *workers) done(id string, frames int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.byID[id]; known != nil {
		known.tasks++
		known.frames += frames
	}
}

// name is how metrics call a worker: processes come and go, host and device stay.
func (w *workers) name(id string) (host, device string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.byID[id]; known != nil {
		return known.hello.Host, known.hello.Device.Name
	}
	return "", ""
}

// version is the version of a worker's program.
func (w *workers) version(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.byID[id]; known != nil {
		return known.hello.Version
	}
	return ""
}

// slots is how many tasks all workers do at a time.
func (w *workers) slots() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, known := range w.byID {
		if !known.gone && !known.draining {
			n += known.hello.Slots
		}
	}
	return n
}

// hosts are those that workers are on.
func (w *workers) hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, known := range w.byID {
		if !known.gone && !slices.Contains(list, known.hello.Host) {
			list = append(list, known.hello.Host)
		}
	}
	slices.Sort(list)
	return list
}

// lost marks workers that have been silent for longer than the lease, and returns them, each once.
func (w *workers) lost() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	var list []string
	for id, known := range w.byID {
		silent := now.Sub(known.beat)
		if !known.gone && silent > w.lease {
			known.gone = true
			list = append(list, id)
		}
		if known.gone && silent > forgetAfter {
			delete(w.byID, id)
		}
	}
	return list
}

// leave marks the worker with a process ID on a host as gone, and returns it. "": there is none.
func (w *workers) leave(host string, pid int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, known := range w.byID {
		if known.hello.Host == host && known.hello.PID == pid && !known.gone {
			known.gone = true
			return id
		}
	}
	return ""
}

func (w *workers) list() []WorkerStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []WorkerStatus
	for _, known := range w.byID {
		st := WorkerStatus{Hello: known.hello, State: WorkerIdle, Heartbeat: known.beat, RSSBytes: known.rss, TasksDone: known.tasks, FramesDone: known.frames}
		switch {
		case known.gone:
			st.State = WorkerLost
		case known.draining:
			st.State = WorkerDraining
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b WorkerStatus) int { return strings.Compare(a.Hello.Worker, b.Hello.Worker) })
	return list
}

// watchWorkers gives the tasks of workers that fall silent to others.
func (s *Service) watchWorkers(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Lease / 5)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, id := range s.workers.lost() {
				s.log.Warn("worker lost", "worker", id, "lease", s.cfg.Lease)
				s.loseAll(ctx, id, "the worker gave no sign of life for "+s.cfg.Lease.String())
			}
			s.loseOrphans(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// loseAll puts all tasks of a worker back.
func (s *Service) loseAll(ctx context.Context, worker, words string) {
	s.mu.Lock()
	var refs []taskRef
	for ref, h := range s.out {
		if h.worker == worker {
			refs = append(refs, ref)
		}
	}
	s.mu.Unlock()
	for _, ref := range refs {
		s.lose(ctx, ref, worker, words)
	}
	s.wake()
}

// loseOrphans puts tasks back whose worker is not known at all: it began them, and left before it was heard of again.
func (s *Service) loseOrphans(ctx context.Context) {
	now := s.cfg.Now()
	orphans := map[taskRef]string{}
	s.mu.Lock()
	for ref, h := range s.out {
		if h.worker != "" && now.Sub(h.begun) > 2*s.cfg.Lease && !s.workers.knows(h.worker) {
			orphans[ref] = h.worker
		}
	}
	s.mu.Unlock()
	for ref, id := range orphans {
		s.lose(ctx, ref, id, "the worker has gone")
	}
}

// knows says whether a worker is there.
func (w *workers) knows(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.byID[id]
	return known != nil && !known.gone
}

// WorkerGone is to be called when a worker's process on a host is known to have ended: its tasks go to others at once. words say how it
// ended, for the error that its last attempt may become.
func (s *Service) WorkerGone(ctx context.Context, host string, pid int, words string) {
	if id := s.workers.leave(host, pid); id != "" {
		s.log.Warn("worker gone", "worker", id, "pid", pid, "reason", words)
		s.loseAll(ctx, id, words)
	}
}
