package watch

import (
	"math/rand/v2"
	"testing"
	"time"
)

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 6)) }

func TestSettling(t *testing.T) {
	const second = time.Second
	a, b := state{size: 1, modified: 5}, state{size: 2, modified: 5}
	type look struct {
		at      time.Duration
		state   state
		changed bool
		steady  bool
	}
	for name, c := range map[string]struct {
		stableFor time.Duration
		looks     []look
	}{
		"left alone":                    {10 * second, []look{{0, a, true, false}, {9 * second, a, false, false}, {10 * second, a, true, true}, {11 * second, a, false, true}}},
		"written to in between":         {10 * second, []look{{0, a, true, false}, {9 * second, b, true, false}, {18 * second, b, false, false}, {19 * second, b, true, true}}},
		"written to afterwards":         {10 * second, []look{{0, a, true, false}, {10 * second, a, true, true}, {11 * second, b, true, false}, {21 * second, b, true, true}}},
		"smaller and larger again":      {10 * second, []look{{0, a, true, false}, {5 * second, b, true, false}, {12 * second, a, true, false}, {22 * second, a, true, true}}},
		"no time to wait":               {0, []look{{0, a, true, true}, {0, a, false, true}, {0, b, true, true}}},
		"clock put back":                {10 * second, []look{{3600 * second, a, true, false}, {0, a, false, false}, {9 * second, a, false, false}, {10 * second, a, true, true}}},
		"clock put back, complete file": {10 * second, []look{{0, a, true, false}, {10 * second, a, true, true}, {-3600 * second, a, false, true}}},
		"only the inode's time changed": {10 * second, []look{{0, a, true, false}, {9 * second, state{size: 1, modified: 5, changed: 1}, true, false}}},
		"only the inode changed":        {10 * second, []look{{0, a, true, false}, {9 * second, state{size: 1, modified: 5, inode: 1}, true, false}}},
	} {
		var f settling
		for i, l := range c.looks {
			changed := f.see(l.state, time.Unix(1_700_000_000, 0).Add(l.at), c.stableFor)
			if changed != l.changed || f.steady != l.steady {
				t.Errorf("%s: look %d: changed %v, steady %v; want %v, %v", name, i, changed, f.steady, l.changed, l.steady)
			}
		}
	}
}

// However the clock jumps back, a file that is left alone is steady after as many seconds as it takes since the last jump; and never earlier than that many seconds
// after it was written to last, by a clock that only goes forward.
func TestSettlingUnderJumps(t *testing.T) {
	for seed := range uint64(2000) {
		random := newRandom(seed)
		const stableFor = 10
		var f settling
		clock, real, written := int64(1_700_000_000), int64(0), int64(0)
		size, jumps := int64(0), int64(0)
		for range 100 {
			step := int64(random.IntN(5))
			real += step
			clock += step
			if random.IntN(20) == 0 {
				clock -= int64(random.IntN(100_000))
				jumps = real
			}
			if random.IntN(8) == 0 && real < 150 {
				size, written = size+1, real
			}
			f.see(state{size: size}, time.Unix(clock, 0), stableFor*time.Second)
			if f.steady && real-written < stableFor {
				t.Fatalf("seed %d: steady %d s after it was written to", seed, real-written)
			}
			if !f.steady && real-max(written, jumps) > 2*stableFor {
				t.Fatalf("seed %d: not steady %d s after it was written to and %d s after the clock jumped", seed, real-written, real-jumps)
			}
		}
	}
}
