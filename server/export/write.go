package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// ErrNotInForm is wrapped by the errors of [Write] that say a measurement has no sound file in a format, such as one without the figures that
// the format consists of.
var ErrNotInForm = errors.New("cannot be written in this form")

// Source gives the figures of measurements; *[workflow.Service] is one.
type Source interface {
	Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error)
	Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error)
}

var _ Source = (*workflow.Service)(nil)

// Options are choices of [Write]. The zero value is what most want.
type Options struct {
	Precision  int    // significant digits of libvmaf's logs; 0: as libvmaf writes them
	Pool       string // method of the aggregates in the vmafossexec forms: "mean", "harmonic_mean", "min"; "": mean, unnamed
	OmitFrames bool   // from a record
	Version    string // of this program, for provenance
}

// Write writes the file of one rendition of a measurement that has succeeded. It returns what the measurement has and the format cannot hold.
//
// Errors: those of src; [ErrNotInForm]; what w returns. Nothing has been written to w where the error wraps [ErrNotInForm].
func Write(ctx context.Context, w io.Writer, src Source, m *store.Measurement, rendition int, f Format, opt Options) (losses []string, err error) {
	return nil, fmt.Errorf("%w: %s", ErrNotInForm, f)
}
