package decode

import (
	"cmp"
	"time"

	"github.com/vqsd/vqsd/vmaf"
)

// Info is what is known of a video once it is open.
type Info struct {
	Path        string // as given; "standard input" for "-"
	SizeBytes   int64  // of the file; -1 for a stream
	Container   string // FFmpeg's short name, such as "mov,mp4,m4a,3gp,3g2,mj2"; "yuv4mpegpipe"; "rawvideo"
	Codec       string // such as "h264"
	Decoder     string // what decodes it, such as "libdav1d", or "hevc_nvdec" on a device; "" for files that need none
	Profile     string // "" unknown
	PixelFormat string // FFmpeg's name of the stored samples
	// SoftwareReason is why Config.Hardware does not decode the file; "" where it does, or where there is none.
	SoftwareReason string

	Format                  vmaf.Format // of the frames that are delivered, after rotation
	CodedWidth, CodedHeight int         // as stored, before rotation
	SampleAspect            Rational    // width : height of a sample as stored; zero: unknown
	Rotation                Rotation    // what the metadata ask for, applied unless Config.NoRotate
	Interlaced              string      // "" progressive or unknown, else "tff", "bff", "mixed"
	Color                   Color

	FrameRate    Rational // average; zero: unknown
	VariableRate bool     // frames are unevenly spaced in time
	TimeBase     Rational // unit of timestamps in seconds; zero: unknown
	StartOffset  time.Duration
	Duration     time.Duration // from the first frame to the end of the last one; 0 unknown

	Frames     int64 // -1 for a stream
	KeyFrames  int64 // random-access pictures; -1 for a stream
	Seekable   bool  // reading from the middle starts at a random-access picture; otherwise at the start of the file
	Timestamps bool  // every frame has one

	// Coded pictures that are no frames.
	Discarded   int64 // cut by the container's edit list
	Hidden      int64 // never shown (VP8, VP9)
	Undecodable int64 // before the first random-access picture, or referring there

	Truncated string // why the file is known to end too early, or ""
	BitRate   int64  // of the video stream in bit/s, of the whole file where that is unknown; 0 unknown
	Streams   []Stream
}

// Color is how the file says its samples are to be understood, in FFmpeg's names; "" unknown.
type Color struct{ Range, Space, Primaries, Transfer string }

// Stream is one of the streams in a container.
type Stream struct {
	Index    int
	Type     string // "video", "audio", "subtitle", "data", …
	Codec    string
	Language string // "" unknown
	Selected bool   // the one that is read
}

// Stats counts what Readers met.
type Stats struct {
	Delivered     int64 // frames given
	Damaged       int64 // of these, concealed by the decoder
	Missing       int64 // coded pictures that gave no frame, or could not be decoded
	FormatChanges int64 // frames that differ in format from the one before
	// Fallbacks counts the Readers that went on in software because the hardware decoder could not, or reported anything odd.
	Fallbacks int64
	// FallbackReason is why the first of them did; "" where none did.
	FallbackReason string
}

func (s *Stats) add(o Stats) {
	s.Delivered += o.Delivered
	s.Damaged += o.Damaged
	s.Missing += o.Missing
	s.FormatChanges += o.FormatChanges
	s.Fallbacks += o.Fallbacks
	s.FallbackReason = cmp.Or(s.FallbackReason, o.FallbackReason)
}
