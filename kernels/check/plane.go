package check

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"

	"github.com/vqsd/vqsd/vmaf"
)

// layout is how a plane lies in memory.
type layout struct {
	strideBytes int
	slackBytes  int  // between the plane and the inaccessible page that it is nearest to
	atEnd       bool // that page is after the plane, not before it
}

func (l layout) String() string {
	where := "after the page before"
	if l.atEnd {
		where = "before the page after"
	}
	return fmt.Sprintf("stride %d, %d bytes %s", l.strideBytes, l.slackBytes, where)
}

// compact has no padding, and its last sample is the last byte before an inaccessible page.
func compact(size Size, bpc int) layout {
	return layout{strideBytes: size.Width * sampleBytes(bpc), atEnd: true}
}

// randomLayout draws strides that are minimal, odd in samples, aligned for vectors, or pages apart, and any alignment of the
// first sample that its type permits.
func randomLayout(rng *rand.Rand, size Size, bpc int) layout {
	n := sampleBytes(bpc)
	row := size.Width * n
	l := layout{atEnd: rng.IntN(4) != 0}
	switch rng.IntN(5) {
	case 0:
		l.strideBytes = row
	case 1:
		l.strideBytes = row + n
	case 2:
		l.strideBytes = (row + 63) &^ 63
	case 3:
		l.strideBytes = row + n*(1+rng.IntN(200))
	case 4:
		l.strideBytes = (row+4095)&^4095 + 64*rng.IntN(2)
	}
	if rng.IntN(2) == 0 {
		l.slackBytes = n * rng.IntN(64)
	}
	return l
}

// guardedPlane is a plane between two inaccessible pages, with junk all around its samples.
type guardedPlane struct {
	vmaf.Plane
	mapping  []byte // with the inaccessible pages
	inside   []byte // without
	expected []byte // what inside held when it was made
	start    int    // of the plane in inside
}

// place lays samples out in memory. The junk comes from rng, so that two placements differ in all but the samples.
func place(samples []uint16, size Size, bpc int, l layout, rng *rand.Rand) (*guardedPlane, error) {
	n := sampleBytes(bpc)
	length := (size.Height-1)*l.strideBytes + size.Width*n
	page := os.Getpagesize()
	pages := (length+l.slackBytes+page-1)/page + 2
	mapping, err := syscall.Mmap(-1, 0, pages*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d pages: %w", pages, err)
	}
	g := &guardedPlane{mapping: mapping, inside: mapping[page : len(mapping)-page]}
	for _, guard := range [][]byte{mapping[:page], mapping[len(mapping)-page:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			g.free()
			return nil, fmt.Errorf("protect a page: %w", err)
		}
	}
	for i := 0; i+8 <= len(g.inside); i += 8 {
		binary.NativeEndian.PutUint64(g.inside[i:], rng.Uint64())
	}
	start := l.slackBytes
	if l.atEnd {
		start = len(g.inside) - length - l.slackBytes
	}
	g.start = start
	// The capacity ends with the plane as well: the rest is not the kernel's.
	data := g.inside[start : start+length : start+length]
	g.Plane = vmaf.Plane{Data: data, StrideBytes: l.strideBytes, Width: size.Width, Height: size.Height}
	fillPlane(g.Plane, samples, n)
	g.expected = bytes.Clone(g.inside)
	return g, nil
}

// fillPlane stores samples of n bytes each.
func fillPlane(p vmaf.Plane, samples []uint16, n int) {
	for y := range p.Height {
		out := p.Data[y*p.StrideBytes:]
		for x, v := range samples[y*p.Width : (y+1)*p.Width] {
			if n == 1 {
				out[x] = byte(v)
			} else {
				binary.NativeEndian.PutUint16(out[2*x:], v)
			}
		}
	}
}

// intact reports a write to the plane or around it.
func (g *guardedPlane) intact() error {
	if bytes.Equal(g.inside, g.expected) {
		return nil
	}
	i := 0
	for g.inside[i] == g.expected[i] {
		i++
	}
	return fmt.Errorf("was written to: byte %d of %d (first row at 0, rows %d apart) changed from %#02x to %#02x",
		i-g.start, len(g.Data), g.StrideBytes, g.expected[i], g.inside[i])
}

func (g *guardedPlane) free() {
	if g.mapping != nil {
		// Unmapping what Mmap returned cannot fail.
		_ = syscall.Munmap(g.mapping)
		g.mapping, g.inside, g.Data = nil, nil, nil
	}
}
