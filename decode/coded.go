package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/vqsd/vqsd/decode/internal/avx"
	"github.com/vqsd/vqsd/vmaf"
)

// codedFile is a file that FFmpeg demuxes and decodes. Everything but the fields under mu is fixed once it is open.
type codedFile struct {
	path      string
	cfg       Config
	file      *os.File
	fd        int
	sizeBytes int64

	demuxer     string
	streamIndex int
	decoder     string
	index       packetIndex
	info        Info
	rotation    Rotation // to apply
	pool        *pool
	profile     astiav.Profile
	headFormat  vmaf.Format // of the first frame, before rotation
	hardware    *Hardware   // decodes the file; nil: software does

	// mu guards the fields below
	mu     sync.Mutex
	idle   []*session // each somewhere in the file, ready to go on
	closed bool
}

// openCoded recognises and indexes a file.
func openCoded(ctx context.Context, path string, file *os.File, sizeBytes int64, cfg Config) (*codedFile, error) {
	c := &codedFile{path: path, cfg: cfg, file: file, fd: int(file.Fd()), sizeBytes: sizeBytes, pool: &pool{}}
	s, err := c.openSession(ctx)
	if err != nil {
		return nil, err
	}
	err = c.describe(s)
	if err == nil {
		err = c.scan(ctx, s)
	}
	if err == nil {
		err = s.openDecoder(false)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	c.idle = append(c.idle, s)
	if err := c.decodeHead(ctx); err != nil {
		c.close()
		return nil, err
	}
	c.finishInfo()
	if cfg.Hardware != nil {
		if err := c.tryHardware(ctx); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// describe selects the video stream and checks that it can be decoded.
func (c *codedFile) describe(s *session) error {
	c.info = Info{Path: c.path, SizeBytes: c.sizeBytes, Container: c.demuxer}
	c.streamIndex = -1
	streams := s.fc.Streams()
	for i, st := range streams {
		p := st.CodecParameters()
		out := Stream{Index: i, Type: p.MediaType().String(), Codec: p.CodecID().Name()}
		if m := st.Metadata(); m != nil {
			if e := m.Get("language", nil, 0); e != nil && e.Value() != "und" {
				out.Language = e.Value()
			}
		}
		if c.streamIndex < 0 && p.MediaType() == astiav.MediaTypeVideo && !avx.IsAttachedPicture(st) {
			c.streamIndex = i
			out.Selected = true
		}
		c.info.Streams = append(c.info.Streams, out)
	}
	if c.streamIndex < 0 {
		var others []string
		for _, st := range c.info.Streams {
			others = append(others, strings.TrimSpace(st.Type+" "+st.Codec))
		}
		if len(others) == 0 {
			return fmt.Errorf("%s: %w: the file has no streams", c.path, ErrNoVideo)
		}
		return fmt.Errorf("%s: %w: the file has %s", c.path, ErrNoVideo, strings.Join(others, ", "))
	}
	st := streams[c.streamIndex]
	p := st.CodecParameters()
	c.info.Codec = p.CodecID().Name()
	names := decoders[c.info.Codec]
	c.decoder = DecoderOf(c.info.Codec)
	switch {
	case names == nil:
		return fmt.Errorf("%s: %w codec %s; supported are %s", c.path, ErrUnsupported, c.info.Codec, strings.Join(codecNames(), ", "))
	case c.decoder == "":
		return fmt.Errorf("%s: %w codec %s: this build of FFmpeg has no decoder for it", c.path, ErrUnsupported, c.info.Codec)
	}
	if p.Width() != 0 || p.Height() != 0 {
		if err := c.cfg.Limits.checkSize(p.Width(), p.Height()); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	if pf := p.PixelFormat(); pf != astiav.PixelFormatNone {
		if _, err := layoutOf(pf); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	tb := st.TimeBase()
	c.info.Decoder = c.decoder
	c.profile = p.Profile()
	c.info.Profile = avx.ProfileName(st)
	c.info.TimeBase = Rational{int64(tb.Num()), int64(tb.Den())}
	c.info.SampleAspect = rational(st.SampleAspectRatio())
	if c.info.SampleAspect.IsZero() {
		c.info.SampleAspect = rational(p.SampleAspectRatio())
	}
	// where nothing is stated, FFmpeg guesses the average from what it has probed
	c.info.FrameRate = rational(st.AvgFrameRate())
	if c.info.FrameRate.IsZero() {
		c.info.FrameRate = rational(st.RFrameRate())
	}
	c.info.BitRate = p.BitRate()
	if c.info.BitRate == 0 {
		c.info.BitRate = s.fc.BitRate()
	}
	col := &c.info.Color
	col.Range, col.Space, col.Primaries, col.Transfer = avx.Color(st)
	switch avx.Field(st) {
	case avx.TopFirst, avx.TopCodedFirst:
		c.info.Interlaced = "tff"
	case avx.BottomFirst, avx.BotCodedFirst:
		c.info.Interlaced = "bff"
	}
	if m, ok := parseMatrix(st.SideData(astiav.PacketSideDataTypeDisplaymatrix)); ok {
		return c.setRotation(m)
	}
	return nil
}

func (c *codedFile) setRotation(m [9]int32) error {
	r, err := rotationOf(m)
	if err != nil && !c.cfg.NoRotate {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	c.info.Rotation = r
	if !c.cfg.NoRotate {
		c.rotation = r
	}
	return nil
}

func rational(r astiav.Rational) Rational {
	if r.Num() <= 0 || r.Den() <= 0 {
		return Rational{}
	}
	return Rational{int64(r.Num()), int64(r.Den())}.reduced()
}

func codecNames() []string {
	var names []string
	for name := range decoders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// scan reads all packets and builds the index.
func (c *codedFile) scan(ctx context.Context, s *session) error {
	stop := context.AfterFunc(ctx, s.control.Stop)
	defer stop()
	s.control.Clear()
	st := s.fc.Streams()[c.streamIndex]
	avx.DiscardOthers(s.fc, c.streamIndex)
	scanner := newScanner(c.info.Codec, st.CodecParameters().ExtraData())
	var parser *avx.Parser
	if avx.Field(st) != avx.Progressive && avx.Field(st) != avx.FieldUnknown {
		if parser = avx.NewParser(st); parser != nil {
			defer parser.Free()
		}
	}
	x := &c.index
	fields := false
	for {
		err := s.read(ctx)
		var de *demuxError
		if err == io.EOF {
			break
		}
		if errors.As(err, &de) {
			c.info.Truncated = "the demuxer stops: " + de.text
			break
		}
		if err != nil {
			return s.openError(ctx, "index", err)
		}
		p := packetEntry{pts: s.pkt.Pts(), sizeBytes: int32(s.pkt.Size())}
		data := avx.PacketData(s.pkt)
		flags := s.pkt.Flags()
		if flags.Has(astiav.PacketFlagDiscard) {
			p.flags |= packetDiscard
			c.info.Discarded++
		}
		if flags.Has(astiav.PacketFlagCorrupt) {
			p.flags |= packetCorrupt
		}
		if scanner.isHidden(data) {
			p.flags |= packetHidden
			c.info.Hidden++
		}
		if parser != nil && parser.IsField(s.pkt) {
			fields = true
		}
		if flags.Has(astiav.PacketFlagKey) {
			p.flags |= packetKey
			if scanner.isClean(data) {
				p.flags |= packetClean
				x.entries = append(x.entries, entryPoint{packet: len(x.packets), pts: p.pts, dts: s.pkt.Dts()})
			}
		}
		x.packets = append(x.packets, p)
		if err := c.cfg.Limits.checkIndex(int64(len(x.packets))); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	if c.info.Truncated == "" {
		if text, _, ok := s.control.Last(); ok && strings.Contains(text, "prematurely") {
			c.info.Truncated = "the demuxer says: " + text
		}
		if n := avx.IndexEntries(st); c.demuxer == "mov,mp4,m4a,3gp,3g2,mj2" && n > len(x.packets) {
			whole := len(x.packets)
			if whole > 0 && x.packets[whole-1].flags&packetCorrupt != 0 {
				whole--
			}
			c.info.Truncated = fmt.Sprintf("the container lists %d pictures, the file holds %d", n, whole)
		}
	}
	if c.cfg.OnDamage == Conceal {
		x.entries = nil // from the first packet on, whatever it is
	}
	x.build()
	if len(x.frames) == 0 {
		why := "its video stream is empty"
		if len(x.packets) > 0 {
			why = "its edit list shows none, or none can be decoded"
		}
		if c.info.Truncated != "" {
			why = c.info.Truncated
		}
		return fmt.Errorf("%s: %w: %s", c.path, ErrNoFrames, why)
	}
	if fields {
		// two packets make a frame, mostly: only the decoder knows
		x.timestamps = false
		x.byPTS = nil
		n, err := c.countFrames(ctx)
		if err != nil {
			return err
		}
		x.frames = x.frames[:min(n, len(x.frames))]
		if n == 0 {
			return fmt.Errorf("%s: %w: none of its pictures can be decoded", c.path, ErrNoFrames)
		}
	}
	return nil
}

// countFrames decodes the whole file to learn how many frames it gives.
func (c *codedFile) countFrames(ctx context.Context) (int, error) {
	s, err := c.freshSession(ctx, false)
	if err != nil {
		return 0, err
	}
	defer s.close()
	stop := context.AfterFunc(ctx, s.control.Stop)
	defer stop()
	if err := s.rewind(ctx); err != nil {
		return 0, fmt.Errorf("%s: %w", c.path, err)
	}
	f, err := c.pool.decoded()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.path, err)
	}
	defer f.Release()
	for n := 0; ; {
		_, err := s.picture(ctx, f.av)
		var de *errDecode
		switch {
		case err == nil:
			n++
			f.av.Unref()
		case err == io.EOF:
			return n, nil
		case !errors.As(err, &de):
			return 0, s.openError(ctx, "count frames", err)
		}
	}
}

// decodeHead decodes the first picture, to know what frames look like, and finds out which of the pictures that lead the
// first random-access point can be decoded: those that refer to what came before it cannot.
func (c *codedFile) decodeHead(ctx context.Context) error {
	x := &c.index
	r := &codedReader{file: c, next: 0, end: int64(len(x.frames)), probing: true}
	defer func() {
		// what has been decoded here is gone: the session serves again only by a seek
		if r.session != nil {
			r.session.frame = math.MaxInt64
		}
		r.close(!c.seekable())
	}()
	leading := map[int]bool{}
	if x.timestamps && len(x.entries) > 0 {
		for _, p := range x.byPTS {
			if int(p) == x.start {
				break
			}
			if x.rank[p] >= 0 {
				leading[int(p)] = true
			}
		}
	}
	known := false
	for {
		f, err := r.probe(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.path, r.explain(err))
		}
		if !known {
			known = true
			if err := c.describeFrame(f.frame, f.info); err != nil {
				f.frame.Release()
				return fmt.Errorf("%s: %w", c.path, err)
			}
		}
		if !f.damaged {
			delete(leading, int(f.info.Tag))
		}
		led := x.timestamps && f.info.Tag >= 0 && f.info.Tag < int64(len(x.packets)) && x.packets[f.info.Tag].pts < x.packets[x.start].pts
		f.frame.Release()
		if !led {
			break
		}
	}
	if !known {
		if text, _, ok := r.session.control.Last(); ok {
			return fmt.Errorf("%s: %w: no picture of the %s stream can be decoded (%s)", c.path, ErrNoFrames, c.info.Codec, text)
		}
		return fmt.Errorf("%s: %w: no picture of the %s stream can be decoded", c.path, ErrNoFrames, c.info.Codec)
	}
	if len(leading) > 0 && c.cfg.OnDamage == Strict {
		x.drop(leading)
	}
	if len(x.frames) == 0 {
		return fmt.Errorf("%s: %w: none of its pictures can be decoded", c.path, ErrNoFrames)
	}
	return nil
}

// describeFrame takes from the first picture what containers say less reliably.
func (c *codedFile) describeFrame(f *Frame, info avx.FrameInfo) error {
	if m, ok := avx.DisplayMatrix(f.av); ok && c.info.Rotation == (Rotation{}) {
		if err := c.setRotation(m); err != nil {
			return err
		}
	}
	if err := c.takePicture(f, info); err != nil {
		return err
	}
	c.info.PixelFormat = info.PixelFormat.Name()
	c.info.CodedWidth, c.info.CodedHeight = info.Width, info.Height
	c.headFormat = f.Format
	format, err := c.rotation.format(f.Format)
	c.info.Format = format
	if info.AspectNum > 0 && info.AspectDen > 0 && c.info.SampleAspect.IsZero() {
		c.info.SampleAspect = Rational{int64(info.AspectNum), int64(info.AspectDen)}.reduced()
	}
	if c.info.Interlaced == "" && info.Interlaced {
		c.info.Interlaced = "bff"
		if info.TopFirst {
			c.info.Interlaced = "tff"
		}
	}
	return err
}

// finishInfo completes what is said about the file from its index.
func (c *codedFile) finishInfo() {
	x := c.index.public(c.info.TimeBase)
	c.info.Frames = int64(len(x.Frames))
	c.info.Undecodable = c.index.undecodable
	for _, f := range x.Frames {
		if f.Key {
			c.info.KeyFrames++
		}
	}
	c.info.Timestamps = c.index.timestamps
	c.info.Seekable = c.seekable()
	c.info.FrameRate, c.info.VariableRate = x.rate(c.info.FrameRate)
	if c.index.timestamps {
		first, last := x.Frames[0].PTS, x.Frames[len(x.Frames)-1].PTS
		c.info.StartOffset = c.timeOf(first)
		c.info.Duration = c.timeOf(last - first)
	} else {
		c.info.Duration = frameTime(c.info.Frames-1, c.info.FrameRate)
	}
	c.info.Duration += frameTime(1, c.info.FrameRate)
}

// goodFrames is how many frames come before the first one that the demuxer says is damaged.
func (c *codedFile) goodFrames() int64 {
	for n, p := range c.index.frames {
		if c.index.packets[p].flags&packetCorrupt != 0 {
			return int64(n)
		}
	}
	return int64(len(c.index.frames))
}

// timeOf converts a timestamp.
func (c *codedFile) timeOf(pts int64) time.Duration {
	ns := float64(pts) * c.info.TimeBase.Float() * 1e9
	if math.Abs(ns) > math.MaxInt64/2 {
		return 0
	}
	return time.Duration(math.Round(ns))
}

// seekable says whether frames can be reached by random-access points.
func (c *codedFile) seekable() bool {
	return c.index.timestamps && len(c.index.entries) > 0 && c.cfg.OnDamage == Strict
}

// takePicture makes a vmaf.Picture of the decoder's, in place where its layout allows.
func (c *codedFile) takePicture(f *Frame, info avx.FrameInfo) error {
	if info.PixelFormat == astiav.PixelFormatCuda {
		return c.takeSurface(f, info)
	}
	if err := c.cfg.Limits.checkSize(info.Width, info.Height); err != nil {
		return err
	}
	l, err := layoutOf(info.PixelFormat)
	if err != nil {
		return err
	}
	format := l.format
	format.Width, format.Height = info.Width, info.Height
	format.FullRange = format.FullRange || info.FullRange
	inPlace := l.inPlace
	planes := format.Subsampling.Planes()
	if c.cfg.LumaOnly {
		planes = 1
	}
	for i := range planes {
		w, _ := planeSize(format, i)
		inPlace = inPlace && info.Linesize[i] >= w*format.BytesPerSample()
	}
	if !inPlace {
		if err := f.allocate(format, 64, c.cfg.LumaOnly); err != nil {
			return err
		}
		for i := range planes {
			p := f.Planes[i]
			l.describe.Unpack(&info, i, p.Width, p.Height, p.Data, p.StrideBytes)
		}
		return nil
	}
	f.Format = format
	f.Planes = [3]vmaf.Plane{}
	for i := range planes {
		w, h := planeSize(format, i)
		stride := info.Linesize[i]
		data := info.Plane(i, (h-1)*stride+w*format.BytesPerSample())
		if data == nil {
			return fmt.Errorf("%w: the decoder gave a picture of %s without plane %d", ErrDamaged, l.name, i)
		}
		f.Planes[i] = vmaf.Plane{Data: data, StrideBytes: stride, Width: w, Height: h}
	}
	return nil
}

// close frees the sessions that wait for use; the pool frees frames as they come back.
func (c *codedFile) close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	c.pool.close()
}
