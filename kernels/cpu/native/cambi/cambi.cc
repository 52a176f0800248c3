// cambi.cc — CAMBI: working memory, and one picture through the five scales.                        Source: spec/cambi.md §4
#include "hd.h"

#include "cambi.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "counts.h"
#include "front.h"
#include "pool.h"
#include "scratch.h"

namespace vqs {
namespace {

constexpr int kMaxSide = 65536;

bool InRange(int v, int low, int high) { return v >= low && v <= high; }

bool Valid(const VqsCambiConfig& c, int width, int height) {
  if (!InRange(c.width, 1, kMaxSide) || !InRange(c.height, 1, kMaxSide) || !InRange(c.window, 1, kCambiMaxWindow) ||
      c.window % 2 == 0 || !InRange(c.contrasts, 1, kCambiMaxContrasts) || !InRange(c.dark_limit, 0, kCambiMaxSample - 1)) {
    return false;
  }
  for (int d = 0; d < c.contrasts; ++d) {
    if (!InRange(c.visible[d], 0, kCambiMaxSample - 1)) return false;
  }
  if ((c.columns == nullptr) != (c.rows == nullptr)) return false;
  if (c.columns == nullptr) return c.width == width && c.height == height;
  return std::all_of(c.columns, c.columns + c.width, [width](uint32_t x) { return x < static_cast<uint32_t>(width); }) &&
         std::all_of(c.rows, c.rows + c.height, [height](uint32_t y) { return y < static_cast<uint32_t>(height); });
}

// Reserve is memory for n elements, nullptr for want of it. Vectors want more than malloc's alignment.
template <typename T>
T* Reserve(size_t n) {
  constexpr size_t alignment = 64;
  return static_cast<T*>(aligned_alloc(alignment, (std::max(n * sizeof(T), size_t{1}) + alignment - 1) / alignment * alignment));
}

// Allocate is Reserve with zeros: vectors may read elements that were never written, where the result is dropped.
template <typename T>
T* Allocate(size_t n) {
  T* const p = Reserve<T>(n);
  if (p != nullptr) memset(p, 0, n * sizeof(T));
  return p;
}

template <typename T>
const T* Copy(const T* from, size_t n) {
  T* const p = Allocate<T>(n);
  if (p != nullptr) std::copy(from, from + n, p);
  return p;
}

// MakeSetup makes c ready; false for want of memory.
bool MakeSetup(const VqsCambiConfig& c, CambiSetup* s) {
  s->width = c.width, s->height = c.height;
  s->window = c.window, s->half = c.window / 2;
  s->high_res = c.high_res != 0, s->anti_dither = c.anti_dither != 0;
  s->contrasts = c.contrasts;
  std::copy(c.visible, c.visible + kCambiMaxContrasts, s->visible);
  s->dark_limit = c.dark_limit;
  std::copy(c.pooled, c.pooled + kCambiScales, s->pooled);
  for (int scale = 0; scale < kCambiScales; ++scale) {
    int w, h;
    s->ScaleSize(scale, &w, &h);
    const uint64_t n = static_cast<uint64_t>(w) * static_cast<uint64_t>(h);
    s->pooled[scale] = std::min(std::max(s->pooled[scale], uint64_t{1}), n);
  }
  if (c.columns != nullptr) {
    s->columns = Copy(c.columns, static_cast<size_t>(c.width));
    s->rows = Copy(c.rows, static_cast<size_t>(c.height));
    if (s->columns == nullptr || s->rows == nullptr) return false;
  }
  s->low = std::max(0, c.dark_limit - 3 * c.contrasts + 1);
  s->high = std::min(*std::max_element(c.visible, c.visible + c.contrasts) + c.contrasts, kCambiMaxSample);
  s->table_rows = std::max(s->high - s->low + 1, 0) + 2 * c.contrasts;
  uint32_t* const qualifies = Allocate<uint32_t>(static_cast<size_t>(s->table_rows));
  uint16_t* const bumps = Allocate<uint16_t>(CambiBumps(s->half));
  s->qualifies = qualifies, s->bumps = bumps;
  if (qualifies == nullptr || bumps == nullptr) return false;
  for (int v = s->low; v <= s->high; ++v) {
    for (int d = 0; d < c.contrasts; ++d) {
      qualifies[v - s->low + c.contrasts] |= uint32_t{CambiQualifies(v, d, c.contrasts, c.visible[d], c.dark_limit)} << d;
    }
  }
  CambiMakeBumps(s->half, bumps);
  return true;
}

int RoundUp(int n) { return (n + kCambiBlock - 1) / kCambiBlock * kCambiBlock; }

// AllocateImage makes room for width × height samples.
bool AllocateImage(int width, int height, CambiImage* image) {
  image->stride = kCambiPad + RoundUp(width) + kCambiPad;
  uint16_t* const memory = Allocate<uint16_t>(static_cast<size_t>(image->stride) * static_cast<size_t>(height));
  if (memory == nullptr) return false;
  image->data = memory + kCambiPad;
  return true;
}

void FreeImage(const CambiImage& image) {
  if (image.data != nullptr) free(image.data - kCambiPad);
}

// AllocateWork makes room for the largest of the setups.
bool AllocateWork(VqsCambi* scratch) {
  int width = 1, height = 1, first_width = 1, first_height = 1;
  size_t table = 0, runs = 0, samples = 0;
  for (size_t i = 0; i < scratch->count; ++i) {
    const CambiSetup& s = scratch->setups[i];
    int w, h;
    s.ScaleSize(0, &w, &h);
    width = std::max(width, s.width), height = std::max(height, s.height);
    first_width = std::max(first_width, w), first_height = std::max(first_height, h);
    samples = std::max(samples, static_cast<size_t>(s.width) * static_cast<size_t>(s.height));
    const CambiCountsNeed need = CambiCountsFor(s);
    table = std::max(table, need.table), runs = std::max(runs, need.runs);
  }
  scratch->values_stride = RoundUp(first_width);
  const size_t values = std::max(static_cast<size_t>(scratch->values_stride) * static_cast<size_t>(first_height), samples);
  return AllocateImage(first_width, first_height, &scratch->image[0]) &&
         AllocateImage(CambiHalf(first_width), CambiHalf(first_height), &scratch->image[1]) &&
         AllocateImage(first_width, first_height, &scratch->codes) && (scratch->values = Reserve<float>(values)) != nullptr &&
         (scratch->table = Allocate<uint16_t>(table)) != nullptr && (scratch->rows = Allocate<uint8_t>(CambiRowsBytes(width))) != nullptr &&
         (scratch->runs = Allocate<uint16_t>(runs)) != nullptr &&
         (scratch->plain_image[0] = Reserve<uint16_t>(samples)) != nullptr &&
         (scratch->plain_image[1] = Reserve<uint16_t>(samples)) != nullptr && (scratch->plain_mask = Reserve<uint8_t>(samples)) != nullptr;
}

// Picture takes a plane through the scales; one of sums and maps is null.
bool Picture(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane, uint64_t* sums, uint16_t* const* maps) {
  if (vqs_cpu_is_plain() || !CambiVectors()) return CambiPlain(scratch, setup, plane, sums, maps);
  if (!CambiFront(scratch, setup, plane)) return false;
  const bool none = setup.low > setup.high;  // the dark limit is above all that is visible (§10)
  for (int scale = 0; scale < kCambiScales; ++scale) {
    int width, height;
    setup.ScaleSize(scale, &width, &height);
    const CambiScale found = none ? CambiScale{width, height, 0, 1, 0} : CambiFilter(scratch, setup, scale, width, height);
    // The values themselves are needed only where not all that are not 0 are pooled.
    const bool keep = maps != nullptr || found.counted > setup.pooled[scale];
    CambiTotals totals = {0, 0};
    scratch->values_stride = RoundUp(width);
    if (found.first <= found.last) totals = CambiCount(scratch, setup, found, keep);
    if (maps == nullptr) {
      sums[scale] = totals.nonzero <= setup.pooled[scale]
                        ? totals.sum
                        : CambiSelect(scratch->values, static_cast<size_t>(scratch->values_stride) * static_cast<size_t>(height),
                                    setup.pooled[scale]);
      continue;
    }
    for (int r = 0; r < height; ++r) {
      uint16_t* const map = maps[scale] + static_cast<ptrdiff_t>(r) * width;
      if (found.first <= found.last) {
        CambiHeat(setup, scratch->values + r * scratch->values_stride, static_cast<size_t>(width), map);
      } else {
        std::fill(map, map + width, uint16_t{0});
      }
    }
  }
  return true;
}

}  // namespace
}  // namespace vqs

extern "C" int vqs_cambi_new(int width, int height, int bpc, const VqsCambiConfig* configs, size_t count, VqsCambi** out) {
  using namespace vqs;
  if (!InRange(width, 1, kMaxSide) || !InRange(height, 1, kMaxSide) || !InRange(bpc, 8, 16) || count == 0) return kVqsInvalid;
  for (size_t i = 0; i < count; ++i) {
    if (!Valid(configs[i], width, height)) return kVqsInvalid;
  }
  VqsCambi* const scratch = static_cast<VqsCambi*>(calloc(1, sizeof(VqsCambi)));
  if (scratch == nullptr) return kVqsNoMemory;
  scratch->width = width, scratch->height = height, scratch->bpc = bpc;
  scratch->count = count;
  scratch->setups = static_cast<CambiSetup*>(calloc(count, sizeof(CambiSetup)));
  bool room = scratch->setups != nullptr;
  for (size_t i = 0; room && i < count; ++i) room = MakeSetup(configs[i], &scratch->setups[i]);
  if (!room || !AllocateWork(scratch)) {
    vqs_cambi_free(scratch);
    return kVqsNoMemory;
  }
  *out = scratch;
  return kVqsOk;
}

extern "C" void vqs_cambi_free(VqsCambi* scratch) {
  if (scratch == nullptr) return;
  for (size_t i = 0; scratch->setups != nullptr && i < scratch->count; ++i) {
    const vqs::CambiSetup& s = scratch->setups[i];
    free(const_cast<uint32_t*>(s.columns));
    free(const_cast<uint32_t*>(s.rows));
    free(const_cast<uint32_t*>(s.qualifies));
    free(const_cast<uint16_t*>(s.bumps));
  }
  free(scratch->setups);
  for (const vqs::CambiImage& image : scratch->image) vqs::FreeImage(image);
  vqs::FreeImage(scratch->codes);
  free(scratch->values);
  free(scratch->table);
  free(scratch->rows);
  free(scratch->runs);
  for (uint16_t* const image : scratch->plain_image) free(image);
  free(scratch->plain_mask);
  free(scratch);
}

extern "C" int vqs_cambi_sums(VqsCambi* scratch, size_t config, const VqsPlane* plane, uint64_t sums[kVqsCambiScales]) {
  if (config >= scratch->count) return kVqsInvalid;
  return vqs::Picture(scratch, scratch->setups[config], *plane, sums, nullptr) ? kVqsOk : kVqsInvalid;
}

extern "C" int vqs_cambi_heat_maps(VqsCambi* scratch, size_t config, const VqsPlane* plane, uint16_t* const maps[kVqsCambiScales]) {
  if (config >= scratch->count) return kVqsInvalid;
  return vqs::Picture(scratch, scratch->setups[config], *plane, nullptr, maps) ? kVqsOk : kVqsInvalid;
}

extern "C" uint64_t vqs_cambi_pool(float* values, size_t n, size_t count) {
  return vqs_cpu_is_plain() || !vqs::CambiVectors() ? vqs::CambiPool(values, n, count) : vqs::CambiSelect(values, n, count);
}

extern "C" const float* vqs_cambi_reciprocals(void) { return vqs::kCambiReciprocals.at; }
