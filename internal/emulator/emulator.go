// Package emulator finds the software libcuda for tests: the library that executes the CUDA kernels on the processor, which
// `make emu` builds from kernels/emu. [Library] is all there is to call.
package emulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const (
	// EnvLibrary names the driver library that the program loads instead of the system's libcuda.so.1.
	EnvLibrary = "VQSD_CUDA_LIBRARY"
	// EnvRequire makes tests fail that would be skipped because the emulator has not been built; `make test` sets it.
	EnvRequire = "VQSD_REQUIRE_EMULATOR"
	// EnvDevice set to 1 runs the tests on the machine's own driver and device instead.
	EnvDevice = "VQSD_TEST_DEVICE"
)

// Directory is the folder of the emulator's libraries, bin/emu of the module that the working directory is in. Its error says
// how to build them.
func Directory() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is in no module")
		}
		dir = parent
	}
	dir = filepath.Join(dir, "bin", "emu")
	if _, err := os.Stat(filepath.Join(dir, "libcuda.so.1")); err != nil {
		return "", fmt.Errorf("no software libcuda: %w; make emu builds it", err)
	}
	return dir, nil
}

// Prepare sets the environment of this process so that the driver it opens is the emulator, unless the environment names a
// library already or asks for the device of the machine. It is for TestMain, since a process opens one driver.
func Prepare() error {
	if os.Getenv(EnvLibrary) != "" || os.Getenv(EnvDevice) == "1" {
		return nil
	}
	dir, err := Directory()
	if err != nil {
		return err
	}
	return os.Setenv(EnvLibrary, filepath.Join(dir, "libcuda.so.1"))
}

// Library is the path of the library that stands in for the driver: that of [EnvLibrary], else the emulator's. Without one the test
// is skipped, or fails where [EnvRequire] is 1. It is "" where the tests run on the machine's own device.
func Library(t testing.TB) string {
	t.Helper()
	if os.Getenv(EnvDevice) == "1" {
		return ""
	}
	if path := os.Getenv(EnvLibrary); path != "" {
		return path
	}
	dir, err := Directory()
	if err == nil {
		return filepath.Join(dir, "libcuda.so.1")
	}
	if os.Getenv(EnvRequire) == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}
