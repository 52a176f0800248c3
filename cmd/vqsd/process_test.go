package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is vqsd as a process: this test binary in the role of the program.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), roleEnvironment+"=program")
	return c
}

// emptyRaw is a headerless 1080p file of many black frames that takes no room on the disk.
func emptyRaw(t *testing.T, path string, frames int64) string {
	t.Helper()
	writeFile(t, path, nil)
	if err := os.Truncate(path, frames*1920*1080*3/2); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInterruptEndsWithinASecond(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for name, stdin := range map[string]bool{"computing": false, "waiting for standard input": true} {
			t.Run(fmt.Sprintf("%v %s", signal, name), func(t *testing.T) {
				in, out := t.TempDir(), t.TempDir()
				ref := emptyRaw(t, filepath.Join(in, "ref.yuv"), 20000)
				dis := emptyRaw(t, filepath.Join(in, "dis.yuv"), 20000)
				args := []string{"measure", "-r", ref, "--raw-video", "1920x1080:yuv420p", "--log", out + "/x.xml", "--plot", out + "/x.svg"}
				if stdin {
					args = append(args, "-d", "-", "--shortest")
				} else {
					args = append(args, "-d", dis)
				}
				c := process(t, args...)
				var stdout, stderr bytes.Buffer
				c.Stdout, c.Stderr = &stdout, &stderr
				hold, err := c.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer hold.Close()
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				awaitOpen(t, c.Process.Pid, ref)
				signalled := time.Now()
				if err := c.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				err = c.Wait()
				if took := time.Since(signalled); took > time.Second {
					t.Errorf("it took %v to end", took)
				}
				answer{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}.want(t, exitFailed, interrupted)
				if stdout.Len() > 0 {
					t.Errorf("standard output has %q", stdout.String())
				}
				if err == nil {
					t.Error("the process ended well")
				}
				folderHas(t, out)
			})
		}
	}
}

// awaitOpen waits until a process has opened a file.
func awaitOpen(t *testing.T, pid int, path string) {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Skipf("processes cannot be watched here: %v", err)
		}
		for _, e := range entries {
			if target, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && target == path {
				return
			}
		}
		time.Sleep(time.Millisecond) // between looks at /proc, which announces nothing
	}
	t.Fatalf("the process did not open %s", path)
}

func TestClosedStandardOutput(t *testing.T) {
	ref, dis := pair(t, 3)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := process(t, "measure", "-r", ref, "-d", dis)
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = w, &stderr
	_ = c.Run() // its status is looked at below
	answer{code: c.ProcessState.ExitCode(), stderr: stderr.String()}.want(t, exitFailed, "vqsd: write standard output: ", "broken pipe")
}

func TestStandardInput(t *testing.T) {
	ref, dis := pair(t, 5)
	want := vqsd(t, "measure", "-r", ref, "-d", dis, "--log", "-")
	want.want(t, exitDone)
	content, err := os.ReadFile(dis)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("of the process", func(t *testing.T) {
		c := process(t, "measure", "-r", ref, "-d", "-", "--log", "-")
		c.Stdin = bytes.NewReader(content)
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := timeless(string(out)); got != timeless(want.stdout) {
			t.Errorf("got\n%s\nwant\n%s", got, timeless(want.stdout))
		}
	})
	t.Run("any reader", func(t *testing.T) {
		got := vqsdInput(t, bytes.NewReader(content), "measure", "-r", ref, "-d", "-", "--log", "-")
		got.want(t, exitDone, "measured 5 frames")
		if timeless(got.stdout) != timeless(want.stdout) {
			t.Errorf("got\n%s\nwant\n%s", got.stdout, want.stdout)
		}
	})
	t.Run("headerless", func(t *testing.T) {
		header := bytes.IndexByte(content, '\n') + 1
		raw := bytes.ReplaceAll(content[header:], []byte("FRAME\n"), nil)
		got := vqsdInput(t, bytes.NewReader(raw), "measure", "-r", ref, "-d", "-", "--raw-video", "64x48:yuv420p:25", "--log", "-")
		got.want(t, exitDone)
		if timeless(got.stdout) != timeless(want.stdout) {
			t.Errorf("got\n%s\nwant\n%s", got.stdout, want.stdout)
		}
	})
	t.Run("longer than the reference", func(t *testing.T) {
		long := clipSpec{frames: 9, noise: 12}.y4m()
		vqsdInput(t, bytes.NewReader(long), "measure", "-r", ref, "-d", "-", "--shortest").want(t, exitDone)
	})
	t.Run("inspect", func(t *testing.T) {
		got := vqsdInput(t, io.LimitReader(bytes.NewReader(content), 100), "inspect", "-")
		got.want(t, exitDone)
		if !strings.Contains(got.stdout, "unknown before the stream ends") {
			t.Errorf("got\n%s", got.stdout)
		}
	})
}
