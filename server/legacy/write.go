package legacy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vqsd/vqsd/vmaf"
)

// ErrUnwritable is wrapped by the errors of [Write] that say a table has no sound form in the format.
var ErrUnwritable = errors.New("libvmaf's log would be broken")

// WriteOptions are the choices of [Write] that are not in the table.
type WriteOptions struct {
	// Version is the library version that XML and JSON name, such as "3.2.0".
	Version string
	// Precision is how scores are written: 0 is libvmaf's own form (six decimals, or sixteen for a tiny fraction);
	// 1 … 17 is that many significant digits, as C's %.17g. At 17 every double is written exactly.
	Precision int
	// Pooled are pooled figures to write in place of the table's, by the written names of series and methods: those of an imported log, which
	// were formed of more digits than its frames have. What they lack is formed of the table, but a series that is listed without any figure
	// gets none.
	Pooled []Pooled
	// Run is what only the forms of the older tools say.
	Run Run
}

// poolOrder is the order of pooled figures in a log.
var poolOrder = [...]struct {
	name   string
	method vmaf.PoolMethod
}{
	{"min", vmaf.PoolMin},
	{"max", vmaf.PoolMax},
	{"mean", vmaf.PoolMean},
	{"harmonic_mean", vmaf.PoolHarmonicMean},
}

// Write writes t as libvmaf 3.2.0 would, in the order of t.Series. It reads t and keeps no reference.
//
// Frames that subsampling left out, and frames without any value, are not written; pooled figures cover the frames
// that [vmaf.Table.Pooled] covers. A table that cannot be written soundly gives an error wrapping [ErrUnwritable]
// before anything reaches w. Writing is buffered, in one pass.
func Write(w io.Writer, f Format, t *vmaf.Table, opt WriteOptions) error {
	out, err := newWriter(w, f, t, opt)
	if err != nil {
		return fmt.Errorf("write %v log: %w", f, err)
	}
	switch f {
	case XML:
		out.xml()
	case JSON:
		out.json()
	case CSV:
		out.csv()
	case SUB:
		out.sub()
	}
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("write %v log: %w", f, err)
	}
	return nil
}

// writer is one call of Write. The buffered writer keeps the first error, which Flush returns.
type writer struct {
	w     *bufio.Writer
	t     *vmaf.Table
	opt   WriteOptions
	names []string // of the series, as written
	buf   []byte   // scratch for one number
}

// newWriter checks everything that could make the file unsound.
func newWriter(w io.Writer, f Format, t *vmaf.Table, opt WriteOptions) (*writer, error) {
	if int(f) >= len(formatNames) {
		return nil, fmt.Errorf("unknown format %v", f)
	}
	if !f.libvmaf() {
		return nil, fmt.Errorf("%v: %w", f, ErrUnwritable)
	}
	if opt.Precision < 0 || opt.Precision > 17 {
		return nil, fmt.Errorf("precision %d outside 0 … 17", opt.Precision)
	}
	out := &writer{w: bufio.NewWriterSize(w, 1<<16), t: t, opt: opt, names: make([]string, len(t.Series))}
	if f == XML || f == JSON {
		if err := checkText(f, opt.Version); err != nil {
			return nil, fmt.Errorf("version %q: %w", opt.Version, err)
		}
	}
	seen := make(map[string]bool)
	for i, s := range t.Series {
		if len(s.Values) > t.Frames || s.Present != nil && len(s.Present) != len(s.Values) {
			return nil, fmt.Errorf("series %q has %d values and %d marks for %d frames", s.Name, len(s.Values), len(s.Present), t.Frames)
		}
		name := vmaf.Alias(s.Name)
		if err := checkName(f, name); err != nil {
			return nil, fmt.Errorf("series %q: %w; rename it or choose another log format", name, err)
		}
		if seen[name] {
			return nil, fmt.Errorf("series %q occurs twice: %w; give one of them another name", name, ErrUnwritable)
		}
		seen[name] = true
		out.names[i] = name
	}
	if f == XML || f == JSON {
		clear(seen)
		for _, a := range t.Aggregates {
			if err := checkName(f, a.Name); err != nil {
				return nil, fmt.Errorf("aggregate %q: %w; rename it or choose another log format", a.Name, err)
			}
			if seen[a.Name] {
				return nil, fmt.Errorf("aggregate %q occurs twice: %w", a.Name, ErrUnwritable)
			}
			seen[a.Name] = true
		}
	}
	return out, out.checkFrames(f)
}

// checkFrames refuses the missing values that a format has no room for.
func (o *writer) checkFrames(f Format) error {
	for i := 0; i < o.t.Frames; i++ {
		if !o.hasFrame(i) {
			continue
		}
		switch f {
		case JSON:
			if i > 0 && !o.hasFrame(0) {
				return fmt.Errorf("frame 0 has no value: %w, its list of frames would begin with a comma; choose another log format", ErrUnwritable)
			}
			return nil
		case CSV:
			for k, name := range o.names {
				if !has(o.t.Series[k], i) {
					return fmt.Errorf("frame %d has no %s: %w, its values would move into other columns; choose another log format", i, name, ErrUnwritable)
				}
			}
		default:
			return nil
		}
	}
	return nil
}

// checkName refuses a name of a series or aggregate that would break the file.
func checkName(f Format, name string) error {
	if name == "" {
		return fmt.Errorf("empty name: %w", ErrUnwritable)
	}
	if err := checkText(f, name); err != nil {
		return err
	}
	switch f {
	case XML:
		// Names become attribute names. XML allows some letters beyond ASCII, but which ones depends on its edition.
		for i, r := range name {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
			if !letter && (i == 0 || !(r >= '0' && r <= '9' || r == '-' || r == '.')) {
				return fmt.Errorf("%q cannot stand there in an XML attribute name: %w", r, ErrUnwritable)
			}
		}
		if name == "frameNum" {
			return fmt.Errorf("the name of the frame number's attribute: %w", ErrUnwritable)
		}
	case CSV:
		if name == "Frame" {
			return fmt.Errorf("the name of the frame number's column: %w", ErrUnwritable)
		}
	}
	return nil
}

// breaking holds, per format, the characters besides control characters that would end a name or a text early.
var breaking = [...]string{XML: `"<&`, JSON: `"\`, CSV: `",`, SUB: `|:{}`}

// checkText refuses text that would need escaping.
func checkText(f Format, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("not valid UTF-8: %w", ErrUnwritable)
	}
	for _, r := range text {
		if unicode.IsControl(r) || r == '\uFFFE' || r == '\uFFFF' || strings.ContainsRune(breaking[f], r) {
			return fmt.Errorf("%q would have to be escaped: %w", r, ErrUnwritable)
		}
	}
	return nil
}

// has says whether s has a value at frame i.
func has(s vmaf.Series, i int) bool {
	_, ok := s.At(i)
	return ok
}

// hasFrame says whether the log lists frame i.
func (o *writer) hasFrame(i int) bool {
	return o.t.Measured(i) && slices.ContainsFunc(o.t.Series, func(s vmaf.Series) bool { return has(s, i) })
}

func (o *writer) text(parts ...string) {
	for _, p := range parts {
		o.w.WriteString(p) // an error stays in o.w for Flush
	}
}

func (o *writer) int(n int) {
	o.buf = strconv.AppendInt(o.buf[:0], int64(n), 10)
	o.w.Write(o.buf)
}

func (o *writer) score(x float64) {
	o.buf = appendScore(o.buf[:0], x, o.opt.Precision)
	o.w.Write(o.buf)
}

// jsonScore writes null for what JSON has no number for.
func (o *writer) jsonScore(x float64) {
	if notFinite(x) {
		o.text("null")
		return
	}
	o.score(x)
}

func (o *writer) fps() {
	o.buf = appendFixed(o.buf[:0], o.t.FPS, 2)
	o.w.Write(o.buf)
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
