package decode

import (
	"errors"
	"fmt"
)

// What callers branch on. Each is wrapped by a message that names the file and says what to do.
var (
	ErrNoVideo       = errors.New("no video stream")
	ErrUnsupported   = errors.New("unsupported")
	ErrNoFrames      = errors.New("no frames")
	ErrDamaged       = errors.New("damaged picture")
	ErrTruncated     = errors.New("file is truncated")
	ErrFormatChanged = errors.New("picture format changes")
	ErrSizeMismatch  = errors.New("picture sizes differ")
	ErrCrop          = errors.New("invalid crop rectangle")
	ErrChanged       = errors.New("file changed while it was read")
	ErrTimeout       = errors.New("timeout")
	ErrClosed        = errors.New("already closed")
)

// FrameError says which picture of which file failed.
type FrameError struct {
	Path  string
	Frame int64 // 0-based, in presentation order
	Err   error
}

func (e *FrameError) Error() string { return fmt.Sprintf("%s: frame %d: %v", e.Path, e.Frame, e.Err) }
func (e *FrameError) Unwrap() error { return e.Err }

// LimitError says which of the [Limits] a file exceeds.
type LimitError struct {
	Name  string // the configuration key, such as "max_width"
	What  string // what was counted, such as "width"
	Value int64  // 0: not known, but more than Max
	Max   int64
	Hint  string // what else helps, or ""
}

func (e *LimitError) Error() string {
	what := e.What
	if e.Value > 0 {
		what = fmt.Sprintf("%s %d", e.What, e.Value)
	}
	s := fmt.Sprintf("%s exceeds limits.%s (%d); raise it in the configuration", what, e.Name, e.Max)
	if e.Hint != "" {
		s += " or " + e.Hint
	}
	return s
}
