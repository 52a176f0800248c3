package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeVQSD stands in for vqsd: it has the devices that are given, and writes for every measurement the figures that $FIGURES names.
const fakeVQSD = `#!/bin/sh
bundle=$(dirname "${LD_LIBRARY_PATH%%:*}")
case $1 in
devices) cat "$bundle/devices.json" ;;
doctor) echo '{"findings":[{"name":"gpu","state":"good","text":"a device"},{"name":"clock","state":"broken","text":"no matter"}]}'; exit 1 ;;
bench) echo '{"version":"v","results":[{"scenario":"kernels","pairs_per_second":{"median":12,"low":11,"high":13}},{"not_run":"no"}]}' ;;
measure)
	while [ $# -gt 0 ]; do
		[ "$1" = --log ] && log=$2
		[ "$1" = -d ] && name=$(basename "$2") && names="$names ${name%.*}"
		[ "$1" = --device ] && device=$2
		shift
	done
	for name in $names; do
		figures=$bundle/figures.csv
		[ -e "$figures.$device" ] && figures=$figures.$device
		cp "$figures" "$(dirname "$log")/$name.csv"
	done
	;;
esac
`

const figures = "Frame,vmaf,\n0,97.25,\n1,93.5,\n"

// bundle makes a bundle of one clip with two renditions, and a test program.
func bundle(t *testing.T, devices string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("vqsd.gz", packed(t, fakeVQSD), 0o644)
	write("devices.json", devices, 0o644)
	write("figures.csv", figures, 0o644)
	for _, name := range []string{"reference.y4m", "rendition1.y4m", "rendition2.y4m"} {
		write("clips/clip/"+name, "", 0o644)
	}
	write("clips/clip/measured/arguments", "--model=vmaf_v0.6.1\n--feature=psnr\n", 0o644)
	for _, name := range []string{"rendition1.csv", "rendition2.csv"} {
		write("clips/clip/expected/"+name, figures, 0o644)
	}
	write("tests/gpu.test.gz", packed(t, "#!/bin/sh\nprintf -- '--- PASS: TestA\\n--- SKIP: TestB\\n'; echo a complaint >&2\n"), 0o644)
	return dir
}

// packed is a program as the bundle has it.
func packed(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	z := gzip.NewWriter(&out)
	fmt.Fprint(z, text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const (
	realDevice = `{"driver":{"cuda":"12.4","library":"libcuda.so.1"},"why_no_gpu":null,"gpus":[{"device":"cuda:0","name":"A GPU","uuid":"GPU-1"}]}`
	emulated   = `{"driver":{"cuda":"12.4","library":"x"},"why_no_gpu":null,"gpus":[{"device":"cuda:0","name":"software","emulated":true}]}`
	noDevice   = `{"driver":null,"why_no_gpu":"no CUDA driver: libcuda.so.1 is not there","gpus":[]}`
)

func checked(t *testing.T, dir string, args ...string) (code int, out string, r report) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	code = run(t.Context(), append([]string{"--bundle", dir, "--out", out, "--soak", "0"}, args...))
	for _, name := range []string{"report.json", "emulated-report.json"} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err == nil {
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
		}
	}
	return code, out, r
}

func (r *report) step(name string) step {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return step{}
}

func TestCheck_good(t *testing.T) {
	t.Setenv("VQSD_TEST_DEVICE", "") // what the check sets is gone afterwards
	code, out, r := checked(t, bundle(t, realDevice))
	if code != exitGood || !r.Good || r.Emulated || r.Device.Name != "A GPU" {
		t.Fatalf("status %d, report %+v", code, r)
	}
	for name, text := range map[string]string{
		"parity of clip on cuda:0, in one run": "4 pairs, every figure to the bit", "parity of clip on cuda:0, frame by frame": "4 pairs", "doctor": "a device",
		"parity of clip on cuda:0, the first rendition alone": "2 pairs", "parity of clip on cpu, in one run": "4 pairs", "tests of gpu.test": "1 passed, 0 failed, 1 skipped",
		"benchmark of kernels": "1 of 2 cases",
	} {
		if s := r.step(name); s.State != good || !strings.Contains(s.Text, text) {
			t.Errorf("%s: %s, %q; want %q", name, s.State, s.Text, text)
		}
	}
	markdown, err := os.ReadFile(filepath.Join(out, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(filepath.Join(out, "gpu.test.txt")); err != nil || !strings.Contains(string(log), "gpu.test -test.v") ||
		!strings.Contains(string(log), "--- PASS: TestA\n--- SKIP: TestB\n") ||
		!strings.Contains(string(log), "a complaint\n") {
		t.Errorf("the log of the tests (%v) has not all:\n%s", err, log)
	}
	for _, text := range []string{"# gpu-check: A GPU\n", "Everything that ran was good", "12 ± 1", "## Commands"} {
		if !strings.Contains(string(markdown), text) {
			t.Errorf("the report has no %q:\n%s", text, markdown)
		}
	}
}

func TestCheck_figuresThatDiffer(t *testing.T) {
	t.Setenv("VQSD_TEST_DEVICE", "")
	dir := bundle(t, realDevice)
	if err := os.WriteFile(filepath.Join(dir, "figures.csv.cuda:0"), []byte(strings.Replace(figures, "93.5", "93.50000000000001", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, r := checked(t, dir)
	if code != exitBad || r.Good {
		t.Errorf("status %d, good %v", code, r.Good)
	}
	s := r.step("parity of clip on cuda:0, in one run")
	if want := "1 figures differ; the first is frame 1, vmaf: 93.50000000000001, want 93.5"; s.State != bad || !strings.Contains(s.Text, want) {
		t.Errorf("%s, %q; want %q", s.State, s.Text, want)
	}
	if s := r.step("parity of clip on cpu, in one run"); s.State != good {
		t.Errorf("the processor's figures are good, and yet: %s", s.Text)
	}
}

func TestCheck_emulatedDeviceIsNoReportOfAGPU(t *testing.T) {
	code, out, r := checked(t, bundle(t, emulated))
	if code != exitGood || !r.Emulated {
		t.Fatalf("status %d, emulated %v", code, r.Emulated)
	}
	if _, err := os.Stat(filepath.Join(out, "report.md")); err == nil {
		t.Error("there is a report.md")
	}
	markdown, err := os.ReadFile(filepath.Join(out, "emulated-report.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(markdown), "Nothing here was read off a GPU") {
		t.Errorf("the report does not say what the device is:\n%s", markdown)
	}
}

func TestCheck_withoutADevice(t *testing.T) {
	for name, row := range map[string]struct {
		devices string
		args    []string
	}{"no driver": {noDevice, nil}, "no such device": {realDevice, []string{"--device", "cuda:7"}}} {
		code, out, _ := checked(t, bundle(t, row.devices), row.args...)
		if code != exitNoDevice {
			t.Errorf("%s: status %d, want %d", name, code, exitNoDevice)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: there is a folder for a report", name)
		}
	}
}

// A program that cannot start says nothing about devices.
func TestCheck_vqsdThatDoesNotRun(t *testing.T) {
	dir := bundle(t, noDevice)
	if err := os.WriteFile(filepath.Join(dir, "vqsd.gz"), []byte(packed(t, "#!/bin/sh\nexit 127\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := checked(t, dir)
	if _, err := os.Stat(out); code != exitBad || err == nil {
		t.Errorf("status %d, want %d and no report (%v)", code, exitBad, err)
	}
}

func TestCheck_interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &check{bundle: bundle(t, realDevice), out: t.TempDir(), device: "cuda:0", limit: time.Minute}
	cancel()
	if err := c.run(ctx); err == nil || c.report.Good {
		t.Errorf("error %v, good %v", err, c.report.Good)
	}
}

func TestRun_wrongUsage(t *testing.T) {
	t.Setenv("OUT", "")
	for name, args := range map[string][]string{"no folder": nil, "stray argument": {"--out", "x", "y"}, "unknown flag": {"--loud"}, "time below 0": {"--out", "x", "--soak", "-1s"}} {
		if code := run(t.Context(), args); code != exitUsage {
			t.Errorf("%s: status %d, want %d", name, code, exitUsage)
		}
	}
}

func TestGrowth(t *testing.T) {
	var samples []soakSample
	for _, n := range []int64{100, 900, 50, 60, 55, 60, 70, 90} {
		samples = append(samples, soakSample{Host: n})
	}
	if got := growth(samples, func(s soakSample) int64 { return s.Host }); got != 30 { // 90 of the last quarter, 60 of the second
		t.Errorf("growth %d, want 30", got)
	}
	if growth(samples[:3], func(s soakSample) int64 { return s.Host }) != 0 {
		t.Error("too few samples to grow, and they do")
	}
}
