package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/server/telemetry"
)

// A setting is one key of the configuration.
type setting struct {
	key    string // as in the file, sections joined by dots
	kind   settingKind
	secret bool // never printed
	worker bool // workers look at it, too
	get    func(*config) string
	set    func(*config, string) error // what is wrong with a value, without the key and the value
	texts  func(*config) *[]string     // of a list; it has no get and set
}

type settingKind int

const (
	textSetting   settingKind = iota // written in quotes where YAML wants it
	plainSetting                     // numbers, true and false
	amountSetting                    // a number with its unit
	listSetting
)

// environment is the name of the variable that sets it.
func (s *setting) environment() string {
	return "VQSD_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// allSettings are the keys that there are, in the order of the reference.
var allSettings = []*setting{
	textKey("listen", func(c *config) *string { return &c.listen }, checkAddress),
	textKey("http.listen", func(c *config) *string { return &c.http.listen }, optional(checkAddress)),
	textKey("data", func(c *config) *string { return &c.data }, nil),
	listKey("media_roots", func(c *config) *[]string { return &c.mediaRoots }).forWorkers(),
	textKey("rules", func(c *config) *string { return &c.rules }, nil),
	boolKey("insecure", func(c *config) *bool { return &c.insecure }),
	durationKey("drain_timeout", func(c *config) *time.Duration { return &c.drainTimeout }, 0, time.Hour).forWorkers(),

	textKey("tls.cert", func(c *config) *string { return &c.tls.cert }, nil),
	textKey("tls.key", func(c *config) *string { return &c.tls.key }, nil),
	textKey("auth.tokens", func(c *config) *string { return &c.auth.tokens }, nil),
	textKey("auth.client_ca", func(c *config) *string { return &c.auth.clientCA }, nil),

	intKey("workers.local", func(c *config) *int { return &c.workers.local }, 0, 64),
	intKey("workers.slots", func(c *config) *int { return &c.workers.slots }, 1, 256).forWorkers(),
	intKey("workers.threads", func(c *config) *int { return &c.workers.threads }, 0, engine.MaxThreads).forWorkers(),
	textKey("workers.device", func(c *config) *string { return &c.workers.device }, checkDevice).forWorkers(),
	sizeKey("workers.device_memory", func(c *config) *int64 { return &c.workers.deviceMemory }, 0, 1<<50).forWorkers(),
	textKey("workers.decoding", func(c *config) *string { return &c.workers.decoding }, checkDecoding).forWorkers(),
	sizeKey("workers.memory_limit", func(c *config) *int64 { return &c.workers.memoryLimit }, 0, 1<<50).forWorkers(),
	intKey("workers.keep_open", func(c *config) *int { return &c.workers.keepOpen }, 1, maxKeep).forWorkers(),
	durationKey("workers.keep_open_for", func(c *config) *time.Duration { return &c.workers.keepOpenFor }, time.Second, 24*time.Hour).forWorkers(),
	durationKey("workers.task_timeout", func(c *config) *time.Duration { return &c.workers.taskTimeout }, time.Second, 7*24*time.Hour).forWorkers(),
	durationKey("workers.lease", func(c *config) *time.Duration { return &c.workers.lease }, time.Second, 10*time.Minute),
	intKey("workers.attempts", func(c *config) *int { return &c.workers.attempts }, 1, 100),
	durationKey("workers.retry_delay", func(c *config) *time.Duration { return &c.workers.retryDelay }, 0, time.Minute),
	durationKey("workers.result_patience", func(c *config) *time.Duration { return &c.workers.resultPatience }, time.Second, 24*time.Hour).forWorkers(),
	intKey("queue.window", func(c *config) *int { return &c.queue.window }, 0, 10_000),
	durationKey("queue.reconcile_interval", func(c *config) *time.Duration { return &c.queue.reconcileInterval }, 100*time.Millisecond, 10*time.Minute),

	textKey("nats.url", func(c *config) *string { return &c.nats.url }, optional(checkNATS)).forWorkers(),
	textKey("nats.listen", func(c *config) *string { return &c.nats.listen }, optional(checkAddress)),
	textKey("nats.prefix", func(c *config) *string { return &c.nats.prefix }, checkPrefix).forWorkers(),
	textKey("nats.token", func(c *config) *string { return &c.nats.token }, nil).forWorkers().hidden(),
	textKey("nats.token_file", func(c *config) *string { return &c.nats.tokenFile }, nil).forWorkers(),
	textKey("nats.user", func(c *config) *string { return &c.nats.user }, nil).forWorkers(),
	textKey("nats.password", func(c *config) *string { return &c.nats.password }, nil).forWorkers().hidden(),
	textKey("nats.credentials", func(c *config) *string { return &c.nats.credentials }, nil).forWorkers(),
	textKey("nats.ca", func(c *config) *string { return &c.nats.ca }, nil).forWorkers(),
	textKey("nats.client_cert", func(c *config) *string { return &c.nats.clientCert }, nil).forWorkers(),
	textKey("nats.client_key", func(c *config) *string { return &c.nats.clientKey }, nil).forWorkers(),
	textKey("nats.server_cert", func(c *config) *string { return &c.nats.serverCert }, nil),
	textKey("nats.server_key", func(c *config) *string { return &c.nats.serverKey }, nil),
	textKey("nats.client_ca", func(c *config) *string { return &c.nats.clientCA }, nil),

	sizeKey("store.memory", func(c *config) *int64 { return &c.store.memory }, 16<<20, 64<<30),
	sizeKey("store.min_free", func(c *config) *int64 { return &c.store.minFree }, 0, 1<<50),
	durationKey("store.request_id_life", func(c *config) *time.Duration { return &c.store.requestIDLife }, time.Minute, 366*24*time.Hour),
	durationKey("store.keep_unused", func(c *config) *time.Duration { return &c.store.keepUnused }, 0, 100*366*24*time.Hour),

	rateKey("limits.requests_per_second", func(c *config) *float64 { return &c.limits.requestsPerSecond }, -1, 1e6),
	intKey("limits.request_burst", func(c *config) *int { return &c.limits.requestBurst }, 1, 1e6),
	intKey("limits.watch_streams", func(c *config) *int { return &c.limits.watchStreams }, 1, 1e6),
	intKey("limits.streams_per_connection", func(c *config) *int { return &c.limits.streamsPerConnection }, 1, 1e6),
	intKey("limits.connections", func(c *config) *int { return &c.limits.connections }, 1, 1e6),
	sizeKey("limits.message_size", func(c *config) *int64 { return &c.limits.messageSize }, 64<<10, 1<<30),
	durationKey("limits.stalled_stream", func(c *config) *time.Duration { return &c.limits.stalledStream }, time.Second, time.Hour),
	intKey("limits.rescore_concurrency", func(c *config) *int { return &c.limits.rescoreConcurrency }, 1, 256),
	sizeKey("limits.import_size", func(c *config) *int64 { return &c.limits.importSize }, 1<<20, 16<<30),
	intKey("limits.import_streams", func(c *config) *int { return &c.limits.importStreams }, 1, 256),
	intKey("limits.outstanding_measurements", func(c *config) *int64 { return &c.limits.outstandingMeasurements }, 1, 1e9),
	intKey("limits.owner_measurements", func(c *config) *int64 { return &c.limits.ownerMeasurements }, 1, 1e9),
	intKey("limits.chunks", func(c *config) *int { return &c.limits.chunks }, 1, 16384),
	intKey("limits.max_width", func(c *config) *int { return &c.limits.decode.MaxWidth }, 1, 1<<20).forWorkers(),
	intKey("limits.max_height", func(c *config) *int { return &c.limits.decode.MaxHeight }, 1, 1<<20).forWorkers(),
	intKey("limits.max_pixels", func(c *config) *int64 { return &c.limits.decode.MaxPixels }, 1, 1<<40).forWorkers(),
	intKey("limits.max_frames", func(c *config) *int64 { return &c.limits.decode.MaxFrames }, 1, 1<<40).forWorkers(),
	intKey("limits.max_streams", func(c *config) *int { return &c.limits.decode.MaxStreams }, 1, 1<<20).forWorkers(),
	sizeKey("limits.max_index_bytes", func(c *config) *int64 { return &c.limits.decode.MaxIndexBytes }, 1<<10, 1<<40).forWorkers(),
	sizeKey("limits.probe_bytes", func(c *config) *int64 { return &c.limits.decode.ProbeBytes }, 1<<10, 1<<40).forWorkers(),
	durationKey("limits.open_timeout", func(c *config) *time.Duration { return &c.limits.decode.OpenTimeout }, time.Second, 7*24*time.Hour).forWorkers(),
	durationKey("limits.stall_timeout", func(c *config) *time.Duration { return &c.limits.decode.StallTimeout }, time.Second, 7*24*time.Hour).forWorkers(),

	textKey("log.level", func(c *config) *string { return &c.log.level }, func(text string) error {
		_, err := telemetry.ParseLevel(text)
		return err
	}).forWorkers(),
	textKey("log.format", func(c *config) *string { return &c.log.format }, func(text string) error {
		_, err := telemetry.ParseFormat(text)
		return err
	}).forWorkers(),
	textKey("telemetry.otlp_endpoint", func(c *config) *string { return &c.telemetry.otlpEndpoint }, optional(func(text string) error {
		_, _, err := telemetry.ParseEndpoint(text)
		return err
	})).forWorkers(),
	rateKey("telemetry.trace_ratio", func(c *config) *float64 { return &c.telemetry.traceRatio }, 0, 1).forWorkers(),
	boolKey("telemetry.pprof", func(c *config) *bool { return &c.telemetry.pprof }),
}

// settingOf finds a key. nil: there is none.
func settingOf(key string) *setting {
	if i := slices.IndexFunc(allSettings, func(s *setting) bool { return s.key == key }); i >= 0 {
		return allSettings[i]
	}
	return nil
}

func (s *setting) forWorkers() *setting { s.worker = true; return s }
func (s *setting) hidden() *setting     { s.secret = true; return s }

// text is the value as assign takes it.
func (s *setting) text(c *config) string {
	if s.texts != nil {
		return strings.Join(*s.texts(c), string(os.PathListSeparator))
	}
	return s.get(c)
}

// assign sets the value from one text: of a flag or a variable. Those of a list are separated as in PATH.
func (s *setting) assign(c *config, text string) error {
	if s.texts == nil {
		return s.set(c, text)
	}
	list := s.texts(c)
	if *list = nil; text != "" {
		*list = strings.Split(text, string(os.PathListSeparator))
	}
	return nil
}

func textKey(key string, field func(*config) *string, check func(string) error) *setting {
	return &setting{key: key, kind: textSetting, get: func(c *config) string { return *field(c) }, set: func(c *config, text string) error {
		*field(c) = text
		if check != nil {
			return check(text)
		}
		return nil
	}}
}

func optional(check func(string) error) func(string) error {
	return func(text string) error {
		if text == "" {
			return nil
		}
		return check(text)
	}
}

func listKey(key string, field func(*config) *[]string) *setting {
	return &setting{key: key, kind: listSetting, texts: field}
}

func boolKey(key string, field func(*config) *bool) *setting {
	return &setting{key: key, kind: plainSetting, get: func(c *config) string { return strconv.FormatBool(*field(c)) }, set: func(c *config, text string) error {
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		*field(c) = text == "true"
		return nil
	}}
}

func intKey[T int | int64](key string, field func(*config) *T, low, high int64) *setting {
	return &setting{key: key, kind: plainSetting, get: func(c *config) string { return strconv.FormatInt(int64(*field(c)), 10) }, set: func(c *config, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		*field(c) = T(n)
		return nil
	}}
}

// rateKey is a number that need not be whole. low −1 means: −1, or more than 0.
func rateKey(key string, field func(*config) *float64, low, high float64) *setting {
	return &setting{key: key, kind: plainSetting, get: func(c *config) string { return strconv.FormatFloat(*field(c), 'f', -1, 64) }, set: func(c *config, text string) error {
		v, err := strconv.ParseFloat(text, 64)
		switch {
		case low == -1 && (err != nil || v != -1 && !(v > 0 && v <= high)):
			return fmt.Errorf("want a number above 0 and up to %g, or -1 for no limit", high)
		case low != -1 && (err != nil || math.IsNaN(v) || v < low || v > high):
			return fmt.Errorf("want a number from %g to %g", low, high)
		}
		*field(c) = v
		return nil
	}}
}

func durationKey(key string, field func(*config) *time.Duration, low, high time.Duration) *setting {
	return &setting{key: key, kind: amountSetting, get: func(c *config) string { return durationText(*field(c)) }, set: func(c *config, text string) error {
		d, err := time.ParseDuration(text)
		if _, bare := strconv.ParseFloat(text, 64); err != nil || bare == nil {
			return errors.New("want a time with a unit, such as 90s")
		}
		if d < low || d > high {
			return fmt.Errorf("want a time from %s to %s", durationText(low), durationText(high))
		}
		*field(c) = d
		return nil
	}}
}

// durationText is a time without the parts that are 0: 1m rather than 1m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func sizeKey(key string, field func(*config) *int64, low, high int64) *setting {
	return &setting{key: key, kind: amountSetting, get: func(c *config) string { return sizeText(*field(c)) }, set: func(c *config, text string) error {
		n, ok := parseSize(text)
		if !ok {
			return errors.New("want a size with a unit (B, KiB, MiB, GiB, TiB), such as 64MiB")
		}
		if n < low || n > high {
			return fmt.Errorf("want a size from %s to %s", sizeText(low), sizeText(high))
		}
		*field(c) = n
		return nil
	}}
}

var byteUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parseSize reads a whole number with a unit.
func parseSize(text string) (bytes int64, ok bool) {
	for _, unit := range byteUnits {
		if digits, found := strings.CutSuffix(text, unit.name); found {
			n, err := strconv.ParseInt(digits, 10, 64)
			return n * unit.bytes, err == nil && n >= 0 && n <= math.MaxInt64/unit.bytes
		}
	}
	return 0, false
}

// sizeText is a size in the largest unit that it is a whole number of.
func sizeText(bytes int64) string {
	for _, unit := range byteUnits {
		if bytes != 0 && bytes%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", bytes/unit.bytes, unit.name)
		}
	}
	return "0B"
}

func checkDevice(text string) error {
	_, err := engine.ParseDevice(text)
	return err
}

func checkDecoding(text string) error {
	_, err := engine.ParseDecoding(text)
	return err
}

// checkNATS looks at the addresses of servers. Errors have nothing of the value in them, which may hold a password.
func checkNATS(text string) error {
	for _, address := range strings.Split(text, ",") {
		scheme, rest, ok := strings.Cut(strings.TrimSpace(address), "://")
		if !ok || rest == "" || !slices.Contains([]string{"nats", "tls"}, scheme) {
			return errors.New("want nats://HOST:PORT or tls://HOST:PORT, several with commas between")
		}
		if strings.Contains(rest, "@") {
			return errors.New("has credentials in it, which others could see: use nats.user with nats.password, or nats.token_file")
		}
	}
	return nil
}

func checkPrefix(text string) error {
	if text == "" || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) {
		return errors.New("want 1 to 64 letters, digits, - and _")
	}
	return nil
}
