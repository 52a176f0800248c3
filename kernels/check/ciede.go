package check

import (
	"fmt"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	for _, chroma := range []vmaf.Subsampling{vmaf.Chroma420, vmaf.Chroma422, vmaf.Chroma444} {
		Register(ciedeKernel(chroma))
	}
}

// ciedeKernel is CIEDE2000 of pictures of one layout: "ciede 4:2:0" and so on.
func ciedeKernel(chroma vmaf.Subsampling) Kernel {
	k := Kernel{
		Name:    fmt.Sprintf("ciede %v", chroma),
		Planes:  []string{"ref y", "ref cb", "ref cr", "dis0 y", "dis0 cb", "dis0 cr", "dis1 y", "dis1 cb", "dis1 cr"},
		Chroma:  chroma,
		Results: []string{"dis0 whole", "dis0 fraction", "dis1 whole", "dis1 fraction"},
		// The smallest; around vectors; around 32 chroma columns, which 4:2:2 depends on; around the 256 pixels of a run.
		Sizes:  []Size{{2, 2}, {3, 3}, {7, 4}, {8, 5}, {17, 2}, {63, 4}, {64, 3}, {65, 5}, {127, 3}, {130, 2}, {259, 6}},
		Depths: []int{8, 10, 12, 16},
		Inputs: append([]Input{
			WorstCase("black to white", func(c *Content, plane, x, y int) int { return plane / 3 % 2 * c.Top() }),
			// Each corner of the cube against each other one, among them all saturated hues on either side of an angle of 0.
			WorstCase("corners", func(c *Content, plane, x, y int) int { return (x + 8*y) >> plane % 2 * c.Top() }),
			// Around grey, where hues have no meaning and differ most.
			WorstCase("greys", func(c *Content, plane, x, y int) int {
				if plane%3 == 0 {
					return c.Rand.IntN(c.Top() + 1)
				}
				return (c.Top()+1)/2 + c.Rand.IntN(3) - 1
			}),
		}, Standard...),
		New: func(size Size, bpc int) (Runner, error) {
			r := &ciedeRunner{format: vmaf.Format{Width: size.Width, Height: size.Height, BitsPerComponent: bpc, Subsampling: chroma}}
			var err error
			r.scratch, err = cpu.NewCIEDEScratch(r.format, 2)
			return r, err
		},
	}
	if chroma == vmaf.Chroma420 {
		k.LargeSizes = []Size{{641, 359}}
		k.BenchSizes, k.BenchDepths, k.BenchInput = benchSizes[:2], []int{8, 10}, Noise
	}
	return k
}

type ciedeRunner struct {
	scratch  *cpu.CIEDEScratch
	format   vmaf.Format
	pictures [3]vmaf.Picture
	dis      [2]*vmaf.Picture
	sums     [2]score.CIEDESums
}

func (r *ciedeRunner) Run(planes []vmaf.Plane, results []int64) error {
	for i := range r.pictures {
		r.pictures[i] = vmaf.Picture{Format: r.format, Planes: [3]vmaf.Plane(planes[3*i:])}
	}
	r.dis = [2]*vmaf.Picture{&r.pictures[1], &r.pictures[2]}
	if err := r.scratch.CIEDE(&r.pictures[0], r.dis[:], r.sums[:]); err != nil {
		return err
	}
	for k, sums := range r.sums {
		results[2*k], results[2*k+1] = int64(sums.Whole), int64(sums.Fraction)
	}
	return nil
}

func (r *ciedeRunner) Close() error { return r.scratch.Close() }
