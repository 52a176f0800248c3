//go:build !noplot

package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
)

// tone is a colour with its counterpart in the dark theme of the page. Both are opaque.
type tone struct {
	name        string // of the variable in the page's style sheet
	light, dark color.RGBA
}

func hex(rgb uint32) color.RGBA {
	return color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 0xff}
}

// The tones of everything that is not a series. Contrast to the ground: ink 15:1, muted 5.5:1.
var (
	ground = tone{"ground", hex(0xFFFFFF), hex(0x16191D)}
	ink    = tone{"ink", hex(0x1F2429), hex(0xE6E9EC)}
	muted  = tone{"muted", hex(0x5F6973), hex(0x9AA5B0)}
	grid   = tone{"grid", hex(0xE3E7EB), hex(0x2C3238)}
	axis   = tone{"axis", hex(0xAEB7C0), hex(0x56606A)}
)

// seriesTones are Okabe and Ito's colours (Color Universal Design, 2008) that stand out on white, in an order in which
// neighbours differ in lightness as well. The yellow and black of the set are left out: one is invisible on white, the
// other reads as text. The orange and the sky blue are a little darker than theirs.
var seriesTones = [...]tone{
	{"series1", hex(0x0072B2), hex(0x56B4E9)}, // blue
	{"series2", hex(0xD55E00), hex(0xF08A45)}, // vermillion
	{"series3", hex(0x009E73), hex(0x2CC79B)}, // bluish green
	{"series4", hex(0xAA4488), hex(0xDD8FBE)}, // reddish purple
	{"series5", hex(0xC28500), hex(0xE8B33D)}, // orange
	{"series6", hex(0x3D9BD4), hex(0x9AD3F5)}, // sky blue
}

// dashes tell series with the same colour apart.
var dashes = [...][]vg.Length{nil, {6, 3}, {1.5, 2.5}, {8, 2.5, 1.5, 2.5}}

func seriesTone(i int) tone { return seriesTones[i%len(seriesTones)] }

func seriesDash(i int) []vg.Length { return dashes[i/len(seriesTones)%len(dashes)] }

// tones are all of them.
func tones() []tone { return append([]tone{ground, ink, muted, grid, axis}, seriesTones[:]...) }

// css is the colour as the SVG canvas writes it.
func css(c color.RGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// alpha makes a colour translucent.
func alpha(c color.RGBA, opacity float64) color.NRGBA {
	return color.NRGBA{c.R, c.G, c.B, uint8(math.Round(opacity * 255))}
}

// score writes a score for people: enough digits to tell apart what matters, the minus sign as typography has it.
func score(x float64, decimals int) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case math.IsInf(x, 1):
		return "∞"
	case math.IsInf(x, -1):
		return "−∞"
	case math.Abs(x) >= 1e9 || x != 0 && math.Abs(x) < 0.5*math.Pow10(-decimals):
		return strings.Replace(strconv.FormatFloat(x, 'g', 4, 64), "-", "−", 1)
	}
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	return strings.Replace(text, "-", "−", 1)
}

// decimals is how many digits after the point scores of that size need.
func decimals(largest float64) int {
	switch {
	case largest >= 10:
		return 2
	case largest >= 1.5:
		return 3
	}
	return 4
}

// grouped writes a count with thin spaces between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "\u202F" + digits[i:]
	}
	return digits
}
