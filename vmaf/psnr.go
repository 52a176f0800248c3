package vmaf

import "math"

// fitPSNR requires a depth that PSNR has a peak for, and that no plane is empty. Pictures without chroma are measured in luma alone.
func fitPSNR(e Extraction, c *formatCheck) {
	c.depth(8, 10, 12, 16)
	if e.Bool("enable_chroma") && c.format.Subsampling != Gray {
		c.chroma(1, 1)
	}
}

// psnrRaw are the sums of squared differences by plane.
func psnrRaw(e Extraction) []string {
	if e.Bool("enable_chroma") {
		return []string{"sse_y", "sse_cb", "sse_cr"}
	}
	return []string{"sse_y"}
}

func psnrRawKey(e Extraction) string {
	if e.Bool("enable_chroma") {
		return "psnr"
	}
	return "psnr_luma"
}

// psnrPlane is what turns a plane's sum of squared differences into decibels.
type psnrPlane struct {
	samples float64
	most    float64 // decibels of pictures that agree
}

// psnrPlanes are the planes that are measured of pictures of a format, and the square of the peak.
func psnrPlanes(e Extraction, f Format) (planes []psnrPlane, peak2 float64) {
	peak := float64(int(1)<<f.BitsPerComponent - 1)
	if e.Bool("reduced_hbd_peak") {
		peak = float64(int(255) << (f.BitsPerComponent - 8))
	}
	peak2 = peak * peak
	add := func(width, height int) {
		p := psnrPlane{samples: float64(width * height), most: float64(6*f.BitsPerComponent + 12)}
		if sse := e.Float("min_sse"); sse > 0 {
			p.most = math.Ceil(10 * log10(peak2/(sse/p.samples)))
		}
		planes = append(planes, p)
	}
	add(f.Width, f.Height)
	if e.Bool("enable_chroma") && f.Subsampling != Gray {
		width, height := f.MeasuredChroma()
		add(width, height)
		add(width, height)
	}
	return planes, peak2
}

// psnrFigures are PSNR and, if asked for, mean squared error of each plane. Source: spec/classic-metrics.md §2.
func psnrFigures(e Extraction, f Format) func(raw, out []float64) {
	planes, peak2 := psnrPlanes(e, f)
	withMSE := e.Bool("enable_mse")
	return func(raw, out []float64) {
		k := 0
		for i, p := range planes {
			mse := raw[i] / p.samples
			out[k] = lesser(10*log10(peak2/max(mse, 1e-16)), p.most)
			k++
			if withMSE {
				out[k] = mse
				k++
			}
		}
	}
}

// psnrAggregates are the PSNR of the mean squared error over all frames, measured or left out by subsampling, for all three planes: those that
// are not measured have −∞. Source: spec/classic-metrics.md §2.
//
// The ceiling is that of a total of one half. libvmaf computes it from a product that no longer fits into 64 bits for long clips of great
// depth (256 frames of 2160p at 16 bits), and then caps good figures at a wrong one; here it does not overflow.
func psnrAggregates(e Extraction, raw [][]float64, f Format, frames int) []Aggregate {
	if !e.Bool("enable_apsnr") {
		return nil
	}
	planes, peak2 := psnrPlanes(e, f)
	list := []Aggregate{{"apsnr_y", math.Inf(-1)}, {"apsnr_cb", math.Inf(-1)}, {"apsnr_cr", math.Inf(-1)}}
	for i, p := range planes {
		sum := uint64(0) // of whole numbers: exact
		for _, sse := range raw[i][:frames] {
			sum += uint64(sse)
		}
		samples := p.samples * float64(frames)
		a := 10 * (log10(peak2) + log10(samples) - log10(float64(sum)))
		most := math.Ceil(10 * log10(peak2*(samples*2)))
		list[i].Value = lesser(a, most)
	}
	return list
}
