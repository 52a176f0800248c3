// avx.h: the FFmpeg accesses that go-astiav lacks. Plain C, no ownership taken, nothing kept but what is said here.
#ifndef VQSD_AVX_H
#define VQSD_AVX_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <pthread.h>
#include <stdint.h>

enum { AVX_MESSAGES = 128, AVX_TEXT = 200 };

// avx_control is what one open file shares between our side and FFmpeg's threads: a request to stop, a deadline, and
// the error messages that demuxer and decoder logged. It is C memory, because FFmpeg keeps pointers to it.
typedef struct avx_control {
  uint64_t magic;       // tells our opaque pointers from anyone else's
  int64_t stop;         // atomic: non-zero ends blocking calls with AVERROR_EXIT
  int64_t deadline_ns;  // atomic: CLOCK_MONOTONIC time at which blocking calls end likewise; 0: never
  int64_t logged;       // atomic: messages kept so far
  pthread_mutex_t mu;   // guards the fields below
  struct {
    int64_t tag;  // of the packet being decoded, or -1 for the demuxer
    int spoils;   // one of the messages about it says that samples are wrong
    char text[AVX_TEXT];
  } message[AVX_MESSAGES];  // ring, the first message of each packet: number i is in slot i % AVX_MESSAGES
} avx_control;

avx_control *avx_control_new(void);
void avx_control_free(avx_control *c);
int avx_control_stopped(avx_control *c);  // 0 no, 1 stop, 2 deadline
// avx_control_find gives 1 and the first message about a packet, or 0; avx_control_last the newest one that is kept.
int avx_control_find(avx_control *c, int64_t tag, char *text, int *spoils);
int avx_control_last(avx_control *c, int64_t *tag, char *text);
void avx_control_clear(avx_control *c);
int64_t avx_now_ns(void);

void avx_install_log(void);

// avx_io reads a file through its descriptor, which stays the caller's; several can share one.
typedef struct avx_io {
  int fd;
  int64_t size, pos;
  avx_control *control;
} avx_io;

AVIOContext *avx_io_new(int fd, int64_t size, avx_control *control);
void avx_io_free(AVIOContext *pb);

// avx_probe names the demuxer for what pb reads, or returns NULL; pb is rewound.
const AVInputFormat *avx_probe(AVIOContext *pb, const char *name, int64_t max_bytes, int *score, int *err);
void avx_attach(AVFormatContext *fc, AVIOContext *pb, avx_control *control);
void avx_discard_others(AVFormatContext *fc, int stream);
int avx_disposition(const AVStream *st);
int avx_field_order(const AVStream *st);

void avx_codec_setup(AVCodecContext *cc, avx_control *control);
const char *avx_profile_name(const AVStream *st);

// avx_frame is everything about a decoded picture in one crossing.
typedef struct avx_frame {
  int64_t tag, pts, best_effort;
  uint8_t *data[4];
  int linesize[4];
  int width, height, format, color_range, flags, decode_error_flags, key, interlaced, top_field_first;
  int sar_num, sar_den;
} avx_frame;

void avx_frame_get(const AVFrame *f, avx_frame *out);
// avx_frame_matrix copies the display matrix in the frame's side data; 0 when there is none.
int avx_frame_matrix(const AVFrame *f, int32_t matrix[9]);

typedef struct avx_component {
  int plane, step, offset, shift, depth;
} avx_component;

typedef struct avx_pixfmt {
  int components, log2_chroma_w, log2_chroma_h;
  int rgb, alpha, palette, bitstream, hardware, floating, big_endian, bayer, xyz;
  avx_component comp[4];
} avx_pixfmt;

int avx_pixfmt_get(int format, avx_pixfmt *out);

// avx_unpack writes component comp of width x height samples to dst as bytes (depth 8) or native words.
void avx_unpack(const uint8_t *src, int src_stride, const avx_pixfmt *pf, int comp, int width, int height, uint8_t *dst,
                int dst_stride);

// avx_sws_new is how the scale filter of FFmpeg sets up its scaler. ranges: 0 limited, 1 full. NULL: *err says why.
struct SwsContext *avx_sws_new(int sw, int sh, int sfmt, int sfull, int dw, int dh, int dfmt, int dfull, int flags,
                               int *err);

// avx_widen copies samples of 1 or 2 bytes to such, shifted left by up and, unless repeat < 0, with the source shifted right
// by repeat in the low bits.
void avx_widen(const uint8_t *src, int src_stride, int src_bytes, uint8_t *dst, int dst_stride, int dst_bytes,
               int width, int height, int up, int repeat);

// avx_parse_picture is the picture structure (AV_PICTURE_STRUCTURE_…) that a codec's parser reads off one packet.
typedef struct avx_parser avx_parser;
avx_parser *avx_parser_new(const AVStream *st);
int avx_parser_structure(avx_parser *p, const AVPacket *pkt);
void avx_parser_free(avx_parser *p);

#endif
