// vif_arith.h — the arithmetic that decides VIF's bits.                                          Source: spec/vif.md
//
// All samples are brought to 16 bits first (x = r << (16 − bpc)); with that, one set of shifts serves every depth and
// scale: (Σ f·r + 2^(bpc−1)) >> bpc equals (Σ f·x + 2^15) >> 16, and (Σ f·r² + 2^(q−1)) >> q with q = 2·(bpc − 8) equals
// (Σ f·x² + 2^15) >> 16, since both sides of each are scaled by the same power of two before rounding.
#ifndef VQS_COMMON_VIF_ARITH_H_
#define VQS_COMMON_VIF_ARITH_H_

#include <stdint.h>

#include "hd.h"

enum { kVifScales = 4, kVifMaxTaps = 17 };

// §2: taps of each scale in Q16, each set sums to 65536.
constexpr int kVifTapCount[kVifScales] = {17, 9, 5, 3};
constexpr int32_t kVifTaps[kVifScales][kVifMaxTaps] = {
    {489, 935, 1640, 2640, 3896, 5274, 6547, 7455, 7784, 7455, 6547, 5274, 3896, 2640, 1640, 935, 489},
    {1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244},
    {3571, 16004, 26386, 16004, 3571},
    {10904, 43728, 10904}};

constexpr int kVifTapSum(int scale) {
  int sum = 0;
  for (int k = 0; k < kVifTapCount[scale]; ++k) sum += kVifTaps[scale][k];
  return sum;
}
static_assert(kVifTapSum(0) == 65536 && kVifTapSum(1) == 65536 && kVifTapSum(2) == 65536 &&
                  kVifTapSum(3) == 65536,
              "a flat picture must stay flat");

constexpr int32_t kVifSigmaNsq = 1 << 17;             // the noise variance 2.0, in 1/65536 of a squared grey level
constexpr double kVifEps = 65536 * 1.0e-10;           // keeps the gain finite
constexpr int32_t kVifLogUnit = 2048;                 // logarithms are in 1/2048
constexpr int32_t kVifLogOfSigmaNsq = 17 * 2048;      // log2(kVifSigmaNsq)

// RoundQ16 rounds a Q16 sum to an integer, half up.
VQS_HD uint32_t VifRoundQ16(uint32_t a) { return (a + 32768u) >> 16; }

// §4: the product of two means (Q16 each, 16.16), rounded to the unit of the variances.
VQS_HD uint32_t VifMeanProduct(uint32_t a, uint32_t b) {
  return (uint32_t)(((uint64_t)a * b + 0x80000000u) >> 32);
}

// §2.2: log2(x) in 1/2048 for 2^17 ≤ x < 2^31; table[i] is LOG[32768 + i]. The mantissa is truncated to 16 bits.
VQS_HD int32_t VifLog2(const uint16_t* table, uint32_t x) {
  int k = 0;
  while ((x >> k) > 65535u) ++k;
  return table[(x >> k) - 32768u] + kVifLogUnit * k;
}

// §5: what a pixel with s1 ≥ kVifSigmaNsq, s12 > 0 and s2 > 0 adds to the numerator is
// log2(n2) − log2(n1). Every operation is one rounding, in this order.
struct VifGain {
  uint32_t n1, n2;
};
VQS_HD VifGain VifNumerator(int32_t s1, int32_t s2, int32_t s12, double gain_limit) {
  double g = (double)s12 / ((double)s1 + kVifEps);
  const double product = g * (double)s12;
  int32_t v = (int32_t)((double)s2 - product);
  v = v > 0 ? v : 0;
  g = g < gain_limit ? g : gain_limit;
  VifGain r;
  r.n1 = (uint32_t)(v + kVifSigmaNsq);
  r.n2 = (uint32_t)((int64_t)(g * g * (double)s1)) + r.n1;
  return r;
}

#endif  // VQS_COMMON_VIF_ARITH_H_
