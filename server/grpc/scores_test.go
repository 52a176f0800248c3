package grpc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// rows reads all pages of a query, of a size.
func (r *rig) rows(ctx context.Context, req *pb.QueryScoresRequest, size int32) (list []string) {
	r.t.Helper()
	req.PageSize, req.PageToken = size, ""
	for {
		resp, err := r.quality.QueryScores(ctx, req)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(resp.GetRows()) > int(size) {
			r.t.Errorf("a page of %d rows, %d were asked for", len(resp.GetRows()), size)
		}
		for _, row := range resp.GetRows() {
			list = append(list, fmt.Sprintf("%s %s %s %s %s %v [%d,%d)", row.GetMeasurement()[len("measurements/"):], row.GetRendition(), row.GetSeries(), row.GetModelVersion(),
				row.GetPooling(), row.GetValue(), row.GetFirstFrame(), row.GetEndFrame()))
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return list
		}
	}
}

func TestQueryScoresGranularities(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(23)
	m := r.finished("clips", nil)
	r.finished("clips", map[string]string{"other": "x"})
	id := string(m.ID)
	filter := `name = "` + id + `" AND rendition = b`

	got := r.rows(ctx, &pb.QueryScoresRequest{Filter: filter}, 50)
	slices.Sort(got)
	want := []string{
		id + " b integer_adm2  mean 1 [0,100)", id + " b integer_adm2  min -9 [0,100)",
		id + " b vmaf vmaf_v0.6.1 mean 91 [0,100)", id + " b vmaf vmaf_v0.6.1 min 81 [0,100)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("aggregates:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	segments := &pb.QueryScoresRequest{
		Filter: filter + " AND model = vmaf AND pooling = min", Granularity: pb.Granularity_GRANULARITY_SEGMENT,
		Segment: &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: 12}},
	}
	want = []string{id + " b vmaf vmaf_v0.6.1 min 81 [0,12)", id + " b vmaf vmaf_v0.6.1 min 81 [12,23)"}
	if got := r.rows(ctx, segments, 50); !slices.Equal(got, want) {
		t.Errorf("segments:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// A frame's figure is not pooled: it is there once, though two poolings match. Frames without a value are left out.
	frames := &pb.QueryScoresRequest{Filter: filter + " AND series = integer_adm2", Granularity: pb.Granularity_GRANULARITY_FRAME}
	got = r.rows(ctx, frames, 1000)
	if len(got) != 18 || got[0] != id+" b integer_adm2   1 [11,12)" {
		t.Errorf("%d frames:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// TestExpandedPagesAreStable: whatever the size of pages, the rows are the same, and new measurements do not disturb them.
func TestExpandedPagesAreStable(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(23)
	for range expandRows/4 + 3 { // more aggregates than are read at a time
		r.finished("clips", nil)
	}
	for _, granularity := range []pb.Granularity{pb.Granularity_GRANULARITY_SEGMENT, pb.Granularity_GRANULARITY_FRAME} {
		req := &pb.QueryScoresRequest{Granularity: granularity}
		want := r.rows(ctx, req, 1000)
		if seen := map[string]bool{}; true {
			for _, row := range want {
				if seen[row] {
					t.Fatalf("%s twice", row)
				}
				seen[row] = true
			}
		}
		for _, size := range []int32{7, 100} {
			if got := r.rows(ctx, req, size); !slices.Equal(got, want) {
				t.Errorf("%v in pages of %d: %d rows that differ from the %d in pages of 1000", granularity, size, len(got), len(want))
			}
		}
		// Newer measurements sort before the first page, and are not in later ones.
		first, err := r.quality.QueryScores(ctx, &pb.QueryScoresRequest{Granularity: granularity, PageSize: 10})
		if err != nil {
			t.Fatal(err)
		}
		r.finished("clips", nil)
		second, err := r.quality.QueryScores(ctx, &pb.QueryScoresRequest{Granularity: granularity, PageSize: 10, PageToken: first.GetNextPageToken()})
		if err != nil {
			t.Fatal(err)
		}
		if got, w := second.GetRows()[0], want[10]; !strings.Contains(w, got.GetMeasurement()[len("measurements/"):]) || !strings.Contains(w, fmt.Sprintf("[%d,%d)", got.GetFirstFrame(), got.GetEndFrame())) {
			t.Errorf("%v: the second page begins with %v, want %s", granularity, got, w)
		}
	}
}

// TestExpandedPagesSurviveDeletions: what is left is complete when the measurement that a page ended in goes away.
func TestExpandedPagesSurviveDeletions(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(23)
	old, middle := r.finished("clips", nil), r.finished("clips", nil)
	req := &pb.QueryScoresRequest{Granularity: pb.Granularity_GRANULARITY_FRAME, PageSize: 5}
	first, err := r.quality.QueryScores(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := first.GetRows()[0].GetMeasurement(); got != nameOf(middle.ID) {
		t.Fatalf("the first page is of %s", got)
	}
	if err := r.store.Delete(ctx, middle.ID); err != nil {
		t.Fatal(err)
	}
	n := 0
	req.PageSize = 1000
	for req.PageToken = first.GetNextPageToken(); ; {
		resp, err := r.quality.QueryScores(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range resp.GetRows() {
			if row.GetMeasurement() != nameOf(old.ID) {
				t.Errorf("a row of a deleted measurement: %v", row)
			}
			n++
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if want := 2 * (18 + 23); n != want { // renditions × frames that have values
		t.Errorf("%d rows of the other measurement, want %d", n, want)
	}
}

func TestExpansionPassesOverWhatIsNotStored(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(23)
	gone, there := r.finished("clips", nil), r.finished("clips", nil)
	frames := r.workflow.frames
	r.workflow.frames = func(id store.MeasurementID, rendition string) (*workflow.Frames, error) {
		if id == gone.ID {
			return nil, fmt.Errorf("%w: adm", workflow.ErrNotStored)
		}
		return frames(id, rendition)
	}
	for _, row := range r.rows(ctx, &pb.QueryScoresRequest{Granularity: pb.Granularity_GRANULARITY_FRAME}, 100) {
		if !strings.HasPrefix(row, string(there.ID)) {
			t.Errorf("%s", row)
		}
	}
	r.workflow.frames = func(store.MeasurementID, string) (*workflow.Frames, error) { return nil, errors.New("broken") }
	if _, err := r.quality.QueryScores(ctx, &pb.QueryScoresRequest{Granularity: pb.Granularity_GRANULARITY_FRAME}); err == nil {
		t.Error("a defect is passed over")
	}
}

func TestQueryScoresRefuses(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(23)
	r.finished("clips", nil)
	page := func(g pb.Granularity) string {
		resp, err := r.quality.QueryScores(ctx, &pb.QueryScoresRequest{Granularity: g, PageSize: 1})
		if err != nil || resp.GetNextPageToken() == "" {
			t.Fatalf("%v, %v", resp, err)
		}
		return resp.GetNextPageToken()
	}
	aggregate, segment, frame := pb.Granularity_GRANULARITY_AGGREGATE, pb.Granularity_GRANULARITY_SEGMENT, pb.Granularity_GRANULARITY_FRAME
	tampered := []byte(page(frame))
	tampered[len(tampered)/2] ^= 1
	// A token whose checksum is right, but whose inside is not the store's.
	digest, err := digestOf(&pb.QueryScoresRequest{Granularity: frame})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := (&cursor{Page: "forged", Row: 3}).encode(digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		req   *pb.QueryScoresRequest
		field string
	}{
		{"a filter", &pb.QueryScoresRequest{Filter: "nope = 1"}, "filter"},
		{"order of aggregates", &pb.QueryScoresRequest{OrderBy: "finish_time"}, "order_by"},
		{"order of frames by score", &pb.QueryScoresRequest{OrderBy: "score", Granularity: frame}, "order_by"},
		{"a segment's length for frames", &pb.QueryScoresRequest{Granularity: frame, Segment: &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: 1}}}, "segment"},
		{"a negative page", &pb.QueryScoresRequest{PageSize: -1}, "page_size"},
		{"a token of frames for segments", &pb.QueryScoresRequest{Granularity: segment, PageToken: page(frame)}, "page_token"},
		{"a token of frames for aggregates", &pb.QueryScoresRequest{Granularity: aggregate, PageToken: page(frame)}, "page_token"},
		{"a token of aggregates for frames", &pb.QueryScoresRequest{Granularity: frame, PageToken: page(aggregate)}, "page_token"},
		{"a token of another filter", &pb.QueryScoresRequest{Granularity: frame, Filter: "score > 1", PageToken: page(frame)}, "page_token"},
		{"a token that was changed", &pb.QueryScoresRequest{Granularity: frame, PageToken: string(tampered)}, "page_token"},
		{"a token that was made up", &pb.QueryScoresRequest{Granularity: frame, PageToken: forged}, "page_token"},
		{"a short token", &pb.QueryScoresRequest{Granularity: frame, PageToken: "YQ"}, "page_token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := r.quality.QueryScores(ctx, row.req)
			wantFields(t, err, row.field)
		})
	}
}

func TestCursorWithARowThatIsNotThere(t *testing.T) {
	r := newRig(t)
	r.scriptFigures(23)
	r.finished("clips", nil)
	req := &pb.QueryScoresRequest{Granularity: pb.Granularity_GRANULARITY_FRAME}
	digest, err := digestOf(req)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []cursor{{Row: 1 << 40}, {Row: 5, Offset: 1 << 50}, {Row: 0, Offset: 1 << 50, Key: rowKey{Series: "x"}}} {
		if req.PageToken, err = c.encode(digest); err != nil {
			t.Fatal(err)
		}
		if _, err := r.quality.QueryScores(as(t, ""), req); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	digest := [32]byte{1}
	token, err := (&cursor{Page: "x", Row: 3, Offset: 4, Key: rowKey{Series: "vmaf"}}).encode(digest)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[sumBytes:])
	f.Add([]byte(`{"i":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		token := base64.RawURLEncoding.EncodeToString(append(checksum(body, digest), body...))
		c, err := parseCursor(token, digest)
		if err != nil {
			return
		}
		if c.Row < 0 || c.Offset < 0 {
			t.Errorf("%q: %+v", body, c)
		}
		again, err := c.encode(digest)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseCursor(again, digest); err != nil || back != c {
			t.Errorf("%+v came back as %+v, %v", c, back, err)
		}
	})
}

// Infinite figures are figures: they are found, compared and ordered as what is above or below all numbers, page by page, and reach the caller. A
// figure of all frames together has no frames.
func TestQueryScores_infiniteAndAggregate(t *testing.T) {
	r := newRig(t)
	ctx := as(t, "")
	r.scriptFigures(7)
	m := r.finished("clips", nil)
	if _, err := r.store.Update(ctx, m.ID, func(m *store.Measurement) (store.Changes, error) {
		for k, v := range []float64{math.Inf(1), 41} {
			d := &m.Renditions[k]
			d.Scores = append(d.Scores, store.Score{Series: "psnr_hvs", Pooled: []store.Pooled{{Method: vmaf.PoolMean, Value: v}}},
				store.Score{Series: "apsnr_cb", Pooled: []store.Pooled{{Method: "aggregate", Value: -v}}})
		}
		return store.Changes{}, nil
	}); err != nil {
		t.Fatal(err)
	}
	query := func(req *pb.QueryScoresRequest) string {
		t.Helper()
		var list []string
		for _, row := range r.rows(ctx, req, 1) {
			fields := strings.Fields(row) // name, rendition, series, version or nothing, pooling, value, range
			list = append(list, fields[1]+" "+fields[len(fields)-2])
		}
		return strings.Join(list, ", ")
	}
	for filter, want := range map[string]string{
		"series = psnr_hvs":                             "b 41, a +Inf",
		"series = psnr_hvs AND score > 1000000":         "a +Inf",
		"series = psnr_hvs AND score < 1000000":         "b 41",
		`series = "apsnr*" AND pooling = aggregate`:     "a -Inf, b -41",
		"series = apsnr_cb AND score < -100":            "a -Inf",
		`series = apsnr_cb AND NOT pooling = aggregate`: "",
	} {
		if got := query(&pb.QueryScoresRequest{Filter: filter, OrderBy: "score"}); got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
	if got := query(&pb.QueryScoresRequest{Filter: "series = psnr_hvs", OrderBy: "score desc"}); got != "a +Inf, b 41" {
		t.Errorf("descending: %s", got)
	}
	if got := query(&pb.QueryScoresRequest{Filter: "series = apsnr_cb", Granularity: pb.Granularity_GRANULARITY_FRAME}); got != "" {
		t.Errorf("frames of an aggregate: %s", got)
	}
	got, err := r.quality.GetQuality(ctx, &pb.GetQualityRequest{Name: nameOf(m.ID)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"Infinity"`) || !strings.Contains(string(text), `"-Infinity"`) {
		t.Errorf("in JSON: %v, %s", err, text)
	}
}
