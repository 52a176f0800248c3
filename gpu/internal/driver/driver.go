//go:build cuda

// Package driver opens the CUDA driver at run time. It defines the driver's entry points for gorgonia.org/cu, which binds them when the
// program is linked, and passes them on once a driver has been found; so one program runs with and without one.
//
// It links by an archive without content that answers cu's -lcuda, and by symbols of its own (trampolines.c). Nothing else of the build
// has to know, but that CGO_CFLAGS names the folder of gpu/include/cuda.h.
package driver

// #cgo LDFLAGS: -L${SRCDIR}/lib -ldl
// #include <stdlib.h>
// #include "driver.h"
import "C"

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"
)

// EnvLibrary names the driver library to load instead of the system's.
const EnvLibrary = "VQSD_CUDA_LIBRARY"

// The places where the driver's library is, in the order in which they are tried: wherever the system's linker looks, then where Windows puts
// it for Linux programs and NixOS for all, which their linkers may not know.
var places = []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/run/opengl-driver/lib/libcuda.so.1"}

// NotFoundError is that there is no driver's library. It says what was tried, and what came of it.
type NotFoundError struct{ Tried []string }

func (e *NotFoundError) Error() string { return "tried " + strings.Join(e.Tried, "; ") }

// Library is the driver that was opened.
type Library struct {
	Path     string // of its file
	Version  int    // 1000·major + 10·minor of the CUDA it supports; 0 where it does not tell
	Emulated bool   // it is kernels/emu
}

// StartError is a driver that was found but does not start.
type StartError struct{ Code int }

func (e *StartError) Error() string { return fmt.Sprintf("cuInit answers %d", e.Code) }

var (
	once    sync.Once
	library C.VqsdLibrary
	opened  Library
	openErr error
)

// Open loads the driver and starts it, once a process; further calls give the same answer. The library is known even if it does not start.
//
// Errors: [*NotFoundError]; [*StartError].
func Open() (Library, error) {
	once.Do(func() { openErr = open() })
	return opened, openErr
}

func open() error {
	names := places
	if name := os.Getenv(EnvLibrary); name != "" {
		names = []string{name}
	}
	var tried []string
	for _, name := range names {
		why, ok := load(name)
		if !ok {
			if !strings.Contains(why, name) {
				why = name + ": " + why
			}
			tried = append(tried, why)
			continue
		}
		opened = Library{
			Path:     C.GoString(library.path),
			Version:  int(library.version),
			Emulated: library.emulated != 0,
		}
		if code := C.vqsd_driver_start(&library); code != C.CUDA_SUCCESS {
			return &StartError{int(code)}
		}
		return nil
	}
	return &NotFoundError{tried}
}

func load(name string) (why string, ok bool) {
	cname := C.CString(name)
	// The library keeps the name where the loader does not tell the file's.
	var text *C.char
	if C.vqsd_driver_load(cname, &library, &text) != 0 {
		defer C.free(unsafe.Pointer(cname))
		return C.GoString(text), false
	}
	return "", true
}

// EmulatorControl passes a command to the emulator and returns its answer. Commands are those of vqsd_emu_control in kernels/emu: faults on
// demand, counts of what is allocated. It is for tests.
func EmulatorControl(command string) (int64, error) {
	if _, err := Open(); err != nil {
		return 0, err
	}
	ccommand := C.CString(command)
	defer C.free(unsafe.Pointer(ccommand))
	var answer C.longlong
	if status := C.vqsd_driver_control(&library, ccommand, &answer); status != 0 {
		return 0, fmt.Errorf("emulator command %q: status %d", command, int(status))
	}
	return int64(answer), nil
}

// ErrorName and ErrorText are the driver's name and its text for a result, "" where it has none.
func ErrorName(code int) string {
	var text *C.char
	if C.cuGetErrorName(C.CUresult(code), &text) != C.CUDA_SUCCESS {
		return ""
	}
	return C.GoString(text)
}

// ErrorText is described at [ErrorName].
func ErrorText(code int) string {
	var text *C.char
	if C.cuGetErrorString(C.CUresult(code), &text) != C.CUDA_SUCCESS {
		return ""
	}
	return C.GoString(text)
}

// AllocHost allocates host memory that the device can copy from and to while the program goes on. A result other than 0 is the driver's.
// The memory is freed with cu.MemFreeHost.
func AllocHost(bytes int64) (unsafe.Pointer, int) {
	var p unsafe.Pointer
	code := C.cuMemHostAlloc(&p, C.size_t(bytes), 0)
	return p, int(code)
}

// Module is a CUmodule, for cu.Module, which is a struct of that alone.
type Module struct{ handle C.CUmodule }

// LoadModule compiles a PTX text that ends in a zero byte for the device of the current context. log is what the compiler complained of. A
// code other than 0 is the driver's.
func LoadModule(ptx []byte) (m Module, log string, code int) {
	const logBytes = 8192
	buffer := (*C.char)(C.malloc(logBytes))
	defer C.free(unsafe.Pointer(buffer))
	code = int(C.vqsd_driver_load_module(unsafe.Pointer(unsafe.SliceData(ptx)), buffer, logBytes, &m.handle))
	return m, strings.TrimSpace(C.GoString(buffer)), code
}
