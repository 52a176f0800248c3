package check

import (
	"math"
	"math/rand/v2"
)

// Content is the samples of one case before they get a memory layout.
type Content struct {
	Size                    // of luma planes
	Sizes            []Size // of each plane
	Components       int    // planes of a picture: 1, or 3 where there is chroma
	BitsPerComponent int
	Planes           [][]uint16 // the samples of each, row by row
	Rand             *rand.Rand // seeded for this case
}

// Top is the largest sample value.
func (c *Content) Top() int { return 1<<c.BitsPerComponent - 1 }

// Each sets every sample of every plane.
func (c *Content) Each(sample func(plane, x, y int) int) {
	for i, p := range c.Planes {
		for y := range c.Sizes[i].Height {
			for x := range c.Sizes[i].Width {
				p[y*c.Sizes[i].Width+x] = uint16(sample(i, x, y))
			}
		}
	}
}

// original is the plane of the first picture that a plane of another is made of; nil for those of the first.
func (c *Content) original(plane int) []uint16 {
	if plane < c.Components {
		return nil
	}
	return c.Planes[plane%c.Components]
}

// Input is a way to fill the planes of a case. The planes of one case belong together: a reference and what was made of
// it, or two pictures of one video.
type Input struct {
	Name string
	Fill func(c *Content)
}

// WorstCase is an input made for one kernel: it drives a bound that a comment in the kernel relies on. Random samples
// rarely overflow anything.
func WorstCase(name string, sample func(c *Content, plane, x, y int) int) Input {
	return Input{"WorstCase:" + name, func(c *Content) {
		c.Each(func(plane, x, y int) int { return sample(c, plane, x, y) })
	}}
}

// The inputs for every kernel.
var (
	// Random samples are independent and uniform.
	Random = Input{"Random", func(c *Content) {
		c.Each(func(int, int, int) int { return c.Rand.IntN(c.Top() + 1) })
	}}

	AllZero = Input{"AllZero", func(c *Content) { c.Each(func(int, int, int) int { return 0 }) }}

	AllMax = Input{"AllMax", func(c *Content) { c.Each(func(int, int, int) int { return c.Top() }) }}

	// Checker alternates 0 and the largest value in both directions, every second plane inverted.
	Checker = Input{"Checker", func(c *Content) {
		c.Each(func(plane, x, y int) int { return (plane + x + y) % 2 * c.Top() })
	}}

	// Blocks are squares of 2, 4, 8 … samples, each 0 or the largest value, the same in all planes but for a tenth of
	// them: full contrast at every scale of a pyramid.
	Blocks = Input{"Blocks", func(c *Content) {
		shift := 1 + c.Rand.IntN(4)
		across := c.Width>>shift + 1
		bits := make([]bool, across*(c.Height>>shift+1))
		for i := range bits {
			bits[i] = c.Rand.IntN(2) == 1
		}
		flip := make([][]bool, len(c.Planes))
		for i := range flip {
			flip[i] = make([]bool, len(bits))
			for j := range flip[i] {
				flip[i][j] = i > 0 && c.Rand.IntN(10) == 0
			}
		}
		c.Each(func(plane, x, y int) int {
			i := (y>>shift)*across + x>>shift
			if bits[i] != flip[plane][i] {
				return c.Top()
			}
			return 0
		})
	}}

	// Ramp climbs through all values from left to right and wraps, later planes ahead of the first.
	Ramp = Input{"Ramp", func(c *Content) {
		step := max(1, c.Top()/(c.Width-1))
		c.Each(func(plane, x, y int) int { return (x*step + y + 3*plane*step) & c.Top() })
	}}

	// Noise resembles video: shaded shapes with some texture; later planes are the first with coding noise, in parts
	// softened, in parts untouched.
	Noise = Input{"Noise", func(c *Content) {
		fx, fy := 0.02+0.2*c.Rand.Float64(), 0.02+0.2*c.Rand.Float64()
		scale := float64(c.Top()) / 255
		for i, p := range c.Planes {
			original := c.original(i)
			for y := range c.Sizes[i].Height {
				for x := range c.Sizes[i].Width {
					at := y*c.Sizes[i].Width + x
					var v float64
					if original == nil {
						v = 110 + 70*math.Sin(fx*float64(x)+math.Sin(fy*float64(y))) + 5*c.Rand.NormFloat64()
						if (x/37+y/23)%5 == 0 {
							v += 60
						}
						v *= scale
					} else {
						v = float64(original[at])
						switch (x/16 + y/16 + i) % 3 {
						case 0:
							v += 4 * scale * c.Rand.NormFloat64()
						case 1:
							if x > 0 {
								v = (v + float64(original[at-1])) / 2
							}
						}
					}
					p[at] = uint16(min(max(math.Round(v), 0), float64(c.Top())))
				}
			}
		}
	}}

	// Sparse planes are equal but for a few samples, which differ by anything up to the whole range.
	Sparse = Input{"Sparse", func(c *Content) {
		for i, p := range c.Planes {
			if original := c.original(i); original != nil {
				copy(p, original)
				for range 1 + len(p)/200 {
					p[c.Rand.IntN(len(p))] = uint16(c.Rand.IntN(c.Top() + 1))
				}
				continue
			}
			for j := range p {
				p[j] = uint16(c.Rand.IntN(c.Top() + 1))
			}
		}
	}}
)

// Standard are the inputs for every kernel.
var Standard = []Input{Random, AllZero, AllMax, Checker, Blocks, Ramp, Noise, Sparse}
