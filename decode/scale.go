package decode

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/vmaf"
)

// ScaleFilter is how pictures are brought to another size.
type ScaleFilter uint8

// The filters are swscale's, with the flag of that name and no other, as `ffmpeg -vf scale=W:H:flags=NAME` has them.
const (
	Bicubic ScaleFilter = iota // the default
	Bilinear
	Lanczos
	NoScale // another size is an error
)

var scaleNames = []string{"bicubic", "bilinear", "lanczos", "none"}

// String is the filter's name on the command line.
func (s ScaleFilter) String() string {
	if int(s) < len(scaleNames) {
		return scaleNames[s]
	}
	return fmt.Sprintf("ScaleFilter(%d)", uint8(s))
}

// ScaleFilterNames are the names that [ParseScaleFilter] knows.
func ScaleFilterNames() []string { return append([]string{}, scaleNames...) }

// ParseScaleFilter is the inverse of String.
func ParseScaleFilter(name string) (ScaleFilter, error) {
	for i, n := range scaleNames {
		if n == name {
			return ScaleFilter(i), nil
		}
	}
	return 0, fmt.Errorf("scaling filter %q is not one of %s", name, strings.Join(scaleNames, ", "))
}

func (s ScaleFilter) flags() int {
	switch s {
	case Bilinear:
		return avx.Bilinear
	case Lanczos:
		return avx.Lanczos
	}
	return avx.Bicubic
}

// CommonFormat is what a reference and a distorted picture are compared in: the reference's size, subsampling and range, and the
// deeper of the two depths. Nothing of either is rounded away by it but by scaling.
func CommonFormat(ref, dis vmaf.Format) vmaf.Format {
	ref.BitsPerComponent = max(ref.BitsPerComponent, dis.BitsPerComponent)
	return ref
}

// Converter brings frames of any format to one format. Frames may differ in format from one another. One goroutine at
// a time uses it.
//
// The rules, by what differs from the target:
//
//   - Nothing: the frame is handed through without copying.
//   - Depth alone: samples are widened here. Limited range: shifted left, v << d. Full range: luma repeats its high bits
//     below, v << d | v >> (2·from − to), so that full scale stays full scale, and chroma is shifted. Both are what swscale
//     does. Narrowing is refused.
//   - Subsampling to or from grey: chroma is dropped, or filled with the value that is no colour, 2^(bits−1).
//   - Size, chroma subsampling or range: one pass of swscale from the frame's format to the target's, depth included,
//     with the filter's flag alone, and chroma of 8-bit 4:2:0 placed midway between lines. So scaled 8-bit samples are rounded to
//     8 bits only if the target has 8. Range is converted only if it differs; FFmpeg 5.1's filter, by contrast, makes
//     full-range pictures limited unless their pixel format is one of the yuvj ones.
//
// With luma only, luma is scaled as a grey picture, which gives the same samples. swscale's results depend on its
// build (the processor's vector code); frames of one machine are reproducible.
type Converter struct {
	target   vmaf.Format
	filter   ScaleFilter
	lumaOnly bool
	pool     *pool
	scaler   *avx.Scaler // for frames of format from; nil: none yet
	from     vmaf.Format
	grey     *Frame // chroma of no colour, where the scaler needs some and there is none: see scale
	unwanted *Frame // what becomes of it
	closed   bool
}

// NewConverter makes a converter. With lumaOnly the frames it makes have empty chroma planes.
func NewConverter(target vmaf.Format, filter ScaleFilter, lumaOnly bool) (*Converter, error) {
	if filter > NoScale {
		return nil, fmt.Errorf("scaling filter %v is not one of %s", filter, strings.Join(scaleNames, ", "))
	}
	if target.Width <= 0 || target.Height <= 0 || !planarDepth(target.BitsPerComponent) {
		return nil, fmt.Errorf("%w target format %v", ErrUnsupported, target)
	}
	return &Converter{target: target, filter: filter, lumaOnly: lumaOnly, pool: &pool{}}, nil
}

func planarDepth(bits int) bool {
	for _, d := range planarDepths {
		if d == bits {
			return true
		}
	}
	return false
}

// Target is the format of the frames that Convert gives.
func (c *Converter) Target() vmaf.Format { return c.target }

// check says whether frames of a format can be converted.
func (c *Converter) check(from vmaf.Format) error {
	if from.BitsPerComponent > c.target.BitsPerComponent {
		return fmt.Errorf("%w: from %d to %d bits would lose what is compared; compare at %d bits", ErrUnsupported,
			from.BitsPerComponent, c.target.BitsPerComponent, from.BitsPerComponent)
	}
	if (from.Width != c.target.Width || from.Height != c.target.Height) && c.filter == NoScale {
		return fmt.Errorf("%w: %dx%d and %dx%d; choose a scaling filter (%s)", ErrSizeMismatch, from.Width, from.Height,
			c.target.Width, c.target.Height, strings.Join(scaleNames[:NoScale], ", "))
	}
	return nil
}

// needs says what has to be done to frames of a format: by swscale, and by widening and filling here.
func (c *Converter) needs(from vmaf.Format) (scale, widen bool) {
	to := c.target
	chroma := !c.lumaOnly && from.Subsampling != vmaf.Gray && to.Subsampling != vmaf.Gray
	scale = from.Width != to.Width || from.Height != to.Height || from.FullRange != to.FullRange ||
		chroma && from.Subsampling != to.Subsampling
	return scale, from != to
}

// Describe says what Convert does to frames of a format, such as "bicubic 640x360 to 1280x720, 8 to 10 bit by shifting"; "" for
// nothing.
func (c *Converter) Describe(from vmaf.Format) string {
	to := c.target
	scale, _ := c.needs(from)
	var does []string
	if from.Width != to.Width || from.Height != to.Height {
		does = append(does, fmt.Sprintf("%v %dx%d to %dx%d", c.filter, from.Width, from.Height, to.Width, to.Height))
	}
	if from.Subsampling != to.Subsampling && !c.lumaOnly {
		does = append(does, fmt.Sprintf("%v to %v", from.Subsampling, to.Subsampling))
	}
	if from.FullRange != to.FullRange {
		does = append(does, map[bool]string{true: "limited to full range", false: "full to limited range"}[to.FullRange])
	}
	if from.BitsPerComponent != to.BitsPerComponent {
		how := " by shifting"
		switch {
		case scale:
			how = ""
		case from.FullRange:
			how = " by repeating high bits"
		}
		does = append(does, fmt.Sprintf("%d to %d bit%s", from.BitsPerComponent, to.BitsPerComponent, how))
	}
	return strings.Join(does, ", ")
}

// Convert returns f in the target format: f itself with one more reference if nothing is to be done, else a new frame. The
// caller releases what it gets, and keeps f. A frame on a device stays there if nothing is to be done, or 8 bits are to be more, which
// [vmaf.Plane.Widened] then says; else the new one is in host memory.
//
// Errors: [ErrSizeMismatch] under [NoScale]; [ErrUnsupported] for fewer bits; both without the frame's number, which the
// caller knows.
func (c *Converter) Convert(f *Frame) (*Frame, error) {
	if c.closed {
		return nil, fmt.Errorf("converter: %w", ErrClosed)
	}
	if f.Format == c.target {
		return f.Retain(), nil
	}
	if err := c.check(f.Format); err != nil {
		return nil, err
	}
	if f.OnDevice() && c.widensOnly(f.Format) {
		return f.widened(c.target), nil
	}
	if f.OnDevice() {
		host, err := f.download(c.pool)
		if err != nil {
			return nil, err
		}
		defer host.Release()
		f = host
	}
	out := c.pool.frame()
	out.describeAs(f)
	err := out.allocate(c.target, 64, c.lumaOnly)
	if err == nil {
		if scale, _ := c.needs(f.Format); scale {
			err = c.scale(f, out)
		} else {
			err = widen(f, out)
		}
	}
	if err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}

// widensOnly says whether samples of one byte are to have more bits, and nothing else is to be done.
func (c *Converter) widensOnly(from vmaf.Format) bool {
	bits := from.BitsPerComponent
	from.BitsPerComponent = c.target.BitsPerComponent
	return bits == 8 && from == c.target
}

// widened is a view of f, a frame on a device with samples of one byte, in a format of more bits. It holds a reference on f.
func (f *Frame) widened(to vmaf.Format) *Frame {
	w := f.pool.frame()
	w.parent = f.Retain()
	w.describeAs(f)
	w.Format, w.Planes = to, f.Planes
	for i := range w.Planes {
		if w.Planes[i].DeviceAddress != 0 {
			w.Planes[i].Widened = uint8(to.BitsPerComponent - f.Format.BitsPerComponent)
			w.Planes[i].WidenedRepeat = i == 0 && to.FullRange
		}
	}
	return w
}

// widen copies planes, to more bits if need be.
func widen(f, out *Frame) error {
	from, to := f.Format, out.Format
	for i := range to.Subsampling.Planes() {
		dst := out.Planes[i]
		switch src := f.Planes[i]; {
		case dst.Data == nil:
		case i < from.Subsampling.Planes() && src.Data != nil:
			up := to.BitsPerComponent - from.BitsPerComponent
			repeat := -1
			if i == 0 && from.FullRange {
				repeat = 2*from.BitsPerComponent - to.BitsPerComponent
			}
			avx.Widen(unsafe.Pointer(&src.Data[0]), src.StrideBytes, from.BytesPerSample(), unsafe.Pointer(&dst.Data[0]), dst.StrideBytes,
				to.BytesPerSample(), dst.Width, dst.Height, up, repeat)
		case from.Subsampling != vmaf.Gray:
			return errNoChroma
		default:
			fillPlane(dst, to.BytesPerSample(), 1<<(to.BitsPerComponent-1))
		}
	}
	return nil
}

var errNoChroma = errors.New("convert: the frame has no chroma; ask for luma only, or read with chroma")

// fillPlane sets all samples to one value.
func fillPlane(p vmaf.Plane, bytes int, value uint16) {
	for y := range p.Height {
		row := p.Data[y*p.StrideBytes : y*p.StrideBytes+p.Width*bytes]
		if bytes == 1 {
			for x := range row {
				row[x] = byte(value)
			}
			continue
		}
		for x := range samples[uint16](row) {
			samples[uint16](row)[x] = value
		}
	}
}

// scale runs swscale. Luma alone goes as a grey picture; that is always full range for swscale, so where
// range is to be converted, chroma of no colour goes with it.
func (c *Converter) scale(f, out *Frame) error {
	from, to := f.Format, out.Format
	lone := c.lumaOnly || from.Subsampling == vmaf.Gray || to.Subsampling == vmaf.Gray
	if lone {
		from.Subsampling, to.Subsampling = vmaf.Gray, vmaf.Gray
		if from.FullRange != to.FullRange {
			from.Subsampling, to.Subsampling = vmaf.Chroma420, vmaf.Chroma420
		}
	}
	if c.scaler == nil || c.from != from {
		if err := c.setUp(from, to, lone); err != nil {
			return fmt.Errorf("convert from %v to %v: %w", f.Format, c.target, err)
		}
	}
	var src, dst [4]unsafe.Pointer
	var srcStride, dstStride [4]int
	for i := range from.Subsampling.Planes() {
		in, result := f.Planes[i], out.Planes[i]
		if lone && i > 0 {
			in, result = c.grey.Planes[i], c.unwanted.Planes[i]
		}
		if in.Data == nil {
			return errNoChroma
		}
		src[i], srcStride[i] = unsafe.Pointer(&in.Data[0]), in.StrideBytes
		dst[i], dstStride[i] = unsafe.Pointer(&result.Data[0]), result.StrideBytes
	}
	if err := c.scaler.Scale(src, srcStride, dst, dstStride); err != nil {
		return fmt.Errorf("convert from %v to %v: swscale says: %w", f.Format, c.target, err)
	}
	if lone && !c.lumaOnly {
		for i := 1; i < c.target.Subsampling.Planes(); i++ {
			fillPlane(out.Planes[i], c.target.BytesPerSample(), 1<<(c.target.BitsPerComponent-1))
		}
	}
	return nil
}

// setUp makes the scaler for frames of one format, and what it needs where luma stands alone.
func (c *Converter) setUp(from, to vmaf.Format, lone bool) (err error) {
	c.tearDown()
	end := func(f vmaf.Format) avx.ScaleEnd {
		return avx.ScaleEnd{Width: f.Width, Height: f.Height, PixelFormat: swsFormat(f), FullRange: f.FullRange}
	}
	if lone && from.Subsampling != vmaf.Gray {
		c.grey, c.unwanted = c.pool.frame(), c.pool.frame()
		if err := errors.Join(c.grey.allocate(from, 64, false), c.unwanted.allocate(to, 64, false)); err != nil {
			return err
		}
		for i := 1; i < 3; i++ {
			fillPlane(c.grey.Planes[i], from.BytesPerSample(), 1<<(from.BitsPerComponent-1))
		}
	}
	if c.scaler, err = avx.NewScaler(end(from), end(to), c.filter.flags()); err != nil {
		return fmt.Errorf("%w: swscale says: %v", ErrUnsupported, err)
	}
	c.from = from
	return nil
}

// tearDown undoes setUp.
func (c *Converter) tearDown() {
	if c.scaler != nil {
		c.scaler.Free()
		c.scaler = nil
	}
	for _, f := range []**Frame{&c.grey, &c.unwanted} {
		if *f != nil {
			(*f).Release()
			*f = nil
		}
	}
}

// Close frees the converter. Frames it made stay valid. It may be called twice.
func (c *Converter) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.tearDown()
	c.pool.close()
	return nil
}
