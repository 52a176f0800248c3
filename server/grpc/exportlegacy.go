package grpc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"regexp"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/server/tabular"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

const (
	// exportPage is how many measurements are read at a time.
	exportPage = 100
	// exportAhead is how many renditions are fetched while those before are being sent. Each takes memory of the size of a video's figures.
	exportAhead = 2
	// exportBytes is the largest piece of a file.
	exportBytes = 256 << 10
	// exportRows is after how many rows a table's file ends, with the rendition that it came to.
	exportRows = 1_000_000
)

// measurementPattern is what names look like, as other requests demand it of theirs.
var measurementPattern = regexp.MustCompile(`^measurements/[0-9a-z]{26}$`)

// ExportLegacy streams files one after the other. While the client does not read, nothing but the next few is fetched. What is wrong with the request
// ends the stream; what concerns one rendition is its failure.
func (l *legacyForms) ExportLegacy(req *pb.ExportLegacyRequest, stream grpc.ServerStreamingServer[pb.ExportLegacyResponse]) error {
	x, err := l.newExporting(stream.Context(), req)
	if err != nil {
		return err
	}
	x.out = newSender(stream, l.cfg.Limits)
	group, ctx := errgroup.WithContext(stream.Context())
	items := make(chan *exportItem, exportAhead)
	group.Go(func() error {
		defer close(items)
		return x.read(ctx, func(item *exportItem) error {
			select {
			case items <- item:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error {
				defer close(item.ready)
				item.prepare(ctx, l.cfg.Workflow, x)
				return nil
			})
			return nil
		})
	})
	group.Go(func() error { return x.send(ctx, items) })
	return group.Wait()
}

// exporting is one call of ExportLegacy.
type exporting struct {
	*legacyForms
	out       sender[pb.ExportLegacyResponse]
	format    export.Format
	opt       export.Options
	one       *store.Measurement // nil: what query finds
	query     store.Query
	rendition string // "": all
	digest    [32]byte
	from      exportPlace

	// Of a table; only touched by send.
	table *export.Table
	file  *exportFile
	files int         // that have ended
	last  exportPlace // behind what is in the table so far
}

// newExporting checks a request, reporting all that is wrong with it.
func (l *legacyForms) newExporting(ctx context.Context, req *pb.ExportLegacyRequest) (*exporting, error) {
	x := &exporting{legacyForms: l, rendition: req.GetRendition()}
	var errs []error
	refuse := func(field, text string) {
		errs = append(errs, &workflow.FieldError{Field: field, Err: errors.New(text)})
	}
	switch name := req.GetName(); {
	case name == "" && req.GetFilter() == "":
		refuse("name", "a name or a filter is required; the filter * names all measurements")
	case name != "" && req.GetFilter() != "":
		refuse("filter", "name one measurement or give a filter, not both")
	case name != "" && !measurementPattern.MatchString(name):
		refuse("name", "want measurements/ID with the 26 letters and digits of an ID")
	}
	var err error
	if x.format, err = export.ParseFormat(req.GetFormat()); err != nil {
		errs = append(errs, &workflow.FieldError{Field: "format", Err: err})
	}
	x.opt = export.Options{
		Precision: int(req.GetPrecision()), Pool: req.GetPool(), OmitFrames: req.GetOmitFrames(), Version: l.cfg.Version,
		Granularity: tabular.Granularity(max(0, req.GetGranularity()-1)),
	}
	if err == nil {
		errs = append(errs, x.opt.Check(x.format))
	}
	caller := auth.FromContext(ctx)
	if text := req.GetFilter(); text != "" {
		if text == "*" {
			text = ""
		}
		x.query, err = l.query(caller, text, "name", measurementOrders)
		errs = append(errs, err)
		x.query.PageSize = exportPage
	}
	if x.digest, err = exportDigest(req); err != nil {
		return nil, err
	}
	if x.from, err = parseExportPlace(req.GetResumeToken(), x.digest); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	x.files = x.from.Files
	if req.GetName() == "" {
		return x, nil
	}
	if x.one, err = l.visible(ctx, idOf(req.GetName())); err != nil {
		return nil, err
	}
	return x, x.checkOne()
}

// checkOne requires that the measurement that is named has something to export.
func (x *exporting) checkOne() error {
	named, scored := false, false
	for _, d := range x.one.Renditions {
		if x.rendition == "" || d.Name == x.rendition {
			named, scored = true, scored || d.State == store.StateSucceeded
		}
	}
	switch {
	case !named:
		return fmt.Errorf("%w: %q", workflow.ErrNoRendition, x.rendition)
	case !scored:
		return fmt.Errorf("%w: measurement %s is %s", workflow.ErrNotStored, x.one.ID, x.one.State)
	}
	return nil
}

// exportItem is one rendition to be exported.
type exportItem struct {
	m         *store.Measurement
	rendition int
	place     exportPlace // behind it; without the number of files

	ready chan struct{} // closed when the fields below are set
	file  *export.File
	err   error
}

// read hands over the renditions that are asked for, in order, from the place on where the request begins.
func (x *exporting) read(ctx context.Context, next func(*exportItem) error) error {
	page := x.from.Page
	take := func(m *store.Measurement) error {
		for k := x.from.behind(m.ID, len(m.Renditions)); k < len(m.Renditions); k++ {
			d := &m.Renditions[k]
			// Of what a filter finds, renditions without scores are no more asked for than measurements without any.
			if x.rendition != "" && d.Name != x.rendition || x.one == nil && d.State != store.StateSucceeded {
				continue
			}
			if err := next(&exportItem{m: m, rendition: k, place: exportPlace{Page: page, Last: m.ID, Next: k + 1}, ready: make(chan struct{})}); err != nil {
				return err
			}
		}
		return nil
	}
	if x.one != nil {
		return take(x.one)
	}
	query := x.query
	for {
		query.PageToken = page
		found, err := x.cfg.Store.Query(ctx, query)
		if errors.Is(err, store.ErrQuery) && page == x.from.Page && page != "" {
			return &workflow.FieldError{Field: "resume_token", Err: errResumeToken}
		}
		if err != nil {
			return err
		}
		for _, m := range found.Measurements {
			if err := take(m); err != nil {
				return err
			}
		}
		if page = found.NextPageToken; page == "" {
			return nil
		}
	}
}

// prepare fetches what the file needs.
func (i *exportItem) prepare(ctx context.Context, src export.Source, x *exporting) {
	switch d := &i.m.Renditions[i.rendition]; d.State {
	case store.StateSucceeded:
		i.file, i.err = export.Prepare(ctx, src, i.m, i.rendition, x.format, x.opt)
	default:
		i.err = fmt.Errorf("%w: it is %s", workflow.ErrNotStored, d.State)
	}
}

// send sends what becomes of the items.
func (x *exporting) send(ctx context.Context, items <-chan *exportItem) error {
	for item := range items {
		select {
		case <-item.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		// Whoever exports much goes on behind the file before, once there is a daemon again.
		if x.closing.Err() != nil {
			return errShutdown
		}
		item.place.Files = x.files
		var err error
		switch {
		case errors.Is(item.err, store.ErrNotFound): // deleted meanwhile
		case item.err != nil:
			err = x.fail(ctx, item, item.err)
		case x.format.Table():
			err = x.append(item)
		default:
			err = x.whole(ctx, item)
		}
		if err != nil {
			return err
		}
		x.last = item.place
		if x.table != nil && x.table.Rows() >= exportRows {
			if err := x.endTable(); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return x.endTable()
}

// whole sends the file of one rendition.
func (x *exporting) whole(ctx context.Context, item *exportItem) error {
	out := newExportFile(x, &pb.ExportFile{
		Name: export.FileName(item.m, item.rendition, x.format), Measurement: nameOf(item.m.ID), Rendition: item.m.Renditions[item.rendition].Name,
	})
	losses, err := item.file.Write(out)
	switch {
	case out.err != nil:
		return out.err
	case err != nil && !out.begun:
		return x.fail(ctx, item, err)
	case err != nil:
		return err
	}
	return out.end(losses, item.place)
}

// append adds a rendition's rows to the table.
func (x *exporting) append(item *exportItem) (err error) {
	if x.table == nil {
		x.file = newExportFile(x, &pb.ExportFile{Name: export.TableFileName(x.opt.Granularity, x.files+1, x.format)})
		if x.table, err = export.NewTable(x.file, x.format, x.opt); err != nil {
			return cmp.Or(x.file.err, err)
		}
	}
	if err := x.table.Append(item.file); err != nil {
		return cmp.Or(x.file.err, err)
	}
	return nil
}

// endTable ends the file of a table, if one has begun.
func (x *exporting) endTable() error {
	if x.table == nil {
		return nil
	}
	if err := x.table.Close(); err != nil {
		return cmp.Or(x.file.err, err)
	}
	x.files++
	x.last.Files = x.files
	err := x.file.end(nil, x.last)
	x.table, x.file = nil, nil
	return err
}

// fail tells why there is no file of a rendition. Within a table's file nothing can be gone on behind: then the failure has no token, and whoever begins the
// file again is told of it again.
func (x *exporting) fail(ctx context.Context, item *exportItem, why error) error {
	if ctx.Err() != nil || errors.Is(why, store.ErrClosed) || errors.Is(why, context.Canceled) {
		return why
	}
	d := &item.m.Renditions[item.rendition]
	failure := d.Failure
	switch {
	case failure != nil && d.State != store.StateSucceeded:
	case errors.Is(why, workflow.ErrNotStored):
		failure = &store.Failure{Reason: store.ReasonNotStored, Message: why.Error()}
	case errors.Is(why, export.ErrNotInForm):
		failure = &store.Failure{Reason: store.ReasonInvalid, Message: why.Error()}
	default:
		reference := newReference()
		x.log.Error("a rendition cannot be exported", "measurement", item.m.ID, "rendition", d.Name, "reference", reference, "err", why)
		failure = &store.Failure{Reason: store.ReasonInternal, Message: fmt.Sprintf("internal error; the daemon's log has it under reference %s", reference)}
	}
	message := &pb.ExportFailure{Measurement: nameOf(item.m.ID), Rendition: d.Name, Failure: failureToProto(failure)}
	if x.table == nil {
		var err error
		if message.ResumeToken, err = item.place.token(x.digest); err != nil {
			return err
		}
	}
	return x.out.send(&pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_Failure{Failure: message}})
}

// exportFile sends what is written to it as a file. It begins with the first byte, so that a rendition that turns out to have no file can have a failure in
// its place.
type exportFile struct {
	x     *exporting
	file  *pb.ExportFile
	begun bool
	part  []byte // not sent yet
	bytes int64
	sum   hash.Hash
	err   error // of the stream; nothing is sent any more
}

func newExportFile(x *exporting, file *pb.ExportFile) *exportFile {
	return &exportFile{x: x, file: file, sum: sha256.New()}
}

// Write implements io.Writer.
func (f *exportFile) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && f.err == nil; {
		n := min(len(rest), exportBytes-len(f.part))
		f.part = append(f.part, rest[:n]...)
		rest = rest[n:]
		if len(f.part) == exportBytes {
			f.flush()
		}
	}
	if f.err != nil {
		return 0, f.err
	}
	f.bytes += int64(len(p))
	f.sum.Write(p)
	return len(p), nil
}

// flush sends the file's beginning, if it was not sent, and what has gathered.
func (f *exportFile) flush() {
	if !f.begun && f.err == nil {
		f.begun = true
		f.err = f.x.out.send(&pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_File{File: f.file}})
	}
	if len(f.part) > 0 && f.err == nil {
		f.err = f.x.out.send(&pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_Data{Data: f.part}})
		f.part = nil // it belongs to the stream
	}
}

// end sends what is left, and the file's end.
func (f *exportFile) end(losses []string, behind exportPlace) error {
	f.flush()
	if f.err != nil {
		return f.err
	}
	token, err := behind.token(f.x.digest)
	if err != nil {
		return err
	}
	return f.x.out.send(&pb.ExportLegacyResponse{Piece: &pb.ExportLegacyResponse_End{
		End: &pb.ExportFileEnd{Bytes: f.bytes, Sha256: f.sum.Sum(nil), Losses: losses, ResumeToken: token},
	}})
}
