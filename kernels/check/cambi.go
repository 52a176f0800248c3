package check

import (
	"fmt"
	"math"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	usual := cambiKernel("cambi")
	usual.BenchSizes, usual.BenchDepths, usual.BenchInput = []Size{{1920, 1080}, {3840, 2160}}, []int{8, 10}, Banding
	Register(usual)
	// Many contrasts in large windows take the plain code long.
	options := cambiKernel("cambi_options")
	options.Sizes, options.Depths, options.LargeSizes = []Size{{2, 1}, {17, 33}, {131, 75}, {290, 7}}, []int{8, 10, 16}, nil
	Register(options)
}

// Banding resembles what CAMBI is for: slow gradients in dark and middle grey, in steps of one code of eight bits, beside parts with texture.
// Most of it is flat enough to be looked at.
var Banding = Input{"Banding", func(c *Content) {
	fx, fy := 0.5+c.Rand.Float64(), 0.5+c.Rand.Float64()
	coarse := 1 << max(c.BitsPerComponent-8, 0)
	for _, p := range c.Planes {
		for y := range c.Height {
			for x := range c.Width {
				u, v := float64(x)/float64(c.Width), float64(y)/float64(c.Height)
				level := 20 + 60*u + 25*math.Sin(3*fx*u+5*fy*v) + 30*v
				if (x/64+y/64)%7 == 3 {
					level += 6 * c.Rand.NormFloat64()
				}
				p[y*c.Width+x] = uint16(min(max(int(level), 0), 255) * coarse)
			}
		}
	}
}}

// CambiConfigs are the configurations of the two kernels that CAMBI is checked as, for pictures of a size and depth: those of "cambi" are the
// default and v1 options, which get along with sizes that the options themselves would refuse; those of "cambi_options" take everything
// to its ends.
func CambiConfigs(kernel string, size Size, bpc int) []score.CambiConfig {
	usual := score.CambiConfig{
		Width: size.Width, Height: size.Height, Window: 33, AntiDither: bpc < 10, Contrasts: 4,
		Visible: [32]int{178, 305, 432, 559}, TopShare: 0.6,
	}
	fast := usual
	fast.Window, fast.HighRes, fast.DarkLimit = 17, true, 78
	if kernel == "cambi" {
		return []score.CambiConfig{usual, fast}
	}
	all := usual // every code counts, as far as there are any
	all.Contrasts, all.Window, all.AntiDither, all.TopShare = 32, 65, !usual.AntiDither, 0.05
	for d := range all.Visible {
		all.Visible[d] = 1023
	}
	one := usual // and almost none
	one.Contrasts, one.Window, one.Visible, one.DarkLimit = 1, 1, [32]int{300}, 290
	none := usual
	none.DarkLimit = 700
	smaller := usual
	smaller.Width, smaller.Height, smaller.Window = (2*size.Width+2)/3, (3*size.Height+3)/4, 47
	smaller.Contrasts, smaller.Visible = 8, [32]int{100, 149, 197, 246, 295, 344, 392, 441}
	larger := usual
	larger.Width, larger.Height, larger.Window, larger.TopShare = size.Width+size.Width/3, size.Height+1, 9, 1
	larger.Contrasts, larger.Visible = 2, [32]int{940, 1023}
	return []score.CambiConfig{all, one, none, smaller, larger}
}

func cambiKernel(kernel string) Kernel {
	var names []string
	for i := range CambiConfigs(kernel, Size{1, 1}, 8) {
		for scale := range score.CambiScales {
			names = append(names, fmt.Sprintf("set%d sum[%d]", i, scale))
		}
	}
	return Kernel{
		Name:    kernel,
		Planes:  []string{"dis"},
		Results: names,
		// The least; around the vectors of each target, blocks of 32 columns and tiles of 512; lower than a window, and narrower.
		Sizes:  []Size{{2, 1}, {3, 4}, {7, 40}, {33, 32}, {64, 65}, {131, 75}, {255, 20}, {257, 34}, {513, 9}, {545, 12}},
		Depths: []int{8, 9, 10, 12, 16},
		Inputs: append([]Input{
			// Two codes a step apart, half the window each: the largest product, and the largest value of 32 contrasts.
			WorstCase("two levels", func(c *Content, _, x, y int) int { return (c.Top()/4 + y%2) * ((c.Top() + 255) / c.Top()) }),
			WorstCase("halves", func(c *Content, _, x, y int) int {
				step := 1 << max(c.BitsPerComponent-10, 0)
				return c.Top()/4/step*step + 2*x/c.Width*step
			}),
			// Around the codes where visibility and darkness end, on the scale of ten bits: 64 … 82, 100, 178, 305, 432, 559.
			WorstCase("limits", func(c *Content, _, x, y int) int {
				edges := []int{0, 66, 78, 100, 178, 305, 432, 559, 1020}
				code := edges[(x/13+y/9)%len(edges)] + (x/4+y/5)%5
				if c.BitsPerComponent < 10 {
					return min(code>>(10-c.BitsPerComponent), c.Top())
				}
				return min(code<<(c.BitsPerComponent-10), c.Top())
			}),
			// The runs that a row falls into: 1, 2, 3 … pixels of two codes, another one beside them from time to time.
			WorstCase("runs", func(c *Content, _, x, y int) int {
				run := int(math.Sqrt(float64(2*x))) % 2
				if x%29 == 7 {
					run = 3
				}
				return min(c.Top()/3+run+y/16, c.Top())
			}),
			// Flat to one side of a line, noise to the other: the mask's edge.
			WorstCase("mask", func(c *Content, _, x, y int) int {
				if x > y+c.Width/4 {
					return c.Top() / 8
				}
				return c.Rand.IntN(c.Top()/4 + 1)
			}),
			Banding,
		}, Standard...),
		LargeSizes: []Size{{1283, 721}},
		New: func(size Size, bpc int) (Runner, error) {
			configs := CambiConfigs(kernel, size, bpc)
			s, err := cpu.NewCambiScratch(size.Width, size.Height, bpc, configs)
			if err != nil {
				return nil, err
			}
			return &cambiRunner{CambiScratch: s, configs: len(configs)}, nil
		},
	}
}

type cambiRunner struct {
	*cpu.CambiScratch
	configs int
	sums    score.CambiSums
}

func (r *cambiRunner) Run(planes []vmaf.Plane, results []int64) error {
	for i := range r.configs {
		if err := r.Cambi(planes[0], i, &r.sums); err != nil {
			return err
		}
		for scale, sum := range r.sums {
			results[i*score.CambiScales+scale] = int64(sum) // below 2^38·2^24 samples
		}
	}
	return nil
}
