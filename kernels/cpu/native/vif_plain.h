// vif_plain.h — what vif.cc and the scalar reference in vif_plain.cc share.
#ifndef VQS_CPU_VIF_PLAIN_H_
#define VQS_CPU_VIF_PLAIN_H_

#include <stddef.h>
#include <stdint.h>

#include "vif.h"

namespace vqs {

constexpr size_t kVifMaxGains = 8;
constexpr size_t kVifLogEntries = 32768;

// VifLog is the logarithm of spec/vif.md §2.1, as a table and in the parts that vectors without a gather put it together from.
//
// For a segment i of 32 of the mantissa f = 1 + m/32768, and c its middle: 2048·log2(f) + 1/2 + 2^-10 = base[i] + fraction[i] + Q(r)
// with r = f/c − 1, |r| ≤ 1/64 and Q(r) = 2048·log2(1 + r), whose first four terms are r·polynomial. Rounding down gives the entry
// less 30720. In single precision the errors are: r 2^-30, worth 2.8e-6 of the result; polynomial, 46·2^-24 = 2.8e-6;
// last sum, |…| < 64, 2^-19 = 1.9e-6; fifth term of the series 5.5e-7. Together below 8.5e-6, and no entry lies nearer than
// 1.5e-5 to where rounding would change it. A test tries all of them.
struct VifLog {
  uint16_t log[kVifLogEntries + 32];  // LOG[32768…65535]; a vector gather reads 32 bits at each entry
  alignas(64) float inverse[32];      // 1/c
  alignas(64) float fraction[32];
  alignas(64) int32_t base[32];       // 30720 + an integer
  float polynomial[4];
};
const VifLog& VifLogTables();

// VifPlain is the definition: spec/vif.md read top to bottom, one pixel at a time. Allocates.
int VifPlain(size_t width, size_t height, int bpc, const VqsPlane* ref, const VqsPlane* dis, size_t renditions,
             const double* gains, size_t gain_count, VqsVifSums* sums);

}  // namespace vqs

#endif  // VQS_CPU_VIF_PLAIN_H_
