package http

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vqsd/vqsd/server/auth"
)

const (
	readToken  = "read-token-0123456789"
	adminToken = "admin-token-0123456789"
	tokens     = `
tokens:
  - {name: reader, token: ` + readToken + `, rights: [read]}
  - {name: farm, token: measure-token-0123456789, rights: [measure]}
  - {name: root, token: ` + adminToken + `, rights: [admin]}
`
)

// newServer makes a server, with the tokens above or without any.
func newServer(t *testing.T, withTokens bool, change func(*Config)) *Server {
	t.Helper()
	var cfg auth.Config
	if withTokens {
		cfg.File = filepath.Join(t.TempDir(), "tokens.yaml")
		if err := os.WriteFile(cfg.File, []byte(tokens), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority, err := auth.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vqsd_test"}, func() float64 { return 7 }))
	c := Config{
		Auth: authority, Gatherer: registry, Ready: func(context.Context) error { return nil },
		Version: "1.2", API: "127.0.0.1:7330", Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s *Server, method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestWhoGetsWhat(t *testing.T) {
	notReady := func(c *Config) {
		c.Ready = func(context.Context) error { return errors.New("the store at /secret/path is full") }
	}
	pprof := func(c *Config) { c.Pprof = true }
	for name, row := range map[string]struct {
		tokens bool
		change func(*Config)
		method string // "": GET
		path   string
		token  string
		code   int
		says   string
		not    string
	}{
		"alive, nobody asks who":          {tokens: true, path: "/healthz", code: 200, says: "ok"},
		"ready, nobody asks who":          {tokens: true, path: "/readyz", code: 200, says: "ready"},
		"not ready, to nobody":            {tokens: true, change: notReady, path: "/readyz", code: 503, says: "not ready", not: "secret"},
		"not ready, to a reader":          {tokens: true, change: notReady, path: "/readyz", token: readToken, code: 503, says: "/secret/path is full"},
		"metrics without a token":         {tokens: true, path: "/metrics", code: 401, says: "credentials", not: "vqsd_test"},
		"metrics with a wrong token":      {tokens: true, path: "/metrics", token: "nonsense-nonsense-nonsense", code: 401, not: "vqsd_test"},
		"metrics without the right":       {tokens: true, path: "/metrics", token: "measure-token-0123456789", code: 403, says: `"read"`, not: "vqsd_test"},
		"metrics to a reader":             {tokens: true, path: "/metrics", token: readToken, code: 200, says: "vqsd_test 7"},
		"metrics where nobody is asked":   {path: "/metrics", code: 200, says: "vqsd_test 7"},
		"the page":                        {path: "/", code: 200, says: "--server 127.0.0.1:7330", not: "pprof"},
		"the page, with profiles":         {change: pprof, path: "/", code: 200, says: "/debug/pprof/"},
		"profiles, off":                   {path: "/debug/pprof/", code: 404},
		"profiles to a reader":            {tokens: true, change: pprof, path: "/debug/pprof/", token: readToken, code: 403},
		"profiles to an admin":            {tokens: true, change: pprof, path: "/debug/pprof/cmdline", token: adminToken, code: 200},
		"what is not there":               {path: "/metrics/x", code: 404},
		"a method that changes something": {method: "POST", path: "/metrics", code: 405},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, row.tokens, row.change)
			method := row.method
			if method == "" {
				method = "GET"
			}
			got := ask(s, method, row.path, row.token)
			if got.Code != row.code {
				t.Errorf("status %d, want %d: %s", got.Code, row.code, got.Body)
			}
			if !strings.Contains(got.Body.String(), row.says) || row.not != "" && strings.Contains(got.Body.String(), row.not) {
				t.Errorf("it says %q", got.Body)
			}
			if got.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("the headers are not guarded")
			}
		})
	}
}

func TestServeAndShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, false, func(c *Config) {
		c.Ready = func(context.Context) error {
			close(entered)
			<-leave
			return nil
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	answered := make(chan int, 1)
	go func() {
		answer, err := http.Get("http://" + l.Addr().String() + "/readyz")
		if err != nil {
			answered <- 0
			return
		}
		_ = answer.Body.Close() // nothing is read of it
		answered <- answer.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Shutdown(ctx)
	}()
	if err := <-served; err != nil { // it takes no more, while one is under way
		t.Error(err)
	}
	close(leave)
	if code := <-answered; code != 200 {
		t.Errorf("the request under way ended with %d", code)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOff(t *testing.T) {
	entered := make(chan struct{})
	s := newServer(t, false, func(c *Config) {
		c.Ready = func(ctx context.Context) error {
			close(entered)
			<-ctx.Done() // the connection is cut
			return ctx.Err()
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if answer, err := http.Get("http://" + l.Addr().String() + "/readyz"); err == nil {
			_ = answer.Body.Close() // nothing is read of it
		}
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-served
	<-asked
}

func TestHugeHeader(t *testing.T) {
	s := newServer(t, false, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Much", strings.Repeat("x", 64<<10))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", answer.StatusCode)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
}
