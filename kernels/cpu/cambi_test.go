package cpu

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

const v1Cambi = "cambi:cambi_high_res_speedup=1080:cambi_vis_lum_threshold=0.06:cambi_max_val=17"

func resolveCambi(t *testing.T, options string, f vmaf.Format) *score.Cambi {
	t.Helper()
	e, err := vmaf.ParseExtraction(options)
	if err != nil {
		t.Fatal(err)
	}
	c, err := score.NewCambi(e, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// "rcp[i] is the f32 nearest to the 9-significant-digit decimal of 1/i … 42 entries differ by one ulp"
func TestCambi_Spec3_8_Reciprocals(t *testing.T) {
	odd := 0
	for i, got := range cambiReciprocals() {
		want, exact := 0.0, float32(0)
		if i > 0 {
			exact = float32(1 / float64(i))
			var err error
			if want, err = strconv.ParseFloat(strconv.FormatFloat(1/float64(i), 'e', 8, 64), 32); err != nil {
				t.Fatal(err)
			}
		}
		if got != float32(want) {
			t.Errorf("1/%d: %g, want %g", i, got, want)
		}
		if got != exact {
			odd++
		}
	}
	if odd != 42 {
		t.Errorf("%d entries are not the nearest, want 42", odd)
	}
}

// Raw pictures of the golden material. The others have to be decoded first: see package engine.
func TestCambiGolden(t *testing.T) {
	type side struct {
		column, options string
		distorted       bool
	}
	sides := []side{
		{"cambi", "cambi", true},
		{"cambi_hrs_1080_cmxv_17_vlt_0.06", v1Cambi, true},
		{"cambi_source", "cambi", false},
	}
	for _, pair := range golden.Pairs(t) {
		table := golden.Scores(t, pair)
		if !strings.HasSuffix(table.Distorted, ".yuv") || !strings.HasSuffix(table.Reference, ".yuv") {
			continue
		}
		bpc := map[string]int{"yuv420p": 8, "yuv420p10le": 10, "yuv420p12le": 12, "yuv420p16le": 16}[table.PixFmt]
		if bpc == 0 {
			t.Fatalf("%s: pixel format %s", pair, table.PixFmt)
		}
		f := vmaf.Format{Width: table.Width, Height: table.Height, BitsPerComponent: bpc}
		for _, s := range sides {
			want, ok := table.Column(s.column)
			if !ok {
				continue // small pictures
			}
			name := table.Reference
			if s.distorted {
				name = table.Distorted
			}
			t.Run(pair+"/"+s.column, func(t *testing.T) {
				file, err := os.Open(golden.Clip(t, name))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				cambi := resolveCambi(t, s.options, f)
				scratch, err := NewCambiScratch(f.Width, f.Height, bpc, []score.CambiConfig{cambi.Distorted()})
				if err != nil {
					t.Fatal(err)
				}
				defer scratch.Close()
				sampleBytes := f.BytesPerSample()
				frame := make([]byte, (f.Width*f.Height+2*((f.Width+1)/2)*((f.Height+1)/2))*sampleBytes)
				luma := vmaf.Plane{Data: frame, StrideBytes: f.Width * sampleBytes, Width: f.Width, Height: f.Height}
				for i := range table.Frames {
					if _, err := io.ReadFull(file, frame); err != nil {
						t.Fatal(err)
					}
					eachTarget(t, func(t *testing.T, _ string) {
						var sums score.CambiSums
						if err := scratch.Cambi(luma, 0, &sums); err != nil {
							t.Fatal(err)
						}
						if got := cambi.Figures(nil, &sums, nil)[0]; got != want.Values[i] {
							t.Errorf("frame %d: %.17g, want %.17g", i, got, want.Values[i])
						}
					})
				}
			})
		}
	}
}

// cambiFormula is spec/cambi.md §5 … §9 once more, for the plain function to be held against: the c-values of each scale, from counts of the
// whole window for every pixel.
func cambiFormula(c score.CambiConfig, f vmaf.Format, sample func(x, y int) int) (values [score.CambiScales][][]float32) {
	w, h := c.Width, c.Height
	convert := func(v int) int {
		if b := f.BitsPerComponent; b > 10 {
			return (v + 1<<(b-11)) >> (b - 10)
		} else {
			return v << (10 - b)
		}
	}
	image := func(w, h int, at func(x, y int) int) [][]int {
		rows := make([][]int, h)
		for y := range rows {
			rows[y] = make([]int, w)
			for x := range rows[y] {
				rows[y][x] = at(x, y)
			}
		}
		return rows
	}
	columns, rows := score.CambiPositions(f.Width, w), score.CambiPositions(f.Height, h)
	position := func(list []uint32, i int) int {
		if list == nil {
			return i
		}
		return int(list[i])
	}
	img := image(w, h, func(x, y int) int { return convert(sample(position(columns, x), position(rows, y))) })
	if c.AntiDither {
		raw := img
		img = image(w, h, func(x, y int) int {
			right, below := min(x+1, w-1), min(y+1, h-1) // a sample twice is the mean of two
			return (raw[y][x] + raw[y][right] + raw[below][x] + raw[below][right]) >> 2
		})
	}
	flat := image(w, h, func(x, y int) int {
		if (x == w-1 || img[y][x] == img[y][x+1]) && (y == h-1 || img[y][x] == img[y+1][x]) {
			return 1
		}
		return 0
	})
	lg := 0
	for 1<<lg < (w>>6)*(h>>6) {
		lg++
	}
	mask := image(w, h, func(x, y int) int {
		sum := 0
		for j := max(y-3, 0); j <= min(y+3, h-1); j++ {
			for i := max(x-3, 0); i <= min(x+3, w-1); i++ {
				sum += flat[j][i]
			}
		}
		if sum > (49+3*(lg-11)-1)>>1 {
			return 1
		}
		return 0
	})
	mode := func(a, b, c int) int {
		switch {
		case a == b || a == c:
			return a
		case b == c:
			return b
		}
		return min(a, b, c)
	}
	weights := []float32{1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}
	for s := range values {
		if s > 0 || c.HighRes {
			w, h = (w+1)/2, (h+1)/2
			before, beforeMask := img, mask
			img = image(w, h, func(x, y int) int { return before[2*y][2*x] })
			mask = image(w, h, func(x, y int) int { return beforeMask[2*y][2*x] })
		}
		unfiltered := img
		across := image(w, h, func(x, y int) int {
			if x == 0 || x == w-1 {
				return unfiltered[y][x]
			}
			return mode(unfiltered[y][x-1], unfiltered[y][x], unfiltered[y][x+1])
		})
		img = image(w, h, func(x, y int) int {
			if y == 0 || y == h-1 {
				return unfiltered[y][x]
			}
			return mode(across[y-1][x], across[y][x], across[y+1][x])
		})
		values[s] = make([][]float32, h)
		for y := range h {
			values[s][y] = make([]float32, w)
			for x := range w {
				if mask[y][x] == 0 {
					continue
				}
				counts := map[int]int{}
				half := c.Window / 2
				for j := max(y-half, 0); j <= min(y+half, h-1); j++ {
					for i := max(x-half, 0); i <= min(x+half, w-1); i++ {
						counts[img[j][i]] += mask[j][i]
					}
				}
				v, n := img[y][x], c.Contrasts
				for d := range n {
					if v <= c.Visible[d] && v+n+d+1 > c.DarkLimit {
						m := max(counts[v+d+1], counts[v-d-1])
						value := float32(int(weights[d])*counts[v]*m) * cambiReciprocals()[m+counts[v]]
						values[s][y][x] = max(values[s][y][x], value)
					}
				}
			}
		}
	}
	return values
}

// cambiContent is a sample of bpc bits of a picture with slow gradients, edges and noise in part of it.
func cambiContent(seed uint64, width, height, bpc int) func(x, y int) int {
	rng := rand.New(rand.NewPCG(seed, uint64(bpc)))
	samples := make([]int, width*height)
	fx, fy, slope := 0.1*rng.Float64(), 0.1*rng.Float64(), 0.05+0.3*rng.Float64()
	for i := range samples {
		x, y := float64(i%width), float64(i/width)
		level := 17 + slope*x + 8*math.Sin(fx*x+fy*y)
		switch (i%width/24 + i/width/24) % 4 {
		case 0:
			level += 3 * rng.NormFloat64()
		case 1:
			level = 16 + float64(i%5) // dark, and no gradient
		}
		// In coarse steps, or there were no runs.
		if bpc < 10 {
			samples[i] = int(min(max(level, 0), 255)) << (bpc - 8)
		} else {
			samples[i] = int(min(max(2*level, 0), 510)) << (bpc - 9)
		}
	}
	return func(x, y int) int { return samples[y*width+x] }
}

// cambiTestConfigs are for pictures of a size that options would refuse.
func cambiTestConfigs(width, height, bpc int) map[string]score.CambiConfig {
	usual := score.CambiConfig{Width: width, Height: height, Window: 9, AntiDither: bpc < 10, Contrasts: 4,
		Visible: [32]int{178, 305, 432, 559}, TopShare: 0.6}
	with := func(change func(*score.CambiConfig)) score.CambiConfig {
		c := usual
		change(&c)
		return c
	}
	return map[string]score.CambiConfig{
		"defaults":   usual,
		"v1 options": with(func(c *score.CambiConfig) { c.HighRes, c.DarkLimit, c.Window = true, 78, 17 }),
		"few pooled": with(func(c *score.CambiConfig) { c.TopShare, c.Window = 0.01, 33 }),
		"many contrasts": with(func(c *score.CambiConfig) {
			c.Contrasts, c.Window, c.DarkLimit = 16, 65, 150
			for d := range c.Contrasts {
				c.Visible[d] = min(100+30*d, 1023)
			}
		}),
		"reduced":        with(func(c *score.CambiConfig) { c.Width, c.Height, c.Window = width/2+1, height/2+1, 21 }),
		"enlarged":       with(func(c *score.CambiConfig) { c.Width, c.Contrasts, c.Window = width+width/3, 2, 43 }),
		"all is dark":    with(func(c *score.CambiConfig) { c.DarkLimit = 900 }),
		"without window": with(func(c *score.CambiConfig) { c.Window = 1 }),
	}
}

func newCambiScratch(t *testing.T, f vmaf.Format, c score.CambiConfig) *CambiScratch {
	t.Helper()
	s, err := NewCambiScratch(f.Width, f.Height, f.BitsPerComponent, []score.CambiConfig{c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func heatMaps(c score.CambiConfig) *[score.CambiScales][]uint16 {
	var maps [score.CambiScales][]uint16
	for scale := range maps {
		width, height := c.ScaleSize(scale)
		maps[scale] = make([]uint16, width*height)
	}
	return &maps
}

func TestCambiAgainstTheFormula(t *testing.T) {
	for _, f := range []vmaf.Format{
		{Width: 97, Height: 71, BitsPerComponent: 8}, {Width: 300, Height: 20, BitsPerComponent: 10}, {Width: 95, Height: 90, BitsPerComponent: 9},
		{Width: 66, Height: 65, BitsPerComponent: 12}, {Width: 64, Height: 40, BitsPerComponent: 16},
	} {
		content := cambiContent(7, f.Width, f.Height, f.BitsPerComponent)
		plane := testPlane(f.Width, f.Height, f.BitsPerComponent, 6, content)
		for name, c := range cambiTestConfigs(f.Width, f.Height, f.BitsPerComponent) {
			var wantSums score.CambiSums
			wantMaps := heatMaps(c)
			for scale, rows := range cambiFormula(c, f, content) {
				all := slices.Concat(rows...)
				weight := map[int]int{2: 2, 4: 4, 16: 8}[c.Contrasts]
				for i, v := range all {
					if largest := weight * c.Window * c.Window / 4; largest > 0 {
						wantMaps[scale][i] = uint16(float64(65535.0/float64(largest)) * float64(v))
					}
				}
				slices.Sort(all)
				for _, v := range all[len(all)-c.Pooled(scale):] {
					wantSums[scale] += uint64(float64(v) * (1 << 24))
				}
			}
			s := newCambiScratch(t, f, c)
			eachTarget(t, func(t *testing.T, _ string) {
				var sums score.CambiSums
				if err := s.Cambi(plane, 0, &sums); err != nil {
					t.Fatal(err)
				}
				if sums != wantSums {
					t.Errorf("%v, %s: sums %v, want %v", f, name, sums, wantSums)
				}
				maps := heatMaps(c)
				if err := s.HeatMaps(plane, 0, maps); err != nil {
					t.Fatal(err)
				}
				for scale := range maps {
					if !slices.Equal(maps[scale], wantMaps[scale]) {
						t.Errorf("%v, %s: heat map of scale %d differs", f, name, scale)
					}
				}
			})
			if name == "defaults" && wantSums[0] == 0 {
				t.Errorf("%v: the picture has no banding, so this checks nothing", f)
			}
		}
	}
}

// The largest values are found by way of a sample: here it tells the truth, next to nothing, or lies.
func TestCambi_Pool(t *testing.T) {
	const n, sample = 1 << 17, 31 // every so manieth value is in the sample
	rng := rand.New(rand.NewPCG(3, 4))
	for name, value := range map[string]func(i int) float32{
		"anything":            func(int) float32 { return 0.5 + 9000*rng.Float32() },
		"mostly zero":         func(int) float32 { return float32(max(0, rng.IntN(100)-90)) },
		"all equal":           func(int) float32 { return 1.25 },
		"two values":          func(i int) float32 { return float32(1 + i%2) },
		"ascending":           func(i int) float32 { return float32(i) / 100 },
		"the largest sampled": func(i int) float32 { return float32(1 + 1000*max(0, 1-i%sample)) },
		"none but the smallest sampled": func(i int) float32 {
			if i%sample == 0 {
				return 0
			}
			return 1 + float32(i%977)
		},
		"two sampled, many others": func(i int) float32 {
			if i%sample == 0 {
				return 100 + float32(i/sample%2)
			}
			return float32(rng.IntN(200))
		},
	} {
		values := make([]float32, n)
		for i := range values {
			values[i] = value(i)
		}
		sorted := slices.Clone(values)
		slices.SortFunc(sorted, func(a, b float32) int { return cmp.Compare(b, a) })
		sums := make([]uint64, n+1)
		for i, v := range sorted {
			sums[i+1] = sums[i] + uint64(float64(v)*(1<<24))
		}
		eachTarget(t, func(t *testing.T, _ string) {
			for _, count := range []int{1, 2, 100, n / 32, n / 31, n / 4, n / 2, n * 6 / 10, n - 5000, n - 1, n} {
				if got, want := cambiPool(slices.Clone(values), count), sums[count]; got != want {
					t.Errorf("%s, %d of %d: %d, want %d", name, count, n, got, want)
				}
			}
		})
	}
}

// Configurations of one scratch share memory, and each picture starts from nothing.
func TestCambi_NothingIsLeftOver(t *testing.T) {
	const width, height, bpc = 290, 61, 10
	f := vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc}
	var configs []score.CambiConfig
	for _, c := range cambiTestConfigs(width, height, bpc) {
		configs = append(configs, c)
	}
	var planes []vmaf.Plane
	for seed := range 3 {
		planes = append(planes, testPlane(width, height, bpc, 0, cambiContent(uint64(seed), width, height, bpc)))
	}
	planes = append(planes, testPlane(width, height, bpc, 0, func(x, y int) int { return 120 + x/150 }))
	shared, err := NewCambiScratch(width, height, bpc, configs)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	eachTarget(t, func(t *testing.T, _ string) {
		for i, p := range planes {
			for k, c := range configs {
				var got, want score.CambiSums
				if err := shared.Cambi(p, k, &got); err != nil {
					t.Fatal(err)
				}
				if err := newCambiScratch(t, f, c).Cambi(p, 0, &want); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("picture %d, configuration %+v: %v after others, %v by itself", i, c, got, want)
				}
			}
		}
	})
}

// "For bpc other than 8 and 16 every luma sample must be ≤ 2^bpc − 1, otherwise the frame is an error."
func TestCambi_Spec5_1_SampleRange(t *testing.T) {
	const width, height = 70, 40
	configs := cambiTestConfigs(width, height, 10)
	for _, bpc := range []int{9, 10, 12, 15} {
		f := vmaf.Format{Width: width, Height: height, BitsPerComponent: bpc}
		for _, name := range []string{"defaults", "reduced"} {
			s := newCambiScratch(t, f, configs[name])
			for _, at := range [][2]int{{0, 0}, {69, 39}, {33, 17}} {
				for _, v := range []int{1<<bpc - 1, 1 << bpc} {
					p := testPlane(width, height, bpc, 2, func(x, y int) int {
						if x == at[0] && y == at[1] {
							return v
						}
						return 100
					})
					eachTarget(t, func(t *testing.T, _ string) {
						err := s.Cambi(p, 0, new(score.CambiSums))
						if errors.Is(err, ErrSampleRange) != (v == 1<<bpc) || (err != nil) != (v == 1<<bpc) {
							t.Errorf("%d bit, %s, sample %d at %v: error %v", bpc, name, v, at, err)
						}
						if err2 := s.HeatMaps(p, 0, heatMaps(configs[name])); (err2 == nil) != (err == nil) {
							t.Errorf("%d bit, %s, sample %d at %v: heat maps' error %v, want %v", bpc, name, v, at, err2, err)
						}
					})
				}
			}
		}
	}
}

func TestCambiRefusesWhatDoesNotFit(t *testing.T) {
	good := cambiTestConfigs(64, 48, 8)["defaults"]
	for name, change := range map[string]func(*score.CambiConfig){
		"an even window":          func(c *score.CambiConfig) { c.Window = 8 },
		"a window of 67":          func(c *score.CambiConfig) { c.Window = 67 },
		"no contrasts":            func(c *score.CambiConfig) { c.Contrasts = 0 },
		"33 contrasts":            func(c *score.CambiConfig) { c.Contrasts = 33 },
		"no width":                func(c *score.CambiConfig) { c.Width = 0 },
		"an enormous height":      func(c *score.CambiConfig) { c.Height = 1 << 40 },
		"visibility beyond codes": func(c *score.CambiConfig) { c.Visible[1] = 1024 },
		"a negative dark limit":   func(c *score.CambiConfig) { c.DarkLimit = -1 },
	} {
		c := good
		change(&c)
		if s, err := NewCambiScratch(64, 48, 8, []score.CambiConfig{good, c}); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	for _, c := range []struct{ width, height, bpc int }{{0, 48, 8}, {64, 0, 8}, {65537, 48, 8}, {64, 1 << 40, 8}, {64, 48, 7}, {64, 48, 17}} {
		if s, err := NewCambiScratch(c.width, c.height, c.bpc, []score.CambiConfig{good}); err == nil {
			s.Close()
			t.Errorf("scratch of %d×%d at %d bits was made", c.width, c.height, c.bpc)
		}
	}
	if _, err := NewCambiScratch(64, 48, 8, nil); err == nil {
		t.Error("no configuration: no error")
	}

	s := newCambiScratch(t, vmaf.Format{Width: 64, Height: 48, BitsPerComponent: 8}, good)
	p := testPlane(64, 48, 8, 0, func(x, y int) int { return 30 + x/16 })
	var sums score.CambiSums
	for _, config := range []int{-1, 1} {
		if err := s.Cambi(p, config, &sums); err == nil {
			t.Errorf("configuration %d of one: no error", config)
		}
	}
	narrow := p
	narrow.Width = 63
	if err := s.Cambi(narrow, 0, &sums); err == nil {
		t.Error("a plane of another width: no error")
	}
	maps := heatMaps(good)
	maps[3] = maps[3][1:]
	if err := s.HeatMaps(p, 0, maps); err == nil {
		t.Error("a heat map of one element less: no error")
	}
	if got := testing.AllocsPerRun(10, func() { s.Cambi(p, 0, &sums) }); got != 0 {
		t.Errorf("Cambi allocates %v times a call", got)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Cambi(p, 0, &sums); err == nil {
		t.Error("closed scratch: no error")
	}
}

func ExampleCambiScratch() {
	f := vmaf.Format{Width: 640, Height: 360, BitsPerComponent: 8}
	e, err := vmaf.ParseExtraction("cambi")
	if err != nil {
		panic(err)
	}
	cambi, err := score.NewCambi(e, f)
	if err != nil {
		panic(err)
	}
	scratch, err := NewCambiScratch(f.Width, f.Height, f.BitsPerComponent, []score.CambiConfig{cambi.Distorted()})
	if err != nil {
		panic(err)
	}
	defer scratch.Close()
	// A dark gradient, in steps that 8 bits force on it.
	luma := vmaf.Plane{Data: make([]byte, f.Width*f.Height), StrideBytes: f.Width, Width: f.Width, Height: f.Height}
	for i := range luma.Data {
		luma.Data[i] = byte(25 + i%f.Width/40)
	}
	var sums score.CambiSums
	if err := scratch.Cambi(luma, 0, &sums); err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", cambi.Figures(nil, &sums, nil)[0])
	// Output: 14.6
}

// Two halves a step apart have the largest c-values there are, beside their border. The map is brightest there, whatever the number of contrasts:
// a share that is a little above the whole must not wrap.
func TestCambi_HeatMapsAreBrightestAtTheStrongest(t *testing.T) {
	f := vmaf.Format{Width: 80, Height: 60, BitsPerComponent: 10}
	for _, contrasts := range []int{1, 2, 4, 8, 32} {
		c := score.CambiConfig{Width: f.Width, Height: f.Height, Window: 9, Contrasts: contrasts, TopShare: 0.6}
		for i := range contrasts {
			c.Visible[i] = 1023
		}
		plane := testPlane(f.Width, f.Height, f.BitsPerComponent, 0, func(x, _ int) int {
			if x < f.Width/2 {
				return 200
			}
			return 200 + contrasts
		})
		s := newCambiScratch(t, f, c)
		maps := heatMaps(c)
		if err := s.HeatMaps(plane, 0, maps); err != nil {
			t.Fatal(err)
		}
		row := maps[0][f.Height/2*f.Width:][:f.Width]
		strongest := slices.Max(row)
		beside := max(row[f.Width/2-1], row[f.Width/2])
		if beside != strongest || beside < 60000 {
			t.Errorf("%d contrasts: %d beside the border, %d at the most of the row", contrasts, beside, strongest)
		}
	}
}
