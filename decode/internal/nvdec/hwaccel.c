#include <libavutil/dict.h>
#include <libavutil/hwcontext.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvdec.h"

enum {
  kNonBlocking = 1,   // CU_STREAM_NON_BLOCKING: does not wait for the default stream
  kHost = 1,          // CU_MEMORYTYPE_HOST
  kDevice = 2,        // CU_MEMORYTYPE_DEVICE
  kMaxSurfaces = 32,  // of one decoder
  kWorkSurfaces = 3,  // what FFmpeg adds to the number that avcodec_get_hw_frames_parameters says
};

// AVCUDADeviceContext of libavutil/hwcontext_cuda.h, which includes cuda.h for the first two types only.
typedef struct cuda_device {
  void *context;
  void *stream;
  void *internal;
} cuda_device;

// decoder is what belongs to one codec context and all frames that come of it: FFmpeg frees it with the device context that it
// is attached to, when the last of them is gone.
typedef struct decoder {
  const nv_driver *driver;
  int device;
  void *context;  // the primary one, retained
  void *stream;
  int hold;         // frames that the caller holds
  int copies;       // they are more than there are surfaces for
  int fixed_size;   // pictures of another size may refer to those before, which a new decoder does not have
  int width, height;  // as coded; 0: not known yet
  char refused[NV_TEXT];
} decoder;

static int fail(const decoder *d, nv_error *err, const char *call, int code) {
  const char *name = NULL;
  if (d->driver->error_name(code, &name) || !name) name = "error";
  err->code = code;
  snprintf(err->text, NV_TEXT, "%s: %s (%d)", call, name, code);
  return -1;
}

static int fail_av(nv_error *err, const char *call, int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(code, text, sizeof text);
  err->code = code;
  snprintf(err->text, NV_TEXT, "%s: %s", call, text);
  return -1;
}

static void release(decoder *d) {
  void *old;
  if (d->stream && !d->driver->push(d->context)) {
    // nobody is left to hear of an error: the context goes too
    (void)d->driver->stream_destroy(d->stream);
    (void)d->driver->pop(&old);
  }
  if (d->context) (void)d->driver->context_release(d->device);
  free(d);
}

static void on_free(AVHWDeviceContext *device) { release(device->user_opaque); }

static decoder *decoder_of(const AVBufferRef *device) { return ((AVHWDeviceContext *)device->data)->user_opaque; }

// refuse keeps the first reason and makes FFmpeg give up.
static enum AVPixelFormat refuse(decoder *d, const char *why) {
  if (!d->refused[0]) snprintf(d->refused, NV_TEXT, "%s", why);
  return AV_PIX_FMT_NONE;
}

// choose is the codec context's get_format. FFmpeg calls it when it knows what the pictures are like, again when that changes,
// and again without cuda when the decoder could not be set up.
static enum AVPixelFormat choose(AVCodecContext *cc, const enum AVPixelFormat *formats) {
  decoder *d = decoder_of(cc->hw_device_ctx);
  while (*formats != AV_PIX_FMT_NONE && *formats != AV_PIX_FMT_CUDA) formats++;
  if (*formats == AV_PIX_FMT_NONE)
    return refuse(d, d->width ? "the device's decoder cannot be set up" : "FFmpeg does not decode such pictures on devices");
  if (cc->properties & FF_CODEC_PROPERTY_FILM_GRAIN)
    return refuse(d, "its film grain, which no standard defines to the bit");
  if (d->fixed_size && d->width && (d->width != cc->coded_width || d->height != cc->coded_height))
    return refuse(d, "pictures change size");
  AVBufferRef *ref = NULL;
  cc->extra_hw_frames = 0;
  int r = avcodec_get_hw_frames_parameters(cc, cc->hw_device_ctx, AV_PIX_FMT_CUDA, &ref);
  if (r < 0) return refuse(d, "FFmpeg does not decode such pictures on devices");
  const int needed = ((AVHWFramesContext *)ref->data)->initial_pool_size + kWorkSurfaces;
  av_buffer_unref(&ref);
  if (needed > kMaxSurfaces) return refuse(d, "it refers to more pictures than the device's decoder has surfaces for");
  d->copies = needed + d->hold > kMaxSurfaces;
  if (!d->copies) cc->extra_hw_frames = d->hold;
  d->width = cc->coded_width;
  d->height = cc->coded_height;
  return AV_PIX_FMT_CUDA;
}

int nv_attach(const nv_driver *driver, int ordinal, AVCodecContext *cc, int hold, int fixed_size, nv_error *err) {
  decoder *d = calloc(1, sizeof *d);
  if (!d) return fail_av(err, "calloc", AVERROR(ENOMEM));
  *d = (decoder){.driver = driver, .hold = hold, .fixed_size = fixed_size};
  if (nv_retain(driver, ordinal, &d->device, &d->context, err)) {
    free(d);
    return -1;
  }
  void *old;
  int r = driver->push(d->context);
  if (r) fail(d, err, "cuCtxPushCurrent", r);
  if (!r) {
    if ((r = driver->stream_create(&d->stream, kNonBlocking))) fail(d, err, "cuStreamCreate", r);
    (void)driver->pop(&old);
  }
  if (r) {
    release(d);
    return -1;
  }
  char name[16];
  snprintf(name, sizeof name, "%d", ordinal);
  AVDictionary *options = NULL;
  AVBufferRef *ref = NULL;
  r = av_dict_set(&options, "primary_ctx", "1", 0);
  if (r >= 0) r = av_hwdevice_ctx_create(&ref, AV_HWDEVICE_TYPE_CUDA, name, options, 0);
  av_dict_free(&options);
  if (r < 0) {
    release(d);
    return fail_av(err, "FFmpeg makes no cuda device", r);
  }
  AVHWDeviceContext *device = (AVHWDeviceContext *)ref->data;
  ((cuda_device *)device->hwctx)->stream = d->stream;
  device->user_opaque = d;
  device->free = on_free;
  cc->hw_device_ctx = ref;
  cc->get_format = choose;
  // software applies H.264's and HEVC's film grain, the hwaccel does not: frames that have some are to say so
  cc->export_side_data |= AV_CODEC_EXPORT_DATA_FILM_GRAIN;
  return 0;
}

const char *nv_refused(const AVCodecContext *cc) { return cc->hw_device_ctx ? decoder_of(cc->hw_device_ctx)->refused : ""; }

static AVHWFramesContext *frames_of(const AVFrame *f) { return (AVHWFramesContext *)f->hw_frames_ctx->data; }

// copy_out moves a frame out of the decoder's surface into memory of FFmpeg's pool on the device.
static int copy_out(AVFrame *f, int luma_only, nv_error *err) {
  AVFrame *copy = av_frame_alloc();
  if (!copy) return fail_av(err, "av_frame_alloc", AVERROR(ENOMEM));
  int r = av_hwframe_get_buffer(f->hw_frames_ctx, copy, 0);
  if (r >= 0) {
    if (luma_only) f->data[1] = NULL;
    r = av_hwframe_transfer_data(copy, f, 0);
  }
  if (r >= 0) r = av_frame_copy_props(copy, f);
  if (r < 0) {
    av_frame_free(&copy);
    return fail_av(err, "copy a picture on the device", r);
  }
  copy->width = f->width;
  copy->height = f->height;
  copy->crop_left = f->crop_left;
  copy->crop_top = f->crop_top;
  // what is copied from must not be written again before it is read
  const decoder *d = frames_of(f)->device_ctx->user_opaque;
  if ((r = d->driver->stream_synchronize(d->stream))) {
    av_frame_free(&copy);
    return fail(d, err, "cuStreamSynchronize", r);
  }
  av_frame_unref(f);
  av_frame_move_ref(f, copy);
  av_frame_free(&copy);
  return 0;
}

// ffmpeg_frame is what FFmpeg's hwaccel keeps with a mapped picture (libavcodec/nvdec.h of version 59), and ffmpeg_decoder the beginning
// of what decoder_ref holds.
typedef struct ffmpeg_frame {
  unsigned index, reference_index;
  AVBufferRef *index_ref, *reference_index_ref, *decoder_ref;
} ffmpeg_frame;

typedef struct ffmpeg_decoder {
  void *handle;
} ffmpeg_decoder;

enum { kLayoutVersion = 59, kError = 8, kErrorConcealed = 9 };

// damaged asks the decoder how it fared with a picture. FFmpeg does not, nor does it give the decoder's handle away, so this looks where
// the known version keeps it. Devices answer for H.264 and HEVC only; without an answer a picture passes for good.
static int damaged(const nv_driver *driver, const AVFrame *f) {
  if (!driver->decode_status || avcodec_version() >> 16 != kLayoutVersion || !f->buf[1] || f->buf[1]->size != sizeof(ffmpeg_frame)) return 0;
  const ffmpeg_frame *picture = (const ffmpeg_frame *)f->buf[1]->data;
  nv_status status = {0};
  if (driver->decode_status(((const ffmpeg_decoder *)picture->decoder_ref->data)->handle, (int)picture->index, &status)) return 0;
  return status.status == kError || status.status == kErrorConcealed;
}

int nv_take(AVFrame *f, int luma_only, nv_surface *out, nv_error *err) {
  if (!f->hw_frames_ctx || !f->data[0]) return fail_av(err, "the decoder gave a picture without memory", AVERROR_BUG);
  const decoder *d = frames_of(f)->device_ctx->user_opaque;
  void *old;
  int r = d->driver->push(d->context);
  if (r) return fail(d, err, "cuCtxPushCurrent", r);
  if ((r = d->driver->stream_synchronize(d->stream))) fail(d, err, "cuStreamSynchronize", r);
  const int bad = !r && damaged(d->driver, f);  // only of what is done does the decoder know that
  if (!r && d->copies) r = copy_out(f, luma_only, err);
  (void)d->driver->pop(&old);
  if (r) return -1;
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frames_of(f)->sw_format);
  *out = (nv_surface){
      .luma = (uintptr_t)f->data[0],
      .chroma = (uintptr_t)f->data[1],
      .pitch_bytes = f->linesize[0],
      // P016 holds 12 bits, since FFmpeg's hwaccel decodes no more
      .bits = format->comp[0].depth == 16 ? 12 : format->comp[0].depth,
      .crop_left = (int)f->crop_left,
      .crop_top = (int)f->crop_top,
      .damaged = bad,
      .grain = av_frame_get_side_data(f, AV_FRAME_DATA_FILM_GRAIN_PARAMS) != NULL,
  };
  return 0;
}

int nv_download(const AVFrame *f, uint64_t address, int pitch_bytes, uint8_t *dst, int dst_pitch_bytes, int width_bytes, int height,
                nv_error *err) {
  const decoder *d = frames_of(f)->device_ctx->user_opaque;
  void *old;
  int r = d->driver->push(d->context);
  if (r) return fail(d, err, "cuCtxPushCurrent", r);
  const nv_copy copy = {
      .src_type = kDevice,
      .src_device = address,
      .src_pitch = (size_t)pitch_bytes,
      .dst_type = kHost,
      .dst_host = dst,
      .dst_pitch = (size_t)dst_pitch_bytes,
      .width_bytes = (size_t)width_bytes,
      .height = (size_t)height,
  };
  if ((r = d->driver->copy(&copy, d->stream))) {
    fail(d, err, "cuMemcpy2DAsync", r);
  } else if ((r = d->driver->stream_synchronize(d->stream))) {
    fail(d, err, "cuStreamSynchronize", r);
  }
  (void)d->driver->pop(&old);
  return r ? -1 : 0;
}

void nv_lower(uint8_t *data, int stride_bytes, int width, int height, int shift) {
  for (int y = 0; y < height; y++) {
    uint16_t *row = (uint16_t *)(data + (ptrdiff_t)y * stride_bytes);
    for (int x = 0; x < width; x++) row[x] = (uint16_t)(row[x] >> shift);
  }
}

void nv_split(const uint8_t *src, int src_stride_bytes, int sample_bytes, int shift, uint8_t *u, uint8_t *v, int dst_stride_bytes, int width,
              int height) {
  for (int y = 0; y < height; y++) {
    const uint8_t *row = src + (ptrdiff_t)y * src_stride_bytes;
    uint8_t *to_u = u + (ptrdiff_t)y * dst_stride_bytes, *to_v = v + (ptrdiff_t)y * dst_stride_bytes;
    if (sample_bytes == 1) {
      for (int x = 0; x < width; x++) {
        to_u[x] = row[2 * x];
        to_v[x] = row[2 * x + 1];
      }
      continue;
    }
    for (int x = 0; x < width; x++) {
      ((uint16_t *)to_u)[x] = (uint16_t)(((const uint16_t *)row)[2 * x] >> shift);
      ((uint16_t *)to_v)[x] = (uint16_t)(((const uint16_t *)row)[2 * x + 1] >> shift);
    }
  }
}
