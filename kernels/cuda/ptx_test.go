package cuda

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPTX_HasTheKernelsOfItsSource compares the entry points of every .cu with those of the .ptx beside it, so that a kernel added
// without scripts/ptx.sh is noticed without a compiler.
func TestPTX_HasTheKernelsOfItsSource(t *testing.T) {
	sources, err := filepath.Glob("*.cu")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) != len(Modules()) {
		t.Errorf("%d sources, %d modules: %q, %q; run scripts/ptx.sh", len(sources), len(Modules()), sources, Modules())
	}
	declared := regexp.MustCompile(`(?s)extern "C" __global__ void(?:\s+__launch_bounds__\([^)]*\))?\s+(\w+)\s*\(`)
	for _, source := range sources {
		module := strings.TrimSuffix(source, ".cu")
		t.Run(module, func(t *testing.T) {
			code, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, match := range declared.FindAllSubmatch(code, -1) {
				want = append(want, string(match[1]))
			}
			got, err := Entries(module)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("the PTX has %q, the source %q; run scripts/ptx.sh", got, want)
			}
			if len(want) == 0 {
				t.Error("no kernels")
			}
		})
	}
}

func TestPTX_IsTextEndingInZero(t *testing.T) {
	for _, module := range Modules() {
		text, err := PTX(module)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.IndexByte(text, 0); at != len(text)-1 {
			t.Errorf("%s: the first zero byte is at %d of %d; the driver reads up to it", module, at, len(text))
		}
	}
}

func TestPTX_UnknownModuleNamesThoseThereAre(t *testing.T) {
	_, err := PTX("nosuch")
	if err == nil || !strings.Contains(err.Error(), "motion") {
		t.Errorf("got %v, want an error that names motion", err)
	}
	if _, err := Entries("nosuch"); err == nil {
		t.Error("Entries of an unknown module: no error")
	}
}
