package decode

import (
	"math"
	"slices"
	"sort"
)

// Index lists the frames of a file in presentation order. It is read-only.
type Index struct {
	Frames   []IndexEntry
	TimeBase Rational // unit of PTS in seconds; zero: unknown
}

// IndexEntry is one frame.
type IndexEntry struct {
	PTS int64 // or NoPTS
	Key bool  // a random-access picture
}

// bytesPerFrame is what an index costs: packetEntry, two ranks, IndexEntry.
const bytesPerFrame = 16 + 4 + 4 + 4 + 16

// checkIndex applies the limits on an index of n pictures.
func (l Limits) checkIndex(n int64) error {
	if err := l.checkFrames(n); err != nil {
		return err
	}
	if n*bytesPerFrame > l.MaxIndexBytes {
		return &LimitError{Name: "max_index_bytes", What: "size of the frame index", Value: n * bytesPerFrame, Max: l.MaxIndexBytes, Hint: "cut the input"}
	}
	return nil
}

// packetFlags say what a packet is.
type packetFlags uint8

const (
	packetKey     packetFlags = 1 << iota // flagged as key frame by the container
	packetClean                           // decoding can start here exactly
	packetDiscard                         // decoded, but cut by the edit list
	packetHidden                          // decoded, never shown
	packetCorrupt                         // the demuxer says it is damaged
)

// noFrame are the packets that give no frame.
const noFrame = packetDiscard | packetHidden

// packetEntry is one packet of the stream, in decoding order.
type packetEntry struct {
	pts       int64
	sizeBytes int32
	flags     packetFlags
}

// entryPoint is a place to start decoding at.
type entryPoint struct {
	packet   int // ordinal in decoding order
	pts, dts int64
}

// packetIndex is what the pass over all packets leaves.
type packetIndex struct {
	packets []packetEntry // decoding order
	entries []entryPoint  // ascending
	frames  []int32       // frame → packet
	rank    []int32       // packet → frame, or -1
	byPTS   []int32       // all packets by pts; nil unless seekable
	start   int           // packet that decoding from the start begins with

	timestamps  bool // all frames have distinct, plausible pts: frames are in their order
	undecodable int64
}

// maxReorder is how far apart a picture's places in decoding and presentation order may be. Codecs allow 16; more means
// that timestamps jump, and decoding order is the better guide.
const maxReorder = 64

// build orders the frames. Packets before the first entry point are not decodable.
func (x *packetIndex) build() {
	if len(x.entries) > 0 {
		x.start = x.entries[0].packet
	}
	x.timestamps = true
	for i := x.start; i < len(x.packets); i++ {
		p := &x.packets[i]
		if p.flags&noFrame == 0 {
			x.frames = append(x.frames, int32(i))
		}
		if p.pts == NoPTS {
			x.timestamps = false
		}
	}
	for _, p := range x.packets[:x.start] {
		if p.flags&noFrame == 0 {
			x.undecodable++
		}
	}
	if x.timestamps {
		byPTS := make([]int32, 0, len(x.packets)-x.start)
		for i := x.start; i < len(x.packets); i++ {
			byPTS = append(byPTS, int32(i))
		}
		slices.SortStableFunc(byPTS, func(a, b int32) int { return compare(x.packets[a].pts, x.packets[b].pts) })
		for i, p := range byPTS {
			if i > 0 && x.packets[p].pts == x.packets[byPTS[i-1]].pts || abs(int(p)-x.start-i) > maxReorder {
				x.timestamps = false
			}
		}
		if x.timestamps {
			x.byPTS = byPTS
			x.frames = x.frames[:0]
			for _, p := range byPTS {
				if x.packets[p].flags&noFrame == 0 {
					x.frames = append(x.frames, p)
				}
			}
		}
	}
	x.rerank()
}

func (x *packetIndex) rerank() {
	x.rank = slices.Grow(x.rank[:0], len(x.packets))[:len(x.packets)]
	for i := range x.rank {
		x.rank[i] = -1
	}
	for n, p := range x.frames {
		x.rank[p] = int32(n)
	}
}

// drop removes frames that turned out not to be decodable.
func (x *packetIndex) drop(packets map[int]bool) {
	before := len(x.frames)
	x.frames = slices.DeleteFunc(x.frames, func(p int32) bool { return packets[int(p)] })
	x.undecodable += int64(before - len(x.frames))
	x.rerank()
}

// entryFor is the entry point from which frame n decodes exactly: the last one at or before it in decoding order
// that n does not lead. The start serves always.
func (x *packetIndex) entryFor(n int64) entryPoint {
	packet := int(x.frames[n])
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].packet > packet }) - 1
	for ; i > 0; i-- {
		if x.entries[i].pts <= x.packets[packet].pts {
			return x.entries[i]
		}
	}
	return x.first()
}

// first is the entry point that serves every frame.
func (x *packetIndex) first() entryPoint {
	if len(x.entries) > 0 && x.entries[0].packet == x.start {
		return x.entries[0]
	}
	return entryPoint{packet: x.start, pts: NoPTS, dts: NoPTS}
}

// at is the packet with that timestamp, or -1.
func (x *packetIndex) at(pts int64) int {
	i := sort.Search(len(x.byPTS), func(i int) bool { return x.packets[x.byPTS[i]].pts >= pts })
	if i < len(x.byPTS) && x.packets[x.byPTS[i]].pts == pts {
		return int(x.byPTS[i])
	}
	return -1
}

// find is the packet with that timestamp and size, or -1.
func (x *packetIndex) find(pts int64, sizeBytes int) int {
	if p := x.at(pts); p >= 0 && int(x.packets[p].sizeBytes) == sizeBytes {
		return p
	}
	return -1
}

// public lists the frames for callers.
func (x *packetIndex) public(timeBase Rational) *Index {
	out := &Index{TimeBase: timeBase, Frames: make([]IndexEntry, len(x.frames))}
	for n, p := range x.frames {
		e := IndexEntry{PTS: NoPTS, Key: x.packets[p].flags&packetClean != 0}
		if x.timestamps {
			e.PTS = x.packets[p].pts
		}
		out.Frames[n] = e
	}
	return out
}

// rate finds the average frame rate from timestamps, prefers a stated one that agrees, and says whether frames are
// unevenly spaced. A timestamp may be off by what rounding to the time base explains, or by 1/200 of a frame.
func (x *Index) rate(stated ...Rational) (rate Rational, variable bool) {
	n := len(x.Frames)
	if n < 2 || x.TimeBase.IsZero() || x.Frames[0].PTS == NoPTS {
		return firstKnown(stated), false
	}
	first, last := x.Frames[0].PTS, x.Frames[n-1].PTS
	step := float64(last-first) / float64(n-1)
	if step <= 0 {
		return firstKnown(stated), false
	}
	slack := max(1.01, step/200)
	for i, f := range x.Frames {
		if math.Abs(float64(f.PTS-first)-step*float64(i)) > slack {
			variable = true
			break
		}
	}
	measured := 1 / (step * x.TimeBase.Float())
	for _, r := range stated {
		// the measured rate is known as well as the first and the last timestamp are
		if !r.IsZero() && math.Abs(r.Float()-measured) <= measured*max(2/float64(last-first), 1e-6) {
			return r, variable
		}
	}
	return Rational{int64(n-1) * x.TimeBase.Den, (last - first) * x.TimeBase.Num}.reduced(), variable
}

func firstKnown(rates []Rational) Rational {
	for _, r := range rates {
		if !r.IsZero() {
			return r
		}
	}
	return Rational{}
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func abs(a int) int {
	if a < 0 {
		return -a
	}
	return a
}
