package score

import "math"

// What CAMBI knows of displays and viewers. All codes are of 10-bit limited range, whatever the pictures are.
// Source: spec/cambi.md §3.2 … §3.6.
const (
	cambiBlack, cambiWhite = 64, 940
	cambiTopCode           = 1023
)

// cambiHighRes says whether the speed-up that the option asks for applies to pictures of width × height samples: from 1080p, 1440p
// or 2160p on. Other values of the option ask for nothing.
func cambiHighRes(option, width, height int) bool {
	from, ok := map[int]int{1080: 1920 * 1080, 1440: 2560 * 1440, 2160: 3840 * 2160}[option]
	return ok && width*height >= from
}

// cambiWindow is the side of the window for a working size: option at 3840×2160, in proportion elsewhere, and odd.
func cambiWindow(option, width, height int, highRes bool) int {
	a := option * (width + height) / 375 >> 4
	if highRes {
		a = (a + 1) >> 1
	}
	return a | 1
}

// cambiLuminance is the luminance in cd/m² that a display shows a code as.
func cambiLuminance(transfer string) func(code int) float64 {
	voltage := func(code int) float64 {
		return float64(min(max(code, cambiBlack), cambiWhite)-cambiBlack) / (cambiWhite - cambiBlack)
	}
	if transfer == "pq" {
		const m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
		return func(code int) float64 {
			p := math.Pow(voltage(code), 1/m2)
			return 10000 * math.Pow(max(p-c1, 0)/(c2-float64(c3*p)), 1/m1)
		}
	}
	const white, black = 300, 0.01
	gamma := 2.4 // no constant, so that 1/gamma is a quotient of doubles
	high, low := math.Pow(white, 1/gamma), math.Pow(black, 1/gamma)
	gain, lift := math.Pow(high-low, gamma), low/(high-low)
	return func(code int) float64 { return gain * math.Pow(max(voltage(code)+lift, 0), gamma) }
}

// cambiVisible is the largest code at which a step of so many codes is still visible: raises the luminance by more than threshold, relatively.
// 0 if none is, 1023 if all are.
func cambiVisible(luminance func(code int) float64, step int, threshold float64) int {
	visible := func(code int) bool {
		l := luminance(code)
		return luminance(code+step)-l > float64(threshold*l)
	}
	low, high := cambiBlack, cambiWhite-step-1
	switch {
	case !visible(low):
		return 0
	case !visible(low + 1):
		return low
	case visible(high) && visible(high+1):
		return cambiTopCode
	case visible(high):
		return high
	}
	for {
		middle := low + (high-low)/2
		switch {
		case !visible(middle):
			high = middle
		case visible(middle + 1):
			low = middle
		default:
			return middle
		}
	}
}

// cambiDarkLimit is the smallest code that is at least as bright as threshold, 0 for black.
func cambiDarkLimit(luminance func(code int) float64, threshold float64) int {
	code := cambiBlack
	for code < cambiWhite && luminance(code) < threshold { // white is 300 cd/m² but for rounding, and the option ends there
		code++
	}
	if code == cambiBlack {
		return 0
	}
	return code
}
