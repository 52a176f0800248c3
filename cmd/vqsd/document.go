package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// The schemas of the documents that --json prints. A member is never renamed, removed or given another meaning under one
// number; new ones may appear.
const (
	measureSchema = "vqsd.measure/1"
	inspectSchema = "vqsd.inspect/1"
	modelsSchema  = "vqsd.models/1"
	versionSchema = "vqsd.version/1"

	rulesSchema     = "vqsd.rules/1"
	rulesTestSchema = "vqsd.rules-test/1"
)

// writeJSON writes a document, indented, with a line feed at its end.
func writeJSON(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// measureDocument is what measure --json prints. Members without a value are null; numbers are doubles, written so that
// reading gives the same bits; one that is not finite, such as the PSNR-HVS of equal pictures, is null. Frame numbers count from 0 and ranges are half-open.
type measureDocument struct {
	Schema    string      `json:"schema"` // measureSchema
	Program   programInfo `json:"program"`
	Computed  computed    `json:"computed"`
	Settings  settings    `json:"settings"`
	Models    []modelInfo `json:"models"`
	Reference videoInfo   `json:"reference"`
	Warnings  []string    `json:"warnings"` // what should be known of the comparison
	// Renditions are in the order of the command line. They have what was measured, or why it was not.
	Renditions []renditionResult `json:"renditions"`
}

type programInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// computed says what computed, and how fast.
type computed struct {
	Backend         string  `json:"backend"` // such as "cpu (avx2)"
	Threads         int     `json:"threads"`
	ChunkFrames     int64   `json:"chunk_frames"`      // 0: all in one chunk
	Frames          int64   `json:"frames"`            // reference frames measured
	ElapsedSeconds  float64 `json:"elapsed_seconds"`   // without opening the inputs
	FramesPerSecond float64 `json:"frames_per_second"` // reference frames
	// Daemon is the daemon's part in it; absent where there was none.
	Daemon *daemonInfo `json:"daemon,omitempty"`
}

// settings are what was asked for and decides figures.
type settings struct {
	Pairing   string   `json:"pairing"`
	Shortest  bool     `json:"shortest"`
	Offset    int64    `json:"offset"`
	First     int64    `json:"first_frame"`
	End       *int64   `json:"end_frame"` // null: to the last one
	Subsample int      `json:"subsample"`
	Scale     string   `json:"scale"`
	Geometry  *string  `json:"geometry"`  // compared at, where it is not the reference's size
	BitDepth  string   `json:"bit_depth"` // "auto", "native", "10", "12" or "16"
	Encoded   string   `json:"encoded"`   // "auto", "compared" or "WxH" with ":DEPTH"
	Crop      *string  `json:"crop"`
	OnDamage  string   `json:"on_damage"`
	Features  []string `json:"features"` // asked for beside the models'
	Pool      []string `json:"pool"`
}

// modelInfo is a model.
type modelInfo struct {
	Name       string   `json:"name"`    // what its score is called
	Version    string   `json:"version"` // built-in model or file
	Digest     string   `json:"digest"`  // SHA-256 of all that decides scores
	Collection bool     `json:"collection"`
	Transform  bool     `json:"transform"` // whether the score transform is applied
	Clip       *clip    `json:"clip"`      // null: scores are not bounded
	Features   []string `json:"features"`  // its inputs, by stored name
}

type clip struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// renditionResult is one distorted video.
type renditionResult struct {
	Video videoInfo `json:"video"`
	Error *string   `json:"error"` // null when it was measured; then the members below have values
	// Compared is what pictures were compared in, and what was done to them for that.
	Compared *compared     `json:"compared"`
	Pairs    *pairing      `json:"pairs"`
	Damage   damage        `json:"damage"`
	Scores   []namedFigure `json:"scores"`   // of the models, in their order
	Features []namedFigure `json:"features"` // inputs of the models, then those asked for; of an imported file all but scores
}

type compared struct {
	Width               int    `json:"width"`
	Height              int    `json:"height"`
	BitDepth            int    `json:"bit_depth"`
	Subsampling         string `json:"subsampling"`
	FullRange           bool   `json:"full_range"`
	BitDepthReason      string `json:"bit_depth_reason"`
	Conversion          string `json:"conversion"`           // of the distorted pictures; "": none
	ReferenceConversion string `json:"reference_conversion"` // "": none
	// Encoded is what cambi takes the distorted pictures to have been encoded as; null: as they are compared.
	Encoded *encodedFormat `json:"encoded"`
}

// encodedFormat is what pictures were encoded as. A member is null where that is as compared.
type encodedFormat struct {
	Width    *int `json:"width"`
	Height   *int `json:"height"`
	BitDepth *int `json:"bit_depth"`
}

// pairing is which frames were compared.
type pairing struct {
	Method   string `json:"method"` // "index" or "timestamp"
	First    int64  `json:"first_frame"`
	End      int64  `json:"end_frame"`
	Offset   int64  `json:"offset"`
	Pairs    int    `json:"pairs"`    // compared, those that subsampling passed over included
	Measured int    `json:"measured"` // of these
	Repeated int64  `json:"repeated"` // distorted frames compared again, each time counted
	Dropped  int64  `json:"dropped"`  // distorted frames passed over
}

// damage counts what the decoder met.
type damage struct {
	Decoded       int64 `json:"decoded"`
	Damaged       int64 `json:"damaged"`
	Missing       int64 `json:"missing"`
	FormatChanges int64 `json:"format_changes"`
}

// namedFigure is a series' pooled values.
type namedFigure struct {
	Name   string  `json:"name"`            // as logs print it
	Model  string  `json:"model,omitempty"` // the name of the model whose figure it is
	Pooled figures `json:"pooled"`          // by method; those that cannot be had are left out; "aggregate" of what has no figures by frame
}

// figures is a JSON object in the order of its list.
type figures []figure

func (list figures) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(finite(f.Value))
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// document puts a result into its document.
func (p *presentation) document(r *result) *measureDocument {
	d := &measureDocument{
		Schema: measureSchema, Program: program(), Computed: r.computed, Settings: r.settings, Models: []modelInfo{}, Reference: r.reference,
		Warnings: nonNil(r.warnings),
	}
	d.Settings.Pool = []string{}
	for _, method := range p.pools {
		d.Settings.Pool = append(d.Settings.Pool, string(method))
	}
	for _, model := range r.models {
		d.Models = append(d.Models, model.modelInfo)
	}
	for _, rendition := range r.renditions {
		d.Renditions = append(d.Renditions, p.renditionResult(r, rendition))
	}
	return d
}

func (p *presentation) renditionResult(r *result, m measured) renditionResult {
	out := renditionResult{Video: m.video, Damage: m.damage, Scores: []namedFigure{}, Features: []namedFigure{}}
	if m.err != nil {
		text := m.err.Error()
		out.Error = &text
		return out
	}
	out.Compared, out.Pairs = &m.compared, &m.pairs
	for _, model := range r.models {
		for _, name := range model.series {
			out.Scores = append(out.Scores, namedFigure{vmaf.Alias(name), model.Name, m.pooled(name, p.pools)})
		}
	}
	for _, name := range m.featureSeries(r) {
		out.Features = append(out.Features, namedFigure{vmaf.Alias(name), "", m.pooled(name, p.pools)})
	}
	for _, a := range m.table.Aggregates {
		out.Features = append(out.Features, namedFigure{a.Name, "", figures{{aggregateMethod, a.Value}}})
	}
	return out
}

func program() programInfo { return programInfo{"vqsd", version, commit} }

func newModelInfo(m *vmaf.Model) modelInfo {
	info := modelInfo{
		Name: m.Name, Version: m.Version, Digest: m.Digest, Collection: m.IsCollection(), Features: m.Features(),
	}
	_, info.Transform = m.HasTransform()
	if low, high, ok := m.Clip(); ok {
		info.Clip = &clip{low, high}
	}
	return info
}

// videoInfo is what is known of an input. Sizes are in samples, after rotation unless they say otherwise.
type videoInfo struct {
	Path        string `json:"path"`
	SizeBytes   *int64 `json:"size_bytes"` // null: a stream
	Container   string `json:"container"`
	Codec       string `json:"codec"`
	Profile     string `json:"profile"`
	Decoder     string `json:"decoder"` // "": none is needed
	PixelFormat string `json:"pixel_format"`

	Width       int    `json:"width"`
	Height      int    `json:"height"`
	BitDepth    int    `json:"bit_depth"`
	Subsampling string `json:"subsampling"`
	FullRange   bool   `json:"full_range"`

	CodedWidth   int     `json:"coded_width"` // before rotation
	CodedHeight  int     `json:"coded_height"`
	SampleAspect *string `json:"sample_aspect"` // "4:3"; null: unknown
	Rotation     string  `json:"rotation"`      // "90°" clockwise, or a mirroring; "": none
	Interlaced   string  `json:"interlaced"`    // "tff", "bff", "mixed"; "": progressive or unknown
	ColorRange   string  `json:"color_range"`
	ColorSpace   string  `json:"color_space"`
	Primaries    string  `json:"color_primaries"`
	Transfer     string  `json:"color_transfer"`

	FrameRate          *string `json:"frame_rate"` // average, "30000/1001"; null: unknown
	VariableFrameRate  bool    `json:"variable_frame_rate"`
	TimeBase           *string `json:"time_base"`
	Timestamps         bool    `json:"timestamps"` // every frame has one
	StartOffsetSeconds float64 `json:"start_offset_seconds"`
	DurationSeconds    float64 `json:"duration_seconds"` // 0: unknown
	BitRate            int64   `json:"bit_rate"`         // bit/s; 0: unknown

	Frames      *int64   `json:"frames"` // null: a stream
	KeyFrames   *int64   `json:"key_frames"`
	Seekable    bool     `json:"seekable"`
	Discarded   int64    `json:"discarded"`   // coded pictures cut by the edit list
	Hidden      int64    `json:"hidden"`      // coded pictures never shown
	Undecodable int64    `json:"undecodable"` // coded pictures before the first point where decoding can begin
	Truncated   string   `json:"truncated"`   // why the file is known to end too early; ""
	Streams     []stream `json:"streams"`

	rate decode.Rational // FrameRate
}

// stream is one of the streams of a container.
type stream struct {
	Index    int    `json:"index"`
	Type     string `json:"type"`
	Codec    string `json:"codec"`
	Language string `json:"language"`
	Selected bool   `json:"selected"` // the one that is measured
}

func newVideoInfo(i decode.Info) videoInfo {
	v := videoInfo{
		Path: i.Path, SizeBytes: known(i.SizeBytes), Container: i.Container, Codec: i.Codec, Profile: i.Profile,
		Decoder: i.Decoder, PixelFormat: i.PixelFormat,
		Width: i.Format.Width, Height: i.Format.Height, BitDepth: i.Format.BitsPerComponent,
		Subsampling: i.Format.Subsampling.String(), FullRange: i.Format.FullRange,
		CodedWidth: i.CodedWidth, CodedHeight: i.CodedHeight, SampleAspect: aspect(i.SampleAspect),
		Rotation: i.Rotation.String(), Interlaced: i.Interlaced,
		ColorRange: i.Color.Range, ColorSpace: i.Color.Space, Primaries: i.Color.Primaries, Transfer: i.Color.Transfer,
		FrameRate: ratio(i.FrameRate), VariableFrameRate: i.VariableRate, TimeBase: ratio(i.TimeBase), Timestamps: i.Timestamps,
		StartOffsetSeconds: i.StartOffset.Seconds(), DurationSeconds: i.Duration.Seconds(), BitRate: i.BitRate,
		Frames: known(i.Frames), KeyFrames: known(i.KeyFrames), Seekable: i.Seekable,
		Discarded: i.Discarded, Hidden: i.Hidden, Undecodable: i.Undecodable, Truncated: i.Truncated,
		Streams: []stream{}, rate: i.FrameRate,
	}
	for _, s := range i.Streams {
		v.Streams = append(v.Streams, stream(s))
	}
	return v
}

// known is n, or nil where −1 stands for unknown.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// ratio is r as text, or nil where it is unknown.
func ratio(r decode.Rational) *string {
	if r.IsZero() {
		return nil
	}
	text := r.String()
	return &text
}

// aspect is a ratio of width to height as text, or nil where it is unknown.
func aspect(r decode.Rational) *string {
	if r.IsZero() {
		return nil
	}
	text := fmt.Sprintf("%d:%d", r.Num, r.Den)
	return &text
}

// seconds is a duration for people.
func seconds(d time.Duration) string {
	return d.Round(time.Millisecond).String()
}
