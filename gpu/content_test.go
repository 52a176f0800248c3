//go:build cuda

package gpu

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// randomPlane is a plane in host memory with rows of odd lengths, not aligned where samples are bytes, and junk between them. Its samples
// have smooth parts and noise, so that all features find something.
func randomPlane(rng *rand.Rand, f vmaf.Format) *vmaf.Plane {
	n := f.BytesPerSample()
	stride := f.Width*n + n*rng.IntN(20)
	backing := make([]byte, 64+stride*f.Height)
	for i := range backing {
		backing[i] = byte(rng.Uint32())
	}
	// An array of bytes of that length begins at a multiple of 8.
	p := &vmaf.Plane{Data: backing[n*rng.IntN(8):], StrideBytes: stride, Width: f.Width, Height: f.Height}
	top := 1<<f.BitsPerComponent - 1
	noise := 1 + rng.IntN(top/2)
	for y := range f.Height {
		for x := range f.Width {
			v := (x*top/f.Width+y*top/f.Height)/2 + rng.IntN(noise) - noise/2
			setSample(p, n, x, y, min(max(v, 0), top))
		}
	}
	return p
}

func setSample(p *vmaf.Plane, n, x, y, v int) {
	at := y*p.StrideBytes + x*n
	p.Data[at] = byte(v)
	if n == 2 {
		p.Data[at+1] = byte(v >> 8)
	}
}

// randomFrames are n frames of a clip, each with its predecessors, and up to renditions distorted pictures, some of them missing.
func randomFrames(rng *rand.Rand, f vmaf.Format, n, renditions int) []Frame {
	frames := make([]Frame, n)
	for i := range frames {
		frames[i].Reference = randomPlane(rng, f)
		for distance := 1; distance <= min(i, 2); distance++ {
			frames[i].Previous[distance-1] = frames[i-distance].Reference
		}
		for range renditions {
			var distorted *vmaf.Plane
			switch rng.IntN(4) {
			case 0:
			case 1:
				distorted = frames[i].Reference
			default:
				distorted = randomPlane(rng, f)
			}
			frames[i].Distorted = append(frames[i].Distorted, distorted)
		}
		// The list may be shorter than the plan's renditions.
		if renditions > 0 && rng.IntN(3) == 0 {
			frames[i].Distorted = frames[i].Distorted[:rng.IntN(renditions)]
		}
	}
	return frames
}

// cpuSums is what a session for the plan has to find.
func cpuSums(t testing.TB, p Plan, frames []Frame) Sums {
	t.Helper()
	f := p.Format
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sums := Sums{Motion: make([][2]uint64, len(frames))}
	if len(p.MotionDistances) > 0 {
		scratch, err := cpu.NewMotionScratch(f.Width, f.Height, f.BitsPerComponent)
		must(err)
		defer scratch.Close()
		for i, frame := range frames {
			for _, distance := range p.MotionDistances {
				if previous := frame.Previous[distance-1]; previous != nil {
					sums.Motion[i][distance-1], err = scratch.SAD(*previous, *frame.Reference)
					must(err)
				}
			}
		}
	}
	sums.VIF = make([][]score.VIFSums, len(p.VIFGains))
	if len(p.VIFGains) > 0 {
		for _, frame := range frames {
			if distorted := present(frame); len(distorted) > 0 {
				scratch, err := cpu.NewVIFScratch(f.Width, f.Height, f.BitsPerComponent, len(distorted))
				must(err)
				defer scratch.Close()
				out := rows[score.VIFSums](len(p.VIFGains), len(distorted))
				must(scratch.VIF(*frame.Reference, distorted, p.VIFGains, out))
				for i := range out {
					sums.VIF[i] = append(sums.VIF[i], out[i]...)
				}
			}
		}
	}
	sums.ADM = make([][]score.ADMSums, len(p.ADM))
	if len(p.ADM) > 0 {
		for _, frame := range frames {
			if distorted := present(frame); len(distorted) > 0 {
				scratch, err := cpu.NewADMScratch(f.Width, f.Height, f.BitsPerComponent, len(distorted), len(p.ADM))
				must(err)
				defer scratch.Close()
				out := rows[score.ADMSums](len(p.ADM), len(distorted))
				must(scratch.ADM(*frame.Reference, distorted, p.ADM, out))
				for i := range out {
					sums.ADM[i] = append(sums.ADM[i], out[i]...)
				}
			}
		}
	}
	return sums
}

func present(f Frame) []vmaf.Plane {
	var planes []vmaf.Plane
	for _, p := range f.Distorted {
		if p != nil {
			planes = append(planes, *p)
		}
	}
	return planes
}

func rows[T any](n, length int) [][]T {
	out := make([][]T, n)
	for i := range out {
		out[i] = make([]T, length)
	}
	return out
}

// diff shows where sums differ from what the CPU says; the time does not count, and no pairs are no pairs.
func diff(want, got Sums) string {
	want.DeviceTime, got.DeviceTime = 0, 0
	return cmp.Diff(want, got, cmp.Transformer("pairs", func(v [][]score.VIFSums) map[int][]score.VIFSums { return numbered(v) }),
		cmp.Transformer("pairs", func(v [][]score.ADMSums) map[int][]score.ADMSums { return numbered(v) }))
}

func numbered[T any](lists [][]T) map[int][]T {
	m := map[int][]T{}
	for i, list := range lists {
		if len(list) > 0 {
			m[i] = list
		}
	}
	return m
}

// onDevice copies the frames' planes to the device, as a decoder would have left them: with their values in the high bits if highBits, and
// as a crop out of a larger picture, which begins at any sample. Equal planes stay equal.
func onDevice(t testing.TB, d *Device, rng *rand.Rand, f vmaf.Format, frames []Frame, highBits bool) []Frame {
	t.Helper()
	copies := map[*vmaf.Plane]*vmaf.Plane{nil: nil}
	upload := func(p *vmaf.Plane) *vmaf.Plane {
		if c, ok := copies[p]; ok {
			return c
		}
		n := f.BytesPerSample()
		left, top := rng.IntN(9), rng.IntN(3)
		large := f
		large.Width += left + rng.IntN(3)
		large.Height += top + rng.IntN(2)
		whole := randomPlane(rng, large)
		for y := range f.Height {
			for x := range f.Width {
				at := y*p.StrideBytes + x*n
				v := int(p.Data[at])
				if n == 2 {
					v |= int(p.Data[at+1]) << 8
				}
				if highBits {
					v <<= 16 - f.BitsPerComponent
				}
				setSample(whole, n, left+x, top+y, v)
			}
		}
		whole.HighBits = highBits
		u, err := d.Upload(*whole, n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := u.Close(); err != nil {
				t.Error(err)
			}
		})
		c := u.Plane
		c.DeviceAddress += uint64(top*c.StrideBytes + left*n)
		c.Width, c.Height = f.Width, f.Height
		copies[p] = &c
		return &c
	}
	out := make([]Frame, len(frames))
	for i, frame := range frames {
		out[i] = Frame{Reference: upload(frame.Reference)}
		for j, previous := range frame.Previous {
			out[i].Previous[j] = upload(previous)
		}
		for _, distorted := range frame.Distorted {
			out[i].Distorted = append(out[i].Distorted, upload(distorted))
		}
	}
	return out
}

// The planes above rely on it.
func TestRandomPlane_HasAlignedSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		p := randomPlane(rng, format(5, 3, 16))
		if uintptr(unsafe.Pointer(unsafe.SliceData(p.Data)))%2 != 0 || p.StrideBytes%2 != 0 {
			t.Fatalf("plane at %p, rows %d bytes apart", unsafe.SliceData(p.Data), p.StrideBytes)
		}
	}
}
