package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// tooSmallError says that a rendition is compared at too small a size.
type tooSmallError struct {
	name           string
	least, compare engine.Size
}

func (e *tooSmallError) Error() string {
	return fmt.Sprintf("%s: the features need pictures of at least %v, these are %v", e.name, e.least, e.compare)
}

func (e *tooSmallError) Is(target error) bool { return target == engine.ErrTooSmall }

// Measure computes a chunk's figures. A rendition whose failure may go away is tried once more, with its files opened anew, before
// that is told.
func (h *handler) Measure(ctx context.Context, c protocol.Comparison, task protocol.Chunk, emit func(protocol.Part) error,
	progress func(done, total int64)) (*protocol.ChunkDone, protocol.Timing, error) {
	var timing protocol.Timing
	if err := checkComparison(&c); err != nil {
		return nil, timing, err
	}
	if slices.ContainsFunc(task.Renditions, func(k int) bool { return k < 0 || k >= len(c.Renditions) }) || task.First < 0 || task.First >= task.End {
		return nil, timing, fmt.Errorf("a chunk of frames %d:%d for renditions %v of %d", task.First, task.End, task.Renditions, len(c.Renditions))
	}
	extractions, err := parseExtractions(task.Extractions)
	if err != nil {
		return nil, timing, failureOf(err)
	}
	m := &chunkRun{
		h: h, c: &c, task: &task, extractions: extractions, emit: emit, progress: progress,
		done: &protocol.ChunkDone{Backend: h.backend.Describe(), Renditions: map[int]store.RenditionDone{}},
	}
	again, err := m.measure(ctx, task.Renditions, true)
	if err == nil && len(again) > 0 {
		_, err = m.measure(ctx, again, false)
	}
	if err != nil {
		return nil, m.timing, err
	}
	return m.done, m.timing, nil
}

// chunkRun is one call of [handler.Measure].
type chunkRun struct {
	h           *handler
	c           *protocol.Comparison
	task        *protocol.Chunk
	extractions []vmaf.Extraction
	emit        func(protocol.Part) error
	progress    func(done, total int64)
	done        *protocol.ChunkDone
	timing      protocol.Timing
}

// measure measures renditions. again are those whose failure is not told, since it may go away; there are none unless retry is set.
func (m *chunkRun) measure(ctx context.Context, renditions []int, retry bool) (again []int, err error) {
	files := m.h.findAll(m.c)
	if err := m.checkContents(ctx, files, renditions); err != nil {
		return nil, err
	}
	if files[0].failure != nil {
		return nil, files[0].failure
	}
	var left []int
	for _, k := range renditions {
		switch failure := files[1+k].failure; {
		case failure == nil:
			left = append(left, k)
		case retry && failure.Transient:
			again = append(again, k)
		default:
			m.failed(k, failure)
		}
	}
	if len(left) == 0 {
		return again, nil
	}
	opened, reused, err := m.h.open(ctx, m.c, files)
	if err != nil {
		return nil, err
	}
	defer m.h.cache.release(opened)
	m.timing.Reused = m.timing.Reused || reused
	figures, err := m.extract(ctx, opened, left)
	if err != nil {
		m.h.cache.spoil(opened)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, failureOf(err)
	}
	if figures == nil {
		return again, nil
	}
	m.timing.Decode += figures.Decode
	m.timing.Kernels += figures.Kernels
	m.done.Backend = figures.Backend
	m.done.Frames += figures.Pairs
	m.done.Reference = storedDamage(figures.ReferenceStats)
	for _, r := range figures.Renditions {
		k := slices.Index(opened.index, r.Rendition)
		if r.Err == nil {
			done := store.RenditionDone{Damage: storedDamage(r.Stats), EndedAt: -1}
			if r.EndedEarly {
				done.EndedAt = r.End
			}
			m.done.Renditions[k] = done
			continue
		}
		m.h.cache.spoil(opened)
		if failure := failureOf(r.Err); retry && failure.Transient {
			again = append(again, k)
		} else {
			m.failed(k, failure)
		}
	}
	for _, p := range figureParts(m.c, opened, m.task.Extractions, figures) {
		if err := m.emit(p); err != nil {
			return nil, err
		}
	}
	return again, nil
}

func (m *chunkRun) failed(k int, failure *protocol.Error) {
	m.done.Renditions[k] = store.RenditionDone{Failure: failure.Failure(), EndedAt: -1}
}

// checkContents lets files fail whose content is not what the plan was made of. Its error is ctx's.
func (m *chunkRun) checkContents(ctx context.Context, files []*mediaFile, renditions []int) error {
	check := func(f *mediaFile, expected *store.File) error {
		if expected == nil || expected.Fingerprint == "" || f.failure != nil || f.is(expected, m.h.cfg.Host) {
			return nil
		}
		if err := m.h.fingerprint(ctx, f, ofAllBytes(expected.Fingerprint)); err != nil {
			return err
		}
		if f.failure == nil && f.print != expected.Fingerprint {
			f.failure = &protocol.Error{Reason: store.ReasonChanged, Message: fmt.Sprintf("%s: %v: it is not what was inspected; measure it anew", f.source.URI, decode.ErrChanged)}
		}
		return nil
	}
	if err := check(files[0], m.c.ReferenceFile); err != nil {
		return err
	}
	for _, k := range renditions {
		if len(m.c.RenditionFiles) == 0 {
			break
		}
		if err := check(files[1+k], m.c.RenditionFiles[k]); err != nil {
			return err
		}
	}
	return nil
}

// extract measures the chunk for renditions that are open. Nil figures: there is nothing to measure of it.
func (m *chunkRun) extract(ctx context.Context, o *openComparison, renditions []int) (*engine.Figures, error) {
	d := &o.description
	w := engine.Work{
		Extractions: m.extractions, First: max(m.task.First, d.First), End: min(m.task.End, d.End), Threads: m.h.cfg.Threads,
		Progress: func(done int64) { m.progress(done, m.task.End-m.task.First) },
	}
	for _, k := range renditions {
		w.Renditions = append(w.Renditions, o.index[k])
	}
	if w.First >= w.End {
		for _, k := range renditions {
			if err := d.Renditions[o.index[k]].Err; err != nil {
				m.failed(k, failureOf(err))
			} else {
				m.done.Renditions[k] = store.RenditionDone{EndedAt: -1}
			}
		}
		return nil, nil
	}
	return o.engine.Extract(ctx, w)
}
