package vmaf

// cambiWindowSide is the largest side of CAMBI's window, which is as far as its table of reciprocals goes. Source: spec/cambi.md §3.3.
const cambiWindowSide = 65

// cambiLeast is what one side of a working size has at least. Source: spec/cambi.md §3.1.
const cambiLeast = 216

// fitCambi requires what spec/cambi.md §3.1 and §3.3 do of the sizes that CAMBI works at.
func fitCambi(e Extraction, c *formatCheck) {
	f := c.format
	encWidth, encHeight := e.Int("enc_width"), e.Int("enc_height")
	if encWidth == 0 || encHeight == 0 || encWidth > f.Width || encHeight > f.Height {
		encWidth, encHeight = f.Width, f.Height // never enlarged
	}
	srcWidth, srcHeight := e.Int("src_width"), e.Int("src_height")
	if srcWidth == 0 || srcHeight == 0 {
		srcWidth, srcHeight = f.Width, f.Height
	}
	switch {
	case f.Width < cambiLeast && f.Height < cambiLeast:
		c.tooSmall("pictures at least %d wide or high", cambiLeast)
		return
	case encWidth < cambiLeast && encHeight < cambiLeast:
		c.refuse(false, "enc_width or enc_height of at least %d, these are %d×%d", cambiLeast, encWidth, encHeight)
		return
	case srcWidth < cambiLeast && srcHeight < cambiLeast:
		c.refuse(false, "src_width or src_height of at least %d, these are %d×%d", cambiLeast, srcWidth, srcHeight)
		return
	case srcWidth > encWidth && srcHeight < encHeight, srcWidth < encWidth && srcHeight > encHeight:
		c.refuse(false, "a reference that is not wider and lower, or narrower and higher, than the encode: src_width×src_height is %d×%d, enc_width×enc_height %d×%d",
			srcWidth, srcHeight, encWidth, encHeight)
	}
	fast := false
	switch area := encWidth * encHeight; e.Int("cambi_high_res_speedup") {
	case 1080:
		fast = area >= 1920*1080
	case 1440:
		fast = area >= 2560*1440
	case 2160:
		fast = area >= 3840*2160
	}
	window := func(width, height int) int {
		a := e.Int("window_size") * (width + height) / 375 >> 4
		if fast {
			a = (a + 1) >> 1
		}
		return a | 1
	}
	if side := max(window(encWidth, encHeight), window(srcWidth, srcHeight)); side > cambiWindowSide {
		c.refuse(false, "a window of at most %d samples, here it is %d: lower window_size, or set cambi_high_res_speedup to 1080, 1440 or 2160", cambiWindowSide, side)
	}
}

// cambiRaw are the scores before they are clipped.
func cambiRaw(e Extraction) []string {
	if e.Bool("full_ref") {
		return []string{"cambi", "cambi_source"}
	}
	return []string{"cambi"}
}

// cambiFigures clips the scores. Source: spec/cambi.md §8.
func cambiFigures(e Extraction, _ Format) func(raw, out []float64) {
	most, withSource := e.Float("cambi_max_val"), e.Bool("full_ref")
	return func(raw, out []float64) {
		out[0] = lesser(raw[0], most)
		if withSource {
			out[1] = lesser(raw[1], most)
			out[2] = lesser(max(0, raw[0]-raw[1]), most)
		}
	}
}
