package decode

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// DamagePolicy says what a damaged or missing picture leads to.
type DamagePolicy uint8

// The policies. The package comment describes them.
const (
	Strict  DamagePolicy = iota // an error naming the frame
	Conceal                     // what the decoder makes of it, counted in Stats
)

// String is the policy's name on the command line.
func (p DamagePolicy) String() string {
	switch p {
	case Strict:
		return "strict"
	case Conceal:
		return "conceal"
	}
	return fmt.Sprintf("DamagePolicy(%d)", uint8(p))
}

// MaxThreads is the most threads that a Reader decodes with.
const MaxThreads = 64

// Config says how a video is read. The zero value serves.
type Config struct {
	// Threads is how many threads each Reader decodes with. 0: one for each CPU, at most 16. Range 1–[MaxThreads]. Each
	// thread of FFmpeg's frame threading holds a picture or two more. Under Conceal there is always one.
	Threads int
	// LumaOnly leaves the chroma planes of frames empty. y4m and headerless files are then read past their chroma.
	LumaOnly bool
	// NoRotate ignores rotation and flip in the file's metadata, which are applied otherwise.
	NoRotate bool
	// AllowFormatChange lets frames differ from Info.Format when the stream changes size, depth, subsampling or range on
	// its way; whoever sets it converts each frame. Otherwise such a frame is an error.
	AllowFormatChange bool
	// Hardware decodes what it can decode to the same bits as software does; software decodes the rest, and Info says which and
	// why. nil: software alone. Its frames are in the device's memory.
	Hardware *Hardware
	// HoldFrames is how many of a Reader's frames are held at a time, with Hardware: each takes one of the decoder's surfaces, about 1.5
	// samples for each of its picture's. Beyond the number of surfaces that a decoder has, 32 with those that it needs for itself,
	// frames are copied on the device instead. A Reader whose decoder runs out of surfaces goes on in software. 0: 4. Range 1–4096.
	HoldFrames int
	// OnDamage is what a damaged or missing picture leads to.
	OnDamage DamagePolicy
	// Limits bound what a file may cost. The zero value is DefaultLimits.
	Limits Limits
}

// Limits bound what a file may cost. In each field 0 means the default.
type Limits struct {
	MaxWidth      int           // samples; default 16384
	MaxHeight     int           // samples; default 16384
	MaxPixels     int64         // width × height; default 16384 × 8704, which is 8K twice over
	MaxFrames     int64         // of one file; default 4,000,000: 18 hours at 60 a second
	MaxStreams    int           // of all types in one container; default 256
	MaxIndexBytes int64         // memory of one file's frame index, 48 bytes a frame; default 256 MiB
	ProbeBytes    int64         // read at most to recognise the container and its streams; default 32 MiB
	OpenTimeout   time.Duration // recognising and indexing one file; default 10 minutes
	StallTimeout  time.Duration // waiting for one frame; default 60 seconds
}

// DefaultLimits returns the limits that zero fields stand for.
func DefaultLimits() Limits {
	return Limits{
		MaxWidth: 16384, MaxHeight: 16384, MaxPixels: 16384 * 8704, MaxFrames: 4_000_000, MaxStreams: 256,
		MaxIndexBytes: 256 << 20, ProbeBytes: 32 << 20, OpenTimeout: 10 * time.Minute, StallTimeout: time.Minute,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	fill(&l.MaxWidth, d.MaxWidth)
	fill(&l.MaxHeight, d.MaxHeight)
	fill(&l.MaxPixels, d.MaxPixels)
	fill(&l.MaxFrames, d.MaxFrames)
	fill(&l.MaxStreams, d.MaxStreams)
	fill(&l.MaxIndexBytes, d.MaxIndexBytes)
	fill(&l.ProbeBytes, d.ProbeBytes)
	fill(&l.OpenTimeout, d.OpenTimeout)
	fill(&l.StallTimeout, d.StallTimeout)
	return l
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports every field that is out of range.
func (c Config) validate() error {
	var errs []error
	check := func(name string, value, least, most int64) {
		if value != 0 && (value < least || value > most) {
			errs = append(errs, fmt.Errorf("%s is %d; the range is %d to %d", name, value, least, most))
		}
	}
	check("threads", int64(c.Threads), 1, MaxThreads)
	check("hold frames", int64(c.HoldFrames), 1, 4096)
	check("limits.max_width", int64(c.Limits.MaxWidth), 1, 65536)
	check("limits.max_height", int64(c.Limits.MaxHeight), 1, 65536)
	check("limits.max_pixels", c.Limits.MaxPixels, 1, 1<<30)
	check("limits.max_frames", c.Limits.MaxFrames, 1, 1<<31-2)
	check("limits.max_streams", int64(c.Limits.MaxStreams), 1, 4096)
	check("limits.max_index_bytes", c.Limits.MaxIndexBytes, 1, 1<<40)
	check("limits.probe_bytes", c.Limits.ProbeBytes, 2048, 1<<30)
	check("limits.open_timeout", int64(c.Limits.OpenTimeout), int64(time.Millisecond), int64(24*time.Hour))
	check("limits.stall_timeout", int64(c.Limits.StallTimeout), int64(time.Millisecond), int64(24*time.Hour))
	if c.OnDamage > Conceal {
		errs = append(errs, fmt.Errorf("on damage is %v; it can be strict or conceal", c.OnDamage))
	}
	return errors.Join(errs...)
}

// threads is the number of decoder threads in effect.
func (c Config) threads() int {
	switch {
	case c.OnDamage == Conceal:
		return 1
	case c.Threads > 0:
		return c.Threads
	}
	return min(runtime.NumCPU(), 16)
}

// holdFrames is the number of held frames in effect.
func (c Config) holdFrames() int {
	if c.HoldFrames > 0 {
		return c.HoldFrames
	}
	return 4
}

// checkSize applies the limits on a picture's size.
func (l Limits) checkSize(width, height int) error {
	const hint = "scale the input"
	switch {
	case width <= 0 || height <= 0:
		return fmt.Errorf("%w: picture of %dx%d samples", ErrUnsupported, width, height)
	case width > l.MaxWidth:
		return &LimitError{Name: "max_width", What: "width", Value: int64(width), Max: int64(l.MaxWidth), Hint: hint}
	case height > l.MaxHeight:
		return &LimitError{Name: "max_height", What: "height", Value: int64(height), Max: int64(l.MaxHeight), Hint: hint}
	case int64(width)*int64(height) > l.MaxPixels:
		return &LimitError{Name: "max_pixels", What: "number of samples", Value: int64(width) * int64(height), Max: l.MaxPixels, Hint: hint}
	}
	return nil
}

// checkFrames applies the limits on a file's length.
func (l Limits) checkFrames(n int64) error {
	if n > l.MaxFrames {
		return &LimitError{Name: "max_frames", What: "number of frames", Value: n, Max: l.MaxFrames, Hint: "cut the input"}
	}
	return nil
}
