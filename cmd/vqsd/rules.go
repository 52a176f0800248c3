package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow/rules"
)

const rulesLong = `Print the rules by which the daemon chooses models, size, scaling filter, chunk
length, pairing and class, and by which it refuses or warns: the built-in ones,
or those of a file once they have been checked.

The built-in ones are a start for a file of one's own:

  vqsd rules > rules.yaml`

const rulesTestLong = `Inspect videos and show which rules fire for them, what their conditions look
at, and what is decided. Nothing is measured. Options say what else the request
would name, since some rules depend on it and all give way to it.`

func (a *app) rulesCommand() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "rules",
		Short: "print, check and try the rules that choose models and more",
		Long:  rulesLong,
		Example: `  vqsd rules
  vqsd rules --rules rules.yaml --json
  vqsd rules check rules.yaml
  vqsd rules test -r reference.mp4 -d encode.mp4 --rules rules.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.rules(file, asJSON) },
	}
	c.Flags().SortFlags = false
	defineRules(c, &file)
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	c.AddCommand(a.rulesCheckCommand(), a.rulesTestCommand())
	return c
}

func defineRules(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "rules", "", "the rules in `FILE` (default the built-in ones)")
}

func (a *app) rulesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "check the rules in a file",
		Long: `Check the rules in a file. Every mistake is reported with its line, and the
status is 1 if there is one.`,
		Example: `  vqsd rules check rules.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("name one file; there are %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := readRules(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s, sha256 %s\n", printable(set.Name()), plural(int64(len(set.Rules())), "rule"), set.Digest())
			return nil
		},
	}
}

// readRules reads the rules in a file, or the built-in ones for "".
func readRules(path string) (set *rules.Set, err error) {
	if path == "" {
		return rules.Builtin(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(io.LimitReader(file, rules.MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return rules.Parse(path, text)
}

// rulesDocument is what rules --json prints.
type rulesDocument struct {
	Schema  string      `json:"schema"` // rulesSchema
	Program programInfo `json:"program"`
	Source  string      `json:"source"` // "builtin" or the file
	Digest  string      `json:"digest"` // SHA-256 of the text
	Rules   []ruleInfo  `json:"rules"`
}

type ruleInfo struct {
	Name string       `json:"name"`
	Doc  string       `json:"doc"` // "": nobody said why
	When string       `json:"when"`
	Then ruleSettings `json:"then"`
}

// ruleSettings are what a rule sets; members that it does not set are left out.
type ruleSettings struct {
	Models       []string `json:"models,omitempty"`
	AddModels    []string `json:"add_models,omitempty"`
	Features     []string `json:"features,omitempty"`
	Scale        string   `json:"scale,omitempty"`
	Geometry     string   `json:"geometry,omitempty"`
	BitDepth     string   `json:"bit_depth,omitempty"`
	Encoded      string   `json:"encoded,omitempty"`
	ChunkSeconds float64  `json:"chunk_seconds,omitempty"`
	ChunkFrames  int64    `json:"chunk_frames,omitempty"`
	Pairing      string   `json:"pairing,omitempty"`
	Class        string   `json:"class,omitempty"`
	Pools        []string `json:"pools,omitempty"`
	Refuse       string   `json:"refuse,omitempty"`
	Warn         string   `json:"warn,omitempty"`
}

func (a *app) rules(file string, asJSON bool) error {
	set, err := readRules(file)
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprint(a.stdout, set.YAML())
		return nil
	}
	d := rulesDocument{rulesSchema, program(), set.Name(), set.Digest(), []ruleInfo{}}
	for _, r := range set.Rules() {
		s := r.Then
		d.Rules = append(d.Rules, ruleInfo{r.Name, r.Doc, r.When, ruleSettings{
			s.Models, s.AddModels, s.Features, s.Scale, s.Geometry.String(), s.BitDepth, s.Encoded.String(), s.ChunkSeconds, s.ChunkFrames, s.Pairing, s.Class, s.Pools, s.Refuse, s.Warn,
		}})
	}
	return writeJSON(a.stdout, d)
}

// rulesTest is one run of rules test.
type rulesTest struct {
	reference string
	distorted []string
	rules     string
	class     string
	labels    []string
	models    []string
	limits    []string
	json      bool
}

func (a *app) rulesTestCommand() *cobra.Command {
	var t rulesTest
	c := &cobra.Command{
		Use:   "test",
		Short: "show which rules fire for some videos, and why",
		Long:  rulesTestLong,
		Example: `  vqsd rules test -r reference.mp4 -d encode.mp4
  vqsd rules test -r reference.mp4 -d 1080.mp4 -d 720.mp4 --rules rules.yaml --label team=live`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, limits, err := t.parse()
			if err != nil {
				return &usageError{err}
			}
			return a.rulesTest(cmd.Context(), &t, request, limits)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&t.reference, "reference", "r", "", "the reference `FILE`")
	flags.StringArrayVarP(&t.distorted, "distorted", "d", nil, "a distorted `FILE`; repeatable")
	defineRules(c, &t.rules)
	flags.StringVar(&t.class, "class", "", "the request names its `CLASS`: "+strings.Join(rules.ClassNames(), ", "))
	flags.StringArrayVar(&t.labels, "label", nil, "the request has the label `KEY=VALUE`; repeatable")
	flags.StringArrayVar(&t.models, "model", nil, "the request names `MODEL`, as in measure; repeatable")
	flags.BoolVar(&t.json, "json", false, "print a JSON document")
	defineLimits(c, &t.limits)
	for _, name := range []string{"reference", "distorted"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // no such flag: a bug
		}
	}
	for flag, values := range map[string][]string{"class": rules.ClassNames(), "model": vmaf.BuiltinNames()} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // no such flag, or declared twice: a bug
		}
	}
	return c
}

// parse checks the flags; all that are wrong are reported together.
func (t *rulesTest) parse() (rules.Request, decode.Limits, error) {
	request := rules.Request{ModelsAuto: len(t.models) == 0, Class: t.class, Labels: map[string]string{}}
	limits, err := parseLimits(t.limits)
	errs := []error{err}
	if request.Given.Class = t.class != ""; !request.Given.Class {
		request.Class = "throughput"
	} else if !slices.Contains(rules.ClassNames(), t.class) {
		errs = append(errs, fmt.Errorf("--class: %q is none of %s", t.class, strings.Join(rules.ClassNames(), ", ")))
	}
	for _, label := range t.labels {
		key, value, found := strings.Cut(label, "=")
		if _, twice := request.Labels[key]; !found || key == "" || twice {
			errs = append(errs, fmt.Errorf("--label %s: want KEY=VALUE, each key once", label))
		}
		request.Labels[key] = value
	}
	for _, spec := range t.models {
		isFile := errors.New("is a file") // which need not be there: rules see only that a model is named
		_, err := vmaf.ParseModel(spec, func(string) (io.ReadCloser, error) { return nil, isFile })
		if err != nil && !errors.Is(err, isFile) {
			errs = append(errs, fmt.Errorf("--model: %w", err))
		}
	}
	for _, path := range append([]string{t.reference}, t.distorted...) {
		if path == "" || path == "-" {
			errs = append(errs, fmt.Errorf("%q is no file; rules are tried on files", path))
		}
	}
	return request, limits, errors.Join(errs...)
}

// inspectFile is what is known of a video.
func inspectFile(ctx context.Context, path string, limits decode.Limits) (info decode.Info, err error) {
	video, err := decode.Open(ctx, decode.Input{Path: path}, decode.Config{Limits: limits})
	if err != nil {
		return decode.Info{}, err
	}
	return video.Info(), video.Close()
}

// ruleVideo is a video as rules see it.
func ruleVideo(i decode.Info) rules.Video {
	v := rules.Video{
		Path: i.Path, Container: i.Container, Codec: i.Codec, Profile: i.Profile,
		Width: i.Format.Width, Height: i.Format.Height, CodedWidth: i.CodedWidth, CodedHeight: i.CodedHeight,
		BitDepth: i.Format.BitsPerComponent, Subsampling: i.Format.Subsampling.String(), FullRange: i.Format.FullRange,
		VariableFrameRate: i.VariableRate, DurationSeconds: i.Duration.Seconds(), Frames: max(i.Frames, 0), BitRate: i.BitRate,
		Interlaced: i.Interlaced != "", Transfer: i.Color.Transfer, Primaries: i.Color.Primaries, ColorSpace: i.Color.Space,
	}
	if !i.FrameRate.IsZero() {
		v.FrameRate = i.FrameRate.Float()
	}
	return v
}

// rulesTest inspects, explains and decides. What cannot be decided is shown like the rest, and is an error.
func (a *app) rulesTest(ctx context.Context, t *rulesTest, request rules.Request, limits decode.Limits) error {
	set, err := readRules(t.rules)
	if err != nil {
		return err
	}
	var infos []decode.Info
	var videos []rules.Video
	for _, path := range append([]string{t.reference}, t.distorted...) {
		info, err := inspectFile(ctx, path, limits)
		if err != nil {
			return err
		}
		infos = append(infos, info)
		v := ruleVideo(info)
		v.FitsV1 = rules.FitsV1(decode.CommonFormat(infos[0].Format, info.Format))
		videos = append(videos, v)
	}
	request.Frames = videos[0].Frames
	explanations := set.Explain(videos[0], videos[1:], request)
	decision, decideErr := set.Decide(videos[0], videos[1:], request)
	if t.json {
		err = writeJSON(a.stdout, newRulesTestDocument(set, infos, explanations, decision, decideErr))
	} else {
		printExplanations(a.stdout, infos, explanations)
		printDecision(a.stdout, infos[1:], decision)
	}
	return errors.Join(err, decideErr)
}

// printExplanations says of every rendition and rule what became of it: + fired, - did not, ! could not be evaluated.
func printExplanations(w io.Writer, infos []decode.Info, explanations []rules.Explanation) {
	fmt.Fprintf(w, "reference  %s\n", printable(describe(newVideoInfo(infos[0]))))
	rendition := -1
	for _, e := range explanations {
		if e.Rendition != rendition {
			rendition = e.Rendition
			fmt.Fprintf(w, "\nrendition  %s\n", printable(describe(newVideoInfo(infos[1+rendition]))))
		}
		line := func(name, text string) { fmt.Fprintf(w, "      %-5s %s\n", name, printable(text)) }
		switch {
		case e.Err != nil:
			fmt.Fprintf(w, "  ! %s\n", e.Rule)
			line("error", e.Err.Error())
		case e.Fired:
			fmt.Fprintf(w, "  + %s\n", e.Rule)
			line("sets", e.Settings)
		default:
			fmt.Fprintf(w, "  - %s\n", e.Rule)
		}
		line("when", strings.Join(strings.Fields(e.When), " "))
		var facts []string
		for _, f := range e.Facts {
			facts = append(facts, f.Name+" is "+f.Value)
		}
		if len(facts) > 0 {
			line("since", strings.Join(facts, ", "))
		}
		if e.Fired && e.Doc != "" {
			line("why", e.Doc)
		}
	}
}

// printDecision prints what was decided, each with its rule; nothing where it could not be.
func printDecision(w io.Writer, infos []decode.Info, d *rules.Decision) {
	if d == nil {
		return
	}
	fmt.Fprintln(w, "\ndecided")
	g := &grid{left: 3}
	add := func(name string, list ...rules.Choice[string]) {
		for _, c := range list {
			if c.IsSet() {
				g.add("  "+name, printable(c.Value), "by "+c.Rule)
			}
		}
	}
	add("model", d.Models...)
	add("feature", d.Features...)
	add("pool", d.Pools...)
	add("bit depth", d.BitDepth)
	if c := d.ChunkFrames; c.IsSet() {
		g.add("  chunk", plural(c.Value, "frame"), "by "+c.Rule)
	}
	add("pairing", d.Pairing)
	add("class", d.Class)
	for k, r := range d.Renditions {
		name := printable(filepath.Base(infos[k].Path))
		add(name+" scale", r.Scale)
		add(name+" geometry", rules.Choice[string]{Value: r.Geometry.Value.String(), Rule: r.Geometry.Rule})
		add(name+" encoded", rules.Choice[string]{Value: r.Encoded.Value.String(), Rule: r.Encoded.Rule})
		add(name+" refused", r.Refusals...)
	}
	if len(g.rows) == 0 {
		g.add("  nothing")
	}
	g.print(w)
	for _, warning := range d.Warnings {
		var names []string
		for _, k := range warning.Renditions {
			names = append(names, printable(filepath.Base(infos[k].Path)))
		}
		fmt.Fprintf(w, "\nwarning by %s for %s\n  %s\n", warning.Rule, strings.Join(names, ", "), printable(warning.Text))
	}
}
