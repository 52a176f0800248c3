package cpu

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

// motionSAD is spec/motion.md §3.1 once more, for the plain function to be held against.
func motionSAD(prev, cur [][]int64, bpc int) uint64 {
	height, width := len(prev), len(prev[0])
	taps := [5]int64{3571, 16004, 26386, 16004, 3571}
	mirror := func(i, n int) int {
		if i < 0 {
			return -i
		}
		if i >= n {
			return 2*n - 2 - i
		}
		return i
	}
	t := func(y, x int) int64 {
		var a int64
		for k, g := range taps {
			row := mirror(y-2+k, height)
			a += g * (prev[row][x] - cur[row][x])
		}
		return (a + 1<<(bpc-1)) >> bpc
	}
	var sad uint64
	for y := range height {
		for x := range width {
			var b int64
			for k, g := range taps {
				b += g * t(y, mirror(x-2+k, width))
			}
			e := (b + 32768) >> 16
			sad += uint64(max(e, -e))
		}
	}
	return sad
}

func measureSAD(t *testing.T, prev, cur vmaf.Plane, bpc int) uint64 {
	t.Helper()
	s, err := NewMotionScratch(prev.Width, prev.Height, bpc)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sad, err := s.SAD(prev, cur)
	if err != nil {
		t.Fatal(err)
	}
	return sad
}

func TestMotionAgainstTheFormula(t *testing.T) {
	plane := func(samples [][]int64, bpc, padBytes int) vmaf.Plane {
		return testPlane(len(samples[0]), len(samples), bpc, padBytes, func(x, y int) int { return int(samples[y][x]) })
	}
	const seed = 1
	sizes := [][2]int{{3, 3}, {4, 3}, {3, 9}, {5, 5}, {31, 4}, {33, 6}, {64, 5}, {67, 7}, {129, 5},
		{2047, 4}, {2049, 4}, {4099, 3}} // one, two and three strips
	for _, size := range sizes {
		for bpc := 8; bpc <= 16; bpc++ {
			for _, reach := range []int64{1 << bpc, 1 << (bpc - 1), 3} { // how far the pictures may differ
				name := fmt.Sprintf("%dx%d %d bit differences below %d", size[0], size[1], bpc, reach)
				rng := rand.New(rand.NewPCG(seed, uint64(size[0]*1000+bpc)))
				prev, cur := make([][]int64, size[1]), make([][]int64, size[1])
				for y := range prev {
					prev[y], cur[y] = make([]int64, size[0]), make([]int64, size[0])
					for x := range prev[y] {
						prev[y][x] = rng.Int64N(1 << bpc)
						d := rng.Int64N(2*reach-1) - (reach - 1)
						cur[y][x] = min(max(prev[y][x]+d, 0), 1<<bpc-1)
					}
				}
				want := motionSAD(prev, cur, bpc)
				p, c := plane(prev, bpc, 6), plane(cur, bpc, 0)
				eachTarget(t, func(t *testing.T, _ string) {
					if got := measureSAD(t, p, c, bpc); got != want {
						t.Errorf("%s: SAD %d, want %d", name, got, want)
					}
				})
			}
		}
	}
}

// The spec: "|t| < 2^16, |e| < 2^16", and a flat difference passes the filter unchanged but for the scale.
func TestMotion_Spec3_1_FlatDifferences(t *testing.T) {
	const width, height = 70, 9
	for bpc := 8; bpc <= 16; bpc++ {
		top := int64(1)<<bpc - 1
		for _, v := range []int64{0, 1, top / 2, top/2 + 1, top} {
			want := uint64(v<<(16-bpc)) * width * height
			dark := testPlane(width, height, bpc, 0, func(int, int) int { return 0 })
			light := testPlane(width, height, bpc, 0, func(int, int) int { return int(v) })
			eachTarget(t, func(t *testing.T, _ string) {
				if got := measureSAD(t, dark, light, bpc); got != want {
					t.Errorf("%d bit, 0 → %d: SAD %d, want %d", bpc, v, got, want)
				}
				if got := measureSAD(t, light, dark, bpc); got != want {
					t.Errorf("%d bit, %d → 0: SAD %d, want %d", bpc, v, got, want)
				}
			})
		}
	}
}

// Every raw reference of the golden material, 8 to 16 bits: integer_motion's series is the SAD over 256·W·H.
func TestMotionGolden(t *testing.T) {
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !strings.HasSuffix(table.Reference, ".yuv") {
			continue
		}
		want, ok := table.Column("VMAF_integer_feature_motion_sad_score")
		if !ok {
			t.Errorf("%s: no motion column", pair)
			continue
		}
		bpc, chroma := 8, 2
		switch table.PixFmt {
		case "yuv420p":
		case "yuv420p10le":
			bpc = 10
		case "yuv420p12le":
			bpc = 12
		case "yuv420p16le":
			bpc = 16
		default:
			t.Fatalf("%s: pixel format %s", pair, table.PixFmt)
		}
		t.Run(pair, func(t *testing.T) {
			file, err := os.Open(golden.Clip(t, table.Reference))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			sampleBytes := (bpc + 7) / 8
			luma := table.Width * table.Height * sampleBytes
			frame := luma + chroma*((table.Width+1)/2)*((table.Height+1)/2)*sampleBytes
			planes := make([]vmaf.Plane, table.Frames)
			for i := range planes {
				data := make([]byte, frame)
				if _, err := io.ReadFull(file, data); err != nil {
					t.Fatal(err)
				}
				planes[i] = vmaf.Plane{Data: data, StrideBytes: table.Width * sampleBytes, Width: table.Width, Height: table.Height}
			}
			eachTarget(t, func(t *testing.T, _ string) {
				for i := 1; i < len(planes); i++ {
					sad := measureSAD(t, planes[i-1], planes[i], bpc)
					got := float64(sad) / 256 / float64(table.Width*table.Height)
					if got != want.Values[i] {
						t.Errorf("frame %d: motion %.17g, want %.17g", i, got, want.Values[i])
					}
				}
			})
		})
	}
}

func TestMotionRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct{ width, height, bpc int }{
		{2, 3, 8}, {3, 2, 8}, {0, 0, 8}, {-5, 9, 8}, {1 << 40, 9, 8}, {65537, 9, 8}, {9, 65537, 8}, {9, 9, 7}, {9, 9, 17},
	} {
		if s, err := NewMotionScratch(c.width, c.height, c.bpc); err == nil {
			s.Close()
			t.Errorf("scratch of %d×%d at %d bits was made", c.width, c.height, c.bpc)
		}
	}

	s, err := NewMotionScratch(10, 5, 10)
	if err != nil {
		t.Fatal(err)
	}
	good := vmaf.Plane{Data: make([]byte, 4*24+20), StrideBytes: 24, Width: 10, Height: 5}
	with := func(change func(*vmaf.Plane)) vmaf.Plane {
		p := good
		change(&p)
		return p
	}
	for name, bad := range map[string]vmaf.Plane{
		"wrong width":       with(func(p *vmaf.Plane) { p.Width = 11 }),
		"wrong height":      with(func(p *vmaf.Plane) { p.Height = 4 }),
		"a byte short":      with(func(p *vmaf.Plane) { p.Data = p.Data[:len(p.Data)-1] }),
		"empty":             with(func(p *vmaf.Plane) { p.Data = nil }),
		"stride too short":  with(func(p *vmaf.Plane) { p.StrideBytes = 19 }),
		"stride zero":       with(func(p *vmaf.Plane) { p.StrideBytes = 0 }),
		"stride negative":   with(func(p *vmaf.Plane) { p.StrideBytes = -24 }),
		"stride odd":        with(func(p *vmaf.Plane) { p.StrideBytes = 23 }),
		"stride enormous":   with(func(p *vmaf.Plane) { p.StrideBytes = 1 << 62 }),
		"at an odd address": with(func(p *vmaf.Plane) { p.Data, p.StrideBytes = p.Data[1:], 22 }),
	} {
		if _, err := s.SAD(bad, good); err == nil {
			t.Errorf("%s as previous plane: no error", name)
		}
		if _, err := s.SAD(good, bad); err == nil {
			t.Errorf("%s as current plane: no error", name)
		}
	}
	if sad, err := s.SAD(good, good); err != nil || sad != 0 {
		t.Errorf("a plane against itself: %d, %v", sad, err)
	}
	if got := testing.AllocsPerRun(10, func() { s.SAD(good, good) }); got != 0 {
		t.Errorf("SAD allocates %v times a call", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.SAD(good, good); err == nil {
		t.Error("closed scratch: no error")
	}
}
