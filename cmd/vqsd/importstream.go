package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

const (
	// importFilesPerStream is after how many files another stream is begun, well before the daemon ends it.
	importFilesPerStream = 10_000
	// importPiece is how many bytes of a file a message has.
	importPiece = 256 << 10
	// importAhead is how many files are sent before the first of them is answered: small ones need not wait for each other's way.
	importAhead = 64
)

// importing is one run of import.
type importing struct {
	app      *app
	flags    *importFlags
	plan     *importPlan
	bar      *progress
	total    int
	done     int // files that something has come of
	taken    int64
	existed  int
	failures []error
}

// all imports files, in as many streams as it takes. While the daemon has as many imports of others as it takes, it waits.
func (r *importing) all(ctx context.Context, c *client, files []*importedFile) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 3*time.Second
	var since time.Time // that it waits; zero: it does not
	for len(files) > 0 {
		n, err := r.stream(ctx, c, files[:min(len(files), importFilesPerStream)])
		files = files[n:]
		if n > 0 {
			since = time.Time{}
			pause.Reset()
		}
		if err == nil {
			continue
		}
		if !isLimit(err, "limits.import_streams") {
			return err
		}
		if since.IsZero() {
			since = time.Now()
			r.app.teller(r.flags.quiet)("%v; trying again for %v", err, defaultPatience)
		}
		if time.Since(since) > defaultPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause.NextBackOff()):
		}
	}
	return nil
}

// stream sends files and takes the answers, and says how many files it has dealt with. Where one cannot be read to its end, which nothing can tell the daemon
// but a stream that breaks off, it ends early: what was not answered is sent again by the next.
func (r *importing) stream(ctx context.Context, c *client, files []*importedFile) (dealt int, err error) {
	inner, cancel := context.WithCancel(ctx)
	stream, err := pb.NewLegacyServiceClient(c.conn).ImportLegacy(inner)
	if err != nil {
		cancel()
		return 0, c.explain(ctx, err)
	}
	sent := make(chan *importedFile, importAhead)
	broken := make(chan brokenFile, 1)
	go func() {
		defer close(sent)
		b := r.send(inner, stream, files, sent)
		broken <- b
		if b.file != nil {
			cancel()
		}
	}()
	defer func() {
		cancel()
		for range sent { // until the sender has ended
		}
	}()
	for file := range sent {
		answer := &pb.ImportLegacyResponse{File: file.path}
		if file.err == nil {
			if answer, err = stream.Recv(); err != nil {
				cancel()
				for range sent {
				}
				if b := <-broken; b.file != nil && ctx.Err() == nil {
					b.file.err = b.err
					return dealt, nil
				}
				if errors.Is(err, io.EOF) {
					err = errors.New("the daemon has ended the stream before it answered")
				}
				return dealt, c.explain(ctx, err)
			}
		}
		if err := r.take(file, answer); err != nil {
			return dealt, err
		}
		dealt++
	}
	return dealt, nil
}

// brokenFile is a file that could not be read to its end, and why; the zero value is none.
type brokenFile struct {
	file *importedFile
	err  error
}

// send sends files, each of which it hands over first; from then on it is not the sender's any more. It returns the one that could not be read to its
// end: then the stream is broken off. What is wrong with the stream itself, receiving tells.
func (r *importing) send(ctx context.Context, stream grpc.BidiStreamingClient[pb.ImportLegacyRequest, pb.ImportLegacyResponse], files []*importedFile, sent chan<- *importedFile) brokenFile {
	buffer := make([]byte, importPiece)
	for _, file := range files {
		in, about, err := r.begin(file)
		if err != nil {
			file.err = err
		}
		select {
		case sent <- file:
		case <-ctx.Done():
			if in != nil {
				in.Close()
			}
			return brokenFile{}
		}
		if in == nil {
			continue
		}
		begun, readErr := sendFile(stream, about, in, buffer)
		in.Close() // it was only read
		if readErr != nil {
			return brokenFile{file, fmt.Errorf("%s: %w", file.path, bare(readErr))}
		}
		if !begun {
			return brokenFile{}
		}
	}
	_ = stream.CloseSend() // it has no error but that of a stream that has ended
	return brokenFile{}
}

// begin opens a file. Its error names it.
func (r *importing) begin(file *importedFile) (*os.File, *pb.ImportFile, error) {
	if file.err != nil {
		return nil, nil, file.err // of the stream before
	}
	in, err := os.Open(file.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.path, bare(err))
	}
	info, err := in.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a directory")
	}
	var about *pb.ImportFile
	if err == nil {
		about = r.plan.about(file, info.ModTime())
		err = checkAbout(about)
	}
	if err != nil {
		in.Close()
		return nil, nil, fmt.Errorf("%s: %w", file.path, bare(err))
	}
	return in, about, nil
}

// sendFile sends one file. ok is false where the stream has ended; err is of reading.
func sendFile(stream grpc.BidiStreamingClient[pb.ImportLegacyRequest, pb.ImportLegacyResponse], about *pb.ImportFile, in io.Reader, buffer []byte) (ok bool, err error) {
	if stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: about}}) != nil {
		return false, nil
	}
	for {
		n, err := io.ReadFull(in, buffer)
		if n > 0 && stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: buffer[:n]}}) != nil {
			return false, nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return true, err
		}
	}
}

// take notes what came of one file.
func (r *importing) take(file *importedFile, answer *pb.ImportLegacyResponse) error {
	r.done++
	r.bar.update(int64(r.done), int64(r.total))
	d := importDocument{
		Schema: importSchema, File: file.path, Format: answer.GetFormat(), Generation: answer.GetGeneration(), Measurement: answer.GetMeasurement().GetName(),
		Frames: answer.GetFrames(), Existed: answer.GetExisted(), Losses: nonNil(answer.GetLosses()), Failure: newFailure(answer.GetFailure()),
	}
	for _, rendition := range answer.GetMeasurement().GetRenditions() {
		d.Rendition = rendition.GetName()
	}
	if file.err != nil {
		d.Failure = &failure{Reason: "not_found", Message: file.err.Error()}
		if errors.Is(file.err, errTooLong) {
			d.Failure.Reason = reasonWord(pb.FailureReason_FAILURE_REASON_LIMIT)
		}
		r.failures = append(r.failures, errors.New(printable(file.err.Error())))
	} else if d.Failure != nil {
		r.failures = append(r.failures, fmt.Errorf("%s: %s", printable(file.path), oneLine(d.Failure.Message)))
	}
	word := "imported"
	switch {
	case d.Failure != nil:
		word = "failed"
	case d.Existed:
		word = "before"
		r.existed++
		r.taken++
	case r.plan.dryRun:
		word = "good"
		r.taken++
	default:
		r.taken++
	}
	if r.flags.json {
		return errors.Join(writeLine(r.app.stdout, d), r.app.stdout.flush())
	}
	r.bar.clear()
	_, err := fmt.Fprintf(r.app.stdout, "%-26s  %-8s  %8d  %-16s  %s\n", dash(shortName(d.Measurement)), word, d.Frames, dash(d.Format), printable(file.path))
	if !r.flags.quiet {
		for _, loss := range d.Losses {
			fmt.Fprintf(r.app.stderr, "%s: not kept: %s\n", printable(file.path), oneLine(loss))
		}
	}
	return errors.Join(err, r.app.stdout.flush())
}
