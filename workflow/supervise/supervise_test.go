package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// within is how long anything may take that is about to happen.
const within = 60 * time.Second

// What the test binary is when it is not the test: the supervised process, or its supervisor.
const (
	roleVariable = "VQSD_TEST_ROLE"
	fifoVariable = "VQSD_TEST_FIFO"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "obedient":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-term
		os.Exit(0)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		hang()
	case "greedy":
		memory := make([]byte, 256<<20)
		for i := range memory { // every page has to be touched to be resident
			memory[i] = 1
		}
		fmt.Fprintln(os.Stderr, "ready")
		hang()
	case "supervisor, watched by the kernel", "supervisor, watched through the pipe":
		child := "child of the kernel"
		if strings.HasSuffix(role, "pipe") {
			child = "child of the pipe"
		}
		_, err := Start(Config{Name: "child", Path: os.Args[0], Env: environment(child, fifoVariable+"="+os.Getenv(fifoVariable))})
		fmt.Fprintln(os.Stderr, err)
		hang()
	case "child of the kernel", "child of the pipe":
		gone := ParentGone()
		if role == "child of the pipe" {
			// The kernel is not to do it this time.
			if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
				panic(err)
			}
		} else {
			gone = nil
		}
		fifo, err := os.OpenFile(os.Getenv(fifoVariable), os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(fifo, "up")
		<-gone
	default:
		panic(role)
	}
}

// hang is for processes that are to be killed. A bare select would do where some other goroutine runs; where none does, the runtime calls it a
// deadlock.
func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

func environment(role string, more ...string) []string {
	return append(append(os.Environ(), roleVariable+"="+role), more...)
}

// events are what a child's callbacks tell.
type events struct {
	starts chan int
	exits  chan Exit
	lines  chan string
}

// supervised starts a child that ends with the test.
func supervised(t *testing.T, cfg Config) (*Child, events) {
	t.Helper()
	e := events{make(chan int, 100), make(chan Exit, 100), make(chan string, 1000)}
	cfg.Name = "child"
	cfg.OnStart = func(pid int) { e.starts <- pid }
	cfg.OnExit = func(exit Exit) { e.exits <- exit }
	cfg.Logger = slog.New(&lines{Handler: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}), heard: e.lines})
	if cfg.RetryFirst == 0 {
		cfg.RetryFirst, cfg.RetryMost = time.Millisecond, 10*time.Millisecond
	}
	c, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once
		if err := c.Stop(ctx); err != nil && !errors.Is(err, ErrKilled) {
			t.Error(err)
		}
	})
	return c, e
}

// lines hands on what processes wrote, as the log has it.
type lines struct {
	slog.Handler
	heard chan<- string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }

func (l *lines) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "line" {
			l.heard <- a.Value.String()
		}
		return true
	})
	if r.Level < slog.LevelError {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

func wait[E any](t *testing.T, what string, events <-chan E) E {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(within):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// ready waits until the process says that it is.
func (e events) ready(t *testing.T) {
	t.Helper()
	for wait(t, "the process to be ready", e.lines) != "ready" {
	}
}

func shell(script string) Config { return Config{Path: "/bin/sh", Args: []string{"-c", script}} }

func TestAProcessThatEndsIsReplacedAndItsEndTold(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		code   int
		signal syscall.Signal
		reason string
	}{
		"well":                       {"exit 0", 0, 0, "exit status 0"},
		"with a status":              {"exit 3", 3, 0, "exit status 3"},
		"by a segmentation fault":    {"kill -SEGV $$", -1, syscall.SIGSEGV, "killed by signal 11 (segmentation fault)"},
		"by somebody's hand":         {"kill -KILL $$", -1, syscall.SIGKILL, "killed by signal 9 (killed): by somebody, or by the kernel for want of memory"},
		"by an assertion that fails": {"kill -ABRT $$", -1, syscall.SIGABRT, "killed by signal 6 (aborted)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, e := supervised(t, shell("echo last words >&2; "+test.script))
			first := wait(t, "a start", e.starts)
			exit := wait(t, "an exit", e.exits)
			if exit.PID != first || exit.Name != "child" || exit.Code != test.code || exit.Signal != test.signal || exit.Reason != test.reason || exit.Wanted {
				t.Errorf("got %+v, want %+v of process %d", exit, test, first)
			}
			if exit.Stderr != "last words\n" || exit.Ran <= 0 || exit.MaxRSS <= 0 {
				t.Errorf("got %q after %v with %d bytes", exit.Stderr, exit.Ran, exit.MaxRSS)
			}
			if second := wait(t, "another start", e.starts); second == first {
				t.Errorf("process %d again", second)
			}
		})
	}
}

func TestPausesGrow(t *testing.T) {
	cfg := shell("exit 1")
	cfg.RetryFirst, cfg.RetryMost = 20*time.Millisecond, time.Hour
	_, e := supervised(t, cfg)
	from := time.Now()
	for range 5 {
		wait(t, "a start", e.starts)
	}
	// The pauses between are 20, 40, 80 and 160 ms, each half as long at the least.
	if took := time.Since(from); took < 150*time.Millisecond {
		t.Errorf("five starts took %v; pauses grow, so that at least 150ms have to pass", took)
	}
}

func TestPausesAreShortAgainAfterAHealthyTime(t *testing.T) {
	cfg := shell("exit 1")
	cfg.RetryFirst, cfg.RetryMost, cfg.Healthy = time.Millisecond, time.Hour, time.Nanosecond // everything is healthy
	_, e := supervised(t, cfg)
	for range 30 { // which would take months if they grew
		wait(t, "a start", e.starts)
	}
}

func TestStopAsksFirst(t *testing.T) {
	c, e := supervised(t, Config{Path: os.Args[0], Env: environment("obedient")})
	e.ready(t)
	if c.PID() == 0 {
		t.Error("no process")
	}
	if err := c.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if exit := wait(t, "the exit", e.exits); !exit.Wanted || exit.Code != 0 {
		t.Errorf("got %+v", exit)
	}
	if len(e.starts) != 1 || c.PID() != 0 {
		t.Errorf("%d starts, process %d; none is wanted after Stop", len(e.starts), c.PID())
	}
	if err := c.Stop(context.Background()); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	c, e := supervised(t, Config{Path: os.Args[0], Env: environment("deaf"), Grace: 20 * time.Millisecond})
	e.ready(t)
	if err := c.Stop(context.Background()); !errors.Is(err, ErrKilled) {
		t.Errorf("got %v, want ErrKilled", err)
	}
	if exit := wait(t, "the exit", e.exits); exit.Signal != syscall.SIGKILL || !strings.Contains(exit.Reason, "did not end within 20ms") {
		t.Errorf("got %+v", exit)
	}
}

func TestStopBetweenTwoProcessesEndsTheWaiting(t *testing.T) {
	cfg := shell("exit 1")
	cfg.RetryFirst, cfg.RetryMost = time.Minute, time.Minute
	c, e := supervised(t, cfg)
	wait(t, "the exit", e.exits)
	if err := c.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestKillSaysWhy(t *testing.T) {
	c, e := supervised(t, Config{Path: os.Args[0], Env: environment("obedient")})
	e.ready(t)
	c.Kill("killed: it gave no sign of life for 15s")
	if exit := wait(t, "the exit", e.exits); exit.Reason != "killed: it gave no sign of life for 15s" || exit.Wanted {
		t.Errorf("got %+v", exit)
	}
	e.ready(t) // the next one
}

func TestMemoryIsLimited(t *testing.T) {
	_, e := supervised(t, Config{Path: os.Args[0], Env: environment("greedy"), MemoryLimit: 128 << 20, MemoryInterval: time.Millisecond})
	exit := wait(t, "the exit", e.exits)
	if exit.Signal != syscall.SIGKILL || !strings.Contains(exit.Reason, "are above workers.memory_limit (134217728)") {
		t.Errorf("got %+v", exit)
	}
}

func TestNoProcessOutlivesItsSupervisor(t *testing.T) {
	for _, role := range []string{"supervisor, watched by the kernel", "supervisor, watched through the pipe"} {
		t.Run(role, func(t *testing.T) {
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			supervisor := exec.Command(os.Args[0])
			supervisor.Env = environment(role, fifoVariable+"="+fifo)
			if err := supervisor.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				// The child holds the other end for as long as it lives.
				f, err := os.Open(fifo)
				if err != nil {
					ended <- err
					return
				}
				defer f.Close()
				in := bufio.NewReader(f)
				if _, err := in.ReadString('\n'); err != nil {
					ended <- err
					return
				}
				if err := supervisor.Process.Kill(); err != nil {
					ended <- err
					return
				}
				_, err = io.Copy(io.Discard, in)
				ended <- err
			}()
			if err := wait(t, "the child's end", ended); err != nil {
				t.Error(err)
			}
			// It was killed, which is all there is to say of it.
			_ = supervisor.Wait()
		})
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	_, err := Start(Config{Name: "child", Path: "/nonexistent/vqsd"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	_, err := Start(Config{MemoryLimit: -1, Grace: -1})
	for _, want := range []string{"needs a name", "memory limit", "grace -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestWithoutASupervisorNobodyIsWatched(t *testing.T) {
	if ParentGone() != nil {
		t.Error("a supervisor is watched although there is none")
	}
}

func TestTailKeepsTheLast(t *testing.T) {
	heard := make(chan string, 1000)
	tail := newTail(slog.New(&lines{Handler: slog.DiscardHandler, heard: heard}))
	var all strings.Builder
	write := func(s string) {
		all.WriteString(s)
		if n, err := io.WriteString(tail, s); n != len(s) || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, len(s), err)
		}
	}
	write("one\ntw")
	write("o\n\nthree \xff\n")
	write(strings.Repeat("x", 2*lineBytes+5) + "\n")
	write(strings.Repeat("y", 3*tailBytes))
	write("end")
	tail.end()
	close(heard)
	var got []string
	for line := range heard {
		got = append(got, line)
	}
	long := strings.Repeat("x", lineBytes)
	if want := []string{"one", "two", "three �", long, long, "xxxxx"}; !slices.Equal(got[:len(want)], want) {
		t.Errorf("heard %.100q", got)
	}
	if joined := strings.Join(got[6:], ""); joined != strings.Repeat("y", 3*tailBytes)+"end" {
		t.Errorf("the last line came as %d bytes in %d pieces", len(joined), len(got)-6)
	}
	if s := tail.String(); s != all.String()[all.Len()-tailBytes:] {
		t.Errorf("kept %d bytes, want the last %d", len(s), tailBytes)
	}
}
