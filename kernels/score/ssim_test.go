package score

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

func ssimFormat(width, height int) vmaf.Format {
	return vmaf.Format{Width: width, Height: height, BitsPerComponent: 8}
}

// "Thus s = 1 up to m = 383, 2 for 384..639, 3 for 640..895, 4 for 896..1151 (1080p), 8 for 2160."
func TestSSIMScale_Spec3_1(t *testing.T) {
	automatic, err := vmaf.ParseExtraction("float_ssim")
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]int{11: 1, 127: 1, 128: 1, 383: 1, 384: 2, 639: 2, 640: 3, 895: 3, 896: 4, 1080: 4, 1151: 4, 1152: 5, 2160: 8, 65536: 256} {
		if got := SSIMScale(automatic, ssimFormat(size, size+7)); got != want {
			t.Errorf("height %d: scale %d, want %d", size+7, got, want)
		}
		if got := SSIMScale(automatic, ssimFormat(size+7, size)); got != want {
			t.Errorf("width %d: scale %d, want %d", size+7, got, want)
		}
		// The description's own words, in f32.
		q := float32(size) / 256
		s := math.Floor(float64(q))
		if float64(q)-s >= 0.5 {
			s++
		}
		if want != max(1, int(s)) {
			t.Errorf("%d: the description says %v", size, s)
		}
	}
	chosen, err := vmaf.ParseExtraction("float_ssim:scale=3")
	if err != nil {
		t.Fatal(err)
	}
	if got := SSIMScale(chosen, ssimFormat(1920, 1080)); got != 3 {
		t.Errorf("scale %d, want that of the option, 3", got)
	}
}

func TestSSIMSizes_Spec3_2AndSpec4(t *testing.T) {
	for _, c := range []struct{ width, height, scale, wantWidth, wantHeight int }{
		{1920, 1080, 4, 480, 270}, {321, 241, 1, 321, 241}, {321, 240, 2, 161, 120},
		{9, 10, 3, 4, 3}, // an odd width has one more column though 3 divides it
	} {
		if w, h := SSIMDecimated(c.width, c.height, c.scale); w != c.wantWidth || h != c.wantHeight {
			t.Errorf("%dx%d at scale %d: %dx%d, want %dx%d", c.width, c.height, c.scale, w, h, c.wantWidth, c.wantHeight)
		}
	}
	var got []string
	for level := range MSSSIMLevels {
		w, h := MSSSIMSize(181, 176, level)
		got = append(got, fmt.Sprintf("%dx%d", w, h))
	}
	if want := []string{"181x176", "91x88", "46x44", "23x22", "12x11"}; !slices.Equal(got, want) {
		t.Errorf("levels %v, want %v", got, want)
	}
}

// Values below 8 of all positions must fit 63 bits, and the kernels' way of rounding them takes up to 48 fractional bits and no fewer
// than 28.
func TestSSIMFraction_HasRoomForTheSum(t *testing.T) {
	for _, size := range [][2]int{{11, 11}, {12, 11}, {74, 74}, {75, 74}, {480, 270}, {1920, 1080}, {7680, 4320}, {16384, 16384}, {65536, 65536}} {
		fraction := SSIMFraction(size[0], size[1])
		n := float64(size[0]-10) * float64(size[1]-10)
		if bits := math.Log2(n) + 3 + float64(fraction); bits > 63 {
			t.Errorf("%v: %d fractional bits, sum of up to 2^%.3f", size, fraction, bits)
		}
		if fraction < 28 || fraction > 48 {
			t.Errorf("%v: %d fractional bits", size, fraction)
		}
		if bits := math.Log2(n) + 3 + float64(fraction+1); bits <= 62.9 && fraction < 48 {
			t.Errorf("%v: there is room for more than %d fractional bits", size, fraction)
		}
	}
}

// Means are f32 numbers, each over the positions of its own picture.
func TestSSIMFigures(t *testing.T) {
	f := ssimFormat(322, 200)
	sum := func(mean float64, width, height int) int64 {
		return int64(math.Ldexp(mean, SSIMFraction(width, height)) * float64(width-10) * float64(height-10))
	}
	want := []float64{0.7, 0.99, 0.8, -0.25}
	sums := SSIMSums{sum(0.7, 161, 100), sum(0.99, 161, 100), sum(0.8, 161, 100), sum(-0.25, 161, 100)}
	for i, got := range SSIMFigures([]float64{5}, &sums, f, 2) {
		w := 5.0
		if i > 0 {
			w = float64(float32(want[i-1]))
		}
		if got != w {
			t.Errorf("figure %d: %v, want %v", i, got, w)
		}
	}
	var ms MSSSIMSums
	var wantMS []float64
	for part := range 3 {
		for level := range ms {
			mean := 0.9 - 0.1*float64(level) - 0.02*float64(part)
			width, height := MSSSIMSize(f.Width, f.Height, level)
			s := sum(mean, width, height)
			switch part {
			case 0:
				ms[level].Luminance = s
			case 1:
				ms[level].Contrast = s
			case 2:
				ms[level].Structure = s
			}
			wantMS = append(wantMS, float64(float32(mean)))
		}
	}
	if got := MSSSIMFigures(nil, &ms, f); !slices.Equal(got, wantMS) {
		t.Errorf("MS-SSIM: %v, want %v", got, wantMS)
	}
}

func TestSSIMFigures_AreThoseThatAnExtractionNames(t *testing.T) {
	for text, got := range map[string]int{
		"float_ssim":    len(SSIMFigures(nil, &SSIMSums{}, ssimFormat(200, 200), 1)),
		"float_ms_ssim": len(MSSSIMFigures(nil, &MSSSIMSums{}, ssimFormat(200, 200))),
	} {
		e, err := vmaf.ParseExtraction(text)
		if err != nil {
			t.Fatal(err)
		}
		if want := e.Raw(); got != len(want) {
			t.Errorf("%s: %d figures, want %v", text, got, want)
		}
	}
}
