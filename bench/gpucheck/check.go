package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// errNoDevice is the error of a machine that has nothing to check.
var errNoDevice = errors.New("there is no device to check")

// check is one run of gpu-check.
type check struct {
	bundle, out, device string
	soak, limit         time.Duration
	quick               bool

	scratch string
	program string // vqsd, unpacked
	report  report
}

// report is what report.json holds.
type report struct {
	Schema   string    `json:"schema"` // "vqsd.gpu-check/1"
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Good     bool      `json:"good"`     // every step that ran was
	Emulated bool      `json:"emulated"` // the device is no GPU
	Device   device    `json:"device"`
	Driver   driver    `json:"driver"`
	// Facts are what nvidia-smi tells, by its own names, before and after; empty without it.
	FactsBefore map[string]string `json:"facts_before"`
	FactsAfter  map[string]string `json:"facts_after"`
	Steps       []step            `json:"steps"`
	// Benchmarks are documents of vqsd bench --json.
	Benchmarks []json.RawMessage `json:"benchmarks"`
	Soak       *soak             `json:"soak"`
}

// device and driver are what vqsd devices --json says.
type device struct {
	Device            string `json:"device"`
	Name              string `json:"name"`
	UUID              string `json:"uuid"`
	ComputeCapability string `json:"compute_capability"`
	Multiprocessors   int    `json:"multiprocessors"`
	MemoryBytes       uint64 `json:"memory_bytes"`
	ClockKHz          int    `json:"clock_khz"`
	MemoryClockKHz    int    `json:"memory_clock_khz"`
	MemoryBusBits     int    `json:"memory_bus_bits"`
	Emulated          bool   `json:"emulated"`
}

type driver struct {
	CUDA    string `json:"cuda"`
	Library string `json:"library"`
}

// step is one thing that was done.
type step struct {
	Name    string  `json:"name"`
	State   state   `json:"state"`
	Text    string  `json:"text"` // what came of it, or why it was not done
	Command string  `json:"command"`
	Seconds float64 `json:"seconds"`
	Log     string  `json:"log,omitempty"` // file beside the report with all that was said
}

type state string

const (
	good   state = "good"
	bad    state = "bad"
	notRun state = "not run"
)

func (c *check) path(elements ...string) string {
	return filepath.Join(append([]string{c.bundle}, elements...)...)
}

// command is a program of the bundle, with its libraries.
func (c *check) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+c.path("lib")+withColon(os.Getenv("LD_LIBRARY_PATH")), "TMPDIR="+c.scratch,
		"XDG_DATA_HOME="+c.scratch)
	command.Dir = c.scratch
	command.WaitDelay = 30 * time.Second
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // vqsd removes what it made
	return command
}

func withColon(text string) string {
	if text == "" {
		return ""
	}
	return ":" + text
}

// output runs a command to its end. What it says goes into a log beside the report.
func (c *check) output(ctx context.Context, log, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	command := c.command(ctx, program, args...)
	var stdout bytes.Buffer
	var all transcript
	command.Stdout, command.Stderr = io.MultiWriter(&stdout, &all), &all
	err := command.Run()
	if log != "" {
		err = errors.Join(err, os.WriteFile(filepath.Join(c.out, log), []byte(strings.Join(command.Args, " ")+"\n"+all.String()), 0o644))
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("not done within %v", c.limit)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, lastLine(all.String()))
	}
	return stdout.Bytes(), err
}

// transcript is all that a process says on both of its streams, each of which is read by a goroutine.
type transcript struct {
	// mu guards text.
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// vqsd runs vqsd.
func (c *check) vqsd(ctx context.Context, log string, args ...string) ([]byte, error) {
	return c.output(ctx, log, c.program, args...)
}

// run does everything. The report is written even where ctx ends before, and then it is not good.
func (c *check) run(ctx context.Context) (err error) {
	if c.scratch, err = os.MkdirTemp("", "gpu-check-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.scratch)) }()
	for _, dir := range []*string{&c.bundle, &c.out, &c.scratch} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	c.report = report{Schema: "vqsd.gpu-check/1", Began: time.Now().UTC()}
	if c.program, err = c.unpack(c.path("vqsd.gz")); err != nil {
		return err
	}
	if err := c.findDevice(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	c.report.FactsBefore = c.facts(ctx)
	c.doctor(ctx)
	c.parity(ctx)
	c.tests(ctx)
	c.benchmarks(ctx)
	c.tools(ctx)
	c.soaking(ctx)
	c.report.FactsAfter = c.facts(ctx)
	c.report.Ended = time.Now().UTC()
	if ctx.Err() != nil {
		c.add(step{Name: "end", State: bad, Text: "interrupted"})
	}
	c.report.Good = true
	for _, s := range c.report.Steps {
		c.report.Good = c.report.Good && s.State != bad
	}
	if err := c.write(); err != nil {
		return err
	}
	if !c.report.Good {
		return fmt.Errorf("not everything is good: see %s", filepath.Join(c.out, c.file("report.md")))
	}
	return nil
}

// add notes a step, and tells it.
func (c *check) add(s step) {
	c.report.Steps = append(c.report.Steps, s)
	fmt.Fprintf(os.Stderr, "gpu-check: %-8s %s: %s\n", s.State, s.Name, s.Text)
}

// timed runs a step. do says what came of it, which is its text; errSkipped is the error of one that cannot be done here.
func (c *check) timed(ctx context.Context, s step, do func() (string, error)) {
	if ctx.Err() != nil {
		return
	}
	began := time.Now()
	text, err := do()
	s.Seconds, s.State, s.Text = time.Since(began).Seconds(), good, text
	switch {
	case errors.Is(err, errSkipped):
		s.State, s.Text = notRun, err.Error()
	case err != nil:
		s.State, s.Text = bad, err.Error()
	}
	c.add(s)
}

var errSkipped = errors.New("not done here")

// findDevice looks for the device, and ends everything where there is none.
func (c *check) findDevice(ctx context.Context) error {
	out, err := c.vqsd(ctx, "", "devices", "--json")
	if err != nil {
		return fmt.Errorf("vqsd does not run here, and nothing was checked: %w", err)
	}
	var found struct {
		Driver *driver  `json:"driver"`
		Why    *string  `json:"why_no_gpu"`
		GPUs   []device `json:"gpus"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return fmt.Errorf("vqsd devices: %w", err)
	}
	if found.Why != nil {
		return fmt.Errorf("%w: %s", errNoDevice, *found.Why)
	}
	for _, d := range found.GPUs {
		if d.Device == c.device {
			c.report.Device, c.report.Emulated = d, d.Emulated
			if found.Driver != nil {
				c.report.Driver = *found.Driver
			}
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not among the %d of this machine", errNoDevice, c.device, len(found.GPUs))
}

// smiFields are what nvidia-smi is asked for.
const smiFields = "name,uuid,driver_version,vbios_version,pstate,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw," +
	"power.limit,ecc.mode.current,ecc.errors.uncorrected.volatile.total,persistence_mode,mig.mode.current,memory.total,memory.used,pcie.link.gen.current,pcie.link.width.current"

// facts are what nvidia-smi says of the device.
func (c *check) facts(ctx context.Context) map[string]string {
	facts := map[string]string{}
	smi, err := exec.LookPath("nvidia-smi")
	if err != nil || c.report.Emulated {
		return facts
	}
	out, err := c.output(ctx, "", smi, "--id="+c.report.Device.UUID, "--query-gpu="+smiFields, "--format=csv,noheader")
	if err != nil {
		facts["nvidia-smi"] = err.Error()
		return facts
	}
	values := strings.Split(strings.TrimSpace(string(out)), ", ")
	for i, name := range strings.Split(smiFields, ",") {
		if i < len(values) {
			facts[name] = values[i]
		}
	}
	return facts
}

// doctor keeps what vqsd says of the machine. Its warnings are no business of the device's, but for what it finds of that.
func (c *check) doctor(ctx context.Context) {
	c.timed(ctx, step{Name: "doctor", Command: "vqsd doctor --json", Log: "doctor.txt"}, func() (string, error) {
		out, runErr := c.vqsd(ctx, "doctor.txt", "doctor", "--json", "--media-root", c.path("clips"))
		var found struct {
			Findings []struct{ Name, State, Text string } `json:"findings"`
		}
		if err := json.Unmarshal(out, &found); err != nil {
			return "", errors.Join(err, runErr)
		}
		var texts []string
		for _, f := range found.Findings {
			if f.Name != "gpu" && f.Name != "nvdec" && !strings.HasPrefix(f.Name, "gpu ") {
				continue
			}
			if f.State == "broken" {
				return "", errors.New(f.Text)
			}
			texts = append(texts, f.Text)
		}
		return strings.Join(texts, "; "), nil
	})
}
