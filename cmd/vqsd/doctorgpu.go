package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/vmaf"
)

// lookAtGPUs says what GPUs there are, whether they compute what the processor does, and what they decode.
func (d *doctor) lookAtGPUs(ctx context.Context) {
	driver, list, err := findDevices()
	switch {
	case errors.Is(err, gpu.ErrNoDriver) || errors.Is(err, gpu.ErrNotBuilt) || errors.Is(err, gpu.ErrNoDevice) || err == nil && len(list) == 0:
		why := "the driver has no device"
		if err != nil {
			why = err.Error()
		}
		d.found("gpu", good, "", "none: %s; the processor computes", printable(why))
		return
	case err != nil:
		d.found("gpu", warning, "look at what nvidia-smi says; until then the processor computes", "cannot be used: %s", printable(err.Error()))
		return
	}
	for _, device := range list {
		d.lookAtGPU(ctx, driver, &device)
	}
}

func (d *doctor) lookAtGPU(ctx context.Context, driver *driverInfo, i *deviceInfo) {
	what := fmt.Sprintf("%s, compute capability %s, %s, %s, driver for CUDA %s", printable(i.Name), i.ComputeCapability,
		plural(int64(i.Multiprocessors), "multiprocessor"), roughSize(int64(i.MemoryBytes)), driver.CUDA)
	name := "gpu " + i.Device
	backend, err := engine.OpenBackend(engine.BackendConfig{Device: engine.Device(i.Device)})
	if err != nil {
		d.found(name, warning, "look at what nvidia-smi says; where the device is auto the processor computes", "%s; %s", what, printable(err.Error()))
		return
	}
	noDecoder := backend.NoDecoder()
	err = errors.Join(compareDevices(ctx, backend), backend.Close())
	switch {
	case err != nil:
		d.found(name, broken, "do not measure with it: set workers.device to another; have its memory and its driver looked at", "%s; %s", what, printable(err.Error()))
		return
	case i.Emulated:
		d.found(name, warning, "take "+driver.Library+" out of the library path unless this is a test", "%s; it is no GPU, but emulated on the processor", what)
	default:
		d.found(name, good, "", "%s; a test picture has the figures of the processor", what)
	}
	if noDecoder != nil {
		d.found("decoder "+i.Device, warning, "videos are decoded by software and uploaded; for more, let the driver's video library be found (in containers: the capability video)",
			"%s", printable(noDecoder.Error()))
		return
	}
	n, err := ordinalOf(i.Device)
	if err == nil {
		var text string
		if text, err = decoderText(n); err == nil {
			d.found("decoder "+i.Device, good, "", "%s", text)
			return
		}
	}
	d.found("decoder "+i.Device, warning, "videos are decoded by software and uploaded", "%s", printable(err.Error()))
}

func ordinalOf(device string) (n int, err error) {
	_, err = fmt.Sscanf(device, string(engine.DeviceCUDA)+":%d", &n)
	return n, err
}

// decoderText says what a device decodes: "h264 8 bit up to 4096x4096; hevc 8, 10 bit up to 8192x8192; 7 engines".
func decoderText(ordinal int) (text string, err error) {
	h, err := decode.OpenHardware(ordinal)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	engines := 0
	var codecs, bits []string
	var parts []string
	list := h.Capabilities()
	for _, c := range list {
		if !c.Supported || slices.Contains(codecs, c.Codec) {
			continue
		}
		codecs, bits = append(codecs, c.Codec), nil
		for _, same := range list {
			if same.Codec == c.Codec && same.Supported {
				bits = append(bits, fmt.Sprint(same.BitsPerComponent))
			}
		}
		engines = max(engines, c.Engines)
		parts = append(parts, fmt.Sprintf("%s %s bit up to %dx%d", c.Codec, strings.Join(bits, ", "), c.MaxWidth, c.MaxHeight))
	}
	if engines > 0 {
		parts = append(parts, plural(int64(engines), "engine"))
	}
	return strings.Join(parts, "; "), nil
}

// errOtherFigures is the error of a device that computes wrongly.
var errOtherFigures = errors.New("it gives other figures than the processor")

// compareDevices measures a test picture on a backend and on the processor.
func compareDevices(ctx context.Context, backend *engine.Backend) (err error) {
	var extractions []vmaf.Extraction
	for _, text := range []string{
		"vif", "adm", "motion", "psnr", "float_ssim", "float_ms_ssim", "psnr_hvs", "ciede", "cambi", "speed_chroma",
	} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			return err
		}
		extractions = append(extractions, e)
	}
	// The least size at which every feature says something: SpEED's statistics need 36 places for a window of 5 × 5 in chroma sixteen times smaller.
	format := vmaf.Format{Width: 322, Height: 320, BitsPerComponent: 10, Subsampling: vmaf.Chroma420}
	set := engine.FrameSet{
		Reference: testPicture(format, 0, 0), Previous: [2]*vmaf.Picture{testPicture(format, 3, 0)}, Distorted: []*vmaf.Picture{testPicture(format, 0, 60)},
	}
	columns := engine.ColumnsOf(extractions)
	measure := func(b *engine.Backend) (row engine.Row, err error) {
		e, err := b.NewExtractor(format, extractions, 1, 1)
		if err != nil {
			return row, err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		row = engine.Row{Reference: make([]float64, columns.Reference), Distorted: [][]float64{make([]float64, columns.Distorted)}}
		return row, e.Extract(ctx, []engine.FrameSet{set}, []engine.Row{row})
	}
	processor, err := engine.OpenBackend(engine.BackendConfig{Device: engine.DeviceCPU})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, processor.Close()) }()
	want, err := measure(processor)
	if err != nil {
		return err
	}
	got, err := measure(backend)
	if err != nil {
		return err
	}
	if !slices.Equal(got.Reference, want.Reference) || !slices.Equal(got.Distorted[0], want.Distorted[0]) {
		return fmt.Errorf("%w: %v and %v, not %v and %v", errOtherFigures, got.Reference, got.Distorted[0], want.Reference, want.Distorted[0])
	}
	return nil
}

// testPicture is a texture of 10 bits that is shifted and disturbed by so much, in each of its planes, beside a slope that bands.
func testPicture(f vmaf.Format, shift, noise int) *vmaf.Picture {
	picture := &vmaf.Picture{Format: f}
	state := uint32(1)
	for i := range picture.Planes {
		width, height := f.Width, f.Height
		if i > 0 {
			width, height = f.Subsampling.ChromaSize(width, height)
		}
		p := vmaf.Plane{StrideBytes: 2 * width, Width: width, Height: height}
		p.Data = make([]byte, p.StrideBytes*height)
		for y := range height {
			for x := range width {
				state = state*1664525 + 1013904223
				v := 300 + (x+shift)*(y+2*shift)%400 + 200*((x+shift)/(16-i)%2)
				if noise > 0 {
					v += int(state>>16)%noise - noise/2
				}
				if x < width/3 {
					v = 200 + y/24
				}
				at := y*p.StrideBytes + 2*x
				p.Data[at], p.Data[at+1] = byte(v), byte(v>>8)
			}
		}
		picture.Planes[i] = p
	}
	return picture
}
