package grpc

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

func (r *rig) measure(t testing.TB, ctx context.Context, req *pb.MeasureQualityRequest) *pb.Measurement {
	t.Helper()
	resp, err := r.quality.MeasureQuality(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetMeasurement()
}

func TestMeasureGetCancelDelete(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	m := r.measure(t, ctx, &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", "/srv/clips/a.mp4", "clips:x/a.mp4")})
	if !strings.HasPrefix(m.GetName(), "measurements/") || m.GetState() != pb.MeasurementState_MEASUREMENT_STATE_PENDING {
		t.Errorf("accepted as %v", m)
	}
	if got := m.GetRenditions()[1].GetName(); got != "a-2" {
		t.Errorf("the second rendition is called %q", got)
	}
	got, err := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: m.GetName()})
	if err != nil || !proto.Equal(got.GetMeasurement(), m) {
		t.Errorf("%v, %v\nwant %v", got, err, m)
	}

	_, err = r.quality.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: m.GetName()})
	wantCode(t, err, codes.FailedPrecondition, "cancel it first")
	cancelled, err := r.quality.CancelQuality(ctx, &pb.CancelQualityRequest{Name: m.GetName()})
	if err != nil || cancelled.GetMeasurement().GetState() != pb.MeasurementState_MEASUREMENT_STATE_CANCELLED {
		t.Fatalf("%v, %v", cancelled, err)
	}
	_, err = r.quality.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: m.GetName(), Etag: m.GetEtag()})
	wantCode(t, err, codes.FailedPrecondition, "etag")
	_, err = r.quality.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: m.GetName(), Etag: "nonsense!"})
	wantFields(t, err, "etag")
	if _, err = r.quality.DeleteMeasurement(ctx, &pb.DeleteMeasurementRequest{Name: m.GetName(), Etag: cancelled.GetMeasurement().GetEtag()}); err != nil {
		t.Fatal(err)
	}
	_, err = r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: m.GetName()})
	wantCode(t, err, codes.NotFound)
}

func TestRequestID(t *testing.T) {
	r := newRig(t, withTokens(t))
	boss, other := as(t, adminToken), as(t, otherToken)
	spec := specOf("other:ref.mp4", "other:a.mp4")
	spec.Labels = map[string]string{"a": "1", "b": "2", "c": "3"} // maps have no order; the digest must not depend on it
	first := r.measure(t, boss, &pb.MeasureQualityRequest{Spec: spec, RequestId: "id-1"})
	for range 5 {
		if again := r.measure(t, boss, &pb.MeasureQualityRequest{Spec: proto.CloneOf(spec), RequestId: "id-1"}); again.GetName() != first.GetName() {
			t.Fatalf("the same request made %s and %s", first.GetName(), again.GetName())
		}
	}
	if another := r.measure(t, other, &pb.MeasureQualityRequest{Spec: spec, RequestId: "id-1"}); another.GetName() == first.GetName() {
		t.Error("a caller got another one's measurement by his request ID")
	}
	changed := proto.CloneOf(spec)
	changed.Shortest = true
	_, err := r.quality.MeasureQuality(boss, &pb.MeasureQualityRequest{Spec: changed, RequestId: "id-1"})
	wantCode(t, err, codes.AlreadyExists, "request_id")
}

func TestValidateOnly(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	m := r.measure(t, ctx, &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", "clips:a.mp4"), ValidateOnly: true})
	if m.GetName() != "" || m.GetState() != pb.MeasurementState_MEASUREMENT_STATE_PENDING || len(m.GetRenditions()) != 1 {
		t.Errorf("%v", m)
	}
	list, err := r.quality.ListMeasurements(ctx, &pb.ListMeasurementsRequest{})
	if err != nil || len(list.GetMeasurements()) != 0 {
		t.Errorf("something was measured: %v, %v", list, err)
	}
	bad := specOf("clips:ref.mp4", "clips:a.mp4")
	bad.Models = []*pb.ModelSpec{{Spec: "vmaf_v0.6.2"}}
	_, err = r.quality.MeasureQuality(ctx, &pb.MeasureQualityRequest{Spec: bad, ValidateOnly: true})
	wantFields(t, err, "spec.models[0].spec")
	wantCode(t, err, codes.InvalidArgument, "did you mean vmaf_v0.6.1")
}

func TestMeasureRefuses(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	good := func() *pb.MeasurementSpec { return specOf("clips:ref.mp4", "clips:a.mp4") }
	for _, row := range []struct {
		name   string
		change func(*pb.MeasurementSpec)
		fields []string
	}{
		{"no reference", func(s *pb.MeasurementSpec) { s.Reference = nil }, []string{"spec.reference"}},
		{"no renditions", func(s *pb.MeasurementSpec) { s.Renditions = nil }, []string{"spec.renditions"}},
		{"65 renditions", func(s *pb.MeasurementSpec) {
			for range 64 {
				s.Renditions = append(s.Renditions, s.GetRenditions()[0])
			}
		}, []string{"spec.renditions"}},
		{"an empty URI", func(s *pb.MeasurementSpec) { s.Reference.Uri = "" }, []string{"spec.reference.uri"}},
		{"a label's key", func(s *pb.MeasurementSpec) { s.Labels = map[string]string{"Bad Key": "x"} }, []string{`spec.labels["Bad Key"]`}},
		{"an unknown enum", func(s *pb.MeasurementSpec) { s.Pairing = 99 }, []string{"spec.pairing"}},
		{"several at once", func(s *pb.MeasurementSpec) { s.Subsample, s.FirstFrame = -1, -1 }, []string{"spec.first_frame", "spec.subsample"}},
		{"a segment of no frames", func(s *pb.MeasurementSpec) { s.Segment = &pb.SegmentLength{Length: &pb.SegmentLength_Frames{}} }, []string{"spec.segment.frames"}},
		{"a URL", func(s *pb.MeasurementSpec) { s.Reference.Uri = "https://example.com/a.mp4" }, []string{"spec.reference.uri"}},
		{"dots, and an unknown feature, at once", func(s *pb.MeasurementSpec) {
			s.Renditions[0].Source.Uri = "clips:../a.mp4"
			s.Features = []string{"vfi"}
		}, []string{"spec.renditions[0].source.uri", "spec.features[0]"}},
		{"a model from a file", func(s *pb.MeasurementSpec) { s.Models = []*pb.ModelSpec{{Spec: "path=/etc/passwd"}} }, []string{"spec.models[0].spec"}},
		{"a document that is no model", func(s *pb.MeasurementSpec) { s.Models = []*pb.ModelSpec{{Spec: "mine", Document: []byte("{}")}} }, []string{"spec.models[0].spec"}},
		{"an unknown pooling", func(s *pb.MeasurementSpec) { s.Pools = []string{"median"} }, []string{"spec.pools"}},
		{"an empty range", func(s *pb.MeasurementSpec) { s.FirstFrame, s.EndFrame = 10, 10 }, []string{"spec.end_frame"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := good()
			row.change(spec)
			_, err := r.quality.MeasureQuality(ctx, &pb.MeasureQualityRequest{Spec: spec})
			wantFields(t, err, row.fields...)
		})
	}
	_, err := r.quality.MeasureQuality(ctx, &pb.MeasureQualityRequest{})
	wantFields(t, err, "spec")
	_, err = r.quality.MeasureQuality(ctx, &pb.MeasureQualityRequest{Spec: good(), RequestId: "with a space"})
	wantFields(t, err, "request_id")
	_, err = r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: "measurements/../x"})
	wantFields(t, err, "name")
	spec := good()
	spec.Renditions[0].Source.Uri = "/etc/passwd"
	_, err = r.quality.MeasureQuality(ctx, &pb.MeasureQualityRequest{Spec: spec})
	wantCode(t, err, codes.PermissionDenied, "spec.renditions[0].source.uri", "not below a media root")
}

func TestDrainingAndLimitsOfTheWorkflow(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	req := &pb.MeasureQualityRequest{Spec: specOf("clips:ref.mp4", "clips:a.mp4")}
	r.workflow.Drain(true)
	_, err := r.quality.MeasureQuality(ctx, req)
	wantCode(t, err, codes.Unavailable, "draining")
	r.workflow.Drain(false)
	for want, err := range map[codes.Code]error{
		codes.ResourceExhausted: &workflow.LimitError{Key: "limits.outstanding_measurements", Max: 1, What: "measurements"},
		codes.Unavailable:       store.ErrClosed,
	} {
		r.workflow.measure = func() error { return err }
		_, err := r.quality.MeasureQuality(ctx, req)
		wantCode(t, err, want)
	}
	r.workflow.measure = func() error { return store.ErrFull }
	_, err = r.quality.MeasureQuality(ctx, req)
	wantCode(t, err, codes.ResourceExhausted, "store.min_free")
}

func TestReadMask(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	m := r.finished("clips", nil)
	get := func(paths ...string) (*pb.Measurement, error) {
		resp, err := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: nameOf(m.ID), ReadMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return resp.GetMeasurement(), err
	}
	got, err := get("name", "renditions.name", "renditions.video.codec", "reference.height", "reference")
	want := &pb.Measurement{Name: nameOf(m.ID), Reference: videoToProto(m.Reference, true)}
	for _, d := range m.Renditions {
		want.Renditions = append(want.Renditions, &pb.Rendition{Name: d.Name, Video: &pb.VideoInfo{Codec: "hevc"}})
	}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("%v, %v\nwant %v", got, err, want)
	}
	whole, err := get("*")
	full, errFull := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: nameOf(m.ID)})
	if err != nil || errFull != nil || !proto.Equal(whole, full.GetMeasurement()) {
		t.Errorf("*: %v, %v", whole, err)
	}
	if empty, err := get(); err != nil || !proto.Equal(empty, &pb.Measurement{}) {
		t.Errorf("an empty mask: %v, %v", empty, err)
	}
	for name, paths := range map[string][]string{
		"an unknown field": {"nope"}, "below a number": {"reference.height.x"}, "a star beside others": {"*", "name"},
		"long": {strings.Repeat("a", maxMaskPath+1)}, "many": make([]string, maxMaskPaths+1),
	} {
		_, err := get(paths...)
		if name == "many" && err == nil {
			t.Error("many paths are accepted")
		}
		wantFields(t, err, "read_mask")
	}
}

func TestListMeasurements(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	var names []string
	for i := range 7 {
		m := r.finished("clips", map[string]string{"n": string(rune('a' + i))})
		names = append([]string{nameOf(m.ID)}, names...)
	}
	list := func(req *pb.ListMeasurementsRequest) (got []string, last *pb.ListMeasurementsResponse) {
		t.Helper()
		for {
			resp, err := r.quality.ListMeasurements(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range resp.GetMeasurements() {
				got = append(got, m.GetName())
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return got, resp
			}
		}
	}
	same := func(what string, got, want []string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	got, last := list(&pb.ListMeasurementsRequest{})
	same("all, newest first", got, names)
	if len(last.GetMeasurements()[0].GetChunks()) > 0 {
		t.Error("a list shows chunks")
	}
	got, _ = list(&pb.ListMeasurementsRequest{PageSize: 2})
	same("in pages", got, names)
	got, _ = list(&pb.ListMeasurementsRequest{PageSize: 3, OrderBy: "create_time"})
	for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
		got[i], got[j] = got[j], got[i]
	}
	same("oldest first", got, names)
	got, _ = list(&pb.ListMeasurementsRequest{Filter: `labels.n = c AND state = SUCCEEDED AND codec = hevc AND score > 80`})
	same("filtered", got, names[4:5])
	_, full := list(&pb.ListMeasurementsRequest{View: fullView, PageSize: 5000})
	if len(full.GetMeasurements()) != 7 || len(full.GetMeasurements()[0].GetChunks()) == 0 {
		t.Error("the full view is not full")
	}

	_, err := r.quality.ListMeasurements(ctx, &pb.ListMeasurementsRequest{Filter: "hight > 5", OrderBy: "score"})
	wantFields(t, err, "filter", "order_by")
	for _, order := range []string{"name, create_time", "name down", "labels", "name;", ","} {
		_, err = r.quality.ListMeasurements(ctx, &pb.ListMeasurementsRequest{OrderBy: order})
		wantFields(t, err, "order_by")
	}
	page, err := r.quality.ListMeasurements(ctx, &pb.ListMeasurementsRequest{PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*pb.ListMeasurementsRequest{
		"of another filter": {PageToken: page.GetNextPageToken(), Filter: "state = FAILED"},
		"of another order":  {PageToken: page.GetNextPageToken(), OrderBy: "name"},
		"forged":            {PageToken: page.GetNextPageToken()[:len(page.GetNextPageToken())-2] + "xx"},
		"garbage":           {PageToken: "garbage"},
	} {
		t.Run("a page token "+name, func(t *testing.T) {
			_, err := r.quality.ListMeasurements(ctx, req)
			wantFields(t, err, "page_token")
		})
	}
}

// TestListsStayBelowTheClientsLimit: gRPC clients refuse answers above 4 MiB.
func TestListsStayBelowTheClientsLimit(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	labels := map[string]string{}
	for i := range 60 {
		labels["key"+strings.Repeat("x", 50)+string(rune('a'+i%26))+string(rune('a'+i/26))] = strings.Repeat("v", 255)
	}
	const n = 200
	for range n {
		r.finished("clips", labels)
	}
	got, pages := 0, 0
	req := &pb.ListMeasurementsRequest{PageSize: 1000}
	for {
		resp, err := r.quality.ListMeasurements(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if size := proto.Size(resp); size > listBytes {
			t.Errorf("a page of %d bytes", size)
		}
		got, pages = got+len(resp.GetMeasurements()), pages+1
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if got != n || pages < 2 {
		t.Errorf("%d measurements in %d pages, want %d in several", got, pages, n)
	}
}
