package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// Where the daemon is, and how to be let in, when flags do not say.
const (
	serverEnvironment    = "VQSD_SERVER"
	tokenEnvironment     = "VQSD_TOKEN"
	tokenFileEnvironment = "VQSD_TOKEN_FILE"

	defaultPort   = "7330"
	defaultServer = "127.0.0.1:" + defaultPort
)

// maxAnswerBytes is the largest message that is taken from a daemon: a page of 1000 measurements with long ladders.
const maxAnswerBytes = 64 << 20

// connectFlags say which daemon to talk to, and how. All commands that talk to one have them.
type connectFlags struct {
	server    string
	tokenFile string
	tls       bool
	ca        string
	cert, key string
	insecure  bool
	timeout   time.Duration

	given func() bool // whether there is --server; nil: there is if it says something
}

// define declares the flags; otherwise says what happens without an address.
func (f *connectFlags) define(c *cobra.Command, otherwise string) {
	flags := c.Flags()
	f.given = func() bool { return flags.Changed("server") }
	flags.StringVar(&f.server, "server", "", "the daemon's `ADDRESS`, HOST[:PORT] (default $"+serverEnvironment+", else "+otherwise+"; port "+defaultPort+")")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` that holds the token to show (default $"+tokenFileEnvironment+"; else the token in $"+tokenEnvironment+")")
	flags.BoolVar(&f.tls, "tls", false, "encrypt the connection; --ca and --cert do so, too")
	flags.StringVar(&f.ca, "ca", "", "`FILE` of the certificates, PEM, that the daemon's is checked against (default those of the system)")
	flags.StringVar(&f.cert, "cert", "", "`FILE` of the certificate, PEM, to show to the daemon; needs --key")
	flags.StringVar(&f.key, "key", "", "`FILE` of that certificate's private key, PEM")
	flags.BoolVar(&f.insecure, "insecure", false, "show the token even where the connection is neither encrypted nor local")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long the daemon may take for one answer: `TIME`")
}

// address is the daemon's, as flags and environment have it; "" if neither names one. An empty --server overrides the environment.
func (f *connectFlags) address() string {
	if f.server != "" || f.given != nil && f.given() {
		return f.server
	}
	return os.Getenv(serverEnvironment)
}

// connection is a daemon that can be talked to.
type connection struct {
	host, port string
	token      string
	encrypted  bool
	ca         string
	cert, key  string
	timeout    time.Duration
}

// parse checks the flags. The files they name are read by [connection.dial], but for the token.
func (f *connectFlags) parse() (*connection, error) {
	c := &connection{encrypted: f.tls || f.ca != "" || f.cert != "", ca: f.ca, cert: f.cert, key: f.key, timeout: f.timeout}
	var errs []error
	address := f.address()
	if address == "" {
		address = defaultServer
	}
	var err error
	if c.host, c.port, err = splitAddress(address); err != nil {
		errs = append(errs, fmt.Errorf("--server %s: %w", address, err))
	}
	if (f.cert == "") != (f.key == "") {
		errs = append(errs, errors.New("--cert and --key belong together"))
	}
	if f.timeout <= 0 {
		errs = append(errs, fmt.Errorf("--timeout %v: must be above 0", f.timeout))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &usageError{err}
	}
	if c.token, err = f.token(); err != nil {
		return nil, &runtimeError{err}
	}
	if c.token != "" && !c.encrypted && !f.insecure && !isLoopback(c.host) {
		return nil, usagef("the token would go to %s unencrypted: use --tls, or --insecure if the network is trusted", c.host)
	}
	return c, nil
}

// splitAddress reads HOST, HOST:PORT, :PORT, an IPv6 address, or one in brackets.
func splitAddress(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	switch bare := strings.Trim(text, "[]"); {
	case err == nil:
	case net.ParseIP(bare) != nil || !strings.Contains(text, ":"):
		host, port = bare, defaultPort
	default:
		return "", "", errors.New("want HOST[:PORT], as in " + defaultServer)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%q is no port: want a number of 1 … 65535", port)
	}
	address, _, _ := strings.Cut(host, "%") // less the zone of an IPv6 address
	if strings.ContainsAny(host, "/[] ") || strings.Contains(host, ":") && net.ParseIP(address) == nil {
		return "", "", errors.New("want HOST[:PORT], as in " + defaultServer + ", and no URL")
	}
	return host, port, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token is the one to show; "" is none.
func (f *connectFlags) token() (string, error) {
	file := f.tokenFile
	if file == "" {
		file = os.Getenv(tokenFileEnvironment)
	}
	if file == "" {
		return strings.TrimSpace(os.Getenv(tokenEnvironment)), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token file %s: %w", file, bare(err))
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("token file %s: want one token, of printable ASCII", file)
	}
	return token, nil
}

// client talks to a daemon.
type client struct {
	pb.QualityServiceClient
	admin   pb.AdminServiceClient
	conn    *grpc.ClientConn
	address string
	timeout time.Duration
	reached atomic.Bool // a connection has been made
}

// dial makes a client. It does not wait for a connection: the first call does, and its error says what is wrong.
func (c *connection) dial() (*client, error) {
	transport := insecure.NewCredentials()
	if c.encrypted {
		config, err := c.tlsConfig()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	out := &client{address: net.JoinHostPort(c.host, c.port), timeout: c.timeout}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("vqsd/" + version),
		grpc.WithStatsHandler(reachedHandler{&out.reached}),
		grpc.WithUnaryInterceptor(out.limitUnary),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		// A daemon that starts again is found soon.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A stream notices a host that has gone without a word.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}),
	}
	if c.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(c.token)))
	}
	conn, err := grpc.NewClient(out.address, options...)
	if err != nil {
		return nil, fmt.Errorf("daemon at %s: %w", out.address, err)
	}
	out.conn, out.QualityServiceClient, out.admin = conn, pb.NewQualityServiceClient(conn), pb.NewAdminServiceClient(conn)
	return out, nil
}

func (c *connection) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca %s: %w", c.ca, bare(err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca %s: has no certificate in PEM form", c.ca)
		}
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("--cert %s, --key %s: %w", c.cert, c.key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (c *client) close() error { return c.conn.Close() }

// limitUnary gives calls that have no deadline the one of --timeout.
func (c *client) limitUnary(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return invoke(ctx, method, request, answer, conn, options...)
}

// bearer is a token as credentials of calls. That it does not travel in the clear where it should not is checked by
// [connectFlags.parse].
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// reachedHandler notes that a connection was made: that a call was put on one, which only happens once the other side has greeted.
type reachedHandler struct{ reached *atomic.Bool }

func (reachedHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (reachedHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (reachedHandler) HandleConn(context.Context, stats.ConnStats)                       {}

func (h reachedHandler) HandleRPC(_ context.Context, s stats.RPCStats) {
	if _, out := s.(*stats.OutHeader); out {
		h.reached.Store(true)
	}
}
