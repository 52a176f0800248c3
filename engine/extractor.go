package engine

import (
	"context"

	"github.com/vqsd/vqsd/vmaf"
)

// FrameSet is one reference picture with what it is compared with. All pictures have the extractor's format.
type FrameSet struct {
	Reference *vmaf.Picture
	// Previous are the reference pictures one and two frames earlier; nil where there is none, which is at the start of the
	// measured range alone. Only as many are set as the plan's halo asks for.
	Previous [2]*vmaf.Picture
	// Distorted has one picture for each rendition; nil where that rendition is not measured at this frame.
	Distorted []*vmaf.Picture
	// Partial says of which renditions only those figures are wanted that are formed of every pair ([vmaf.Extraction.EveryFrame]), since
	// subsampling leaves this one out; the others are left as they are. Nil: of none.
	Partial []bool
}

func (s *FrameSet) partial(rendition int) bool { return s.Partial != nil && s.Partial[rendition] }

// Row is where the figures of one [FrameSet] go.
type Row struct {
	// Reference has room for the figures that depend on the reference alone, see [Columns].
	Reference []float64
	// Distorted has, for each rendition that has a picture in the set, room for the figures of that pair; the others are
	// left as they are.
	Distorted [][]float64
}

// Extractor computes the raw figures of features on some device. It is made for one format, a list of extractions, and renditions of
// which it knows what they were encoded in ([vmaf.Encoded]).
//
// The contract: figures depend on the pictures of their own set alone, and two extractors for equal arguments give equal
// bits, whatever device they use. Extract may be called from [Extractor.Workers] goroutines at a time. It keeps no
// reference to pictures or rows after it returned, and reads pictures without changing them. After an error the rows' contents are
// unspecified and the extractor may only be closed. Cancelling ctx makes Extract return soon with ctx's error.
type Extractor interface {
	// Extract measures sets[i] into rows[i]. len(sets) is between 1 and BatchFrames.
	Extract(ctx context.Context, sets []FrameSet, rows []Row) error
	// BatchFrames is the largest number of sets that one call takes, and the best one to give.
	BatchFrames() int
	// Workers is how many goroutines should call Extract at a time.
	Workers() int
	// Describe says what computes, for people and provenance: "cpu (avx512dl)".
	Describe() string
	// Close frees what the extractor holds. No Extract may be running.
	Close() error
}

// Columns says where in a [Row] the raw figures of each extraction are.
type Columns struct {
	// Offset is, for each extraction, the index of its first figure in Row.Reference or in Row.Distorted[k].
	Offset []int
	// Count is the number of figures of each extraction.
	Count []int
	// ReferenceOnly says for each extraction that its figures are in Row.Reference.
	ReferenceOnly []bool
	// Reference and Distorted are the lengths of Row.Reference and Row.Distorted[k].
	Reference, Distorted int
}

// ColumnsOf lays out the figures of a list of extractions.
func ColumnsOf(extractions []vmaf.Extraction) Columns {
	var c Columns
	for _, e := range extractions {
		n := len(e.Raw())
		at := &c.Distorted
		if e.ReferenceOnly() {
			at = &c.Reference
		}
		c.Offset = append(c.Offset, *at)
		c.Count = append(c.Count, n)
		c.ReferenceOnly = append(c.ReferenceOnly, e.ReferenceOnly())
		*at += n
	}
	return c
}
