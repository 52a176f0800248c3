//go:build cuda

package gpu

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/vqsd/vqsd/gpu/internal/driver"
	"github.com/vqsd/vqsd/kernels/cuda"
)

// dim3 is the size of a grid in blocks or of a block in threads.
type dim3 struct{ x, y, z int }

func (d dim3) String() string { return fmt.Sprintf("%d×%d×%d", d.x, d.y, d.z) }

// What every device takes.
const (
	maxGridX     = 1<<31 - 1
	maxGridYZ    = 65535
	maxArguments = 32 // of ours; the kernels take fewer
)

// kernel is an entry point that is ready to be launched.
type kernel struct {
	name     string
	function cu.Function
}

// kernel finds an entry point of a module of kernels/cuda, and compiles the module when it is the first. It is called with the context
// current.
func (d *Device) kernel(module, name string) (*kernel, error) {
	d.loading.Lock()
	defer d.loading.Unlock()
	if k, ok := d.kernels[name]; ok {
		return k, nil
	}
	m, ok := d.modules[module]
	if !ok {
		var err error
		if m, err = d.load(module); err != nil {
			return nil, err
		}
		d.modules[module] = m
	}
	function, err := m.Function(name)
	if err := d.check(err, "cuModuleGetFunction", "%s, %s", module, name); err != nil {
		return nil, err
	}
	k := &kernel{name, function}
	d.kernels[name] = k
	return k, nil
}

func (d *Device) load(module string) (cu.Module, error) {
	ptx, err := cuda.PTX(module)
	if err != nil {
		return cu.Module{}, err
	}
	raw, log, code := driver.LoadModule(ptx)
	if err := d.noticed(codeError(code, "cuModuleLoadDataEx", "%s.ptx", module)); err != nil {
		if log != "" {
			err = fmt.Errorf("%w: %s", err, log)
		}
		return cu.Module{}, err
	}
	// cu has no constructor for a handle; its Module, like the driver package's, is a struct of that alone.
	return *(*cu.Module)(unsafe.Pointer(&raw)), nil
}

// The two are one pointer each. A difference fails to compile.
var _ [unsafe.Sizeof(driver.Module{})]struct{} = [unsafe.Sizeof(cu.Module{})]struct{}{}

// launch starts a kernel. Each argument fills one parameter: an address, an integer in the low bytes, or the bits of a floating-point
// number. A grid without blocks starts nothing.
func (s *stream) launch(k *kernel, grid, block dim3, args ...uint64) error {
	switch {
	case grid.x < 0 || grid.y < 0 || grid.z < 0 || grid.x > maxGridX || grid.y > maxGridYZ || grid.z > maxGridYZ:
		return fmt.Errorf("launch %s: grid of %v blocks; at most %d×%d×%d are possible", k.name, grid, maxGridX, maxGridYZ, maxGridYZ)
	case len(args) > maxArguments:
		return fmt.Errorf("launch %s: %d arguments; at most %d are possible", k.name, len(args), maxArguments)
	case grid.x == 0 || grid.y == 0 || grid.z == 0:
		return nil
	}
	for i, arg := range args {
		s.arguments[i] = arg
		s.parameters[i] = unsafe.Pointer(&s.arguments[i])
	}
	err := k.function.Launch(grid.x, grid.y, grid.z, block.x, block.y, block.z, 0, s.handle, s.parameters[:len(args)])
	return s.device.check(err, "cuLaunchKernel", "%s, grid %v, block %v", k.name, grid, block)
}
