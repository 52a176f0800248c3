// ciede.cc — colour differences.                                                            Source: spec/classic-metrics.md §6
//
//   sum = Σ_yx ΔE00(ref(x, y), dis(x, y))
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 16): Y, Cb, Cr
// out    sum         u64 in 2^−36 a row, added up as whole part and fraction
// order  ΔE00 of a pixel is a binary32, of operations in the order of difference.inl; their sum is one of integers, in any order
// bands  row by row: the reference's L*a*b* once for all renditions, 12 bytes a pixel that stay in L1 or L2
// moved  each sample is read once; everything else is arithmetic, some 240 operations of binary64 a pixel for L*a*b* of both and 230 for
//        the difference
#include "hd.h"

#include "ciede.h"

#include <stdlib.h>
#include <string.h>

#include "ciede_scratch.h"
#include "library.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ciede.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "math/vector.h"

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#undef VQS_MATH
#define VQS_MATH HWY_INLINE
#include "ciede/difference.inl"
#undef VQS_MATH
#define VQS_MATH VQS_HD

HWY_INLINE Reals LoadSamples(const uint16_t* p) {
  const hn::Rebind<uint16_t, RealTag> d16;
  const hn::Rebind<int32_t, RealTag> d32;
  return Reals(hn::PromoteTo(RealTag(), hn::PromoteTo(d32, hn::LoadU(d16, p))));
}

HWY_INLINE Singles Load(const float* p) { return Singles(hn::LoadU(SingleTag(), p)); }
HWY_INLINE void Store(Singles v, float* p) { hn::StoreU(v.v, SingleTag(), p); }

// Pixels that are taken through a step before the next step. A pixel's operations wait for each other, so that a core finds work in the pixels after
// it alone, of which it sees the more the shorter a step is: all steps in one loop take a seventh longer. What the steps give of a run stays in L1
// beside L*a*b* of both pictures, 15 KiB together.
constexpr size_t kRun = 256;
static_assert(kRun % kCiedeLanes == 0 && HWY_MAX_BYTES / sizeof(double) <= kCiedeLanes, "whole vectors");

void LabRow(const VqsCiede& scratch, float* HWY_RESTRICT lab) {
  const size_t room = scratch.room, lanes = hn::Lanes(RealTag()), width = static_cast<size_t>(scratch.width);
  const RealTag d;
  HWY_ALIGN double rgb[3][kRun];
  for (size_t run = 0; run < width; run += kRun) {
    const size_t n = width - run < kRun ? width - run : kRun;
    for (size_t x = 0; x < n; x += lanes) {
      const uint16_t* const sample = scratch.samples + run + x;
      // Qualified, since the depth's type would bring in the function of that name for one pixel.
      const CiedeRgb<Reals> colours =
          HWY_NAMESPACE::CiedeRgbOf(LoadSamples(sample), LoadSamples(sample + room), LoadSamples(sample + 2 * room), scratch.depth);
      hn::StoreU(colours.r.v, d, rgb[0] + x);
      hn::StoreU(colours.g.v, d, rgb[1] + x);
      hn::StoreU(colours.b.v, d, rgb[2] + x);
    }
    for (size_t x = 0; x < n; x += lanes) {
      const CiedeLab<Reals> pixels =
          CiedeLabOf(CiedeRgb<Reals>{Reals(hn::LoadU(d, rgb[0] + x)), Reals(hn::LoadU(d, rgb[1] + x)), Reals(hn::LoadU(d, rgb[2] + x))});
      float* const out = lab + run + x;
      Store(pixels.l, out);
      Store(pixels.a, out + room);
      Store(pixels.b, out + 2 * room);
    }
  }
}

// Steps is what the steps give of a run.
struct Steps {
  float a1[kRun], a2[kRun], c1[kRun], c2[kRun], least[kRun], step[kRun], mean[kRun], hue[kRun], rotation[kRun];

  HWY_INLINE CiedeChromas<Singles> Chromas(size_t x) const {
    return CiedeChromas<Singles>{Load(a1 + x), Load(a2 + x), Load(c1 + x), Load(c2 + x), Load(least + x)};
  }
  HWY_INLINE CiedeHues<Singles> Hues(size_t x) const { return CiedeHues<Singles>{Load(step + x), Load(mean + x)}; }
};

// SumRun adds the differences of n pixels, a multiple of the vector or the last of a row. ref and dis have L*, a* and b* room elements apart.
HWY_INLINE Words SumRun(const float* ref, const float* dis, size_t room, size_t n, Words sum) {
  const size_t lanes = hn::Lanes(RealTag());
  Steps s;
  for (size_t x = 0; x < n; x += lanes) {
    const Singles none = Singles(0.0f);  // lightness comes in at the end
    const CiedeChromas<Singles> chromas = CiedeChromasOf(CiedeLab<Reals>{none, Load(ref + room + x), Load(ref + 2 * room + x)},
                                                         CiedeLab<Reals>{none, Load(dis + room + x), Load(dis + 2 * room + x)});
    Store(chromas.a1, s.a1 + x);
    Store(chromas.a2, s.a2 + x);
    Store(chromas.c1, s.c1 + x);
    Store(chromas.c2, s.c2 + x);
    Store(chromas.least, s.least + x);
  }
  for (size_t x = 0; x < n; x += lanes) {
    const CiedeHues<Singles> hues = CiedeHuesOf(s.Chromas(x), Load(ref + 2 * room + x), Load(dis + 2 * room + x));
    Store(hues.step, s.step + x);
    Store(hues.mean, s.mean + x);
  }
  for (size_t x = 0; x < n; x += lanes) {
    const CiedeWeights<Singles> weights = CiedeWeightsOf(s.Chromas(x), s.Hues(x));
    Store(weights.hue, s.hue + x);
    Store(weights.rotation, s.rotation + x);
  }
  for (size_t x = 0; x < n; x += lanes) {
    const CiedeWeights<Singles> weights = {Load(s.hue + x), Load(s.rotation + x)};
    sum = sum + CiedeFixed(CiedeDifference(Load(ref + x), Load(dis + x), s.Chromas(x), s.Hues(x), weights));
  }
  return sum;
}

uint64_t SumRow(const VqsCiede& scratch) {
  const size_t width = static_cast<size_t>(scratch.width);
  Words sum = Words(0);
  for (size_t x = 0; x < width; x += kRun) {
    sum = SumRun(scratch.lab[0] + x, scratch.lab[1] + x, scratch.room, width - x < kRun ? width - x : kRun, sum);
  }
  return hn::GetLane(hn::SumOfLanes(WordTag(), sum.v));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
namespace {

HWY_EXPORT(LabRow);
HWY_EXPORT(SumRow);

void LabRowOfTarget(const VqsCiede& scratch, float* lab) { HWY_DYNAMIC_DISPATCH(LabRow)(scratch, lab); }
uint64_t SumRowOfTarget(const VqsCiede& scratch) { return HWY_DYNAMIC_DISPATCH(SumRow)(scratch); }

template <typename Sample>
const Sample* RowOf(const VqsPlane& plane, int y) {
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes);
}

// ReadChroma brings the samples of a chroma plane to the pixels of row y.
template <typename Sample>
void ReadChroma(const VqsCiede& s, const VqsPlane& plane, int y, uint16_t* out) {
  switch (s.layout) {
    case kVqsCiede420: {
      const Sample* const row = RowOf<Sample>(plane, CiedeHalf(y, s.height));
      for (int i = 0; i < s.chroma_width; ++i) out[2 * i] = out[2 * i + 1] = row[i];
      if (s.width % 2 != 0) out[s.width - 1] = row[CiedeHalf(s.width - 1, s.width)];
      break;
    }
    case kVqsCiede422:
      // Runs of neighbours, which end where the plane's row does.
      for (int x = 0; x < s.width;) {
        const CiedePlace place = CiedeFlaw422(x, y, s.chroma_width, s.chroma_height);
        if (place.column < 0) {
          out[x++] = 0;
          continue;
        }
        const Sample* const row = RowOf<Sample>(plane, place.row);
        for (int i = place.column; i < s.chroma_width && x < s.width; ++i) out[x++] = row[i];
      }
      break;
    default:
      for (int x = 0; x < s.width; ++x) out[x] = RowOf<Sample>(plane, y)[x];
  }
}

template <typename Sample>
void ReadRow(VqsCiede* s, const VqsPlane* picture, int y) {
  const Sample* const luma = RowOf<Sample>(picture[0], y);
  for (int x = 0; x < s->width; ++x) s->samples[x] = luma[x];
  ReadChroma<Sample>(*s, picture[1], y, s->samples + s->room);
  ReadChroma<Sample>(*s, picture[2], y, s->samples + 2 * s->room);
}

void Add(VqsCiedeSums* sums, uint64_t row) {
  sums->fraction += row & ((uint64_t{1} << kCiedeFraction) - 1);
  sums->whole += (row >> kCiedeFraction) + (sums->fraction >> kCiedeFraction);
  sums->fraction &= (uint64_t{1} << kCiedeFraction) - 1;
}

}  // namespace
}  // namespace vqs

extern "C" int vqs_ciede_new(int width, int height, int bpc, int layout, VqsCiede** out) {
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  *out = nullptr;
  const int least_width = layout == kVqsCiede444 ? 1 : 2, least_height = layout == kVqsCiede420 ? 2 : 1;
  if (layout < kVqsCiede420 || layout > kVqsCiede444 || width < least_width || height < least_height || width > kCiedeMaxSize ||
      height > kCiedeMaxSize || bpc < 8 || bpc > 16) {
    return kVqsInvalid;
  }
  VqsCiede* const s = static_cast<VqsCiede*>(calloc(1, sizeof(VqsCiede)));
  if (s == nullptr) return kVqsNoMemory;
  s->width = width;
  s->height = height;
  s->bpc = bpc;
  s->layout = layout;
  s->chroma_width = layout == kVqsCiede444 ? width : width / 2;
  s->chroma_height = layout == kVqsCiede420 ? height / 2 : height;
  s->depth = CiedeDepthOf(bpc);
  s->room = (static_cast<size_t>(width) + kCiedeLanes - 1) / kCiedeLanes * kCiedeLanes;
  s->samples = static_cast<uint16_t*>(calloc(3 * s->room, sizeof(uint16_t)));
  for (float*& lab : s->lab) lab = static_cast<float*>(calloc(3 * s->room, sizeof(float)));
  if (s->samples == nullptr || s->lab[0] == nullptr || s->lab[1] == nullptr) {
    vqs_ciede_free(s);
    return kVqsNoMemory;
  }
  *out = s;
  return kVqsOk;
}

extern "C" void vqs_ciede_free(VqsCiede* scratch) {
  if (scratch == nullptr) return;
  for (float* lab : scratch->lab) free(lab);
  free(scratch->samples);
  free(scratch);
}

extern "C" int vqs_ciede(VqsCiede* scratch, const VqsPlane* ref, const VqsPlane* dis, int renditions, VqsCiedeSums* sums) {
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  const bool plain = vqs_cpu_is_plain() != 0;
  const auto read = plain ? CiedeReadRowPlain : scratch->bpc == 8 ? ReadRow<uint8_t> : ReadRow<uint16_t>;
  const CiedeLabRow lab_row = plain ? CiedeLabRowPlain : LabRowOfTarget;
  const CiedeSumRow sum_row = plain ? CiedeSumRowPlain : SumRowOfTarget;
  memset(sums, 0, sizeof *sums * static_cast<size_t>(renditions));
  for (int y = 0; y < scratch->height; ++y) {
    read(scratch, ref, y);
    lab_row(*scratch, scratch->lab[0]);
    for (int k = 0; k < renditions; ++k) {
      read(scratch, dis + 3 * k, y);
      lab_row(*scratch, scratch->lab[1]);
      Add(&sums[k], sum_row(*scratch));
    }
  }
  return kVqsOk;
}

#endif  // HWY_ONCE
