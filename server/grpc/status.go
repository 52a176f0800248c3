package grpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// domain is the one in ErrorInfo.
const domain = "vqsd"

// Errors of this package's own.
var (
	errForbidden = errors.New("the caller's rights do not include this call")
	errNoSuch    = errors.New("no such measurement")
	errStalled   = errors.New("the client has not read for too long")
	errShutdown  = errors.New("the daemon is shutting down")
	errEtag      = errors.New("the measurement has changed: read it again and use its etag")
	errBadMask   = errors.New("bad field mask")
	errPageToken = errors.New("bad page token: use the one of the page before, and leave the request's other fields as they were")
)

// row is one line of the table: errors that are err get this code.
type row struct {
	err     error
	code    codes.Code
	reason  string // of ErrorInfo
	message string // "": the error's own text, which is meant for the client
	key     string // of the configuration, for RESOURCE_EXHAUSTED
	field   string // of the request, for INVALID_ARGUMENT
	retry   time.Duration
}

// table turns errors into codes; the first line that fits counts. What fits none is INTERNAL. Types with data of their own
// (field errors, limits) are looked for before it.
var table = []row{
	{err: auth.ErrUnauthenticated, code: codes.Unauthenticated, reason: "UNAUTHENTICATED", message: auth.ErrUnauthenticated.Error()},
	{err: errForbidden, code: codes.PermissionDenied, reason: "RIGHT_MISSING"},
	{err: auth.ErrOutside, code: codes.PermissionDenied, reason: "MEDIA_ROOT"},
	{err: errNoSuch, code: codes.NotFound, reason: "NO_SUCH_MEASUREMENT", message: errNoSuch.Error()},
	{err: store.ErrNotFound, code: codes.NotFound, reason: "NO_SUCH_MEASUREMENT", message: errNoSuch.Error()},
	{err: workflow.ErrNoRendition, code: codes.NotFound, reason: "NO_SUCH_RENDITION"},
	{err: workflow.ErrNoSeries, code: codes.InvalidArgument, reason: "BAD_FIELD", field: "series"},
	{err: errBadMask, code: codes.InvalidArgument, reason: "BAD_FIELD", field: "read_mask"},
	{err: errPageToken, code: codes.InvalidArgument, reason: "BAD_FIELD", field: "page_token", message: errPageToken.Error()},
	// Filters and orders have been checked by then: what is left that the store can object to is the token.
	{err: store.ErrQuery, code: codes.InvalidArgument, reason: "BAD_FIELD", field: "page_token", message: errPageToken.Error()},
	{err: store.ErrExists, code: codes.AlreadyExists, reason: "REQUEST_ID_REUSED", message: "request_id was used with another spec: use a new one"},
	{err: errEtag, code: codes.FailedPrecondition, reason: "ETAG_MISMATCH"},
	{err: store.ErrConflict, code: codes.FailedPrecondition, reason: "ETAG_MISMATCH", message: errEtag.Error()},
	{err: workflow.ErrState, code: codes.FailedPrecondition, reason: "WRONG_STATE"},
	{err: workflow.ErrNotStored, code: codes.FailedPrecondition, reason: "NOT_STORED"},
	{err: store.ErrFull, code: codes.ResourceExhausted, reason: "STORE_FULL", key: "store.min_free",
		message: "the disk that the store is on is full: nothing is taken until there is space above store.min_free"},
	{err: errStalled, code: codes.ResourceExhausted, reason: "STALLED_STREAM", key: "limits.stalled_stream"},
	{err: errSilent, code: codes.ResourceExhausted, reason: "STALLED_STREAM", key: "limits.stalled_stream"},
	{err: workflow.ErrDraining, code: codes.Unavailable, reason: "DRAINING", retry: 5 * time.Second},
	{err: errShutdown, code: codes.Unavailable, reason: "SHUTTING_DOWN", retry: time.Second},
	{err: store.ErrClosed, code: codes.Unavailable, reason: "SHUTTING_DOWN", message: errShutdown.Error(), retry: time.Second},
	{err: context.Canceled, code: codes.Canceled, message: "the caller has gone"},
	{err: context.DeadlineExceeded, code: codes.DeadlineExceeded, message: "the deadline has passed"},
}

// statusOf is the status that a client gets for an error. internal says that its text was kept from him: it belongs in the log, under the reference.
func statusOf(err error, reference func() string) (st *status.Status, internal string) {
	if err == nil {
		return nil, ""
	}
	var limit *workflow.LimitError
	var bad *invalid
	var fields []*errdetails.BadRequest_FieldViolation
	switch {
	case errors.As(err, &limit):
		return limited(limit), ""
	case errors.As(err, &bad):
		return badRequest(bad.fields), ""
	case collect(err, &fields) && len(fields) > 0:
		return badRequest(fields), ""
	}
	for i := range table {
		if errors.Is(err, table[i].err) {
			return table[i].status(err), ""
		}
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.Unknown {
		return st, "" // gRPC's own: a message too large, a method that is not there
	}
	internal = reference()
	return detailed(codes.Internal, fmt.Sprintf("internal error; the daemon's log has it under reference %s", internal),
		&errdetails.ErrorInfo{Reason: "INTERNAL", Domain: domain, Metadata: map[string]string{"reference": internal}}), internal
}

func (r *row) status(err error) *status.Status {
	message := r.message
	if message == "" {
		message = branch(err, r.err).Error()
	}
	var details []protoadapt.MessageV1
	if r.reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: r.reason, Domain: domain})
	}
	if r.field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: r.field, Description: message},
		}})
	}
	if r.key != "" {
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: r.key, Description: message}}})
	}
	if r.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(r.retry)})
	}
	return detailed(r.code, message, details...)
}

// branch is the first of joined errors that is target.
func branch(err, target error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error }) // the tree itself is looked at
		if !ok {
			return err
		}
		for _, e := range joined.Unwrap() {
			if errors.Is(e, target) {
				err = e
				break
			}
		}
	}
}

// limited is the status of a limit that was reached.
func limited(e *workflow.LimitError) *status.Status {
	message := e.Error()
	return detailed(codes.ResourceExhausted, message,
		&errdetails.ErrorInfo{Reason: "LIMIT", Domain: domain, Metadata: map[string]string{"key": e.Key, "max": fmt.Sprint(e.Max)}},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: e.Key, Description: message}}})
}

// badRequest is the status of bad fields.
func badRequest(fields []*errdetails.BadRequest_FieldViolation) *status.Status {
	message := fields[0].Field + ": " + fields[0].Description
	if n := len(fields) - 1; n > 0 {
		message = fmt.Sprintf("%s (and %d more)", message, n)
	}
	return detailed(codes.InvalidArgument, message,
		&errdetails.ErrorInfo{Reason: "BAD_FIELD", Domain: domain}, &errdetails.BadRequest{FieldViolations: fields})
}

// detailed is a status with details, or without them if they cannot be encoded, which only a defect could make so.
func detailed(code codes.Code, message string, details ...protoadapt.MessageV1) *status.Status {
	st := status.New(code, message)
	with, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return with
}

// collect gathers the field errors in a tree of joined errors. It returns false if there is an error of another kind beside them, which
// then decides the code.
func collect(err error, into *[]*errdetails.BadRequest_FieldViolation) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the tree itself is looked at
		all := true
		for _, e := range joined.Unwrap() {
			all = collect(e, into) && all
		}
		return all
	}
	var field *workflow.FieldError
	if !errors.As(err, &field) || errors.Is(err, auth.ErrOutside) {
		return false
	}
	if inner, ok := field.Err.(interface{ Unwrap() []error }); ok { // see above
		for _, e := range inner.Unwrap() {
			*into = append(*into, violation(field.Field, e))
		}
		return true
	}
	*into = append(*into, violation(field.Field, field.Err))
	return true
}

// violation is one bad field. A model, feature or method that nobody knows gets the names that are like it.
func violation(field string, err error) *errdetails.BadRequest_FieldViolation {
	v := &errdetails.BadRequest_FieldViolation{Field: field, Description: err.Error(), Reason: "BAD_VALUE"}
	switch {
	case errors.Is(err, vmaf.ErrUnknownModel):
		v.Reason = "UNKNOWN_MODEL"
	case errors.Is(err, vmaf.ErrUnknownFeature):
		v.Reason = "UNKNOWN_FEATURE"
	case errors.Is(err, vmaf.ErrUnknownOption):
		v.Reason = "UNKNOWN_OPTION"
	case errors.Is(err, vmaf.ErrUnknownPooling):
		v.Reason = "UNKNOWN_POOLING"
	case errors.Is(err, vmaf.ErrNotComputable):
		v.Reason = "NOT_COMPUTABLE"
	}
	return v
}
