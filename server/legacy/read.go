package legacy

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Errors of [Read], wrapped in a [ReadError].
var (
	ErrMalformed = errors.New("malformed log")
	ErrLimit     = errors.New("limit exceeded")
	// ErrOtherTool says that the file is a log, but of a version of a program whose layout Read does not know.
	ErrOtherTool = errors.New("unknown kind of log")
)

// ReadError says where in a log reading ended.
type ReadError struct {
	Line int // from 1
	Err  error
}

func (e *ReadError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *ReadError) Unwrap() error { return e.Err }

// Limits bound what [ReadLimited] accepts, and with that its memory, 9 bytes per cell and little else, and once more as much for [Log.Table].
// A zero field means its default.
type Limits struct {
	Bytes  int64 // of the file; default 1 GiB
	Frames int   // up to the last listed one, whether listed or not; default 4,194,304 (46 hours at 25 a second)
	Names  int   // distinct series, pooled series and aggregates, each; default 1024
	Cells  int   // series × frames up to the last listed one; default 67,108,864
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

// Read reads a log in whichever format it is, within the default [Limits]. Errors are a [*ReadError], or what r returned.
func Read(r io.Reader) (*Log, Format, error) { return ReadLimited(r, Limits{}) }

// ReadLimited is [Read] with limits of the caller's.
func ReadLimited(r io.Reader, limits Limits) (*Log, Format, error) {
	limits = limits.withDefaults()
	in := newInput(r, limits)
	f, err := in.sniff()
	if err != nil {
		return nil, 0, err
	}
	b := newBuilder(limits, f)
	if err := readers[f](in, b); err != nil {
		return nil, b.format, in.fail(err)
	}
	return b.finish(), b.format, nil
}

// readers are by the outer shapes that sniff tells apart. The 1.x tools' logs have those of libvmaf's, and what is in them tells.
var readers = map[Format]func(*input, *builder) error{
	XML: readXML, JSON: readJSON, CSV: readCSV, SUB: readSUB, FFmpegPSNR: readFFmpegPSNR, FFmpegSSIM: readFFmpegSSIM,
}

// sniff tells the outer shapes of the formats apart by their first bytes.
func (in *input) sniff() (Format, error) {
	if mark := "\xef\xbb\xbf"; string(in.lookAhead(len(mark))) == mark { // an editor's, never libvmaf's
		in.pos += len(mark)
	}
	switch c := in.space(); c {
	case '<':
		return XML, nil
	case 'F':
		return CSV, nil
	case '{':
		head := in.lookAhead(2)
		if len(head) == 2 && head[1] >= '0' && head[1] <= '9' {
			return SUB, nil
		}
		return JSON, nil
	case 'p':
		return FFmpegPSNR, nil // psnr_log_version
	case 'n':
		// n:1 mse_avg:… is PSNR, n:1 Y:… SSIM.
		if _, rest, _ := strings.Cut(string(in.lookAhead(32)), " "); strings.HasPrefix(rest, "mse_") {
			return FFmpegPSNR, nil
		}
		return FFmpegSSIM, nil
	case end:
		return 0, in.fail(fmt.Errorf("the file is empty: %w", ErrMalformed))
	default:
		return 0, in.fail(fmt.Errorf("the file begins with %s, unlike any log of libvmaf, vmafossexec or FFmpeg: %w", show(c), ErrMalformed))
	}
}
