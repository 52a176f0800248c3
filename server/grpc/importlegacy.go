package grpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/ingest"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// maxImportFiles is how many files one stream takes. Nothing is kept of a file once it is answered: it bounds how long a call lasts.
const maxImportFiles = 100_000

// errSilent says that a client has begun to send, and does not go on.
var errSilent = errors.New("the client has not sent for too long")

const (
	// importsAhead is how many files of a stream are written to the store at a time: together they wait for its disk once.
	importsAhead = 16
	// importedSmall is how many values a file has that goes on in the background while the next is read. Larger ones have the store, and the memory, to
	// themselves.
	importedSmall = 1 << 17
	// importPace is how many bytes a second a client has to send in the long run, and importFileWait what a file is worth beside its bytes: what came of
	// the last one may be waited for. Otherwise a byte now and then would hold a place among the imports for good.
	importPace     = 16 << 10
	importFileWait = time.Second
)

// ImportLegacy reads files as they come, one at a time, and answers in their order. What is wrong with a file is its failure; what concerns them all ends
// the stream, after which the client may send the same files again: those that were imported are found.
func (l *legacyForms) ImportLegacy(stream grpc.BidiStreamingServer[pb.ImportLegacyRequest, pb.ImportLegacyResponse]) error {
	select {
	case l.imports <- struct{}{}:
		defer func() { <-l.imports }()
	default:
		return &workflow.LimitError{Key: "limits.import_streams", Max: int64(l.cfg.Limits.ImportStreams), What: "imports at a time"}
	}
	caller := auth.FromContext(stream.Context())
	in := newUpload(stream, l.closing, l.cfg.Limits.StalledStream)
	out := newSender(stream, l.cfg.Limits)
	began := l.cfg.Now()
	files, failed, existed := 0, 0, 0
	group, ctx := errgroup.WithContext(stream.Context())
	in.ended = ctx.Done()
	answers := make(chan chan importOutcome, importsAhead)
	group.Go(func() error {
		defer close(answers)
		return l.readImports(ctx, caller, in, answers)
	})
	group.Go(func() error {
		for coming := range answers {
			outcome := <-coming
			if outcome.err != nil {
				return outcome.err
			}
			if files++; outcome.answer.GetFailure() != nil {
				failed++
			}
			if outcome.answer.GetExisted() {
				existed++
			}
			if err := out.send(outcome.answer); err != nil {
				return err
			}
		}
		return nil
	})
	err := group.Wait()
	if files > 0 {
		l.log.Info("files imported", "files", files, "failed", failed, "existed", existed, "caller", caller.String(), "elapsed", l.cfg.Now().Sub(began))
	}
	return err
}

// importOutcome is what came of a file; an error ends the stream.
type importOutcome struct {
	answer *pb.ImportLegacyResponse
	err    error
}

// readImports reads the files of a stream and hands over, for each, where its outcome will come. It returns when every one has come.
func (l *legacyForms) readImports(ctx context.Context, caller *auth.Caller, in *upload, answers chan<- chan importOutcome) error {
	var writing sync.WaitGroup
	defer writing.Wait()
	for files := 0; ; files++ {
		file, err := in.begin()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if files == maxImportFiles {
			return &workflow.LimitError{Key: "the most that one stream takes", Max: maxImportFiles, What: "files"}
		}
		answer, request, err := l.readImport(caller, file, in)
		if err != nil {
			return err
		}
		coming := make(chan importOutcome, 1)
		select {
		case answers <- coming: // waits where as many as are allowed are being written
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case request == nil:
			coming <- importOutcome{answer, nil}
		case request.Table != nil && int64(len(request.Table.Series))*int64(request.Table.Frames) > importedSmall:
			writing.Wait()
			coming <- l.writeImport(ctx, answer, request)
		default:
			writing.Go(func() { coming <- l.writeImport(ctx, answer, request) })
		}
	}
}

// readImport reads one file. Where something is wrong with it, there is a failure in the answer, and no request. An error is one of the stream.
func (l *legacyForms) readImport(caller *auth.Caller, file *pb.ImportFile, in *upload) (*pb.ImportLegacyResponse, *workflow.ImportRequest, error) {
	about := ingest.File{
		Name: file.GetName(), Format: file.GetFormat(), Reference: file.GetReference(), Distorted: file.GetDistorted(), Rendition: file.GetRendition(),
		Labels: file.GetLabels(), Resolve: func(uri string) store.Source { return l.importedSource(caller, uri) },
	}
	if file.GetMeasureTime() != nil {
		about.Measured = file.GetMeasureTime().AsTime()
	}
	answer := &pb.ImportLegacyResponse{File: file.GetName()}
	content, err := ingest.Read(in, about, ingest.Limits{Bytes: l.cfg.Limits.ImportBytes})
	if lost := in.finish(); lost != nil {
		return nil, nil, lost // half a file is none
	}
	if err != nil {
		if answer.Failure = importFailure(err); answer.Failure == nil {
			return nil, nil, err
		}
		return answer, nil, nil
	}
	r := &content.Request
	answer.Format, answer.Generation, answer.Frames, answer.Losses = r.Imported.Form, r.Imported.Generation, content.Listed, r.Imported.Losses
	r.Owner, r.DryRun = caller.Name, file.GetValidateOnly()
	return answer, r, nil
}

// writeImport makes the measurement of a file.
func (l *legacyForms) writeImport(ctx context.Context, answer *pb.ImportLegacyResponse, r *workflow.ImportRequest) importOutcome {
	st, existed, err := l.cfg.Workflow.Import(ctx, *r)
	switch {
	case err == nil:
		answer.Existed, answer.Measurement = existed, l.shown(st, basicView, basicView)
	default:
		if answer.Failure = importFailure(err); answer.Failure == nil {
			return importOutcome{nil, err}
		}
	}
	return importOutcome{answer, nil}
}

// importedSource is what a file calls a video. It is never opened, so that it need not lie below a media root: one that does not is seen by those who may
// use every root, and by whoever imported it.
func (l *legacyForms) importedSource(caller *auth.Caller, uri string) store.Source {
	source, err := l.cfg.Roots.Resolve(caller, uri)
	if err != nil {
		return ingest.Unrooted(uri)
	}
	return source
}

// importFailure is what is wrong with a file; nil for an error that is not the file's.
func importFailure(err error) *pb.Failure {
	failure := func(reason pb.FailureReason) *pb.Failure { return &pb.Failure{Reason: reason, Message: err.Error()} }
	_, isLimit := errors.AsType[*workflow.LimitError](err)
	_, isField := errors.AsType[*workflow.FieldError](err)
	_, isLog := errors.AsType[*legacy.ReadError](err)
	_, isRecord := errors.AsType[*record.ReadError](err)
	switch {
	case isLimit, errors.Is(err, legacy.ErrLimit), errors.Is(err, record.ErrLimit):
		return failure(pb.FailureReason_FAILURE_REASON_LIMIT)
	case errors.Is(err, ingest.ErrForm), errors.Is(err, legacy.ErrOtherTool):
		return failure(pb.FailureReason_FAILURE_REASON_UNSUPPORTED)
	case isField, isLog, isRecord, errors.Is(err, record.ErrInconsistent):
		return failure(pb.FailureReason_FAILURE_REASON_INVALID)
	}
	return nil
}

// upload is the files of a stream, one after the other. Its life is the stream's. It is an [io.Reader] of the file that [upload.begin] began.
type upload struct {
	stream   grpc.ServerStream
	closing  context.Context
	ended    <-chan struct{} // is closed when the method has failed elsewhere
	patience time.Duration   // with a client that does not send
	left     time.Duration   // of patience: what was sent earns some again
	messages chan received

	// Of the file that has begun; only touched by the method's goroutine.
	data []byte         // that was not read yet
	next *pb.ImportFile // the one that follows it
	err  error          // what ended the stream: io.EOF, or what is wrong
}

type received struct {
	message *pb.ImportLegacyRequest
	err     error
}

func newUpload(stream grpc.BidiStreamingServer[pb.ImportLegacyRequest, pb.ImportLegacyResponse], closing context.Context, patience time.Duration) *upload {
	u := &upload{stream: stream, closing: closing, patience: patience, left: patience, messages: make(chan received)}
	// It ends by itself: at the latest with the stream, which ends when the method returns.
	go func() {
		for {
			m, err := stream.Recv()
			select {
			case u.messages <- received{m, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return u
}

// receive waits for a message. Only the time of waiting costs patience, since the client has to wait while the store writes.
func (u *upload) receive() (m *pb.ImportLegacyRequest, err error) {
	silent := time.NewTimer(u.left)
	began := time.Now()
	defer func() {
		silent.Stop()
		earned := time.Duration(len(m.GetData())) * time.Second / importPace
		if m.GetFile() != nil {
			earned = importFileWait
		}
		u.left = min(u.patience, max(0, u.left-time.Since(began))+earned)
	}()
	select {
	case m := <-u.messages:
		if m.err != nil && u.stream.Context().Err() != nil {
			return nil, context.Cause(u.stream.Context())
		}
		return m.message, m.err
	case <-u.stream.Context().Done():
		return nil, context.Cause(u.stream.Context())
	case <-u.ended:
		return nil, context.Canceled
	case <-u.closing.Done():
		return nil, errShutdown
	case <-silent.C:
		return nil, errSilent
	}
}

// begin is the next file; [io.EOF] after the last.
func (u *upload) begin() (*pb.ImportFile, error) {
	if u.next == nil && u.err == nil {
		m, err := u.receive()
		if err != nil {
			return nil, err
		}
		if u.next = m.GetFile(); u.next == nil {
			return nil, &workflow.FieldError{Field: "file", Err: errors.New("a file begins before its data come")}
		}
	}
	if u.next == nil {
		return nil, u.err
	}
	file := u.next
	u.data, u.next = nil, nil
	return file, nil
}

// Read reads the file's data; [io.EOF] where the next one begins, or the stream ends as it should.
func (u *upload) Read(p []byte) (int, error) {
	for len(u.data) == 0 {
		if u.next != nil {
			return 0, io.EOF
		}
		if u.err != nil {
			return 0, u.err
		}
		m, err := u.receive()
		if err != nil {
			u.err = err
			continue
		}
		u.data, u.next = m.GetData(), m.GetFile()
	}
	n := copy(p, u.data)
	u.data = u.data[n:]
	return n, nil
}

// finish reads what is left of the file. Its error is one of the stream, whose file is then not whole.
func (u *upload) finish() error {
	for {
		u.data = nil
		switch _, err := u.Read(make([]byte, 1)); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
