package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The reference is the manual of the configuration: it has every key, and each at the default.
func TestReferenceEqualsDefaults(t *testing.T) {
	c := &config{}
	if errs := applyFile(c, "vqsd.yaml", referenceConfig); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := defaultConfig()
	if !reflect.DeepEqual(c, want) {
		t.Errorf("vqsd.yaml gives\n%+v\nand the code\n%+v", c, want)
	}
	if err := defaultConfig().check(); err != nil {
		t.Error(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(referenceConfig, &document); err != nil {
		t.Fatal(err)
	}
	var keys []string
	eachValue("", document.Content[0], func(key string, _ *yaml.Node) { keys = append(keys, key) })
	known := []string{watchKey} // the only one that is no setting
	for _, s := range allSettings {
		known = append(known, s.key)
	}
	slices.Sort(keys)
	slices.Sort(known)
	if !slices.Equal(keys, known) {
		t.Errorf("vqsd.yaml has\n%v\nand the code\n%v", keys, known)
	}
}

// Ranges are stated in the reference and checked in the code: the bounds that it names are taken, and what is beyond is not.
func TestReferenceStatesRanges(t *testing.T) {
	for key, row := range map[string]struct{ good, bad []string }{
		"workers.local":              {[]string{"0", "64"}, []string{"-1", "65", "1.5", "", "many"}},
		"workers.lease":              {[]string{"1s", "10m"}, []string{"999ms", "10m1s", "15", "0", "-1s", "soon"}},
		"workers.memory_limit":       {[]string{"0B", "1024TiB"}, []string{"1", "-1B", "1025TiB", "2GB", "1.5GiB", "99999999999999TiB"}},
		"drain_timeout":              {[]string{"0s", "1h"}, []string{"0", "61m"}},
		"store.memory":               {[]string{"16MiB", "64GiB"}, []string{"16383KiB", "65GiB", "128"}},
		"limits.requests_per_second": {[]string{"-1", "0.5", "1000000"}, []string{"0", "-2", "NaN", "1000001", "Inf"}},
		"telemetry.trace_ratio":      {[]string{"0", "1", "0.25"}, []string{"-0.1", "1.1", "NaN"}},
		"insecure":                   {[]string{"true", "false"}, []string{"yes", "1", ""}},
		"log.level":                  {[]string{"debug", "error"}, []string{"INFO", "loud", ""}},
		"log.format":                 {[]string{"json"}, []string{"xml"}},
		"listen":                     {[]string{"127.0.0.1:0", "[::1]:7330", "localhost:1", ":7330"}, []string{"", "7330", "127.0.0.1", "a b:1", "h:65536", "h:"}},
		"http.listen":                {[]string{"", "127.0.0.1:1"}, []string{"off"}},
		"nats.url":                   {[]string{"", "nats://a:1", "nats://a:1,tls://b:2"}, []string{"a:1", "http://a:1", "nats://user:secret@a:1"}},
		"nats.prefix":                {[]string{"a", "A-b_9"}, []string{"", "a.b", "a b", strings.Repeat("a", 65)}},
		"workers.device":             {[]string{"auto", "auto:1", "cpu", "cuda", "cuda:3"}, []string{"abacus", "cuda:x"}},
		"workers.device_memory":      {[]string{"0B", "8GiB"}, []string{"-1B", "8", ""}},
		"workers.decoding":           {[]string{"auto", "software"}, []string{"", "cuda"}},
		"telemetry.otlp_endpoint":    {[]string{"", "http://c:4317"}, []string{"c", "grpc://c:1"}},
	} {
		t.Run(key, func(t *testing.T) {
			s := settingOf(key)
			for _, text := range row.good {
				c := defaultConfig()
				if err := s.assign(c, text); err != nil {
					t.Errorf("%s is refused: %v", text, err)
				}
				if got := s.text(c); got != text {
					t.Errorf("%s reads back as %s", text, got)
				}
			}
			for _, text := range row.bad {
				if err := s.assign(defaultConfig(), text); err == nil {
					t.Errorf("%q is taken", text)
				} else if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error has the password: %v", err)
				}
			}
		})
	}
}

func TestConfigOrder(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "vqsd.yaml"), []byte("listen: 127.0.0.1:1\nlog: {level: warn, format: json}\nworkers:\n  lease: 20s\n  slots: 3\n"))
	flags := configFlags{file: file}
	for _, set := range []struct{ flag, key, value string }{{"--listen", "listen", "127.0.0.1:3"}, {"--media-root", "media_roots", "a=/a"}, {"--media-root", "media_roots", "/b"}, {setFlag, "", "workers.slots=5"}} {
		if err := (&settingFlag{&flags, set.flag, set.key, "X"}).Set(set.value); err != nil {
			t.Fatal(err)
		}
	}
	c, err := flags.source([]string{"VQSD_LISTEN=127.0.0.1:2", "VQSD_WORKERS_LEASE=30s", "VQSD_MEDIA_ROOTS=/x:/y", "HOME=/root", "VQSD_SERVER=else:1", "VQSD_PORT_7330_TCP=tcp://10.0.0.1:7330"}).read()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %v %d %s %s %v %s", c.listen, c.workers.lease, c.workers.slots, c.log.level, c.log.format, c.mediaRoots, c.http.listen)
	if want := "127.0.0.1:3 30s 5 warn json [a=/a /b] 127.0.0.1:7331"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c, err = (&configFlags{}).source([]string{"VQSD_CONFIG=" + file, "VQSD_MEDIA_ROOTS=/x:n=/y"}).read()
	if err != nil || c.listen != "127.0.0.1:1" || fmt.Sprint(c.mediaRoots) != "[/x n=/y]" {
		t.Errorf("got %v, %v", c, err)
	}
}

// Everything that is wrong is said at once, each with its place and what to do.
func TestConfigErrors(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "vqsd.yaml"), []byte(`listn: 127.0.0.1:1
limits:
  watch_stream: 5
  message_size: 16
workers: 3
tokens: /etc/tokens
log:
  level: loud
  level: info
media_roots: /media
tls:
  cert:
`))
	flags := configFlags{file: file}
	for _, text := range []string{"limits.wach_streams=1", "workers.slots=none"} {
		if err := (&settingFlag{&flags, setFlag, "", "X"}).Set(text); err != nil {
			t.Fatal(err)
		}
	}
	_, err := flags.source([]string{"VQSD_STORE_MEMORY=128", "VQSD_LISTN=x", "VQSD_NATS_URL=nats://u:secret@h"}).read()
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		file + ":1: unknown key listn; did you mean listen?",
		file + ":3: unknown key limits.watch_stream; did you mean limits.watch_streams?",
		file + ":4: limits.message_size: want a size with a unit",
		file + ":5: workers: want keys with values",
		file + ":6: unknown key tokens; did you mean auth.tokens?",
		file + ":8: log.level: unknown level \"loud\"; use debug, info, warn or error",
		file + ":9: log.level: comes twice, first in line 8",
		file + ":10: media_roots: want a list, such as [a, b]",
		file + ":12: tls.cert: has no value; leave the key out for the default, or write \"\"",
		"VQSD_STORE_MEMORY=128: store.memory: want a size with a unit",
		"VQSD_LISTN: there is no such setting; did you mean VQSD_LISTEN?",
		"--set limits.wach_streams: unknown key; did you mean limits.watch_streams?",
		"--set workers.slots=none: want a whole number from 1 to 256",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	for name, text := range map[string]string{
		"not YAML": "a: [", "list": "- a\n", "two documents": "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "alias": "tls: {cert: &a x, key: *a}\n",
		"mapping for a value": "listen: {a: 1}\n", "list for a value": "listen: [a]\n", "mapping in a list": "media_roots: [{a: b}]\n", "key that is a list": "[a, b]: c\n",
	} {
		if errs := applyFile(defaultConfig(), "f", []byte(text)); len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), "f:") {
			t.Errorf("%s: got %v", name, errs)
		}
	}
}

func TestConfigContradictions(t *testing.T) {
	for name, row := range map[string]struct {
		set  string // KEY=VALUE, separated by spaces
		says string // "": it will do
	}{
		"nothing":                                 {"", ""},
		"open to the world":                       {"listen=0.0.0.0:1", "listen: 0.0.0.0:1 is not a loopback address"},
		"open to the world, HTTP":                 {"http.listen=:1", "http.listen: :1 is not a loopback address"},
		"open to the world, wanted":               {"listen=0.0.0.0:1 http.listen=:2 insecure=true", ""},
		"open to those with tokens":               {"listen=0.0.0.0:1 auth.tokens=t", ""},
		"one port":                                {"listen=127.0.0.1:1 http.listen=127.0.0.1:1", "need a port each"},
		"any ports":                               {"listen=127.0.0.1:0 http.listen=127.0.0.1:0", ""},
		"certificate without key":                 {"tls.cert=c", "tls.cert and tls.key go together"},
		"clients' certificates without ours":      {"auth.client_ca=c", "takes tls.cert and tls.key"},
		"two NATS":                                {"nats.url=nats://h:1 nats.listen=127.0.0.1:1 nats.token_file=t", "give one of them"},
		"two ways into NATS":                      {"nats.url=nats://h:1 nats.token_file=t nats.credentials=c", "give one of nats.token"},
		"NATS open to all":                        {"nats.listen=127.0.0.1:1", "set nats.token_file"},
		"NATS with a token":                       {"nats.listen=0.0.0.0:1 nats.token_file=t", ""},
		"NATS with another's credentials":         {"nats.listen=127.0.0.1:1 nats.credentials=c", "takes nats.token_file"},
		"certificates of a server that is absent": {"nats.server_cert=c nats.server_key=k", "which is not set"},
		"workers' certificates without ours":      {"nats.listen=127.0.0.1:1 nats.token_file=t nats.client_ca=c", "takes nats.server_cert"},
		"user without password":                   {"nats.url=nats://h:1 nats.user=u", "nats.user and nats.password go together"},
		"too small a reserve":                     {"store.min_free=100MiB", "at least twice store.memory (128MiB)"},
		"one root twice":                          {"media_roots=/a:n=/a", `folder "/a" is there twice`},
		"two roots of one name":                   {"media_roots=n=/a:n=/b", `two roots are called "n"`},
		"root without folder":                     {"media_roots=n=", "names no folder"},
		"root with a slash in its name":           {"media_roots=/a=b", ""},
		"root with a bad name":                    {"media_roots==/a", "cannot be a root's name"},
	} {
		t.Run(name, func(t *testing.T) {
			var flags configFlags
			for _, text := range strings.Fields(row.set) {
				if err := (&settingFlag{&flags, setFlag, "", "X"}).Set(text); err != nil {
					t.Fatal(err)
				}
			}
			_, err := flags.source(nil).read()
			if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)) {
				t.Errorf("got %v", err)
			}
		})
	}
	var flags configFlags
	if err := (&settingFlag{&flags, setFlag, "", "X"}).Set("nats.token=secret"); err == nil || !strings.Contains(err.Error(), "VQSD_NATS_TOKEN") || strings.Contains(err.Error(), "=secret") {
		t.Errorf("a secret on the command line: %v", err)
	}
	if err := (&settingFlag{&flags, setFlag, "", "X"}).Set("listen"); err == nil {
		t.Error("--set without a value is taken")
	}
}

// What --print-config prints is the reference where nothing is set, and always gives the same configuration again.
func TestPrintConfig(t *testing.T) {
	var b bytes.Buffer
	if err := printConfig(&b, defaultConfig()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), referenceConfig) {
		t.Errorf("the defaults print as\n%s", b.String())
	}
	c := defaultConfig()
	for key, text := range map[string]string{
		"listen": "[::1]:5", "data": `/a "b": c#d`, "rules": "yes", "nats.user": "12", "nats.prefix": "null", "workers.lease": "1m30s", "store.min_free": "3GiB",
		"limits.requests_per_second": "0.25", "telemetry.pprof": "true", "auth.tokens": "ä\n", "tls.cert": "- a", "tls.key": "2001-01-01", "log.level": "error", "workers.keep_open_for": "1h",
	} {
		if err := settingOf(key).assign(c, text); err != nil {
			t.Fatal(err)
		}
	}
	c.mediaRoots = []string{"a=/b, c", "/d:e", "[f]", "true"}
	b.Reset()
	if err := printConfig(&b, c); err != nil {
		t.Fatal(err)
	}
	again := defaultConfig()
	if errs := applyFile(again, "printed", b.Bytes()); len(errs) > 0 {
		t.Fatal(errs, b.String())
	}
	if !reflect.DeepEqual(again, c) {
		t.Errorf("it reads back as\n%+v\nwant\n%+v\n%s", again, c, b.String())
	}
	c.nats.token, c.nats.password = "secret-1", "secret-2"
	b.Reset()
	if err := printConfig(&b, c); err != nil || strings.Contains(b.String(), "secret-") {
		t.Errorf("secrets are printed: %v", err)
	}
}

func TestConfigFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none.yaml"), dir} {
		if _, err := (configSource{file: path}).read(); err == nil || !strings.Contains(err.Error(), "configuration: ") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	}
	large := filepath.Join(dir, "large.yaml")
	writeFile(t, large, nil)
	if err := os.Truncate(large, 2<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := (configSource{file: large}).read(); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestDataDirectory(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/xdg")
	c := defaultConfig()
	if dir, err := c.dataDir(); dir != "/xdg/vqsd" || err != nil {
		t.Errorf("got %q, %v", dir, err)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	t.Setenv("HOME", "/home/a")
	if dir, err := c.dataDir(); dir != "/home/a/.local/share/vqsd" || err != nil {
		t.Errorf("got %q, %v", dir, err)
	}
	t.Setenv("HOME", "")
	if _, err := c.dataDir(); err == nil || !strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("got %v", err)
	}
	c.data = "here"
	if dir, err := c.dataDir(); !filepath.IsAbs(dir) || filepath.Base(dir) != "here" || err != nil {
		t.Errorf("got %q, %v", dir, err)
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", time.Hour + time.Second: "1h0m1s", 30 * 24 * time.Hour: "720h"} {
		if got := durationText(d); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add(referenceConfig)
	f.Add([]byte("listen: {a: [1, 2]}\n"))
	f.Add([]byte("a: &a {b: *a}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := defaultConfig()
		if errs := applyFile(c, "f", text); len(errs) > 0 || c.check() != nil {
			return
		}
		c.nats.token, c.nats.password = "", ""
		var b bytes.Buffer
		if err := printConfig(&b, c); err != nil {
			t.Fatal(err)
		}
		again := defaultConfig()
		if errs := applyFile(again, "f", b.Bytes()); len(errs) > 0 {
			t.Fatalf("%v in\n%s", errs, b.String())
		}
		if len(c.mediaRoots) == 0 {
			c.mediaRoots = again.mediaRoots
		}
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v reads back as\n%+v", c, again)
		}
	})
}

func TestWatchFolders(t *testing.T) {
	dir := t.TempDir()
	t.Run("read and printed", func(t *testing.T) {
		text := "watch:\n- folder: " + dir + "\n  name: encodes\n  interval: 30s\n  ready: {stable_for: 0s, marker: .done}\n" +
			"  pair: {by: pattern, reference: 'm/{title}.mov', rendition: '{title}_*.mp4'}\n  request: {labels: {show: \"a, b: c\"}}\n  reports: {formats: []}\n"
		c := defaultConfig()
		if errs := applyFile(c, "f.yaml", []byte(text)); len(errs) > 0 {
			t.Fatal(errs)
		}
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
		if len(c.watch) != 1 || c.watch[0].Interval != 30*time.Second || *c.watch[0].Ready.StableFor != 0 || c.watch[0].Request.Labels["show"] != "a, b: c" || len(c.watch[0].Reports.Formats) != 0 {
			t.Errorf("got %+v", c.watch)
		}
		var b strings.Builder
		if err := printConfig(&b, c); err != nil {
			t.Fatal(err)
		}
		again := defaultConfig()
		if errs := applyFile(again, "printed.yaml", []byte(b.String())); len(errs) > 0 {
			t.Fatalf("%v in\n%s", errs, b.String())
		}
		if err := again.check(); err != nil {
			t.Fatal(err)
		}
		first, err := c.watchYAML()
		if err != nil {
			t.Fatal(err)
		}
		second, err := again.watchYAML()
		if err != nil || second != first || *again.watch[0].Ready.StableFor != 0 || again.watch[0].Interval != 30*time.Second {
			t.Errorf("%v; printed and read again, it is\n%s\nnot\n%s", err, second, first)
		}

	})
	for name, row := range map[string]struct{ text, want string }{
		"a mapping":            {"watch: {folder: x}", "f.yaml:1: watch: want a list of folders"},
		"unknown key":          {"watch:\n- folder: x\n  pear: {}", "f.yaml:3: unknown key watch[0].pear; did you mean pair?"},
		"unknown key, far off": {"watch:\n- folder: x\n  after: {celebrate: yes}", "unknown key watch[0].after.celebrate; there are success, failure"},
		"a time without unit":  {"watch:\n- folder: x\n  interval: 10", "f.yaml:3: watch[0].interval: want a time with a unit, such as 90s"},
		"no value":             {"watch:\n- folder: x\n  ready: {marker: }", "watch[0].ready.marker: has no value"},
		"a list for a text":    {"watch:\n- folder: [x]", "watch[0].folder: want one value"},
		"a text for a list":    {"watch:\n- folder: x\n  request: {models: a}", "watch[0].request.models: want a list"},
		"a wrong kind":         {"watch:\n- folder: x\n  events: perhaps", "watch[0]: line 3: cannot unmarshal"},
		"a key twice":          {"watch:\n- folder: x\n  folder: y", "watch[0].folder: comes twice"},
		"an alias":             {"watch:\n- &a {folder: x}\n- *a", "watch[1]: aliases are not read"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := applyFile(defaultConfig(), "f.yaml", []byte(row.text))
			if err := errors.Join(errs...); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	t.Run("two of one name", func(t *testing.T) {
		c := defaultConfig()
		if errs := applyFile(c, "f.yaml", []byte("watch:\n- {folder: "+dir+", name: a}\n- {folder: "+dir+"/x, name: a}")); len(errs) > 0 {
			t.Fatal(errs)
		}
		if err := c.check(); err == nil || !strings.Contains(err.Error(), `watch[1]: its name "a" is that of watch[0], too`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not on the command line", func(t *testing.T) {
		_, err := configSource{flags: []assignment{{flag: setFlag, key: "watch", value: "x"}}}.read()
		if err == nil || !strings.Contains(err.Error(), "only a configuration file has") {
			t.Errorf("got %v", err)
		}
	})
}
