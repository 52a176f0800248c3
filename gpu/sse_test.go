//go:build cuda

package gpu

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	moreParityRunners["sse"] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
		return func(size check.Size, bpc int) (check.Runner, error) {
			return session(size, bpc, Plan{Renditions: 1, SSEPlanes: 1}, runner{
				frame: func(planes []vmaf.Plane) Frame {
					return Frame{Reference: &planes[0], Distorted: []*vmaf.Plane{&planes[1]}}
				},
				fill: func(results []int64, sums *Sums) { results[0] = int64(sums.SSE[0][0]) },
			})
		}
	}
}

// measureSSE measures frames, which may lie on the device, and holds the sums against those that the CPU finds for the same in host memory.
func measureSSE(t *testing.T, s *Session, frames, host []Frame) {
	t.Helper()
	var want []score.SSESums
	eachPair(host, func(ref, dis [3]*vmaf.Plane) {
		var sums score.SSESums
		for p := range s.plan.SSEPlanes {
			width, height := s.plan.Format.Width, s.plan.Format.Height
			if p > 0 {
				width, height = s.plan.ChromaSize()
			}
			var err error
			if sums[p], err = cpu.SSE(*ref[p], *dis[p], width, height, s.plan.Format.BitsPerComponent); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, sums)
	})
	got := Sums{SSE: []score.SSESums{{1, 2, 3}}} // what is there before must not matter
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.SSE, want) {
		t.Errorf("%v: sums %v, want %v", s.plan.Format, got.SSE, want)
	}
}

// Every way in which a decoder can leave pictures, all depths, and sizes at the borders of pieces of 128 columns × 16 rows.
func TestSSE_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	sizes := [][2]int{{2, 2}, {3, 3}, {3, 5}, {7, 3}, {127, 15}, {128, 16}, {129, 17}, {254, 33}, {260, 31}, {515, 4}}
	subsamplings := []vmaf.Subsampling{vmaf.Chroma420, vmaf.Chroma422, vmaf.Chroma444}
	for i, size := range sizes {
		for j, subsampling := range subsamplings {
			bpc := 8 + (3*i+j)%9
			if j == 0 && i%2 == 0 {
				bpc = 8
			}
			f := colourFormat(size[0], size[1], bpc, subsampling)
			rng := newRand(uint64(i))
			frames := randomColour(rng, f, 3, 2)
			s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 2, SSEPlanes: 3})
			measureSSE(t, s, frames, frames)
			for _, l := range layouts(bpc) {
				measureSSE(t, s, colourOnDevice(t, d, rng, f, frames, l), frames)
			}
		}
	}
}

// A reference in host memory with pictures that a decoder left on the device, of every layout against every other.
func TestSSE_LayoutsMixed(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, bpc := range []int{8, 10} {
		f := colourFormat(264, 34, bpc, vmaf.Chroma420)
		rng := newRand(uint64(bpc))
		frames := randomColour(rng, f, 2, 3)
		s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 3, SSEPlanes: 3})
		resident := [][]Frame{frames}
		for _, l := range layouts(bpc) {
			resident = append(resident, colourOnDevice(t, d, rng, f, frames, l))
		}
		for _, ref := range resident {
			for _, dis := range resident {
				mixed := slices.Clone(dis)
				for i := range mixed {
					mixed[i].Reference, mixed[i].ReferenceChroma = ref[i].Reference, ref[i].ReferenceChroma
				}
				measureSSE(t, s, mixed, frames)
			}
		}
	}
}

// The largest sums that there are: black against white.
func TestSSE_OfExtremes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for bpc := 8; bpc <= 16; bpc++ {
		f := colourFormat(140, 36, bpc, vmaf.Chroma444)
		var planes [2]*vmaf.Plane
		for i := range planes {
			planes[i] = randomPlane(newRand(1), f)
			for y := range f.Height {
				for x := range f.Width {
					setSample(planes[i], f.BytesPerSample(), x, y, i*(1<<bpc-1))
				}
			}
		}
		black, white := planes[0], planes[1]
		frames := []Frame{{
			Reference: black, ReferenceChroma: [2]*vmaf.Plane{white, black},
			Distorted: []*vmaf.Plane{white}, DistortedChroma: [][2]*vmaf.Plane{{black, white}},
		}}
		s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 1, SSEPlanes: 3})
		measureSSE(t, s, frames, frames)
		top := uint64(1<<bpc - 1)
		var got Sums
		if err := s.Measure(context.Background(), frames, &got); err != nil {
			t.Fatal(err)
		}
		if want := top * top * 140 * 36; got.SSE[0] != (score.SSESums{want, want, want}) {
			t.Errorf("%d bit: %v, want three times %d", bpc, got.SSE[0], want)
		}
	}
}

// Luma alone needs no chroma, not even of pictures that have it.
func TestSSE_OfLuma(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := colourFormat(70, 40, 8, vmaf.Chroma420)
	frames := randomFrames(newRand(4), f, 3, 2)
	for i := range frames {
		frames[i].DistortedChroma = make([][2]*vmaf.Plane, len(frames[i].Distorted))
	}
	frames = append(frames, Frame{Reference: frames[0].Reference}) // and a frame without pairs
	measureSSE(t, newSession(t, d, Plan{Format: f, Frames: 4, Renditions: 2, SSEPlanes: 1}), frames, frames)
}

func TestSSE_TooSmallForChroma(t *testing.T) {
	for _, f := range []vmaf.Format{colourFormat(1, 9, 8, vmaf.Chroma422), colourFormat(9, 1, 8, vmaf.Chroma420)} {
		p := Plan{Format: f, Frames: 1, Renditions: 1, SSEPlanes: 3}
		if err := p.validate(); err == nil || !strings.Contains(err.Error(), "the least luma size is 2x2") {
			t.Errorf("%v: %v", f, err)
		}
		if p.SSEPlanes = 1; p.validate() != nil {
			t.Errorf("%v, luma alone: %v", f, p.validate())
		}
	}
}
