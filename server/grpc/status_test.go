package grpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// details is what a status carries, flattened.
type details struct {
	code   codes.Code
	reason string   // of ErrorInfo
	fields []string // of BadRequest
	quota  string   // of QuotaFailure: the configuration's key
	retry  bool     // RetryInfo is there
}

func detailsOf(t *testing.T, st *status.Status) details {
	t.Helper()
	d := details{code: st.Code()}
	for _, detail := range st.Details() {
		switch x := detail.(type) {
		case *errdetails.ErrorInfo:
			d.reason = x.GetReason()
			if x.GetDomain() != "vqsd" {
				t.Errorf("domain %q", x.GetDomain())
			}
		case *errdetails.BadRequest:
			for _, f := range x.GetFieldViolations() {
				d.fields = append(d.fields, f.GetField())
			}
		case *errdetails.QuotaFailure:
			d.quota = x.GetViolations()[0].GetSubject()
		case *errdetails.RetryInfo:
			d.retry = x.GetRetryDelay().AsDuration() > 0
		default:
			t.Errorf("an unexpected detail: %T", detail)
		}
	}
	return d
}

func (d details) equal(o details) bool {
	return d.code == o.code && d.reason == o.reason && slices.Equal(d.fields, o.fields) && d.quota == o.quota && d.retry == o.retry
}

func TestStatusTable(t *testing.T) {
	field := func(name string, err error) error { return &workflow.FieldError{Field: name, Err: err} }
	for _, row := range []struct {
		name    string
		err     error
		want    details
		message string // a part
	}{
		{"one bad field", field("spec.models[0].spec", fmt.Errorf("%w: %q", vmaf.ErrUnknownModel, "x")),
			details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"spec.models[0].spec"}}, `spec.models[0].spec: unknown model: "x"`},
		{"several, joined twice", errors.Join(field("a", errors.New("x")), errors.Join(field("b", errors.New("y")), field("c", errors.New("z")))),
			details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"a", "b", "c"}}, "a: x (and 2 more)"},
		{"several problems of one field", field("spec.pools", errors.Join(errors.New("x"), errors.New("y"))),
			details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"spec.pools", "spec.pools"}}, "spec.pools: x"},
		{"a page token", errPageToken, details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"page_token"}}, "bad page token"},
		{"a page token that the store refuses", fmt.Errorf("%w: secret", store.ErrQuery),
			details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"page_token"}}, "bad page token"},
		{"a mask", fmt.Errorf("%w: x", errBadMask), details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"read_mask"}}, "x"},
		{"a series", fmt.Errorf("%w: x", workflow.ErrNoSeries), details{code: codes.InvalidArgument, reason: "BAD_FIELD", fields: []string{"series"}}, "x"},
		{"no measurement", fmt.Errorf("measurement 01secret: %w", store.ErrNotFound), details{code: codes.NotFound, reason: "NO_SUCH_MEASUREMENT"}, "no such measurement"},
		{"one that the caller may not know of", errNoSuch, details{code: codes.NotFound, reason: "NO_SUCH_MEASUREMENT"}, "no such measurement"},
		{"no rendition", fmt.Errorf("%w: x", workflow.ErrNoRendition), details{code: codes.NotFound, reason: "NO_SUCH_RENDITION"}, "x"},
		{"no credentials", auth.ErrUnauthenticated, details{code: codes.Unauthenticated, reason: "UNAUTHENTICATED"}, "bearer token"},
		{"a right is missing", fmt.Errorf("%w: it needs x", errForbidden), details{code: codes.PermissionDenied, reason: "RIGHT_MISSING"}, "it needs x"},
		{"outside the media roots", errors.Join(field("a", errors.New("x")), field("spec.reference.uri", auth.ErrOutside)),
			details{code: codes.PermissionDenied, reason: "MEDIA_ROOT"}, "spec.reference.uri: not below a media root that you may use"},
		{"a request ID again", fmt.Errorf("%w: x", store.ErrExists), details{code: codes.AlreadyExists, reason: "REQUEST_ID_REUSED"}, "request_id"},
		{"a wrong state", fmt.Errorf("%w: the measurement is running", workflow.ErrState), details{code: codes.FailedPrecondition, reason: "WRONG_STATE"}, "is running"},
		{"an old etag", errEtag, details{code: codes.FailedPrecondition, reason: "ETAG_MISMATCH"}, "etag"},
		{"changed meanwhile", store.ErrConflict, details{code: codes.FailedPrecondition, reason: "ETAG_MISMATCH"}, "etag"},
		{"figures that are not there", fmt.Errorf("%w: vif", workflow.ErrNotStored), details{code: codes.FailedPrecondition, reason: "NOT_STORED"}, "vif"},
		{"a limit", fmt.Errorf("x: %w", &workflow.LimitError{Key: "limits.outstanding_measurements", Max: 5, What: "measurements"}),
			details{code: codes.ResourceExhausted, reason: "LIMIT", quota: "limits.outstanding_measurements"}, "limits.outstanding_measurements is 5"},
		{"a full disk", fmt.Errorf("/var/secret: %w", store.ErrFull), details{code: codes.ResourceExhausted, reason: "STORE_FULL", quota: "store.min_free"}, "store.min_free"},
		{"a reader that stands still", errStalled, details{code: codes.ResourceExhausted, reason: "STALLED_STREAM", quota: "limits.stalled_stream"}, "not read"},
		{"draining", workflow.ErrDraining, details{code: codes.Unavailable, reason: "DRAINING", retry: true}, "draining"},
		{"shutting down", errShutdown, details{code: codes.Unavailable, reason: "SHUTTING_DOWN", retry: true}, "shutting down"},
		{"a closed store", store.ErrClosed, details{code: codes.Unavailable, reason: "SHUTTING_DOWN", retry: true}, "shutting down"},
		{"the caller went", fmt.Errorf("x: %w", context.Canceled), details{code: codes.Canceled}, ""},
		{"too late", fmt.Errorf("x: %w", context.DeadlineExceeded), details{code: codes.DeadlineExceeded}, ""},
		{"gRPC's own", status.Error(codes.Unimplemented, "unknown method"), details{code: codes.Unimplemented}, "unknown method"},
		{"a defect", errors.New("open /var/lib/secret: token abc"), details{code: codes.Internal, reason: "INTERNAL"}, "reference ref-1"},
		{"a damaged store", fmt.Errorf("%w: key x", store.ErrCorrupt), details{code: codes.Internal, reason: "INTERNAL"}, "reference ref-1"},
		{"a bad field beside a defect", errors.Join(field("a", errors.New("x")), errors.New("secret")), details{code: codes.Internal, reason: "INTERNAL"}, "reference ref-1"},
		{"gRPC's Unknown", status.Error(codes.Unknown, "secret"), details{code: codes.Internal, reason: "INTERNAL"}, "reference ref-1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			st, reference := statusOf(row.err, func() string { return "ref-1" })
			if got := detailsOf(t, st); !got.equal(row.want) {
				t.Errorf("%v\ngot  %+v\nwant %+v", row.err, got, row.want)
			}
			if !strings.Contains(st.Message(), row.message) || strings.Contains(st.Message(), "secret") {
				t.Errorf("message %q, want %q in it and nothing secret", st.Message(), row.message)
			}
			if (reference != "") != (st.Code() == codes.Internal) {
				t.Errorf("code %v with reference %q", st.Code(), reference)
			}
		})
	}
	if st, reference := statusOf(nil, nil); st.Code() != codes.OK || reference != "" {
		t.Errorf("no error: %v, %q", st, reference)
	}
}

// TestStatusTableIsWhole: every line of the table has its row above.
func TestStatusTableIsWhole(t *testing.T) {
	for _, r := range table {
		st, _ := statusOf(r.err, func() string { return "" })
		if st.Code() != r.code {
			t.Errorf("%v: a line before takes it: %v, want %v", r.err, st.Code(), r.code)
		}
		if r.code == codes.Unavailable && r.retry == 0 {
			t.Errorf("%v: UNAVAILABLE without a time to try again", r.err)
		}
		if r.code == codes.ResourceExhausted && r.key == "" {
			t.Errorf("%v: RESOURCE_EXHAUSTED without the configuration's key", r.err)
		}
	}
}

func TestSuggestions(t *testing.T) {
	for name, want := range map[string]string{
		"vmaf_v0.6.2": "did you mean vmaf_v0.6.1", "vmaf_v061": "did you mean vmaf_v0.6.1", "something else entirely": "",
	} {
		_, err := vmaf.ParseModel(name, nil)
		got := withSuggestions(&workflow.FieldError{Field: "spec.models[0].spec", Err: err})
		if !errors.Is(got, vmaf.ErrUnknownModel) {
			t.Fatalf("%q: %v", name, got)
		}
		if found := strings.Contains(got.Error(), "did you mean"); found != (want != "") || !strings.Contains(got.Error(), want) {
			t.Errorf("%q: %v, want %q", name, got, want)
		}
	}
	_, err := vmaf.ParseExtraction("vfi")
	if got := withSuggestions(errors.Join(&workflow.FieldError{Field: "f", Err: err})); !strings.Contains(got.Error(), "did you mean vif") {
		t.Errorf("a feature: %v", got)
	}
	if got := withSuggestions(store.ErrFull); !errors.Is(got, store.ErrFull) {
		t.Errorf("another error became %v", got)
	}
}
