package queue

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// certificate makes one that is its own authority, for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vqsd test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestOnlyThoseWhoMayGetIn(t *testing.T) {
	cert, pool := certificate(t)
	mutual := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	for name, test := range map[string]struct {
		server ServerConfig
		client Config
		want   string // part of the error; "": gets in
	}{
		"with the token":              {ServerConfig{Token: "secret"}, Config{Token: "secret"}, ""},
		"with another token":          {ServerConfig{Token: "secret"}, Config{Token: "wrong"}, "refuses the credentials"},
		"without the token":           {ServerConfig{Token: "secret"}, Config{}, "refuses the credentials"},
		"with user and password":      {ServerConfig{User: "worker", Password: "secret"}, Config{User: "worker", Password: "secret"}, ""},
		"with another password":       {ServerConfig{User: "worker", Password: "secret"}, Config{User: "worker", Password: "wrong"}, "refuses the credentials"},
		"with the authority's TLS":    {ServerConfig{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, Config{TLS: &tls.Config{RootCAs: pool}}, ""},
		"with TLS of nobody we know":  {ServerConfig{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, Config{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, "certificate"},
		"with a client's certificate": {ServerConfig{TLS: mutual}, Config{TLS: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.server.Port = -1
			// What the server has to say of those it refuses is no failure here.
			test.client.Logger = quiet(t)
			s := startServer(t, test.server)
			test.client.URLs = []string{s.ClientURL()}
			c, err := Connect(deadline(t), test.client)
			if err == nil {
				defer func() { must(t, c.Close(context.Background())) }()
				must(t, c.nats.Flush())
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if test.want == "refuses the credentials" && !errors.Is(err, ErrUnauthorized) {
				t.Errorf("%v is not ErrUnauthorized", err)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestServerSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for name, test := range map[string]struct {
		cfg  ServerConfig
		want string
	}{
		"port in use":                   {ServerConfig{Port: port}, "address already in use"},
		"open to everybody":             {ServerConfig{Port: -1, Host: "0.0.0.0"}, "give it a token"},
		"no such port":                  {ServerConfig{Port: 70_000}, "range is 1 to 65535"},
		"token and user":                {ServerConfig{Token: "a", User: "b", Password: "c"}, "a token, or a user"},
		"payload beyond what NATS does": {ServerConfig{MaxPayload: 1 << 30}, "max payload"},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.Logger = slog.New(slog.DiscardHandler)
			s, err := StartServer(test.cfg)
			if err == nil {
				s.Shutdown()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing to connect to": {Config{}, []string{"nats://HOST:4222"}},
		"several faults at once": {Config{URLs: []string{"nats://127.0.0.1:1"}, Prefix: "a.b", Lease: time.Millisecond, Token: "t", User: "u"},
			[]string{`prefix "a.b"`, "lease is 1ms", "one of token"}},
		"a URL with a password that cannot be read": {Config{URLs: []string{"nats://user:secret@host:port"}}, []string{"URL 1 of 1"}},
		"a URL of another kind":                     {Config{URLs: []string{"localhost:4222"}}, []string{"nats://HOST:PORT"}},
		"credentials that are not there":            {Config{URLs: []string{"nats://127.0.0.1:1"}, CredentialsFile: "/nonexistent"}, []string{"queue credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Connect(deadline(t), test.cfg)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestConnectWaitsForAServer(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	must(t, free.Close())
	cfg := Config{URLs: []string{"nats://127.0.0.1:" + strconv.Itoa(port)}, RetryFirst: time.Millisecond, RetryMost: 20 * time.Millisecond, Logger: quiet(t)}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Connect(short, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody there: got %v", err)
	}
	connected := make(chan error, 1)
	go func() {
		c, err := Connect(deadline(t), cfg)
		if err == nil {
			err = c.Close(context.Background())
		}
		connected <- err
	}()
	startServer(t, ServerConfig{Port: port})
	must(t, <-connected)
}

func TestServerForThisProcessOnly(t *testing.T) {
	s := startServer(t, ServerConfig{})
	if url := s.ClientURL(); url != "" {
		t.Errorf("listens at %s", url)
	}
	c := connect(t, Config{Server: s})
	if !c.Connected() || c.MaxPayload() != 8<<20 {
		t.Errorf("connected %v, max payload %d", c.Connected(), c.MaxPayload())
	}
}

func TestACredentialsFileLetsIn(t *testing.T) {
	// An operator's server, as large deployments have it: who may do what stands in signed documents.
	operator, err := nkeys.CreateOperator()
	must(t, err)
	account, err := nkeys.CreateAccount()
	must(t, err)
	user, err := nkeys.CreateUser()
	must(t, err)
	public := func(k nkeys.KeyPair) string {
		text, err := k.PublicKey()
		must(t, err)
		return text
	}
	operatorClaims := jwt.NewOperatorClaims(public(operator))
	accountClaims := jwt.NewAccountClaims(public(account))
	signed, err := accountClaims.Encode(operator)
	must(t, err)
	userJWT, err := jwt.NewUserClaims(public(user)).Encode(account)
	must(t, err)
	seed, err := user.Seed()
	must(t, err)
	text, err := jwt.FormatUserConfig(userJWT, seed)
	must(t, err)
	file := filepath.Join(t.TempDir(), "worker.creds")
	must(t, os.WriteFile(file, text, 0o600))

	resolver := &server.MemAccResolver{}
	must(t, resolver.Store(public(account), signed))
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		TrustedOperators: []*jwt.OperatorClaims{operatorClaims}, AccountResolver: resolver})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(within) {
		t.Fatal("the server is not ready")
	}
	daemon, worker := connect(t, Config{URLs: []string{s.ClientURL()}, CredentialsFile: file}), connect(t, Config{URLs: []string{s.ClientURL()}, CredentialsFile: file})
	must(t, daemon.Handle("hello", func(_ context.Context, body []byte) []byte { return body }))
	if answer, err := worker.Request(deadline(t), "hello", []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("got %q, %v", answer, err)
	}
	if _, err := Connect(deadline(t), Config{URLs: []string{s.ClientURL()}, Logger: quiet(t)}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("without the file: got %v", err)
	}
}

func TestThisProcessGetsInWhateverOthersNeed(t *testing.T) {
	cert, pool := certificate(t)
	for name, cfg := range map[string]ServerConfig{
		"nothing":                 {},
		"a token":                 {Token: "secret"},
		"TLS":                     {TLS: &tls.Config{Certificates: []tls.Certificate{cert}}},
		"a client's certificate":  {TLS: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}},
		"TLS, user, and password": {TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, User: "worker", Password: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Port = -1
			c := connect(t, Config{Server: startServer(t, cfg), TLS: &tls.Config{RootCAs: pool}})
			must(t, c.EnsureStream(deadline(t), "latency"))
		})
	}
}

func TestAServerWithoutJetStreamIsToldApart(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(within) {
		t.Fatal("the server is not ready")
	}
	c := connect(t, Config{URLs: []string{s.ClientURL()}})
	if err := c.EnsureStream(deadline(t), "latency"); err == nil || !strings.Contains(err.Error(), "--jetstream") {
		t.Errorf("got %v, want what to do", err)
	}
}
