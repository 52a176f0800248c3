package tabular

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

const adm2 = "VMAF_integer_feature_adm2_score" // logs say integer_adm2

// A sample is a measurement of one rendition with all that rows are made of.
type sample struct {
	m        *store.Measurement
	frames   *workflow.Frames
	segments []workflow.SegmentScore
}

func newSample(frames int) sample {
	created := time.Date(2026, 11, 24, 18, 30, 0, 123456000, time.UTC)
	scores := []store.Score{
		{Series: "vmaf", Model: "vmaf", Pooled: []store.Pooled{{Method: "mean", Value: 93.1}, {Method: "p5", Value: math.Nextafter(90, 91)}}},
		{Series: adm2, Pooled: []store.Pooled{{Method: "mean", Value: 0.9}}},
		{Series: "apsnr_y", Pooled: []store.Pooled{{Method: "aggregate", Value: math.Inf(1)}}},
	}
	m := &store.Measurement{
		ID: "01jd9k3v5q8x2m7n4p6r0s1t2w", Created: created, Finished: created.Add(time.Minute),
		Request: store.Request{
			Reference: store.Source{URI: "ref.mkv"}, Labels: map[string]string{"title": `a "b", c`, "episode": "1"},
			Renditions: []store.RenditionRequest{{Source: store.Source{URI: "a,b\n.mkv"}}},
		},
		Reference: &store.Video{FrameRateNum: 25, FrameRateDen: 1, Timestamps: true}, ReferenceFingerprint: "sha256:aa",
		Plan: &store.Plan{Models: []store.Model{{Name: "vmaf", Version: "vmaf_v0.6.1", Series: []string{"vmaf"}}}},
		Renditions: []store.Rendition{{
			Name: "720p", Fingerprint: "sampled:bb", First: 100, End: 100 + int64(frames), Scores: scores,
			Video: &store.Video{Codec: "hevc", Width: 1280, Height: 720, BitDepth: 10, FrameRateNum: 30000, FrameRateDen: 1001, BitRate: 4_500_000},
		}},
	}
	t := &vmaf.Table{Frames: frames, Series: []vmaf.Series{{Name: "vmaf", Values: make([]float64, frames)}, {Name: adm2, Values: make([]float64, frames)}}}
	for i := range t.Series {
		for k := range frames {
			t.Series[i].Values[k] = math.Sqrt(float64((i + 1) * (k + 2)))
		}
	}
	f := &workflow.Frames{First: 100, Table: t}
	return sample{m, f, []workflow.SegmentScore{{First: 100, End: 102, Scores: scores[:2]}, {First: 102, End: 103, Scores: scores[:1]}}}
}

// unknown is a measurement of which little is known, and whose figures are special.
func unknown() sample {
	return sample{
		m: &store.Measurement{
			ID: "x", Created: time.Unix(0, 0), Request: store.Request{Renditions: make([]store.RenditionRequest, 1)},
			Renditions: []store.Rendition{{Scores: []store.Score{{Series: "a", Pooled: []store.Pooled{
				{Method: "min", Value: math.Inf(-1)}, {Method: "max", Value: math.SmallestNonzeroFloat64}, {Method: "mean", Value: math.NaN()}, {Method: "p0", Value: math.Copysign(0, -1)},
			}}}}},
		},
		frames:   &workflow.Frames{Table: &vmaf.Table{Frames: 3, Series: []vmaf.Series{{Name: "a", Values: []float64{1, math.NaN(), 2}, Present: []bool{true, false, true}}}}, Seconds: []float64{0, 0.5, 0.75}},
		segments: []workflow.SegmentScore{{First: 0, End: 3}},
	}
}

// forms are the constructors, and how to read what their writers wrote.
var forms = map[string]struct {
	begin func(io.Writer, Granularity) (Writer, error)
	read  func(*testing.T, []byte) []row
}{
	"csv": {NewCSV, readCSV}, "parquet": {NewParquet, readParquet},
}

func readParquet(t *testing.T, file []byte) []row {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := f.Lookup("vqsd.schema"); v != "vqsd.scores/1" {
		t.Errorf("the file says that its schema is %q", v)
	}
	list, err := parquet.Read[row](bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func readCSV(t *testing.T, file []byte) []row {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(columnNames(), records[0]); diff != "" {
		t.Fatal(diff)
	}
	list := []row{}
	for _, fields := range records[1:] {
		var r row
		v := reflect.ValueOf(&r).Elem()
		for i, text := range fields {
			field := v.Field(i)
			switch name := records[0][i]; {
			case field.Kind() == reflect.String:
				field.SetString(text)
			case text == "":
			case strings.HasSuffix(name, "_time"):
				at, err := time.Parse(time.RFC3339Nano, text)
				if err != nil {
					t.Fatal(err)
				}
				field.SetInt(at.UnixMicro())
			default:
				x, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.Fatal(err)
				}
				switch field.Kind() {
				case reflect.Pointer:
					field.Set(reflect.ValueOf(&x))
				case reflect.Float64:
					field.SetFloat(x)
				default:
					field.SetInt(int64(x))
				}
			}
		}
		list = append(list, r)
	}
	return list
}

var same = cmp.Comparer(func(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
})

// table is the file of some measurements, read again.
func table(t *testing.T, form string, g Granularity, samples ...sample) []row {
	t.Helper()
	var b bytes.Buffer
	w, err := forms[form].begin(&b, g)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if err := w.Append(s.m, 0, s.frames, s.segments); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	list := forms[form].read(t, b.Bytes())
	if w.Rows() != int64(len(list)) {
		t.Errorf("Rows is %d, and the file has %d", w.Rows(), len(list))
	}
	if err := w.Append(samples[0].m, 0, samples[0].frames, samples[0].segments); err == nil {
		t.Error("a closed table takes rows")
	}
	return list
}

func TestWriter_Rows(t *testing.T) {
	at := func(x float64) *float64 { return &x }
	shared := row{
		Measurement: "measurements/01jd9k3v5q8x2m7n4p6r0s1t2w", CreateTime: 1795545000123456, FinishTime: 1795545060123456,
		Labels: `{"episode":"1","title":"a \"b\", c"}`, Reference: "ref.mkv", ReferenceFingerprint: "sha256:aa",
		Rendition: "720p", Distorted: "a,b\n.mkv", Fingerprint: "sampled:bb", Codec: "hevc", Width: 1280, Height: 720, BitDepth: 10, FrameRate: 30000.0 / 1001, BitRate: 4_500_000,
	}
	bare := row{Measurement: "measurements/x", Labels: "{}"}
	with := func(r row, g string, first, end int64, seconds *float64, series, model, version, pooling string, value float64) row {
		r.Granularity, r.FirstFrame, r.EndFrame, r.Seconds = g, first, end, seconds
		r.Series, r.Model, r.ModelVersion, r.Pooling, r.Value = series, model, version, pooling, value
		return r
	}
	want := map[Granularity][]row{
		Aggregate: {
			with(shared, "aggregate", 100, 103, at(4), "vmaf", "vmaf", "vmaf_v0.6.1", "mean", 93.1),
			with(shared, "aggregate", 100, 103, at(4), "vmaf", "vmaf", "vmaf_v0.6.1", "p5", math.Nextafter(90, 91)),
			with(shared, "aggregate", 100, 103, at(4), "integer_adm2", "", "", "mean", 0.9),
			with(shared, "aggregate", 100, 103, at(4), "apsnr_y", "", "", "aggregate", math.Inf(1)),
			with(bare, "aggregate", 0, 0, at(0), "a", "", "", "min", math.Inf(-1)),
			with(bare, "aggregate", 0, 0, at(0), "a", "", "", "max", math.SmallestNonzeroFloat64),
			with(bare, "aggregate", 0, 0, at(0), "a", "", "", "mean", math.NaN()),
			with(bare, "aggregate", 0, 0, at(0), "a", "", "", "p0", math.Copysign(0, -1)),
		},
		Segment: {
			with(shared, "segment", 100, 102, at(4), "vmaf", "vmaf", "vmaf_v0.6.1", "mean", 93.1),
			with(shared, "segment", 100, 102, at(4), "vmaf", "vmaf", "vmaf_v0.6.1", "p5", math.Nextafter(90, 91)),
			with(shared, "segment", 100, 102, at(4), "integer_adm2", "", "", "mean", 0.9),
			with(shared, "segment", 102, 103, at(4.08), "vmaf", "vmaf", "vmaf_v0.6.1", "mean", 93.1),
			with(shared, "segment", 102, 103, at(4.08), "vmaf", "vmaf", "vmaf_v0.6.1", "p5", math.Nextafter(90, 91)),
		},
		Frame: {
			with(shared, "frame", 100, 101, at(4), "vmaf", "vmaf", "vmaf_v0.6.1", "", math.Sqrt(2)),
			with(shared, "frame", 101, 102, at(4.04), "vmaf", "vmaf", "vmaf_v0.6.1", "", math.Sqrt(3)),
			with(shared, "frame", 102, 103, at(4.08), "vmaf", "vmaf", "vmaf_v0.6.1", "", math.Sqrt(4)),
			with(shared, "frame", 100, 101, at(4), "integer_adm2", "", "", "", math.Sqrt(4)),
			with(shared, "frame", 101, 102, at(4.04), "integer_adm2", "", "", "", math.Sqrt(6)),
			with(shared, "frame", 102, 103, at(4.08), "integer_adm2", "", "", "", math.Sqrt(8)),
			with(bare, "frame", 0, 1, at(0), "a", "", "", "", 1),
			with(bare, "frame", 2, 3, at(0.75), "a", "", "", "", 2),
		},
	}
	for form := range forms {
		for g, want := range want {
			t.Run(form+" "+g.String(), func(t *testing.T) {
				if diff := cmp.Diff(want, table(t, form, g, newSample(3), unknown()), same); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestWriter_Empty(t *testing.T) {
	for form := range forms {
		var b bytes.Buffer
		w, err := forms[form].begin(&b, Frame)
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if rows := forms[form].read(t, b.Bytes()); len(rows) != 0 {
			t.Errorf("%s: an empty table has %d rows", form, len(rows))
		}
	}
}

func TestWriter_Refuses(t *testing.T) {
	s := newSample(2)
	for form := range forms {
		w, err := forms[form].begin(io.Discard, Frame)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(s.m, 0, nil, s.segments); err == nil {
			t.Errorf("%s: rows of frames without frames", form)
		}
		if err := w.Append(s.m, 1, s.frames, nil); err == nil || !strings.Contains(err.Error(), "no rendition 1") {
			t.Errorf("%s: rows of a rendition that is not there: %v", form, err)
		}
	}
}

func TestWriter_ReportsTheWritersError(t *testing.T) {
	s := newSample(200_000)
	for form := range forms {
		w, err := forms[form].begin(brokenWriter{}, Frame)
		if err == nil {
			err = w.Append(s.m, 0, s.frames, nil)
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
			t.Errorf("%s: error %v, want the writer's", form, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// The description of the columns is what analysts read: it has all of them, in order.
func TestColumns_AreDescribed(t *testing.T) {
	names := columnNames()
	if len(names) != 24 {
		t.Errorf("%d columns: %v", len(names), names)
	}
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "# Columns")
	at := 0
	for _, name := range names {
		i := strings.Index(text[at:], name)
		if i < 0 {
			t.Errorf("the package comment does not describe %s behind the column in front of it", name)
			continue
		}
		at += i + len(name)
	}
}

// Row groups are bounded, by rows and by what rows share.
func TestParquet_RowGroups(t *testing.T) {
	long := newSample(10)
	long.m.Request.Labels = map[string]string{"text": strings.Repeat("x", 1<<20)}
	for name, test := range map[string]struct {
		samples []sample
		want    int
	}{
		"by rows":  {[]sample{newSample(100_000)}, 4}, // 200,000 rows of at most 65,536 in a group
		"by texts": {[]sample{long, long, long, long, long, long, long}, 3},
	} {
		var b bytes.Buffer
		w, err := NewParquet(&b, Frame)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range test.samples {
			m := *s.m
			if len(test.samples) > 1 {
				m.Request.Labels = map[string]string{"text": fmt.Sprint(i) + s.m.Request.Labels["text"]}
			}
			if err := w.Append(&m, 0, s.frames, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(f.RowGroups()); got != test.want {
			t.Errorf("%s: %d row groups, want %d", name, got, test.want)
		}
		if rows := readParquet(t, b.Bytes()); int64(len(rows)) != w.Rows() || !json.Valid([]byte(rows[len(rows)-1].Labels)) {
			t.Errorf("%s: %d rows were written, and %d read", name, w.Rows(), len(rows))
		}
	}
}

// A million rows take about as much memory as a tenth of them: kept, they would take some 300 MB. How full a row group's buffers are, and what of them the
// library holds for the next, differs by some ten MB.
func TestWriter_MemoryIsFlat(t *testing.T) {
	s := newSample(10_000) // 20,000 rows
	for form := range forms {
		w, err := forms[form].begin(io.Discard, Frame)
		if err != nil {
			t.Fatal(err)
		}
		var at []uint64
		for i := range 50 {
			if err := w.Append(s.m, 0, s.frames, nil); err != nil {
				t.Fatal(err)
			}
			if i == 4 || i == 49 {
				var stats runtime.MemStats
				runtime.GC()
				runtime.GC() // what pools held
				runtime.ReadMemStats(&stats)
				at = append(at, stats.HeapAlloc)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d KiB after 100,000 rows, %d KiB after 1,000,000", form, at[0]>>10, at[1]>>10)
		if at[1] > at[0]+64<<20 {
			t.Errorf("%s: %d bytes after 100,000 rows, %d after 1,000,000", form, at[0], at[1])
		}
	}
}

func benchmark(b *testing.B, begin func(io.Writer, Granularity) (Writer, error)) {
	s := newSample(500_000) // of two series
	b.ReportAllocs()
	var size counter
	for b.Loop() {
		size = 0
		w, err := begin(&size, Frame)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Append(s.m, 0, s.frames, nil); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size)/1e6, "bytes/row")
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func BenchmarkCSV_MillionRows(b *testing.B)     { benchmark(b, NewCSV) }
func BenchmarkParquet_MillionRows(b *testing.B) { benchmark(b, NewParquet) }
