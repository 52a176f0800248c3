package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// run is one call of [Comparison.Extract].
//
// One goroutine an input decodes and converts; one collects a picture of each into sets; workers measure them.
type run struct {
	c        *Comparison
	work     *Work
	lookback int // how many reference pictures before each its extractions look at
	threads  int
	chroma   bool        // any of its extractions looks at chroma
	every    bool        // any of them is formed of pairs that subsampling leaves out, too
	members  []*member   // in the order of work.Renditions
	groups   []*runGroup // those that have anything to measure
	rows     rowStore
	progress *workProgress

	end      int64        // the reference frame after the last one measured
	pairs    int64        // pairs of pictures measured
	refStats decode.Stats // set when the reference's reader has ended
	decoding atomic.Int64 // ns
	kernels  atomic.Int64 // ns
}

// member is a rendition while a run measures it. Only the collector changes it, but for stats.
type member struct {
	*rendition
	index int // into Comparison.renditions
	slot  int // among the members of its group in the run; −1: there is nothing to measure

	runGroup   int   // index into run.groups
	first, end int64 // reference frames to measure; end −1: until an input ends

	failure error        // why it failed; once set, the rendition takes no further part
	ended   int64        // the reference frame at which it ended early although Shortest or damage allows that; −1: not
	stats   decode.Stats // set when its reader has ended
}

// runGroup is the members of a run that are compared in one format, and so share all that depends on the reference alone.
type runGroup struct {
	*group
	index   int // into Comparison.groups
	members int
	encoded []vmaf.Encoded // by slot
	extract pooledExtractor
}

func newRun(c *Comparison, w *Work) *run {
	r := &run{c: c, work: w, threads: w.Threads, end: w.First}
	if r.threads == 0 {
		r.threads = c.req.Threads
	}
	for _, e := range w.Extractions {
		r.lookback = max(r.lookback, e.Halo())
		r.chroma = r.chroma || e.NeedsChroma()
		r.every = r.every || e.EveryFrame() && !e.ReferenceOnly()
	}
	for _, k := range w.Renditions {
		d := c.renditions[k]
		m := &member{rendition: d, index: k, slot: -1, first: w.First, end: w.First, ended: -1, failure: d.err}
		if d.err == nil {
			m.first, m.end = d.within(w.First, w.End)
		}
		r.members = append(r.members, m)
	}
	return r
}

// within is the part of reference frames [first, end) at which the rendition is compared; it may be empty.
func (d *rendition) within(first, end int64) (from, to int64) {
	from, to = max(first, d.pairs.first), d.pairs.end
	if to < 0 || end >= 0 && end < to {
		to = end
	}
	if to >= 0 {
		from = min(from, to)
	}
	return from, to
}

// checkUnchanged lets renditions fail whose file was written to since it was opened.
func (r *run) checkUnchanged() {
	for _, m := range r.members {
		if m.failure == nil {
			m.failure = m.video.Unchanged()
		}
	}
}

// prepare sorts members into groups and gets an extractor for each group.
func (r *run) prepare() (err error) {
	for _, m := range r.members {
		if m.failure != nil {
			continue
		}
		if m.failure = checkFormat(r.work.Extractions, m.encoded, r.c.groups[m.group].compared); m.failure != nil || m.first == m.end {
			continue
		}
		m.runGroup = r.groupOf(m.group)
		g := r.groups[m.runGroup]
		m.slot = g.members
		g.members++
		g.encoded = append(g.encoded, m.encoded)
	}
	r.rows.columns = ColumnsOf(r.work.Extractions)
	for _, g := range r.groups {
		r.rows.members = append(r.rows.members, g.members)
	}
	for i, g := range r.groups {
		if g.extract, err = r.c.req.Backend.extractor(g.compared, r.work.Extractions, g.encoded, r.threads, r.surfaces(i)); err != nil {
			g.extract.Extractor = nil
			return err
		}
	}
	return nil
}

// surfaces says whether a decoder of the device delivers pictures of a group.
func (r *run) surfaces(group int) bool {
	on := onHardware(r.c.refInfo)
	for _, m := range r.members {
		on = on || m.slot >= 0 && m.runGroup == group && onHardware(m.info)
	}
	return on
}

// groupOf is the index in the run of a group of the comparison.
func (r *run) groupOf(index int) int {
	for i, g := range r.groups {
		if g.index == index {
			return i
		}
	}
	r.groups = append(r.groups, &runGroup{group: r.c.groups[index], index: index})
	return len(r.groups) - 1
}

// close gives extractors back, which may be used again only if nothing went wrong.
func (r *run) close(good bool) error {
	var errs []error
	for _, g := range r.groups {
		if g.extract.Extractor != nil {
			errs = append(errs, r.c.req.Backend.putBack(g.extract, good))
		}
	}
	return errors.Join(errs...)
}

// measure decodes and measures everything. Its error is the reference's, an extractor's or the context's.
func (r *run) measure(ctx context.Context) error {
	if len(r.groups) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	c := &collector{r: r, ctx: ctx, dis: make([]*feed, len(r.members)), batches: make([]chan batch, len(r.groups))}

	start := max(r.c.first, r.work.First-int64(r.lookback))
	refCtx, stop := context.WithCancel(ctx)
	refEnd := r.work.End
	if r.c.req.Shortest && r.c.refInfo.Frames < 0 && refEnd == r.c.end {
		refEnd = -1 // the stream may have fewer frames than were asked for
	}
	c.ref = &feed{frames: make(chan picked, decodeAhead), stop: stop, bounded: refEnd >= 0}
	tasks.Go(func() error {
		defer stop()
		return r.readReference(refCtx, start, refEnd, c.ref.frames)
	})
	for i, m := range r.members {
		if m.slot < 0 {
			continue
		}
		end := m.end
		if m.pairs.open && end == m.pairs.end {
			end = -1 // one frame more than is compared, if there is one
		}
		disCtx, stop := context.WithCancel(ctx)
		f := &feed{frames: make(chan picked, decodeAhead), stop: stop, bounded: end >= 0}
		c.dis[i] = f
		tasks.Go(func() error {
			defer stop()
			r.readDistorted(disCtx, m, m.first, end, f.frames)
			return nil
		})
	}
	feeds := append([]*feed{c.ref}, c.dis...)
	for g, group := range r.groups {
		c.batches[g] = make(chan batch)
		for range group.extract.Workers() {
			tasks.Go(func() error { return r.extractBatches(ctx, g, c.batches[g]) })
		}
	}
	tasks.Go(func() error {
		complete, err := c.collect(start, r.work.First, r.work.End)
		for _, f := range feeds {
			// A decoder that has reached its end is not stopped, since it could not go on with the next run then.
			if f != nil && (!complete || !f.bounded) {
				f.stop()
			}
		}
		for _, b := range c.batches {
			close(b)
		}
		return err
	})
	err := tasks.Wait()
	// Whoever waited for a place in a channel has gone; what is left in it is nobody's.
	for _, f := range feeds {
		if f != nil {
			f.drain()
		}
	}
	for _, b := range c.batches {
		for left := range b {
			left.release()
		}
	}
	return err
}

// extractBatches measures batches of one group until there are no more.
func (r *run) extractBatches(ctx context.Context, group int, batches <-chan batch) (err error) {
	maps, err := r.newHeatMapper(group)
	if err != nil {
		return errors.Join(err, maps.close())
	}
	defer func() { err = errors.Join(err, maps.close()) }()
	for b := range batches {
		started := time.Now()
		err := r.groups[group].extract.Extract(ctx, b.sets, b.rows)
		r.kernels.Add(int64(time.Since(started)))
		for i := 0; maps != nil && err == nil && i < len(b.sets); i++ {
			err = maps.show(&b.sets[i], b.index[i])
		}
		b.release()
		if err != nil {
			return err
		}
		r.progress.add(int64(len(b.sets)))
	}
	return nil
}

// tellFallbacks logs what software had to decode that was the device's to do: figures are the same, and it is slower.
func (r *run) tellFallbacks() {
	tell := func(info decode.Info, stats decode.Stats) {
		if stats.Fallbacks > 0 {
			r.c.req.Logger.Warn("software took over from the device's decoder", "file", info.Path, "device", r.c.req.Backend.Name(), "reason", stats.FallbackReason)
		}
	}
	tell(r.c.refInfo, r.refStats)
	for _, m := range r.members {
		tell(m.info, m.stats)
	}
}

// figures brings what was measured into columns.
func (r *run) figures() *Figures {
	first := r.work.First
	f := &Figures{
		First: first, End: r.end, Extractions: r.work.Extractions, Backend: r.c.req.Backend.Describe(), Pairs: r.pairs, ReferenceStats: r.refStats,
		Decode: time.Duration(r.decoding.Load()), Kernels: time.Duration(r.kernels.Load()),
	}
	for i, g := range r.groups {
		f.Backend = g.extract.Describe()
		out := GroupFigures{Group: g.index, First: first, End: r.end, Columns: r.rows.reference(i, 0, r.end-first)}
		for _, e := range r.work.Extractions {
			out.Valid = append(out.Valid, max(first, r.c.first+int64(e.Halo())))
		}
		f.Groups = append(f.Groups, out)
	}
	for _, m := range r.members {
		f.Renditions = append(f.Renditions, r.rendition(m))
	}
	return f
}

func (r *run) rendition(m *member) RenditionFigures {
	out := RenditionFigures{Rendition: m.index, Err: m.failure, First: m.first, End: m.first, Stats: m.stats}
	if m.failure != nil || m.slot < 0 {
		return out
	}
	out.End = max(m.first, r.end)
	if m.end >= 0 {
		out.End = min(out.End, m.end)
	}
	if m.ended >= 0 {
		out.End = min(out.End, m.ended)
	}
	out.EndedEarly = m.ended >= 0 || m.end >= 0 && out.End < m.end
	out.Columns = r.rows.distorted(m.runGroup, m.slot, out.First-r.work.First, out.End-r.work.First)
	return out
}
