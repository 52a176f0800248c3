//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"gorgonia.org/cu"
)

// The kernels' PTX asks for compute capability 7.5, which is also as far back as CUDA 13 goes; calls that are bound came with CUDA 11.
const (
	minComputeMajor, minComputeMinor = 7, 5
	minDriverVersion                 = 11000
)

// Device is an open device: its primary context, its memory and the kernels compiled for it. It is safe for concurrent use.
type Device struct {
	info    Info
	handle  cu.Device
	context cu.CUContext
	logger  *slog.Logger
	pool    *pool

	lost  atomic.Pointer[CallError] // what ended the context
	users atomic.Int64              // open sessions and uploads

	// life is held for reading by whoever calls the device, for writing by Close. It guards closed.
	life   sync.RWMutex
	closed bool

	// loading guards the fields below. It is held while a module is compiled, so that sessions that are made at the same time do not compile
	// it twice.
	loading sync.Mutex
	modules map[string]cu.Module
	kernels map[string]*kernel
}

func (c Config) validate() error {
	if c.MemoryLimitBytes < 0 {
		return fmt.Errorf("memory limit of %d bytes; it must not be negative, 0 is none", c.MemoryLimitBytes)
	}
	return nil
}

// Open opens the device of that number, 0 for the first. The caller closes it.
//
// Errors: those of [Probe]; [ErrNoDevice] also for a number that there is not; [ErrUnsupported] for a device or driver that is too old.
func Open(ordinal int, cfg Config) (_ *Device, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	drv, infos, err := Probe()
	if err != nil {
		return nil, err
	}
	if ordinal < 0 || ordinal >= len(infos) {
		return nil, fmt.Errorf("%w: number %d of %d, which are numbered from 0", ErrNoDevice, ordinal, len(infos))
	}
	handle, info, err := describe(ordinal, drv)
	if err != nil {
		return nil, err
	}
	if drv.Version != 0 && drv.Version < minDriverVersion {
		return nil, fmt.Errorf("%w: driver %s is of CUDA %d.%d, and 11.0 is needed; update it",
			ErrUnsupported, drv.Library, drv.Version/1000, drv.Version%1000/10)
	}
	if info.ComputeMajor < minComputeMajor || info.ComputeMajor == minComputeMajor && info.ComputeMinor < minComputeMinor {
		return nil, fmt.Errorf("%w: %s has compute capability %d.%d, and %d.%d is needed",
			ErrUnsupported, info.Name, info.ComputeMajor, info.ComputeMinor, minComputeMajor, minComputeMinor)
	}
	d := &Device{
		info: info, handle: handle, logger: cfg.Logger,
		modules: map[string]cu.Module{}, kernels: map[string]*kernel{},
	}
	if d.logger == nil {
		d.logger = slog.Default()
	}
	d.pool = newPool(d, cfg.MemoryLimitBytes)
	if err := d.retain(); err != nil {
		return nil, err
	}
	d.logger.Debug("device opened", "device", ordinal, "name", info.Name, "driver", drv.Version, "emulated", info.Emulated)
	return d, nil
}

// retain takes the primary context. Its flags have to be set before anybody has taken it, and be those that FFmpeg wants to find.
func (d *Device) retain() error {
	const flags = cu.SchedBlockingSync
	now, active, err := d.handle.PrimaryCtxState()
	if err := callError(err, "cuDevicePrimaryCtxGetState", "device %d", d.info.Ordinal); err != nil {
		return err
	}
	if active == 0 || now&cu.SchedMask != flags {
		err := d.handle.SetPrimaryCtxFlags(flags)
		if err := callError(err, "cuDevicePrimaryCtxSetFlags", "device %d, %d", d.info.Ordinal, int(flags)); err != nil {
			return err
		}
	}
	d.context, err = d.handle.RetainPrimaryCtx()
	return callError(err, "cuDevicePrimaryCtxRetain", "device %d", d.info.Ordinal)
}

// check is [callError] for calls on the device: a result that ends the context makes the device lost.
func (d *Device) check(err error, call, format string, arguments ...any) error {
	return d.noticed(callError(err, call, format, arguments...))
}

func (d *Device) noticed(err error) error {
	var call *CallError
	if errors.As(err, &call) && sticky(call.Code) {
		d.lose(call)
	}
	return err
}

// lose marks the device as lost, by the first that says so.
func (d *Device) lose(why *CallError) {
	if d.lost.CompareAndSwap(nil, why) {
		d.logger.Error("device lost", "device", d.info.Ordinal, "err", why)
	}
}

// Info describes the device.
func (d *Device) Info() Info { return d.info }

// Err is [ErrLost] with the call that ended the device's context, nil as long as none has.
func (d *Device) Err() error {
	if why := d.lost.Load(); why != nil {
		return fmt.Errorf("%w: device %d: %w", ErrLost, d.info.Ordinal, why)
	}
	return nil
}

// do calls f with the device's context current. It fails without calling when the device is closed or lost.
func (d *Device) do(f func() error) error {
	d.life.RLock()
	defer d.life.RUnlock()
	if d.closed {
		return fmt.Errorf("device %d: %w", d.info.Ordinal, ErrClosed)
	}
	if err := d.Err(); err != nil {
		return err
	}
	return d.inContext(f)
}

// release is do for freeing what the device holds: it goes on when the device is lost, since what a lost context holds can at least be
// asked back, and errors that only repeat the loss are no news.
func (d *Device) release(f func() error) error {
	d.life.RLock()
	defer d.life.RUnlock()
	if d.closed {
		return nil // the context went, and took everything along
	}
	return d.unlessLost(d.inContext(f))
}

func (d *Device) unlessLost(err error) error {
	if d.lost.Load() != nil {
		return nil
	}
	return err
}

func (d *Device) inContext(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := d.check(cu.SetCurrentContext(d.context), "cuCtxSetCurrent", "device %d", d.info.Ordinal); err != nil {
		return err
	}
	return f()
}

// Memory is the device's memory in bytes: what nobody has taken, and all of it.
func (d *Device) Memory() (free, total uint64, err error) {
	err = d.do(func() error {
		f, t, err := cu.MemInfo()
		free, total = uint64(f), uint64(t)
		return d.check(err, "cuMemGetInfo", "")
	})
	return free, total, err
}

// UsedBytes is the device memory that sessions and uploads hold, and what is kept for the next ones.
func (d *Device) UsedBytes() int64 { return d.pool.used() }

// Trim gives back the device memory that is kept for later sessions, for somebody else who needs it.
func (d *Device) Trim() error { return d.do(d.pool.trim) }

// Close gives the device back. It fails, and may be called again, while sessions or uploads are open; it succeeds on a lost device. Another
// error says what the driver would not do; the device is closed even so, unless the driver kept the context itself. Closing a closed device
// does nothing.
func (d *Device) Close() error {
	// Before the lock too: a session that measures holds it for as long as that takes.
	if err := d.unused(); err != nil {
		return err
	}
	d.life.Lock()
	defer d.life.Unlock()
	if d.closed {
		return nil
	}
	if err := d.unused(); err != nil {
		return err
	}
	lost := d.lost.Load() != nil
	err := d.inContext(func() error {
		d.loading.Lock()
		defer d.loading.Unlock()
		err := d.pool.trim()
		for name, module := range d.modules {
			err = errors.Join(err, d.check(module.Unload(), "cuModuleUnload", "%s", name))
		}
		clear(d.modules)
		clear(d.kernels)
		return errors.Join(err, d.check(cu.SetCurrentContext(cu.CUContext{}), "cuCtxSetCurrent", "none"))
	})
	// Whatever the above could not free goes with the context. If that stays, closing can be tried again.
	released := d.check(d.handle.ReleasePrimaryCtx(), "cuDevicePrimaryCtxRelease", "device %d", d.info.Ordinal)
	if err = errors.Join(err, released); lost {
		err = nil // it only repeats the loss
	}
	d.closed = lost || released == nil
	return err
}

func (d *Device) unused() error {
	if n := d.users.Load(); n != 0 {
		return fmt.Errorf("device %d: sessions or uploads are still open (%d); close them first", d.info.Ordinal, n)
	}
	return nil
}
