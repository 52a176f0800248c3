package nvdec

/*
#cgo pkg-config: libavcodec libavutil
#cgo CFLAGS: -std=gnu11 -O3 -Wall -Wextra
#cgo LDFLAGS: -ldl
#include "nvdec.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
)

// lift makes a Go error of a C one.
func lift(e *C.nv_error) error { return errors.New(C.GoString(&e.text[0])) }

// Driver is an open CUDA driver with its video decoder library.
type Driver struct {
	c       *C.nv_driver // never freed: frames refer to it
	Devices int
}

var (
	mu      sync.Mutex // guards drivers
	drivers = map[[2]string]*Driver{}
)

// Load opens a driver and the decoder library that goes with it by file name, once a process. The error says what the system, or
// the driver, says.
func Load(library, decoderLibrary string) (*Driver, error) {
	mu.Lock()
	defer mu.Unlock()
	key := [2]string{library, decoderLibrary}
	if d := drivers[key]; d != nil {
		return d, nil
	}
	l, dl := C.CString(library), C.CString(decoderLibrary)
	defer C.free(unsafe.Pointer(l))
	defer C.free(unsafe.Pointer(dl))
	c := (*C.nv_driver)(C.calloc(1, C.sizeof_nv_driver))
	if c == nil {
		return nil, errors.New("out of memory")
	}
	var e C.nv_error
	var devices C.int
	if C.nv_open(c, l, dl, &devices, &e) != 0 {
		C.free(unsafe.Pointer(c))
		return nil, lift(&e)
	}
	d := &Driver{c, int(devices)}
	drivers[key] = d
	return d, nil
}

// Device is one device. It keeps the primary context.
type Device struct {
	driver  *Driver
	ordinal int
	device  C.int
	context unsafe.Pointer
}

// Open retains the primary context of a device, 0 ≤ ordinal < Devices.
func (d *Driver) Open(ordinal int) (*Device, error) {
	out := &Device{driver: d, ordinal: ordinal}
	var e C.nv_error
	if C.nv_retain(d.c, C.int(ordinal), &out.device, &out.context, &e) != 0 {
		return nil, lift(&e)
	}
	return out, nil
}

// Close gives the context back. Codec contexts and frames keep it by themselves.
func (d *Device) Close() error {
	var e C.nv_error
	if C.nv_release(d.driver.c, d.device, &e) != 0 {
		return lift(&e)
	}
	return nil
}

// Codec is a codec in the numbers of the decoder library.
type Codec int

// The codecs.
const (
	H264 Codec = 4
	HEVC Codec = 8
	VP8  Codec = 9
	VP9  Codec = 10
	AV1  Codec = 11
)

// chroma420 is how the decoder library calls 4:2:0.
const chroma420 = 1

// Caps is what a device's decoder can do with 4:2:0 pictures of a codec. All is 0 where it can nothing.
type Caps struct {
	Supported                                bool
	MinWidth, MinHeight, MaxWidth, MaxHeight int // samples, as coded
	MaxMacroblocks                           int // width · height / 256
	Engines                                  int // that the device has for it; 0: the driver does not say
}

// Caps asks the decoder.
func (d *Device) Caps(codec Codec, bits int) (Caps, error) {
	caps := C.nv_caps{codec: C.int(codec), chroma: chroma420, bit_depth_minus8: C.uint(bits - 8)}
	var e C.nv_error
	if C.nv_get_caps(d.driver.c, d.context, &caps, &e) != 0 {
		return Caps{}, lift(&e)
	}
	if caps.supported == 0 {
		return Caps{}, nil
	}
	return Caps{
		Supported: true, MinWidth: int(caps.min_width), MinHeight: int(caps.min_height),
		MaxWidth: int(caps.max_width), MaxHeight: int(caps.max_height),
		MaxMacroblocks: int(caps.max_macroblocks), Engines: int(caps.engines),
	}, nil
}

// Attach makes a codec context that is not open yet decode on the device. hold is how many frames the caller holds at a time: as
// many surfaces are added, or frames are copied where the decoder has not that many. fixedSize refuses streams whose pictures
// change size.
func (d *Device) Attach(cc *astiav.CodecContext, hold int, fixedSize bool) error {
	var fixed C.int
	if fixedSize {
		fixed = 1
	}
	var e C.nv_error
	if C.nv_attach(d.driver.c, C.int(d.ordinal), (*C.AVCodecContext)(avx.CodecPointer(cc)), C.int(hold), fixed, &e) != 0 {
		return lift(&e)
	}
	return nil
}

// Refused says why an attached codec context does not decode on the device, or gives "".
func Refused(cc *astiav.CodecContext) string {
	return C.GoString(C.nv_refused((*C.AVCodecContext)(avx.CodecPointer(cc))))
}

// Surface is a decoded picture on a device, NV12 or, for more than 8 bits, words with the value in their high bits.
type Surface struct {
	Luma, Chroma      uint64 // addresses; chroma is interleaved
	PitchBytes, Bits  int
	CropLeft, CropTop int  // luma samples that are not part of the picture
	Grain             bool // film grain is to be added, which has not been
	Damaged           bool // the device says that it met errors
}

func frame(f *astiav.Frame) *C.AVFrame { return (*C.AVFrame)(f.UnsafePointer()) }

// Take waits until a frame is complete. With lumaOnly a frame that is copied has no chroma any more.
func Take(f *astiav.Frame, lumaOnly bool) (Surface, error) {
	var luma C.int
	if lumaOnly {
		luma = 1
	}
	var s C.nv_surface
	var e C.nv_error
	if C.nv_take(frame(f), luma, &s, &e) != 0 {
		return Surface{}, lift(&e)
	}
	return Surface{
		Luma: uint64(s.luma), Chroma: uint64(s.chroma), PitchBytes: int(s.pitch_bytes), Bits: int(s.bits),
		CropLeft: int(s.crop_left), CropTop: int(s.crop_top), Grain: s.grain != 0, Damaged: s.damaged != 0,
	}, nil
}

// Download copies a rectangle of widthBytes × height from an address in a frame's memory to dst.
func Download(f *astiav.Frame, address uint64, pitchBytes int, dst []byte, dstPitchBytes, widthBytes, height int) error {
	if need := (height-1)*dstPitchBytes + widthBytes; len(dst) < need {
		return fmt.Errorf("download %d bytes to a buffer of %d", need, len(dst))
	}
	var e C.nv_error
	if C.nv_download(frame(f), C.uint64_t(address), C.int(pitchBytes), (*C.uint8_t)(unsafe.Pointer(&dst[0])), C.int(dstPitchBytes),
		C.int(widthBytes), C.int(height), &e) != 0 {
		return lift(&e)
	}
	return nil
}

// Lower shifts the words of a plane right, so that values in the high bits come to the low ones.
func Lower(data []byte, strideBytes, width, height, shift int) {
	C.nv_lower((*C.uint8_t)(unsafe.Pointer(&data[0])), C.int(strideBytes), C.int(width), C.int(height), C.int(shift))
}

// Split separates interleaved chroma of width × height pairs, and shifts words right.
func Split(src []byte, srcStrideBytes, sampleBytes, shift int, u, v []byte, strideBytes, width, height int) {
	C.nv_split((*C.uint8_t)(unsafe.Pointer(&src[0])), C.int(srcStrideBytes), C.int(sampleBytes), C.int(shift),
		(*C.uint8_t)(unsafe.Pointer(&u[0])), (*C.uint8_t)(unsafe.Pointer(&v[0])), C.int(strideBytes), C.int(width), C.int(height))
}
