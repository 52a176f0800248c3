package engine

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
// but for Reference, Distorted and, in [Measure], Plan. Plan, ChunkFrames, HeatMaps and Progress are of Measure alone.
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

	// Scale says how a picture of another size is scaled, and Geometry at which size pictures are compared: see [Treatment].
	// BitsPerComponent says how many bits their samples have then. Treatments, if not nil, says it for each of Distorted instead.
	Scale            *decode.ScaleFilter
	Geometry         *Size
	BitsPerComponent int
	Treatments       []Treatment
	// EncodedByFile is Treatment.EncodedByFile for all.
	EncodedByFile bool
	// Chroma has inputs opened with their chroma planes, for features that look at these. Measure sets it where its plan has such.
	Chroma bool
	// Crop is what is compared of each picture, in the size that pictures are compared at: they are scaled first, then cropped alike.
	Crop *decode.Rect

	ChunkFrames int64    // reference frames of a chunk, each decoded on its own; 0: one chunk
	Threads     int      // frames measured at a time; decoders share about twice as many threads. 0: one a processor
	Backend     *Backend // what computes features; the caller's, and open as long as it is used. Nil: the processor

	OnDamage decode.DamagePolicy
	Limits   decode.Limits

	// HeatMaps is called with what CAMBI finds in each distorted picture, from several goroutines at a time and in any order of frames. The first
	// CAMBI extraction of the plan is shown. Its error ends the measurement. Of Measure alone; software decodes then. May be nil.
	HeatMaps func(HeatMap) error

	// Progress is called about ten times a second from one goroutine, and at the end. It must not block.
	Progress func(Progress)
	Logger   *slog.Logger // nil: slog.Default()
}

// Treatment is how pictures are brought to the format that they are compared in.
type Treatment struct {
	// Scale says how a picture of another size is scaled. Nil is bicubic, and refuses renditions whose size changes in
	// mid-stream, and pictures that it would stretch to another shape.
	Scale *decode.ScaleFilter
	// Geometry is the size at which pictures are compared, those of the reference, too. Nil: the reference's size.
	Geometry *Size
	// BitsPerComponent is how many bits samples are widened to, by shifting, for the comparison: 8, 9, 10, 12, 14 or 16. A file of more keeps
	// what it has, and so does the other. 0: as many as the one that has more.
	BitsPerComponent int
	// Encoded is what the rendition was encoded in, where CAMBI is to look at that rather than at what it is compared in. EncodedByFile fills
	// what is zero of it with the size and depth of the rendition's pictures as they are stored.
	Encoded       vmaf.Encoded
	EncodedByFile bool
}

// comparedDepths are the numbers of bits that pictures can be widened to.
var comparedDepths = []int{8, 9, 10, 12, 14, 16}

// Size is a picture size in luma samples.
type Size struct{ Width, Height int }

// String reads "1280x720".
func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// ParseSize reads "1280x720".
func ParseSize(text string) (Size, error) {
	w, h, found := strings.Cut(text, "x")
	width, err1 := strconv.ParseUint(w, 10, 31)
	height, err2 := strconv.ParseUint(h, 10, 31)
	if !found || err1 != nil || err2 != nil || width == 0 || height == 0 {
		return Size{}, fmt.Errorf("%q is no size; want WxH, such as 1280x720", text)
	}
	return Size{int(width), int(height)}, nil
}

// filter is the scaling filter in force.
func (t Treatment) filter() decode.ScaleFilter {
	if t.Scale == nil {
		return decode.Bicubic
	}
	return *t.Scale
}

// allowsChange says whether the size may change in mid-stream.
func (t Treatment) allowsChange() bool { return t.Scale != nil && *t.Scale != decode.NoScale }

// size is the one that pictures are compared at, before cropping.
func (t Treatment) size(ref decode.Info) Size {
	if t.Geometry != nil {
		return *t.Geometry
	}
	return sizeOf(ref)
}

// validate reports what is wrong with a treatment.
func (t Treatment) validate(limits decode.Limits) error {
	var errs []error
	if t.filter() > decode.NoScale {
		errs = append(errs, fmt.Errorf("scale: %v is not one of %s", t.filter(), strings.Join(decode.ScaleFilterNames(), ", ")))
	}
	if b := t.BitsPerComponent; b != 0 && !slices.Contains(comparedDepths, b) {
		errs = append(errs, fmt.Errorf("bits per component: %d is not one of %v", b, comparedDepths))
	}
	if g := t.Geometry; g != nil {
		defaults := decode.DefaultLimits()
		width, height := cmp.Or(limits.MaxWidth, defaults.MaxWidth), cmp.Or(limits.MaxHeight, defaults.MaxHeight)
		pixels := cmp.Or(limits.MaxPixels, defaults.MaxPixels)
		switch {
		case g.Width < 1 || g.Height < 1:
			errs = append(errs, fmt.Errorf("geometry: %v is no size; the smallest is 1x1", *g))
		case g.Width > width:
			errs = append(errs, fmt.Errorf("geometry: %w", &decode.LimitError{Name: "max_width", What: "width", Value: int64(g.Width), Max: int64(width)}))
		case g.Height > height:
			errs = append(errs, fmt.Errorf("geometry: %w", &decode.LimitError{Name: "max_height", What: "height", Value: int64(g.Height), Max: int64(height)}))
		case int64(g.Width)*int64(g.Height) > pixels:
			errs = append(errs, fmt.Errorf("geometry: %w",
				&decode.LimitError{Name: "max_pixels", What: "width × height", Value: int64(g.Width) * int64(g.Height), Max: pixels}))
		}
	}
	return errors.Join(errs...)
}

// treatment is that of rendition k.
func (r *Request) treatment(k int) Treatment {
	if r.Treatments != nil {
		return r.Treatments[k]
	}
	return Treatment{Scale: r.Scale, Geometry: r.Geometry, BitsPerComponent: r.BitsPerComponent, EncodedByFile: r.EncodedByFile}
}

// Progress is how far a measurement is.
type Progress struct {
	Done    int64         // reference frames measured
	Total   int64         // reference frames to measure; −1 where inputs do not say how many they have
	Elapsed time.Duration // since decoding began
}

// validate reports every problem of the request at once, and fills in defaults.
func (r *Request) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
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
	if err := (Treatment{Scale: r.Scale, Geometry: r.Geometry, BitsPerComponent: r.BitsPerComponent}).validate(r.Limits); err != nil {
		errs = append(errs, err)
	}
	if r.Treatments != nil && len(r.Treatments) != len(r.Distorted) {
		add("treatments: %d for %d renditions; give one for each", len(r.Treatments), len(r.Distorted))
	}
	if r.Treatments != nil && (r.Scale != nil || r.Geometry != nil || r.BitsPerComponent != 0 || r.EncodedByFile) {
		add("treatments: given beside a scale, geometry, depth or encoded format for all; leave one of the two out")
	}
	for k, t := range r.Treatments {
		if err := t.validate(r.Limits); err != nil {
			add("treatments: rendition %d: %w", k, err)
		}
	}
	if r.Pairing > PairTimestamp {
		add("pairing: %d is not one of %s", uint8(r.Pairing), strings.Join(pairingNames[:], ", "))
	}
	if r.Pairing == PairTimestamp && r.Offset != 0 {
		add("offset: frames are counted, so it does not go with pairing by timestamp")
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
