package decode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/vmaf"
)

// planar is a y4m or headerless file: what its two ways of being read, at random and as a stream, share.
type planar struct {
	path       string
	cfg        Config
	y4m        bool
	format     vmaf.Format
	rate       Rational
	frameBytes int64 // of samples, without the FRAME line
	pool       *pool
}

func newPlanar(path string, cfg Config, y4m bool, format vmaf.Format, rate Rational) (*planar, error) {
	if err := cfg.Limits.checkSize(format.Width, format.Height); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p := &planar{path: path, cfg: cfg, y4m: y4m, format: format, rate: rate, pool: &pool{}}
	for i := range format.Subsampling.Planes() {
		w, h := planeSize(format, i)
		p.frameBytes += int64(w) * int64(h) * int64(format.BytesPerSample())
	}
	return p, nil
}

// readBytes is how many of a frame's bytes are wanted.
func (p *planar) readBytes() int {
	if p.cfg.LumaOnly {
		return p.format.Width * p.format.Height * p.format.BytesPerSample()
	}
	return int(p.frameBytes)
}

// newFrame returns frame n with memory whose planes lie as in the file.
func (p *planar) newFrame(n int64) (*Frame, error) {
	f := p.pool.frame()
	// room before the samples keeps planes at the alignment that the file gives them: none
	buf, err := p.pool.buffer(p.readBytes() + overread)
	if err != nil {
		f.Release()
		return nil, err
	}
	f.buf, f.Format = buf, p.format
	f.Index, f.PTS, f.Time, f.Key, f.Damaged = n, n, frameTime(n, p.rate), true, false
	at := 0
	for i := range p.format.Subsampling.Planes() {
		if i > 0 && p.cfg.LumaOnly {
			break
		}
		w, h := planeSize(p.format, i)
		stride := w * p.format.BytesPerSample()
		f.Planes[i] = vmaf.Plane{Data: buf[at : at+stride*h], StrideBytes: stride, Width: w, Height: h}
		at += stride * h
	}
	return f, nil
}

// frameTime is n frames at that rate; 0 when it is unknown.
func frameTime(n int64, rate Rational) time.Duration {
	if rate.IsZero() {
		return 0
	}
	// n·den can need more than 64 bits once multiplied by 1e9: whole seconds first
	total := n * rate.Den
	seconds, rest := total/rate.Num, total%rate.Num
	return time.Duration(seconds)*time.Second + time.Duration(float64(rest)/float64(rate.Num)*1e9+0.5)
}

// timeBase is that of PTS, which counts frames.
func (p *planar) timeBase() Rational {
	if p.rate.IsZero() {
		return Rational{}
	}
	return Rational{p.rate.Den, p.rate.Num}
}

// ---- a file

// planarFile reads frames at random with pread.
type planarFile struct {
	*planar
	file    *os.File
	fd      int
	first   int64   // offset of the first frame's line, or of its samples in a headerless file
	offsets []int64 // of the samples of each frame; nil: all FRAME lines are plain, so offsets are computed
	frames  int64
	partial string // why the last picture is incomplete, or ""
}

// openPlanarFile finds the frames of a file of sizeBytes whose header ends at first.
func openPlanarFile(ctx context.Context, p *planar, file *os.File, sizeBytes, first int64) (*planarFile, error) {
	f := &planarFile{planar: p, file: file, fd: int(file.Fd()), first: first}
	step, left := f.step(), sizeBytes-first
	f.frames = left / step
	switch {
	case f.y4m && !(left%step == 0 && f.plainAt(0) && f.plainAt(f.frames-1)):
		if err := f.scan(ctx, sizeBytes); err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
	case left%step != 0:
		f.partial = f.missing(left % step)
	}
	if err := p.cfg.Limits.checkFrames(f.frames); err != nil {
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	if f.frames == 0 {
		if f.partial != "" {
			return nil, fmt.Errorf("%s: %w: %s", p.path, ErrNoFrames, f.partial)
		}
		return nil, fmt.Errorf("%s: %w: nothing follows the header", p.path, ErrNoFrames)
	}
	return f, nil
}

// step is the distance between frames with plain FRAME lines.
func (f *planarFile) step() int64 {
	if f.y4m {
		return f.frameBytes + int64(len(plainFrame))
	}
	return f.frameBytes
}

func (f *planarFile) missing(have int64) string {
	return fmt.Sprintf("the file ends within a picture: %d of its %d bytes are there", have, f.frameBytes)
}

func (f *planarFile) plainAt(n int64) bool {
	var line [6]byte
	_, err := f.file.ReadAt(line[:], f.first+n*f.step())
	return err == nil && bytes.Equal(line[:], plainFrame)
}

// scan walks over all FRAME lines. What does not fit the memory allowed for an index is refused.
func (f *planarFile) scan(ctx context.Context, sizeBytes int64) error {
	f.frames, f.offsets = 0, []int64{}
	buf := make([]byte, y4mMaxFrameTag)
	for at := f.first; at < sizeBytes; {
		if f.frames%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line := buf[:len(plainFrame)]
		n, err := f.file.ReadAt(line, at)
		if err != nil && err != io.EOF {
			return plainError(f.path, err)
		}
		end := bytes.IndexByte(line[:n], '\n')
		if end < 0 && n == len(line) {
			if n, err = f.file.ReadAt(buf, at); err != nil && err != io.EOF {
				return plainError(f.path, err)
			}
			line = buf
			end = bytes.IndexByte(line[:n], '\n')
		}
		if end < 0 && n < len(line) {
			f.partial = "the file ends within a FRAME line"
			return nil
		}
		if end < 0 {
			return fmt.Errorf("frame %d: %w: FRAME line at byte %d is longer than %d bytes", f.frames, ErrDamaged, at, y4mMaxFrameTag)
		}
		if err := checkFrameLine(line[:end]); err != nil {
			return fmt.Errorf("frame %d: byte %d: %w", f.frames, at, err)
		}
		at += int64(end) + 1
		if sizeBytes-at < f.frameBytes {
			f.partial = f.missing(sizeBytes - at)
			return nil
		}
		f.offsets = append(f.offsets, at)
		f.frames++
		at += f.frameBytes
		if err := f.cfg.Limits.checkIndex(f.frames); err != nil {
			return err
		}
	}
	return nil
}

// read reads frame n. line is room for a FRAME line.
func (f *planarFile) read(n int64, line *[6]byte) (*Frame, error) {
	fr, err := f.newFrame(n)
	if err != nil {
		return nil, err
	}
	want := fr.buf[:f.readBytes()]
	if f.offsets != nil {
		err = f.readAt(want, f.offsets[n])
	} else if !f.y4m {
		err = f.readAt(want, f.first+n*f.frameBytes)
	} else {
		// the FRAME line and the samples in one call
		if err = f.readTwo(line[:], want, f.first+n*f.step()); err == nil && !bytes.Equal(line[:], plainFrame) {
			err = fmt.Errorf("%w: %q where a FRAME line should be", ErrDamaged, printable(line[:]))
		}
	}
	if err != nil {
		fr.Release()
		return nil, err
	}
	return fr, nil
}

func (f *planarFile) readAt(b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pread(f.fd, b, at)
		if err := checkRead(n, err); err != nil {
			return err
		}
		b, at = b[max(n, 0):], at+int64(max(n, 0))
	}
	return nil
}

// readTwo fills head and b from consecutive bytes at at.
func (f *planarFile) readTwo(head, b []byte, at int64) error {
	n, err := unix.Preadv(f.fd, [][]byte{head, b}, at)
	if err := checkRead(n, err); err != nil {
		return err
	}
	n = max(n, 0)
	if n < len(head) {
		if err := f.readAt(head[n:], at+int64(n)); err != nil {
			return err
		}
		n = len(head)
	}
	return f.readAt(b[n-len(head):], at+int64(n))
}

// checkRead makes an error of what a read returned; nil where it is to be tried again or went on.
func checkRead(n int, err error) error {
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return fmt.Errorf("%w: it has become shorter", ErrChanged)
	}
	return nil
}

// planarFileReader is one Reader's view of the file.
type planarFileReader struct {
	file *planarFile
	next int64
	line [6]byte
}

func (r *planarFileReader) frame(ctx context.Context) (*Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.next >= r.file.frames {
		return nil, io.EOF
	}
	f, err := r.file.read(r.next, &r.line)
	if err == nil {
		r.next++
	}
	return f, err
}

func (r *planarFileReader) close(bool) {}

// ---- a stream

// planarStream reads frames one after the other from something that cannot seek.
type planarStream struct {
	*planar
	in   *patientReader
	buf  *bufio.Reader
	next int64 // frame that comes next
	done bool  // the end has been seen
}

// frame reads the next frame.
func (s *planarStream) frame(ctx context.Context) (*Frame, error) {
	s.in.begin(ctx, s.cfg.Limits.StallTimeout)
	if s.done {
		return nil, io.EOF
	}
	if s.y4m {
		line, err := readLine(s.buf, y4mMaxFrameTag)
		if err == io.EOF && len(line) == 0 {
			s.done = true
			return nil, io.EOF
		}
		if err != nil {
			return nil, s.cut(err, 0)
		}
		if err := checkFrameLine(line); err != nil {
			return nil, err
		}
	} else if _, err := s.buf.Peek(1); err == io.EOF {
		s.done = true
		return nil, io.EOF
	}
	f, err := s.newFrame(s.next)
	if err != nil {
		return nil, err
	}
	n, err := io.ReadFull(s.buf, f.buf[:s.readBytes()])
	if err == nil {
		var skipped int
		skipped, err = discard(s.buf, s.frameBytes-int64(n))
		n += skipped
	}
	if err != nil {
		f.Release()
		return nil, s.cut(err, int64(n))
	}
	s.next++
	return f, nil
}

// cut is the error for input that ends too early.
func (s *planarStream) cut(err error, have int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		s.done = true
		if s.cfg.OnDamage == Conceal {
			return errPartial
		}
		return fmt.Errorf("%w: it ends within a picture: %d of its %d bytes are there", ErrTruncated, have, s.frameBytes)
	}
	return err
}

// errPartial ends a concealed stream and is counted as a missing frame.
var errPartial = errors.New("partial picture at the end")

func (s *planarStream) close(bool) {}

// discard skips n bytes, which may be more than an int holds at once.
func discard(r *bufio.Reader, n int64) (int, error) {
	done := 0
	for n > 0 {
		k, err := r.Discard(int(min(n, 1<<30)))
		done, n = done+k, n-int64(k)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// readLine reads up to a newline, which it takes but does not return. A line longer than most is an error.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return line, err
		}
		if c == '\n' {
			return line, nil
		}
		if len(line) == most {
			return line, fmt.Errorf("%w: line of more than %d bytes begins %q", ErrDamaged, most, printable(line))
		}
		line = append(line, c)
	}
}

// patientReader reads from a descriptor that may keep it waiting, and gives up when told to.
type patientReader struct {
	fd       int
	ctx      context.Context // of the current call, see begin
	deadline time.Time
	limit    time.Duration
}

// begin sets what the next reads are bounded by.
func (r *patientReader) begin(ctx context.Context, limit time.Duration) {
	r.ctx, r.limit, r.deadline = ctx, limit, time.Now().Add(limit)
}

// pollInterval is how long a cancelled read may linger.
const pollInterval = 10 * time.Millisecond

func (r *patientReader) Read(b []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if time.Now().After(r.deadline) {
			return 0, fmt.Errorf("%w: nothing to read for longer than limits.stall_timeout (%v)", ErrTimeout, r.limit)
		}
		fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, int(pollInterval/time.Millisecond)); err != nil && err != unix.EINTR {
			return 0, fmt.Errorf("poll: %w", err)
		} else if n <= 0 {
			continue
		}
		n, err := unix.Read(r.fd, b)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("read: %w", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// index lists the frames of a file.
func (f *planarFile) index() *Index {
	x := &Index{TimeBase: f.timeBase(), Frames: make([]IndexEntry, f.frames)}
	for i := range x.Frames {
		x.Frames[i] = IndexEntry{PTS: int64(i), Key: true}
	}
	return x
}
