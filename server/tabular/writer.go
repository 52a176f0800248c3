package tabular

import (
	"errors"
	"io"

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

// Writer writes rows. It is for one goroutine.
type Writer interface {
	// Append adds the rows of rendition k of a measurement. Rows of segments want segments; rows of frames want frames; the other is ignored, and
	// both are for aggregates, but that times of the first frame come from frames where there are.
	Append(m *store.Measurement, k int, frames *workflow.Frames, segments []workflow.SegmentScore) error
	// Rows is how many have been appended.
	Rows() int64
	// Close writes what is left to write; the file is complete then. It does not close what it was written to.
	Close() error
}

// NewCSV begins a CSV file.
func NewCSV(w io.Writer, g Granularity) (Writer, error) { return nil, errors.New("") }

// NewParquet begins a Parquet file.
func NewParquet(w io.Writer, g Granularity) (Writer, error) { return nil, errors.New("") }
