package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// daemonInfo is a daemon's part in a result.
type daemonInfo struct {
	Measurement   string   `json:"measurement"` // its name
	State         string   `json:"state"`
	Version       string   `json:"version"`      // of the daemon
	Workers       []string `json:"workers"`      // versions of the workers that took part
	CachedPairs   int64    `json:"cached_pairs"` // pairs of frames whose figures were stored already
	MeasuredPairs int64    `json:"measured_pairs"`
	ChunksDone    int32    `json:"chunks_done"`
	ChunksTotal   int32    `json:"chunks_total"`
	RescoredFrom  string   `json:"rescored_from"` // the measurement whose features this one was made of; "": none
	RulesDigest   string   `json:"rules_digest"`  // SHA-256 of the rules
	Rules         []string `json:"rules"`         // that applied
	Warnings      []string `json:"warnings"`      // of rules
	// Imported is the file of another program that it was made of; absent: it was measured.
	Imported *importedInfo `json:"imported,omitempty"`
}

// showRemote shows a measurement that has ended. r is nil where it was asked for elsewhere.
func (a *app) showRemote(ctx context.Context, p *patience, show *presentation, m *pb.Measurement, r *remoteMeasurement) error {
	if err := ending(m, r); err != nil {
		return err
	}
	found, err := newRemoteResult(m, r)
	if err != nil {
		return err
	}
	for i := range found.renditions {
		if one := &found.renditions[i]; one.stored != nil {
			one.log = a.exportedLog(p, show, m.GetName(), m.GetRenditions()[i].GetName())
		}
	}
	if err := p.fetch(ctx, show, m, found); err != nil {
		return err
	}
	a.newProgress(show).end(found)
	return show.show(ctx, a.stdout, found)
}

// ending is the error of a measurement that has no result at all; nil where there is something to show.
func ending(m *pb.Measurement, r *remoteMeasurement) error {
	switch m.GetState() {
	case pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED, pb.MeasurementState_MEASUREMENT_STATE_PARTIAL:
		return nil
	case pb.MeasurementState_MEASUREMENT_STATE_CANCELLED:
		return fmt.Errorf("measurement %s was cancelled", shortName(m.GetName()))
	}
	var texts []string
	whole := m.GetFailure().GetMessage()
	for i, d := range m.GetRenditions() {
		texts = append(texts, withPath(d.GetFailure().GetMessage(), renditionURI(m, i), r.renditionPath(m, i)))
		whole = withPath(whole, renditionURI(m, i), r.renditionPath(m, i))
	}
	texts = unique(append(texts, withPath(whole, m.GetSpec().GetReference().GetUri(), r.referencePath(m))))
	var errs []error
	for _, text := range texts {
		if text != "" {
			errs = append(errs, errors.New(text))
		}
	}
	if len(errs) == 0 {
		return fmt.Errorf("measurement %s is %s", shortName(m.GetName()), stateWord(m.GetState()))
	}
	return errors.Join(errs...)
}

// withPath is a daemon's message that begins with a file's path below its media root, with the path that the user knows instead. uri is where
// the daemon was told that the file is.
func withPath(message, uri, shown string) string {
	name, rest, found := strings.Cut(message, ": ")
	if !found || name == "" || name != uri && !strings.HasSuffix(uri, "/"+name) && !strings.HasSuffix(uri, ":"+name) {
		return message
	}
	return shown + ": " + rest
}

// referencePath is the reference as the user gave it, or as the daemon was told where r is nil.
func (r *remoteMeasurement) referencePath(m *pb.Measurement) string {
	if r == nil {
		return m.GetSpec().GetReference().GetUri()
	}
	return r.reference
}

// renditionPath is a distorted video as the user gave it, or as the daemon was told where r is nil.
func (r *remoteMeasurement) renditionPath(m *pb.Measurement, i int) string {
	if r == nil || i >= len(r.distorted) {
		return renditionURI(m, i)
	}
	return r.distorted[i]
}

// newRemoteResult puts what a daemon says of a measurement that has ended into the form that is shown, but for the figures, which
// [patience.fetch] adds.
func newRemoteResult(m *pb.Measurement, r *remoteMeasurement) (*result, error) {
	spec, made := m.GetSpec(), m.GetProvenance()
	out := &result{
		reference:  newRemoteVideo(m.GetReference(), r.referencePath(m)),
		warnings:   m.GetWarnings(),
		firstFrame: spec.GetFirstFrame(),
		imported:   newImportedInfo(m.GetImported()),
	}
	var known []*vmaf.Model
	if r != nil {
		known = r.models
	}
	for _, info := range m.GetModels() {
		out.models = append(out.models, newRemoteModel(info, known))
	}
	for _, text := range m.GetFeatures() {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			return nil, fmt.Errorf("feature %s of measurement %s: this program does not know it: %w", text, shortName(m.GetName()), err)
		}
		out.features = append(out.features, usedFeature{e.String(), e.Series(), e})
	}
	for i, d := range m.GetRenditions() {
		one := newRemoteMeasured(d, renditionURI(m, i), r.renditionPath(m, i))
		if one.err == nil {
			one.compared.BitDepthReason = m.GetBitDepthReason()
			out.tell(&one, remoteEncoded(d.GetEncoded()), remoteFormat(d.GetFormat()))
			out.computed.Frames = max(out.computed.Frames, one.pairs.End-out.firstFrame)
			if out.imported != nil && made.GetRescoredFrom() == "" {
				one.stored = newStoredFigures(m, d)
			}
		}
		out.renditions = append(out.renditions, one)
	}
	if len(out.models)+len(out.features) == 0 && out.imported == nil {
		return nil, fmt.Errorf("measurement %s has neither models nor features", shortName(m.GetName()))
	}
	out.settings = newRemoteSettings(m, out.features)

	elapsed := time.Duration(0)
	if m.GetStartTime() != nil && m.GetFinishTime() != nil {
		elapsed = max(0, m.GetFinishTime().AsTime().Sub(m.GetStartTime().AsTime()))
	}
	out.computed.Backend = strings.Join(made.GetBackends(), ", ")
	out.computed.ElapsedSeconds, out.computed.FramesPerSecond = elapsed.Seconds(), perSecond(out.computed.Frames, elapsed)
	if chunks := m.GetChunks(); len(chunks) > 1 {
		out.computed.ChunkFrames = chunks[0].GetEndFrame() - chunks[0].GetFirstFrame()
	}
	out.computed.Daemon = newDaemonInfo(m)
	by := out.computed.Backend
	if by == "" {
		by = "stored figures"
	}
	out.by = fmt.Sprintf("vqsd %s on %s, measurement %s", made.GetDaemon(), by, shortName(m.GetName()))
	if out.imported != nil && made.GetRescoredFrom() == "" {
		out.by = "the program that wrote the file; measurement " + shortName(m.GetName())
	}
	return out, nil
}

func newDaemonInfo(m *pb.Measurement) *daemonInfo {
	made := m.GetProvenance()
	d := &daemonInfo{
		Measurement: m.GetName(), State: stateWord(m.GetState()), Version: made.GetDaemon(), Workers: nonNil(made.GetWorkers()),
		CachedPairs: made.GetCachedPairs(), MeasuredPairs: made.GetMeasuredPairs(),
		ChunksDone: m.GetProgress().GetChunksDone(), ChunksTotal: m.GetProgress().GetChunksTotal(),
		RescoredFrom: made.GetRescoredFrom(), RulesDigest: made.GetRulesDigest(), Rules: []string{}, Warnings: nonNil(m.GetWarnings()),
		Imported: newImportedInfo(m.GetImported()),
	}
	for _, rule := range made.GetRules() {
		d.Rules = append(d.Rules, rule.GetRule())
	}
	d.Rules = nonNil(unique(d.Rules))
	return d
}

// nonNil is a list that JSON shows as one, even if it is empty.
func nonNil(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// newRemoteSettings are what was asked for and, where that is more, what was decided.
func newRemoteSettings(m *pb.Measurement, features []usedFeature) settings {
	spec := m.GetSpec()
	s := settings{
		Pairing: "auto", Shortest: spec.GetShortest(), Offset: spec.GetOffset(), First: spec.GetFirstFrame(),
		Subsample: max(1, int(spec.GetSubsample())), Scale: decode.Bicubic.String(), OnDamage: decode.Strict.String(), Features: []string{},
		BitDepth: "auto", Encoded: "auto",
	}
	if d := spec.GetBitDepth(); d != pb.BitDepth_BIT_DEPTH_UNSPECIFIED {
		s.BitDepth = bitDepthWord(d)
	}
	if len(spec.GetPresets()) > 0 {
		s.Encoded = "compared"
	}
	s.Encoded = cmp.Or(spec.GetEncoded(), s.Encoded)
	if p := spec.GetPairing(); p != pb.Pairing_PAIRING_UNSPECIFIED {
		s.Pairing = pairingWord(p)
	}
	if f := cmp.Or(m.GetScaleFilter(), spec.GetScaleFilter()); f != pb.ScaleFilter_SCALE_FILTER_UNSPECIFIED {
		s.Scale = scaleWord(f)
	}
	if end := spec.GetEndFrame(); end > 0 {
		s.End = &end
	}
	if g := spec.GetGeometry(); g != nil {
		text := engine.Size{Width: int(g.GetWidth()), Height: int(g.GetHeight())}.String()
		s.Geometry = &text
	}
	if c := spec.GetCrop(); c != nil {
		text := decode.Rect{X: int(c.GetX()), Y: int(c.GetY()), Width: int(c.GetWidth()), Height: int(c.GetHeight())}.String()
		s.Crop = &text
	}
	if p := spec.GetDamagePolicy(); p != pb.DamagePolicy_DAMAGE_POLICY_UNSPECIFIED {
		s.OnDamage = damagePolicyWord(p)
	}
	for _, f := range features {
		s.Features = append(s.Features, f.text)
	}
	return s
}

// newRemoteModel is a model as a daemon used it. This program tells more of one that it knows itself: of the built-in ones, and of those
// that were sent with the request.
func newRemoteModel(info *pb.ModelInfo, known []*vmaf.Model) usedModel {
	for _, m := range known {
		if m.Digest == info.GetDigest() && m.Name == info.GetName() {
			return newUsedModel(m)
		}
	}
	if m, err := vmaf.ParseModel(info.GetSpec(), nil); err == nil {
		options := m.Options()
		if m.Name != info.GetName() {
			options.Name = info.GetName()
		}
		if m, err = m.With(options); err == nil && m.Digest == info.GetDigest() {
			return newUsedModel(m)
		}
	}
	series := info.GetSeries()
	if len(series) == 0 {
		series = []string{info.GetName()}
	}
	return usedModel{
		modelInfo: modelInfo{
			Name: info.GetName(), Version: info.GetVersion(), Digest: info.GetDigest(), Collection: len(series) > 1, Features: []string{},
		},
		text: strings.TrimPrefix(info.GetSpec(), "version="), series: series,
	}
}

// newRemoteMeasured is what a daemon says of a rendition. The daemon was told that it is at uri, and path is what the user calls it.
func newRemoteMeasured(d *pb.Rendition, uri, path string) measured {
	out := measured{
		video: newRemoteVideo(d.GetVideo(), path),
		damage: damage{
			Decoded: d.GetDamage().GetDecoded(), Damaged: d.GetDamage().GetDamaged(), Missing: d.GetDamage().GetMissing(),
			FormatChanges: d.GetDamage().GetFormatChanges(),
		},
	}
	switch {
	case d.GetState() == pb.MeasurementState_MEASUREMENT_STATE_SUCCEEDED:
	case d.GetFailure() != nil:
		out.err = errors.New(withPath(d.GetFailure().GetMessage(), uri, path))
		return out
	default:
		out.err = fmt.Errorf("%s: %s", path, stateWord(d.GetState()))
		return out
	}
	f := d.GetFormat()
	out.compared = compared{
		Width: int(f.GetWidth()), Height: int(f.GetHeight()), BitDepth: int(f.GetBitDepth()), Subsampling: f.GetSubsampling(), FullRange: f.GetFullRange(),
		Conversion: d.GetConversion(), ReferenceConversion: d.GetReferenceConversion(),
	}
	out.pairs = pairing{
		Method: pairingWord(d.GetPairing()), First: d.GetFirstFrame(), End: d.GetEndFrame(), Offset: d.GetOffset(),
		Repeated: d.GetRepeatedFrames(), Dropped: d.GetDroppedFrames(),
	}
	return out
}

// remoteEncoded is what a daemon says that CAMBI took a rendition to have been encoded as.
func remoteEncoded(e *pb.EncodedFormat) vmaf.Encoded {
	return vmaf.Encoded{Width: int(e.GetWidth()), Height: int(e.GetHeight()), BitsPerComponent: int(e.GetBitDepth())}
}

// remoteFormat is what a daemon says that pictures were compared in, as far as names of series depend on it.
func remoteFormat(f *pb.PictureFormat) vmaf.Format {
	return vmaf.Format{Width: int(f.GetWidth()), Height: int(f.GetHeight()), BitsPerComponent: int(f.GetBitDepth())}
}

// newRemoteVideo is what a daemon knows of a video; v is nil where it knows nothing.
func newRemoteVideo(v *pb.VideoInfo, path string) videoInfo {
	out := videoInfo{
		Path: path, Container: v.GetContainer(), Codec: v.GetCodec(), Profile: v.GetProfile(), Decoder: v.GetDecoder(), PixelFormat: v.GetPixelFormat(),
		Width: int(v.GetWidth()), Height: int(v.GetHeight()), BitDepth: int(v.GetBitDepth()), Subsampling: v.GetSubsampling(), FullRange: v.GetFullRange(),
		CodedWidth: int(v.GetCodedWidth()), CodedHeight: int(v.GetCodedHeight()), SampleAspect: aspect(rational(v.GetSampleAspect())),
		Rotation: v.GetRotation(), Interlaced: v.GetInterlaced(),
		ColorRange: v.GetColorRange(), ColorSpace: v.GetColorSpace(), Primaries: v.GetColorPrimaries(), Transfer: v.GetColorTransfer(),
		FrameRate: ratio(rational(v.GetFrameRate())), VariableFrameRate: v.GetVariableFrameRate(), TimeBase: ratio(rational(v.GetTimeBase())),
		Timestamps: v.GetTimestamps(), StartOffsetSeconds: v.GetStartOffset().AsDuration().Seconds(),
		DurationSeconds: v.GetDuration().AsDuration().Seconds(), BitRate: v.GetBitRate(),
		Seekable: v.GetSeekable(), Discarded: v.GetDiscarded(), Hidden: v.GetHidden(), Undecodable: v.GetUndecodable(), Truncated: v.GetTruncated(),
		Streams: []stream{}, rate: rational(v.GetFrameRate()),
	}
	if v == nil {
		return out
	}
	out.SizeBytes, out.Frames, out.KeyFrames = known(v.GetSizeBytes()), known(v.GetFrames()), known(v.GetKeyFrames())
	for _, s := range v.GetStreams() {
		out.Streams = append(out.Streams, stream{
			Index: int(s.GetIndex()), Type: s.GetType(), Codec: s.GetCodec(), Language: s.GetLanguage(), Selected: s.GetSelected(),
		})
	}
	return out
}

func rational(r *pb.Rational) decode.Rational {
	return decode.Rational{Num: r.GetNum(), Den: r.GetDen()}
}

// fetch adds the figures of all renditions that were measured.
func (p *patience) fetch(ctx context.Context, show *presentation, m *pb.Measurement, r *result) error {
	timed := true
	for i := range r.renditions {
		one := &r.renditions[i]
		if one.err != nil {
			continue
		}
		request := &pb.GetFrameScoresRequest{
			Name: m.GetName(), Rendition: m.GetRenditions()[i].GetName(), Series: show.wants(r, one), Times: show.plot != nil,
		}
		var f *frames
		err := p.try(ctx, func(ctx context.Context, progressed func()) (err error) {
			f, err = readFrames(ctx, p.client, request, progressed)
			return err
		})
		if err != nil {
			return err
		}
		if f.first != one.pairs.First || f.first < r.firstFrame {
			return fmt.Errorf("daemon at %s: figures of %s begin with frame %d, want %d", p.client.address, request.GetRendition(), f.first, one.pairs.First)
		}
		one.table = f.table
		one.table.FPS = perSecond(int64(f.table.Frames), time.Duration(r.computed.ElapsedSeconds*float64(time.Second)))
		one.pairs.Pairs, one.pairs.Measured = f.table.Frames, measuredFrames(f.table)
		r.addTimes(f)
		timed = timed && f.seconds != nil
	}
	if !timed {
		r.times = nil // an axis is of frames, or of seconds
	}
	return nil
}

// frames are the figures of one rendition, as a daemon sent them.
type frames struct {
	table   *vmaf.Table
	first   int64     // the reference frame of the table's frame 0
	seconds []float64 // of the table's frames; nil: not asked for, or not known
}

// readFrames reads the figures of one rendition.
func readFrames(ctx context.Context, c *client, request *pb.GetFrameScoresRequest, progressed func()) (*frames, error) {
	ctx, cancel := context.WithCancel(ctx) // ends a stream that is not read to its end
	defer cancel()
	stream, err := c.GetFrameScores(ctx, request)
	if err != nil {
		return nil, err
	}
	var f *frames
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		progressed()
		if f == nil {
			if f, err = newFrames(page.GetHeader()); err != nil {
				return nil, err
			}
		}
		if err := f.add(page); err != nil {
			return nil, err
		}
	}
	if f == nil {
		return nil, status.Error(codes.Internal, "the daemon sent no figures")
	}
	return f, f.finish()
}

// mostFrames bounds what is allocated at a daemon's word: as many frames as decode.Limits allows by default.
const mostFrames = 1 << 26

func newFrames(h *pb.FrameScoresHeader) (*frames, error) {
	if h == nil || h.GetFrames() < 1 || h.GetFrames() > mostFrames {
		return nil, status.Errorf(codes.Internal, "the daemon announced %d frames of figures", h.GetFrames())
	}
	f := &frames{first: h.GetFirstFrame(), table: &vmaf.Table{
		Frames: int(h.GetFrames()), Subsample: max(1, int(h.GetSubsample())), Width: int(h.GetWidth()), Height: int(h.GetHeight()),
	}}
	for _, a := range h.GetAggregates() {
		f.table.Aggregates = append(f.table.Aggregates, vmaf.Aggregate{Name: a.GetName(), Value: a.GetValue()})
	}
	for _, name := range h.GetSeries() {
		f.table.Series = append(f.table.Series, vmaf.Series{Name: name})
	}
	return f, nil
}

// add appends a page, which must begin where the one before ended.
func (f *frames) add(page *pb.GetFrameScoresResponse) error {
	if len(page.GetSeries()) == 0 {
		return nil // the header's
	}
	if len(page.GetSeries()) != len(f.table.Series) {
		return status.Errorf(codes.Internal, "the daemon sent %d series, after it had announced %d", len(page.GetSeries()), len(f.table.Series))
	}
	for i, run := range page.GetSeries() {
		s := &f.table.Series[i]
		at, n := len(s.Values), len(run.GetValues())
		if int64(at) != page.GetFirst() || at+n > f.table.Frames || n != len(page.GetSeries()[0].GetValues()) {
			return status.Errorf(codes.Internal, "the daemon sent %d figures of %s from frame %d on, after %d of %d", n, s.Name, page.GetFirst(), at, f.table.Frames)
		}
		s.Values = append(s.Values, run.GetValues()...)
		if s.Present == nil && len(run.GetAbsent()) > 0 {
			s.Present = presentFrames(at)
		}
		if s.Present == nil {
			continue
		}
		s.Present = append(s.Present, presentFrames(n)...)
		for _, k := range run.GetAbsent() {
			if k < 0 || int(k) >= n {
				return status.Errorf(codes.Internal, "the daemon says that frame %d of %d has no %s", k, n, s.Name)
			}
			s.Present[at+int(k)], s.Values[at+int(k)] = false, math.NaN()
		}
	}
	f.seconds = append(f.seconds, page.GetSeconds()...)
	return nil
}

func presentFrames(n int) []bool {
	list := make([]bool, n)
	for i := range list {
		list[i] = true
	}
	return list
}

// finish requires that all has come.
func (f *frames) finish() error {
	for _, s := range f.table.Series {
		if len(s.Values) != f.table.Frames {
			return status.Errorf(codes.Internal, "the daemon sent %d of %d figures of %s", len(s.Values), f.table.Frames, s.Name)
		}
	}
	if len(f.seconds) != f.table.Frames {
		f.seconds = nil
	}
	return nil
}

// addTimes keeps the times of a rendition's frames. Those of frames that no rendition has are not a number.
func (r *result) addTimes(f *frames) {
	for k, at := range f.seconds {
		i := f.first + int64(k) - r.firstFrame
		for int64(len(r.times)) <= i {
			r.times = append(r.times, math.NaN())
		}
		r.times[i] = math.Round(at*1e9) / 1e9
	}
}
