//go:build cuda

package gpu

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	moreParityRunners["psnrhvs"] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
		return func(size check.Size, bpc int) (check.Runner, error) {
			plan := Plan{Format: vmaf.Format{Subsampling: vmaf.Chroma420}, Renditions: 2, PSNRHVS: true}
			return session(size, bpc, plan, psnrHVSRunner)
		}
	}
}

// psnrHVSRunner takes planes in threes, Y, Cb, Cr of a reference and two distorted pictures.
var psnrHVSRunner = runner{
	frame: func(p []vmaf.Plane) Frame {
		return Frame{
			Reference: &p[0], ReferenceChroma: [2]*vmaf.Plane{&p[1], &p[2]},
			Distorted: []*vmaf.Plane{&p[3], &p[6]}, DistortedChroma: [][2]*vmaf.Plane{{&p[4], &p[5]}, {&p[7], &p[8]}},
		}
	},
	fill: func(results []int64, sums *Sums) {
		for k := range 2 {
			for p, sum := range sums.PSNRHVS[k] {
				results[3*k+p] = int64(math.Float32bits(sum))
			}
		}
	},
}

// measurePSNRHVS measures frames, which may lie on the device, and holds the sums against those that the CPU finds for the same in host
// memory, bit by bit.
func measurePSNRHVS(t *testing.T, s *Session, frames, host []Frame) {
	t.Helper()
	scratch, err := cpu.NewPSNRHVSScratch(s.plan.Format, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	var want []score.PSNRHVSSums
	eachPair(host, func(ref, dis [3]*vmaf.Plane) {
		var pictures [2]vmaf.Picture
		for p := range 3 {
			pictures[0].Planes[p], pictures[1].Planes[p] = *ref[p], *dis[p]
		}
		sums := make([]score.PSNRHVSSums, 1)
		if err := scratch.PSNRHVS(&pictures[0], []*vmaf.Picture{&pictures[1]}, sums); err != nil {
			t.Fatal(err)
		}
		want = append(want, sums[0])
	})
	got := Sums{PSNRHVS: []score.PSNRHVSSums{{1, 2, 3}}} // what is there before must not matter
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.PSNRHVS, want) {
		t.Errorf("%v: sums %v, want %v", s.plan.Format, got.PSNRHVS, want)
	}
}

// Every way in which a decoder can leave pictures, all depths, odd sizes, and as many blocks as warps and the sum's threads take, one more
// and one less.
func TestPSNRHVS_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, c := range []struct {
		width, height int
		subsampling   vmaf.Subsampling
	}{
		{8, 8, vmaf.Chroma444}, {17, 16, vmaf.Chroma420}, {16, 9, vmaf.Chroma422}, {225, 8, vmaf.Chroma444}, {232, 8, vmaf.Chroma422},
		{113, 113, vmaf.Chroma420}, {120, 113, vmaf.Chroma444}, {91, 75, vmaf.Chroma420},
	} {
		bpc := 8 + i%5
		f := colourFormat(c.width, c.height, bpc, c.subsampling)
		rng := newRand(uint64(i))
		frames := randomColour(rng, f, 2, 2)
		s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 2, PSNRHVS: true})
		measurePSNRHVS(t, s, frames, frames)
		for _, l := range layouts(bpc) {
			if c.width > 100 && !l.aligned {
				continue // takes long on the emulator
			}
			measurePSNRHVS(t, s, colourOnDevice(t, d, rng, f, frames, l), frames)
		}
	}
}

// Identical pictures add nothing at all, over more blocks than the sum's threads take at once; then a plane differs in its last block alone.
func TestPSNRHVS_SumOfAlmostNothing(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := colourFormat(135, 120, 8, vmaf.Chroma444)
	frames := randomColour(newRand(3), f, 1, 0)
	ref := frames[0]
	same, changed := *ref.Reference, *ref.ReferenceChroma[1]
	same.Data = slices.Clone(same.Data) // luma tells pictures apart
	changed.Data = slices.Clone(changed.Data)
	last := (f.Height-2)*changed.StrideBytes + f.Width - 2
	changed.Data[last] ^= 0x80
	frames[0].Distorted = []*vmaf.Plane{ref.Reference, &same}
	frames[0].DistortedChroma = [][2]*vmaf.Plane{ref.ReferenceChroma, {ref.ReferenceChroma[0], &changed}}
	s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 2, PSNRHVS: true})
	measurePSNRHVS(t, s, frames, frames)
	var got Sums
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if got.PSNRHVS[0] != (score.PSNRHVSSums{}) || got.PSNRHVS[1][0] != 0 || got.PSNRHVS[1][1] != 0 || got.PSNRHVS[1][2] <= 0 {
		t.Errorf("sums %v; want nothing but for the last plane", got.PSNRHVS)
	}
}

// Pairs are summed by number, whichever frame they are of, and a frame may have none.
func TestPSNRHVS_FramesWithoutPairs(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := colourFormat(40, 33, 10, vmaf.Chroma420)
	frames := randomColour(newRand(5), f, 4, 3)
	frames[1].Distorted, frames[1].DistortedChroma = nil, nil
	s := newSession(t, d, Plan{Format: f, Frames: 4, Renditions: 3, PSNRHVS: true})
	measurePSNRHVS(t, s, frames, frames)
	measurePSNRHVS(t, s, frames[1:2], frames[1:2])
	measurePSNRHVS(t, s, frames[2:], frames[2:])
}

func TestPSNRHVS_BytesIsWhatASessionTakes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, p := range []Plan{
		{Format: colourFormat(16, 16, 8, vmaf.Chroma420), Frames: 1, Renditions: 1, PSNRHVS: true},
		{Format: colourFormat(243, 51, 12, vmaf.Chroma422), Frames: 3, Renditions: 2, PSNRHVS: true, SSEPlanes: 3},
	} {
		before := d.UsedBytes()
		s := newSession(t, d, p)
		if got, want := d.UsedBytes()-before, p.Bytes(); got != want {
			t.Errorf("%v: the session took %d bytes, Bytes says %d", p, got, want)
		}
		if err := errors.Join(s.Close(), d.Trim()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPSNRHVS_Refuses(t *testing.T) {
	for want, f := range map[string]vmaf.Format{
		"14 bits per component; must be 8 … 12": colourFormat(64, 64, 14, vmaf.Chroma420),
		"must be at least 16x16":                colourFormat(16, 15, 8, vmaf.Chroma420),
		"4:0:0 have no chroma":                  format(64, 64, 8),
	} {
		p := Plan{Format: f, Frames: 1, Renditions: 1, PSNRHVS: true}
		if err := p.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", f, err, want)
		}
	}
}
