package decode

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/vqsd/vqsd/vmaf"
)

// Video is an open file or stream.
type Video struct {
	path string
	cfg  Config
	file *os.File
	stat fs.FileInfo // of the file as it was opened
	info Info
	idx  *Index

	coded  *codedFile // one of these three
	planar *planarFile
	stream *planarStream
	turned *pool // of rotated frames

	// mu guards the fields below
	mu      sync.Mutex
	stats   Stats
	readers int
	reading bool // a stream's only Reader is open
	closed  bool
}

// Open opens a video, recognises what it is and finds its frames, which reads a coded file from end to end. ctx bounds
// opening only.
//
// Errors name the file. They wrap [ErrNoVideo] where there is nothing to measure, [ErrUnsupported], [ErrNoFrames], a
// [LimitError], [ErrTimeout], the context's error, or what the operating system said.
func Open(ctx context.Context, in Input, cfg Config) (v *Video, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	file, path, sizeBytes, err := openFile(in)
	if err != nil {
		return nil, err
	}
	v = &Video{path: path, cfg: cfg, file: file, turned: &pool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
			v = nil
		}
	}()
	if v.stat, err = file.Stat(); err != nil {
		return v, plainError(path, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Limits.OpenTimeout,
		fmt.Errorf("%w: opening takes longer than limits.open_timeout (%v)", ErrTimeout, cfg.Limits.OpenTimeout))
	defer cancel()
	if sizeBytes < 0 {
		return v, v.openStream(ctx, in)
	}
	head := make([]byte, y4mMaxHeader)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return v, plainError(path, err)
	}
	head = head[:n]
	switch {
	case in.Raw != nil:
		if isY4M(head) {
			return v, fmt.Errorf("%s: is y4m, which has a header: leave the raw video format out", path)
		}
		return v, v.openPlanar(ctx, sizeBytes, 0, y4mHeader{format: in.Raw.Format, rate: in.Raw.Rate}, in.Raw)
	case isY4M(head):
		end := bytes.IndexByte(head, '\n')
		if end < 0 {
			return v, fmt.Errorf("%s: y4m header does not end within %d bytes", path, len(head))
		}
		h, err := in.parseY4M(string(head[:end]))
		if err != nil {
			return v, fmt.Errorf("%s: %w", path, err)
		}
		return v, v.openPlanar(ctx, sizeBytes, int64(end)+1, h, nil)
	}
	v.coded, err = openCoded(ctx, path, file, sizeBytes, cfg)
	if err != nil {
		return v, err
	}
	v.info = v.coded.info
	v.idx = v.coded.index.public(v.info.TimeBase)
	return v, nil
}

// planarInfo is what the header of y4m, or the user, says.
func (v *Video) planarInfo(h y4mHeader, raw *RawFormat) Info {
	name := planarName(h.format)
	if h.format.FullRange && h.format.BitsPerComponent == 8 {
		name = strings.Replace(name, "yuv", "yuvj", 1)
	}
	info := Info{
		Path: v.path, Container: "yuv4mpegpipe", Codec: "rawvideo", PixelFormat: name,
		Format: h.format, CodedWidth: h.format.Width, CodedHeight: h.format.Height,
		SampleAspect: h.aspect, Interlaced: h.interlaced, FrameRate: h.rate, Frames: -1, KeyFrames: -1, SizeBytes: -1,
		Streams: []Stream{{Type: "video", Codec: "rawvideo", Selected: true}}, Timestamps: !h.rate.IsZero(),
	}
	if h.format.FullRange {
		info.Color.Range = "pc"
	}
	if !h.rate.IsZero() {
		info.TimeBase = Rational{h.rate.Den, h.rate.Num}
	}
	if raw != nil {
		info.Container = "rawvideo"
	}
	return info
}

func (v *Video) openPlanar(ctx context.Context, sizeBytes, first int64, h y4mHeader, raw *RawFormat) error {
	p, err := newPlanar(v.path, v.cfg, raw == nil, h.format, h.rate)
	if err != nil {
		return err
	}
	if v.planar, err = openPlanarFile(ctx, p, v.file, sizeBytes, first); err != nil {
		return err
	}
	v.info = v.planarInfo(h, raw)
	v.info.SizeBytes = sizeBytes
	v.info.Frames, v.info.KeyFrames, v.info.Seekable = v.planar.frames, v.planar.frames, true
	v.info.Duration = frameTime(v.planar.frames, h.rate)
	v.info.Truncated = v.planar.partial
	v.info.BitRate = int64(float64(p.frameBytes) * 8 * h.rate.Float())
	v.idx = v.planar.index()
	return nil
}

func (v *Video) openStream(ctx context.Context, from Input) error {
	raw := from.Raw
	in := &patientReader{fd: int(v.file.Fd())}
	in.begin(ctx, v.cfg.Limits.OpenTimeout)
	buf := bufio.NewReaderSize(in, 1<<16)
	var h y4mHeader
	head, err := buf.Peek(len(y4mMagic))
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	switch {
	case len(head) == 0:
		return fmt.Errorf("%s: %w: it is empty", v.path, ErrNoVideo)
	case raw != nil && isY4M(head):
		return fmt.Errorf("%s: is y4m, which has a header: leave the raw video format out", v.path)
	case raw != nil:
		h = y4mHeader{format: raw.Format, rate: raw.Rate}
	case !isY4M(head):
		return fmt.Errorf("%s: %w: a stream must be y4m, or headerless with --raw-video; use a file for other containers", v.path, ErrUnsupported)
	default:
		line, err := readLine(buf, y4mMaxHeader)
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends within its header", ErrTruncated)
		}
		if err == nil {
			h, err = from.parseY4M(string(line))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.path, err)
		}
	}
	p, err := newPlanar(v.path, v.cfg, raw == nil, h.format, h.rate)
	if err != nil {
		return err
	}
	v.stream = &planarStream{planar: p, in: in, buf: buf}
	v.info = v.planarInfo(h, raw)
	return nil
}

// Info says what the video is.
func (v *Video) Info() Info { return v.info }

// Index lists the frames; nil for a stream. It is read-only.
func (v *Video) Index() *Index { return v.idx }

// FileInfo is what the operating system said of the file when it was opened, before anything was read of it.
func (v *Video) FileInfo() fs.FileInfo { return v.stat }

// Unchanged is nil while the open file has the size and the modification time that it was opened with, and for a stream always;
// else it wraps [ErrChanged]. It sees what was written into the file, not that another file took its name.
func (v *Video) Unchanged() error {
	if v.stream != nil {
		return nil
	}
	now, err := v.file.Stat()
	if err != nil {
		return plainError(v.path, err)
	}
	if now.Size() != v.stat.Size() || !now.ModTime().Equal(v.stat.ModTime()) {
		return fmt.Errorf("%s: %w; measure it once it is complete", v.path, ErrChanged)
	}
	return nil
}

// Held is how many of the frames that Readers gave have not been released yet.
func (v *Video) Held() int {
	held := v.turned.inUse()
	switch {
	case v.coded != nil:
		held += v.coded.pool.inUse()
	case v.planar != nil:
		held += v.planar.pool.inUse()
	case v.stream != nil:
		held += v.stream.pool.inUse()
	}
	return held
}

// Stats adds up what all Readers met so far.
func (v *Video) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stats
}

// Close closes the file. Readers must be closed first; frames that are still held stay valid. It may be called twice.
func (v *Video) Close() error {
	v.mu.Lock()
	closed, readers := v.closed, v.readers
	v.closed = closed || readers == 0
	v.mu.Unlock()
	if closed {
		return nil
	}
	if readers > 0 {
		return fmt.Errorf("%s: close: %d readers are still open", v.path, readers)
	}
	switch {
	case v.coded != nil:
		v.coded.close()
	case v.planar != nil:
		v.planar.pool.close()
	case v.stream != nil:
		v.stream.pool.close()
	}
	v.turned.close()
	return v.file.Close()
}

// source gives frames one after the other.
type source interface {
	// frame gives the next one. io.EOF: there is none.
	frame(ctx context.Context) (*Frame, error)
	// close ends the use of whatever the source borrowed; failed says that it is not to be used again.
	close(failed bool)
}

// Reader delivers a run of frames in presentation order. One goroutine at a time uses it. Its life is bounded by the context that
// it was made with.
type Reader struct {
	v         *Video
	ctx       context.Context // see above
	src       source
	next, end int64 // frames; end -1: open
	format    vmaf.Format
	stats     Stats
	err       error // what Next keeps returning
	closed    bool
}

// Read makes a Reader of frames [first, end). end < 0 means to the end of the video; an end past it is an error. ctx
// cancels waiting and decoding within milliseconds.
//
// On a stream first must not lie before the frames that were read already; those before first are read and dropped.
//
// Errors are [FrameError]s: under [Strict], reading up to the last frame of a file that is known to be cut off fails at once
// with [ErrTruncated].
func (v *Video) Read(ctx context.Context, first, end int64) (*Reader, error) {
	n := v.info.Frames
	if first < 0 || end >= 0 && end < first || n >= 0 && (first > n || end > n) {
		return nil, fmt.Errorf("%s: frames %d to %d are not within its %d", v.path, first, end, n)
	}
	if n >= 0 && (end < 0 || end == n) && v.info.Truncated != "" && v.cfg.OnDamage == Strict {
		if v.coded != nil {
			n = v.coded.goodFrames()
		}
		return nil, &FrameError{v.path, n, fmt.Errorf("%w: %s; measure an earlier run of frames, or conceal damage", ErrTruncated, v.info.Truncated)}
	}
	if v.coded != nil && v.cfg.OnDamage == Conceal {
		// how many pictures the decoder gives shows only on the way
		if end == n {
			end = -1
		}
	} else if end < 0 {
		end = n
	}
	r := &Reader{v: v, ctx: ctx, next: first, end: end, format: v.info.Format}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return nil, fmt.Errorf("%s: %w", v.path, ErrClosed)
	case v.stream != nil && v.reading:
		return nil, fmt.Errorf("%s: a stream has one reader at a time", v.path)
	case v.stream != nil && first < v.stream.next:
		return nil, fmt.Errorf("%s: frame %d of the stream has passed; the next is %d", v.path, first, v.stream.next)
	case v.stream != nil:
		v.reading = true
		r.src = v.stream
	case v.planar != nil:
		r.src = &planarFileReader{file: v.planar, next: first}
	default:
		r.src = &codedReader{file: v.coded, next: first, end: end}
	}
	v.readers++
	return r, nil
}

// Next gives the next frame, which the caller releases. io.EOF means the end of the run. A cancelled context gives an error that
// wraps the context's. After an error Next gives the same one again.
func (r *Reader) Next() (*Frame, error) {
	if r.closed {
		return nil, fmt.Errorf("%s: reader: %w", r.v.path, ErrClosed)
	}
	if r.err != nil {
		return nil, r.err
	}
	f, err := r.frame()
	if err == io.EOF {
		r.err = io.EOF
		return nil, io.EOF
	}
	if err != nil {
		var fe *FrameError
		if !errors.As(err, &fe) {
			err = &FrameError{r.v.path, r.next, err}
		}
		r.err = err
		return nil, err
	}
	r.next++
	r.stats.Delivered++
	if f.Damaged {
		r.stats.Damaged++
	}
	return f, nil
}

func (r *Reader) frame() (*Frame, error) {
	if r.end >= 0 && r.next >= r.end {
		return nil, io.EOF
	}
	for {
		f, err := r.src.frame(r.ctx)
		if errors.Is(err, errPartial) {
			r.stats.Missing++
			err = io.EOF
		}
		if err == io.EOF && r.v.info.Frames < 0 && r.end >= 0 {
			return nil, fmt.Errorf("%w: the stream has ended; frames up to %d were asked for", io.ErrUnexpectedEOF, r.end)
		}
		if err != nil {
			return nil, err
		}
		if f.Index < r.next { // a stream on its way to the first frame
			f.Release()
			continue
		}
		if r.v.stream != nil {
			if err := r.v.cfg.Limits.checkFrames(f.Index + 1); err != nil {
				f.Release()
				return nil, err
			}
		}
		if f, err = r.rotated(f); err != nil {
			return nil, err
		}
		if f.Format != r.format {
			if !r.v.cfg.AllowFormatChange {
				err := fmt.Errorf("%w from %v to %v; have each frame scaled, or cut the input there", ErrFormatChanged, r.format, f.Format)
				f.Release()
				return nil, err
			}
			r.stats.FormatChanges++
			r.format = f.Format
		}
		return f, nil
	}
}

// rotated turns a frame if the metadata ask for it.
func (r *Reader) rotated(f *Frame) (*Frame, error) {
	if r.v.coded == nil || r.v.coded.rotation == (Rotation{}) {
		return f, nil
	}
	defer f.Release()
	if f.OnDevice() {
		host, err := f.Download()
		if err != nil {
			return nil, err
		}
		defer host.Release()
		f = host
	}
	return r.v.coded.rotation.apply(f, r.v.turned, r.v.cfg.LumaOnly)
}

// Stats counts what this Reader met.
func (r *Reader) Stats() Stats {
	s := r.stats
	if c, ok := r.src.(*codedReader); ok {
		s.Missing += c.missing
		s.Fallbacks += c.fallbacks
		s.FallbackReason = cmp.Or(s.FallbackReason, c.fellFor)
	}
	return s
}

// Close ends the Reader. Frames it gave stay valid. It may be called twice.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.src.close(r.err != nil && r.err != io.EOF)
	r.v.mu.Lock()
	defer r.v.mu.Unlock()
	r.v.stats.add(r.Stats())
	r.v.readers--
	r.v.reading = false
	return nil
}
