//go:build cuda

package gpu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// Sizes at the borders of what blocks have: strips of 240 and 248 columns at several scales, bands of 4 rows, segments of up to 64; and the
// smallest, whose scale 3 is 2×2 and mirrored several times over.
var vifSizes = [][2]int{{16, 16}, {17, 16}, {16, 31}, {19, 67}, {239, 20}, {240, 19}, {241, 24}, {256, 21}, {257, 16}, {496, 17}, {498, 18}, {31, 150}}

func TestVIF_EqualsCPUAtTheBordersOfBlocks(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, size := range vifSizes {
		bpc := []int{8, 10, 8, 16}[i%4]
		f := format(size[0], size[1], bpc)
		rng := newRand(uint64(i))
		s := newSession(t, d, Plan{Format: f, Frames: 1, Renditions: 2, VIFGains: []float64{100, 1}})
		frames := []Frame{{Reference: randomPlane(rng, f), Distorted: []*vmaf.Plane{randomPlane(rng, f), randomPlane(rng, f)}}}
		measure(t, s, frames, frames)
	}
}

func TestVIF_EqualsCPUAtAllDepths(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for bpc := 8; bpc <= 16; bpc++ {
		f := format(37, 26, bpc)
		rng := newRand(uint64(bpc))
		s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 2, VIFGains: []float64{100, 1}})
		frames := randomFrames(rng, f, 3, 2)
		measure(t, s, frames, frames)
		measure(t, s, onDevice(t, d, rng, f, frames, bpc > 8), frames)
	}
}

// The largest and smallest means, variances and covariances that there are, which the widths of the kernel's sums are made for.
func TestVIF_EqualsCPUAtExtremes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	contents := []func(x, y int) bool{
		func(int, int) bool { return false },
		func(int, int) bool { return true },
		func(x, y int) bool { return (x+y)%2 == 0 },
		func(x, y int) bool { return (x/16+y/16)%2 == 0 },
		func(x, _ int) bool { return x%32 < 16 },
		func(x, y int) bool { return x == 20 && y == 20 },
	}
	for _, bpc := range []int{8, 9, 15, 16} {
		f := format(64, 40, bpc)
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
		s := newSession(t, d, Plan{Format: f, Frames: len(frames), Renditions: len(planes), VIFGains: []float64{100, 1}})
		measure(t, s, frames, frames)
	}
}

// Limits go two to a launch, and what does not depend on them must not be counted again.
func TestVIF_GainLimits(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(70, 36, 8)
	frames := randomFrames(newRand(7), f, 3, 3)
	for _, frame := range frames {
		for y := range f.Height {
			for x := range 50 { // flat, where the distorted picture's variance counts
				setSample(frame.Reference, 1, x, y, 90)
			}
		}
	}
	for _, gains := range [][]float64{{100}, {1}, {1.5}, {1, 100}, {100, 1, 1.5}, {1, 1.01, 2, 100, 1}} {
		s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 3, VIFGains: gains})
		measure(t, s, frames, frames)
	}
}

// A lane of a warp keeps the sums of one rendition; there are 32 lanes.
func TestVIF_MoreRenditionsThanLanes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(24, 20, 8)
	rng := newRand(9)
	const renditions = 35
	some := make([]*vmaf.Plane, 3)
	for i := range some {
		some[i] = randomPlane(rng, f)
	}
	frames := make([]Frame, 2)
	for i := range frames {
		frames[i].Reference = randomPlane(rng, f)
		for k := range renditions {
			frames[i].Distorted = append(frames[i].Distorted, some[rng.IntN(len(some))])
			if k%(7+i) == 3 {
				frames[i].Distorted[k] = nil
			}
		}
	}
	s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: renditions + 1, VIFGains: []float64{1, 100}})
	measure(t, s, frames, frames)
}

func TestVIF_AnyBatchesGiveTheSame(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(50, 45, 10)
	rng := newRand(11)
	clip := randomFrames(rng, f, 6, 3)
	clip[2].Distorted = nil
	s := newSession(t, d, Plan{Format: f, Frames: 6, Renditions: 3, VIFGains: []float64{100, 1}})
	for _, cuts := range [][]int{{6}, {1, 1, 1, 1, 1, 1}, {2, 4}, {5, 1}} {
		for at, n := 0, 0; len(cuts) > 0; at += n {
			n, cuts = cuts[0], cuts[1:]
			measure(t, s, clip[at:at+n], clip[at:at+n])
		}
	}
}

// However the device's size has the rows cut into segments, each row is in one block.
func TestVIFGrid_CoversThePicture(t *testing.T) {
	for _, multiprocessors := range []int{0, 1, 58, 132} {
		for _, size := range [][2]int{{16, 16}, {576, 324}, {1920, 1080}, {3840, 2160}, {240, 64}, {241, 65}} {
			for scale := range vifScales {
				width, height := size[0]>>scale, size[1]>>scale
				grid, rows := vifGrid(scale, width, height, 3, multiprocessors)
				if covered := grid.x * vifStrip(scale); covered < width || covered-width >= vifStrip(scale) {
					t.Errorf("%dx%d on %d: %d strips of %d columns", width, height, multiprocessors, grid.x, vifStrip(scale))
				}
				if covered := grid.y * rows; covered < height || covered-height >= rows || rows%vifBand != 0 || rows < vifFewestRows {
					t.Errorf("%dx%d on %d: %d segments of %d rows", width, height, multiprocessors, grid.y, rows)
				}
				if grid.z != 3 {
					t.Errorf("%d layers for 3 frames", grid.z)
				}
			}
		}
	}
	if _, rows := vifGrid(0, 3840, 2160, 16, 132); rows != vifMostRows {
		t.Errorf("blocks of %d rows where there is work for all of them, want %d", rows, vifMostRows)
	}
	if _, rows := vifGrid(3, 72, 40, 1, 132); rows != vifFewestRows {
		t.Errorf("blocks of %d rows for one small picture, want %d", rows, vifFewestRows)
	}
}

func TestVIF_BytesIsWhatASessionTakes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, p := range []Plan{
		{Format: format(16, 16, 8), Frames: 1, Renditions: 1, VIFGains: []float64{100}},
		{Format: format(67, 50, 10), Frames: 3, Renditions: 2, VIFGains: []float64{100, 1, 2}},
	} {
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

func TestVIF_TooSmall(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, size := range [][2]int{{15, 16}, {16, 15}} {
		_, err := d.NewSession(Plan{Format: format(size[0], size[1], 8), Frames: 1, Renditions: 1, VIFGains: []float64{100}})
		if want := fmt.Sprintf("pictures of %dx%d; VIF needs at least 16x16", size[0], size[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", size, err, want)
		}
	}
}

// vifLog2 is log2 in 1/2048 as spec/vif.md §2.1 and §2.2 say it.
func vifLog2(x uint32) uint32 {
	k := 0
	for x>>k > 65535 {
		k++
	}
	return uint32(math.Floor(2048*math.Log2(float64(x>>k))+0.5+1.0/1024)) + 2048*uint32(k)
}

// TestVIF_Spec2_1_EveryLogarithm tries all 32768 mantissas with each exponent that occurs, and what is cut off at its least and at its most.
func TestVIF_Spec2_1_EveryLogarithm(t *testing.T) {
	var arguments []uint32
	for k := 2; k < 16; k++ {
		for mantissa := uint32(32768); mantissa < 65536; mantissa++ {
			arguments = append(arguments, mantissa<<k, mantissa<<k|(1<<k-1))
		}
	}
	d := openDevice(t, 0, Config{})
	var got []byte
	err := d.do(func() (err error) {
		k, err := d.kernel("vif", "vqs_vif_log2")
		if err != nil {
			return err
		}
		m := memory{device: d}
		defer func() { err = errors.Join(err, m.close()) }()
		var data []byte
		for _, x := range arguments {
			data = binary.LittleEndian.AppendUint32(data, x)
		}
		in, err := m.upload("arguments", data)
		if err != nil {
			return err
		}
		out, err := m.alloc("logarithms", int64(len(data)))
		if err != nil {
			return err
		}
		s, err := d.newStream()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		blocks := (len(arguments) + vifThreads - 1) / vifThreads
		if err := s.launch(k, dim3{blocks, 1, 1}, dim3{vifThreads, 1, 1}, in, out, uint64(len(arguments))); err != nil {
			return err
		}
		back, err := d.newPinned("logarithms", len(data))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, back.close()) }()
		if err := errors.Join(s.copyOut(back.data, out), s.drain()); err != nil {
			return err
		}
		got = bytes.Clone(back.data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i, x := range arguments {
		if got, want := binary.LittleEndian.Uint32(got[4*i:]), vifLog2(x); got != want && wrong < 10 {
			t.Errorf("log2(%d) is %d/2048, want %d", x, got, want)
			wrong++
		}
	}
}
