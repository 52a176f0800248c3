// pool.h — the sum of the largest c-values, fast.
#ifndef VQS_CPU_CAMBI_POOL_H_
#define VQS_CPU_CAMBI_POOL_H_

#include <stddef.h>
#include <stdint.h>

namespace vqs {

// CambiSelect is CambiPool for n values, a multiple of kCambiBlock: the sum of the count largest, in 1/2^24. The
// values are lost. See CambiVectors in counts.h.
uint64_t CambiSelect(float* values, size_t n, size_t count);

}  // namespace vqs

#endif  // VQS_CPU_CAMBI_POOL_H_
