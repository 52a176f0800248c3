package check

import (
	"errors"
	"math"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() { Register(psnrHVSKernel()) }

// psnrHVSFormat is that of the kernel's cases.
func psnrHVSFormat(size Size, bpc int) vmaf.Format {
	return vmaf.Format{Width: size.Width, Height: size.Height, BitsPerComponent: bpc, Subsampling: vmaf.Chroma420}
}

func psnrHVSKernel() Kernel {
	return Kernel{
		Name:    "psnrhvs",
		Planes:  []string{"ref y", "ref cb", "ref cr", "dis0 y", "dis0 cb", "dis0 cr", "dis1 y", "dis1 cb", "dis1 cr"},
		Chroma:  vmaf.Chroma420,
		Results: []string{"dis0 y", "dis0 cb", "dis0 cr", "dis1 y", "dis1 cb", "dis1 cr"},
		// One block of chroma; samples left over, also the last ones of odd sizes; and as many blocks as vectors have lanes, one less and one more.
		Sizes:  []Size{{16, 16}, {17, 17}, {19, 28}, {31, 30}, {57, 16}, {64, 29}, {113, 16}, {120, 17}, {127, 22}, {225, 16}, {239, 31}},
		Depths: []int{8, 9, 10, 11, 12},
		Inputs: append([]Input{
			// The largest coefficients of every frequency: stripes and checks of every period, the distorted pictures opposed.
			WorstCase("stripes across", func(c *Content, plane, x, y int) int { return (y>>(x/21%4) + plane/3) % 2 * c.Top() }),
			WorstCase("stripes down", func(c *Content, plane, x, y int) int { return (x>>(y/21%4) + plane/3) % 2 * c.Top() }),
			WorstCase("diagonal", func(c *Content, plane, x, y int) int {
				shift := (x/21 + y/21) % 4
				return (x>>shift + y>>shift + plane/3) % 2 * c.Top()
			}),
			// Constant coefficients alone, and sums that grow by equal steps, where the ties that rounding meets are frequent.
			WorstCase("flat", func(c *Content, plane, x, y int) int { return c.Top() / 2 * (plane / 3) / 2 }),
			// A sum that is large at once, to which almost nothing is added after.
			WorstCase("first block", func(c *Content, plane, x, y int) int {
				if x < 7 && y < 7 {
					return plane / 3 % 2 * c.Top()
				}
				return c.Top()/2 + plane/3%2*((x*y)%3)
			}),
		}, Standard...),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10, 12},
		BenchInput:  Noise,
		New: func(size Size, bpc int) (Runner, error) {
			s, err := cpu.NewPSNRHVSScratch(psnrHVSFormat(size, bpc), 2)
			if err != nil {
				return nil, err
			}
			r := &psnrHVSRunner{scratch: s}
			for i := range r.pictures {
				r.pictures[i].Format = psnrHVSFormat(size, bpc)
			}
			r.distorted = []*vmaf.Picture{&r.pictures[1], &r.pictures[2]}
			return r, nil
		},
	}
}

type psnrHVSRunner struct {
	scratch   *cpu.PSNRHVSScratch
	pictures  [3]vmaf.Picture
	distorted []*vmaf.Picture
	sums      [3]score.PSNRHVSSums // one more than there are renditions, which is to stay as it is
}

func (r *psnrHVSRunner) Run(planes []vmaf.Plane, results []int64) error {
	for i, plane := range planes {
		r.pictures[i/3].Planes[i%3] = plane
	}
	if err := r.scratch.PSNRHVS(&r.pictures[0], r.distorted, r.sums[:2]); err != nil {
		return err
	}
	if r.sums[2] != (score.PSNRHVSSums{}) {
		return errors.New("wrote sums of a rendition that it was not given")
	}
	for k := range 2 {
		for p, sum := range r.sums[k] {
			results[3*k+p] = int64(math.Float32bits(sum))
		}
	}
	return nil
}

func (r *psnrHVSRunner) Close() error { return r.scratch.Close() }
