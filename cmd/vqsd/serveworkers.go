package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/server/telemetry"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
	"github.com/vqsd/vqsd/workflow/queue"
	"github.com/vqsd/vqsd/workflow/supervise"
)

// access is how to get into the queue.
type access struct {
	urls           []string
	token          string
	user, password string
	credentials    string
	tls            *tls.Config // nil: as the URLs say
}

// queueAccess reads what the configuration names to get into a queue, and reports every problem.
func queueAccess(cfg *config) (access, error) {
	n := cfg.nats
	a := access{token: n.token, user: n.user, password: n.password, credentials: n.credentials}
	var errs []error
	for _, url := range strings.Split(n.url, ",") {
		if url = strings.TrimSpace(url); url != "" {
			a.urls = append(a.urls, url)
		}
	}
	if n.tokenFile != "" {
		text, err := os.ReadFile(n.tokenFile)
		if a.token = strings.TrimSpace(string(text)); err == nil && a.token == "" {
			err = fmt.Errorf("%s is empty", n.tokenFile)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("nats.token_file: %w", err))
		}
	}
	if n.credentials != "" {
		if _, err := os.Stat(n.credentials); err != nil {
			errs = append(errs, fmt.Errorf("nats.credentials: %w", err))
		}
	}
	if n.ca == "" && n.clientCert == "" {
		return a, errors.Join(errs...)
	}
	a.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if n.ca != "" {
		pool, err := readCertificates(n.ca)
		if err != nil {
			errs = append(errs, fmt.Errorf("nats.ca: %w", err))
		}
		a.tls.RootCAs = pool
	}
	if n.clientCert != "" {
		pair, err := tls.LoadX509KeyPair(n.clientCert, n.clientKey)
		if err != nil {
			errs = append(errs, fmt.Errorf("nats.client_cert %s and nats.client_key %s: %w", n.clientCert, n.clientKey, err))
		}
		a.tls.Certificates = []tls.Certificate{pair}
	}
	return a, errors.Join(errs...)
}

func readCertificates(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return pool, nil
}

// openQueue connects to the queue, which is one of our own unless the configuration names another. It returns how workers get in.
func (d *daemon) openQueue(ctx context.Context) (access, error) {
	a, err := queueAccess(d.cfg)
	if err != nil {
		return access{}, err
	}
	c := queue.Config{
		Token: a.token, User: a.user, Password: a.password, CredentialsFile: a.credentials, TLS: a.tls, URLs: a.urls,
		Prefix: d.cfg.nats.prefix, Name: "vqsd serve", Lease: d.cfg.workers.lease, Logger: d.log,
		OnReconnect: func() {
			if s := d.running.Load(); s != nil {
				s.Reconnected()
			}
		},
	}
	if len(a.urls) == 0 {
		if a, err = d.startQueue(a); err != nil {
			return access{}, err
		}
		c.Server, c.Token, c.User, c.Password, c.TLS = d.queue, "", "", "", a.tls
	} else {
		d.log.Info("connecting to the queue", "urls", withoutSecrets(a.urls))
	}
	if d.conn, err = queue.Connect(ctx, c); err != nil {
		return access{}, fmt.Errorf("connect to the queue: %w", err)
	}
	d.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queueGrace)
		defer cancel()
		return d.conn.Close(ctx)
	})
	var classes []string
	for _, class := range store.Classes() {
		classes = append(classes, string(class))
	}
	if err := d.conn.EnsureStream(ctx, classes...); err != nil {
		return access{}, fmt.Errorf("make the queue's streams: %w", err)
	}
	return a, nil
}

// startQueue starts the queue inside this process. Local workers reach it over loopback, with a token that only they know, unless the
// configuration says where it listens and what lets others in.
func (d *daemon) startQueue(a access) (access, error) {
	dir, err := d.cfg.dataDir()
	if err != nil {
		return access{}, err
	}
	c := queue.ServerConfig{Host: "127.0.0.1", Scratch: scratchDir(dir), Logger: d.log}
	if err := os.MkdirAll(c.Scratch, 0o700); err != nil {
		return access{}, err
	}
	switch {
	case d.cfg.nats.listen != "":
		host, port, err := net.SplitHostPort(d.cfg.nats.listen)
		if err != nil {
			return access{}, fmt.Errorf("nats.listen: %w", err)
		}
		if c.Port, err = net.LookupPort("tcp", port); err != nil {
			return access{}, fmt.Errorf("nats.listen: %w", err)
		}
		if c.Port == 0 {
			c.Port = -1
		}
		c.Host, c.Token, c.User, c.Password = host, a.token, a.user, a.password
		if c.Host == "" {
			c.Host = "0.0.0.0"
		}
		if c.TLS, err = natsTLS(d.cfg); err != nil {
			return access{}, err
		}
	case d.cfg.workers.local > 0:
		c.Port, c.Token = -1, newSecret()
		a.token, a.user, a.password, a.tls = c.Token, "", "", nil
	}
	if d.queue, err = queue.StartServer(c); err != nil {
		return access{}, err
	}
	d.onClose(func() error { d.queue.Shutdown(); return nil })
	a.urls = []string{localURL(d.queue.ClientURL())}
	return a, nil
}

// localURL is where this host reaches a server that may listen at every address.
func localURL(url string) string {
	for _, any := range []string{"0.0.0.0", "[::]"} {
		url = strings.Replace(url, "//"+any+":", "//127.0.0.1:", 1)
	}
	return url
}

// natsTLS encrypts the queue's own server. nil: it is not encrypted.
func natsTLS(cfg *config) (*tls.Config, error) {
	n := cfg.nats
	if n.serverCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(n.serverCert, n.serverKey)
	if err != nil {
		return nil, fmt.Errorf("nats.server_cert %s and nats.server_key %s: %w", n.serverCert, n.serverKey, err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if n.clientCA != "" {
		if t.ClientCAs, err = readCertificates(n.clientCA); err != nil {
			return nil, fmt.Errorf("nats.client_ca: %w", err)
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return t, nil
}

// withoutSecrets are URLs as others may see them.
func withoutSecrets(urls []string) string {
	list := make([]string, len(urls))
	for i, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			list[i] = "(unreadable)"
			continue
		}
		list[i] = u.Redacted()
	}
	return strings.Join(list, ",")
}

// newSecret is a token that nobody guesses.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails: the process would have ended
	return hex.EncodeToString(b[:])
}

// localWorkers are the worker processes that serve keeps running.
type localWorkers struct {
	daemon   *daemon
	access   access
	children []*supervise.Child
}

// start starts them. After an error those that run are stopped by stop.
func (w *localWorkers) start() error {
	d := w.daemon
	if d.cfg.workers.local == 0 {
		if d.cfg.nats.url == "" && d.cfg.nats.listen == "" {
			d.log.Warn("nobody can measure: there are no local workers, and others cannot join; set workers.local, nats.listen or nats.url")
		}
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start workers: %w", err)
	}
	devices := w.devices(program)
	cfg := w.config(len(devices))
	args := []string{"worker"} // the queue's address may have a password in it, and is in the environment
	for _, r := range d.roots {
		args = append(args, "--media-root", rootText(r))
	}
	host := hostName()
	for i, device := range devices {
		cfg.workers.device = device
		child, err := supervise.Start(supervise.Config{
			Name: "worker " + strconv.Itoa(i+1), Path: program, Args: args, Env: workerEnvironment(cfg, os.Environ()),
			// The worker ends by itself at its limit, and gives its tasks back; this is for when it cannot.
			MemoryLimit: cfg.workers.memoryLimit / 10 * 11, Grace: d.cfg.drainTimeout + childGrace,
			Logger: slog.New(relay{d.log.Handler()}),
			OnExit: func(e supervise.Exit) {
				if e.Wanted && e.Code == 0 {
					return // it has given back what it had
				}
				ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
				defer cancel()
				d.workflow.WorkerGone(ctx, host, e.PID, lastWords(e))
			},
		})
		if err != nil {
			return err
		}
		w.children = append(w.children, child)
	}
	return nil
}

// devicesTimeout is how long the driver may take to tell what GPUs there are. On a machine with many, or that has just
// started, it takes seconds.
const devicesTimeout = time.Minute

// devices says, for each worker to start, what it computes on. Where that is left to us and there are GPUs, each has one at least. They
// are asked for by another process, since a driver is not to be in this one.
func (w *localWorkers) devices(program string) []string {
	d := w.daemon
	list := make([]string, d.cfg.workers.local)
	for i := range list {
		list[i] = d.cfg.workers.device
	}
	if d.cfg.workers.device != string(engine.DeviceAuto) {
		return list
	}
	gpus, err := askForGPUs(program)
	if err != nil {
		d.log.Warn("it is not known what GPUs there are; workers look for themselves", "err", err)
		return list
	}
	if len(gpus) == 0 {
		return list
	}
	list = make([]string, max(len(list), len(gpus)))
	for i := range list {
		list[i] = gpus[i%len(gpus)]
	}
	return list
}

// askForGPUs has vqsd devices tell.
func askForGPUs(program string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), devicesTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "devices", "--json").Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("vqsd devices: %w: %s", err, printable(strings.TrimSpace(string(exit.Stderr))))
	}
	if err != nil {
		return nil, fmt.Errorf("vqsd devices: %w", err)
	}
	var found devicesDocument
	if err := json.Unmarshal(out, &found); err != nil {
		return nil, fmt.Errorf("vqsd devices: %w", err)
	}
	var list []string
	for i := range found.GPUs {
		list = append(list, string(engine.AutoDevice(i))) // one that does not work leaves its worker the processor
	}
	return list, nil
}

// config is what n workers are told.
func (w *localWorkers) config(n int) *config {
	c := *w.daemon.cfg
	c.nats.url = strings.Join(w.access.urls, ",")
	if w.daemon.queue != nil {
		c.nats.token, c.nats.tokenFile, c.nats.user, c.nats.password = w.access.token, "", w.access.user, w.access.password
		c.nats.listen = ""
		if w.daemon.cfg.nats.listen == "" {
			c.nats.ca, c.nats.clientCert, c.nats.clientKey = "", "", ""
		}
	}
	c.log.format = string(telemetry.JSON) // for relay
	if c.workers.memoryLimit == 0 {
		c.workers.memoryLimit = hostMemory() / 4 * 3 / int64(n)
	}
	return &c
}

// workerEnvironment is environment with the configuration of a worker in it, secrets too: other users cannot read it, as they can
// arguments. What was there of the daemon's own configuration, and what is between it and a service manager, is left out.
func workerEnvironment(c *config, environment []string) []string {
	drop := map[string]bool{configEnvironment: true, "NOTIFY_SOCKET": true, "WATCHDOG_USEC": true, "WATCHDOG_PID": true}
	var list []string
	for _, s := range allSettings {
		drop[s.environment()] = true
		if s.worker && s.texts == nil { // media roots are in the arguments
			list = append(list, s.environment()+"="+s.text(c))
		}
	}
	for _, pair := range environment {
		if name, _, _ := strings.Cut(pair, "="); !drop[name] {
			list = append(list, pair)
		}
	}
	return list
}

// watch kills workers that give no sign of life, until ctx ends: one that hangs would not end by itself, and its successor works.
func (w *localWorkers) watch(ctx context.Context) {
	if len(w.children) == 0 {
		return
	}
	lease := w.daemon.cfg.workers.lease
	tick := time.NewTicker(lease / 2)
	defer tick.Stop()
	host := hostName()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, known := range w.daemon.workflow.Workers() {
			if known.State != workflow.WorkerLost || known.Hello.Host != host {
				continue
			}
			for _, child := range w.children {
				if child.PID() == known.Hello.PID {
					child.Kill(fmt.Sprintf("killed: it gave no sign of life for %v (workers.lease)", lease))
				}
			}
		}
	}
}

// stop has all workers finish or give back what they do, and waits for their end.
func (w *localWorkers) stop() error {
	var group errgroup.Group
	for _, child := range w.children {
		group.Go(func() error {
			err := child.Stop(context.Background())
			if errors.Is(err, supervise.ErrKilled) {
				w.daemon.log.Warn("a worker had to be killed; its tasks begin anew", "err", err)
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// lastWords is how a worker ended, with what the Go or C++ runtime said of a crash.
func lastWords(e supervise.Exit) string {
	words := e.Reason
	for line := range strings.Lines(e.Stderr) {
		for _, sign := range []string{"panic: ", "fatal error: ", "SIG", "terminate called", "runtime: "} {
			if strings.HasPrefix(line, sign) {
				return words + ": " + printable(strings.TrimSpace(line))
			}
		}
	}
	return words
}

// hostMemory is how much memory there is for this process and its children, in bytes: the host's, or less where a control group says so.
func hostMemory() int64 {
	total := int64(1 << 30) // where nothing can be learnt
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			total = kib << 10
		}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return total
	}
	for line := range strings.Lines(string(groups)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for ; ; group = filepath.Dir(group) {
			if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", group, "memory.max")); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
					total = min(total, n)
				}
			}
			if group == "/" || group == "." {
				break
			}
		}
	}
	return total
}
