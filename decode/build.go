package decode

import (
	"fmt"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
)

// Library is a library of FFmpeg that this program runs with.
type Library struct {
	Name           string // "libavcodec"
	Built, Running string // versions, as 59.37.100: of the headers it was built with, and of what it runs with
	Fits           bool   // it has the same interface, and is not older
}

// Libraries are the libraries of FFmpeg, and release is what that calls itself, such as "5.1.6".
func Libraries() (list []Library, release string) {
	for _, l := range avx.Libraries() {
		list = append(list, Library{l.Name, versionText(l.Built), versionText(l.Running), l.Built>>16 == l.Running>>16 && l.Running >= l.Built})
	}
	return list, avx.Release()
}

// versionText is FFmpeg's own form: 16 bits of major, 8 of minor, 8 of micro.
func versionText(v avx.Version) string { return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff) }

// DecoderOf is the decoder that is used for a codec, such as "h264". "": this FFmpeg has none of those that may be used.
func DecoderOf(codec string) string {
	for _, name := range decoders[codec] {
		if astiav.FindDecoderByName(name) != nil {
			return name
		}
	}
	return ""
}
