package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unpack puts a program, which the bundle keeps compressed, into the scratch folder.
func (c *check) unpack(packed string) (_ string, err error) {
	in, err := os.Open(packed)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	z, err := gzip.NewReader(in)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.scratch, strings.TrimSuffix(filepath.Base(packed), ".gz"))
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, z)
	return path, errors.Join(err, out.Close())
}

// verdicts counts what the test programs say of each test.
var verdicts = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): `)

// testsOf selects the tests of a program that are about devices; the others look for files and programs that a bundle does not have. Those of the
// golden clips have them where VQSD_GOLDEN is set.
func testsOf(program string) string {
	if program != "engine.test" {
		return ""
	}
	pattern := "TestCUDA|Extractor_contract|OpenBackend"
	if os.Getenv("VQSD_GOLDEN") != "" {
		pattern += "|Golden_onCUDA|Golden_decodedByTheDevice"
	}
	return pattern
}

// tests runs the test programs on the device.
func (c *check) tests(ctx context.Context) {
	programs, err := filepath.Glob(c.path("tests", "*.gz"))
	if err != nil || len(programs) == 0 {
		c.add(step{Name: "tests", State: notRun, Text: "the bundle has no test programs"})
		return
	}
	for _, packed := range programs {
		name := strings.TrimSuffix(filepath.Base(packed), ".gz")
		log := name + ".txt"
		args := []string{"-test.v", "-test.timeout=" + c.limit.String()}
		if pattern := testsOf(name); pattern != "" {
			args = append(args, "-test.run="+pattern)
		}
		if c.quick || c.report.Emulated {
			args = append(args, "-test.short")
		}
		c.timed(ctx, step{Name: "tests of " + name, Command: name + " " + strings.Join(args, " "), Log: log}, func() (string, error) {
			program, err := c.unpack(packed)
			if err != nil {
				return "", err
			}
			if !c.report.Emulated {
				if err := os.Setenv("VQSD_TEST_DEVICE", "1"); err != nil {
					return "", err
				}
			}
			out, err := c.output(ctx, log, program, args...)
			count := map[string]int{}
			for _, m := range verdicts.FindAllStringSubmatch(string(out), -1) {
				count[m[1]]++
			}
			text := fmt.Sprintf("%d passed, %d failed, %d skipped", count["PASS"], count["FAIL"], count["SKIP"])
			if err != nil {
				return "", fmt.Errorf("%s: %w", text, err)
			}
			return text, nil
		})
	}
}

// benchmark runs vqsd bench and keeps its document.
func (c *check) benchmark(ctx context.Context, name string, args ...string) {
	args = append([]string{"bench"}, args...)
	args = append(args, "--json")
	if c.quick || c.report.Emulated {
		args = append(args, "--runs", "1")
	}
	c.timed(ctx, step{Name: "benchmark of " + name, Command: "vqsd " + strings.Join(args, " ")}, func() (string, error) {
		out, err := c.vqsd(ctx, "", args...)
		if json.Valid(out) {
			c.report.Benchmarks = append(c.report.Benchmarks, json.RawMessage(out))
		}
		if err != nil {
			return "", err
		}
		var d struct {
			Results []struct {
				NotRun string `json:"not_run"`
			} `json:"results"`
		}
		if err := json.Unmarshal(out, &d); err != nil {
			return "", err
		}
		ran := 0
		for _, r := range d.Results {
			if r.NotRun == "" {
				ran++
			}
		}
		return fmt.Sprintf("%d of %d cases", ran, len(d.Results)), nil
	})
}

// benchmarks times the device, and the processor beside it. On an emulated one everything is as small as can be: it shows that it runs.
func (c *check) benchmarks(ctx context.Context) {
	kernels := []string{"--size", "all", "--depth", "all", "--renditions", "1,5"}
	files := []string{"--clips", c.path("clips"), "--renditions", "1,2", "--loops", "80"} // about a thousand frames of the larger ones
	compared := []string{"--codec", "y4m", "--size", "576x324,1920x1080", "--depth", "8,10", "--renditions", "1", "--compare"}
	if c.report.Emulated {
		kernels = []string{"--size", "64x48", "--renditions", "1", "--frames", "2"}
		files = []string{"--clips", c.path("clips"), "--renditions", "1", "--frames", "2"}
		compared = []string{"--codec", "y4m", "--size", "64x48", "--renditions", "1", "--frames", "2", "--compare"}
	}
	c.benchmark(ctx, "kernels", append([]string{"kernels", "--device", c.device}, kernels...)...)
	c.benchmark(ctx, "kernels on the processor", append([]string{"kernels", "--device", "cpu"}, kernels...)...)
	c.benchmark(ctx, "decoding, measuring and the daemon", append([]string{"decode", "measure", "daemon", "--device", c.device}, files...)...)
	if _, err := exec.LookPath("vmaf"); err != nil {
		c.add(step{Name: "benchmark beside vmaf", State: notRun, Text: "there is no vmaf on PATH"})
		return
	}
	c.benchmark(ctx, "measuring beside vmaf", append([]string{"measure", "--device", c.device}, compared...)...)
}

// tools runs NVIDIA's checkers where they are at hand.
func (c *check) tools(ctx context.Context) {
	small := []string{c.program, "bench", "kernels", "--device", c.device, "--size", "576x324", "--depth", "8,10", "--renditions", "2", "--frames", "4", "--runs", "1"}
	for _, tool := range []struct {
		name, log string
		args      []string
	}{
		{"compute-sanitizer", "memcheck.txt", []string{"--tool", "memcheck", "--error-exitcode", "9"}},
		{"compute-sanitizer", "racecheck.txt", []string{"--tool", "racecheck", "--error-exitcode", "9"}},
		{"ncu", "ncu.txt", []string{"--set", "basic", "--launch-count", "40"}},
	} {
		name := tool.name
		if len(tool.args) > 1 && tool.args[0] == "--tool" {
			name += " " + tool.args[1]
		}
		args := append(append([]string{}, tool.args...), small...)
		c.timed(ctx, step{Name: name, Command: tool.name + " " + strings.Join(args, " "), Log: tool.log}, func() (string, error) {
			program, err := exec.LookPath(tool.name)
			if err != nil {
				return "", fmt.Errorf("%w: there is no %s on PATH", errSkipped, tool.name)
			}
			_, err = c.output(ctx, tool.log, program, args...)
			return "nothing found", err
		})
	}
}

// soak is memory over a long run.
type soak struct {
	Seconds float64      `json:"seconds"`
	Samples []soakSample `json:"samples"`
	// Growth is how much the peak of the last quarter is above that of the second, in bytes: the first is warming up.
	HostGrowth   int64 `json:"host_growth_bytes"`
	DeviceGrowth int64 `json:"device_growth_bytes"`
}

// soakSample is the memory at one time. Device is 0 where nvidia-smi is not there to tell.
type soakSample struct {
	Seconds float64 `json:"seconds"`
	Host    int64   `json:"host_bytes"`
	Device  int64   `json:"device_bytes"`
}

// What growth is none: allocators give back late, and others may use the device.
const (
	hostSlack   = 64 << 20
	deviceSlack = 16 << 20
)

// soaking measures on and on, and looks at memory.
func (c *check) soaking(ctx context.Context) {
	if c.soak == 0 {
		c.add(step{Name: "soak", State: notRun, Text: "--soak is 0"})
		return
	}
	args := []string{"bench", "measure", "--device", c.device, "--clips", c.path("clips"), "--renditions", "1", "--loops", "10", "--runs", "1000", "--json"}
	if c.report.Emulated {
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--loops" || a == "10" })
	}
	c.timed(ctx, step{Name: "soak", Command: "vqsd " + strings.Join(args, " ")}, func() (string, error) {
		// One that ends before its time is begun again, in a process of its own: memory is looked at within the longest.
		deadline := time.Now().Add(c.soak)
		longest := &soak{}
		for time.Now().Before(deadline) {
			s, err := c.soakOnce(ctx, deadline, args)
			if err != nil {
				return "", err
			}
			if s.Seconds > longest.Seconds {
				longest = s
			}
		}
		longest.HostGrowth = growth(longest.Samples, func(s soakSample) int64 { return s.Host })
		longest.DeviceGrowth = growth(longest.Samples, func(s soakSample) int64 { return s.Device })
		c.report.Soak = longest
		text := fmt.Sprintf("%.0f s, host memory %+d MiB, device memory %+d MiB from the second quarter to the last", longest.Seconds, longest.HostGrowth>>20, longest.DeviceGrowth>>20)
		if longest.HostGrowth > hostSlack || longest.DeviceGrowth > deviceSlack {
			return "", errors.New("memory grows: " + text)
		}
		return text, nil
	})
}

func (c *check) soakOnce(ctx context.Context, deadline time.Time, args []string) (*soak, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	command := c.command(ctx, c.program, args...)
	if err := command.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	s, began := &soak{}, time.Now()
	tick := time.NewTicker(max(c.soak/240, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			s.Seconds = time.Since(began).Seconds()
			if err != nil && ctx.Err() == nil {
				return nil, err
			}
			return s, nil // told to end, or done
		case <-tick.C:
			s.Samples = append(s.Samples, soakSample{time.Since(began).Seconds(), residentBytes(command.Process.Pid), c.deviceBytes(ctx)})
		}
	}
}

func growth(samples []soakSample, figure func(soakSample) int64) int64 {
	peak := func(part []soakSample) int64 {
		n := int64(0)
		for _, s := range part {
			n = max(n, figure(s))
		}
		return n
	}
	quarter := len(samples) / 4
	if quarter == 0 {
		return 0
	}
	return peak(samples[3*quarter:]) - peak(samples[quarter:2*quarter])
}

// residentBytes is the memory of a process that is in use; 0: it has ended.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 53)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// deviceBytes is the device memory in use, whoever's it is; 0: unknown.
func (c *check) deviceBytes(ctx context.Context) int64 {
	smi, err := exec.LookPath("nvidia-smi")
	if err != nil || c.report.Emulated {
		return 0
	}
	out, err := exec.CommandContext(ctx, smi, "--id="+c.report.Device.UUID, "--query-gpu=memory.used", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return 0
	}
	mebibytes, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 40)
	if err != nil {
		return 0
	}
	return mebibytes << 20
}
