package cpu

import (
	"errors"
	"testing"
)

func TestSetTarget(t *testing.T) {
	before := Target()
	t.Cleanup(func() {
		if err := SetTarget(before); err != nil {
			t.Error(err)
		}
	})
	names := Targets()
	if names[0] != "plain" {
		t.Errorf("first target %q, want plain", names[0])
	}
	if got := names[len(names)-1]; got != before && EnvironmentError() == nil {
		t.Logf("target in force is %s although %s runs here (forced by %s)", before, got, TargetEnvironment)
	}
	for _, name := range names {
		if err := SetTarget(name); err != nil {
			t.Errorf("SetTarget(%q): %v", name, err)
		}
		if Target() != name {
			t.Errorf("target %q in force, want %q", Target(), name)
		}
		if got := Targets(); len(got) != len(names) {
			t.Errorf("with %s forced, targets are %v, want %v", name, got, names)
		}
	}
	if err := SetTarget("mmx"); !errors.Is(err, ErrTarget) {
		t.Errorf("SetTarget(mmx): %v, want ErrTarget", err)
	}
}
