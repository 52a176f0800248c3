package record

import (
	"errors"
	"io"
)

// Errors of [Read], wrapped in a [ReadError].
var (
	ErrMalformed    = errors.New("malformed JSON")
	ErrSchema       = errors.New("not as the schema of encode records wants it")
	ErrInconsistent = errors.New("members contradict each other")
	ErrLimit        = errors.New("limit exceeded")
)

// ReadError says where in a record something is wrong.
type ReadError struct {
	Pointer string // JSON pointer (RFC 6901); "": the whole document
	Offset  int64  // of the byte behind which it was noticed
	Err     error
}

// Error names the place and what is wrong there.
func (e *ReadError) Error() string { return e.Pointer + ": " + e.Err.Error() }

// Unwrap is what is wrong.
func (e *ReadError) Unwrap() error { return e.Err }

// Limits bound what [Read] accepts, and with that its memory. A zero field means its default.
type Limits struct {
	Bytes   int64 // of the document; default 1 GiB
	Frames  int   // in the range of frames, listed or not; default 4,194,304 (46 hours at 25 a second)
	Names   int   // series of frames; default 1024
	Cells   int   // series × frames of the range, missing values included; default 67,108,864
	Chunks  int   // default 65,536
	Figures int   // pooled values, of all frames and of chunks together; default 2,097,152
}

// Read reads a record.
func Read(r io.Reader, limits Limits) (*Document, error) {
	return nil, &ReadError{Err: ErrMalformed}
}
