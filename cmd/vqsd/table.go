package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// grid is a table of text. The first columns are set to the left, the others to the right.
type grid struct {
	left   int // columns set to the left
	rows   [][]string
	widths []int // of what was printed so far
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes the rows, two spaces between columns, nothing behind the last one. More rows can be added after it and printed: columns
// get wider where they need to, and never narrower.
func (g *grid) print(w io.Writer) {
	for _, row := range g.rows {
		for i, cell := range row {
			if i == len(g.widths) {
				g.widths = append(g.widths, 0)
			}
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g.rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", g.widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < g.left {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	g.rows = nil
}

// printTable prints the pooled figures of every rendition, and what made them.
func (p *presentation) printTable(w io.Writer, r *result) {
	g := &grid{left: 2}
	header := []string{"rendition", "figure", "frames"}
	for _, method := range p.pools {
		header = append(header, string(method))
	}
	g.add(header...)
	for k, d := range r.renditions {
		name := printable(p.titles[k])
		if d.err != nil {
			g.add(name, "failed")
			continue
		}
		for i, series := range d.names(r.scoreSeries()) {
			row := []string{name, printable(vmaf.Alias(series)), fmt.Sprint(d.pairs.Measured)}
			if i > 0 {
				row[0], row[2] = "", ""
			}
			values := map[string]float64{}
			for _, f := range d.pooled(series, p.pools) {
				values[f.Name] = f.Value
			}
			for _, method := range p.pools {
				cell := "-"
				if v, ok := values[string(method)]; ok {
					cell = fixed(v)
				}
				row = append(row, cell)
			}
			g.add(row...)
		}
		for _, a := range d.table.Aggregates {
			row := []string{"", printable(a.Name), aggregateMethod}
			if len(p.pools) > 0 {
				row = append(row, fixed(a.Value))
			}
			g.add(row...)
		}
	}
	g.print(w)
	fmt.Fprintln(w)
	facts := &grid{left: 2}
	for _, f := range r.facts() {
		facts.add(f.Name, printable(f.Value))
	}
	facts.print(w)
}

// fixed is a figure for people.
func fixed(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return fmt.Sprintf("%.6f", v)
}

// fact is a line of what made a result.
type fact struct{ Name, Value string }

// facts say what made a result: all that a figure depends on beside the pictures.
func (r *result) facts() []fact {
	facts := []fact{{"reference", describe(r.reference)}}
	for _, model := range r.models {
		text := "not known"
		switch {
		case model.Digest != "":
			text = fmt.Sprintf("%s, sha256 %s", model.text, shortDigest(model.Digest))
		case model.Version != "":
			text = model.Version
		}
		facts = append(facts, fact{"model " + vmaf.Alias(model.series[0]), text})
	}
	for _, f := range r.features {
		facts = append(facts, fact{"feature", f.text})
	}
	for _, d := range r.renditions {
		if d.err != nil {
			continue
		}
		text := describe(d.video)
		for _, note := range r.notes(d) {
			text += "; " + note
		}
		facts = append(facts, fact{"rendition", text})
	}
	for _, warning := range r.warnings {
		facts = append(facts, fact{"warning", warning})
	}
	if r.imported != nil {
		facts = append(facts, fact{"imported from", r.imported.String()})
		for _, loss := range r.imported.Losses {
			facts = append(facts, fact{"not kept", loss})
		}
	}
	return append(facts, fact{"computed by", r.by})
}

// notes say what was done to a rendition's pictures, and which were compared, where that is not simply all of them.
func (r *result) notes(d measured) []string {
	var notes []string
	if d.compared.Conversion != "" {
		notes = append(notes, d.compared.Conversion)
	}
	if d.compared.ReferenceConversion != "" {
		notes = append(notes, "reference "+d.compared.ReferenceConversion)
	}
	if c := d.compared; c.BitDepthReason != "" && c.BitDepth > max(r.reference.BitDepth, d.video.BitDepth) {
		notes = append(notes, fmt.Sprintf("compared at %d bits: %s", c.BitDepth, c.BitDepthReason))
	}
	if e := d.compared.Encoded; e != nil {
		notes = append(notes, "for cambi encoded "+e.String())
	}
	if r.settings.Crop != nil {
		notes = append(notes, "cropped to "+*r.settings.Crop)
	}
	if d.pairs.Method == engine.PairTimestamp.String() {
		notes = append(notes, fmt.Sprintf("paired by timestamp, %d frames repeated and %d dropped", d.pairs.Repeated, d.pairs.Dropped))
	}
	if d.pairs.Offset != 0 {
		notes = append(notes, fmt.Sprintf("offset %d", d.pairs.Offset))
	}
	if frames := r.reference.Frames; d.pairs.First != 0 || frames != nil && d.pairs.End != *frames {
		notes = append(notes, fmt.Sprintf("reference frames %d:%d", d.pairs.First, d.pairs.End))
	}
	if d.table.Subsample > 1 {
		notes = append(notes, fmt.Sprintf("every %d. frame", d.table.Subsample))
	}
	if d.damage.Damaged+d.damage.Missing > 0 {
		notes = append(notes, fmt.Sprintf("%d damaged and %d missing pictures", d.damage.Damaged, d.damage.Missing))
	}
	return notes
}

// String reads "as 960x540 8 bit".
func (e *encodedFormat) String() string {
	text := "as"
	if e.Width != nil && e.Height != nil {
		text += fmt.Sprintf(" %dx%d", *e.Width, *e.Height)
	}
	if e.BitDepth != nil {
		text += fmt.Sprintf(" %d bit", *e.BitDepth)
	}
	return text
}

// describe is a video in one line.
func describe(v videoInfo) string {
	switch {
	case v.Path == "":
		return "not known"
	case v.Width == 0: // of an imported measurement: a name is all there is
		return filepath.Base(v.Path)
	}
	codec := v.Codec
	if v.Profile != "" {
		codec += " " + v.Profile
	}
	picture := fmt.Sprintf("%dx%d %s %d bit", v.Width, v.Height, v.Subsampling, v.BitDepth)
	if v.FullRange {
		picture += " full range"
	}
	parts := []string{codec, picture}
	if !v.rate.IsZero() {
		parts = append(parts, fmt.Sprintf("%.6g frames/s", v.rate.Float()))
	}
	if v.Frames != nil {
		parts = append(parts, plural(*v.Frames, "frame"))
	}
	return filepath.Base(v.Path) + ": " + strings.Join(parts, ", ")
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortDigest is enough of a digest to tell models apart; --json has all of it.
func shortDigest(digest string) string { return digest[:min(12, len(digest))] }
