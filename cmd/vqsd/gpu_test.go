package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/emulator"
	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
)

// These tests run the program on the software libcuda. Each is a process, since a process opens one driver and a fault ends a context.

// onGPU runs the program with the software device as its driver, and more of the environment.
func onGPU(t *testing.T, environment []string, args ...string) answer {
	t.Helper()
	c := process(t, args...)
	c.Env = append(append(c.Env, emulator.EnvLibrary+"="+emulator.Library(t)), environment...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run() // its status is looked at by the caller
	return answer{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestMeasureOnAGPU(t *testing.T) {
	ref, dis := pair(t, 7)
	args := []string{"measure", "-r", ref, "-d", dis, "--log", "-", "--log-precision", "17"}
	want := vqsd(t, append(args, "--device", "cpu")...)
	want.want(t, exitDone)
	for _, device := range []string{"auto", "cuda", "cuda:0"} {
		got := onGPU(t, nil, append(args, "--device", device)...)
		got.want(t, exitDone)
		if timeless(got.stdout) != timeless(want.stdout) {
			t.Errorf("--device %s: another log:\n%s\nwant\n%s", device, got.stdout, want.stdout)
		}
	}
	got := onGPU(t, nil, "measure", "-r", ref, "-d", dis, "--json")
	got.want(t, exitDone)
	var document struct{ Computed computed }
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil {
		t.Fatal(err)
	}
	if b := document.Computed.Backend; !strings.HasPrefix(b, "cuda (") || !strings.HasSuffix(b, "emulated)") {
		t.Errorf("the result says that %q computed it", b)
	}
}

// With auto, a device that is not there, does not work or breaks costs time and nothing else; asked for by name, it is an error that says what
// happened, and there is no result.
func TestEveryFaultOfADevice(t *testing.T) {
	emulator.Library(t)
	ref, dis := pair(t, 5)
	args := []string{"measure", "-r", ref, "-d", dis, "--log-precision", "17", "--log"}
	want := vqsd(t, append(args, "-", "--device", "cpu")...)
	want.want(t, exitDone)
	fault := func(text string) []string { return []string{"VQSD_EMU_FAULT=" + text} }
	var noMemory []string // for any number of tries
	for i := range 64 {
		noMemory = append(noMemory, fmt.Sprintf("cuMemAlloc_v2 2 %d", i))
	}
	for name, c := range map[string]struct {
		environment []string
		says        string // of the error
		quiet       bool   // auto need not say anything
	}{
		"no driver":                    {[]string{emulator.EnvLibrary + "=" + filepath.Join(t.TempDir(), "libcuda.so.1")}, "no CUDA driver", true},
		"no device":                    {fault("cuInit 100 0"), "no such CUDA device", true},
		"a driver that does not start": {fault("cuInit 999 0"), "the CUDA driver does not start", false},
		"a primary context that fails": {fault("cuDevicePrimaryCtxRetain 2 0"), "cuDevicePrimaryCtxRetain", false},
		"kernels that do not load":     {fault("cuModuleLoadDataEx 218 0"), "cuModuleLoadDataEx", false},
		"no memory at all":             {fault(strings.Join(noMemory, ";")), "one frame of 64x48", false},
		"memory that runs out later":   {fault("cuMemAlloc_v2 2 6"), "", false},
		"a first launch that fails":    {fault("cuLaunchKernel 700 0"), "an illegal memory access was encountered", false},
		"a launch that is refused":     {fault("cuLaunchKernel 701 3"), "cuLaunchKernel", false},
		"a later launch that fails":    {fault("cuLaunchKernel 719 5"), "unspecified launch failure", false},
		"a copy that fails":            {fault("cuMemcpyDtoHAsync_v2 702 0"), "cuMemcpyDtoHAsync", false},
		"a wait that fails":            {fault("cuEventSynchronize 716 0"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log.xml")
			got := onGPU(t, c.environment, append(args, log, "--device", "cuda")...)
			if c.says != "" || got.code != exitDone { // a fault that nothing runs into is none
				got.want(t, exitFailed, c.says)
				folderHas(t, filepath.Dir(log))
			}
			failed := got.code != exitDone
			got = onGPU(t, c.environment, append(args, "-", "--device", "auto")...)
			got.want(t, exitDone)
			if timeless(got.stdout) != timeless(want.stdout) {
				t.Errorf("auto: another log:\n%s\nwant\n%s", got.stdout, want.stdout)
			}
			if said := strings.Contains(got.stderr, "processor"); said != (failed && !c.quiet) {
				t.Errorf("auto said: %s", got.stderr)
			}
		})
	}
}

func TestDevices(t *testing.T) {
	got := onGPU(t, []string{"VQSD_EMU_DEVICES=2"}, "devices", "--json")
	got.want(t, exitDone)
	var found devicesDocument
	if err := json.Unmarshal([]byte(got.stdout), &found); err != nil {
		t.Fatal(err)
	}
	if len(found.GPUs) != 2 || found.GPUs[1].Device != "cuda:1" || !found.GPUs[1].Emulated || found.Driver == nil || !found.Driver.Emulated || found.Why != nil {
		t.Errorf("got %s", got.stdout)
	}
	text := onGPU(t, nil, "devices")
	text.want(t, exitDone)
	for _, want := range []string{"cuda:0", "emulated: no GPU", "cpu"} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("no %q in\n%s", want, text.stdout)
		}
	}
	none := onGPU(t, []string{emulator.EnvLibrary + "=/nonexistent/libcuda.so.1"}, "devices")
	none.want(t, exitDone)
	if !strings.Contains(none.stdout, "No GPU: no CUDA driver") {
		t.Errorf("without a driver:\n%s", none.stdout)
	}
	doctor := onGPU(t, nil, "doctor", "--data", t.TempDir())
	if !strings.Contains(doctor.stdout, "gpu cuda:0") || !strings.Contains(doctor.stdout, "emulated on the processor") {
		t.Errorf("doctor says\n%s", doctor.stdout)
	}
}

// A daemon starts a worker for each GPU, and what they measure has the bits of the processor.
func TestDaemonOnGPUs(t *testing.T) {
	r := newDaemonRig(t, []string{emulator.EnvLibrary + "=" + emulator.Library(t), "VQSD_EMU_DEVICES=2"})
	const frames = 23
	args := []string{"-r", clipSpec{width: 96, height: 64, frames: frames}.write(t, r.media, "ref.y4m")}
	for i, size := range [][2]int{{96, 64}, {48, 36}} {
		args = append(args, "-d", clipSpec{width: size[0], height: size[1], frames: frames, noise: 6 + i}.write(t, r.media, fmt.Sprintf("dis%d.y4m", i)))
	}
	want := logsOf(t, 2, args, "--device", "cpu", "--scale", "bicubic")
	got := logsOf(t, 2, args, "--server", r.address, "--chunk", "5", "--scale", "bicubic")
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("the log of rendition %d differs:\n%s\nwant\n%s", i+1, tail(got[i], 3000), tail(want[i], 3000))
		}
	}
	r.workers(2)
	answer := call(r, "ListWorkers", func(ctx context.Context) (*vqsv1.ListWorkersResponse, error) {
		return r.admin.ListWorkers(ctx, &vqsv1.ListWorkersRequest{})
	})
	devices := map[string]bool{}
	for _, w := range answer.GetWorkers() {
		devices[w.GetDevice().GetName()] = true
		if !strings.HasPrefix(w.GetDevice().GetBackend(), "cuda (") {
			t.Errorf("a worker computes on %s", w.GetDevice().GetBackend())
		}
	}
	if !devices["cuda:0"] || !devices["cuda:1"] {
		t.Errorf("workers have %v", devices)
	}
}

// A GPU that the driver lists and that cannot be used leaves its worker the processor.
func TestDaemonWithAGPUThatDoesNotWork(t *testing.T) {
	r := newDaemonRig(t, []string{emulator.EnvLibrary + "=" + emulator.Library(t), "VQSD_EMU_FAULT=cuDevicePrimaryCtxRetain 2 0 0"})
	args := []string{
		"-r", clipSpec{width: 64, height: 48, frames: 5}.write(t, r.media, "ref.y4m"),
		"-d", clipSpec{width: 64, height: 48, frames: 5, noise: 6}.write(t, r.media, "dis.y4m"),
	}
	want := logsOf(t, 1, args, "--device", "cpu")
	if got := logsOf(t, 1, args, "--server", r.address); got[0] != want[0] {
		t.Errorf("the log differs:\n%s\nwant\n%s", tail(got[0], 3000), tail(want[0], 3000))
	}
	if log := r.daemon.log.String(); !strings.Contains(log, "computing on the processor") {
		t.Errorf("no worker says why it computes on the processor:\n%s", tail(log, 3000))
	}
}

// A GPU that is lost again and again ends its worker each time; another process goes on, and nothing that was recorded is lost.
func TestDaemonOutlivesLostGPUs(t *testing.T) {
	r := newDaemonRig(t, []string{emulator.EnvLibrary + "=" + emulator.Library(t), "VQSD_EMU_FAULT=cuLaunchKernel 719 40", "VQSD_WORKERS_ATTEMPTS=50"})
	const frames = 12
	args := []string{
		"-r", clipSpec{width: 64, height: 48, frames: frames}.write(t, r.media, "ref.y4m"),
		"-d", clipSpec{width: 64, height: 48, frames: frames, noise: 6}.write(t, r.media, "dis.y4m"),
	}
	want := logsOf(t, 1, args, "--device", "cpu")
	got := logsOf(t, 1, args, "--server", r.address, "--chunk", "1")
	if got[0] != want[0] {
		t.Errorf("the log differs:\n%s\nwant\n%s", tail(got[0], 3000), tail(want[0], 3000))
	}
	if log := r.daemon.log.String(); !strings.Contains(log, "no more tasks can be done in this process") {
		t.Errorf("no worker ended for its GPU:\n%s", tail(log, 3000))
	}
}
