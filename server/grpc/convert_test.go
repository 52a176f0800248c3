package grpc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// anywhere resolves every name to the root "r".
func anywhere(uri string) (store.Source, error) {
	return store.Source{Root: "r", Path: uri, URI: uri}, nil
}

// randomSpec has every field set now and then.
func randomSpec(r *rand.Rand) *pb.MeasurementSpec {
	maybe := func() bool { return r.IntN(2) == 0 }
	text := func(prefix string) string { return fmt.Sprintf("%s%d", prefix, r.IntN(1000)) }
	source := func() *pb.VideoSource {
		s := &pb.VideoSource{Uri: text("clip")}
		if maybe() {
			s.RawFormat = "64x64:yuv420p:25"
		}
		return s
	}
	spec := &pb.MeasurementSpec{
		Reference: source(), ServiceClass: pb.ServiceClass(r.IntN(4)), Pairing: pb.Pairing(r.IntN(4)), Shortest: maybe(), Offset: r.Int64N(100) - 50,
		FirstFrame: r.Int64N(100), EndFrame: r.Int64N(1000), Subsample: r.Int32N(10), ScaleFilter: pb.ScaleFilter(r.IntN(5)),
		DamagePolicy: pb.DamagePolicy(r.IntN(3)), ChunkFrames: r.Int64N(1000), FullHash: maybe(), NoCache: maybe(),
		BitDepth: pb.BitDepth(r.IntN(6)),
	}
	for range 1 + r.IntN(4) {
		spec.Renditions = append(spec.Renditions, &pb.RenditionSource{Source: source(), Name: text("name")})
	}
	for range r.IntN(3) {
		m := &pb.ModelSpec{Spec: text("model")}
		if maybe() {
			m.Document = []byte(text("{}"))
		}
		spec.Models = append(spec.Models, m)
	}
	for range r.IntN(3) {
		spec.Features = append(spec.Features, text("feature"))
		spec.Pools = append(spec.Pools, text("p"))
	}
	for range r.IntN(3) {
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[text("key")] = text("value")
	}
	if maybe() {
		spec.Deadline = &timestamppb.Timestamp{Seconds: 1 + r.Int64N(1<<33), Nanos: r.Int32N(1e9)}
	}
	if maybe() {
		spec.Encoded, spec.Presets = text("encoded"), []string{text("preset")}
	}
	if maybe() {
		spec.Geometry = &pb.Size{Width: r.Int32(), Height: r.Int32()}
	}
	if maybe() {
		spec.Crop = &pb.Rectangle{X: r.Int32(), Y: r.Int32(), Width: r.Int32(), Height: r.Int32()}
	}
	switch r.IntN(3) {
	case 0:
		spec.Segment = &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: 1 + r.Int64N(1000)}}
	case 1:
		length := time.Duration(1 + r.Int64N(int64(maxSegment)))
		spec.Segment = &pb.SegmentLength{Length: &pb.SegmentLength_Seconds{Seconds: durationpb.New(length)}}
	}
	return spec
}

// withoutDocuments is what comes back of a spec.
func withoutDocuments(spec *pb.MeasurementSpec) *pb.MeasurementSpec {
	spec = proto.CloneOf(spec)
	for _, m := range spec.GetModels() {
		m.Document = nil
	}
	return spec
}

func TestSpecRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		spec := randomSpec(r)
		request, documents, err := requestFromProto(spec, anywhere)
		if err != nil {
			t.Fatalf("%v: %v", spec, err)
		}
		if diff := cmp.Diff(withoutDocuments(spec), requestToProto(&request), protocmp.Transform()); diff != "" {
			t.Fatalf("lost on the way (-sent +back):\n%s", diff)
		}
		for i, m := range spec.GetModels() {
			if got := string(documents[request.Models[i].Document]); got != string(m.GetDocument()) {
				t.Fatalf("document of model %d: %q, want %q", i, got, m.GetDocument())
			}
		}
	}
}

// TestSpecConvertsEveryField sets each field of a spec alone: one that nothing comes of was forgotten.
func TestSpecConvertsEveryField(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[protoreflect.Name]bool{}
	for range 200 {
		spec := randomSpec(r)
		spec.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			seen[fd.Name()] = true
			return true
		})
	}
	fields := (&pb.MeasurementSpec{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := fields.Get(i).Name(); !seen[name] {
			t.Errorf("randomSpec never sets %s, so that the round trip says nothing of it", name)
		}
	}
}

func TestSpecRefuses(t *testing.T) {
	refuse := func(uri string) (store.Source, error) {
		if strings.HasPrefix(uri, "bad") {
			return store.Source{}, errors.New("no good")
		}
		return anywhere(uri)
	}
	good := func() *pb.MeasurementSpec {
		return &pb.MeasurementSpec{
			Reference: &pb.VideoSource{Uri: "a"}, Renditions: []*pb.RenditionSource{{Source: &pb.VideoSource{Uri: "b"}}, {Source: &pb.VideoSource{Uri: "c"}}},
		}
	}
	for _, row := range []struct {
		name   string
		change func(*pb.MeasurementSpec)
		want   []string // fields
	}{
		{"nothing wrong", func(*pb.MeasurementSpec) {}, nil},
		{"every bad source is named", func(s *pb.MeasurementSpec) { s.Reference.Uri, s.Renditions[1].Source.Uri = "bad1", "bad2" },
			[]string{"spec.reference.uri", "spec.renditions[1].source.uri"}},
		{"a time that is none", func(s *pb.MeasurementSpec) { s.Deadline = &timestamppb.Timestamp{Nanos: -1} }, []string{"spec.deadline"}},
		{"a segment of years", func(s *pb.MeasurementSpec) {
			s.Segment = &pb.SegmentLength{Length: &pb.SegmentLength_Seconds{Seconds: durationpb.New(maxSegment + 1)}}
		}, []string{"spec.segment"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := good()
			row.change(spec)
			_, _, err := requestFromProto(spec, refuse)
			var got []string
			if err != nil {
				for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
					var field *workflow.FieldError
					if errors.As(e, &field) {
						got = append(got, field.Field)
					}
				}
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("%v: fields %v, want %v", err, got, row.want)
			}
		})
	}
}

// TestWordsAreThoseOfTheEnums keeps the tables and the .proto files together.
func TestWordsAreThoseOfTheEnums(t *testing.T) {
	check := func(d protoreflect.EnumDescriptor, prefix string, list []string) {
		if d.Values().Len() != len(list) {
			t.Errorf("%s has %d values, the table %d", d.Name(), d.Values().Len(), len(list))
			return
		}
		for i, word := range list {
			want := prefix + strings.ToUpper(word)
			if word == "" {
				want = prefix + "UNSPECIFIED"
			}
			if got := string(d.Values().ByNumber(protoreflect.EnumNumber(i)).Name()); got != want {
				t.Errorf("number %d of %s is %s, the table has %q", i, d.Name(), got, word)
			}
		}
	}
	check(pb.ServiceClass(0).Descriptor(), "SERVICE_CLASS_", texts(classWords))
	check(pb.Pairing(0).Descriptor(), "PAIRING_", texts(pairingWords))
	check(pb.ScaleFilter(0).Descriptor(), "SCALE_FILTER_", texts(scaleWords))
	check(pb.BitDepth(0).Descriptor(), "BIT_DEPTH_", texts(depthWords))
	check(pb.DamagePolicy(0).Descriptor(), "DAMAGE_POLICY_", texts(damageWords))
	check(pb.MeasurementState(0).Descriptor(), "MEASUREMENT_STATE_", texts(stateWords))
	check(pb.WorkerState(0).Descriptor(), "WORKER_STATE_", texts(workerStateWords))
	check(pb.FailureReason(0).Descriptor(), "FAILURE_REASON_", texts(reasonWords))
	if got := word(classWords, pb.ServiceClass(99)); got != "" {
		t.Errorf("an unknown number is %q", got)
	}
	if got := number[pb.ServiceClass](classWords, "nonsense"); got != 0 {
		t.Errorf("an unknown word is %v", got)
	}
}

func texts[T ~string](w words[T]) (list []string) {
	for _, x := range w {
		list = append(list, string(x))
	}
	return list
}

// hidden are the parts of a record that the API does not show, with the reason.
var hidden = map[string]string{
	"Request.Reference.Root":         "the URI says where it is",
	"Request.Reference.Path":         "the URI says where it is",
	"Request.Renditions.Source.Root": "the URI says where it is",
	"Request.Renditions.Source.Path": "the URI says where it is",
	"Request.Models.Document":        "ModelInfo has the digest that decides scores",
	"Plan.Models.ModelSpec.Document": "ModelInfo has the digest that decides scores",
	"Request.SegmentSecond":          "one of the two lengths counts",
	"Plan.Extractions":               "an inner matter",
	"Plan.Pairing":                   "each rendition has the one that was applied",
	"Plan.Geometries.Width":          "each rendition's format has it",
	"Plan.Geometries.Height":         "each rendition's format has it",
	"Plan.Encodeds":                  "each rendition has what is in force",
	"Plan.BitDepth":                  "each rendition's format has it",
	"Plan.Chroma":                    "an inner matter",
	"Plan.Reinspections":             "an inner matter",
	"ExpectDepth":                    "an inner matter",
	"ExpectChroma":                   "an inner matter",
	"Renditions.Group":               "an inner matter",
	"Renditions.Identity":            "an inner matter",
	"Renditions.ReferenceIdentity":   "an inner matter",
	"Request.Pools":                  "the plan's are in force",
	// Of what was imported:
	"Imported.Pooled.Series":        "the rendition's scores have them",
	"Imported.Pooled.Model":         "the rendition's scores have them",
	"Imported.Pooled.Pooled.Method": "the rendition's scores have them",
	"Imported.Pooled.Pooled.Value":  "the rendition's scores have them",
	"Imported.Aggregates.Name":      "the rendition's scores have them",
	"Imported.Aggregates.Value":     "the rendition's scores have them",
	"Imported.Segmented":            "the plan has the chunks",
	"Imported.Width":                "the rendition's format has it",
	"Imported.Height":               "the rendition's format has it",
	"Imported.Step":                 "the request's subsampling is it",
	"Imported.Details":              "for writing the same file again",
	"Imported.Numbers":              "for writing the same file again",
}

// TestEveryPartOfARecordIsShown changes each part of a record alone, by reflection, and expects another message of it.
func TestEveryPartOfARecordIsShown(t *testing.T) {
	st := fullStatus()
	before := proto.CloneOf(measurementToProto(st, fullView))
	visitLeaves(reflect.ValueOf(st.Measurement).Elem(), "", func(path string, leaf reflect.Value) {
		if _, ok := hidden[path]; ok {
			return
		}
		old := reflect.New(leaf.Type()).Elem()
		old.Set(leaf)
		change(t, path, leaf)
		if after := measurementToProto(st, fullView); proto.Equal(before, after) {
			t.Errorf("%s is not shown", path)
		}
		leaf.Set(old)
	})
	fields := before.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); !before.ProtoReflect().Has(fd) {
			t.Errorf("nothing sets %s", fd.FullName())
		}
	}
}

// fullStatus has every part set to something that its neighbours do not have.
func fullStatus() *workflow.Status {
	m := &store.Measurement{}
	n := 0
	fill(reflect.ValueOf(m).Elem(), &n)
	m.State = store.StatePartial
	m.Request.Class, m.Request.Pairing, m.Request.Scale, m.Request.OnDamage = store.ClassLatency, "index", "bilinear", "conceal"
	m.Plan.Class, m.Plan.Scales = store.ClassBackground, []string{"lanczos"}
	m.Plan.Rules[0].Rendition = 0
	m.Failure.Reason = store.ReasonDamaged
	m.Renditions[0].State, m.Renditions[0].Pairing, m.Renditions[0].Failure.Reason = store.StateFailed, "timestamp", store.ReasonChanged
	return &workflow.Status{
		Measurement: m, Renditions: []workflow.RenditionProgress{{Done: 5, Total: 7}},
		Progress: workflow.Progress{Done: 1, Total: 2, Rate: 3, Remaining: 4, ChunksDone: 5, ChunksTotal: 6, TasksRunning: 7},
	}
}

var timeType = reflect.TypeFor[time.Time]()

// fill sets every part of v to a value of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(uint64(*n) % 256)
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("key%d", *n)), value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	}
}

// visitLeaves calls fn with every part that has none below it. Elements of lists have the list's path.
func visitLeaves(v reflect.Value, path string, fn func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		for i := range v.NumField() {
			visitLeaves(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), fn)
		}
	case v.Kind() == reflect.Pointer:
		visitLeaves(v.Elem(), path, fn)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			visitLeaves(v.Index(i), path, fn)
		}
	default:
		fn(path, v)
	}
}

// change gives a part another value, of those that it may have.
func change(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	others := map[string]string{
		"State": "failed", "Failure.Reason": "limit", "Renditions.State": "running", "Renditions.Failure.Reason": "limit", "Renditions.Pairing": "index",
		"Request.Class": "background", "Request.Pairing": "auto", "Request.Scale": "none", "Request.OnDamage": "strict", "Request.BitDepth": "native", "Plan.Class": "latency", "Plan.Scales": "none",
	}
	switch v.Kind() {
	case reflect.String:
		if other, ok := others[path]; ok {
			v.SetString(other)
			return
		}
		v.SetString(v.String() + " changed")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() - 1)
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Struct: // a time
		v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour)))
	default:
		t.Fatalf("%s: cannot change a %s", path, v.Type())
	}
}

func TestBasicViewLeavesTheLongPartsOut(t *testing.T) {
	st := fullStatus()
	st.Measurement.Renditions[0].Scores = append(st.Measurement.Renditions[0].Scores, store.Score{Series: "feature"})
	m := measurementToProto(st, basicView)
	if len(m.GetChunks()) > 0 || len(m.GetReference().GetStreams()) > 0 || len(m.GetRenditions()[0].GetVideo().GetStreams()) > 0 || len(m.GetProvenance().GetRules()) > 0 {
		t.Errorf("a basic view has chunks, streams or rules: %v", m)
	}
	if got := m.GetRenditions()[0].GetScores(); len(got) != 1 || got[0].GetModel() == "" {
		t.Errorf("scores are %v, want those of models only", got)
	}
}

func TestEtag(t *testing.T) {
	for _, n := range []uint64{1, 35, 36, 1 << 63} {
		if got, err := revisionOf(etagOf(n)); got != n || err != nil {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
	for _, text := range []string{"-1", "0", "!", "0001", "Z", strings.Repeat("z", 40)} {
		if got, err := revisionOf(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
	if got, err := revisionOf(""); got != 0 || err != nil {
		t.Errorf("no etag: %d, %v", got, err)
	}
}

// FuzzMeasureRequest takes bytes from the wire all the way to a request: they are refused by field, or become one that reads back the same.
func FuzzMeasureRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		spec := randomSpec(r)
		spec.Reference.Uri, spec.Geometry, spec.Crop = "clips:"+spec.GetReference().GetUri(), nil, nil
		body, err := proto.Marshal(&pb.MeasureQualityRequest{Spec: spec, RequestId: "id"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	validator, err := protovalidate.New()
	if err != nil {
		f.Fatal(err)
	}
	server := &Server{validator: validator}
	roots, err := auth.NewRoots([]auth.Root{{Name: "clips", Dir: "/srv/clips"}})
	if err != nil {
		f.Fatal(err)
	}
	resolve := func(uri string) (store.Source, error) { return roots.Resolve(&auth.Caller{}, uri) }
	f.Fuzz(func(t *testing.T, body []byte) {
		req := &pb.MeasureQualityRequest{}
		if err := proto.Unmarshal(body, req); err != nil {
			return
		}
		if err := server.validate(req); err != nil {
			var fields *invalid
			if !errors.As(err, &fields) || len(fields.fields) == 0 {
				t.Errorf("%v: %v names no field", req, err)
			}
			return
		}
		request, _, err := requestFromProto(req.GetSpec(), resolve)
		if err != nil {
			if st, _ := statusOf(err, func() string { return "" }); st.Code() != codes.InvalidArgument && st.Code() != codes.PermissionDenied {
				t.Errorf("%v: %v", req, st)
			}
			return
		}
		once := requestToProto(&request)
		again, _, err := requestFromProto(once, resolve)
		if err != nil {
			t.Fatalf("%v was accepted, and comes back as %v, which is not: %v", req, once, err)
		}
		if diff := cmp.Diff(once, requestToProto(&again), protocmp.Transform()); diff != "" {
			t.Errorf("not stable:\n%s", diff)
		}
	})
}
