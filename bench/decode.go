package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vqsd/vqsd/decode"
)

// DecodeConfig says what to decode.
type DecodeConfig struct {
	Clip     Clip             // all of its renditions, side by side with the reference, as a measurement does
	Threads  int              // as a measurement has
	Hardware *decode.Hardware // nil: in software
	Runs     int
	machine  *environment
}

// Decode times decoding alone: opening and indexing the files and decoding every picture, which is then dropped. Frames a second are
// those of the reference, pairs those of the renditions.
func Decode(ctx context.Context, c DecodeConfig) (Result, error) {
	r := c.Clip.result(ScenarioDecode)
	var by decodedBy
	samples, err := takeTurns(ctx, c.Runs, own("decode", func(ctx context.Context) error { return decodeClip(ctx, c.Clip, c.Threads, c.Hardware, &by) }))
	if err != nil {
		return r, err
	}
	r.Backend, r.Emulated = by.String(), by.hardware && c.machine.emulated()
	if r.Emulated {
		r.Backend += ", emulated"
	}
	r.figures(samples[0], c.Clip.Frames, c.Threads)
	if by.hardware {
		r.memory(1.5*planeBytes(r.Width, r.Height, r.Depth, r.Renditions), c.machine.deviceBandwidth, "nominal")
	} else {
		r.memory(1.5*planeBytes(r.Width, r.Height, r.Depth, r.Renditions), c.machine.hostBandwidth, "measured")
	}
	r.Bound = r.boundOfDecode(by.hardware, c.Threads)
	return r, nil
}

// decodedBy gathers what decoded.
type decodedBy struct {
	// mu guards the fields below
	mu       sync.Mutex
	names    []string
	hardware bool // any of them
}

func (b *decodedBy) add(info decode.Info) {
	name := info.Decoder
	if name == "" {
		name = "none"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hardware = b.hardware || isHardware(info)
	for _, known := range b.names {
		if known == name {
			return
		}
	}
	b.names = append(b.names, name)
}

func (b *decodedBy) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := ""
	for i, name := range b.names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	if b.hardware {
		text += " (hardware)"
	}
	return text
}

// decodeClip decodes all files of a clip side by side, with threads shared as a measurement shares them.
func decodeClip(ctx context.Context, clip Clip, threads int, hardware *decode.Hardware, by *decodedBy) error {
	files := append([]string{clip.Reference}, clip.Renditions...)
	config := decode.Config{
		Threads: min(threads, (2*threads+len(files)-1)/len(files), decode.MaxThreads), LumaOnly: true, Hardware: hardware,
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, path := range files {
		all.Go(func() error { return decodeFile(ctx, path, config, clip.Frames, by) })
	}
	return all.Wait()
}

// decodeFile decodes the frames of a file, and is content if there are more. Hardware decodes parts of it side by side, since each reader
// keeps one engine busy.
func decodeFile(ctx context.Context, path string, config decode.Config, frames int, by *decodedBy) (err error) {
	video, err := decode.Open(ctx, decode.Input{Path: path}, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, video.Close()) }()
	info := video.Info()
	by.add(info)
	if info.Frames < int64(frames) {
		return fmt.Errorf("%s: has %d frames; %d are wanted", path, info.Frames, frames)
	}
	parts := 1
	if isHardware(info) {
		parts = enginesFor(config.Hardware, info)
	}
	all, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		all.Go(func() error { return readAll(ctx, video, frames*i/parts, frames*(i+1)/parts) })
	}
	return all.Wait()
}

// isHardware says whether a device decodes a video.
func isHardware(info decode.Info) bool { return strings.HasSuffix(info.Decoder, "_nvdec") }

// enginesFor is how many decoders the device has for a video, where the driver says.
func enginesFor(hardware *decode.Hardware, info decode.Info) int {
	for _, c := range hardware.Capabilities() {
		if c.Codec == info.Codec && c.BitsPerComponent == info.Format.BitsPerComponent {
			return max(1, c.Engines)
		}
	}
	return 1
}

func readAll(ctx context.Context, video *decode.Video, first, end int) (err error) {
	reader, err := video.Read(ctx, int64(first), int64(end))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		frame.Release()
	}
}

// result begins the result of a case.
func (c Clip) result(s Scenario) Result {
	return Result{
		Scenario: s, Clip: c.Name, Width: c.Size.Width, Height: c.Size.Height, Depth: c.Depth, Codec: string(c.Codec), Renditions: len(c.Renditions),
	}
}
