//go:build cuda

package gpu

import (
	"encoding/binary"
	"unsafe"
)

// picture mirrors VqsPicture of kernels/cuda/batch.h.
type picture struct {
	address    uint64
	pitchBytes uint32
	leftShift  uint32
}

// chroma mirrors VqsChroma of kernels/cuda/batch.h.
type chroma struct {
	address    [2]uint64
	pitchBytes uint32
	leftShift  uint32
	step       uint32
	_          uint32
}

// noPicture is kVqsNoPicture.
const noPicture = 0xffffffff

// frameEntry mirrors VqsFrame of kernels/cuda/batch.h.
type frameEntry struct {
	reference uint32
	previous  [2]uint32
	firstPair uint32
	pairs     uint32
}

// The sizes that the kernels assert on their side. A difference fails to compile.
var (
	_ [16]struct{} = [unsafe.Sizeof(picture{})]struct{}{}
	_ [32]struct{} = [unsafe.Sizeof(chroma{})]struct{}{}
	_ [20]struct{} = [unsafe.Sizeof(frameEntry{})]struct{}{}
)

const (
	pictureBytes   = 16
	chromaBytes    = 32
	frameBytes     = 20
	renditionBytes = 4
)

func (p picture) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, p.address)
	dst = binary.LittleEndian.AppendUint32(dst, p.pitchBytes)
	return binary.LittleEndian.AppendUint32(dst, p.leftShift)
}

func (c chroma) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, c.address[0])
	dst = binary.LittleEndian.AppendUint64(dst, c.address[1])
	for _, v := range []uint32{c.pitchBytes, c.leftShift, c.step, 0} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

func (f frameEntry) append(dst []byte) []byte {
	for _, v := range []uint32{f.reference, f.previous[0], f.previous[1], f.firstPair, f.pairs} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// batch is what a feature has to know of the frames that a launch covers.
type batch struct {
	// How many there are, not how many the plan has room for. renditions is the most pairs of any frame.
	frames, references, pairs, renditions int
	// Device addresses of VqsPicture[references], VqsPicture[pairs] and VqsFrame[frames]. A table without entries has address 0.
	referenceTable, distortedTable, frameTable uint64
	// Device address of u32[pairs]: which rendition each pair is of, 0 … the plan's number − 1.
	renditionTable uint64
	// Device addresses of VqsChroma[references] and VqsChroma[pairs]; 0 where no feature of the plan looks at chroma.
	referenceChroma, distortedChroma uint64

	width, height             int
	chromaWidth, chromaHeight int  // of [Plan.ChromaSize]
	bpc                       int  // bits per component
	wide                      bool // samples are u16, not u8
}

// sampleSuffix is u8 or u16, the end of a kernel's name.
func sampleSuffix(wide bool) string {
	if wide {
		return "u16"
	}
	return "u8"
}
