package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// Work is a run of frames to measure, and what to measure of them.
type Work struct {
	Extractions []vmaf.Extraction // at least one
	Renditions  []int             // indexes into Request.Distorted, each at most once; at least one
	// First and End are reference frames, [First, End), within those of [Description].
	First, End int64
	Threads    int // frames measured at a time. 0: as many as the request says. At most [MaxThreads]
	// Progress is called about ten times a second from one goroutine, and at the end, with how many frames are measured. It
	// must not block. May be nil.
	Progress func(done int64)
}

// Figures is what came of a [Work].
type Figures struct {
	// First and End are the reference frames that were decoded and measured, [First, End). End is smaller than the work's where no
	// rendition was compared any further.
	First, End  int64
	Extractions []vmaf.Extraction // of the work; columns are in this order
	Groups      []GroupFigures
	Renditions  []RenditionFigures // in the order of Work.Renditions

	Backend        string       // what computed: "cpu (avx512dl)"
	Pairs          int64        // pairs of pictures measured
	ReferenceStats decode.Stats // of this work, with the pictures before First that motion looks at where no work before had left them
	// Decode and Kernels are the time in decoders and converters, and in extractors, summed over the goroutines that waited for them.
	Decode, Kernels time.Duration
}

// GroupFigures are raw figures of the reference alone, in the format of one group of [RenditionDescription].
type GroupFigures struct {
	Group      int
	First, End int64 // reference frames
	// Valid is, for each extraction, the first frame from which on its figures mean something. At the start of the comparison's
	// range no picture is known that motion could look back to: figures of as many frames as the extraction's halo are zero there.
	// A work that begins later looks at the pictures before it, and all of its figures are valid.
	Valid []int64
	// Columns are by extraction, figure (see [vmaf.Extraction.Raw]) and frame, from First on; nil for an extraction of pairs.
	Columns [][][]float64
}

// RenditionFigures are raw figures of one rendition.
type RenditionFigures struct {
	Rendition int // index into Request.Distorted
	// Err says why this rendition could not be measured here; there are no columns then. It is of this work: what is
	// measured elsewhere may be good.
	Err        error
	First, End int64 // reference frames it was compared at; First = End where it covers none of the work
	// EndedEarly says that the rendition, or the reference, had no more pictures before the frame End, as the request allows.
	EndedEarly bool
	Stats      decode.Stats // of this work
	// Columns are by extraction, figure and frame, from First on; nil for an extraction of the reference alone. Figures of
	// frames that subsampling leaves out, which are those at a distance from the rendition's first frame that is no multiple of
	// Request.Subsample, are zero.
	Columns [][][]float64
}

// Extract measures a run of frames. It decodes on its own, and what precedes the run by the halo of the extractions, too; so
// that runs may be measured anywhere, in any order and several at a time, and give the same bits however a comparison is cut
// into them.
//
// A rendition that fails has its error in the figures, and the others are measured. Errors of Extract: a [ReferenceError]; ctx's, soon
// after it was cancelled; what is wrong with the work, all of it at once; what the extractor says. [decode.ErrChanged] is
// the error of a file that was written to since it was opened. Inputs without an index, such as standard input, can be
// measured by [Measure] only. Nothing goes on after Extract has returned.
func (c *Comparison) Extract(ctx context.Context, w Work) (*Figures, error) {
	if err := c.validate(&w); err != nil {
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	p := &progress{}
	if w.Progress != nil {
		defer telling(func() { w.Progress(p.done()) })()
	}
	return c.extract(ctx, &w, p)
}

// validate reports every problem of a work at once, and fills in defaults.
func (c *Comparison) validate(w *Work) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(w.Extractions) == 0 {
		add("extractions: none; name at least one")
	}
	for _, e := range w.Extractions {
		if err := e.Computable(); err != nil {
			errs = append(errs, err)
		} else if e.NeedsChroma() && !c.req.Chroma {
			add("extractions: %s looks at chroma, with which the comparison was not opened", e.Key())
		}
	}
	if len(w.Renditions) == 0 {
		add("renditions: none; name at least one")
	}
	named := map[int]bool{}
	for _, k := range w.Renditions {
		switch {
		case k < 0 || k >= len(c.renditions):
			add("renditions: there is no number %d; there are 0 to %d", k, len(c.renditions)-1)
		case named[k]:
			add("renditions: %d is named twice", k)
		case c.renditions[k].err == nil && c.renditions[k].video.Index() == nil:
			add("%s: is a stream, which can be measured as a whole only", c.renditions[k].info.Path)
		}
		named[k] = true
	}
	if c.ref.Index() == nil {
		add("%s: is a stream, which can be measured as a whole only", c.refInfo.Path)
	} else if w.First < c.first || w.End > c.end || w.First >= w.End {
		add("frames: %d:%d is no range within %d:%d, which is compared", w.First, w.End, c.first, c.end)
	}
	if w.Threads < 0 || w.Threads > MaxThreads {
		add("threads: %d is not in 0 … %d", w.Threads, MaxThreads)
	}
	return errors.Join(errs...)
}

// extract is [Comparison.Extract] for a valid work, whose End may be −1: until the reference ends.
func (c *Comparison) extract(ctx context.Context, w *Work, p *progress) (*Figures, error) {
	r := newRun(c, w)
	if err := c.ref.Unchanged(); err != nil {
		return nil, referenceError(err)
	}
	r.checkUnchanged()
	if err := r.prepare(); err != nil {
		return nil, errors.Join(err, r.close(false))
	}
	r.progress = p.begin(len(r.groups))
	err := r.measure(ctx)
	if ctx.Err() != nil {
		err = ctx.Err() // whatever else went wrong may be due to it
	}
	if err = errors.Join(err, r.close(err == nil)); err != nil {
		return nil, err
	}
	if err := c.ref.Unchanged(); err != nil {
		return nil, referenceError(err)
	}
	r.checkUnchanged()
	figures := r.figures()
	r.tellFallbacks()
	r.progress.end(figures.End - figures.First)
	return figures, nil
}
