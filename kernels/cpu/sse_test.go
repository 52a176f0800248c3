package cpu

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/vmaf"
)

func TestSSEAgainstTheFormula(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 9}, {7, 3}, {31, 4}, {33, 6}, {64, 5}, {129, 5}, {4099, 3}} {
		for bpc := 8; bpc <= 16; bpc++ {
			for _, reach := range []int{1 << bpc, 4} { // how far the planes may differ
				rng := rand.New(rand.NewPCG(1, uint64(size[0]*1000+bpc)))
				width, height := size[0], size[1]
				var want uint64
				samples := [2][]int{make([]int, width*height), make([]int, width*height)}
				for i := range samples[0] {
					samples[0][i] = rng.IntN(1 << bpc)
					samples[1][i] = min(max(samples[0][i]+rng.IntN(2*reach-1)-(reach-1), 0), 1<<bpc-1)
					d := int64(samples[0][i] - samples[1][i])
					want += uint64(d * d)
				}
				// The second plane is a column wider and a row higher, which are not to be looked at.
				ref := testPlane(width, height, bpc, 2, func(x, y int) int { return samples[0][y*width+x] })
				dis := testPlane(width+1, height+1, bpc, 4, func(x, y int) int {
					if x == width || y == height {
						return 1<<bpc - 1
					}
					return samples[1][y*width+x]
				})
				eachTarget(t, func(t *testing.T, _ string) {
					for _, order := range [][2]vmaf.Plane{{ref, dis}, {dis, ref}} {
						got, err := SSE(order[0], order[1], width, height, bpc)
						if err != nil || got != want {
							t.Errorf("%dx%d, %d bit, differences below %d: %d, %v; want %d", width, height, bpc, reach, got, err, want)
						}
					}
				})
			}
		}
	}
}

// The spec: "mse = double(SSE) / (w*h)", "10 * log10(peak^2 / max(mse, 1e-16))", at most 6·B + 12 dB. The logarithm of the C library may
// differ from Go's by a unit in the last place or two.
func TestSSEGolden(t *testing.T) {
	const tolerance = 4 * 0x1p-52
	for _, clip := range rawClips(t) {
		t.Run(clip.pair, func(t *testing.T) {
			eachTarget(t, func(t *testing.T, _ string) {
				for p, name := range []string{"psnr_y", "psnr_cb", "psnr_cr"} {
					want, ok := clip.table.Column(name)
					if !ok {
						t.Fatalf("no column %s", name)
					}
					width, height := clip.planeSize(p)
					for i := range clip.ref {
						sum, err := SSE(clip.ref[i].Planes[p], clip.dis[i].Planes[p], width, height, clip.format.BitsPerComponent)
						if err != nil {
							t.Fatal(err)
						}
						bpc := clip.format.BitsPerComponent
						peak := float64(int(1)<<bpc - 1)
						mse := float64(sum) / float64(width*height)
						got := min(10*math.Log10(peak*peak/max(mse, 1e-16)), float64(6*bpc+12))
						if math.Abs(got-want.Values[i]) > tolerance*want.Values[i] {
							t.Errorf("frame %d: %s %.17g, want %.17g", i, name, got, want.Values[i])
						}
					}
				}
			})
		})
	}
}

// rawClip is a pair of golden clips that needs no decoder.
type rawClip struct {
	pair     string
	table    *golden.Table
	format   vmaf.Format
	ref, dis []*vmaf.Picture
}

// planeSize is the size in which metrics see plane p of the clip, whose chroma has half the size.
func (c rawClip) planeSize(p int) (width, height int) {
	if p == 0 {
		return c.format.Width, c.format.Height
	}
	return c.format.Width / 2, c.format.Height / 2
}

// rawClips are the golden pairs of which both sides are raw planar files.
func rawClips(t *testing.T) []rawClip {
	t.Helper()
	depths := map[string]int{"yuv420p": 8, "yuv420p10le": 10, "yuv420p12le": 12, "yuv420p16le": 16}
	var clips []rawClip
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !strings.HasSuffix(table.Reference, ".yuv") || !strings.HasSuffix(table.Distorted, ".yuv") {
			continue
		}
		bpc, ok := depths[table.PixFmt]
		if !ok {
			t.Fatalf("%s: pixel format %s", pair, table.PixFmt)
		}
		f := vmaf.Format{Width: table.Width, Height: table.Height, BitsPerComponent: bpc, Subsampling: vmaf.Chroma420}
		clips = append(clips, rawClip{
			pair, table, f, rawPictures(t, golden.Clip(t, table.Reference), f, table.Frames), rawPictures(t, golden.Clip(t, table.Distorted), f, table.Frames),
		})
	}
	return clips
}

// rawPictures reads the first n pictures of a raw planar file.
func rawPictures(t *testing.T, path string, f vmaf.Format, n int) []*vmaf.Picture {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pictures := make([]*vmaf.Picture, n)
	for i := range pictures {
		pictures[i] = &vmaf.Picture{Format: f}
		for p := range pictures[i].Planes {
			width, height := f.Width, f.Height
			if p > 0 {
				width, height = f.Subsampling.ChromaSize(width, height)
			}
			plane := vmaf.Plane{StrideBytes: width * f.BytesPerSample(), Width: width, Height: height}
			plane.Data = make([]byte, plane.StrideBytes*height)
			if _, err := io.ReadFull(file, plane.Data); err != nil {
				t.Fatalf("%s: picture %d: %v", path, i, err)
			}
			pictures[i].Planes[p] = plane
		}
	}
	return pictures
}

func TestSSERefusesWhatDoesNotFit(t *testing.T) {
	good := vmaf.Plane{Data: make([]byte, 4*24+20), StrideBytes: 24, Width: 10, Height: 5}
	with := func(change func(*vmaf.Plane)) vmaf.Plane {
		p := good
		change(&p)
		return p
	}
	if _, err := SSE(good, good, 10, 5, 10); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]vmaf.Plane{
		"too narrow":       with(func(p *vmaf.Plane) { p.Width = 9 }),
		"too low":          with(func(p *vmaf.Plane) { p.Height = 4 }),
		"a byte short":     with(func(p *vmaf.Plane) { p.Data = p.Data[:len(p.Data)-1] }),
		"empty":            with(func(p *vmaf.Plane) { p.Data = nil }),
		"stride too short": with(func(p *vmaf.Plane) { p.StrideBytes = 19 }),
		"stride odd":       with(func(p *vmaf.Plane) { p.StrideBytes = 23 }),
		"odd address":      with(func(p *vmaf.Plane) { p.Data = make([]byte, 5*24)[1:] }),
	} {
		if _, err := SSE(bad, good, 10, 5, 10); err == nil || !strings.Contains(err.Error(), "reference") {
			t.Errorf("%s as reference: %v", name, err)
		}
		if _, err := SSE(good, bad, 10, 5, 10); err == nil || !strings.Contains(err.Error(), "distorted") {
			t.Errorf("%s as distorted: %v", name, err)
		}
	}
	for _, c := range [][3]int{{0, 5, 10}, {10, 0, 10}, {65537, 5, 10}, {10, 65537, 10}, {10, 5, 7}, {10, 5, 17}} {
		if _, err := SSE(good, good, c[0], c[1], c[2]); err == nil {
			t.Errorf("%d×%d at %d bits was summed", c[0], c[1], c[2])
		}
	}
}

func TestSSEAllocatesNothing(t *testing.T) {
	p := testPlane(64, 8, 8, 0, func(x, y int) int { return x + y })
	if n := testing.AllocsPerRun(100, func() {
		if _, err := SSE(p, p, 64, 8, 8); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Error(fmt.Sprint(n, " allocations"))
	}
}
