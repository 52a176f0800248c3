package decode

import "unsafe"

// samples views a row's bytes as samples. The bytes of 16-bit rows begin at even addresses and are little-endian, as is every
// machine this runs on.
func samples[S uint8 | uint16](b []byte) []S {
	var s S
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*S)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(s)))
}
