package record

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// Form is what [store.Imported] calls records.
const Form = "record"

// Generation is what [store.Imported] says of who wrote a record.
const Generation = "encode record, version 1"

// Parts of a record that a store has no other place for, by their names in [store.Imported.Details].
const (
	detailReference  = "record.reference"
	detailDistorted  = "record.distorted"
	detailComparison = "record.comparison"
	detailProvenance = "record.provenance"
	detailName       = "record.name"
)

// maxDetails bounds these together, in bytes: a measurement is one value of the store.
const maxDetails = 256 << 10

// ImportRequest is what of the document goes into a store. Owner, Imported.Digest and Imported.File are left to the caller; sources have URI and Raw
// only: whether they lie below a media root is the caller's to find out. Where the record has no frames, the table has no series.
//
// Nothing of a record is lost: what the request has no field for is among Imported.Details, where [FromMeasurement] finds it, and what the record has
// that this package does not know is among Imported.Losses.
//
// Errors: [ErrInconsistent], never of what Read returned; [ErrLimit] where the details are too many for one value of a store.
func (d *Document) ImportRequest() (workflow.ImportRequest, error) {
	var problems []error
	d.contradictions(func(pointer, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: "+format+": %w", append(append([]any{pointer}, args...), ErrInconsistent)...))
	})
	if problems != nil {
		return workflow.ImportRequest{}, errors.Join(problems...)
	}
	stored := d.storedNames()
	details, err := d.details()
	if err != nil {
		return workflow.ImportRequest{}, err
	}
	req := workflow.ImportRequest{
		Labels:    d.Measurement.Labels,
		Reference: store.Source{URI: d.Reference.URI, Raw: d.Reference.Raw},
		Rendition: store.RenditionRequest{
			Name: d.Distorted.Name, Source: store.Source{URI: d.Distorted.URI, Raw: d.Distorted.Raw},
		},
		ReferenceVideo: d.Reference.Info,
		Video:          d.Distorted.Info,
		Format:         d.Comparison.Format,
		First:          d.Comparison.First,
		Measured:       d.Measurement.Finished,
	}
	if req.Measured.IsZero() {
		req.Measured = d.Measurement.Created
	}
	for _, m := range d.Provenance.Models {
		series := m.Series
		m.Series = nil
		for _, s := range series {
			m.Series = append(m.Series, cmp.Or(stored[s], s))
		}
		req.Models = append(req.Models, m)
	}
	req.Table = d.table(stored)
	if d.Frames != nil {
		req.First, req.Seconds = d.Frames.First, d.Frames.Seconds
	}
	req.Imported = store.Imported{
		Form: Form, Generation: Generation, Version: d.writer(),
		Pooled: d.scores(stored, d.Scores), Aggregates: d.Aggregates,
		Width: d.Comparison.Format.Width, Height: d.Comparison.Format.Height,
		Frames: int64(req.Table.Frames), Step: int64(req.Table.Subsample),
		Details: details, Losses: d.losses(),
	}
	for _, s := range req.Table.Series {
		req.Imported.Series = append(req.Imported.Series, s.Name)
	}
	if d.Frames != nil && d.Frames.Numbers != nil {
		req.Imported.Step = 0
	}
	for _, c := range d.Chunks {
		req.Segments = append(req.Segments, workflow.SegmentScore{First: c.First, End: c.End, Scores: d.scores(stored, c.Scores)})
	}
	return req, nil
}

// writer is who wrote the record.
func (d *Document) writer() string {
	if d.Program.Name == "vqsd" {
		return d.Program.Version
	}
	return strings.TrimSpace(d.Program.Name + " " + d.Program.Version)
}

// losses says what of the record goes nowhere.
func (d *Document) losses() []string {
	var list []string
	for _, pointer := range d.Unknown {
		list = append(list, pointer+": this version does not know the member")
	}
	derived := d.Frames != nil && d.Frames.Seconds != nil || d.Reference.Info != nil && d.Reference.Info.Timestamps && d.Reference.Info.FrameRateNum > 0
	if !derived && slices.ContainsFunc(d.Chunks, func(c Chunk) bool { return c.FirstSecond != nil }) {
		list = append(list, "first_second of chunks: neither times of frames nor the reference's frame rate come with it")
	}
	return list
}

// storedNames are the stored names of series that are described, by their names in the record. Others are stored as they are called.
func (d *Document) storedNames() map[string]string {
	stored := map[string]string{}
	for _, s := range d.Series {
		stored[s.Name] = cmp.Or(s.Stored, s.Name)
	}
	return stored
}

// scores are pooled figures by stored names.
func (d *Document) scores(stored map[string]string, from []Score) []store.Score {
	models := map[string]string{}
	for _, s := range d.Series {
		models[s.Name] = s.Model
	}
	var list []store.Score
	for _, s := range from {
		list = append(list, store.Score{Series: cmp.Or(stored[s.Series], s.Series), Model: models[s.Series], Pooled: s.Pooled})
	}
	return list
}

// table is the table of all frames.
func (d *Document) table(stored map[string]string) *vmaf.Table {
	t := &vmaf.Table{
		Frames: int(d.Comparison.End - d.Comparison.First), Subsample: max(d.Comparison.Subsample, 1),
		Width: d.Comparison.Format.Width, Height: d.Comparison.Format.Height, FPS: d.Provenance.FPS, Aggregates: d.Aggregates,
	}
	f := d.Frames
	if f == nil {
		return t
	}
	t.Frames = int(f.End - f.First)
	if f.Numbers == nil {
		t.Subsample = int(max(f.Step, 1))
	}
	for _, c := range d.ordered() {
		s := vmaf.Series{Name: cmp.Or(stored[c.Name], c.Name), Values: c.Values, Present: c.Present}
		if f.Numbers != nil || t.Subsample > 1 {
			s.Values, s.Present = f.spread(c, t.Frames)
		}
		t.Series = append(t.Series, s)
	}
	return t
}

// ordered are the columns in the order of the descriptions of series, and behind them those without one. Members of objects have no order that all tools keep.
func (d *Document) ordered() []Column {
	rank := map[string]int{}
	for i, s := range d.Series {
		rank[s.Name] = i - len(d.Series)
	}
	columns := slices.Clone(d.Frames.Columns)
	slices.SortStableFunc(columns, func(a, b Column) int { return rank[a.Name] - rank[b.Name] })
	return columns
}

// spread puts a column's values at their frames.
func (f *Frames) spread(c Column, frames int) (values []float64, present []bool) {
	values, present = make([]float64, frames), make([]bool, frames)
	for i := range values {
		values[i] = math.NaN()
	}
	for i, v := range c.Values {
		if c.Present == nil || c.Present[i] {
			at := f.number(i) - f.First
			values[at], present[at] = v, true
		}
	}
	if !slices.Contains(present, false) {
		present = nil
	}
	return values, present
}

// details are the parts of the record that a request has no field for, as JSON. Model's series keep the record's names.
func (d *Document) details() (map[string]string, error) {
	reference, distorted, provenance := d.Reference, d.Distorted, d.Provenance
	reference.Info, distorted.Info = nil, nil // those are fields of the request
	list := map[string]string{detailName: d.Measurement.Name}
	size := 0
	for name, v := range map[string]value{
		detailReference: reference.value(false), detailDistorted: distorted.value(true),
		detailComparison: d.Comparison.value(), detailProvenance: provenance.value(),
	} {
		var b bytes.Buffer
		out := &writer{w: bufio.NewWriter(&b)}
		flat{v}.write(out)
		if err := errors.Join(append(out.problems, out.w.Flush())...); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list[name] = b.String()
		size += b.Len()
	}
	if size > maxDetails {
		return nil, fmt.Errorf("what the record says of videos, comparison and origin takes %d bytes, and %d is the most that is kept: %w", size, maxDetails, ErrLimit)
	}
	return list, nil
}

// restore takes what a measurement keeps of the record that it was made of, where the measurement itself does not know better.
func (d *Document) restore(m *store.Measurement) {
	was := &Document{}
	for name, v := range map[string]value{
		detailReference: was.Reference.value(false), detailDistorted: was.Distorted.value(true),
		detailComparison: was.Comparison.value(), detailProvenance: was.Provenance.value(),
	} {
		text, ok := m.Imported.Details[name]
		if !ok || newReader(strings.NewReader(text), Limits{}.withDefaults()).document(v) != nil {
			return // kept by a version that kept something else; what the measurement knows is said then
		}
	}
	d.Reference.Fingerprint = cmp.Or(d.Reference.Fingerprint, was.Reference.Fingerprint)
	d.Distorted.Fingerprint = cmp.Or(d.Distorted.Fingerprint, was.Distorted.Fingerprint)
	d.Reference.Damage = cmp.Or(d.Reference.Damage, was.Reference.Damage)
	d.Distorted.Damage = cmp.Or(d.Distorted.Damage, was.Distorted.Damage)
	d.Comparison = was.Comparison
	d.Provenance.restore(&was.Provenance, m.Rescored != "")
}

// restore takes from the provenance of a record what a measurement that was made of it does not say. One that was scored anew has models, rules
// and warnings of its own.
func (p *Provenance) restore(was *Provenance, rescored bool) {
	p.Workers, p.Backends = was.Workers, was.Backends
	p.FPS = cmp.Or(p.FPS, was.FPS)
	if was.Imported != nil { // where the figures first came from tells more
		p.Imported = was.Imported
	}
	if rescored {
		return
	}
	p.Daemon, p.Rules, p.RulesDigest, p.Warnings, p.RescoredFrom = was.Daemon, was.Rules, was.RulesDigest, was.Warnings, was.RescoredFrom
	if len(p.Models) == 0 {
		p.Models = was.Models
	}
}
