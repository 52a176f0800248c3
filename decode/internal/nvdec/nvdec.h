// nvdec.h: FFmpeg's cuda hwaccel and the few calls of the CUDA driver that it takes to use its frames. The driver is opened at
// run time; names, values and structures are those of the published driver and video decoder interfaces.
#ifndef VQSD_NVDEC_H
#define VQSD_NVDEC_H

#include <libavcodec/avcodec.h>
#include <stddef.h>
#include <stdint.h>

enum { NV_TEXT = 240 };

// nv_error says what failed. code is the driver's or the decoder's result, negative for FFmpeg's, 0 where neither has one.
typedef struct nv_error {
  int code;
  char text[NV_TEXT];
} nv_error;

// nv_copy is the driver's description of a copy of a rectangle; nv_caps that of what a decoder can do.
typedef struct nv_copy {
  size_t src_x_bytes, src_y;
  int src_type;
  const void *src_host;
  unsigned long long src_device;
  void *src_array;
  size_t src_pitch;
  size_t dst_x_bytes, dst_y;
  int dst_type;
  void *dst_host;
  unsigned long long dst_device;
  void *dst_array;
  size_t dst_pitch;
  size_t width_bytes, height;
} nv_copy;

typedef struct nv_caps {
  int codec, chroma;
  unsigned bit_depth_minus8, reserved_in[3];
  unsigned char supported, engines;
  unsigned short output_formats;
  unsigned max_width, max_height, max_macroblocks;
  unsigned short min_width, min_height;
  unsigned char histogram, counter_bits;
  unsigned short histogram_bins;
  unsigned reserved_out[10];
} nv_caps;

// nv_status is the decoder's description of how it fared with a picture.
typedef struct nv_status {
  int status;
  unsigned reserved[31];
  void *reserved_pointers[8];
} nv_status;

_Static_assert(sizeof(nv_copy) == 128 && sizeof(nv_caps) == 88 && sizeof(nv_status) == 192, "as the interfaces have them");

// nv_driver is an open driver: what of it is called here. It is never closed, since others in the process may use it.
typedef struct nv_driver {
  int (*init)(unsigned flags);
  int (*device_count)(int *count);
  int (*device_get)(int *device, int ordinal);
  int (*context_state)(int device, unsigned *flags, int *active);
  int (*context_set_flags)(int device, unsigned flags);
  int (*context_retain)(void **context, int device);
  int (*context_release)(int device);
  int (*push)(void *context);
  int (*pop)(void **context);
  int (*stream_create)(void **stream, unsigned flags);
  int (*stream_destroy)(void *stream);
  int (*stream_synchronize)(void *stream);
  int (*copy)(const nv_copy *copy, void *stream);
  int (*error_name)(int code, const char **name);
  int (*decoder_caps)(nv_caps *caps);
  int (*decode_status)(void *decoder, int index, nv_status *status);  // NULL: the driver is too old to have it
} nv_driver;

// All functions that return int and take an nv_error give 0, or -1 with the reason in *err.

// nv_open loads a driver, and the decoder library that goes with it, by file name, initialises it and counts its devices.
int nv_open(nv_driver *d, const char *library, const char *decoder_library, int *devices, nv_error *err);

// nv_retain makes sure that the primary context of a device exists as FFmpeg wants it, and keeps it until nv_release.
int nv_retain(const nv_driver *d, int ordinal, int *device, void **context, nv_error *err);
int nv_release(const nv_driver *d, int device, nv_error *err);

// nv_get_caps asks what the decoder can do with a codec; caps holds the question and receives the answer.
int nv_get_caps(const nv_driver *d, void *context, nv_caps *caps, nv_error *err);

// nv_attach makes a codec context that is not open yet decode on a device, with a stream of its own, for a caller that holds up
// to `hold` frames at a time. The codec context and its frames keep what they need. fixed_size refuses another picture size later.
int nv_attach(const nv_driver *d, int ordinal, AVCodecContext *cc, int hold, int fixed_size, nv_error *err);

// nv_refused says why the codec context's pictures cannot be decoded on the device, or gives "".
const char *nv_refused(const AVCodecContext *cc);

// nv_surface is a decoded picture in device memory.
typedef struct nv_surface {
  uint64_t luma, chroma;  // addresses; chroma is interleaved
  int pitch_bytes, bits, crop_left, crop_top, grain, damaged;
} nv_surface;

// nv_take waits until a frame of the decoder is complete and describes it; a frame that the caller may hold for longer than the
// decoder can spare its surface is copied, without chroma if luma_only.
int nv_take(AVFrame *f, int luma_only, nv_surface *out, nv_error *err);

// nv_download copies a rectangle out of the device that f is on, from an address in f's memory.
int nv_download(const AVFrame *f, uint64_t address, int pitch_bytes, uint8_t *dst, int dst_pitch_bytes, int width_bytes, int height,
                nv_error *err);

// nv_lower shifts words right; nv_split does so too and separates pairs of samples of 1 or 2 bytes.
void nv_lower(uint8_t *data, int stride_bytes, int width, int height, int shift);
void nv_split(const uint8_t *src, int src_stride_bytes, int sample_bytes, int shift, uint8_t *u, uint8_t *v, int dst_stride_bytes, int width,
              int height);

#endif
