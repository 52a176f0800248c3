package queue

import (
	"errors"
	"fmt"
)

// Errors of the queue.
var (
	// ErrNoDaemon says that nobody answered a request for as long as its context let us ask.
	ErrNoDaemon = errors.New("no daemon answers")
	// ErrFull says that a class has as many tasks waiting as its stream may hold.
	ErrFull = errors.New("queue is full")
	// ErrUnauthorized says that the server does not accept our credentials.
	ErrUnauthorized = errors.New("queue server refuses the credentials")
	// ErrClosed is returned after [Conn.Close].
	ErrClosed = errors.New("queue connection is closed")
	// ErrDisconnected says that there is no connection at the moment; it comes back by itself.
	ErrDisconnected = errors.New("queue server is not connected")
)

// PayloadError says that a body is larger than the server takes.
type PayloadError struct {
	Subject string
	Bytes   int   // of the body
	Limit   int64 // of the server
}

func (e *PayloadError) Error() string {
	return fmt.Sprintf("message of %d bytes on %s exceeds the queue server's max_payload (%d bytes); raise it there", e.Bytes, e.Subject, e.Limit)
}
