package score

import (
	"errors"
	"fmt"
	"math"

	"github.com/vqsd/vqsd/vmaf"
)

// CIEDESums is the sum of the colour differences ΔE00 of all pixels, as an integer, so that any order of work gives the same. It is in two
// parts, since black against white in eight thousand columns is more than 64 bits hold with as fine a unit.
// Source: spec/classic-metrics.md §6.
type CIEDESums struct {
	Whole    uint64 // the whole part
	Fraction uint64 // the rest, in 2^−36
}

// ciedeFraction is kCiedeFraction of kernels/common/ciede/difference.h.
const ciedeFraction = 36

// NewCIEDESums makes a sum of parts that were added up by themselves, of which the fractions may have become more than whole.
func NewCIEDESums(whole, fractions uint64) CIEDESums {
	return CIEDESums{Whole: whole + fractions>>ciedeFraction, Fraction: fractions & (1<<ciedeFraction - 1)}
}

// CheckCIEDE says all that keeps pictures of a format from being compared by CIEDE2000: no chroma, or none for any pixel, or a depth that the metric
// is not defined for.
func CheckCIEDE(f vmaf.Format) error {
	var errs []error
	switch f.BitsPerComponent {
	case 8, 10, 12, 16:
	default:
		errs = append(errs, fmt.Errorf("%d bits per component; must be 8, 10, 12 or 16", f.BitsPerComponent))
	}
	leastWidth, leastHeight := 1, 1
	switch f.Subsampling {
	case vmaf.Gray:
		errs = append(errs, errors.New("pictures without chroma; colours can not be compared"))
	case vmaf.Chroma420:
		leastWidth, leastHeight = 2, 2
	case vmaf.Chroma422:
		leastWidth = 2
	}
	if f.Width < leastWidth || f.Height < leastHeight || f.Width > ciedeMaxSize || f.Height > ciedeMaxSize {
		errs = append(errs, fmt.Errorf("pictures of %dx%d samples; must be %dx%d … %dx%d for %v",
			f.Width, f.Height, leastWidth, leastHeight, ciedeMaxSize, ciedeMaxSize, f.Subsampling))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("ciede: %w", err)
	}
	return nil
}

const ciedeMaxSize = 65536

// CIEDEFigures appends the figure of a frame to dst: de, the mean ΔE00 over the pixels of f. It is 0 for identical pictures.
// Source: spec/classic-metrics.md §6.2.
func CIEDEFigures(dst []float64, sums CIEDESums, f vmaf.Format) []float64 {
	sum := float64(sums.Whole) + math.Ldexp(float64(sums.Fraction), -ciedeFraction)
	return append(dst, sum/(float64(f.Width)*float64(f.Height)))
}
