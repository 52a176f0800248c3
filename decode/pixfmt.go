package decode

import (
	"fmt"
	"strings"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/vmaf"
)

// layout is how the samples of one of FFmpeg's pixel formats become those of a vmaf.Picture.
type layout struct {
	pixelFormat astiav.PixelFormat
	name        string
	format      vmaf.Format // without size
	inPlace     bool        // planes as they are; otherwise each component is unpacked into a plane of its own
	describe    avx.PixelFormat
}

// supportedFormats is what messages say can be read.
const supportedFormats = "4:2:0, 4:2:2, 4:4:4 and grey, without alpha, of 8 to 16 bits"

// layoutOf looks a pixel format up; the error names it.
func layoutOf(pf astiav.PixelFormat) (layout, error) {
	name := pf.Name()
	d, ok := avx.Describe(pf)
	if !ok {
		return layout{}, fmt.Errorf("%w pixel format: none; supported are %s", ErrUnsupported, supportedFormats)
	}
	why := ""
	switch {
	case d.Hardware:
		why = "pictures in device memory"
	case d.RGB, d.Palette, d.Bayer, d.XYZ:
		why = "no luma plane"
	case d.Alpha:
		why = "an alpha plane"
	case d.Bitstream:
		why = "samples smaller than a byte"
	case d.Float:
		why = "floating point samples"
	}
	l := layout{pixelFormat: pf, name: name, describe: d}
	switch sub := [2]int{d.Log2ChromaW, d.Log2ChromaH}; {
	case why != "":
	case d.Components == 1:
		l.format.Subsampling = vmaf.Gray
	case d.Components != 3:
		why = fmt.Sprintf("%d components", d.Components)
	case sub == [2]int{1, 1}:
		l.format.Subsampling = vmaf.Chroma420
	case sub == [2]int{1, 0}:
		l.format.Subsampling = vmaf.Chroma422
	case sub == [2]int{0, 0}:
		l.format.Subsampling = vmaf.Chroma444
	default:
		why = "its chroma subsampling"
	}
	bits := d.Comp[0].Depth
	if why == "" && (bits < 8 || bits > 16) {
		why = fmt.Sprintf("%d bits", bits)
	}
	if why != "" {
		return layout{}, fmt.Errorf("%w pixel format %s (%s); supported are %s", ErrUnsupported, name, why, supportedFormats)
	}
	l.format.BitsPerComponent = bits
	l.format.FullRange = strings.HasPrefix(name, "yuvj")
	l.inPlace = true
	for i := range d.Components {
		c := d.Comp[i]
		if c.Depth != bits {
			return layout{}, fmt.Errorf("%w pixel format %s (components differ in depth); supported are %s", ErrUnsupported, name, supportedFormats)
		}
		l.inPlace = l.inPlace && c.Plane == i && c.StepBytes == l.format.BytesPerSample() && c.OffsetBytes == 0 && c.Shift == 0
	}
	l.inPlace = l.inPlace && !(d.BigEndian && bits > 8)
	return l, nil
}

// planarDepths are the depths that FFmpeg's planar formats have.
var planarDepths = []int{8, 9, 10, 12, 14, 16}

// planarName is FFmpeg's name of the planar little-endian format of f.
func planarName(f vmaf.Format) string {
	name := ""
	switch f.Subsampling {
	case vmaf.Gray:
		name = "gray"
	case vmaf.Chroma420:
		name = "yuv420p"
	case vmaf.Chroma422:
		name = "yuv422p"
	case vmaf.Chroma444:
		name = "yuv444p"
	}
	if f.BitsPerComponent > 8 {
		name += fmt.Sprintf("%dle", f.BitsPerComponent)
	}
	return name
}

// planarNames are all planar formats of 8 bits, with the way to ask for more.
func planarNames() []string {
	return []string{"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "gray", "and, with 9, 10, 12, 14 or 16 bits,", "yuv420p10le", "…"}
}

// parsePlanarName is the inverse of planarName; "le" is optional, and yuvj means full range.
func parsePlanarName(text string) (f vmaf.Format, name string, ok bool) {
	base := strings.TrimSuffix(text, "le")
	full := strings.HasPrefix(base, "yuvj")
	if full {
		base = "yuv" + strings.TrimPrefix(base, "yuvj")
	}
	for _, sub := range []vmaf.Subsampling{vmaf.Gray, vmaf.Chroma420, vmaf.Chroma422, vmaf.Chroma444} {
		for _, bits := range planarDepths {
			f = vmaf.Format{BitsPerComponent: bits, Subsampling: sub, FullRange: full}
			name = planarName(f)
			if strings.TrimSuffix(name, "le") != base || bits == 8 && base != text && !full {
				continue
			}
			if full {
				if sub == vmaf.Gray || bits != 8 || strings.HasSuffix(text, "le") {
					return vmaf.Format{}, "", false
				}
				name = text
			}
			return f, name, true
		}
	}
	return vmaf.Format{}, "", false
}

// swsFormat is the format for the scaler.
func swsFormat(f vmaf.Format) astiav.PixelFormat { return astiav.FindPixelFormatByName(planarName(f)) }

// planeSize is the size of plane i in samples.
func planeSize(f vmaf.Format, i int) (width, height int) {
	if i == 0 {
		return f.Width, f.Height
	}
	return f.Subsampling.ChromaSize(f.Width, f.Height)
}
