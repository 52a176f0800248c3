package export

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/server/report"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// writePage writes the page of a rendition: its score over time, and what the measurement is of.
func (f *File) writePage(w io.Writer) error {
	m, d, frames := f.m, f.of(), f.frames
	series, found := plotted(m, frames.Table)
	if !found {
		return fmt.Errorf("%w: the measurement has no figures by frame, which a page draws", ErrNotInForm)
	}
	plot := report.Plot{
		Title:    vmaf.Alias(series.Name) + " of " + d.Name,
		Subtitle: "reference " + referenceName(m),
		Metric:   vmaf.Alias(series.Name),
		Seconds:  len(frames.Seconds) == frames.Table.Frames && slices.IsSorted(frames.Seconds), // a record may have times that no video has
		Facts:    facts(m, f.rendition, frames),
	}
	line := report.PlotSeries{Name: d.Name}
	for k := range frames.Table.Frames {
		if !frames.Table.Measured(k) {
			continue
		}
		value, ok := series.At(k)
		if !ok {
			value = math.NaN()
		}
		line.Y = append(line.Y, value)
		line.Frames = append(line.Frames, int(frames.First)+k)
		if plot.Seconds {
			line.X = append(line.X, frames.Seconds[k])
		}
	}
	for _, p := range pooledOf(d, series.Name) {
		line.Pooled = append(line.Pooled, report.Figure{Name: string(p.Method), Value: p.Value})
	}
	plot.Series = []report.PlotSeries{line}
	return report.WritePlot(w, report.HTML, plot)
}

// plotted is the series that a page shows: the score of the first model, or else the first one.
func plotted(m *store.Measurement, t *vmaf.Table) (vmaf.Series, bool) {
	if m.Plan != nil {
		for _, model := range m.Plan.Models {
			for _, name := range append(slices.Clone(model.Series), model.Name) {
				if s, ok := t.Column(name); ok {
					return s, true
				}
			}
		}
	}
	if len(t.Series) == 0 {
		return vmaf.Series{}, false
	}
	return t.Series[0], true
}

// referenceName is the reference as the request had it.
func referenceName(m *store.Measurement) string {
	if uri := m.Request.Reference.URI; uri != "" {
		return uri
	}
	return "unknown"
}

// facts say how the figures came about.
func facts(m *store.Measurement, rendition int, frames *workflow.Frames) []report.Fact {
	var list []report.Fact
	add := func(name, value string) {
		if value != "" {
			list = append(list, report.Fact{Name: name, Value: value})
		}
	}
	d := &m.Renditions[rendition]
	add("measurement", string(m.ID))
	if !m.Finished.IsZero() {
		add("measured", m.Finished.UTC().Format(time.RFC3339))
	}
	add("reference", joined(referenceName(m), videoText(m.Reference)))
	distorted := d.Name
	if rendition < len(m.Request.Renditions) && m.Request.Renditions[rendition].Source.URI != "" {
		distorted = m.Request.Renditions[rendition].Source.URI
	}
	add("distorted", joined(distorted, videoText(d.Video)))
	if f := d.Format; f.Width > 0 {
		add("compared", fmt.Sprintf("%d×%d, %s, %d bit", f.Width, f.Height, f.Subsampling, f.BitDepth))
	}
	add("conversion", d.Conversion)
	add("reference conversion", d.RefConvert)
	pairs := fmt.Sprintf("reference frames %d:%d", frames.First, frames.First+int64(frames.Table.Frames))
	if n := frames.Table.Subsample; n > 1 {
		pairs += fmt.Sprintf(", every %dth", n)
	}
	add("frames", joined(pairs, d.Pairing))
	if m.Plan != nil {
		var models []string
		for _, model := range m.Plan.Models {
			models = append(models, joined(model.Name, model.Version))
		}
		add("models", strings.Join(models, "; "))
		add("warnings", strings.Join(m.Plan.Warnings, "; "))
	}
	add("computed by", joined(m.Backends...))
	add("daemon", m.Daemon)
	if i := m.Imported; i != nil {
		add("imported from", joined(i.File, i.Form, i.Generation))
	}
	for _, key := range slices.Sorted(maps.Keys(m.Request.Labels)) {
		add("label "+key, m.Request.Labels[key])
	}
	return list
}

// videoText says in a few words what a video is; "" where nothing is known.
func videoText(v *store.Video) string {
	if v == nil {
		return ""
	}
	size := ""
	if v.Width > 0 && v.Height > 0 {
		size = fmt.Sprintf("%d×%d", v.Width, v.Height)
	}
	return joined(v.Codec, size, v.PixelFormat)
}

// joined is a list for people of what is not empty.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), ", ")
}
