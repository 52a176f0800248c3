package grpc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

func (q *quality) QueryScores(ctx context.Context, req *pb.QueryScoresRequest) (*pb.QueryScoresResponse, error) {
	orders := scoreOrders
	aggregate := req.GetGranularity() == pb.Granularity_GRANULARITY_UNSPECIFIED || req.GetGranularity() == pb.Granularity_GRANULARITY_AGGREGATE
	if !aggregate {
		orders = []string{"create_time"}
	}
	query, err := q.query(auth.FromContext(ctx), req.GetFilter(), req.GetOrderBy(), orders)
	if req.GetSegment() != nil && req.GetGranularity() != pb.Granularity_GRANULARITY_SEGMENT {
		err = errors.Join(err, &workflow.FieldError{Field: "segment", Err: errors.New("it goes with GRANULARITY_SEGMENT only")})
	}
	length, segmentErr := segmentFromProto(req.GetSegment())
	if segmentErr != nil {
		err = errors.Join(err, &workflow.FieldError{Field: "segment", Err: segmentErr})
	}
	if err != nil {
		return nil, err
	}
	query.Granularity = store.Scores
	if aggregate {
		query.PageSize = pageSize(req.GetPageSize())
		query.PageToken = req.GetPageToken()
		page, err := q.cfg.Store.Query(ctx, query)
		if err != nil {
			return nil, err
		}
		resp := &pb.QueryScoresResponse{NextPageToken: page.NextPageToken}
		for _, row := range page.Rows {
			d := row.Measurement.Renditions[row.Rendition]
			resp.Rows = append(resp.Rows, scoreRow(row, row.Pooling, row.Value, d.First, d.End))
		}
		return resp, nil
	}
	digest, err := digestOf(req)
	if err != nil {
		return nil, err
	}
	at, err := parseCursor(req.GetPageToken(), digest)
	if err != nil {
		return nil, err
	}
	x := &expansion{workflow: q.cfg.Workflow, length: length, frames: req.GetGranularity() == pb.Granularity_GRANULARITY_FRAME}
	rows, next, err := x.page(ctx, q.cfg.Store, query, at, pageSize(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	resp := &pb.QueryScoresResponse{Rows: rows}
	if next != nil {
		if resp.NextPageToken, err = next.encode(digest); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// scoreRow is one figure of a row's series.
func scoreRow(row store.Row, pooling vmaf.PoolMethod, value float64, first, end int64) *pb.ScoreRow {
	m := row.Measurement
	out := &pb.ScoreRow{
		Measurement: nameOf(m.ID), Rendition: m.Renditions[row.Rendition].Name, Series: vmaf.Alias(row.Series), Model: row.Model,
		Pooling: string(pooling), Value: value, FirstFrame: first, EndFrame: end,
	}
	if m.Plan != nil && row.Model != "" {
		if i := slices.IndexFunc(m.Plan.Models, func(model store.Model) bool { return model.Name == row.Model }); i >= 0 {
			out.ModelVersion = m.Plan.Models[i].Version
		}
	}
	return out
}

const (
	// expandRows is how many aggregates are read at a time to be expanded.
	expandRows = 32
	// expandPages is after how many reads a page is sent though it is not full: figures may have been cleaned away, and then nothing comes of
	// an aggregate.
	expandPages = 64
)

// expansion makes rows of segments or frames out of rows of aggregates.
type expansion struct {
	workflow Workflow
	length   workflow.SegmentLength
	frames   bool

	// What was looked at last: the rows of one rendition follow each other.
	of       rowKey
	segments []workflow.SegmentScore
	table    *workflow.Frames
	missing  bool // its figures are not stored any more
}

// rowKey tells rows of aggregates apart; without a pooling, series.
type rowKey struct {
	Measurement store.MeasurementID `json:"m,omitempty"`
	Rendition   int                 `json:"r,omitempty"`
	Series      string              `json:"s,omitempty"`
	Pooling     vmaf.PoolMethod     `json:"p,omitempty"`
}

func (x *expansion) keyOf(row store.Row) rowKey {
	k := rowKey{row.Measurement.ID, row.Rendition, row.Series, row.Pooling}
	if x.frames {
		k.Pooling = "" // a frame's own figure is not pooled: all rows of a series have the same frames
	}
	return k
}

// cursor is a place between two rows. The zero value is before the first one.
type cursor struct {
	Page   string `json:"t,omitempty"` // the store's token of the page of aggregates
	Row    int    `json:"i,omitempty"` // in that page
	Key    rowKey `json:"k,omitzero"`  // of that row, to find it again if others were deleted
	Offset int64  `json:"o,omitempty"` // segments or frames of the row that are behind
	Last   rowKey `json:"l,omitzero"`  // of the row before
}

// page collects up to size rows from a place on. next is where to go on; nil at the end.
func (x *expansion) page(ctx context.Context, from Store, query store.Query, at cursor, size int) (rows []*pb.ScoreRow, next *cursor, err error) {
	query.PageSize = expandRows
	for range expandPages {
		query.PageToken = at.Page
		page, err := from.Query(ctx, query)
		if err != nil {
			return nil, nil, err
		}
		at.find(x, page.Rows)
		for ; at.Row < len(page.Rows); at.Row++ {
			row := page.Rows[at.Row]
			at.Key = x.keyOf(row)
			if x.frames && at.Key == at.Last {
				continue
			}
			more, offset, err := x.expand(ctx, row, at.Offset, size-len(rows))
			if err != nil {
				return nil, nil, err
			}
			rows = append(rows, more...)
			if offset >= 0 {
				at.Offset = offset
				return rows, &at, nil
			}
			at.Offset, at.Last = 0, at.Key
		}
		if page.NextPageToken == "" {
			return rows, nil, nil
		}
		at = cursor{Page: page.NextPageToken, Last: at.Last}
		if len(rows) >= size {
			break
		}
	}
	return rows, &at, nil
}

// find goes to the row that the cursor was at, if it is still in the page; else to the one that took its place.
func (c *cursor) find(x *expansion, rows []store.Row) {
	if c.Key == (rowKey{}) {
		return
	}
	for i, row := range rows {
		if x.keyOf(row) == c.Key {
			if c.Row < len(rows) && x.keyOf(rows[c.Row]) == c.Key {
				i = c.Row
			}
			c.Row = i
			return
		}
	}
	c.Offset = 0
}

// expand makes at most n rows of one row of aggregates, from an offset on. The offset that it returns is where to go on; −1 when all are made.
func (x *expansion) expand(ctx context.Context, row store.Row, from int64, n int) (rows []*pb.ScoreRow, offset int64, err error) {
	if err := x.load(ctx, row); err != nil {
		return nil, 0, err
	}
	switch {
	case x.missing:
		return nil, -1, nil
	case x.frames:
		column, ok := x.table.Table.Column(row.Series)
		if !ok {
			return nil, -1, nil
		}
		for at := from; at < int64(x.table.Table.Frames); at++ {
			v, ok := column.At(int(at))
			if !ok {
				continue
			}
			if len(rows) >= n {
				return rows, at, nil
			}
			first := x.table.First + at
			rows = append(rows, scoreRow(row, "", v, first, first+1))
		}
	default:
		for at := from; at < int64(len(x.segments)); at++ {
			s := &x.segments[at]
			v, ok := pooledOf(s.Scores, row)
			if !ok {
				continue
			}
			if len(rows) >= n {
				return rows, at, nil
			}
			rows = append(rows, scoreRow(row, row.Pooling, v, s.First, s.End))
		}
	}
	return rows, -1, nil
}

// load has the figures of a row's rendition at hand.
func (x *expansion) load(ctx context.Context, row store.Row) (err error) {
	of := rowKey{Measurement: row.Measurement.ID, Rendition: row.Rendition}
	if x.of == of {
		return nil
	}
	x.segments, x.table, x.missing = nil, nil, false
	if x.frames {
		x.table, err = x.workflow.Frames(ctx, of.Measurement, row.Measurement.Renditions[row.Rendition].Name)
	} else {
		x.segments, err = x.workflow.Segments(ctx, row.Measurement, row.Rendition, x.length)
	}
	if errors.Is(err, workflow.ErrNotStored) || errors.Is(err, store.ErrNotFound) {
		x.missing, err = true, nil // cleaned away, or deleted since it was read
	}
	if err == nil {
		x.of = of
	}
	return err
}

// pooledOf is the figure of a segment that belongs to a row.
func pooledOf(scores []store.Score, row store.Row) (float64, bool) {
	for _, s := range scores {
		if s.Model != row.Model || vmaf.Alias(s.Series) != vmaf.Alias(row.Series) {
			continue
		}
		for _, p := range s.Pooled {
			if p.Method == row.Pooling {
				return p.Value, true
			}
		}
	}
	return 0, false
}

// digestOf is a digest of all of a request but where its page begins and how long it is.
func digestOf(req *pb.QueryScoresRequest) ([32]byte, error) {
	same := proto.CloneOf(req)
	same.PageToken, same.PageSize = "", 0
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(same)
	if err != nil {
		return [32]byte{}, fmt.Errorf("digest of the query: %w", err)
	}
	return sha256.Sum256(body), nil
}

// sumBytes is how long the checksum in front of a page token is. It keeps tokens of another query out, and those that were cut or mistyped. It is no
// signature: nobody learns more by a token that he made than by the query itself, whose visibility is checked anew.
const sumBytes = 8

// encode makes a page token of a cursor.
func (c *cursor) encode(digest [32]byte) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(checksum(body, digest), body...)), nil
}

func checksum(body []byte, digest [32]byte) []byte {
	h := sha256.New()
	h.Write(digest[:])
	h.Write(body)
	return h.Sum(nil)[:sumBytes]
}

// parseCursor reads a page token; "" is the beginning. Error: errPageToken.
func parseCursor(token string, digest [32]byte) (cursor, error) {
	var c cursor
	if token == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < sumBytes {
		return c, errPageToken
	}
	sum, body := raw[:sumBytes], raw[sumBytes:]
	if binary.BigEndian.Uint64(sum) != binary.BigEndian.Uint64(checksum(body, digest)) {
		return c, errPageToken
	}
	if err := json.Unmarshal(body, &c); err != nil || c.Row < 0 || c.Offset < 0 {
		return cursor{}, errPageToken
	}
	return c, nil
}
