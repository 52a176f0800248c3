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
var ErrUnwritable = errors.New("the log would be broken")

// WriteOptions are the choices of [Write] that are not in the table.
type WriteOptions struct {
	// Version is the version of the program that XML and JSON name: "3.2.0" of libvmaf's, "1.3.15" of vmafossexec's.
	Version string
	// Precision is how scores are written: 0 is the form's own way, libvmaf's being six decimals, or sixteen for a tiny fraction;
	// 1 … 17 is that many significant digits, as C's %.17g. At 17 every double is written exactly.
	Precision int
	// Pooled are pooled figures to write in place of the table's, by the aliased name of the series and the method: those of an imported log,
	// which were formed of more digits than its frames have. What they lack is formed of the table, but a series that is listed without any
	// figure gets none.
	Pooled []Pooled
	// Run is what only the forms of the older tools say.
	Run Run
}

// poolOrder is the order of pooled figures in a log of libvmaf's.
var poolOrder = [...]vmaf.PoolMethod{vmaf.PoolMin, vmaf.PoolMax, vmaf.PoolMean, vmaf.PoolHarmonicMean}

// Write writes t as the program of the format would: libvmaf 3.2.0 in the order of t.Series, vmafossexec 1.3.15 and FFmpeg in their own. It
// reads t and keeps no reference.
//
// Frames that subsampling left out, and frames without any value, are not written; pooled figures cover the frames that [vmaf.Table.Pooled]
// covers. A table that cannot be written soundly gives an error wrapping [ErrUnwritable] before anything reaches w; what a format merely has no
// place for is left out, see [Losses]. Writing is buffered, in one pass.
func Write(w io.Writer, f Format, t *vmaf.Table, opt WriteOptions) error {
	out, err := newWriter(w, f, t, opt)
	if err == nil {
		err = out.write(f)
	}
	if err != nil {
		return fmt.Errorf("write %v log: %w", f, err)
	}
	return nil
}

func (o *writer) write(f Format) error {
	switch f {
	case XML:
		o.xml()
	case JSON:
		o.json()
	case CSV:
		o.csv()
	case SUB:
		o.sub()
	case VmafossexecXML:
		o.vmafossexecXML()
	case VmafossexecJSON:
		o.vmafossexecJSON()
	case VmafossexecCSV:
		o.vmafossexecCSV()
	case FFmpegPSNR:
		o.ffmpegPSNR()
	case FFmpegSSIM:
		o.ffmpegSSIM()
	}
	return o.w.Flush()
}

// writer is one call of Write. The buffered writer keeps the first error, which Flush returns.
type writer struct {
	w       *bufio.Writer
	t       *vmaf.Table
	opt     WriteOptions
	columns []column
	pools   map[string]Pooled // opt.Pooled by name
	buf     []byte            // scratch for one number

	method  vmaf.PoolMethod // of vmafossexec's pooled figures
	figures []Figure        // the same, as they are called there
	psnr    psnrForm        // of FFmpeg's PSNR
}

// column is a series that is written.
type column struct {
	vmaf.Series
	index int    // in the table
	name  string // as written
}

// newWriter checks everything that could make the file unsound.
func newWriter(w io.Writer, f Format, t *vmaf.Table, opt WriteOptions) (*writer, error) {
	if int(f) >= len(formatNames) {
		return nil, fmt.Errorf("unknown format %v", f)
	}
	if opt.Precision < 0 || opt.Precision > 17 {
		return nil, fmt.Errorf("precision %d outside 0 … 17", opt.Precision)
	}
	for _, s := range t.Series {
		if len(s.Values) > t.Frames || s.Present != nil && len(s.Present) != len(s.Values) {
			return nil, fmt.Errorf("series %q has %d values and %d marks for %d frames", s.Name, len(s.Values), len(s.Present), t.Frames)
		}
	}
	o := &writer{w: bufio.NewWriterSize(w, 1<<16), t: t, opt: opt, pools: make(map[string]Pooled)}
	for _, p := range opt.Pooled {
		o.pools[p.Name] = p
	}
	switch f {
	case VmafossexecXML, VmafossexecJSON, VmafossexecCSV:
		return o, o.prepareVmafossexec(f)
	case FFmpegPSNR:
		return o, o.prepareFFmpegPSNR()
	case FFmpegSSIM:
		return o, o.prepareFFmpegSSIM()
	}
	return o, o.prepare(f)
}

// prepare checks what libvmaf's own forms need.
func (o *writer) prepare(f Format) error {
	if f == XML || f == JSON {
		if err := checkText(f, o.opt.Version); err != nil {
			return fmt.Errorf("version %q: %w", o.opt.Version, err)
		}
	}
	seen := make(map[string]bool)
	for i, s := range o.t.Series {
		name := vmaf.Alias(s.Name)
		if err := checkName(f, name); err != nil {
			return fmt.Errorf("series %q: %w; rename it or choose another log format", name, err)
		}
		if seen[name] {
			return fmt.Errorf("series %q occurs twice: %w; give one of them another name", name, ErrUnwritable)
		}
		seen[name] = true
		o.columns = append(o.columns, column{s, i, name})
	}
	if f == CSV && len(o.columns) > 0 && o.columns[0].name == "Width" {
		return fmt.Errorf("series %q comes first: %w, being read as one of vmafossexec's; choose another log format", "Width", ErrUnwritable)
	}
	if f == XML || f == JSON {
		clear(seen)
		for _, a := range o.t.Aggregates {
			if err := checkName(f, a.Name); err != nil {
				return fmt.Errorf("aggregate %q: %w; rename it or choose another log format", a.Name, err)
			}
			if seen[a.Name] {
				return fmt.Errorf("aggregate %q occurs twice: %w", a.Name, ErrUnwritable)
			}
			seen[a.Name] = true
		}
	}
	return o.checkFrames(f)
}

// checkFrames refuses the missing values that a format of libvmaf's has no room for.
func (o *writer) checkFrames(f Format) error {
	if f == CSV {
		return o.checkComplete()
	}
	if f != JSON || o.hasFrame(0) {
		return nil
	}
	for i := range o.t.Frames {
		if o.hasFrame(i) {
			return fmt.Errorf("frame 0 has no value: %w, its list of frames would begin with a comma; choose another log format", ErrUnwritable)
		}
	}
	return nil
}

// checkComplete refuses a frame that is listed and lacks a value.
func (o *writer) checkComplete() error {
	for i := range o.t.Frames {
		if !o.hasFrame(i) {
			continue
		}
		for _, c := range o.columns {
			if !has(c.Series, i) {
				return fmt.Errorf("frame %d has no %s: %w, its lines have no room for what is missing; choose another log format", i, c.name, ErrUnwritable)
			}
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
var breaking = [...]string{XML: `"<&`, JSON: `"\`, CSV: `",`, SUB: `|:{}`, VmafossexecXML: `"<&`, VmafossexecJSON: `"\`}

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
	return o.t.Measured(i) && slices.ContainsFunc(o.columns, func(c column) bool { return has(c.Series, i) })
}

// listed is how many frames the log lists.
func (o *writer) listed() (n int) {
	for i := range o.t.Frames {
		if o.hasFrame(i) {
			n++
		}
	}
	return n
}

// pooled is a pooled figure of a column: the one given, else the table's.
func (o *writer) pooled(c column, m vmaf.PoolMethod) (x float64, ok bool) {
	if p, given := o.pools[vmaf.Alias(c.Series.Name)]; given {
		if len(p.Figures) == 0 {
			return 0, false
		}
		for _, f := range p.Figures {
			if f.Name == string(m) {
				return f.Value, true
			}
		}
	}
	return o.t.Pooled(c.index, m)
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

// fixed writes C's %.*f, or what Precision asks for.
func (o *writer) fixed(x float64, decimals int) {
	if o.opt.Precision != 0 {
		o.significant(x, decimals)
		return
	}
	o.buf = appendFixed(o.buf[:0], x, decimals)
	o.w.Write(o.buf)
}

// significant writes C's %.*g, with as many digits as Precision asks for if it does.
func (o *writer) significant(x float64, digits int) {
	if o.opt.Precision != 0 {
		digits = o.opt.Precision
	}
	o.buf = appendScore(o.buf[:0], x, digits)
	o.w.Write(o.buf)
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
