#include "avx.h"

#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint64_t kMagic = 0x5651534456515344u;

// ---- control and messages

avx_control *avx_control_new(void) {
  avx_control *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->magic = kMagic;
  pthread_mutex_init(&c->mu, NULL);
  return c;
}

void avx_control_free(avx_control *c) {
  if (!c) return;
  c->magic = 0;
  pthread_mutex_destroy(&c->mu);
  free(c);
}

int64_t avx_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int avx_control_stopped(avx_control *c) {
  if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) return 1;
  int64_t d = __atomic_load_n(&c->deadline_ns, __ATOMIC_RELAXED);
  return d && avx_now_ns() > d ? 2 : 0;
}

static int interrupted(void *control) { return avx_control_stopped(control) != 0; }

// What decoders say when samples come out wrong, as against what they merely miss or find odd.
static int spoils(const char *text) {
  static const char *const kWords[] = {"error while decoding MB", "Error at MB", "damaged", "slice end not reached",
                                       "concealing"};
  for (size_t i = 0; i < sizeof kWords / sizeof *kWords; i++)
    if (strstr(text, kWords[i])) return 1;
  return 0;
}

static void add_message(avx_control *c, int64_t tag, const char *text) {
  const int bad = spoils(text);
  pthread_mutex_lock(&c->mu);
  const int64_t n = __atomic_load_n(&c->logged, __ATOMIC_RELAXED);
  int64_t i = n;
  if (tag >= 0)  // one packet can give hundreds
    for (i = n > AVX_MESSAGES ? n - AVX_MESSAGES : 0; i < n && c->message[i % AVX_MESSAGES].tag != tag; i++) continue;
  if (i < n) {
    char *first = c->message[i % AVX_MESSAGES].text;
    const size_t used = strlen(first);
    c->message[i % AVX_MESSAGES].spoils |= bad;
    // what FFmpeg says of a failed call of CUDA's comes in two pieces
    if (!strncmp(text, " -> ", 4) && used >= 6 && !strcmp(first + used - 6, "failed")) snprintf(first + used, AVX_TEXT - used, "%s", text);
  } else {
    c->message[n % AVX_MESSAGES].tag = tag;
    c->message[n % AVX_MESSAGES].spoils = bad;
    snprintf(c->message[n % AVX_MESSAGES].text, AVX_TEXT, "%s", text);
    __atomic_store_n(&c->logged, n + 1, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&c->mu);
}

int avx_control_find(avx_control *c, int64_t tag, char *text, int *spoils) {
  int found = 0;
  pthread_mutex_lock(&c->mu);
  const int64_t n = c->logged;
  for (int64_t i = n > AVX_MESSAGES ? n - AVX_MESSAGES : 0; i < n && !found; i++) {
    if (c->message[i % AVX_MESSAGES].tag != tag) continue;
    memcpy(text, c->message[i % AVX_MESSAGES].text, AVX_TEXT);
    *spoils = c->message[i % AVX_MESSAGES].spoils;
    found = 1;
  }
  pthread_mutex_unlock(&c->mu);
  return found;
}

int avx_control_last(avx_control *c, int64_t *tag, char *text) {
  pthread_mutex_lock(&c->mu);
  int64_t n = c->logged;
  if (n > 0) {
    *tag = c->message[(n - 1) % AVX_MESSAGES].tag;
    memcpy(text, c->message[(n - 1) % AVX_MESSAGES].text, AVX_TEXT);
  }
  pthread_mutex_unlock(&c->mu);
  return n > 0;
}

void avx_control_clear(avx_control *c) {
  pthread_mutex_lock(&c->mu);
  __atomic_store_n(&c->logged, 0, __ATOMIC_RELEASE);
  pthread_mutex_unlock(&c->mu);
}

// control_of finds the control behind a logging context: the context's own opaque pointer, or that of a parent.
static avx_control *control_of(void *ctx, int64_t *tag) {
  for (int depth = 0; ctx && depth < 4; depth++) {
    const AVClass *class = *(const AVClass **)ctx;
    if (!class) return NULL;
    avx_control *c = NULL;
    *tag = -1;
    if (class == avcodec_get_class()) {
      c = ((AVCodecContext *)ctx)->opaque;
      // the copies of a context that decoding threads use carry the tag of the packet they decode
      *tag = ((AVCodecContext *)ctx)->reordered_opaque;
    } else if (class == avformat_get_class()) {
      c = ((AVFormatContext *)ctx)->opaque;
    }
    if (c && c->magic == kMagic) return c;
    if (!class->parent_log_context_offset) return NULL;
    ctx = *(void **)((uint8_t *)ctx + class->parent_log_context_offset);
  }
  return NULL;
}

// Messages at error level go to the control of the file they concern; the rest, and all others, are dropped: a
// library has no business with the process's standard error.
static void on_log(void *ctx, int level, const char *format, va_list args) {
  if (level > AV_LOG_ERROR || !ctx) return;
  int64_t tag;
  avx_control *c = control_of(ctx, &tag);
  if (!c) return;
  char text[AVX_TEXT];
  vsnprintf(text, sizeof text, format, args);
  size_t n = strlen(text);
  while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '.' || text[n - 1] == ' ')) text[--n] = 0;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)text[i] < 32 || (unsigned char)text[i] > 126) text[i] = '?';
  if (n) add_message(c, tag, text);
}

void avx_install_log(void) { av_log_set_callback(on_log); }

// ---- input

static int io_read(void *opaque, uint8_t *buf, int size) {
  avx_io *io = opaque;
  for (;;) {
    if (avx_control_stopped(io->control)) return AVERROR_EXIT;
    ssize_t n = pread(io->fd, buf, (size_t)size, io->pos);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return AVERROR(errno);
    if (n == 0) return AVERROR_EOF;
    io->pos += n;
    return (int)n;
  }
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
  avx_io *io = opaque;
  int64_t to;
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE: return io->size;
    case SEEK_SET: to = offset; break;
    case SEEK_CUR:
      if (__builtin_add_overflow(io->pos, offset, &to)) return AVERROR(EINVAL);
      break;
    case SEEK_END:
      if (__builtin_add_overflow(io->size, offset, &to)) return AVERROR(EINVAL);
      break;
    default: return AVERROR(EINVAL);
  }
  if (to < 0) return AVERROR(EINVAL);
  return io->pos = to;
}

AVIOContext *avx_io_new(int fd, int64_t size, avx_control *control) {
  enum { kBuffer = 256 << 10 };
  avx_io *io = calloc(1, sizeof *io);
  uint8_t *buf = av_malloc(kBuffer);
  AVIOContext *pb = NULL;
  if (io && buf) {
    *io = (avx_io){fd, size, 0, control};
    pb = avio_alloc_context(buf, kBuffer, 0, io, io_read, NULL, io_seek);
  }
  if (!pb) {
    av_free(buf);
    free(io);
  }
  return pb;
}

void avx_io_free(AVIOContext *pb) {
  if (!pb) return;
  free(pb->opaque);
  av_freep(&pb->buffer);
  avio_context_free(&pb);
}

const AVInputFormat *avx_probe(AVIOContext *pb, const char *name, int64_t max_bytes, int *score, int *err) {
  const AVInputFormat *fmt = NULL;
  *score = *err = 0;
  int r = av_probe_input_buffer2(pb, &fmt, name, NULL, 0, (unsigned)max_bytes);
  if (r < 0) *err = r;
  else *score = r;
  return fmt;
}

static int refuse_open(AVFormatContext *fc, AVIOContext **pb, const char *url, int flags, AVDictionary **options) {
  (void)fc, (void)pb, (void)flags, (void)options;
  avx_control *c = fc->opaque;
  char text[AVX_TEXT];
  snprintf(text, sizeof text, "the file refers to another file, which is not opened: %.120s", url ? url : "");
  if (c && c->magic == kMagic) add_message(c, -1, text);
  return AVERROR(EPERM);
}

void avx_attach(AVFormatContext *fc, AVIOContext *pb, avx_control *control) {
  fc->pb = pb;
  fc->opaque = control;
  fc->interrupt_callback.callback = interrupted;
  fc->interrupt_callback.opaque = control;
  fc->io_open = refuse_open;
}

void avx_discard_others(AVFormatContext *fc, int stream) {
  for (unsigned i = 0; i < fc->nb_streams; i++)
    fc->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
}

int avx_disposition(const AVStream *st) { return st->disposition; }
int avx_field_order(const AVStream *st) { return st->codecpar->field_order; }

// ---- decoding

void avx_codec_setup(AVCodecContext *cc, avx_control *control) { cc->opaque = control; }

const char *avx_profile_name(const AVStream *st) {
  return avcodec_profile_name(st->codecpar->codec_id, st->codecpar->profile);
}

void avx_frame_get(const AVFrame *f, avx_frame *out) {
  *out = (avx_frame){
      .tag = f->reordered_opaque,
      .pts = f->pts,
      .best_effort = f->best_effort_timestamp,
      .width = f->width,
      .height = f->height,
      .format = f->format,
      .color_range = f->color_range,
      .flags = f->flags,
      .decode_error_flags = f->decode_error_flags,
      .key = f->key_frame,
      .interlaced = f->interlaced_frame,
      .top_field_first = f->top_field_first,
      .sar_num = f->sample_aspect_ratio.num,
      .sar_den = f->sample_aspect_ratio.den,
  };
  // addresses in a device's memory are no pointers, and must not get among Go's
  for (int i = 0; i < 4 && !f->hw_frames_ctx; i++) {
    out->data[i] = f->data[i];
    out->linesize[i] = f->linesize[i];
  }
}

int avx_frame_matrix(const AVFrame *f, int32_t matrix[9]) {
  const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
  if (!sd || sd->size < 9 * sizeof(int32_t)) return 0;
  memcpy(matrix, sd->data, 9 * sizeof(int32_t));
  return 1;
}

int avx_pixfmt_get(int format, avx_pixfmt *out) {
  const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
  if (!d) return 0;
  *out = (avx_pixfmt){
      .components = d->nb_components,
      .log2_chroma_w = d->log2_chroma_w,
      .log2_chroma_h = d->log2_chroma_h,
      .rgb = !!(d->flags & AV_PIX_FMT_FLAG_RGB),
      .alpha = !!(d->flags & AV_PIX_FMT_FLAG_ALPHA),
      .palette = !!(d->flags & AV_PIX_FMT_FLAG_PAL),
      .bitstream = !!(d->flags & AV_PIX_FMT_FLAG_BITSTREAM),
      .hardware = !!(d->flags & AV_PIX_FMT_FLAG_HWACCEL),
      .floating = !!(d->flags & AV_PIX_FMT_FLAG_FLOAT),
      .big_endian = !!(d->flags & AV_PIX_FMT_FLAG_BE),
      .bayer = !!(d->flags & AV_PIX_FMT_FLAG_BAYER),
      .xyz = !strncmp(d->name, "xyz", 3),
  };
  for (int i = 0; i < 4; i++)
    out->comp[i] = (avx_component){d->comp[i].plane, d->comp[i].step, d->comp[i].offset, d->comp[i].shift,
                                   d->comp[i].depth};
  return 1;
}

void avx_unpack(const uint8_t *src, int src_stride, const avx_pixfmt *pf, int comp, int width, int height, uint8_t *dst,
                int dst_stride) {
  const avx_component c = pf->comp[comp];
  const unsigned mask = (1u << c.depth) - 1;
  for (int y = 0; y < height; y++) {
    const uint8_t *s = src + (ptrdiff_t)y * src_stride + c.offset;
    uint8_t *d8 = dst + (ptrdiff_t)y * dst_stride;
    uint16_t *d16 = (uint16_t *)d8;
    if (c.depth <= 8) {
      for (int x = 0; x < width; x++) d8[x] = s[(ptrdiff_t)x * c.step];
      continue;
    }
    for (int x = 0; x < width; x++) {
      const uint8_t *p = s + (ptrdiff_t)x * c.step;
      unsigned v = pf->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
      d16[x] = (uint16_t)(v >> c.shift & mask);
    }
  }
}

// ---- scaling

struct SwsContext *avx_sws_new(int sw, int sh, int sfmt, int sfull, int dw, int dh, int dfmt, int dfull, int flags,
                               int *err) {
  struct SwsContext *s = sws_alloc_context();
  *err = AVERROR(ENOMEM);
  if (!s) return NULL;
  av_opt_set_int(s, "srcw", sw, 0);
  av_opt_set_int(s, "srch", sh, 0);
  av_opt_set_int(s, "src_format", sfmt, 0);
  av_opt_set_int(s, "src_range", sfull, 0);
  av_opt_set_int(s, "dstw", dw, 0);
  av_opt_set_int(s, "dsth", dh, 0);
  av_opt_set_int(s, "dst_format", dfmt, 0);
  av_opt_set_int(s, "dst_range", dfull, 0);
  av_opt_set_int(s, "sws_flags", flags, 0);
  // the filter places the chroma of 8-bit 4:2:0 midway between two lines, and leaves that of all others at the default
  if (sfmt == AV_PIX_FMT_YUV420P) av_opt_set_int(s, "src_v_chr_pos", 128, 0);
  if (dfmt == AV_PIX_FMT_YUV420P) av_opt_set_int(s, "dst_v_chr_pos", 128, 0);
  *err = sws_init_context(s, NULL, NULL);
  if (*err < 0) {
    sws_freeContext(s);
    return NULL;
  }
  return s;
}

static void widen_row(const void *src, int src_bytes, uint16_t *dst, int width, int up, int repeat) {
  if (src_bytes == 1) {
    const uint8_t *s = src;
    if (repeat < 0)
      for (int x = 0; x < width; x++) dst[x] = (uint16_t)(s[x] << up);
    else
      for (int x = 0; x < width; x++) dst[x] = (uint16_t)(s[x] << up | s[x] >> repeat);
    return;
  }
  const uint16_t *s = src;
  if (repeat < 0)
    for (int x = 0; x < width; x++) dst[x] = (uint16_t)(s[x] << up);
  else
    for (int x = 0; x < width; x++) dst[x] = (uint16_t)(s[x] << up | s[x] >> repeat);
}

void avx_widen(const uint8_t *src, int src_stride, int src_bytes, uint8_t *dst, int dst_stride, int dst_bytes,
               int width, int height, int up, int repeat) {
  for (int y = 0; y < height; y++) {
    const uint8_t *s = src + (ptrdiff_t)y * src_stride;
    uint8_t *d = dst + (ptrdiff_t)y * dst_stride;
    if (src_bytes == dst_bytes && up == 0)
      memcpy(d, s, (size_t)width * src_bytes);
    else
      widen_row(s, src_bytes, (uint16_t *)d, width, up, repeat);
  }
}

// ---- parsing

struct avx_parser {
  AVCodecParserContext *parser;
  AVCodecContext *cc;
};

avx_parser *avx_parser_new(const AVStream *st) {
  avx_parser *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->parser = av_parser_init(st->codecpar->codec_id);
  p->cc = avcodec_alloc_context3(NULL);
  if (!p->parser || !p->cc || avcodec_parameters_to_context(p->cc, st->codecpar) < 0) {
    avx_parser_free(p);
    return NULL;
  }
  p->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
  return p;
}

int avx_parser_structure(avx_parser *p, const AVPacket *pkt) {
  uint8_t *out = NULL;
  int n = 0;
  av_parser_parse2(p->parser, p->cc, &out, &n, pkt->data, pkt->size, pkt->pts, pkt->dts, pkt->pos);
  return p->parser->picture_structure;
}

void avx_parser_free(avx_parser *p) {
  if (!p) return;
  if (p->parser) av_parser_close(p->parser);
  avcodec_free_context(&p->cc);
  free(p);
}
