package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// Limits on what a request may ask for.
const (
	MaxRenditions = 64
	MaxThreads    = 1024
)

// Request is one reference, the renditions made from it, and what is to be measured and how. Zero values are defaults
// but for Reference, Distorted and Plan.
type Request struct {
	Reference decode.Input
	Distorted []decode.Input // 1 … [MaxRenditions]
	Plan      *vmaf.Plan

	Pairing  Pairing
	Shortest bool // where one side has more frames than the other, ignore the rest of the longer one
	// Offset is added to a reference frame's index to find its distorted frame; with [PairTimestamp] it is not allowed.
	Offset int64
	// First and End are the reference frames to measure, [First, End). End 0: to the last.
	First, End int64
	// Subsample k > 1 measures only every k-th pair, from the first. Motion is still computed on all.
	Subsample int

	// Scale says how a distorted picture of another size is brought to the reference's. Nil is bicubic, and refuses
	// renditions whose size changes in mid-stream or whose shape differs from the reference's.
	Scale *decode.ScaleFilter
	Crop  *decode.Rect // in the reference's picture; distorted pictures are scaled first, then cropped alike

	ChunkFrames int64  // reference frames of a chunk, each decoded on its own; 0: one chunk
	Threads     int    // frames measured at a time; decoders share about twice as many threads. 0: one a processor
	Device      Device // where features are computed

	OnDamage decode.DamagePolicy
	Limits   decode.Limits

	// Progress is called about ten times a second from one goroutine, and at the end. It must not block.
	Progress func(Progress)
	Logger   *slog.Logger // nil: slog.Default()
}

// Progress is how far a measurement is.
type Progress struct {
	Done    int64         // reference frames measured
	Total   int64         // reference frames to measure; −1 where inputs do not say how many they have
	Elapsed time.Duration // since decoding began
}

// Device is where features are computed.
type Device string

// The devices. [DeviceAuto] is the best there is.
const (
	DeviceAuto Device = "auto"
	DeviceCPU  Device = "cpu"
)

// ErrDevice is the error of a device that this program or machine does not have.
var ErrDevice = errors.New("device not available")

// ParseDevice reads "auto" or "cpu". The error of anything else is [ErrDevice] and says what there is.
func ParseDevice(text string) (Device, error) {
	switch d := Device(text); d {
	case DeviceAuto, DeviceCPU:
		return d, nil
	}
	if text == "cuda" || len(text) > 5 && text[:5] == "cuda:" {
		return "", fmt.Errorf("%w: %s: this version computes on the CPU only; use auto or cpu", ErrDevice, text)
	}
	return "", fmt.Errorf("%w: %q; use auto or cpu", ErrDevice, text)
}

// validate reports every problem of the request at once, and fills in defaults.
func (r *Request) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Plan == nil {
		add("plan: nothing to measure; name at least one model or feature")
	}
	if n := len(r.Distorted); n < 1 || n > MaxRenditions {
		add("distorted: %d renditions; 1 to %d can be measured together", n, MaxRenditions)
	}
	streams := 0
	for _, in := range append([]decode.Input{r.Reference}, r.Distorted...) {
		if in.Path == "-" {
			streams++
		}
	}
	if streams > 1 {
		add("standard input (-) is named %d times; it can be read once", streams)
	}
	if r.First < 0 {
		add("frames: first frame %d is negative", r.First)
	}
	if r.End != 0 && r.End <= r.First {
		add("frames: range %d:%d is empty; the second figure is the first frame that is not measured", r.First, r.End)
	}
	if r.Subsample < 0 {
		add("subsample: %d is negative", r.Subsample)
	}
	if r.ChunkFrames < 0 {
		add("chunk: %d frames is negative", r.ChunkFrames)
	}
	if r.Threads < 0 || r.Threads > MaxThreads {
		add("threads: %d is not in 0 … %d", r.Threads, MaxThreads)
	}
	if r.Pairing == PairTimestamp && r.Offset != 0 {
		add("offset: frames are counted, so it does not go with pairing by timestamp")
	}
	if r.Device == "" {
		r.Device = DeviceAuto
	}
	if _, err := ParseDevice(string(r.Device)); err != nil {
		errs = append(errs, err)
	}
	if r.Threads == 0 {
		r.Threads = min(runtime.GOMAXPROCS(0), MaxThreads)
	}
	if r.Subsample == 0 {
		r.Subsample = 1
	}
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	return errors.Join(errs...)
}

// scale is the filter in force.
func (r *Request) scale() decode.ScaleFilter {
	if r.Scale == nil {
		return decode.Bicubic
	}
	return *r.Scale
}
