package bench

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/kernels/cpu"
)

// Machine is what a report's figures depend on beside the program.
type Machine struct {
	Processor string `json:"processor"`  // as it calls itself; "": unknown
	Threads   int    `json:"processors"` // that Go may use
	CPUTarget string `json:"cpu_target"` // the instruction set of the CPU's kernels
	// ClockGHz is measured: by a chain of multiplications, before and after all scenarios.
	ClockGHz [2]float64 `json:"clock_ghz"`
	// MemoryGBs is measured: the better of reading and copying with all threads, in 10⁹ bytes a second.
	MemoryGBs   float64 `json:"memory_gb_per_second"`
	MemoryBytes int64   `json:"memory_bytes"` // in all; 0: unknown
	Kernel      string  `json:"kernel"`       // of the operating system
	Go          string  `json:"go"`
	FFmpeg      string  `json:"ffmpeg"`
	Device      *Device `json:"device"` // null where none is used
}

// machine looks at the machine; threads are how many the runs use.
func machine(threads int) Machine {
	m := Machine{
		Processor: processorName(), Threads: threads, CPUTarget: cpu.Target(), Kernel: kernelRelease(), Go: runtime.Version(),
		MemoryBytes: statusBytes("/proc/meminfo", "MemTotal"), MemoryGBs: memoryBandwidth(threads) / 1e9,
	}
	m.ClockGHz[0] = clockGHz()
	_, m.FFmpeg = decode.Libraries()
	return m
}

func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// memoryBandwidth is what threads move to and from memory together, in bytes a second: the better of reading (bytes.Equal) and
// copying (read and written bytes both count), best of five. Each has two buffers that no cache holds.
func memoryBandwidth(threads int) float64 {
	n := max(128<<20/threads, 16<<20)
	buffers := make([][2][]byte, threads)
	for i := range buffers {
		for k := range buffers[i] {
			b := make([]byte, n)
			for j := 0; j < n; j += 4096 {
				b[j] = 1 // pages that were never written share one page of zeros
			}
			buffers[i][k] = b
		}
	}
	together := func(move func(a, b []byte)) time.Duration {
		started := time.Now()
		var all sync.WaitGroup
		for i := range buffers {
			all.Go(func() { move(buffers[i][0], buffers[i][1]) })
		}
		all.Wait()
		return time.Since(started)
	}
	best := time.Duration(math.MaxInt64)
	for range 5 {
		best = min(best, together(func(a, b []byte) {
			if !bytes.Equal(a, b) {
				panic("equal buffers differ")
			}
		}), together(func(a, b []byte) { copy(b, a) }))
	}
	return float64(2*n*threads) / best.Seconds()
}

// clockGHz is a core's clock, from a chain of multiplications: each waits for the one before and takes three cycles on every x86 of
// the last fifteen years and on most arm64 cores.
func clockGHz() float64 {
	const steps, cycles = 4 << 20, 3
	best := time.Duration(math.MaxInt64)
	x := uint64(time.Now().UnixNano()) | 1
	for range 5 {
		started := time.Now()
		for range steps / 8 {
			x *= x
			x *= x
			x *= x
			x *= x
			x *= x
			x *= x
			x *= x
			x *= x
		}
		best = min(best, time.Since(started))
	}
	runtime.KeepAlive(x)
	return steps * cycles / float64(best.Nanoseconds())
}
