package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// input reads bytes, counting lines. Its methods return plain errors; fail puts the line to them.
type input struct {
	r        io.Reader
	buf      []byte
	pos      int   // of the next byte in buf
	lines    int   // line ends before buf
	left     int64 // bytes that may still be read
	limit    int64
	newLine  bool  // the byte before buf was a line end
	readErr  error // what the reader or the limit said; comes into force at the end of buf
	finished error // readErr, once all bytes before it were taken
}

const end = -1

// bufferBytes is also the most that lookAhead may ask for.
const bufferBytes = 1 << 16

func newInput(r io.Reader, limits Limits) *input {
	return &input{r: r, buf: make([]byte, 0, bufferBytes), left: limits.Bytes, limit: limits.Bytes}
}

// fill replaces the buffer, all of which was taken. false: there is no more.
func (in *input) fill() bool {
	if n := len(in.buf); n > 0 {
		in.lines += bytes.Count(in.buf, []byte{'\n'})
		in.newLine = in.buf[n-1] == '\n'
	}
	in.buf, in.pos = in.buf[:0], 0
	in.lookAhead(1)
	if len(in.buf) == 0 {
		in.finished = in.readErr
		return false
	}
	return true
}

// lookAhead returns the next n bytes without taking them, fewer at the end of the file.
func (in *input) lookAhead(n int) []byte {
	if len(in.buf)-in.pos < n && in.pos > 0 {
		in.lines += bytes.Count(in.buf[:in.pos], []byte{'\n'})
		in.newLine = in.buf[in.pos-1] == '\n'
		in.buf = in.buf[:copy(in.buf, in.buf[in.pos:])]
		in.pos = 0
	}
	for idle := 0; len(in.buf)-in.pos < n && in.readErr == nil; {
		got, err := in.r.Read(in.buf[len(in.buf):cap(in.buf)])
		if got == 0 && err == nil {
			if idle++; idle == 100 { // as bufio.Reader does
				err = io.ErrNoProgress
			}
		}
		in.readErr = err
		if int64(got) > in.left {
			got = int(in.left)
			in.readErr = fmt.Errorf("log of more than %d bytes: %w", in.limit, ErrLimit)
		}
		in.left -= int64(got)
		in.buf = in.buf[:len(in.buf)+got]
	}
	return in.buf[in.pos:min(in.pos+n, len(in.buf))]
}

// line is that of the byte taken last, from 1.
func (in *input) line() int {
	taken := in.buf[:in.pos]
	n := in.lines + bytes.Count(taken, []byte{'\n'})
	last := in.newLine
	if len(taken) > 0 {
		last = taken[len(taken)-1] == '\n'
	}
	if last {
		n--
	}
	return n + 1
}

// next returns the next byte, or end.
func (in *input) next() int {
	if in.pos == len(in.buf) && !in.fill() {
		return end
	}
	c := in.buf[in.pos]
	in.pos++
	return int(c)
}

// peek returns the next byte without taking it, or end.
func (in *input) peek() int {
	if in.pos == len(in.buf) && !in.fill() {
		return end
	}
	return int(in.buf[in.pos])
}

// bytesOf is a set of bytes.
func bytesOf(text string) (set [256]bool) {
	for i := range len(text) {
		set[text[i]] = true
	}
	return set
}

// run takes the bytes before the next one that is in ends, but no more than most, and appends them to buf.
func (in *input) run(buf []byte, most int, ends *[256]bool) []byte {
	for in.peek() != end {
		rest := in.buf[in.pos:]
		n := 0
		for n < len(rest) && n < most && !ends[rest[n]] {
			n++
		}
		buf = append(buf, rest[:n]...)
		in.pos += n
		if most -= n; n < len(rest) || most == 0 {
			break
		}
	}
	return buf
}

// space skips white space and returns the byte after it without taking it.
func (in *input) space() int {
	for {
		switch c := in.peek(); c {
		case ' ', '\t', '\r', '\n':
			in.pos++
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
	if in.finished == io.EOF {
		return nil
	}
	return in.finished
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
	if in.finished != nil && in.finished != io.EOF {
		if !errors.Is(in.finished, ErrLimit) {
			return in.finished
		}
		err = in.finished
	}
	return &ReadError{Line: in.line(), Err: err}
}
