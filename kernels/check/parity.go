package check

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// ErrDiffers is the error of a kernel whose results on some target are not those of its plain reference.
var ErrDiffers = errors.New("results differ")

// plainTarget is the target that defines the results.
const plainTarget = "plain"

// A case of a kernel: everything that decides what it gets and hence what it must give, but for the memory layout.
type testCase struct {
	kernel *Kernel
	size   Size
	bpc    int
	input  Input
	seed   uint64
}

func (c testCase) String() string {
	return fmt.Sprintf("%s %v %d bit %s, seed %d", c.kernel.Name, c.size, c.bpc, c.input.Name, c.seed)
}

// random is a generator for one use of the case. It depends on the case alone, not on which cases ran before.
func (c testCase) random(use string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintln(h, c, use)
	return rand.New(rand.NewPCG(c.seed, h.Sum64()))
}

func (c testCase) content() *Content {
	content := &Content{Size: c.size, Components: c.kernel.Chroma.Planes(), BitsPerComponent: c.bpc, Rand: c.random("content")}
	for i := range c.kernel.Planes {
		size := c.kernel.planeSize(i, c.size)
		content.Sizes = append(content.Sizes, size)
		content.Planes = append(content.Planes, make([]uint16, size.Width*size.Height))
	}
	c.input.Fill(content)
	return content
}

// cases are all the cases of a kernel. The short list leaves out the large sizes and all depths but the first and the last.
func (k *Kernel) cases(seed uint64, short bool) []testCase {
	depths := k.Depths
	if last := len(depths) - 1; short && last > 0 {
		depths = []int{depths[0], depths[last]}
	}
	var list []testCase
	for _, size := range k.Sizes {
		for _, bpc := range depths {
			for _, input := range k.Inputs {
				list = append(list, testCase{k, size, bpc, input, seed})
			}
		}
	}
	if !short {
		for _, size := range k.LargeSizes {
			for _, bpc := range slices.Compact([]int{k.Depths[0], k.Depths[len(k.Depths)-1]}) {
				list = append(list, testCase{k, size, bpc, k.Inputs[0], seed})
			}
		}
	}
	return list
}

// subject is an implementation of a kernel.
type subject struct {
	name string
	// target is the target in force while it runs.
	target string
	new    func(size Size, bpc int) (Runner, error)
}

func (s subject) String() string { return s.name }

// on is the kernel's own implementation on a target.
func (k *Kernel) on(target string) subject {
	return subject{name: "target " + target, target: target, new: k.New}
}

// Check runs all cases of the kernel on every target of this machine and reports each case that differs, up to ten.
// Short leaves out the long ones. The target in force is restored.
//
// Errors: [ErrDiffers] for wrong results; others for a kernel that fails, writes where it must not, or depends on padding.
func (k *Kernel) Check(seed uint64, short bool) error {
	return k.checkTargets(cpu.Targets(), seed, short)
}

// CheckAgainst is Check for an implementation from elsewhere, such as that of a device: it runs all cases on what make makes ready and
// compares with the plain target. name is what reports call it. Runners take planes in host memory.
func (k *Kernel) CheckAgainst(name string, make func(size Size, bpc int) (Runner, error), seed uint64, short bool) error {
	return k.check([]subject{{name: name, target: plainTarget, new: make}}, seed, short)
}

func (k *Kernel) checkTargets(targets []string, seed uint64, short bool) error {
	subjects := make([]subject, len(targets))
	for i, target := range targets {
		subjects[i] = k.on(target)
	}
	return k.check(subjects, seed, short)
}

func (k *Kernel) check(subjects []subject, seed uint64, short bool) (err error) {
	before := cpu.Target()
	defer func() { err = errors.Join(err, cpu.SetTarget(before)) }()
	var failures []error
	for _, c := range k.cases(seed, short) {
		if err := c.run(subjects); err != nil {
			failures = append(failures, fmt.Errorf("%v: %w", c, err))
			if len(failures) == 10 {
				return errors.Join(append(failures, errors.New("and no further cases were tried"))...)
			}
		}
	}
	return errors.Join(failures...)
}

// run compares all subjects with the plain target on compact planes. Each gets the samples in a layout of its own, the plain
// target a second time too.
func (c testCase) run(subjects []subject) error {
	content := c.content()
	plain := c.kernel.on(plainTarget)
	want, err := c.measure(plain, content.Planes, c.compactly)
	if err != nil {
		return fmt.Errorf("%v: %w", plain, err)
	}
	for _, subject := range subjects {
		for try := range 2 {
			var used []layout
			pick := func(rng *rand.Rand, size Size) layout {
				l := c.compactly(rng, size)
				if try > 0 || subject.name == plain.name {
					l = randomLayout(rng, size, c.bpc)
				}
				used = append(used, l)
				return l
			}
			got, err := c.measure(subject, content.Planes, pick)
			if err == nil {
				err = c.compare(want, got)
			}
			if err != nil {
				return fmt.Errorf("%v, planes with %v: %w%s", subject, used, err, c.shrink(subject, content.Planes))
			}
		}
	}
	return nil
}

// compactly lays planes out without padding.
func (c testCase) compactly(_ *rand.Rand, size Size) layout { return compact(size, c.bpc) }

// measure runs the case once on a subject, with planes laid out by pick.
func (c testCase) measure(subject subject, samples [][]uint16, pick func(*rand.Rand, Size) layout) (results []int64, err error) {
	if err := cpu.SetTarget(subject.target); err != nil {
		return nil, err
	}
	rng := c.random(subject.name)
	planes := make([]vmaf.Plane, len(samples))
	guarded := make([]*guardedPlane, len(samples))
	for i := range samples {
		size := c.kernel.planeSize(i, c.size)
		g, err := place(samples[i], size, c.bpc, pick(rng, size), rng)
		if err != nil {
			return nil, err
		}
		defer g.free()
		planes[i], guarded[i] = g.Plane, g
	}
	runner, err := subject.new(c.size, c.bpc)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runner.Close()) }()

	// Twice with one scratch: what the first call leaves behind must not matter.
	for call := range 2 {
		again, intact := guardedSlice(len(c.kernel.Results), rng.Int64())
		if err := runner.Run(planes, again); err != nil {
			return nil, err
		}
		if !intact() {
			return nil, errors.New("wrote outside its results")
		}
		for i, g := range guarded {
			if err := g.intact(); err != nil {
				return nil, fmt.Errorf("plane %s %w", c.kernel.Planes[i], err)
			}
		}
		if call > 0 {
			if err := c.compare(results, again); err != nil {
				return nil, fmt.Errorf("a second call with the same planes: %w", err)
			}
		}
		results = again
	}
	return results, nil
}

// guardedSlice is a slice of n values with guard bands on both sides in the same array, and the function that tells whether
// those still hold what they did.
func guardedSlice(n int, junk int64) ([]int64, func() bool) {
	const band = 16
	whole := make([]int64, band+n+band)
	for i := range whole {
		whole[i] = junk
	}
	return whole[band : band+n], func() bool {
		other := func(v int64) bool { return v != junk }
		return !slices.ContainsFunc(whole[:band], other) && !slices.ContainsFunc(whole[band+n:], other)
	}
}

// compare shows the first result that differs, with its neighbours.
func (c testCase) compare(want, got []int64) error {
	for i := range want {
		if want[i] == got[i] {
			continue
		}
		differ := 0
		for j := range want {
			if want[j] != got[j] {
				differ++
			}
		}
		var rows strings.Builder
		for j := max(0, i-2); j < min(len(want), i+5); j++ {
			mark := ""
			if want[j] != got[j] {
				mark = fmt.Sprintf("   off by %d", got[j]-want[j])
			}
			fmt.Fprintf(&rows, "\n    %-24s want %20d got %20d%s", c.kernel.Results[j], want[j], got[j], mark)
		}
		return fmt.Errorf("%w: %d of %d, the first is %s%s", ErrDiffers, differ, len(want), c.kernel.Results[i], rows.String())
	}
	return nil
}

// shrink says where in the pictures a difference on the subject comes from: it narrows the rectangle outside of which all
// samples can be set to zero without the difference going away.
func (c testCase) shrink(subject subject, samples [][]uint16) string {
	crop := func(x0, y0, x1, y1 int) [][]uint16 {
		cropped := make([][]uint16, len(samples))
		for i, s := range samples {
			cropped[i] = make([]uint16, len(s))
			width := c.kernel.planeSize(i, c.size).Width
			px0, py0, px1, py1 := c.within(i, x0, y0, x1, y1)
			for y := py0; y < py1; y++ {
				copy(cropped[i][y*width+px0:y*width+px1], s[y*width+px0:])
			}
		}
		return cropped
	}
	differs := func(x0, y0, x1, y1 int) bool {
		cropped := crop(x0, y0, x1, y1)
		want, err := c.measure(c.kernel.on(plainTarget), cropped, c.compactly)
		if err != nil {
			return false
		}
		got, err := c.measure(subject, cropped, c.compactly)
		return err != nil || !slices.Equal(want, got)
	}
	x0, y0, x1, y1 := 0, 0, c.size.Width, c.size.Height
	if !differs(x0, y0, x1, y1) {
		return "\n    (not with compact planes: the memory layout matters)"
	}
	for step := max(c.size.Width, c.size.Height) / 2; step > 0; {
		switch {
		case x1-x0 > step && differs(x0+step, y0, x1, y1):
			x0 += step
		case x1-x0 > step && differs(x0, y0, x1-step, y1):
			x1 -= step
		case y1-y0 > step && differs(x0, y0+step, x1, y1):
			y0 += step
		case y1-y0 > step && differs(x0, y0, x1, y1-step):
			y1 -= step
		default:
			step /= 2
		}
	}
	text := fmt.Sprintf("\n    still with zeros outside columns %d … %d of rows %d … %d", x0, x1-1, y0, y1-1)
	for i, s := range crop(x0, y0, x1, y1) {
		if (x1-x0)*(y1-y0) > 64 {
			break
		}
		text += fmt.Sprintf("\n    %s", c.kernel.Planes[i])
		width := c.kernel.planeSize(i, c.size).Width
		px0, py0, px1, py1 := c.within(i, x0, y0, x1, y1)
		for y := py0; y < py1; y++ {
			text += fmt.Sprint(" ", s[y*width+px0:y*width+px1])
		}
	}
	return text
}

// within is the rectangle of a plane that covers a rectangle of luma samples.
func (c testCase) within(plane, x0, y0, x1, y1 int) (px0, py0, px1, py1 int) {
	of := c.kernel.planeSize(plane, c.size)
	return x0 * of.Width / c.size.Width, y0 * of.Height / c.size.Height,
		(x1*of.Width + c.size.Width - 1) / c.size.Width, (y1*of.Height + c.size.Height - 1) / c.size.Height
}
