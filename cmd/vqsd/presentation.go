package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/report"
	"github.com/vqsd/vqsd/vmaf"
)

// presentation is how a result is shown, and where.
type presentation struct {
	names  []string // of the renditions, for placeholders and legends
	titles []string // of the renditions, for the table: file names, with folders where they would be equal
	pools  []vmaf.PoolMethod

	logs      []place // one for each rendition, or none
	logOutput bool    // the log goes to standard output
	logFormat legacy.Format
	logDigits int // legacy.WriteOptions.Precision

	plot       *place
	plotFormat report.PlotFormat

	json       bool
	quiet      bool
	noProgress bool
}

// show writes logs and plot, and prints document or table. Whatever could be measured is shown even where a rendition failed; its
// failure is in the error.
func (p *presentation) show(ctx context.Context, stdout io.Writer, r *result) error {
	err := errors.Join(p.writeLogs(ctx, stdout, r), p.writePlot(ctx, r))
	switch {
	case p.json:
		err = errors.Join(err, writeJSON(stdout, p.document(r)))
	case !p.logOutput:
		p.printTable(stdout, r)
	}
	for _, d := range r.renditions {
		if d.err != nil {
			err = errors.Join(err, d.err)
		}
	}
	return err
}

// mostWanted is how many series a daemon can be asked for by name.
const mostWanted = 256

// wants are the series whose frames will be looked at of a rendition, as logs name them; nil: all.
func (p *presentation) wants(r *result, m *measured) []string {
	if p.writesLog() && m.log == nil {
		return nil
	}
	names := m.names(r.scoreSeries())
	if p.json {
		for _, model := range r.models {
			names = append(names, m.names(model.series)...)
		}
		names = append(names, m.featureSeries(r)...)
	}
	for i := range names {
		names[i] = vmaf.Alias(names[i])
	}
	names = unique(names)
	if m.stored != nil { // of some an imported file may have nothing but pooled figures
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(r.imported.series, name) })
	}
	if len(names) > mostWanted {
		return nil
	}
	return names
}

// writesLog says whether logs are written.
func (p *presentation) writesLog() bool { return p.logOutput || len(p.logs) > 0 }

// writeLogs writes the log of every rendition that was measured.
func (p *presentation) writeLogs(ctx context.Context, stdout io.Writer, r *result) error {
	var errs []error
	for i, d := range r.renditions {
		if d.err != nil {
			continue
		}
		fill := func(w io.Writer) error { return legacy.Write(w, p.logFormat, d.table, p.logOptions(r, &d)) }
		if d.log != nil {
			fill = func(w io.Writer) error { return d.log(ctx, w) }
		}
		switch {
		case p.logOutput:
			errs = append(errs, fill(stdout))
		case len(p.logs) > 0:
			errs = append(errs, p.logs[i].write(ctx, fill))
		}
	}
	return errors.Join(errs...)
}

// vmafossexecVersion is the version of the 1.x tools whose logs those of their forms equal.
const vmafossexecVersion = "1.3.15"

// logOptions are what the form of the logs says beside the figures: of the older programs' forms, also of the first model and the pictures.
func (p *presentation) logOptions(r *result, d *measured) legacy.WriteOptions {
	options := legacy.WriteOptions{Version: libvmafVersion, Precision: p.logDigits}
	switch p.logFormat {
	case legacy.VmafossexecXML, legacy.VmafossexecJSON, legacy.VmafossexecCSV:
		options.Version = vmafossexecVersion
	}
	if len(r.models) > 0 {
		options.Run.Model, options.Run.Score = filepath.Base(r.models[0].Version), r.models[0].Name
		if filepath.Ext(options.Run.Model) != ".json" && filepath.Ext(options.Run.Model) != ".pkl" {
			options.Run.Model += ".pkl" // as the built-in models' files were called
		}
	}
	if subsampling, err := vmaf.ParseSubsampling(d.compared.Subsampling); err == nil {
		options.Run.BitsPerComponent, options.Run.Subsampling = d.compared.BitDepth, subsampling
	}
	return options
}

// writePlot draws the score of the first model, or the first figure of the first feature, for all renditions.
func (p *presentation) writePlot(ctx context.Context, r *result) error {
	if p.plot == nil {
		return nil
	}
	metric := r.plotted()
	plot := report.Plot{
		Title:    vmaf.Alias(metric),
		Subtitle: "reference " + r.reference.Path,
		Metric:   vmaf.Alias(metric),
		Seconds:  r.times != nil,
	}
	for i, d := range r.renditions {
		if d.err != nil {
			continue
		}
		metric := d.names([]string{metric})[0]
		series, found := d.table.Column(metric)
		if !found {
			return fmt.Errorf("plot %s: nothing called %s was measured", p.plot.path, metric)
		}
		line := report.PlotSeries{Name: p.names[i]}
		for k := range d.table.Frames {
			if !d.table.Measured(k) {
				continue
			}
			value, ok := series.At(k)
			if !ok {
				value = math.NaN()
			}
			frame := d.pairs.First + int64(k)
			line.Y = append(line.Y, value)
			line.Frames = append(line.Frames, int(frame))
			if plot.Seconds {
				line.X = append(line.X, r.times[frame-r.firstFrame])
			}
		}
		for _, f := range d.pooled(series.Name, p.pools) {
			line.Pooled = append(line.Pooled, report.Figure{Name: f.Name, Value: f.Value})
		}
		plot.Series = append(plot.Series, line)
	}
	for _, fact := range r.facts() {
		plot.Facts = append(plot.Facts, report.Fact(fact))
	}
	return p.plot.write(ctx, func(w io.Writer) error { return report.WritePlot(w, p.plotFormat, plot) })
}
