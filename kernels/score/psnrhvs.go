package score

import (
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/vmaf"
)

// PSNRHVSSums are, by plane, the sums of weighted squared differences of DCT coefficients, added in the order that spec/classic-metrics.md
// §5 states, in single precision.
type PSNRHVSSums [3]float32

const (
	psnrHVSBlock = 8 // samples of a block, in both directions
	psnrHVSStep  = psnrHVSBlock - 1
	// psnrHVSMaxBits is the largest depth whose arithmetic the reference has.
	psnrHVSMaxBits = 12
)

// CheckPSNRHVS says all that keeps psnr_hvs from being measured on pictures of f: no chroma, more than 12 bits per component, or a plane
// without a single block of 8×8 samples.
func CheckPSNRHVS(f vmaf.Format) error {
	var errs []error
	if f.BitsPerComponent < 8 || f.BitsPerComponent > psnrHVSMaxBits {
		errs = append(errs, fmt.Errorf("psnr_hvs: %d bits per component; must be 8 … %d", f.BitsPerComponent, psnrHVSMaxBits))
	}
	least := [2]int{psnrHVSBlock, psnrHVSBlock} // size of luma
	switch f.Subsampling {
	case vmaf.Chroma420:
		least = [2]int{2 * psnrHVSBlock, 2 * psnrHVSBlock}
	case vmaf.Chroma422:
		least[0] = 2 * psnrHVSBlock
	case vmaf.Chroma444:
	default:
		errs = append(errs, fmt.Errorf("psnr_hvs: pictures of %v have no chroma, of which it measures both planes", f.Subsampling))
	}
	if f.Width < least[0] || f.Height < least[1] {
		errs = append(errs, fmt.Errorf("psnr_hvs: pictures of %dx%d %v have a plane without a block of %dx%d samples; they must be at least %dx%d",
			f.Width, f.Height, f.Subsampling, psnrHVSBlock, psnrHVSBlock, least[0], least[1]))
	}
	return errors.Join(errs...)
}

// PSNRHVSPlaneSize is the size in samples in which psnr_hvs sees a plane (0 Y, 1 Cb, 2 Cr) of pictures of f: odd luma sizes are halved
// rounding down.
func PSNRHVSPlaneSize(f vmaf.Format, plane int) (width, height int) {
	width, height = f.Width, f.Height
	if plane == 0 {
		return width, height
	}
	switch f.Subsampling {
	case vmaf.Chroma420:
		return width / 2, height / 2
	case vmaf.Chroma422:
		return width / 2, height
	}
	return width, height
}

// PSNRHVSBlocks is how many blocks psnr_hvs takes of a plane of pictures of f, which [CheckPSNRHVS] allows: one every 7 samples in both
// directions.
func PSNRHVSBlocks(f vmaf.Format, plane int) int {
	along := func(samples int) int { return (samples - psnrHVSBlock + psnrHVSStep) / psnrHVSStep }
	width, height := PSNRHVSPlaneSize(f, plane)
	return along(width) * along(height)
}

// PSNRHVSFigures appends the figures of a frame of pictures of f to dst: score_y, score_cb and score_cr, the mean squared visible difference of
// each plane's coefficients as a share of the squared peak. PSNR is −10·log10 of them; identical pictures give 0.
// Source: spec/classic-metrics.md §5.
func PSNRHVSFigures(dst []float64, sums *PSNRHVSSums, f vmaf.Format) []float64 {
	peak := float32(int(1)<<f.BitsPerComponent - 1)
	for p, sum := range sums {
		coefficients := psnrHVSBlock * psnrHVSBlock * PSNRHVSBlocks(f, p)
		// Both divisions round to single precision; the peak's square is exact.
		mean := sum / float32(coefficients)
		dst = append(dst, float64(mean/float32(peak*peak)))
	}
	return dst
}
