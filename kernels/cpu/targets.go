package cpu

// #include "targets.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// TargetEnvironment names the environment variable that forces a target.
const TargetEnvironment = "VQSD_CPU"

var targetNames = [C.kVqsTargetCount]string{
	C.kVqsPlain:    "plain",
	C.kVqsAvx2:     "avx2",
	C.kVqsAvx512:   "avx512",
	C.kVqsAvx512Dl: "avx512dl",
	C.kVqsNeon:     "neon",
}

// ErrTarget is the error of a vector target that does not exist or does not run here.
var ErrTarget = errors.New("CPU target not available")

// target is the index in targetNames of the one in force.
var target atomic.Int64

// environmentError is what [TargetEnvironment] named wrongly.
var environmentError error

func init() {
	best := Targets()
	name := best[len(best)-1]
	if wanted := os.Getenv(TargetEnvironment); wanted != "" {
		name = wanted
	}
	if err := SetTarget(name); err != nil {
		environmentError = fmt.Errorf("environment variable %s: %w", TargetEnvironment, err)
	}
}

// Targets are the vector targets that this processor runs, "plain" (the scalar reference) first, the best one last.
func Targets() []string {
	var names []string
	for i, name := range targetNames {
		if C.vqs_cpu_runs(C.int(i)) == 1 {
			names = append(names, name)
		}
	}
	return names
}

// KnownTargets are all targets there are, those that this processor does not run included.
func KnownTargets() []string { return targetNames[:] }

// Target is the vector target in force.
func Target() string { return targetNames[target.Load()] }

// SetTarget makes all kernels use the named target from now on. It is meant for start-up and tests: no kernel may be
// running. The error is [ErrTarget] and lists what can be chosen.
func SetTarget(name string) error {
	for i, known := range targetNames {
		if known != name {
			continue
		}
		if C.vqs_cpu_set_target(C.int(i)) != C.kVqsOk {
			break
		}
		target.Store(int64(i))
		environmentError = nil
		return nil
	}
	return fmt.Errorf("%w: %q; this processor runs %s", ErrTarget, name, strings.Join(Targets(), ", "))
}

// EnvironmentError is not nil when [TargetEnvironment] names a target that does not run here. Programs report it at
// start; the kernels then run on the best target.
func EnvironmentError() error { return environmentError }
