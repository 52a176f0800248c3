//go:build cuda

package gpu

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/vmaf"
)

// widenedPicture is a picture of 8 bits in the device's memory, with chroma samples that alternate, and the same at more bits in the host's.
func widenedPicture(t *testing.T, d *Device, f vmaf.Format, seed uint64, repeat bool) (device, host [3]*vmaf.Plane) {
	t.Helper()
	narrow := f
	narrow.BitsPerComponent = 8
	up := f.BitsPerComponent - 8
	width, height := f.Subsampling.ChromaSize(f.Width, f.Height)
	rng := newRand(seed)
	wide := func(p *vmaf.Plane, repeat bool) *vmaf.Plane {
		out := &vmaf.Plane{Data: make([]byte, 2*p.Width*p.Height), StrideBytes: 2 * p.Width, Width: p.Width, Height: p.Height}
		for y := range p.Height {
			for x := range p.Width {
				v := int(p.Data[y*p.StrideBytes+x])
				value := v << up
				if repeat {
					value |= v >> (8 - up)
				}
				setSample(out, 2, x, y, value)
			}
		}
		return out
	}
	upload := func(p vmaf.Plane) vmaf.Plane {
		u, err := d.Upload(p, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := u.Close(); err != nil {
				t.Error(err)
			}
		})
		return u.Plane
	}
	luma := randomPlane(rng, narrow)
	onDevice := upload(*luma)
	onDevice.Widened, onDevice.WidenedRepeat = uint8(up), repeat
	device[0], host[0] = &onDevice, wide(luma, repeat)

	small := narrow
	small.Width, small.Height = width, height
	planes := [2]*vmaf.Plane{randomPlane(rng, small), randomPlane(rng, small)}
	pairs := vmaf.Plane{Data: make([]byte, 2*width*height), StrideBytes: 2 * width, Width: 2 * width, Height: height}
	for y := range height {
		for x := range width {
			for i, p := range planes {
				pairs.Data[y*2*width+2*x+i] = p.Data[y*p.StrideBytes+x]
			}
		}
	}
	both := upload(pairs)
	for i, p := range planes {
		device[1+i] = &vmaf.Plane{
			DeviceAddress: both.DeviceAddress + uint64(i), StrideBytes: both.StrideBytes, Width: width, Height: height, Interleaved: true, Widened: uint8(up),
		}
		host[1+i] = wide(p, false)
	}
	return device, host
}

// A picture of 8 bits that lies on the device is measured as one of more bits would be, without leaving it.
func TestMeasure_WidenedPictures(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, c := range []struct {
		bits   int
		repeat bool
	}{{10, false}, {10, true}, {12, true}, {16, false}} {
		f := format(67, 45, c.bits)
		f.Subsampling = vmaf.Chroma420
		p := Plan{Format: f, Frames: 2, Renditions: 1, VIFGains: []float64{100}, MotionDistances: []int{1}, SSEPlanes: 3}
		s, err := d.NewSession(p)
		if err != nil {
			t.Fatal(err)
		}
		var frames [2][]Frame // with pictures on the device, and in the host's memory
		for n := range uint64(2) {
			var refs, dis [2][3]*vmaf.Plane
			refs[0], refs[1] = widenedPicture(t, d, f, 2*n, c.repeat)
			dis[0], dis[1] = widenedPicture(t, d, f, 2*n+1, c.repeat)
			for i := range frames {
				frame := Frame{
					Reference: refs[i][0], ReferenceChroma: [2]*vmaf.Plane{refs[i][1], refs[i][2]},
					Distorted: []*vmaf.Plane{dis[i][0]}, DistortedChroma: [][2]*vmaf.Plane{{dis[i][1], dis[i][2]}},
				}
				if n > 0 {
					frame.Previous[0] = frames[i][n-1].Reference
				}
				frames[i] = append(frames[i], frame)
			}
		}
		var got, want Sums
		for i, out := range []*Sums{&got, &want} {
			if err := s.Measure(context.Background(), frames[i], out); err != nil {
				t.Fatal(err)
			}
			out.DeviceTime = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d bits, low bits repeated %v (-host +device):\n%s", c.bits, c.repeat, diff)
		}
		wrong := *frames[0][0].Reference
		wrong.Widened++
		frames[0][0].Reference = &wrong
		if err := s.Measure(context.Background(), frames[0], &got); err == nil || !strings.Contains(err.Error(), "widened by") {
			t.Errorf("a plane widened by too much: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
