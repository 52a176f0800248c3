package vmaf

// The metrics that are a logarithm of a perceptual difference: PSNR-HVS and CIEDE2000. Both are +∞ for pictures that agree.

// fitPSNRHVS requires that each plane has a block. Source: spec/classic-metrics.md §5.
func fitPSNRHVS(_ Extraction, c *formatCheck) {
	c.depth(8, 9, 10, 11, 12)
	c.chroma(8, 8)
}

// psnrHVSFigures are the decibels of each plane's score and of the weighted sum of the three. Source: spec/classic-metrics.md §5.
func psnrHVSFigures(Extraction, Format) func(raw, out []float64) {
	db := func(score float64) float64 { return 10 * (-1 * log10(score)) }
	return func(raw, out []float64) {
		for k, score := range raw {
			out[k] = db(score)
		}
		out[3] = db(float64(raw[0]*0.8) + float64(0.1*(raw[1]+raw[2])))
	}
}

// fitCIEDE requires chroma. Source: spec/classic-metrics.md §6.
func fitCIEDE(_ Extraction, c *formatCheck) {
	c.depth(8, 10, 12, 16)
	c.chroma(1, 1)
}

// ciedeFigures is the mean colour difference in decibels. Source: spec/classic-metrics.md §6.2.
func ciedeFigures(Extraction, Format) func(raw, out []float64) {
	return func(raw, out []float64) { out[0] = 45 - float64(20*log10(raw[0])) }
}
