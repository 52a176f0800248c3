package grpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// exported is a file that was streamed, or why there is none.
type exported struct {
	*pb.ExportFile
	data    []byte
	end     *pb.ExportFileEnd
	failure *pb.ExportFailure
	within  []*pb.ExportFailure // of a table
	token   string
}

// exportSome reads files until there are n (−1: no more), and checks that each is whole.
func (r *rig) exportSome(ctx context.Context, req *pb.ExportLegacyRequest, n int) (files []exported, err error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewLegacyServiceClient(r.conn).ExportLegacy(ctx, req)
	if err != nil {
		r.t.Fatal(err)
	}
	var open *exported
	for len(files) != n {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) && open == nil {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		switch p := m.GetPiece().(type) {
		case *pb.ExportLegacyResponse_File:
			if open != nil {
				r.t.Fatalf("%s begins within %s", p.File.GetName(), open.GetName())
			}
			open = &exported{ExportFile: p.File}
		case *pb.ExportLegacyResponse_Data:
			if len(p.Data) == 0 || len(p.Data) > exportBytes {
				r.t.Errorf("a piece of %d bytes", len(p.Data))
			}
			open.data = append(open.data, p.Data...)
		case *pb.ExportLegacyResponse_End:
			open.end, open.token = p.End, p.End.GetResumeToken()
			if sum := sha256.Sum256(open.data); p.End.GetBytes() != int64(len(open.data)) || !bytes.Equal(p.End.GetSha256(), sum[:]) {
				r.t.Errorf("%s: %d bytes, said to be %d with SHA-256 %x", open.GetName(), len(open.data), p.End.GetBytes(), p.End.GetSha256())
			}
			files, open = append(files, *open), nil
		case *pb.ExportLegacyResponse_Failure:
			if open != nil {
				open.within = append(open.within, p.Failure)
				continue
			}
			files = append(files, exported{ExportFile: &pb.ExportFile{}, failure: p.Failure, token: p.Failure.GetResumeToken()})
		}
	}
	return files, nil
}

func (r *rig) exportAll(ctx context.Context, req *pb.ExportLegacyRequest) []exported {
	r.t.Helper()
	files, err := r.exportSome(ctx, req, -1)
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// written is what package export writes of a rendition.
func (r *rig) written(m *store.Measurement, k int, f export.Format) []byte {
	r.t.Helper()
	var b bytes.Buffer
	if _, err := export.Write(context.Background(), &b, r.workflow, m, k, f, export.Options{Version: "v1.2.3"}); err != nil {
		r.t.Fatal(err)
	}
	return b.Bytes()
}

func TestExportOfOneMeasurement(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(5000)
	m := r.finished("clips", nil)
	for _, format := range []export.Format{export.XML, export.JSON, export.SUB, export.HTML} {
		files := r.exportAll(as(t, ""), &pb.ExportLegacyRequest{Name: nameOf(m.ID), Format: string(format)})
		if len(files) != 2 {
			t.Fatalf("%s: %d files of 2 renditions", format, len(files))
		}
		for k, file := range files {
			if !bytes.Equal(file.data, r.written(m, k, format)) {
				t.Errorf("%s: file %d is not what package export writes", format, k)
			}
			if file.GetName() != export.FileName(m, k, format) || file.GetMeasurement() != nameOf(m.ID) || file.GetRendition() != m.Renditions[k].Name {
				t.Errorf("%s: file %d is of %v", format, k, file.ExportFile)
			}
		}
	}
	if len(r.written(m, 0, export.XML)) <= exportBytes {
		t.Error("the files of this test are to have several pieces")
	}
	files := r.exportAll(as(t, ""), &pb.ExportLegacyRequest{Name: nameOf(m.ID), Format: "XML", Rendition: "b", Precision: 17})
	if len(files) != 1 || files[0].GetRendition() != "b" || bytes.Equal(files[0].data, r.written(m, 1, export.XML)) {
		t.Errorf("one rendition with 17 digits: %d files", len(files))
	}
}

func TestExportRequestIsChecked(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(10)
	m := r.finished("clips", nil)
	for _, test := range []struct {
		what   string
		req    *pb.ExportLegacyRequest
		fields []string
	}{
		{"nothing", &pb.ExportLegacyRequest{Format: "xml"}, []string{"name"}},
		{"both", &pb.ExportLegacyRequest{Format: "xml", Name: nameOf(m.ID), Filter: "*"}, []string{"filter"}},
		{"a name that is none", &pb.ExportLegacyRequest{Format: "xml", Name: "measurements/../x"}, []string{"name"}},
		{"an unknown format", &pb.ExportLegacyRequest{Format: "yaml", Filter: "*"}, []string{"format"}},
		{"no format", &pb.ExportLegacyRequest{Filter: "*"}, []string{"format"}},
		{"a bad filter", &pb.ExportLegacyRequest{Format: "xml", Filter: "nope = 1"}, []string{"filter"}},
		{"digits of a page", &pb.ExportLegacyRequest{Format: "html", Filter: "*", Precision: 17}, []string{"precision"}},
		{"a pool of libvmaf's logs", &pb.ExportLegacyRequest{Format: "xml", Filter: "*", Pool: "mean"}, []string{"pool"}},
		{"an unknown pool", &pb.ExportLegacyRequest{Format: "vmafossexec-xml", Filter: "*", Pool: "max"}, []string{"pool"}},
		{"no frames of a log", &pb.ExportLegacyRequest{Format: "xml", Filter: "*", OmitFrames: true}, []string{"omit_frames"}},
		{"rows of a log", &pb.ExportLegacyRequest{Format: "xml", Filter: "*", Granularity: pb.TableGranularity_TABLE_GRANULARITY_FRAME}, []string{"granularity"}},
		{"a token that is none", &pb.ExportLegacyRequest{Format: "xml", Filter: "*", ResumeToken: "x"}, []string{"resume_token"}},
		{"everything at once", &pb.ExportLegacyRequest{Format: "csv", Filter: "(", OmitFrames: true, ResumeToken: "x"}, []string{"omit_frames", "filter", "resume_token"}},
	} {
		_, err := r.exportSome(as(t, ""), test.req, -1)
		t.Log(test.what, err)
		wantFields(t, err, test.fields...)
	}
	_, err := r.exportSome(as(t, ""), &pb.ExportLegacyRequest{Format: "xml", Name: "measurements/00000000000000000000000000"}, -1)
	wantCode(t, err, codes.NotFound)
	_, err = r.exportSome(as(t, ""), &pb.ExportLegacyRequest{Format: "xml", Name: nameOf(m.ID), Rendition: "c"}, -1)
	wantCode(t, err, codes.NotFound)
}

func TestExportByFilterGoesOnBehindEachFile(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(20)
	const n = 2*exportPage + 7
	var want []string
	for i := range n {
		m := r.finished("clips", map[string]string{"set": "x"})
		if i%50 == 0 {
			r.finished("clips", nil) // not in the filter
		}
		for k := range m.Renditions {
			want = append(want, export.FileName(m, k, export.CSV))
		}
	}
	// Frames without a value have no place in CSV.
	r.workflow.frames = func(_ store.MeasurementID, rendition string) (*workflow.Frames, error) {
		return &workflow.Frames{Name: rendition, Table: &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "vmaf", Values: []float64{90}}}}}, nil
	}
	req := &pb.ExportLegacyRequest{Filter: "labels.set = x", Format: "csv"}
	names := func(files []exported) (list []string) {
		for _, file := range files {
			list = append(list, file.GetName())
		}
		return list
	}
	whole := r.exportAll(as(t, ""), req)
	if !slices.Equal(names(whole), want) {
		t.Fatalf("%d files, want %d in the order of age", len(whole), len(want))
	}
	for _, at := range []int{1, 2, 3, 2*exportPage - 1, 2 * exportPage, 2*exportPage + 1, 4*exportPage - 1, 4 * exportPage, len(want) - 1, len(want)} {
		req.ResumeToken = whole[at-1].token
		if rest := r.exportAll(as(t, ""), req); !slices.Equal(names(rest), want[at:]) {
			t.Errorf("behind file %d come %d files, want %d", at, len(rest), len(want)-at)
		}
	}
	// Cut short again and again, with measurements coming and going.
	req.ResumeToken = ""
	var got []string
	for len(got) < len(want) {
		files, err := r.exportSome(as(t, ""), req, 37)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, names(files)...)
		req.ResumeToken = files[len(files)-1].token
		m := r.finished("clips", map[string]string{"set": "x"})
		for k := range m.Renditions {
			want = append(want, export.FileName(m, k, export.CSV))
		}
		if len(want) > 2*n+10 {
			break
		}
	}
	if !slices.Equal(got, want[:len(got)]) {
		t.Error("files are missing, or come twice")
	}
	other := &pb.ExportLegacyRequest{Filter: "labels.set = y", Format: "csv", ResumeToken: whole[0].token}
	_, err := r.exportSome(as(t, ""), other, -1)
	wantFields(t, err, "resume_token")
	other = &pb.ExportLegacyRequest{Filter: "labels.set = x", Format: "sub", ResumeToken: whole[0].token}
	_, err = r.exportSome(as(t, ""), other, -1)
	wantFields(t, err, "resume_token")
}

// TestExportTokenOfAnotherDaemon takes one to a daemon with another store, where its places mean nothing.
func TestExportTokenOfAnotherDaemon(t *testing.T) {
	r, other := newRig(t), newRig(t)
	for _, rig := range []*rig{r, other} {
		rig.scriptFigures(1)
		for range exportPage + 2 {
			rig.finished("clips", nil)
		}
	}
	req := &pb.ExportLegacyRequest{Filter: "*", Format: "xml"}
	files := r.exportAll(as(t, ""), req)
	req.ResumeToken = files[len(files)-1].token
	_, err := other.exportSome(as(t, ""), req, -1)
	wantFields(t, err, "resume_token")
}

func TestExportTellsWhatCannotBeExported(t *testing.T) {
	r := newRig(t)
	var all []*store.Measurement
	for range 6 {
		all = append(all, r.finished("clips", nil))
	}
	r.scriptFigures(3)
	figures := r.workflow.frames
	secret := errors.New("figures of /srv/clips/secret are damaged")
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		switch {
		case id == all[1].ID && rendition == "a":
			return nil, fmt.Errorf("%w: adm at frame 3", workflow.ErrNotStored)
		case id == all[2].ID:
			return nil, store.ErrNotFound // deleted meanwhile
		case id == all[3].ID && rendition == "b":
			return nil, secret
		case id == all[4].ID:
			f, err := figures(id, rendition)
			f.Table.Series[0].Name = `a "quoted" name`
			return f, err
		}
		return figures(id, rendition)
	}
	files := r.exportAll(as(t, ""), &pb.ExportLegacyRequest{Filter: "*", Format: "xml"})
	if len(files) != 10 {
		t.Fatalf("%d files and failures, want 10", len(files))
	}
	for _, test := range []struct {
		at      int
		m       *store.Measurement
		reason  pb.FailureReason
		message string
	}{
		{2, all[1], pb.FailureReason_FAILURE_REASON_NOT_STORED, "adm at frame 3"},
		{5, all[3], pb.FailureReason_FAILURE_REASON_INTERNAL, "reference"},
		{6, all[4], pb.FailureReason_FAILURE_REASON_INVALID, "quoted"},
	} {
		f := files[test.at].failure
		if f.GetMeasurement() != nameOf(test.m.ID) || f.GetFailure().GetReason() != test.reason || !strings.Contains(f.GetFailure().GetMessage(), test.message) {
			t.Errorf("in place of file %d: %v", test.at, f)
		}
		if strings.Contains(f.GetFailure().GetMessage(), "secret") {
			t.Errorf("the client is told of our insides: %v", f)
		}
		req := &pb.ExportLegacyRequest{Filter: "*", Format: "xml", ResumeToken: files[test.at].token}
		if rest := r.exportAll(as(t, ""), req); len(rest) != len(files)-test.at-1 {
			t.Errorf("behind failure %d come %d, want %d", test.at, len(rest), len(files)-test.at-1)
		}
	}
	if !strings.Contains(r.log.String(), "figures of /srv/clips/secret are damaged") {
		t.Error("the log does not say why")
	}
}

func TestExportOfUnfinished(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(3)
	m := r.finished("clips", nil)
	change := func(state store.State, renditions ...store.State) {
		t.Helper()
		if _, err := r.store.Update(context.Background(), m.ID, func(m *store.Measurement) (store.Changes, error) {
			m.State = state
			for k, s := range renditions {
				m.Renditions[k].State = s
				if s == store.StateFailed {
					m.Renditions[k].Failure = &store.Failure{Reason: store.ReasonDamaged, Message: "b.mp4: frame 3 is damaged"}
				}
			}
			return store.Changes{}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	one := &pb.ExportLegacyRequest{Name: nameOf(m.ID), Format: "xml"}
	all := &pb.ExportLegacyRequest{Filter: "*", Format: "xml"}
	change(store.StateRunning, store.StateRunning, store.StateRunning)
	_, err := r.exportSome(as(t, ""), one, -1)
	wantCode(t, err, codes.FailedPrecondition, "running")
	if files := r.exportAll(as(t, ""), all); len(files) != 0 {
		t.Errorf("%d files of a measurement that is running", len(files))
	}
	change(store.StatePartial, store.StateSucceeded, store.StateFailed)
	files := r.exportAll(as(t, ""), one)
	if len(files) != 2 || files[0].end == nil || files[1].failure.GetFailure().GetMessage() != "b.mp4: frame 3 is damaged" {
		t.Errorf("of a measurement that is named: %v", files)
	}
	if files := r.exportAll(as(t, ""), all); len(files) != 1 || files[0].end == nil {
		t.Errorf("of what a filter finds: %d files", len(files))
	}
	_, err = r.exportSome(as(t, ""), &pb.ExportLegacyRequest{Name: nameOf(m.ID), Format: "xml", Rendition: "b"}, -1)
	wantCode(t, err, codes.FailedPrecondition)
}

func TestExportShowsNobodyWhatIsNotHis(t *testing.T) {
	r := newRig(t, withTokens(t))
	r.scriptFigures(3)
	mine, theirs := r.finished("clips", nil), r.finished("other", nil)
	all := &pb.ExportLegacyRequest{Filter: "*", Format: "xml"}
	files := r.exportAll(as(t, readToken), all)
	for _, file := range files {
		if file.GetMeasurement() != nameOf(mine.ID) {
			t.Errorf("a caller for clips is sent %v", file.ExportFile)
		}
	}
	if len(files) != 2 {
		t.Errorf("%d files, want 2", len(files))
	}
	_, err := r.exportSome(as(t, readToken), &pb.ExportLegacyRequest{Name: nameOf(theirs.ID), Format: "xml"}, -1)
	wantCode(t, err, codes.NotFound)
	// Another caller's token opens nothing either.
	theirToken := r.exportAll(as(t, otherToken), all)[0].token
	if got := r.exportAll(as(t, readToken), &pb.ExportLegacyRequest{Filter: "*", Format: "xml", ResumeToken: theirToken}); len(got) != 0 {
		t.Errorf("%d files by a token of another caller's", len(got))
	}
	if got := r.exportAll(as(t, adminToken), all); len(got) != 4 {
		t.Errorf("whoever sees all is sent %d files", len(got))
	}
	_, err = r.exportSome(as(t, measureToken), all, -1)
	wantCode(t, err, codes.PermissionDenied)
	_, err = r.exportSome(as(t, ""), all, -1)
	wantCode(t, err, codes.Unauthenticated)
}

// TestExportFetchesLittleAhead: a client that does not read keeps the daemon from fetching all.
func TestExportFetchesLittleAhead(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.StalledStream = time.Second })
	r.scriptFigures(3000)
	figures := r.workflow.frames
	var fetched atomic.Int64
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		fetched.Add(1)
		return figures(id, rendition)
	}
	for range 50 {
		r.finished("clips", nil)
	}
	stream, err := pb.NewLegacyServiceClient(r.conn).ExportLegacy(as(t, ""), &pb.ExportLegacyRequest{Filter: "*", Format: "json", Precision: 17})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is given up", func() bool { return strings.Contains(r.log.String(), "ResourceExhausted") })
	if n := fetched.Load(); n > 20 {
		t.Errorf("%d renditions were fetched for a client that does not read", n)
	}
	_, err = drain(stream)
	wantCode(t, err, codes.ResourceExhausted, "has not read")
}

func TestExportEndsWithTheDaemon(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(3)
	for range 3 {
		r.finished("clips", nil)
	}
	figures := r.workflow.frames
	shut := make(chan error, 1)
	var calls atomic.Int64
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		if calls.Add(1) == 4 {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			go func() {
				defer cancel()
				shut <- r.server.Shutdown(ctx)
			}()
			<-r.server.closing.Done()
		}
		return figures(id, rendition)
	}
	files, err := r.exportSome(as(t, ""), &pb.ExportLegacyRequest{Filter: "*", Format: "xml"}, -1)
	wantCode(t, err, codes.Unavailable, "shutting down")
	if len(files) > 3 {
		t.Errorf("%d files after the shutdown began", len(files))
	}
	if err := <-shut; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func FuzzExportPlace(f *testing.F) {
	digest := sha256.Sum256([]byte("a request"))
	for _, p := range []exportPlace{{}, {Last: "01jd9k3v5q8x2m7n4p6r0s1t2w", Next: 2}, {Page: "token", Last: "01jd9k3v5q8x2m7n4p6r0s1t2w", Next: 1, Files: 3}} {
		token, err := p.token(digest)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token, []byte(`{"m":"x","k":1}`))
	}
	f.Add("", []byte(`{"k":-1}`))
	f.Add("AAAAAAAAAAA", []byte(`{"k":9223372036854775808}`))
	f.Fuzz(func(t *testing.T, token string, body []byte) {
		if p, err := parseExportPlace(token, digest); err == nil && token != "" {
			again, err := p.token(digest)
			if err != nil {
				t.Fatal(err)
			}
			if q, err := parseExportPlace(again, digest); err != nil || q != p {
				t.Fatalf("%q is %+v, and again %+v, %v", token, p, q, err)
			}
		}
		// What somebody makes who knows the request: it may be refused, or names a place.
		forged := forge(body, digest)
		p, err := parseExportPlace(forged, digest)
		if err == nil && (p.Next < 0 || p.Files < 0) {
			t.Fatalf("%q is %+v", body, p)
		}
		if n := p.behind(p.Last, 3); err == nil && (n < 0 || n > 3) {
			t.Fatalf("%q: %d renditions of 3 are behind", body, n)
		}
		if _, err := parseExportPlace(forged, sha256.Sum256([]byte("another request"))); err == nil {
			t.Fatalf("%q is taken of another request", forged)
		}
	})
}

// forge makes a token of any body.
func forge(body []byte, digest [32]byte) string {
	return base64.RawURLEncoding.EncodeToString(append(checksum(body, digest), body...))
}

// TestExportOfTables has more rows than fit one file, and a rendition without figures among them.
func TestExportOfTables(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(50_000)
	figures := r.workflow.frames
	var all []*store.Measurement
	for range 7 {
		all = append(all, r.finished("clips", nil))
	}
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		if id == all[1].ID && rendition == "b" {
			return nil, workflow.ErrNotStored
		}
		return figures(id, rendition)
	}
	req := &pb.ExportLegacyRequest{Filter: "*", Format: "table-parquet", Granularity: pb.TableGranularity_TABLE_GRANULARITY_FRAME}
	files := r.exportAll(as(t, ""), req)
	if len(files) != 2 || files[0].GetName() != "frames-00001.parquet" || files[1].GetName() != "frames-00002.parquet" {
		t.Fatalf("%d files: %v", len(files), files)
	}
	if f := files[0].within; len(f) != 1 || f[0].GetMeasurement() != nameOf(all[1].ID) || f[0].GetResumeToken() != "" || len(files[1].within) > 0 {
		t.Errorf("failures within the files: %v and %v", f, files[1].within)
	}
	req.ResumeToken = files[0].token
	if rest := r.exportAll(as(t, ""), req); len(rest) != 1 || rest[0].GetName() != files[1].GetName() || !bytes.Equal(rest[0].data, files[1].data) {
		t.Errorf("behind the first file come %d, and not the second", len(rest))
	}
	req.ResumeToken = files[1].token
	if rest := r.exportAll(as(t, ""), req); len(rest) != 0 {
		t.Errorf("behind the last file come %d", len(rest))
	}
	rows := r.exportAll(as(t, ""), &pb.ExportLegacyRequest{Filter: "*", Format: "table-csv"})
	if want := 1 + 7*2*4; len(rows) != 1 || bytes.Count(rows[0].data, []byte("\n")) != want {
		t.Errorf("%d files of aggregates, want one of %d lines", len(rows), want)
	}
}
