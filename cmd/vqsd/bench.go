package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/bench"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

const benchLong = `Time measuring on this machine, and say what bounds it.

Scenarios, all unless some are named:
  decode   decoding alone
  kernels  the features alone, of pictures in the host's or the device's memory
  measure  whole measurements, from files to scores
  daemon   the same by a daemon, which is started for it, and its worker

Every combination of --size, --depth, --codec and --renditions is a case. Clips
for them are made, with the ffmpeg command where they are coded, and removed
afterwards; --clips takes those of a folder instead: a file named reference.*
with its renditions beside it, or folders of such.

What is compared is run by turns, after one run of each to warm up. A line has
the median of the runs: pairs of pictures a second, processor time a pair, the
peaks of host and device memory, the pictures' bytes over the memory's bandwidth
(measured of the host, nominal of a device), the speed over that of decoding the
same clips alone, and what follows from these. A case that cannot be run here is
listed with the reason.

--compare runs libvmaf's vmaf command beside whole measurements of y4m clips,
and holds its scores against ours.`

const benchExample = `  vqsd bench
  vqsd bench kernels --size 1920x1080,3840x2160 --depth 8,10
  vqsd bench measure --codec h264,hevc,av1 --renditions 1,5 --json
  vqsd bench measure --codec y4m --compare
  vqsd bench --device cuda:0 --clips clips/`

// benchFlags are the flags of bench as they were given.
type benchFlags struct {
	device     string
	sizes      []string
	depths     []string
	codecs     []string
	renditions []string
	models     []string
	features   []string
	clips      string
	frames     int
	loops      int
	runs       int
	threads    int
	compare    bool
	options    []string
	asJSON     bool
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:       "bench [SCENARIO…]",
		Short:     "time measuring on this machine",
		Long:      benchLong,
		Example:   benchExample,
		ValidArgs: benchScenarios(),
		Args:      cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.parse(args, cmd.Flags().Changed)
			if err != nil {
				return err
			}
			endOrderly(cmd.Context()) // what it made on disk is removed
			return a.bench(cmd.Context(), cfg, f.asJSON)
		},
	}
	f.define(c)
	return c
}

func benchScenarios() []string {
	var names []string
	for _, s := range bench.Scenarios() {
		names = append(names, string(s))
	}
	return names
}

func benchCodecs() []string {
	var names []string
	for _, c := range bench.Codecs() {
		names = append(names, string(c))
	}
	return names
}

// allValues asks for every value of an axis.
const allValues = "all"

// The values that "all" stands for.
var (
	benchSizes  = []string{"576x324", "1280x720", "1920x1080", "3840x2160"}
	benchDepths = []string{"8", "10"}
)

// define declares the flags in the order in which help lists them.
func (f *benchFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.device, "device", "auto", "`DEVICE` that computes: auto, cpu, cuda or cuda:N")
	flags.StringSliceVar(&f.sizes, "size", []string{"576x324", "1920x1080"}, "picture sizes, `WxH[,WxH...]`; all: "+strings.Join(benchSizes, ","))
	flags.StringSliceVar(&f.depths, "depth", []string{"8"}, "bits a sample, `N[,N...]`; all: "+strings.Join(benchDepths, ","))
	flags.StringSliceVar(&f.codecs, "codec", []string{"h264"}, "what clips are coded with, `CODEC[,CODEC...]`; all: "+strings.Join(benchCodecs(), ","))
	flags.StringSliceVar(&f.renditions, "renditions", []string{"1", "5"}, "how many renditions are measured together, `N[,N...]`")
	flags.StringArrayVar(&f.models, "model", nil, "a `MODEL` as measure takes it; repeatable (default "+defaultModel+")")
	flags.StringArrayVar(&f.features, "feature", nil, "a `FEATURE` as measure takes it, beside the models or, without --model, alone; repeatable")
	flags.IntVar(&f.frames, "frames", 0, "frames of each clip, and least of a run of kernels: `N`; 0 is about a second's work of a processor")
	flags.IntVar(&f.loops, "loops", 1, "show coded clips `N` times over, so that short ones can be timed on fast devices")
	flags.IntVar(&f.runs, "runs", 5, "time each case `N` times")
	flags.IntVar(&f.threads, "threads", 0, "frames measured at a time, and threads of each decoder: `N`; 0 is one for each processor")
	flags.StringVar(&f.clips, "clips", "", "take the clips in the folder `DIR` instead of making some")
	flags.BoolVar(&f.compare, "compare", false, "run the vmaf command by turns with ours, where it is on PATH")
	flags.StringArrayVar(&f.options, "compare-option", nil, "give the vmaf command an `OPTION` besides, as in --compare-option=--no_prediction; repeatable")
	flags.BoolVar(&f.asJSON, "json", false, "print a JSON document ("+bench.Schema+")")
	for flag, values := range map[string][]string{
		"device": {"auto", "cpu", "cuda"}, "size": append(benchSizes, allValues), "depth": append(benchDepths, allValues),
		"codec": append(benchCodecs(), allValues), "model": vmaf.BuiltinNames(),
	} {
		completeFlag(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	if err := c.MarkFlagDirname("clips"); err != nil {
		panic(err) // no such flag: a bug
	}
}

// parse checks everything that can be checked before anything is run. All wrong flags are reported together.
func (f *benchFlags) parse(scenarios []string, changed func(string) bool) (bench.Config, error) {
	cfg := bench.Config{
		Models: f.models, Features: f.features, Frames: f.frames, Loops: f.loops, Runs: f.runs, Threads: f.threads, Clips: f.clips, Compare: f.compare, CompareOptions: f.options,
		Version: version, Commit: commit,
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, name := range scenarios {
		if !slices.Contains(benchScenarios(), name) {
			add("scenario %q is not one of %s", name, strings.Join(benchScenarios(), ", "))
		}
		if !slices.Contains(cfg.Scenarios, bench.Scenario(name)) {
			cfg.Scenarios = append(cfg.Scenarios, bench.Scenario(name))
		}
	}
	var err error
	if cfg.Device, err = engine.ParseDevice(f.device); err != nil {
		add("--device: %w", err)
	}
	for _, text := range expanded(f.sizes, benchSizes) {
		size, err := engine.ParseSize(text)
		if err == nil && (size.Width < 16 || size.Height < 16 || size.Width > 16384 || size.Height > 16384) {
			err = fmt.Errorf("%v: width and height must be 16 … 16384", size)
		}
		if err != nil {
			add("--size: %w", err)
		}
		cfg.Sizes = append(cfg.Sizes, size)
	}
	cfg.Depths = f.numbers("depth", expanded(f.depths, benchDepths), 8, 16, &errs)
	cfg.Renditions = f.numbers("renditions", f.renditions, 1, bench.MaxRenditions, &errs)
	for _, text := range expanded(f.codecs, benchCodecs()) {
		if !slices.Contains(benchCodecs(), text) {
			add("--codec: %q is not one of %s", text, strings.Join(benchCodecs(), ", "))
		}
		cfg.Codecs = append(cfg.Codecs, bench.Codec(text))
	}
	if f.frames < 0 || f.frames == 1 || f.frames > 1<<20 {
		add("--frames %d: must be 2 … %d, or 0 for as many as suit the size", f.frames, 1<<20)
	}
	if f.loops < 1 || f.loops > bench.MaxLoops {
		add("--loops %d: must be 1 … %d", f.loops, bench.MaxLoops)
	}
	if f.loops > 1 && f.clips != "" && changed("frames") {
		add("--loops shows whole clips, and --frames a part of each; leave one of the two out")
	}
	if f.runs < 1 || f.runs > bench.MaxRuns {
		add("--runs %d: must be 1 … %d", f.runs, bench.MaxRuns)
	}
	if f.threads < 0 || f.threads > engine.MaxThreads {
		add("--threads %d: must be 0 … %d", f.threads, engine.MaxThreads)
	}
	if f.clips != "" {
		for _, flag := range []string{"size", "depth", "codec"} {
			if changed(flag) {
				add("--%s is of clips that are made, and --clips names some that are there; leave one of the two out", flag)
			}
		}
	}
	if len(f.options) > 0 && !f.compare {
		add("--compare-option is for --compare, which is not given")
	}
	if err := cpu.EnvironmentError(); err != nil {
		errs = append(errs, err)
	}
	if len(cfg.Models) == 0 && len(cfg.Features) == 0 {
		cfg.Models = []string{defaultModel}
	}
	if cfg.Plan, err = bench.PlanOf(cfg.Models, cfg.Features, openModel); err != nil {
		add("--model, --feature: %w", err)
	}
	if err := errors.Join(errs...); err != nil {
		return cfg, &usageError{err}
	}
	if cfg.Program, err = os.Executable(); err != nil {
		return cfg, fmt.Errorf("find this program to start a daemon: %w", err)
	}
	return cfg, nil
}

// expanded are the values of an axis, each once.
func expanded(values, all []string) []string {
	var list []string
	for _, v := range values {
		more := []string{v}
		if v == allValues {
			more = all
		}
		for _, v := range more {
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list
}

func (f *benchFlags) numbers(flag string, values []string, least, most int, errs *[]error) []int {
	var list []int
	for _, text := range values {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			*errs = append(*errs, fmt.Errorf("--%s: %q is no number from %d to %d", flag, text, least, most))
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// bench runs the cases and prints what came of them, failed ones included.
func (a *app) bench(ctx context.Context, cfg bench.Config, asJSON bool) error {
	cfg.Progress = func(text string) { fmt.Fprintln(a.stderr, "vqsd: "+printable(text)) }
	report, err := bench.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		err = writeJSON(a.stdout, report)
	} else {
		err = report.Print(a.stdout)
	}
	return errors.Join(err, report.Err())
}
