//go:build cuda

package gpu

import (
	"encoding/binary"
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
	widened     uint8
	repeat      bool
}

func keyOf(p *vmaf.Plane) planeKey {
	return planeKey{unsafe.Pointer(unsafe.SliceData(p.Data)), p.DeviceAddress, p.StrideBytes, p.HighBits, p.Widened, p.WidenedRepeat}
}

// assembly makes the tables of a batch. It keeps its memory from batch to batch.
type assembly struct {
	plan  Plan
	stage *stage // where pictures of host memory will lie on the device

	host       []hostPicture // those of the batch, in the order of the stage's places
	hostIndex  map[planeKey]int
	references map[planeKey]uint32 // index into the table

	referenceTable, distortedTable, frameTable, renditionTable []byte
	referenceChroma, distortedChroma                           []byte
}

// stepOf is how many samples on the next sample of a row is.
func stepOf(p *vmaf.Plane) uint32 {
	if p.Interleaved {
		return 2
	}
	return 1
}

// hostPicture is what goes to the device of one picture, or is widened there. The chroma planes are nil where the plan needs none.
type hostPicture struct {
	luma   *vmaf.Plane
	chroma [2]*vmaf.Plane
}

func newAssembly(p Plan, s *stage) *assembly {
	return &assembly{
		plan: p, stage: s,
		hostIndex: map[planeKey]int{}, references: map[planeKey]uint32{},
	}
}

// assemble describes a batch that the plan has been found to allow. It fills all of b but the addresses of the tables.
func (a *assembly) assemble(frames []Frame, b *batch) error {
	a.forget()
	for _, table := range []*[]byte{
		&a.referenceTable, &a.distortedTable, &a.frameTable, &a.renditionTable, &a.referenceChroma, &a.distortedChroma,
	} {
		*table = (*table)[:0]
	}
	*b = batch{
		frames: len(frames), width: a.plan.Format.Width, height: a.plan.Format.Height,
		bpc: a.plan.Format.BitsPerComponent, wide: a.plan.Format.BytesPerSample() == 2,
	}
	b.chromaWidth, b.chromaHeight = a.plan.ChromaSize()
	for i, f := range frames {
		entry := frameEntry{
			reference: a.reference(f.Reference, f.ReferenceChroma), previous: [2]uint32{noPicture, noPicture}, firstPair: uint32(b.pairs),
		}
		for _, distance := range a.plan.MotionDistances {
			if previous := f.Previous[distance-1]; previous != nil {
				entry.previous[distance-1] = a.reference(previous, [2]*vmaf.Plane{})
			}
		}
		for k, distorted := range f.Distorted {
			if distorted == nil {
				continue
			}
			var colour [2]*vmaf.Plane
			if a.plan.NeedsChroma() {
				colour = f.DistortedChroma[k]
			}
			luma, chroma := a.picture(distorted, colour)
			a.distortedTable = luma.append(a.distortedTable)
			a.renditionTable = binary.LittleEndian.AppendUint32(a.renditionTable, uint32(k))
			if a.plan.NeedsChroma() {
				a.distortedChroma = chroma.append(a.distortedChroma)
			}
			entry.pairs++
		}
		b.pairs += int(entry.pairs)
		b.renditions = max(b.renditions, int(entry.pairs))
		a.frameTable = entry.append(a.frameTable)
		if have := len(a.stage.places); len(a.host) > have {
			return fmt.Errorf("frame %d: with it the batch has %d planes in host memory, and the plan has room for %d", i, len(a.host), have)
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

// reference is the index of a picture in the table of references, where it is once. Where it is only looked at for motion its chroma is not
// given, and may be given later.
func (a *assembly) reference(p *vmaf.Plane, colour [2]*vmaf.Plane) uint32 {
	key := keyOf(p)
	index, known := a.references[key]
	if !known {
		index = uint32(len(a.references))
		a.references[key] = index
	}
	if known && colour[0] == nil {
		return index
	}
	luma, chroma := a.picture(p, colour)
	if !known {
		a.referenceTable = luma.append(a.referenceTable)
	}
	if a.plan.NeedsChroma() {
		a.referenceChroma = chroma.append(a.referenceChroma[:index*chromaBytes])[:max(len(a.referenceChroma), int(index+1)*chromaBytes)]
	}
	return index
}

// picture describes a picture: where it lies on the device, or where it will. Without colour its chroma is described as nowhere.
func (a *assembly) picture(p *vmaf.Plane, colour [2]*vmaf.Plane) (picture, chroma) {
	shift := a.plan.leftShift(p)
	if p.DeviceAddress != 0 && p.Widened == 0 {
		luma := picture{p.DeviceAddress, uint32(p.StrideBytes), shift}
		if colour[0] == nil {
			return luma, chroma{}
		}
		c := chroma{
			address:    [2]uint64{colour[0].DeviceAddress, colour[1].DeviceAddress},
			pitchBytes: uint32(colour[0].StrideBytes), leftShift: shift, step: stepOf(colour[0]),
		}
		return luma, c
	}
	key := keyOf(p)
	index, ok := a.hostIndex[key]
	if !ok {
		index = len(a.host)
		a.hostIndex[key] = index
		a.host = append(a.host, hostPicture{luma: p})
	}
	if colour[0] != nil {
		a.host[index].chroma = colour
	}
	if index >= len(a.stage.places) {
		return picture{}, chroma{} // assemble refuses the batch
	}
	at := a.stage.places[index]
	return picture{at.luma, uint32(a.stage.luma.pitchBytes), shift},
		chroma{address: at.chroma, pitchBytes: uint32(a.stage.chroma.pitchBytes), leftShift: shift, step: 1}
}
