package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vqsd/vqsd/internal/golden"
	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
)

// sent is a file to import.
type sent struct {
	about *pb.ImportFile
	text  string
}

func log(name, text string) sent { return sent{&pb.ImportFile{Name: name}, text} }

// smallLog is a log of two frames, unlike that of another n.
func smallLog(n int) string {
	return fmt.Sprintf("Frame,integer_adm2,vmaf,\n0,0.950000,%d.000000,\n1,0.960000,91.000000,\n", n)
}

// importAll sends files in pieces of a few bytes and reads the answers.
func (r *rig) importAll(ctx context.Context, files ...sent) (list []*pb.ImportLegacyResponse, err error) {
	r.t.Helper()
	stream, err := pb.NewLegacyServiceClient(r.conn).ImportLegacy(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		// What is wrong with sending the answers tell.
		for _, f := range files {
			if stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: f.about}}) != nil {
				return
			}
			for piece := range slices.Chunk([]byte(f.text), max(1, min(len(f.text)/3, 1<<18))) {
				if stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: piece}}) != nil {
					return
				}
			}
		}
		_ = stream.CloseSend() // it has no error but that of a stream that has ended
	}()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
}

// imported is importAll of files that are all to be taken.
func (r *rig) imported(ctx context.Context, files ...sent) []*pb.ImportLegacyResponse {
	r.t.Helper()
	list, err := r.importAll(ctx, files...)
	if err != nil || len(list) != len(files) {
		r.t.Fatalf("%d answers to %d files, %v", len(list), len(files), err)
	}
	for i, answer := range list {
		if answer.GetFailure() != nil || answer.GetFile() != files[i].about.GetName() {
			r.t.Fatalf("%s: %v", files[i].about.GetName(), answer)
		}
	}
	return list
}

func TestImportLegacy_sampleLogsComeBackByteForByte(t *testing.T) {
	r := newRig(t)
	names, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", "*", "*.*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no sample logs in %s (%v)", golden.Dir(t), err)
	}
	var files []sent
	for _, name := range names {
		if filepath.Ext(name) == ".txt" {
			continue // what programs print
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, log(filepath.Base(name), string(text)))
	}
	for i, answer := range r.imported(as(t, ""), files...) {
		m := answer.GetMeasurement()
		if m.GetImported().GetForm() != answer.GetFormat() || m.GetState() != pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED || len(answer.GetLosses()) > 0 {
			t.Errorf("%s: %v", files[i].about.GetName(), answer)
		}
		out, err := r.exportSome(as(t, ""), &pb.ExportLegacyRequest{Name: m.GetName(), Format: answer.GetFormat()}, -1)
		if err != nil || len(out) != 1 {
			t.Errorf("%s: %d files, %v", files[i].about.GetName(), len(out), err)
			continue
		}
		if string(out[0].data) != files[i].text {
			t.Errorf("%s (%s, %s): got\n%s\nwant\n%s", files[i].about.GetName(), answer.GetFormat(), out[0].failure, out[0].data, files[i].text)
		}
	}
}

func TestImportLegacy_measurementsAreLikeOthers(t *testing.T) {
	r := newRig(t)
	when := time.Date(2022, 3, 4, 5, 6, 7, 0, time.UTC)
	about := &pb.ImportFile{
		Name: "logs/a.csv", Reference: "clips:ref.mp4", Distorted: "clips:720p.mp4", Labels: map[string]string{"title": "x"}, MeasureTime: timestamppb.New(when),
	}
	answer := r.imported(as(t, ""), sent{about, smallLog(90)})[0]
	m := answer.GetMeasurement()
	if answer.GetExisted() || answer.GetFrames() != 2 || answer.GetFormat() != "csv" || !strings.HasPrefix(answer.GetGeneration(), "libvmaf ") {
		t.Errorf("answer %v", answer)
	}
	got, err := r.quality.GetQuality(as(t, ""), &pb.GetQualityRequest{Name: m.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	full := got.GetMeasurement()
	if full.GetReference() != nil || full.GetSpec().GetReference().GetUri() != "clips:ref.mp4" || !full.GetFinishTime().AsTime().Equal(when) ||
		!slices.Equal(full.GetImported().GetSeries(), []string{"integer_adm2", "vmaf"}) || full.GetImported().GetFile() != "logs/a.csv" || full.GetRenditions()[0].GetName() != "720p" {
		t.Errorf("measurement %v", full)
	}
	for _, filter := range []string{`labels.title = "x"`, `model = "vmaf" AND pooling = "mean" AND score = 90.5`, `finish_time < "2023-01-01T00:00:00Z"`, `series = "integer_adm2"`} {
		rows, err := r.quality.QueryScores(as(t, ""), &pb.QueryScoresRequest{Filter: filter})
		if err != nil || len(rows.GetRows()) == 0 || rows.GetRows()[0].GetMeasurement() != m.GetName() {
			t.Errorf("%s: %v, %v", filter, rows, err)
		}
	}
	for _, granularity := range []pb.Granularity{pb.Granularity_GRANULARITY_SEGMENT, pb.Granularity_GRANULARITY_FRAME} {
		rows, err := r.quality.QueryScores(as(t, ""), &pb.QueryScoresRequest{
			Filter: `series = "vmaf" AND pooling = "mean"`, Granularity: granularity, Segment: segmentOf(granularity, 1),
		})
		if err != nil || len(rows.GetRows()) != 2 || rows.GetRows()[0].GetValue() != 90 || rows.GetRows()[1].GetValue() != 91 {
			t.Errorf("%v: %v, %v", granularity, rows, err)
		}
	}
	stream, err := r.quality.GetFrameScores(as(t, ""), &pb.GetFrameScoresRequest{Name: m.GetName(), Series: []string{"vmaf"}})
	if err != nil {
		t.Fatal(err)
	}
	if pages, err := drain(stream); err != nil || len(pages) != 2 || pages[0].GetHeader().GetFrames() != 2 {
		t.Errorf("frames %v, %v", pages, err)
	}
	results, err := r.rescoreAll(t, as(t, ""), byFilter("*"))
	if err != nil || len(results) != 1 || !strings.Contains(results[0].GetFailure().GetMessage(), "no ") {
		t.Errorf("rescored without all features: %v, %v", results, err)
	}
	if _, err := r.quality.DeleteMeasurement(as(t, ""), &pb.DeleteMeasurementRequest{Name: m.GetName()}); err != nil {
		t.Error(err)
	}
	if answer := r.imported(as(t, ""), sent{about, smallLog(90)})[0]; answer.GetExisted() {
		t.Error("a deleted one existed")
	}
}

func segmentOf(g pb.Granularity, frames int64) *pb.SegmentLength {
	if g != pb.Granularity_GRANULARITY_SEGMENT {
		return nil
	}
	return &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: frames}}
}

func TestImportLegacy_rescoresByFilter(t *testing.T) {
	r := newRig(t)
	var files []sent
	for _, name := range []string{"libvmaf-3.2.0/two-models.json", "vmafossexec-1.3.15/psnr-ssim-msssim.xml"} {
		text, err := os.ReadFile(filepath.Join(golden.Dir(t), "legacy-logs", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, log(name, string(text)))
	}
	list := r.imported(as(t, ""), files...)
	results, err := r.rescoreAll(t, as(t, ""), &pb.RescoreQualityRequest{Which: byFilter("*").Which, Models: []*pb.ModelSpec{{Spec: "vmaf_v0.6.1"}}})
	if err != nil || len(results) != 2 {
		t.Fatalf("%v, %v", results, err)
	}
	for _, result := range results {
		m := result.GetMeasurement()
		old := result.GetSource() == list[1].GetMeasurement().GetName()
		// Printed scores of the same clips: 82.5814 by vmafossexec, 82.564227 by libvmaf, whose features have six digits and six decimals here. A unit in
		// the last place of a feature moves the score by some 1e-4, and with six significant digits of figures near 1 there are as many decimals.
		want, within, warning := 82.564227, 2e-4, "have 6 decimals"
		if old {
			want, within, warning = 82.5814, 1e-3, "floating-point features"
		}
		got := math.NaN()
		for _, score := range m.GetRenditions()[0].GetScores() {
			for _, p := range score.GetPooled() {
				if score.GetSeries() == "vmaf" && p.GetPooling() == "mean" {
					got = p.GetValue()
				}
			}
		}
		if !(math.Abs(got-want) <= within) || !strings.Contains(strings.Join(m.GetWarnings(), "\n"), warning) || m.GetModels()[0].GetVersion() != "vmaf_v0.6.1" {
			t.Errorf("old %v: mean %v, want %v; %v", old, got, want, m)
		}
		t.Logf("old %v: mean %v, printed %v", old, got, want)
	}
}

func TestImportLegacy_oneFailureDoesNotEndTheOthers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.ImportBytes = 1 << 20 })
	var names, rows strings.Builder
	names.WriteString("Frame,")
	for i := range 1_000_000 {
		fmt.Fprintf(&names, "s%d,", i)
	}
	rows.WriteString("Frame,a,\n")
	for i := 0; rows.Len() <= 1<<20; i++ {
		fmt.Fprintf(&rows, "%d,1.000000,\n", i)
	}
	long := strings.Repeat("n", 300)
	files := []sent{
		log("good", smallLog(1)),
		log("empty", ""),
		log("cut off", smallLog(1)[:40]),
		log("a video", "\x00\x00\x00\x18ftypmp42"),
		log("a million names", names.String()),
		log("too long", rows.String()),
		{&pb.ImportFile{Name: "another form", Format: "json"}, smallLog(2)},
		log("too long a name", "Frame,"+long+",\n0,1.0,\n"),
		log("a frame far away", "Frame,a,\n2000000000,1.0,\n"),
		log("no figures", `{"version": "3.2.0", "frames": [ ]}`),
		{&pb.ImportFile{Name: "from the future", MeasureTime: timestamppb.New(time.Now().AddDate(5, 0, 0))}, smallLog(3)},
		log("good again", smallLog(4)),
	}
	want := map[string]struct {
		reason pb.FailureReason
		part   string
	}{
		"empty":            {pb.FailureReason_FAILURE_REASON_INVALID, "empty"},
		"cut off":          {pb.FailureReason_FAILURE_REASON_INVALID, "line"},
		"a video":          {pb.FailureReason_FAILURE_REASON_INVALID, "line 1"},
		"a million names":  {pb.FailureReason_FAILURE_REASON_LIMIT, "512"},
		"too long":         {pb.FailureReason_FAILURE_REASON_LIMIT, "limits.import_size is 1048576"},
		"another form":     {pb.FailureReason_FAILURE_REASON_UNSUPPORTED, "csv"},
		"too long a name":  {pb.FailureReason_FAILURE_REASON_INVALID, "1 to 255 bytes"},
		"a frame far away": {pb.FailureReason_FAILURE_REASON_LIMIT, "frames"},
		"no figures":       {pb.FailureReason_FAILURE_REASON_INVALID, "there are none"},
		"from the future":  {pb.FailureReason_FAILURE_REASON_INVALID, "measure_time"},
	}
	list, err := r.importAll(as(t, ""), files...)
	if err != nil || len(list) != len(files) {
		t.Fatalf("%d answers, %v", len(list), err)
	}
	for i, answer := range list {
		name := files[i].about.GetName()
		w, failure := want[name], answer.GetFailure()
		if answer.GetFile() != name || failure.GetReason() != w.reason || !strings.Contains(failure.GetMessage(), w.part) || (failure == nil) != (answer.GetMeasurement() != nil) {
			t.Errorf("%s: %v, want %v with %q", name, answer, w.reason, w.part)
		}
	}
}

func TestImportLegacy_isIdempotent(t *testing.T) {
	r := newRig(t)
	files := []sent{log("a", smallLog(1)), log("b", smallLog(2)), log("a", smallLog(1))}
	first := r.imported(as(t, ""), files...)
	// Those that come together are written together: which of the two it was that made the measurement does not matter.
	if first[0].GetExisted() == first[2].GetExisted() || first[1].GetExisted() || first[0].GetMeasurement().GetName() != first[2].GetMeasurement().GetName() {
		t.Errorf("first %v", first)
	}
	for i, answer := range r.imported(as(t, ""), files...) {
		if !answer.GetExisted() || answer.GetMeasurement().GetName() != first[i].GetMeasurement().GetName() {
			t.Errorf("again %v", answer)
		}
	}
	dry := sent{&pb.ImportFile{Name: "c", ValidateOnly: true}, smallLog(3)}
	if answer := r.imported(as(t, ""), dry)[0]; answer.GetMeasurement().GetName() != "" || answer.GetFrames() != 2 {
		t.Errorf("only checked: %v", answer)
	}
	list, err := r.quality.ListMeasurements(as(t, ""), &pb.ListMeasurementsRequest{})
	if err != nil || len(list.GetMeasurements()) != 2 || list.GetMeasurements()[0].GetImported().GetForm() != "csv" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestImportLegacy_whoSeesWhat(t *testing.T) {
	r := newRig(t, withTokens(t))
	_, err := r.importAll(as(t, readToken), log("a", smallLog(1)))
	wantCode(t, err, codes.PermissionDenied)
	sees := func(token, name string) bool {
		t.Helper()
		_, err := r.quality.GetQuality(as(t, token), &pb.GetQualityRequest{Name: name})
		list, listErr := r.quality.ListMeasurements(as(t, token), &pb.ListMeasurementsRequest{Filter: fmt.Sprintf("name = %q", name)})
		if listErr != nil || (err == nil) != (len(list.GetMeasurements()) == 1) {
			t.Errorf("%s: get %v, list %v, %v", name, err, list, listErr)
		}
		return err == nil
	}
	for _, c := range []struct {
		name               string
		about              *pb.ImportFile
		other, reader, all bool // may see what "other" imports
	}{
		{"without videos", &pb.ImportFile{Name: "a"}, true, false, true},
		{"in his root", &pb.ImportFile{Name: "b", Reference: "other:r.mp4", Distorted: "/srv/other/d.mp4"}, true, false, true},
		{"in a root that is not his", &pb.ImportFile{Name: "c", Reference: "clips:r.mp4", Distorted: "/srv/clips/d.mp4"}, true, false, true},
		{"outside of all", &pb.ImportFile{Name: "d", Reference: "../../etc/passwd", Distorted: "https://example.com/d.mp4"}, true, false, true},
	} {
		name := r.imported(as(t, otherToken), sent{c.about, smallLog(7)})[0].GetMeasurement().GetName()
		if sees(otherToken, name) != c.other || sees(readToken, name) != c.reader || sees(adminToken, name) != c.all {
			t.Errorf("%s: other %v, reader %v, boss %v", c.name, sees(otherToken, name), sees(readToken, name), sees(adminToken, name))
		}
	}
}

func TestImportLegacy_anotherOwnersImportIsAnother(t *testing.T) {
	r := newRig(t, withTokens(t))
	first := r.imported(as(t, otherToken), log("a", smallLog(1)))[0]
	second := r.imported(as(t, adminToken), log("a", smallLog(1)))[0]
	if second.GetExisted() || first.GetMeasurement().GetName() == second.GetMeasurement().GetName() {
		t.Errorf("%v and %v", first, second)
	}
}

func TestImportLegacy_streamsThatDoNotEndAsTheyShould(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.StalledStream = time.Second; c.Limits.ImportStreams = 1 })
	client := pb.NewLegacyServiceClient(r.conn)
	none := func() {
		t.Helper()
		list, err := r.quality.ListMeasurements(as(t, ""), &pb.ListMeasurementsRequest{})
		if err != nil || len(list.GetMeasurements()) != 0 {
			t.Errorf("half a file was imported: %v, %v", list, err)
		}
	}
	file := &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: &pb.ImportFile{Name: "a"}}}
	data := &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: []byte(smallLog(1))}}

	_, err := r.importAll(as(t, ""), sent{&pb.ImportFile{}, ""})
	wantCode(t, err, codes.InvalidArgument)

	stream, err := client.ImportLegacy(as(t, ""))
	if err != nil || stream.Send(data) != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantFields(t, err, "file")

	// A client that goes away has sent half a file, as far as the daemon knows.
	ctx, cancel := context.WithCancel(as(t, ""))
	if stream, err = client.ImportLegacy(ctx); err != nil || stream.Send(file) != nil || stream.Send(data) != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is taken", func() bool { return len(r.server.imports) == 1 })
	_, err = r.importAll(as(t, ""), log("b", smallLog(2)))
	wantCode(t, err, codes.ResourceExhausted, "limits.import_streams is 1")
	cancel()
	eventually(t, "the stream is let go", func() bool { return len(r.server.imports) == 0 })
	none()

	// One that falls silent is let go.
	if stream, err = client.ImportLegacy(as(t, "")); err != nil || stream.Send(file) != nil || stream.Send(data) != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, codes.ResourceExhausted, "not sent for too long")
	none()

	// So is one that never does, but sends a byte at a time.
	if stream, err = client.ImportLegacy(as(t, "")); err != nil || stream.Send(file) != nil {
		t.Fatal(err)
	}
	dripping := time.NewTicker(50 * time.Millisecond)
	defer dripping.Stop()
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	for open := true; open; {
		select {
		case <-dripping.C:
			_ = stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: []byte{'\n'}}}) // what Recv says counts
		case err = <-ended:
			open = false
		}
	}
	wantCode(t, err, codes.ResourceExhausted, "not sent for too long")
	none()
}

func TestImportLegacy_patienceIsEarnedBySending(t *testing.T) {
	const patience = 10 * time.Second
	for _, c := range []struct {
		name    string
		left    time.Duration
		message *pb.ImportLegacyRequest
		want    time.Duration // at most; a second less where the machine is slow
	}{
		{"a byte", 5 * time.Second, &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: []byte{0}}}, 5*time.Second + time.Second/importPace},
		{"a second's worth", 5 * time.Second, &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: make([]byte, importPace)}}, 6 * time.Second},
		{"the largest message", time.Second, &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_Data{Data: make([]byte, 4<<20)}}, patience},
		{"a file begins", 5 * time.Second, &pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: &pb.ImportFile{Name: "a"}}}, 5*time.Second + importFileWait},
	} {
		u := &upload{stream: streamOf{t.Context()}, closing: t.Context(), patience: patience, left: c.left, messages: make(chan received, 1)}
		u.messages <- received{c.message, nil}
		if m, err := u.receive(); err != nil || m != c.message {
			t.Fatal(m, err)
		}
		if u.left > c.want || u.left < c.want-500*time.Millisecond {
			t.Errorf("%s: %v left, want %v", c.name, u.left, c.want)
		}
	}
}

// streamOf is a stream that has nothing but a context.
type streamOf struct{ ctx context.Context }

func (s streamOf) Context() context.Context   { return s.ctx }
func (streamOf) SetHeader(metadata.MD) error  { return nil }
func (streamOf) SendHeader(metadata.MD) error { return nil }
func (streamOf) SetTrailer(metadata.MD)       {}
func (streamOf) SendMsg(any) error            { return nil }
func (streamOf) RecvMsg(any) error            { return io.EOF }

func TestImportLegacy_shutdownEndsIt(t *testing.T) {
	r := newRig(t)
	stream, err := pb.NewLegacyServiceClient(r.conn).ImportLegacy(as(t, ""))
	if err != nil || stream.Send(&pb.ImportLegacyRequest{Piece: &pb.ImportLegacyRequest_File{File: &pb.ImportFile{Name: "a"}}}) != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is taken", func() bool { return len(r.server.imports) == 1 })
	r.server.close()
	_, err = stream.Recv()
	wantCode(t, err, codes.Unavailable)
}

func TestImportLegacy_aFullStoreEndsTheStream(t *testing.T) {
	r := newRig(t)
	r.workflow.importErr = store.ErrFull
	list, err := r.importAll(as(t, ""), log("a", smallLog(1)), log("b", smallLog(2)))
	wantCode(t, err, codes.ResourceExhausted, "store.min_free")
	if len(list) != 0 {
		t.Errorf("answers %v", list)
	}
}

// FuzzImportLegacy sends any bytes in any cut: the answer is a measurement or a failure, and nothing that a file holds ends the stream.
func FuzzImportLegacy(f *testing.F) {
	f.Add([]byte(smallLog(1)), "csv", "ref.mp4")
	f.Add([]byte(`{"schema": "vqsd.encode-record/1"}`), "", "")
	f.Add(bytes.Repeat([]byte("<VMAF>"), 9), "xml", "../x")
	r := newRig(f)
	f.Fuzz(func(t *testing.T, text []byte, form, reference string) {
		about := &pb.ImportFile{Name: "x", Format: form, Reference: reference}
		if _, err := proto.Marshal(about); err != nil || len(form) > 32 || len(reference) > 4096 {
			return // no message
		}
		r.t = t
		list, err := r.importAll(as(t, ""), sent{about, string(text)})
		if err != nil || len(list) != 1 || (list[0].GetFailure() == nil) == (list[0].GetMeasurement() == nil) {
			t.Fatalf("%v, %v", list, err)
		}
	})
}
