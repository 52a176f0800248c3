package tabular

import (
	"bufio"
	"errors"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// csvWriter writes RFC 4180, with line feeds alone at the ends of lines.
type csvWriter struct {
	w           *bufio.Writer
	granularity Granularity
	rows        int64
	shared      []byte // the columns that all rows of the rendition share
	line        []byte
	closed      bool
}

// NewCSV begins a CSV file, whose first line names the columns.
func NewCSV(w io.Writer, g Granularity) (Writer, error) {
	out := &csvWriter{w: bufio.NewWriterSize(w, 64<<10), granularity: g}
	_, err := out.w.WriteString(strings.Join(columnNames(), ",") + "\n")
	return out, err
}

// columnNames are the names of the columns.
func columnNames() []string {
	var names []string
	for field := range reflect.TypeFor[row]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("parquet"), ",")
		names = append(names, name)
	}
	return names
}

func (c *csvWriter) Rows() int64 { return c.rows }

func (c *csvWriter) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	return c.w.Flush()
}

func (c *csvWriter) Append(m *store.Measurement, k int, f *workflow.Frames, segments []workflow.SegmentScore) error {
	if c.closed {
		return errClosed
	}
	if err := check(m, k); err != nil {
		return err
	}
	r, err := common(m, k, c.granularity)
	if err != nil {
		return err
	}
	c.shared = appendShared(c.shared[:0], &r)
	return rows(r, m, k, c.granularity, f, segments, c.put)
}

var errClosed = errors.New("the table is closed")

func (c *csvWriter) put(r *row) error {
	b := append(c.line[:0], c.shared...)
	b = append(strconv.AppendInt(b, r.FirstFrame, 10), ',')
	b = append(strconv.AppendInt(b, r.EndFrame, 10), ',')
	if r.Seconds != nil {
		b = appendDouble(b, *r.Seconds)
	}
	b = append(b, ',')
	for _, s := range [...]string{r.Series, r.Model, r.ModelVersion, r.Pooling} {
		b = append(appendText(b, s), ',')
	}
	c.line = append(appendDouble(b, r.Value), '\n')
	c.rows++
	_, err := c.w.Write(c.line)
	return err
}

// appendShared appends what all rows of a rendition begin with.
func appendShared(b []byte, r *row) []byte {
	comma := func(field []byte) { b = append(field, ',') }
	comma(appendText(b, r.Measurement))
	comma(instant(r.CreateTime).AppendFormat(b, time.RFC3339Nano))
	if r.FinishTime != 0 {
		b = instant(r.FinishTime).AppendFormat(b, time.RFC3339Nano)
	}
	comma(b)
	for _, s := range [...]string{r.Labels, r.Reference, r.ReferenceFingerprint, r.Rendition, r.Distorted, r.Fingerprint, r.Codec} {
		comma(appendText(b, s))
	}
	for _, n := range [...]int32{r.Width, r.Height, r.BitDepth} {
		comma(appendKnown(b, int64(n)))
	}
	if r.FrameRate != 0 {
		b = appendDouble(b, r.FrameRate)
	}
	comma(b)
	comma(appendKnown(b, r.BitRate))
	comma(appendText(b, r.Granularity))
	return b
}

// appendKnown appends a number, or nothing where it is 0, which is unknown.
func appendKnown(b []byte, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(b, n, 10)
}

// appendDouble appends a number with as many digits as give the same bits again.
func appendDouble(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "nan"...)
	case math.IsInf(v, 1):
		return append(b, "inf"...)
	case math.IsInf(v, -1):
		return append(b, "-inf"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendText appends a text, in quotes where it could be misread without.
func appendText(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
