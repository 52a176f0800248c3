package vmaf

import "fmt"

// Series is one figure of every frame: a feature or a score.
type Series struct {
	Name   string    // stored name; [Alias] of it is what logs print
	Values []float64 // one per frame pair; NaN where not present
	// Present says for each frame whether it has a value. nil means that every frame has one.
	Present []bool
}

// At is the value of one frame. ok is false where it has none; an index outside the series has none.
func (s Series) At(frame int) (v float64, ok bool) {
	if frame < 0 || frame >= len(s.Values) || s.Present != nil && !s.Present[frame] {
		return 0, false
	}
	return s.Values[frame], true
}

// Aggregate is a figure of a whole sequence that no pooling of a series gives.
type Aggregate struct {
	Name  string
	Value float64
}

// Table is everything that was measured of one pair of videos, in the order in which a single-threaded run of libvmaf
// reports it. Its slices are shared, not to be written to.
type Table struct {
	Frames        int // frame pairs submitted, whether measured or skipped by subsampling
	Subsample     int // every how many frames were measured; 1 is all, and so is 0
	Width, Height int // size of the compared pictures, luma samples
	FPS           float64
	Series        []Series
	Aggregates    []Aggregate
}

// Measured reports whether subsampling left the frame in.
func (t *Table) Measured(frame int) bool { return t.Subsample <= 1 || frame%t.Subsample == 0 }

// Column finds a series by its stored name, or by the alias that logs print.
func (t *Table) Column(name string) (Series, bool) {
	for _, s := range t.Series {
		if s.Name == name || Alias(s.Name) == name {
			return s, true
		}
	}
	return Series{}, false
}

// Pooled reduces a series to one figure over the frames that subsampling left in. ok is false where that is not possible: one
// of these frames has no value, or there are none, or the method is unknown.
//
// Source: spec/legacy-logs.md A.2.
func (t *Table) Pooled(series int, m PoolMethod) (v float64, ok bool) {
	s := t.Series[series]
	step := max(t.Subsample, 1)
	values := make([]float64, 0, t.Frames/step+1)
	for i := 0; i < t.Frames; i += step {
		v, ok := s.At(i)
		if !ok {
			return 0, false
		}
		values = append(values, v)
	}
	v, err := Pool(m, values)
	return v, err == nil
}

// check requires of sizes what evaluation needs.
func (t *Table) check() error {
	switch {
	case t.Frames < 1:
		return ErrNoFrames
	case t.Subsample < 0:
		return fmt.Errorf("subsampling interval %d is negative", t.Subsample)
	case t.Width < 1 || t.Height < 1:
		return fmt.Errorf("picture size %d×%d is not positive", t.Width, t.Height)
	}
	return nil
}
