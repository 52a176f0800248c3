package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where a store is and how much it may take. Dir is required; zero values of the rest are defaults.
type Config struct {
	// Dir is the store's directory, created with mode 0700 if it is missing. One process at a time has it open.
	Dir    string
	Logger *slog.Logger // nil: slog.Default()

	// MinFreeBytes is how much disk space stays free: below it writes are refused with [ErrFull]. Badger writes through memory maps, where a
	// full disk kills the process, and goes on writing in the background after the last write was taken; the reserve is for that. It is at
	// least twice MemoryBytes. 0: 256 MiB, or twice MemoryBytes where that is more. −1: writes are never refused.
	MinFreeBytes int64
	// MemoryBytes bounds caches and tables in memory; with what the garbage collector leaves lying about, the process holds about twice that
	// while much is written. Tables on the disk are mapped, and their pages are the kernel's to take back. Range 16 MiB – 64 GiB; default 128 MiB.
	MemoryBytes int64
	// RequestIDLife is how long a request ID is remembered. Range 1 min – 1 year; default 24 h.
	RequestIDLife time.Duration

	FreeBytes  func(dir string) (int64, error) // space that is free for this process; nil: statfs
	Now        func() time.Time                // nil: time.Now
	Registerer prometheus.Registerer           // nil: metrics are counted and not shown

	upkeepEvery time.Duration // how often the value log is collected and sizes are taken; default 1 min; tests shorten it
}

// validate reports every problem at once and fills in defaults.
func (c *Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Dir == "" {
		add("store: the directory is not given")
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 128 << 20
	}
	if c.MemoryBytes < 16<<20 || c.MemoryBytes > 64<<30 {
		add("store.memory is %d bytes; the range is 16MiB to 64GiB", c.MemoryBytes)
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = max(256<<20, 2*c.MemoryBytes)
	}
	if c.MinFreeBytes != -1 && c.MinFreeBytes < 2*c.MemoryBytes {
		add("store.min_free is %d bytes; it has to be at least twice store.memory (%d bytes), or -1 for no reserve", c.MinFreeBytes, c.MemoryBytes)
	}
	if c.RequestIDLife == 0 {
		c.RequestIDLife = 24 * time.Hour
	}
	if c.RequestIDLife < time.Minute || c.RequestIDLife > 366*24*time.Hour {
		add("store.request_id_life is %v; the range is 1m to 8784h", c.RequestIDLife)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.FreeBytes == nil {
		c.FreeBytes = freeBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.upkeepEvery == 0 {
		c.upkeepEvery = time.Minute
	}
	return errors.Join(errs...)
}
