package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/decode"
)

// Measure compares every rendition with the reference and returns series, scores and provenance. It is [Open], [Comparison.Extract]
// chunk by chunk, and the assembly of all figures.
//
// A rendition that fails has its error in the result, and the others are measured; where all fail, or the reference does, or
// ctx is cancelled, the error is Measure's. Errors name the file and, where there is one, the frame: see
// [decode.FrameError], [AmbiguousError] and the errors of packages decode and vmaf. Nothing goes on after Measure has returned.
func Measure(ctx context.Context, req Request) (_ *Result, err error) {
	var noPlan error
	if req.Plan == nil {
		noPlan = errors.New("plan: nothing to measure; name at least one model or feature")
	}
	if err := errors.Join(noPlan, req.validate()); err != nil {
		return nil, err
	}
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
	c       *Comparison
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
	step := c.req.ChunkFrames
	if step == 0 || c.end < 0 {
		step = c.end - c.first // or something below 0, which is not looked at then
	}
	for first := c.first; c.end < 0 || first < c.end; first += step {
		w := Work{Extractions: c.req.Plan.Extractions, Renditions: m.left(first), First: first, End: min(first+step, c.end)}
		if len(w.Renditions) == 0 {
			break
		}
		f, err := c.extract(ctx, &w, p)
		if err != nil {
			return err
		}
		m.figures.add(f)
		for _, r := range f.Renditions {
			m.over[r.Rendition] = r.Err != nil || r.EndedEarly
		}
		if f.End < w.End || w.End < 0 {
			break
		}
	}
	return nil
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
	for _, f := range m.figures.parts {
		result.ReferenceStats = addStats(result.ReferenceStats, f.ReferenceStats)
		result.Backend = f.Backend
		decoded += f.End - f.First
	}
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
	out.Pairing, out.Offset = description.Pairing, description.Offset
	out.Repeated, out.Dropped = description.Repeated, description.Dropped
	return out
}
