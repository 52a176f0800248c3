package decode

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/vmaf"
)

// Input says where a video is.
type Input struct {
	// Path names a file. "-" is standard input. A named pipe, and whatever else is no regular file but can be read, is a
	// stream: y4m, or headerless pictures if Raw says how they look.
	Path string
	// Raw describes a headerless file of planar pictures; nil for all others.
	Raw *RawFormat
	// Root confines Path to a folder. nil: Path may name any file.
	Root *os.Root
	// IgnoreRange takes the samples of y4m as they are, whatever range its header says they have: as limited, like those of headerless files.
	IgnoreRange bool
}

// Rational is a ratio of two integers, such as a frame rate. The zero value means unknown.
type Rational struct{ Num, Den int64 }

// IsZero says whether the ratio is unknown (or zero).
func (r Rational) IsZero() bool { return r.Num == 0 || r.Den == 0 }

// Float is the ratio as a number; 0 when it is unknown.
func (r Rational) Float() float64 {
	if r.IsZero() {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// String reads "30000/1001", "25" for a whole number, "unknown" for the zero value.
func (r Rational) String() string {
	switch {
	case r.IsZero():
		return "unknown"
	case r.Den == 1:
		return strconv.FormatInt(r.Num, 10)
	}
	return fmt.Sprintf("%d/%d", r.Num, r.Den)
}

// reduced is the ratio in lowest terms.
func (r Rational) reduced() Rational {
	a, b := r.Num, r.Den
	for b != 0 {
		a, b = b, a%b
	}
	if a == 0 {
		return Rational{}
	}
	if a < 0 {
		a = -a
	}
	return Rational{r.Num / a, r.Den / a}
}

// parseRate reads "25", "29.97" or "30000/1001".
func parseRate(s string) (Rational, error) {
	bad := fmt.Errorf("frame rate %q is no positive number, such as 25, 23.976 or 30000/1001", s)
	if num, den, ok := strings.Cut(s, "/"); ok {
		n, err1 := strconv.ParseInt(num, 10, 32)
		d, err2 := strconv.ParseInt(den, 10, 32)
		if err1 != nil || err2 != nil || n <= 0 || d <= 0 {
			return Rational{}, bad
		}
		return Rational{n, d}.reduced(), nil
	}
	for _, c := range s {
		if (c < '0' || c > '9') && c != '.' {
			return Rational{}, bad
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0) || f > 1e6 {
		return Rational{}, bad
	}
	r := Rational{int64(math.Round(f * 1000)), 1000}.reduced()
	if r.IsZero() {
		return Rational{}, bad
	}
	return r, nil
}

// RawFormat describes headerless video: planar pictures one after the other, rows without padding, luma first, samples of
// more than 8 bits in little-endian words.
type RawFormat struct {
	PixelFormat string      // FFmpeg's name, such as "yuv420p10le"
	Format      vmaf.Format // size and what PixelFormat says
	Rate        Rational    // zero: unknown
}

// String is the form that [ParseRawFormat] reads.
func (r RawFormat) String() string {
	s := fmt.Sprintf("%dx%d:%s", r.Format.Width, r.Format.Height, r.PixelFormat)
	if !r.Rate.IsZero() {
		s += ":" + r.Rate.String()
	}
	return s
}

// ParseRawFormat reads "WxH:PIXFMT[:RATE]", such as "1920x1080:yuv420p10le:30000/1001". PIXFMT is yuv420p, yuv422p,
// yuv444p (or yuvj…, full range) or gray, with 9, 10, 12, 14 or 16 bits as in yuv420p10le. "le" may be left out.
func ParseRawFormat(text string) (RawFormat, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return RawFormat{}, fmt.Errorf("raw video format %q is not WxH:PIXFMT[:RATE], such as 1920x1080:yuv420p:25", text)
	}
	w, h, ok := strings.Cut(parts[0], "x")
	width, err1 := strconv.ParseUint(w, 10, 31)
	height, err2 := strconv.ParseUint(h, 10, 31)
	if !ok || err1 != nil || err2 != nil || width == 0 || height == 0 {
		return RawFormat{}, fmt.Errorf("raw video size %q is not WxH, such as 1920x1080", parts[0])
	}
	format, name, ok := parsePlanarName(parts[1])
	if !ok {
		return RawFormat{}, fmt.Errorf("raw video pixel format %q is not one of %s", parts[1], strings.Join(planarNames(), " "))
	}
	format.Width, format.Height = int(width), int(height)
	r := RawFormat{PixelFormat: name, Format: format}
	if len(parts) == 3 {
		rate, err := parseRate(parts[2])
		if err != nil {
			return RawFormat{}, err
		}
		r.Rate = rate
	}
	return r, nil
}

// standardInput is how messages name it.
const standardInput = "standard input"

// readOnly opens a named pipe without waiting for its writer; reads wait, and can be cancelled.
const readOnly = os.O_RDONLY | unix.O_NONBLOCK

// duplicate makes another descriptor of the same open file.
func duplicate(f *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openFile opens what in names. size is -1 for a stream.
func openFile(in Input) (f *os.File, name string, sizeBytes int64, err error) {
	if in.Path == "" {
		return nil, "", 0, errors.New("no file name")
	}
	name = in.Path
	switch {
	case in.Path == "-":
		// a copy, so that closing the video leaves the process's descriptor alone
		name = standardInput
		if f, err = duplicate(os.Stdin, name); err != nil {
			return nil, "", 0, fmt.Errorf("%s: %w", name, err)
		}
	case in.Root != nil:
		f, err = in.Root.OpenFile(filepath.Clean(in.Path), readOnly, 0)
	default:
		f, err = os.OpenFile(in.Path, readOnly, 0)
	}
	if err != nil {
		return nil, "", 0, plainError(name, err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, "", 0, errors.Join(plainError(name, err), f.Close())
	}
	switch mode := st.Mode(); {
	case mode.IsRegular():
		if offset, err := f.Seek(0, 1); err != nil || offset != 0 {
			return f, name, -1, nil // standard input that someone has read from: go on where it is
		}
		if st.Size() == 0 {
			return nil, "", 0, errors.Join(fmt.Errorf("%s: %w: the file is empty", name, ErrNoVideo), f.Close())
		}
		return f, name, st.Size(), nil
	case mode.IsDir():
		return nil, "", 0, errors.Join(fmt.Errorf("%s: is a directory, not a video file", name), f.Close())
	case mode&fs.ModeNamedPipe != 0, mode&fs.ModeSocket != 0, mode&fs.ModeCharDevice != 0:
		return f, name, -1, nil
	default:
		return nil, "", 0, errors.Join(fmt.Errorf("%s: is neither a file nor a pipe (%v)", name, mode.Type()), f.Close())
	}
}

// plainError names the file once and leaves the system call out.
func plainError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}
