package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
)

// Measure compares every rendition with the reference and returns series, scores and provenance. It is [Open], [Comparison.Extract]
// chunk by chunk, and the assembly of all figures.
//
// A rendition that fails has its error in the result, and the others are measured; where all fail, or the reference does, or
// ctx is cancelled, the error is Measure's. Errors name the file and, where there is one, the frame: see
// [decode.FrameError], [AmbiguousError] and the errors of packages decode and vmaf. Where a backend that was opened as auto has a GPU
// and that fails, everything is measured again on the processor, and [Backend.Notice] says so. Nothing goes on after Measure has
// returned.
func Measure(ctx context.Context, req Request) (*Result, error) {
	var noPlan error
	if req.Plan == nil {
		noPlan = errors.New("plan: nothing to measure; name at least one model or feature")
	}
	if req.HeatMaps != nil && req.Plan != nil {
		if _, ok := banding(req.Plan.Extractions); !ok {
			noPlan = errNoBanding
		}
	}
	if err := errors.Join(noPlan, req.validate()); err != nil {
		return nil, err
	}
	req.Chroma = req.Chroma || req.Plan.NeedsChroma()
	result, err := measure(ctx, req)
	if errors.Is(err, ErrDeviceFailed) && ctx.Err() == nil && repeatable(&req) && req.Backend.leave(err) {
		req.Logger.Warn("the GPU failed; measuring on the processor instead, from the start", "err", err)
		result, err = measure(ctx, req)
	}
	return result, err
}

// repeatable says whether inputs can be read again from their start.
func repeatable(r *Request) bool {
	for _, in := range append([]decode.Input{r.Reference}, r.Distorted...) {
		if _, err := StampOf(in); err != nil {
			return false // standard input or a pipe
		}
	}
	return true
}

// measure is [Measure] for a valid request.
func measure(ctx context.Context, req Request) (_ *Result, err error) {
	c, err := open(ctx, &req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	m := &measurement{c: c, figures: assembly{c: c}, over: make([]bool, len(c.renditions))}
	if err := anyLeft(m.figures.failures()); err != nil {
		return nil, err
	}
	started := time.Now()
	if err := m.run(ctx, started); err != nil {
		return nil, err
	}
	return m.result(started)
}

// measurement is one call of [Measure].
type measurement struct {
	c *Comparison

	// mu guards the fields below while works run side by side.
	mu      sync.Mutex
	figures assembly
	over    []bool // by rendition: it has failed, or ended early
}

// run measures chunk after chunk, as long as there is a rendition to measure.
func (m *measurement) run(ctx context.Context, started time.Time) error {
	c, p := m.c, &progress{}
	if report := c.req.Progress; report != nil {
		total := int64(-1)
		if c.end >= 0 {
			total = c.end - c.first
		}
		defer telling(func() {
			report(Progress{Done: p.done(), Total: total, Elapsed: time.Since(started)})
		})()
	}
	if c.end < 0 {
		_, err := m.work(ctx, c.first, -1, p)
		return err
	}
	chunks := m.chunks()
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(c.sideBySide())
	var ended atomic.Bool
	for _, chunk := range chunks {
		tasks.Go(func() error {
			if ended.Load() {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err // of the caller; where a chunk before has failed, its error came first and counts
			}
			more, err := m.work(ctx, chunk[0], chunk[1], p)
			if !more {
				ended.Store(true)
			}
			return err
		})
	}
	return tasks.Wait()
}

// chunks are the runs of reference frames that are measured each on its own.
func (m *measurement) chunks() [][2]int64 {
	c := m.c
	if c.req.ChunkFrames == 0 {
		return c.parts()
	}
	var list [][2]int64
	for first := c.first; first < c.end; first += c.req.ChunkFrames {
		list = append(list, [2]int64{first, min(first+c.req.ChunkFrames, c.end)})
	}
	return list
}

// work measures reference frames [first, end). more is false where nothing is to be measured after them.
func (m *measurement) work(ctx context.Context, first, end int64, p *progress) (more bool, err error) {
	c := m.c
	m.mu.Lock()
	w := Work{Extractions: c.req.Plan.Extractions, Renditions: m.left(first), First: first, End: end}
	m.mu.Unlock()
	if len(w.Renditions) == 0 {
		return false, nil
	}
	f, err := c.extract(ctx, &w, p)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures.add(f)
	for _, r := range f.Renditions {
		m.over[r.Rendition] = m.over[r.Rendition] || r.Err != nil || r.EndedEarly
	}
	return f.End >= w.End && w.End >= 0, nil
}

// left are the renditions that are compared at reference frame first or later and have neither failed nor ended.
func (m *measurement) left(first int64) []int {
	var list []int
	for k, d := range m.c.renditions {
		if d.err == nil && !m.over[k] && (d.pairs.end < 0 || d.pairs.end > first) {
			list = append(list, k)
		}
	}
	return list
}

// result forms the series of every rendition.
func (m *measurement) result(started time.Time) (*Result, error) {
	c, r := m.c, m.c.req
	result := &Result{Reference: c.refInfo, Threads: r.Threads, Chunk: r.ChunkFrames, FirstFrame: c.first}
	decoded := int64(0)
	var backends []string
	for _, f := range m.figures.parts {
		result.ReferenceStats = addStats(result.ReferenceStats, f.ReferenceStats)
		if !slices.Contains(backends, f.Backend) {
			backends = append(backends, f.Backend)
		}
		decoded += f.End - f.First
	}
	result.Backend = strings.Join(backends, ", ")
	failures := m.figures.failures()
	if decoded == 0 {
		if err := anyLeft(failures); err != nil {
			return nil, err
		}
		return nil, &ReferenceError{fmt.Errorf("%s: %w", c.refInfo.Path, decode.ErrNoFrames)}
	}
	for k := range c.renditions {
		rendition := m.rendition(k, failures[k])
		failures[k] = rendition.Err
		if rendition.Err == nil {
			result.Frames = max(result.Frames, rendition.End-c.first)
		}
		result.Renditions = append(result.Renditions, rendition)
	}
	if err := anyLeft(failures); err != nil {
		return nil, err
	}
	result.Elapsed = time.Since(started)
	for _, d := range result.Renditions {
		if d.Table != nil {
			d.Table.FPS = float64(d.Table.Frames) / result.Elapsed.Seconds()
		}
	}
	if list, err := times(c.ref); err == nil {
		result.Times = list[c.first:min(c.first+result.Frames, int64(len(list)))]
	}
	return result, nil
}

// rendition is the result of one rendition, which failed if failure is set. An error in forming it is the rendition's.
func (m *measurement) rendition(k int, failure error) Rendition {
	d := m.c.renditions[k]
	out := Rendition{Info: d.info, Stats: m.figures.stats(k), Err: failure}
	if failure != nil {
		return out
	}
	table, first, end, err := m.figures.table(m.c.req.Plan, k)
	if err != nil {
		out.Err = err
		return out
	}
	description := m.c.describe(d)
	out.Table, out.First, out.End = table, first, end
	out.Format, out.Conversion, out.ReferenceConversion = description.Format, description.Conversion, description.ReferenceConversion
	out.Encoded = description.Encoded
	out.Pairing, out.Offset = description.Pairing, description.Offset
	out.Repeated, out.Dropped = description.Repeated, description.Dropped
	return out
}
