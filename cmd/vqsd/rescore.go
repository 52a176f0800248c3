package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

const rescoreLong = `Score what a daemon has stored with other models. No media are opened: a
measurement whose stored figures do not suffice is reported, and the others are
scored. Each success is a new measurement. With --validate-only the measurements
that could be scored are listed.

With --json every line is a document (vqsd.rescore/1), printed as it comes.`

// rescoreFlags are the flags of rescore as they were given.
type rescoreFlags struct {
	connectFlags
	filter       string
	models       []string
	pool         string
	labels       []string
	validateOnly bool
	json         bool
	quiet        bool
	noProgress   bool
}

func (a *app) rescoreCommand() *cobra.Command {
	var f rescoreFlags
	c := &cobra.Command{
		Use:   "rescore {NAME… | --filter FILTER} --model MODEL",
		Short: "score a daemon's stored figures with other models",
		Long:  rescoreLong,
		Example: `  vqsd rescore 01jd9k3v5q8x2m7n4p6r0s1t2w --model vmaf_v0.6.1neg
  vqsd rescore --filter 'model = "vmaf_v0.6.1"' --model vmaf_v0.6.1:enable_transform --label campaign=phone
  vqsd rescore --filter '*' --model path=own.json --validate-only`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMeasurements(&f.connectFlags, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rescore(cmd.Context(), &f, args, cmd.Flags().Changed)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.filter, "filter", "", "score all measurements that match `FILTER`, as vqsd list has it; * is all")
	flags.StringArrayVar(&f.models, "model", nil, "a `MODEL`, as measure has it; repeatable")
	flags.StringVar(&f.pool, "pool", "", "pooling methods, a `LIST` as measure has it (default as each measurement did)")
	flags.StringArrayVar(&f.labels, "label", nil, "a label of the new measurements beside those of the old, `KEY=VALUE`; repeatable")
	flags.BoolVar(&f.validateOnly, "validate-only", false, "say what would be scored, and store nothing")
	flags.BoolVar(&f.json, "json", false, "print JSON, one document a line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "nothing on standard error but errors")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress on standard error")
	f.define(c, defaultServer)
	if err := c.MarkFlagRequired("model"); err != nil {
		panic(err) // no such flag: a bug
	}
	completeFlag(c, "model", cobra.FixedCompletions(vmaf.BuiltinNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// rescoreDocument is what came of one measurement.
type rescoreDocument struct {
	Schema      string               `json:"schema"` // rescoreSchema
	Source      string               `json:"source"` // the measurement that was scored
	Measurement *measurementDocument `json:"measurement"`
	Failure     *failure             `json:"failure"`
}

// requests are the calls to make: one for each name, or one for the filter.
func (f *rescoreFlags) requests(args []string, changed func(string) bool) ([]*pb.RescoreQualityRequest, error) {
	var errs []error
	var names []string
	switch {
	case changed("filter") && len(args) > 0:
		errs = append(errs, errors.New("name measurements or give a --filter, not both"))
	case changed("filter") && f.filter == "":
		errs = append(errs, errors.New("--filter is empty; * is all measurements"))
	case changed("filter"):
	default:
		var err error
		if names, err = measurementNames(args); err != nil {
			errs = append(errs, err)
		}
	}
	measure := measureFlags{models: f.models, remoteFlags: remoteFlags{connectFlags: connectFlags{server: defaultServer}}}
	if slices.Contains(f.models, autoModel) {
		errs = append(errs, errors.New("--model auto is for measuring; name the model to score with"))
	}
	models, documents, err := measure.parseModels(func(string) bool { return true })
	errs = append(errs, err)
	if err == nil && len(models) > 0 {
		_, err = vmaf.NewPlan(models, nil)
		errs = append(errs, err)
	}
	output := outputFlags{pool: f.pool}
	var pools presentation
	errs = append(errs, output.parsePools(&pools))
	labels, err := parseLabels(f.labels)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		if fails := (*runtimeError)(nil); errors.As(err, &fails) {
			return nil, err
		}
		return nil, &usageError{err}
	}
	common := func() *pb.RescoreQualityRequest {
		r := &pb.RescoreQualityRequest{Labels: labels, ValidateOnly: f.validateOnly}
		for i, spec := range f.models {
			r.Models = append(r.Models, &pb.ModelSpec{Spec: spec, Document: documents[i]})
		}
		if f.pool != "" {
			for _, method := range pools.pools {
				r.Pools = append(r.Pools, string(method))
			}
		}
		return r
	}
	var requests []*pb.RescoreQualityRequest
	for _, name := range names {
		r := common()
		r.Which = &pb.RescoreQualityRequest_Name{Name: name}
		requests = append(requests, r)
	}
	if changed("filter") {
		r := common()
		r.Which = &pb.RescoreQualityRequest_Filter{Filter: f.filter}
		requests = append(requests, r)
	}
	return requests, nil
}

func (a *app) rescore(ctx context.Context, f *rescoreFlags, args []string, changed func(string) bool) (err error) {
	requests, err := f.requests(args, changed)
	if err != nil {
		return err
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	run := rescoring{app: a, flags: f, table: &grid{left: 4}, bar: a.newProgress(&presentation{quiet: f.quiet, noProgress: f.noProgress})}
	run.bar.doing, run.bar.unit = "scoring", "measurements"
	if !f.json && !f.validateOnly {
		header := []string{"source", "measurement", "rendition", "figure"}
		for _, p := range tablePools {
			header = append(header, string(p))
		}
		run.table.add(header...)
	}
	for _, r := range requests {
		if err = run.one(ctx, c, r); err == nil {
			continue
		}
		if ctx.Err() != nil || isUnavailable(err) || r.GetName() == "" {
			break // the others would fail alike
		}
		run.failures, err = append(run.failures, fmt.Errorf("%s: %w", shortName(r.GetName()), err)), nil
	}
	run.bar.clear()
	if !f.json && run.scored > 0 {
		run.table.print(a.stdout)
	}
	if !f.quiet && err == nil {
		done := "scored"
		if f.validateOnly {
			done = "could be scored"
		}
		fmt.Fprintf(a.stderr, "%s %s\n", plural(run.scored, "measurement"), done)
	}
	return errors.Join(append(run.failures, err)...)
}

// rescoring is one run of rescore.
type rescoring struct {
	app      *app
	flags    *rescoreFlags
	table    *grid
	bar      *progress
	scored   int64
	looked   int64 // of calls that have ended
	failures []error
}

// one makes a call and reads what comes of it.
func (r *rescoring) one(ctx context.Context, c *client, request *pb.RescoreQualityRequest) error {
	stream, err := c.RescoreQuality(ctx, request)
	if err != nil {
		return c.explain(ctx, err)
	}
	done := int64(0)
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			r.looked += max(done, 1)
			return nil
		}
		if err != nil {
			return c.explain(ctx, err)
		}
		done = answer.GetDone()
		r.bar.update(r.looked+done, -1)
		if answer.GetSource() == "" {
			continue
		}
		if err := r.take(answer); err != nil {
			return err
		}
	}
}

// take notes what came of one measurement.
func (r *rescoring) take(answer *pb.RescoreQualityResponse) error {
	if f := answer.GetFailure(); f != nil {
		r.failures = append(r.failures, fmt.Errorf("%s: %s", shortName(answer.GetSource()), oneLine(f.GetMessage())))
	} else {
		r.scored++
	}
	if r.flags.json {
		d := rescoreDocument{Schema: rescoreSchema, Source: answer.GetSource(), Failure: newFailure(answer.GetFailure())}
		if m := answer.GetMeasurement(); m != nil {
			d.Measurement = newMeasurementDocument(m)
		}
		return errors.Join(writeLine(r.app.stdout, d), r.app.stdout.flush())
	}
	if answer.GetFailure() != nil {
		return nil
	}
	if r.flags.validateOnly {
		r.table.add(shortName(answer.GetSource()))
		return nil
	}
	r.addRows(answer)
	return nil
}

func (r *rescoring) addRows(answer *pb.RescoreQualityResponse) {
	head := []string{shortName(answer.GetSource()), shortName(answer.GetMeasurement().GetName())}
	rows := 0
	for _, d := range answer.GetMeasurement().GetRenditions() {
		for _, score := range d.GetScores() {
			if score.GetModel() == "" || score.GetModel() != score.GetSeries() {
				continue // a feature, a member of a collection, or how sure it is
			}
			row := append(slices.Clone(head), printable(d.GetName()), printable(score.GetSeries()))
			for _, method := range tablePools {
				cell := "-"
				for _, p := range score.GetPooled() {
					if p.GetPooling() == string(method) {
						cell = fixed(p.GetValue())
					}
				}
				row = append(row, cell)
			}
			r.table.add(row...)
			head, rows = []string{"", ""}, rows+1
		}
	}
	if rows == 0 {
		r.table.add(head...)
	}
}
