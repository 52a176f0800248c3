//go:build cuda

package gpu

import (
	"fmt"
	"unsafe"

	"github.com/vqsd/vqsd/vmaf"
)

// planeKey tells planes apart: two of one key have the same samples.
type planeKey struct {
	host        unsafe.Pointer
	address     uint64
	strideBytes int
	highBits    bool
}

func keyOf(p *vmaf.Plane) planeKey {
	return planeKey{unsafe.Pointer(unsafe.SliceData(p.Data)), p.DeviceAddress, p.StrideBytes, p.HighBits}
}

// assembly makes the tables of a batch. It keeps its memory from batch to batch.
type assembly struct {
	plan   Plan
	planes []uint64 // where planes of host memory will lie on the device
	pitch  int

	host       []*vmaf.Plane // those of the batch, in the order of planes
	hostIndex  map[planeKey]int
	references map[planeKey]uint32 // index into the table

	referenceTable, distortedTable, frameTable []byte
}

func newAssembly(p Plan, s *stage) *assembly {
	return &assembly{
		plan: p, planes: s.planes, pitch: s.pitchBytes,
		hostIndex: map[planeKey]int{}, references: map[planeKey]uint32{},
	}
}

// assemble describes a batch that the plan has been found to allow. It fills all of b but the addresses of the tables.
func (a *assembly) assemble(frames []Frame, b *batch) error {
	a.forget()
	a.referenceTable, a.distortedTable, a.frameTable = a.referenceTable[:0], a.distortedTable[:0], a.frameTable[:0]
	*b = batch{
		frames: len(frames), width: a.plan.Format.Width, height: a.plan.Format.Height,
		wide: a.plan.Format.BytesPerSample() == 2,
	}
	for i, f := range frames {
		entry := frameEntry{
			reference: a.reference(f.Reference), previous: [2]uint32{noPicture, noPicture}, firstPair: uint32(b.pairs),
		}
		for _, distance := range a.plan.MotionDistances {
			if previous := f.Previous[distance-1]; previous != nil {
				entry.previous[distance-1] = a.reference(previous)
			}
		}
		for _, distorted := range f.Distorted {
			if distorted != nil {
				a.distortedTable = a.picture(distorted).append(a.distortedTable)
				entry.pairs++
			}
		}
		b.pairs += int(entry.pairs)
		b.renditions = max(b.renditions, int(entry.pairs))
		a.frameTable = entry.append(a.frameTable)
		if len(a.host) > len(a.planes) {
			return fmt.Errorf("frame %d: with it the batch has %d planes in host memory, and the plan has room for %d", i, len(a.host), len(a.planes))
		}
	}
	b.references = len(a.references)
	return nil
}

// forget lets go of the batch's pictures.
func (a *assembly) forget() {
	clear(a.hostIndex)
	clear(a.references)
	clear(a.host)
	a.host = a.host[:0]
}

// reference is the index of a plane in the table of references, where it is once.
func (a *assembly) reference(p *vmaf.Plane) uint32 {
	key := keyOf(p)
	index, ok := a.references[key]
	if !ok {
		index = uint32(len(a.references))
		a.references[key] = index
		a.referenceTable = a.picture(p).append(a.referenceTable)
	}
	return index
}

// picture describes a plane: where it lies on the device, or where it will.
func (a *assembly) picture(p *vmaf.Plane) picture {
	if p.DeviceAddress != 0 {
		return picture{p.DeviceAddress, uint32(p.StrideBytes), a.plan.leftShift(p)}
	}
	key := keyOf(p)
	index, ok := a.hostIndex[key]
	if !ok {
		index = len(a.host)
		a.hostIndex[key] = index
		a.host = append(a.host, p)
	}
	if index >= len(a.planes) {
		return picture{} // assemble refuses the batch
	}
	return picture{a.planes[index], uint32(a.pitch), a.plan.leftShift(p)}
}
