// block.h — what PSNR-HVS computes of one block of 8×8 samples.                        Source: spec/classic-metrics.md §5
//
// All floating-point steps are in single precision, each rounded, in the order written. Arrays of 64 are in raster order. Loops have fixed
// counts, so that a device keeps the arrays in registers.
#ifndef VQS_COMMON_PSNRHVS_BLOCK_H_
#define VQS_COMMON_PSNRHVS_BLOCK_H_

#include <stdint.h>

#include "hd.h"

// Always inlined, since a call of one would put the block's values into memory.
#define VQS_HVS_HD VQS_HD __attribute__((always_inline))

#if defined(__clang__)
#define VQS_HVS_UNROLL _Pragma("unroll")
#else
#define VQS_HVS_UNROLL
#endif

namespace vqs {

constexpr int kHvsSize = 8;                            // of a block, in both directions
constexpr int kHvsStep = kHvsSize - 1;                 // from block to block: neighbours share a row or column
constexpr int kHvsCoefficients = kHvsSize * kHvsSize;  // of a block
constexpr int kHvsMaxBits = 12;                        // of a sample

// HvsBlocks is how many blocks lie side by side in so many samples; what is left over at the end is ignored.
VQS_HD constexpr int HvsBlocks(int samples) { return samples < kHvsSize ? 0 : (samples - 1) / kHvsStep; }

// Corrections of the sums of squares of a block and of a quarter: float(1/(n−1)) · n.
constexpr float kHvsBlockVariance = static_cast<float>(1.0 / 63) * 64;
constexpr float kHvsQuarterVariance = static_cast<float>(1.0 / 15) * 16;

struct HvsIntegers {
  using Value = int32_t;
  static VQS_HVS_HD int32_t Add(int32_t a, int32_t b) { return a + b; }
  static VQS_HVS_HD int32_t Sub(int32_t a, int32_t b) { return a - b; }
  static VQS_HVS_HD int32_t Half(int32_t a) { return (a + (a < 0 ? 1 : 0)) >> 1; }
  // |a| ≤ 8.001·(2^12 − 1) and a rounding here and there, which makes the product less than 2^30.
  template <int kFactor, int kBits>
  static VQS_HVS_HD int32_t Lift(int32_t a) {
    return (a * kFactor + (1 << (kBits - 1))) >> kBits;
  }
};

#define VQS_HVS_INLINE VQS_HVS_HD
#include "psnrhvs/dct.h"
#undef VQS_HVS_INLINE

// HvsDct transforms a block in place, columns before rows: [8i + j] becomes vertical frequency i, horizontal frequency j.
VQS_HVS_HD void HvsDct(int32_t* block) {
  VQS_HVS_UNROLL
  for (int j = 0; j < kHvsSize; ++j) {
    int32_t x[kHvsSize];
    VQS_HVS_UNROLL
    for (int i = 0; i < kHvsSize; ++i) x[i] = block[i * kHvsSize + j];
    Dct8<HvsIntegers>(x);
    VQS_HVS_UNROLL
    for (int i = 0; i < kHvsSize; ++i) block[i * kHvsSize + j] = x[i];
  }
  VQS_HVS_UNROLL
  for (int i = 0; i < kHvsSize; ++i) Dct8<HvsIntegers>(block + i * kHvsSize);
}

// HvsQuarter is the quarter of the block that sample n lies in: upper left, lower left, upper right, lower right.
VQS_HD constexpr int HvsQuarter(int n) { return (n / kHvsSize >= kHvsSize / 2) + 2 * (n % kHvsSize >= kHvsSize / 2); }

// HvsContrast is how much of a block's variance is within its quarters: the sum of their variances over its own; 0 for a flat block.
VQS_HVS_HD float HvsContrast(const int32_t* samples) {
  int32_t sum[4] = {};
  VQS_HVS_UNROLL
  for (int n = 0; n < kHvsCoefficients; ++n) sum[HvsQuarter(n)] += samples[n];
  // Exact, as are the differences: 12 bits and the 6 that dividing by 64 adds.
  const float mean = static_cast<float>(sum[0] + sum[1] + sum[2] + sum[3]) / 64;
  float quarter_mean[4], quarter[4] = {}, all = 0;
  VQS_HVS_UNROLL
  for (int q = 0; q < 4; ++q) quarter_mean[q] = static_cast<float>(sum[q]) / 16;
  VQS_HVS_UNROLL
  for (int n = 0; n < kHvsCoefficients; ++n) {
    const float a = static_cast<float>(samples[n]);
    const float d = a - mean, e = a - quarter_mean[HvsQuarter(n)];
    all += d * d;
    quarter[HvsQuarter(n)] += e * e;
  }
  all *= kHvsBlockVariance;
  VQS_HVS_UNROLL
  for (int q = 0; q < 4; ++q) quarter[q] *= kHvsQuarterVariance;
  return all > 0 ? (quarter[0] + quarter[1] + quarter[2] + quarter[3]) / all : all;
}

// HvsSquareRoot is the correctly rounded square root. The spec takes it in double precision and rounds the 32nd part of it: the same, since
// 53 bits are more than twice 24 and two.
VQS_HVS_HD float HvsSquareRoot(float v) { return __builtin_sqrtf(v); }

// HvsMask is how strong a difference of a block's coefficients the block hides. masking(n) are the weights of HvsMasking.
template <class Masking>
VQS_HVS_HD float HvsMask(const int32_t* coefficients, float contrast, Masking masking) {
  float energy = 0;
  VQS_HVS_UNROLL
  for (int n = 1; n < kHvsCoefficients; ++n) {
    energy += static_cast<float>(coefficients[n] * coefficients[n]) * masking(n);
  }
  return HvsSquareRoot(energy * contrast) / 32;
}

// HvsContribution is what a coefficient adds to the plane's sum: of its difference what exceeds the threshold, weighted and squared. The
// threshold is the larger of the pair's masks over the weight of HvsMasking; 0 for the constant coefficient, which nothing hides.
VQS_HVS_HD float HvsContribution(int32_t ref, int32_t dis, float threshold, float weight) {
  const float e = static_cast<float>(ref < dis ? dis - ref : ref - dis);
  const float visible = (e < threshold ? 0 : e - threshold) * weight;
  return visible * visible;
}

}  // namespace vqs

#endif  // VQS_COMMON_PSNRHVS_BLOCK_H_
