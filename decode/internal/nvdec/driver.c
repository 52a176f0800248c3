#include <dlfcn.h>
#include <libavutil/error.h>
#include <stdio.h>
#include <string.h>

#include "nvdec.h"

enum { kBlockingSync = 4 };  // CU_CTX_SCHED_BLOCKING_SYNC: a thread that waits for the device sleeps

static int fail(const nv_driver *d, nv_error *err, const char *call, int code) {
  const char *name = NULL;
  if (!d->error_name || d->error_name(code, &name) || !name) name = "error";
  err->code = code;
  snprintf(err->text, NV_TEXT, "%s: %s (%d)", call, name, code);
  return -1;
}

static int say(nv_error *err, const char *text) {
  err->code = 0;
  snprintf(err->text, NV_TEXT, "%s", text ? text : "unknown reason");
  return -1;
}

// look finds one function of a library.
static int look(void *library, const char *symbol, void *slot, nv_error *err) {
  void *p = dlsym(library, symbol);
  if (!p) {
    err->code = 0;
    snprintf(err->text, NV_TEXT, "the driver is too old: it has no %s", symbol);
    return -1;
  }
  memcpy(slot, &p, sizeof p);
  return 0;
}

int nv_open(nv_driver *d, const char *library, const char *decoder_library, int *devices, nv_error *err) {
  memset(d, 0, sizeof *d);
  *devices = 0;
  void *cuda = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!cuda) return say(err, dlerror());
  const struct {
    const char *symbol;
    void *slot;
  } kCalls[] = {
      {"cuInit", &d->init},
      {"cuDeviceGetCount", &d->device_count},
      {"cuDeviceGet", &d->device_get},
      {"cuDevicePrimaryCtxGetState", &d->context_state},
      {"cuDevicePrimaryCtxSetFlags_v2", &d->context_set_flags},
      {"cuDevicePrimaryCtxRetain", &d->context_retain},
      {"cuDevicePrimaryCtxRelease_v2", &d->context_release},
      {"cuCtxPushCurrent_v2", &d->push},
      {"cuCtxPopCurrent_v2", &d->pop},
      {"cuStreamCreate", &d->stream_create},
      {"cuStreamDestroy_v2", &d->stream_destroy},
      {"cuStreamSynchronize", &d->stream_synchronize},
      {"cuMemcpy2DAsync_v2", &d->copy},
      {"cuGetErrorName", &d->error_name},
  };
  for (size_t i = 0; i < sizeof kCalls / sizeof *kCalls; i++)
    if (look(cuda, kCalls[i].symbol, kCalls[i].slot, err)) return -1;
  int r = d->init(0);
  if (r) return fail(d, err, "cuInit", r);
  if ((r = d->device_count(devices))) return fail(d, err, "cuDeviceGetCount", r);
  if (*devices == 0) return say(err, "the driver has no device");
  void *decoder = dlopen(decoder_library, RTLD_NOW | RTLD_LOCAL);
  if (!decoder) {
    const char *why = dlerror();
    err->code = 0;
    snprintf(err->text, NV_TEXT, "%s; in a container NVIDIA_DRIVER_CAPABILITIES must include video", why ? why : decoder_library);
    return -1;
  }
  void *status = dlsym(decoder, "cuvidGetDecodeStatus");
  memcpy(&d->decode_status, &status, sizeof status);
  return look(decoder, "cuvidGetDecoderCaps", &d->decoder_caps, err);
}

int nv_retain(const nv_driver *d, int ordinal, int *device, void **context, nv_error *err) {
  int r = d->device_get(device, ordinal);
  if (r) return fail(d, err, "cuDeviceGet", r);
  // FFmpeg takes the primary context only with these flags, and whoever makes it first decides
  unsigned flags = 0;
  int active = 0;
  if ((r = d->context_state(*device, &flags, &active))) return fail(d, err, "cuDevicePrimaryCtxGetState", r);
  if (active && flags != kBlockingSync)
    return say(err, "the process uses the device's primary context with other flags than CU_CTX_SCHED_BLOCKING_SYNC");
  if (!active && (r = d->context_set_flags(*device, kBlockingSync))) return fail(d, err, "cuDevicePrimaryCtxSetFlags", r);
  if ((r = d->context_retain(context, *device))) return fail(d, err, "cuDevicePrimaryCtxRetain", r);
  return 0;
}

int nv_release(const nv_driver *d, int device, nv_error *err) {
  int r = d->context_release(device);
  return r ? fail(d, err, "cuDevicePrimaryCtxRelease", r) : 0;
}

int nv_get_caps(const nv_driver *d, void *context, nv_caps *caps, nv_error *err) {
  int r = d->push(context);
  if (r) return fail(d, err, "cuCtxPushCurrent", r);
  const int answer = d->decoder_caps(caps);
  void *old;
  r = d->pop(&old);
  if (answer) return fail(d, err, "cuvidGetDecoderCaps", answer);
  return r ? fail(d, err, "cuCtxPopCurrent", r) : 0;
}
