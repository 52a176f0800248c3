// motion_plain.cc — sum of absolute blurred frame differences, one sample at a time.        Source: spec/motion.md §3.1
//
//   sad = Σ_yx | G ∗ (prev − cur) |      G: 5 taps, separable, vertical first, mirrored edges
//
// in     prev, cur   u8 (bpc 8) or u16 (9 … 16)
// out    sad         u64
// fixed  diff        s32, |d| ≤ 2^bpc − 1
//        vertical    s64 sum + 2^(bpc−1) >> bpc  → s32, Q(16−bpc)
//        horizontal  s64 sum + 2^15 >> 16        → s32, Q(16−bpc)
// order  integer sums only, so any order gives the same bits
#include "hd.h"

#include <stdint.h>

#include "motion_arith.h"
#include "motion_scratch.h"

namespace vqs {
namespace {

template <typename Sample>
const Sample* Row(const VqsPlane& plane, int y) {
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes);
}

template <typename Sample>
uint64_t Sad(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur) {
  const int width = scratch->width, height = scratch->height, bpc = scratch->bpc;
  int32_t* const t = scratch->plain_row;
  uint64_t sad = 0;
  for (int y = 0; y < height; ++y) {
    const Sample *p[kMotionTaps], *q[kMotionTaps];
    for (int k = 0; k < kMotionTaps; ++k) {
      p[k] = Row<Sample>(prev, MirrorWhole(y - kMotionRadius + k, height));
      q[k] = Row<Sample>(cur, MirrorWhole(y - kMotionRadius + k, height));
    }
    for (int x = 0; x < width; ++x) {
      int32_t d[kMotionTaps];
      for (int k = 0; k < kMotionTaps; ++k) d[k] = static_cast<int32_t>(p[k][x]) - q[k][x];
      t[x] = MotionVertical(bpc, d[0], d[1], d[2], d[3], d[4]);
    }
    for (int x = 0; x < width; ++x) {
      const int32_t e = MotionHorizontal(t[MirrorWhole(x - 2, width)], t[MirrorWhole(x - 1, width)], t[x],
                                         t[MirrorWhole(x + 1, width)], t[MirrorWhole(x + 2, width)]);
      sad += static_cast<uint32_t>(e < 0 ? -e : e);
    }
  }
  return sad;
}

}  // namespace

uint64_t MotionPlain(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur) {
  return scratch->bpc == 8 ? Sad<uint8_t>(scratch, prev, cur) : Sad<uint16_t>(scratch, prev, cur);
}

}  // namespace vqs
