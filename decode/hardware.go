package decode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/vqsd/vqsd/decode/internal/nvdec"
	"github.com/vqsd/vqsd/vmaf"
)

// ErrNoHardware is wrapped by what [OpenHardware] says where there is no driver, no device, or no decoder.
var ErrNoHardware = errors.New("no hardware decoder")

// HardwareLibraryVariable is the environment variable that names the driver's file instead of libcuda.so.1. The decoder library is
// then the libnvcuvid.so.1 beside it, if there is one.
const HardwareLibraryVariable = "VQSD_CUDA_LIBRARY"

// Hardware is the video decoder of one CUDA device (NVDEC). It may serve any number of Videos, and be used from any goroutine. Each
// Reader has a decoder session of its own, and a session runs on one of the device's engines: to keep all of them busy takes at least
// as many Readers, of one Video or of several.
type Hardware struct {
	ordinal int
	device  *nvdec.Device
	codecs  []HardwareCodec

	// mu guards the fields below
	mu     sync.Mutex
	closed bool
}

// HardwareCodec is what a device's decoder can do with one codec. The numbers are 0 where it can nothing.
type HardwareCodec struct {
	Codec            string // FFmpeg's name, such as "h264"
	BitsPerComponent int
	Subsampling      vmaf.Subsampling
	Supported        bool
	MinWidth         int // samples as coded, which can be up to a block more than is shown
	MinHeight        int
	MaxWidth         int
	MaxHeight        int
	MaxMacroblocks   int // width · height / 256
	Engines          int // that work side by side; 0: the driver does not say
}

// hardwareCodecs are the codecs that are decoded by hardware, with FFmpeg's decoder that has the hwaccel. All have standards that
// define every bit of a decoded picture. MPEG-1, MPEG-2, MPEG-4 part 2 and JPEG leave the rounding of the inverse transform to the
// decoder, so hardware may differ from software there; VC-1 is exact on paper, but nothing here proves that it is so in both.
var hardwareCodecs = []struct {
	codec, decoder string
	id             nvdec.Codec
	bits           []int
}{
	{"h264", "h264", nvdec.H264, []int{8}},
	{"hevc", "hevc", nvdec.HEVC, []int{8, 10}},
	{"vp8", "vp8", nvdec.VP8, []int{8}},
	{"vp9", "vp9", nvdec.VP9, []int{8, 10, 12}},
	{"av1", "av1", nvdec.AV1, []int{8, 10}},
}

// OpenHardware opens the decoder of the CUDA device with that number, as the driver counts them, and asks what it can do. Errors
// wrap [ErrNoHardware] and say what is missing.
//
// It retains the device's primary context, with the flag CU_CTX_SCHED_BLOCKING_SYNC, which whoever else uses that context must have
// set too.
func OpenHardware(ordinal int) (_ *Hardware, err error) {
	library, decoder := "libcuda.so.1", "libnvcuvid.so.1"
	if path := os.Getenv(HardwareLibraryVariable); path != "" {
		library = path
		if beside := filepath.Join(filepath.Dir(path), decoder); fileExists(beside) {
			decoder = beside
		}
	}
	driver, err := nvdec.Load(library, decoder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHardware, err)
	}
	if ordinal < 0 || ordinal >= driver.Devices {
		return nil, fmt.Errorf("%w: device %d; the driver has devices 0 to %d", ErrNoHardware, ordinal, driver.Devices-1)
	}
	device, err := driver.Open(ordinal)
	if err != nil {
		return nil, fmt.Errorf("%w: device %d: %w", ErrNoHardware, ordinal, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, device.Close())
		}
	}()
	h := &Hardware{ordinal: ordinal, device: device}
	any := false
	var refused error
	for _, c := range hardwareCodecs {
		for _, bits := range c.bits {
			caps, err := device.Caps(c.id, bits)
			if err != nil {
				// A driver may be older than the codec, and not know its number: nothing is said of the others by that.
				if refused == nil {
					refused = err
				}
				caps = nvdec.Caps{}
			}
			any = any || caps.Supported
			h.codecs = append(h.codecs, HardwareCodec{
				Codec: c.codec, BitsPerComponent: bits, Subsampling: vmaf.Chroma420, Supported: caps.Supported,
				MinWidth: caps.MinWidth, MinHeight: caps.MinHeight, MaxWidth: caps.MaxWidth, MaxHeight: caps.MaxHeight,
				MaxMacroblocks: caps.MaxMacroblocks, Engines: caps.Engines,
			})
		}
	}
	if !any {
		err := fmt.Errorf("%w: device %d decodes none of the codecs that are used", ErrNoHardware, ordinal)
		if refused != nil {
			err = fmt.Errorf("%w: %w", err, refused)
		}
		return nil, err
	}
	return h, nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Ordinal is the number of the device.
func (h *Hardware) Ordinal() int { return h.ordinal }

// Capabilities lists the codecs that are decoded by hardware if the device can, each at each depth. They were asked once, by
// [OpenHardware].
func (h *Hardware) Capabilities() []HardwareCodec { return append([]HardwareCodec{}, h.codecs...) }

// Close gives the device back. Videos that were opened with it must be closed first; frames that are still held stay valid. It may be
// called twice.
func (h *Hardware) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	return h.device.Close()
}

// fits says why a codec's pictures of that format can not be decoded, or gives "".
func (h *Hardware) fits(codec string, f vmaf.Format) string {
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return "the device has been closed"
	}
	for _, c := range h.codecs {
		if c.Codec != codec || c.BitsPerComponent != f.BitsPerComponent || c.Subsampling != f.Subsampling {
			continue
		}
		switch {
		case !c.Supported:
			return fmt.Sprintf("the device does not decode %s of %d bits", codec, f.BitsPerComponent)
		case f.Width < c.MinWidth, f.Height < c.MinHeight:
			return fmt.Sprintf("pictures of %dx%d are smaller than the device decodes (%dx%d)", f.Width, f.Height, c.MinWidth, c.MinHeight)
		case f.Width > c.MaxWidth, f.Height > c.MaxHeight, f.Width*f.Height/256 > c.MaxMacroblocks:
			return fmt.Sprintf("pictures of %dx%d are larger than the device decodes (%dx%d, %d macroblocks)", f.Width, f.Height,
				c.MaxWidth, c.MaxHeight, c.MaxMacroblocks)
		}
		return ""
	}
	return fmt.Sprintf("%s of %v and %d bits is not decoded by hardware", codec, f.Subsampling, f.BitsPerComponent)
}
