package grpc

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/grpc"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

const (
	// pageFrames and pageBytes bound a message of GetFrameScores: flow control works in messages, and a reader holds one at least.
	pageFrames = 4096
	pageBytes  = 256 << 10
	// valueBytes is what a value takes on the wire at most: itself, and its number if it is absent.
	valueBytes = 8 + 3
)

func (q *quality) GetFrameScores(req *pb.GetFrameScoresRequest, stream grpc.ServerStreamingServer[pb.GetFrameScoresResponse]) error {
	ctx := stream.Context()
	m, err := q.visible(ctx, idOf(req.GetName()))
	if err != nil {
		return err
	}
	f, err := q.cfg.Workflow.Frames(ctx, m.ID, req.GetRendition())
	if err != nil {
		return err
	}
	columns, err := chooseSeries(f.Table, req.GetSeries())
	if err != nil {
		return err
	}
	first, end, err := frameRange(f, req.GetFirstFrame(), req.GetEndFrame())
	if err != nil {
		return err
	}
	seconds := f.Seconds
	if !req.GetTimes() {
		seconds = nil
	}
	out := newSender(stream, q.cfg.Limits)
	if err := out.send(&pb.GetFrameScoresResponse{Header: frameHeader(f, columns)}); err != nil {
		return err
	}
	per := framesPerPage(len(columns))
	for at := first; at < end; at += per {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := out.send(framePage(columns, seconds, at, min(at+per, end))); err != nil {
			return err
		}
	}
	return nil
}

// framesPerPage is how many frames of so many series fit a message.
func framesPerPage(series int) int64 {
	return int64(min(pageFrames, max(1, pageBytes/(valueBytes*(series+1)))))
}

// chooseSeries are the series that are named, in the order of the names; all without any. Errors: [workflow.ErrNoSeries].
func chooseSeries(t *vmaf.Table, names []string) ([]vmaf.Series, error) {
	if len(names) == 0 {
		return t.Series, nil
	}
	var list []vmaf.Series
	var errs []error
	for i, name := range names {
		c, ok := t.Column(name)
		if !ok {
			errs = append(errs, &workflow.FieldError{Field: fmt.Sprintf("series[%d]", i), Err: fmt.Errorf("%w: %q", workflow.ErrNoSeries, name)})
		}
		list = append(list, c)
	}
	return list, errors.Join(errs...)
}

// frameRange turns reference frames that are asked for into frames of the table, [first, end).
func frameRange(f *workflow.Frames, first, end int64) (int64, int64, error) {
	frames, field := int64(f.Table.Frames), "end_frame"
	if end == 0 {
		end, field = f.First+frames, "first_frame"
	}
	if first == 0 {
		first = f.First
	}
	if end <= first {
		return 0, 0, &workflow.FieldError{Field: field, Err: fmt.Errorf("range %d:%d is empty; reference frames %d:%d were compared", first, end, f.First, f.First+frames)}
	}
	return max(first-f.First, 0), min(end-f.First, frames), nil
}

func frameHeader(f *workflow.Frames, columns []vmaf.Series) *pb.FrameScoresHeader {
	h := &pb.FrameScoresHeader{
		Rendition: f.Name, FirstFrame: f.First, Frames: int64(f.Table.Frames), Subsample: int32(max(f.Table.Subsample, 1)),
		Width: int32(f.Table.Width), Height: int32(f.Table.Height), Times: f.Seconds != nil,
		Aggregates: aggregatesToProto(f.Table.Aggregates),
	}
	for _, c := range columns {
		h.Series = append(h.Series, c.Name)
		h.Aliases = append(h.Aliases, vmaf.Alias(c.Name))
	}
	return h
}

func aggregatesToProto(list []vmaf.Aggregate) []*pb.AggregateValue {
	var out []*pb.AggregateValue
	for _, a := range list {
		out = append(out, &pb.AggregateValue{Name: a.Name, Value: a.Value})
	}
	return out
}

// framePage is the message of frames [first, end) of the table.
func framePage(columns []vmaf.Series, seconds []float64, first, end int64) *pb.GetFrameScoresResponse {
	page := &pb.GetFrameScoresResponse{First: first}
	for _, c := range columns {
		values := &pb.FrameValues{}
		for at := first; at < end; at++ {
			v, ok := c.At(int(at))
			if !ok {
				v = math.NaN()
				values.Absent = append(values.Absent, int32(at-first))
			}
			values.Values = append(values.Values, v)
		}
		page.Series = append(page.Series, values)
	}
	if int64(len(seconds)) >= end {
		page.Seconds = seconds[first:end]
	}
	return page
}
