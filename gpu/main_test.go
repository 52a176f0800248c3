//go:build cuda

package gpu

import (
	"cmp"
	"log/slog"
	"os"
	"testing"

	"github.com/vqsd/vqsd/gpu/internal/driver"
	"github.com/vqsd/vqsd/internal/emulator"
	"github.com/vqsd/vqsd/vmaf"
)

// A test that needs a process of its own runs this program again with the name of a helper in this variable.
const envHelper = "VQSD_GPU_TEST_HELPER"

func TestMain(m *testing.M) {
	// Read when the driver is loaded, which is once a process. Two devices on the emulator, so that there are several, and so little memory
	// that all of it can be asked for.
	os.Setenv("VQSD_EMU_DEVICES", cmp.Or(os.Getenv("VQSD_EMU_DEVICES"), "2"))
	os.Setenv("VQSD_EMU_MEMORY", cmp.Or(os.Getenv("VQSD_EMU_MEMORY"), "134217728"))
	if helper := os.Getenv(envHelper); helper != "" {
		os.Exit(helpers[helper]())
	}
	if err := emulator.Prepare(); err != nil {
		// Each test that needs it says so.
		slog.Debug("no emulator", "err", err)
	}
	os.Exit(m.Run())
}

// openDevice opens a device of the emulator, or of the machine where tests run on that. At the end it must close, with nothing left in the
// emulator.
func openDevice(t testing.TB, ordinal int, cfg Config) *Device {
	t.Helper()
	emulator.Library(t)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := Open(ordinal, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func newSession(t testing.TB, d *Device, p Plan) *Session {
	t.Helper()
	s, err := d.NewSession(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close session: %v", err)
		}
	})
	return s
}

// needEmulator skips a test that is about what only the emulator does.
func needEmulator(t testing.TB) {
	t.Helper()
	if emulator.Library(t) == "" {
		t.Skip("needs the emulator: it asks for faults")
	}
}

// control is [driver.EmulatorControl] that must succeed.
func control(t testing.TB, command string) int64 {
	t.Helper()
	answer, err := driver.EmulatorControl(command)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// format is a luma format for tests.
func format(width, height, bpc int) vmaf.Format {
	return vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc}
}
