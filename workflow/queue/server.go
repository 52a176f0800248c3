package queue

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServerConfig says how the embedded server runs. The zero value serves this process only, from memory.
type ServerConfig struct {
	Host string // address to listen on; "": 127.0.0.1
	Port int    // 0: none, for this process only; -1: any that is free
	// Dir is where streams are kept as files. "": in memory.
	Dir string
	// Scratch is a folder of ours alone in which the server makes an empty one, which it wants even with nothing in files. It is removed at
	// Shutdown. "": a new one among the system's temporary files.
	Scratch string
	TLS     *tls.Config // nil: connections are not encrypted
	// Token, or User and Password, let clients in. A server that others can reach needs either, or TLS that verifies clients.
	Token          string
	User, Password string
	MaxPayload     int32 // bytes of the largest message, [4 KiB, 64 MiB]; 0: 8 MiB
	MaxMemory      int64 // bytes of all that waits in memory; 0: 512 MiB
	MaxDisk        int64 // bytes of all that waits in Dir; 0: 4 GiB

	// StartTimeout bounds the start. 0: 30 s.
	StartTimeout time.Duration
	Logger       *slog.Logger // nil: slog.Default()
}

// LogValue leaves out what lets one in.
func (c ServerConfig) LogValue() slog.Value {
	return slog.GroupValue(slog.String("host", c.Host), slog.Int("port", c.Port), slog.Bool("tls", c.TLS != nil))
}

// natsMaxPayload is the largest max_payload that NATS lets one set.
const natsMaxPayload = 64 << 20

func (c *ServerConfig) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	fill(&c.Host, "127.0.0.1")
	fill(&c.MaxPayload, 8<<20)
	fill(&c.MaxMemory, 512<<20)
	fill(&c.MaxDisk, 4<<30)
	fill(&c.StartTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Port < -1 || c.Port > 65535 {
		add("port of the queue server is %d; the range is 1 to 65535, -1 for any that is free, 0 for none", c.Port)
	}
	if c.MaxPayload < 4<<10 || c.MaxPayload > natsMaxPayload {
		add("max payload of the queue server is %d bytes; the range is %d to %d", c.MaxPayload, 4<<10, natsMaxPayload)
	}
	if c.MaxMemory < int64(c.MaxPayload) || c.MaxDisk < int64(c.MaxPayload) {
		add("memory (%d bytes) and disk (%d bytes) of the queue server have to hold a message (%d bytes) at least", c.MaxMemory, c.MaxDisk, c.MaxPayload)
	}
	if c.Token != "" && (c.User != "" || c.Password != "") || (c.User == "") != (c.Password == "") {
		add("the queue server takes a token, or a user and a password")
	}
	verifies := c.TLS != nil && c.TLS.ClientAuth == tls.RequireAndVerifyClientCert
	if c.Port != 0 && !loopback(c.Host) && c.Token == "" && c.User == "" && !verifies {
		add("the queue server would let in everybody who reaches %s; give it a token, or TLS that verifies clients, or have it listen on 127.0.0.1", c.Host)
	}
	return errors.Join(errs...)
}

// loopback says that a host is this one, seen from itself.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Server is an embedded NATS server.
type Server struct {
	cfg     ServerConfig
	nats    *server.Server
	scratch string // to be removed; "": nothing is
	stop    sync.Once
}

// StartServer starts an embedded server and waits until it serves. Shutdown ends it.
func StartServer(cfg ServerConfig) (_ *Server, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	defer func() {
		if err != nil {
			s.Shutdown()
		}
	}()
	dir := cfg.Dir
	switch {
	case dir != "":
	case cfg.Scratch != "":
		dir = cfg.Scratch
		s.scratch = filepath.Join(dir, server.JetStreamStoreDir)
	default:
		if dir, err = os.MkdirTemp("", "vqsd-queue-"); err != nil {
			return nil, fmt.Errorf("make a temporary folder for the queue server: %w", err)
		}
		s.scratch = dir
	}
	options := &server.Options{
		ServerName: "vqsd",
		Host:       cfg.Host, Port: cfg.Port, DontListen: cfg.Port == 0,
		Authorization: cfg.Token, Username: cfg.User, Password: cfg.Password,
		MaxPayload: cfg.MaxPayload, MaxPending: max(server.MAX_PENDING_SIZE, 8*int64(cfg.MaxPayload)),
		JetStream: true, JetStreamMaxMemory: cfg.MaxMemory, JetStreamMaxStore: cfg.MaxDisk, StoreDir: dir,
		NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	}
	if cfg.TLS != nil {
		options.TLS, options.TLSConfig, options.TLSTimeout = true, cfg.TLS, 10
		options.TLSVerify = cfg.TLS.ClientAuth == tls.RequireAndVerifyClientCert
	}
	if s.nats, err = server.NewServer(options); err != nil {
		return nil, fmt.Errorf("set up the queue server: %w", err)
	}
	log := &serverLog{log: cfg.Logger, fatal: make(chan string, 1)}
	s.nats.SetLoggerV2(log, false, false, false)
	ready := make(chan bool, 1)
	go func() {
		s.nats.Start()
		ready <- s.nats.ReadyForConnections(cfg.StartTimeout)
	}()
	select {
	case why := <-log.fatal:
		return nil, fmt.Errorf("start the queue server on %s: %s", s.address(), why)
	case ok := <-ready:
		if !ok {
			return nil, fmt.Errorf("start the queue server on %s: it was not ready within %v", s.address(), cfg.StartTimeout)
		}
	}
	return s, nil
}

func (s *Server) address() string {
	if s.cfg.Port == 0 {
		return "no address"
	}
	return net.JoinHostPort(s.cfg.Host, strconv.Itoa(max(s.cfg.Port, 0)))
}

// ClientURL is where clients reach the server, without credentials. "": it serves this process only.
func (s *Server) ClientURL() string {
	address, ok := s.nats.Addr().(*net.TCPAddr)
	if !ok || s.cfg.Port == 0 {
		return ""
	}
	scheme := "nats"
	if s.cfg.TLS != nil {
		scheme = "tls"
	}
	return scheme + "://" + net.JoinHostPort(s.cfg.Host, strconv.Itoa(address.Port))
}

// Shutdown ends the server and waits until it has ended. Connections to it are lost. It may be called twice.
func (s *Server) Shutdown() {
	s.stop.Do(func() {
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		if s.scratch == "" {
			return
		}
		if err := os.RemoveAll(s.scratch); err != nil {
			s.cfg.Logger.Warn("the queue server's scratch folder could not be removed", "err", err)
		}
	})
}

// serverLog passes on what the server says. Its notices are details to us.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // the first reason for which it cannot go on
}

func (l *serverLog) Noticef(format string, args ...any) { l.say(l.log.Debug, format, args) }
func (l *serverLog) Debugf(format string, args ...any)  { l.say(l.log.Debug, format, args) }
func (l *serverLog) Tracef(format string, args ...any)  { l.say(l.log.Debug, format, args) }
func (l *serverLog) Warnf(format string, args ...any)   { l.say(l.log.Warn, format, args) }
func (l *serverLog) Errorf(format string, args ...any)  { l.say(l.log.Warn, format, args) }

func (l *serverLog) Fatalf(format string, args ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, args...):
	default:
	}
	l.say(l.log.Error, format, args)
}

func (l *serverLog) say(level func(string, ...any), format string, args []any) {
	level("queue server", "event", fmt.Sprintf(format, args...))
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
