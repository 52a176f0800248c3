package grpc

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/vqsd/vqsd/server/auth"
)

// visit is one call on its way in and out.
type visit struct {
	method string
	begun  time.Time
	caller *auth.Caller // nil: not known yet
}

type visitKey struct{}

// observeUnary is outermost: it turns errors into statuses, logs and counts.
func (s *Server) observeUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	v := &visit{method: info.FullMethod, begun: s.cfg.Now()}
	resp, err := next(context.WithValue(ctx, visitKey{}, v), req)
	if err := s.leave(v, err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Server) observeStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	v := &visit{method: info.FullMethod, begun: s.cfg.Now()}
	ctx := context.WithValue(ss.Context(), visitKey{}, v)
	if methods[info.FullMethod].endless {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(s.closing, func() { cancel(errShutdown) })()
	}
	err := next(srv, &stream{ServerStream: ss, ctx: ctx})
	if err != nil && errors.Is(context.Cause(ctx), errShutdown) {
		err = errShutdown
	}
	return s.leave(v, err)
}

// leave ends a visit: what is returned is a status's error, or nil.
func (s *Server) leave(v *visit, err error) error {
	elapsed := s.cfg.Now().Sub(v.begun)
	st, reference := statusOf(err, newReference)
	code := st.Code()
	s.durations.WithLabelValues(strings.TrimPrefix(v.method, "/"), code.String()).Observe(elapsed.Seconds())
	level := slog.LevelInfo
	switch code {
	case codes.OK, codes.Canceled:
		level = slog.LevelDebug
	case codes.Internal:
		level = slog.LevelError
	case codes.ResourceExhausted, codes.Unavailable:
		level = slog.LevelWarn
	case codes.Unauthenticated:
		level = slog.LevelWarn
		if !s.strangers.Allow() {
			level = slog.LevelDebug // who has no credentials does not get to fill the disk either
		}
	}
	attrs := []slog.Attr{slog.String("method", v.method), slog.String("code", code.String()), slog.Duration("elapsed", elapsed)}
	if v.caller != nil {
		attrs = append(attrs, slog.String("caller", v.caller.String()))
	}
	if reference != "" {
		attrs = append(attrs, slog.String("reference", reference), slog.Any("err", err))
	}
	var p *panicked
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.log.LogAttrs(context.Background(), level, "call", attrs...)
	return st.Err()
}

// newReference names a line of the log.
func newReference() string {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "none" // crypto/rand does not fail; if it did, the line is found by its time
	}
	return hex.EncodeToString(b[:])
}

// panicked is a panic that was recovered.
type panicked struct {
	value any
	stack []byte
}

func (e *panicked) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered makes an error of a panic.
func recovered(_ context.Context, p any) error { return &panicked{p, debug.Stack()} }

// admit tells who calls, and whether he may, now.
func (s *Server) admit(ctx context.Context, full string) (context.Context, error) {
	m, known := methods[full]
	if !known {
		return ctx, errForbidden // New has made sure that this is not reached
	}
	if m.open {
		return ctx, nil
	}
	caller, err := s.cfg.Auth.Authenticate(credentialsOf(ctx))
	if err != nil {
		return ctx, err
	}
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		v.caller = caller
	}
	if m.right != "" && !caller.May(m.right) {
		return ctx, fmt.Errorf("%w: it needs the right %q", errForbidden, m.right)
	}
	if err := s.accounts.request(caller.Name); err != nil {
		return ctx, err
	}
	return auth.NewContext(ctx, caller), nil
}

// credentialsOf are the bearer token and the verified certificate of a call. A second authorization header, or one of another scheme, is as good as a wrong
// token.
func credentialsOf(ctx context.Context) (token string, certificate *x509.Certificate) {
	if headers := metadata.ValueFromIncomingContext(ctx, "authorization"); len(headers) > 0 {
		var ok bool
		if token, ok = auth.Bearer(headers[0]); !ok || len(headers) > 1 {
			token = "-"
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.VerifiedChains) > 0 {
			certificate = info.State.VerifiedChains[0][0]
		}
	}
	return token, certificate
}

func (s *Server) admitUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := s.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := s.validate(req); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) admitStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := s.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if m := methods[info.FullMethod]; m.endless {
		account := auth.FromContext(ctx).Name
		if m.open {
			account = openAccount
		}
		done, err := s.accounts.watch(account)
		if err != nil {
			return err
		}
		defer done()
	}
	return next(srv, &stream{ServerStream: ss, ctx: ctx, validate: s.validate})
}

// stream is a stream with another context, whose messages are validated.
type stream struct {
	grpc.ServerStream
	ctx      context.Context // lives as long as the stream does
	validate func(any) error // nil: none
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil || s.validate == nil {
		return err
	}
	return s.validate(m)
}

// invalid is a message that breaks the rules of its fields.
type invalid struct {
	fields []*errdetails.BadRequest_FieldViolation
}

func (e *invalid) Error() string { return fmt.Sprintf("%d bad fields", len(e.fields)) }

// validate checks the rules that the .proto files state. Error: *[invalid].
func (s *Server) validate(req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	err := s.validator.Validate(m)
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return err
	}
	list := &invalid{}
	for _, v := range bad.Violations {
		list.fields = append(list.fields, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
			Reason:      "BAD_VALUE",
		})
	}
	return list
}
