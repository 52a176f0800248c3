//go:build cuda

package gpu

import (
	"math/rand/v2"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// colourFormat is a format with chroma for tests.
func colourFormat(width, height, bpc int, s vmaf.Subsampling) vmaf.Format {
	f := format(width, height, bpc)
	f.Subsampling = s
	return f
}

// randomColour are frames with chroma: a reference and up to renditions distorted pictures each, some of them missing or the reference
// itself.
func randomColour(rng *rand.Rand, f vmaf.Format, n, renditions int) []Frame {
	chroma := func() (planes [2]*vmaf.Plane) {
		c := f
		c.Width, c.Height = f.Subsampling.ChromaSize(f.Width, f.Height)
		for i := range planes {
			planes[i] = randomPlane(rng, c)
		}
		return planes
	}
	frames := randomFrames(rng, f, n, renditions)
	for i := range frames {
		frames[i].ReferenceChroma = chroma()
		for _, distorted := range frames[i].Distorted {
			var of [2]*vmaf.Plane
			switch distorted {
			case nil:
			case frames[i].Reference:
				of = frames[i].ReferenceChroma
			default:
				of = chroma()
			}
			frames[i].DistortedChroma = append(frames[i].DistortedChroma, of)
		}
	}
	return frames
}

// layout is how a decoder leaves pictures on the device.
type layout struct {
	interleaved bool // chroma in one plane of pairs, not in two planes one below the other
	aligned     bool // rows begin where the surface's do; otherwise at any sample, as those of a crop
	highBits    bool
}

// layouts are those that pictures of a depth can have.
func layouts(bpc int) []layout {
	var list []layout
	for _, interleaved := range []bool{false, true} {
		for _, aligned := range []bool{false, true} {
			list = append(list, layout{interleaved, aligned, false})
			if bpc > 8 {
				list = append(list, layout{interleaved, aligned, true})
			}
		}
	}
	return list
}

// upload copies planes of one size to one surface of the device and describes each there.
func (l layout) upload(t testing.TB, d *Device, rng *rand.Rand, f vmaf.Format, planes ...*vmaf.Plane) []*vmaf.Plane {
	t.Helper()
	n, width, height := f.BytesPerSample(), planes[0].Width, planes[0].Height
	across, down := 1, 1 // planes beside each other by turns, and one below the other
	if l.interleaved {
		across = len(planes)
	} else {
		down = len(planes)
	}
	left, top := 0, 0
	if !l.aligned {
		left, top = rng.IntN(9), rng.IntN(3)
	}
	surface := f
	surface.Width, surface.Height = (left+width)*across, top+height*down
	whole := randomPlane(rng, surface)
	for i, p := range planes {
		for y := range height {
			for x := range width {
				at := y*p.StrideBytes + x*n
				v := int(p.Data[at])
				if n == 2 {
					v |= int(p.Data[at+1]) << 8
				}
				if l.highBits {
					v <<= 16 - f.BitsPerComponent
				}
				setSample(whole, n, (left+x)*across+i%across, top+i%down*height+y, v)
			}
		}
	}
	u, err := d.Upload(*whole, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	var described []*vmaf.Plane
	for i := range planes {
		c := u.Plane
		c.DeviceAddress += uint64((top+i%down*height)*c.StrideBytes + (left*across+i%across)*n)
		c.Width, c.Height, c.HighBits, c.Interleaved = width, height, l.highBits, across > 1
		described = append(described, &c)
	}
	return described
}

// colourOnDevice copies frames with chroma to the device. Equal planes stay equal; predecessors are left out.
func colourOnDevice(t testing.TB, d *Device, rng *rand.Rand, f vmaf.Format, frames []Frame, l layout) []Frame {
	t.Helper()
	copies := map[*vmaf.Plane]*vmaf.Plane{}
	picture := func(luma *vmaf.Plane, chroma [2]*vmaf.Plane) (*vmaf.Plane, [2]*vmaf.Plane) {
		if luma == nil {
			return nil, chroma
		}
		if copies[luma] == nil {
			copies[luma] = l.upload(t, d, rng, f, luma)[0]
			both := l.upload(t, d, rng, f, chroma[0], chroma[1])
			copies[chroma[0]], copies[chroma[1]] = both[0], both[1]
		}
		return copies[luma], [2]*vmaf.Plane{copies[chroma[0]], copies[chroma[1]]}
	}
	out := make([]Frame, len(frames))
	for i, frame := range frames {
		out[i].Reference, out[i].ReferenceChroma = picture(frame.Reference, frame.ReferenceChroma)
		for k := range frame.Distorted {
			luma, chroma := picture(frame.Distorted[k], frame.DistortedChroma[k])
			out[i].Distorted, out[i].DistortedChroma = append(out[i].Distorted, luma), append(out[i].DistortedChroma, chroma)
		}
	}
	return out
}

// eachPair calls f for each pair of frames with chroma in host memory, in the order of their numbers: with planes Y, Cb and Cr.
func eachPair(frames []Frame, f func(ref, dis [3]*vmaf.Plane)) {
	for _, frame := range frames {
		for k, distorted := range frame.Distorted {
			if distorted != nil {
				f([3]*vmaf.Plane{frame.Reference, frame.ReferenceChroma[0], frame.ReferenceChroma[1]},
					[3]*vmaf.Plane{distorted, frame.DistortedChroma[k][0], frame.DistortedChroma[k][1]})
			}
		}
	}
}
