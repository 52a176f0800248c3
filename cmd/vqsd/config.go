package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/server/auth"
	"github.com/vqsd/vqsd/server/telemetry"
	"github.com/vqsd/vqsd/server/watch"
)

// config is what daemon and workers are told. The reference, with meaning, unit, range and reason of every key, is vqsd.yaml.
type config struct {
	listen       string
	data         string
	mediaRoots   []string // DIR or NAME=DIR
	rules        string   // "": the built-in ones
	insecure     bool
	drainTimeout time.Duration
	watch        []watch.Folder

	http struct{ listen string }
	tls  struct{ cert, key string }
	auth struct{ tokens, clientCA string }

	workers struct {
		local          int
		slots          int
		threads        int // 0: one for each processor
		device         string
		deviceMemory   int64 // 0: all there is
		decoding       string
		memoryLimit    int64 // 0: a share of the host's
		keepOpen       int
		keepOpenFor    time.Duration
		taskTimeout    time.Duration
		lease          time.Duration
		attempts       int
		retryDelay     time.Duration
		resultPatience time.Duration
	}
	queue struct {
		window            int // 0: as many as the workers need
		reconcileInterval time.Duration
	}
	nats struct {
		url, listen, prefix             string
		user, password                  string
		token, tokenFile, credentials   string
		ca, clientCert, clientKey       string
		serverCert, serverKey, clientCA string
	}
	store struct {
		memory        int64
		minFree       int64 // 0: as the store thinks fit
		requestIDLife time.Duration
		keepUnused    time.Duration // 0: for ever
	}
	limits struct {
		requestsPerSecond       float64
		requestBurst            int
		watchStreams            int
		streamsPerConnection    int
		connections             int
		messageSize             int64
		stalledStream           time.Duration
		rescoreConcurrency      int
		importSize              int64
		importStreams           int
		outstandingMeasurements int64
		ownerMeasurements       int64
		chunks                  int
		decode                  decode.Limits
	}
	log       struct{ level, format string }
	telemetry struct {
		otlpEndpoint string
		traceRatio   float64
		pprof        bool
	}
}

//go:embed vqsd.yaml
var referenceConfig []byte

// defaultConfig is what holds where nobody says. vqsd.yaml has the same values; a test compares.
func defaultConfig() *config {
	c := &config{listen: "127.0.0.1:7330", drainTimeout: 30 * time.Second}
	c.http.listen = "127.0.0.1:7331"

	c.workers.local, c.workers.slots, c.workers.attempts = 1, 2, 3
	c.workers.decoding = string(engine.DecodeAuto)
	c.workers.device, c.workers.keepOpen, c.workers.keepOpenFor = string(engine.DeviceAuto), 4, time.Minute
	c.workers.taskTimeout, c.workers.lease = 30*time.Minute, 15*time.Second
	c.workers.retryDelay, c.workers.resultPatience = time.Second, 10*time.Minute
	c.queue.reconcileInterval = 30 * time.Second
	c.nats.prefix = "vqsd"

	c.store.memory = 128 << 20
	c.store.requestIDLife, c.store.keepUnused = 24*time.Hour, 30*24*time.Hour

	c.limits.requestsPerSecond, c.limits.requestBurst = 1000, 2000
	c.limits.watchStreams, c.limits.streamsPerConnection, c.limits.connections = 1000, 1024, 1024
	c.limits.messageSize, c.limits.stalledStream, c.limits.rescoreConcurrency = 16<<20, time.Minute, 4
	c.limits.importSize, c.limits.importStreams = 256<<20, 4
	c.limits.outstandingMeasurements, c.limits.ownerMeasurements, c.limits.chunks = 100_000, 100_000, 4096
	c.limits.decode = decode.DefaultLimits()

	c.log.level, c.log.format = "info", string(telemetry.Text)
	c.telemetry.traceRatio = 1
	return c
}

// check looks at what no key can tell alone, and reports every problem. Files are not opened.
func (c *config) check() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	together := func(names string, values ...string) {
		if slices.Contains(values, "") && strings.Join(values, "") != "" {
			add("%s go together: give both or none", names)
		}
	}
	together("tls.cert and tls.key", c.tls.cert, c.tls.key)
	together("nats.user and nats.password", c.nats.user, c.nats.password)
	together("nats.client_cert and nats.client_key", c.nats.clientCert, c.nats.clientKey)
	together("nats.server_cert and nats.server_key", c.nats.serverCert, c.nats.serverKey)
	if c.auth.clientCA != "" && c.tls.cert == "" {
		add("auth.client_ca asks for certificates of clients, which takes tls.cert and tls.key")
	}
	for _, l := range []struct{ key, address string }{{"listen", c.listen}, {"http.listen", c.http.listen}} {
		if l.address == "" {
			continue
		}
		if err := auth.ListenAllowed(l.address, c.hasCredentials(), c.insecure); err != nil {
			add("%s: %s", l.key, strings.TrimPrefix(err.Error(), "listen: "))
		}
	}
	if c.listen == c.http.listen && !strings.HasSuffix(c.listen, ":0") {
		add("listen and http.listen are both %s: gRPC and HTTP need a port each", c.listen)
	}
	if c.nats.url != "" && c.nats.listen != "" {
		add("nats.url names a server to connect to, and nats.listen starts one: give one of them")
	}
	ways := 0
	for _, given := range []bool{c.nats.user != "", c.nats.token != "" || c.nats.tokenFile != "", c.nats.credentials != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 || c.nats.token != "" && c.nats.tokenFile != "" {
		add("give one of nats.token, nats.token_file, nats.user with nats.password, and nats.credentials")
	}
	if c.nats.listen != "" {
		if c.nats.credentials != "" {
			add("nats.credentials is for a server of your own at nats.url; the one at nats.listen takes nats.token_file")
		}
		if ways == 0 {
			add("nats.listen is %s, and whoever reaches it could read and answer tasks: set nats.token_file", c.nats.listen)
		}
		if c.nats.clientCA != "" && c.nats.serverCert == "" {
			add("nats.client_ca asks for certificates of workers, which takes nats.server_cert and nats.server_key")
		}
	} else if c.nats.serverCert != "" || c.nats.clientCA != "" {
		add("nats.server_cert and nats.client_ca are for the server at nats.listen, which is not set")
	}
	if c.store.minFree != 0 && c.store.minFree < 2*c.store.memory {
		add("store.min_free is %s; it has to be at least twice store.memory (%s), or 0B for the default", sizeText(c.store.minFree), sizeText(c.store.memory))
	}
	_, err := c.roots()
	return errors.Join(append(errs, err, c.checkWatch())...)
}

func (c *config) hasCredentials() bool { return c.auth.tokens != "" || c.auth.clientCA != "" }

// roots are the media roots; without any it is the working directory.
func (c *config) roots() ([]auth.Root, error) {
	texts := c.mediaRoots
	if len(texts) == 0 {
		texts = []string{"."}
	}
	var list []auth.Root
	var errs []error
	for _, text := range texts {
		root, err := parseRoot(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, root)
	}
	if len(errs) == 0 {
		if _, err := auth.NewRoots(list); err != nil {
			errs = append(errs, err)
		}
	}
	return list, errors.Join(errs...)
}

// parseRoot reads DIR or NAME=DIR. A DIR that has a = in it needs a NAME, or a / before.
func parseRoot(text string) (auth.Root, error) {
	name, dir, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, "/") {
		name, dir, named = "", text, false
	}
	if dir == "" {
		return auth.Root{}, fmt.Errorf("media_roots: %q names no folder; want DIR or NAME=DIR", text)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return auth.Root{}, fmt.Errorf("media_roots: %q: %w", text, err)
	}
	if !named {
		name = dir
	}
	return auth.Root{Name: name, Dir: dir}, nil
}

// rootText is a root as media_roots has it.
func rootText(r auth.Root) string {
	if r.Name == r.Dir {
		return r.Dir
	}
	return r.Name + "=" + r.Dir
}

// dataDir is where the store is.
func (c *config) dataDir() (string, error) {
	if c.data != "" {
		return filepath.Abs(c.data)
	}
	home, err := dataHome()
	return filepath.Join(home, "vqsd"), err
}

// dataHome is where programs of this user keep their data.
func dataHome() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return "", errors.New("there is no home directory to keep data in; name a place with --data DIR")
	}
	return filepath.Join(home, ".local", "share"), nil
}

// checkAddress is for what is listened at.
func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, " /") {
		return errors.New("want HOST:PORT, such as 127.0.0.1:7330")
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}
