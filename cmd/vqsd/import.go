package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/export"
)

const importLong = `Bring files of other programs into a daemon's store: logs of libvmaf and of the
1.x tools, FFmpeg's stats files, and encode records. Each becomes a measurement
that can be queried, and scored anew where it has the features of a model. No
media are opened.

Of folders all files are taken whose names end in .xml, .json, .csv, .sub or .log,
however deep, and links to such files, but not to folders; a file that is named
itself always is. What a file is tells its content.

A log does not say what was compared. --reference, --distorted, --rendition and
the values of --label say it, with the parts of a file's path in braces: {name}
is the file's name without extension, {file} with it, {dir} the name of its
folder, {path} its path below the folder that was named, or as it was named
itself. --pattern, a regular expression (RE2), is matched against all of that
path; its named groups can stand in braces, too, and files that it does not match
are left out.

Importing a file again, with the same flags, finds the measurement of then: a
run that was cut short is begun anew and goes on where it was. A line tells of
each file. What could not be imported is listed at the end, and the exit status
is 1. With --json every line is a document (vqsd.import/1).`

// importFlags are the flags of import as they were given.
type importFlags struct {
	connectFlags
	reference  string
	distorted  string
	rendition  string
	pattern    string
	labels     []string
	format     string
	time       string
	dryRun     bool
	json       bool
	quiet      bool
	noProgress bool
}

// The words of --time.
const fileTime = "file"

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import {FILE | FOLDER}…",
		Short: "bring logs of other programs into a daemon's store",
		Long:  importLong,
		Example: `  vqsd import vmaf.xml --reference media:title.mov --distorted media:title_720p.mp4
  vqsd import logs --label campaign=2023 --time file
  vqsd import logs --pattern '(?P<title>[^/]+)/(?P<rung>[^/]+)\.json' \
      --reference 'media:{title}.mov' --rendition '{rung}' --label 'title={title}'
  vqsd import logs --dry-run --json | jq -r 'select(.failure) | .file'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name files or folders to import")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importFiles(cmd.Context(), &f, args)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.reference, "reference", "", "what was the reference: a `VIDEO` as measure has it, with placeholders")
	flags.StringVar(&f.distorted, "distorted", "", "what was the distorted video: a `VIDEO`, with placeholders")
	flags.StringVar(&f.rendition, "rendition", "", "what the rendition is called: a `NAME`, with placeholders (default the distorted video's, else {name})")
	flags.StringVar(&f.pattern, "pattern", "", "take files only whose path matches the regular `EXPRESSION`")
	flags.StringArrayVar(&f.labels, "label", nil, "a label of the measurements, `KEY=VALUE`, with placeholders; repeatable")
	flags.StringVar(&f.format, "format", "", "the `FORM` that all files have (default what each one's content tells)")
	flags.StringVar(&f.time, "time", "", "`WHEN` it was measured where a file does not say: file, when the file was written, or a time as 2026-01-31T12:00:00Z (default now)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would come of it, and store nothing")
	flags.BoolVar(&f.json, "json", false, "print JSON, one document a line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "nothing on standard error but errors")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress on standard error")
	f.define(c, defaultServer)
	completeFlag(c, "format", cobra.FixedCompletions(importForms(), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "time", cobra.FixedCompletions([]string{fileTime}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// importForms are the forms that can be imported.
func importForms() []string {
	var names []string
	for _, format := range export.Formats() {
		if format != export.HTML && !format.Table() {
			names = append(names, string(format))
		}
	}
	return names
}

// importDocument is what came of one file.
type importDocument struct {
	Schema      string   `json:"schema"` // importSchema
	File        string   `json:"file"`
	Format      string   `json:"format"`      // "": it was not told
	Generation  string   `json:"generation"`  // who may have written it
	Measurement string   `json:"measurement"` // "": it was not imported
	Rendition   string   `json:"rendition"`
	Frames      int64    `json:"frames"`  // listed ones
	Existed     bool     `json:"existed"` // it had been imported before
	Losses      []string `json:"losses"`  // what the file has and is not kept
	Failure     *failure `json:"failure"`
}

const importSchema = "vqsd.import/1"

// importPlan is the flags, checked.
type importPlan struct {
	reference, distorted, rendition template
	labels                          map[string]template
	pattern                         *regexp.Regexp // nil: all files
	format                          string
	measured                        time.Time // zero: see fileTimes
	fileTimes                       bool
	dryRun                          bool
}

// parse checks the flags.
func (f *importFlags) parse() (*importPlan, error) {
	p := &importPlan{labels: map[string]template{}, format: f.format, dryRun: f.dryRun}
	var errs []error
	known := slices.Clone(placeholders)
	if f.pattern != "" {
		var err error
		if p.pattern, err = regexp.Compile("^(?:" + f.pattern + ")$"); err != nil {
			errs = append(errs, fmt.Errorf("--pattern: %w", err))
		} else {
			for _, name := range p.pattern.SubexpNames() {
				if name != "" {
					known = append(known, name)
				}
			}
		}
	}
	parse := func(flag, text string) template {
		t, err := parseTemplate(text, known)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", flag, err))
		}
		return t
	}
	p.reference, p.distorted, p.rendition = parse("--reference", f.reference), parse("--distorted", f.distorted), parse("--rendition", f.rendition)
	labels, err := parseLabels(f.labels)
	errs = append(errs, err)
	for key, value := range labels {
		p.labels[key] = parse("--label "+key, value)
	}
	if forms := importForms(); f.format != "" && !slices.Contains(forms, f.format) {
		errs = append(errs, fmt.Errorf("--format %.40s: cannot be imported; there are %s", f.format, strings.Join(forms, ", ")))
	}
	switch f.time {
	case "":
	case fileTime:
		p.fileTimes = true
	default:
		if p.measured, err = time.Parse(time.RFC3339, f.time); err != nil {
			errs = append(errs, fmt.Errorf("--time %.40s: want %s, or a time such as 2026-01-31T12:00:00Z", f.time, fileTime))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &usageError{err}
	}
	return p, nil
}

// about is what to tell of a file.
func (p *importPlan) about(file *importedFile, modified time.Time) *pb.ImportFile {
	values := file.values(p.pattern)
	about := &pb.ImportFile{
		Name: strings.ToValidUTF8(file.path, "?"), Format: p.format, ValidateOnly: p.dryRun,
		Reference: p.reference.fill(values), Distorted: p.distorted.fill(values), Rendition: p.rendition.fill(values),
	}
	for key, value := range p.labels {
		if about.Labels == nil {
			about.Labels = map[string]string{}
		}
		about.Labels[key] = value.fill(values)
	}
	switch {
	case p.fileTimes:
		about.MeasureTime = timestamppb.New(modified)
	case !p.measured.IsZero():
		about.MeasureTime = timestamppb.New(p.measured)
	}
	return about
}

// What the daemon takes of a text, in bytes.
const (
	longestLabel     = 1024
	longestRendition = 1024
	longestURI       = 4096
)

var errTooLong = errors.New("is too long")

// checkAbout says what of a file's particulars is too long. A daemon would end the stream, and with it all other files.
func checkAbout(about *pb.ImportFile) error {
	var errs []error
	check := func(flag, text string, most int) {
		if len(text) > most {
			errs = append(errs, fmt.Errorf("%s %w: it comes to %d bytes, beginning with %.40q, and at most %d can be kept", flag, errTooLong, len(text), text, most))
		}
	}
	check("--reference", about.GetReference(), longestURI)
	check("--distorted", about.GetDistorted(), longestURI)
	check("--rendition", about.GetRendition(), longestRendition)
	check("its path", about.GetName(), longestURI)
	for _, key := range slices.Sorted(maps.Keys(about.GetLabels())) {
		check("--label "+key, about.GetLabels()[key], longestLabel)
	}
	return errors.Join(errs...)
}

func (a *app) importFiles(ctx context.Context, f *importFlags, args []string) (err error) {
	plan, err := f.parse()
	if err != nil {
		return err
	}
	files, err := findImports(args, plan.pattern)
	if err != nil {
		return err
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	run := &importing{app: a, flags: f, plan: plan, total: len(files), bar: a.newProgress(&presentation{quiet: f.quiet, noProgress: f.noProgress})}
	run.bar.doing, run.bar.unit = "importing", "files"
	err = run.all(ctx, c, files)
	run.bar.clear()
	if !f.quiet {
		done := "imported"
		if f.dryRun {
			done = "could be imported"
		}
		fmt.Fprintf(a.stderr, "%s %s, %d of them before, %d failed\n", plural(run.taken, "file"), done, run.existed, len(run.failures))
	}
	if remote := (*remoteError)(nil); errors.As(err, &remote) {
		err = fmt.Errorf("%w; the same command goes on where this one ended", err)
	}
	return errors.Join(append(run.failures, err)...)
}
