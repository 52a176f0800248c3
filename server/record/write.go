package record

import (
	"errors"
	"io"
)

// ErrUnwritable is wrapped by the errors of [Write] that say a document has no sound record, naming the members that are at fault.
var ErrUnwritable = errors.New("cannot be written as an encode record")

// Write writes a record. Nothing is written where the error wraps [ErrUnwritable].
func Write(w io.Writer, d *Document) error { return ErrUnwritable }
