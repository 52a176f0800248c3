package record

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// same compares doubles by their bits, but that one NaN is like another, and takes empty for absent.
var same = cmp.Options{
	cmp.Comparer(func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
	}),
	cmpopts.EquateEmpty(),
}

// A sample is a measurement with all that a record is made of.
type sample struct {
	m        *store.Measurement
	frames   *workflow.Frames
	segments []workflow.SegmentScore
}

func (s sample) document() *Document {
	return FromMeasurement(s.m, 1, s.frames, s.segments, "1.2.3")
}

const adm2 = "VMAF_integer_feature_adm2_score" // logs say integer_adm2

// newSample is a measurement of some frames of two renditions, the second of which is of interest.
func newSample(frames int) sample {
	created := time.Date(2026, 11, 24, 18, 30, 0, 123456789, time.UTC)
	video := func(width, height int) *store.Video {
		return &store.Video{
			SizeBytes: 123456, Container: "matroska", Codec: "hevc", Decoder: "hevc", Profile: "Main 10", PixelFormat: "yuv420p10le",
			Width: width, Height: height, BitDepth: 10, Subsampling: "4:2:0", FullRange: true, CodedWidth: width, CodedHeight: height + 8,
			SampleAspectNum: 4, SampleAspectDen: 3, Rotation: "90°", Interlaced: "tff", ColorRange: "tv", ColorSpace: "bt709",
			ColorPrimaries: "bt709", ColorTransfer: "bt709", FrameRateNum: 30000, FrameRateDen: 1001, VariableRate: false,
			TimeBaseNum: 1, TimeBaseDen: 90000, Timestamps: true, StartOffset: -41708333, Duration: 12*time.Second + 345678901,
			BitRate: 4_500_000, Frames: int64(frames), KeyFrames: 3, Seekable: true, Discarded: 1, Hidden: 2, Undecodable: 3, Truncated: "its end is missing",
			Streams: []store.VideoStream{{Index: 0, Type: "video", Codec: "hevc", Language: "und", Selected: true}, {Index: 1, Type: "audio", Codec: "aac", Language: "de"}},
		}
	}
	pools := func(v float64) []store.Pooled {
		return []store.Pooled{{Method: "mean", Value: v}, {Method: "harmonic_mean", Value: v / 3}, {Method: "p5", Value: math.Nextafter(v, 0)}}
	}
	scores := func(v float64) []store.Score {
		return []store.Score{{Series: "vmaf", Model: "vmaf", Pooled: pools(v)}, {Series: adm2, Pooled: pools(v / 100)}, {Series: "psnr_y", Pooled: pools(math.Inf(1))}}
	}
	const first = 100
	end := first + int64(frames)
	m := &store.Measurement{
		ID: "01jd9k3v5q8x2m7n4p6r0s1t2w", Owner: "someone", State: store.StateSucceeded,
		Request: store.Request{
			Reference: store.Source{Root: "media", Path: "a/ref.mkv", URI: "a/ref.mkv", Raw: "1920x1080:yuv420p"},
			Renditions: []store.RenditionRequest{
				{Name: "other", Source: store.Source{URI: "a/other.mkv"}},
				{Name: `the "720p"`, Source: store.Source{Root: "media", Path: "a/720.mkv", URI: "a/720.mkv"}},
			},
			Labels: map[string]string{"title": "ö\n\u2028<&>", "empty": ""}, Subsample: 1, Shortest: true, First: first, Crop: &store.Rect{X: 2, Y: 4, Width: 64, Height: 32},
		},
		Created: created, Started: created.Add(time.Second), Finished: created.Add(time.Minute),
		Reference: video(1920, 1080), ReferenceFingerprint: "sha256:aa", ReferenceDamage: store.Damage{Decoded: 1000},
		Plan: &store.Plan{
			Models:   []store.Model{{ModelSpec: store.ModelSpec{Spec: "version=vmaf_v0.6.1", Document: "d0"}, Name: "vmaf", Version: "vmaf_v0.6.1", Digest: "cafe", Series: []string{"vmaf"}}},
			Features: []string{"psnr"}, Scales: []string{"", "lanczos"}, Geometries: []store.Size{{}, {Width: 1280, Height: 720}}, DepthReason: "both have it",
			Rules: []store.FiredRule{{Rule: "all", Rendition: -1, Settings: "x"}, {Rule: "not ours", Rendition: 0}, {Rule: "ours", Rendition: 1}}, RulesDigest: "ff", Warnings: []string{"look out"},
		},
		Renditions: []store.Rendition{{Name: "other"}, {
			Name: `the "720p"`, State: store.StateSucceeded, Fingerprint: "sampled:bb", Video: video(1280, 720),
			Format: store.Format{Width: 1280, Height: 720, BitDepth: 10, Subsampling: "4:2:0", FullRange: true}, Conversion: "scaled", RefConvert: "cropped",
			Encoded: &store.Encoded{Width: 1280, Height: 720}, Pairing: "timestamp", First: first, End: end, Offset: -2, Repeated: 3, Dropped: 4,
			Damage: store.Damage{Decoded: 900, Damaged: 1, Missing: 2, FormatChanges: 3},
			Scores: append(scores(93.123456789012345), store.Score{Series: "apsnr_y", Pooled: []store.Pooled{{Method: "aggregate", Value: 41.5}}}),
		}},
		Backends: []string{"cpu (avx2)"}, Workers: []string{"1.2.2"}, Daemon: "1.2.1", Rescored: "01jd9k3v5q8x2m7n4p6r0s1t2v",
	}
	t := &vmaf.Table{Frames: frames, Subsample: 1, Width: 1280, Height: 720, FPS: 123.25, Aggregates: []vmaf.Aggregate{{Name: "apsnr_y", Value: 41.5}, {Name: "apsnr_cb", Value: math.NaN()}}}
	for i, name := range []string{"vmaf", adm2, "psnr_y"} {
		s := vmaf.Series{Name: name, Values: make([]float64, frames)}
		for k := range s.Values {
			s.Values[k] = math.Sqrt(float64((i + 1) * (k + 2)))
		}
		t.Series = append(t.Series, s)
	}
	f := &workflow.Frames{Rendition: 1, Name: `the "720p"`, First: first, Table: t, Seconds: make([]float64, frames)}
	for i := range f.Seconds {
		f.Seconds[i] = float64(i) / 29.97
	}
	return sample{m, f, []workflow.SegmentScore{{Rendition: 1, First: first, End: end - 1, Scores: scores(90)}, {Rendition: 1, First: end - 1, End: end, Scores: scores(0.1)}}}
}

// sampleOrigin is a log that says all that logs say of a run.
func sampleOrigin() *Imported {
	return &Imported{
		Form: "vmafossexec-xml", Digest: "ab", File: "logs/720.xml", Generation: "vmafossexec", Version: "1.3.9", Losses: []string{"a pooling"},
		Run: &legacy.Run{
			Model: "vmaf_b_v0.6.3.pkl", Pool: "min", TimeTaken: 1.5, BootstrapModels: 20, BootstrapNames: "a,b", BitsPerComponent: 10, StatsVersion: 2, OutputMax: true,
		},
	}
}

// absent takes frames' values away from a series.
func absent(s *vmaf.Series, frames ...int) {
	if s.Present == nil {
		s.Present = make([]bool, len(s.Values))
		for i := range s.Present {
			s.Present[i] = true
		}
	}
	for _, i := range frames {
		s.Values[i], s.Present[i] = math.NaN(), false
	}
}

// samples are measurements that are special in one way each.
func samples() map[string]sample {
	all := map[string]sample{}
	add := func(name string, change func(*sample)) {
		s := newSample(6)
		change(&s)
		all[name] = s
	}
	add("all there is", func(*sample) {})
	add("no frames", func(s *sample) { s.frames = nil })
	add("no chunks", func(s *sample) { s.segments = nil })
	add("no times", func(s *sample) { s.frames.Seconds = nil })
	add("doubles at their limits", func(s *sample) {
		copy(s.frames.Table.Series[0].Values, []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64, math.MaxFloat64, math.Copysign(0, -1)})
		copy(s.frames.Table.Series[1].Values, []float64{1e21, 1e-7, 0.1 + 0.2, 5e-310, -math.MaxFloat64, 0})
		s.frames.Table.FPS = math.Inf(1)
	})
	add("a value is missing", func(s *sample) { absent(&s.frames.Table.Series[1], 2) })
	add("every third frame", func(s *sample) {
		s.m.Request.Subsample, s.frames.Table.Subsample = 3, 3
		for i := range s.frames.Table.Series {
			absent(&s.frames.Table.Series[i], 1, 2, 4, 5)
		}
	})
	add("every third frame, and a feature of all frames", func(s *sample) {
		s.m.Request.Subsample, s.frames.Table.Subsample = 3, 3
		absent(&s.frames.Table.Series[0], 1, 2, 4, 5)
	})
	add("frames are missing", func(s *sample) {
		for i := range s.frames.Table.Series {
			absent(&s.frames.Table.Series[i], 0, 3)
		}
	})
	add("no frame has a value", func(s *sample) {
		for i := range s.frames.Table.Series {
			absent(&s.frames.Table.Series[i], 0, 1, 2, 3, 4, 5)
		}
	})
	add("a series is called as another's alias", func(s *sample) {
		s.frames.Table.Series[2].Name = "integer_adm2"
		s.m.Renditions[1].Scores[2].Series = "integer_adm2"
		for i := range s.segments {
			s.segments[i].Scores[2].Series = "integer_adm2"
		}
	})
	add("made of a log", func(s *sample) {
		from := sampleOrigin()
		s.m.Imported = &store.Imported{
			Form: from.Form, Digest: from.Digest, File: from.File, Generation: from.Generation, Version: from.Version, Losses: from.Losses,
			Details: map[string]string{}, Numbers: map[string]float64{},
			Pooled: []store.Score{{Series: "psnr_y", Pooled: []store.Pooled{{Method: "min", Value: math.NaN()}, {Method: "mean", Value: math.NaN()}}}},
		}
		KeepRun(s.m.Imported, *from.Run)
		s.m.Rescored = ""
	})
	add("nothing is known of the videos", func(s *sample) {
		s.m.Reference, s.m.Renditions[1].Video = nil, nil
	})
	add("what is unknown is zero", func(s *sample) {
		s.m = &store.Measurement{ID: s.m.ID, Request: store.Request{Renditions: make([]store.RenditionRequest, 2)}, Renditions: []store.Rendition{{}, {Name: "x"}}}
		s.segments = nil
	})
	return all
}

func write(t testing.TB, d *Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t testing.TB, text []byte) *Document {
	t.Helper()
	d, err := Read(bytes.NewReader(text), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWriteRead_RoundTrip(t *testing.T) {
	for name, s := range samples() {
		t.Run(name, func(t *testing.T) {
			d := s.document()
			text := write(t, d)
			again := read(t, text)
			if diff := cmp.Diff(d, again, same); diff != "" {
				t.Errorf("what was written and what was read:\n%s\n%s", diff, text)
			}
			if twice := write(t, again); !bytes.Equal(text, twice) {
				t.Errorf("written again:\n%s", cmp.Diff(string(text), string(twice)))
			}
		})
	}
}

// A request is what the measurement was, and where it has no field, what the record of the measurement that is made of the request says.
func TestImportRequest_RoundTrip(t *testing.T) {
	for name, s := range samples() {
		t.Run(name, func(t *testing.T) {
			d := s.document()
			got, err := read(t, write(t, d)).ImportRequest()
			if err != nil {
				t.Fatal(err)
			}
			m, r := s.m, &s.m.Renditions[1]
			want := workflow.ImportRequest{
				Labels:         m.Request.Labels,
				Reference:      store.Source{URI: m.Request.Reference.URI, Raw: m.Request.Reference.Raw},
				Rendition:      store.RenditionRequest{Name: r.Name, Source: store.Source{URI: m.Request.Renditions[1].Source.URI}},
				ReferenceVideo: m.Reference, Video: r.Video, Format: r.Format, First: r.First, Measured: m.Finished,
				Table: &vmaf.Table{Frames: int(r.End - r.First), Subsample: max(m.Request.Subsample, 1), Width: r.Format.Width, Height: r.Format.Height, Aggregates: []vmaf.Aggregate{{Name: "apsnr_y", Value: 41.5}}},
				Imported: store.Imported{
					Form: "record", Generation: Generation, Version: "1.2.3", Width: r.Format.Width, Height: r.Format.Height, Frames: r.End - r.First,
				},
			}
			if m.Plan != nil {
				want.Models = m.Plan.Models
			}
			if f := s.frames; f != nil {
				table := *f.Table
				want.First, want.Seconds, want.Table = f.First, f.Seconds, &table
				table.Width, table.Height = r.Format.Width, r.Format.Height
				want.Imported.Frames = int64(table.Frames)
				for _, series := range table.Series {
					want.Imported.Series = append(want.Imported.Series, series.Name)
				}
			}
			want.Imported.Step = int64(want.Table.Subsample)
			if d.Frames != nil && d.Frames.Numbers != nil {
				want.Imported.Step = 0
			}
			want.Imported.Aggregates = want.Table.Aggregates
			if m.Plan != nil {
				want.Imported.Pooled = slices.Clone(r.Scores[:3])
			}
			if m.Imported != nil { // its mean is a number in the scores, and what counts
				p := &want.Imported.Pooled[2].Pooled
				*p = append(slices.Clone(*p), store.Pooled{Method: "min", Value: math.NaN()})
			}
			for _, segment := range s.segments {
				want.Segments = append(want.Segments, workflow.SegmentScore{First: segment.First, End: segment.End, Scores: segment.Scores})
			}
			details := got.Imported.Details
			got.Imported.Details = nil
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Errorf("request (− want, + got):\n%s", diff)
			}

			got.Imported.Details = details
			imported := imported(got)
			if s.frames != nil {
				s.frames = &workflow.Frames{First: got.First, Table: got.Table, Seconds: got.Seconds}
			}
			again := FromMeasurement(imported, 0, s.frames, s.segments, "9.9.9")
			if again.Program.Version != "9.9.9" || again.Measurement.Name != "measurements/imported" {
				t.Errorf("record of the imported one: program %v, measurement %v", again.Program, again.Measurement)
			}
			again.Program, again.Measurement = d.Program, d.Measurement
			if d.Provenance.Imported == nil {
				if origin := again.Provenance.Imported; origin == nil || origin.Form != "record" {
					t.Errorf("record of the imported one does not say that it was: %v", origin)
				}
				again.Provenance.Imported = nil
			}
			if s.frames == nil {
				again.Aggregates = d.Aggregates
			}
			if diff := cmp.Diff(d, again, same); diff != "" {
				t.Errorf("record of the measurement that the record was imported as (− old, + new):\n%s", diff)
			}
		})
	}
}

// imported is the measurement that a request becomes, as far as records look at it.
func imported(req workflow.ImportRequest) *store.Measurement {
	origin := req.Imported
	r := store.Rendition{
		Name: req.Rendition.Name, State: store.StateSucceeded, Video: req.Video, Format: req.Format, First: req.First, End: req.First + int64(req.Table.Frames),
		Scores: origin.Pooled,
	}
	return &store.Measurement{
		ID: "imported", State: store.StateSucceeded, Imported: &origin, Reference: req.ReferenceVideo, Created: req.Measured, Finished: req.Measured,
		Request:    store.Request{Reference: req.Reference, Renditions: []store.RenditionRequest{req.Rendition}, Labels: req.Labels},
		Renditions: []store.Rendition{r}, Plan: &store.Plan{Models: req.Models},
	}
}

func TestImportRequest_TellsOfWhatIsNotKept(t *testing.T) {
	d := read(t, []byte(`{"schema": "vqsd.encode-record/1", "distorted": {"name": "x", "colour": 1}, "new~/": [{"a": null}],
		"chunks": [{"first_frame": 0, "end_frame": 1, "first_second": 3, "scores": {}}]}`))
	req, err := d.ImportRequest()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/distorted/colour: this version does not know the member", "/new~0~1: this version does not know the member",
		"first_second of chunks: neither times of frames nor the reference's frame rate come with it",
	}
	if diff := cmp.Diff(want, req.Imported.Losses); diff != "" {
		t.Error(diff)
	}
}

func TestImportRequest_OrderOfSeries(t *testing.T) {
	d := read(t, []byte(`{"schema": "vqsd.encode-record/1", "distorted": {"name": "x"},
		"series": [{"name": "z"}, {"name": "not there"}, {"name": "b", "stored": "B"}],
		"frames": {"end_frame": 1, "series": {"a": [1], "b": [2], "y": [3], "z": [4]}}}`))
	req, err := d.ImportRequest()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(req.Imported.Series); got != "[z B a y]" {
		t.Errorf("series are in the order %s, want described ones first, then as they come: [z B a y]", got)
	}
}

func TestImportRequest_TooManyDetails(t *testing.T) {
	d := newSample(2).document()
	for range 5 {
		d.Provenance.Warnings = append(d.Provenance.Warnings, strings.Repeat("w", maxProse))
	}
	if _, err := d.ImportRequest(); err == nil || !strings.Contains(err.Error(), "262144") {
		t.Errorf("a request of 5 warnings of 64 KiB: %v, want an error that says how much is kept", err)
	}
}

func TestWrite_Refuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"name is not UTF-8":          {func(d *Document) { d.Distorted.Name = "a\xff" }, "/distorted/name: "},
		"no name":                    {func(d *Document) { d.Distorted.Name = "" }, "/distorted/name: "},
		"long label":                 {func(d *Document) { d.Measurement.Labels = map[string]string{"a/b": strings.Repeat("x", 1025)} }, "/measurement/labels/a~1b: "},
		"year 10000":                 {func(d *Document) { d.Measurement.Created = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "/measurement/create_time: "},
		"integer beyond 2^53":        {func(d *Document) { d.Reference.Info.BitRate = 1 << 53 }, "/reference/video/bit_rate: "},
		"series twice":               {func(d *Document) { d.Frames.Columns[1].Name = "vmaf" }, "/frames/series: "},
		"method twice":               {func(d *Document) { d.Scores[0].Pooled[1].Method = "mean" }, "/scores/vmaf: "},
		"method without a name":      {func(d *Document) { d.Scores[0].Pooled[1].Method = "" }, "/scores/vmaf: "},
		"time that is not finite":    {func(d *Document) { d.Frames.Seconds[1] = math.NaN() }, "/frames/times/1: "},
		"unknown pairing":            {func(d *Document) { d.Comparison.Pairing = "guess" }, "/comparison/pairing: "},
		"columns of unequal length":  {func(d *Document) { d.Frames.Columns[1].Values = d.Frames.Columns[1].Values[:3] }, "/frames/series/integer_adm2: "},
		"presence of another length": {func(d *Document) { d.Frames.Columns[1].Present = []bool{true} }, "/frames/series/integer_adm2: "},
		"chunks overlap":             {func(d *Document) { d.Chunks[1].First-- }, "/chunks/1/first_frame: "},
	} {
		t.Run(name, func(t *testing.T) {
			d := newSample(6).document()
			test.change(d)
			var b bytes.Buffer
			err := Write(&b, d)
			if err == nil || !strings.Contains(err.Error(), test.want) || b.Len() > 0 {
				t.Errorf("error %v, %d bytes written; want one that names %s, and nothing written", err, b.Len(), test.want)
			}
		})
	}
}

func TestWrite_ReportsTheWritersError(t *testing.T) {
	if err := Write(brokenWriter{}, newSample(100_000).document()); err != io.ErrClosedPipe {
		t.Errorf("error %v, want the writer's", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

var update = flag.Bool("update", false, "rewrite testdata/encode-record-1.json")

// Records of version 1 are read for good, and the file shows what they look like.
func TestWrite_Golden(t *testing.T) {
	const name = "testdata/encode-record-1.json"
	s := newSample(6)
	copy(s.frames.Table.Series[0].Values, []float64{math.NaN(), math.Inf(1), math.Inf(-1)})
	absent(&s.frames.Table.Series[1], 2)
	d := s.document()
	got := write(t, d)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("written (− %s, + now); a change needs another version unless members are only added:\n%s", name, cmp.Diff(string(want), string(got)))
	}
	if diff := cmp.Diff(d, read(t, want), same); diff != "" {
		t.Error(diff)
	}
}
