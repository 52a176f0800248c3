package decode

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/decode/internal/nvdec"
	"github.com/vqsd/vqsd/vmaf"
)

// hardwareError is why a hardware session can not go on. It never leaves this package: software decodes what hardware does not, and
// its word counts.
type hardwareError struct{ why string }

func (e *hardwareError) Error() string { return e.why }

// exactProfiles are the profiles that every generation of NVDEC decodes wholly, where a codec has others with the same samples.
// H.264: not Baseline, whose arbitrary slice order neither side promises, nor High 4:4:4 Predictive, which has a lossless mode.
// HEVC: not the range extensions.
var exactProfiles = map[string][]astiav.Profile{
	"h264": {astiav.ProfileH264ConstrainedBaseline, astiav.ProfileH264Main, astiav.ProfileH264High},
	"hevc": {astiav.ProfileHevcMain, astiav.ProfileHevcMain10},
}

// unfit says why the file is not to be decoded by its Hardware, or gives "". What FFmpeg learns only while it decodes is checked
// there.
func (c *codedFile) unfit() string {
	f := c.headFormat
	if c.cfg.OnDamage == Conceal {
		return "damage is to be concealed as software does it"
	}
	if c.info.Interlaced != "" {
		return "interlaced pictures"
	}
	if why := c.cfg.Hardware.fits(c.info.Codec, f); why != "" {
		return why
	}
	if profiles := exactProfiles[c.info.Codec]; profiles != nil && !slices.Contains(profiles, c.profile) {
		return "profile " + c.info.Profile
	}
	// H.264 and HEVC are coded in whole blocks. For the others FFmpeg's hwaccel computes where chroma begins from the height as it is,
	// while a decoder's surfaces have an even number of rows.
	if c.info.Codec != "h264" && c.info.Codec != "hevc" && (f.Width%2 != 0 || f.Height%2 != 0) {
		return fmt.Sprintf("odd picture size %dx%d", f.Width, f.Height)
	}
	return ""
}

// tryHardware has the first frame decoded by the Hardware that the configuration names, and chooses it if the frame looks as the one
// that software gave. Otherwise Info.SoftwareReason says why it does not serve. The error is for what software could not help
// either: the context's, or a limit.
func (c *codedFile) tryHardware(ctx context.Context) error {
	why := c.unfit()
	if why != "" {
		c.info.SoftwareReason = why
		return nil
	}
	c.hardware = c.cfg.Hardware
	r := &codedReader{file: c, end: 1, only: true}
	f, err := r.frame(ctx)
	switch {
	case err == nil && f.Format != c.headFormat:
		why = fmt.Sprintf("it gives %v for %v", f.Format, c.headFormat)
	case hardwareTrouble(err):
		why = err.Error()
	case err != nil:
		r.close(true)
		return fmt.Errorf("%s: %w", c.path, r.explain(err))
	}
	if f != nil {
		f.Release()
	}
	r.close(why != "")
	if why != "" {
		c.hardware, c.info.SoftwareReason = nil, why
		return nil
	}
	c.info.Decoder = hardwareDecoder(c.info.Codec) + "_nvdec"
	c.mu.Lock()
	var software []*session
	c.idle = slices.DeleteFunc(c.idle, func(s *session) bool {
		if !s.hardware {
			software = append(software, s)
		}
		return !s.hardware
	})
	c.mu.Unlock()
	for _, s := range software {
		s.close()
	}
	return nil
}

// hardwareTrouble says whether an error of a hardware session is one that software may not have.
func hardwareTrouble(err error) bool {
	var failed *hardwareError
	var frame *FrameError
	return errors.As(err, &failed) || errors.As(err, &frame) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated)
}

// hardwareDecoder is the decoder of FFmpeg that has a codec's hwaccel.
func hardwareDecoder(codec string) string {
	for _, c := range hardwareCodecs {
		if c.codec == codec {
			return c.decoder
		}
	}
	return ""
}

// takeSurface makes a vmaf.Picture of one in device memory, where the samples of its two chroma planes alternate.
func (c *codedFile) takeSurface(f *Frame, info avx.FrameInfo) error {
	s, err := nvdec.Take(f.av, c.cfg.LumaOnly)
	switch {
	case err != nil:
		return &hardwareError{err.Error()}
	case s.Damaged:
		return &hardwareError{"the device met errors in a picture"}
	case s.CropLeft != 0 || s.CropTop != 0:
		// software does not cut every number of samples off the left, but what its vector code likes
		return &hardwareError{"pictures are cropped at the left or the top"}
	case s.Grain:
		return &hardwareError{"film grain, which no standard defines to the bit"}
	case info.Interlaced:
		return &hardwareError{"interlaced pictures"}
	}
	if err := c.cfg.Limits.checkSize(info.Width, info.Height); err != nil {
		return err
	}
	f.Format = vmaf.Format{Width: info.Width, Height: info.Height, BitsPerComponent: s.Bits, Subsampling: vmaf.Chroma420, FullRange: info.FullRange}
	f.Planes = [3]vmaf.Plane{{DeviceAddress: s.Luma, HighBits: s.Bits > 8, StrideBytes: s.PitchBytes, Width: info.Width, Height: info.Height}}
	if c.cfg.LumaOnly {
		return nil
	}
	width, height := f.Format.Subsampling.ChromaSize(info.Width, info.Height)
	for i := range 2 {
		f.Planes[1+i] = vmaf.Plane{
			DeviceAddress: s.Chroma + uint64(i*f.Format.BytesPerSample()), HighBits: s.Bits > 8, Interleaved: true,
			StrideBytes: s.PitchBytes, Width: width, Height: height,
		}
	}
	return nil
}

// downloadLuma copies a plane of the picture in av from the device to the host, with values in the low bits.
func downloadLuma(av *astiav.Frame, from, to vmaf.Plane, format vmaf.Format) error {
	bytes := format.BytesPerSample()
	if err := nvdec.Download(av, from.DeviceAddress, from.StrideBytes, to.Data, to.StrideBytes, to.Width*bytes, to.Height); err != nil {
		return err
	}
	if from.HighBits {
		nvdec.Lower(to.Data, to.StrideBytes, to.Width, to.Height, 16-format.BitsPerComponent)
	}
	return nil
}

// downloadChroma copies the chroma planes of the picture in av to f's, likewise. The two of the device alternate, from first on.
func downloadChroma(av *astiav.Frame, first vmaf.Plane, f *Frame) error {
	u, v, bytes := f.Planes[1], f.Planes[2], f.Format.BytesPerSample()
	pitch := align(2*u.Width*bytes, 64)
	pairs, err := f.pool.buffer(pitch * u.Height)
	if err != nil {
		return err
	}
	defer f.pool.giveBack(pairs)
	if err := nvdec.Download(av, first.DeviceAddress, first.StrideBytes, pairs, pitch, 2*u.Width*bytes, u.Height); err != nil {
		return err
	}
	shift := 0
	if bytes == 2 {
		shift = 16 - f.Format.BitsPerComponent
	}
	nvdec.Split(pairs, pitch, bytes, shift, u.Data, v.Data, u.StrideBytes, u.Width, u.Height)
	return nil
}

// OnDevice says whether the frame's luma is in a device's memory.
func (f *Frame) OnDevice() bool { return f.Planes[0].DeviceAddress != 0 }

// Download returns a frame with the same samples in host memory: f itself with one more reference if it is there already. The
// caller releases what it gets, and keeps f. It has chroma if f has.
func (f *Frame) Download() (*Frame, error) {
	if !f.OnDevice() {
		return f.Retain(), nil
	}
	return f.download(f.pool)
}

// download takes memory from p.
func (f *Frame) download(p *pool) (*Frame, error) {
	if f.Planes[0].Widened > 0 {
		return f.downloadWidened(p)
	}
	root := f
	for root.parent != nil {
		root = root.parent
	}
	out := p.frame()
	out.describeAs(f)
	chroma := f.Planes[1].DeviceAddress != 0
	err := out.allocate(f.Format, 64, !chroma)
	if err == nil {
		err = downloadLuma(root.av, f.Planes[0], out.Planes[0], f.Format)
	}
	if err == nil && chroma {
		err = downloadChroma(root.av, f.Planes[1], out)
	}
	if err != nil {
		out.Release()
		return nil, fmt.Errorf("download a picture from the device: %w", err)
	}
	return out, nil
}

// downloadWidened is download for a frame whose samples are to be widened, see [vmaf.Plane.Widened].
func (f *Frame) downloadWidened(p *pool) (*Frame, error) {
	narrow := p.frame()
	defer narrow.Release()
	narrow.parent = f.Retain()
	narrow.describeAs(f)
	narrow.Format.BitsPerComponent, narrow.Planes = 8, f.Planes
	for i := range narrow.Planes {
		narrow.Planes[i].Widened, narrow.Planes[i].WidenedRepeat = 0, false
	}
	host, err := narrow.download(p)
	if err != nil {
		return nil, err
	}
	defer host.Release()
	out := p.frame()
	out.describeAs(f)
	if err = out.allocate(f.Format, 64, f.Planes[1].DeviceAddress == 0); err == nil {
		err = widen(host, out)
	}
	if err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}
