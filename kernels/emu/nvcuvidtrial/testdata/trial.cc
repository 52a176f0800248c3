// trial.cc — calls the software libnvcuvid and prints what it answers, one "NAME ANSWER" a line.
//
//   trial FILE     FILE: an ivf file of VP8, 176 by 144 samples
#include "../../nvcuvid.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

using namespace vqs_nvcuvid;

namespace {

template <typename Function>
Function* Find(void* library, const char* name) {
  void* p = dlsym(library, name);
  if (!p) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  Function* f;
  std::memcpy(&f, &p, sizeof f);
  return f;
}

void Say(const char* name, long long answer) { std::printf("%s %lld\n", name, answer); }

// FirstPicture is the first packet of an ivf file.
std::vector<uint8_t> FirstPicture(const char* path) {
  std::vector<uint8_t> file(1 << 20);
  FILE* f = std::fopen(path, "rb");
  if (!f) std::exit(1);
  file.resize(std::fread(file.data(), 1, file.size(), f));
  std::fclose(f);
  if (file.size() < 44) std::exit(1);
  const size_t bytes = file[32] | static_cast<size_t>(file[33]) << 8 | static_cast<size_t>(file[34]) << 16;
  return std::vector<uint8_t>(file.begin() + 44, file.begin() + 44 + static_cast<ptrdiff_t>(bytes));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* cuda = dlopen("libcuda.so.1", RTLD_NOW);
  void* video = cuda ? dlopen("libnvcuvid.so.1", RTLD_NOW) : nullptr;
  if (!video) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  auto* init = Find<int(unsigned)>(cuda, "cuInit");
  auto* retain = Find<int(void**, int)>(cuda, "cuDevicePrimaryCtxRetain");
  auto* push = Find<int(void*)>(cuda, "cuCtxPushCurrent_v2");
  auto* caps_of = Find<int(Caps*)>(video, "cuvidGetDecoderCaps");
  auto* create = Find<int(void**, CreateInfo*)>(video, "cuvidCreateDecoder");
  auto* destroy = Find<int(void*)>(video, "cuvidDestroyDecoder");
  auto* decode = Find<int(void*, PictureParams*)>(video, "cuvidDecodePicture");
  auto* status_of = Find<int(void*, int, Status*)>(video, "cuvidGetDecodeStatus");
  auto* map = Find<int(void*, int, DevicePointer*, unsigned*, ProcessParams*)>(video, "cuvidMapVideoFrame64");
  auto* unmap = Find<int(void*, DevicePointer)>(video, "cuvidUnmapVideoFrame64");
  if (init(0)) return 1;

  CreateInfo good{};
  good.width = good.target_width = 176;
  good.height = good.target_height = 144;
  good.codec = kVP8;
  good.chroma = kChroma420;
  good.decode_surfaces = 4;
  good.output_surfaces = 2;
  void* decoder = nullptr;
  const auto created = [&](const char* name, const std::function<void(CreateInfo*)>& change) {
    CreateInfo info = good;
    change(&info);
    decoder = nullptr;
    Say(name, create(&decoder, &info));
    if (decoder) destroy(decoder);
  };

  Caps caps{};
  caps.codec = kVP8;
  caps.chroma = kChroma420;
  Say("caps_without_context", caps_of(&caps));
  created("create_without_context", [](CreateInfo*) {});
  void* context = nullptr;
  if (retain(&context, 0) || push(context)) return 1;

  Say("caps", caps_of(&caps));
  Say("caps_supported", caps.supported);
  Say("caps_max_width", caps.max_width);
  caps.chroma = 3;
  Say("caps_444", caps_of(&caps));
  Say("caps_444_supported", caps.supported + static_cast<long long>(caps.max_width));

  created("create", [](CreateInfo*) {});
  created("create_no_surfaces", [](CreateInfo* i) { i->decode_surfaces = 0; });
  created("create_32_surfaces", [](CreateInfo* i) { i->decode_surfaces = i->output_surfaces = 32; });
  created("create_33_surfaces", [](CreateInfo* i) { i->decode_surfaces = 33; });
  created("create_33_outputs", [](CreateInfo* i) { i->output_surfaces = 33; });
  created("create_too_small", [](CreateInfo* i) { i->width = i->target_width = 32; });
  created("create_too_large", [](CreateInfo* i) { i->height = i->target_height = 5000; });
  created("create_scaled", [](CreateInfo* i) { i->target_width = 88; });
  created("create_wrong_output", [](CreateInfo* i) { i->output_format = kP016; });
  created("create_mpeg2", [](CreateInfo* i) { i->codec = 1; });
  created("create_10_bits", [](CreateInfo* i) { i->bit_depth_minus8 = 2; });

  CreateInfo info = good;
  if (create(&decoder, &info)) return 1;
  const std::vector<uint8_t> picture = FirstPicture(argv[1]);
  PictureParams p{};
  p.bitstream = picture.data();
  p.bitstream_bytes = static_cast<unsigned>(picture.size());
  ProcessParams how{};
  how.progressive = 1;
  DevicePointer address[3] = {};
  unsigned pitch = 0;
  Status status{};
  Say("map_before_decoding", map(decoder, 0, &address[0], &pitch, &how));
  p.index = 4;
  Say("decode_to_no_surface", decode(decoder, &p));
  p.index = 0;
  p.bitstream_bytes = 0;
  Say("decode_nothing", decode(decoder, &p));
  p.bitstream_bytes = static_cast<unsigned>(picture.size());
  Say("decode", decode(decoder, &p));
  Say("status_of_vp8", status_of(decoder, 0, &status));
  Say("map", map(decoder, 0, &address[0], &pitch, &how));
  Say("pitch", pitch);
  Say("map_again", map(decoder, 0, &address[1], &pitch, &how));
  Say("map_too_many", map(decoder, 0, &address[2], &pitch, &how));
  Say("unmap_elsewhere", unmap(decoder, address[0] + 1));
  Say("unmap", unmap(decoder, address[0]));
  Say("unmap_twice", unmap(decoder, address[0]));
  Say("map_after_unmap", map(decoder, 0, &address[0], &pitch, &how));
  setenv("VQSD_EMU_NVDEC_FAULT", "cuvidDecodePicture 719 1", 1);
  Say("fault_not_yet", decode(decoder, &p));
  Say("fault", decode(decoder, &p));
  Say("destroy", destroy(decoder));
  return 0;
}
