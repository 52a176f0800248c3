package grpc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// maxSegment is the longest segment in seconds: 30 days, which a float64 holds to the nanosecond.
const maxSegment = 30 * 24 * time.Hour

// resolver turns what a request calls a video into a file below a media root.
type resolver func(uri string) (store.Source, error)

// requestFromProto turns a spec into a request, and returns the documents of its models by digest. Errors are joined [workflow.FieldError]s.
func requestFromProto(spec *pb.MeasurementSpec, resolve resolver) (store.Request, map[string][]byte, error) {
	var errs []error
	bad := func(field string, err error) { errs = append(errs, &workflow.FieldError{Field: field, Err: err}) }
	source := func(field string, v *pb.VideoSource) store.Source {
		s, err := resolve(v.GetUri())
		if err != nil {
			bad(field+".uri", err)
		}
		s.Raw = v.GetRawFormat()
		return s
	}
	r := store.Request{
		Reference: source("spec.reference", spec.GetReference()),
		Features:  spec.GetFeatures(),
		Class:     word(classWords, spec.GetServiceClass()),
		Labels:    spec.GetLabels(),
		Pairing:   word(pairingWords, spec.GetPairing()),
		Shortest:  spec.GetShortest(),
		Offset:    spec.GetOffset(),
		First:     spec.GetFirstFrame(),
		End:       spec.GetEndFrame(),
		Subsample: int(spec.GetSubsample()),
		Scale:     word(scaleWords, spec.GetScaleFilter()),
		OnDamage:  word(damageWords, spec.GetDamagePolicy()),
		BitDepth:  word(depthWords, spec.GetBitDepth()),
		Encoded:   spec.GetEncoded(),
		Presets:   spec.GetPresets(),

		ChunkFrames: spec.GetChunkFrames(),
		FullHash:    spec.GetFullHash(),
		NoCache:     spec.GetNoCache(),
	}
	for i, d := range spec.GetRenditions() {
		r.Renditions = append(r.Renditions, store.RenditionRequest{
			Source: source(fmt.Sprintf("spec.renditions[%d].source", i), d.GetSource()), Name: d.GetName(),
		})
	}
	models, documents := modelsFromProto(spec.GetModels())
	r.Models = models
	r.Pools = poolsFromProto(spec.GetPools())
	if d := spec.GetDeadline(); d != nil {
		if err := d.CheckValid(); err != nil {
			bad("spec.deadline", errors.New("it is no time between the years 1 and 9999"))
		}
		r.Deadline = d.AsTime()
	}
	if g := spec.GetGeometry(); g != nil {
		r.Geometry = &store.Size{Width: int(g.GetWidth()), Height: int(g.GetHeight())}
	}
	if c := spec.GetCrop(); c != nil {
		r.Crop = &store.Rect{X: int(c.GetX()), Y: int(c.GetY()), Width: int(c.GetWidth()), Height: int(c.GetHeight())}
	}
	length, err := segmentFromProto(spec.GetSegment())
	if err != nil {
		bad("spec.segment", err)
	}
	r.SegmentFrames, r.SegmentSecond = length.Frames, length.Seconds
	return r, documents, errors.Join(errs...)
}

// requestToProto is the spec of a request, without the documents of its models.
func requestToProto(r *store.Request) *pb.MeasurementSpec {
	spec := &pb.MeasurementSpec{
		Reference:    sourceToProto(r.Reference),
		Features:     r.Features,
		Pools:        poolsToProto(r.Pools),
		ServiceClass: number[pb.ServiceClass](classWords, r.Class),
		Deadline:     timeToProto(r.Deadline),
		Labels:       r.Labels,
		Pairing:      number[pb.Pairing](pairingWords, r.Pairing),
		Shortest:     r.Shortest,
		Offset:       r.Offset,
		FirstFrame:   r.First,
		EndFrame:     r.End,
		Subsample:    int32(r.Subsample),
		ScaleFilter:  number[pb.ScaleFilter](scaleWords, r.Scale),
		DamagePolicy: number[pb.DamagePolicy](damageWords, r.OnDamage),
		ChunkFrames:  r.ChunkFrames,
		Segment:      segmentToProto(workflow.SegmentLength{Frames: r.SegmentFrames, Seconds: r.SegmentSecond}),
		BitDepth:     number[pb.BitDepth](depthWords, r.BitDepth),
		Encoded:      r.Encoded,
		Presets:      r.Presets,
		FullHash:     r.FullHash,
		NoCache:      r.NoCache,
	}
	for _, d := range r.Renditions {
		spec.Renditions = append(spec.Renditions, &pb.RenditionSource{Source: sourceToProto(d.Source), Name: d.Name})
	}
	for _, m := range r.Models {
		spec.Models = append(spec.Models, &pb.ModelSpec{Spec: m.Spec})
	}
	if g := r.Geometry; g != nil {
		spec.Geometry = &pb.Size{Width: int32(g.Width), Height: int32(g.Height)}
	}
	if c := r.Crop; c != nil {
		spec.Crop = &pb.Rectangle{X: int32(c.X), Y: int32(c.Y), Width: int32(c.Width), Height: int32(c.Height)}
	}
	return spec
}

func sourceToProto(s store.Source) *pb.VideoSource {
	return &pb.VideoSource{Uri: s.URI, RawFormat: s.Raw}
}

// modelsFromProto names models, and returns their documents by digest.
func modelsFromProto(list []*pb.ModelSpec) (models []store.ModelSpec, documents map[string][]byte) {
	for _, m := range list {
		spec := store.ModelSpec{Spec: m.GetSpec()}
		if text := m.GetDocument(); len(text) > 0 {
			sum := sha256.Sum256(text)
			spec.Document = hex.EncodeToString(sum[:])
			if documents == nil {
				documents = map[string][]byte{}
			}
			documents[spec.Document] = text
		}
		models = append(models, spec)
	}
	return models, documents
}

func poolsFromProto(list []string) (pools []vmaf.PoolMethod) {
	for _, text := range list {
		pools = append(pools, vmaf.PoolMethod(text))
	}
	return pools
}

func poolsToProto(pools []vmaf.PoolMethod) (list []string) {
	for _, p := range pools {
		list = append(list, string(p))
	}
	return list
}

// segmentFromProto reads a segment's length; nil is the zero one.
func segmentFromProto(s *pb.SegmentLength) (workflow.SegmentLength, error) {
	switch l := s.GetLength().(type) {
	case *pb.SegmentLength_Frames:
		return workflow.SegmentLength{Frames: l.Frames}, nil
	case *pb.SegmentLength_Seconds:
		if err := l.Seconds.CheckValid(); err != nil || l.Seconds.AsDuration() > maxSegment {
			return workflow.SegmentLength{}, fmt.Errorf("a segment has at most %.0f seconds", maxSegment.Seconds())
		}
		return workflow.SegmentLength{Seconds: l.Seconds.AsDuration().Seconds()}, nil
	}
	return workflow.SegmentLength{}, nil
}

func segmentToProto(l workflow.SegmentLength) *pb.SegmentLength {
	switch {
	case l.Frames > 0:
		return &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: l.Frames}}
	case l.Seconds > 0:
		return &pb.SegmentLength{Length: &pb.SegmentLength_Seconds{Seconds: durationpb.New(time.Duration(math.Round(l.Seconds * 1e9)))}}
	}
	return nil
}

// timeToProto is nil for the zero time.
func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// durationToProto is nil for 0.
func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
