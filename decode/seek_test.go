package decode

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/internal/golden"
)

// starts are frames worth starting at: around every random-access point, the ends, and some at random.
func starts(x *Index, rng *rand.Rand, random int) []int64 {
	n := int64(len(x.Frames))
	out := []int64{0, n - 1}
	for i, f := range x.Frames {
		if f.Key {
			out = append(out, int64(i)-1, int64(i), int64(i)+1)
		}
	}
	for range random {
		out = append(out, rng.Int64N(n))
	}
	slices.Sort(out)
	out = slices.Compact(slices.DeleteFunc(out, func(i int64) bool { return i < 0 || i >= n }))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// checkSeeks reads runs of frames in random order and compares them with the linear read.
func checkSeeks(t *testing.T, v *Video, want []string, random int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, first := range starts(v.Index(), rng, random) {
		end := min(first+1+rng.Int64N(4), int64(len(want)))
		got, err := trySums(v, first, end)
		if err != nil {
			t.Errorf("seed %d: frames %d to %d: %v", seed, first, end, err)
			continue
		}
		if !slices.Equal(got, want[first:end]) {
			t.Errorf("seed %d: frames %d to %d: %v, want %v", seed, first, end, got, want[first:end])
		}
	}
}

func TestGolden_seeksGiveTheFramesOfTheLinearRead(t *testing.T) {
	for _, clip := range codedClips(t) {
		t.Run(clip, func(t *testing.T) {
			cfg := peculiar(clip)
			cfg.OnDamage = Strict
			v := open(t, golden.Clip(t, clip), cfg)
			want := frameMD5(t, clip)
			if strings.Contains(clip, "truncated-tail") {
				want = want[:len(want)-1] // the last one is concealed, or a seek would touch the damaged end
			} else if n := v.Info().Frames; n != int64(len(want)) {
				t.Fatalf("%d frames, want %d", n, len(want))
			}
			random := 3
			if v.Info().Format.Width > 1000 {
				random = 2
			}
			x := v.Index()
			v.idx = &Index{Frames: x.Frames[:len(want)], TimeBase: x.TimeBase}
			checkSeeks(t, v, want, random, 7)
			v.idx = x
		})
	}
}

// TestGolden_seeksBeginAtRandomAccessPoints makes sure that the above tests seeks, rather than decoding from the start.
func TestGolden_seeksBeginAtRandomAccessPoints(t *testing.T) {
	for _, c := range []struct {
		clip  string
		frame int64
		entry int // packet that decoding must begin at
	}{
		{"cockatoo_1280x720_x264_crf38_bf8_closedgop_keyint12.mkv", 59, 48},
		{"cockatoo_1280x720_x264_crf28_bf3_opengop_keyint24.mp4", 59, -1},
		{"cockatoo_1280x720_x264_crf28_opengop.ts", 59, -1},
		{"cockatoo_1280x720_x264_crf28_startoffset5s.mkv", 59, -1},
		{"cockatoo_1280x720_x264_crf28_fragmented.mp4", 59, -1},
		{"bikes_640x272_50fps-hfr_x265_crf32.mp4", 74, -1},
		{"garden_720x480_mpeg2_q12.mpg", 74, -1},
	} {
		t.Run(c.clip, func(t *testing.T) {
			v := open(t, golden.Clip(t, c.clip), Config{})
			want := v.coded.index.entryFor(c.frame)
			if want.packet == 0 || c.entry >= 0 && want.packet != c.entry {
				t.Fatalf("frame %d decodes from packet %d", c.frame, want.packet)
			}
			sums(t, v, c.frame, c.frame+1)
			if got := v.coded.idle[0].entry.packet; got != want.packet {
				t.Errorf("decoding began at packet %d, want %d", got, want.packet)
			}
		})
	}
}

// TestGolden_openGroupsLeadFromTheEntryBefore: pictures that are shown before the random-access picture they follow in the file need the
// one before it.
func TestGolden_openGroupsLeadFromTheEntryBefore(t *testing.T) {
	for _, clip := range []string{"bunny_1280x720_audio_x264_crf24_opengop_keyint25.mp4", "garden_720x480_mpeg2_q12.mpg"} {
		v := open(t, golden.Clip(t, clip), Config{})
		x := &v.coded.index
		led := 0
		for n, packet := range x.frames {
			for i, e := range x.entries {
				if e.packet < int(packet) && x.packets[packet].pts < e.pts {
					led++
					if got := x.entryFor(int64(n)).packet; i == 0 || got >= e.packet {
						t.Errorf("%s: frame %d leads the entry at packet %d but is read from packet %d", clip, n, e.packet, got)
					}
				}
			}
		}
		if led == 0 {
			t.Errorf("%s: no leading pictures", clip)
		}
	}
}

// TestGolden_sameFramesInOtherContainers: the clips made by stream copy hold the very frames of their source.
func TestGolden_sameFramesInOtherContainers(t *testing.T) {
	const name = "cockatoo_1280x720_x264_crf28_"
	want := frameMD5(t, name+"bf3_opengop_keyint24.mp4")
	for _, clip := range []string{name + "startoffset5s.mkv", name + "opengop.ts", name + "fragmented.mp4"} {
		v := open(t, golden.Clip(t, clip), Config{})
		if i := firstDifference(sums(t, v, 0, -1), want); i >= 0 {
			t.Errorf("%s: frame %d differs", clip, i)
		}
		r, err := v.Read(context.Background(), 40, 41)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		// time is counted from the first frame, whatever the offset
		if got := fmt.Sprint(f.Time); got != "2s" {
			t.Errorf("%s: frame 40 at %s, want 2s", clip, got)
		}
		f.Release()
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: after the run: %v", clip, err)
		}
		r.Close()
	}
}
