package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

// defaultModel is what is measured when nobody says.
const defaultModel = "vmaf_v0.6.1"

// measureFlags are the flags of measure as they were given.
type measureFlags struct {
	reference    string
	distorted    []string
	models       []string
	features     []string
	nflxCTC      string
	aomCTC       string
	noPrediction bool

	frames    string
	offset    int64
	pairing   string
	shortest  bool
	subsample int

	scale             string
	geometry          string
	bitDepth          string
	encoded           string
	crop              string
	rawVideo          string
	rawVideoDistorted string
	onDamage          string
	limits            []string

	outputFlags
	heatMaps string

	device   string
	decoding string
	threads  int
	chunk    int64

	remoteFlags
}

// define declares the flags in the order in which help lists them.
func (f *measureFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.reference, "reference", "r", "", "the reference `FILE`, or - for standard input")
	flags.StringArrayVarP(&f.distorted, "distorted", "d", nil, "a distorted `FILE`, or -; repeatable, and all are measured together")
	flags.StringArrayVar(&f.models, "model", nil, "a `MODEL`: NAME or path=FILE.json, with :name=… :enable_transform :disable_clip :EXTRACTOR.OPTION=…;\nrepeatable (default "+defaultModel+")")
	flags.StringArrayVar(&f.features, "feature", nil, "a feature extractor, as `NAME[:OPTION=VALUE...]`, beside those of the models; repeatable")
	flags.Var(&onceFlag{value: &f.nflxCTC}, "nflx-ctc", "measure with Netflix's common test conditions, `VERSION` v1.0: its models and features, before those named here")
	flags.Var(&onceFlag{value: &f.aomCTC}, "aom-ctc", "the same with those of the Alliance for Open Media, `VERSION` v1.0 to v7.0")
	flags.BoolVar(&f.noPrediction, "no-prediction", false, "measure only the features of --feature, no model")

	flags.StringVar(&f.frames, "frames", "", "measure only reference frames `A:B`, from A to before B; either may be left out")
	flags.Int64Var(&f.offset, "offset", 0, "compare reference frame n with distorted frame n+`N`")
	flags.StringVar(&f.pairing, "pairing", "auto", "`HOW` frames are paired: auto (by index, refusing what does not match), index or timestamp")
	flags.BoolVar(&f.shortest, "shortest", false, "ignore frames of either side that have no counterpart")
	flags.IntVar(&f.subsample, "subsample", 1, "measure every `N`th pair only; motion still takes all")

	flags.StringVar(&f.scale, "scale", "", "`FILTER` that scales distorted pictures to the reference's size: "+strings.Join(decode.ScaleFilterNames(), ", ")+"\n(default bicubic, which refuses another shape; a filter named here does not)")
	flags.StringVar(&f.geometry, "geometry", "", "compare pictures at `WxH`, the reference's too (default the reference's size)")
	flags.StringVar(&f.bitDepth, "bit-depth", "auto", "compare at `DEPTH` bits at least: auto (what the models are made for: 10 for v1), native (the larger depth of the two\nfiles), 10, 12 or 16")
	flags.StringVar(&f.encoded, "encoded", "auto", "what cambi takes distorted pictures to have been encoded as: `HOW` auto (size and depth of the file), compared (as they\nare compared) or WxH[:DEPTH]")
	flags.StringVar(&f.crop, "crop", "", "measure only the part `WxH+X+Y` of the reference's picture")
	flags.StringVar(&f.rawVideo, "raw-video", "", "what headerless inputs hold: `WxH:PIXFMT[:FPS]`, such as 1920x1080:yuv420p10le:25")
	flags.StringVar(&f.rawVideoDistorted, "raw-video-distorted", "", "the same of headerless distorted inputs, where they differ from the reference: `WxH:PIXFMT[:FPS]`")
	flags.StringVar(&f.onDamage, "on-damage", "strict", "what a damaged picture leads to, `POLICY` strict (an error) or conceal (what the decoder makes of it)")
	defineLimits(c, &f.limits)

	f.outputFlags.define(c)
	flags.StringVar(&f.heatMaps, "cambi-heatmaps", "", "draw where cambi finds banding, into PNG files below `DIR`: for each rendition, frame and scale")

	flags.StringVar(&f.device, "device", "auto", "`DEVICE` that computes: auto, cpu, cuda, or with a GPU's number auto:N or cuda:N")
	flags.StringVar(&f.decoding, "decoding", "auto", "`WHO` decodes beside a GPU: auto (its decoder, where that gives the bits of software) or software")
	flags.IntVar(&f.threads, "threads", 0, "frames measured at a time, and threads of each decoder: `N`; 0 is one for each processor")
	flags.Int64Var(&f.chunk, "chunk", 0, "decode and measure in chunks of `N` reference frames; 0 is all in one, or what the daemon chooses")

	f.remoteFlags.define(c)

	for _, name := range []string{"reference", "distorted"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // no such flag: a bug
		}
	}
	for flag, values := range map[string][]string{
		"model": append(vmaf.BuiltinNames(), autoModel), "feature": vmaf.ExtractorNames(), "pairing": {"auto", "index", "timestamp"},
		"scale": decode.ScaleFilterNames(), "bit-depth": rules.BitDepthNames(), "encoded": {"auto", "compared"},
		"nflx-ctc": presetVersions(nflxPreset), "aom-ctc": presetVersions(aomPreset),
		"on-damage": {"strict", "conceal"}, "device": {"auto", "cpu", "cuda"}, "decoding": {"auto", "software"},
	} {
		completeFlag(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// parse checks everything that can be checked without opening a video. changed tells whether a flag was given.
//
// All wrong flags are reported together; only where there is none are model files and the places of results looked at.
func (f *measureFlags) parse(changed func(string) bool) (*measurement, error) {
	m := &measurement{backend: engine.BackendConfig{Device: engine.Device(f.device), Decoding: engine.Decoding(f.decoding)}}
	r := &m.request
	m.depth, m.encoded = f.bitDepth, f.encoded
	errs := []error{
		f.parsePreset(),
		f.parseNumbers(r),
		f.parseFrames(r),
		f.parseChoices(r, changed),
		f.parseInputs(r),
		f.refuse(changed),
	}
	var err error
	m.presentation, err = f.outputFlags.parse(changed)
	errs = append(errs, err, f.name(&m.presentation, f.distorted))
	if err := cpu.EnvironmentError(); err != nil && !f.isRemote() {
		errs = append(errs, err)
	}
	models, documents, err := f.parseModels(changed)
	errs = append(errs, err)
	m.asked, err = f.parseFeatures()
	errs = append(errs, err)
	if f.isRemote() {
		errs = append(errs, f.remote(m, models, documents, changed))
	}
	if err := errors.Join(errs...); err != nil {
		if fails := (*runtimeError)(nil); errors.As(err, &fails) {
			return nil, err
		}
		return nil, &usageError{err}
	}
	if len(models) > 0 || len(m.asked) > 0 { // otherwise a daemon's rules choose
		if r.Plan, err = vmaf.NewPlan(models, m.asked); err != nil {
			return nil, &usageError{err}
		}
	}
	if m.remote == nil {
		f.treat(m, models, changed)
	}
	if m.remote == nil && f.log == "" && len(m.asked) == 0 {
		r.Plan = r.Plan.Lean() // nobody will see the figures that no model uses
	}
	if changed("cambi-heatmaps") && f.heatMaps == "" {
		return nil, usagef("--cambi-heatmaps: the folder's name is empty")
	}
	if f.heatMaps != "" && !m.measuresCambi() {
		return nil, usagef("--cambi-heatmaps needs cambi: add --feature cambi, or a model of VMAF v1")
	}
	err = f.preparePlaces(&m.presentation, f.distorted, append([]string{f.reference}, f.distorted...))
	if f.heatMaps != "" && err == nil {
		if m.maps, err = newHeatMaps(f.heatMaps, m.names); err == nil {
			r.HeatMaps = m.maps.write
		}
	}
	return m, err
}

// runtimeError is a flag that was understood but cannot be served: a file is not what it should be, a device is not there.
type runtimeError struct{ err error }

func (e *runtimeError) Error() string { return e.err.Error() }
func (e *runtimeError) Unwrap() error { return e.err }

func (f *measureFlags) parseNumbers(r *engine.Request) error {
	var errs []error
	if f.subsample < 1 {
		errs = append(errs, fmt.Errorf("--subsample %d: must be at least 1", f.subsample))
	}
	if f.threads < 0 || f.threads > engine.MaxThreads {
		errs = append(errs, fmt.Errorf("--threads %d: must be 0 … %d", f.threads, engine.MaxThreads))
	}
	if f.chunk < 0 {
		errs = append(errs, fmt.Errorf("--chunk %d: must not be negative", f.chunk))
	}
	r.Subsample, r.Threads, r.ChunkFrames, r.Offset, r.Shortest = f.subsample, f.threads, f.chunk, f.offset, f.shortest
	return errors.Join(errs...)
}

func (f *measureFlags) parseFrames(r *engine.Request) (err error) {
	if f.frames == "" {
		return nil
	}
	r.First, r.End, err = parseRange(f.frames)
	if err != nil {
		return fmt.Errorf("--frames %s: %w", f.frames, err)
	}
	return nil
}

// parseRange reads "A:B", "A:" or ":B". end 0 means that there is none.
func parseRange(text string) (first, end int64, err error) {
	a, b, found := strings.Cut(text, ":")
	if !found || a == "" && b == "" {
		return 0, 0, errors.New("want A:B, A: or :B, such as 0:250")
	}
	number := func(text string) (int64, error) {
		n, err := strconv.ParseUint(text, 10, 62)
		if err != nil {
			return 0, fmt.Errorf("%q is not a frame number", text)
		}
		return int64(n), nil
	}
	if a != "" {
		if first, err = number(a); err != nil {
			return 0, 0, err
		}
	}
	if b == "" {
		return first, 0, nil
	}
	if end, err = number(b); err != nil {
		return 0, 0, err
	}
	if end <= first {
		return 0, 0, errors.New("is empty: the second number is the first frame that is not measured")
	}
	return first, end, nil
}

func (f *measureFlags) parseChoices(r *engine.Request, changed func(string) bool) error {
	var errs []error
	var err error
	if r.Pairing, err = engine.ParsePairing(f.pairing); err != nil {
		errs = append(errs, fmt.Errorf("--pairing: %w", err))
	}
	if r.Pairing == engine.PairTimestamp && f.offset != 0 {
		errs = append(errs, errors.New("--offset counts frames and does not go with --pairing timestamp"))
	}
	if changed("scale") {
		filter, err := decode.ParseScaleFilter(f.scale)
		if err != nil {
			errs = append(errs, fmt.Errorf("--scale: %w", err))
		}
		r.Scale = &filter
	}
	if f.geometry != "" {
		size, err := engine.ParseSize(f.geometry)
		if err != nil {
			errs = append(errs, fmt.Errorf("--geometry: %w", err))
		}
		r.Geometry = &size
	}
	if f.crop != "" {
		rect, err := decode.ParseRect(f.crop)
		if err != nil {
			errs = append(errs, fmt.Errorf("--crop: %w", err))
		}
		r.Crop = &rect
	}
	if !slices.Contains(rules.BitDepthNames(), f.bitDepth) {
		errs = append(errs, fmt.Errorf("--bit-depth: %q is not one of %s", f.bitDepth, strings.Join(rules.BitDepthNames(), ", ")))
	}
	if _, err := rules.ParseEncoded(f.encoded); err != nil {
		errs = append(errs, fmt.Errorf("--encoded: %w", err))
	}
	switch f.onDamage {
	case decode.Strict.String():
		r.OnDamage = decode.Strict
	case decode.Conceal.String():
		r.OnDamage = decode.Conceal
	default:
		errs = append(errs, fmt.Errorf("--on-damage: %q is neither strict nor conceal", f.onDamage))
	}
	if r.Limits, err = parseLimits(f.limits); err != nil {
		errs = append(errs, err)
	}
	if _, err := engine.ParseDevice(f.device); err != nil {
		errs = append(errs, fmt.Errorf("--device: %w", err))
	}
	if _, err := engine.ParseDecoding(f.decoding); err != nil {
		errs = append(errs, fmt.Errorf("--decoding: %w", err))
	}
	return errors.Join(errs...)
}

// headerless are the extensions of files that have no header.
var headerless = []string{".yuv", ".raw", ".i420"}

// isHeaderless says whether --raw-video describes an input: by its name, or because it is a stream.
func isHeaderless(path string) bool {
	return path == "-" || slices.Contains(headerless, strings.ToLower(filepath.Ext(path))) || isStream(path)
}

// isStream says whether an input is no regular file.
func isStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func (f *measureFlags) parseInputs(r *engine.Request) error {
	var errs []error
	var raw [2]*decode.RawFormat // of the reference, of distorted inputs
	read := func(flag, text string) *decode.RawFormat {
		if text == "" {
			return nil
		}
		format, err := decode.ParseRawFormat(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", flag, err))
		}
		return &format
	}
	raw[0] = read("--raw-video", f.rawVideo)
	raw[1] = raw[0]
	if f.rawVideoDistorted != "" {
		raw[1] = read("--raw-video-distorted", f.rawVideoDistorted)
	}
	streams, described := 0, false
	input := func(flag, path string, raw *decode.RawFormat) decode.Input {
		in := decode.Input{Path: path}
		if path == "" {
			errs = append(errs, fmt.Errorf("%s: the file name is empty", flag))
			return in
		}
		if path == "-" {
			streams++
		}
		if isHeaderless(path) {
			in.Raw, described = raw, true
		}
		return in
	}
	r.Reference = input("--reference", f.reference, raw[0])
	for _, path := range f.distorted {
		r.Distorted = append(r.Distorted, input("--distorted", path, raw[1]))
	}
	if n := len(r.Distorted); n > engine.MaxRenditions {
		errs = append(errs, fmt.Errorf("--distorted is given %d times; %d can be measured together", n, engine.MaxRenditions))
	}
	if streams > 1 {
		errs = append(errs, fmt.Errorf("standard input (-) is named %d times; it can be read once", streams))
	}
	if raw[1] != nil && !described {
		errs = append(errs, fmt.Errorf("--raw-video describes standard input, pipes and files named *%s, and there is none; leave it out, or rename the file",
			strings.Join(headerless, ", *")))
	}
	return errors.Join(errs...)
}

// modelSpecs are the models to measure beside those of test conditions; none with --no-prediction, and where a daemon's rules choose.
func (f *measureFlags) modelSpecs() []string {
	switch {
	case f.noPrediction, slices.Equal(f.models, []string{autoModel}):
		return nil
	case len(f.models) == 0 && f.preset() == "":
		return []string{defaultModel}
	}
	return f.models
}

// parseModels reads the models, and their files. documents are what the files hold, for a daemon; nil for built-in models.
func (f *measureFlags) parseModels(changed func(string) bool) (models []*vmaf.Model, documents [][]byte, err error) {
	switch {
	case f.noPrediction && changed("model"):
		return nil, nil, errors.New("--no-prediction and --model contradict each other")
	case f.noPrediction && f.preset() != "":
		return nil, nil, errors.New("--no-prediction and test conditions, which have models, contradict each other")
	case f.noPrediction && len(f.features) == 0:
		return nil, nil, errors.New("--no-prediction leaves nothing to measure; ask for a --feature")
	case slices.Contains(f.models, autoModel):
		return nil, nil, nil // alone it is good, and else refuse has said so
	}
	var errs []error
	conditions, _, err := f.conditions()
	if err != nil {
		return nil, nil, nil // parsePreset has said so
	}
	for _, spec := range append(conditions, f.modelSpecs()...) {
		var document []byte
		opened := false
		model, err := vmaf.ParseModel(spec, func(path string) (io.ReadCloser, error) {
			opened = true
			if !f.isRemote() {
				return openModel(path)
			}
			document, err = readDocument(path)
			return io.NopCloser(bytes.NewReader(document)), err
		})
		if err != nil {
			err = fmt.Errorf("--model: %w", err)
			if opened || errors.Is(err, vmaf.ErrNotComputable) {
				err = &runtimeError{err}
			}
			errs = append(errs, err)
			continue
		}
		models, documents = append(models, model), append(documents, document)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if models, err = vmaf.DistinctNames(models); err != nil {
		return nil, nil, fmt.Errorf("--model: %w", err)
	}
	return models, documents, nil
}

// openModel opens a model file. It refuses what is no file: opening a pipe would wait.
func openModel(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory, not a model file", path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	return file, nil
}

func (f *measureFlags) parseFeatures() ([]vmaf.Extraction, error) {
	var list []vmaf.Extraction
	var errs []error
	_, conditions, err := f.conditions()
	if err != nil {
		return nil, nil // parsePreset has said so
	}
	for _, text := range append(conditions, f.features...) {
		e, err := vmaf.ParseExtraction(text)
		if err == nil {
			err = e.Computable()
		}
		if err != nil {
			err = fmt.Errorf("--feature: %w", err)
			if errors.Is(err, vmaf.ErrNotComputable) {
				err = &runtimeError{err}
			}
			errs = append(errs, err)
			continue
		}
		list = append(list, e)
	}
	return list, errors.Join(errs...)
}
