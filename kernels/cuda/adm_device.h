// adm_device.h — steps of adm_arith.h in the forms that suit a device: no loop and no division of integers, 64 bits only where a
// product needs them. Each says what it equals; kernels/cuda/prove compares them.              Source: spec/adm.md §6, §9
#ifndef VQS_CUDA_ADM_DEVICE_H_
#define VQS_CUDA_ADM_DEVICE_H_

#include "adm_arith.h"

namespace vqs {

// ---------------------------------------------------------------------------------------------------- §6.1 angle flag

enum class AdmAngle { kNo, kYes, kOpen };

// AdmAngleEstimate decides dp² ≥ c·om·tm and dp ≥ 0 in f32, or leaves it open for AdmAngleFlag to decide. The arguments are
// coefficients rounded to f32.
//
// With u = 2^−24 and S² = om·tm: om and tm, sums of two squares of rounded values, err by little more than 4u, relatively; dp by
// as much of |oh·th| + |ov·tv| ≤ S (Cauchy, Schwarz). So dp², where it is near c·S², errs by less than 10u·S², and c·om·tm by less
// than 12u·S². The spec's own roundings of dp, om and tm move each side by 2u·S² at most. Outside of c·S²·(1 ± 64u) the estimate
// therefore decides as the spec does; where it says yes, |dp| > 0.9·S, so that dp has its sign. If om or tm is 0, all three are
// exactly 0, and the flag is set as it should be. Neither product goes beyond 2^126.
VQS_HD AdmAngle AdmAngleEstimate(float oh, float ov, float th, float tv) {
  constexpr float kMargin = 1.0f / (1 << 18);
  const float dp = oh * th + ov * tv;
  const float om_tm = (oh * oh + ov * ov) * (th * th + tv * tv);
  const float square = dp < 0 ? -(dp * dp) : dp * dp;
  if (square >= om_tm * (kAdmCosSquared * (1 + kMargin))) return AdmAngle::kYes;
  return square >= om_tm * (kAdmCosSquared * (1 - kMargin)) ? AdmAngle::kOpen : AdmAngle::kNo;
}

// AdmSmallFloat is v as f32, |v| ≤ 2^21, without the conversion that devices do at a fraction of their rate: as the low bits of
// 1.5·2^23, which is then taken off.
VQS_HD float AdmSmallFloat(int32_t v) { return __builtin_bit_cast(float, 0x4b400000 + v) - 12582912.0f; }

// ---------------------------------------------------------------------------------------------------- §6.2, §6.3 r

// AdmBetween is v, limited to what lies between 0 and t.
VQS_HD int32_t AdmBetween(int32_t v, int32_t t) {
  const int32_t low = t < 0 ? t : 0, high = t < 0 ? 0 : t;
  return v < low ? low : v > high ? high : v;
}

// kAdmPlainBelow: for any smaller |o|, r is o limited to 0…t. The roundings in k move it by less than 1.2 units of 2^−15, and r by
// less than 1.2·|o|/2^15: too little to show.
constexpr uint32_t kAdmPlainBelow = 1 << 14;

// AdmInverse is what k needs to know of an |o| of kAdmPlainBelow or more: how many bits it is beyond 15, and the reciprocal of the
// others, rounded. Of a smaller one it means nothing.
struct AdmInverse {
  uint32_t reciprocal;  // 2^15 … 2^16
  uint32_t excess;      // 0 … 16
};

// AdmInverseOf takes 2^30/m from the f32 quotient 1/m: times 2^30 it errs by less than 2^−8, so that its whole part can be off by
// one. Of all m, it is too large for some, which the remainder tells, and too small for none.
VQS_HD AdmInverse AdmInverseOf(uint32_t magnitude) {
  const int bits = 32 - __builtin_clz(magnitude | 1);
  const uint32_t q = static_cast<uint32_t>(bits > 15 ? bits - 15 : 0);
  const uint32_t m = (magnitude + ((1u << q) >> 1)) >> q;
  const float divisor = static_cast<float>(static_cast<int32_t>(m < kAdmPlainBelow ? kAdmPlainBelow : m));
  uint32_t reciprocal = static_cast<uint32_t>(static_cast<int32_t>(1073741824.0f * (1.0f / divisor)));
  const int32_t rest = static_cast<int32_t>((1u << 30) - reciprocal * m);
  if (rest < 0) --reciprocal;
  return {reciprocal, q};
}

// AdmUnenhanced is AdmRestored(AdmGain(o, t), o, t, false, 1). A t beyond 2·|o| makes k no larger than that does, namely 1: limited to
// it, k fits 32 bits.
VQS_HD int32_t AdmUnenhanced(int32_t o, int32_t t, AdmInverse inverse) {
  const uint32_t m = AdmMagnitude(o);
  if (m < kAdmPlainBelow) return AdmBetween(o, t);
  const int32_t relative = o < 0 ? -t : t;
  const uint32_t positive = relative > 0 ? static_cast<uint32_t>(relative) : 0;
  const uint32_t limited = positive < 2 * m ? positive : 2 * m;
  const uint32_t q = inverse.excess;
  const uint64_t product = static_cast<uint64_t>(inverse.reciprocal) * limited + (1u << (14 + q));
  const uint32_t k = static_cast<uint32_t>(product >> (15 + q));
  const int32_t gain = k < static_cast<uint32_t>(kAdmOne) ? static_cast<int32_t>(k) : kAdmOne;
  return static_cast<int32_t>((static_cast<int64_t>(gain) * o + (1 << 14)) >> 15);
}

// AdmEnhancedWhole is what AdmRestored makes of an unenhanced r where the flag is set, for a whole gain: r has the sign of t, or
// is 0. largest is kAdmLargestTimes/gain: a larger |r| goes beyond any t, and so does that.
constexpr int32_t kAdmLargestTimes = INT32_MAX;
VQS_HD int32_t AdmEnhancedWhole(int32_t r, int32_t t, int32_t gain, int32_t largest) {
  const int32_t limited = r < -largest ? -largest : r > largest ? largest : r;
  return AdmBetween(limited * gain, t);
}

// AdmEnhancedFraction is the same for any gain.
VQS_HD int32_t AdmEnhancedFraction(int32_t r, int32_t t, double gain) {
  const double enhanced = r * gain, limit = t;
  if (r > 0) return static_cast<int32_t>(enhanced < limit ? enhanced : limit);
  return static_cast<int32_t>(enhanced > limit || r == 0 ? enhanced : limit);
}

// ---------------------------------------------------------------------------------------------------- §9 masking signal

// AdmSensitiveNarrow is AdmSensitive0 for m of 16 bits: with a weight below 2^16, all fits 32 bits.
VQS_HD int32_t AdmSensitiveNarrow(int32_t m, int32_t weight, int band) {
  return band == kAdmD ? (m * weight + 65535) >> 17 : (m * weight + 16384) >> 15;
}

// AdmNeighbourNarrow and AdmSelfNarrow are AdmNeighbour0 and AdmSelf0 for |c| < 2^16.
VQS_HD int32_t AdmNeighbourNarrow(uint32_t magnitude) {
  return static_cast<int16_t>((kAdmThirtieth0 * magnitude + (1 << 11)) >> 12);
}
VQS_HD int32_t AdmSelfNarrow(uint32_t magnitude) {
  return static_cast<int16_t>((kAdmFifteenth0 * magnitude + (1 << 11)) >> 12);
}

}  // namespace vqs

#endif  // VQS_CUDA_ADM_DEVICE_H_
