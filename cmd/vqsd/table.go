package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/vmaf"
)

// grid is a table of text. The first columns are set to the left, the others to the right.
type grid struct {
	left int // columns set to the left
	rows [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes the rows, two spaces between columns, nothing behind the last one.
func (g *grid) print(w io.Writer) {
	var widths []int
	for _, row := range g.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g.rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
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
}

// printTable prints the pooled figures of every rendition, and what made them.
func (m *measurement) printTable(w io.Writer, result *engine.Result) {
	g := &grid{left: 2}
	header := []string{"rendition", "figure", "frames"}
	for _, p := range m.pools {
		header = append(header, string(p))
	}
	g.add(header...)
	for k, r := range result.Renditions {
		name := printable(m.titles[k])
		if r.Err != nil {
			g.add(name, "failed")
			continue
		}
		for i, series := range m.scoreSeries() {
			row := []string{name, printable(vmaf.Alias(series)), fmt.Sprint(measuredFrames(r.Table))}
			if i > 0 {
				row[0], row[2] = "", ""
			}
			values := map[string]float64{}
			for _, p := range pooled(r.Table, series, m.pools) {
				values[p.Name] = p.Value
			}
			for _, p := range m.pools {
				cell := "-"
				if v, ok := values[string(p)]; ok {
					cell = fmt.Sprintf("%.6f", v)
				}
				row = append(row, cell)
			}
			g.add(row...)
		}
	}
	g.print(w)
	fmt.Fprintln(w)
	facts := &grid{left: 2}
	for _, f := range m.facts(result) {
		facts.add(f.Name, printable(f.Value))
	}
	facts.print(w)
}

// measuredFrames is how many frame pairs subsampling left in.
func measuredFrames(t *vmaf.Table) int {
	step := max(t.Subsample, 1)
	return (t.Frames + step - 1) / step
}

// fact is a line of what made a result.
type fact struct{ Name, Value string }

// facts say what made a result: all that a figure depends on beside the pictures.
func (m *measurement) facts(result *engine.Result) []fact {
	facts := []fact{{"reference", describe(result.Reference)}}
	for _, model := range m.request.Plan.Models {
		text := fmt.Sprintf("%s, sha256 %s", strings.TrimPrefix(model.String(), "version="), shortDigest(model.Digest))
		facts = append(facts, fact{"model " + vmaf.Alias(model.Series()[0]), text})
	}
	for _, e := range m.asked {
		facts = append(facts, fact{"feature", e.String()})
	}
	for _, r := range result.Renditions {
		if r.Err != nil {
			continue
		}
		text := describe(r.Info)
		for _, note := range m.notes(result, r) {
			text += "; " + note
		}
		facts = append(facts, fact{"rendition", text})
	}
	by := fmt.Sprintf("vqsd %s on %s, %s", version, result.Backend, plural(int64(result.Threads), "thread"))
	return append(facts, fact{"computed by", by})
}

// notes say what was done to a rendition's pictures, and which were compared, where that is not simply all of them.
func (m *measurement) notes(result *engine.Result, r engine.Rendition) []string {
	var notes []string
	if r.Conversion != "" {
		notes = append(notes, r.Conversion)
	}
	if r.ReferenceConversion != "" {
		notes = append(notes, "reference "+r.ReferenceConversion)
	}
	if m.request.Crop != nil {
		notes = append(notes, "cropped to "+m.request.Crop.String())
	}
	if r.Pairing == engine.PairTimestamp {
		notes = append(notes, fmt.Sprintf("paired by timestamp, %d frames repeated and %d dropped", r.Repeated, r.Dropped))
	}
	if r.Offset != 0 {
		notes = append(notes, fmt.Sprintf("offset %d", r.Offset))
	}
	if r.First != 0 || r.End != result.Reference.Frames && result.Reference.Frames >= 0 {
		notes = append(notes, fmt.Sprintf("reference frames %d:%d", r.First, r.End))
	}
	if r.Table.Subsample > 1 {
		notes = append(notes, fmt.Sprintf("every %d. frame", r.Table.Subsample))
	}
	if damaged := r.Stats.Damaged + r.Stats.Missing; damaged > 0 {
		notes = append(notes, fmt.Sprintf("%d damaged and %d missing pictures", r.Stats.Damaged, r.Stats.Missing))
	}
	return notes
}

// describe is a video in one line.
func describe(info decode.Info) string {
	codec := info.Codec
	if info.Profile != "" {
		codec += " " + info.Profile
	}
	parts := []string{codec, info.Format.String()}
	if !info.FrameRate.IsZero() {
		parts = append(parts, fmt.Sprintf("%.6g frames/s", info.FrameRate.Float()))
	}
	if info.Frames >= 0 {
		parts = append(parts, plural(info.Frames, "frame"))
	}
	return filepath.Base(info.Path) + ": " + strings.Join(parts, ", ")
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortDigest is enough of a digest to tell models apart; --json has all of it.
func shortDigest(digest string) string { return digest[:min(12, len(digest))] }

// finite is v for JSON, which has no other numbers.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
