package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/export"
)

// exportTarget is where files go. Each is begun, written and then ended or dropped before the next.
type exportTarget interface {
	// begin begins a file, whose name is one that a file in a folder may have.
	begin(name string) (io.Writer, error)
	// end completes the file. existed says that the same one was there before.
	end(r *exportResult) (path string, existed bool, err error)
	// drop forgets the file that was begun, since the daemon has gone. Error: it cannot be begun again.
	drop() error
	// pass notes a rendition that has no file.
	pass(r *exportResult) error
}

// exportResult is what came of one file, or of a rendition in its place.
type exportResult struct {
	Name     string          `json:"name,omitempty"` // "": there is a failure in its place
	Bytes    int64           `json:"bytes,omitempty"`
	SHA256   string          `json:"sha256,omitempty"`
	Failures []exportFailure `json:"failures,omitempty"` // of a table, of renditions whose rows it lacks
	Token    string          `json:"token"`              // goes on behind it
}

// exportFailure is a rendition that could not be exported.
type exportFailure struct {
	Measurement string `json:"measurement"`
	Rendition   string `json:"rendition"`
	Message     string `json:"message"`
}

func newExportFailure(f *pb.ExportFailure) exportFailure {
	return exportFailure{f.GetMeasurement(), f.GetRendition(), oneLine(f.GetFailure().GetMessage())}
}

// exporting is one run of export.
type exporting struct {
	app      *app
	flags    *exportFlags
	request  *pb.ExportLegacyRequest // its token is where to go on
	legacy   pb.LegacyServiceClient
	patience *patience
	bar      *progress
	target   exportTarget

	files, existed int64
	resumed        int64 // that an earlier run had written
	failures       []error
	losses         []exportLoss // in the order in which they came up
}

// exportLoss is something that files do not hold of their measurements.
type exportLoss struct {
	what  string
	files int64
}

// all reads the files to the end. A daemon that goes away and comes again is asked for what is left.
func (x *exporting) all(ctx context.Context) error {
	return x.patience.try(ctx, func(ctx context.Context, progressed func()) error {
		ctx, cancel := context.WithCancel(ctx) // ends a stream that is not read to its end
		defer cancel()
		stream, err := x.legacy.ExportLegacy(ctx, x.request)
		if err != nil {
			return err
		}
		r := &exportReader{exporting: x}
		for {
			piece, err := stream.Recv()
			switch {
			case errors.Is(err, io.EOF) && r.file == nil:
				return nil
			case errors.Is(err, io.EOF):
				err = status.Errorf(codes.Internal, "the daemon's files end within %s", r.file.GetName())
			case err == nil:
				progressed()
				err = r.take(piece)
			}
			if err != nil {
				if r.file != nil {
					if lost := x.target.drop(); lost != nil {
						return fmt.Errorf("%v; %w", x.patience.client.explain(ctx, err), lost) // and not err itself, which would be tried again
					}
				}
				return err
			}
		}
	})
}

// exportReader reads one stream.
type exportReader struct {
	*exporting
	file   *pb.ExportFile // that has begun; nil: none
	w      io.Writer
	bytes  int64
	sum    hash.Hash
	within []*pb.ExportFailure
}

func (r *exportReader) take(piece *pb.ExportLegacyResponse) (err error) {
	switch p := piece.GetPiece().(type) {
	case *pb.ExportLegacyResponse_File:
		name := p.File.GetName()
		if r.file != nil {
			return status.Errorf(codes.Internal, "the daemon began file %q within another", name)
		}
		if err := export.CheckFileName(name); err != nil {
			return fmt.Errorf("the daemon calls a file %.300q, which %w; it is not written", name, err)
		}
		if r.w, err = r.target.begin(name); err != nil {
			return err
		}
		r.file, r.bytes, r.sum, r.within = p.File, 0, sha256.New(), nil
	case *pb.ExportLegacyResponse_Data:
		if r.file == nil {
			return status.Error(codes.Internal, "the daemon sent data of no file")
		}
		r.bytes += int64(len(p.Data))
		r.sum.Write(p.Data)
		_, err = r.w.Write(p.Data)
		return err
	case *pb.ExportLegacyResponse_End:
		return r.end(p.End)
	case *pb.ExportLegacyResponse_Failure:
		if r.file != nil {
			r.within = append(r.within, p.Failure)
			return nil
		}
		result := &exportResult{Failures: []exportFailure{newExportFailure(p.Failure)}, Token: p.Failure.GetResumeToken()}
		if err := r.target.pass(result); err != nil {
			return err
		}
		r.request.ResumeToken = result.Token
		r.note(result.Failures)
		return r.printFailure(p.Failure)
	}
	return nil // of a later version
}

// end completes a file.
func (r *exportReader) end(end *pb.ExportFileEnd) error {
	if r.file == nil {
		return status.Error(codes.Internal, "the daemon ended no file")
	}
	file, sum := r.file, r.sum.Sum(nil)
	if end.GetBytes() != r.bytes || !slices.Equal(end.GetSha256(), sum) {
		return status.Errorf(codes.DataLoss, "file %s came with %d bytes and SHA-256 %x; the daemon says %d and %x", file.GetName(), r.bytes, sum, end.GetBytes(), end.GetSha256())
	}
	result := &exportResult{Name: file.GetName(), Bytes: r.bytes, SHA256: hex.EncodeToString(sum), Token: end.GetResumeToken()}
	for _, f := range r.within {
		result.Failures = append(result.Failures, newExportFailure(f))
	}
	path, existed, err := r.target.end(result)
	if err != nil {
		return err
	}
	r.file, r.request.ResumeToken = nil, result.Token
	r.files++
	if existed {
		r.existed++
	}
	for _, what := range end.GetLosses() {
		r.lose(what)
	}
	r.note(result.Failures)
	r.bar.update(r.resumed+r.files, -1)
	switch {
	case r.flags.json:
		d := exportDocument{
			Schema: exportSchema, File: &path, Measurement: file.GetMeasurement(), Rendition: file.GetRendition(), SizeBytes: result.Bytes,
			SHA256: result.SHA256, Existed: existed, Losses: nonNil(end.GetLosses()),
		}
		err = r.print(d)
	case path != "-":
		_, err = fmt.Fprintln(r.app.stdout, printable(path))
	}
	for _, f := range r.within {
		err = errors.Join(err, r.printFailure(f))
	}
	return err
}

func (r *exportReader) printFailure(f *pb.ExportFailure) error {
	if !r.flags.json {
		return nil
	}
	return r.print(exportDocument{
		Schema: exportSchema, Measurement: f.GetMeasurement(), Rendition: f.GetRendition(), Losses: []string{}, Failure: newFailure(f.GetFailure()),
	})
}

func (x *exporting) print(d exportDocument) error {
	return errors.Join(writeLine(x.app.stdout, d), x.app.stdout.flush())
}

// note keeps failures for the end.
func (x *exporting) note(failures []exportFailure) {
	for _, f := range failures {
		x.failures = append(x.failures, fmt.Errorf("%s, %s: %s", shortName(f.Measurement), f.Rendition, f.Message))
	}
}

// lose counts a loss.
func (x *exporting) lose(what string) {
	i := slices.IndexFunc(x.losses, func(l exportLoss) bool { return l.what == what })
	if i < 0 {
		i = len(x.losses)
		x.losses = append(x.losses, exportLoss{what: what})
	}
	x.losses[i].files++
}

// summarise says what the files do not hold, and how many there are.
func (x *exporting) summarise() {
	for _, l := range x.losses {
		fmt.Fprintf(x.app.stderr, "not held by %s: %s (%s)\n", x.request.GetFormat(), printable(l.what), plural(l.files, "file"))
	}
	text := plural(x.files, "file") + " exported"
	if x.existed > 0 {
		text += fmt.Sprintf(", of which %d were there already", x.existed)
	}
	fmt.Fprintln(x.app.stderr, text)
}

// exportOne is a target that takes one file, as it comes.
type exportOne struct {
	w      io.Writer
	name   string // as --to has it
	begun  bool
	ended  bool
	failed bool // to write
}

func (o *exportOne) begin(string) (io.Writer, error) {
	if o.begun {
		return nil, fmt.Errorf("%s holds one file, and there are more; name a folder", o.name)
	}
	o.begun = true
	return o, nil
}

// Write writes to the file.
func (o *exportOne) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.failed = o.failed || err != nil
	return n, err
}

func (o *exportOne) end(*exportResult) (string, bool, error) {
	o.ended = true
	return o.name, false, nil
}

// drop refuses: what was written cannot be taken back. Where nothing could be written, that is what counts.
func (o *exportOne) drop() error {
	if o.failed {
		return nil
	}
	return errors.New("a part of the file had come by then; export it again")
}

func (o *exportOne) pass(*exportResult) error { return nil }
