package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says whom to connect to, and how. Server or URLs are required; zero values of the rest are defaults.
type Config struct {
	Server *Server  // an embedded server, reached without a network
	URLs   []string // of a server, or of a cluster's: nats://HOST:PORT, tls://HOST:PORT

	// What lets us in: a token, a user and a password, or a file of credentials (JWT and key) as nsc writes it. An embedded Server's
	// are known.
	Token           string
	User, Password  string
	CredentialsFile string
	TLS             *tls.Config // nil: as the URLs say, with the system's roots; nothing to an embedded Server

	Prefix string // of all names, so that deployments can share a server; default "vqsd"
	Name   string // of this client, for the server's operator; default "vqsd"

	// Lease is how long a taken task stays the taker's without [Delivery.Extend]. It counts where [Conn.EnsureStream] is called. Range
	// 50 ms – 1 h; default 15 s.
	Lease time.Duration
	// Poll is how often [Conn.Take] looks without a hint. Range 10 ms – 1 min; default 1 s.
	Poll time.Duration
	// RequestTimeout is how long one try of [Conn.Request] waits. Range 10 ms – 10 min; default 10 s.
	RequestTimeout time.Duration
	// RetryFirst and RetryMost bound the pauses between tries to connect and to ask; they grow from one to the other, each
	// half as long again or as short at random. Defaults 50 ms and 5 s.
	RetryFirst, RetryMost time.Duration
	// Concurrency is how many requests [Conn.Handle] answers at a time, of all subjects. Range 1–10,000; default 64.
	Concurrency int

	// Tasks and TaskBytes bound what waits in one class. The server sets as much memory aside. Defaults 20,000 and 64 MiB.
	Tasks     int64
	TaskBytes int64
	// Files keeps tasks in the server's files instead of its memory. An embedded server that has a Dir does so.
	Files bool

	Logger *slog.Logger // nil: slog.Default()
	// OnDisconnect and OnReconnect are called whenever the connection is lost, and is there again with all streams in place: what
	// was published before may be gone. They are called one at a time.
	OnDisconnect, OnReconnect func()
}

// LogValue leaves out what lets one in.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("embedded", c.Server != nil), slog.Int("urls", len(c.URLs)), slog.String("prefix", c.Prefix), slog.String("name", c.Name))
}

// word is what may stand between the dots of a subject, and in a stream's name.
var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	within := func(key string, value, low, high time.Duration) {
		if value < low || value > high {
			add("queue: %s is %v; the range is %v to %v", key, value, low, high)
		}
	}
	fill(&c.Prefix, "vqsd")
	fill(&c.Name, "vqsd")
	fill(&c.Lease, 15*time.Second)
	fill(&c.Poll, time.Second)
	fill(&c.RequestTimeout, 10*time.Second)
	fill(&c.RetryFirst, 50*time.Millisecond)
	fill(&c.RetryMost, max(5*time.Second, c.RetryFirst))
	fill(&c.Concurrency, 64)
	fill(&c.Tasks, 20_000)
	fill(&c.TaskBytes, 64<<20)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if (c.Server == nil) == (len(c.URLs) == 0) {
		add("queue: either an embedded server or URLs of one are needed, as nats://HOST:4222")
	}
	for i, text := range c.URLs {
		// The text may have a password in it, so that no message quotes it.
		if u, err := url.Parse(text); err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			add("queue: URL %d of %d is not of the form nats://HOST:PORT or tls://HOST:PORT", i+1, len(c.URLs))
		}
	}
	ways := 0
	for _, given := range [...]bool{c.Token != "", c.User != "" || c.Password != "", c.CredentialsFile != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		add("queue: give one of token, user with password, and credentials file")
	}
	if !word.MatchString(c.Prefix) {
		add("queue: prefix %q is not 1 to 64 letters, digits, - and _", c.Prefix)
	}
	within("lease", c.Lease, 50*time.Millisecond, time.Hour)
	within("poll", c.Poll, 10*time.Millisecond, time.Minute)
	within("request timeout", c.RequestTimeout, 10*time.Millisecond, 10*time.Minute)
	within("first retry", c.RetryFirst, time.Millisecond, time.Minute)
	within("longest retry", c.RetryMost, c.RetryFirst, time.Hour)
	if c.Concurrency < 1 || c.Concurrency > 10_000 {
		add("queue: concurrency is %d; the range is 1 to 10000", c.Concurrency)
	}
	if c.Tasks < 1 || c.TaskBytes < 1 {
		add("queue: a class holds %d tasks of %d bytes; both are at least 1", c.Tasks, c.TaskBytes)
	}
	return errors.Join(errs...)
}

// retries is a row of growing pauses.
func (c *Config) retries() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = c.RetryFirst, c.RetryMost, 2
	b.Reset()
	return b
}

// Conn is a connection to the queue. Make one with [Connect].
type Conn struct {
	cfg  Config
	log  *slog.Logger
	nats *nats.Conn
	js   jetstream.JetStream
	busy chan struct{} // one element a request being answered

	// ctx is the handlers' and the reconnections', and lives until Close has no more patience with them.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	ready  chan struct{} // closed when the fields above are set

	// epoch counts connections: what was delivered in an earlier one is not ours any more.
	epoch atomic.Int64
	hints hint // there may be a task
	backs hint // there is a connection again

	events sync.Mutex // held while OnDisconnect or OnReconnect runs

	// mu guards the fields below.
	mu        sync.Mutex
	closed    bool
	session   context.Context // ends with the present connection
	endOfIt   context.CancelFunc
	classes   []string             // whose streams are made again after a loss
	subs      []*nats.Subscription // of Handle and Listen
	listening bool                 // for hints
	renewals  []chan struct{}      // of Renewals
}

// Connect connects, and goes on trying until ctx ends. ctx has no part in what comes after.
//
// Errors: [ErrUnauthorized] at once; ctx's error together with the last reason.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, log: cfg.Logger, busy: make(chan struct{}, cfg.Concurrency), ready: make(chan struct{})}
	c.hints.init()
	c.backs.init()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.session, c.endOfIt = context.WithCancel(c.ctx)
	options, err := c.options()
	if err != nil {
		c.cancel()
		return nil, err
	}
	if err := c.dial(ctx, options); err != nil {
		c.cancel()
		return nil, err
	}
	if c.js, err = jetstream.New(c.nats); err != nil {
		c.nats.Close()
		c.cancel()
		return nil, fmt.Errorf("queue: %w", err)
	}
	close(c.ready)
	return c, nil
}

// options are the client library's.
func (c *Conn) options() ([]nats.Option, error) {
	pauses := c.cfg.retries()
	options := []nats.Option{
		nats.Name(c.cfg.Name),
		nats.Timeout(5 * time.Second),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			if attempts <= 1 {
				pauses.Reset()
			}
			return pauses.NextBackOff()
		}),
		// What cannot be sent is an error, and sent again by whom it matters to. A buffer would send it much later, and twice.
		nats.ReconnectBufSize(-1),
		// A connection that is dead without saying so is to be noticed within a lease.
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(3),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.disconnected(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.reconnected() }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			c.log.Warn("queue connection has a problem", "subject", subject, "err", err)
		}),
	}
	token, user, password := c.cfg.Token, c.cfg.User, c.cfg.Password
	if s := c.cfg.Server; s != nil {
		options = append(options, nats.InProcessServer(s.nats))
		if token == "" && user == "" {
			token, user, password = s.cfg.Token, s.cfg.User, s.cfg.Password
		}
	}
	switch {
	case token != "":
		options = append(options, nats.Token(token))
	case user != "":
		options = append(options, nats.UserInfo(user, password))
	case c.cfg.CredentialsFile != "":
		if _, err := os.Stat(c.cfg.CredentialsFile); err != nil {
			return nil, fmt.Errorf("queue credentials: %w", err)
		}
		options = append(options, nats.UserCredentials(c.cfg.CredentialsFile))
	}
	if c.cfg.TLS != nil && c.cfg.Server == nil { // nothing leaves this process on the way to a server in it
		options = append(options, nats.Secure(c.cfg.TLS))
	}
	return options, nil
}

// dial makes the first connection.
func (c *Conn) dial(ctx context.Context, options []nats.Option) error {
	type result struct {
		conn *nats.Conn
		err  error
	}
	urls := strings.Join(c.cfg.URLs, ",")
	pauses := c.cfg.retries()
	for warned := false; ; {
		done := make(chan result)
		gone := make(chan struct{})
		go func() { // which ends by itself: the library bounds each try
			conn, err := nats.Connect(urls, options...)
			select {
			case done <- result{conn, err}:
			case <-gone:
				if conn != nil {
					conn.Close()
				}
			}
		}()
		var err error
		select {
		case r := <-done:
			c.nats, err = r.conn, r.err
		case <-ctx.Done():
			close(gone)
			return fmt.Errorf("connect to the queue: %w", ctx.Err())
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired):
			return fmt.Errorf("connect to the queue: %w; give the token, user or credentials file that it was started with", ErrUnauthorized)
		case !temporary(err):
			return fmt.Errorf("connect to the queue: %w", err)
		case !warned:
			c.log.Warn("the queue server does not answer yet; trying on", "err", err)
			warned = true
		}
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-ctx.Done():
			return fmt.Errorf("connect to the queue: %w (%w)", err, ctx.Err())
		}
	}
}

// temporary says that an error of connecting may go away by itself. Certificates do not become right.
func temporary(err error) bool {
	var verification *tls.CertificateVerificationError
	return !errors.As(err, &verification) && !errors.Is(err, nats.ErrSecureConnRequired) && !errors.Is(err, nats.ErrSecureConnWanted)
}

func (c *Conn) disconnected(err error) {
	c.mu.Lock()
	closed := c.closed
	c.endOfIt()
	c.session, c.endOfIt = context.WithCancel(c.ctx)
	c.mu.Unlock()
	c.epoch.Add(1)
	if closed {
		return
	}
	c.log.Warn("queue connection lost; reconnecting", "err", err)
	if c.cfg.OnDisconnect != nil {
		c.events.Lock()
		defer c.events.Unlock()
		c.cfg.OnDisconnect()
	}
}

// reconnected puts streams back in place before it tells.
func (c *Conn) reconnected() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	classes := append([]string(nil), c.classes...)
	c.work.Add(1)
	c.mu.Unlock()
	epoch := c.epoch.Load()
	c.backs.give()
	go func() {
		defer c.work.Done()
		select {
		case <-c.ready:
		case <-c.ctx.Done():
			return
		}
		pauses := c.cfg.retries()
		for len(classes) > 0 {
			try, over := c.try(c.ctx)
			err := ofTry(c.ctx, c.makeStreams(try, classes))
			over()
			if c.ctx.Err() != nil || c.epoch.Load() != epoch {
				return // the next reconnection starts again
			}
			if err == nil {
				break
			}
			c.log.Warn("task streams could not be made again yet", "err", err)
			select {
			case <-time.After(pauses.NextBackOff()):
			case <-c.ctx.Done():
				return
			}
		}
		c.log.Info("queue connection is back", "server", c.nats.ConnectedUrlRedacted())
		c.hints.give()
		c.mu.Lock()
		for _, renewed := range c.renewals {
			tell(renewed)
		}
		c.mu.Unlock()
		if c.cfg.OnReconnect != nil {
			c.events.Lock()
			defer c.events.Unlock()
			c.cfg.OnReconnect()
		}
	}()
}

// try bounds one exchange with the server: by time, and by the life of the connection, since what is lost with it is never answered. The
// function is to be called when it is over.
func (c *Conn) try(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	stop := context.AfterFunc(session, cancel)
	return ctx, func() { stop(); cancel() }
}

// ofTry names an error of an exchange within [Conn.try] for what it is: that ended with the connection, and ctx, the caller's, has not.
func ofTry(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return ErrDisconnected
	}
	return err
}

// Connected says whether there is a connection at the moment.
func (c *Conn) Connected() bool { return c.nats.IsConnected() }

// MaxPayload is how many bytes a message may have, as the server said last.
func (c *Conn) MaxPayload() int64 { return c.nats.MaxPayload() }

// Close takes no further messages and waits until those at hand are handled, until ctx ends: then their contexts are cancelled, and it waits for them
// still. It may be called twice.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	var errs []error
	if first {
		for _, s := range subs {
			if err := s.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
				errs = append(errs, err)
			}
		}
	}
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		c.cancel()
		<-done
	}
	if first && c.nats.IsConnected() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		// Where the connection is lost meanwhile, there is nothing left to flush.
		if err := c.nats.FlushWithContext(flush); err != nil && c.nats.IsConnected() {
			errs = append(errs, fmt.Errorf("flush the queue connection: %w", err))
		}
	}
	c.cancel()
	c.nats.Close()
	return errors.Join(errs...)
}

// translate turns errors of the library into ours. bytes are the body's.
func (c *Conn) translate(subject string, bytes int, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return &PayloadError{Subject: subject, Bytes: bytes, Limit: c.nats.MaxPayload()}
	case c.ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining):
		return fmt.Errorf("%s: %w", subject, ErrClosed)
	case errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, ErrDisconnected):
		return fmt.Errorf("%s: %w", subject, ErrDisconnected)
	case errors.As(err, &api) && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, "maximum"):
		return fmt.Errorf("%s: %w: %s", subject, ErrFull, api.Description)
	}
	return fmt.Errorf("%s: %w", subject, err)
}

// codeStoreFailed is the server's error code where a stream does not take a message ("maximum messages exceeded").
const codeStoreFailed jetstream.ErrorCode = 10077
