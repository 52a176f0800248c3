package check

import (
	"fmt"
	"math"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	usual := speedKernel("speed")
	usual.BenchSizes, usual.BenchDepths, usual.BenchInput = benchSizes, []int{8, 10}, Noise
	Register(usual)
	// The plain code takes long over lanczos4, which looks at 81 samples for one.
	options := speedKernel("speed_options")
	options.Sizes, options.Depths = []Size{{353, 271}}, []int{8, 16}
	options.Inputs = []Input{Noise, Random}
	options.LargeSizes = nil
	Register(options)
}

// SpeedConfigs are the option sets of the two kernels that SpEED is checked as. Those of "speed" are the defaults and two of the v1 models;
// those of "speed_options" have every other resampling, kernel and weighting.
func SpeedConfigs(kernel string) []score.SpeedConfig {
	set := func(kernelScale float32, prescale float64, method string, sigma, floor float32, mode int) score.SpeedConfig {
		return score.SpeedConfig{
			KernelScale: kernelScale, Prescale: prescale, PrescaleMethod: method, SigmaNN: sigma, NNFloor: floor, WeightVarMode: mode,
		}
	}
	if kernel == "speed" {
		return []score.SpeedConfig{
			set(1, 1, "nearest", 0.29, 0, 0),
			set(1, 1, "nearest", 0.19, 0.1, 5),
			set(1, 0.6, "bilinear", 0.19, 0.1, 5),
		}
	}
	return []score.SpeedConfig{
		set(1, 1, "nearest", 0.29, 0.5, 1),
		set(1, 1, "nearest", 0.29, 0, 4), // shares its entropies with the first
		set(0.5, 0.75, "nearest", 0.29, 0, 2),
		set(360./97, 1.3, "bicubic", 0.29, 0, 3),
		set(1.6, 0.9, "lanczos4", 2, 0.2, 0),
		set(1, 2, "bilinear", 0.1, 1, 6),
	}
}

func speedKernel(kernel string) Kernel {
	configs := SpeedConfigs(kernel)
	var names []string
	for i := range configs {
		for k := range 2 {
			for _, plane := range []string{"u", "v"} {
				names = append(names, fmt.Sprintf("set%d dis%d %s", i, k, plane))
			}
		}
	}
	return Kernel{
		Name:    kernel,
		Planes:  []string{"ref y", "ref cb", "ref cr", "dis0 y", "dis0 cb", "dis0 cr", "dis1 y", "dis1 cb", "dis1 cr"},
		Chroma:  vmaf.Chroma420,
		Results: names,
		// The least; few windows, so that matrices are singular by a hair; odd sizes, and blocks beside vectors of each target.
		Sizes:  []Size{{266, 266}, {320, 322}, {417, 333}, {961, 267}},
		Depths: []int{8, 10, 12, 16},
		Inputs: append([]Input{
			// Two grey levels of noise, which leave matrices near to singular.
			WorstCase("faint", func(c *Content, plane, x, y int) int { return c.Top()/2 + c.Rand.IntN(2) }),
			// Planes of which all but a corner is flat.
			WorstCase("corner", func(c *Content, plane, x, y int) int {
				if x < 40+plane && y < 40 {
					return c.Rand.IntN(c.Top() + 1)
				}
				return c.Top() / 3
			}),
		}, Standard...),
		LargeSizes: []Size{{1919, 1079}},
		New: func(size Size, bpc int) (Runner, error) {
			f := vmaf.Format{Width: size.Width, Height: size.Height, BitsPerComponent: bpc, Subsampling: vmaf.Chroma420}
			s, err := cpu.NewSpeedScratch(f, 2, configs)
			if err != nil {
				return nil, err
			}
			r := &speedRunner{scratch: s, dis: make([]*vmaf.Picture, 2)}
			for i := range r.dis {
				r.dis[i] = &vmaf.Picture{Format: f}
			}
			for range configs {
				r.out = append(r.out, make([]score.SpeedSums, 2))
			}
			return r, nil
		},
	}
}

type speedRunner struct {
	scratch *cpu.SpeedScratch
	ref     vmaf.Picture
	dis     []*vmaf.Picture
	out     [][]score.SpeedSums
}

func (r *speedRunner) Run(planes []vmaf.Plane, results []int64) error {
	copy(r.ref.Planes[:], planes)
	for k, p := range r.dis {
		copy(p.Planes[:], planes[3+3*k:])
	}
	if err := r.scratch.Speed(&r.ref, r.dis, r.out); err != nil {
		return err
	}
	SpeedResults(results, r.out)
	return nil
}

func (r *speedRunner) Close() error { return r.scratch.Close() }

// SpeedResults puts sums of two pictures under some option sets into the order of the kernel's results: the bits of each score,
// and at bit 32 whether a plane is degenerate.
func SpeedResults(results []int64, out [][]score.SpeedSums) {
	word := func(v float32, degenerate bool) int64 {
		bits := int64(math.Float32bits(v))
		if degenerate {
			bits |= 1 << 32
		}
		return bits
	}
	for i := range out {
		for k, s := range out[i] {
			results[4*i+2*k] = word(s.U, s.DegenerateU)
			results[4*i+2*k+1] = word(s.V, s.DegenerateV)
		}
	}
}
