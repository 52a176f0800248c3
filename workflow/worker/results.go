package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/vqsd/vqsd/workflow/protocol"
)

// errUndelivered says that the daemon did not take results for longer than we wait.
var errUndelivered = errors.New("the daemon does not take results")

// send delivers a Record or Finish: it asks until there is a receipt, the task is unwanted, or patience ends.
//
// Errors: errCancelled, errRefused; errUndelivered; *queue.PayloadError.
func (t *task) send(subject string, body []byte, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(t.w.work, patience)
	defer cancel()
	defer context.AfterFunc(t.ctx, func() {
		if unwanted(context.Cause(t.ctx)) {
			cancel()
		}
	})()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = t.w.cfg.RetryFirst, 20*t.w.cfg.RetryFirst, 2
	pauses.Reset()
	for warned := false; ; {
		receipt, err := t.ask(ctx, subject, body)
		if err == nil && receipt.Refused != "" {
			return fmt.Errorf("%w: %s", errRefused, receipt.Refused)
		}
		if err == nil && receipt.Retry == "" {
			return nil
		}
		if err == nil {
			err = errors.New(receipt.Retry)
			if !warned {
				t.log.Warn("the daemon cannot store results yet; they wait here", "err", err)
				warned = true
			}
			select {
			case <-time.After(pauses.NextBackOff()):
				continue
			case <-ctx.Done():
			}
		}
		switch cause := context.Cause(t.ctx); {
		case unwanted(cause):
			return cause
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errUndelivered, err)
		}
		return err
	}
}

func (t *task) ask(ctx context.Context, subject string, body []byte) (*protocol.Receipt, error) {
	answer, err := t.w.cfg.Conn.Request(ctx, subject, body)
	if err != nil {
		return nil, err
	}
	var receipt protocol.Receipt
	if err := protocol.Decode(answer, &receipt); err != nil {
		return nil, err
	}
	return &receipt, nil
}

// batches is how many messages of figures wait while one is sent, so that the handler need not.
const batches = 2

// sender collects a task's parts into messages and delivers them beside the handler.
type sender struct {
	t     *task
	ctx   context.Context // the handler's; it need not wait longer
	limit int             // bytes of a message's parts, about
	queue chan []byte
	ended chan struct{} // closed when nothing is sent any more
	err   error         // why; set before ended is closed

	// mu guards the fields below.
	mu     sync.Mutex
	closed bool
	parts  []protocol.Part
	bytes  int // of parts, about
}

func newSender(ctx context.Context, t *task) *sender {
	limit := t.w.cfg.RecordBytes
	if most := t.w.cfg.Conn.MaxPayload(); most > 0 {
		limit = int(min(int64(limit), most/4*3))
	}
	s := &sender{t: t, ctx: ctx, limit: limit, queue: make(chan []byte, batches), ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *sender) run() {
	defer close(s.ended)
	for body := range s.queue {
		if s.err = s.t.send(protocol.SubjectRecord, body, s.t.w.cfg.ResultPatience); s.err != nil {
			// The handler need not go on: nobody will hear of it.
			s.t.stop(s.err)
			return
		}
	}
}

// Sizes of CBOR: a float64 is a byte and its eight, and what else a part has is less than this and its name.
const (
	figureBytes = 9
	partBytes   = 160
)

// emit takes a part. It keeps nothing of it.
func (s *sender) emit(p protocol.Part) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("part of a result: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errOver
	}
	for _, piece := range split(p, s.limit) {
		size := sizeOf(&piece)
		if len(s.parts) > 0 && s.bytes+size > s.limit {
			if err := s.flush(s.ctx.Done()); err != nil {
				return err
			}
		}
		s.parts = append(s.parts, clone(piece))
		s.bytes += size
	}
	return nil
}

func sizeOf(p *protocol.Part) int {
	return partBytes + len(p.Extraction) + figureBytes*len(p.Figures)*int(p.Frames())
}

// split cuts a part by frames into such as fit a message. The figures are shared.
func split(p protocol.Part, limit int) []protocol.Part {
	frames := p.Frames()
	each := int64(max(1, (limit-partBytes-len(p.Extraction))/(figureBytes*len(p.Figures))))
	if frames <= each {
		return []protocol.Part{p}
	}
	var pieces []protocol.Part
	for from := int64(0); from < frames; from += each {
		to := min(from+each, frames)
		piece := p
		piece.First, piece.End = p.First+from*p.Step, min(p.First+to*p.Step, p.End)
		piece.Figures = make([][]float64, len(p.Figures))
		for c, column := range p.Figures {
			piece.Figures[c] = column[from:to]
		}
		pieces = append(pieces, piece)
	}
	return pieces
}

func clone(p protocol.Part) protocol.Part {
	figures := make([][]float64, len(p.Figures))
	for c, column := range p.Figures {
		figures[c] = slices.Clone(column)
	}
	p.Figures = figures
	return p
}

// flush hands what has been collected to the goroutine that sends. stop ends the waiting for it.
func (s *sender) flush(stop <-chan struct{}) error {
	if len(s.parts) == 0 {
		return nil
	}
	body, err := protocol.Encode(&protocol.Record{Worker: s.t.w.cfg.ID, Task: s.t.ID, Parts: s.parts})
	if err != nil {
		return err
	}
	s.parts, s.bytes = nil, 0
	select {
	case s.queue <- body:
		return nil
	case <-s.ended:
		return s.err
	case <-stop:
		return context.Cause(s.ctx)
	}
}

// close sends the rest, waits until all is delivered, and says why if it is not.
func (s *sender) close() error {
	s.mu.Lock()
	err := s.flush(nil)
	s.closed = true
	s.mu.Unlock()
	close(s.queue)
	<-s.ended
	if s.err != nil {
		return s.err
	}
	return err
}
