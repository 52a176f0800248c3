// sse_plain.cc — sum of squared differences, one sample at a time.                    Source: spec/classic-metrics.md §2
//
//   sse = Σ_yx (ref − dis)²
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 16)
// out    sse         u64
// fixed  difference  s32;  its square u32: 65535² < 2^32;  the sum u64: 2^32 samples of less than 2^32 each
// order  integer sums only, so any order gives the same bits
#include "hd.h"

#include "sse_plain.h"

namespace vqs {
namespace {

template <typename Sample>
uint64_t Sum(const SsePlanes& planes) {
  uint64_t sum = 0;
  for (int y = 0; y < planes.height; ++y) {
    const Sample* const ref = planes.Ref<Sample>(y);
    const Sample* const dis = planes.Dis<Sample>(y);
    for (int x = 0; x < planes.width; ++x) {
      const int32_t d = static_cast<int32_t>(ref[x]) - dis[x];
      sum += static_cast<uint32_t>(d) * static_cast<uint32_t>(d);
    }
  }
  return sum;
}

}  // namespace

uint64_t SsePlain(const SsePlanes& planes) { return planes.bpc == 8 ? Sum<uint8_t>(planes) : Sum<uint16_t>(planes); }

}  // namespace vqs
