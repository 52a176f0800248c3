package cpu

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// eachTarget runs f once for every vector target of this machine, the plain one first.
func eachTarget(t *testing.T, f func(t *testing.T, name string)) {
	t.Helper()
	before := Target()
	defer func() {
		if err := SetTarget(before); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range Targets() {
		if err := SetTarget(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// testPlane makes a plane whose rows lie strideBytes apart, with the given samples and junk in the padding.
func testPlane(width, height, bpc, padBytes int, sample func(x, y int) int) vmaf.Plane {
	size := 1
	if bpc > 8 {
		size = 2
	}
	stride := width*size + padBytes
	p := vmaf.Plane{Data: make([]byte, stride*height), StrideBytes: stride, Width: width, Height: height}
	for i := range p.Data {
		p.Data[i] = byte(i * 37)
	}
	for y := range height {
		for x := range width {
			v := sample(x, y)
			if size == 1 {
				p.Data[y*stride+x] = byte(v)
			} else {
				binary.LittleEndian.PutUint16(p.Data[y*stride+2*x:], uint16(v))
			}
		}
	}
	return p
}

// vifContents are kinds of pictures that exercise different branches; each gives a sample of bpc bits.
func vifContents(seed uint64, bpc int) map[string]func(x, y int) int {
	rng := rand.New(rand.NewPCG(seed, 1))
	top := 1<<bpc - 1
	natural := func(x, y int) int {
		v := 128 + 60*((x/9+y/7)%3) - 40*((x*y/64)%2) + int(rng.NormFloat64()*6)
		return min(max(v, 0), 255) << (bpc - 8)
	}
	return map[string]func(x, y int) int{
		"noise":   func(int, int) int { return rng.IntN(top + 1) },
		"natural": natural,
		"zero":    func(int, int) int { return 0 },
		"max":     func(int, int) int { return top },
		"checker": func(x, y int) int { return top * ((x + y) % 2) },
		"binary":  func(int, int) int { return top * rng.IntN(2) },
		"ramp":    func(x, y int) int { return (x*3 + y*5) % (top + 1) },
		"dim":     func(int, int) int { return (100 << (bpc - 8)) + rng.IntN(1+3<<(bpc-8)) },
	}
}

func measureVIF(t *testing.T, ref vmaf.Plane, dis []vmaf.Plane, bpc int, gains []float64) [][]VIFSums {
	t.Helper()
	s, err := NewVIFScratch(ref.Width, ref.Height, bpc, len(dis))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := make([][]VIFSums, len(gains))
	for g := range out {
		out[g] = make([]VIFSums, len(dis))
	}
	if err := s.VIF(ref, dis, gains, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVIFTargetsEqualPlain(t *testing.T) {
	sizes := [][2]int{{16, 16}, {17, 33}, {64, 64}, {65, 63}, {31, 19}, {97, 40}, {257, 50}, {322, 37}, {639, 21}}
	plain := map[string][][]VIFSums{}
	eachTarget(t, func(t *testing.T, target string) {
		for i, size := range sizes {
			for _, bpc := range []int{8, 9, 10, 12, 16} {
				for name := range vifContents(1, bpc) {
					id := fmt.Sprintf("%dx%d/%d bit/%s", size[0], size[1], bpc, name)
					contents := vifContents(7, bpc)
					ref := testPlane(size[0], size[1], bpc, 2*i, contents[name])
					dis := []vmaf.Plane{
						testPlane(size[0], size[1], bpc, 6, contents["natural"]),
						testPlane(size[0], size[1], bpc, 2*i, contents[name]),
						ref,
					}
					got := measureVIF(t, ref, dis, bpc, []float64{100, 1, 1.5})
					if target == "plain" {
						plain[id] = got
						continue
					}
					for g := range got {
						if !slices.Equal(got[g], plain[id][g]) {
							t.Fatalf("%s, limit %d:\n got %+v\nwant %+v", id, g, got[g], plain[id][g])
						}
					}
				}
			}
		}
	})
}

// Every logarithm that can occur is determined by the mantissa's 16 leading bits and the exponent: try them all, with the
// bits below at both ends and in the middle.
func TestVIFLog2IsExact(t *testing.T) {
	var want []int32
	var x []uint32
	for b := 17; b <= 30; b++ {
		for m := range uint32(32768) {
			base := (32768 + m) << (b - 15)
			below := uint32(1)<<(b-15) - 1
			x = append(x, base, base|below/2, base|below)
		}
	}
	got := make([]int32, len(x))
	eachTarget(t, func(t *testing.T, target string) {
		vifLog2(x, got)
		if target == "plain" {
			want = slices.Clone(got)
			return
		}
		for i := range x {
			if got[i] != want[i] {
				t.Fatalf("log2(%d): got %d, want %d", x[i], got[i], want[i])
			}
		}
	})
}

func BenchmarkVIF(b *testing.B) {
	for _, size := range [][2]int{{1920, 1080}, {3840, 2160}} {
		for _, bpc := range []int{8, 10} {
			for _, renditions := range []int{1, 4} {
				contents := vifContents(3, bpc)
				ref := testPlane(size[0], size[1], bpc, 0, contents["natural"])
				var dis []vmaf.Plane
				for range renditions {
					dis = append(dis, testPlane(size[0], size[1], bpc, 0, contents["natural"]))
				}
				s, err := NewVIFScratch(size[0], size[1], bpc, renditions)
				if err != nil {
					b.Fatal(err)
				}
				out := [][]VIFSums{make([]VIFSums, renditions)}
				b.Run(fmt.Sprintf("%dx%d/%dbit/%d", size[0], size[1], bpc, renditions), func(b *testing.B) {
					for b.Loop() {
						if err := s.VIF(ref, dis, []float64{100}, out); err != nil {
							b.Fatal(err)
						}
					}
				})
				s.Close()
			}
		}
	}
}
