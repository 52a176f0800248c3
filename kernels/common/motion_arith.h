// motion_arith.h — the arithmetic of the motion feature that decides bits.                       Source: spec/motion.md §3.1
#ifndef VQS_COMMON_MOTION_ARITH_H_
#define VQS_COMMON_MOTION_ARITH_H_

#include <stdint.h>

#include "hd.h"
#include "mirror.h"

namespace vqs {

// The low-pass filter G, Q16. Symmetric, so kMotionTap[k] == kMotionTap[4−k].
constexpr int kMotionTaps = 5;
constexpr int kMotionRadius = kMotionTaps / 2;
constexpr int32_t kMotionTap0 = 3571, kMotionTap1 = 16004, kMotionTap2 = 26386;
constexpr int kMotionTapBits = 16;
static_assert(2 * kMotionTap0 + 2 * kMotionTap1 + kMotionTap2 == 1 << kMotionTapBits, "G has unit gain");
static_assert(kMotionTap2 < 1 << 15, "the taps fit a signed 16-bit multiplier");

// Smallest width and height: below, one reflection leaves the picture.
constexpr int kMotionMinSize = 3;
// Widest row whose Σ|e| fits u32, and the limit of every implementation: |e| ≤ 65535.
constexpr int kMotionMaxSize = 65536;

// MotionFilter is Σ G[k]·v[k]. |v| ≤ 65535 makes it 33 bits with sign.
VQS_HD int64_t MotionFilter(int32_t v0, int32_t v1, int32_t v2, int32_t v3, int32_t v4) {
  return static_cast<int64_t>(kMotionTap0) * (v0 + v4) + static_cast<int64_t>(kMotionTap1) * (v1 + v3) +
         static_cast<int64_t>(kMotionTap2) * v2;
}

// MotionVertical filters five differences of one column, |d| < 2^bpc, to t in Q(16−bpc), |t| ≤ 65535.
VQS_HD int32_t MotionVertical(int bpc, int32_t d0, int32_t d1, int32_t d2, int32_t d3, int32_t d4) {
  return static_cast<int32_t>((MotionFilter(d0, d1, d2, d3, d4) + (int64_t{1} << (bpc - 1))) >> bpc);
}

// MotionHorizontal filters five t of one row to e in Q(16−bpc), |e| ≤ 65535.
VQS_HD int32_t MotionHorizontal(int32_t t0, int32_t t1, int32_t t2, int32_t t3, int32_t t4) {
  return static_cast<int32_t>((MotionFilter(t0, t1, t2, t3, t4) + (int64_t{1} << (kMotionTapBits - 1))) >>
                              kMotionTapBits);
}

}  // namespace vqs

#endif  // VQS_COMMON_MOTION_ARITH_H_
