// ssim_plain.cc — the scalar reference of structural similarity: what ssim.cc must equal to the bit.
//                                                                                  Source: spec/classic-metrics.md §3, §4
#include "hd.h"

#include "ssim_plain.h"

#include <new>

#include "library.h"
#include "ssim/arith.h"

namespace vqs {
namespace {

// Image is a plane of f32 samples.
struct Image {
  float* data = nullptr;
  int width = 0, height = 0;
  Image() = default;
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image() { delete[] data; }

  bool Allocate(int w, int h) {
    delete[] data;
    width = w;
    height = h;
    data = new (std::nothrow) float[static_cast<size_t>(w) * static_cast<size_t>(h)];
    return data != nullptr;
  }
  float& At(int x, int y) const { return data[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)]; }
  float Mirrored(int x, int y) const { return At(MirrorHalf(x, width), MirrorHalf(y, height)); }
};

// §1.2
bool Import(const VqsPlane& plane, int width, int height, int bpc, Image* out) {
  if (!out->Allocate(width, height)) return false;
  for (int y = 0; y < height; ++y) {
    const uint8_t* const row = static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes;
    for (int x = 0; x < width; ++x) {
      const int sample = bpc == 8 ? row[x] : reinterpret_cast<const uint16_t*>(row)[x];
      out->At(x, y) = static_cast<float>(sample) * SsimSampleUnit(bpc);
    }
  }
  return true;
}

// §3.2
bool Decimate(const Image& in, int s, Image* out) {
  if (!out->Allocate(SsimDecimated(in.width, s), SsimDecimated(in.height, s))) return false;
  const int first = SsimDecimationFirst(s);
  const float k = SsimDecimationWeight(s);
  for (int y = 0; y < out->height; ++y) {
    for (int x = 0; x < out->width; ++x) {
      double sum = 0;
      for (int v = first; v < first + s; ++v) {
        for (int u = first; u < first + s; ++u) sum += static_cast<double>(in.Mirrored(x * s + u, y * s + v) * k);
      }
      out->At(x, y) = static_cast<float>(sum);
    }
  }
  return true;
}

// §4
bool Halve(const Image& in, Image* out) {
  if (!out->Allocate(SsimDecimated(in.width, 2), SsimDecimated(in.height, 2))) return false;
  for (int y = 0; y < out->height; ++y) {
    for (int x = 0; x < out->width; ++x) {
      double sum = 0;
      for (int v = -kMsSsimRadius; v <= kMsSsimRadius; ++v) {
        for (int u = -kMsSsimRadius; u <= kMsSsimRadius; ++u) {
          sum += static_cast<double>(in.Mirrored(2 * x + u, 2 * y + v) * MsSsimTap(v, u));
        }
      }
      out->At(x, y) = static_cast<float>(sum);
    }
  }
  return true;
}

// §3.3: F(a·b), or F(a) without b.
bool Filter(const Image& a, const Image* b, Image* across, Image* out) {
  if (!across->Allocate(a.width - kSsimBorder, a.height) || !out->Allocate(a.width - kSsimBorder, a.height - kSsimBorder)) return false;
  for (int y = 0; y < across->height; ++y) {
    for (int x = 0; x < across->width; ++x) {
      double sum = 0;
      for (int i = 0; i < kSsimTaps; ++i) {
        const float v = b == nullptr ? a.At(x + i, y) : a.At(x + i, y) * b->At(x + i, y);
        sum += static_cast<double>(v * SsimTap(i));
      }
      across->At(x, y) = static_cast<float>(sum);
    }
  }
  for (int y = 0; y < out->height; ++y) {
    for (int x = 0; x < out->width; ++x) {
      double sum = 0;
      for (int i = 0; i < kSsimTaps; ++i) sum += static_cast<double>(across->At(x, y + i) * SsimTap(i));
      out->At(x, y) = static_cast<float>(sum);
    }
  }
  return true;
}

struct Filtered {
  Image mean_r, mean_d, square_r, square_d, product, across;
};

bool Statistics(const Image& r, const Image& d, double shift, Filtered* f, VqsSsimSums* sums) {
  if (!Filter(r, nullptr, &f->across, &f->mean_r) || !Filter(d, nullptr, &f->across, &f->mean_d) ||
      !Filter(r, &r, &f->across, &f->square_r) || !Filter(d, &d, &f->across, &f->square_d) ||
      !Filter(r, &d, &f->across, &f->product)) {
    return false;
  }
  uint64_t total = 0, luminance = 0, contrast = 0, structure = 0;
  for (int y = 0; y < f->mean_r.height; ++y) {
    for (int x = 0; x < f->mean_r.width; ++x) {
      const float mr = f->mean_r.At(x, y), md = f->mean_d.At(x, y);
      const SsimLocal p = SsimLocalOf(mr, md, SsimVariance(f->square_r.At(x, y), mr), SsimVariance(f->square_d.At(x, y), md),
                                      SsimCovariance(f->product.At(x, y), mr, md));
      total += SsimFixed(p.l * p.c * p.t, shift);
      luminance += SsimFixed(p.l, shift);
      contrast += SsimFixed(p.c, shift);
      structure += SsimFixed(p.t, shift);
    }
  }
  *sums = VqsSsimSums{static_cast<int64_t>(total), static_cast<int64_t>(luminance), static_cast<int64_t>(contrast),
                      static_cast<int64_t>(structure)};
  return true;
}

}  // namespace

int SsimPlain(size_t width, size_t height, int bpc, const VqsPlane& ref, const VqsPlane* dis, size_t renditions,
              const VqsSsimPass* passes, size_t pass_count, VqsSsimSums* sums) {
  Image input[2], level[2][kMsSsimLevels], decimated[2];
  Filtered filtered;
  const int w = static_cast<int>(width), h = static_cast<int>(height);
  for (size_t k = 0; k < renditions; ++k) {
    if (!Import(ref, w, h, bpc, &input[0]) || !Import(dis[k], w, h, bpc, &input[1])) return kVqsNoMemory;
    for (size_t i = 0; i < pass_count; ++i) {
      const VqsSsimPass& pass = passes[i];
      const Image* pair[2];
      for (int side = 0; side < 2; ++side) {
        pair[side] = &input[side];
        if (pass.level > 0) {
          const Image& from = pass.level == 1 ? input[side] : level[side][pass.level - 1];
          if (!Halve(from, &level[side][pass.level])) return kVqsNoMemory;
          pair[side] = &level[side][pass.level];
        } else if (pass.scale > 1) {
          if (!Decimate(input[side], pass.scale, &decimated[side])) return kVqsNoMemory;
          pair[side] = &decimated[side];
        }
      }
      if (!Statistics(*pair[0], *pair[1], SsimShift(pass.fraction), &filtered, &sums[i * renditions + k])) return kVqsNoMemory;
    }
  }
  return kVqsOk;
}

}  // namespace vqs
