// sse_plain.h — the definition of the sum of squared differences, and the planes that both forms of it take.
#ifndef VQS_CPU_SSE_PLAIN_H_
#define VQS_CPU_SSE_PLAIN_H_

#include <stddef.h>
#include <stdint.h>

namespace vqs {

struct SsePlanes {
  const uint8_t *ref, *dis;
  size_t ref_stride, dis_stride;  // in bytes
  int width, height, bpc;

  template <typename Sample>
  const Sample* Ref(int y) const {
    return reinterpret_cast<const Sample*>(ref + static_cast<size_t>(y) * ref_stride);
  }
  template <typename Sample>
  const Sample* Dis(int y) const {
    return reinterpret_cast<const Sample*>(dis + static_cast<size_t>(y) * dis_stride);
  }
};

// SsePlain is the definition: written straight from spec/classic-metrics.md §2.
uint64_t SsePlain(const SsePlanes& planes);

}  // namespace vqs

#endif  // VQS_CPU_SSE_PLAIN_H_
