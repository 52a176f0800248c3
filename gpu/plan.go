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

// rowBytes, pitchBytes and planeBytes are the sizes of a plane as a session keeps it on the device. The last row is not padded: reading
// beyond its end is then reading beyond the allocation.
func (p Plan) rowBytes() int { return p.Format.Width * p.Format.BytesPerSample() }
func (p Plan) pitchBytes() int {
	return (p.rowBytes() + pitchAlignment - 1) / pitchAlignment * pitchAlignment
}
func (p Plan) planeBytes() int { return (p.Format.Height-1)*p.pitchBytes() + p.rowBytes() }

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

// Bytes is the device memory that a session for the plan takes. The plan is one that [Device.NewSession] accepts.
func (p Plan) Bytes() int64 {
	bytes := int64(p.hostPlanes()) * int64(p.planeBytes())
	bytes += int64(p.references()+p.pairs())*pictureBytes + int64(p.Frames)*frameBytes
	bytes += int64(p.resultWords()) * 8
	if len(p.VIFGains) > 0 {
		bytes += vifBytes(p)
	}
	if len(p.ADM) > 0 {
		bytes += admBytes(p)
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
	if len(p.VIFGains)+len(p.ADM)+len(p.MotionDistances) == 0 {
		fault("no feature is to be measured")
	}
	if len(p.VIFGains)+len(p.ADM) > 0 && p.Renditions == 0 {
		fault("0 renditions; VIF and ADM compare at least one with the reference")
	}
	for i, gain := range p.VIFGains {
		if !(gain >= 1 && gain <= 100) {
			fault("VIF gain limit %d is %g; must be 1 … 100", i, gain)
		}
	}
	for i, c := range p.ADM {
		if !(c.Gain >= 1 && c.Gain <= 100) {
			fault("ADM gain limit %d is %g; must be 1 … 100", i, c.Gain)
		}
	}
	if len(p.VIFGains) > 0 {
		errs = append(errs, vifValidate(p))
	}
	if len(p.ADM) > 0 {
		errs = append(errs, admValidate(p))
	}
	if len(p.MotionDistances) > 0 && min(f.Width, f.Height) < minMotionSize {
		fault("format %dx%d is too small for motion, which needs %dx%d", f.Width, f.Height, minMotionSize, minMotionSize)
	}
	seen := [3]bool{}
	for _, distance := range p.MotionDistances {
		switch {
		case distance < 1 || distance > 2:
			fault("motion distance of %d frames; must be 1 or 2", distance)
		case seen[distance]:
			fault("motion distance %d is there twice", distance)
		default:
			seen[distance] = true
		}
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
			if distorted != nil {
				if err := p.validatePlane(distorted); err != nil {
					fault(i, err, "rendition %d", k)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// validatePlane refuses a plane by which a kernel, or the copy to the device, would leave its memory, as far as the plane tells.
func (p Plan) validatePlane(plane *vmaf.Plane) error {
	f, row := p.Format, p.rowBytes()
	switch {
	case plane.Width != f.Width || plane.Height != f.Height:
		return fmt.Errorf("plane of %dx%d samples, want %dx%d", plane.Width, plane.Height, f.Width, f.Height)
	case plane.StrideBytes < row:
		return fmt.Errorf("stride of %d bytes is shorter than a row of %d", plane.StrideBytes, row)
	case plane.StrideBytes > math.MaxUint32:
		return fmt.Errorf("stride of %d bytes; at most %d is possible", plane.StrideBytes, uint32(math.MaxUint32))
	case plane.HighBits && f.BytesPerSample() == 1:
		return errors.New("samples of one byte can not have their value in the high bits of two")
	case plane.DeviceAddress == 0 && len(plane.Data) == 0:
		return errors.New("plane without samples")
	case plane.DeviceAddress != 0 && len(plane.Data) != 0:
		return errors.New("plane in host memory and in the device's")
	}
	address := plane.DeviceAddress
	if address == 0 {
		if len(plane.Data) < row || (len(plane.Data)-row)/plane.StrideBytes < f.Height-1 {
			return fmt.Errorf("%d bytes, too few for %d rows %d bytes apart", len(plane.Data), f.Height, plane.StrideBytes)
		}
		address = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(plane.Data))))
	}
	if f.BytesPerSample() == 2 && (plane.StrideBytes%2 != 0 || address%2 != 0) {
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
