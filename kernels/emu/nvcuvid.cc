// nvcuvid.cc — a libnvcuvid.so.1 in software: it decodes with libavcodec and puts pictures into the memory of the software libcuda, so that
// everything above the video decoder interface runs on a machine without a device.
//
// It decodes 4:2:0 pictures of H.264 (8 bits, frames, flat scaling lists), HEVC (8 and 10 bits, flat scaling lists, reference picture sets
// in slices), VP8 and VP9: those are given to a hardware decoder with all, or nearly all, of what a software one reads. It is stricter than hardware: surfaces that do not exist, more mapped pictures than were asked for,
// addresses that are not mapped, sizes and formats beyond the capabilities are errors; the memory of an unmapped picture is freed, so
// that the software libcuda finds who still reads it.
//
//   VQSD_EMU_NVDEC_CAPS   codecs instead of all; also av1:8, of which every picture is an error then: "CODEC:BITS:MINxMIN-MAXxMAX[;…]", such as "vp9:8:128x128-8192x8192"; "none"
//   VQSD_EMU_NVDEC_FAULT  "CALL CODE AFTER": that entry point answers CODE from the call after AFTER others on
//   VQSD_EMU_NVDEC_LOG    a file that each decoder adds lines to: "open NUMBER CODEC WxH surfaces N", "close NUMBER pictures N mapped N"
//
// The environment is read whenever it matters, since tests change it.
#include "nvcuvid.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
}

#define VQS_EXPORT extern "C" __attribute__((visibility("default")))

namespace vqs_nvcuvid {
namespace {

// ---- the driver

// Copy is the driver's CUDA_MEMCPY2D.
struct Copy {
  size_t src_x, src_y;
  int src_type;
  const void* src_host;
  DevicePointer src_device;
  void* src_array;
  size_t src_pitch, dst_x, dst_y;
  int dst_type;
  void* dst_host;
  DevicePointer dst_device;
  void* dst_array;
  size_t dst_pitch, width, height;
};

struct Driver {
  CUresult (*context)(void**) = nullptr;
  CUresult (*allocate)(DevicePointer*, size_t) = nullptr;
  CUresult (*free)(DevicePointer) = nullptr;
  CUresult (*copy)(const Copy*, void*) = nullptr;
  CUresult (*wait)(void*) = nullptr;
};

// TheDriver is the libcuda that the process has loaded, whichever file that is.
const Driver* TheDriver() {
  static const Driver* const driver = []() -> const Driver* {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return nullptr;
    static Driver d;
    const auto find = [library](const char* name, auto* slot) {
      void* p = dlsym(library, name);
      std::memcpy(slot, &p, sizeof p);
      return p != nullptr;
    };
    const bool all = find("cuCtxGetCurrent", &d.context) && find("cuMemAlloc_v2", &d.allocate) && find("cuMemFree_v2", &d.free) &&
                     find("cuMemcpy2DAsync_v2", &d.copy) && find("cuStreamSynchronize", &d.wait);
    return all ? &d : nullptr;
  }();
  return driver;
}

// ---- what the environment asks for

struct Ability {
  std::string name;
  int codec;
  AVCodecID id;
  unsigned bits;
  unsigned min_width, min_height, max_width, max_height;
};

std::vector<Ability> Abilities() {
  std::vector<Ability> all = {
      {"h264", kH264, AV_CODEC_ID_H264, 8, 48, 16, 4096, 4096},   {"vp8", kVP8, AV_CODEC_ID_VP8, 8, 48, 16, 4096, 4096},
      {"vp9", kVP9, AV_CODEC_ID_VP9, 8, 128, 128, 8192, 8192},    {"vp9", kVP9, AV_CODEC_ID_VP9, 10, 128, 128, 8192, 8192},
      {"vp9", kVP9, AV_CODEC_ID_VP9, 12, 128, 128, 8192, 8192},    {"hevc", kHEVC, AV_CODEC_ID_HEVC, 8, 144, 144, 8192, 8192},
      {"hevc", kHEVC, AV_CODEC_ID_HEVC, 10, 144, 144, 8192, 8192},
  };
  const char* text = std::getenv("VQSD_EMU_NVDEC_CAPS");
  if (!text || !*text) return all;
  all.push_back({"av1", kAV1, AV_CODEC_ID_AV1, 8, 128, 128, 8192, 8192});
  std::vector<Ability> out;
  std::stringstream list(text);
  for (std::string item; std::getline(list, item, ';');) {
    char name[16];
    Ability a{};
    if (std::sscanf(item.c_str(), "%15[^:]:%u:%ux%u-%ux%u", name, &a.bits, &a.min_width, &a.min_height, &a.max_width, &a.max_height) != 6)
      continue;
    for (const Ability& known : all) {
      if (known.name != name || known.bits != a.bits) continue;
      a.name = known.name;
      a.codec = known.codec;
      a.id = known.id;
      out.push_back(a);
    }
  }
  return out;
}

const Ability* Find(const std::vector<Ability>& list, int codec, int chroma, unsigned bits) {
  for (const Ability& a : list)
    if (a.codec == codec && a.bits == bits && chroma == kChroma420) return &a;
  return nullptr;
}

std::mutex fault_mutex;
std::map<std::string, long long> fault_calls;  // guarded by fault_mutex: by the fault's text

// Fault is what an entry point is to answer without doing anything; kSuccess: nothing.
CUresult Fault(const char* call) {
  const char* text = std::getenv("VQSD_EMU_NVDEC_FAULT");
  char name[64];
  int code;
  long long after;
  if (!text || std::sscanf(text, "%63s %d %lld", name, &code, &after) != 3 || std::strcmp(name, call)) return kSuccess;
  std::lock_guard<std::mutex> lock(fault_mutex);
  return fault_calls[text]++ < after ? kSuccess : code;
}

void Log(const std::string& line) {
  const char* path = std::getenv("VQSD_EMU_NVDEC_LOG");
  if (!path || !*path) return;
  if (FILE* f = std::fopen(path, "a")) {
    std::fputs((line + "\n").c_str(), f);
    std::fclose(f);
  }
}

// ---- decoders

// Surface is one decoded picture, as the output has it.
struct Surface {
  std::vector<uint8_t> samples;  // rows of pitch bytes: luma, then interleaved chroma; empty: nothing was decoded to it
  int status = 0;                // as cuvidGetDecodeStatus has it: 2 good, 9 with errors that were concealed
};

struct Decoder {
  std::mutex mutex;  // guards all below
  int number = 0;
  CreateInfo info{};
  const AVCodec* codec = nullptr;
  AVCodecContext* context = nullptr;
  AVPacket* packet = nullptr;
  AVFrame* shown = nullptr;    // what libavcodec gives in presentation order, which does not matter
  AVFrame* decoded = nullptr;  // the picture of the packet
  std::vector<Surface> surfaces;
  struct Mapped {
    std::vector<uint8_t> samples;  // what is copied from, until the copy is done
    void* stream;
  };
  std::map<DevicePointer, Mapped> mapped;
  long long pictures = 0;

  ~Decoder() {
    av_frame_free(&decoded);
    av_frame_free(&shown);
    av_packet_free(&packet);
    avcodec_free_context(&context);
  }

  int SampleBytes() const { return info.output_format == kP016 ? 2 : 1; }
  size_t Rows() const { return (info.target_height + 1) / 2 * 2; }
  size_t Pitch() const { return (info.target_width * static_cast<size_t>(SampleBytes()) + 255) / 256 * 256; }
  size_t Bytes() const { return Pitch() * (Rows() + Rows() / 2); }
};

std::atomic<int> decoders{0};

// Keep remembers the memory of the picture that libavcodec begins to decode. The decoded picture is found that way, shown or not, whenever it
// would be shown.
int Keep(AVCodecContext* context, AVFrame* frame, int flags) {
  const int r = avcodec_default_get_buffer2(context, frame, flags);
  if (r < 0) return r;
  Decoder* d = static_cast<Decoder*>(context->opaque);
  av_frame_unref(d->decoded);
  return av_frame_ref(d->decoded, frame);
}

// Store converts a picture to NV12, or P016 with values in the high bits.
bool Store(const Decoder& d, const AVFrame& f, Surface* s) {
  const unsigned bits = static_cast<unsigned>(d.info.bit_depth_minus8) + 8;
  const AVPixelFormat want = bits == 8    ? AV_PIX_FMT_YUV420P
                             : bits == 10 ? AV_PIX_FMT_YUV420P10LE
                                          : AV_PIX_FMT_YUV420P12LE;
  const int width = static_cast<int>(d.info.target_width), height = static_cast<int>(d.info.target_height);
  if ((f.format != want && !(bits == 8 && f.format == AV_PIX_FMT_YUVJ420P)) || f.width < width || f.height < height) return false;
  s->samples.assign(d.Bytes(), 0xa5);
  const size_t pitch = d.Pitch();
  for (int y = 0; y < height; y++) {
    const uint8_t* from = f.data[0] + static_cast<ptrdiff_t>(y) * f.linesize[0];
    uint8_t* to = s->samples.data() + static_cast<size_t>(y) * pitch;
    if (bits == 8) {
      std::memcpy(to, from, static_cast<size_t>(width));
      continue;
    }
    for (int x = 0; x < width; x++)
      reinterpret_cast<uint16_t*>(to)[x] = static_cast<uint16_t>(reinterpret_cast<const uint16_t*>(from)[x] << (16 - bits));
  }
  for (int y = 0; y < (height + 1) / 2; y++) {
    uint8_t* to = s->samples.data() + (d.Rows() + static_cast<size_t>(y)) * pitch;
    for (int plane = 1; plane < 3; plane++) {
      const uint8_t* from = f.data[plane] + static_cast<ptrdiff_t>(y) * f.linesize[plane];
      for (int x = 0; x < (width + 1) / 2; x++) {
        const int at = 2 * x + plane - 1;
        if (bits == 8)
          to[at] = from[x];
        else
          reinterpret_cast<uint16_t*>(to)[at] = static_cast<uint16_t>(reinterpret_cast<const uint16_t*>(from)[x] << (16 - bits));
      }
    }
  }
  return true;
}

// Fresh says that a picture refers to none before it, so that a seek may have come between.
bool Fresh(const Decoder& d, const PictureParams& p) {
  const auto none = [](int index) { return index < 0; };
  if (!p.is_intra) return false;
  if (d.info.codec == kHEVC) return std::all_of(std::begin(p.hevc.reference), std::end(p.hevc.reference), none);
  if (d.info.codec != kH264) return false;
  return std::all_of(std::begin(p.h264.dpb), std::end(p.h264.dpb), [none](const H264Reference& r) { return none(r.index); });
}

CUresult Decode(Decoder* d, const PictureParams& p) {
  if (p.index < 0 || p.index >= static_cast<int>(d->surfaces.size()) || !p.bitstream || !p.bitstream_bytes) return kInvalidValue;
  std::vector<uint8_t> data;
  if (d->info.codec == kH264) {
    if (static_cast<unsigned>(p.width_in_mbs) * 16 != d->info.width || static_cast<unsigned>(p.height_in_mbs) * 16 != d->info.height)
      return kInvalidValue;
    data = H264Picture(p);
  } else if (d->info.codec == kHEVC) {
    if (static_cast<unsigned>(p.hevc.width) != d->info.width || static_cast<unsigned>(p.hevc.height) != d->info.height) return kInvalidValue;
    data = HevcPicture(p);
  } else {
    data.assign(p.bitstream, p.bitstream + p.bitstream_bytes);
  }
  if (data.empty() || d->info.codec == kAV1) return kNotSupported;
  if (Fresh(*d, p)) avcodec_flush_buffers(d->context);
  av_packet_unref(d->packet);
  if (av_new_packet(d->packet, static_cast<int>(data.size())) < 0) return kOutOfMemory;
  std::memcpy(d->packet->data, data.data(), data.size());
  av_frame_unref(d->decoded);
  Surface& surface = d->surfaces[static_cast<size_t>(p.index)];
  int r = avcodec_send_packet(d->context, d->packet);
  while (r >= 0) {
    r = avcodec_receive_frame(d->context, d->shown);
    av_frame_unref(d->shown);
  }
  surface.status = r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 2 : 9;
  d->pictures++;
  if (!d->decoded->buf[0]) return kSuccess;  // not even begun: the surface keeps what it has, as on a device
  return Store(*d, *d->decoded, &surface) ? kSuccess : kInvalidValue;
}

std::string Size(const CreateInfo& i) { return std::to_string(i.width) + "x" + std::to_string(i.height); }

}  // namespace

// ---- entry points

VQS_EXPORT CUresult cuvidGetDecoderCaps(Caps* caps) {
  if (CUresult r = Fault("cuvidGetDecoderCaps")) return r;
  const Driver* driver = TheDriver();
  void* context = nullptr;
  if (!driver) return kNotInitialized;
  if (!caps) return kInvalidValue;
  if (driver->context(&context) || !context) return kInvalidContext;
  const int codec = caps->codec, chroma = caps->chroma;
  const unsigned depth = caps->bit_depth_minus8;
  *caps = Caps{};
  caps->codec = codec;
  caps->chroma = chroma;
  caps->bit_depth_minus8 = depth;
  const std::vector<Ability> abilities = Abilities();
  const Ability* a = Find(abilities, codec, chroma, depth + 8);
  if (!a) return kSuccess;
  caps->supported = 1;
  caps->engines = 2;
  caps->output_formats = depth ? 1 << kP016 : 1 << kNV12;
  caps->min_width = static_cast<unsigned short>(a->min_width);
  caps->min_height = static_cast<unsigned short>(a->min_height);
  caps->max_width = a->max_width;
  caps->max_height = a->max_height;
  caps->max_macroblocks = a->max_width * a->max_height / 256;
  return kSuccess;
}

VQS_EXPORT CUresult cuvidCreateDecoder(void** out, CreateInfo* info) {
  if (CUresult r = Fault("cuvidCreateDecoder")) return r;
  const Driver* driver = TheDriver();
  void* current = nullptr;
  if (!driver) return kNotInitialized;
  if (!out || !info) return kInvalidValue;
  if (driver->context(&current) || !current) return kInvalidContext;
  const std::vector<Ability> abilities = Abilities();
  const Ability* a = Find(abilities, info->codec, info->chroma, static_cast<unsigned>(info->bit_depth_minus8) + 8);
  if (!a) return kNotSupported;
  const int format = info->bit_depth_minus8 ? kP016 : kNV12;
  if (info->width < a->min_width || info->width > a->max_width || info->height < a->min_height || info->height > a->max_height ||
      info->target_width != info->width || info->target_height != info->height || info->output_format != format || info->deinterlace ||
      info->decode_surfaces < 1 || info->decode_surfaces > kMaxSurfaces || info->output_surfaces < 1 || info->output_surfaces > kMaxSurfaces)
    return kInvalidValue;
  auto d = std::make_unique<Decoder>();
  d->info = *info;
  d->number = ++decoders;
  // not FFmpeg's first choice of any name: its own decoders, whose get_buffer2 is asked
  d->codec = avcodec_find_decoder_by_name(a->name.c_str());
  if (!d->codec) return kNotSupported;
  d->context = avcodec_alloc_context3(d->codec);
  d->packet = av_packet_alloc();
  d->shown = av_frame_alloc();
  d->decoded = av_frame_alloc();
  if (!d->context || !d->packet || !d->shown || !d->decoded) return kOutOfMemory;
  d->context->opaque = d.get();
  d->context->get_buffer2 = Keep;
  d->context->thread_count = 1;
  d->context->err_recognition = AV_EF_EXPLODE;  // or errors in slices are only logged
  if (avcodec_open2(d->context, d->codec, nullptr) < 0) return kUnknown;
  d->surfaces.resize(info->decode_surfaces);
  Log("open " + std::to_string(d->number) + " " + a->name + " " + Size(*info) + " surfaces " + std::to_string(info->decode_surfaces));
  *out = d.release();
  return kSuccess;
}

VQS_EXPORT CUresult cuvidDestroyDecoder(void* handle) {
  Decoder* d = static_cast<Decoder*>(handle);
  if (!d) return kInvalidValue;
  Log("close " + std::to_string(d->number) + " pictures " + std::to_string(d->pictures) + " mapped " + std::to_string(d->mapped.size()));
  for (auto& m : d->mapped) {
    TheDriver()->wait(m.second.stream);
    TheDriver()->free(m.first);
  }
  delete d;
  return kSuccess;
}

VQS_EXPORT CUresult cuvidDecodePicture(void* handle, PictureParams* p) {
  if (CUresult r = Fault("cuvidDecodePicture")) return r;
  Decoder* d = static_cast<Decoder*>(handle);
  if (!d || !p) return kInvalidValue;
  std::lock_guard<std::mutex> lock(d->mutex);
  return Decode(d, *p);
}

VQS_EXPORT CUresult cuvidGetDecodeStatus(void* handle, int index, Status* status) {
  Decoder* d = static_cast<Decoder*>(handle);
  if (!d || !status || index < 0 || index >= static_cast<int>(d->info.decode_surfaces)) return kInvalidValue;
  if (d->info.codec != kH264 && d->info.codec != kHEVC) return kNotSupported;  // as on devices
  std::lock_guard<std::mutex> lock(d->mutex);
  *status = Status{};
  status->status = d->surfaces[static_cast<size_t>(index)].status;
  return kSuccess;
}

VQS_EXPORT CUresult cuvidReconfigureDecoder(void*, void*) { return kNotSupported; }

VQS_EXPORT CUresult cuvidMapVideoFrame64(void* handle, int index, DevicePointer* address, unsigned* pitch, ProcessParams* how) {
  if (CUresult r = Fault("cuvidMapVideoFrame64")) return r;
  Decoder* d = static_cast<Decoder*>(handle);
  if (!d || !address || !pitch || !how) return kInvalidValue;
  std::lock_guard<std::mutex> lock(d->mutex);
  if (index < 0 || index >= static_cast<int>(d->surfaces.size()) || d->surfaces[static_cast<size_t>(index)].samples.empty()) return kInvalidValue;
  if (d->mapped.size() >= d->info.output_surfaces) return kInvalidValue;
  const Driver* driver = TheDriver();
  if (CUresult r = driver->allocate(address, d->Bytes())) return r;
  Decoder::Mapped& m = d->mapped[*address];
  m.samples = d->surfaces[static_cast<size_t>(index)].samples;
  m.stream = how->stream;
  Copy copy{};
  copy.src_type = 1;  // host
  copy.src_host = m.samples.data();
  copy.src_pitch = copy.dst_pitch = copy.width = d->Pitch();
  copy.dst_type = 2;  // device
  copy.dst_device = *address;
  copy.height = d->Bytes() / d->Pitch();
  if (CUresult r = driver->copy(&copy, how->stream)) {
    driver->free(*address);
    d->mapped.erase(*address);
    return r;
  }
  *pitch = static_cast<unsigned>(d->Pitch());
  return kSuccess;
}

VQS_EXPORT CUresult cuvidUnmapVideoFrame64(void* handle, DevicePointer address) {
  Decoder* d = static_cast<Decoder*>(handle);
  if (!d) return kInvalidValue;
  std::lock_guard<std::mutex> lock(d->mutex);
  const auto m = d->mapped.find(address);
  if (m == d->mapped.end()) return kInvalidValue;
  TheDriver()->wait(m->second.stream);
  const CUresult r = TheDriver()->free(address);
  d->mapped.erase(m);
  return r;
}

VQS_EXPORT CUresult cuvidCtxLockCreate(void** lock, void*) {
  static int nothing;
  if (!lock) return kInvalidValue;
  *lock = &nothing;
  return kSuccess;
}
VQS_EXPORT CUresult cuvidCtxLockDestroy(void*) { return kSuccess; }
VQS_EXPORT CUresult cuvidCtxLock(void*, unsigned) { return kSuccess; }
VQS_EXPORT CUresult cuvidCtxUnlock(void*, unsigned) { return kSuccess; }

// What FFmpeg's loader asks for, and its hwaccel does not call.
VQS_EXPORT CUresult cuvidCreateVideoSource(void*, const char*, void*) { return kNotSupported; }
VQS_EXPORT CUresult cuvidCreateVideoSourceW(void*, const wchar_t*, void*) { return kNotSupported; }
VQS_EXPORT CUresult cuvidDestroyVideoSource(void*) { return kNotSupported; }
VQS_EXPORT CUresult cuvidSetVideoSourceState(void*, int) { return kNotSupported; }
VQS_EXPORT int cuvidGetVideoSourceState(void*) { return -1; }
VQS_EXPORT CUresult cuvidGetSourceVideoFormat(void*, void*, unsigned) { return kNotSupported; }
VQS_EXPORT CUresult cuvidGetSourceAudioFormat(void*, void*, unsigned) { return kNotSupported; }
VQS_EXPORT CUresult cuvidCreateVideoParser(void**, void*) { return kNotSupported; }
VQS_EXPORT CUresult cuvidParseVideoData(void*, void*) { return kNotSupported; }
VQS_EXPORT CUresult cuvidDestroyVideoParser(void*) { return kNotSupported; }

}  // namespace vqs_nvcuvid
