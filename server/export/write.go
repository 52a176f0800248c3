package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/server/tabular"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// ErrNotInForm is wrapped by errors that say a measurement has no sound file in a format, such as one without the figures that the format
// consists of.
var ErrNotInForm = errors.New("cannot be written in this form")

// Source gives the figures of measurements; *[workflow.Service] is one.
type Source interface {
	Frames(ctx context.Context, id store.MeasurementID, rendition string) (*workflow.Frames, error)
	Segments(ctx context.Context, m *store.Measurement, rendition int, length workflow.SegmentLength) ([]workflow.SegmentScore, error)
}

var _ Source = (*workflow.Service)(nil)

// Options are choices of [Write], [Prepare] and [NewTable]. The zero value is what most want.
type Options struct {
	Precision  int    // significant digits of libvmaf's logs, 1–17; 0: as libvmaf writes them
	Pool       string // method of the aggregates in the vmafossexec forms: "mean", "harmonic_mean", "min"; "": mean, unnamed
	OmitFrames bool   // from a record
	Version    string // of this program, for provenance
	// Granularity is what a row of a table is of. The zero value: a rendition.
	Granularity tabular.Granularity
}

// Check reports every option that does not go with the format, by the API's names of the fields. Error: joined *[workflow.FieldError]s.
func (o Options) Check(f Format) error {
	var errs []error
	refuse := func(field, text string, args ...any) {
		errs = append(errs, &workflow.FieldError{Field: field, Err: fmt.Errorf(text, args...)})
	}
	switch {
	case o.Precision < 0 || o.Precision > 17:
		refuse("precision", "%d digits are outside 0 … 17", o.Precision)
	case o.Precision != 0 && !f.libvmaf():
		refuse("precision", "it goes with libvmaf's logs only: %s, %s, %s and %s", XML, JSON, CSV, SUB)
	}
	switch {
	case o.Pool == "":
	case !f.older():
		refuse("pool", "it goes with the vmafossexec forms only")
	case o.Pool != "mean" && o.Pool != "harmonic_mean" && o.Pool != "min":
		refuse("pool", "%.40q is not one of mean, harmonic_mean, min", o.Pool)
	}
	if o.OmitFrames && f != Record {
		refuse("omit_frames", "it goes with %s only", Record)
	}
	if o.Granularity != tabular.Aggregate && !f.Table() {
		refuse("granularity", "it goes with %s and %s only", TableCSV, TableParquet)
	}
	return errors.Join(errs...)
}

// Write writes the file of one rendition of a measurement that has succeeded. It returns what the measurement has and the format cannot hold.
//
// Errors: those of [Prepare] and [File.Write]. Nothing has been written to w where the error is of src, or wraps [ErrNotInForm].
func Write(ctx context.Context, w io.Writer, src Source, m *store.Measurement, rendition int, f Format, opt Options) (losses []string, err error) {
	file, err := Prepare(ctx, src, m, rendition, f, opt)
	if err != nil {
		return nil, err
	}
	return file.Write(w)
}

// File is the file of one rendition before it is written: all of its figures are at hand. It shares them with the store's caches and changes
// nothing.
type File struct {
	m         *store.Measurement
	rendition int
	format    Format
	opt       Options
	frames    *workflow.Frames // nil: not needed, or there are none
	segments  []workflow.SegmentScore
}

// Prepare fetches what the file of one rendition of a measurement that has succeeded needs.
//
// Errors: those of [ParseFormat] and [Options.Check]; [workflow.ErrNoRendition]; those of src.
func Prepare(ctx context.Context, src Source, m *store.Measurement, rendition int, f Format, opt Options) (*File, error) {
	if _, err := ParseFormat(string(f)); err != nil {
		return nil, err
	}
	if err := opt.Check(f); err != nil {
		return nil, err
	}
	if rendition < 0 || rendition >= len(m.Renditions) {
		return nil, fmt.Errorf("%w: number %d of %d", workflow.ErrNoRendition, rendition, len(m.Renditions))
	}
	file := &File{m: m, rendition: rendition, format: f, opt: opt}
	frames, segments := true, f == Record
	switch {
	case f.Table():
		frames, segments = opt.Granularity == tabular.Frame, opt.Granularity == tabular.Segment
	case f == Record:
		frames = !opt.OmitFrames && !frameless(m)
	}
	var err error
	if frames {
		if file.frames, err = src.Frames(ctx, m.ID, m.Renditions[rendition].Name); err != nil {
			return nil, err
		}
	}
	if segments {
		if file.segments, err = src.Segments(ctx, m, rendition, workflow.SegmentLength{}); err != nil {
			return nil, err
		}
	}
	return file, nil
}

// frameless says that a measurement was imported from a record without figures of frames.
func frameless(m *store.Measurement) bool { return m.Imported != nil && len(m.Imported.Series) == 0 }

// Write writes the file, and returns what the measurement has and the format cannot hold. Errors: [ErrNotInForm], with nothing written; what w
// returns.
func (f *File) Write(w io.Writer) (losses []string, err error) {
	switch {
	case f.format.Table():
		return nil, f.writeTable(w)
	case f.format == Record:
		return nil, f.writeRecord(w)
	case f.format == HTML:
		return nil, f.writePage(w)
	}
	return f.writeLog(w)
}

// of is the rendition.
func (f *File) of() *store.Rendition { return &f.m.Renditions[f.rendition] }

// writeRecord writes the document of one encode.
func (f *File) writeRecord(w io.Writer) error {
	d := record.FromMeasurement(f.m, f.rendition, f.frames, f.segments, f.opt.Version)
	if f.m.Imported == nil || f.m.Rescored != "" {
		d.Provenance.FPS = speed(f.m, int(d.Comparison.End-d.Comparison.First)) // as logs say it
	}
	err := record.Write(w, d)
	if errors.Is(err, record.ErrUnwritable) {
		return fmt.Errorf("%w: %w", ErrNotInForm, err)
	}
	return err
}

// pooledOf are the aggregates of a series of a rendition, as they are stored.
func pooledOf(d *store.Rendition, series string) []store.Pooled {
	for _, s := range d.Scores {
		if s.Series == series || vmaf.Alias(s.Series) == vmaf.Alias(series) {
			return s.Pooled
		}
	}
	return nil
}
