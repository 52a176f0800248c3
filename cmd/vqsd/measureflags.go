package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/report"
	"github.com/vqsd/vqsd/vmaf"
)

// defaultModel is what is measured when nobody says.
const defaultModel = "vmaf_v0.6.1"

// The pooling methods when nobody says: what a table has room for, and all that a document should have.
var (
	tablePools    = []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin, "p5"}
	documentPools = []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin, vmaf.PoolMax, "p1", "p5", "p10", "p50"}
)

// measureFlags are the flags of measure as they were given.
type measureFlags struct {
	reference    string
	distorted    []string
	models       []string
	features     []string
	noPrediction bool

	frames    string
	offset    int64
	pairing   string
	shortest  bool
	subsample int

	scale             string
	crop              string
	rawVideo          string
	rawVideoDistorted string
	onDamage          string
	limits            []string

	pool         string
	json         bool
	log          string
	logFormat    string
	logPrecision int
	plot         string

	device     string
	threads    int
	chunk      int64
	quiet      bool
	noProgress bool
}

// define declares the flags in the order in which help lists them.
func (f *measureFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.reference, "reference", "r", "", "the reference `FILE`, or - for standard input")
	flags.StringArrayVarP(&f.distorted, "distorted", "d", nil, "a distorted `FILE`, or -; repeatable, and all are measured together")
	flags.StringArrayVar(&f.models, "model", nil, "a `MODEL`: NAME or path=FILE.json, with :name=… :enable_transform :disable_clip :EXTRACTOR.OPTION=…;\nrepeatable (default "+defaultModel+")")
	flags.StringArrayVar(&f.features, "feature", nil, "a feature extractor, as `NAME[:OPTION=VALUE...]`, beside those of the models; repeatable")
	flags.BoolVar(&f.noPrediction, "no-prediction", false, "measure only the features of --feature, no model")

	flags.StringVar(&f.frames, "frames", "", "measure only reference frames `A:B`, from A to before B; either may be left out")
	flags.Int64Var(&f.offset, "offset", 0, "compare reference frame n with distorted frame n+`N`")
	flags.StringVar(&f.pairing, "pairing", "auto", "`HOW` frames are paired: auto (by index, refusing what does not match), index or timestamp")
	flags.BoolVar(&f.shortest, "shortest", false, "ignore frames of either side that have no counterpart")
	flags.IntVar(&f.subsample, "subsample", 1, "measure every `N`th pair only; motion still takes all")

	flags.StringVar(&f.scale, "scale", "", "`FILTER` that scales distorted pictures to the reference's size: "+strings.Join(decode.ScaleFilterNames(), ", ")+"\n(default bicubic, which refuses another shape; a filter named here does not)")
	flags.StringVar(&f.crop, "crop", "", "measure only the part `WxH+X+Y` of the reference's picture")
	flags.StringVar(&f.rawVideo, "raw-video", "", "what headerless inputs hold: `WxH:PIXFMT[:FPS]`, such as 1920x1080:yuv420p10le:25")
	flags.StringVar(&f.rawVideoDistorted, "raw-video-distorted", "", "the same of headerless distorted inputs, where they differ from the reference: `WxH:PIXFMT[:FPS]`")
	flags.StringVar(&f.onDamage, "on-damage", "strict", "what a damaged picture leads to, `POLICY` strict (an error) or conceal (what the decoder makes of it)")
	defineLimits(c, &f.limits)

	flags.StringVar(&f.pool, "pool", "", "pooling methods, a `LIST` of mean, harmonic_mean, min, max and percentiles pN\n(default "+poolList(tablePools)+", with --json "+poolList(documentPools)+")")
	flags.BoolVar(&f.json, "json", false, "print a JSON document instead of the table")
	flags.StringVar(&f.log, "log", "", "write all frames' figures to `FILE`, as libvmaf does; - is standard output, instead of the table")
	flags.StringVar(&f.logFormat, "log-format", "", "`FORMAT` of the log: xml, json, csv or sub (default by the file's extension, else xml)")
	flags.IntVar(&f.logPrecision, "log-precision", 6, "`DIGITS` of figures in the log: 6, as libvmaf writes them, or 17, which is every bit")
	flags.StringVar(&f.plot, "plot", "", "draw the scores over time into `FILE`.svg, .png or .html")

	flags.StringVar(&f.device, "device", "auto", "`DEVICE` that computes: auto or cpu")
	flags.IntVar(&f.threads, "threads", 0, "frames measured at a time, and threads of each decoder: `N`; 0 is one for each processor")
	flags.Int64Var(&f.chunk, "chunk", 0, "decode and measure in chunks of `N` reference frames; 0 is all in one")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "nothing on standard error but errors")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress bar")

	for _, name := range []string{"reference", "distorted"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // no such flag: a bug
		}
	}
	for flag, values := range map[string][]string{
		"model": vmaf.BuiltinNames(), "feature": vmaf.ExtractorNames(), "pairing": {"auto", "index", "timestamp"},
		"scale": decode.ScaleFilterNames(), "on-damage": {"strict", "conceal"}, "log-format": {"xml", "json", "csv", "sub"},
		"log-precision": {"6", "17"}, "device": {"auto", "cpu"},
	} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // no such flag, or declared twice: a bug
		}
	}
}

// parse checks everything that can be checked without opening a video. changed tells whether a flag was given.
//
// All wrong flags are reported together; only where there is none are model files and the places of results looked at.
func (f *measureFlags) parse(changed func(string) bool) (*measurement, error) {
	m := &measurement{json: f.json, quiet: f.quiet, noProgress: f.noProgress}
	r := &m.request
	errs := []error{
		f.parseNumbers(r),
		f.parseFrames(r),
		f.parseChoices(r, changed),
		f.parseInputs(r),
		f.parsePools(m),
		f.parseOutputs(m, changed),
	}
	if err := cpu.EnvironmentError(); err != nil {
		errs = append(errs, err)
	}
	models, err := f.parseModels(changed)
	errs = append(errs, err)
	m.asked, err = f.parseFeatures()
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		if fails := (*runtimeError)(nil); errors.As(err, &fails) {
			return nil, err
		}
		return nil, &usageError{err}
	}
	if r.Plan, err = vmaf.NewPlan(models, m.asked); err != nil {
		return nil, &usageError{err}
	}
	if f.log == "" && len(m.asked) == 0 {
		r.Plan = r.Plan.Lean() // nobody will see the figures that no model uses
	}
	return m, f.preparePlaces(m)
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
	if f.logPrecision != 0 && f.logPrecision != 6 && f.logPrecision != 17 {
		errs = append(errs, fmt.Errorf("--log-precision %d: must be 6 or 17", f.logPrecision))
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
	if f.crop != "" {
		rect, err := decode.ParseRect(f.crop)
		if err != nil {
			errs = append(errs, fmt.Errorf("--crop: %w", err))
		}
		r.Crop = &rect
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
	if r.Device, err = engine.ParseDevice(f.device); err != nil {
		err = fmt.Errorf("--device: %w", err)
		if kind, _, _ := strings.Cut(f.device, ":"); kind == "cuda" {
			err = &runtimeError{err}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// headerless are the extensions of files that have no header.
var headerless = []string{".yuv", ".raw", ".i420"}

// isHeaderless says whether --raw-video describes an input: by its name, or because it is a stream.
func isHeaderless(path string) bool {
	if path == "-" || slices.Contains(headerless, strings.ToLower(filepath.Ext(path))) {
		return true
	}
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

func (f *measureFlags) parsePools(m *measurement) error {
	switch {
	case f.pool == "" && f.json:
		m.pools = documentPools
		return nil
	case f.pool == "":
		m.pools = tablePools
		return nil
	}
	var errs []error
	for text := range strings.SplitSeq(f.pool, ",") {
		method, err := vmaf.ParsePoolMethod(strings.TrimSpace(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("--pool: %w", err))
		}
		if !slices.Contains(m.pools, method) {
			m.pools = append(m.pools, method)
		}
	}
	return errors.Join(errs...)
}

func poolList(list []vmaf.PoolMethod) string { return strings.ReplaceAll(joined(list), ", ", ",") }

// parseOutputs checks the flags that say where results go, but not yet the places.
func (f *measureFlags) parseOutputs(m *measurement, changed func(string) bool) error {
	var errs []error
	if f.log == "" {
		for _, flag := range []string{"log", "log-format", "log-precision"} {
			if changed(flag) {
				errs = append(errs, fmt.Errorf("--%s needs the name of a log: --log FILE", flag))
			}
		}
	} else {
		m.logOutput = f.log == "-" || f.log == "/dev/stdout"
		format := f.logFormat
		if !changed("log-format") {
			format = strings.TrimPrefix(filepath.Ext(f.log), ".")
		}
		var err error
		if m.logFormat, err = legacy.ParseFormat(format); err != nil {
			if changed("log-format") {
				errs = append(errs, fmt.Errorf("--log-format: %w", err))
			}
			m.logFormat = legacy.XML
		}
		if f.logPrecision == 17 {
			m.logDigits = 17
		}
		if m.logOutput && f.json {
			errs = append(errs, errors.New("--log - and --json both write to standard output; name a file for the log"))
		}
		if m.logOutput && len(f.distorted) > 1 {
			errs = append(errs, errors.New("--log - holds one log, and there are several distorted videos; use --log 'NAME-{name}.xml'"))
		}
	}
	if changed("plot") {
		var err error
		if m.plotFormat, err = report.PlotFormatOf(f.plot); err != nil {
			errs = append(errs, fmt.Errorf("--plot: %w", err))
		}
	}
	for _, path := range f.distorted {
		m.names = append(m.names, displayName(path))
		title := filepath.Base(path)
		if path == "-" {
			title = "standard input"
		}
		m.titles = append(m.titles, title)
	}
	if len(unique(m.titles)) < len(m.titles) {
		m.titles = f.distorted
	}
	_, err := f.logPaths(m)
	return errors.Join(append(errs, err)...)
}

// displayName is an input's name without folder and extension.
func displayName(path string) string {
	if path == "-" {
		return "stdin"
	}
	base := filepath.Base(path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// logPaths fills the placeholders of --log for each rendition.
func (f *measureFlags) logPaths(m *measurement) ([]string, error) {
	if f.log == "" || m.logOutput {
		return nil, nil
	}
	var paths []string
	for i, name := range m.names {
		path := strings.NewReplacer("{name}", name, "{}", name, "{n}", strconv.Itoa(i+1)).Replace(f.log)
		if at := slices.Index(paths, path); at >= 0 {
			if path == f.log {
				return nil, fmt.Errorf("--log %s: there are %d distorted videos, and each has a log of its own: put {name} or {n} into the name, as in %s",
					f.log, len(m.names), withPlaceholder(f.log))
			}
			return nil, fmt.Errorf("--log %s: %s and %s would both be written to %s; use {n} for their number", f.log,
				f.distorted[at], f.distorted[i], path)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func withPlaceholder(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-{name}" + ext
}

// parseModels reads the models, and their files.
func (f *measureFlags) parseModels(changed func(string) bool) ([]*vmaf.Model, error) {
	specs := f.models
	switch {
	case f.noPrediction && changed("model"):
		return nil, errors.New("--no-prediction and --model contradict each other")
	case f.noPrediction && len(f.features) == 0:
		return nil, errors.New("--no-prediction leaves nothing to measure; ask for a --feature")
	case f.noPrediction:
		return nil, nil
	case len(specs) == 0:
		specs = []string{defaultModel}
	}
	var models []*vmaf.Model
	var errs []error
	unnamed := 0
	for _, spec := range specs {
		opened := false
		model, err := vmaf.ParseModel(spec, func(path string) (io.ReadCloser, error) {
			opened = true
			return openModel(path)
		})
		if err != nil {
			err = fmt.Errorf("--model: %w", err)
			if opened || errors.Is(err, vmaf.ErrNotComputable) {
				err = &runtimeError{err}
			}
			errs = append(errs, err)
			continue
		}
		if model.Options().Name == "" {
			unnamed++
		}
		models = append(models, model)
	}
	if err := errors.Join(errs...); err != nil || unnamed < 2 {
		return models, err
	}
	for i, model := range models {
		options := model.Options()
		if options.Name != "" {
			continue
		}
		options.Name = nameOf(model.Version)
		named, err := model.With(options)
		if err != nil {
			return nil, fmt.Errorf("--model %s: %w", model, err)
		}
		models[i] = named
	}
	return models, nil
}

// nameOf makes a name, which may not have all characters, of a built-in model's version or of a file's path.
func nameOf(version string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-+@", r)) {
			return r
		}
		return '_'
	}, strings.TrimSuffix(filepath.Base(version), ".json"))
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
	for _, text := range f.features {
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

// preparePlaces checks that logs and plot can be written, so that a long measurement is not lost.
func (f *measureFlags) preparePlaces(m *measurement) error {
	inputs := append([]string{f.reference}, f.distorted...)
	paths, err := f.logPaths(m)
	if err != nil {
		return &usageError{err}
	}
	var errs []error
	for _, path := range paths {
		p, err := newPlace("log", path, inputs)
		m.logs, errs = append(m.logs, p), append(errs, err)
	}
	if f.plot != "" {
		if slices.Contains(paths, f.plot) {
			return usagef("--log and --plot name the same file, %s", f.plot)
		}
		p, err := newPlace("plot", f.plot, inputs)
		m.plot, errs = &p, append(errs, err)
	}
	return errors.Join(errs...)
}
