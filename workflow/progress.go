package workflow

import (
	"context"
	"time"

	"github.com/vqsd/vqsd/store"
)

// Status returns a measurement and how far it is. Error: [store.ErrNotFound].
func (s *Service) Status(ctx context.Context, id store.MeasurementID) (*Status, error) {
	m, err := s.store.Measurement(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.Describe(m), nil
}

// Describe tells how far a measurement is whose record is at hand.
func (s *Service) Describe(m *store.Measurement) *Status {
	st := &Status{Measurement: m, Renditions: make([]RenditionProgress, len(m.Renditions))}
	for k, d := range m.Renditions {
		st.Renditions[k].Total = d.End - d.First
		if d.State == store.StateSucceeded {
			st.Renditions[k].Done = d.End - d.First
		}
	}
	if m.Plan == nil || len(m.Plan.Chunks) == 0 {
		s.mu.Lock()
		st.Progress.TasksRunning = s.running(m.ID)
		s.mu.Unlock()
		return st
	}
	chunks := m.Plan.Chunks
	st.Progress.Total = chunks[len(chunks)-1].End - chunks[0].First
	st.Progress.ChunksTotal = len(chunks)
	if m.State.Final() {
		if m.State == store.StateSucceeded || m.State == store.StatePartial {
			st.Progress.Done, st.Progress.ChunksDone = st.Progress.Total, len(chunks)
		}
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[m.ID]
	if a == nil {
		return st
	}
	st.Progress.TasksRunning = s.running(m.ID)
	st.Progress.Done = s.framesDone(a)
	lacks := map[int]bool{}
	for _, t := range a.tasks {
		lacks[t.chunk] = true
	}
	st.Progress.ChunksDone = len(chunks) - len(lacks)
	for k, d := range m.Renditions {
		if d.State != store.StateRunning {
			continue
		}
		st.Renditions[k].Done = st.Renditions[k].Total
		for _, t := range a.tasks {
			for _, of := range t.renditions {
				if of == k {
					if first, end := within(chunks[t.chunk], &m.Renditions[k]); first < end {
						st.Renditions[k].Done -= end - first
					}
				}
			}
		}
		st.Renditions[k].Done = max(st.Renditions[k].Done, 0)
	}
	now := s.cfg.Now()
	a.rate.note(now, st.Progress.Done)
	st.Progress.Rate = a.rate.perSecond(now)
	if st.Progress.Rate > 0 {
		st.Progress.Remaining = time.Duration(float64(st.Progress.Total-st.Progress.Done) / st.Progress.Rate * float64(time.Second))
	}
	return st
}

// running is how many of a measurement's tasks are in workers' hands. Called with mu held.
func (s *Service) running(id store.MeasurementID) int {
	n := 0
	for ref, h := range s.out {
		if ref.measurement == id && h.worker != "" {
			n++
		}
	}
	return n
}

// framesDone is how many reference frames of a planned measurement are measured, those in workers' hands included. Where a chunk takes several tasks,
// each counts for its share. Called with mu held.
func (s *Service) framesDone(a *active) int64 {
	if a.m == nil || len(a.m.Plan.Chunks) == 0 {
		return 0
	}
	chunks := a.m.Plan.Chunks
	total := chunks[len(chunks)-1].End - chunks[0].First
	perChunk := map[int]int{}
	for _, t := range a.tasks {
		perChunk[t.chunk]++
	}
	left := 0.0
	for n, t := range a.tasks {
		length := float64(chunks[t.chunk].End - chunks[t.chunk].First)
		share := 1.0
		if h := s.out[taskRef{a.id, n}]; h != nil && h.total > 0 {
			share -= float64(min(h.done, h.total)) / float64(h.total)
		}
		// A chunk of several tasks is done when the last is; an even share each never overstates by more than that.
		left += share * length / float64(perChunk[t.chunk])
	}
	return max(0, total-int64(left+0.5))
}

// rateMeter tells how fast something grows, over the last seconds.
type rateMeter struct {
	at   []time.Time
	done []int64
}

const (
	rateWindow = 10 * time.Second
	rateStep   = 250 * time.Millisecond
)

// note takes down a count.
func (r *rateMeter) note(now time.Time, done int64) {
	if n := len(r.at); n > 0 && now.Sub(r.at[n-1]) < rateStep {
		return
	}
	r.at, r.done = append(r.at, now), append(r.done, done)
	old := 0
	for old < len(r.at)-2 && now.Sub(r.at[old+1]) > rateWindow {
		old++
	}
	r.at, r.done = r.at[old:], r.done[old:]
}

// perSecond is the rate between the oldest and the newest count; 0 without two.
func (r *rateMeter) perSecond(now time.Time) float64 {
	n := len(r.at)
	if n < 2 {
		return 0
	}
	seconds := now.Sub(r.at[0]).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, float64(r.done[n-1]-r.done[0])/seconds)
}
