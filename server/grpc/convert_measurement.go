package grpc

import (
	"errors"
	"strconv"
	"strings"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// nameOf is a measurement's resource name; "" for none.
func nameOf(id store.MeasurementID) string {
	if id == "" {
		return ""
	}
	return "measurements/" + string(id)
}

// idOf is the ID in a resource name, whose form protovalidate has checked.
func idOf(name string) store.MeasurementID {
	return store.MeasurementID(strings.TrimPrefix(name, "measurements/"))
}

// etagOf is a record's entity tag.
func etagOf(revision uint64) string { return strconv.FormatUint(revision, 36) }

// revisionOf is the revision of a record's entity tag; 0, which is any, for none.
func revisionOf(etag string) (uint64, error) {
	if etag == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(etag, 36, 64)
	if err != nil || n == 0 || etagOf(n) != etag {
		return 0, errors.New("it is no etag of this daemon's")
	}
	return n, nil
}

// measurementToProto is a measurement as far as a view shows it. Nothing of st is changed, and slices of strings are shared.
func measurementToProto(st *workflow.Status, view pb.MeasurementView) *pb.Measurement {
	m := st.Measurement
	full := view == pb.MeasurementView_MEASUREMENT_VIEW_FULL
	out := &pb.Measurement{
		Name:                 nameOf(m.ID),
		Owner:                m.Owner,
		Spec:                 requestToProto(&m.Request),
		State:                number[pb.MeasurementState](stateWords, m.State),
		Failure:              failureToProto(m.Failure),
		CreateTime:           timeToProto(m.Created),
		StartTime:            timeToProto(m.Started),
		FinishTime:           timeToProto(m.Finished),
		Reference:            videoToProto(m.Reference, full),
		ReferenceFingerprint: string(m.ReferenceFingerprint),
		ReferenceDamage:      damageToProto(m.ReferenceDamage),
		Pools:                poolsToProto(m.Request.Pools),
		ServiceClass:         number[pb.ServiceClass](classWords, m.Request.Class),
		ScaleFilter:          number[pb.ScaleFilter](scaleWords, m.Request.Scale),
		Progress:             progressToProto(st.Progress),
		Etag:                 etagOf(m.Revision),
		Imported:             importedToProto(m.Imported, full),
		Provenance: &pb.Provenance{
			Backends:      m.Backends,
			Workers:       m.Workers,
			Daemon:        m.Daemon,
			CachedPairs:   m.CachedFrames,
			MeasuredPairs: m.MeasuredFrames,
			Busy:          durationToProto(m.Busy),
			RescoredFrom:  nameOf(m.Rescored),
		},
	}
	for k := range m.Renditions {
		out.Renditions = append(out.Renditions, renditionToProto(st, k, full))
	}
	if m.Plan != nil {
		planToProto(m, out, full)
	}
	return out
}

// importedToProto is nil for what was measured.
func importedToProto(i *store.Imported, full bool) *pb.Imported {
	if i == nil {
		return nil
	}
	out := &pb.Imported{
		Form: i.Form, File: i.File, Sha256: i.Digest, Generation: i.Generation, Version: i.Version, Frames: i.Frames, Losses: i.Losses,
	}
	if !full {
		return out
	}
	for _, name := range i.Series {
		out.Series = append(out.Series, vmaf.Alias(name))
	}
	return out
}

// planToProto fills in what is known once a measurement is planned.
func planToProto(m *store.Measurement, out *pb.Measurement, full bool) {
	p := m.Plan
	for i := range p.Models {
		out.Models = append(out.Models, modelToProto(&p.Models[i]))
	}
	out.Features = p.Features
	out.Pools = poolsToProto(p.Pools)
	out.ServiceClass = number[pb.ServiceClass](classWords, p.Class)
	out.ScaleFilter = scaleInForce(p.Scales)
	out.BitDepthReason = p.DepthReason
	out.Warnings = p.Warnings
	out.Provenance.RulesDigest = p.RulesDigest
	if !full {
		return
	}
	for _, c := range p.Chunks {
		out.Chunks = append(out.Chunks, &pb.Chunk{FirstFrame: c.First, EndFrame: c.End})
	}
	for _, r := range p.Rules {
		fired := &pb.FiredRule{Rule: r.Rule, Settings: r.Settings}
		if r.Rendition >= 0 && r.Rendition < len(m.Renditions) {
			fired.Rendition = m.Renditions[r.Rendition].Name
		}
		out.Provenance.Rules = append(out.Provenance.Rules, fired)
	}
}

// scaleInForce is the filter that all renditions are scaled with; unspecified where they differ.
func scaleInForce(scales []string) pb.ScaleFilter {
	for _, s := range scales {
		if s != scales[0] {
			return pb.ScaleFilter_SCALE_FILTER_UNSPECIFIED
		}
	}
	if len(scales) == 0 {
		return pb.ScaleFilter_SCALE_FILTER_UNSPECIFIED
	}
	return filterInForce(scales[0])
}

// filterInForce is the filter that a plan's word stands for.
func filterInForce(scale string) pb.ScaleFilter {
	if scale == "" {
		return pb.ScaleFilter_SCALE_FILTER_BICUBIC
	}
	return number[pb.ScaleFilter](scaleWords, scale)
}

// renditionToProto is one rendition of a measurement, by index.
func renditionToProto(st *workflow.Status, k int, full bool) *pb.Rendition {
	d := &st.Measurement.Renditions[k]
	out := &pb.Rendition{
		Name:                d.Name,
		State:               number[pb.MeasurementState](stateWords, d.State),
		Failure:             failureToProto(d.Failure),
		Video:               videoToProto(d.Video, full),
		Fingerprint:         string(d.Fingerprint),
		Format:              formatToProto(d.Format),
		Conversion:          d.Conversion,
		ReferenceConversion: d.RefConvert,
		Encoded:             encodedToProto(d.Encoded),
		Pairing:             number[pb.Pairing](pairingWords, d.Pairing),
		FirstFrame:          d.First,
		EndFrame:            d.End,
		Offset:              d.Offset,
		RepeatedFrames:      d.Repeated,
		DroppedFrames:       d.Dropped,
		Damage:              damageToProto(d.Damage),
		Scores:              scoresToProto(d.Scores, full),
	}
	if k < len(st.Renditions) { // a status has them all; one that only says what would be accepted has none
		out.FramesDone, out.FramesTotal = st.Renditions[k].Done, st.Renditions[k].Total
	}
	if p := st.Plan; p != nil && k < len(p.Scales) {
		out.ScaleFilter = filterInForce(p.Scales[k])
	}
	return out
}

func failureToProto(f *store.Failure) *pb.Failure {
	if f == nil {
		return nil
	}
	return &pb.Failure{Reason: number[pb.FailureReason](reasonWords, f.Reason), Message: f.Message}
}

func progressToProto(p workflow.Progress) *pb.Progress {
	return &pb.Progress{
		FramesDone:      p.Done,
		FramesTotal:     p.Total,
		FramesPerSecond: p.Rate,
		Remaining:       durationToProto(p.Remaining),
		ChunksDone:      int32(p.ChunksDone),
		ChunksTotal:     int32(p.ChunksTotal),
		TasksRunning:    int32(p.TasksRunning),
	}
}

// scoresToProto lists aggregates: of models only, unless all are wanted.
func scoresToProto(scores []store.Score, all bool) []*pb.Score {
	var list []*pb.Score
	for _, s := range scores {
		if s.Model == "" && !all {
			continue
		}
		score := &pb.Score{Series: vmaf.Alias(s.Series), Model: s.Model}
		for _, p := range s.Pooled {
			score.Pooled = append(score.Pooled, &pb.PooledValue{Pooling: string(p.Method), Value: p.Value})
		}
		list = append(list, score)
	}
	return list
}

func segmentScoreToProto(s *workflow.SegmentScore, rendition string) *pb.SegmentScore {
	return &pb.SegmentScore{Rendition: rendition, FirstFrame: s.First, EndFrame: s.End, Scores: scoresToProto(s.Scores, true)}
}

func modelToProto(m *store.Model) *pb.ModelInfo {
	info := &pb.ModelInfo{Name: m.Name, Version: m.Version, Digest: m.Digest, Spec: m.Spec}
	for _, s := range m.Series {
		info.Series = append(info.Series, vmaf.Alias(s))
	}
	return info
}

// formatToProto is nil for the zero format, which is that of a rendition that was not inspected.
func formatToProto(f store.Format) *pb.PictureFormat {
	if f == (store.Format{}) {
		return nil
	}
	return &pb.PictureFormat{
		Width: int32(f.Width), Height: int32(f.Height), BitDepth: int32(f.BitDepth), Subsampling: f.Subsampling, FullRange: f.FullRange,
	}
}

// encodedToProto is nil where pictures are taken as they are compared.
func encodedToProto(e *store.Encoded) *pb.EncodedFormat {
	if e == nil {
		return nil
	}
	return &pb.EncodedFormat{Width: int32(e.Width), Height: int32(e.Height), BitDepth: int32(e.BitDepth)}
}

// damageToProto is nil where nothing was decoded.
func damageToProto(d store.Damage) *pb.Damage {
	if d == (store.Damage{}) {
		return nil
	}
	return &pb.Damage{Decoded: d.Decoded, Damaged: d.Damaged, Missing: d.Missing, FormatChanges: d.FormatChanges}
}

// ratio is nil for one that is unknown.
func ratio(num, den int64) *pb.Rational {
	if num == 0 || den == 0 {
		return nil
	}
	return &pb.Rational{Num: num, Den: den}
}

func videoToProto(v *store.Video, full bool) *pb.VideoInfo {
	if v == nil {
		return nil
	}
	info := &pb.VideoInfo{
		SizeBytes:   v.SizeBytes,
		Container:   v.Container,
		Codec:       v.Codec,
		Decoder:     v.Decoder,
		Profile:     v.Profile,
		PixelFormat: v.PixelFormat,

		Width:       int32(v.Width),
		Height:      int32(v.Height),
		BitDepth:    int32(v.BitDepth),
		Subsampling: v.Subsampling,
		FullRange:   v.FullRange,

		CodedWidth:     int32(v.CodedWidth),
		CodedHeight:    int32(v.CodedHeight),
		SampleAspect:   ratio(v.SampleAspectNum, v.SampleAspectDen),
		Rotation:       v.Rotation,
		Interlaced:     v.Interlaced,
		ColorRange:     v.ColorRange,
		ColorSpace:     v.ColorSpace,
		ColorPrimaries: v.ColorPrimaries,
		ColorTransfer:  v.ColorTransfer,

		FrameRate:         ratio(v.FrameRateNum, v.FrameRateDen),
		VariableFrameRate: v.VariableRate,
		TimeBase:          ratio(v.TimeBaseNum, v.TimeBaseDen),
		Timestamps:        v.Timestamps,
		StartOffset:       durationToProto(v.StartOffset),
		Duration:          durationToProto(v.Duration),
		BitRate:           v.BitRate,

		Frames:      v.Frames,
		KeyFrames:   v.KeyFrames,
		Seekable:    v.Seekable,
		Discarded:   v.Discarded,
		Hidden:      v.Hidden,
		Undecodable: v.Undecodable,
		Truncated:   v.Truncated,
	}
	if !full {
		return info
	}
	for _, s := range v.Streams {
		info.Streams = append(info.Streams, &pb.VideoStream{
			Index: int32(s.Index), Type: s.Type, Codec: s.Codec, Language: s.Language, Selected: s.Selected,
		})
	}
	return info
}
