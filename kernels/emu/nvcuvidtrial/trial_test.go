package nvcuvidtrial

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vqsd/vqsd/internal/emulator"
)

// results of the driver and decoder interfaces
const (
	success        = 0
	invalidValue   = 1
	invalidContext = 201
	launchFailed   = 719
	notSupported   = 801
)

func TestNvcuvid_refusesWhatADeviceRefuses(t *testing.T) {
	dir := emulator.Library(t)
	if dir == "" {
		t.Skip("needs the software libcuda")
	}
	dir = filepath.Dir(dir)
	if _, err := os.Stat(filepath.Join(dir, "libnvcuvid.so.1")); err != nil {
		if os.Getenv(emulator.EnvRequire) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	work := t.TempDir()
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir)
		var text bytes.Buffer
		cmd.Stderr = &text
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, text.String())
		}
		return out
	}
	for _, tool := range []string{"g++", "ffmpeg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	program, clip := filepath.Join(work, "trial"), filepath.Join(work, "a.ivf")
	run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/trial.cc", "-ldl")
	run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=176x144", "-frames:v", "1", "-c:v", "libvpx", clip)
	answers := map[string]int{}
	lines := bytes.Split(bytes.TrimSpace(run(program, clip)), []byte("\n"))
	for _, line := range lines {
		var name string
		var answer int
		if _, err := fmt.Sscan(string(line), &name, &answer); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		answers[name] = answer
	}
	want := []struct {
		name   string
		answer int
	}{
		{"caps_without_context", invalidContext},
		{"create_without_context", invalidContext},
		{"caps", success}, {"caps_supported", 1}, {"caps_max_width", 4096},
		{"caps_444", success}, {"caps_444_supported", 0},
		{"create", success},
		{"create_no_surfaces", invalidValue},
		{"create_32_surfaces", success},
		{"create_33_surfaces", invalidValue},
		{"create_33_outputs", invalidValue},
		{"create_too_small", invalidValue},
		{"create_too_large", invalidValue},
		{"create_scaled", invalidValue},
		{"create_wrong_output", invalidValue},
		{"create_mpeg2", notSupported},
		{"create_10_bits", notSupported},
		{"map_before_decoding", invalidValue},
		{"decode_to_no_surface", invalidValue},
		{"decode_nothing", invalidValue},
		{"decode", success},
		{"status_of_vp8", notSupported},
		{"map", success}, {"pitch", 256},
		{"map_again", success},
		{"map_too_many", invalidValue},
		{"unmap_elsewhere", invalidValue},
		{"unmap", success},
		{"unmap_twice", invalidValue},
		{"map_after_unmap", success},
		{"fault_not_yet", success},
		{"fault", launchFailed},
		{"destroy", success},
	}
	for _, w := range want {
		if got, ok := answers[w.name]; !ok || got != w.answer {
			t.Errorf("%s: %d, want %d", w.name, got, w.answer)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d answers, want %d", len(lines), len(want))
	}
}
