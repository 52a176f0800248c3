//go:build cuda

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"github.com/vqsd/vqsd/gpu/internal/driver"
)

const codeNoDevice = 100

// Probe looks for the driver and its devices. It opens the driver once a process: one that is installed later, or a device that appears
// later, is not noticed. The environment variable VQSD_CUDA_LIBRARY names a library to open instead of the system's libcuda.so.1.
//
// The Driver is filled in as far as it is known, even with an error.
//
// Errors: [ErrNoDriver], saying what was tried; [ErrDriver], saying why; [ErrNoDevice] where it has none; [*CallError].
func Probe() (Driver, []Info, error) {
	d, err := openDriver()
	if err != nil {
		return d, nil, err
	}
	n, err := cu.NumDevices()
	if err := callError(err, "cuDeviceGetCount", ""); err != nil {
		return d, nil, err
	}
	if n == 0 {
		return d, nil, fmt.Errorf("%w: %s has none", ErrNoDevice, d.Library)
	}
	infos := make([]Info, n)
	for i := range infos {
		if _, infos[i], err = describe(i, d); err != nil {
			return d, nil, err
		}
	}
	return d, infos, nil
}

func openDriver() (Driver, error) {
	library, err := driver.Open()
	d := Driver{Version: library.Version, Library: library.Path, Emulated: library.Emulated}
	var start *driver.StartError
	switch {
	case errors.As(err, &start) && start.Code == codeNoDevice:
		return d, fmt.Errorf("%w: %s has none", ErrNoDevice, d.Library)
	case err != nil && d.Library != "":
		return d, fmt.Errorf("%w: %s: %w", ErrDriver, d.Library, err)
	case err != nil:
		return d, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	return d, nil
}

// describe finds a device by its number and asks what it is.
func describe(ordinal int, d Driver) (cu.Device, Info, error) {
	info := Info{Ordinal: ordinal, Emulated: d.Emulated}
	device, err := cu.GetDevice(ordinal)
	if err := callError(err, "cuDeviceGet", "%d", ordinal); err != nil {
		return 0, info, err
	}
	if info.Name, err = device.Name(); err != nil {
		return 0, info, callError(err, "cuDeviceGetName", "device %d", ordinal)
	}
	total, err := device.TotalMem()
	if err != nil {
		return 0, info, callError(err, "cuDeviceTotalMem", "device %d", ordinal)
	}
	info.MemoryBytes = uint64(total)
	if uuid, err := device.UUID(); err == nil {
		info.UUID = "GPU-" + uuid.String()
	}
	for _, a := range []struct {
		attribute cu.DeviceAttribute
		value     *int
		needed    bool
	}{
		{cu.ComputeCapabilityMajor, &info.ComputeMajor, true},
		{cu.ComputeCapabilityMinor, &info.ComputeMinor, true},
		{cu.MultiprocessorCount, &info.Multiprocessors, false},
		{cu.ClockRate, &info.ClockKHz, false},
		{cu.MemoryClockRate, &info.MemoryClockKHz, false},
		{cu.GlobalMemoryBusWidth, &info.MemoryBusBits, false},
		{cu.L2CacheSize, &info.L2Bytes, false},
	} {
		value, err := device.Attribute(a.attribute)
		if err == nil {
			*a.value = value
		} else if a.needed {
			return 0, info, callError(err, "cuDeviceGetAttribute", "%d, device %d", int(a.attribute), ordinal)
		}
	}
	return device, info, nil
}
