// Package avx holds the FFmpeg accesses that go-astiav v0.16.0 lacks: pictures without copying, messages by packet,
// cancellation and deadlines in one word of shared memory, input through a descriptor, and the scaler set up as FFmpeg's
// own scale filter does it.
//
// go-astiav's types are structs whose first field is the C pointer; where it gives no access to that pointer, this
// package reads the field. The version of go-astiav is pinned, and TestFirstField checks the layout.
package avx

/*
#cgo pkg-config: libavcodec libavformat libavutil libswscale
#cgo CFLAGS: -std=gnu11 -O3 -Wall
#include "avx.h"
#include <libavutil/pixdesc.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asticode/go-astiav"
)

func init() { C.avx_install_log() }

// field reads the C pointer that is the first field of a go-astiav struct.
func field[T any](p unsafe.Pointer) *T { return *(**T)(p) }

func codecContext(cc *astiav.CodecContext) *C.AVCodecContext {
	return field[C.AVCodecContext](unsafe.Pointer(cc))
}

// CodecPointer is the AVCodecContext behind cc, for other packages' C code.
func CodecPointer(cc *astiav.CodecContext) unsafe.Pointer { return unsafe.Pointer(codecContext(cc)) }

func formatContext(fc *astiav.FormatContext) *C.AVFormatContext {
	return field[C.AVFormatContext](unsafe.Pointer(fc))
}
func stream(st *astiav.Stream) *C.AVStream { return field[C.AVStream](unsafe.Pointer(st)) }
func packet(p *astiav.Packet) *C.AVPacket  { return field[C.AVPacket](unsafe.Pointer(p)) }
func frame(f *astiav.Frame) *C.AVFrame     { return (*C.AVFrame)(f.UnsafePointer()) }

// Control stops FFmpeg's blocking calls from another goroutine and collects what demuxer and decoder complain about.
// Stop may be called from any goroutine at any time, the rest by the owner until [Control.Free].
type Control struct {
	mu sync.Mutex // guards c against Free while Stop runs; all other calls are the owner's
	c  *C.avx_control
}

// NewControl returns a control that stops nothing.
func NewControl() (*Control, error) {
	c := C.avx_control_new()
	if c == nil {
		return nil, errors.New("out of memory")
	}
	return &Control{c: c}, nil
}

// Free releases the C memory. All contexts that use the control must be gone.
func (c *Control) Free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	C.avx_control_free(c.c)
	c.c = nil
}

// Stop makes blocking calls return as soon as they notice, now and from now on. It may come after Free.
func (c *Control) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c != nil {
		atomic.StoreInt64((*int64)(unsafe.Pointer(&c.c.stop)), 1)
	}
}

// SetTimeout makes blocking calls end that have not done so d from now; d <= 0 removes the limit.
func (c *Control) SetTimeout(d time.Duration) {
	var at int64
	if d > 0 {
		at = int64(C.avx_now_ns()) + int64(d)
	}
	atomic.StoreInt64((*int64)(unsafe.Pointer(&c.c.deadline_ns)), at)
}

// Stopped says whether Stop was called, and whether the time is over.
func (c *Control) Stopped() (stopped, timedOut bool) {
	switch C.avx_control_stopped(c.c) {
	case 1:
		return true, false
	case 2:
		return false, true
	}
	return false, false
}

// Logged says how many packets there were messages about since the last Clear.
func (c *Control) Logged() int64 {
	return atomic.LoadInt64((*int64)(unsafe.Pointer(&c.c.logged)))
}

// Find returns the first message about the packet with that tag, unless many others followed, and whether any message
// about it says that samples came out wrong.
func (c *Control) Find(tag int64) (text string, spoils, ok bool) {
	if c.Logged() == 0 {
		return "", false, false
	}
	var s [C.AVX_TEXT]C.char
	var bad C.int
	ok = C.avx_control_find(c.c, C.int64_t(tag), &s[0], &bad) != 0
	return C.GoString(&s[0]), ok && bad != 0, ok
}

// Last returns the newest message and the tag of its packet (-1: the demuxer's).
func (c *Control) Last() (text string, tag int64, ok bool) {
	if c.Logged() == 0 {
		return "", 0, false
	}
	var t C.int64_t
	var s [C.AVX_TEXT]C.char
	ok = C.avx_control_last(c.c, &t, &s[0]) != 0
	return C.GoString(&s[0]), int64(t), ok
}

// Clear forgets all messages.
func (c *Control) Clear() { C.avx_control_clear(c.c) }

// IO is a demuxer's input: a file descriptor, read at positions of its own.
type IO struct{ pb *C.AVIOContext }

// NewIO reads the file of sizeBytes behind fd, which stays the caller's and must outlive the IO.
func NewIO(fd uintptr, sizeBytes int64, control *Control) (*IO, error) {
	pb := C.avx_io_new(C.int(fd), C.int64_t(sizeBytes), control.c)
	if pb == nil {
		return nil, errors.New("out of memory")
	}
	return &IO{pb}, nil
}

// Free releases the IO. The format context that uses it must be closed.
func (io *IO) Free() {
	C.avx_io_free(io.pb)
	io.pb = nil
}

// Probe names the demuxer for the content. name is used for its extension only.
func (io *IO) Probe(name string, maxBytes int64) (string, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var score, err C.int
	fmt := C.avx_probe(io.pb, cname, C.int64_t(maxBytes), &score, &err)
	if err != 0 {
		return "", astiav.Error(err)
	}
	if fmt == nil {
		return "", nil
	}
	return C.GoString(fmt.name), nil
}

// Attach makes a format context that is not open yet read from io, stop with control, and open nothing else.
func Attach(fc *astiav.FormatContext, io *IO, control *Control) {
	C.avx_attach(formatContext(fc), io.pb, control.c)
}

// IsOpen says whether a format context still has its C side: a failed open frees it.
func IsOpen(fc *astiav.FormatContext) bool { return formatContext(fc) != nil }

// DiscardOthers makes the demuxer skip all streams but one.
func DiscardOthers(fc *astiav.FormatContext, streamIndex int) {
	C.avx_discard_others(formatContext(fc), C.int(streamIndex))
}

// IsAttachedPicture says whether a video stream is a cover picture.
func IsAttachedPicture(st *astiav.Stream) bool {
	return C.avx_disposition(stream(st))&(C.AV_DISPOSITION_ATTACHED_PIC|C.AV_DISPOSITION_TIMED_THUMBNAILS) != 0
}

// FieldOrder is how a stream says it is coded.
type FieldOrder int

// The field orders.
const (
	FieldUnknown  FieldOrder = C.AV_FIELD_UNKNOWN
	Progressive   FieldOrder = C.AV_FIELD_PROGRESSIVE
	TopFirst      FieldOrder = C.AV_FIELD_TT
	BottomFirst   FieldOrder = C.AV_FIELD_BB
	TopCodedFirst FieldOrder = C.AV_FIELD_TB
	BotCodedFirst FieldOrder = C.AV_FIELD_BT
)

// Field returns the field order of a stream.
func Field(st *astiav.Stream) FieldOrder { return FieldOrder(C.avx_field_order(stream(st))) }

// ProfileName is the name of a stream's profile, or "".
func ProfileName(st *astiav.Stream) string {
	if p := C.avx_profile_name(stream(st)); p != nil {
		return C.GoString(p)
	}
	return ""
}

// SetupCodec sends the messages of a decoder, not open yet, to control.
func SetupCodec(cc *astiav.CodecContext, control *Control) {
	C.avx_codec_setup(codecContext(cc), control.c)
}

// SetTag numbers the packet that is sent next; the picture decoded from it, and messages about it, carry the number.
func SetTag(cc *astiav.CodecContext, tag int64) {
	codecContext(cc).reordered_opaque = C.int64_t(tag)
}

// FlushBuffers makes a decoder forget everything but its parameters, for a seek.
func FlushBuffers(cc *astiav.CodecContext) { C.avcodec_flush_buffers(codecContext(cc)) }

// PacketData is the payload without copying; it is valid until the packet is unreferenced.
func PacketData(p *astiav.Packet) []byte {
	c := packet(p)
	if c.data == nil || c.size <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(c.data)), int(c.size))
}

// NoPTS is the timestamp that is none.
const NoPTS = int64(-1 << 63)

// FrameInfo is what a decoded picture says of itself.
type FrameInfo struct {
	Tag                      int64 // of the packet it was decoded from
	PTS, BestEffort          int64 // NoPTS: unknown
	Width, Height            int
	PixelFormat              astiav.PixelFormat
	FullRange                bool
	Damaged                  bool // the decoder concealed or missed something
	Key                      bool
	Interlaced, TopFirst     bool
	AspectNum, AspectDen     int
	data                     [4]unsafe.Pointer
	Linesize                 [4]int
	hasColorRange            bool
	decodeErrors, frameFlags int
}

// Frame describes f in one crossing of the language border.
func Frame(f *astiav.Frame) FrameInfo {
	var c C.avx_frame
	C.avx_frame_get(frame(f), &c)
	info := FrameInfo{
		Tag: int64(c.tag), PTS: int64(c.pts), BestEffort: int64(c.best_effort),
		Width: int(c.width), Height: int(c.height),
		PixelFormat: astiav.PixelFormat(c.format),
		FullRange:   c.color_range == C.AVCOL_RANGE_JPEG,
		Damaged:     c.flags&C.AV_FRAME_FLAG_CORRUPT != 0 || c.decode_error_flags != 0,
		Key:         c.key != 0, Interlaced: c.interlaced != 0, TopFirst: c.top_field_first != 0,
		AspectNum: int(c.sar_num), AspectDen: int(c.sar_den),
	}
	for i := range info.data {
		info.data[i] = unsafe.Pointer(c.data[i])
		info.Linesize[i] = int(c.linesize[i])
	}
	return info
}

// Plane returns lengthBytes of plane i without copying; they live as long as the frame is referenced.
func (f *FrameInfo) Plane(i, lengthBytes int) []byte {
	if f.data[i] == nil || lengthBytes <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(f.data[i]), lengthBytes)
}

// DisplayMatrix is the frame's own display matrix, if it has one.
func DisplayMatrix(f *astiav.Frame) (m [9]int32, ok bool) {
	ok = C.avx_frame_matrix(frame(f), (*C.int32_t)(unsafe.Pointer(&m[0]))) != 0
	return m, ok
}

// Component says where the samples of one component are.
type Component struct{ Plane, StepBytes, OffsetBytes, Shift, Depth int }

// PixelFormat describes a pixel format.
type PixelFormat struct {
	Components                 int
	Log2ChromaW, Log2ChromaH   int
	RGB, Alpha, Palette        bool
	Bitstream, Hardware, Float bool
	BigEndian, Bayer, XYZ      bool
	Comp                       [4]Component
	c                          C.avx_pixfmt
}

// Describe looks a pixel format up.
func Describe(format astiav.PixelFormat) (PixelFormat, bool) {
	var c C.avx_pixfmt
	if C.avx_pixfmt_get(C.int(format), &c) == 0 {
		return PixelFormat{}, false
	}
	p := PixelFormat{
		Components: int(c.components), Log2ChromaW: int(c.log2_chroma_w), Log2ChromaH: int(c.log2_chroma_h),
		RGB: c.rgb != 0, Alpha: c.alpha != 0, Palette: c.palette != 0, Bitstream: c.bitstream != 0,
		Hardware: c.hardware != 0, Float: c.floating != 0, BigEndian: c.big_endian != 0, Bayer: c.bayer != 0, XYZ: c.xyz != 0,
		c: c,
	}
	for i := range p.Comp {
		p.Comp[i] = Component{int(c.comp[i].plane), int(c.comp[i].step), int(c.comp[i].offset), int(c.comp[i].shift), int(c.comp[i].depth)}
	}
	return p, true
}

// Unpack writes one component of f, width × height samples, to dst: bytes for 8 bits, else little-endian words with the
// value in the low bits. It serves interleaved, high-aligned, big-endian and bottom-up layouts.
func (p *PixelFormat) Unpack(f *FrameInfo, component, width, height int, dst []byte, dstStrideBytes int) {
	plane := p.Comp[component].Plane
	C.avx_unpack((*C.uint8_t)(f.data[plane]), C.int(f.Linesize[plane]), &p.c, C.int(component), C.int(width), C.int(height),
		(*C.uint8_t)(unsafe.Pointer(&dst[0])), C.int(dstStrideBytes))
}

// Scaler is a swscale context set up as FFmpeg's scale filter does it. One goroutine at a time.
type Scaler struct {
	s          *C.struct_SwsContext
	fromHeight int
}

// ScaleEnd is one side of a conversion.
type ScaleEnd struct {
	Width, Height int
	PixelFormat   astiav.PixelFormat
	FullRange     bool
}

// The scaling filters, by swscale's flags.
const (
	Bilinear = int(C.SWS_BILINEAR)
	Bicubic  = int(C.SWS_BICUBIC)
	Lanczos  = int(C.SWS_LANCZOS)
)

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// NewScaler makes a scaler with that filter and no other flag.
func NewScaler(from, to ScaleEnd, filter int) (*Scaler, error) {
	var err C.int
	s := C.avx_sws_new(C.int(from.Width), C.int(from.Height), C.int(from.PixelFormat), cbool(from.FullRange),
		C.int(to.Width), C.int(to.Height), C.int(to.PixelFormat), cbool(to.FullRange), C.int(filter), &err)
	if s == nil {
		return nil, astiav.Error(err)
	}
	return &Scaler{s, from.Height}, nil
}

// Scale converts one picture. Planes are base addresses; strides in bytes; dst memory belongs to the caller.
func (s *Scaler) Scale(src [4]unsafe.Pointer, srcStride [4]int, dst [4]unsafe.Pointer, dstStride [4]int) error {
	var a, b [4]*C.uint8_t
	var as, bs [4]C.int
	for i := range src {
		a[i], b[i] = (*C.uint8_t)(src[i]), (*C.uint8_t)(dst[i])
		as[i], bs[i] = C.int(srcStride[i]), C.int(dstStride[i])
	}
	if r := C.sws_scale(s.s, &a[0], &as[0], 0, C.int(s.fromHeight), &b[0], &bs[0]); r < 0 {
		return astiav.Error(r)
	}
	return nil
}

// Widen copies width × height samples of srcBytes each to dstBytes each, shifted left by up; unless repeat < 0, the source
// shifted right by repeat goes into the low bits.
func Widen(src unsafe.Pointer, srcStride, srcBytes int, dst unsafe.Pointer, dstStride, dstBytes, width, height, up, repeat int) {
	C.avx_widen((*C.uint8_t)(src), C.int(srcStride), C.int(srcBytes), (*C.uint8_t)(dst), C.int(dstStride), C.int(dstBytes),
		C.int(width), C.int(height), C.int(up), C.int(repeat))
}

// Free releases the scaler.
func (s *Scaler) Free() {
	C.sws_freeContext(s.s)
	s.s = nil
}

// Parser reads the picture structure off packets.
type Parser struct{ p *C.avx_parser }

// NewParser returns nil when the codec has no parser.
func NewParser(st *astiav.Stream) *Parser {
	if p := C.avx_parser_new(stream(st)); p != nil {
		return &Parser{p}
	}
	return nil
}

// IsField says whether the packet holds a single field.
func (p *Parser) IsField(pkt *astiav.Packet) bool {
	s := C.avx_parser_structure(p.p, packet(pkt))
	return s == C.AV_PICTURE_STRUCTURE_TOP_FIELD || s == C.AV_PICTURE_STRUCTURE_BOTTOM_FIELD
}

// Free releases the parser.
func (p *Parser) Free() { C.avx_parser_free(p.p) }

// IndexEntries is how many samples the demuxer's own table lists for a stream.
func IndexEntries(st *astiav.Stream) int {
	return int(C.avformat_index_get_entries_count(stream(st)))
}

// Color is how a stream says its samples are to be understood, in FFmpeg's names; "" unknown.
func Color(st *astiav.Stream) (rng, space, primaries, transfer string) {
	p := stream(st).codecpar
	name := func(s *C.char) string {
		n := C.GoString(s) // "" for NULL
		if n == "unknown" || n == "reserved" {
			return ""
		}
		return n
	}
	return name(C.av_color_range_name(p.color_range)), name(C.av_color_space_name(p.color_space)),
		name(C.av_color_primaries_name(p.color_primaries)), name(C.av_color_transfer_name(p.color_trc))
}

// Version is a library's: major, minor and micro in one number.
type Version uint32

// Library is one of FFmpeg's.
type Library struct {
	Name           string
	Built, Running Version // the headers that this program was built with, and what it runs with
}

// Libraries are those of FFmpeg that this program is linked to.
func Libraries() []Library {
	return []Library{
		{"libavcodec", C.LIBAVCODEC_VERSION_INT, Version(C.avcodec_version())},
		{"libavformat", C.LIBAVFORMAT_VERSION_INT, Version(C.avformat_version())},
		{"libavutil", C.LIBAVUTIL_VERSION_INT, Version(C.avutil_version())},
		{"libswscale", C.LIBSWSCALE_VERSION_INT, Version(C.swscale_version())},
	}
}

// Release is what the FFmpeg that runs calls itself.
func Release() string { return C.GoString(C.av_version_info()) }
