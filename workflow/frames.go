package workflow

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// timesFigure is the name under which the times of a reference's frames are kept, beside its figures.
const timesFigure = "time"

// timesPut keeps the presentation times of a reference's frames. They hold for the reference's content, so any rendition's reference identity
// serves; the first that has one is used, as [Service.seconds] does.
func timesPut(ds []store.Rendition, times []int64) store.ColumnsPut {
	column := make([]float64, len(times))
	for i, t := range times {
		column[i] = float64(t)
	}
	put := store.ColumnsPut{Columns: store.Columns{End: int64(len(times)), Step: 1, Figures: [][]float64{column}}}
	for _, d := range ds {
		if !d.ReferenceIdentity.IsZero() {
			put.Key = store.ColumnsKey{Identity: d.ReferenceIdentity, Figure: timesFigure}
			break
		}
	}
	return put
}

// seconds are the presentation times of reference frames [first, end) since the first frame; nil where they are not known.
func (s *Service) seconds(ctx context.Context, m *store.Measurement, first, end int64) ([]float64, error) {
	if m.Imported != nil {
		if out, err := s.importedTimes(ctx, m, end-first); err != nil || out != nil {
			return out, err
		}
	}
	v := m.Reference
	if v == nil || !v.Timestamps {
		return nil, nil
	}
	out := make([]float64, end-first)
	if v.VariableRate && v.TimeBaseDen > 0 {
		unit := float64(v.TimeBaseNum) / float64(v.TimeBaseDen)
		for _, d := range m.Renditions {
			if d.ReferenceIdentity.IsZero() {
				continue
			}
			runs, err := s.store.Columns(ctx, store.ColumnsKey{Identity: d.ReferenceIdentity, Figure: timesFigure}, first, end)
			if err != nil {
				return nil, err
			}
			n := int64(0)
			for _, run := range runs {
				for at := max(run.First, first); at < min(run.End, end); at++ {
					out[at-first] = run.Figures[0][at-run.First] * unit
					n++
				}
			}
			if n == end-first {
				return out, nil
			}
			break
		}
		return nil, nil
	}
	if v.FrameRateNum == 0 {
		return nil, nil
	}
	for i := range out {
		out[i] = float64((first+int64(i))*v.FrameRateDen) / float64(v.FrameRateNum)
	}
	return out, nil
}

// Frames returns every frame's figures of a rendition that has succeeded. rendition is its name; "" the only one.
//
// Errors: [store.ErrNotFound]; [ErrNoRendition]; [ErrNotStored] where it has not succeeded (yet), or the figures are gone.
func (s *Service) Frames(ctx context.Context, id store.MeasurementID, rendition string) (*Frames, error) {
	m, err := s.store.Measurement(ctx, id)
	if err != nil {
		return nil, err
	}
	k, err := findRendition(m, rendition)
	if err != nil {
		return nil, err
	}
	return s.frames(ctx, m, k)
}

func (s *Service) frames(ctx context.Context, m *store.Measurement, k int) (*Frames, error) {
	d := &m.Renditions[k]
	if d.State != store.StateSucceeded {
		return nil, fmt.Errorf("%w: rendition %s is %s", ErrNotStored, d.Name, d.State)
	}
	table := s.tables.get(m.ID, k)
	if table == nil {
		var err error
		if table, err = s.formed(ctx, m, d); err != nil {
			return nil, err
		}
		s.tables.put(m.ID, k, table)
	}
	seconds, err := s.seconds(ctx, m, d.First, d.First+int64(table.Frames))
	if err != nil {
		return nil, err
	}
	return &Frames{Rendition: k, Name: d.Name, First: d.First, Table: table, Seconds: seconds}, nil
}

// formed is the table of all frames of a rendition, made of what is stored.
func (s *Service) formed(ctx context.Context, m *store.Measurement, d *store.Rendition) (*vmaf.Table, error) {
	if m.Imported != nil {
		return s.importedTable(ctx, m)
	}
	plan, err := s.planOf(ctx, m)
	if err != nil {
		return nil, err
	}
	return s.table(ctx, m, d, plan)
}

// scorer makes the aggregates of frames [first, end) of a rendition's table.
func (s *Service) scorer(ctx context.Context, m *store.Measurement, d *store.Rendition) (func(t *vmaf.Table, first, end int) ([]store.Score, error), error) {
	if m.Imported != nil {
		return func(t *vmaf.Table, first, end int) ([]store.Score, error) {
			return scoresOfTable(m.Plan, t, first, end), nil
		}, nil
	}
	plan, err := s.planOf(ctx, m)
	if err != nil {
		return nil, err
	}
	return func(t *vmaf.Table, first, end int) ([]store.Score, error) {
		return scoresOf(plan, m.Plan, d, t, first, end)
	}, nil
}

// findRendition is the index of a rendition by name; "" is the only one.
func findRendition(m *store.Measurement, name string) (int, error) {
	if name == "" && len(m.Renditions) == 1 {
		return 0, nil
	}
	var names []string
	for k, d := range m.Renditions {
		if d.Name == name {
			return k, nil
		}
		names = append(names, d.Name)
	}
	if name == "" {
		return 0, fmt.Errorf("%w: name one of %s", ErrNoRendition, strings.Join(names, ", "))
	}
	return 0, fmt.Errorf("%w: %q; there are %s", ErrNoRendition, name, strings.Join(names, ", "))
}

// Segments returns the aggregates of every segment of a rendition that has succeeded.
func (s *Service) Segments(ctx context.Context, m *store.Measurement, rendition int, length SegmentLength) ([]SegmentScore, error) {
	if rendition < 0 || rendition >= len(m.Renditions) {
		return nil, ErrNoRendition
	}
	if length == (SegmentLength{}) {
		if list, err := s.importedSegments(ctx, m); err != nil || list != nil {
			return list, err
		}
	}
	f, err := s.frames(ctx, m, rendition)
	if err != nil {
		return nil, err
	}
	scores, err := s.scorer(ctx, m, &m.Renditions[rendition])
	if err != nil {
		return nil, err
	}
	var out []SegmentScore
	for _, c := range segmentsOf(m, f.First, f.First+int64(f.Table.Frames), length) {
		list, err := scores(f.Table, int(c.First-f.First), int(c.End-f.First))
		if err != nil {
			return nil, err
		}
		out = append(out, SegmentScore{Rendition: rendition, First: c.First, End: c.End, Scores: list})
	}
	return out, nil
}

// segmentsOf cuts reference frames [first, end) into segments. Segments of seconds hold the frames whose time, by the average frame rate, lies
// within; where no rate is known, and without a length, chunks are the segments.
func segmentsOf(m *store.Measurement, first, end int64, length SegmentLength) []store.Chunk {
	if length == (SegmentLength{}) {
		length = SegmentLength{m.Request.SegmentFrames, m.Request.SegmentSecond}
	}
	frames := float64(length.Frames)
	if v := m.Reference; frames == 0 && length.Seconds > 0 && v != nil && v.FrameRateNum > 0 {
		frames = length.Seconds * float64(v.FrameRateNum) / float64(v.FrameRateDen)
	}
	var list []store.Chunk
	if frames == 0 {
		for _, c := range m.Plan.Chunks {
			if c.First, c.End = max(c.First, first), min(c.End, end); c.First < c.End {
				list = append(list, c)
			}
		}
		return list
	}
	frames = max(frames, 1)
	for i, at := 0, first; at < end; i++ {
		next := min(first+int64(math.Ceil(float64(i+1)*frames-1e-9)), end)
		if next > at {
			list = append(list, store.Chunk{First: at, End: next})
			at = next
		}
	}
	return list
}

// tables keeps the tables that were looked at last, up to a number of values.
type tables struct {
	// mu guards the fields below.
	mu     sync.Mutex
	order  *list.List // of *tableEntry, the last used in front
	byKey  map[tableKey]*list.Element
	values int64
}

type tableKey struct {
	id store.MeasurementID
	k  int
}

type tableEntry struct {
	key   tableKey
	table *vmaf.Table
}

// keptValues is how many values tables keeps: 64 MiB.
const keptValues = 64 << 20 / 8

func newTables() *tables { return &tables{order: list.New(), byKey: map[tableKey]*list.Element{}} }

func valuesOf(t *vmaf.Table) int64 { return int64(len(t.Series)) * int64(t.Frames) }

func (t *tables) get(id store.MeasurementID, k int) *vmaf.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byKey[tableKey{id, k}]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return e.Value.(*tableEntry).table
}

func (t *tables) put(id store.MeasurementID, k int, table *vmaf.Table) {
	if valuesOf(table) > keptValues {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := tableKey{id, k}
	if t.byKey[key] != nil {
		return
	}
	t.byKey[key] = t.order.PushFront(&tableEntry{key, table})
	t.values += valuesOf(table)
	for t.values > keptValues {
		t.remove(t.order.Back())
	}
}

func (t *tables) remove(e *list.Element) {
	entry := t.order.Remove(e).(*tableEntry)
	delete(t.byKey, entry.key)
	t.values -= valuesOf(entry.table)
}

// drop forgets a measurement's tables.
func (t *tables) drop(id store.MeasurementID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, e := range t.byKey {
		if key.id == id {
			t.remove(e)
		}
	}
}
