package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/kernels/cpu"
)

// vmafName is the subcommand, and the name of a link to the program that does the same.
const vmafName = "vmaf"

// The exit statuses of the vmaf tool, which scripts may know.
const (
	vmafUsage      = 1   // the command line was not understood
	vmafRefused    = 255 // files, models or features are not as they should be
	vmafUnfinished = 234 // there was nothing to compare, or measuring failed
)

const vmafLong = `Measure as the command line tool of libvmaf 3.2.0 does, from its own arguments,
so that scripts written for it run unchanged. The log is the same to the byte
but for the version that it names and the speed. Called through a link named
vmaf, vqsd is this command:

  ln -s "$(command -v vqsd)" /usr/local/bin/vmaf

Options (long ones may be cut short, as in --ref FILE or --ref=FILE):
  -r, --reference FILE      the reference; y4m, headerless, or any video
  -d, --distorted FILE      what was made from it
  -w, --width, -h, --height, -p, --pixel_format 420|422|444,
  -b, --bitdepth 8|10|12|16 what headerless files hold: all four, or none
  -m, --model FIELDS        version=NAME or path=FILE, name=NAME, disable_clip,
                            enable_transform, EXTRACTOR.OPTION=VALUE, separated
                            by colons; repeatable; default version=vmaf_v0.6.1
  --feature NAME[=OPTION=VALUE:…]  figures of an extractor; repeatable
  --aom_ctc, --nflx_ctc VERSION    models and features of test conditions
  -n, --no_prediction       features alone, no scores
  -o, --output FILE         the log; --xml (default), --json, --csv or --sub
  --frame_cnt N, --frame_skip_ref N, --frame_skip_dist N, --subsample N
  --threads N               frames measured at a time; default one
  --gpumask N               0 (default): a GPU where there is one; else none
  --cpumask N               takes no effect: VQSD_CPU chooses instructions
  -q, --quiet               no progress and no notices
  -v, --version             print the version that logs name

Frames are paired by their order, whatever times and rates say, and where a file
ends first the rest of the other is ignored, with a message and status 0.
Pictures are compared at the depth of the files; nothing is scaled. Scores and
progress appear on a terminal only. The log is written once all is measured, or
not at all. Options that there are none of are passed over, as by the tool, but
with a notice.

This process measures: $VQSD_SERVER has no effect. The status is 0, or 1 for a
command line that was not understood, 255 for files, models and features that
cannot be used, and 234 where nothing could be measured.

Other than the tool: files with odd sizes, of two depths and of y4m's 4:2:2 are
measured rightly, where it crashes or misreads; a file that breaks off within a
picture is an error, and so is a log that cannot be written, and a value that is
no number where one is wanted. Features in floating point (float_adm, float_vif,
float_motion, float_psnr, float_ansnr, float_moment) and speed_temporal are not
computed; asking for them is an error.`

const vmafExample = `  vqsd vmaf -r reference.y4m -d encode.y4m -o log.json --json
  vqsd vmaf -r ref.yuv -d dis.yuv -w 1920 -h 1080 -p 420 -b 10 --feature psnr --threads 8 -o log.xml
  vqsd vmaf -r ref.y4m -d dis.y4m -m version=vmaf_v0.6.1neg:name=vmaf_neg --subsample 5 -q -o log.csv --csv`

// arguments are those of run: those of the process without its name, unless the name is that of a link.
func arguments(process []string) []string {
	if filepath.Base(process[0]) == vmafName {
		return append([]string{vmafName}, process[1:]...)
	}
	return process[1:]
}

func (a *app) vmafCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "vmaf -r REFERENCE -d DISTORTED [-o LOG] [OPTION …]",
		Short:              "measure from the arguments of libvmaf's own tool",
		Long:               vmafLong,
		Example:            vmafExample,
		Args:               cobra.ArbitraryArgs,
		DisableFlagParsing: true, // its rules are not ours
		RunE: func(cmd *cobra.Command, args []string) error {
			_, posix := os.LookupEnv("POSIXLY_CORRECT")
			s, err := parseVmafArguments(args, posix)
			switch {
			case err != nil:
				return &statusError{vmafUsage, errors.Join(err, errors.New("vqsd vmaf --help lists the options"))}
			case s.help:
				return cmd.Help()
			case s.version:
				_, err := fmt.Fprintf(a.stderr, "%s (vqsd %s)\n", libvmafVersion, version)
				return err
			}
			return a.vmaf(cmd.Context(), s)
		},
	}
}

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func refused(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{vmafRefused, err}
}

// vmaf measures, writes the log and shows the scores.
func (a *app) vmaf(ctx context.Context, s *vmafSettings) error {
	a.notify(s, s.notices...)
	if err := cpu.EnvironmentError(); err != nil {
		return refused(err)
	}
	in, err := s.inputs(ctx)
	if errors.Is(err, decode.ErrNoFrames) {
		return &statusError{vmafUnfinished, err}
	}
	if err != nil {
		return refused(err)
	}
	if in.ref != nil && in.dis != nil {
		if err := s.checkComparable(*in.ref, *in.dis); err != nil {
			return refused(err)
		}
	}
	p, err := s.plan()
	if err != nil {
		return refused(err)
	}
	a.notify(s, p.notices...)
	pairs := s.pairs(in)
	beyond, err := s.cutOff(in, pairs)
	if err != nil {
		return refused(err)
	}
	if pairs.count == 0 {
		a.tellEnded(pairs)
		return &statusError{vmafUnfinished, errors.New("there is no pair of frames to compare: --frame_skip_ref and --frame_skip_dist leave none")}
	}
	m := &measurement{request: s.request(in, pairs, beyond), backend: engine.BackendConfig{Device: engine.DeviceAuto}}
	if s.gpuMask != 0 {
		m.backend.Device = engine.DeviceCPU
	}
	m.request.Plan = p.plan
	m.names = []string{displayName(s.distorted)}
	m.quiet = s.quiet || !isTerminal(a.stderr)
	m.logFormat = s.format
	if s.output != "" {
		log, err := newPlace("log", s.output, []string{s.reference, s.distorted})
		if err != nil {
			return refused(err)
		}
		m.logs = []place{log}
	}
	return a.vmafMeasure(ctx, s, p, pairs, m)
}

// vmafMeasure measures what has been checked.
func (a *app) vmafMeasure(ctx context.Context, s *vmafSettings, p *vmafPlan, pairs vmafPairs, m *measurement) error {
	progress := a.newProgress(&m.presentation)
	found, err := a.find(ctx, m, progress)
	if err != nil {
		progress.end(nil)
		return &statusError{vmafUnfinished, err}
	}
	r := m.result(found)
	progress.end(r)
	d := found.Renditions[0]
	if err := s.checkComparable(found.Reference, d.Info); err != nil { // of streams it is known only now
		return refused(err)
	}
	pairs.finish(s, found.Reference.Frames, d.Info.Frames, int64(d.Table.Frames))
	a.tellEnded(pairs)
	if p.empty {
		d.Table.Series = nil
	}
	if err := m.writeLogs(ctx, a.stdout, r); err != nil {
		return refused(err)
	}
	if isTerminal(a.stderr) && (!s.quiet || s.output == "") {
		fmt.Fprint(a.stderr, printableLines(p.scores(d.Table)))
	}
	return nil
}

// finish says which input ended first once it is known how many pairs there were. Counts of −1 are those of streams.
func (p *vmafPairs) finish(s *vmafSettings, refFrames, disFrames, measured int64) {
	if p.ended != "" || p.limited || s.frames != 0 && measured == int64(s.frames) || refFrames < 0 == (disFrames < 0) {
		return
	}
	// Of the one that is a stream nothing is known but that it ended, if the other one did not.
	ref, dis := refFrames-int64(s.skipReference), disFrames-int64(s.skipDistorted)
	switch {
	case refFrames < 0 && dis > measured:
		p.end(s, measured, dis)
	case disFrames < 0 && ref > measured:
		p.end(s, ref, measured)
	}
}

// tellEnded says which file ended before the other one, as the tool does.
func (a *app) tellEnded(p vmafPairs) {
	if p.ended != "" {
		fmt.Fprintf(a.stderr, "\"%s\" ended before \"%s\".\n", printable(p.ended), printable(p.other))
	}
}

// notify says what was passed over.
func (a *app) notify(s *vmafSettings, notices ...string) {
	if s.quiet {
		return
	}
	for _, text := range notices {
		fmt.Fprintln(a.stderr, "vqsd: "+printable(text))
	}
}

// printableLines is printable of each line.
func printableLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
