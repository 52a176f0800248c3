//go:build !cuda

package gpu

import (
	"errors"
	"testing"
)

func TestWithoutCUDA(t *testing.T) {
	if _, _, err := Probe(); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("Probe: %v, want ErrNotBuilt", err)
	}
	if d, err := Open(0, Config{}); d != nil || !errors.Is(err, ErrNotBuilt) {
		t.Errorf("Open: %v, %v, want ErrNotBuilt", d, err)
	}
}
