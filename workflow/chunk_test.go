package workflow

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/vqsd/vqsd/store"
)

func TestChunks_coverTheTimelineOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		c := chunking{
			First: random.Int64N(1000), Width: 16 + random.IntN(4000), Height: 16 + random.IntN(2200), Seekable: random.IntN(5) > 0,
			Halo: random.IntN(3), Slots: random.IntN(20), MaxChunks: 1 + random.IntN(64), Class: store.Classes()[random.IntN(3)],
		}
		c.End = c.First + 1 + random.Int64N(20000)
		if random.IntN(2) == 0 {
			c.Wanted = 1 + random.Int64N(3000)
		}
		interval := 1 + random.Int64N(300)
		for at := int64(0); at < c.End; at += interval {
			c.RandomAccess = append(c.RandomAccess, at)
		}
		list := c.chunks()
		if len(list) > c.MaxChunks {
			t.Fatalf("%+v: %d chunks", c, len(list))
		}
		at := c.First
		for _, chunk := range list {
			if chunk.First != at || chunk.End <= chunk.First {
				t.Fatalf("%+v: chunks %v have a gap, an overlap or nothing in them at %d", c, list, at)
			}
			at = chunk.End
		}
		if at != c.End {
			t.Fatalf("%+v: chunks end at %d", c, at)
		}
	}
}

func TestChunks(t *testing.T) {
	film := chunking{End: 3000, Width: 1920, Height: 1080, Seekable: true, Halo: 1, Slots: 2, MaxChunks: 4096}
	every := func(n, end int64) (list []int64) {
		for at := int64(0); at < end; at += n {
			list = append(list, at)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		change func(*chunking)
		want   []int64 // first frames
	}{
		{"even lengths without random access in reach", func(c *chunking) { c.End = 720 }, []int64{0, 120, 240, 360, 480, 600}},
		{"cuts move to a halo after random access", func(c *chunking) { c.End = 720; c.RandomAccess = every(125, 720) }, []int64{0, 126, 251, 376, 501, 626}},
		{"a wish is followed to the frame", func(c *chunking) { c.End = 100; c.Wanted = 33; c.RandomAccess = every(30, 100) }, []int64{0, 33, 66, 99}},
		{"what cannot be sought in is one chunk", func(c *chunking) { c.Seekable = false }, []int64{0}},
		{"unless asked for otherwise", func(c *chunking) { c.Seekable = false; c.Wanted = 1500 }, []int64{0, 1500}},
		{"background takes long ones", func(c *chunking) { c.End = 960; c.Class = store.ClassBackground; c.Slots = 64 }, []int64{0, 240, 480, 720}},
		{"a clip shorter than a chunk", func(c *chunking) { c.End = 20 }, []int64{0}},
		{"a limit on their number makes them longer", func(c *chunking) { c.Wanted = 10; c.MaxChunks = 3 }, []int64{0, 1000, 2000}},
		{"nothing", func(c *chunking) { c.End = 0 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			chunking := film
			c.change(&chunking)
			var got []int64
			for _, chunk := range chunking.chunks() {
				got = append(got, chunk.First)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("chunks begin at %v, want %v", got, c.want)
			}
		})
	}
}

func TestSpan_covered(t *testing.T) {
	run := func(first, end, step int64) store.Run { return store.Run{First: first, End: end, Step: step} }
	for _, c := range []struct {
		name string
		need span
		runs []store.Run
		want bool
	}{
		{"one run has all", span{10, 20, 1}, []store.Run{run(0, 100, 1)}, true},
		{"two runs meet", span{10, 20, 1}, []store.Run{run(0, 15, 1), run(15, 20, 1)}, true},
		{"a frame is missing between", span{10, 20, 1}, []store.Run{run(0, 15, 1), run(16, 20, 1)}, false},
		{"the first frame is missing", span{10, 20, 1}, []store.Run{run(11, 20, 1)}, false},
		{"the last frame is missing", span{10, 20, 1}, []store.Run{run(10, 19, 1)}, false},
		{"nothing is needed", span{10, 10, 1}, nil, true},
		{"every fifth of a whole run", span{10, 31, 5}, []store.Run{run(0, 31, 1)}, true},
		{"every fifth in phase", span{10, 31, 5}, []store.Run{run(0, 31, 5)}, true},
		{"every fifth out of phase", span{10, 31, 5}, []store.Run{run(1, 31, 5)}, false},
		{"all of every fifth", span{10, 31, 1}, []store.Run{run(0, 31, 5)}, false},
		{"every sixth of every third", span{12, 40, 6}, []store.Run{run(0, 40, 3)}, true},
		{"every third of every sixth", span{12, 40, 3}, []store.Run{run(0, 40, 6)}, false},
		{"every third of two of every sixth", span{12, 40, 3}, []store.Run{run(0, 40, 6), run(3, 40, 6)}, true},
		{"overlapping runs", span{0, 30, 1}, []store.Run{run(0, 20, 1), run(5, 12, 1), run(10, 30, 1)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.need.covered(c.runs); got != c.want {
				t.Errorf("covered: %t", got)
			}
			// The definition, frame by frame.
			all := true
			for at := c.need.first; at < c.need.end; at += c.need.step {
				all = all && slices.ContainsFunc(c.runs, func(r store.Run) bool { return r.First <= at && at < r.End && (at-r.First)%r.Step == 0 })
			}
			if all != c.want {
				t.Errorf("by definition: %t", all)
			}
		})
	}
}

func TestSegmentsOf(t *testing.T) {
	m := &store.Measurement{
		Plan:      &store.Plan{Chunks: []store.Chunk{{First: 0, End: 40}, {First: 40, End: 80}, {First: 80, End: 100}}},
		Reference: &store.Video{FrameRateNum: 30000, FrameRateDen: 1001},
	}
	for _, c := range []struct {
		name   string
		length SegmentLength
		want   []store.Chunk
	}{
		{"chunks, cut to the range", SegmentLength{}, []store.Chunk{{First: 5, End: 40}, {First: 40, End: 80}, {First: 80, End: 95}}},
		{"frames", SegmentLength{Frames: 50}, []store.Chunk{{First: 5, End: 55}, {First: 55, End: 95}}},
		{"seconds of a fractional rate", SegmentLength{Seconds: 1}, []store.Chunk{{First: 5, End: 35}, {First: 35, End: 65}, {First: 65, End: 95}}},
		{"seconds shorter than a frame", SegmentLength{Seconds: 0.001}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := segmentsOf(m, 5, 95, c.length)
			if c.want == nil {
				if len(got) != 90 {
					t.Errorf("%d segments, want one a frame", len(got))
				}
				return
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("segments %v, want %v", got, c.want)
			}
		})
	}
}
