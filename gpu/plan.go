//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/vqsd/vqsd/vmaf"
)

// The limits of a plan.
const (
	maxSize       = 65536 // samples a row, and rows
	maxFrames     = 4096
	maxRenditions = 64
	maxPairs      = maxGridYZ // a launch has one layer of blocks for each
)

// pitchAlignment is what rows on the device begin at multiples of, so that those of neighbouring threads are fetched together.
const pitchAlignment = 256

// rowBytes is how long a row of luma is.
func (p Plan) rowBytes() int { return p.Format.Width * p.Format.BytesPerSample() }

// hostPlanes is how many planes of host memory a batch has at the most.
func (p Plan) hostPlanes() int {
	switch {
	case p.HostPlanes > 0:
		return min(p.HostPlanes, p.references()+p.pairs())
	case p.HostPlanes == NoHostPlanes:
		return 0
	}
	return p.references() + p.pairs()
}

// references and pairs are how many entries the tables of a batch have at the most.
func (p Plan) references() int { return p.Frames * (1 + len(p.MotionDistances)) }
func (p Plan) pairs() int      { return p.Frames * p.Renditions }

// comparesPairs says whether any feature looks at distorted pictures.
func (p Plan) comparesPairs() bool {
	return len(p.VIFGains)+len(p.ADM)+p.SSEPlanes+len(p.SSIMScales)+len(p.Cambi)+len(p.Speed) > 0 || p.MSSSIM || p.PSNRHVS || p.CIEDE
}

// chromaTables is 1 where a batch has tables of chroma planes, else 0.
func (p Plan) chromaTables() int {
	if p.NeedsChroma() {
		return 1
	}
	return 0
}

// tableBytes is how long the tables of a batch are at the most.
func (p Plan) tableBytes() int {
	pictures := p.references() + p.pairs()
	return pictures*(pictureBytes+p.chromaTables()*chromaBytes) + p.Frames*frameBytes + p.pairs()*renditionBytes
}

// Bytes is the device memory that a session for the plan takes. The plan is one that [Device.NewSession] accepts.
func (p Plan) Bytes() int64 {
	bytes := int64(p.hostPlanes()) * int64(p.lumaLayout().planeBytes+p.chromaTables()*2*p.chromaLayout().planeBytes)
	bytes += int64(p.tableBytes())
	bytes += int64(p.resultWords()) * 8
	for _, k := range p.kinds() {
		bytes += k.bytes(p)
	}
	return bytes
}

func (p Plan) validate() error {
	var errs []error
	fault := func(format string, arguments ...any) { errs = append(errs, fmt.Errorf(format, arguments...)) }
	f := p.Format
	if f.Width < 1 || f.Width > maxSize || f.Height < 1 || f.Height > maxSize {
		fault("format %dx%d; width and height must be 1 … %d", f.Width, f.Height, maxSize)
	}
	if f.BitsPerComponent < 8 || f.BitsPerComponent > 16 {
		fault("format of %d bits per component; must be 8 … 16", f.BitsPerComponent)
	}
	if p.Frames < 1 || p.Frames > maxFrames {
		fault("%d frames a batch; must be 1 … %d", p.Frames, maxFrames)
	}
	if p.Renditions < 0 || p.Renditions > maxRenditions {
		fault("%d renditions; must be 0 … %d", p.Renditions, maxRenditions)
	}
	if p.pairs() > maxPairs {
		fault("%d frames of %d renditions a batch; the product must be at most %d", p.Frames, p.Renditions, maxPairs)
	}
	if p.HostPlanes < NoHostPlanes {
		fault("%d planes of host memory; must not be negative, but %d for none", p.HostPlanes, NoHostPlanes)
	}
	if !p.comparesPairs() && len(p.MotionDistances)+len(p.CambiSource) == 0 {
		fault("no feature is to be measured")
	}
	if p.comparesPairs() && p.Renditions == 0 {
		fault("0 renditions; all features but motion and CAMBI of the reference compare at least one with the reference")
	}
	if p.NeedsChroma() && f.Subsampling == vmaf.Gray {
		fault("format %v has no chroma, which a feature looks at", f)
	}
	if p.SSEPlanes != 0 && p.SSEPlanes != 1 && p.SSEPlanes != 3 {
		fault("squared differences of %d planes; must be 0, 1 or 3", p.SSEPlanes)
	}
	for _, k := range p.kinds() {
		errs = append(errs, k.validate(p))
	}
	return errors.Join(errs...)
}

// validateFrames checks a batch against the plan.
func (p Plan) validateFrames(frames []Frame) error {
	if len(frames) == 0 || len(frames) > p.Frames {
		return fmt.Errorf("batch of %d frames; the session takes 1 … %d", len(frames), p.Frames)
	}
	const most = 10 // of errors, each a line
	var errs []error
	fault := func(i int, err error, which string, arguments ...any) {
		if len(errs) < most {
			errs = append(errs, fmt.Errorf("frame %d: %s: %w", i, fmt.Sprintf(which, arguments...), err))
		}
	}
	for i, f := range frames {
		if f.Reference == nil {
			fault(i, errors.New("no picture"), "reference")
		} else if err := p.validatePlane(f.Reference); err != nil {
			fault(i, err, "reference")
		} else if err := p.validateChroma(f.Reference, f.ReferenceChroma); err != nil {
			fault(i, err, "reference")
		}
		for _, distance := range p.MotionDistances {
			if previous := f.Previous[distance-1]; previous != nil {
				if err := p.validatePlane(previous); err != nil {
					fault(i, err, "reference %d before", distance)
				}
			}
		}
		if len(f.Distorted) > p.Renditions {
			fault(i, fmt.Errorf("%d pictures; the session takes %d", len(f.Distorted), p.Renditions), "distorted")
			continue
		}
		for k, distorted := range f.Distorted {
			if distorted == nil {
				continue
			}
			err := p.validatePlane(distorted)
			switch {
			case err != nil || !p.NeedsChroma():
			case k >= len(f.DistortedChroma):
				err = errors.New("no chroma, which a feature of the plan looks at")
			default:
				err = p.validateChroma(distorted, f.DistortedChroma[k])
			}
			if err != nil {
				fault(i, err, "rendition %d", k)
			}
		}
	}
	return errors.Join(errs...)
}

// validatePlane refuses a luma plane by which a kernel, or the copy to the device, would leave its memory, as far as the plane tells.
func (p Plan) validatePlane(plane *vmaf.Plane) error {
	if plane.Interleaved {
		return errors.New("luma that alternates with another plane")
	}
	return p.validateSamples(plane, p.Format.Width, p.Format.Height, p.rowBytes())
}

// validateChroma does the same for the chroma planes of a picture, if the plan needs them.
func (p Plan) validateChroma(luma *vmaf.Plane, chroma [2]*vmaf.Plane) error {
	if !p.NeedsChroma() {
		return nil
	}
	f := p.Format
	width, height := f.Subsampling.ChromaSize(f.Width, f.Height)
	for i, plane := range chroma {
		if plane == nil {
			return errors.New("no chroma, which a feature of the plan looks at")
		}
		row := width * f.BytesPerSample()
		if plane.Interleaved {
			row = (2*width - 1) * f.BytesPerSample()
		}
		if err := p.validateSamples(plane, width, height, row); err != nil {
			return fmt.Errorf("chroma plane %d: %w", i, err)
		}
		switch {
		case (plane.DeviceAddress == 0) != (luma.DeviceAddress == 0):
			return fmt.Errorf("chroma plane %d does not lie where luma does", i)
		case plane.Widened != luma.Widened || plane.Widened > 0 && plane.WidenedRepeat:
			return fmt.Errorf("chroma plane %d is to be widened in another way than luma", i)
		case plane.HighBits != luma.HighBits:
			return fmt.Errorf("chroma plane %d has its values in other bits than luma", i)
		case plane.Interleaved && plane.DeviceAddress == 0:
			return fmt.Errorf("chroma plane %d alternates with the other in host memory", i)
		case plane.Interleaved != chroma[0].Interleaved || plane.DeviceAddress != 0 && plane.StrideBytes != chroma[0].StrideBytes:
			return errors.New("chroma planes of different layouts")
		}
	}
	return nil
}

// validateSamples checks a plane that is to have rows of row bytes.
func (p Plan) validateSamples(plane *vmaf.Plane, width, height, row int) error {
	f, bytes := p.Format, p.Format.BytesPerSample()
	if plane.Widened > 0 {
		if 8+int(plane.Widened) != f.BitsPerComponent || plane.DeviceAddress == 0 || plane.HighBits {
			return fmt.Errorf("plane widened by %d bits; only those of 8 bits on the device are, to %d", plane.Widened, f.BitsPerComponent)
		}
		if height > maxGridYZ {
			return fmt.Errorf("plane of %d rows to be widened; at most %d are", height, maxGridYZ)
		}
		row, bytes = (row+1)/2, 1
	}
	switch {
	case plane.Width != width || plane.Height != height:
		return fmt.Errorf("plane of %dx%d samples, want %dx%d", plane.Width, plane.Height, width, height)
	case plane.StrideBytes < row:
		return fmt.Errorf("stride of %d bytes is shorter than a row of %d", plane.StrideBytes, row)
	case plane.StrideBytes > math.MaxUint32:
		return fmt.Errorf("stride of %d bytes; at most %d is possible", plane.StrideBytes, uint32(math.MaxUint32))
	case plane.HighBits && bytes == 1:
		return errors.New("samples of one byte can not have their value in the high bits of two")
	case plane.DeviceAddress == 0 && len(plane.Data) == 0:
		return errors.New("plane without samples")
	case plane.DeviceAddress != 0 && len(plane.Data) != 0:
		return errors.New("plane in host memory and in the device's")
	}
	address := plane.DeviceAddress
	if address == 0 {
		if len(plane.Data) < row || (len(plane.Data)-row)/plane.StrideBytes < height-1 {
			return fmt.Errorf("%d bytes, too few for %d rows %d bytes apart", len(plane.Data), height, plane.StrideBytes)
		}
		address = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(plane.Data))))
	}
	if bytes == 2 && (plane.StrideBytes%2 != 0 || address%2 != 0) {
		return fmt.Errorf("samples of two bytes at odd addresses: %#x, rows %d bytes apart", address, plane.StrideBytes)
	}
	return nil
}

// leftShift is what brings the plane's samples to 16 bits.
func (p Plan) leftShift(plane *vmaf.Plane) uint32 {
	if plane.HighBits {
		return 0
	}
	return uint32(16 - p.Format.BitsPerComponent)
}
