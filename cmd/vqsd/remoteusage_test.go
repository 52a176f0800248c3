package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrongUsageOfClientCommands(t *testing.T) {
	ref, dis := pair(t, 3)
	id := strings.Repeat("0", 26)
	measure := func(more ...string) []string { return append([]string{"measure", "-r", ref, "-d", dis}, more...) }
	remote := func(more ...string) []string { return measure(append(more, "--server", "127.0.0.1:1")...) }
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"daemon's flag without a daemon":      {measure("--label", "a=b"), "--label is for a daemon; name it: --server ADDRESS"},
		"choice of rules without a daemon":    {measure("--model", "auto"), "--model auto leaves the choice to a daemon's rules"},
		"threads of a daemon":                 {remote("--threads", "2"), "--threads cannot be had of a daemon"},
		"device of a daemon":                  {remote("--device", "cpu"), "--device cannot be had of a daemon"},
		"limit of a daemon":                   {remote("--limit", "max_width=5"), "--limit cannot be had of a daemon: it has its own"},
		"standard input of a daemon":          {[]string{"measure", "-r", ref, "-d", "-", "--server", "x"}, "standard input (-) cannot be had of a daemon"},
		"no model of a daemon":                {remote("--no-prediction", "--feature", "vif"), "--no-prediction cannot be had of a daemon"},
		"auto beside another model":           {remote("--model", "auto", "--model", "vmaf_v0.6.1"), "the only --model"},
		"unknown model of a daemon":           {remote("--model", "vmaf_v9"), "--model: unknown model"},
		"log of a measurement in the future":  {remote("--no-wait", "--log", "x.xml"), "--log needs the result"},
		"neither waiting nor measuring":       {remote("--no-wait", "--validate-only"), "contradict each other"},
		"negative patience":                   {remote("--patience", "-1s"), "--patience -1s: must not be negative"},
		"unknown class":                       {remote("--class", "soon"), `--class: unknown class "soon"; use latency, throughput, background`},
		"deadline that is none":               {remote("--deadline", "tomorrow"), "--deadline tomorrow: want a time from now"},
		"deadline in the past":                {remote("--deadline", "-1h"), "--deadline -1h: is not in the future"},
		"label without a value":               {remote("--label", "x"), "--label x: want KEY=VALUE"},
		"label twice":                         {remote("--label", "x=1", "--label", "x=2"), "--label x=2: x is given twice"},
		"segment that is none":                {remote("--segment", "-2"), "--segment -2: want a number of frames"},
		"request ID with a space":             {remote("--request-id", "a b"), "--request-id: want at most 64 characters"},
		"too few frames measured":             {remote("--subsample", "1000001"), "--subsample 1000001: a daemon takes at most 1000000"},
		"address that is a URL":               {[]string{"list", "--server", "http://x:1"}, "--server http://x:1: want HOST[:PORT]"},
		"address without a sound port":        {[]string{"list", "--server", "x:y"}, `"y" is no port`},
		"certificate without its key":         {[]string{"list", "--cert", "x"}, "--cert and --key belong together"},
		"no time for answers":                 {[]string{"list", "--timeout", "5"}, "invalid argument"},
		"timeout of 0":                        {[]string{"list", "--timeout", "0s"}, "--timeout 0s: must be above 0"},
		"get of nothing":                      {[]string{"get"}, "name one measurement; there are 0"},
		"get of two":                          {[]string{"get", id, id}, "name one measurement; there are 2"},
		"get of no name":                      {[]string{"get", "x.mp4"}, `"x.mp4" is no measurement's name`},
		"get with a bad log format":           {[]string{"get", id, "--log", "x", "--log-format", "yaml"}, `unknown log format "yaml"`},
		"cancel of nothing":                   {[]string{"cancel"}, "name at least one measurement"},
		"delete of no name":                   {[]string{"delete", id, "ID"}, `"ID" is no measurement's name`},
		"negative limit":                      {[]string{"list", "--limit", "-1"}, "--limit -1: must not be negative"},
		"unknown granularity":                 {[]string{"query", "--granularity", "pixel"}, `unknown "pixel"; use aggregate, segment, frame`},
		"segment of aggregates":               {[]string{"query", "--segment", "2s"}, "--segment goes with --granularity segment"},
		"rescore without a model":             {[]string{"rescore", id}, `required flag(s) "model" not set`},
		"rescore of nothing":                  {[]string{"rescore", "--model", "vmaf_v0.6.1"}, "name at least one measurement"},
		"rescore of names and a filter":       {[]string{"rescore", id, "--filter", "*", "--model", "vmaf_v0.6.1"}, "not both"},
		"rescore with an empty filter":        {[]string{"rescore", "--filter", "", "--model", "vmaf_v0.6.1"}, "--filter is empty"},
		"rescore with what rules choose":      {[]string{"rescore", id, "--model", "auto"}, "--model auto is for measuring"},
		"rescore with an unknown model":       {[]string{"rescore", id, "--model", "vmaf_v9"}, "--model: unknown model"},
		"backup to nowhere":                   {[]string{"backup"}, `required flag(s) "output" not set`},
		"backup and document on one stream":   {[]string{"backup", "-o", "-", "--json"}, "both write to standard output"},
		"restore without a directory":         {[]string{"restore", "x"}, `required flag(s) "data" not set`},
		"restore of two files":                {[]string{"restore", "--data", "x", "a", "b"}, "name one file; there are 2"},
		"no administrative command":           {[]string{"admin"}, "name a command: workers, queue, folders, cache or drain"},
		"unknown administrative command":      {[]string{"admin", "sleep"}, `unknown command "sleep"`},
		"time of unused figures and no clean": {[]string{"admin", "cache", "--unused-for", "1h"}, "--unused-for goes with --clean"},
		"wait for a daemon that resumes":      {[]string{"admin", "drain", "--resume", "--wait", "1s"}, "and no --resume"},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, row.args...)
			got.want(t, exitUsage, "vqsd: ", row.says, `--help"`)
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
}

// A token is not sent where others could read it, unless that is asked for.
func TestTokenStaysPrivate(t *testing.T) {
	t.Setenv(tokenEnvironment, "secret")
	dir := t.TempDir()
	for address, refused := range map[string]bool{
		"192.0.2.1": true, "media-host:7330": true, "localhost": false, "127.0.0.1:9": false, "[::1]:9": false, "::1": false,
	} {
		f := connectFlags{server: address, timeout: time.Second}
		_, err := f.parse()
		if (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
		for name, open := range map[string]func(*connectFlags){
			"insecure": func(f *connectFlags) { f.insecure = true }, "tls": func(f *connectFlags) { f.tls = true }, "ca": func(f *connectFlags) { f.ca = "x" },
		} {
			f := connectFlags{server: address, timeout: time.Second}
			open(&f)
			if _, err := f.parse(); err != nil {
				t.Errorf("%s with --%s: %v", address, name, err)
			}
		}
	}
	got := vqsd(t, "list", "--server", "192.0.2.1")
	got.want(t, exitUsage, "the token would go to 192.0.2.1 unencrypted: use --tls, or --insecure")
	if strings.Contains(got.stderr, "secret") {
		t.Errorf("it tells the token: %s", got.stderr)
	}
	vqsd(t, "list", "--token-file", filepath.Join(dir, "none")).want(t, exitFailed, "none: no such file")
	two := writeFile(t, filepath.Join(dir, "two"), []byte("a b\n"))
	vqsd(t, "list", "--token-file", two).want(t, exitFailed, "two: want one token")
	vqsd(t, "list", "--ca", two).want(t, exitFailed, "--ca "+two+": has no certificate")
	vqsd(t, "list", "--ca", filepath.Join(dir, "none")).want(t, exitFailed, "none: no such file")
	vqsd(t, "list", "--cert", two, "--key", two).want(t, exitFailed, "--cert "+two)
}

func TestSplitAddress(t *testing.T) {
	for text, want := range map[string]string{
		"host": "host:7330", "host:1": "host:1", ":99": "127.0.0.1:99", "::1": "[::1]:7330", "[::1]": "[::1]:7330", "[::1]:5": "[::1]:5", "10.0.0.1": "10.0.0.1:7330",
		"host:": "", "host:0": "", "host:99999": "", "a/b": "", "http://a": "", "a:b:c": "", "unix:///x": "",
	} {
		host, port, err := splitAddress(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken as %s and %s", text, host, port)
		case want != "" && (err != nil || net.JoinHostPort(host, port) != want):
			t.Errorf("%q is %s and %s, %v; want %s", text, host, port, err, want)
		}
	}
}

func FuzzSplitAddress(f *testing.F) {
	for _, seed := range []string{"host", "host:1", ":99", "[::1]:5", "http://a", "a:b:c", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := splitAddress(text)
		if err != nil {
			return
		}
		again, p, err := splitAddress(net.JoinHostPort(host, port))
		if err != nil || again != host || p != port {
			t.Errorf("%q is %q and %q, which is read as %q and %q, %v", text, host, port, again, p, err)
		}
	})
}

func FuzzMeasurementName(f *testing.F) {
	f.Add(testID)
	f.Add(namePrefix + testID)
	f.Add("measurements/measurements/x")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := measurementName(text)
		if err != nil {
			return
		}
		if again, err := measurementName(shortName(name)); err != nil || again != name {
			t.Errorf("%q is %q, which is read as %q, %v", text, name, again, err)
		}
	})
}

func TestHelpOfClientCommands(t *testing.T) {
	for _, command := range []string{"get", "list", "query", "cancel", "delete", "rescore", "backup", "restore", "admin", "admin workers", "admin queue", "admin cache", "admin drain"} {
		got := vqsd(t, append(strings.Fields(command), "--help")...)
		got.want(t, exitDone)
		for _, text := range []string{"Examples:", "vqsd " + command} {
			if !strings.Contains(got.stdout, text) {
				t.Errorf("help of %s has no %q:\n%s", command, text, got.stdout)
			}
		}
		if command != "admin" && !strings.Contains(got.stdout, "--json") {
			t.Errorf("%s has no --json", command)
		}
	}
}
