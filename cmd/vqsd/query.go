package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

const queryLong = `List the scores of a daemon's measurements, the newest first, or those that
match a filter: aggregates of renditions, of segments, or the figures of single
frames. More of them are read as they are printed, up to --limit.

` + filterHelp + `

With --json every line is a document (vqsd.score/1).`

// granularities are what scores can be of.
var granularities = []string{"aggregate", "segment", "frame"}

// queryFlags are the flags of query as they were given.
type queryFlags struct {
	listFlags
	granularity string
	segment     string
}

func (a *app) queryCommand() *cobra.Command {
	var f queryFlags
	c := &cobra.Command{
		Use:   "query [FILTER]",
		Short: "list scores of a daemon's measurements",
		Long:  queryLong,
		Example: `  vqsd query 'model = "vmaf_v0.6.1" AND pooling = "mean" AND score < 80' --order-by score
  vqsd query 'labels.title = "x" AND height = 720' --granularity segment --segment 2s
  vqsd query 'name = "measurements/01jd9k3v5q8x2m7n4p6r0s1t2w"' --granularity frame --limit 0 --json`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.query(cmd.Context(), &f, filterOf(args))
		},
	}
	c.Flags().StringVar(&f.granularity, "granularity", "aggregate", "`WHAT` a score is of: "+strings.Join(granularities, ", "))
	c.Flags().StringVar(&f.segment, "segment", "", "`LENGTH` of segments in frames, such as 250, or time, such as 2s (default what each measurement says)")
	f.define(c, []string{"create_time", "score"})
	completeFlag(c, "granularity", cobra.FixedCompletions(granularities, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// scoreDocument is a figure.
type scoreDocument struct {
	Schema       string   `json:"schema"` // scoreSchema
	Measurement  string   `json:"measurement"`
	Rendition    string   `json:"rendition"`
	Series       string   `json:"series"`
	Model        string   `json:"model"` // the name of the model whose score it is; "": a feature
	ModelVersion string   `json:"model_version"`
	Pooling      string   `json:"pooling"` // "": a frame's own
	Value        *float64 `json:"value"`   // null: not finite
	First        int64    `json:"first_frame"`
	End          int64    `json:"end_frame"`
}

func (a *app) query(ctx context.Context, f *queryFlags, filter string) (err error) {
	request, err := f.request(filter)
	if err != nil {
		return err
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	g := &grid{left: 5}
	if !f.json {
		g.add("measurement", "rendition", "model", "series", "pooling", "frames", "value")
	}
	for rows, err := range pages(&f.listFlags, func(size int32, token string) ([]*pb.ScoreRow, string, error) {
		request.PageSize, request.PageToken = size, token
		answer, err := c.QueryScores(ctx, request)
		return answer.GetRows(), answer.GetNextPageToken(), c.explain(ctx, err)
	}) {
		if err != nil {
			return err
		}
		for _, r := range rows {
			if f.json {
				if err := writeLine(a.stdout, scoreDocument{
					scoreSchema, r.GetMeasurement(), r.GetRendition(), r.GetSeries(), r.GetModel(), r.GetModelVersion(), r.GetPooling(), finite(r.GetValue()),
					r.GetFirstFrame(), r.GetEndFrame(),
				}); err != nil {
					return err
				}
				continue
			}
			frames := fmt.Sprintf("%d:%d", r.GetFirstFrame(), r.GetEndFrame())
			if r.GetPooling() == "" {
				frames = fmt.Sprint(r.GetFirstFrame())
			}
			g.add(shortName(r.GetMeasurement()), printable(r.GetRendition()), dash(r.GetModelVersion()), printable(r.GetSeries()), dash(r.GetPooling()),
				frames, fixed(r.GetValue()))
		}
		g.print(a.stdout)
		if err := a.stdout.flush(); err != nil {
			return err
		}
	}
	return nil
}

// request checks the flags.
func (f *queryFlags) request(filter string) (*pb.QueryScoresRequest, error) {
	errs := []error{f.check()}
	r := &pb.QueryScoresRequest{Filter: filter, OrderBy: f.orderBy}
	if !slices.Contains(granularities, f.granularity) {
		errs = append(errs, usagef("--granularity: unknown %q; use %s", f.granularity, strings.Join(granularities, ", ")))
	}
	r.Granularity = pb.Granularity(pb.Granularity_value["GRANULARITY_"+strings.ToUpper(f.granularity)])
	var err error
	if r.Segment, err = parseSegment(f.segment); err != nil {
		errs = append(errs, usagef("--segment %s: %w", f.segment, err))
	}
	if f.segment != "" && f.granularity != "segment" {
		errs = append(errs, usagef("--segment goes with --granularity segment"))
	}
	return r, errors.Join(errs...)
}

// dash is text for a table, where nothing is a dash.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}
