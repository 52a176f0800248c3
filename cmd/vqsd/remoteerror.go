package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// remoteError is a call that failed, as one line for people. It unwraps to the status.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

// explain makes an error of a call one that names the daemon, what is wrong, and what to do. When ctx has been cancelled it is its error.
func (c *client) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	return &remoteError{c.explanation(st), err}
}

func (c *client) explanation(st *status.Status) string {
	message := oneLine(st.Message())
	switch st.Code() {
	case codes.Unavailable:
		if !c.reached.Load() {
			return fmt.Sprintf("daemon at %s: cannot be reached: %s; is vqsd serve running there? --server names another", c.address, message)
		}
	case codes.DeadlineExceeded:
		if !c.reached.Load() {
			return fmt.Sprintf("daemon at %s: cannot be reached within %v", c.address, c.timeout)
		}
		return fmt.Sprintf("daemon at %s: no answer within %v; --timeout allows more", c.address, c.timeout)
	case codes.Unauthenticated:
		message += "; --token-file or $" + tokenEnvironment + " gives a token, --cert a certificate"
	case codes.Unimplemented:
		message = "does not know this call: it is of another version than this program (" + message + ")"
	}
	var fields, keys []string
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				fields = append(fields, v.GetField()+": "+oneLine(v.GetDescription()))
			}
		case *errdetails.QuotaFailure:
			for _, v := range d.GetViolations() {
				keys = append(keys, v.GetSubject())
			}
		}
	}
	if len(fields) > 0 {
		message = strings.Join(fields, "; ")
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == "" || strings.Contains(message, key) })
	if len(keys) > 0 {
		message += " (limit " + strings.Join(keys, ", ") + ")"
	}
	return fmt.Sprintf("daemon at %s: %s", c.address, message)
}

// oneLine is text without line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// isLimit says whether a call met the limit of the daemon's that its configuration calls key.
func isLimit(err error, key string) bool {
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.ResourceExhausted && slices.ContainsFunc(st.Details(), func(detail any) bool {
		quota, ok := detail.(*errdetails.QuotaFailure)
		return ok && slices.ContainsFunc(quota.GetViolations(), func(v *errdetails.QuotaFailure_Violation) bool { return v.GetSubject() == key })
	})
}

// isUnavailable says whether it may help to call again.
func isUnavailable(err error) bool { return status.Code(err) == codes.Unavailable }
