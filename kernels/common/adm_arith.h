// adm_arith.h — the arithmetic that decides ADM's bits: filters, roundings, borders, the gain k, contrast masking.
//                                                                                          Source: spec/adm.md
//
// Names: o is a detail coefficient of the reference, t of the distorted picture; r the restored part of t, a = t − r the
// additive part. Bands are ordered H (vertical high-pass), V (horizontal high-pass), D (both). Scale 0 holds 16-bit
// samples, scales 1…3 hold 32-bit ones. `a >> n` of a negative number is the flooring shift throughout.
#ifndef VQS_COMMON_ADM_ARITH_H_
#define VQS_COMMON_ADM_ARITH_H_

#include <stdint.h>

#include "hd.h"

namespace vqs {

enum { kAdmScales = 4, kAdmBands = 3 };
enum AdmBand { kAdmH = 0, kAdmV = 1, kAdmD = 2 };

// §13: every scale then has at least 5 input samples each way, so that one reflection stays inside.
constexpr int kAdmMinSize = 33;
// Widest and tallest picture. Keeps areas and positions within int.
constexpr int kAdmMaxSize = 32768;

// ---------------------------------------------------------------------------------------------------- §4 wavelet

// Daubechies-2 low-pass filter, Q15. The high-pass filter is its quadrature mirror image {c3, −c2, c1, −c0}.
constexpr int32_t kAdmTap0 = 15826, kAdmTap1 = 27411, kAdmTap2 = 7345, kAdmTap3 = -4240;
constexpr int32_t kAdmLowSum = kAdmTap0 + kAdmTap1 + kAdmTap2 + kAdmTap3;
static_assert(kAdmLowSum == 46342, "√2 in Q15");
static_assert(kAdmTap3 - kAdmTap2 + kAdmTap1 - kAdmTap0 == 0, "the high-pass filter has no response to a flat signal");
constexpr int32_t kAdmTapNorm = kAdmTap0 + kAdmTap1 + kAdmTap2 - kAdmTap3;
static_assert(static_cast<int64_t>(kAdmTapNorm) * 32768 + 32768 < INT32_MAX, "16-bit samples filter within 32 bits");

template <typename Sum>
VQS_HD Sum AdmLowPass(Sum x0, Sum x1, Sum x2, Sum x3) {
  return kAdmTap0 * x0 + kAdmTap1 * x1 + kAdmTap2 * x2 + kAdmTap3 * x3;
}

template <typename Sum>
VQS_HD Sum AdmHighPass(Sum x0, Sum x1, Sum x2, Sum x3) {
  return kAdmTap3 * x0 - kAdmTap2 * x1 + kAdmTap1 * x2 - kAdmTap0 * x3;
}

// MirrorWholeHalf extends a signal of n ≥ 2 samples by whole-sample symmetry at its start (−1 → 1) and by half-sample symmetry
// at its end (n → n−1, n+1 → n−2). −n < t < 2n.
VQS_HD int MirrorWholeHalf(int t, int n) {
  if (t < 0) return -t;
  return t < n ? t : 2 * n - 1 - t;
}

// RoundShift is "add half, floor-shift".
VQS_HD int32_t AdmRoundShift(int32_t v, int n) { return (v + (1 << (n - 1))) >> n; }
VQS_HD int64_t AdmRoundShift(int64_t v, int n) { return (v + (int64_t{1} << (n - 1))) >> n; }
VQS_HD uint64_t AdmRoundShift(uint64_t v, int n) { return (v + (uint64_t{1} << (n - 1))) >> n; }

// A sample of scale 0 is recentred and brought to 16 bits: (x − 2^(bpc−1))·2^(16−bpc). One set of shifts then serves every
// depth, since (Σ f·x − S·2^(bpc−1) + 2^(bpc−1)) >> bpc is (Σ f·x' + 2^15) >> 16, both sides scaled by 2^(16−bpc).
VQS_HD int32_t AdmCentre(int32_t sample, int bpc) { return (sample - (1 << (bpc - 1))) * (1 << (16 - bpc)); }

// §12: no band of scale 0 goes beyond this, given samples of 16 bits.
constexpr int32_t kAdmLargest0 = 22930;

// Shift after the filter of scale s, vertical (0: none) and horizontal.
VQS_HD int AdmVerticalShift(int scale) { return scale == 1 ? 0 : 16; }
VQS_HD int AdmHorizontalShift(int scale) { return scale == 1 || scale == 3 ? 15 : 16; }

VQS_HD int32_t AdmVertical(int scale, int64_t sum) {
  const int shift = AdmVerticalShift(scale);
  return static_cast<int32_t>(shift == 0 ? sum : AdmRoundShift(sum, shift));
}
VQS_HD int32_t AdmHorizontal(int scale, int64_t sum) {
  return static_cast<int32_t>(AdmRoundShift(sum, AdmHorizontalShift(scale)));
}

// ---------------------------------------------------------------------------------------------------- §5 active region

// AdmCeilLog2 is ⌈log2 n⌉ for n ≥ 1.
VQS_HD int AdmCeilLog2(uint32_t n) {
  int bits = 0;
  while ((uint64_t{1} << bits) < n) ++bits;
  return bits;
}

// AdmMargin is what is left out on each side of a band b samples wide or high: trunc(b·0.1 − 0.5).
VQS_HD int AdmMargin(int b) { return b >= 5 ? (b - 5) / 10 : 0; }

// Size of a band of a signal of n samples.
VQS_HD int AdmHalf(int n) { return (n + 1) / 2; }

// ---------------------------------------------------------------------------------------------------- §6 decoupling

// §6.1: cos(1°)², rounded to f32.
constexpr float kAdmCosSquared = 16772106.0f / 16777216.0f;

// AdmAngleFlag tells whether (oh, ov) and (th, tv) point less than a degree apart. dp = oh·th + ov·tv, om = oh² + ov²,
// tm = th² + tv², exact. The spec divides each by 4096 first, which changes nothing: a power of two, far from the ends of the
// exponent's range.
VQS_HD bool AdmAngleFlag(int64_t dp, int64_t om, int64_t tm) {
  const double p = static_cast<float>(dp), u = static_cast<float>(om), v = static_cast<float>(tm);
  return p >= 0 && p * p >= (kAdmCosSquared * u) * v;
}

constexpr int32_t kAdmOne = 32768;  // k = 1 in Q15

// AdmReciprocal is 2^30/m, truncated, for 1 ≤ m ≤ 32768.
VQS_HD int32_t AdmReciprocal(int32_t m) { return (1 << 30) / m; }

VQS_HD uint32_t AdmMagnitude(int32_t v) { return v < 0 ? 0u - static_cast<uint32_t>(v) : static_cast<uint32_t>(v); }

// AdmExcess is by how many bits |o| exceeds 15.
VQS_HD int AdmExcess(uint32_t magnitude) {
  int q = 0;
  while ((magnitude >> q) >= 32768u) ++q;
  return q;
}

// AdmGain is k, the gain from o to t in Q15, clamped to 0…1. |o| is reduced to 15 bits first, which at scale 0 it has.
VQS_HD int32_t AdmGain(int32_t o, int32_t t) {
  if (o == 0) return kAdmOne;
  const uint32_t magnitude = AdmMagnitude(o);
  const int q = AdmExcess(magnitude);
  const int32_t m = static_cast<int32_t>(q == 0 ? magnitude : AdmRoundShift(static_cast<uint64_t>(magnitude), q));
  const int64_t signed_reciprocal = o < 0 ? -AdmReciprocal(m) : AdmReciprocal(m);
  const int64_t k = AdmRoundShift(signed_reciprocal * t, 15 + q);
  return static_cast<int32_t>(k < 0 ? 0 : k > kAdmOne ? kAdmOne : k);
}

// AdmRestored is r: k·o, and where the contours agree in direction (flag), that enhanced by up to gain but not beyond t.
VQS_HD int32_t AdmRestored(int32_t k, int32_t o, int32_t t, bool flag, double gain) {
  const int32_t r = static_cast<int32_t>(AdmRoundShift(static_cast<int64_t>(k) * o, 15));
  if (!flag || k == 0 || o == 0) return r;
  const double enhanced = r * gain, limit = t;
  if (o > 0) return static_cast<int32_t>(enhanced < limit ? enhanced : limit);
  return static_cast<int32_t>(enhanced > limit ? enhanced : limit);
}

// ---------------------------------------------------------------------------------------------------- §8 denominator

// Shifts of the denominator. area and columns × rows are of the active region.
VQS_HD int AdmDenominatorShift0(int area) {
  const int shift = AdmCeilLog2(static_cast<uint32_t>(area)) - 20;
  return shift > 0 ? shift : 0;
}
VQS_HD int AdmDenominatorSquareShift(int scale) { return scale == 2 ? 30 : 31; }  // scales 1…3

VQS_HD uint64_t AdmDenominatorTerm0(int32_t o) {
  const uint64_t n = AdmMagnitude(o);
  return n * n * n;
}

// The rounding of the square adds a whole unit, not half.
VQS_HD uint64_t AdmDenominatorTerm(int scale, int32_t o, int column_shift) {
  const uint64_t n = AdmMagnitude(o);
  const int shift = AdmDenominatorSquareShift(scale);
  const uint64_t q = (n * n + (uint64_t{1} << shift)) >> shift;
  return AdmRoundShift(q * n, column_shift);
}

// AdmRow rounds the sum of a row before rows are added.
VQS_HD uint64_t AdmRow(uint64_t sum, int shift) { return shift == 0 ? sum : AdmRoundShift(sum, shift); }

// ---------------------------------------------------------------------------------------------------- §9 masking signal

// Contrast sensitivity applied to M. Scale 0: weight w1 in Q21, w2 in Q23.
VQS_HD int32_t AdmSensitive0(int32_t m, uint32_t weight, int band) {
  // 65535, not 65536: it differs when the product is an odd multiple of 65536.
  return band == kAdmD ? static_cast<int32_t>((static_cast<int64_t>(m) * weight + 65535) >> 17)
                       : static_cast<int32_t>((static_cast<int64_t>(m) * weight + 16384) >> 15);
}
// Scales 1…3: weight in Q32.
VQS_HD int32_t AdmSensitive(int32_t m, uint32_t weight) {
  return static_cast<int32_t>((static_cast<int64_t>(m) * weight + (1 << 27)) >> 28);
}

// What a coefficient adds to the threshold of its neighbours (|c|/30) and of itself (|c|/15), times 2^5 at scale 0.
constexpr int32_t kAdmThirtieth0 = 4369, kAdmFifteenth0 = 8738;        // Q17
constexpr uint32_t kAdmThirtieth = 143165577, kAdmFifteenth = 286331153;  // Q32
VQS_HD int32_t AdmNeighbour0(int32_t c) {
  return static_cast<int16_t>((int64_t{kAdmThirtieth0} * AdmMagnitude(c) + (1 << 11)) >> 12);
}
VQS_HD int32_t AdmSelf0(int32_t c) {  // |c| ≥ 15360 wraps
  return static_cast<int16_t>((int64_t{kAdmFifteenth0} * AdmMagnitude(c) + (1 << 11)) >> 12);
}
// Minus 2^31: the rounding constant of the original does not fit its type.
VQS_HD int32_t AdmNeighbour(int32_t c) {
  return static_cast<int32_t>((int64_t{kAdmThirtieth} * AdmMagnitude(c) - (int64_t{1} << 31)) >> 32);
}
VQS_HD int32_t AdmSelf(int32_t c) {
  return static_cast<int32_t>((int64_t{kAdmFifteenth} * AdmMagnitude(c) - (int64_t{1} << 31)) >> 32);
}

// ---------------------------------------------------------------------------------------------------- §10 numerator

// Shifts of the numerator: of each term, and of each row's sum. columns and rows are of the whole band.
VQS_HD int AdmTermShift(int scale, int band, int columns) {
  const int bits = AdmCeilLog2(static_cast<uint32_t>(columns));
  return scale > 0 ? bits : band == kAdmD ? bits - 3 : bits - 4;
}
VQS_HD int AdmRowShift(int rows) { return AdmCeilLog2(static_cast<uint32_t>(rows)); }

// §10: by how much the threshold of scale 0 is below the unit of |S·w|, and the shift of the square.
VQS_HD int AdmThresholdShift(int scale, int band) { return scale > 0 ? 0 : band == kAdmD ? 12 : 10; }
VQS_HD int AdmTermSquareShift(int scale, int band) { return scale > 0 || band == kAdmD ? 30 : 29; }

// AdmVisible is x, what of a signal (|S·w|, or |c| at scales 1…3) exceeds its threshold. Wrapping arithmetic, as spec
// §12 has it.
VQS_HD int32_t AdmVisible(uint32_t signal, int32_t threshold, int threshold_shift) {
  const int32_t x = static_cast<int32_t>(signal - (static_cast<uint32_t>(threshold) << threshold_shift));
  return x > 0 ? x : 0;
}

VQS_HD int64_t AdmNumeratorTerm(int32_t x, int square_shift, int term_shift) {
  const int32_t q = static_cast<int32_t>(AdmRoundShift(static_cast<int64_t>(x) * x, square_shift));
  return AdmRoundShift(static_cast<int64_t>(q) * x, term_shift);
}

}  // namespace vqs

#endif  // VQS_COMMON_ADM_ARITH_H_
