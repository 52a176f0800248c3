package check

import (
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// The sizes that are timed: standard, high and ultra-high definition.
var benchSizes = []Size{{640, 360}, {1920, 1080}, {3840, 2160}}

func init() {
	Register(motionKernel())
	Register(vifKernel())
	Register(admKernel())
}

func motionKernel() Kernel {
	// Half the range decides between the kernel's two forms; ±1 around it is where they meet.
	threshold := func(c *Content, plane, x, y int) int {
		half := (c.Top() + 1) / 2
		if plane == 0 {
			return (x + y) % 2 * c.Top()
		}
		d := half - 1 + c.Rand.IntN(2)
		if (x+y)%2 == 0 {
			return d
		}
		return c.Top() - d
	}
	return Kernel{
		Name:    "motion",
		Planes:  []string{"prev", "cur"},
		Results: []string{"sad"},
		// The smallest; around the vectors of each target; around the strip of 2048 columns and its halo.
		Sizes: []Size{{3, 3}, {4, 3}, {3, 40}, {5, 5}, {7, 4}, {8, 9}, {15, 6}, {17, 33}, {31, 8}, {33, 5}, {64, 64}, {65, 7},
			{100, 31}, {131, 75}, {2047, 4}, {2048, 5}, {2049, 6}, {2053, 3}, {4097, 4}},
		Depths: []int{8, 9, 10, 11, 12, 13, 14, 15, 16},
		Inputs: append([]Input{
			WorstCase("darkening", func(c *Content, plane, x, y int) int { return (1 - plane) * c.Top() }),
			WorstCase("brightening", func(c *Content, plane, x, y int) int { return plane * c.Top() }),
			WorstCase("columns", func(c *Content, plane, x, y int) int { return (plane + x/2) % 2 * c.Top() }),
			WorstCase("threshold", threshold),
		}, Standard...),
		LargeSizes:  []Size{{1919, 1079}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New: func(size Size, bpc int) (Runner, error) {
			s, err := cpu.NewMotionScratch(size.Width, size.Height, bpc)
			if err != nil {
				return nil, err
			}
			return motionRunner{s}, nil
		},
	}
}

type motionRunner struct{ *cpu.MotionScratch }

func (r motionRunner) Run(planes []vmaf.Plane, results []int64) error {
	sad, err := r.SAD(planes[0], planes[1])
	results[0] = int64(sad) // at most 2^16·2^32
	return err
}

func vifKernel() Kernel {
	gains := []float64{100, 1}
	names := resultNames(len(gains), "gain", []string{"nl", "dl", "nv", "c"})
	return Kernel{
		Name:    "vif",
		Planes:  []string{"ref", "dis0", "dis1"},
		Results: names,
		Sizes:   []Size{{16, 16}, {17, 33}, {33, 17}, {64, 48}, {131, 75}, {259, 40}},
		Depths:  []int{8, 9, 10, 12, 14, 16},
		Inputs: append([]Input{
			// The largest variance and the most negative covariance.
			WorstCase("opposed blocks", func(c *Content, plane, x, y int) int {
				if plane == 0 {
					return (x/16 + y/16) % 2 * c.Top()
				}
				return (1 + x/16 + y/16) % 2 * c.Top()
			}),
			// A distorted picture of far more contrast than its reference: the gain limit at work.
			WorstCase("gain", func(c *Content, plane, x, y int) int {
				if plane == 0 {
					return c.Top()/2 + (x/3+y/3)%2*(c.Top()/20)
				}
				return (x/3 + y/3) % 2 * c.Top()
			}),
		}, Standard...),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New: func(size Size, bpc int) (Runner, error) {
			s, err := cpu.NewVIFScratch(size.Width, size.Height, bpc, 2)
			if err != nil {
				return nil, err
			}
			r := &vifRunner{scratch: s, gains: gains}
			for i := range r.out {
				r.out[i] = r.rows[i][:2]
			}
			return r, nil
		},
	}
}

type vifRunner struct {
	scratch *cpu.VIFScratch
	gains   []float64
	rows    [2][3]cpu.VIFSums // one more than there are renditions, which is to stay as it is
	out     [2][]cpu.VIFSums
}

func (r *vifRunner) Run(planes []vmaf.Plane, results []int64) error {
	if err := r.scratch.VIF(planes[0], planes[1:], r.gains, r.out[:]); err != nil {
		return err
	}
	for g := range r.rows {
		if r.rows[g][2] != (cpu.VIFSums{}) {
			return errors.New("wrote sums of a rendition that it was not given")
		}
		for k, sums := range r.out[g] {
			for i, band := range [4][4]int64{sums.NL, sums.DL, sums.NV, sums.C} {
				copy(results[((g*2+k)*4+i)*4:], band[:])
			}
		}
	}
	return nil
}

func (r *vifRunner) Close() error { return r.scratch.Close() }

func admKernel() Kernel {
	// The plain models' set, and one with everything at the other end: no enhancement gain, the additive impairment, another
	// contrast sensitivity.
	plain, other := score.DefaultADMOptions(), score.DefaultADMOptions()
	plain.SkipAIM = true
	other.GainLimit, other.CSFMode = 1, 2
	var configs []cpu.ADMConfig
	for _, o := range []score.ADMOptions{plain, other} {
		a, err := score.NewADM(o)
		if err != nil {
			panic(err)
		}
		configs = append(configs, a.Config())
	}
	return Kernel{
		Name:    "adm",
		Planes:  []string{"ref", "dis0", "dis1"},
		Results: resultNames(len(configs), "set", []string{"den h", "den v", "den d", "num h", "num v", "num d", "aim h", "aim v", "aim d"}),
		Sizes:   []Size{{33, 33}, {34, 47}, {49, 36}, {64, 64}, {131, 75}, {259, 40}},
		Depths:  []int{8, 9, 10, 12, 14, 16},
		Inputs: append([]Input{
			// Full contrast in one band at one scale: stripes across, down and both, of every period of the pyramid.
			WorstCase("stripes across", func(c *Content, plane, x, y int) int { return (y>>(x/32%5) + plane/2) % 2 * c.Top() }),
			WorstCase("stripes down", func(c *Content, plane, x, y int) int { return (x>>(y/32%5) + plane/2) % 2 * c.Top() }),
			WorstCase("diagonal", func(c *Content, plane, x, y int) int {
				shift := (x/32 + y/32) % 5
				return (x>>shift + y>>shift + plane/2) % 2 * c.Top()
			}),
			// A distorted picture of far more contrast than its reference: the gain limit at work.
			WorstCase("gain", func(c *Content, plane, x, y int) int {
				if plane == 0 {
					return c.Top()/2 + (x/3+y/3)%2*(c.Top()/20)
				}
				return (x/3 + y/3) % 2 * c.Top()
			}),
		}, Standard...),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New: func(size Size, bpc int) (Runner, error) {
			s, err := cpu.NewADMScratch(size.Width, size.Height, bpc, 2, len(configs))
			if err != nil {
				return nil, err
			}
			r := &admRunner{scratch: s, configs: configs}
			for i := range r.out {
				r.out[i] = r.rows[i][:2]
			}
			return r, nil
		},
	}
}

type admRunner struct {
	scratch *cpu.ADMScratch
	configs []cpu.ADMConfig
	rows    [2][3]cpu.ADMSums // one more than there are renditions, which is to stay as it is
	out     [2][]cpu.ADMSums
}

func (r *admRunner) Run(planes []vmaf.Plane, results []int64) error {
	if err := r.scratch.ADM(planes[0], planes[1:], r.configs, r.out[:]); err != nil {
		return err
	}
	for c := range r.rows {
		if r.rows[c][2] != (cpu.ADMSums{}) {
			return errors.New("wrote sums of a rendition that it was not given")
		}
		for k, sums := range r.out[c] {
			at := results[(c*2+k)*9*4:]
			for band := range 3 {
				for scale := range 4 {
					at[band*4+scale] = int64(sums.Den[scale][band])
					at[(3+band)*4+scale] = int64(sums.Num[scale][band])
					at[(6+band)*4+scale] = int64(sums.AIM[scale][band])
				}
			}
		}
	}
	return nil
}

func (r *admRunner) Close() error { return r.scratch.Close() }

// resultNames names the sums of two renditions at four scales under each of n option sets, in the order of the runners.
func resultNames(n int, option string, sums []string) []string {
	var names []string
	for i := range n {
		for k := range 2 {
			for _, sum := range sums {
				for scale := range 4 {
					names = append(names, fmt.Sprintf("%s%d dis%d %s[%d]", option, i, k, sum, scale))
				}
			}
		}
	}
	return names
}
