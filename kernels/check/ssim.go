package check

import (
	"errors"
	"fmt"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	Register(ssimKernel())
	Register(ssimDecimatedKernel())
	Register(msSSIMKernel())
}

// SSIMScale is the factor that the kernel ssim_decimated decimates pictures of a size by: what suits those that are timed, and as much as the
// small ones bear, up to 5.
func SSIMScale(size Size) int {
	if small := min(size.Width, size.Height); small < 256 {
		return max(2, min(5, small/score.SSIMTaps))
	}
	return max(2, (min(size.Width, size.Height)+128)/256)
}

// ssimSums names the sums of one picture at one scale.
var ssimSums = []string{"total", "luminance", "contrast", "structure"}

func ssimNames(levels []string) (names []string) {
	for k := range 2 {
		for _, level := range levels {
			for _, sum := range ssimSums {
				names = append(names, fmt.Sprintf("dis%d %s%s", k, level, sum))
			}
		}
	}
	return names
}

// The contents that strain the statistics: the largest variances, covariances of either sign, and a reference that is flat, whose
// variance the window's weights, which sum to a little more than 1, make negative before it is clipped.
func ssimInputs() []Input {
	return []Input{
		WorstCase("opposed blocks", func(c *Content, plane, x, y int) int { return (plane + x/11 + y/11) % 2 * c.Top() }),
		WorstCase("flat reference", func(c *Content, plane, x, y int) int {
			if plane == 0 {
				return c.Top()
			}
			return c.Top() - c.Rand.IntN(1+plane*c.Top()/2)
		}),
		WorstCase("nearly flat", func(c *Content, plane, x, y int) int { return c.Top() - c.Rand.IntN(2) }),
	}
}

func ssimKernel() Kernel {
	return Kernel{
		Name:    "ssim",
		Planes:  []string{"ref", "dis0", "dis1"},
		Results: ssimNames([]string{""}),
		// One position; around the vectors of each target; around the CPU's strips of 192 columns and the device's tiles of 32.
		Sizes:       []Size{{11, 11}, {12, 21}, {27, 23}, {43, 42}, {203, 33}},
		Depths:      []int{8, 10, 12, 16},
		Inputs:      append(ssimInputs(), Standard...),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New:         func(size Size, bpc int) (Runner, error) { return newSSIMRunner(size, bpc, []int{1}, false) },
	}
}

func ssimDecimatedKernel() Kernel {
	return Kernel{
		Name:        "ssim_decimated",
		Planes:      []string{"ref", "dis0", "dis1"},
		Results:     ssimNames([]string{""}),
		Sizes:       []Size{{22, 23}, {33, 35}, {45, 44}, {131, 75}},
		Depths:      []int{8, 10, 12, 16},
		Inputs:      append(ssimInputs(), Standard...),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New: func(size Size, bpc int) (Runner, error) {
			return newSSIMRunner(size, bpc, []int{SSIMScale(size)}, false)
		},
	}
}

func msSSIMKernel() Kernel {
	return Kernel{
		Name:        "ms_ssim",
		Planes:      []string{"ref", "dis0", "dis1"},
		Results:     ssimNames([]string{"level 0 ", "level 1 ", "level 2 ", "level 3 ", "level 4 "}),
		Sizes:       []Size{{181, 177}},
		Depths:      []int{8, 10, 12, 16},
		Inputs:      append(ssimInputs()[:2], Noise),
		LargeSizes:  []Size{{1279, 719}},
		BenchSizes:  benchSizes,
		BenchDepths: []int{8, 10},
		BenchInput:  Noise,
		New:         func(size Size, bpc int) (Runner, error) { return newSSIMRunner(size, bpc, nil, true) },
	}
}

type ssimRunner struct {
	scratch *cpu.SSIMScratch
	rows    [3]score.SSIMSums // one more than there are renditions, which is to stay as it is
	levels  [3]score.MSSSIMSums
	out     [][]score.SSIMSums
	ms      []score.MSSSIMSums
}

func newSSIMRunner(size Size, bpc int, scales []int, multiscale bool) (Runner, error) {
	s, err := cpu.NewSSIMScratch(size.Width, size.Height, bpc, 2, scales, multiscale)
	if err != nil {
		return nil, err
	}
	r := &ssimRunner{scratch: s}
	for range scales {
		r.out = append(r.out, r.rows[:2])
	}
	if multiscale {
		r.ms = r.levels[:2]
	}
	return r, nil
}

func (r *ssimRunner) Run(planes []vmaf.Plane, results []int64) error {
	if err := r.scratch.SSIM(planes[0], planes[1:], r.out, r.ms); err != nil {
		return err
	}
	if r.rows[2] != (score.SSIMSums{}) || r.levels[2] != (score.MSSSIMSums{}) {
		return errors.New("wrote sums of a rendition that it was not given")
	}
	for _, out := range r.out {
		for _, sums := range out {
			results = putSSIM(results, sums)
		}
	}
	for _, levels := range r.ms {
		for _, sums := range levels {
			results = putSSIM(results, sums)
		}
	}
	return nil
}

// putSSIM sets the next results to sums and returns those behind.
func putSSIM(results []int64, sums score.SSIMSums) []int64 {
	results[0], results[1], results[2], results[3] = sums.Total, sums.Luminance, sums.Contrast, sums.Structure
	return results[len(ssimSums):]
}

func (r *ssimRunner) Close() error { return r.scratch.Close() }
