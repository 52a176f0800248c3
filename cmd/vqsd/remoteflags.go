package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// autoModel is the model that leaves the choice to the daemon's rules.
const autoModel = "auto"

// classes are the service classes, the most urgent first.
var classes = []string{"latency", "throughput", "background"}

// remoteFlags are the flags of measure that say which daemon measures, and what only a daemon can do.
type remoteFlags struct {
	connectFlags
	noWait       bool
	noCancel     bool
	patience     time.Duration
	class        string
	deadline     string
	labels       []string
	requestID    string
	segment      string
	noCache      bool
	fullHash     bool
	validateOnly bool
}

// remoteOnly are the flags that need a daemon.
var remoteOnly = []string{"token-file", "tls", "ca", "cert", "key", "insecure", "timeout", "no-wait", "no-cancel", "patience", "class", "deadline",
	"label", "request-id", "segment", "no-cache", "full-hash", "validate-only"}

// define declares the flags in the order in which help lists them.
func (f *remoteFlags) define(c *cobra.Command) {
	f.connectFlags.define(c, "measure in this process")
	flags := c.Flags()
	flags.BoolVar(&f.noWait, "no-wait", false, "print the measurement's name and do not wait for its end")
	flags.BoolVar(&f.noCancel, "no-cancel", false, "when interrupted, leave the measurement running")
	flags.DurationVar(&f.patience, "patience", defaultPatience, "how long to wait for a daemon that has gone away: `TIME`")
	flags.StringVar(&f.class, "class", "", "how urgent it is: `CLASS` "+strings.Join(classes, ", ")+" (default what the daemon's rules choose)")
	flags.StringVar(&f.deadline, "deadline", "", "when the result is wanted: `WHEN`, a time from now such as 2h, or as 2026-01-31T18:00:00Z")
	flags.StringArrayVar(&f.labels, "label", nil, "a label to find the measurement by, `KEY=VALUE`; repeatable")
	flags.StringVar(&f.requestID, "request-id", "", "`ID` of the request: the same one twice gives one measurement (default random)")
	flags.StringVar(&f.segment, "segment", "", "length of segments that scores are queried by, `LENGTH` in frames, such as 250, or time, such as 2s\n(default chunks)")
	flags.BoolVar(&f.noCache, "no-cache", false, "measure anew what the daemon has stored of these files")
	flags.BoolVar(&f.fullHash, "full-hash", false, "identify files by all of their bytes, however large they are")
	flags.BoolVar(&f.validateOnly, "validate-only", false, "have the request checked, and measure nothing")
	completeFlag(c, "class", cobra.FixedCompletions(classes, cobra.ShellCompDirectiveNoFileComp))
}

// remoteMeasurement is a measurement that a daemon is asked for.
type remoteMeasurement struct {
	connection *connection
	request    *pb.MeasureQualityRequest
	reference  string   // as the user gave them
	distorted  []string // as the user gave them
	models     []*vmaf.Model
	wait       bool
	cancel     bool // when interrupted
	patience   time.Duration
	eager      bool // patience was asked for
}

// refuse reports flags that cannot be had where the measurement is made.
func (f *measureFlags) refuse(changed func(string) bool) error {
	var errs []error
	if !f.isRemote() {
		for _, flag := range remoteOnly {
			if changed(flag) {
				errs = append(errs, fmt.Errorf("--%s is for a daemon; name it: --server ADDRESS", flag))
			}
		}
		if slices.Contains(f.models, autoModel) {
			errs = append(errs, errors.New("--model auto leaves the choice to a daemon's rules; name it: --server ADDRESS"))
		}
		return errors.Join(errs...)
	}
	for flag, why := range map[string]string{
		"device": "its workers are set up with theirs", "decoding": "its workers are set up with theirs", "threads": "its workers are set up with theirs", "limit": "it has its own, in its configuration",
		"cambi-heatmaps": "it keeps figures, not pictures",
	} {
		if changed(flag) {
			errs = append(errs, fmt.Errorf("--%s cannot be had of a daemon: %s; leave it out, or measure here: --server=", flag, why))
		}
	}
	if f.noPrediction {
		errs = append(errs, errors.New("--no-prediction cannot be had of a daemon, whose rules choose where no model is named; leave it out, or measure here: --server="))
	}
	for _, path := range append([]string{f.reference}, f.distorted...) {
		if path == "-" {
			errs = append(errs, errors.New("standard input (-) cannot be had of a daemon, which reads files below its media roots; name a file, or measure here: --server="))
			break
		}
	}
	if len(f.models) > 1 && slices.Contains(f.models, autoModel) {
		errs = append(errs, errors.New("--model auto leaves the choice to the daemon's rules, so that it is the only --model"))
	}
	if f.noWait {
		for _, flag := range []string{"log", "plot"} {
			if changed(flag) {
				errs = append(errs, fmt.Errorf("--%s needs the result, which --no-wait does not wait for; vqsd get has that flag, too", flag))
			}
		}
	}
	if f.noWait && f.validateOnly {
		errs = append(errs, errors.New("--no-wait and --validate-only contradict each other: nothing is started that could be waited for"))
	}
	if f.patience < 0 {
		errs = append(errs, fmt.Errorf("--patience %v: must not be negative", f.patience))
	}
	return errors.Join(errs...)
}

// isRemote says whether a daemon measures.
func (f *measureFlags) isRemote() bool { return f.address() != "" }

// remote makes the request for a daemon of flags that have been parsed.
func (f *measureFlags) remote(m *measurement, models []*vmaf.Model, documents [][]byte, changed func(string) bool) error {
	spec, err := f.spec(m, documents, changed)
	connection, connectErr := f.connectFlags.parse()
	if err := errors.Join(err, connectErr); err != nil {
		return err
	}
	id := f.requestID
	if id == "" {
		id = uuid.NewString()
	}
	m.remote = &remoteMeasurement{
		connection: connection,
		request:    &pb.MeasureQualityRequest{Spec: spec, RequestId: id, ValidateOnly: f.validateOnly},
		reference:  f.reference, distorted: f.distorted, models: models,
		wait: !f.noWait, cancel: !f.noCancel, patience: f.patience, eager: changed("patience"),
	}
	return nil
}

// spec puts the request into the API's words. What flags do not say is left to the daemon, but for the model, so that the figures are those that
// measure gives without a daemon.
func (f *measureFlags) spec(m *measurement, documents [][]byte, changed func(string) bool) (*pb.MeasurementSpec, error) {
	r := &m.request
	spec := &pb.MeasurementSpec{
		Reference: videoSource(r.Reference),
		Features:  f.features,
		Shortest:  r.Shortest, Offset: r.Offset, FirstFrame: r.First, EndFrame: r.End, ChunkFrames: r.ChunkFrames,
		DamagePolicy: pb.DamagePolicy_DAMAGE_POLICY_STRICT,
		FullHash:     f.fullHash, NoCache: f.noCache,
	}
	for _, in := range r.Distorted {
		spec.Renditions = append(spec.Renditions, &pb.RenditionSource{Source: videoSource(in)})
	}
	own := f.modelSpecs()
	for i, text := range own {
		model := &pb.ModelSpec{Spec: text}
		if at := len(documents) - len(own) + i; at >= 0 { // otherwise a model could not be read, which is reported
			model.Document = documents[at] // behind those of test conditions
		}
		spec.Models = append(spec.Models, model)
	}
	if preset := f.preset(); preset != "" {
		spec.Presets = []string{preset}
	}
	if changed("bit-depth") {
		spec.BitDepth = pb.BitDepth(pb.BitDepth_value["BIT_DEPTH_"+strings.ToUpper(f.bitDepth)])
	}
	if changed("encoded") {
		spec.Encoded = f.encoded
	}
	if f.pool != "" {
		for _, method := range m.pools {
			spec.Pools = append(spec.Pools, string(method))
		}
	}
	if changed("pairing") {
		spec.Pairing = map[engine.Pairing]pb.Pairing{
			engine.PairAuto: pb.Pairing_PAIRING_AUTO, engine.PairIndex: pb.Pairing_PAIRING_INDEX, engine.PairTimestamp: pb.Pairing_PAIRING_TIMESTAMP,
		}[r.Pairing]
	}
	if r.Scale != nil {
		spec.ScaleFilter = map[decode.ScaleFilter]pb.ScaleFilter{
			decode.Bicubic: pb.ScaleFilter_SCALE_FILTER_BICUBIC, decode.Bilinear: pb.ScaleFilter_SCALE_FILTER_BILINEAR,
			decode.Lanczos: pb.ScaleFilter_SCALE_FILTER_LANCZOS, decode.NoScale: pb.ScaleFilter_SCALE_FILTER_NONE,
		}[*r.Scale]
	}
	if g := r.Geometry; g != nil {
		spec.Geometry = &pb.Size{Width: int32(g.Width), Height: int32(g.Height)}
	}
	if c := r.Crop; c != nil {
		spec.Crop = &pb.Rectangle{X: int32(c.X), Y: int32(c.Y), Width: int32(c.Width), Height: int32(c.Height)}
	}
	if r.OnDamage == decode.Conceal {
		spec.DamagePolicy = pb.DamagePolicy_DAMAGE_POLICY_CONCEAL
	}
	var errs []error
	var err error
	const mostSubsample = 1_000_000
	if spec.Subsample = int32(min(r.Subsample, mostSubsample)); r.Subsample > mostSubsample {
		errs = append(errs, fmt.Errorf("--subsample %d: a daemon takes at most %d", r.Subsample, mostSubsample))
	}
	if spec.ServiceClass, err = parseClass(f.class); err != nil {
		errs = append(errs, fmt.Errorf("--class: %w", err))
	}
	if spec.Deadline, err = parseDeadline(f.deadline, time.Now()); err != nil {
		errs = append(errs, fmt.Errorf("--deadline %s: %w", f.deadline, err))
	}
	if spec.Labels, err = parseLabels(f.labels); err != nil {
		errs = append(errs, err)
	}
	if spec.Segment, err = parseSegment(f.segment); err != nil {
		errs = append(errs, fmt.Errorf("--segment %s: %w", f.segment, err))
	}
	if strings.ContainsFunc(f.requestID, func(r rune) bool { return r < '!' || r > '~' }) || len(f.requestID) > 64 {
		errs = append(errs, errors.New("--request-id: want at most 64 characters of printable ASCII, without spaces"))
	}
	return spec, errors.Join(errs...)
}

// videoSource names a video to a daemon.
func videoSource(in decode.Input) *pb.VideoSource {
	s := &pb.VideoSource{Uri: remotePath(in.Path)}
	if in.Raw != nil {
		s.RawFormat = in.Raw.String()
	}
	return s
}

// remotePath makes a path one that a daemon can resolve: absolute, unless it begins with a media root's name and a colon.
func remotePath(path string) string {
	if name, _, found := strings.Cut(path, ":"); found && name != "" && !strings.Contains(name, "/") {
		return path
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return path // there is no working directory; the daemon will say what it thinks of it
	}
	return absolute
}

func parseClass(text string) (pb.ServiceClass, error) {
	if text == "" {
		return pb.ServiceClass_SERVICE_CLASS_UNSPECIFIED, nil
	}
	if !slices.Contains(classes, text) {
		return 0, fmt.Errorf("unknown class %q; use %s", text, strings.Join(classes, ", "))
	}
	return pb.ServiceClass(pb.ServiceClass_value["SERVICE_CLASS_"+strings.ToUpper(text)]), nil
}

// parseDeadline reads a time from now, or a point in time. "" is none.
func parseDeadline(text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d <= 0 {
			return nil, errors.New("is not in the future")
		}
		return timestamppb.New(now.Add(d)), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, errors.New("want a time from now, such as 90m, or a point in time, such as 2026-01-31T18:00:00Z")
	}
	return timestamppb.New(at), nil
}

// parseLabels reads KEY=VALUE pairs.
func parseLabels(pairs []string) (map[string]string, error) {
	var labels map[string]string
	var errs []error
	for _, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		_, twice := labels[key]
		switch {
		case !found || key == "":
			errs = append(errs, fmt.Errorf("--label %s: want KEY=VALUE", pair))
		case twice:
			errs = append(errs, fmt.Errorf("--label %s: %s is given twice", pair, key))
		default:
			if labels == nil {
				labels = map[string]string{}
			}
			labels[key] = value
		}
	}
	return labels, errors.Join(errs...)
}

// parseSegment reads a number of frames, or a time. "" is none.
func parseSegment(text string) (*pb.SegmentLength, error) {
	if text == "" {
		return nil, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return &pb.SegmentLength{Length: &pb.SegmentLength_Frames{Frames: n}}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return &pb.SegmentLength{Length: &pb.SegmentLength_Seconds{Seconds: durationpb.New(d)}}, nil
	}
	return nil, errors.New("want a number of frames, such as 250, or a time, such as 2s")
}

// maxDocumentBytes is how large a model's document may be that a daemon is sent.
const maxDocumentBytes = 8 << 20

// readDocument reads a model's file whole.
func readDocument(path string) (text []byte, err error) {
	file, err := openModel(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err = io.ReadAll(io.LimitReader(file, maxDocumentBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	if len(text) > maxDocumentBytes {
		return nil, fmt.Errorf("%s: has more than the %d bytes that a daemon takes", path, maxDocumentBytes)
	}
	return text, nil
}

// measureRemotely has a daemon do what was asked.
func (a *app) measureRemotely(ctx context.Context, m *measurement) (err error) {
	r := m.remote
	c, err := r.connection.dial()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p := &patience{client: c, limit: r.patience, eager: r.eager, tell: a.teller(m.quiet)}
	started, err := a.submit(ctx, p, r)
	if err != nil {
		return err
	}
	switch {
	case r.request.GetValidateOnly() && m.json, !r.wait && m.json:
		return writeJSON(a.stdout, newMeasurementDocument(started))
	case r.request.GetValidateOnly():
		fmt.Fprintln(a.stdout, "the daemon would accept it")
		return nil
	case !r.wait:
		fmt.Fprintln(a.stdout, started.GetName())
		return nil
	}
	ended, err := a.await(ctx, p, &m.presentation, started)
	if err != nil {
		if ctx.Err() != nil {
			a.interrupt(ctx, c, r, started.GetName())
		}
		return err
	}
	return a.showRemote(ctx, p, &m.presentation, ended, r)
}

// submit starts the measurement. Since its request has an ID it may be sent again.
func (a *app) submit(ctx context.Context, p *patience, r *remoteMeasurement) (m *pb.Measurement, err error) {
	err = p.try(ctx, func(ctx context.Context, _ func()) error {
		answer, err := p.client.MeasureQuality(ctx, r.request)
		m = answer.GetMeasurement()
		return err
	})
	if err != nil && ctx.Err() != nil && p.client.reached.Load() && !r.request.GetValidateOnly() && r.cancel {
		// Whether the request arrived is not known; asked again it gives the measurement's name, which is what cancelling needs.
		short, stop := context.WithTimeout(context.WithoutCancel(ctx), interruptGrace/2)
		defer stop()
		if answer, err := p.client.MeasureQuality(short, r.request); err == nil {
			a.interrupt(ctx, p.client, r, answer.GetMeasurement().GetName())
		}
	}
	return m, err
}

// await waits for the end of a measurement and shows how far it is.
func (a *app) await(ctx context.Context, p *patience, show *presentation, m *pb.Measurement) (*pb.Measurement, error) {
	bar := a.newProgress(show)
	defer bar.clear()
	p.tell = func(format string, args ...any) {
		bar.clear()
		a.teller(show.quiet)(format, args...)
	}
	return p.follow(ctx, m.GetName(), func(now *pb.Progress) {
		if total := now.GetFramesTotal(); total > 0 {
			bar.update(now.GetFramesDone(), total)
		}
	})
}

// interrupt cancels the measurement of an interrupted command, unless it is to go on, and says so.
func (a *app) interrupt(ctx context.Context, c *client, r *remoteMeasurement, name string) {
	short := shortName(name)
	if !r.cancel {
		fmt.Fprintf(a.stderr, "vqsd: measurement %s goes on; vqsd get %s --follow waits for it\n", short, short)
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), interruptGrace/2)
	defer stop()
	if _, err := c.CancelQuality(ctx, &pb.CancelQualityRequest{Name: name}); err != nil {
		fmt.Fprintf(a.stderr, "vqsd: measurement %s could not be cancelled: %s\n", short, printable(c.explain(ctx, err).Error()))
		return
	}
	fmt.Fprintf(a.stderr, "vqsd: cancelled measurement %s\n", short)
}

// teller tells standard error what a user should know while he waits.
func (a *app) teller(quiet bool) func(format string, args ...any) {
	return func(format string, args ...any) {
		if !quiet {
			fmt.Fprintln(a.stderr, "vqsd: "+printable(fmt.Sprintf(format, args...)))
		}
	}
}
