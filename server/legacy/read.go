package legacy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
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
