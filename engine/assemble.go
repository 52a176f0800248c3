package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// assembly brings the figures of several works together, in whatever order they come.
type assembly struct {
	c     *Comparison
	parts []*Figures
}

func (a *assembly) add(f *Figures) { a.parts = append(a.parts, f) }

// failures are, for each rendition, why it could not be measured: at opening, or in the earliest work that says so.
func (a *assembly) failures() []error {
	errs := make([]error, len(a.c.renditions))
	at := make([]int64, len(errs))
	for k, d := range a.c.renditions {
		errs[k] = d.err
	}
	for _, f := range a.parts {
		for _, r := range f.Renditions {
			if k := r.Rendition; r.Err != nil && a.c.renditions[k].err == nil && (errs[k] == nil || f.First < at[k]) {
				errs[k], at[k] = r.Err, f.First
			}
		}
	}
	return errs
}

// stats adds up what the decoder of rendition k met.
func (a *assembly) stats(k int) decode.Stats {
	var sum decode.Stats
	for _, f := range a.parts {
		for _, r := range f.Renditions {
			if r.Rendition == k {
				sum = addStats(sum, r.Stats)
			}
		}
	}
	return sum
}

func addStats(a, b decode.Stats) decode.Stats {
	return decode.Stats{
		Delivered: a.Delivered + b.Delivered, Damaged: a.Damaged + b.Damaged, Missing: a.Missing + b.Missing,
		FormatChanges: a.FormatChanges + b.FormatChanges, Fallbacks: a.Fallbacks + b.Fallbacks,
		FallbackReason: cmp.Or(a.FallbackReason, b.FallbackReason),
	}
}

// compared is the range of reference frames at which rendition k was compared.
func (a *assembly) compared(k int) (first, end int64) {
	first, early := a.c.renditions[k].pairs.first, int64(-1)
	end = first
	for _, f := range a.parts {
		for _, r := range f.Renditions {
			if r.Rendition != k {
				continue
			}
			end = max(end, r.End)
			if r.EndedEarly && (early < 0 || r.End < early) {
				early = r.End
			}
		}
	}
	if early >= 0 {
		end = min(end, early)
	}
	return first, end
}

// piece is columns of one extraction for reference frames from first on.
type piece struct {
	first   int64
	columns [][]float64
}

// pieces are the columns of one extraction for rendition k, in the order of frames.
func (a *assembly) pieces(e vmaf.Extraction, k int) []piece {
	var list []piece
	key, d := e.RawKey(), a.c.renditions[k]
	for _, f := range a.parts {
		i := slices.IndexFunc(f.Extractions, func(have vmaf.Extraction) bool {
			return have.WithEncoded(d.encoded, a.c.groups[d.group].compared).RawKey() == key
		})
		if i < 0 {
			continue
		}
		if e.ReferenceOnly() {
			for _, g := range f.Groups {
				if g.Group == a.c.renditions[k].group {
					list = append(list, piece{g.First, g.Columns[i]})
				}
			}
			continue
		}
		for _, r := range f.Renditions {
			if r.Rendition == k && r.Columns != nil {
				list = append(list, piece{r.First, r.Columns[i]})
			}
		}
	}
	slices.SortFunc(list, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
	return list
}

// raw is all figures of rendition k, for frames [first, end): by extraction, figure and frame. Frames that several works
// measured have the same figures in each.
func (a *assembly) raw(extractions []vmaf.Extraction, k int, first, end int64) ([][][]float64, error) {
	raw := make([][][]float64, len(extractions))
	for i, e := range extractions {
		raw[i] = make([][]float64, len(e.Raw()))
		for c := range raw[i] {
			raw[i][c] = make([]float64, end-first)
		}
		at := first
		for _, p := range a.pieces(e, k) {
			until := p.first + int64(len(p.columns[0]))
			if p.first > at || until <= at {
				continue
			}
			until = min(until, end)
			for c, column := range p.columns {
				copy(raw[i][c][at-first:until-first], column[at-p.first:])
			}
			at = until
			if at == end {
				break
			}
		}
		if at < end {
			return nil, fmt.Errorf("%s: frame %d has not been measured", e.Key(), at)
		}
		if e.ReferenceOnly() {
			// What came before the rendition's first frame does not count, even where another rendition begins earlier.
			for _, column := range raw[i] {
				clear(column[:min(e.Halo(), len(column))])
			}
		}
	}
	return raw, nil
}

// table forms the series and scores of rendition k. What it returns beside it is the range of reference frames that was compared.
func (a *assembly) table(plan *vmaf.Plan, k int) (table *vmaf.Table, first, end int64, err error) {
	d := a.c.renditions[k]
	first, end = a.compared(k)
	if first >= end {
		return nil, 0, 0, fmt.Errorf("%s: %w to compare", d.info.Path, decode.ErrNoFrames)
	}
	format := a.c.groups[d.group].compared
	if plan, err = plan.WithEncoded(d.encoded, format); err != nil {
		return nil, 0, 0, fmt.Errorf("%s: %w", d.info.Path, err)
	}
	raw, err := a.raw(plan.Extractions, k, first, end)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%s: %w", d.info.Path, err)
	}
	if table, err = plan.Evaluate(raw, format, int(end-first), a.c.req.Subsample); err != nil {
		return nil, 0, 0, fmt.Errorf("%s: %w", d.info.Path, err)
	}
	return table, first, end, nil
}
