package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vqsd/vqsd/bench"
)

func TestBench_wrongUsage(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"unknown scenario":           {[]string{"sleep"}, `scenario "sleep" is not one of decode, kernels, measure, daemon`},
		"unknown device":             {[]string{"--device", "abacus"}, `"abacus" is no device; use auto, cpu, cuda`},
		"size that is none":          {[]string{"--size", "big"}, `--size: "big" is no size`},
		"size too small":             {[]string{"--size", "8x8"}, "--size: 8x8: width and height must be 16 … 16384"},
		"depth out of range":         {[]string{"--depth", "8,17"}, `--depth: "17" is no number from 8 to 16`},
		"unknown codec":              {[]string{"--codec", "theora"}, `--codec: "theora" is not one of h264, hevc, av1, vp9, y4m`},
		"no rendition":               {[]string{"--renditions", "0"}, `--renditions: "0" is no number from 1 to 16`},
		"unknown model":              {[]string{"--model", "vmaf_v9"}, "--model, --feature: unknown model"},
		"one frame":                  {[]string{"--frames", "1"}, "--frames 1: must be 2 … 1048576, or 0"},
		"no run":                     {[]string{"--runs", "0"}, "--runs 0: must be 1 … 1000"},
		"no loop":                    {[]string{"--loops", "0"}, "--loops 0: must be 1 … 1000"},
		"a part of a clip in loops":  {[]string{"--loops", "2", "--frames", "5", "--clips", dir}, "--loops shows whole clips"},
		"too many threads":           {[]string{"--threads", "5000"}, "--threads 5000: must be 0 … 1024"},
		"clips, and what is no use":  {[]string{"--clips", dir, "--codec", "hevc"}, "--codec is of clips that are made"},
		"option for nobody":          {[]string{"--compare-option", "--quiet"}, "--compare-option is for --compare"},
		"several, all of them told":  {[]string{"--runs", "0", "--frames", "1"}, "--frames 1"},
		"several, and the other one": {[]string{"--runs", "0", "--frames", "1"}, "--runs 0"},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, append([]string{"bench"}, row.args...)...)
			got.want(t, exitUsage, "vqsd: ", row.says, `see "vqsd bench --help"`)
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
}

func TestBench_withoutTheDevice(t *testing.T) {
	got := vqsd(t, "bench", "kernels", "--device", "cuda:200", "--size", "64x48")
	got.want(t, exitFailed, "device not available: cuda:200")
	if got.stdout != "" {
		t.Errorf("standard output has %q", got.stdout)
	}
}

func TestBench_withoutClips(t *testing.T) {
	vqsd(t, "bench", "decode", "--device", "cpu", "--clips", t.TempDir()).want(t, exitFailed, "there is no clip in it: a file named reference.*")
}

// All scenarios, the daemon with its worker among them, in small.
func TestBench_everyScenario(t *testing.T) {
	t.Setenv(roleEnvironment, "program") // for the daemon
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	got := vqsd(t, "bench", "--device", "cpu", "--size", "64x48", "--codec", "y4m", "--renditions", "1,2", "--frames", "4", "--runs", "1", "--threads", "2", "--json")
	got.want(t, exitDone, "vqsd: making clips of 64x48", "vqsd: daemon: 64x48 8 bit y4m, 2 renditions")
	var report bench.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatal(err)
	}
	count := map[bench.Scenario]int{}
	for _, r := range report.Results {
		if r.NotRun != "" || r.Failure != "" {
			t.Errorf("%s: not run for %q, failed for %q", r.Scenario, r.NotRun, r.Failure)
		}
		count[r.Scenario]++
		if r.Scenario == bench.ScenarioDaemon && (r.InProcess == nil || r.DecodeAlone == nil || r.PeakResidentBytes == nil || r.Bound == "") {
			t.Errorf("the daemon's result lacks figures: %+v", r)
		}
	}
	for _, s := range bench.Scenarios() {
		if count[s] != 2 {
			t.Errorf("%s has %d results, want 2", s, count[s])
		}
	}
	folderHas(t, scratch)
}

func TestBench_table(t *testing.T) {
	got := vqsd(t, "bench", "measure", "--device", "cpu", "--size", "64x48", "--codec", "y4m", "--renditions", "1", "--frames", "4", "--runs", "1", "--compare")
	got.want(t, exitDone)
	for _, text := range []string{"GHz before", "vmaf_v0.6.1; median ±", "scenario", "measure   64x48 8 bit y4m", " of decode alone"} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the table has no %q:\n%s", text, got.stdout)
		}
	}
}

func TestBench_interruptLeavesNothing(t *testing.T) {
	scratch := t.TempDir()
	c := process(t, "bench", "measure", "--device", "cpu", "--size", "64x48", "--codec", "y4m", "--frames", "500", "--runs", "1000")
	c.Env = append(c.Env, "TMPDIR="+scratch)
	lines, stdout := &logLines{}, &bytes.Buffer{}
	lines.more = sync.NewCond(&lines.mu)
	c.Stdout = stdout
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go lines.read(stderr)
	if lines.wait(func(line string) bool { return strings.HasPrefix(line, "vqsd: measure:") }) == "" {
		t.Fatalf("it did not begin to measure:\n%s", lines)
	}
	if entries, err := os.ReadDir(scratch); err != nil || len(entries) == 0 {
		t.Errorf("no scratch folder while it measures (%v)", err)
	}
	signalled := time.Now()
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	lines.wait(nil)
	_ = c.Wait() // its status is looked at below
	if took := time.Since(signalled); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	answer{c.ProcessState.ExitCode(), stdout.String(), lines.String()}.want(t, exitFailed, interrupted)
	folderHas(t, scratch)
}
