package check

import (
	"fmt"
	"slices"

	"github.com/vqsd/vqsd/vmaf"
)

// Size is a picture's width and height in luma samples.
type Size struct{ Width, Height int }

func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// Runner is a kernel made ready for one size and depth.
type Runner interface {
	// Run measures planes and fills results. It keeps neither. For benchmarks it must allocate nothing.
	Run(planes []vmaf.Plane, results []int64) error
	Close() error
}

// Kernel is one entry point with all that is needed to try it.
type Kernel struct {
	Name string
	// Planes names the planes it takes, first to last, such as ref, dis1, dis2.
	Planes []string
	// Chroma says how the chroma planes relate to the luma plane that they follow: Planes then come in threes, Y, Cb, Cr of each picture.
	// The zero value is for kernels that take luma planes alone.
	Chroma vmaf.Subsampling
	// Results names the numbers it gives.
	Results []string
	// Sizes and Depths (bits per component) are tried in all combinations, with each of Inputs.
	Sizes  []Size
	Depths []int
	Inputs []Input
	// LargeSizes are tried with the first input alone, at the first depth and at the highest: they take long.
	LargeSizes []Size
	// BenchSizes and BenchDepths are timed in all combinations, with BenchInput.
	BenchSizes  []Size
	BenchDepths []int
	BenchInput  Input
	// New makes the kernel ready. It works on the target in force at each Run, not at New.
	New func(size Size, bpc int) (Runner, error)
}

// planeSize is the size of one of Planes where pictures have the given size in luma samples.
func (k *Kernel) planeSize(plane int, size Size) Size {
	if plane%k.Chroma.Planes() == 0 {
		return size
	}
	width, height := k.Chroma.ChromaSize(size.Width, size.Height)
	return Size{width, height}
}

// traffic is how many bytes one call has to move at the least: each plane read once. The results are nothing beside it.
func (k *Kernel) traffic(size Size, bpc int) int {
	samples := 0
	for i := range k.Planes {
		of := k.planeSize(i, size)
		samples += of.Width * of.Height
	}
	return samples * sampleBytes(bpc)
}

func (k *Kernel) validate() error {
	for what, empty := range map[string]bool{
		"name": k.Name == "", "planes": len(k.Planes) == 0, "results": len(k.Results) == 0, "sizes": len(k.Sizes) == 0,
		"depths": len(k.Depths) == 0, "inputs": len(k.Inputs) == 0, "constructor": k.New == nil,
		"input to bench": len(k.BenchSizes) > 0 && k.BenchInput.Fill == nil, "whole pictures": len(k.Planes)%k.Chroma.Planes() != 0,
	} {
		if empty {
			return fmt.Errorf("kernel %q has no %s", k.Name, what)
		}
	}
	return nil
}

var registry []*Kernel

// Register adds a kernel to those that the tests check and [Bench] times. It is called from init functions and panics
// when the kernel is incomplete or its name taken.
func Register(k Kernel) {
	if err := k.validate(); err != nil {
		panic(err)
	}
	if slices.ContainsFunc(registry, func(r *Kernel) bool { return r.Name == k.Name }) {
		panic(fmt.Sprintf("kernel %q is registered twice", k.Name))
	}
	registry = append(registry, &k)
}

// Kernels are the registered kernels in the order of registration.
func Kernels() []*Kernel { return slices.Clone(registry) }

func sampleBytes(bpc int) int {
	if bpc > 8 {
		return 2
	}
	return 1
}
