package workflow

import (
	"slices"

	"github.com/vqsd/vqsd/store"
)

// chunking is what decides where the timeline is cut. It never decides a score.
type chunking struct {
	First, End   int64 // reference frames to measure
	Width        int   // of the pictures compared, samples
	Height       int
	Wanted       int64   // frames a chunk, as asked for; 0: chosen here
	RandomAccess []int64 // reference frames where decoding can begin, ascending
	Seekable     bool    // every input can be decoded from the middle at little cost
	Halo         int     // reference frames before a chunk that it needs
	Class        store.Class
	Slots        int // tasks that all workers do at a time
	MaxChunks    int
}

const (
	// chunkSamples is about how many luma samples a chunk has: 240 frames of 1080p, some seconds of one worker's time. Starting a chunk costs some
	// tens of milliseconds; a lost one costs all of it.
	chunkSamples = 240 * 1920 * 1080
	// Frames of a chunk, whatever their size.
	leastChunk, mostChunk = 48, 2400
	// chunksPerSlot is into how many chunks for each of the workers' slots a short video is cut, so that none idles while another works on the last one.
	chunksPerSlot = 3
)

// chunks cuts [First, End) into runs. Without a wish they are of even length, and begin where decoding can, if that moves a cut by
// less than a quarter of a chunk.
func (c chunking) chunks() []store.Chunk {
	total := c.End - c.First
	if total <= 0 {
		return nil
	}
	if !c.Seekable && c.Wanted == 0 {
		return []store.Chunk{{First: c.First, End: c.End}}
	}
	length := c.Wanted
	if length == 0 {
		length = c.length(total)
	}
	length = max(length, (total+int64(c.MaxChunks)-1)/int64(c.MaxChunks))
	count := max(1, (total+length-1)/length)
	cuts := make([]int64, 0, count+1)
	for i := range count {
		at := c.First + i*length
		if c.Wanted == 0 {
			at = c.First + total*i/count
			if i > 0 {
				at = c.aligned(at, length/4)
			}
		}
		if len(cuts) == 0 || at > cuts[len(cuts)-1] {
			cuts = append(cuts, at)
		}
	}
	list := make([]store.Chunk, len(cuts))
	for i, at := range cuts {
		list[i] = store.Chunk{First: at, End: c.End}
		if i+1 < len(cuts) {
			list[i].End = cuts[i+1]
		}
	}
	return list
}

// length is how many frames a chunk of a video of that many should have.
func (c chunking) length(total int64) int64 {
	samples := max(1, int64(c.Width)*int64(c.Height))
	length := min(max(chunkSamples/samples, leastChunk), mostChunk)
	if c.Class == store.ClassBackground {
		return length // nobody waits: the fewest starts
	}
	spread := max(total/int64(chunksPerSlot*max(c.Slots, 1)), leastChunk)
	return min(length, spread)
}

// aligned moves a cut to where decoding can begin, if that is near. A chunk reads Halo frames before its first one, so that the best
// place is so many after a random-access point: then nothing is decoded for nothing.
func (c chunking) aligned(at, within int64) int64 {
	halo := int64(c.Halo)
	i, _ := slices.BinarySearch(c.RandomAccess, at-halo)
	best, distance := at, within
	for _, k := range []int{i - 1, i} {
		if k < 0 || k >= len(c.RandomAccess) {
			continue
		}
		cut := c.RandomAccess[k] + halo
		if d := max(cut-at, at-cut); d < distance && cut > c.First && cut < c.End {
			best, distance = cut, d
		}
	}
	return best
}
