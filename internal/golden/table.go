package golden

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Table holds the per-frame figures of one pair.
type Table struct {
	Pair                 string
	Reference, Distorted string // file names of the two sides, as in the folder of clips
	Width, Height        int    // the size the two sides were compared at, luma samples
	PixFmt               string // the pixel format they were compared in, in FFmpeg's spelling
	Frames               int    // frame pairs compared
	// ReferenceDecode and DistortedDecode are the commands that made the compared frames; where there was
	// nothing to decode they say so in parentheses.
	ReferenceDecode, DistortedDecode string
	// ReferenceMD5 and DistortedMD5 are the MD5 of each compared frame's raw planar bytes, in hexadecimal.
	ReferenceMD5, DistortedMD5 []string
	Columns                    []Column // in file order

	index map[string]int
}

// Column is one figure of every frame.
type Column struct {
	Name    string
	Values  []float64 // NaN where not computed
	Present []bool    // false where not computed
}

// Complete reports whether the figure was computed for every frame.
func (c Column) Complete() bool {
	for _, p := range c.Present {
		if !p {
			return false
		}
	}
	return true
}

// Column finds a column by name.
func (t *Table) Column(name string) (Column, bool) {
	i, ok := t.index[name]
	if !ok {
		return Column{}, false
	}
	return t.Columns[i], true
}

// PooledRow holds the pooled figures of one metric of one pair. A metric that covers fewer frames than the pair has says
// so in its name, as in "float_ms_ssim[first 12 frames]".
type PooledRow struct {
	Name                         string
	Min, Max, Mean, HarmonicMean float64
}

func readTable(text string) (*Table, error) {
	t := &Table{index: map[string]int{}}
	var header []string
	for n, line := range strings.Split(text, "\n") {
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			err = t.fact(strings.TrimSpace(strings.TrimPrefix(line, "#")))
		case header == nil:
			header = strings.Split(line, "\t")
			if len(header) < 3 || header[0] != "frame" || header[1] != "ref_md5" || header[2] != "dis_md5" {
				err = fmt.Errorf("header does not begin with frame, ref_md5, dis_md5")
				break
			}
			for i, name := range header[3:] {
				t.Columns = append(t.Columns, Column{Name: name})
				t.index[name] = i
			}
		default:
			err = t.row(strings.Split(line, "\t"))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if rows := len(t.ReferenceMD5); rows != t.Frames || rows == 0 {
		return nil, fmt.Errorf("%d rows for %d frames", rows, t.Frames)
	}
	return t, nil
}

// fact takes one line of the head, such as "reference: FILE".
func (t *Table) fact(line string) error {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "pair":
		t.Pair = value
	case "reference":
		t.Reference = value
	case "distorted":
		t.Distorted = value
	case "reference decode":
		t.ReferenceDecode = value
	case "distorted decode":
		t.DistortedDecode = value
	case "compared as":
		_, err := fmt.Sscanf(strings.ReplaceAll(value, ",", " "), "%dx%d %s %d frames", &t.Width, &t.Height, &t.PixFmt, &t.Frames)
		if err != nil {
			return fmt.Errorf("compared as %q: %w", value, err)
		}
	}
	return nil
}

func (t *Table) row(fields []string) error {
	if len(fields) != 3+len(t.Columns) {
		return fmt.Errorf("%d fields, want %d", len(fields), 3+len(t.Columns))
	}
	if want := strconv.Itoa(len(t.ReferenceMD5)); fields[0] != want {
		return fmt.Errorf("frame %s, want %s", fields[0], want)
	}
	t.ReferenceMD5 = append(t.ReferenceMD5, fields[1])
	t.DistortedMD5 = append(t.DistortedMD5, fields[2])
	for i, field := range fields[3:] {
		v, ok, err := figure(field)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Columns[i].Name, err)
		}
		t.Columns[i].Values = append(t.Columns[i].Values, v)
		t.Columns[i].Present = append(t.Columns[i].Present, ok)
	}
	return nil
}

func readPooled(text string) ([]PooledRow, error) {
	var rows []PooledRow
	for n, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "metric\t") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("line %d: %d fields, want 5", n+1, len(fields))
		}
		row := PooledRow{Name: fields[0]}
		for i, to := range []*float64{&row.Min, &row.Max, &row.Mean, &row.HarmonicMean} {
			v, _, err := figure(fields[i+1])
			if err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", n+1, row.Name, err)
			}
			*to = v
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// figure reads a number of 17 significant digits, or "NA".
func figure(text string) (v float64, present bool, err error) {
	if text == "NA" {
		return math.NaN(), false, nil
	}
	v, err = strconv.ParseFloat(text, 64)
	return v, err == nil, err
}
