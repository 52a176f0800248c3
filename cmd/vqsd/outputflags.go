package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/report"
	"github.com/vqsd/vqsd/vmaf"
)

// The pooling methods when nobody says: what a table has room for, and all that a document should have.
var (
	tablePools    = []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin, "p5"}
	documentPools = []vmaf.PoolMethod{vmaf.PoolMean, vmaf.PoolHarmonicMean, vmaf.PoolMin, vmaf.PoolMax, "p1", "p5", "p10", "p50"}
)

// outputFlags say how a result is shown, and where: the flags that measure and get have in common.
type outputFlags struct {
	pool         string
	json         bool
	log          string
	logFormat    string
	logPrecision int
	plot         string
	quiet        bool
	noProgress   bool
}

// define declares the flags in the order in which help lists them.
func (f *outputFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.pool, "pool", "", "pooling methods, a `LIST` of mean, harmonic_mean, min, max and percentiles pN\n(default "+poolList(tablePools)+", with --json "+poolList(documentPools)+")")
	flags.BoolVar(&f.json, "json", false, "print a JSON document instead of the table")
	flags.StringVar(&f.log, "log", "", "write all frames' figures to `FILE`, as libvmaf does; - is standard output, instead of the table")
	flags.StringVar(&f.logFormat, "log-format", "", "`FORMAT` of the log: xml, json, csv or sub of libvmaf's (default by the file's extension, else xml),\nvmafossexec-xml, -json or -csv of the 1.x tools, or ffmpeg-psnr")
	flags.IntVar(&f.logPrecision, "log-precision", 6, "`DIGITS` of figures in the log: 6, as libvmaf writes them, or 17, which is every bit")
	flags.StringVar(&f.plot, "plot", "", "draw the scores over time into `FILE`.svg, .png or .html")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "nothing on standard error but errors")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress bar")
	for flag, values := range map[string][]string{"log-format": {"xml", "json", "csv", "sub", "vmafossexec-xml", "vmafossexec-json", "vmafossexec-csv", "ffmpeg-psnr"}, "log-precision": {"6", "17"}} {
		completeFlag(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// completeFlag says what the shell offers as a flag's value.
func completeFlag(c *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // no such flag, or declared twice: a bug
	}
}

// parse checks what can be checked without knowing the renditions. changed tells whether a flag was given.
func (f *outputFlags) parse(changed func(string) bool) (presentation, error) {
	p := presentation{json: f.json, quiet: f.quiet, noProgress: f.noProgress}
	return p, errors.Join(f.parsePools(&p), f.parseLog(&p, changed), f.parsePlot(&p, changed))
}

func (f *outputFlags) parsePools(p *presentation) error {
	switch {
	case f.pool == "" && f.json:
		p.pools = documentPools
		return nil
	case f.pool == "":
		p.pools = tablePools
		return nil
	}
	var errs []error
	for text := range strings.SplitSeq(f.pool, ",") {
		method, err := vmaf.ParsePoolMethod(strings.TrimSpace(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("--pool: %w", err))
		}
		if !slices.Contains(p.pools, method) {
			p.pools = append(p.pools, method)
		}
	}
	return errors.Join(errs...)
}

func poolList(list []vmaf.PoolMethod) string { return strings.ReplaceAll(joined(list), ", ", ",") }

func (f *outputFlags) parseLog(p *presentation, changed func(string) bool) error {
	var errs []error
	if f.log == "" {
		for _, flag := range []string{"log", "log-format", "log-precision"} {
			if changed(flag) {
				errs = append(errs, fmt.Errorf("--%s needs the name of a log: --log FILE", flag))
			}
		}
		return errors.Join(errs...)
	}
	p.logOutput = f.log == "-" || f.log == "/dev/stdout"
	if changed("log-format") {
		var err error
		if p.logFormat, err = legacy.ParseFormat(f.logFormat); err != nil {
			errs = append(errs, fmt.Errorf("--log-format: %w", err))
		}
	} else {
		p.logFormat, _ = legacy.FormatOf(f.log) // of any other name: XML
	}
	switch f.logPrecision {
	case 0, 6:
	case 17:
		p.logDigits = 17
	default:
		errs = append(errs, fmt.Errorf("--log-precision %d: must be 6 or 17", f.logPrecision))
	}
	if p.logOutput && f.json {
		errs = append(errs, errors.New("--log - and --json both write to standard output; name a file for the log"))
	}
	return errors.Join(errs...)
}

func (f *outputFlags) parsePlot(p *presentation, changed func(string) bool) (err error) {
	if !changed("plot") {
		return nil
	}
	if p.plotFormat, err = report.PlotFormatOf(f.plot); err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return nil
}

// name tells the presentation what the distorted videos are called, and checks that each log gets a name of its own.
func (f *outputFlags) name(p *presentation, distorted []string) error {
	p.names, p.titles = nil, nil
	for _, path := range distorted {
		p.names = append(p.names, displayName(path))
		title := filepath.Base(path)
		if path == "-" {
			title = "standard input"
		}
		p.titles = append(p.titles, title)
	}
	if len(unique(p.titles)) < len(p.titles) {
		p.titles = distorted
	}
	if p.logOutput && len(distorted) > 1 {
		return errors.New("--log - holds one log, and there are several distorted videos; use --log 'NAME-{name}.xml'")
	}
	_, err := f.logPaths(p, distorted)
	return err
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
func (f *outputFlags) logPaths(p *presentation, distorted []string) ([]string, error) {
	if f.log == "" || p.logOutput {
		return nil, nil
	}
	var paths []string
	for i, name := range p.names {
		path := strings.NewReplacer("{name}", name, "{}", name, "{n}", strconv.Itoa(i+1)).Replace(f.log)
		if at := slices.Index(paths, path); at >= 0 {
			if path == f.log {
				return nil, fmt.Errorf("--log %s: there are %d distorted videos, and each has a log of its own: put {name} or {n} into the name, as in %s",
					f.log, len(p.names), withPlaceholder(f.log))
			}
			return nil, fmt.Errorf("--log %s: %s and %s would both be written to %s; use {n} for their number", f.log,
				distorted[at], distorted[i], path)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func withPlaceholder(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-{name}" + ext
}

// preparePlaces checks that logs and plot can be written, so that a long measurement is not lost. inputs are files that must not be
// replaced.
func (f *outputFlags) preparePlaces(p *presentation, distorted, inputs []string) error {
	paths, err := f.logPaths(p, distorted)
	if err != nil {
		return &usageError{err}
	}
	var errs []error
	for _, path := range paths {
		place, err := newPlace("log", path, inputs)
		p.logs, errs = append(p.logs, place), append(errs, err)
	}
	if f.plot != "" {
		if slices.Contains(paths, f.plot) {
			return usagef("--log and --plot name the same file, %s", f.plot)
		}
		place, err := newPlace("plot", f.plot, inputs)
		p.plot, errs = &place, append(errs, err)
	}
	return errors.Join(errs...)
}
