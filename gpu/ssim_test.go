//go:build cuda

package gpu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	pair := func(planes []vmaf.Plane) Frame {
		return Frame{Reference: &planes[0], Distorted: []*vmaf.Plane{&planes[1], &planes[2]}}
	}
	fill := func(results []int64, sums ...score.SSIMSums) {
		for i, s := range sums {
			copy(results[4*i:], []int64{s.Total, s.Luminance, s.Contrast, s.Structure})
		}
	}
	at := func(scale func(check.Size) int) func(sessionMaker) func(check.Size, int) (check.Runner, error) {
		return func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
			return func(size check.Size, bpc int) (check.Runner, error) {
				return session(size, bpc, Plan{Renditions: 2, SSIMScales: []int{scale(size)}}, runner{
					frame: pair, fill: func(results []int64, sums *Sums) { fill(results, sums.SSIM[0]...) },
				})
			}
		}
	}
	moreParityRunners["ssim"] = at(func(check.Size) int { return 1 })
	moreParityRunners["ssim_decimated"] = at(check.SSIMScale)
	moreParityRunners["ms_ssim"] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
		return func(size check.Size, bpc int) (check.Runner, error) {
			return session(size, bpc, Plan{Renditions: 2, MSSSIM: true}, runner{
				frame: pair, fill: func(results []int64, sums *Sums) {
					fill(results, append(sums.MSSSIM[0][:], sums.MSSSIM[1][:]...)...)
				},
			})
		}
	}
}

// measureSSIM measures a batch and compares with what the CPU says of the same frames in host memory.
func measureSSIM(t *testing.T, s *Session, frames, host []Frame) {
	t.Helper()
	var got Sums
	if err := s.Measure(t.Context(), frames, &got); err != nil {
		t.Fatal(err)
	}
	p := s.plan
	f := p.Format
	want := Sums{SSIM: make([][]score.SSIMSums, len(p.SSIMScales))}
	for _, frame := range host {
		distorted := present(frame)
		if len(distorted) == 0 {
			continue
		}
		scratch, err := cpu.NewSSIMScratch(f.Width, f.Height, f.BitsPerComponent, len(distorted), p.SSIMScales, p.MSSSIM)
		if err != nil {
			t.Fatal(err)
		}
		out, ms := rows[score.SSIMSums](len(p.SSIMScales), len(distorted)), make([]score.MSSSIMSums, len(distorted))
		if err := scratch.SSIM(*frame.Reference, distorted, out, ms); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			want.SSIM[i] = append(want.SSIM[i], out[i]...)
		}
		if p.MSSSIM {
			want.MSSSIM = append(want.MSSSIM, ms...)
		}
		if err := scratch.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want.SSIM, got.SSIM, cmp.Transformer("pairs", func(v [][]score.SSIMSums) map[int][]score.SSIMSums { return numbered(v) })); d != "" {
		t.Fatalf("%v, scales %v (-CPU +device):\n%s", f, p.SSIMScales, d)
	}
	if d := cmp.Diff(want.MSSSIM, got.MSSSIM); len(want.MSSSIM)+len(got.MSSSIM) > 0 && d != "" {
		t.Fatalf("%v, MS-SSIM (-CPU +device):\n%s", f, d)
	}
}

// Sizes at the borders of what blocks have: 32 × 32 positions, which are 42 × 42 samples, and the smallest.
func TestSSIM_EqualsCPUAtTheBordersOfBlocks(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, size := range [][2]int{{11, 11}, {12, 42}, {42, 11}, {43, 41}, {74, 75}, {41, 107}} {
		f := format(size[0], size[1], []int{8, 10, 12, 16}[i%4])
		rng := newRand(uint64(i))
		s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 2, SSIMScales: []int{1}})
		frames := []Frame{{Reference: randomPlane(rng, f), Distorted: []*vmaf.Plane{randomPlane(rng, f), randomPlane(rng, f)}}}
		measureSSIM(t, s, frames, frames)
	}
}

func TestSSIM_EqualsCPUAtScales(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, c := range []struct {
		width, height int
		scales        []int
	}{{22, 23, []int{2}}, {33, 35, []int{3, 1, 3}}, {45, 44, []int{4, 2}}, {110, 113, []int{10, 9, 7}}} {
		f := format(c.width, c.height, []int{8, 16, 10, 12}[i%4])
		rng := newRand(uint64(i))
		s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 2, SSIMScales: c.scales})
		frames := randomFrames(rng, f, 2, 2)
		frames[0].Distorted = []*vmaf.Plane{randomPlane(rng, f), frames[0].Reference}
		measureSSIM(t, s, frames, frames)
	}
}

// Odd sizes at every level, and the smallest. Level 0 is that of scale 1, which is asked for beside it or not.
func TestMSSSIM_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, c := range []struct {
		width, height int
		scales        []int
	}{{176, 176, nil}, {181, 177, []int{2, 1}}} {
		for _, bpc := range []int{8, 10} {
			f := format(c.width, c.height, bpc)
			rng := newRand(uint64(i))
			s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 1, SSIMScales: c.scales, MSSSIM: true})
			frames := []Frame{{Reference: randomPlane(rng, f), Distorted: []*vmaf.Plane{randomPlane(rng, f)}}}
			measureSSIM(t, s, frames, frames)
		}
	}
}

// Pictures in the device's memory begin anywhere and may have their values in the high bits.
func TestSSIM_EqualsCPUOnTheDevice(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, bpc := range []int{8, 10, 12, 16} {
		f := format(37, 46, bpc)
		rng := newRand(uint64(bpc))
		s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 2, SSIMScales: []int{1, 3}})
		frames := randomFrames(rng, f, 3, 2)
		measureSSIM(t, s, frames, frames)
		measureSSIM(t, s, onDevice(t, d, rng, f, frames, bpc > 8), frames)
	}
}

// The largest and smallest means, variances and covariances that there are.
func TestSSIM_EqualsCPUAtExtremes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	contents := []func(x, y int) bool{
		func(int, int) bool { return false },
		func(int, int) bool { return true },
		func(x, y int) bool { return (x+y)%2 == 0 },
		func(x, y int) bool { return (x/11+y/11)%2 == 0 },
		func(x, y int) bool { return x == 20 && y == 20 },
	}
	for _, bpc := range []int{8, 16} {
		f := format(46, 44, bpc)
		var planes []*vmaf.Plane
		for _, white := range contents {
			p := randomPlane(newRand(1), f)
			for y := range f.Height {
				for x := range f.Width {
					v := 0
					if white(x, y) {
						v = 1<<bpc - 1
					}
					setSample(p, f.BytesPerSample(), x, y, v)
				}
			}
			planes = append(planes, p)
		}
		var frames []Frame
		for _, p := range planes {
			frames = append(frames, Frame{Reference: p, Distorted: planes})
		}
		s := newSession(t, d, Plan{Format: f, Frames: len(frames), Renditions: len(planes), SSIMScales: []int{1, 2}})
		measureSSIM(t, s, frames, frames)
	}
}

func TestSSIM_AnyBatchesGiveTheSame(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(50, 45, 10)
	rng := newRand(11)
	clip := randomFrames(rng, f, 6, 3)
	clip[2].Distorted = nil
	// Motion has the tables of references hold more than the frames' own.
	s := newSession(t, d, Plan{Format: f, Frames: 6, Renditions: 3, SSIMScales: []int{2, 1}, MotionDistances: []int{1, 2}})
	for _, cuts := range [][]int{{6}, {1, 1, 1, 1, 1, 1}, {2, 4}, {5, 1}} {
		for at, n := 0, 0; len(cuts) > 0; at += n {
			n, cuts = cuts[0], cuts[1:]
			measureSSIM(t, s, clip[at:at+n], clip[at:at+n])
		}
	}
}

func TestSSIM_BytesIsWhatASessionTakes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, p := range []Plan{
		{Format: format(16, 16, 8), Frames: 1, Renditions: 1, SSIMScales: []int{1}},
		{Format: format(67, 50, 10), Frames: 3, Renditions: 2, SSIMScales: []int{4, 1, 4}},
		{Format: format(177, 180, 10), Frames: 2, Renditions: 2, SSIMScales: []int{2}, MSSSIM: true},
	} {
		// What the session before left to the pool would be used again.
		if err := d.do(d.pool.trim); err != nil {
			t.Fatal(err)
		}
		before := d.UsedBytes()
		s := newSession(t, d, p)
		if got, want := d.UsedBytes()-before, p.Bytes(); got != want {
			t.Errorf("%v: the session took %d bytes, Bytes says %d", p, got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSSIM_Refuses(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for name, c := range map[string]struct {
		plan Plan
		want string
	}{
		"too small":         {Plan{Format: format(21, 40, 8), SSIMScales: []int{1, 4}}, "pictures of 21x40 at scale 4 are 6x10; ssim needs at least 11x11"},
		"no such scale":     {Plan{Format: format(40, 40, 8), SSIMScales: []int{0}}, "scale 0; must be 1 … 256"},
		"no such depth":     {Plan{Format: format(40, 40, 9), SSIMScales: []int{1}}, "9 bits per component; ssim is defined for 8, 10, 12 and 16"},
		"too few levels":    {Plan{Format: format(176, 175, 8), MSSSIM: true}, "pictures of 176x175; ms_ssim needs at least 176x176"},
		"ms at other depth": {Plan{Format: format(176, 176, 14), MSSSIM: true}, "14 bits per component; ms_ssim is defined for 8, 10, 12 and 16"},
	} {
		c.plan.Frames, c.plan.Renditions = 1, 1
		_, err := d.NewSession(c.plan)
		if err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
