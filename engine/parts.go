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
	whole := [][2]int64{{c.first, c.end}}
	n := min(int64(c.sideBySide()), (c.end-c.first)/leastPart)
	index := c.ref.Index()
	if n < 2 || index == nil {
		return whole
	}
	var cuts []int64
	for i := c.first + 1; i < min(c.end, int64(len(index.Frames))); i++ {
		if index.Frames[i].Key {
			cuts = append(cuts, i)
		}
	}
	var list [][2]int64
	first := c.first
	for k := int64(1); k < n; k++ {
		at, _ := slices.BinarySearch(cuts, c.first+k*(c.end-c.first)/n)
		if at < len(cuts) && cuts[at]-first >= leastPart && c.end-cuts[at] >= leastPart {
			list = append(list, [2]int64{first, cuts[at]})
			first = cuts[at]
		}
	}
	return append(list, [2]int64{first, c.end})
}

// sideBySide is how many chunks are measured at a time.
func (c *Comparison) sideBySide() int {
	if c.req.Backend.hardware() == nil || !c.decodesOnDevice() {
		return 1
	}
	return min(c.req.Backend.decoders(), mostParts)
}

// decodesOnDevice says whether any input is decoded by the device.
func (c *Comparison) decodesOnDevice() bool {
	on := onHardware(c.refInfo)
	for _, d := range c.renditions {
		on = on || d.err == nil && onHardware(d.info)
	}
	return on
}

// onHardware says whether a device decodes an input.
func onHardware(i decode.Info) bool { return strings.HasSuffix(i.Decoder, "_nvdec") }
