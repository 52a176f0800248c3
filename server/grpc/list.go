package grpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.einride.tech/aip/ordering"
	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/filter"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

const (
	defaultPage = 50
	largestPage = 1000
	// listBytes is about the largest answer of a list: gRPC clients refuse more than 4 MiB unless they are told otherwise.
	listBytes = 3 << 20
)

// pageSize is how many rows a page has.
func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPage
	}
	return min(int(asked), largestPage)
}

// What lists can be ordered by.
var (
	measurementOrders = []string{"create_time", "finish_time", "name"}
	scoreOrders       = []string{"create_time", "score"}
)

// query is the store's form of a list request, restricted to what the caller may know of.
func (s *Server) query(caller *auth.Caller, text, orderBy string, orders []string) (store.Query, error) {
	q := store.Query{Roots: caller.Roots, Owner: caller.Name}
	var errs []error
	var err error
	if q.Filter, err = filter.Parse(text); err != nil {
		errs = append(errs, &workflow.FieldError{Field: "filter", Err: err})
	}
	var order ordering.OrderBy
	switch err := order.UnmarshalString(orderBy); {
	case err != nil, len(order.Fields) > 1, len(order.Fields) == 1 && !slices.Contains(orders, order.Fields[0].Path):
		errs = append(errs, &workflow.FieldError{Field: "order_by", Err: fmt.Errorf(`%q is not one of %s, with " desc" behind it for descending`, orderBy, strings.Join(orders, ", "))})
	case len(order.Fields) == 1:
		q.Order = []store.OrderBy{{Field: store.Field(order.Fields[0].Path), Desc: order.Fields[0].Desc}}
	default:
		q.Order = []store.OrderBy{{Field: store.FieldCreateTime, Desc: true}}
	}
	return q, errors.Join(errs...)
}

func (q *quality) ListMeasurements(ctx context.Context, req *pb.ListMeasurementsRequest) (*pb.ListMeasurementsResponse, error) {
	query, err := q.query(auth.FromContext(ctx), req.GetFilter(), req.GetOrderBy(), measurementOrders)
	if err != nil {
		return nil, err
	}
	query.Granularity = store.Measurements
	query.PageToken = req.GetPageToken()
	query.PageSize = pageSize(req.GetPageSize())
	for {
		page, err := q.cfg.Store.Query(ctx, query)
		if err != nil {
			return nil, err
		}
		resp := &pb.ListMeasurementsResponse{NextPageToken: page.NextPageToken}
		for _, m := range page.Measurements {
			resp.Measurements = append(resp.Measurements, q.shown(q.cfg.Workflow.Describe(m), req.GetView(), basicView))
		}
		size := proto.Size(resp)
		if size <= listBytes || query.PageSize == 1 {
			return resp, nil
		}
		// Large measurements: fewer of them.
		query.PageSize = max(1, min(query.PageSize/2, int(int64(len(page.Measurements))*listBytes/int64(size))))
	}
}
