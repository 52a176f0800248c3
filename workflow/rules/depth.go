package rules

import (
	"fmt"
	"strconv"

	"github.com/vqsd/vqsd/vmaf"
)

// The depths that are no number.
const (
	depthAuto   = "auto"
	depthNative = "native"
)

// BitDepthNames are the depths that pictures are compared at: auto is what the models are made for, 10 bits for those of VMAF v1, and native where
// they do not say; native is the larger depth of the two files. A number is a least one: nothing is narrowed.
func BitDepthNames() []string { return []string{depthAuto, depthNative, "10", "12", "16"} }

// nativeReason is why pictures are compared at the depth they have.
const nativeReason = "the larger depth of the two files"

// Depth is what samples are widened to, and why; 0 bits: to the larger depth of the two files. word is one of [BitDepthNames], or "" which is auto;
// who said so, as in "request".
func Depth(word, who string, models []*vmaf.Model) (bits int, reason string) {
	switch word {
	case "", depthAuto:
		for _, m := range models {
			if prefers := m.PreferredBitsPerComponent(); prefers > bits {
				bits, reason = prefers, fmt.Sprintf("%s is made for %d bits", m.Version, prefers)
			}
		}
		if bits == 0 {
			reason = nativeReason
		}
		return bits, reason
	case depthNative:
		return 0, nativeReason + ", by " + who
	}
	bits, err := strconv.Atoi(word)
	if err != nil {
		panic(err) // requests and rules have been checked
	}
	return bits, fmt.Sprintf("at least %d bits, by %s", bits, who)
}

// leastV1 is the least side in samples from which SpEED has blocks enough not to be 0 of whatever pictures. Source: spec/speed.md §3.1.
const leastV1 = 320

// FitsV1 says whether the models of VMAF v1 that are for undecimated pictures can be measured, and mean something, of pictures of a format, widened
// to 10 bits where they have fewer.
func FitsV1(f vmaf.Format) bool {
	m, err := vmaf.Builtin("vmaf_v1.0.16_3d0h")
	if err != nil {
		panic(err) // it is there
	}
	f.BitsPerComponent = max(f.BitsPerComponent, m.PreferredBitsPerComponent())
	for _, e := range m.Extractions() {
		if e.CheckFormat(f) != nil {
			return false
		}
	}
	return min(f.Width, f.Height) >= leastV1
}
