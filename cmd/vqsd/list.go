package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// filterHelp says what filters can be, to those who look at list and query.
const filterHelp = `Filters. Comparisons (=, !=, <, <=, >, >=, and ":" for has) of these fields,
joined by AND, OR and NOT and grouped by parentheses: name, state,
service_class, owner, create_time, finish_time, labels.KEY, reference.path,
reference.codec, reference.width, reference.height, reference.frame_rate; of any
rendition: rendition, path, codec, width, height, bit_depth, bit_rate,
frame_rate; and of any score: model, model_digest, series, pooling, score.
Comparisons of one rendition's and one score's fields have to hold of one and
the same.`

const listLong = `List the measurements of a daemon's, the newest first, or those that match a
filter, with the mean of each model's score. More of them are read as they are
printed, up to --limit.

` + filterHelp + `

With --json every line is a document (vqsd.measurement/1).`

// largestPage is how many measurements or scores are asked for at once.
const largestPage = 1000

// listFlags are the flags that list and query have in common.
type listFlags struct {
	connectFlags
	orderBy string
	limit   int
	json    bool
}

func (f *listFlags) define(c *cobra.Command, orders []string) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.orderBy, "order-by", "", "`FIELD` to sort by, "+strings.Join(orders, " or ")+", with \" desc\" behind it for descending\n(default \"create_time desc\")")
	flags.IntVarP(&f.limit, "limit", "n", 50, "print at most `N`; 0 is all")
	flags.BoolVar(&f.json, "json", false, "print JSON, one document a line")
	f.connectFlags.define(c, defaultServer)
	var both []string
	for _, order := range orders {
		both = append(both, order, order+" desc")
	}
	completeFlag(c, "order-by", cobra.FixedCompletions(both, cobra.ShellCompDirectiveNoFileComp))
}

// filterOf joins arguments: a filter that was not quoted is meant as well.
func filterOf(args []string) string { return strings.Join(args, " ") }

func (f *listFlags) check() error {
	if f.limit < 0 {
		return usagef("--limit %d: must not be negative; 0 is all", f.limit)
	}
	return nil
}

// pages reads page after page, until limit items have come or there are no more. read returns a page's items and the next page's token.
func pages[T any](f *listFlags, read func(size int32, token string) ([]T, string, error)) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		left, token := f.limit, ""
		for {
			size := largestPage
			if f.limit > 0 {
				size = min(size, left)
			}
			items, next, err := read(int32(size), token)
			if err != nil {
				yield(nil, err)
				return
			}
			if f.limit > 0 {
				items = items[:min(len(items), left)]
				left -= len(items)
			}
			if !yield(items, nil) || next == "" || f.limit > 0 && left == 0 {
				return
			}
			token = next
		}
	}
}

func (a *app) listCommand() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list [FILTER]",
		Short: "list a daemon's measurements",
		Long:  listLong,
		Example: `  vqsd list
  vqsd list 'state = RUNNING'
  vqsd list 'labels.title = "x" AND create_time > "2026-01-01T00:00:00Z"' --limit 0 --json`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd.Context(), &f, filterOf(args))
		},
	}
	f.define(c, []string{"create_time", "finish_time", "name"})
	return c
}

func (a *app) list(ctx context.Context, f *listFlags, filter string) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	g := &grid{left: 7}
	if !f.json {
		g.add("measurement", "state", "class", "created", "reference", "rendition", "figure", "mean")
	}
	for list, err := range pages(f, func(size int32, token string) ([]*pb.Measurement, string, error) {
		answer, err := c.ListMeasurements(ctx, &pb.ListMeasurementsRequest{Filter: filter, OrderBy: f.orderBy, PageSize: size, PageToken: token})
		return answer.GetMeasurements(), answer.GetNextPageToken(), c.explain(ctx, err)
	}) {
		if err != nil {
			return err
		}
		for _, m := range list {
			if f.json {
				if err := writeLine(a.stdout, newMeasurementDocument(m)); err != nil {
					return err
				}
				continue
			}
			addMeasurement(g, m)
		}
		g.print(a.stdout)
		if err := a.stdout.flush(); err != nil {
			return err
		}
	}
	return nil
}

// videoCell names a video in a table: by its file, or otherwise where an imported measurement has none.
func videoCell(uri, otherwise string) string {
	if uri == "" {
		return printable(otherwise)
	}
	return printable(path.Base(uri))
}

// addMeasurement adds the rows of a measurement: one for each score of each rendition.
func addMeasurement(g *grid, m *pb.Measurement) {
	d := newMeasurementDocument(m)
	first := []string{shortName(d.Name), d.State, d.Class, localTime(m.GetCreateTime()), videoCell(d.Reference, "-")}
	blank := make([]string, len(first))
	head := first
	for _, r := range d.Renditions {
		name := videoCell(r.Path, r.Name)
		rows := 0
		for _, score := range r.Scores {
			if score.Name != score.Model {
				continue // a member of a collection, or how sure it is
			}
			mean := "-"
			if i := slices.IndexFunc(score.Pooled, func(f figure) bool { return f.Name == "mean" }); i >= 0 {
				mean = fmt.Sprintf("%.6f", score.Pooled[i].Value)
			}
			g.add(append(slices.Clone(head), name, printable(score.Name), mean)...)
			head, name, rows = blank, "", rows+1
		}
		if rows == 0 {
			state := ""
			if r.State != d.State {
				state = r.State
			}
			g.add(append(slices.Clone(head), name, state)...)
			head = blank
		}
	}
	if len(d.Renditions) == 0 {
		g.add(first...)
	}
}
