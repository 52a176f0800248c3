//go:build cuda

package gpu

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	for _, kernel := range []string{"cambi", "cambi_options"} {
		moreParityRunners[kernel] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
			return func(size check.Size, bpc int) (check.Runner, error) {
				plan := Plan{Renditions: 1}
				for _, config := range check.CambiConfigs(kernel, size, bpc) {
					plan.Cambi = append(plan.Cambi, []score.CambiConfig{config})
				}
				return session(size, bpc, plan, runner{
					frame: func(planes []vmaf.Plane) Frame {
						return Frame{Reference: &planes[0], Distorted: []*vmaf.Plane{&planes[0]}}
					},
					fill: func(results []int64, sums *Sums) {
						for i, of := range sums.Cambi {
							for scale, sum := range of[0] {
								results[i*score.CambiScales+scale] = int64(sum)
							}
						}
					},
				})
			}
		}
	}
}

// cambiConfig is the default configuration for a working size, with a window that small pictures leave.
func cambiConfig(width, height, window int) score.CambiConfig {
	return score.CambiConfig{
		Width: width, Height: height, Window: window, Contrasts: 4, Visible: [32]int{178, 305, 432, 559}, DarkLimit: 78, TopShare: 0.6,
	}
}

// bandedPlane has what CAMBI looks for: wide bands a few codes apart, in some places cut up by noise. step is the difference of neighbouring
// bands, in samples.
func bandedPlane(rng *rand.Rand, f vmaf.Format, step int) *vmaf.Plane {
	p := randomPlane(rng, f)
	n, top := f.BytesPerSample(), 1<<f.BitsPerComponent-1
	base, wave, noise := (80+rng.IntN(200))<<f.BitsPerComponent>>10, 3+rng.Float64()*9, rng.IntN(4)
	dx, dy := rng.Float64()*0.3, rng.Float64()*0.3
	for y := range f.Height {
		for x := range f.Width {
			v := base + step*int(dx*float64(x)+dy*float64(y)+2*math.Sin(float64(x+y)/wave/3))
			if (x/17+y/13)%5 == 0 {
				v += rng.IntN(noise + 1)
			}
			setSample(p, n, x, y, min(max(v, 0), top))
		}
	}
	return p
}

// measureCambi measures and compares with the specification.
func measureCambi(t testing.TB, s *Session, frames, host []Frame) (got Sums) {
	t.Helper()
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	want := Sums{Cambi: make([][]score.CambiSums, len(s.plan.Cambi)), CambiSource: make([][]score.CambiSums, len(s.plan.CambiSource))}
	for e, renditions := range s.plan.Cambi {
		for _, frame := range host {
			for k, distorted := range frame.Distorted {
				if distorted != nil {
					want.Cambi[e] = append(want.Cambi[e], cambiSpecSums(renditions[k], s.plan.Format, distorted))
				}
			}
		}
	}
	for i, config := range s.plan.CambiSource {
		for _, frame := range host {
			want.CambiSource[i] = append(want.CambiSource[i], cambiSpecSums(config, s.plan.Format, frame.Reference))
		}
	}
	if d := cmp.Diff(want.Cambi, got.Cambi, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%v, %d frames, sums of renditions differ (-specification +device):\n%s", s.plan.Format, len(frames), d)
	}
	if d := cmp.Diff(want.CambiSource, got.CambiSource, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%v, %d frames, sums of references differ (-specification +device):\n%s", s.plan.Format, len(frames), d)
	}
	return got
}

// One picture after the other under configurations that differ from the default in what their names say.
func TestCambi_EqualsSpecification(t *testing.T) {
	d := openDevice(t, 0, Config{})
	wide := func(c *score.CambiConfig) {
		c.Contrasts, c.DarkLimit = 32, 0
		for i := range c.Visible {
			c.Visible[i] = 1023
		}
	}
	for i, c := range []struct {
		name               string
		width, height, bpc int
		step               int // between bands, in samples
		window             int
		change             func(*score.CambiConfig)
	}{
		{"one pixel", 1, 1, 10, 1, 1, nil},
		{"one row", 90, 1, 10, 1, 9, nil},
		{"one column", 1, 90, 10, 1, 9, nil},
		{"two rows, which no mode filter changes", 80, 2, 10, 1, 65, nil},
		{"lower than the window at all scales", 200, 17, 10, 1, 65, nil},
		{"narrower than the window at all scales", 11, 150, 10, 1, 33, nil},
		{"one block's tile", 64, 32, 10, 1, 9, nil},
		{"a tile and a sample", 65, 33, 10, 1, 11, nil},
		{"odd at all scales", 97, 65, 10, 2, 13, nil},
		{"a window of one pixel", 70, 40, 10, 1, 1, nil},
		{"a window of three", 70, 40, 10, 1, 3, nil},
		{"a window of five", 70, 40, 10, 1, 5, nil},
		{"a window of seven", 70, 40, 10, 1, 7, nil},
		{"the default window of 1920x1080 with the speed-up", 90, 60, 10, 1, 17, nil},
		{"the largest window but one", 120, 90, 10, 1, 63, nil},
		{"the largest window", 120, 90, 10, 1, 65, nil},
		{"speed-up", 130, 75, 10, 1, 17, func(c *score.CambiConfig) { c.HighRes = true }},
		{"speed-up, odd and even", 127, 98, 10, 1, 9, func(c *score.CambiConfig) { c.HighRes = true }},
		{"speed-up of one row", 127, 1, 10, 1, 9, func(c *score.CambiConfig) { c.HighRes = true }},
		{"anti-dither", 75, 50, 8, 1, 11, func(c *score.CambiConfig) { c.AntiDither = true }},
		{"anti-dither of more than 8 bits", 66, 33, 10, 1, 11, func(c *score.CambiConfig) { c.AntiDither = true }},
		{"anti-dither and speed-up", 129, 67, 8, 1, 11, func(c *score.CambiConfig) { c.AntiDither, c.HighRes = true, true }},
		{"a smaller working size", 100, 80, 8, 1, 11, func(c *score.CambiConfig) { c.Width, c.Height, c.AntiDither = 67, 45, true }},
		{"a larger working size", 60, 40, 10, 1, 11, func(c *score.CambiConfig) { c.Width, c.Height = 101, 83 }},
		{"a working size that differs in width alone", 72, 40, 10, 1, 11, func(c *score.CambiConfig) { c.Width = 64 }},
		{"a working size that differs in height alone", 72, 40, 16, 64, 11, func(c *score.CambiConfig) { c.Height, c.HighRes = 61, true }},
		{"one contrast", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.Contrasts, c.Visible = 1, [32]int{300} }},
		{"two contrasts", 80, 60, 10, 2, 11, func(c *score.CambiConfig) { c.Contrasts, c.Visible = 2, [32]int{178, 305} }},
		{"eight contrasts", 80, 60, 10, 5, 11, func(c *score.CambiConfig) {
			c.Contrasts, c.Visible = 8, [32]int{178, 305, 432, 559, 686, 813, 1023, 1023}
		}},
		{"all contrasts", 80, 60, 10, 20, 17, wide},
		{"all contrasts at the largest window", 90, 70, 10, 31, 65, wide},
		{"codes too far apart for one table", 80, 60, 10, 40, 17, func(c *score.CambiConfig) {
			c.Visible, c.DarkLimit = [32]int{3: 1023}, 0
		}},
		{"codes from table to table", 120, 70, 10, 3, 17, func(c *score.CambiConfig) {
			c.Visible, c.DarkLimit = [32]int{1023, 1023, 1023, 1023}, 0
		}},
		{"steps that are visible at some codes only", 80, 60, 10, 1, 11, func(c *score.CambiConfig) {
			c.Visible = [32]int{100, 0, 178, 170}
		}},
		{"no dark limit", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.DarkLimit = 0 }},
		{"dark limit amid the codes", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.DarkLimit = 260 }},
		{"dark limit above what is visible", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.DarkLimit = 940 }},
		{"one pooled pixel", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.TopShare = 0.0001 }},
		{"a tenth pooled", 80, 60, 10, 1, 17, func(c *score.CambiConfig) { c.TopShare = 0.1 }},
		{"all pooled", 80, 60, 10, 1, 11, func(c *score.CambiConfig) { c.TopShare = 1 }},
		{"selection under the speed-up", 160, 129, 10, 1, 17, func(c *score.CambiConfig) { c.HighRes, c.TopShare = true, 0.05 }},
		{"selection of many contrasts", 80, 60, 10, 9, 17, func(c *score.CambiConfig) { wide(c); c.TopShare = 0.2 }},
		{"8 bits", 67, 45, 8, 1, 9, nil}, {"9 bits", 67, 45, 9, 1, 9, nil}, {"11 bits", 67, 45, 11, 2, 9, nil},
		{"12 bits", 67, 45, 12, 4, 9, nil}, {"13 bits", 67, 45, 13, 7, 9, nil}, {"14 bits", 67, 45, 14, 16, 9, nil},
		{"15 bits", 67, 45, 15, 40, 9, nil}, {"16 bits", 67, 45, 16, 60, 9, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := format(c.width, c.height, c.bpc)
			config := cambiConfig(c.width, c.height, c.window)
			if c.change != nil {
				c.change(&config)
			}
			rng := newRand(uint64(i))
			frames := []Frame{{Reference: bandedPlane(rng, f, c.step)}, {Reference: bandedPlane(rng, f, c.step)}}
			measureCambi(t, newSession(t, d, Plan{Format: f, Frames: 2, CambiSource: []score.CambiConfig{config}}), frames, frames)
		})
	}
}

// With a window of 63 the last lane of a warp reads a word beyond its part of a row; the codes here reach the last row of the table.
func TestCambi_LastRowAtAWindowOf63(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(120, 70, 10)
	for _, contrasts := range []int{4, 8} {
		for _, apart := range []int{39, 47, 55, 63} {
			config := cambiConfig(f.Width, f.Height, 63)
			config.Contrasts, config.DarkLimit, config.Visible = contrasts, 0, [32]int{}
			for i := range contrasts {
				config.Visible[i] = 1023
			}
			plane := randomPlane(newRand(1), f)
			for y := range f.Height {
				for x := range f.Width {
					code := 100
					if x%32 >= 24 {
						code += apart
					}
					setSample(plane, 2, x, y, code)
				}
			}
			frames := []Frame{{Reference: plane}}
			measureCambi(t, newSession(t, d, Plan{Format: f, Frames: 1, CambiSource: []score.CambiConfig{config}}), frames, frames)
		}
	}
}

// What fills the sums, the table and the histograms most, or not at all.
func TestCambi_EqualsSpecificationAtExtremes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	contents := map[string]func(x, y, top int) int{
		"black":        func(_, _, _ int) int { return 0 },
		"white":        func(_, _, top int) int { return top }, // 1024 from 11 bits up
		"grey":         func(_, _, top int) int { return top / 3 },
		"checkerboard": func(x, y, top int) int { return top / 3 * ((x + y) % 2) },
		"two halves": func(x, _, top int) int { // the largest c-values
			if x < 40 {
				return top / 3
			}
			return top/3 + max(4, top>>8)
		},
		"bands of all codes":     func(x, y, top int) int { return (y/8*12 + x/8) * top / 130 },
		"bands of near codes":    func(x, y, top int) int { return top/4 + (y/8*12+x/8)%7*max(1, top>>10) },
		"white next to its like": func(x, y, top int) int { return top - (x/8+y/8)%3*max(1, top>>10) },
		"black next to its like": func(x, y, top int) int { return (x/8 + y/8) % 3 * max(1, top>>10) },
	}
	for _, bpc := range []int{8, 10, 12, 16} {
		f := format(96, 72, bpc)
		p := Plan{Format: f, Frames: len(contents)}
		for _, window := range []int{17, 65} {
			if window == 65 && bpc != 10 {
				continue // takes long
			}
			config := cambiConfig(f.Width, f.Height, window)
			config.Visible, config.DarkLimit = [32]int{1023, 1023, 1023, 1023}, 0
			p.CambiSource = append(p.CambiSource, config)
			config.TopShare = 0.05
			p.CambiSource = append(p.CambiSource, config)
		}
		var frames []Frame
		for _, of := range contents {
			plane := randomPlane(newRand(1), f)
			for y := range f.Height {
				for x := range f.Width {
					setSample(plane, f.BytesPerSample(), x, y, of(x, y, 1<<bpc-1))
				}
			}
			frames = append(frames, Frame{Reference: plane})
		}
		measureCambi(t, newSession(t, d, p), frames, frames)
	}
}

// cambiBatch is a plan in which renditions share configurations and do not, within an extraction and among several, and frames for it of
// which some lack renditions or all.
func cambiBatch(rng *rand.Rand, f vmaf.Format) (Plan, []Frame) {
	whole, small, large := cambiConfig(f.Width, f.Height, 9), cambiConfig(40, 33, 7), cambiConfig(f.Width, f.Height, 17)
	small.AntiDither, large.HighRes, large.TopShare = true, true, 0.1
	p := Plan{
		Format: f, Frames: 5, Renditions: 3,
		Cambi:       [][]score.CambiConfig{{whole, small, whole}, {small, whole, large}, {whole, small, whole}},
		CambiSource: []score.CambiConfig{large, whole, large},
	}
	frames := make([]Frame, p.Frames)
	for i := range frames {
		frames[i].Reference = bandedPlane(rng, f, 1)
		for k := range p.Renditions {
			frames[i].Distorted = append(frames[i].Distorted, bandedPlane(rng, f, 1+k))
		}
	}
	frames[0].Distorted[0] = nil
	frames[1].Distorted[1] = nil
	frames[2].Distorted = nil
	frames[3].Distorted = frames[3].Distorted[:1]
	frames[4].Distorted[2] = frames[4].Reference
	return p, frames
}

func TestCambi_Batches(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for _, bpc := range []int{8, 10, 12} {
		f := format(70, 45, bpc)
		rng := newRand(uint64(bpc))
		p, clip := cambiBatch(rng, f)
		s := newSession(t, d, p)
		measureCambi(t, s, clip, clip)
		measureCambi(t, s, onDevice(t, d, rng, f, clip, false), clip)
		if bpc > 8 {
			measureCambi(t, s, onDevice(t, d, rng, f, clip, true), clip)
		}
		for at, n := range []int{1, 1, 1, 2} {
			measureCambi(t, s, clip[at:at+n], clip[at:at+n])
		}
	}
}

// Pictures are handled in groups, of which these have one to four.
func TestCambi_AnyGroupsGiveTheSame(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(70, 45, 10)
	p, clip := cambiBatch(newRand(1), f)
	s := newSession(t, d, p)
	for slots := 1; slots <= 4; slots++ {
		sets := s.features[0].(*cambi).sets
		for i := range sets {
			sets[i].slots = min(slots, sets[i].slots)
		}
		measureCambi(t, s, clip, clip)
	}
}

// Pieces get lower where there would be too few, and cover all scales.
func TestCambiRows_KeepsTheDeviceBusy(t *testing.T) {
	p := newCambiParameters(cambiConfig(1920, 1080, 33))
	for _, c := range []struct{ n, multiprocessors, want int }{{1, 132, 16}, {2, 58, 32}, {1, 0, 64}, {16, 132, 64}} {
		if got := cambiRows(&p, c.n, c.multiprocessors); got != c.want {
			t.Errorf("%d pictures on %d multiprocessors: pieces of %d rows, want %d", c.n, c.multiprocessors, got, c.want)
		}
	}
	for _, rows := range []int{16, 32, 64} {
		want := 0
		for width, height := 1920, 1080; height > 60; width, height = (width+1)/2, (height+1)/2 {
			want += (width + 31) / 32 * ((height + rows - 1) / rows)
		}
		if got := p.pieces(rows); got != want {
			t.Errorf("%d pieces of %d rows, want %d", got, rows, want)
		}
	}
}

// Groups keep the memory for batches of any size small; one picture always fits.
func TestCambi_GroupsAreBounded(t *testing.T) {
	for _, c := range []struct{ width, height, frames, want int }{
		{3840, 2160, 64, 1},
		{1920, 1080, 64, 6},
		{1920, 1080, 2, 2},
		{16, 16, 65535, 2734},
		{8192, 8192, 64, 1},
	} {
		set := cambiSet{config: cambiConfig(c.width, c.height, 33), source: true}
		if got := set.slots(c.frames); got != c.want {
			t.Errorf("%dx%d, %d frames: groups of %d, want %d", c.width, c.height, c.frames, got, c.want)
		}
	}
}

func TestCambi_BytesIsWhatASessionTakes(t *testing.T) {
	d := openDevice(t, 0, Config{})
	mixed, _ := cambiBatch(newRand(1), format(70, 45, 8))
	for _, p := range []Plan{
		{Format: format(16, 16, 8), Frames: 1, CambiSource: []score.CambiConfig{cambiConfig(16, 16, 3)}},
		{Format: format(64, 48, 10), Frames: 3, Renditions: 1, Cambi: [][]score.CambiConfig{{cambiConfig(64, 48, 3)}}},
		mixed,
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

func TestCambi_RefusesWhatItCanNotDo(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := format(32, 32, 8)
	for _, c := range []struct {
		want   string
		change func(*score.CambiConfig)
	}{
		{"working size 0x32; width and height must be 1 … 65536", func(c *score.CambiConfig) { c.Width = 0 }},
		{"working size 65536x1025 has 67174400 pixels; at most 67108864 are possible",
			func(c *score.CambiConfig) { c.Width, c.Height = 65536, 1025 }},
		{"window of 4; must be odd, 1 … 65", func(c *score.CambiConfig) { c.Window = 4 }},
		{"window of 67; must be odd, 1 … 65", func(c *score.CambiConfig) { c.Window = 67 }},
		{"33 contrasts; must be 1 … 32", func(c *score.CambiConfig) { c.Contrasts = 33 }},
		{"contrast 2 is visible up to code 1024; must be 0 … 1023", func(c *score.CambiConfig) { c.Visible[1] = 1024 }},
		{"dark limit -1; must be 0 … 1023", func(c *score.CambiConfig) { c.DarkLimit = -1 }},
		{"pooled share 0; must be above 0, and 1 at the most", func(c *score.CambiConfig) { c.TopShare = 0 }},
	} {
		config := cambiConfig(32, 32, 9)
		c.change(&config)
		_, err := d.NewSession(Plan{Format: f, Frames: 1, CambiSource: []score.CambiConfig{config}})
		if err == nil || !strings.Contains(err.Error(), "CAMBI configuration 0 of references: "+c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	_, err := d.NewSession(Plan{Format: f, Frames: 1, Renditions: 2, Cambi: [][]score.CambiConfig{{cambiConfig(32, 32, 9)}}})
	if want := "CAMBI extraction 0 has configurations for 1 renditions; must be for all 2"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
