package rules

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"
)

// Encoded is what a rendition's pictures are taken to have been encoded as, which CAMBI wants to know: banding of a small or shallow encode
// looks different once it is scaled or widened. The zero value says nothing.
type Encoded struct {
	// Auto takes size and depth of the file, Compared those that pictures are compared in. Without either they are given.
	Auto, Compared bool
	Width, Height  int // in luma samples
	BitDepth       int // 0: as compared
}

// What CAMBI takes. Source: spec/cambi.md §2.
const (
	minEncodedWidth, minEncodedHeight = 180, 150
	maxEncodedSide                    = 7680
	minEncodedDepth, maxEncodedDepth  = 6, 16
)

// ParseEncoded reads "auto", "compared", "WxH" or "WxH:DEPTH".
func ParseEncoded(text string) (Encoded, error) {
	switch text {
	case "auto":
		return Encoded{Auto: true}, nil
	case "compared":
		return Encoded{Compared: true}, nil
	}
	size, depth, hasDepth := strings.Cut(text, ":")
	w, h, _ := strings.Cut(size, "x")
	e := Encoded{Width: between(w, minEncodedWidth, maxEncodedSide), Height: between(h, minEncodedHeight, maxEncodedSide)}
	if hasDepth {
		e.BitDepth = between(depth, minEncodedDepth, maxEncodedDepth)
	}
	if e.Width == 0 || e.Height == 0 || hasDepth && e.BitDepth == 0 {
		return Encoded{}, fmt.Errorf("%q is neither auto nor compared nor a size; want WxH or WxH:DEPTH from %dx%d:%d to %dx%d:%d, such as 960x540:8",
			clip(text), minEncodedWidth, minEncodedHeight, minEncodedDepth, maxEncodedSide, maxEncodedSide, maxEncodedDepth)
	}
	return e, nil
}

// between reads a plain whole number of a range; 0: it is none.
func between(text string, low, high int) int {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || int(n) < low || int(n) > high || text[0] == '0' {
		return 0
	}
	return int(n)
}

// String is what [ParseEncoded] reads, "" for nothing.
func (e Encoded) String() string {
	switch {
	case e.Auto:
		return "auto"
	case e.Compared:
		return "compared"
	case e == Encoded{}:
		return ""
	case e.BitDepth == 0:
		return fmt.Sprintf("%dx%d", e.Width, e.Height)
	}
	return fmt.Sprintf("%dx%d:%d", e.Width, e.Height, e.BitDepth)
}

var _ encoding.TextMarshaler = Encoded{}

// MarshalText gives String.
func (e Encoded) MarshalText() ([]byte, error) { return []byte(e.String()), nil }
