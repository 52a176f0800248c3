package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/decode/internal/nvdec"
)

// session is one open demuxer and decoder. One goroutine at a time uses it.
type session struct {
	file    *codedFile
	control *avx.Control
	input   *avx.IO
	fc      *astiav.FormatContext
	stream  *astiav.Stream
	cc      *astiav.CodecContext
	pkt     *astiav.Packet

	next    int        // ordinal of the packet that the demuxer delivers next
	held    bool       // pkt waits for the decoder to take it
	ended   bool       // the demuxer has no more, and the decoder knows
	entry   entryPoint // where decoding began
	running bool       // the decoder has begun, at entry

	decoder  string // FFmpeg's name of it
	hardware bool   // it decodes on a device
	frame    int64  // frames before this one have been given; counted from 0 where timestamps do not order frames
}

// openSession opens the demuxer. The decoder comes later, with openDecoder.
func (c *codedFile) openSession(ctx context.Context) (_ *session, err error) {
	s := &session{file: c}
	if s.control, err = avx.NewControl(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	stop := context.AfterFunc(ctx, s.control.Stop)
	defer stop()
	s.control.SetTimeout(c.cfg.Limits.OpenTimeout)
	if s.input, err = avx.NewIO(uintptr(c.fd), c.sizeBytes, s.control); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	if c.demuxer == "" {
		if c.demuxer, err = s.probe(ctx); err != nil {
			return nil, err
		}
	}
	format := astiav.FindInputFormat(firstName(c.demuxer))
	if format == nil {
		return nil, fmt.Errorf("%s: %w container %s", c.path, ErrUnsupported, c.demuxer)
	}
	s.fc = astiav.AllocFormatContext()
	if s.fc == nil {
		return nil, fmt.Errorf("%s: out of memory", c.path)
	}
	avx.Attach(s.fc, s.input, s.control)
	options := astiav.NewDictionary()
	defer options.Free()
	for _, o := range [][2]string{
		{"probesize", strconv.FormatInt(c.cfg.Limits.ProbeBytes, 10)},
		{"max_streams", strconv.Itoa(c.cfg.Limits.MaxStreams)},
		{"codec_whitelist", probeWhitelist()},
		{"protocol_whitelist", "none"},
	} {
		if err := options.Set(o[0], o[1], 0); err != nil {
			return nil, fmt.Errorf("%s: set %s: %w", c.path, o[0], err)
		}
	}
	// the name only serves messages: input comes from s.input
	if err := s.fc.OpenInput(filepath.Base(c.path), format, options); err != nil {
		return nil, s.openError(ctx, "open", err)
	}
	if n := s.fc.NbStreams(); n > c.cfg.Limits.MaxStreams {
		return nil, fmt.Errorf("%s: %w", c.path, c.tooManyStreams(n))
	}
	if err := s.fc.FindStreamInfo(nil); err != nil {
		return nil, s.openError(ctx, "recognise the streams", err)
	}
	if n := s.fc.NbStreams(); n > c.cfg.Limits.MaxStreams {
		return nil, fmt.Errorf("%s: %w", c.path, c.tooManyStreams(n))
	}
	if stopped, timedOut := s.control.Stopped(); stopped || timedOut {
		return nil, s.openError(ctx, "recognise the streams", astiav.ErrExit)
	}
	if s.pkt = astiav.AllocPacket(); s.pkt == nil {
		return nil, fmt.Errorf("%s: out of memory", c.path)
	}
	return s, nil
}

func (c *codedFile) tooManyStreams(n int) error {
	return &LimitError{Name: "max_streams", What: "number of streams", Value: int64(n), Max: int64(c.cfg.Limits.MaxStreams)}
}

// firstName is the first of the names of a demuxer.
func firstName(names string) string {
	for i, c := range names {
		if c == ',' {
			return names[:i]
		}
	}
	return names
}

// probe recognises the container.
func (s *session) probe(ctx context.Context) (string, error) {
	// the extension decides between formats that content does not tell apart
	name, err := s.input.Probe("x"+filepath.Ext(s.file.path), min(s.file.cfg.Limits.ProbeBytes, 1<<20))
	if err != nil {
		if stopped, timedOut := s.control.Stopped(); stopped || timedOut {
			return "", s.openError(ctx, "recognise", err)
		}
		return "", fmt.Errorf("%s: %w: no known video container", s.file.path, ErrNoVideo)
	}
	switch {
	case name == "rawvideo" || name == "yuv4mpegpipe":
		return "", fmt.Errorf("%s: %w: headerless video; say how it looks with --raw-video, such as 1920x1080:yuv420p:25", s.file.path, ErrUnsupported)
	case name == "":
		return "", fmt.Errorf("%s: %w: no known video container", s.file.path, ErrNoVideo)
	case !demuxers[name]:
		return "", fmt.Errorf("%s: %w: content looks like %s, which is no supported video container", s.file.path, ErrNoVideo, name)
	}
	return name, nil
}

// openError explains why opening failed.
func (s *session) openError(ctx context.Context, what string, err error) error {
	path := s.file.path
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s: %w", path, what, context.Cause(ctx))
	}
	if _, timedOut := s.control.Stopped(); timedOut {
		return fmt.Errorf("%s: %s: %w: it takes longer than limits.open_timeout (%v)", path, what, ErrTimeout, s.file.cfg.Limits.OpenTimeout)
	}
	if text, _, ok := s.control.Last(); ok {
		if strings.Contains(text, "max_streams") {
			return fmt.Errorf("%s: %w", path, s.file.tooManyStreams(0))
		}
		return fmt.Errorf("%s: %w: %s as %s: %v (%s)", path, ErrNoVideo, what, s.file.demuxer, err, text)
	}
	return fmt.Errorf("%s: %w: %s as %s: %v", path, ErrNoVideo, what, s.file.demuxer, err)
}

// openDecoder opens the decoder of the selected stream, in software or on the file's Hardware, and makes the demuxer skip the others.
// A *hardwareError means that the hardware does not serve.
func (s *session) openDecoder(hardware bool) error {
	c := s.file
	s.hardware, s.decoder = hardware, c.decoder
	if hardware {
		s.decoder = hardwareDecoder(c.info.Codec)
	}
	streams := s.fc.Streams()
	if c.streamIndex >= len(streams) {
		return fmt.Errorf("%s: %w", c.path, ErrChanged)
	}
	s.stream = streams[c.streamIndex]
	avx.DiscardOthers(s.fc, c.streamIndex)
	codec := astiav.FindDecoderByName(s.decoder)
	if codec == nil && hardware {
		return &hardwareError{"FFmpeg has no decoder " + s.decoder}
	}
	if codec == nil {
		return fmt.Errorf("%s: %w: FFmpeg has no decoder %s", c.path, ErrUnsupported, s.decoder)
	}
	if s.cc = astiav.AllocCodecContext(codec); s.cc == nil {
		return fmt.Errorf("%s: out of memory", c.path)
	}
	if err := s.stream.CodecParameters().ToCodecContext(s.cc); err != nil {
		return fmt.Errorf("%s: set up decoder %s: %w", c.path, s.decoder, err)
	}
	avx.SetupCodec(s.cc, s.control)
	s.cc.SetThreadCount(c.cfg.threads())
	s.cc.SetThreadType(astiav.ThreadTypeFrame)
	if hardware {
		// frame threads would only take turns at the device, each with surfaces of its own
		s.cc.SetThreadCount(1)
		// VP8's, VP9's and AV1's pictures of a new size refer to those before, and FFmpeg gives them a decoder that has none
		fixedSize := c.info.Codec != "h264" && c.info.Codec != "hevc"
		if err := c.hardware.device.Attach(s.cc, c.cfg.holdFrames(), fixedSize); err != nil {
			return &hardwareError{err.Error()}
		}
	}
	options := astiav.NewDictionary()
	defer options.Free()
	if c.cfg.OnDamage == Strict {
		// H.264 after a seek: without it the decoder drops some good pictures along with those that lead an open group. The
		// bad ones come marked.
		s.cc.SetFlags(s.cc.Flags().Add(astiav.CodecContextFlagOutputCorrupt))
	}
	for _, o := range [][2]string{
		{"max_pixels", strconv.FormatInt(min(c.cfg.Limits.MaxPixels, math.MaxInt32), 10)},
		// timestamps must pass unchanged
		{"pkt_timebase", fmt.Sprintf("%d/%d", s.stream.TimeBase().Num(), s.stream.TimeBase().Den())},
	} {
		if err := options.Set(o[0], o[1], 0); err != nil {
			return fmt.Errorf("%s: set %s: %w", c.path, o[0], err)
		}
	}
	if err := s.cc.Open(codec, options); err != nil {
		if hardware {
			return s.refused(err.Error())
		}
		if text, _, ok := s.control.Last(); ok {
			return fmt.Errorf("%s: open decoder %s: %v (%s)", c.path, s.decoder, err, text)
		}
		return fmt.Errorf("%s: open decoder %s: %v", c.path, s.decoder, err)
	}
	s.control.Clear()
	return nil
}

// failedCall is how FFmpeg's hwaccel words a failed call: the C expression, and what the driver says.
var failedCall = regexp.MustCompile(`^(?:\w+->)*(\w+)\(.*\) failed(?: -> (\w+): .*)?$`)

// refused is why the hardware decoder failed with that error.
func (s *session) refused(text string) error {
	if m := failedCall.FindStringSubmatch(text); m != nil {
		text = strings.TrimSuffix(m[1]+": "+m[2], ": ")
	}
	why := nvdec.Refused(s.cc)
	switch {
	case why == "":
		why = text
	case text != "":
		why += " (" + text + ")"
	}
	return &hardwareError{why}
}

// close releases everything. It is safe on a session that is open in part.
func (s *session) close() {
	if s.pkt != nil {
		s.pkt.Free()
		s.pkt = nil
	}
	if s.cc != nil {
		s.cc.Free()
		s.cc = nil
	}
	if s.fc != nil {
		if avx.IsOpen(s.fc) {
			s.fc.CloseInput()
		}
		s.fc = nil
	}
	if s.input != nil {
		s.input.Free()
		s.input = nil
	}
	if s.control != nil {
		s.control.Free()
		s.control = nil
	}
}

// read takes the next packet of the stream from the demuxer. io.EOF: there are no more.
func (s *session) read(ctx context.Context) error {
	for {
		s.pkt.Unref()
		err := s.fc.ReadFrame(s.pkt)
		if stopErr := s.stopped(ctx); stopErr != nil {
			return stopErr
		}
		switch {
		case errors.Is(err, astiav.ErrEof):
			return io.EOF
		case errors.Is(err, astiav.ErrEagain):
			continue
		case err != nil:
			text := err.Error()
			if t, tag, ok := s.control.Last(); ok && tag < 0 {
				text += " (" + t + ")"
			}
			return &demuxError{text}
		case s.pkt.StreamIndex() != s.file.streamIndex:
			continue
		}
		return nil
	}
}

// demuxError is what the demuxer says where it cannot go on.
type demuxError struct{ text string }

func (e *demuxError) Error() string { return e.text }

// stopped says whether, and why, the session is to stop.
func (s *session) stopped(ctx context.Context) error {
	stopped, timedOut := s.control.Stopped()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case stopped:
		return context.Canceled
	case timedOut:
		return ErrTimeout
	}
	return nil
}

// errDecode is what a decoder returned, with what it said.
type errDecode struct {
	tag  int64 // of the packet; -1: unknown
	text string
}

func (e *errDecode) Error() string { return e.text }

func (s *session) decodeError(err error) *errDecode {
	e := &errDecode{-1, err.Error()}
	if text, tag, ok := s.control.Last(); ok && tag >= 0 {
		e.tag, e.text = tag, text
	}
	return e
}

// picture decodes until the decoder gives a picture. io.EOF: it has no more. *errDecode: a packet could not be decoded;
// the call can be repeated.
func (s *session) picture(ctx context.Context, dst *astiav.Frame) (avx.FrameInfo, error) {
	for {
		if err := s.stopped(ctx); err != nil {
			return avx.FrameInfo{}, err
		}
		err := s.cc.ReceiveFrame(dst)
		switch {
		case err == nil:
			info := avx.Frame(dst)
			info.Tag = s.shownBy(info)
			return info, nil
		case errors.Is(err, astiav.ErrEof):
			return avx.FrameInfo{}, io.EOF
		case !errors.Is(err, astiav.ErrEagain):
			return avx.FrameInfo{}, s.decodeError(err)
		}
		if s.ended {
			// a decoder that is being drained must not ask for more
			return avx.FrameInfo{}, io.EOF
		}
		if err := s.feed(ctx); err != nil {
			return avx.FrameInfo{}, err
		}
	}
}

// shownBy is the packet that shows a picture. It is that which the picture was decoded from, but in VP9 and AV1, which can show an
// earlier picture again: FFmpeg's own decoders leave such a picture its first tag, and give it the timestamp of the packet that shows it.
func (s *session) shownBy(info avx.FrameInfo) int64 {
	if s.decoder == "vp9" || s.decoder == "av1" {
		if p := s.file.index.at(info.PTS); p >= 0 {
			return int64(p)
		}
	}
	return info.Tag
}

// feed gives the decoder one packet, or the end.
func (s *session) feed(ctx context.Context) error {
	if !s.held {
		switch err := s.nextPacket(ctx); {
		case err == io.EOF:
			s.ended = true
			if err := s.cc.SendPacket(nil); err != nil && !errors.Is(err, astiav.ErrEof) {
				return s.decodeError(err)
			}
			return nil
		case err != nil:
			return err
		}
		s.held = true
	}
	err := s.cc.SendPacket(s.pkt)
	if errors.Is(err, astiav.ErrEagain) {
		return nil
	}
	s.held = false
	s.pkt.Unref()
	if err != nil {
		return s.decodeError(err)
	}
	return nil
}

// nextPacket reads the packet that is next in decoding order and compares it with the index.
func (s *session) nextPacket(ctx context.Context) error {
	x := &s.file.index
	if s.next >= len(x.packets) {
		return io.EOF
	}
	if err := s.read(ctx); err != nil {
		var de *demuxError
		if err == io.EOF || errors.As(err, &de) {
			return fmt.Errorf("%w: packet %d of %d is not there any more", ErrChanged, s.next, len(x.packets))
		}
		return err
	}
	if p := x.packets[s.next]; p.pts != s.pkt.Pts() || int(p.sizeBytes) != s.pkt.Size() {
		return fmt.Errorf("%w: packet %d is not the one that was indexed", ErrChanged, s.next)
	}
	avx.SetTag(s.cc, int64(s.next))
	s.next++
	return nil
}

// goTo makes the decoder start at an entry point. The session is not usable when it fails.
func (s *session) goTo(ctx context.Context, to entryPoint) error {
	s.pkt.Unref()
	s.held, s.ended = false, false
	s.control.Clear()
	avx.FlushBuffers(s.cc)
	s.entry = to
	for _, ts := range seekTimes(&s.file.index, to) {
		if ts == NoPTS || s.fc.SeekFrame(s.file.streamIndex, ts, astiav.NewSeekFlags(astiav.SeekFlagBackward)) != nil {
			continue
		}
		found, err := s.skipTo(ctx, to.packet)
		if err != nil {
			return err
		}
		if found {
			return nil
		}
	}
	return errLost
}

// errLost means that the demuxer does not get to a place by seeking.
var errLost = errors.New("seek fails")

// seekTimes are timestamps to try, each earlier than the one before: containers differ in what theirs mean.
func seekTimes(x *packetIndex, to entryPoint) []int64 {
	times := []int64{to.pts, to.dts}
	for i := len(x.entries) - 1; i >= 0 && len(times) < 6; i-- {
		if e := x.entries[i]; e.packet < to.packet {
			times = append(times, e.dts)
		}
	}
	return times
}

// skipTo reads on to a packet, which is then held for the decoder. false: the demuxer is past it.
func (s *session) skipTo(ctx context.Context, packet int) (bool, error) {
	x := &s.file.index
	for unknown := 0; ; {
		err := s.read(ctx)
		var de *demuxError
		switch {
		case err == io.EOF || errors.As(err, &de):
			return false, nil
		case err != nil:
			return false, err
		}
		at := x.find(s.pkt.Pts(), s.pkt.Size())
		if at == packet {
			avx.SetTag(s.cc, int64(packet))
			s.next, s.held = packet+1, true
			return true, nil
		}
		if at > packet {
			return false, nil
		}
		if at < 0 {
			// a piece of a packet, as transport streams give after a seek
			if unknown++; unknown > maxReorder {
				return false, nil
			}
		}
	}
}

// rewind starts a fresh session at the first decodable packet by reading up to it.
func (s *session) rewind(ctx context.Context) error {
	s.next, s.entry = 0, s.file.index.first()
	for s.next < s.file.index.start {
		if err := s.nextPacket(ctx); err != nil {
			return err
		}
		s.pkt.Unref()
	}
	return nil
}
