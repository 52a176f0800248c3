//go:build cuda

package gpu

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vqsd/vqsd/kernels/check"
	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

func init() {
	for _, kernel := range []string{"speed", "speed_options"} {
		moreParityRunners[kernel] = func(session sessionMaker) func(check.Size, int) (check.Runner, error) {
			return func(size check.Size, bpc int) (check.Runner, error) {
				return session(size, bpc, Plan{Format: vmaf.Format{Subsampling: vmaf.Chroma420}, Renditions: 2, Speed: check.SpeedConfigs(kernel)}, runner{
					frame: func(planes []vmaf.Plane) Frame {
						chroma := func(i int) [2]*vmaf.Plane { return [2]*vmaf.Plane{&planes[i+1], &planes[i+2]} }
						return Frame{
							Reference: &planes[0], ReferenceChroma: chroma(0),
							Distorted: []*vmaf.Plane{&planes[3], &planes[6]}, DistortedChroma: [][2]*vmaf.Plane{chroma(3), chroma(6)},
						}
					},
					fill: func(results []int64, sums *Sums) { check.SpeedResults(results, sums.Speed) },
				})
			}
		}
	}
}

// speedSets are all option sets of the checks.
func speedSets() []score.SpeedConfig {
	return append(check.SpeedConfigs("speed"), check.SpeedConfigs("speed_options")...)
}

// measureSpeed measures frames, which may lie on the device, and holds the scores against those that the CPU finds for the same in host memory.
func measureSpeed(t *testing.T, s *Session, frames, host []Frame) {
	t.Helper()
	configs, f := s.plan.Speed, s.plan.Format
	scratch, err := cpu.NewSpeedScratch(f, 1, configs)
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	want := make([][]score.SpeedSums, len(configs))
	eachPair(host, func(ref, dis [3]*vmaf.Plane) {
		var pictures [2]vmaf.Picture
		for i, planes := range [][3]*vmaf.Plane{ref, dis} {
			pictures[i].Format = f
			for k, p := range planes {
				pictures[i].Planes[k] = *p
			}
		}
		out := rows[score.SpeedSums](len(configs), 1)
		if err := scratch.Speed(&pictures[0], []*vmaf.Picture{&pictures[1]}, out); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			want[i] = append(want[i], out[i][0])
		}
	})
	got := Sums{Speed: [][]score.SpeedSums{{{U: 1}}}} // what is there before must not matter
	if err := s.Measure(context.Background(), frames, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.Speed); d != "" {
		t.Errorf("%v (-CPU +GPU):\n%s", f, d)
	}
}

// Every way in which a decoder can leave pictures, each subsampling, and batches with pictures missing, by all option sets of the checks.
func TestSpeed_EqualsCPU(t *testing.T) {
	d := openDevice(t, 0, Config{})
	for i, c := range []struct {
		width, height, bpc int
		subsampling        vmaf.Subsampling
	}{
		{401, 333, 8, vmaf.Chroma420}, {333, 271, 10, vmaf.Chroma422}, {175, 171, 16, vmaf.Chroma444},
	} {
		f := colourFormat(c.width, c.height, c.bpc, c.subsampling)
		rng := newRand(uint64(i))
		frames := randomColour(rng, f, 3, 2)
		s := newSession(t, d, Plan{Format: f, Frames: 3, Renditions: 2, Speed: speedSets()})
		measureSpeed(t, s, frames, frames)
		// A smaller batch with the same session, and the layouts one frame each.
		for k, l := range layouts(c.bpc) {
			frame := frames[k%3 : k%3+1]
			measureSpeed(t, s, colourOnDevice(t, d, rng, f, frame, l), frame)
		}
	}
}

// The scores of a pair do not depend on what else is in the batch.
func TestSpeed_WithoutPairs(t *testing.T) {
	d := openDevice(t, 0, Config{})
	f := colourFormat(320, 320, 8, vmaf.Chroma420)
	frames := randomColour(newRand(5), f, 2, 1)
	frames[0].Distorted, frames[0].DistortedChroma = nil, nil
	frames[1].Distorted, frames[1].DistortedChroma = []*vmaf.Plane{frames[0].Reference}, [][2]*vmaf.Plane{frames[0].ReferenceChroma}
	s := newSession(t, d, Plan{Format: f, Frames: 2, Renditions: 1, Speed: check.SpeedConfigs("speed")})
	measureSpeed(t, s, frames, frames)
	var sums Sums
	if err := s.Measure(context.Background(), frames[:1], &sums); err != nil {
		t.Fatal(err)
	}
	for i, of := range sums.Speed {
		if len(of) != 0 {
			t.Errorf("set %d: %d sums of no pairs", i, len(of))
		}
	}
}

func TestSpeed_RefusedPlans(t *testing.T) {
	sets := check.SpeedConfigs("speed")
	wrong := sets[0]
	wrong.WeightVarMode = 7
	for name, c := range map[string]struct {
		format vmaf.Format
		sets   []score.SpeedConfig
		want   string
	}{
		"too small":                {colourFormat(266, 264, 8, vmaf.Chroma420), sets, "needs at least 133x133"},
		"a depth that it has not":  {colourFormat(320, 320, 9, vmaf.Chroma420), sets, "must be 8, 10, 12 or 16"},
		"no chroma":                {colourFormat(320, 320, 8, vmaf.Gray), sets, "no chroma"},
		"a mode that there is not": {colourFormat(320, 320, 8, vmaf.Chroma420), []score.SpeedConfig{wrong}, "speed_weight_var_mode 7"},
	} {
		p := Plan{Format: c.format, Frames: 1, Renditions: 1, Speed: c.sets}
		if err := p.validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
