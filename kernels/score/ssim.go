package score

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/vqsd/vqsd/vmaf"
)

// SSIMSums are what one scale of structural similarity sums over the positions of its window, in 2^−[SSIMFraction]: integers, so that any
// order of work gives the same. Source: spec/classic-metrics.md §3.3.
type SSIMSums struct {
	Total     int64 // Σ l·c·s; not formed by MS-SSIM
	Luminance int64 // Σ l
	Contrast  int64 // Σ c
	Structure int64 // Σ s
}

// MSSSIMSums are those of the five scales of multi-scale structural similarity.
type MSSSIMSums [MSSSIMLevels]SSIMSums

const (
	// SSIMTaps is the side of the window of structural similarity, and the least size of a picture that is looked at.
	SSIMTaps = 11
	// MSSSIMLevels are the scales of multi-scale structural similarity, and MinMSSSIMSize the least size that has so many.
	MSSSIMLevels  = 5
	MinMSSSIMSize = SSIMTaps << (MSSSIMLevels - 1)
	// MaxSSIMScale is the largest factor of decimation.
	MaxSSIMScale = 256
)

// SSIMScale is the factor by which a float_ssim extraction decimates pictures of format f: its option, or with that at 0 what suits the
// smaller of width and height, 1 below 384 samples, 4 at 1080 and 8 at 2160.
// Source: spec/classic-metrics.md §3.1.
func SSIMScale(e vmaf.Extraction, f vmaf.Format) int {
	if scale := e.Int("scale"); scale > 0 {
		return scale
	}
	return max(1, (min(f.Width, f.Height)+128)/256) // exact in f32, too
}

// SSIMDecimated is the size of a picture of width × height samples after decimation by scale; an odd width or height has one sample more
// than it should. Source: spec/classic-metrics.md §3.2.
func SSIMDecimated(width, height, scale int) (int, int) {
	if scale == 1 {
		return width, height
	}
	return width/scale + width%2, height/scale + height%2
}

// MSSSIMSize is the size of a level of the pyramid, 0 … 4, over a picture of width × height samples.
// Source: spec/classic-metrics.md §4.
func MSSSIMSize(width, height, level int) (int, int) {
	for range level {
		width, height = SSIMDecimated(width, height, 2)
	}
	return width, height
}

// ssimPositions is how many positions the window has in a picture.
func ssimPositions(width, height int) int64 {
	return int64(width-SSIMTaps+1) * int64(height-SSIMTaps+1)
}

// maxSSIMFraction is the most fractional bits that the kernels' way of rounding has room for beside values below 8.
const maxSSIMFraction = 48

// SSIMFraction is how many fractional bits the sums of a picture of width × height samples have: 60 less the bits that it takes to number
// the positions, 28 … 48. Local values are below 8, so that the sum stays below 2^63; see kernels/common/ssim.
func SSIMFraction(width, height int) int {
	return min(maxSSIMFraction, 60-bits.Len64(uint64(ssimPositions(width, height)-1)))
}

// CheckSSIM says what of pictures of format f decimation by scale makes impossible.
func CheckSSIM(f vmaf.Format, scale int) error {
	if err := checkSSIMDepth("ssim", f); err != nil {
		return err
	}
	if scale < 1 || scale > MaxSSIMScale {
		return fmt.Errorf("ssim of scale %d; must be 1 … %d", scale, MaxSSIMScale)
	}
	if w, h := SSIMDecimated(f.Width, f.Height, scale); min(w, h) < SSIMTaps {
		return fmt.Errorf("pictures of %dx%d at scale %d are %dx%d; ssim needs at least %dx%d: choose a smaller scale",
			f.Width, f.Height, scale, w, h, SSIMTaps, SSIMTaps)
	}
	return nil
}

// CheckMSSSIM says what of format f makes MS-SSIM impossible.
func CheckMSSSIM(f vmaf.Format) error {
	if err := checkSSIMDepth("ms_ssim", f); err != nil {
		return err
	}
	if min(f.Width, f.Height) < MinMSSSIMSize {
		return fmt.Errorf("pictures of %dx%d; ms_ssim needs at least %dx%d for its five levels", f.Width, f.Height, MinMSSSIMSize, MinMSSSIMSize)
	}
	return nil
}

func checkSSIMDepth(feature string, f vmaf.Format) error {
	switch f.BitsPerComponent {
	case 8, 10, 12, 16:
		return nil
	}
	return fmt.Errorf("pictures of %d bits per component; %s is defined for 8, 10, 12 and 16", f.BitsPerComponent, feature)
}

// SSIMFigures appends the figures of a frame of format f at a scale to dst, in the order of [vmaf.Extraction.Raw]: ssim and its parts,
// luminance, contrast and structure. They are f32 numbers. Source: spec/classic-metrics.md §3.3.
func SSIMFigures(dst []float64, sums *SSIMSums, f vmaf.Format, scale int) []float64 {
	width, height := SSIMDecimated(f.Width, f.Height, scale)
	for _, sum := range [...]int64{sums.Total, sums.Luminance, sums.Contrast, sums.Structure} {
		dst = append(dst, ssimMean(sum, width, height))
	}
	return dst
}

// MSSSIMFigures appends the figures of a frame of format f to dst, in the order of [vmaf.Extraction.Raw]: luminance of the five
// levels, contrast of them, structure of them. They are f32 numbers. Source: spec/classic-metrics.md §4.
func MSSSIMFigures(dst []float64, sums *MSSSIMSums, f vmaf.Format) []float64 {
	for _, part := range [...]func(*SSIMSums) int64{
		func(s *SSIMSums) int64 { return s.Luminance },
		func(s *SSIMSums) int64 { return s.Contrast },
		func(s *SSIMSums) int64 { return s.Structure },
	} {
		for level := range sums {
			width, height := MSSSIMSize(f.Width, f.Height, level)
			dst = append(dst, ssimMean(part(&sums[level]), width, height))
		}
	}
	return dst
}

// ssimMean is the mean over the positions of a picture.
func ssimMean(sum int64, width, height int) float64 {
	total := math.Ldexp(float64(sum), -SSIMFraction(width, height))
	return float64(float32(total / float64(ssimPositions(width, height))))
}
