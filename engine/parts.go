package engine

import (
	"slices"
	"strings"

	"github.com/vqsd/vqsd/decode"
)

const (
	// leastPart is how many frames are worth a decoder of their own: it has to be opened, and decodes up to a group of pictures that
	// nobody asked for.
	leastPart = 64
	// mostParts bounds how many are measured at a time: each holds decoders and batches.
	mostParts = 8
)

// parts are the runs of frames that [Measure] measures each on its own where the request does not say how long a chunk is. There is
// one, unless the device has several decoders: one session keeps one of them busy, so the timeline is cut, where the reference's
// decoder can begin, into as many parts.
func (c *Comparison) parts() [][2]int64 {
	n := int64(c.sideBySide())
	if index := c.ref.Index(); n > 1 && index != nil {
		var cuts []int64
		for i := c.first + 1; i < min(c.end, int64(len(index.Frames))); i++ {
			if index.Frames[i].Key {
				cuts = append(cuts, i)
			}
		}
		return cut(c.first, c.end, n, cuts)
	}
	return [][2]int64{{c.first, c.end}}
}

// cut divides [first, end) into up to n parts of about the same length and at least leastPart, at places of cuts, which ascend.
func cut(first, end, n int64, cuts []int64) [][2]int64 {
	n = min(n, (end-first)/leastPart)
	var list [][2]int64
	at := first
	for k := int64(1); k < n; k++ {
		i, _ := slices.BinarySearch(cuts, first+k*(end-first)/n)
		if i < len(cuts) && cuts[i]-at >= leastPart && end-cuts[i] >= leastPart {
			list = append(list, [2]int64{at, cuts[i]})
			at = cuts[i]
		}
	}
	return append(list, [2]int64{at, end})
}

// sideBySide is how many chunks are measured at a time: as many as give each decoder of the device two sessions, one of which has work while
// the other hands its picture over.
func (c *Comparison) sideBySide() int {
	if c.req.Backend.hardware() == nil {
		return 1
	}
	sessions := 0 // of a chunk
	if onHardware(c.refInfo) {
		sessions++
	}
	for _, d := range c.renditions {
		if d.err == nil && onHardware(d.info) {
			sessions++
		}
	}
	if sessions == 0 {
		return 1
	}
	return min((2*c.req.Backend.decoders()+sessions-1)/sessions, mostParts)
}

// onHardware says whether a device decodes an input.
func onHardware(i decode.Info) bool { return strings.HasSuffix(i.Decoder, "_nvdec") }
