package decode

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asticode/go-astiav"
	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/vmaf"
)

// NoPTS is the timestamp of a frame that has none.
const NoPTS = avx.NoPTS

// Frame is one picture of a video. Its samples stay valid, and must not be written to, until as many [Frame.Release] calls as
// there were references: one that its maker gave, and one for each [Frame.Retain]. The fields are then reused for another
// picture. Retain and Release may be called from any goroutine.
type Frame struct {
	vmaf.Picture

	Index   int64         // number of the frame in its video, from 0 in presentation order
	PTS     int64         // timestamp in units of Info.TimeBase, or NoPTS
	Time    time.Duration // since the video's first frame; by index and frame rate where there are no timestamps
	Key     bool          // a random-access picture
	Damaged bool          // the decoder concealed something (only under Conceal)

	refs   atomic.Int32
	pool   *pool
	av     *astiav.Frame // the decoder's picture; nil: none
	buf    []byte        // our own memory, of pool; nil: none
	parent *Frame        // whose samples this one shares; nil: none
}

// Retain adds a reference and returns f.
func (f *Frame) Retain() *Frame {
	if f.refs.Add(1) <= 1 {
		panic("decode: Retain of a released frame")
	}
	return f
}

// Release gives one reference back; with the last, the frame's memory goes back to its pool.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("decode: Release of a released frame")
	}
	parent := f.parent
	f.pool.put(f)
	if parent != nil {
		parent.Release()
	}
}

// Rect is a rectangle of luma samples.
type Rect struct{ X, Y, Width, Height int }

// String reads "1280x720+0+140".
func (r Rect) String() string { return fmt.Sprintf("%dx%d+%d+%d", r.Width, r.Height, r.X, r.Y) }

// ParseRect reads "WxH+X+Y", or "W:H:X:Y" as FFmpeg's crop filter has it.
func ParseRect(text string) (Rect, error) {
	fields := strings.FieldsFunc(text, func(c rune) bool { return c == 'x' || c == '+' || c == ':' })
	var v [4]int
	ok := len(fields) == 4 && (strings.Count(text, ":") == 3 || strings.Count(text, "x") == 1 && strings.Count(text, "+") == 2)
	for i := 0; ok && i < 4; i++ {
		n, err := strconv.ParseUint(fields[i], 10, 31)
		v[i], ok = int(n), err == nil
	}
	r := Rect{Width: v[0], Height: v[1], X: v[2], Y: v[3]}
	if !ok || r.Width == 0 || r.Height == 0 {
		return Rect{}, fmt.Errorf("%w: %q is not WxH+X+Y, such as 1920x800+0+140", ErrCrop, text)
	}
	return r, nil
}

// Check says whether r can be cut out of pictures of that format without moving chroma against luma: it lies inside, starts
// on a chroma sample, and ends on one or at the picture's edge.
func (r Rect) Check(f vmaf.Format) error {
	if r.X < 0 || r.Y < 0 || r.Width <= 0 || r.Height <= 0 || r.X > f.Width-r.Width || r.Y > f.Height-r.Height {
		return fmt.Errorf("%w: %v does not lie within a picture of %dx%d", ErrCrop, r, f.Width, f.Height)
	}
	sx, sy := 1, 1
	switch f.Subsampling {
	case vmaf.Chroma420:
		sx, sy = 2, 2
	case vmaf.Chroma422:
		sx = 2
	}
	aligned := func(at, size, whole, step int) bool {
		return at%step == 0 && (size%step == 0 || at+size == whole)
	}
	if !aligned(r.X, r.Width, f.Width, sx) || !aligned(r.Y, r.Height, f.Height, sy) {
		return fmt.Errorf("%w: %v cuts chroma samples of %v in two; x and width must be multiples of %d, y and height of %d",
			ErrCrop, r, f.Subsampling, sx, sy)
	}
	return nil
}

// Crop returns a frame that shows the part r of f without copying samples. It holds a reference on f until it is
// released. Errors wrap [ErrCrop].
func (f *Frame) Crop(r Rect) (*Frame, error) {
	if err := r.Check(f.Format); err != nil {
		return nil, err
	}
	c := f.pool.frame()
	c.parent = f.Retain()
	c.describeAs(f)
	c.Format.Width, c.Format.Height = r.Width, r.Height
	bytes := f.Format.BytesPerSample()
	for i := range f.Format.Subsampling.Planes() {
		p := f.Planes[i]
		if p.Data == nil && p.DeviceAddress == 0 {
			continue
		}
		if p.Widened > 0 {
			bytes = 1
		}
		x, y := r.X, r.Y
		if i > 0 {
			if f.Format.Subsampling != vmaf.Chroma444 {
				x /= 2
			}
			if f.Format.Subsampling == vmaf.Chroma420 {
				y /= 2
			}
		}
		w, h := planeSize(c.Format, i)
		from := y*p.StrideBytes + x*bytes
		if p.Interleaved {
			from += x * bytes
		}
		p.Width, p.Height = w, h
		if p.Data != nil {
			p.Data = p.Data[from : from+(h-1)*p.StrideBytes+w*bytes]
		} else {
			p.DeviceAddress += uint64(from)
		}
		c.Planes[i] = p
	}
	return c, nil
}

// reset forgets the decoder's picture, and what was made of it.
func (f *Frame) reset() {
	f.av.Unref()
	buf := f.buf
	f.buf, f.Planes = nil, [3]vmaf.Plane{}
	f.pool.giveBack(buf)
}

// describeAs copies everything but samples.
func (f *Frame) describeAs(from *Frame) {
	f.Format = from.Format
	f.Index, f.PTS, f.Time, f.Key, f.Damaged = from.Index, from.PTS, from.Time, from.Key, from.Damaged
}

// allocate gives f planes of its own in the given format. Rows start at multiples of strideAlign bytes; with luma only, the
// chroma planes stay empty.
func (f *Frame) allocate(format vmaf.Format, strideAlign int, lumaOnly bool) error {
	planes := format.Subsampling.Planes()
	if lumaOnly {
		planes = 1
	}
	var stride, at [3]int
	total := 0
	for i := range planes {
		w, h := planeSize(format, i)
		stride[i] = align(w*format.BytesPerSample(), strideAlign)
		at[i] = total
		total += align(stride[i]*h, 64)
	}
	buf, err := f.pool.buffer(total + overread)
	if err != nil {
		return err
	}
	f.buf = buf
	f.Format = format
	for i := range planes {
		w, h := planeSize(format, i)
		n := (h-1)*stride[i] + w*format.BytesPerSample()
		f.Planes[i] = vmaf.Plane{Data: buf[at[i] : at[i]+n], StrideBytes: stride[i], Width: w, Height: h}
	}
	return nil
}

// overread is how many bytes past the last row vector code of the scaler may read (it never uses them).
const overread = 256

func align(n, to int) int { return (n + to - 1) / to * to }

// pool keeps frames and picture memory for reuse. It outlives its owner as long as frames are about.
type pool struct {
	// mu guards the fields below
	mu      sync.Mutex
	frames  []*Frame
	buffers [][]byte
	closed  bool
	live    int // frames handed out
}

// maxSpare is how many unused buffers a pool keeps. More are in use at once only if someone keeps that many frames.
const maxSpare = 64

// frame returns an empty frame with one reference.
func (p *pool) frame() *Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	var f *Frame
	if n := len(p.frames); n > 0 {
		f, p.frames = p.frames[n-1], p.frames[:n-1]
	} else {
		f = &Frame{pool: p}
	}
	p.live++
	f.refs.Store(1)
	return f
}

// decoded returns a frame that can hold one of the decoder's.
func (p *pool) decoded() (*Frame, error) {
	f := p.frame()
	if f.av == nil {
		if f.av = astiav.AllocFrame(); f.av == nil {
			f.Release()
			return nil, fmt.Errorf("allocate a frame: out of memory")
		}
	}
	return f, nil
}

// put takes back a frame without references.
func (p *pool) put(f *Frame) {
	if f.av != nil {
		f.av.Unref()
	}
	buf := f.buf
	f.buf, f.parent = nil, nil
	f.Planes = [3]vmaf.Plane{}
	p.mu.Lock()
	p.live--
	keep := !p.closed
	if keep {
		p.frames = append(p.frames, f)
		if buf != nil && len(p.buffers) < maxSpare {
			p.buffers, buf = append(p.buffers, buf), nil
		}
	}
	p.mu.Unlock()
	if !keep && f.av != nil {
		f.av.Free()
		f.av = nil
	}
	unmap(buf)
}

// buffer returns page-aligned memory of at least n bytes, whatever is in it.
func (p *pool) buffer(n int) ([]byte, error) {
	n = align(n, unix.Getpagesize())
	var misfits [][]byte
	p.mu.Lock()
	var found []byte
	for len(p.buffers) > 0 && found == nil {
		last := p.buffers[len(p.buffers)-1]
		p.buffers = p.buffers[:len(p.buffers)-1]
		if len(last) >= n && len(last) <= 2*n {
			found = last
		} else {
			misfits = append(misfits, last) // the format has changed: the old ones are not coming back
		}
	}
	p.mu.Unlock()
	for _, m := range misfits {
		unmap(m)
	}
	if found != nil {
		return found, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes for a picture: %w", n, err)
	}
	return b, nil
}

// giveBack keeps memory that buffer gave, or frees it.
func (p *pool) giveBack(buf []byte) {
	if buf == nil {
		return
	}
	p.mu.Lock()
	if !p.closed && len(p.buffers) < maxSpare {
		p.buffers, buf = append(p.buffers, buf), nil
	}
	p.mu.Unlock()
	unmap(buf)
}

// close frees what is unused now, and the rest as it is released.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	frames, buffers := p.frames, p.buffers
	p.frames, p.buffers = nil, nil
	p.mu.Unlock()
	for _, f := range frames {
		if f.av != nil {
			f.av.Free()
			f.av = nil
		}
	}
	for _, b := range buffers {
		unmap(b)
	}
}

// inUse is how many frames are handed out.
func (p *pool) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

func unmap(b []byte) {
	if b != nil {
		// Munmap fails only for memory that is not a mapping of ours, which would be a bug
		if err := unix.Munmap(b); err != nil {
			panic(err)
		}
	}
}
