// vif_device.h — VifNumerator of vif_arith.h in integers and f32, for devices that form f64 at a fraction of their rate.
// kernels/cuda/prove holds it against that.                                                    Source: spec/vif.md §5
//
// With X = s12²/s1, whole part q and remainder r, and EPS/s1 between 3.05e-15 and 5.0e-11, the spec's own roundings in f64 give
//
//   g·s12  = X·(1 − EPS/s1)·(1 ± 3.4e-16)         s2 − that, with a rounding of at most 2^-23, truncated: v
//   g·g·s1 = X·(1 − 2·EPS/s1)·(1 ± 6.7e-16)       truncated: t, where the limit does not show
//
// X is below 2^31 (§10.4). So both lie below X, by less than 0.22, but by more than their roundings make up for.
//   r = 0:   v = s2 − q, and t = q − 1.
//   r above (2·X·EPS + s1·2^-19): neither gets down to q, nor s2 less the first one up to s2 − q: v = s2 − q − 1, and t = q.
//   between: left open. Of ordinary pixels that is one in 10^5.
// Negative v are 0 in any case.
#ifndef VQS_CUDA_VIF_DEVICE_H_
#define VQS_CUDA_VIF_DEVICE_H_

#include "vif_arith.h"

namespace vqs {

struct VifQuotient {
  uint32_t whole, remainder;
};

// VifSquareOver is s12²/s1 for 0 < s12 < 2^31, 2^17 ≤ s1 < 2^31 and a quotient below 2^31. inverse is 1/s1 up to 3 units of 2^-24.
//
// The first estimate errs by 7·2^-24 of X, less than 2^10; the second, of what that leaves, by less than 0.01 before it is rounded: then
// the remainder is below 0.52·s1, and of either sign.
VQS_HD VifQuotient VifSquareOver(uint32_t s12, uint32_t s1, float inverse) {
  constexpr float kMagic = 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, in the low bits
  const float f = static_cast<float>(s12);
  const uint64_t square = static_cast<uint64_t>(s12) * s12;
  const uint32_t estimate = static_cast<uint32_t>(f * f * inverse);
  const int64_t left = static_cast<int64_t>(square - static_cast<uint64_t>(estimate) * s1);
  const float more = __builtin_fmaf(static_cast<float>(static_cast<int32_t>(left >> 10)), inverse * 1024.0f, kMagic);
  VifQuotient q;
  q.whole = estimate + (__builtin_bit_cast(uint32_t, more) - __builtin_bit_cast(uint32_t, kMagic));
  q.remainder = static_cast<uint32_t>(square) - q.whole * s1;
  const bool above = static_cast<int32_t>(q.remainder) < 0;
  q.whole -= above;
  q.remainder += above ? s1 : 0;
  return q;
}

// VifShares is what VifNumerator needs of a pixel whatever the limit.
struct VifShares {
  uint32_t v, t;
  bool open;  // VifNumerator has to decide
};

VQS_HD VifShares VifSharesOf(uint32_t s1, uint32_t s2, uint32_t s12, float inverse) {
  const VifQuotient q = VifSquareOver(s12, s1, inverse);
  const int32_t v = static_cast<int32_t>(s2 - q.whole) - (q.remainder != 0);
  VifShares shares;
  shares.v = static_cast<uint32_t>(v > 0 ? v : 0);
  shares.t = q.whole - (q.remainder == 0);
  // 1/65536 is more than 2·EPS; the 4 is for what the shifts cut off. A remainder of 0 is far from it.
  shares.open = q.remainder - 1 < (q.whole >> 16) + (s1 >> 19) + 4;
  return shares;
}

// VifLimited is t under a limit that is a whole number: limit²·s1 where g ≥ limit. That is where s12 > limit·s1, since EPS keeps the
// quotient of equals below by more than it is rounded, and does not make up for one more. It is below t then, and fits.
VQS_HD uint32_t VifLimited(uint32_t t, uint32_t s1, uint32_t s12, uint32_t limit) {
  return s12 > static_cast<uint64_t>(limit) * s1 ? limit * limit * s1 : t;
}

}  // namespace vqs

#endif  // VQS_CUDA_VIF_DEVICE_H_
