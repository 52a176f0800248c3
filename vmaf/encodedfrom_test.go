package vmaf

import "testing"

func TestEncodedOf(t *testing.T) {
	format := func(width, height, bits int) Format {
		return Format{Width: width, Height: height, BitsPerComponent: bits, Subsampling: Chroma420}
	}
	for name, c := range map[string]struct {
		file, scaled, compared Format
		want                   Encoded
	}{
		"as it is":             {format(1920, 1080, 8), format(1920, 1080, 8), format(1920, 1080, 8), Encoded{}},
		"scaled":               {format(960, 540, 10), format(1920, 1080, 10), format(1920, 1080, 10), Encoded{Width: 960, Height: 540}},
		"widened":              {format(1920, 1080, 8), format(1920, 1080, 10), format(1920, 1080, 10), Encoded{BitsPerComponent: 8}},
		"both":                 {format(640, 360, 8), format(1920, 1080, 10), format(1920, 1080, 10), Encoded{Width: 640, Height: 360, BitsPerComponent: 8}},
		"cropped alone":        {format(1920, 1080, 8), format(1920, 1080, 8), format(1920, 800, 8), Encoded{}},
		"scaled and cropped":   {format(960, 540, 8), format(1920, 1080, 8), format(1920, 802, 8), Encoded{Width: 960, Height: 401}},
		"a sliver is a line":   {format(96, 54, 8), format(1920, 1080, 8), format(4, 4, 8), Encoded{Width: 1, Height: 1}},
		"stretched one way":    {format(1440, 1080, 8), format(1920, 1080, 8), format(1920, 1080, 8), Encoded{Width: 1440, Height: 1080}},
		"larger than compared": {format(3840, 2160, 8), format(1920, 1080, 8), format(1920, 1080, 8), Encoded{Width: 3840, Height: 2160}},
	} {
		if got := EncodedOf(c.file, c.scaled, c.compared); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
