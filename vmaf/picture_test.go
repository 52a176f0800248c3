package vmaf

import "testing"

func TestSubsampling_chromaSizesRoundUp(t *testing.T) {
	for _, c := range []struct {
		s             Subsampling
		text          string
		planes        int
		width, height int // of the chroma planes of 5 × 3
	}{
		{Gray, "4:0:0", 1, 0, 0}, {Chroma420, "4:2:0", 3, 3, 2}, {Chroma422, "4:2:2", 3, 3, 3}, {Chroma444, "4:4:4", 3, 5, 3},
	} {
		w, h := c.s.ChromaSize(5, 3)
		if w != c.width || h != c.height || c.s.Planes() != c.planes || c.s.String() != c.text {
			t.Errorf("%v: %d × %d, %d planes; want %+v", c.s, w, h, c.s.Planes(), c)
		}
	}
	if got := Subsampling(9).String(); got != "Subsampling(9)" {
		t.Errorf("got %s", got)
	}
}

func TestFormat(t *testing.T) {
	f := Format{Width: 1920, Height: 1080, BitsPerComponent: 10, Subsampling: Chroma420}
	if f.String() != "1920x1080 4:2:0 10 bit" || f.BytesPerSample() != 2 {
		t.Errorf("%v, %d bytes", f, f.BytesPerSample())
	}
	f.BitsPerComponent, f.FullRange = 8, true
	if f.String() != "1920x1080 4:2:0 8 bit full range" || f.BytesPerSample() != 1 {
		t.Errorf("%v, %d bytes", f, f.BytesPerSample())
	}
}
