package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Device says where features are computed: "auto", "auto:N", "cpu", "cuda" or "cuda:N".
type Device string

// The devices. [DeviceAuto] is the first GPU where there is one that works, else the processor; "auto:1" prefers the second GPU. [DeviceCUDA]
// is the first GPU, and "cuda:1" the second, and nothing else.
const (
	DeviceAuto Device = "auto"
	DeviceCPU  Device = "cpu"
	DeviceCUDA Device = "cuda"
)

// maxOrdinal bounds the number of a GPU to what is no slip of the pen.
const maxOrdinal = 255

// ErrDevice is the error of a device that this program or machine does not have. The rest of its text says why.
var ErrDevice = errors.New("device not available")

// ParseDevice reads "auto", "auto:N", "cpu", "cuda" or "cuda:N", whether or not there is such a device: [OpenBackend] tells.
func ParseDevice(text string) (Device, error) {
	d := Device(text)
	if d == DeviceCPU {
		return d, nil
	}
	if _, ok := d.ordinal(); ok {
		return d, nil
	}
	return "", fmt.Errorf("%q is no device; use auto, cpu, cuda, or cuda:N with N from 0 to %d", text, maxOrdinal)
}

// CUDADevice is the GPU of that number.
func CUDADevice(ordinal int) Device { return Device(fmt.Sprintf("%s:%d", DeviceCUDA, ordinal)) }

// AutoDevice is the GPU of that number where it works, else the processor.
func AutoDevice(ordinal int) Device { return Device(fmt.Sprintf("%s:%d", DeviceAuto, ordinal)) }

// isAuto says whether the processor will do.
func (d Device) isAuto() bool {
	return d == DeviceAuto || strings.HasPrefix(string(d), string(DeviceAuto)+":")
}

// ordinal is the number of the GPU that is asked for or preferred; not ok: none is.
func (d Device) ordinal() (n int, ok bool) {
	if d == DeviceCUDA || d == DeviceAuto {
		return 0, true
	}
	kind, text, found := strings.Cut(string(d), ":")
	found = found && (Device(kind) == DeviceCUDA || Device(kind) == DeviceAuto)
	n, err := strconv.Atoi(text)
	return n, found && err == nil && n >= 0 && n <= maxOrdinal && strconv.Itoa(n) == text
}

// Decoding says what decodes where features are computed on a GPU: "auto" or "software".
type Decoding string

// DecodeAuto has the GPU's decoder do what it can to the same bits as software, and software the rest.
const (
	DecodeAuto     Decoding = "auto"
	DecodeSoftware Decoding = "software"
)

// ParseDecoding reads "auto" or "software".
func ParseDecoding(text string) (Decoding, error) {
	if d := Decoding(text); d == DecodeAuto || d == DecodeSoftware {
		return d, nil
	}
	return "", fmt.Errorf("%q is neither auto nor software", text)
}
