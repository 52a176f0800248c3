package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// Schema names the document that a [Report] is. Under one number members are never renamed, removed or given another meaning; new
// ones may appear.
const Schema = "vqsd.bench/1"

// Report is what a [Run] found. Numbers that are not known are null in JSON.
type Report struct {
	Schema  string   `json:"schema"`
	Version string   `json:"version"` // of vqsd
	Commit  string   `json:"commit"`
	Machine Machine  `json:"machine"`
	Models  []string `json:"models"`
	// Features were measured beside the models, or alone.
	Features []string `json:"features,omitempty"`
	Threads  int      `json:"threads"`
	Runs     int      `json:"runs"` // timed, of each case
	// Results are by scenario, and within one in the order of size, depth, codec and renditions.
	Results []Result `json:"results"`
	// Notes say what is to be known about all results, such as that the device is emulated.
	Notes []string `json:"notes"`
}

// Device is a GPU.
type Device struct {
	Name              string `json:"name"`
	UUID              string `json:"uuid"`
	ComputeCapability string `json:"compute_capability"`
	Multiprocessors   int    `json:"multiprocessors"`
	MemoryBytes       uint64 `json:"memory_bytes"`
	ClockKHz          int    `json:"clock_khz"` // the highest, as the driver tells
	MemoryClockKHz    int    `json:"memory_clock_khz"`
	MemoryBusBits     int    `json:"memory_bus_bits"`
	// MemoryGBs is nominal: clock × 2 × bus, in 10⁹ bytes a second. Null: the driver does not tell.
	MemoryGBs *float64 `json:"memory_gb_per_second_nominal"`
	CUDA      string   `json:"cuda"` // the version that the driver supports
	Library   string   `json:"library"`
	// Emulated says that it is a program that behaves as a device. No figure of speed means anything then.
	Emulated bool `json:"emulated"`
}

// Result is one case of one scenario.
type Result struct {
	Scenario   Scenario `json:"scenario"`
	Clip       string   `json:"clip"`
	Width      int      `json:"width"`
	Height     int      `json:"height"`
	Depth      int      `json:"depth"` // bits a sample
	Codec      string   `json:"codec"` // "": none, the pictures are in memory
	Renditions int      `json:"renditions"`
	// NotRun is why there are no figures; then those below are 0 or null.
	NotRun string `json:"not_run,omitempty"`
	// Failure is what went wrong with a case that should have run; it has no figures either.
	Failure string `json:"failure,omitempty"`

	Backend  string `json:"backend"`  // what computed: "cpu (avx2)"; of decode, what decoded
	Emulated bool   `json:"emulated"` // the device is no GPU
	Frames   int    `json:"frames"`   // reference frames of one run, each with all of its renditions

	FramesPerSecond Spread `json:"frames_per_second"` // reference frames
	PairsPerSecond  Spread `json:"pairs_per_second"`  // frames × renditions
	// ProcessorMilliseconds are of all threads, and of processes that were started for it, by pair.
	ProcessorMilliseconds Spread  `json:"processor_ms_per_pair"`
	ProcessorShare        float64 `json:"processor_share"` // of the threads that it may use, how many were busy: 1 is all
	// OthersShare is what other processes had of the machine's processors meanwhile. Where it is not near 0, figures are too low.
	OthersShare       float64 `json:"others_share"`
	PeakResidentBytes *int64  `json:"peak_resident_bytes"` // host memory
	DeviceBytes       *int64  `json:"device_bytes"`        // the most that was taken of the device's memory; null: there is none

	// BytesPerPair are those of the pictures, each read (decode: written) once. It is the least that can be moved.
	BytesPerPair float64 `json:"bytes_per_pair"`
	// MemoryShare is that over the time as a share of the bandwidth of MemoryBasis; null where that is not known.
	MemoryShare *float64 `json:"memory_share"`
	MemoryBasis string   `json:"memory_basis"` // "measured" (of the host), "nominal" (of the device)

	// DecodeAlone is the speed in frames a second of decoding the same clips alone, by turns with this; of measure and daemon.
	DecodeAlone  *Spread  `json:"decode_alone_frames_per_second"`
	DecoderShare *float64 `json:"decoder_share"` // FramesPerSecond / DecodeAlone
	// InProcess is the speed of measuring without a daemon, by turns with this; of daemon.
	InProcess *Spread `json:"in_process_frames_per_second"`

	Bound    string      `json:"bound"` // what bounds it, in words
	Compared *Comparison `json:"compared"`
}

// Comparison is the vmaf command on the same clips, by turns with ours.
type Comparison struct {
	NotRun  string `json:"not_run,omitempty"` // why not
	Program string `json:"program"`           // path
	Version string `json:"version"`           // as it says itself
	Command string `json:"command"`           // of the first rendition
	// PairsPerSecond and ProcessorMilliseconds are of it, one rendition after the other.
	PairsPerSecond        Spread  `json:"pairs_per_second"`
	ProcessorMilliseconds Spread  `json:"processor_ms_per_pair"`
	PeakResidentBytes     int64   `json:"peak_resident_bytes"`
	Ratio                 float64 `json:"ratio"` // our pairs a second over its
	// Scores are the means of the first model over the first rendition, ours and its; LargestDifference is that of any frame of any
	// rendition. Its are printed with six decimals.
	OurScore          float64 `json:"our_score"`
	ItsScore          float64 `json:"its_score"`
	LargestDifference float64 `json:"largest_difference"`
}

// figures fills in what every scenario has: samples are runs of frames reference frames each, on so many threads.
func (r *Result) figures(samples []sample, frames, threads int) {
	pairs := float64(frames * r.Renditions)
	r.Frames = frames
	r.FramesPerSecond = rate(samples, frames)
	r.PairsPerSecond = rate(samples, frames*r.Renditions)
	r.ProcessorMilliseconds = spreadOf(samples, func(s sample) float64 { return float64(s.processor.Microseconds()) / 1e3 / pairs })
	r.ProcessorShare = spreadOf(samples, func(s sample) float64 {
		return s.processor.Seconds() / (s.elapsed.Seconds() * float64(threads))
	}).Median
	r.OthersShare = spreadOf(samples, func(s sample) float64 {
		return min(1, s.others.Seconds()/(s.elapsed.Seconds()*float64(runtime.NumCPU())))
	}).Median
	if peak := most(samples, func(s sample) int64 { return s.resident }); peak > 0 {
		r.PeakResidentBytes = &peak
	}
	if peak := most(samples, func(s sample) int64 { return s.device }); peak > 0 {
		r.DeviceBytes = &peak
	}
}

// memory fills in what share of the bandwidth, in bytes a second, the bytes of the pictures are.
func (r *Result) memory(bytesPerPair, bandwidth float64, basis string) {
	r.BytesPerPair, r.MemoryBasis = bytesPerPair, basis
	if bandwidth > 0 {
		share := bytesPerPair * r.PairsPerSecond.Median / bandwidth
		r.MemoryShare = &share
	}
}

// planeBytes are the samples of luma of a frame and its renditions, by pair.
func planeBytes(width, height, depth, renditions int) float64 {
	bytes := 1.0
	if depth > 8 {
		bytes = 2
	}
	return bytes * float64(width*height) * float64(1+renditions) / float64(renditions)
}

// closeTo says that one speed is as good as another: what is left is noise, and the beginning and the end of a run.
const closeTo = 0.85

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// busy says how busy the processor was, and who else kept it so.
func (r *Result) busy(threads int) string {
	text := fmt.Sprintf("%s of %s busy", percent(r.ProcessorShare), plural(threads, "thread"))
	if r.OthersShare >= 0.05 {
		text += fmt.Sprintf(" (other processes took %s of the machine)", percent(r.OthersShare))
	}
	return text
}

// saturated says that the processors had no more to give: to us, or to others.
func (r *Result) saturated() bool { return r.ProcessorShare+r.OthersShare >= closeTo }

// boundOfDecode says what bounds decoding.
func (r *Result) boundOfDecode(hardware bool, threads int) string {
	busy := r.busy(threads)
	switch {
	case hardware:
		return "the device's decoders; " + busy
	case r.Codec == string(Y4M):
		return "reading files; " + busy
	case r.saturated():
		return "processor: " + busy
	}
	return "decoder threads that wait for each other; " + busy
}

// boundOfKernels says what bounds features of pictures in memory.
func (r *Result) boundOfKernels(device bool, threads int) string {
	memory := "share of memory unknown"
	if r.MemoryShare != nil {
		memory = fmt.Sprintf("memory %s (%s)", percent(*r.MemoryShare), r.MemoryBasis)
	}
	busy := r.busy(threads)
	switch {
	case r.MemoryShare != nil && *r.MemoryShare >= 0.6:
		return memory
	case device:
		return "not the memory the pictures take: kernels; " + memory
	case r.saturated():
		return "arithmetic: " + busy + ", " + memory
	}
	return "threads that wait; " + busy + ", " + memory
}

// boundOfMeasure says what bounds a whole measurement.
func (r *Result) boundOfMeasure(threads int) string {
	decode := "decode alone unknown"
	if r.DecoderShare != nil {
		decode = percent(*r.DecoderShare) + " of decode alone"
		if *r.DecoderShare >= closeTo {
			return "decoding: " + decode
		}
	}
	busy := r.busy(threads)
	if r.saturated() {
		return "processor: " + busy + ", " + decode
	}
	return "waiting between decoders and kernels: " + decode + ", " + busy
}

// boundOfDaemon says what bounds a measurement by a daemon.
func (r *Result) boundOfDaemon(threads int) string {
	if r.InProcess == nil || r.InProcess.Median == 0 {
		return ""
	}
	share := r.FramesPerSecond.Median / r.InProcess.Median
	text := percent(share) + " of measuring in one process"
	if share >= closeTo {
		return "measuring: " + text + "; " + r.boundOfMeasure(threads)
	}
	return "planning, chunks and hand-over: " + text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// has says whether there are figures.
func (r *Result) has() bool { return r.NotRun == "" && r.Failure == "" }

// Err says which cases failed; or that none was run, which is no report.
func (r *Report) Err() error {
	var errs []error
	figures := false
	for _, result := range r.Results {
		figures = figures || result.has()
		if result.Failure != "" {
			errs = append(errs, fmt.Errorf("%s of %s with %s: %s", result.Scenario, result.Clip, plural(result.Renditions, "rendition"), result.Failure))
		}
	}
	if !figures && len(errs) == 0 {
		return errors.New("no case could be run here; the report says why")
	}
	return errors.Join(errs...)
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "vqsd %s (%s), %s, FFmpeg %s, %s\n", r.Version, r.Commit, m.Go, m.FFmpeg, m.Kernel)
	fmt.Fprintf(w, "%s, %s, %s, %.2f GHz before and %.2f after (measured), memory %.1f GB/s with %s (measured)\n",
		orUnknown(m.Processor), m.CPUTarget, plural(m.Threads, "processor"), m.ClockGHz[0], m.ClockGHz[1], m.MemoryGBs, plural(r.Threads, "thread"))
	if d := m.Device; d != nil {
		memory := "memory bandwidth unknown"
		if d.MemoryGBs != nil {
			memory = fmt.Sprintf("memory %.0f GB/s (nominal)", *d.MemoryGBs)
		}
		fmt.Fprintf(w, "%s, compute capability %s, %d multiprocessors, at most %.2f GHz, %s, driver for CUDA %s\n",
			d.Name, d.ComputeCapability, d.Multiprocessors, float64(d.ClockKHz)/1e6, memory, d.CUDA)
	}
	fmt.Fprintf(w, "%s; median ± half the distance between quartiles of %s\n", strings.Join(append(slices.Clone(r.Models), r.Features...), ", "), plural(r.Runs, "run"))
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%s\n", note)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tclip\trenditions\tpairs/s\t±\tCPU ms/pair\thost MiB\tdevice MiB\tmemory\tdecoder\tbound by")
	for _, result := range r.Results {
		if result.has() {
			fmt.Fprintln(table, strings.Join(result.row(), "\t"))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	r.printComparisons(w)
	for _, result := range r.Results {
		if result.NotRun != "" {
			fmt.Fprintf(w, "not run: %s %s, %s: %s\n", result.Scenario, result.Clip, plural(result.Renditions, "rendition"), result.NotRun)
		}
	}
	return nil
}

func (r *Result) row() []string {
	scenario := string(r.Scenario)
	if r.Emulated {
		scenario += " (emulated)"
	}
	return []string{
		scenario, r.Clip, number(r.Renditions), figure(r.PairsPerSecond.Median), figure(r.PairsPerSecond.half()),
		figure(r.ProcessorMilliseconds.Median), mebibytes(r.PeakResidentBytes), mebibytes(r.DeviceBytes), share(r.MemoryShare), share(r.DecoderShare), r.Bound,
	}
}

// printComparisons prints how the vmaf command did.
func (r *Report) printComparisons(w io.Writer) {
	said := map[string]bool{}
	for _, result := range r.Results {
		c := result.Compared
		if c == nil {
			continue
		}
		if c.NotRun != "" {
			if !said[c.NotRun] {
				fmt.Fprintln(w, c.NotRun)
			}
			said[c.NotRun] = true
			continue
		}
		fmt.Fprintf(w, "%s, %s: %s (%s): %s ± %s pairs/s, %s CPU ms/pair; vqsd does %.2f × as many; mean score %.6f, vqsd %.6f, largest difference of a frame %.2g\n",
			result.Clip, plural(result.Renditions, "rendition"), c.Program, c.Version, figure(c.PairsPerSecond.Median), figure(c.PairsPerSecond.half()),
			figure(c.ProcessorMilliseconds.Median), c.Ratio, c.ItsScore, c.OurScore, c.LargestDifference)
	}
}

// figure prints three digits, or all of a number's that has more before its point.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || a == 0:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func mebibytes(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%d", *n>>20)
}

func share(v *float64) string {
	if v == nil {
		return "-"
	}
	return percent(*v)
}

func orUnknown(text string) string {
	if text == "" {
		return "processor of unknown name"
	}
	return text
}
