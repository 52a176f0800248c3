// sse.cc — sum of squared differences.                                                Source: spec/classic-metrics.md §2
//
//   sse = Σ_yx (ref − dis)²
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 16)
// out    sse         u64
// fixed  difference  bpc 8: |d| as u8, widened to s16.   9 … 15: s16.   16: |d| as u16
//        squares     bpc ≤ 15: two of them to a lane of 32 bits at once, in which at most SquaresRun() such pairs fit before it goes to 64 bits.
//                    16: u32 each, added as u64
// order  integer sums only, so any order gives the same bits
// moved  every sample once; there is little to do for each, so memory sets the pace
#include "hd.h"

#include "sse.h"

#include <string.h>

#include "library.h"
#include "sse_plain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sse.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// One lane holds no pair of 16-bit numbers.
uint64_t SseVector(const SsePlanes& planes) { return SsePlain(planes); }

#else

namespace hn = hwy::HWY_NAMESPACE;

using D8 = hn::ScalableTag<uint8_t>;
using D16 = hn::ScalableTag<int16_t>;
using DU16 = hn::RebindToUnsigned<D16>;
using D32 = hn::RepartitionToWide<D16>;
using DU32 = hn::RebindToUnsigned<D32>;
using DU64 = hn::RepartitionToWide<DU32>;
using V16 = hn::VFromD<D16>;
using V32 = hn::VFromD<D32>;
using VU64 = hn::VFromD<DU64>;

// AddLanes adds unsigned 32-bit lanes to 64-bit ones.
HWY_INLINE VU64 AddLanes(VU64 total, hn::VFromD<DU32> sum) {
  const DU64 du64;
  const VU64 pair = hn::BitCast(du64, sum);
  return hn::Add(total, hn::Add(hn::And(pair, hn::Set(du64, 0xffffffffu)), hn::ShiftRight<32>(pair)));
}

// Steps add the squares of a vector of each plane. Two sums each, so that an addition need not wait for the one before.

struct Step8 {
  using Sample = uint8_t;
  static HWY_INLINE size_t Count() { return hn::Lanes(D8()); }
  explicit Step8(int /*bpc*/) {}
  // Steps after which the lanes must be emptied: each adds a pair of squares, whichever lane they come to.
  size_t Run() const { return 0xffffffffu / (2 * 255 * 255); }
  HWY_INLINE void Begin() { sum0 = sum1 = hn::Zero(D32()); }
  HWY_INLINE void Add(const Sample* r, const Sample* d) {
    const D8 d8;
    const auto ref = hn::LoadU(d8, r), dis = hn::LoadU(d8, d);
    const auto difference = hn::Sub(hn::Max(ref, dis), hn::Min(ref, dis));
    const auto zero = hn::Zero(d8);
    const V16 low = hn::BitCast(D16(), hn::InterleaveLower(d8, difference, zero));
    const V16 high = hn::BitCast(D16(), hn::InterleaveUpper(d8, difference, zero));
    sum0 = hn::ReorderWidenMulAccumulate(D32(), low, low, sum0, other0);
    sum1 = hn::ReorderWidenMulAccumulate(D32(), high, high, sum1, other1);
  }
  HWY_INLINE VU64 End(VU64 total) {
    const DU32 du32;
    total = AddLanes(AddLanes(total, hn::BitCast(du32, sum0)), hn::BitCast(du32, sum1));
    total = AddLanes(AddLanes(total, hn::BitCast(du32, other0)), hn::BitCast(du32, other1));
    other0 = other1 = hn::Zero(D32());
    return total;
  }
  V32 sum0, sum1;
  V32 other0 = hn::Zero(D32()), other1 = hn::Zero(D32());  // where a target keeps the odd products apart
};

struct Step15 {
  using Sample = uint16_t;
  static HWY_INLINE size_t Count() { return hn::Lanes(DU16()); }
  explicit Step15(int bpc) : run(0xffffffffu / (2 * ((uint32_t{1} << bpc) - 1) * ((uint32_t{1} << bpc) - 1))) {}
  size_t Run() const { return run; }
  HWY_INLINE void Begin() { sum = other = hn::Zero(D32()); }
  HWY_INLINE void Add(const Sample* r, const Sample* d) {
    const DU16 du16;
    const V16 difference = hn::BitCast(D16(), hn::Sub(hn::LoadU(du16, r), hn::LoadU(du16, d)));
    sum = hn::ReorderWidenMulAccumulate(D32(), difference, difference, sum, other);
  }
  HWY_INLINE VU64 End(VU64 total) {
    const DU32 du32;
    return AddLanes(AddLanes(total, hn::BitCast(du32, sum)), hn::BitCast(du32, other));
  }
  size_t run;
  V32 sum, other;
};

struct Step16 {
  using Sample = uint16_t;
  static HWY_INLINE size_t Count() { return hn::Lanes(DU16()); }
  explicit Step16(int /*bpc*/) {}
  size_t Run() const { return ~size_t{0}; }
  HWY_INLINE void Begin() { sum = hn::Zero(DU64()); }
  HWY_INLINE void Add(const Sample* r, const Sample* d) {
    const DU16 du16;
    const DU32 du32;
    const hn::Half<DU16> half;
    const auto ref = hn::LoadU(du16, r), dis = hn::LoadU(du16, d);
    const auto difference = hn::Sub(hn::Max(ref, dis), hn::Min(ref, dis));
    const auto low = hn::PromoteTo(du32, hn::LowerHalf(half, difference));
    const auto high = hn::PromoteTo(du32, hn::UpperHalf(half, difference));
    sum = AddLanes(AddLanes(sum, hn::Mul(low, low)), hn::Mul(high, high));
  }
  HWY_INLINE VU64 End(VU64 total) { return hn::Add(total, sum); }
  VU64 sum;
};

template <class Step>
uint64_t Sum(const SsePlanes& planes) {
  using Sample = typename Step::Sample;
  const DU64 du64;
  const size_t n = Step::Count(), width = static_cast<size_t>(planes.width);
  const size_t whole = width / n;  // vectors of a row
  const size_t rest = width % n;
  Step step(planes.bpc);
  const size_t run = step.Run();
  // What a row leaves over, followed by zeros, which stay: a load of a whole vector would leave the row.
  HWY_ALIGN Sample rest_ref[HWY_MAX_BYTES / sizeof(Sample)] = {};
  HWY_ALIGN Sample rest_dis[HWY_MAX_BYTES / sizeof(Sample)] = {};
  VU64 total = hn::Zero(du64);
  for (int y = 0; y < planes.height; ++y) {
    const Sample* const ref = planes.Ref<Sample>(y);
    const Sample* const dis = planes.Dis<Sample>(y);
    for (size_t first = 0; first < whole; first += run) {
      const size_t end = whole - first < run ? whole : first + run;
      step.Begin();
      for (size_t i = first; i < end; ++i) step.Add(ref + i * n, dis + i * n);
      total = step.End(total);
    }
    if (rest > 0) {
      memcpy(rest_ref, ref + whole * n, rest * sizeof(Sample));
      memcpy(rest_dis, dis + whole * n, rest * sizeof(Sample));
      step.Begin();
      step.Add(rest_ref, rest_dis);
      total = step.End(total);
    }
  }
  return hn::GetLane(hn::SumOfLanes(du64, total));
}

uint64_t SseVector(const SsePlanes& planes) {
  if (planes.bpc == 8) return Sum<Step8>(planes);
  return planes.bpc < 16 ? Sum<Step15>(planes) : Sum<Step16>(planes);
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(SseVector);
}  // namespace vqs

extern "C" uint64_t vqs_sse(const void* ref, size_t ref_stride, const void* dis, size_t dis_stride, int width, int height, int bpc) {
  const vqs::SsePlanes planes = {
      static_cast<const uint8_t*>(ref), static_cast<const uint8_t*>(dis), ref_stride, dis_stride, width, height, bpc};
  if (vqs_cpu_is_plain()) return vqs::SsePlain(planes);
  using namespace vqs;
  return HWY_DYNAMIC_DISPATCH(SseVector)(planes);
}

#endif  // HWY_ONCE
