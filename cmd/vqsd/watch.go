package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/server/watch"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

const watchLong = `Measure what falls into a folder, until interrupted; or with --once, what is in
it, and end.

Files are measured when they are complete: their size and time have not changed
for --stable-for, or the file that --marker names is beside them, and they do
not have the name of a temporary file. What belongs together is told by
patterns, by manifests, or by folders:

  --reference 'masters/{title}.mov' --rendition 'out/{title}_{height}p.mp4'
        {NAME} stands for one or more characters other than /, and captures of
        one name have to be equal; {NAME:REGEXP} for what the expression
        matches; * and ? for characters of one folder's names, ** for folders.
  --by manifest
        files such as movie.vqsd.yaml beside the videos, in YAML or JSON:
            reference: master.mov
            renditions: [1080p.mp4, 720p.mp4]
            request: {models: [vmaf_v0.6.1], labels: {season: "2"}}
        and of each rendition path, name and labels, where more is to be said.
  --by folder
        each folder is a title: what --reference matches in it (default
        reference.*) is its reference, what --rendition matches (default *) are
        its renditions.

Reports are written beside the renditions, or below --to. What could not be
measured has a file NAME.vqsd-failed.txt beside it that says why; it is not
tried again until it is replaced. Started again, vqsd watch goes on where it
was: it keeps a store of its own for each folder (--data), and measures a file
again only when it was replaced.

It is a daemon for one folder; vqsd serve watches any number of them, with the
entries of "watch" in its configuration.`

// watchFlags are the flags of watch as they were given.
type watchFlags struct {
	configFlags
	folder                  watch.Folder
	by                      string
	stableFor               time.Duration
	noEvents                bool
	formats                 []string
	labels                  map[string]string
	afterSuccess, afterFail string
	once, json              bool
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch DIR",
		Short: "measure what falls into a folder",
		Long:  watchLong,
		Example: `  vqsd watch /srv/encodes --reference '{title}/master.mov' --rendition '{title}/{height}p.mp4'
  vqsd watch /srv/titles --by folder --model vmaf_v1.0.16_3d0h --feature psnr --to /srv/reports
  vqsd watch /srv/inbox --by manifest --marker .done --after move --move-to done
  vqsd watch . --reference '*_ref.y4m' --rendition '*_dis.y4m' --stable-for 0s --once`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one folder; there are %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(args[0], cmd.Flags().Changed, os.Environ())
			if err != nil {
				return err
			}
			endOrderly(cmd.Context())
			return a.watchFolder(cmd.Context(), cfg, &f)
		},
	}
	f.defineFlags(c)
	return c
}

func (f *watchFlags) defineFlags(c *cobra.Command) {
	flags, d := c.Flags(), &f.folder
	flags.SortFlags = false
	flags.StringVar(&f.by, "by", "", "tell `HOW` files belong together: pattern (default with --reference or --rendition), manifest (default without) or folder")
	flags.StringVar(&d.Pair.Reference, "reference", "", "`PATTERN` of references, as a path below the folder")
	flags.StringVar(&d.Pair.Rendition, "rendition", "", "`PATTERN` of renditions")
	flags.StringVar(&d.Pair.Manifest, "manifest", "", "`PATTERN` of manifests' names (default *.vqsd.yaml, *.vqsd.yml and *.vqsd.json)")

	flags.StringArrayVar(&d.Request.Models, "model", nil, "a `MODEL`, as in vqsd measure; repeatable (default: rules choose)")
	flags.StringArrayVar(&d.Request.Features, "feature", nil, "a feature extractor, as `NAME[:OPTION=VALUE...]`, beside those of the models; repeatable")
	flags.StringArrayVar(&d.Request.Presets, "preset", nil, "published test conditions, `NAME:VERSION` such as nflx_ctc:v1.0; repeatable")
	flags.StringVar(&d.Request.Class, "class", "", "service `CLASS` latency, throughput or background (default)")
	flags.StringToStringVar(&f.labels, "label", nil, "a label of the measurements, `KEY=VALUE`; repeatable")
	flags.StringVar(&d.Request.Pairing, "pairing", "", "`HOW` frames are paired: auto (default), index or timestamp")
	flags.BoolVar(&d.Request.Shortest, "shortest", false, "ignore frames of either side that have no counterpart")
	flags.IntVar(&d.Request.Subsample, "subsample", 0, "measure every `N`th pair only")
	flags.StringVar(&d.Request.Scale, "scale", "", "`FILTER` that scales renditions to the reference's size")
	flags.StringVar(&d.Request.BitDepth, "bit-depth", "", "compare at `DEPTH` bits at least: auto (default), native, 10, 12 or 16")
	flags.StringVar(&d.Request.OnDamage, "on-damage", "", "what a damaged picture leads to, `POLICY` strict (default) or conceal")
	flags.StringVar(&d.Request.RawVideo, "raw-video", "", "what headerless files hold: `WxH:PIXFMT[:FPS]`")

	flags.DurationVar(&f.stableFor, "stable-for", 0, "take a file whose size and time have not changed for `TIME` (default 10s, with --marker 0s)")
	flags.StringVar(&d.Ready.Marker, "marker", "", "take a file when there is one beside it with the `SUFFIX`, such as .done")
	flags.StringArrayVar(&d.Ready.Temporary, "temporary", nil, "a `SUFFIX` or PREFIX* of names that files have before they are complete; repeatable (default .part, .tmp and the like)")
	flags.DurationVar(&d.Interval, "interval", 0, "scan at `INTERVAL` (default 10s)")
	flags.BoolVar(&f.noEvents, "no-events", false, "scan at the interval only, whatever file events say")

	flags.StringSliceVar(&f.formats, "format", nil, "`FORMATS` of reports (default xml,record,html): "+formatNames(", ")+"; none for none")
	flags.StringVar(&d.Reports.To, "to", "", "write reports below `DIR` (default beside the renditions)")
	flags.StringVar(&d.Reports.Name, "report-name", "", "`NAME` of reports, without extension (default {file}.vmaf)")
	flags.StringVar(&f.afterSuccess, "after", "", "what to do with renditions that were measured: `WHAT` keep (default), move or delete")
	flags.StringVar(&f.afterFail, "after-failure", "", "what to do with those that could not be: `WHAT` keep (default) or move")
	flags.StringVar(&d.After.MoveTo, "move-to", "", "the `DIR` that --after move moves them to, relative to the folder or absolute")
	flags.IntVar(&d.After.Attempts, "attempts", 0, "try `N` times where the cause of a failure may go away (default 3)")
	flags.StringVar(&d.Name, "name", "", "`NAME` of the folder in labels and in the ledger (default its own)")
	flags.BoolVar(&f.once, "once", false, "end when all that is complete is measured; the exit status is 1 if something could not be")
	flags.BoolVar(&f.json, "json", false, "print a JSON document for each rendition, one a line")

	f.define(c, "data", "data", "DIR", "keep what was measured in `DIR` (default one for each folder below vqsd-watch in $XDG_DATA_HOME, else ~/.local/share)")
	f.define(c, "media-root", "media_roots", "[NAME=]DIR", "a media root the folder lies in (default the folder itself)")
	f.define(c, "listen", "listen", "HOST:PORT", "serve the gRPC API, too, at `HOST:PORT` (default a free port of 127.0.0.1)")
	f.define(c, "http-listen", "http.listen", "HOST:PORT", "serve metrics and health at `HOST:PORT` (default: not)")
	f.define(c, "workers", "workers.local", "N", "start `N` local workers (default 1), or one for each GPU if there are more")
	f.define(c, "rules", "rules", "FILE", "decide by the rules in `FILE` (default the built-in ones)")
	f.define(c, "device", "workers.device", "DEVICE", "`DEVICE` that computes: auto, cpu, cuda …")
	f.define(c, "log-level", "log.level", "LEVEL", "log `LEVEL` and what is more severe: debug, info, warn, error (default)")
	f.define(c, "log-format", "log.format", "FORMAT", "log as `FORMAT` text (default) or json")
	f.defineFile(c)
	completeConfigFlags(c)
	for flag, values := range map[string][]string{
		"by": {string(watch.ByPattern), string(watch.ByManifest), string(watch.ByFolder)}, "class": {"latency", "throughput", "background"},
		"after": {string(watch.Keep), string(watch.Move), string(watch.Delete)}, "after-failure": {string(watch.Keep), string(watch.Move)},
		"format": strings.Split(formatNames(" "), " "),
	} {
		completeFlag(c, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// formatNames lists the formats that a report may have.
func formatNames(separator string) string {
	var names []string
	for _, f := range export.Formats() {
		if !f.Table() {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, separator)
}

// config is the configuration of a daemon for the folder.
func (f *watchFlags) config(dir string, changed func(string) bool, environment []string) (*config, error) {
	d := &f.folder
	d.Path, d.Pair.By = dir, watch.PairBy(f.by)
	d.After.Success, d.After.Failure = watch.Disposal(f.afterSuccess), watch.Disposal(f.afterFail)
	d.Request.Labels = f.labels
	if changed("stable-for") {
		d.Ready.StableFor = &f.stableFor
	}
	if f.noEvents {
		d.Events = new(bool)
	}
	if changed("format") {
		d.Reports.Formats = f.formats
		if len(f.formats) == 1 && f.formats[0] == "none" {
			d.Reports.Formats = []string{}
		}
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, &runtimeError{err}
	}
	if err := d.Check(); err != nil {
		return nil, &usageError{err}
	}
	source := f.source(environment)
	// What this command has other defaults for than the daemon, before what was said.
	data, err := watchDataDir(absolute)
	if err != nil {
		return nil, &runtimeError{err}
	}
	source.defaults = func(c *config) {
		c.data, c.mediaRoots = data, []string{absolute}
		c.listen, c.http.listen = "127.0.0.1:0", ""
		c.log.level = "error" // what else is worth a line is told of the files
	}
	source.folder = d
	return source.read()
}

// watchDataDir is where the ledger and the figures of a watched folder are kept: outside of it, since it may be on a network file system, and apart from
// the daemon's, which one process at a time can have open.
func watchDataDir(absolute string) (string, error) {
	base, err := dataHome()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(absolute))
	return filepath.Join(base, "vqsd-watch", filepath.Base(absolute)+"-"+hex.EncodeToString(digest[:4])), nil
}

// watchFolder runs a daemon for the folder, and prints what comes of the files.
func (a *app) watchFolder(ctx context.Context, cfg *config, f *watchFlags) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &daemon{cfg: cfg, log: a.logger(cfg), say: a.stderr}
	d.tell = func(e watch.Event) {
		// Each event at once: it may be the last for hours.
		if err := errors.Join(a.tellOf(e, f.json), a.stdout.flush()); err != nil {
			cancel(fmt.Errorf("write standard output: %w", err))
		}
	}
	var ended sync.WaitGroup
	if f.once {
		d.watching = func(w *watch.Watcher) { ended.Go(func() { cancel(untilIdle(ctx, w)) }) }
	}
	err := d.serve(ctx)
	idle := errors.Is(context.Cause(ctx), errIdle)
	if cause := context.Cause(ctx); cause != nil && !idle && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	cancel(nil)
	ended.Wait()
	if err == nil && f.once && d.watcher != nil {
		status := d.watcher.Status()[0]
		if status.Incomplete > 0 {
			fmt.Fprintf(a.stderr, "vqsd: passed over, since it is not complete: %s\n", plural(int64(status.Incomplete), "file"))
		}
		err = onceError(ctx, status, idle)
	}
	return err
}

// errIdle ends a watch that has nothing left to do.
var errIdle = errors.New("all is measured")

const (
	// idleCheck is how often watch --once looks whether all is done.
	idleCheck = 100 * time.Millisecond
	// stuckAfter is how long something may be in its way, with nothing else getting done.
	stuckAfter = time.Minute
)

// untilIdle waits until a watcher has nothing left to do, which is errIdle, or gets no further; nil: ctx has ended.
func untilIdle(ctx context.Context, w *watch.Watcher) error {
	tick := time.NewTicker(idleCheck)
	defer tick.Stop()
	var last watch.FolderStatus
	var since time.Time // last is like it was then
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s := w.Status()[0]
			if s.Idle() {
				return errIdle
			}
			if since.IsZero() || s.Err == "" || s.Done != last.Done || s.Failed != last.Failed || s.Measuring != last.Measuring {
				last, since = s, now
			}
			if now.Sub(since) > stuckAfter {
				return fmt.Errorf("%s: %s", s.Path, s.Err)
			}
		}
	}
}

// onceError is what watch --once has not done.
func onceError(ctx context.Context, s watch.FolderStatus, idle bool) error {
	switch {
	case !idle:
		return ctx.Err() // interrupted
	case s.Failed > 0:
		return fmt.Errorf("%s could not be measured; each has a file beside it that says why", plural(int64(s.Failed), "file"))
	case s.Done == 0:
		return fmt.Errorf("%s: no rendition with a reference was found among %s; see vqsd watch --help for how they are paired", s.Path, plural(int64(s.Files), "file"))
	}
	return nil
}

const watchEventSchema = "vqsd.watch-event/1"

// watchEventDocument is what watch --json prints of an event.
type watchEventDocument struct {
	Schema      string        `json:"schema"` // watchEventSchema
	Time        string        `json:"time"`
	Kind        string        `json:"kind"` // submitted, done, failed, again or trouble
	Folder      string        `json:"folder"`
	Path        string        `json:"path"` // below the folder; "": the folder itself
	Title       string        `json:"title"`
	Measurement string        `json:"measurement"` // "": none
	Renditions  int           `json:"renditions"`  // of submitted
	Scores      []namedFigure `json:"scores"`      // of the models
	Reports     []string      `json:"reports"`     // files that were written
	MovedTo     string        `json:"moved_to"`    // "": where it was, or deleted
	Failure     *failure      `json:"failure"`
}

// tellOf prints an event.
func (a *app) tellOf(e watch.Event, asJSON bool) error {
	scores := []namedFigure{}
	for _, s := range e.Scores {
		if s.Model == "" {
			continue
		}
		var list figures
		for _, p := range s.Pooled {
			list = append(list, figure{string(p.Method), p.Value})
		}
		scores = append(scores, namedFigure{vmaf.Alias(s.Series), s.Model, list})
	}
	why := e.Failure
	if e.Err != nil {
		why = &store.Failure{Message: e.Err.Error()}
	}
	if why != nil {
		why = &store.Failure{Reason: why.Reason, Message: strings.ReplaceAll(why.Message, "\n", "; ")} // of several problems
	}
	if asJSON {
		d := watchEventDocument{
			Schema: watchEventSchema, Time: e.Time.UTC().Format(time.RFC3339Nano), Kind: string(e.Kind), Folder: e.Folder, Path: e.Path, Title: e.Title,
			Renditions: e.Renditions, Scores: scores, Reports: nonNil(e.Reports), MovedTo: e.MovedTo,
		}
		if e.Measurement != "" {
			d.Measurement = "measurements/" + string(e.Measurement)
		}
		if why != nil {
			d.Failure = &failure{string(why.Reason), why.Message}
		}
		return writeLine(a.stdout, d)
	}
	what := e.Path
	if what == "" {
		what = e.Folder
	}
	text := what + ": " + string(e.Kind)
	switch e.Kind {
	case watch.Submitted:
		text = fmt.Sprintf("%s: measuring %s", what, plural(int64(e.Renditions), "rendition"))
	case watch.Done:
		text = what + ": "
		for i, s := range scores {
			if i > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%s %s", s.Name, meanText(s.Pooled))
		}
		for i, r := range e.Reports {
			text += map[bool]string{true: " -> ", false: ", "}[i == 0] + r
		}
		if e.MovedTo != "" {
			text += "; moved to " + e.MovedTo
		}
	}
	if why != nil {
		text += ": " + why.Message
	}
	_, err := fmt.Fprintln(a.stdout, printable(text))
	return err
}

// meanText is the mean among figures, for people.
func meanText(list figures) string {
	for _, f := range list {
		if f.Name == string(vmaf.PoolMean) {
			return strconv.FormatFloat(f.Value, 'f', 3, 64)
		}
	}
	return "-"
}
