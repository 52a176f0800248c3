// ssim_plain.h — the scalar reference of structural similarity, and what it shares with the vector code.
#ifndef VQS_CPU_SSIM_PLAIN_H_
#define VQS_CPU_SSIM_PLAIN_H_

#include "plane.h"
#include "ssim.h"

namespace vqs {

// SsimPlain is the definition: written straight from spec/classic-metrics.md §3 and §4. It allocates.
int SsimPlain(size_t width, size_t height, int bpc, const VqsPlane& ref, const VqsPlane* dis, size_t renditions,
              const VqsSsimPass* passes, size_t pass_count, VqsSsimSums* sums);

}  // namespace vqs

#endif  // VQS_CPU_SSIM_PLAIN_H_
