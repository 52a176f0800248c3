package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/vqsd/vqsd/server/auth"
)

// Config says what a [Server] serves. Auth, Gatherer and Ready are required; zero values of the rest are defaults.
type Config struct {
	Auth     *auth.Auth
	Gatherer prometheus.Gatherer
	// Ready says why the daemon would not take a measurement now; nil: it would. It is called with a context that ends after a few seconds.
	Ready   func(context.Context) error
	TLS     *tls.Config // nil: connections are not encrypted
	Pprof   bool        // serve profiles to those with the right admin
	Version string      // of the program
	API     string      // where the gRPC API is, for the page
	Logger  *slog.Logger
}

// What bounds a client. Profiles, which take as long as they are asked to, get that time on top.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	readyTimeout   = 3 * time.Second
	maxHeaderBytes = 16 << 10
	maxConnections = 256
)

// Server serves HTTP. Make one with [New].
type Server struct {
	cfg  Config
	log  *slog.Logger
	http *http.Server
}

// New makes a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Auth == nil || cfg.Gatherer == nil || cfg.Ready == nil {
		return nil, errors.New("the HTTP server needs an authority, metrics and a judge of readiness")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{cfg: cfg, log: cfg.Logger}
	s.http = &http.Server{
		Handler: s.Handler(), TLSConfig: cfg.TLS, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve answers on a listener, until [Server.Shutdown]; then it returns nil. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	l = netutil.LimitListener(l, maxConnections)
	var err error
	if s.cfg.TLS != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown takes no more requests and waits for those that are under way. When ctx ends first, it cuts them off and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// Handler is what answers requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.allow(auth.Read, promhttp.HandlerFor(s.cfg.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		// A store that does not answer must not hide how the rest is.
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: writeTimeout / 2,
	})))
	if s.cfg.Pprof {
		for path, handler := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
			"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
		} {
			mux.Handle("GET "+path, s.allow(auth.Admin, handler))
		}
	}
	mux.Handle("GET /{$}", s.allow(auth.Read, http.HandlerFunc(s.page)))
	return guarded(mux)
}

// guarded adds the headers that keep a browser from making more of an answer than it is.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

// caller tells who asks.
func (s *Server) caller(r *http.Request) (*auth.Caller, error) {
	token, _ := auth.Bearer(r.Header.Get("Authorization"))
	var certificate *x509.Certificate
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		certificate = r.TLS.VerifiedChains[0][0]
	}
	return s.cfg.Auth.Authenticate(token, certificate)
}

// allow lets those in who have a right.
func (s *Server) allow(right auth.Right, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.caller(r)
		switch {
		case err != nil:
			w.Header().Set("WWW-Authenticate", `Bearer realm="vqsd"`)
			say(w, http.StatusUnauthorized, auth.ErrUnauthenticated.Error())
		case !caller.May(right):
			say(w, http.StatusForbidden, fmt.Sprintf("this needs the right %q", right))
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// ready answers balancers, and tells those who may read what is the matter.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := s.cfg.Ready(ctx)
	if err == nil {
		say(w, http.StatusOK, "ready")
		return
	}
	text := "not ready"
	if caller, authErr := s.caller(r); authErr == nil && caller.May(auth.Read) {
		text += ": " + err.Error()
	}
	say(w, http.StatusServiceUnavailable, text)
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "vqsd %s measures video quality. Its API is gRPC (vqs.v1.QualityService), at %s.\n\n", s.cfg.Version, s.cfg.API)
	b.WriteString("/healthz   whether the process lives\n/readyz    whether it takes measurements\n/metrics   for Prometheus\n")
	if s.cfg.Pprof {
		b.WriteString("/debug/pprof/   profiles of the running process\n")
	}
	b.WriteString("\nTo measure:  vqsd measure --server " + s.cfg.API + " -r REFERENCE -d DISTORTED")
	say(w, http.StatusOK, b.String())
}

// say answers with plain text. That a client does not read it is its own loss.
func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}
