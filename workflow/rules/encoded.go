package rules

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"

	"github.com/vqsd/vqsd/vmaf"
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

// InForce is what CAMBI takes of what it is told of a rendition that is compared in a format, the same with zero for what it does not: what is
// as compared, larger, or out of its range. Extractions are those of a plan. Where they differ, since one has a speed-up that a size needs, it is
// what any of them takes; without CAMBI among them it is nothing.
func InForce(e vmaf.Encoded, compared vmaf.Format, extractions []vmaf.Extraction) vmaf.Encoded {
	var force vmaf.Encoded
	for _, x := range extractions {
		if x.Extractor() != "cambi" {
			continue
		}
		told := x.WithEncoded(e, compared)
		if w, h := told.Int("enc_width"), told.Int("enc_height"); !statesSize(x) && w > 0 {
			force.Width, force.Height = w, h
		}
		if x.Int("enc_bitdepth") == 0 && told.Int("enc_bitdepth") > 0 {
			force.BitsPerComponent = told.Int("enc_bitdepth")
		}
	}
	return force
}

// statesSize says whether an extraction of CAMBI itself says what size pictures were encoded at.
func statesSize(cambi vmaf.Extraction) bool {
	return cambi.Int("enc_width") != 0 || cambi.Int("enc_height") != 0
}

// EncodedWarning is what should be known of a rendition that was encoded as e: that CAMBI takes no size so small, and looks at the scaled pictures, where
// banding looks different. "" where all extractions of CAMBI take the size or state their own, where there are none, and where pictures were not scaled up.
func EncodedWarning(e vmaf.Encoded, compared vmaf.Format, extractions []vmaf.Extraction) string {
	if e.Width == 0 || e.Width >= compared.Width || e.Height >= compared.Height {
		return ""
	}
	for _, x := range extractions {
		// One that does not take the pictures either fails, and says why.
		if x.Extractor() != "cambi" || statesSize(x) || x.CheckFormat(compared) != nil || x.WithEncoded(e, compared).Int("enc_width") > 0 {
			continue
		}
		return fmt.Sprintf("cambi takes no encoded size as small as %dx%d and looks for banding in the scaled pictures, of %dx%d.", e.Width, e.Height, compared.Width, compared.Height)
	}
	return ""
}
