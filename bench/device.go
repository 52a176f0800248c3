package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/gpu"
)

// deviceInterval is how often a device's memory is looked at.
const deviceInterval = 20 * time.Millisecond

// environment is what the cases of a run share.
type environment struct {
	hostBandwidth   float64 // bytes a second, measured with all threads
	deviceBandwidth float64 // bytes a second, nominal; 0: unknown
	device          *Device // nil: the processor computes
}

func (e *environment) emulated() bool { return e.device != nil && e.device.Emulated }

// bandwidth is that of the memory where the backend's pictures are, and what kind of figure it is.
func (e *environment) bandwidth(b *engine.Backend) (float64, string) {
	if b.GPU() != nil {
		return e.deviceBandwidth, "nominal"
	}
	return e.hostBandwidth, "measured"
}

// describeDevice says what the GPU of a backend is; nil: there is none.
func describeDevice(b *engine.Backend) *Device {
	if b.GPU() == nil {
		return nil
	}
	i := b.GPU().Info()
	d := &Device{
		Name: i.Name, UUID: i.UUID, ComputeCapability: fmt.Sprintf("%d.%d", i.ComputeMajor, i.ComputeMinor), Multiprocessors: i.Multiprocessors,
		MemoryBytes: i.MemoryBytes, ClockKHz: i.ClockKHz, MemoryClockKHz: i.MemoryClockKHz, MemoryBusBits: i.MemoryBusBits, Emulated: i.Emulated,
	}
	if i.MemoryClockKHz > 0 && i.MemoryBusBits > 0 {
		// Two transfers a clock, as of all memory that devices have had since the driver tells these figures.
		bandwidth := 2 * float64(i.MemoryClockKHz) * 1e3 * float64(i.MemoryBusBits) / 8 / 1e9
		d.MemoryGBs = &bandwidth
	}
	if driver, _, err := gpu.Probe(); err == nil {
		d.CUDA, d.Library = fmt.Sprintf("%d.%d", driver.Version/1000, driver.Version%1000/10), driver.Library
	}
	return d
}

// watchDevice is a contender with the device memory that is in use while it runs: all of it, whoever's it is, since decoders and the driver
// take theirs past us.
func watchDevice(c contender, device *gpu.Device) contender {
	inner := c.run
	c.run = func(ctx context.Context) (usage, error) {
		peak := int64(0)
		look := func() {
			if free, total, err := device.Memory(); err == nil {
				peak = max(peak, int64(total-free))
			} // an error here comes back from the run
		}
		done := make(chan struct{})
		var watcher sync.WaitGroup
		watcher.Go(func() {
			tick := time.NewTicker(deviceInterval)
			defer tick.Stop()
			for {
				look()
				select {
				case <-tick.C:
				case <-done:
					return
				}
			}
		})
		u, err := inner(ctx)
		close(done)
		watcher.Wait()
		u.device = peak
		return u, err
	}
	return c
}
