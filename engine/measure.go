package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// rendition is one distorted video while it is being measured.
type rendition struct {
	video *decode.Video
	info  decode.Info
	pairs *pairs
	group int // index into measurement.groups
	slot  int // index into that group's members

	err   error // why it failed; once set, the rendition takes no further part
	ended int64 // the reference frame at which it ended early although Shortest or damage allows that; −1: not
}

// measurement is one call of [Measure].
type measurement struct {
	req        *Request
	ref        *decode.Video
	refInfo    decode.Info
	renditions []*rendition
	groups     []*group
	columns    Columns

	first, end int64 // reference frames that any rendition needs; end −1: until the reference ends
	rows       rowStore
	progress   progress
}

// Measure compares every rendition with the reference and returns series, scores and provenance.
//
// A rendition that fails has its error in the result, and the others are measured; where all fail, or the reference does, or
// ctx is cancelled, the error is Measure's. Errors name the file and, where there is one, the frame: see
// [decode.FrameError], [AmbiguousError] and the errors of packages decode and vmaf. Nothing goes on after Measure has returned.
func Measure(ctx context.Context, req Request) (_ *Result, err error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	m := &measurement{req: &req, columns: ColumnsOf(req.Plan.Extractions)}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	if m.groups, err = makeGroups(&req, m.refInfo, m.renditions); err != nil {
		return nil, err
	}
	m.rows.init(m)
	started := time.Now()
	stop := m.progress.start(m, started)
	err = m.run(ctx)
	stop()
	if err != nil {
		return nil, err
	}
	return m.result(started)
}

// open opens and indexes all inputs, side by side, and decides what is compared with what.
func (m *measurement) open(ctx context.Context) error {
	r := m.req
	config := decode.Config{
		Threads:  decoderThreads(r.Threads, 1+len(r.Distorted)),
		LumaOnly: lumaOnly(r.Plan),
		OnDamage: r.OnDamage,
		Limits:   r.Limits,
	}
	m.renditions = make([]*rendition, len(r.Distorted))
	var group errgroup.Group
	group.SetLimit(max(2, r.Threads))
	group.Go(func() (err error) {
		if m.ref, err = decode.Open(ctx, r.Reference, config); err != nil {
			return fmt.Errorf("open reference: %w", err)
		}
		m.refInfo = m.ref.Info()
		return nil
	})
	distorted := config
	distorted.AllowFormatChange = r.Scale != nil && *r.Scale != decode.NoScale
	for i, input := range r.Distorted {
		d := &rendition{ended: -1}
		m.renditions[i] = d
		d.info.Path = input.Path
		group.Go(func() error {
			video, err := decode.Open(ctx, input, distorted)
			if err != nil {
				d.err = fmt.Errorf("open distorted: %w", err)
				return nil
			}
			d.video, d.info = video, video.Info()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkWhole(r, m.refInfo, 0); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	m.first, m.end = -1, 0
	for _, d := range m.renditions {
		if d.err == nil {
			d.err = checkWhole(r, d.info, r.Offset)
		}
		if d.err == nil {
			d.err = checkShape(r, m.refInfo, d.info)
		}
		if d.err == nil {
			d.pairs, d.err = pairFrames(r, m.ref, d.video)
		}
		if d.err != nil {
			continue
		}
		if m.first < 0 || d.pairs.first < m.first {
			m.first = d.pairs.first
		}
		if d.pairs.end < 0 || m.end < 0 {
			m.end = -1
		} else {
			m.end = max(m.end, d.pairs.end)
		}
	}
	return m.anyLeft()
}

// decoderThreads is how many threads each of n decoders gets. They run side by side, and each thread of one holds a picture
// or two; twice the processors in all keeps these busy.
func decoderThreads(threads, decoders int) int {
	return min(threads, (2*threads+decoders-1)/decoders, decode.MaxThreads)
}

// anyLeft is nil while there is a rendition to measure.
func (m *measurement) anyLeft() error {
	var errs []error
	for _, d := range m.renditions {
		if d.err == nil {
			return nil
		}
		errs = append(errs, d.err)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return fmt.Errorf("%w: %w", errNoRendition, errors.Join(errs...))
}

// run measures chunk after chunk.
func (m *measurement) run(ctx context.Context) error {
	step := m.req.ChunkFrames
	if step == 0 || m.end < 0 {
		return m.chunk(ctx, m.first, m.end)
	}
	for first := m.first; first < m.end; first += step {
		if err := m.chunk(ctx, first, min(first+step, m.end)); err != nil {
			return err
		}
		if m.rows.ended(first + step) {
			return nil
		}
	}
	return nil
}

// result forms the series of every rendition from the rows.
func (m *measurement) result(started time.Time) (*Result, error) {
	r := m.req
	result := &Result{
		Reference:      m.refInfo,
		ReferenceStats: m.ref.Stats(),
		Threads:        r.Threads,
		Chunk:          r.ChunkFrames,
		Frames:         m.rows.len(),
		FirstFrame:     m.first,
	}
	if result.Frames == 0 {
		return nil, fmt.Errorf("%s: %w", m.refInfo.Path, decode.ErrNoFrames)
	}
	for _, d := range m.renditions {
		result.Renditions = append(result.Renditions, m.rendition(d))
		if d.err == nil {
			result.Backend = m.groups[d.group].extract.Describe()
		}
	}
	if err := m.anyLeft(); err != nil {
		return nil, err
	}
	result.Elapsed = time.Since(started)
	for _, d := range result.Renditions {
		if d.Table != nil {
			d.Table.FPS = float64(d.Table.Frames) / result.Elapsed.Seconds()
		}
	}
	if list, err := times(m.ref); err == nil {
		result.Times = list[m.first:min(m.first+result.Frames, int64(len(list)))]
	}
	return result, nil
}

// rendition is the result of one rendition. An error in forming it is the rendition's.
func (m *measurement) rendition(d *rendition) Rendition {
	out := Rendition{Info: d.info}
	if d.video != nil {
		out.Stats = d.video.Stats()
	}
	if d.err == nil {
		out, d.err = m.assemble(d, out)
	}
	if d.err != nil {
		return Rendition{Info: d.info, Stats: out.Stats, Err: d.err}
	}
	return out
}

func (m *measurement) assemble(d *rendition, out Rendition) (Rendition, error) {
	first, end := d.pairs.first, d.pairs.end
	if last := m.first + m.rows.len(); end < 0 || end > last {
		end = last
	}
	if d.ended >= 0 {
		end = min(end, d.ended)
	}
	if first >= end {
		return out, fmt.Errorf("%s: %w to compare", d.info.Path, decode.ErrNoFrames)
	}
	format := m.groups[d.group].format
	if c, err := cropped(format, m.req.Crop); err == nil {
		format = c
	}
	raw := m.rows.raw(m.req.Plan.Extractions, m.columns, d, first-m.first, end-m.first)
	table, err := m.req.Plan.Evaluate(raw, format.Width, format.Height, int(end-first), m.req.Subsample)
	if err != nil {
		return out, fmt.Errorf("%s: %w", d.info.Path, err)
	}
	out.Table = table
	out.Format = format
	out.Conversion, out.ReferenceConversion = m.describe(d, d.info), m.describe(d, m.refInfo)
	out.First, out.End = first, end
	out.Pairing = PairIndex
	out.Offset = d.pairs.offset
	if d.pairs.table != nil {
		out.Pairing = PairTimestamp
		out.Repeated, out.Dropped = d.pairs.repeated, d.pairs.dropped
	}
	return out, nil
}

// describe says how pictures of one input come into the rendition's format.
func (m *measurement) describe(d *rendition, from decode.Info) string {
	c, err := decode.NewConverter(m.groups[d.group].format, m.req.scale(), true)
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.Describe(from.Format)
}

// close ends everything. Errors of closing what was only read do not concern the result.
func (m *measurement) close() error {
	err := closeGroups(m.groups)
	if m.ref != nil {
		err = errors.Join(err, m.ref.Close())
	}
	for _, d := range m.renditions {
		if d != nil && d.video != nil {
			err = errors.Join(err, d.video.Close())
		}
	}
	return err
}

// motionFrames is how many frames at the start of a series have no motion, since what came before was not measured.
func motionFrames(e vmaf.Extraction) int { return e.Halo() }
