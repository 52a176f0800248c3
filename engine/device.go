package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Device says where features are computed: "auto", "cpu", "cuda" or "cuda:N".
type Device string

// The devices. [DeviceAuto] is the first GPU where there is one that works, else the processor; [DeviceCUDA] is the first GPU, and
// "cuda:1" the second.
const (
	DeviceAuto Device = "auto"
	DeviceCPU  Device = "cpu"
	DeviceCUDA Device = "cuda"
)

// maxOrdinal bounds the number of a GPU to what is no slip of the pen.
const maxOrdinal = 255

// ErrDevice is the error of a device that this program or machine does not have. The rest of its text says why.
var ErrDevice = errors.New("device not available")

// ParseDevice reads "auto", "cpu", "cuda" or "cuda:N", whether or not there is such a device: [OpenBackend] tells.
func ParseDevice(text string) (Device, error) {
	d := Device(text)
	if d == DeviceAuto || d == DeviceCPU {
		return d, nil
	}
	if _, ok := d.ordinal(); ok {
		return d, nil
	}
	return "", fmt.Errorf("%q is no device; use auto, cpu, cuda, or cuda:N with N from 0 to %d", text, maxOrdinal)
}

// CUDADevice is the GPU of that number.
func CUDADevice(ordinal int) Device { return Device(fmt.Sprintf("%s:%d", DeviceCUDA, ordinal)) }

// ordinal is the number of the GPU that is asked for by kind; not ok: none is.
func (d Device) ordinal() (n int, ok bool) {
	if d == DeviceCUDA {
		return 0, true
	}
	text, found := strings.CutPrefix(string(d), string(DeviceCUDA)+":")
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
