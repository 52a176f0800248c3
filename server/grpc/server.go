package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
)

// Config says what a [Server] serves and how. Workflow, Store and Auth are required; zero values of the rest are defaults.
type Config struct {
	Workflow Workflow
	Store    Store
	Auth     *auth.Auth
	Roots    auth.Roots
	TLS      *tls.Config // nil: connections are not encrypted
	Limits   Limits
	Folders  func() []*pb.WatchFolder // how far the work on watched folders is; nil: none is watched
	Version  string                   // of the program
	Commit   string                   // it was built from

	Logger         *slog.Logger          // nil: slog.Default()
	Registerer     prometheus.Registerer // nil: metrics are counted and not shown
	TracerProvider trace.TracerProvider  // nil: none
	Now            func() time.Time      // nil: time.Now
}

func (c *Config) validate() (err error) {
	if c.Workflow == nil || c.Store == nil || c.Auth == nil {
		err = errors.New("the gRPC server needs a workflow, a store and an authority")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	var limits error
	c.Limits, limits = c.Limits.withDefaults()
	return errors.Join(err, limits)
}

// Server serves the API. Make one with [New].
type Server struct {
	cfg       Config
	log       *slog.Logger
	grpc      *grpc.Server
	health    *health.Server
	validator protovalidate.Validator
	accounts  *accounts
	strangers *rate.Limiter // how often calls without credentials are worth a warning
	durations *prometheus.HistogramVec
	imports   chan struct{} // holds one of each ImportLegacy call at work
	started   time.Time

	closing context.Context // ends when the shutdown begins
	close   context.CancelFunc
}

// New makes a server that does not listen yet. Errors name every problem of the configuration.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Workflow = newGated(cfg.Workflow)
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("validation of requests: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, health: health.NewServer(), validator: validator, accounts: newAccounts(cfg.Limits), started: cfg.Now(),
		imports:   make(chan struct{}, cfg.Limits.ImportStreams),
		strangers: rate.NewLimiter(1, 60),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vqsd_rpc_duration_seconds", Help: "Time that calls took, streams from their beginning to their end.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}, []string{"method", "code"}),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(s.durations); err != nil {
			return nil, fmt.Errorf("metrics of calls: %w", err)
		}
	}
	s.grpc = grpc.NewServer(s.options()...)
	pb.RegisterQualityServiceServer(s.grpc, &quality{Server: s})
	pb.RegisterLegacyServiceServer(s.grpc, &legacyForms{Server: s})
	pb.RegisterAdminServiceServer(s.grpc, &admin{Server: s})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	if err := checkMethods(s.grpc.GetServiceInfo()); err != nil {
		return nil, err
	}
	s.SetServing(!cfg.Workflow.Draining())
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	l := s.cfg.Limits
	recover := recovery.WithRecoveryHandlerContext(recovered)
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.observeUnary, recovery.UnaryServerInterceptor(recover), s.admitUnary),
		grpc.ChainStreamInterceptor(s.observeStream, recovery.StreamServerInterceptor(recover), s.admitStream),
		grpc.MaxRecvMsgSize(l.MessageBytes),
		grpc.MaxConcurrentStreams(uint32(l.Streams)),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(20 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: 30 * time.Second, Timeout: 20 * time.Second}),
	}
	if s.cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.cfg.TLS)))
	}
	if s.cfg.TracerProvider != nil {
		options = append(options, grpc.StatsHandler(otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(s.cfg.TracerProvider),
			otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
			otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		)))
	}
	return options
}

// Serve answers calls on a listener, until [Server.Shutdown]; then it returns nil. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(netutil.LimitListener(l, s.cfg.Limits.Connections))
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// SetServing says to health checks whether the daemon takes measurements. After Shutdown it has no effect.
func (s *Server) SetServing(on bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if on {
		state = healthpb.HealthCheckResponse_SERVING
	}
	for _, service := range []string{
		"", pb.QualityService_ServiceDesc.ServiceName, pb.LegacyService_ServiceDesc.ServiceName, pb.AdminService_ServiceDesc.ServiceName,
	} {
		s.health.SetServingStatus(service, state)
	}
}

// Shutdown says NOT_SERVING, takes no more calls, ends streams that have no end of their own with UNAVAILABLE, and waits for the other calls. When ctx ends
// first, it cuts them off and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop() // ends GracefulStop, too
		<-done
		return ctx.Err()
	}
}
