package tabular

import (
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// Granularity says what a row is of.
type Granularity uint8

// The granularities.
const (
	Aggregate Granularity = iota // all frames of a rendition
	Segment
	Frame
)

// String is its name, as the column granularity has it.
func (g Granularity) String() string { return [...]string{"aggregate", "segment", "frame"}[g] }

// Writer writes rows.
type Writer interface {
	// Append adds the rows of rendition k of a measurement. Rows of segments want segments, and rows of frames want frames; both may be
	// nil otherwise. Where the reference's frames do not all last equally long, the column seconds is empty without frames.
	Append(m *store.Measurement, k int, frames *workflow.Frames, segments []workflow.SegmentScore) error
	// Rows is how many have been appended.
	Rows() int64
	// Close writes what is left to write; the file is complete then. It does not close what it was written to, and a second time does nothing.
	Close() error
}
