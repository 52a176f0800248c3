//go:build cuda

package gpu

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/gpu/internal/driver"
	"github.com/vqsd/vqsd/internal/emulator"
)

// helpers are what this program does instead of testing when [envHelper] names one. They print and return an exit status.
var helpers = map[string]func() int{
	"probe": func() int {
		d, infos, err := Probe()
		fmt.Printf("library %q, %d devices, no driver %t, no device %t: %v\n", d.Library, len(infos),
			errors.Is(err, ErrNoDriver), errors.Is(err, ErrNoDevice), err)
		return 0
	},
}

// helper runs this program again as a helper, with further environment, and returns what it prints.
func helper(t *testing.T, name string, env ...string) string {
	t.Helper()
	cmd := exec.Command(executable(t))
	cmd.Env = append(append(os.Environ(), env...), envHelper+"="+name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helper %s: %v\n%s", name, err, out)
	}
	return string(out)
}

// executable is the file of this program.
func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProbe(t *testing.T) {
	library := emulator.Library(t)
	d, infos, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if d.Version < 10000 || d.Library == "" {
		t.Errorf("driver %+v; want a version of at least 10000 and a file", d)
	}
	for i, info := range infos {
		if info.Ordinal != i || info.Name == "" || info.ComputeMajor < 5 || info.MemoryBytes < 1<<20 || info.Multiprocessors < 1 {
			t.Errorf("device %d: %+v", i, info)
		}
		if info.Emulated != d.Emulated {
			t.Errorf("device %d: emulated %t, driver %t", i, info.Emulated, d.Emulated)
		}
		if !strings.HasPrefix(info.UUID, "GPU-") || len(info.UUID) != len("GPU-01234567-89ab-cdef-0123-456789abcdef") {
			t.Errorf("device %d: UUID %q", i, info.UUID)
		}
	}
	if library == "" {
		return
	}
	if !d.Emulated || d.Library != library {
		t.Errorf("driver %+v; want the emulator at %s", d, library)
	}
	if len(infos) != 2 || infos[0].UUID == infos[1].UUID {
		t.Errorf("devices %+v; want two, of different UUIDs", infos)
	}
}

// The machine without a driver is the one that the program must run on before all.
func TestProbe_WithoutADriver(t *testing.T) {
	for _, c := range []struct {
		name, library string
		want          []string
	}{
		{"no such file", "/nowhere/libcuda.so.1", []string{"no driver true", "/nowhere/libcuda.so.1", "No such file"}},
		{"a file that is no library", "probe_test.go", []string{"no driver true", "probe_test.go"}},
		{"another library", "libc.so.6", []string{"no driver true", "has no cuInit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			library := c.library
			if _, err := os.Stat(library); err == nil {
				library, _ = filepath.Abs(library)
			}
			out := helper(t, "probe", driver.EnvLibrary+"="+library)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in %q", want, out)
				}
			}
		})
	}
}

// Without an instruction, the places that are usual are named.
func TestProbe_NamesWhatItTried(t *testing.T) {
	out := helper(t, "probe", driver.EnvLibrary+"=")
	if strings.Contains(out, "no driver false") {
		t.Skip("this machine has a driver")
	}
	for _, want := range []string{"no driver true", "tried libcuda.so.1: ", "/usr/lib/wsl/lib/libcuda.so.1: "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
}

func TestProbe_DriverThatDoesNotStart(t *testing.T) {
	needEmulator(t)
	for _, c := range []struct{ fault, want string }{
		{"cuInit 100 0", "no driver false, no device true"},
		{"cuInit 803 0", "cuInit answers 803"},
		{"cuDeviceGetCount 999 0", "cuDeviceGetCount(): "},
	} {
		out := helper(t, "probe", "VQSD_EMU_FAULT="+c.fault)
		if !strings.Contains(out, c.want) || !strings.Contains(out, "libcuda.so.1") {
			t.Errorf("fault %q: no %q, or no library, in %q", c.fault, c.want, out)
		}
	}
}

// The program must start where there is no libcuda, so it must not be linked with one.
func TestLinkedWithoutLibcuda(t *testing.T) {
	f, err := elf.Open(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(libraries, func(l string) bool { return strings.Contains(l, "cuda") }) {
		t.Errorf("linked with %q", libraries)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "cuMem") || s.Name == "cuInit" {
			t.Errorf("symbol %s is visible to the driver and to FFmpeg", s.Name)
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	emulator.Library(t)
	for _, ordinal := range []int{-1, 1000} {
		if _, err := Open(ordinal, Config{}); !errors.Is(err, ErrNoDevice) {
			t.Errorf("device %d: %v, want ErrNoDevice", ordinal, err)
		}
	}
	if _, err := Open(0, Config{MemoryLimitBytes: -1}); err == nil || !strings.Contains(err.Error(), "must not be negative") {
		t.Errorf("negative limit: %v", err)
	}
}
