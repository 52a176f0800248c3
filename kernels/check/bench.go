package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// BenchConfig says what [Bench] times. The zero value times everything.
type BenchConfig struct {
	// Match selects among names such as motion/1920x1080/8/avx2; nil means all.
	Match *regexp.Regexp
	// Runs is how often each is timed. 0 means 20.
	Runs int
	// Budget is when to stop repeating one that takes long; it is run three times at the least. 0 means 2 s.
	Budget time.Duration
}

// scrubBytes are written before each timed run, so that it finds neither pictures nor scratch in the caches that a core has
// to itself, as when a decoder has just been at work. A last-level cache of hundreds of MiB keeps part of the pictures.
const scrubBytes = 64 << 20

// timing is how long one case takes on one target.
type timing struct {
	target string
	ns     []float64 // of each run
}

// median and spread, which is half the distance between the quartiles: both are deaf to the odd run that was interrupted.
func (t timing) median() float64 { return quantile(t.ns, 0.5) }
func (t timing) spread() float64 { return (quantile(t.ns, 0.75) - quantile(t.ns, 0.25)) / 2 }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// Bench times the registered kernels on every target of this machine and writes one line each: median processor
// time a picture (with all its renditions) ± half the interquartile range of the runs, the ratio to the plain reference, and the bytes of
// the planes over that time as a share of the memory bandwidth that one core reaches here. It uses one core, and the
// targets take turns, so that what disturbs the machine disturbs all of them.
func Bench(w io.Writer, cfg BenchConfig) (err error) {
	before := cpu.Target()
	defer func() { err = errors.Join(err, cpu.SetTarget(before)) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	bandwidth := memoryBandwidth()
	fmt.Fprintf(w, "one core at %.2f GHz (chain of multiplications), memory %.1f GB/s (the better of reading and copying)\n",
		clockGHz(), bandwidth)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kernel\tsize\tbits\ttarget\tµs/picture\t±\truns\t× plain\tGB/s\tof memory\t")
	for _, k := range registry {
		for _, size := range k.BenchSizes {
			for _, bpc := range k.BenchDepths {
				timings, err := k.time(size, bpc, cfg)
				if err != nil {
					return fmt.Errorf("%s %v %d bit: %w", k.Name, size, bpc, err)
				}
				var plain float64
				for _, t := range timings {
					ns, ratio := t.median(), "—"
					if t.target == plainTarget {
						plain = ns
					}
					if plain > 0 {
						ratio = fmt.Sprintf("%.1f", plain/ns)
					}
					rate := float64(k.traffic(size, bpc)) / ns
					fmt.Fprintf(table, "%s\t%v\t%d\t%s\t%.0f\t%.0f\t%d\t%s\t%.2f\t%.0f %%\t\n",
						k.Name, size, bpc, t.target, ns/1e3, t.spread()/1e3, len(t.ns), ratio, rate, 100*rate/bandwidth)
				}
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "one core at %.2f GHz afterwards\n", clockGHz())
	return err
}

// threadTime is the processor time that the calling thread has had: unlike the clock, it stands still while somebody else has
// the core.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux since 2.6.12 has it
	}
	return time.Duration(t.Nano())
}

// benchCase is a kernel with the planes that it is timed on.
type benchCase struct {
	runner  Runner
	planes  []vmaf.Plane
	results []int64
}

func (k *Kernel) benchCase(size Size, bpc int) (*benchCase, error) {
	c := testCase{kernel: k, size: size, bpc: bpc, input: k.BenchInput}
	b := &benchCase{results: make([]int64, len(k.Results))}
	n := sampleBytes(bpc)
	content := c.content()
	for i, samples := range content.Planes {
		// Rows aligned as decoders align them.
		width, height := content.Sizes[i].Width, content.Sizes[i].Height
		p := vmaf.Plane{StrideBytes: (width*n + 63) &^ 63, Width: width, Height: height}
		p.Data = make([]byte, p.StrideBytes*height)
		fillPlane(p, samples, n)
		b.planes = append(b.planes, p)
	}
	var err error
	b.runner, err = k.New(size, bpc)
	return b, err
}

func (b *benchCase) run() error { return b.runner.Run(b.planes, b.results) }

// time runs one case on all selected targets in turn. Targets that are not selected have no timing.
func (k *Kernel) time(size Size, bpc int, cfg BenchConfig) (_ []timing, err error) {
	runs, budget := cfg.Runs, cfg.Budget
	if runs == 0 {
		runs = 20
	}
	if budget == 0 {
		budget = 2 * time.Second
	}
	var timings []timing
	for _, target := range cpu.Targets() {
		if cfg.Match == nil || cfg.Match.MatchString(fmt.Sprintf("%s/%v/%d/%s", k.Name, size, bpc, target)) {
			timings = append(timings, timing{target: target})
		}
	}
	if len(timings) == 0 {
		return nil, nil
	}
	b, err := k.benchCase(size, bpc)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.runner.Close()) }()
	scrub := make([]byte, scrubBytes)
	spent := make([]time.Duration, len(timings))
	for run := -1; run < runs; run++ { // the first warms up
		for i := range timings {
			if run >= 3 && spent[i] > budget {
				continue
			}
			if err := cpu.SetTarget(timings[i].target); err != nil {
				return nil, err
			}
			for j := 0; j < len(scrub); j += 64 {
				scrub[j]++
			}
			start := threadTime()
			if err := b.run(); err != nil {
				return nil, err
			}
			elapsed := threadTime() - start
			if run >= 0 {
				timings[i].ns = append(timings[i].ns, float64(elapsed.Nanoseconds()))
				spent[i] += elapsed
			}
		}
	}
	return timings, nil
}

// memoryBandwidth is what one core moves to and from memory, in GB/s: the better of reading (bytes.Equal) and copying
// (read and written bytes both count), with the library's vector code, best of five.
func memoryBandwidth() float64 {
	const n = 128 << 20
	a, b := make([]byte, n), make([]byte, n)
	for i := 0; i < n; i += 4096 {
		a[i], b[i] = 1, 1 // pages that were never written share one page of zeros
	}
	best := math.Inf(1)
	for range 5 {
		start := threadTime()
		if !bytes.Equal(a, b) {
			panic("equal buffers differ")
		}
		best = min(best, float64((threadTime() - start).Nanoseconds()))
		start = threadTime()
		copy(b, a)
		best = min(best, float64((threadTime() - start).Nanoseconds()))
	}
	return 2 * n / best
}

// clockGHz is the core's clock, from a chain of multiplications: each waits for the one before and takes three cycles on
// every x86 of the last fifteen years and on most arm64 cores.
func clockGHz() float64 {
	const steps, cycles = 4 << 20, 3
	best := math.Inf(1)
	x := rand.Uint64() | 1
	for range 5 {
		start := threadTime()
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
		best = min(best, float64((threadTime() - start).Nanoseconds()))
	}
	runtime.KeepAlive(x)
	return steps * cycles / best
}
