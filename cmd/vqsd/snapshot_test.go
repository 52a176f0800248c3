package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "rewrite the snapshots in testdata")

// What differs between machines and runs, in documents and tables.
var (
	varying = regexp.MustCompile(`("(?:elapsed_seconds|frames_per_second|backend|threads)": )[^\n,]+`)
	backend = regexp.MustCompile(`on cpu \(.*`)
	local   = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`) // the time zone is the machine's
)

// snapshot compares text with testdata/NAME, from which -update makes it.
func snapshot(t *testing.T, name, text, folder string) {
	t.Helper()
	text = strings.ReplaceAll(text, folder, "FOLDER")
	text = varying.ReplaceAllString(text, "${1}VARYING")
	text = backend.ReplaceAllString(text, "on cpu VARYING")
	text = local.ReplaceAllString(text, "yyyy-mm-dd hh:mm:ss")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, []byte(text))
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs: %s\n(go test ./cmd/vqsd -update rewrites it)", path, firstDifference(text, string(want)))
	}
}

// The documents are a promise: a change here is a change that users see.
func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	ref := clipSpec{frames: 7}.write(t, dir, "ref.y4m")
	dis := clipSpec{frames: 7, noise: 12}.write(t, dir, "dis.y4m")
	low := clipSpec{width: 96, height: 72, frames: 7, noise: 6}.write(t, dir, "low.y4m")
	cut := writeFile(t, filepath.Join(dir, "cut.y4m"), clipSpec{frames: 7}.y4m()[:20000])
	fast := clipSpec{frames: 14, rate: "50:1", noise: 9}.write(t, dir, "fast.y4m")
	raw := writeFile(t, filepath.Join(dir, "raw.yuv"), make([]byte, 64*48*3/2*2))
	for name, row := range map[string]struct {
		args []string
		code int
	}{
		"measure.json": {[]string{"measure", "--json", "-r", ref, "-d", dis, "--model", "vmaf_v0.6.1", "--model", "vmaf_b_v0.6.3:name=b",
			"--feature", "vif:debug=true", "--subsample", "2"}, exitDone},
		"measure-ladder.json": {[]string{"measure", "--json", "-r", ref, "-d", dis, "-d", cut, "--crop", "48x40+8+4", "--frames", "1:6",
			"--pool", "mean,p2.5", "--scale", "lanczos", "--chunk", "2"}, exitFailed},
		"measure-timestamp.json": {[]string{"measure", "--json", "-r", ref, "-d", fast, "--pairing", "timestamp", "--shortest", "--no-prediction",
			"--feature", "motion"}, exitDone},
		"measure.txt":      {[]string{"measure", "-r", ref, "-d", dis, "-d", cut, "--feature", "vif", "--frames", "0:5"}, exitFailed},
		"inspect.json":     {[]string{"inspect", "--json", ref}, exitDone},
		"inspect.txt":      {[]string{"inspect", low}, exitDone},
		"inspect-raw.json": {[]string{"inspect", "--json", "--raw-video", "64x48:yuv420p", raw}, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, row.args...)
			got.want(t, row.code)
			snapshot(t, name, got.stdout, dir)
			if strings.HasSuffix(name, ".json") && !json.Valid([]byte(got.stdout)) {
				t.Error("that is no JSON")
			}
		})
	}
}

// What --json says does not depend on whether a log is written as well, and neither does the table.
func TestLogDoesNotChangeResults(t *testing.T) {
	ref, dis := pair(t, 6)
	log := filepath.Join(t.TempDir(), "x.json")
	for _, flag := range []string{"--json", "--quiet"} {
		without := vqsd(t, "measure", flag, "-r", ref, "-d", dis)
		with := vqsd(t, "measure", flag, "-r", ref, "-d", dis, "--log", log, "--plot", filepath.Join(t.TempDir(), "x.png"))
		without.want(t, exitDone)
		with.want(t, exitDone)
		a, b := varying.ReplaceAllString(without.stdout, ""), varying.ReplaceAllString(with.stdout, "")
		if a != b {
			t.Errorf("%s: %s", flag, firstDifference(b, a))
		}
	}
}

// The same figures for any chunk, number of threads and company of other renditions.
func TestSameFiguresHoweverMeasured(t *testing.T) {
	ref, dis := pair(t, 11)
	other := clipSpec{frames: 11, noise: 40}.write(t, t.TempDir(), "other.y4m")
	log := func(more ...string) string {
		dir := t.TempDir()
		args := append([]string{"measure", "-r", ref, "-d", dis, "--log", dir + "/{name}.xml", "--log-precision", "17"}, more...)
		vqsd(t, args...).want(t, exitDone)
		text, err := os.ReadFile(dir + "/dis.xml")
		if err != nil {
			t.Fatal(err)
		}
		return timeless(string(text))
	}
	want := log()
	for _, more := range []string{"--chunk 1", "--chunk 3 --threads 3", "--chunk 100", "--threads 1", "-d " + other} {
		if got := log(strings.Fields(more)...); got != want {
			t.Errorf("%s: %s", more, firstDifference(got, want))
		}
	}
}

func TestPlots(t *testing.T) {
	ref, dis := pair(t, 6)
	dir := t.TempDir()
	for name, begins := range map[string]string{"x.svg": "<", "x.png": "\x89PNG", "x.html": "<!"} {
		path := filepath.Join(dir, name)
		vqsd(t, "measure", "-r", ref, "-d", dis, "--plot", path).want(t, exitDone)
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte(begins)) {
			t.Errorf("%s begins %.20q, %v", name, text, err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "x.html"))
	if err != nil || !bytes.Contains(page, []byte("sha256")) {
		t.Errorf("the page does not say which model: %v", err)
	}
}

// On a terminal there is a bar, and it goes away; elsewhere there is one line.
func TestProgress(t *testing.T) {
	ref, dis := pair(t, 6)
	piped := vqsd(t, "measure", "-r", ref, "-d", dis)
	piped.want(t, exitDone, "measured 6 frames in ")
	if strings.Count(piped.stderr, "\n") != 1 || strings.Contains(piped.stderr, "\r") {
		t.Errorf("standard error has %q", piped.stderr)
	}
	if quiet := vqsd(t, "measure", "-r", ref, "-d", dis, "--quiet"); quiet.stderr != "" {
		t.Errorf("quiet, and yet standard error has %q", quiet.stderr)
	}
	for flags, bar := range map[string]bool{"": true, "--no-progress": false, "--quiet": false} {
		shown := onTerminal(t, append([]string{"measure", "-r", ref, "-d", dis}, strings.Fields(flags)...)...)
		if got := strings.Contains(shown, "measuring"); got != bar {
			t.Errorf("%q: a bar is shown: %v, want %v: %q", flags, got, bar, shown)
		}
		if got, want := strings.Contains(shown, "measured 6 frames in"), flags != "--quiet"; got != want {
			t.Errorf("%q: the last line is shown: %v, want %v: %q", flags, got, want, shown)
		}
	}
}

// onTerminal runs the program with a terminal as standard error and returns what is shown there.
func onTerminal(t *testing.T, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		t.Skipf("no terminals here: %v", errno)
	}
	terminal := os.NewFile(slave, "terminal")
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = shown.ReadFrom(master) // ends with an error when the terminal is closed
	}()
	var stdout bytes.Buffer
	if code := run(t.Context(), args, nil, &stdout, terminal); code != exitDone {
		t.Errorf("status %d", code)
	}
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	<-read
	return shown.String()
}
