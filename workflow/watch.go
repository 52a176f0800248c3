package workflow

import (
	"context"
	"slices"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// progressEvery is how often a watcher hears how far a measurement is.
const progressEvery = 250 * time.Millisecond

// Watch calls tell with what happens to a measurement, from one goroutine: what is there already comes first, and the measurement at its end
// last, after which Watch returns nil. While tell is slow, progress is passed over; segments and ends are not. An error of tell ends it.
//
// Errors: [store.ErrNotFound], also when the measurement is deleted meanwhile; ctx's.
func (s *Service) Watch(ctx context.Context, id store.MeasurementID, segments bool, tell func(Event) error) error {
	changed, stop := s.hub.watch(id)
	defer stop()
	w := &watcher{s: s, tell: tell, segments: segments, told: map[[2]int]bool{}, ended: map[int]bool{}}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		st, err := s.Status(ctx, id)
		if err != nil {
			return err
		}
		if err := w.look(ctx, st); err != nil || st.State.Final() {
			return err
		}
		// Looking costs a read: not more often than people can see, and only when something changed.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watcher is what one caller of Watch has been told.
type watcher struct {
	s        *Service
	tell     func(Event) error
	segments bool
	planned  bool
	plan     *vmaf.Plan
	told     map[[2]int]bool // segment events: chunk, rendition
	ended    map[int]bool    // renditions
	last     Progress
}

func (w *watcher) look(ctx context.Context, st *Status) error {
	isPlanned := st.Plan != nil && len(st.Plan.Chunks) > 0
	if isPlanned && !w.planned && !st.State.Final() {
		w.planned = true
		if err := w.tell(Event{Status: st}); err != nil {
			return err
		}
	}
	if isPlanned && w.segments {
		if err := w.tellSegments(ctx, st); err != nil {
			return err
		}
	}
	for k, d := range st.Measurement.Renditions {
		if d.State.Final() && !w.ended[k] {
			w.ended[k] = true
			if err := w.tell(Event{Rendition: &RenditionEnd{k, st}}); err != nil {
				return err
			}
		}
	}
	if st.State.Final() {
		return w.tell(Event{Status: st})
	}
	if p := st.Progress; p != w.last {
		w.last = p
		return w.tell(Event{Progress: &p})
	}
	return nil
}

// tellSegments tells of chunks that are complete. The figures of a frame need its neighbours, so that a chunk's scores are final only once
// the chunks before and after it are there, too.
func (w *watcher) tellSegments(ctx context.Context, st *Status) error {
	m := st.Measurement
	if m.Imported != nil {
		return w.tellImported(ctx, m)
	}
	if w.plan == nil {
		plan, err := w.s.planOf(ctx, m)
		if err != nil {
			return err
		}
		w.plan = plan
	}
	for k := range m.Renditions {
		d := &m.Renditions[k]
		if d.State != store.StateRunning && d.State != store.StateSucceeded {
			continue
		}
		busy := w.s.busyChunks(m.ID, k)
		for i, c := range m.Plan.Chunks {
			if w.told[[2]int{i, k}] {
				continue
			}
			if d.State == store.StateRunning && (busy == nil || busy[i] || busy[i-1] || busy[i+1]) {
				continue
			}
			w.told[[2]int{i, k}] = true
			segment, err := w.segment(ctx, m, k, i, c)
			if err != nil {
				return err
			}
			if segment == nil {
				continue
			}
			if err := w.tell(Event{Segment: segment}); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellImported tells of the chunks of an imported measurement, which has ended.
func (w *watcher) tellImported(ctx context.Context, m *store.Measurement) error {
	list, err := w.s.Segments(ctx, m, 0, SegmentLength{})
	if err != nil {
		return ignoreGone(err)
	}
	for i := range list {
		if err := w.tell(Event{Segment: &list[i]}); err != nil {
			return err
		}
	}
	return nil
}

// segment is a chunk's scores; nil where the rendition is not compared there, or figures were cleaned away meanwhile.
func (w *watcher) segment(ctx context.Context, m *store.Measurement, k, i int, c store.Chunk) (*SegmentScore, error) {
	d := &m.Renditions[k]
	first, end := within(c, d)
	if first >= end {
		return nil, nil
	}
	around := store.Chunk{First: m.Plan.Chunks[max(i-1, 0)].First, End: m.Plan.Chunks[min(i+1, len(m.Plan.Chunks)-1)].End}
	from, to := within(around, d)
	step := int64(max(m.Request.Subsample, 1))
	from = d.First + (from-d.First)/step*step // on step, at or before
	if from < d.First {
		from = d.First
	}
	table, err := w.s.tableOf(ctx, m, d, w.plan, from, to)
	if err != nil {
		return nil, ignoreGone(err)
	}
	scores, err := scoresOf(w.plan, m.Plan, d, table, int(first-from), int(end-from))
	if err != nil {
		return nil, err
	}
	return &SegmentScore{Rendition: k, First: first, End: end, Scores: scores}, nil
}

// busyChunks are the chunks that a rendition has tasks of; nil where the measurement is not in memory.
func (s *Service) busyChunks(id store.MeasurementID, rendition int) map[int]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[id]
	if a == nil {
		return nil
	}
	busy := map[int]bool{}
	for _, t := range a.tasks {
		if slices.Contains(t.renditions, rendition) {
			busy[t.chunk] = true
		}
	}
	return busy
}
