package gpu

import (
	"errors"
	"fmt"
)

// What callers branch on. Errors of calls are [CallError] and match those of these that apply.
var (
	// ErrNotBuilt says that the program was built without CUDA.
	ErrNotBuilt = errors.New("this program was built without CUDA; build it with -tags cuda")
	// ErrNoDriver says that there is no driver.
	ErrNoDriver = errors.New("no CUDA driver")
	// ErrDriver says that there is a driver and that it does not start: it and the kernel's part of it differ in version, or the device
	// is in a bad state.
	ErrDriver = errors.New("the CUDA driver does not start")
	// ErrNoDevice says that the driver has no device, or none of that number.
	ErrNoDevice = errors.New("no such CUDA device")
	// ErrUnsupported says that the device or its driver is too old for the kernels.
	ErrUnsupported = errors.New("unsupported CUDA device")
	// ErrOutOfMemory says that an allocation exceeds the configured limit or what the device has left.
	ErrOutOfMemory = errors.New("out of device memory")
	// ErrLost says that an earlier failure has ended the device's context: every further call would fail. Only closing is left;
	// the process has to be started anew.
	ErrLost = errors.New("the device is lost")
	// ErrClosed says that the device or session was closed before.
	ErrClosed = errors.New("closed")
)

// CallError is a call of the driver that failed.
type CallError struct {
	Call      string // such as cuMemAlloc
	Arguments string // those that matter
	Code      int    // CUresult
	Name      string // the driver's name for it, such as CUDA_ERROR_OUT_OF_MEMORY; "" where it has none
	Text      string // the driver's text for it
}

// Error reads "cuMemAlloc(33554432): out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)".
func (e *CallError) Error() string {
	name := fmt.Sprintf("%s, %d", e.Name, e.Code)
	if e.Name == "" {
		name = fmt.Sprintf("error %d", e.Code)
	}
	if e.Text == "" {
		return fmt.Sprintf("%s(%s): %s", e.Call, e.Arguments, name)
	}
	return fmt.Sprintf("%s(%s): %s (%s)", e.Call, e.Arguments, e.Text, name)
}

// Is says that the error is [ErrOutOfMemory] or [ErrLost] for the codes that mean that.
func (e *CallError) Is(target error) bool {
	switch target {
	case ErrOutOfMemory:
		return e.Code == codeOutOfMemory
	case ErrLost:
		return sticky(e.Code)
	}
	return false
}

const codeOutOfMemory = 2

// sticky says that after an answer of code the context is of no more use: a kernel has ended abnormally or the device is gone.
// The driver then answers every call with the same code. What it does not explain counts as well.
func sticky(code int) bool {
	switch code {
	case 4, // deinitialised
		46,  // device unavailable
		201, // invalid context
		214, // ECC, uncorrectable
		220, // NVLink, uncorrectable
		226, // contained memory error
		700, // illegal address
		702, // launch timed out
		709, // context is destroyed
		710, // assertion in a kernel
		714, // hardware stack error
		715, // illegal instruction
		716, // misaligned address
		717, // invalid address space
		718, // invalid program counter
		719, // launch failed
		999: // unknown
		return true
	}
	return false
}
