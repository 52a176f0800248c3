//go:build cuda

package gpu

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	for _, chroma := range []vmaf.Subsampling{vmaf.Chroma420, vmaf.Chroma422, vmaf.Chroma444} {
		moreParityRunners[fmt.Sprintf("ciede %v", chroma)] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
			return func(size check.Size, bpc int) (check.Runner, error) {
				return session(size, bpc, Plan{Format: vmaf.Format{Subsampling: chroma}, Renditions: 2, CIEDE: true}, ciedeRunner)
			}
		}
	}
}

// ciedeRunner takes planes in threes, Y, Cb, Cr of a reference and two distorted pictures.
var ciedeRunner = runner{
	frame: func(p []vmaf.Plane) Frame {
		return Frame{
			Reference: &p[0], ReferenceChroma: [2]*vmaf.Plane{&p[1], &p[2]},
			Distorted: []*vmaf.Plane{&p[3], &p[6]}, DistortedChroma: [][2]*vmaf.Plane{{&p[4], &p[5]}, {&p[7], &p[8]}},
		}
	},
	fill: func(results []int64, sums *Sums) {
		for k, s := range sums.CIEDE {
			results[2*k], results[2*k+1] = int64(s.Whole), int64(s.Fraction)
		}
	},
}

// measureCIEDE measures frames, which may lie on the device, and holds the sums against those that the CPU finds for the same in host memory.
func measureCIEDE(t *testing.T, s *Session, frames, host []Frame) {
	t.Helper()
	scratch, err := cpu.NewCIEDEScratch(s.plan.Format, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	var want []score.CIEDESums
	eachPair(host, func(ref, dis [3]*vmaf.Plane) {
		var pictures [2]vmaf.Picture
		for p := range 3 {
			pictures[0].Planes[p], pictures[1].Planes[p] = *ref[p], *dis[p]
		}
		sums := make([]score.CIEDESums, 1)
		if err := scratch.CIEDE(&pictures[0], []*vmaf.Picture{&pictures[1]}, sums); err != nil {
			t.Fatal(err)
		}
		want = append(want, sums[0])
	})
	got := Sums{CIEDE: []score.CIEDESums{{Whole: 1, Fraction: 2}}} // what is there before must not matter
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.CIEDE, want) {
		t.Errorf("%v: sums %v, want %v", s.plan.Format, got.CIEDE, want)
	}
}

// Every way in which a decoder can leave pictures, all depths and layouts of chroma, odd sizes, and the borders of blocks of 128 columns × 8 rows.
func TestCIEDE_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	depths := []int{8, 10, 12, 16}
	for i, c := range []struct {
		width, height int
		subsampling   vmaf.Subsampling
	}{
		{2, 2, vmaf.Chroma420}, {3, 3, vmaf.Chroma420}, {1, 1, vmaf.Chroma444}, {2, 1, vmaf.Chroma422}, {127, 7, vmaf.Chroma420},
		{129, 9, vmaf.Chroma420}, {128, 8, vmaf.Chroma422}, {65, 17, vmaf.Chroma422}, {33, 16, vmaf.Chroma444}, {131, 5, vmaf.Chroma422},
	} {
		bpc := depths[i%len(depths)]
		f := colourFormat(c.width, c.height, bpc, c.subsampling)
		rng := newRand(uint64(i))
		frames := randomColour(rng, f, 2, 2)
		s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 2, CIEDE: true})
		measureCIEDE(t, s, frames, frames)
		for _, l := range layouts(bpc) {
			measureCIEDE(t, s, colourOnDevice(t, d, rng, f, frames, l), frames)
		}
	}
}

// Pairs are summed by number, whichever frame they are of, and a frame may have none.
func TestCIEDE_FramesWithoutPairs(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := colourFormat(40, 19, 10, vmaf.Chroma420)
	frames := randomColour(newRand(5), f, 4, 3)
	frames[1].Distorted, frames[1].DistortedChroma = nil, nil
	s := newSession(t, d, Plan{Format: f, Frames: 4, Renditions: 3, CIEDE: true})
	measureCIEDE(t, s, frames, frames)
	measureCIEDE(t, s, frames[1:2], frames[1:2])
	measureCIEDE(t, s, frames[2:], frames[2:])
}

func TestCIEDE_Refuses(t *testing.T) {
	for want, f := range map[string]vmaf.Format{
		"14 bits per component; must be 8, 10, 12 or 16": colourFormat(64, 64, 14, vmaf.Chroma420),
		"must be 2x1 …":           colourFormat(1, 15, 8, vmaf.Chroma422),
		"pictures without chroma": format(64, 64, 8),
	} {
		p := Plan{Format: f, Frames: 1, Renditions: 1, CIEDE: true}
		if err := p.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", f, err, want)
		}
	}
}
