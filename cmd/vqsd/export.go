package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/export"
)

const exportLong = `Write measurements of a daemon's to files that other tools read: one of them, or
all that match a filter, oldest first; each rendition has a file of its own.

  xml, json, csv, sub      logs of libvmaf 3.2.0
  vmafossexec-xml, -json, -csv
                           logs of the 1.x tools
  ffmpeg-psnr, ffmpeg-ssim stats files of FFmpeg's filters
  record                   a JSON document of one encode
  html                     a page with the score over time
  table-csv, table-parquet rows of all renditions in one file, and in further
                           ones beyond about a million rows

--to names a folder where it is one, ends in a slash, or files of a filter's
measurements are to go there, which is made if it is not there; otherwise a
file. Each file is complete or it is not there. One that is there already is
replaced with --force only, unless it is the same.

An export to a folder that was cut short, by a kill or a lost connection, goes on
with --resume behind the last file that it had written. Until it is done, the
folder has a file .vqsd-export.jsonl that says how far it is.

What a form cannot hold of a measurement is listed on standard error; what cannot
be exported at all is, too, and the exit status is 1. With --json every line is a
document (vqsd.export/1), printed as files are written.`

// exportFlags are the flags of export as they were given.
type exportFlags struct {
	connectFlags
	filter       string
	rendition    string
	format       string
	to           string
	resume       bool
	force        bool
	logPrecision int
	pool         string
	omitFrames   bool
	granularity  string
	json         bool
	quiet        bool
	noProgress   bool
	patience     time.Duration
}

func (a *app) exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export {NAME | --filter FILTER} --format FORMAT --to {FOLDER | FILE | -}",
		Short: "write a daemon's measurements to files for other tools",
		Long:  exportLong,
		Example: `  vqsd export 01jd9k3v5q8x2m7n4p6r0s1t2w --format xml --to vmaf.xml
  vqsd export --filter 'labels.title = "x"' --format json --to logs
  vqsd export --filter 'labels.title = "x"' --format json --to logs --resume
  vqsd export --filter '*' --format table-parquet --granularity frame --to frames/
  vqsd export 01jd9k3v5q8x2m7n4p6r0s1t2w --rendition x720p.mp4 --format csv --to - | gzip > vmaf.csv.gz`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeMeasurements(&f.connectFlags, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.export(cmd.Context(), &f, args, cmd.Flags().Changed)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.filter, "filter", "", "export all measurements that match `FILTER`, as vqsd list has it; * is all")
	flags.StringVar(&f.rendition, "rendition", "", "export the rendition called `NAME` only")
	flags.StringVar(&f.format, "format", "", "the `FORMAT` of the files, see above")
	flags.StringVar(&f.to, "to", "", "the `PLACE` that they go to: a folder, a file, or - for standard output")
	flags.BoolVar(&f.resume, "resume", false, "go on with an export to this folder that was cut short")
	flags.BoolVar(&f.force, "force", false, "replace files that are there already")
	flags.IntVar(&f.logPrecision, "log-precision", 6, "`DIGITS` of figures in libvmaf's logs: 6, as libvmaf writes them, or 17, which is every bit")
	flags.StringVar(&f.pool, "pool", "", "pooling `METHOD` of the aggregates in the vmafossexec forms: "+strings.Join(vmafossexecPools, ", ")+" (default mean)")
	flags.BoolVar(&f.omitFrames, "omit-frames", false, "leave the figures of frames out of a record")
	flags.StringVar(&f.granularity, "granularity", "aggregate", "`WHAT` a row of a table is of: "+strings.Join(granularities, ", "))
	flags.BoolVar(&f.json, "json", false, "print JSON, one document a line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "nothing on standard error but errors")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress on standard error")
	f.define(c, defaultServer)
	flags.DurationVar(&f.patience, "patience", defaultPatience, "how long to wait for a daemon that has gone away: `TIME`")
	for _, flag := range []string{"format", "to"} {
		if err := c.MarkFlagRequired(flag); err != nil {
			panic(err) // no such flag: a bug
		}
	}
	var formats []string
	for _, format := range export.Formats() {
		formats = append(formats, string(format))
	}
	for flag, values := range map[string][]string{
		"format": formats, "log-precision": {"6", "17"}, "pool": vmafossexecPools, "granularity": granularities,
	} {
		completeFlag(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

// vmafossexecPools are the methods that the 1.x tools know.
var vmafossexecPools = []string{"mean", "harmonic_mean", "min"}

// exportDocument is what came of one file.
type exportDocument struct {
	Schema      string   `json:"schema"`      // exportSchema
	File        *string  `json:"file"`        // as it was written; null where there is a failure
	Measurement string   `json:"measurement"` // "": the file has rows of many
	Rendition   string   `json:"rendition"`   // "": likewise
	SizeBytes   int64    `json:"size_bytes"`
	SHA256      string   `json:"sha256"`
	Existed     bool     `json:"existed"` // the same file was there already
	Losses      []string `json:"losses"`  // what the measurement has and the form cannot hold
	Failure     *failure `json:"failure"`
}

const exportSchema = "vqsd.export/1"

// request checks the flags.
func (f *exportFlags) request(args []string, changed func(string) bool) (*pb.ExportLegacyRequest, error) {
	r := &pb.ExportLegacyRequest{Filter: f.filter, Rendition: f.rendition, Pool: f.pool, OmitFrames: f.omitFrames}
	var errs []error
	switch {
	case changed("filter") && len(args) > 0:
		errs = append(errs, errors.New("name a measurement or give a --filter, not both"))
	case changed("filter") && f.filter == "":
		errs = append(errs, errors.New("--filter is empty; * is all measurements"))
	case changed("filter"):
	case len(args) == 0:
		errs = append(errs, errors.New("name a measurement, as vqsd list shows them, or give a --filter; --filter '*' is all"))
	default:
		name, err := measurementName(args[0])
		r.Name, errs = name, append(errs, err)
	}
	format, err := export.ParseFormat(f.format)
	if err != nil {
		errs = append(errs, fmt.Errorf("--format: %w", err))
	}
	r.Format = string(format)
	switch f.logPrecision {
	case 0, 6:
	case 17:
		r.Precision = 17
	default:
		errs = append(errs, fmt.Errorf("--log-precision %d: must be 6 or 17", f.logPrecision))
	}
	if !slices.Contains(granularities, f.granularity) {
		errs = append(errs, fmt.Errorf("--granularity: unknown %q; use %s", f.granularity, strings.Join(granularities, ", ")))
	}
	if changed("granularity") {
		r.Granularity = pb.TableGranularity(pb.TableGranularity_value["TABLE_GRANULARITY_"+strings.ToUpper(f.granularity)])
	}
	if err == nil {
		errs = append(errs, f.fit(format, changed))
	}
	if f.patience < 0 {
		errs = append(errs, fmt.Errorf("--patience %v: must not be negative", f.patience))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &usageError{err}
	}
	return r, nil
}

// fit reports flags that do not go with the format.
func (f *exportFlags) fit(format export.Format, changed func(string) bool) error {
	var errs []error
	refuse := func(flag, with string) { errs = append(errs, fmt.Errorf("--%s goes with %s only", flag, with)) }
	libvmaf := []export.Format{export.XML, export.JSON, export.CSV, export.SUB}
	vmafossexec := []export.Format{export.VmafossexecXML, export.VmafossexecJSON, export.VmafossexecCSV}
	if changed("log-precision") && !slices.Contains(libvmaf, format) {
		refuse("log-precision", "libvmaf's logs: "+joined(libvmaf))
	}
	if changed("pool") {
		switch {
		case !slices.Contains(vmafossexec, format):
			refuse("pool", joined(vmafossexec))
		case !slices.Contains(vmafossexecPools, f.pool):
			errs = append(errs, fmt.Errorf("--pool: unknown %q; use %s", f.pool, strings.Join(vmafossexecPools, ", ")))
		}
	}
	if f.omitFrames && format != export.Record {
		refuse("omit-frames", string(export.Record))
	}
	if changed("granularity") && !format.Table() {
		refuse("granularity", joined([]export.Format{export.TableCSV, export.TableParquet}))
	}
	folder, err := f.isFolder(format)
	switch {
	case err != nil:
		errs = append(errs, err)
	case f.to == "-" && f.json:
		errs = append(errs, errors.New("--to - and --json both write to standard output; name a file or folder"))
	case !folder && f.filter != "" && !format.Table():
		errs = append(errs, fmt.Errorf("--to %s holds one file, and a filter may find any number of measurements; name a folder", f.to))
	case !folder && f.resume:
		errs = append(errs, fmt.Errorf("--resume goes with a folder; an export to %s is begun again", f.to))
	}
	return errors.Join(errs...)
}

// isFolder says whether --to is a folder.
func (f *exportFlags) isFolder(format export.Format) (bool, error) {
	if f.to == "" {
		return false, errors.New("--to: the name is empty; name a folder, a file, or - for standard output")
	}
	if f.to == "-" {
		return false, nil
	}
	info, err := os.Stat(f.to)
	switch {
	case err == nil:
		if !info.IsDir() && strings.HasSuffix(f.to, "/") {
			return false, fmt.Errorf("--to %s: is not a folder", f.to)
		}
		return info.IsDir(), nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("--to %s: %w", f.to, bare(err))
	}
	return strings.HasSuffix(f.to, "/") || f.filter != "" && !format.Table(), nil
}

func (a *app) export(ctx context.Context, f *exportFlags, args []string, changed func(string) bool) (err error) {
	request, err := f.request(args, changed)
	if err != nil {
		return err
	}
	format := export.Format(request.GetFormat())
	folder, err := f.isFolder(format)
	if err != nil {
		return err
	}
	if f.to == "-" && format == export.TableParquet && isTerminal(a.rawOutput) {
		return errors.New("standard output is a terminal; name a file, or pipe the table somewhere")
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	run := &exporting{
		app: a, flags: f, request: request, legacy: pb.NewLegacyServiceClient(c.conn),
		patience: &patience{client: c, limit: f.patience, eager: changed("patience"), tell: a.teller(f.quiet)},
		bar:      a.newProgress(&presentation{quiet: f.quiet, noProgress: f.noProgress}),
	}
	run.bar.doing, run.bar.unit = "exporting", "files"
	run.bar.draws = run.bar.draws && (f.to == "-" || f.json || !isTerminal(a.rawOutput)) // not among the files' names
	if folder {
		err = run.intoFolder(ctx)
	} else {
		err = run.intoOne(ctx)
	}
	run.bar.clear()
	if !f.quiet && a.stdout.flush() == nil && (err == nil || folder && run.files > 0) {
		run.summarise()
	}
	return errors.Join(append(run.failures, err)...)
}

// intoFolder has every file written to the folder.
func (x *exporting) intoFolder(ctx context.Context) error {
	folder, err := openExportFolder(x.flags.to, x.request, x.flags.resume, x.flags.force)
	if err != nil {
		return err
	}
	for _, past := range folder.past {
		if past.Name != "" {
			x.resumed++
		}
		x.note(past.Failures)
	}
	if x.request.ResumeToken = folder.token; folder.token != "" && !x.flags.quiet {
		fmt.Fprintf(x.app.stderr, "going on behind %s\n", plural(x.resumed, "file"))
	}
	x.target = folder
	err = x.all(ctx)
	if err != nil && folder.noted > 0 && !x.flags.quiet {
		fmt.Fprintln(x.app.stderr, "the same command goes on here with --resume")
	}
	return errors.Join(err, folder.close(err == nil))
}

// intoOne has the one file written to --to.
func (x *exporting) intoOne(ctx context.Context) error {
	to := x.flags.to
	if err := x.checkOne(ctx); err != nil {
		return err
	}
	if to == "-" {
		err := x.fill(ctx, x.app.stdout)
		if x.app.stdout.err != nil {
			return nil // run reports it, as it does of every command
		}
		return err
	}
	if info, err := os.Stat(to); err == nil && info.Mode().IsRegular() && !x.flags.force {
		return fmt.Errorf("%s: is there already; --force replaces it", to)
	}
	target, err := newPlace("export", to, nil)
	if err != nil {
		return err
	}
	return target.write(ctx, func(w io.Writer) error { return x.fill(ctx, w) })
}

// fill has the one file written to w.
func (x *exporting) fill(ctx context.Context, w io.Writer) error {
	one := &exportOne{w: w, name: x.flags.to}
	x.target = one
	if err := x.all(ctx); err != nil {
		return err
	}
	if !one.ended {
		return errNothingExported
	}
	return nil
}

// errNothingExported is why there is no file where one was wanted.
var errNothingExported = errors.New("there is nothing to write")

// checkOne requires that a measurement that is named comes to one file, before a part of it is written.
func (x *exporting) checkOne(ctx context.Context) error {
	if x.request.GetName() == "" || x.request.GetRendition() != "" || export.Format(x.request.GetFormat()).Table() {
		return nil
	}
	m, err := x.patience.get(ctx, x.request.GetName())
	if err != nil {
		return err
	}
	var names []string
	for _, d := range m.GetRenditions() {
		names = append(names, printable(d.GetName()))
	}
	if len(names) > 1 {
		return fmt.Errorf("measurement %s has %d renditions, and each has a file of its own: choose one with --rendition, or name a folder; there are %s",
			shortName(m.GetName()), len(names), strings.Join(names, ", "))
	}
	return nil
}
