// pool.cc — the sum of the largest c-values.                                                        Source: spec/cambi.md §7.4
//
//   sum = Σ_{v>hi} v + Σ of the largest others down to lo      lo ≤ t ≤ hi, t being the smallest value that is pooled
//
// in     values     f32, 0 or 0.5 ≤ v < 2^14
// out    sum        u64, 1/2^24
// fixed  f64 sums of a lane, exact below 2^29: at most kFlush values
// order  sums are exact, so any order gives the same bits. A sample of the values guesses lo and hi, a pass over all of them checks that t is
//        in between, and only those that are too have to be sorted out
#include "hd.h"

#include "pool.h"

#include <algorithm>
#include <functional>

#include "scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pool.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

uint64_t Select(float* values, size_t n, size_t count) { return CambiPool(values, n, count); }

#else

using DF = hn::ScalableTag<float>;
using VF = hn::VFromD<DF>;
using DD = hn::RepartitionToWide<DF>;
using VD = hn::VFromD<DD>;

constexpr float kAboveAll = 1 << 14;
constexpr size_t kSamples = 4096;
// The rank of t in the sample is off by less than this: three standard deviations of the median's, √4096/2.
constexpr size_t kMargin = 96;
constexpr size_t kFlush = size_t{1} << 14;
static_assert(kFlush * static_cast<size_t>(kAboveAll) < size_t{1} << 29, "a lane's sum is exact");

// Guess sets lo and hi so that the count largest of n values probably end between them.
void Guess(const float* values, size_t n, size_t count, float* lo, float* hi) {
  float sample[kSamples];
  const size_t step = (n / kSamples - 1) | 1;  // odd, or it would keep to some columns of most pictures
  for (size_t i = 0; i < kSamples; ++i) sample[i] = values[i * step];
  const size_t rank = static_cast<size_t>(static_cast<double>(count) * kSamples / static_cast<double>(n));
  *hi = kAboveAll;
  *lo = 0;
  if (rank > kMargin) {
    std::nth_element(sample, sample + rank - kMargin, sample + kSamples, std::greater<float>());
    *hi = sample[rank - kMargin];
  }
  if (rank + kMargin < kSamples) {
    std::nth_element(sample, sample + rank + kMargin, sample + kSamples, std::greater<float>());
    *lo = sample[rank + kMargin];
  }
}

// Above is what lies above hi, and how many values are at least lo.
struct Above {
  uint64_t sum, count, from_lo;
};

Above Pass(const float* values, size_t n, float lo, float hi) {
  const DF d;
  const DD dd;
  const hn::Half<DF> half;
  const VF low = hn::Set(d, lo), high = hn::Set(d, hi);
  Above a = {0, 0, 0};
  for (size_t begin = 0; begin < n; begin += kFlush) {
    VD sum = hn::Zero(dd);
    const size_t end = std::min(begin + kFlush, n);
    for (size_t i = begin; i < end; i += hn::Lanes(d)) {
      const VF v = hn::LoadU(d, values + i);
      const auto above = hn::Gt(v, high);
      a.count += hn::CountTrue(d, above);
      a.from_lo += hn::CountTrue(d, hn::Ge(v, low));
      const VF pooled = hn::IfThenElseZero(above, v);
      sum = hn::Add(sum, hn::Add(hn::PromoteTo(dd, hn::LowerHalf(half, pooled)), hn::PromoteTo(dd, hn::UpperHalf(half, pooled))));
    }
    HWY_ALIGN double lanes[HWY_MAX_BYTES / sizeof(double)];
    hn::Store(sum, dd, lanes);
    for (size_t i = 0; i < hn::Lanes(dd); ++i) a.sum += static_cast<uint64_t>(lanes[i] * (1 << kCambiSumBits));
  }
  return a;
}

// Between moves the values from lo to hi to the front and returns how many there are.
size_t Between(float* values, size_t n, float lo, float hi) {
  const DF d;
  const VF low = hn::Set(d, lo), high = hn::Set(d, hi);
  size_t kept = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const VF v = hn::LoadU(d, values + i);
    const auto in = hn::And(hn::Ge(v, low), hn::Le(v, high));
    if (hn::AllFalse(d, in)) continue;
    hn::StoreU(hn::Compress(v, in), d, values + kept);  // reaches no further than what has been read
    kept += hn::CountTrue(d, in);
  }
  return kept;
}

uint64_t Select(float* values, size_t n, size_t count) {
  if (n < 4 * kSamples) return CambiPool(values, n, count);
  float lo, hi;
  Guess(values, n, count, &lo, &hi);
  Above above = Pass(values, n, lo, hi);
  if (above.count >= count) {
    lo = hi, hi = kAboveAll;
    above = Pass(values, n, lo, hi);
  } else if (above.from_lo < count) {
    hi = lo, lo = 0;
    above = Pass(values, n, lo, hi);
  }
  const size_t left = count - above.count;
  if (lo == hi) return above.sum + left * CambiFixed(lo);
  return above.sum + (left == 0 ? 0 : CambiPool(values, Between(values, n, lo, hi), left));
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {

HWY_EXPORT(Select);

uint64_t CambiSelect(float* values, size_t n, size_t count) { return HWY_DYNAMIC_DISPATCH(Select)(values, n, count); }

}  // namespace vqs

#endif  // HWY_ONCE
