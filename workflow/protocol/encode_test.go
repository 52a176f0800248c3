package protocol

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/store"
)

const someID store.MeasurementID = "01jd9zk3v8m4t0w5x6y7r8s9q2"

var someTask = TaskID{Measurement: someID, Number: 3, Attempt: 2}

// quietNaN is a NaN with a payload, which has to survive.
var quietNaN = math.Float64frombits(0x7ff8_0000_dead_beef)

func someSource(path string) store.Source {
	return store.Source{Root: "media", Path: path, URI: "media:" + path}
}

func someFile(path string) store.File {
	return store.File{Source: someSource(path), Host: "host", Stamp: store.Stamp{SizeBytes: 9, ModifiedUnixNano: 1, ChangedUnixNano: 2, Inode: 1 << 63, Device: 4}, Fingerprint: "sha256:00"}
}

func someComparison() Comparison {
	file := someFile("ref.mkv")
	return Comparison{
		Reference: someSource("ref.mkv"), Renditions: []store.Source{someSource("a.mp4"), someSource("b.mp4")},
		ReferenceFile: &file, RenditionFiles: []*store.File{&file, nil},
		Pairing: "index", Offset: -2, First: 10, End: 100, Subsample: 1, Scales: []string{"", "lanczos"},
		Geometries: []store.Size{{}, {Width: 640, Height: 360}}, Crop: &store.Rect{X: 0, Y: 2, Width: 4, Height: 6}, OnDamage: "strict",
		BitDepth: 10, Encodeds: []string{"auto", "960x540:8"}, Chroma: true,
	}
}

// samples are one of each message, with everything set that may be.
func samples() map[string]Message {
	moment := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC)
	video := store.Video{Width: 1920, Height: 1080, BitDepth: 8, Frames: 3, Codec: "h264", StartOffset: -time.Second, Streams: []store.VideoStream{{Type: "audio"}}}
	return map[string]Message{
		"hello": &Hello{Protocol: Version, Worker: "w", Host: "host", PID: 7, Version: "v1", Device: Device{Name: "cpu", Backend: "cpu (avx2)", Threads: 8},
			Roots: []string{"media"}, Slots: 2, Started: moment, Running: []TaskID{someTask}},
		"welcome":   &Welcome{Lease: 15 * time.Second, Version: "v1", Draining: true},
		"refusal":   &Welcome{Refused: "run the same version"},
		"heartbeat": &Heartbeat{Worker: "w", Running: []TaskID{someTask}, Draining: true, RSSBytes: 1 << 30, Sent: moment},
		"inspect task": &Task{ID: someTask, Kind: store.TaskInspect, Class: store.ClassLatency, Comparison: someComparison(),
			Inspect: &Inspect{Known: []store.File{someFile("ref.mkv")}, Described: true}, Trace: map[string]string{"traceparent": "00-…"}},
		"chunk task": &Task{ID: someTask, Kind: store.TaskChunk, Class: store.ClassBackground, Deadline: moment, Comparison: someComparison(),
			Chunk: &Chunk{First: 10, End: 20, Renditions: []int{1, 0}, Extractions: []string{"vif"}}},
		"begin": &Begin{Worker: "w", Task: someTask},
		"leave": &Leave{Why: "done already"},
		"record": &Record{Worker: "w", Task: someTask, Parts: []Part{
			{Extraction: "vif", Rendition: 1, Group: 0, First: 10, End: 15, Step: 2, Figures: [][]float64{{1, math.Inf(-1), quietNaN}, {math.Copysign(0, -1), 1e-300, math.MaxFloat64}}},
			{Extraction: "motion", Rendition: -1, First: 10, End: 11, Step: 1, Figures: [][]float64{{0.1}}},
		}},
		"inspection": &Finish{Worker: "w", Task: someTask, Elapsed: time.Second, Inspection: &Inspection{
			Reference: video, ReferenceFile: someFile("ref.mkv"), RandomAccess: []int64{0, 2}, Times: []int64{0, 1, 3}, Backend: "cpu (avx2)",
			Renditions: []InspectedVideo{
				{Failure: &Error{Reason: store.ReasonNotFound, Message: "media:a.mp4: no such file"}},
				{Video: video, File: someFile("b.mp4"), Format: store.Format{Width: 1920, Height: 1080, BitDepth: 10},
					Encoded: store.Encoded{Width: 960, Height: 540, BitDepth: 8}, Pairing: "index", End: 3, Group: 1, RandomEntry: true},
			}}},
		"unchanged": &Finish{Worker: "w", Task: someTask, Inspection: &Inspection{Unchanged: true, ReferenceFile: someFile("ref.mkv"),
			Renditions: []InspectedVideo{{File: someFile("a.mp4")}, {File: someFile("b.mp4")}}}},
		"chunk done": &Finish{Worker: "w", Task: someTask, Decode: 1, Kernels: 2, Reused: true, Chunk: &ChunkDone{Backend: "cpu (avx2)", Frames: 20,
			Renditions: map[int]store.RenditionDone{0: {EndedAt: -1}, 1: {Failure: &store.Failure{Reason: store.ReasonDamaged, Message: "frame 4"}, EndedAt: 3}}}},
		"failure":  &Finish{Worker: "w", Task: someTask, Returned: true, Failure: &Error{Reason: store.ReasonWorker, Message: "draining", Transient: true}},
		"receipt":  &Receipt{Retry: "disk full"},
		"progress": &Progress{Worker: "w", Task: someTask, Done: 3, Total: 10},
		"cancel":   &Cancel{Measurement: someID, Number: -1},
	}
}

// empty makes a message of the same type.
func empty(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

// bitwise compares figures by their bits: NaN equals itself.
var bitwise = cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })

func TestEveryMessageSurvivesTheWay(t *testing.T) {
	for name, m := range samples() {
		body, err := Encode(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := empty(m)
		if err := Decode(body, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(m, got, bitwise); diff != "" {
			t.Errorf("%s (-sent +received):\n%s", name, diff)
		}
	}
}

func TestTimesKeepTheirZero(t *testing.T) {
	body, err := Encode(samples()["inspect task"])
	if err != nil {
		t.Fatal(err)
	}
	var task Task
	if err := Decode(body, &task); err != nil {
		t.Fatal(err)
	}
	if !task.Deadline.IsZero() {
		t.Errorf("no deadline became %v", task.Deadline)
	}
}

// raw encodes anything, without our checks.
func raw(t testing.TB, v any) []byte {
	body, err := encoding.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestDecodePassesOverWhatItDoesNotKnow(t *testing.T) {
	body := raw(t, map[string]any{"granted": true, "since_version_9": map[string]any{"a": []int{1}}})
	var leave Leave
	if err := Decode(body, &leave); err != nil || !leave.Granted {
		t.Errorf("got %+v, %v", leave, err)
	}
}

func TestDecodeTellsAWorkerOfAnotherProtocolApart(t *testing.T) {
	var h Hello
	if err := Decode(raw(t, map[string]any{"protocol": Version + 1, "slots": -5}), &h); err != nil || h.Protocol != Version+1 {
		t.Errorf("got protocol %d, %v; the handshake has to be able to refuse it", h.Protocol, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := []byte{0xa1, 0x61, 'x'}
	deep = append(append(deep, bytes.Repeat([]byte{0x81}, 100)...), 0x00)
	for name, test := range map[string]struct {
		body []byte
		want error
	}{
		"nothing":                        {nil, ErrMalformed},
		"a null":                         {[]byte{0xf6}, ErrMalformed},
		"an array":                       {[]byte{0x80}, ErrMalformed},
		"a message that is cut off":      {raw(t, map[string]any{"why": "because"})[:6], ErrMalformed},
		"bytes behind the message":       {append(raw(t, map[string]any{"why": "x"}), 0), ErrMalformed},
		"a key twice":                    {[]byte{0xa2, 0x63, 'w', 'h', 'y', 0x60, 0x63, 'w', 'h', 'y', 0x60}, ErrMalformed},
		"a text where a claim should be": {raw(t, map[string]any{"granted": "yes"}), ErrMalformed},
		"a map without an end":           {[]byte{0xbf, 0xff}, ErrMalformed},
		"a tag":                          {[]byte{0xa1, 0x63, 'w', 'h', 'y', 0xc0, 0x60}, ErrMalformed},
		"a text that is not UTF-8":       {[]byte{0xa1, 0x63, 'w', 'h', 'y', 0x61, 0xff}, ErrMalformed},
		"arrays in arrays":               {deep, ErrMalformed},
		"an array of 2³² elements":       {[]byte{0xa1, 0x61, 'x', 0x9b, 0, 0, 0, 1, 0, 0, 0, 0}, ErrMalformed},
		"a reason of 100 KB":             {raw(t, map[string]any{"why": strings.Repeat("x", 100_000)}), ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Decode(test.body, &Leave{}); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	var size *SizeError
	if err := Decode(make([]byte, MaxMessageBytes+1), &Leave{}); !errors.As(err, &size) {
		t.Errorf("a message above the limit: got %v", err)
	}
	if err := Decode(raw(t, map[string]any{}), &Device{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("what is no message: got %v", err)
	}
	if _, err := Encode(Leave{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a message by value: got %v", err)
	}
}

// change makes a function that changes a message of type M.
func change[M any](f func(*M)) func(Message) { return func(m Message) { f(any(m).(*M)) } }

func TestValidateRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		sample string
		change func(Message)
		says   string
	}{
		"a worker without a name":             {"hello", change(func(h *Hello) { h.Worker = "" }), "worker is empty"},
		"a worker without slots":              {"hello", change(func(h *Hello) { h.Slots = 0 }), "slots is 0"},
		"a lease of nothing":                  {"welcome", change(func(w *Welcome) { w.Lease = 0 }), "lease is 0"},
		"negative memory":                     {"heartbeat", change(func(h *Heartbeat) { h.RSSBytes = -1 }), "rss_bytes is -1"},
		"the zeroth attempt":                  {"begin", change(func(b *Begin) { b.Task.Attempt = 0 }), "attempt is 0"},
		"a measurement with a slash":          {"begin", change(func(b *Begin) { b.Task.Measurement = "01jd9zk3v8m4t0w5x6y7r8s9q/" }), "is not named by"},
		"a kind without its part":             {"chunk task", change(func(t *Task) { t.Chunk = nil }), "kind"},
		"a kind with another's part":          {"inspect task", change(func(t *Task) { t.Chunk = &Chunk{End: 1} }), "kind"},
		"a chunk of no frames":                {"chunk task", change(func(t *Task) { t.Chunk.End = t.Chunk.First }), "chunk are frames 10:10"},
		"a rendition that is not there":       {"chunk task", change(func(t *Task) { t.Chunk.Renditions[0] = 2 }), "chunk.renditions has 2"},
		"a rendition twice":                   {"chunk task", change(func(t *Task) { t.Chunk.Renditions[0] = 0 }), "chunk.renditions has 0"},
		"fewer scales than renditions":        {"chunk task", change(func(t *Task) { t.Comparison.Scales = nil }), "comparison.scales are 0 for 2"},
		"no renditions":                       {"chunk task", change(func(t *Task) { t.Comparison.Renditions = nil }), "comparison.renditions are 0"},
		"a crop outside":                      {"chunk task", change(func(t *Task) { t.Comparison.Crop.X = -1 }), "comparison.crop"},
		"no parts":                            {"record", change(func(r *Record) { r.Parts = nil }), "parts are 0"},
		"a figure too few":                    {"record", change(func(r *Record) { r.Parts[0].Figures[1] = []float64{1, 2} }), "are 2 for 3 frames of 10:15 by 2"},
		"steps of nothing":                    {"record", change(func(r *Record) { r.Parts[0].Step = 0 }), "step is 0"},
		"frames beyond all counting":          {"record", change(func(r *Record) { r.Parts[0].End = math.MaxInt64 }), "a part are frames"},
		"no columns":                          {"record", change(func(r *Record) { r.Parts[0].Figures = nil }), "figures have 0 columns"},
		"no outcome":                          {"chunk done", change(func(f *Finish) { f.Chunk = nil }), "0 of failure"},
		"two outcomes":                        {"chunk done", change(func(f *Finish) { f.Failure = &Error{Reason: "x"} }), "2 of failure"},
		"returned without a failure":          {"chunk done", change(func(f *Finish) { f.Returned = true }), "without a failure"},
		"a negative count of damaged frames":  {"chunk done", change(func(f *Finish) { f.Chunk.Reference.Damaged = -1 }), "counts are at least 0"},
		"a negative time":                     {"chunk done", change(func(f *Finish) { f.Decode = -1 }), "decode is"},
		"a failure without a reason":          {"failure", change(func(f *Finish) { f.Failure.Reason = "" }), "failure.reason is empty"},
		"random access that goes back":        {"inspection", change(func(f *Finish) { f.Inspection.RandomAccess = []int64{3, 1} }), "random_access do not ascend"},
		"times for other frames":              {"inspection", change(func(f *Finish) { f.Inspection.Times = []int64{0} }), "times are 1 for a reference of 3"},
		"a picture without a height":          {"inspection", change(func(f *Finish) { f.Inspection.Reference.Height = 0 }), "reference is 1920×0"},
		"a rendition that is never compared":  {"inspection", change(func(f *Finish) { f.Inspection.Renditions[1].End = 0 }), "a rendition's pairs are frames 0:0"},
		"more done than there is":             {"progress", change(func(p *Progress) { p.Done = 11 }), "done is 11"},
		"the cancelling of task minus two":    {"cancel", change(func(c *Cancel) { c.Number = -2 }), "number is -2"},
		"more random access than is sensible": {"inspection", change(func(f *Finish) { f.Inspection.RandomAccess = make([]int64, maxAccess+1) }), "random_access are 10001"},
	} {
		t.Run(name, func(t *testing.T) {
			m := samples()[test.sample]
			test.change(m)
			_, err := Encode(m)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("encode: got %v, want %q", err, test.says)
			}
			if err := Decode(raw(t, m), empty(m)); !errors.Is(err, ErrInvalid) {
				t.Errorf("decode: got %v", err)
			}
		})
	}
}

func TestEncodeRefusesWhatIsTooLarge(t *testing.T) {
	column := make([]float64, maxElements)
	part := Part{Extraction: "vif", First: 0, End: maxElements, Step: 1, Figures: slices.Repeat([][]float64{column}, 8)}
	var size *SizeError
	if _, err := Encode(&Record{Worker: "w", Task: someTask, Parts: []Part{part}}); !errors.As(err, &size) {
		t.Errorf("got %v, want a SizeError", err)
	}
}

// kinds are the messages' types.
func kinds() []Message {
	return []Message{&Hello{}, &Welcome{}, &Heartbeat{}, &Task{}, &Begin{}, &Leave{}, &Record{}, &Finish{}, &Receipt{}, &Progress{}, &Cancel{}}
}

// fuzz seeds with all samples and checks that what Decode takes as a message of m's type can be encoded, and is then the same.
func fuzz(f *testing.F, m Message) {
	for _, sample := range samples() {
		body, err := Encode(sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first := empty(m)
		if err := Decode(body, first); err != nil {
			return
		}
		again, err := Encode(first)
		if err != nil {
			// Encoding may take more bytes, but nothing else.
			var size *SizeError
			if !errors.As(err, &size) {
				t.Fatalf("decoded and not encoded: %v", err)
			}
			return
		}
		second := empty(m)
		if err := Decode(again, second); err != nil {
			t.Fatalf("encoded and not decoded: %v", err)
		}
		if third, err := Encode(second); err != nil || len(third) != len(again) {
			t.Fatalf("%d bytes became %d, %v", len(again), len(third), err)
		}
	})
}

func FuzzHello(f *testing.F)     { fuzz(f, &Hello{}) }
func FuzzWelcome(f *testing.F)   { fuzz(f, &Welcome{}) }
func FuzzHeartbeat(f *testing.F) { fuzz(f, &Heartbeat{}) }
func FuzzTask(f *testing.F)      { fuzz(f, &Task{}) }
func FuzzBegin(f *testing.F)     { fuzz(f, &Begin{}) }
func FuzzLeave(f *testing.F)     { fuzz(f, &Leave{}) }
func FuzzRecord(f *testing.F)    { fuzz(f, &Record{}) }
func FuzzFinish(f *testing.F)    { fuzz(f, &Finish{}) }
func FuzzReceipt(f *testing.F)   { fuzz(f, &Receipt{}) }
func FuzzProgress(f *testing.F)  { fuzz(f, &Progress{}) }
func FuzzCancel(f *testing.F)    { fuzz(f, &Cancel{}) }

func TestSamplesAreOfEveryKind(t *testing.T) {
	for _, kind := range kinds() {
		there := false
		for _, sample := range samples() {
			there = there || reflect.TypeOf(sample) == reflect.TypeOf(kind)
		}
		if !there {
			t.Errorf("no sample of %T, so that neither round trip nor fuzzing see it", kind)
		}
	}
}
