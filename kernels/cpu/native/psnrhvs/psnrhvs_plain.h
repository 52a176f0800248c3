// psnrhvs_plain.h — what psnrhvs.cc and psnrhvs_plain.cc share: the tables, the working memory and the planes of a call.
#ifndef VQS_CPU_PSNRHVS_PLAIN_H_
#define VQS_CPU_PSNRHVS_PLAIN_H_

#include <stddef.h>
#include <stdint.h>

#include "plane.h"
#include "psnrhvs/block.h"
#include "psnrhvs/csf.h"

namespace vqs {

constexpr float kHvsWeights[3][kHvsCoefficients] = {{VQS_HVS_LUMA(HvsWeight)}, {VQS_HVS_CB(HvsWeight)}, {VQS_HVS_CR(HvsWeight)}};
constexpr float kHvsMaskings[3][kHvsCoefficients] = {{VQS_HVS_LUMA(HvsMasking)}, {VQS_HVS_CB(HvsMasking)}, {VQS_HVS_CR(HvsMasking)}};

// Blocks that vector code takes at once, at the most: as many as there are 16-bit lanes in 512 bits.
constexpr size_t kHvsGroup = 32;
constexpr size_t kHvsGroupValues = kHvsGroup * kHvsCoefficients;

// HvsCall is what one call looks at.
struct HvsCall {
  int plane, width, height;
  const VqsPlane *ref, *dis;
  size_t count;
};

}  // namespace vqs

struct VqsPsnrHvs {
  int bpc;
  // Values of a group of blocks, value n of block b at [n · lanes + b], but for rows: there row after row of each block.
  alignas(64) uint16_t rows[vqs::kHvsGroupValues];
  alignas(64) uint16_t samples[vqs::kHvsGroupValues];
  alignas(64) int32_t columns[vqs::kHvsGroupValues];  // after the first half of the transform, in 16 or 32 bits
  alignas(64) float ref[vqs::kHvsGroupValues];        // coefficients
  alignas(64) float dis[vqs::kHvsGroupValues];
  alignas(64) float contributions[vqs::kHvsGroupValues];
  alignas(64) float ref_mask[vqs::kHvsGroup], dis_mask[vqs::kHvsGroup];
};

namespace vqs {

// HvsPlain is the definition: written straight from spec/classic-metrics.md §5.
void HvsPlain(const VqsPsnrHvs& scratch, const HvsCall& call, float* sums);

}  // namespace vqs

#endif  // VQS_CPU_PSNRHVS_PLAIN_H_
