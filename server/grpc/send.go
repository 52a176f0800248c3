package grpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// sender hands messages of a stream over, one at a time, and gives up on a client that does not read.
type sender[T any] struct {
	stream   grpc.ServerStreamingServer[T]
	patience time.Duration
}

func newSender[T any](stream grpc.ServerStreamingServer[T], l Limits) sender[T] {
	return sender[T]{stream, l.StalledStream}
}

// send returns once the message is on its way. It belongs to send from then on. Errors: errStalled, after which nothing more can be
// sent and the method has to return, which frees what is left; those of the stream.
func (s sender[T]) send(m *T) error {
	done := make(chan error, 1)
	go func() { done <- s.stream.Send(m) }() // ends by itself: at the latest with the stream, which ends when the method returns
	stalled := time.NewTimer(s.patience)
	defer stalled.Stop()
	select {
	case err := <-done:
		if err != nil && s.stream.Context().Err() != nil {
			return context.Cause(s.stream.Context())
		}
		return err
	case <-s.stream.Context().Done():
		return context.Cause(s.stream.Context())
	case <-stalled.C:
		return errStalled
	}
}
