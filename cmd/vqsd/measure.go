package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/report"
	"github.com/vqsd/vqsd/vmaf"
)

// libvmafVersion is the version that logs name: that of the program whose logs they equal.
const libvmafVersion = "3.2.0"

const measureLong = `Compare one or more distorted videos with the reference they were made from,
frame by frame, and print pooled scores. All of them share one decode of the
reference and all computation that depends on it alone.

Files. A file's format is told by its contents. "-" is standard input, which
must be y4m, or headerless with --raw-video. --raw-video describes standard
input, pipes, and files named *.yuv, *.raw or *.i420; other files have a
header.

Pairs. Frame n of the reference is compared with frame n of the distorted
video, counting shown frames from 0. Where frame counts or rates differ that
would be a guess, and vqsd refuses and names the flags that decide: --pairing
index counts whatever the rates, --pairing timestamp takes the frame nearest in
time, --shortest leaves out what has no counterpart, --offset and --frames
choose by hand.

Pictures. A distorted picture of another size is scaled to the reference's
(--scale, swscale with that filter's flag alone); one of fewer bits is widened,
or the reference is if it has fewer. --crop cuts both after that.

Models. --model takes a built-in model's name (vqsd models lists them) or
path=FILE.json for a file in the public layout, and, separated by colons,
name=NAME, enable_transform, disable_clip and options of features, as libvmaf
does. One model's score is called vmaf unless it is named; several are called
by their versions. --feature asks for the figures of a feature extractor beside
those of the models: vif, adm or motion, with options, as in
vif:vif_enhn_gain_limit=1.

Output. A table, or with --json a document; --log writes every frame's figures
as libvmaf 3.2.0 does, to the byte, and --plot draws the first model's score
over time. With several distorted videos the log's name needs a placeholder:
{name} (or {}) is the video's name without folder and extension, {n} its number
from 1.`

const measureExample = `  vqsd measure -r reference.mp4 -d encode.mp4
  vqsd measure -r reference.mp4 -d 1080p.mp4 -d 720p.mp4 --log 'vmaf-{name}.xml' --plot vmaf.svg
  vqsd measure -r reference.mp4 -d encode.mp4 --model vmaf_v0.6.1 --model vmaf_v0.6.1neg --json
  vqsd measure -r reference.mp4 -d encode.mp4 --model vmaf_v0.6.1:enable_transform:name=phone
  vqsd measure -r reference.mov -d broadcast.ts --pairing timestamp --shortest --frames 0:1500
  vqsd measure -r ref_1920x1080.yuv -d dis_1920x1080.yuv --raw-video 1920x1080:yuv420p10le:25
  ffmpeg -v error -i encode.mp4 -f yuv4mpegpipe - | vqsd measure -r reference.y4m -d -`

func (a *app) measureCommand() *cobra.Command {
	var f measureFlags
	c := &cobra.Command{
		Use:     "measure -r REFERENCE -d DISTORTED [-d DISTORTED …]",
		Short:   "compare distorted videos with their reference",
		Long:    measureLong,
		Example: measureExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := f.parse(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return a.measure(cmd.Context(), m)
		},
	}
	f.define(c)
	return c
}

// measurement is what the flags of measure ask for, wholly checked.
type measurement struct {
	request engine.Request
	names   []string // of the renditions, for placeholders and legends
	titles  []string // of the renditions, for the table: file names, with folders where they would be equal

	asked []vmaf.Extraction // features asked for beside the models'
	pools []vmaf.PoolMethod

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

// measure does what was asked. Whatever could be measured is written and printed even where a rendition failed.
func (a *app) measure(ctx context.Context, m *measurement) error {
	inputs, err := a.openStandardInput(&m.request)
	if err != nil {
		return err
	}
	defer inputs()
	p := a.newProgress(m)
	m.request.Progress = p.update
	result, err := engine.Measure(ctx, m.request)
	p.end(result)
	if err != nil {
		return err
	}
	err = errors.Join(m.writeLogs(ctx, a.stdout, result), m.writePlot(ctx, result))
	switch {
	case m.json:
		err = errors.Join(err, writeJSON(a.stdout, m.document(result)))
	case !m.logOutput:
		m.printTable(a.stdout, result)
	}
	for _, r := range result.Renditions {
		if r.Err != nil {
			err = errors.Join(err, r.Err)
		}
	}
	return err
}

// writeLogs writes the log of every rendition that was measured.
func (m *measurement) writeLogs(ctx context.Context, stdout io.Writer, result *engine.Result) error {
	options := legacy.WriteOptions{Version: libvmafVersion, Precision: m.logDigits}
	var errs []error
	for i, r := range result.Renditions {
		if r.Err != nil {
			continue
		}
		fill := func(w io.Writer) error { return legacy.Write(w, m.logFormat, r.Table, options) }
		switch {
		case m.logOutput:
			errs = append(errs, fill(stdout))
		case len(m.logs) > 0:
			errs = append(errs, m.logs[i].write(ctx, fill))
		}
	}
	return errors.Join(errs...)
}

// writePlot draws the score of the first model, or the first figure of the first feature, for all renditions.
func (m *measurement) writePlot(ctx context.Context, result *engine.Result) error {
	if m.plot == nil {
		return nil
	}
	metric := m.plotted()
	plot := report.Plot{
		Title:    vmaf.Alias(metric),
		Subtitle: "reference " + result.Reference.Path,
		Metric:   vmaf.Alias(metric),
		Seconds:  result.Times != nil,
	}
	for i, r := range result.Renditions {
		if r.Err != nil {
			continue
		}
		series, found := r.Table.Column(metric)
		if !found {
			return fmt.Errorf("plot %s: nothing called %s was measured", m.plot.path, metric)
		}
		line := report.PlotSeries{Name: m.names[i]}
		for k := range r.Table.Frames {
			if !r.Table.Measured(k) {
				continue
			}
			value, ok := series.At(k)
			if !ok {
				value = math.NaN()
			}
			frame := r.First + int64(k)
			line.Y = append(line.Y, value)
			line.Frames = append(line.Frames, int(frame))
			if plot.Seconds {
				line.X = append(line.X, result.Times[frame-result.FirstFrame].Seconds())
			}
		}
		for _, p := range pooled(r.Table, series.Name, m.pools) {
			line.Pooled = append(line.Pooled, report.Figure{Name: p.Name, Value: p.Value})
		}
		plot.Series = append(plot.Series, line)
	}
	for _, fact := range m.facts(result) {
		plot.Facts = append(plot.Facts, report.Fact(fact))
	}
	return m.plot.write(ctx, func(w io.Writer) error { return report.WritePlot(w, m.plotFormat, plot) })
}

// plotted is the stored name of the figure that a plot shows.
func (m *measurement) plotted() string {
	if models := m.request.Plan.Models; len(models) > 0 {
		return models[0].Series()[0]
	}
	return m.asked[0].Series()[0]
}

// scoreSeries are the series that a table shows: of each model the score, and of a collection what says how sure it is;
// then those of the features asked for.
func (m *measurement) scoreSeries() []string {
	var names []string
	for _, model := range m.request.Plan.Models {
		series := model.Series()
		names = append(names, series[0])
		if model.IsCollection() {
			names = append(names, series[len(series)-collectionTail:]...)
		}
	}
	return append(names, m.askedSeries()...)
}

// collectionTail is how many series a collection has after its members': bagging score, standard deviation, bounds of the
// confidence interval.
const collectionTail = 4

// askedSeries are the series of the features asked for, by stored name.
func (m *measurement) askedSeries() []string {
	var names []string
	for _, e := range m.asked {
		names = append(names, e.Series()...)
	}
	return unique(names)
}

// figure is a pooled value.
type figure struct {
	Name  string
	Value float64
}

// pooled are the pooled values of one series; methods that cannot be had of it are left out.
func pooled(t *vmaf.Table, name string, methods []vmaf.PoolMethod) []figure {
	var list []figure
	for i, s := range t.Series {
		if s.Name != name {
			continue
		}
		for _, method := range methods {
			if v, ok := t.Pooled(i, method); ok {
				list = append(list, figure{string(method), v})
			}
		}
	}
	return list
}

// unique leaves out repetitions.
func unique(names []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

// joined is a list for people.
func joined[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
