package vmaf

import "fmt"

// Subsampling says how a picture's chroma planes relate to its luma plane.
type Subsampling uint8

// The subsamplings a [Picture] can have. The zero value is luma alone.
const (
	Gray      Subsampling = iota // 4:0:0: one plane
	Chroma420                    // half width, half height, rounded up
	Chroma422                    // half width, full height
	Chroma444                    // full width, full height
)

// String returns the customary ratio, such as "4:2:0".
func (s Subsampling) String() string {
	switch s {
	case Gray:
		return "4:0:0"
	case Chroma420:
		return "4:2:0"
	case Chroma422:
		return "4:2:2"
	case Chroma444:
		return "4:4:4"
	}
	return fmt.Sprintf("Subsampling(%d)", uint8(s))
}

// ParseSubsampling reads what [Subsampling.String] writes: "4:2:0".
func ParseSubsampling(text string) (Subsampling, error) {
	for s := Gray; s <= Chroma444; s++ {
		if text == s.String() {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown chroma subsampling %q; want 4:0:0, 4:2:0, 4:2:2 or 4:4:4", clip(text))
}

// Planes is the number of planes: 1 for luma alone, else 3.
func (s Subsampling) Planes() int {
	if s == Gray {
		return 1
	}
	return 3
}

// ChromaSize is the size in samples of each chroma plane of a picture whose luma has width × height samples.
// Odd sizes round up. It is 0 × 0 for [Gray].
func (s Subsampling) ChromaSize(width, height int) (int, int) {
	switch s {
	case Chroma420:
		return (width + 1) / 2, (height + 1) / 2
	case Chroma422:
		return (width + 1) / 2, height
	case Chroma444:
		return width, height
	}
	return 0, 0
}

// Format is everything about a picture's samples that a feature has to know.
type Format struct {
	Width, Height int // luma size in samples
	// BitsPerComponent is 8 … 16. At 8 a sample is one byte; above, a little-endian 16-bit word that holds
	// its value in the low bits (0 … 2^BitsPerComponent − 1).
	BitsPerComponent int
	Subsampling      Subsampling
	FullRange        bool // luma spans 0 … 2^B−1 rather than the limited (video) range
}

// BytesPerSample is 1 for 8-bit pictures, else 2.
func (f Format) BytesPerSample() int {
	if f.BitsPerComponent <= 8 {
		return 1
	}
	return 2
}

// String reads "1920x1080 4:2:0 10 bit".
func (f Format) String() string {
	s := fmt.Sprintf("%dx%d %v %d bit", f.Width, f.Height, f.Subsampling, f.BitsPerComponent)
	if f.FullRange {
		s += " full range"
	}
	return s
}

// Plane is one component of a picture, in host memory or in that of a device. It does not own its samples.
type Plane struct {
	// Data holds at least (Height−1)·StrideBytes + Width·BytesPerSample bytes, first row first. For samples
	// of two bytes its address is even. It is nil for a plane in a device's memory.
	Data []byte
	// DeviceAddress is where the first sample lies in the memory of the device that decoded the picture, which the program can
	// not read by itself; 0 for a plane in host memory.
	DeviceAddress uint64
	// HighBits says that samples of two bytes hold their value in the high bits and zeros below, as decoders of devices write
	// them (P010, P016), rather than in the low bits. Only planes of devices have it set.
	HighBits bool
	// Widened, if not 0, says that samples are bytes which stand for values of 8 + Widened bits: v << Widened, and with WidenedRepeat
	// besides v >> (8 − Widened) in the bits below. Only planes of devices have it set.
	Widened       uint8
	WidenedRepeat bool
	// Interleaved says that the samples of this chroma plane alternate with those of the other, so that the next in a row is two
	// samples on (NV12, P010). Only planes of devices have it set.
	Interleaved   bool
	StrideBytes   int // distance between rows; at least Width·BytesPerSample
	Width, Height int // in samples
}

// Picture is one decoded picture: planes Y, Cb, Cr. A picture is read-only once it has been handed on; who made it says
// how long its planes stay valid.
type Picture struct {
	Format Format
	// Planes[1:] have no samples when the format is [Gray] or when nobody asked for chroma.
	Planes [3]Plane
}
