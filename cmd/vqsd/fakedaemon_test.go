package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// Tests measure in this process unless they say otherwise, wherever the daemon is that whoever runs them uses.
func init() {
	if os.Getenv(roleEnvironment) != "" {
		return // a process of a test's, which has set what it wants
	}
	for _, name := range []string{serverEnvironment, tokenEnvironment, tokenFileEnvironment} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
}

// testID is the name of the fake daemon's first measurement, less its prefix.
const testID = "01jd9k3v5q8x2m7n4p6r0s1t2w"

// fakeDaemon answers as a daemon does. It measures what it is asked for with the engine, so that its answers are true. Calls that a test does
// not expect fail.
type fakeDaemon struct {
	pb.UnimplementedQualityServiceServer
	pb.UnimplementedAdminServiceServer
	t       *testing.T
	address string

	// mu guards the fields below.
	mu         sync.Mutex
	server     *grpc.Server // nil: it is not running
	requests   []*pb.MeasureQualityRequest
	kept       map[string]*keptMeasurement // by name
	byRequest  map[string]string           // names by request ID
	cancelled  []string
	tokens     []string // that were shown
	pageFrames int      // frames of a page of GetFrameScores

	// Set before it starts, and not changed.
	options []grpc.ServerOption
	watch   func(stream grpc.ServerStreamingServer[pb.WatchQualityResponse], d *fakeDaemon) error // nil: the end, at once
	measure func() error                                                                          // nil: take it
	list    func(*pb.ListMeasurementsRequest) (*pb.ListMeasurementsResponse, error)
	query   func(*pb.QueryScoresRequest) (*pb.QueryScoresResponse, error)
	rescore func(*pb.RescoreQualityRequest, grpc.ServerStreamingServer[pb.RescoreQualityResponse]) error
	backup  func(grpc.ServerStreamingServer[pb.BackupResponse]) error
}

// keptMeasurement is a measurement that the fake keeps.
type keptMeasurement struct {
	m      *pb.Measurement
	frames map[string]*frames // by rendition
}

// newFakeDaemon starts a fake daemon, which ends with the test.
func newFakeDaemon(t *testing.T, prepare func(*fakeDaemon)) *fakeDaemon {
	t.Helper()
	d := &fakeDaemon{t: t, kept: map[string]*keptMeasurement{}, byRequest: map[string]string{}, pageFrames: 3}
	if prepare != nil {
		prepare(d)
	}
	d.start()
	t.Cleanup(d.stop)
	return d
}

// start listens, at the address of before if there was one.
func (d *fakeDaemon) start() {
	address := d.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		d.t.Error(err)
		return
	}
	server := grpc.NewServer(d.options...)
	pb.RegisterQualityServiceServer(server, d)
	pb.RegisterAdminServiceServer(server, d)
	d.mu.Lock()
	d.address, d.server = l.Addr().String(), server
	d.mu.Unlock()
	go func() { _ = server.Serve(l) }() // ends by stop, which waits for it
}

// stop ends all calls, as a daemon that is killed.
func (d *fakeDaemon) stop() {
	d.mu.Lock()
	server := d.server
	d.server = nil
	d.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// keep adds a measurement.
func (d *fakeDaemon) keep(k *keptMeasurement) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept[k.m.GetName()] = k
}

func (d *fakeDaemon) find(name string) (*keptMeasurement, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.kept[name]; k != nil {
		return k, nil
	}
	return nil, status.Error(codes.NotFound, "no such measurement")
}

func (d *fakeDaemon) noteToken(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = append(d.tokens, strings.Join(md.Get("authorization"), ","))
}

func (d *fakeDaemon) MeasureQuality(ctx context.Context, r *pb.MeasureQualityRequest) (*pb.MeasureQualityResponse, error) {
	d.noteToken(ctx)
	d.mu.Lock()
	d.requests = append(d.requests, proto.CloneOf(r))
	name := d.byRequest[r.GetRequestId()]
	d.mu.Unlock()
	if d.measure != nil {
		if err := d.measure(); err != nil {
			return nil, err
		}
	}
	if name == "" {
		name = namePrefix + testID
		if r.GetValidateOnly() {
			name = ""
		}
		k, err := measureForFake(ctx, name, r.GetSpec())
		if err != nil {
			return nil, err
		}
		if name == "" {
			return &pb.MeasureQualityResponse{Measurement: pendingOf(k.m)}, nil
		}
		d.keep(k)
		d.mu.Lock()
		d.byRequest[r.GetRequestId()] = name
		d.mu.Unlock()
	}
	k, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return &pb.MeasureQualityResponse{Measurement: pendingOf(k.m)}, nil
}

// pendingOf is a measurement as it was when it was accepted.
func pendingOf(m *pb.Measurement) *pb.Measurement {
	return &pb.Measurement{
		Name: m.GetName(), Spec: m.GetSpec(), State: pb.MeasurementState_MEASUREMENT_STATE_PENDING, CreateTime: m.GetCreateTime(),
		ServiceClass: m.GetServiceClass(), Progress: &pb.Progress{},
	}
}

func (d *fakeDaemon) GetQuality(_ context.Context, r *pb.GetQualityRequest) (*pb.GetQualityResponse, error) {
	k, err := d.find(r.GetName())
	if err != nil {
		return nil, err
	}
	return &pb.GetQualityResponse{Measurement: k.m}, nil
}

func (d *fakeDaemon) WatchQuality(r *pb.WatchQualityRequest, stream grpc.ServerStreamingServer[pb.WatchQualityResponse]) error {
	k, err := d.find(r.GetName())
	if err != nil {
		return err
	}
	if d.watch != nil {
		return d.watch(stream, d)
	}
	return stream.Send(&pb.WatchQualityResponse{Event: &pb.WatchQualityResponse_Measurement{Measurement: k.m}})
}

func (d *fakeDaemon) CancelQuality(_ context.Context, r *pb.CancelQualityRequest) (*pb.CancelQualityResponse, error) {
	k, err := d.find(r.GetName())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.cancelled = append(d.cancelled, r.GetName())
	d.mu.Unlock()
	m := proto.CloneOf(k.m)
	if !isFinal(m.GetState()) {
		m.State = pb.MeasurementState_MEASUREMENT_STATE_CANCELLED
	}
	return &pb.CancelQualityResponse{Measurement: m}, nil
}

func (d *fakeDaemon) DeleteMeasurement(_ context.Context, r *pb.DeleteMeasurementRequest) (*pb.DeleteMeasurementResponse, error) {
	k, err := d.find(r.GetName())
	if err != nil {
		return nil, err
	}
	if !isFinal(k.m.GetState()) {
		return nil, status.Error(codes.FailedPrecondition, "wrong state: it is running")
	}
	return &pb.DeleteMeasurementResponse{}, nil
}

func (d *fakeDaemon) GetFrameScores(r *pb.GetFrameScoresRequest, stream grpc.ServerStreamingServer[pb.GetFrameScoresResponse]) error {
	k, err := d.find(r.GetName())
	if err != nil {
		return err
	}
	f := k.frames[r.GetRendition()]
	if f == nil {
		return status.Error(codes.NotFound, "no such rendition")
	}
	header := &pb.FrameScoresHeader{
		Rendition: r.GetRendition(), FirstFrame: f.first, Frames: int64(f.table.Frames), Subsample: int32(f.table.Subsample),
		Width: int32(f.table.Width), Height: int32(f.table.Height), Times: f.seconds != nil,
	}
	for _, a := range f.table.Aggregates {
		header.Aggregates = append(header.Aggregates, &pb.AggregateValue{Name: a.Name, Value: a.Value})
	}
	var series []vmaf.Series
	for _, s := range f.table.Series {
		if len(r.GetSeries()) == 0 || slices.Contains(r.GetSeries(), vmaf.Alias(s.Name)) {
			series = append(series, s)
			header.Series, header.Aliases = append(header.Series, s.Name), append(header.Aliases, vmaf.Alias(s.Name))
		}
	}
	if err := stream.Send(&pb.GetFrameScoresResponse{Header: header}); err != nil {
		return err
	}
	for at := 0; at < f.table.Frames; at += d.pageFrames {
		end := min(at+d.pageFrames, f.table.Frames)
		page := &pb.GetFrameScoresResponse{First: int64(at)}
		for _, s := range series {
			run := &pb.FrameValues{Values: s.Values[at:end]}
			for i := at; i < end; i++ {
				if _, ok := s.At(i); !ok {
					run.Absent = append(run.Absent, int32(i-at))
				}
			}
			page.Series = append(page.Series, run)
		}
		if r.GetTimes() && f.seconds != nil {
			page.Seconds = f.seconds[at:end]
		}
		if err := stream.Send(page); err != nil {
			return err
		}
	}
	return nil
}

func (d *fakeDaemon) ListMeasurements(_ context.Context, r *pb.ListMeasurementsRequest) (*pb.ListMeasurementsResponse, error) {
	if d.list == nil {
		return nil, status.Error(codes.Unimplemented, "list")
	}
	return d.list(r)
}

func (d *fakeDaemon) QueryScores(_ context.Context, r *pb.QueryScoresRequest) (*pb.QueryScoresResponse, error) {
	if d.query == nil {
		return nil, status.Error(codes.Unimplemented, "query")
	}
	return d.query(r)
}

func (d *fakeDaemon) RescoreQuality(r *pb.RescoreQualityRequest, stream grpc.ServerStreamingServer[pb.RescoreQualityResponse]) error {
	if d.rescore == nil {
		return status.Error(codes.Unimplemented, "rescore")
	}
	return d.rescore(r, stream)
}

func (d *fakeDaemon) Backup(_ *pb.BackupRequest, stream grpc.ServerStreamingServer[pb.BackupResponse]) error {
	if d.backup == nil {
		return status.Error(codes.PermissionDenied, "the caller's rights do not include this call")
	}
	return d.backup(stream)
}

// measureForFake measures a spec with the engine, and describes the result as the API does.
func measureForFake(ctx context.Context, name string, spec *pb.MeasurementSpec) (*keptMeasurement, error) {
	input := func(s *pb.VideoSource) decode.Input {
		in := decode.Input{Path: s.GetUri()}
		if s.GetRawFormat() != "" {
			raw, err := decode.ParseRawFormat(s.GetRawFormat())
			if err == nil {
				in.Raw = &raw
			}
		}
		return in
	}
	r := engine.Request{
		Reference: input(spec.GetReference()), Pairing: engine.Pairing(max(0, spec.GetPairing()-1)), Shortest: spec.GetShortest(), Offset: spec.GetOffset(),
		First: spec.GetFirstFrame(), End: spec.GetEndFrame(), Subsample: int(spec.GetSubsample()), ChunkFrames: spec.GetChunkFrames(),
	}
	for _, d := range spec.GetRenditions() {
		r.Distorted = append(r.Distorted, input(d.GetSource()))
	}
	if f := spec.GetScaleFilter(); f != 0 {
		filter, err := decode.ParseScaleFilter(scaleWord(f))
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		r.Scale = &filter
	}
	if c := spec.GetCrop(); c != nil {
		r.Crop = &decode.Rect{X: int(c.GetX()), Y: int(c.GetY()), Width: int(c.GetWidth()), Height: int(c.GetHeight())}
	}
	flags := measureFlags{features: spec.GetFeatures(), bitDepth: "auto", encoded: cmp.Or(spec.GetEncoded(), "auto")}
	if d := spec.GetBitDepth(); d != 0 {
		flags.bitDepth = bitDepthWord(d)
	}
	for _, preset := range spec.GetPresets() {
		flags.aomCTC = strings.TrimPrefix(preset, aomPreset+"=")
	}
	for _, m := range spec.GetModels() {
		flags.models = append(flags.models, m.GetSpec())
	}
	models, _, err := flags.parseModels(func(string) bool { return false })
	asked, featureErr := flags.parseFeatures()
	if err := errors.Join(err, featureErr); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if r.Plan, err = vmaf.NewPlan(models, asked); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	treated := &measurement{request: r, encoded: flags.encoded}
	flags.treat(treated, models, func(string) bool { return spec.GetEncoded() != "" })
	r = treated.request
	created := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	m := &pb.Measurement{
		Name: name, Spec: spec, State: pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED, CreateTime: created,
		ServiceClass: pb.ServiceClass_SERVICE_CLASS_THROUGHPUT, BitDepthReason: treated.depthReason,
		ScaleFilter: cmp.Or(spec.GetScaleFilter(), pb.ScaleFilter_SCALE_FILTER_BICUBIC),
		Provenance:  &pb.Provenance{Daemon: "1.2.3", Workers: []string{"1.2.3"}, Backends: []string{"cpu (fake)"}, MeasuredPairs: 1, RulesDigest: "ab12"},
		Progress:    &pb.Progress{ChunksDone: 1, ChunksTotal: 1},
	}
	for _, e := range asked {
		m.Features = append(m.Features, e.String())
	}
	for _, model := range models {
		info := &pb.ModelInfo{Name: model.Name, Version: model.Version, Digest: model.Digest, Spec: model.String()}
		for _, s := range model.Series() {
			info.Series = append(info.Series, vmaf.Alias(s))
		}
		m.Models = append(m.Models, info)
	}
	if name == "" {
		return &keptMeasurement{m: m}, nil
	}
	result, err := engine.Measure(ctx, r)
	if err != nil {
		m.State = pb.MeasurementState_MEASUREMENT_STATE_FAILED
		m.Failure = &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_DAMAGED, Message: err.Error()}
		return &keptMeasurement{m: m}, nil
	}
	m.StartTime, m.FinishTime = created, timestamppb.New(created.AsTime().Add(2*time.Second))
	m.Reference = videoForFake(newVideoInfo(result.Reference), result.Reference)
	kept := &keptMeasurement{m, map[string]*frames{}}
	for i, d := range result.Renditions {
		found := newMeasured(d)
		one := &pb.Rendition{
			Name: displayName(spec.GetRenditions()[i].GetSource().GetUri()), State: pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED,
			Video:  videoForFake(found.video, d.Info),
			Damage: &pb.Damage{Decoded: d.Stats.Delivered, Damaged: d.Stats.Damaged, Missing: d.Stats.Missing, FormatChanges: d.Stats.FormatChanges},
		}
		m.Renditions = append(m.Renditions, one)
		if d.Err != nil {
			m.State = pb.MeasurementState_MEASUREMENT_STATE_PARTIAL
			one.State = pb.MeasurementState_MEASUREMENT_STATE_FAILED
			one.Failure = &pb.Failure{Reason: pb.FailureReason_FAILURE_REASON_DAMAGED, Message: d.Err.Error()}
			continue
		}
		c := found.compared
		one.Format = &pb.PictureFormat{
			Width: int32(c.Width), Height: int32(c.Height), BitDepth: int32(c.BitDepth), Subsampling: c.Subsampling, FullRange: c.FullRange,
		}
		if e := d.Encoded; e != (vmaf.Encoded{}) {
			one.Encoded = &pb.EncodedFormat{Width: int32(e.Width), Height: int32(e.Height), BitDepth: int32(e.BitsPerComponent)}
		}
		one.Conversion, one.ReferenceConversion = c.Conversion, c.ReferenceConversion
		one.Pairing = pb.Pairing(pb.Pairing_value["PAIRING_"+strings.ToUpper(found.pairs.Method)])
		one.FirstFrame, one.EndFrame, one.Offset = d.First, d.End, d.Offset
		one.RepeatedFrames, one.DroppedFrames = d.Repeated, d.Dropped
		for _, model := range models {
			for _, series := range model.Series() {
				score := &pb.Score{Series: vmaf.Alias(series), Model: model.Name}
				for _, f := range pooled(d.Table, series, tablePools) {
					score.Pooled = append(score.Pooled, &pb.PooledValue{Pooling: f.Name, Value: f.Value})
				}
				one.Scores = append(one.Scores, score)
			}
		}
		f := &frames{table: d.Table, first: d.First}
		for i := range d.Table.Frames {
			if result.Times != nil {
				f.seconds = append(f.seconds, result.Times[d.First-result.FirstFrame+int64(i)].Seconds())
			}
		}
		kept.frames[one.Name] = f
	}
	return kept, nil
}

func videoForFake(v videoInfo, i decode.Info) *pb.VideoInfo {
	rational := func(r decode.Rational) *pb.Rational {
		if r.IsZero() {
			return nil
		}
		return &pb.Rational{Num: r.Num, Den: r.Den}
	}
	out := &pb.VideoInfo{
		SizeBytes: i.SizeBytes, Container: v.Container, Codec: v.Codec, Decoder: v.Decoder, Profile: v.Profile, PixelFormat: v.PixelFormat,
		Width: int32(v.Width), Height: int32(v.Height), BitDepth: int32(v.BitDepth), Subsampling: v.Subsampling, FullRange: v.FullRange,
		CodedWidth: int32(v.CodedWidth), CodedHeight: int32(v.CodedHeight), SampleAspect: rational(i.SampleAspect), Rotation: v.Rotation,
		Interlaced: v.Interlaced, ColorRange: v.ColorRange, ColorSpace: v.ColorSpace, ColorPrimaries: v.Primaries, ColorTransfer: v.Transfer,
		FrameRate: rational(i.FrameRate), VariableFrameRate: v.VariableFrameRate, TimeBase: rational(i.TimeBase), Timestamps: v.Timestamps,
		StartOffset: durationpb.New(i.StartOffset), Duration: durationpb.New(i.Duration), BitRate: v.BitRate, Frames: i.Frames, KeyFrames: i.KeyFrames,
		Seekable: v.Seekable, Discarded: v.Discarded, Hidden: v.Hidden, Undecodable: v.Undecodable, Truncated: v.Truncated,
	}
	for _, s := range v.Streams {
		out.Streams = append(out.Streams, &pb.VideoStream{
			Index: int32(s.Index), Type: s.Type, Codec: s.Codec, Language: s.Language, Selected: s.Selected,
		})
	}
	return out
}

// remotely are the arguments of a measurement by the fake daemon.
func (d *fakeDaemon) remotely(args ...string) []string { return append(args, "--server", d.address) }

// clips writes a reference, two distorted clips and one that is cut off.
func clips(t *testing.T) (dir, ref, dis, low, cut string) {
	t.Helper()
	dir = t.TempDir()
	ref = clipSpec{frames: 7}.write(t, dir, "ref.y4m")
	dis = clipSpec{frames: 7, noise: 12}.write(t, dir, "dis.y4m")
	low = clipSpec{width: 96, height: 72, frames: 7, noise: 6}.write(t, dir, "low.y4m")
	cut = writeFile(t, filepath.Join(dir, "cut.y4m"), clipSpec{frames: 7}.y4m()[:20000])
	return dir, ref, dis, low, cut
}
