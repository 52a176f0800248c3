package check

import (
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

func init() { Register(sseKernel()) }

func sseKernel() Kernel {
	return Kernel{
		Name:    "sse",
		Planes:  []string{"ref", "dis"},
		Results: []string{"sse"},
		// The smallest; around the vectors of each target; and rows long enough for lanes to fill several times over.
		Sizes: []Size{{2, 1}, {2, 3}, {7, 4}, {8, 9}, {15, 6}, {16, 5}, {17, 33}, {31, 8}, {32, 3}, {33, 5}, {63, 2}, {64, 17}, {65, 7},
			{127, 3}, {129, 18}, {257, 16}, {2049, 3}, {8200, 2}},
		Depths: []int{8, 9, 10, 11, 12, 13, 14, 15, 16},
		Inputs: append([]Input{
			// The largest difference everywhere, of either sign, fills every sum fastest.
			WorstCase("black to white", func(c *Content, plane, x, y int) int { return plane * c.Top() }),
			WorstCase("white to black", func(c *Content, plane, x, y int) int { return (1 - plane) * c.Top() }),
		}, Standard...),
		LargeSizes:  []Size{{1919, 1079}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10, 16},
		BenchInput:  Noise,
		New:         func(size Size, bpc int) (Runner, error) { return sseRunner{size, bpc}, nil },
	}
}

type sseRunner struct {
	size Size
	bpc  int
}

func (r sseRunner) Run(planes []vmaf.Plane, results []int64) error {
	sum, err := cpu.SSE(planes[0], planes[1], r.size.Width, r.size.Height, r.bpc)
	results[0] = int64(sum) // at most 2^32 times the number of samples
	return err
}

func (r sseRunner) Close() error { return nil }
