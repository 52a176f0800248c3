package trial

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/internal/emulator"
)

// files finds what scripts/emu.sh --test builds.
func files(t *testing.T) (program, library string) {
	t.Helper()
	dir, err := emulator.Directory()
	if err == nil {
		program, library = filepath.Join(dir, "test", "trial"), filepath.Join(dir, "test", "libcuda.so.1")
		if _, err = os.Stat(program); err == nil {
			_, err = os.Stat(library)
		}
	}
	switch {
	case err == nil:
	case os.Getenv(emulator.EnvRequire) == "1":
		t.Fatalf("%v; scripts/emu.sh --test builds it", err)
	default:
		t.Skipf("%v; scripts/emu.sh --test builds it", err)
	}
	return program, library
}

// run has the program follow a script, of which only what is before "->" matters, and gives its lines and what the library said.
func run(t *testing.T, environment []string, script string) (answers []string, complaints string) {
	t.Helper()
	program, library := files(t)
	var calls strings.Builder
	for line := range strings.Lines(script) {
		call, _, _ := strings.Cut(line, "->")
		calls.WriteString(strings.TrimSpace(call) + "\n")
	}
	command := exec.CommandContext(t.Context(), program, library)
	command.Stdin = strings.NewReader(calls.String())
	command.WaitDelay = time.Minute
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "VQSD_EMU_") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, environment...)
	var out, report bytes.Buffer
	command.Stdout, command.Stderr = &out, &report
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), report.String())
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n"), report.String()
}

func compare(t *testing.T, got []string, script string) {
	t.Helper()
	want := strings.Split(strings.TrimSpace(script), "\n")
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("line %d: got %q, want %q", i+1, g, w)
		}
	}
}

// TestScripts follows the scripts of testdata/scripts. Beside calls with their answers these have comments (#), variables of the
// environment (env NAME=VALUE), and what the library is to say on standard error (stderr TEXT); without any, it must say nothing.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var environment, says []string
			var script strings.Builder
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSpace(line)
				if variable, is := strings.CutPrefix(line, "env "); is {
					environment = append(environment, variable)
				} else if said, is := strings.CutPrefix(line, "stderr "); is {
					says = append(says, said)
				} else if line != "" && !strings.HasPrefix(line, "#") {
					script.WriteString(line + "\n")
				}
			}
			got, complaints := run(t, environment, script.String())
			compare(t, got, script.String())
			for _, said := range says {
				if !strings.Contains(complaints, said) {
					t.Errorf("standard error lacks %q:\n%s", said, complaints)
				}
			}
			if len(says) == 0 && complaints != "" {
				t.Errorf("unasked, on standard error:\n%s", complaints)
			}
		})
	}
}

const launchScript = `init -> 0
retain c 0 -> 0
alloc in 256 -> 0
alloc out 256 -> 0
put in -> 0
`

// Both orders of threads, with and without checks.
var modes = []struct {
	name        string
	environment []string
}{
	{"checked", nil},
	{"checked, threads in reverse", []string{"VQSD_EMU_REVERSE=1"}},
	{"unchecked", []string{"VQSD_EMU_CHECK=0"}},
	{"unchecked, threads in reverse, one processor", []string{"VQSD_EMU_CHECK=0", "VQSD_EMU_REVERSE=1", "VQSD_EMU_THREADS=1"}},
	{"checked, late", []string{"VQSD_EMU_LATE=1"}},
}

// TestKernels_RightOnesRun holds the values that kernels compute against those expected, and the checks to silence.
func TestKernels_RightOnesRun(t *testing.T) {
	tests := []struct{ kernel, script string }{
		{"vqs_right_copy", "launch vqs_right_copy 2 64 in out 64 -> 0\nword out 0 -> 1\nword out 63 -> 190\n"},
		{"vqs_right_reverse", "launch vqs_right_reverse 1 64 in out 64 -> 0\nword out 0 -> 190\nword out 62 -> 4\n"},
		{"vqs_right_warp", "launch vqs_right_warp 1 64 in out 64 -> 0\nword out 0 -> 4\nword out 63 -> 187\n"},
		{"vqs_right_sum", "zero out -> 0\nlaunch vqs_right_sum 1 64 in out 64 -> 0\nword out 0 -> 6112\nword out 1 -> 32\n"},
		{"vqs_right_sum, blocks add up", "zero out -> 0\nlaunch vqs_right_sum 50,3 64 in out 64 -> 0\nword out 0 -> 916800\nword out 1 -> 4800\n"},
		{"vqs_right_table", "launch vqs_right_table 1 64 in out 64 -> 0\nword out 0 -> 51\nword out 3 -> 51\n"},
		{"vqs_right_again", "launch vqs_right_again 1 64 in out 64 -> 0\nword out 0 -> 2\nword out 63 -> 191\n"},
		{"vqs_right_instructions", "launch vqs_right_instructions 1 32 in out 64 -> 0\n" +
			"word out 0 -> 134153216\nword out 1 -> 273\nword out 2 -> 17\nword out 3 -> 26\nword out 4 -> 60\nword out 5 -> 63\nword out 6 -> 31\nword out 7 -> 26\n"},
		{"vqs_right_widths", "launch vqs_right_widths 1 64 in out 64 -> 0\n" +
			"word out 4 -> 22\nword out 5 -> 19\nword out 6 -> 262160\nword out 7 -> 13\n"},
		{"a warp that is not full", "launch vqs_right_warp 1 50 in out 50 -> 0\nword out 0 -> 4\nword out 49 -> 145\n"},
	}
	for _, mode := range modes {
		for _, test := range tests {
			t.Run(mode.name+"/"+test.kernel, func(t *testing.T) {
				t.Parallel()
				script := launchScript + test.script + "sync -> 0\n"
				got, complaints := run(t, mode.environment, script)
				compare(t, got, script)
				if complaints != "" {
					t.Error(complaints)
				}
			})
		}
	}
}

// TestKernels_WrongOnesAreFound launches kernels each of which is wrong in one way, in both orders of threads.
func TestKernels_WrongOnesAreFound(t *testing.T) {
	const illegal, misaligned, failed = "700", "716", "719"
	tests := []struct {
		kernel  string
		grid    string
		defined bool // out holds zeros already
		code    string
		says    string // a regular expression
	}{
		{"read_beyond", "1", true, illegal, `thread \(5,0,0\) .* Read of 4 bytes at \S+ at \S+kernels.cu:\d+: .* \(0 bytes beyond the end of allocation 1 \(cuMemAlloc_v2, 256 bytes`},
		{"write_before", "1", true, illegal, `Store of 4 bytes .*\(4 bytes before allocation 2 `},
		{"misaligned", "1", true, misaligned, `not a multiple of 4 \(2 bytes into allocation 1 `},
		{"null", "1", true, illegal, `Read of 4 bytes at 0 .*no address of the device's memory`},
		{"undefined", "1", false, failed, `Global of 4 bytes .*the byte at \+0 has never been written`},
		{"read_output", "1", true, failed, `Read .*this launch has written there`},
		{"write_input", "1", true, failed, `Store .*this launch reads it through Read`},
		{"other_block", "8", true, failed, `(Global|Store) .*another block .*written there`},
		{"both_blocks", "2", true, failed, `Store .*another block has read or written there`},
		{"sum_and_store", "2", true, failed, `(AtomicAdd|Store) .*another block has read or written there`},
		{"sum_loaded", "2", true, failed, `(Global|AtomicAdd) .*another block .*written there`},
		{"shared_undefined", "1", true, failed, `thread \(7,0,0\) .*shared words\[7\] of 64 is read before anything was written`},
		{"shared_beyond", "1", true, failed, `shared words\[64\] of 64 is outside`},
		{"shared_before", "1", true, failed, `shared words\[-1\] of 64 is outside`},
		{"no_barrier", "1", true, failed, `shared words\[(0|63)\] of 64 is read (without a barrier after it was written by thread|before anything)`},
		{"no_barrier_before_write", "1", true, failed, `shared words\[\d+\] of 64 is (read|written) without a barrier after it was (written|read) by thread`},
		{"both_write", "1", true, failed, `is written without a barrier after it was written by thread`},
		{"warp_without_barrier", "1", true, failed, `shared words\[(1|62)\] of 64 is read before anything`},
		{"shuffle_as_barrier", "1", true, failed, `is read without a barrier after it was written by thread`},
		{"warp_barrier_between_warps", "1", true, failed, `shared words\[(32|31)\] of 64 is read before anything`},
		{"sum_without_barrier", "1", true, failed, `is read without a barrier after it was written by an atomic sum`},
		{"exit_before_barrier", "1", true, failed, `waits in SyncBlock at \S+:\d+, which not all threads reach: thread \(3,0,0\) has exited`},
		{"two_barriers", "1", true, failed, `waits in SyncBlock at \S+:\d+, which not all threads reach: thread \(\d+,0,0\) waits in SyncBlock at`},
		{"lane_missing", "1", true, failed, `waits in a barrier of its warp at \S+, which not all threads reach: thread \((9|41),0,0\) waits in SyncBlock`},
		{"overflow", "1", true, failed, `a signed sum overflows at \S+kernels.cu:\d+`},
		{"shift", "1", true, failed, `a shift by .* at \S+kernels.cu:\d+`},
		{"conversion", "1", true, failed, `a floating point value that the integer type does not hold at \S+kernels.cu:\d+`},
	}
	source, err := os.ReadFile("testdata/kernels.cu")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, test := range tests {
		tried["vqs_wrong_"+test.kernel] = true
		for _, reverse := range []string{"0", "1"} {
			t.Run(test.kernel+"/reverse "+reverse, func(t *testing.T) {
				t.Parallel()
				script := launchScript
				if test.defined {
					script += "zero out -> 0\n"
				}
				script += fmt.Sprintf("launch vqs_wrong_%s %s 64 in out 64 -> 0\n", test.kernel, test.grid)
				script += fmt.Sprintf("sync -> %s\nword out 0 -> error %[1]s\n", test.code)
				got, complaints := run(t, []string{"VQSD_EMU_REVERSE=" + reverse}, script)
				compare(t, got, script)
				if !regexp.MustCompile(`^vqsd_emu: kernel vqs_wrong_` + test.kernel + `, launch 1, block \(\d+,0,0\) of .*` + test.says).MatchString(complaints) {
					t.Errorf("got %q, want %s", complaints, test.says)
				}
				if strings.Count(complaints, "\n") != 1 {
					t.Errorf("a launch is described once:\n%s", complaints)
				}
			})
		}
	}
	for _, match := range regexp.MustCompile(`VQS_TRIAL\((vqs_wrong_\w+)\)`).FindAllSubmatch(source, -1) {
		if !tried[string(match[1])] {
			t.Errorf("%s is not tried", match[1])
		}
	}
}

// TestExports_WhatOthersAskFor compares the names that the library exports with those that gpu opens of a driver: two lists, written by
// different hands.
func TestExports_WhatOthersAskFor(t *testing.T) {
	_, library := files(t)
	file, err := elf.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	if name, err := file.DynString(elf.DT_SONAME); err != nil || len(name) != 1 || name[0] != "libcuda.so.1" {
		t.Errorf("SONAME %q, %v", name, err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]bool{}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF || s.Section >= elf.SHN_LORESERVE {
			continue
		}
		exported[s.Name] = true
		if !strings.HasPrefix(s.Name, "cu") && !strings.HasPrefix(s.Name, "vqsd_emu") && elf.ST_BIND(s.Info) == elf.STB_GLOBAL {
			t.Errorf("exports %s, which is no name of a driver", s.Name)
		}
	}
	wanted, err := os.ReadFile("../../../gpu/internal/driver/symbols.h")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bcu[A-Z]\w+`).FindAllString(string(wanted), -1)
	if len(names) < 100 {
		t.Errorf("only %d names in symbols.h", len(names))
	}
	for _, name := range append(names, "vqsd_emulated", "vqsd_emu_control") {
		if !exported[name] {
			t.Errorf("lacks %s", name)
		}
	}
}

// TestExports_AgreeWithTheHeaderOfCallers compiles testdata/agree.cc, which compares values and layouts.
func TestExports_AgreeWithTheHeaderOfCallers(t *testing.T) {
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip(err)
	}
	command := exec.CommandContext(t.Context(), "g++", "-std=c++17", "-fsyntax-only", "-I", "../../../gpu/include", "-I", "..", "testdata/agree.cc")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFFmpeg_UploadsAndDownloads has the ffmpeg program take the library for a device: what goes up comes back.
func TestFFmpeg_UploadsAndDownloads(t *testing.T) {
	_, library := files(t)
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip(err)
	}
	digest := func(arguments ...string) string {
		t.Helper()
		all := append([]string{"-v", "error"}, arguments...)
		command := exec.CommandContext(t.Context(), "ffmpeg", append(all, "-f", "md5", "-")...)
		command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Dir(library))
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", command.Args, err, out)
		}
		return string(out)
	}
	source := []string{"-f", "lavfi", "-i", "testsrc2=size=322x182:duration=0.2", "-vf"}
	for _, format := range []string{"nv12", "p010le"} {
		want := digest(append(source, "format="+format)...)
		for _, context := range []string{"", ",primary_ctx=1"} {
			t.Run(format+context, func(t *testing.T) {
				device := []string{"-init_hw_device", "cuda=c:0" + context, "-filter_hw_device", "c"}
				got := digest(append(append(device, source...), "format="+format+",hwupload,hwdownload,format="+format)...)
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
}
