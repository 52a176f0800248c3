package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// ErrKilled says that a process did not end in time and had to be killed.
var ErrKilled = errors.New("the process did not end in time and was killed")

// Config says what to run and how to treat it. Path and Name are required; zero values of the rest are defaults.
type Config struct {
	Name string   // in the log and in Exit
	Path string   // of the program; not searched for
	Args []string // without the program's name
	Env  []string // KEY=VALUE, all of the environment; nil: this process's

	// MemoryLimit is how many bytes may be resident. 0: any number. It is looked at every MemoryInterval, default 250 ms.
	MemoryLimit    int64
	MemoryInterval time.Duration
	// Grace is how long a process may take to end when it was asked to by SIGTERM. 0: 10 s.
	Grace time.Duration
	// RetryFirst and RetryMost bound the pause before the next process: it doubles with every one that ended within Healthy, by half more or less
	// at random. Defaults 250 ms, 30 s and 30 s.
	RetryFirst, RetryMost, Healthy time.Duration

	// OnStart and OnExit are called for each process, in order, one at a time. The next process waits until they return. They may not call Stop.
	OnStart func(pid int)
	OnExit  func(Exit)

	Logger *slog.Logger // nil: slog.Default(); what processes write to stderr and stdout goes there, too
}

func (c *Config) validate() error {
	var errs []error
	fill(&c.MemoryInterval, 250*time.Millisecond)
	fill(&c.Grace, 10*time.Second)
	fill(&c.RetryFirst, 250*time.Millisecond)
	fill(&c.RetryMost, max(30*time.Second, c.RetryFirst))
	fill(&c.Healthy, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Name == "" || c.Path == "" {
		errs = append(errs, fmt.Errorf("a supervised process needs a name (%q) and a program (%q)", c.Name, c.Path))
	}
	if c.MemoryLimit < 0 {
		errs = append(errs, fmt.Errorf("memory limit of %s is %d bytes; it is at least 0", c.Name, c.MemoryLimit))
	}
	if min(c.MemoryInterval, c.Grace, c.Healthy) <= 0 || c.RetryFirst < time.Millisecond || c.RetryMost < c.RetryFirst {
		errs = append(errs, fmt.Errorf("times of %s: memory interval %v, grace %v and healthy %v are above 0, and the pauses %v to %v from 1ms on",
			c.Name, c.MemoryInterval, c.Grace, c.Healthy, c.RetryFirst, c.RetryMost))
	}
	return errors.Join(errs...)
}

// Exit is how a process ended.
type Exit struct {
	Name   string
	PID    int
	Code   int            // exit status; -1: a signal ended it
	Signal syscall.Signal // 0: none did
	Reason string         // in words: "exit status 2", "killed by signal 11 (segmentation fault)", or why we killed it
	Stderr string         // the last 8 KiB that it wrote to stderr and stdout
	Ran    time.Duration
	MaxRSS int64 // most bytes that were ever resident
	Wanted bool  // Stop was called
}

// Child is a command that is kept running. Its methods may be called from any goroutine.
type Child struct {
	cfg  Config
	log  *slog.Logger
	quit chan struct{} // closed by the first Stop
	done chan struct{} // closed when no process runs and none will

	// mu guards the fields below.
	mu       sync.Mutex
	stopping bool
	process  *os.Process // nil: none runs
	killed   string      // why we killed it
	forced   bool        // Stop had to
}

// Start starts a process of the command and keeps one running until [Child.Stop].
//
// Errors: of the first start, after which nothing runs.
func Start(cfg Config) (*Child, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Child{cfg: cfg, log: cfg.Logger.With("process", cfg.Name), quit: make(chan struct{}), done: make(chan struct{})}
	first := make(chan error, 1)
	go c.run(first)
	if err := <-first; err != nil {
		<-c.done
		return nil, err
	}
	return c, nil
}

// run has one process after the other, until quit.
func (c *Child) run(first chan<- error) {
	defer close(c.done)
	// The kernel kills a process when the thread that started it ends, so that thread is to live as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = c.cfg.RetryFirst, c.cfg.RetryMost, 2
	pauses.Reset()
	for {
		p, err := c.start()
		if first != nil {
			first <- err
			first = nil
			if err != nil {
				return
			}
		}
		ran := time.Duration(0)
		switch {
		case err != nil:
			c.log.Error("process could not be started", "err", err)
		case p == nil:
			return // stopped before there was one
		default:
			ran = c.attend(p)
		}
		if ran >= c.cfg.Healthy {
			pauses.Reset()
		}
		pause := time.NewTimer(pauses.NextBackOff())
		select {
		case <-pause.C:
		case <-c.quit:
			pause.Stop()
			return
		}
	}
}

// running is one process.
type running struct {
	cmd     *exec.Cmd
	started time.Time
	output  *tail
	alive   *os.File // our end of the pipe that tells the process that we live
}

// start starts a process. nil without an error: Stop came first.
func (c *Child) start() (_ *running, err error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.cfg.Name, err)
	}
	defer theirs.Close() // the process has its own by then
	p := &running{output: newTail(c.log), alive: ours}
	p.cmd = exec.Command(c.cfg.Path, c.cfg.Args...)
	env := c.cfg.Env
	if env == nil {
		env = os.Environ()
	}
	p.cmd.Env = append(append([]string(nil), env...), parentVariable+"="+strconv.Itoa(parentFD))
	p.cmd.ExtraFiles = []*os.File{theirs} // the first of which is parentFD there
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second // for what its own children leave open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// Its own group: an interrupt typed at a terminal is for the supervisor, which ends it in order.
		Setpgid: true,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, ours.Close()
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.cfg.Name, err), ours.Close())
	}
	c.process, c.killed, c.forced = p.cmd.Process, "", false
	return p, nil
}

// attend watches over a process until it has ended, tells of it, and returns how long it ran.
func (c *Child) attend(p *running) time.Duration {
	pid := p.cmd.Process.Pid
	c.log.Info("process started", "pid", pid)
	if c.cfg.OnStart != nil {
		c.cfg.OnStart(pid)
	}
	watched := make(chan struct{})
	over := make(chan struct{})
	go func() { defer close(watched); c.watchMemory(pid, over) }()
	err := p.cmd.Wait()
	close(over)
	<-watched
	ran := time.Since(p.started)
	c.mu.Lock()
	c.process = nil
	exit := Exit{Name: c.cfg.Name, PID: pid, Ran: ran, Wanted: c.stopping, Reason: c.killed}
	c.mu.Unlock()
	p.output.end()
	exit.Stderr = p.output.String()
	exit.describe(p.cmd.ProcessState, err)
	if err := p.alive.Close(); err != nil {
		c.log.Warn("a pipe could not be closed", "err", err)
	}
	level := slog.LevelWarn
	if exit.Wanted && (exit.Code == 0 || exit.Signal == syscall.SIGTERM) { // it may not have got as far as hearing the signal
		level = slog.LevelInfo
	}
	c.log.Log(context.Background(), level, "process ended", "pid", pid, "reason", exit.Reason, "elapsed", ran)
	if c.cfg.OnExit != nil {
		c.cfg.OnExit(exit)
	}
	return ran
}

// describe fills in how a process ended. err is of waiting.
func (e *Exit) describe(state *os.ProcessState, err error) {
	e.Code = -1
	if state == nil {
		e.Reason = fmt.Sprintf("lost: %v", err)
		return
	}
	e.Code = state.ExitCode()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		e.MaxRSS = usage.Maxrss << 10
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		e.Signal = status.Signal()
	}
	switch {
	case e.Reason != "" && e.Signal == syscall.SIGKILL: // ours
	case e.Signal == syscall.SIGKILL:
		e.Reason = "killed by signal 9 (killed): by somebody, or by the kernel for want of memory"
	case e.Signal != 0:
		e.Reason = fmt.Sprintf("killed by signal %d (%v)", int(e.Signal), e.Signal)
	default:
		e.Reason = state.String()
	}
}

// watchMemory kills a process that has more memory than it may.
func (c *Child) watchMemory(pid int, over <-chan struct{}) {
	if c.cfg.MemoryLimit == 0 {
		return
	}
	tick := time.NewTicker(c.cfg.MemoryInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-over:
			return
		}
		// A process that cannot be looked at has ended, which Wait tells.
		if rss, err := resident(pid); err == nil && rss > c.cfg.MemoryLimit {
			c.Kill(fmt.Sprintf("killed: %d bytes of memory are above workers.memory_limit (%d)", rss, c.cfg.MemoryLimit))
			return
		}
	}
}

// resident is a process's resident memory in bytes. proc(5): the second number of statm counts pages.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, err
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		return 0, fmt.Errorf("read statm of process %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// PID is the running process's. 0: none runs.
func (c *Child) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return 0
	}
	return c.process.Pid
}

// Kill kills the running process, if there is one, for a reason that [Exit] will have. Another is started.
func (c *Child) Kill(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return
	}
	if c.killed == "" {
		c.killed = reason
	}
	c.signal(syscall.SIGKILL)
}

// signal sends a signal to the running process, with mu held.
func (c *Child) signal(s syscall.Signal) {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.log.Warn("process could not be signalled", "signal", s, "err", err)
	}
}

// Stop ends the process and starts no other. It asks it to end by SIGTERM, waits for as long as [Config.Grace] or until ctx ends, kills it, and
// returns when it is gone. It may be called again, which waits for the same end.
//
// Errors: [ErrKilled].
func (c *Child) Stop(ctx context.Context) error {
	c.mu.Lock()
	if !c.stopping {
		c.stopping = true
		close(c.quit)
		if c.process != nil {
			c.signal(syscall.SIGTERM)
		}
	}
	c.mu.Unlock()
	grace := time.NewTimer(c.cfg.Grace)
	defer grace.Stop()
	select {
	case <-c.done:
	case <-grace.C:
		c.force(fmt.Sprintf("killed: it did not end within %v of being asked to", c.cfg.Grace))
	case <-ctx.Done():
		c.force("killed: there was no time to wait for its end")
	}
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced {
		return fmt.Errorf("stop %s: %w", c.cfg.Name, ErrKilled)
	}
	return nil
}

func (c *Child) force(reason string) {
	c.mu.Lock()
	c.forced = c.process != nil
	c.mu.Unlock()
	c.Kill(reason)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
