package protocol

import (
	"context"

	"github.com/vqsd/vqsd/store"
)

// Handler does tasks. The worker process implements it upon the engine; tests implement it with figures of their own.
//
// Its methods may be called from several goroutines, one for each of the worker's slots. They return soon after ctx has been
// cancelled, with ctx's error. What fails by itself is an *[Error]; any other error is taken for a defect of ours.
type Handler interface {
	// Inspect opens the media, tells what they are and closes them, or keeps them for the chunks to come. A rendition that
	// cannot be opened or compared has its Failure in the Inspection; the error is for the reference, or the whole.
	Inspect(ctx context.Context, c Comparison, task Inspect) (*Inspection, error)

	// Measure computes a chunk's figures. emit takes parts as they come ready, in any order, and may be called from one goroutine at
	// a time; an error of it ends Measure. progress may be called from any goroutine and does not block; done counts reference frames of the chunk.
	// A rendition that fails has its Failure in the ChunkDone, and the others are measured.
	Measure(ctx context.Context, c Comparison, task Chunk, emit func(Part) error, progress func(done, total int64)) (*ChunkDone, Timing, error)

	// Device says what figures are computed on.
	Device() Device

	// Broken is not nil once the handler can do no more tasks for a reason that ends with the process, such as a device whose driver
	// takes no more work. What was in hand then has failed by itself.
	Broken() error

	// Close lets go of everything that is kept between tasks.
	Close() error
}

// Error makes *Error an error.
func (e *Error) Error() string { return e.Message }

// Failure is what is kept of the error.
func (e *Error) Failure() *store.Failure { return &store.Failure{Reason: e.Reason, Message: e.Message} }
