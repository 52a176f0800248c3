package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/vqsd/vqsd/kernels/cpu"
	"github.com/vqsd/vqsd/vmaf"
)

// checkSamples refuses, where CAMBI is computed on a device, what the processor's kernel refuses: samples of more bits than the format says, which
// headerless files can hold. What a device decoded has none. Source: spec/cambi.md §5.1.
func (f *features) checkSamples(set *FrameSet) error {
	if len(f.cambi) == 0 || f.format.BitsPerComponent == 8 || f.format.BitsPerComponent == 16 {
		return nil
	}
	if len(f.sources) > 0 {
		if err := f.checkPlane(&set.Reference.Planes[0]); err != nil {
			return err
		}
	}
	for k, picture := range set.Distorted {
		if picture == nil || set.partial(k) {
			continue
		}
		if err := f.checkPlane(&picture.Planes[0]); err != nil {
			return err
		}
	}
	return nil
}

func (f *features) checkPlane(p *vmaf.Plane) error {
	if p.DeviceAddress != 0 {
		return nil
	}
	bits := f.format.BitsPerComponent
	above := uint64(0xffff) << bits & 0xffff
	above |= above << 16
	above |= above << 32 // the bits of four samples that have to be zero
	found := uint64(0)
	for y := range p.Height {
		row := p.Data[y*p.StrideBytes:][:2*p.Width]
		for ; len(row) >= 8; row = row[8:] {
			found |= binary.LittleEndian.Uint64(row)
		}
		for ; len(row) >= 2; row = row[2:] {
			found |= uint64(binary.LittleEndian.Uint16(row))
		}
	}
	if found&above != 0 {
		return fmt.Errorf("cambi: %w: the plane is said to have %d bits", cpu.ErrSampleRange, bits)
	}
	return nil
}
