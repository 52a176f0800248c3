package legacy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
)

// Errors of [Read], wrapped in a [ReadError].
var (
	ErrMalformed = errors.New("malformed log")
	ErrLimit     = errors.New("limit exceeded")
	// ErrOtherTool says that the file is a log, but of a program whose layout Read does not know.
	ErrOtherTool = errors.New("not a log of libvmaf's own writer")
)

// ReadError says where in a log reading ended.
type ReadError struct {
	Line int // from 1
	Err  error
}

func (e *ReadError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *ReadError) Unwrap() error { return e.Err }

// Limits bound what [ReadLimited] accepts, and with that its memory: 9 bytes per cell and little else. A zero field
// means its default.
type Limits struct {
	Bytes  int64 // of the file; default 1 GiB
	Frames int   // listed; default 4,194,304 (46 hours at 25 a second)
	Names  int   // distinct series, pooled series and aggregates, each; default 1024
	Cells  int   // series × frames, missing values included; default 67,108,864
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Frames == 0 {
		l.Frames = 1 << 22
	}
	if l.Names == 0 {
		l.Names = 1 << 10
	}
	if l.Cells == 0 {
		l.Cells = 1 << 26
	}
	return l
}

// maxTextBytes bounds names and other short texts of a log.
const maxTextBytes = 1024

// Log is what one log file says. Figures have the precision of the text they were read from.
type Log struct {
	// Version is what the writing library called itself; empty in CSV and SUB. Often a commit hash.
	Version string
	// Generation is which releases of libvmaf write such a file.
	Generation Generation
	// Width, Height are the size of the pictures in samples; 0 where the log has none (all but XML from 1.5.2 on).
	Width, Height int
	// FPS is the speed of the measurement; NaN if HasFPS and the log says that it was not finite.
	FPS    float64
	HasFPS bool
	// Frames are the numbers of the listed frames, ascending. With subsampling there are gaps.
	Frames []int
	// Series are the columns in order of appearance. Element k of Values and Present belongs to frame Frames[k];
	// Values has NaN where Present is false. JSON's null is a present NaN: the log does not say which of
	// infinity and NaN it stands for.
	Series []vmaf.Series
	// Pooled are the pooled figures of each series, in the order of the file.
	Pooled []Pooled
	// Aggregates are figures over the whole clip, such as apsnr_y.
	Aggregates []vmaf.Aggregate
}

// Pooled holds one series' pooled figures by method, in the order of the file: "min", "max", "mean", "harmonic_mean".
// There is none where the writing library could not pool.
type Pooled struct {
	Name    string
	Figures []Figure
}

// Figure is one named number.
type Figure struct {
	Name  string
	Value float64
}

// Column returns the series with that name.
func (l *Log) Column(name string) (vmaf.Series, bool) {
	for _, s := range l.Series {
		if s.Name == name {
			return s, true
		}
	}
	return vmaf.Series{}, false
}

// PooledFigure returns the figure that the log itself gives for a series and a method such as "mean".
func (l *Log) PooledFigure(name, method string) (float64, bool) {
	for _, p := range l.Pooled {
		if p.Name != name {
			continue
		}
		for _, f := range p.Figures {
			if f.Name == method {
				return f.Value, true
			}
		}
	}
	return 0, false
}

// Read reads a log in whichever of the four formats it is, within the default [Limits]. Errors are a [*ReadError],
// or what r returned.
func Read(r io.Reader) (*Log, Format, error) { return ReadLimited(r, Limits{}) }

// ReadLimited is [Read] with limits of the caller's.
func ReadLimited(r io.Reader, limits Limits) (*Log, Format, error) {
	limits = limits.withDefaults()
	in := &input{r: bufio.NewReaderSize(r, 1<<16), line: 1, left: limits.Bytes, limits: limits}
	f, err := in.sniff()
	if err != nil {
		return nil, 0, err
	}
	b := newBuilder(limits)
	switch f {
	case XML:
		err = readXML(in, b)
	case JSON:
		err = readJSON(in, b)
	case CSV:
		err = readCSV(in, b)
	case SUB:
		err = readSUB(in, b)
	}
	if err != nil {
		return nil, f, in.fail(err)
	}
	return b.finish(f), f, nil
}

// input reads bytes, counting lines. Its methods return plain errors; fail puts the line to them.
type input struct {
	r      *bufio.Reader
	line   int
	atEnd  bool  // of a line: the next byte begins another
	left   int64 // bytes that may still be read
	limits Limits
	err    error // what the reader or the limit said; ends the input
}

const end = -1

// next returns the next byte, or end.
func (in *input) next() int {
	if in.err != nil {
		return end
	}
	c, err := in.r.ReadByte()
	if err != nil {
		in.err = err
		return end
	}
	if in.left--; in.left < 0 {
		in.err = fmt.Errorf("log of more than %d bytes: %w", in.limits.Bytes, ErrLimit)
		return end
	}
	if in.atEnd {
		in.line++
	}
	in.atEnd = c == '\n'
	return int(c)
}

// peek returns the next byte without taking it, or end.
func (in *input) peek() int {
	if in.err != nil {
		return end
	}
	c, err := in.r.Peek(1)
	if err != nil {
		in.err = err
		return end
	}
	return int(c[0])
}

// space skips white space and returns the byte after it without taking it.
func (in *input) space() int {
	for {
		switch c := in.peek(); c {
		case ' ', '\t', '\r', '\n':
			in.next()
		default:
			return c
		}
	}
}

// expect takes text, which must come next.
func (in *input) expect(text string) error {
	for i := 0; i < len(text); i++ {
		if c := in.next(); c != int(text[i]) {
			return fmt.Errorf("%s where %q is due: %w", show(c), text, ErrMalformed)
		}
	}
	return nil
}

// until appends what comes before the first of the stops to buf, and takes and returns that stop. A line feed stops
// always.
func (in *input) until(buf []byte, stops string) ([]byte, int, error) {
	for {
		c := in.next()
		switch {
		case c == end:
			return buf, c, fmt.Errorf("the file ends within a line: %w", ErrMalformed)
		case c == '\n' || strings.IndexByte(stops, byte(c)) >= 0:
			return buf, c, nil
		case len(buf) == maxTextBytes:
			return buf, c, fmt.Errorf("text of more than %d bytes: %w", maxTextBytes, ErrLimit)
		}
		buf = append(buf, byte(c))
	}
}

// ended is nil if the input ended because there was no more of it.
func (in *input) ended() error {
	if in.err == io.EOF {
		return nil
	}
	return in.err
}

// show names a byte for an error.
func show(c int) string {
	if c == end {
		return "the end of the file"
	}
	return fmt.Sprintf("%q", rune(c))
}

// fail gives err its line. A failure of the reader is returned as it is: no line is to blame.
func (in *input) fail(err error) error {
	if in.err != nil && in.err != io.EOF {
		if errors.Is(in.err, ErrLimit) {
			err = in.err
		} else {
			return in.err
		}
	}
	return &ReadError{Line: in.line, Err: err}
}

// sniff tells the formats apart by their first bytes.
func (in *input) sniff() (Format, error) {
	if mark, _ := in.r.Peek(3); string(mark) == "\xef\xbb\xbf" { // an editor's, never libvmaf's
		in.r.Discard(3) // they have just been peeked at
	}
	switch c := in.space(); c {
	case '<':
		return XML, nil
	case 'F':
		return CSV, nil
	case '{':
		head, _ := in.r.Peek(2) // shorter at the end of the file
		if len(head) == 2 && head[1] >= '0' && head[1] <= '9' {
			return SUB, nil
		}
		return JSON, nil
	case end:
		return 0, in.fail(fmt.Errorf("the file is empty: %w", ErrMalformed))
	default:
		return 0, in.fail(fmt.Errorf("the file begins with %s, unlike an XML, JSON, CSV or SUB log: %w", show(c), ErrMalformed))
	}
}

// builder assembles a Log from values in file order.
type builder struct {
	limits Limits
	log    Log
	index  map[string]int // series by name
	pools  map[string]bool
	aggs   map[string]bool
	marks  evidence
}

func newBuilder(limits Limits) *builder {
	return &builder{limits: limits, index: make(map[string]int), pools: make(map[string]bool), aggs: make(map[string]bool)}
}

// value adds one value to the frame being read.
func (b *builder) value(name []byte, x float64) error {
	k, ok := b.index[string(name)]
	if !ok {
		var err error
		if k, err = b.addSeries(string(name)); err != nil {
			return err
		}
	}
	s := &b.log.Series[k]
	row := len(b.log.Frames)
	if len(s.Values) > row {
		return fmt.Errorf("%q occurs twice in one frame: %w", name, ErrMalformed)
	}
	b.pad(s, row)
	s.Values = append(s.Values, x)
	if s.Present != nil {
		s.Present = append(s.Present, true)
	}
	return nil
}

// addSeries appends an empty series.
func (b *builder) addSeries(name string) (int, error) {
	k := len(b.log.Series)
	switch {
	case name == "":
		return 0, fmt.Errorf("a value without a name: %w", ErrMalformed)
	case k == b.limits.Names:
		return 0, fmt.Errorf("more than %d series: %w", b.limits.Names, ErrLimit)
	}
	b.log.Series = append(b.log.Series, vmaf.Series{Name: name})
	b.index[name] = k
	b.marks.name(name)
	return k, b.checkCells()
}

// pad marks everything up to row as missing.
func (b *builder) pad(s *vmaf.Series, row int) {
	if len(s.Values) == row {
		return
	}
	if s.Present == nil {
		s.Present = make([]bool, len(s.Values), row+1)
		for i := range s.Present {
			s.Present[i] = true
		}
	}
	for len(s.Values) < row {
		s.Values = append(s.Values, math.NaN())
		s.Present = append(s.Present, false)
	}
}

// endFrame closes the frame whose values have been added.
func (b *builder) endFrame(number int) error {
	n := len(b.log.Frames)
	if n > 0 && number <= b.log.Frames[n-1] {
		return fmt.Errorf("frame %d comes after frame %d: %w", number, b.log.Frames[n-1], ErrMalformed)
	}
	if n == b.limits.Frames {
		return fmt.Errorf("more than %d frames: %w", b.limits.Frames, ErrLimit)
	}
	b.log.Frames = append(b.log.Frames, number)
	return b.checkCells()
}

func (b *builder) checkCells() error {
	// The frame being read counts, so that the check comes before the padding it stands for.
	if cells := int64(len(b.log.Series)) * int64(len(b.log.Frames)+1); cells > int64(b.limits.Cells) {
		return fmt.Errorf("%d series of %d frames are more than %d values: %w",
			len(b.log.Series), len(b.log.Frames)+1, b.limits.Cells, ErrLimit)
	}
	return nil
}

// beginPooled begins the pooled figures of one series, whose name comes with endPooled.
func (b *builder) beginPooled() error {
	if len(b.log.Pooled) == b.limits.Names {
		return fmt.Errorf("more than %d pooled series: %w", b.limits.Names, ErrLimit)
	}
	b.log.Pooled = append(b.log.Pooled, Pooled{})
	return nil
}

// figure adds one figure to the series that beginPooled began.
func (b *builder) figure(method string, x float64) error {
	p := &b.log.Pooled[len(b.log.Pooled)-1]
	const most = 16 // methods; libvmaf knows four
	if len(p.Figures) == most {
		return fmt.Errorf("more than %d pooled figures of one series: %w", most, ErrLimit)
	}
	p.Figures = append(p.Figures, Figure{method, x})
	return nil
}

func (b *builder) endPooled(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("pooled figures without a name: %w", ErrMalformed)
	case b.pools[name]:
		return fmt.Errorf("pooled figures of %q occur twice: %w", name, ErrMalformed)
	}
	b.pools[name] = true
	b.log.Pooled[len(b.log.Pooled)-1].Name = name
	return nil
}

func (b *builder) aggregate(name string, x float64) error {
	switch {
	case name == "":
		return fmt.Errorf("an aggregate without a name: %w", ErrMalformed)
	case b.aggs[name]:
		return fmt.Errorf("aggregate %q occurs twice: %w", name, ErrMalformed)
	case len(b.aggs) == b.limits.Names:
		return fmt.Errorf("more than %d aggregates: %w", b.limits.Names, ErrLimit)
	}
	b.aggs[name] = true
	b.log.Aggregates = append(b.log.Aggregates, vmaf.Aggregate{Name: name, Value: x})
	return nil
}

// score reads a number and keeps what its form tells about its writer.
func (b *builder) score(text []byte) (float64, error) {
	x, err := parseScore(text)
	if err != nil {
		return 0, err
	}
	b.marks.number(text)
	return x, nil
}

// size reads a width or height.
func size(text []byte) (int, error) {
	n, err := parseFrame(text)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no picture size: %w", text, ErrMalformed)
	}
	return n, nil
}

func (b *builder) finish(f Format) *Log {
	for k := range b.log.Series {
		b.pad(&b.log.Series[k], len(b.log.Frames))
	}
	b.marks.hasFPS = b.log.HasFPS
	b.log.Generation = b.marks.judge(f, b.log.Version)
	return &b.log
}
