// vif_log.h — log2 in units of 1/2048 as spec/vif.md §2.2 defines it, by 64 segments and a cubic instead of a table of 64 KiB.
//
// For a segment i of 64 of the mantissa f = 1 + m/32768, 0 ≤ m < 32768, and an inverse of its middle c⁻¹ (16 bits):
//
//   LOG[32768 + m] − 30720 = floor( 2048·log2(f) + 1/2 + 2^-10 ) = floor( T + Q(r) )      r = f·c⁻¹ − 1, |r| < 1/127
//   T = 2048·log2(c) + 1/2 + 2^-10          Q(r) = 2048·log2(1 + r), the first three terms of its series
//
// r is exact: a multiple of 2^-31 below 2^-6. Q is formed in units of 2^-17 and left as the low bits of 1.5·2^23 + Q, so that T and
// Q are added as integers and the floor is a shift. In units of the result: the polynomial's roundings in f32 are worth 2.1e-6, that of
// the sum 3.8e-6, T's 3.8e-6, and the term that is left out 2.8e-6; no entry lies nearer than 1.5e-5 to where rounding would change it
// (spec/vif.md §2.1). A test tries all 32768.
#ifndef VQS_CUDA_VIF_LOG_H_
#define VQS_CUDA_VIF_LOG_H_

#include "device.h"
#include "vif_arith.h"

constexpr int kVifLogSegments = 64;
constexpr int kVifLogFraction = 17;                           // bits of T and Q below the unit
constexpr float kVifLogMagic = 12582912.0f;                   // 1.5·2^23: in the sum's low bits stands Q
constexpr float kVifLogCubic[3] = {0x1.715476p+28f, -0x1.715476p+27f, 0x1.ec709ep+26f};  // 2^17·2048/ln 2 · {1, −1/2, 1/3}

// By segment: the bits of c⁻¹ as f32; T in units of 2^-17, less the bits of kVifLogMagic.
VQS_TABLE(uint32_t, kVifLogTable, 2 * kVifLogSegments) = {
    0x3f7e0400, 0xb4eefc69, 0x3f7a2300, 0xb549eb34, 0x3f766000, 0xb5a3761b, 0x3f72ba00, 0xb5fb9f86,
    0x3f6f2f00, 0xb652838e, 0x3f6bbe00, 0xb6a827ae, 0x3f686600, 0xb6fc9267, 0x3f652600, 0xb74fcb4a,
    0x3f61fc00, 0xb7a1f51e, 0x3f5ee900, 0xb7f2e5b0, 0x3f5beb00, 0xb842c1a1, 0x3f590200, 0xb89179b1,
    0x3f562c00, 0xb8df3582, 0x3f536800, 0xb92c035e, 0x3f50b700, 0xb977ba1b, 0x3f4e1700, 0xb9c284e5,
    0x3f4b8700, 0xba0c7481, 0x3f490800, 0xba556025, 0x3f469800, 0xba9d76a0, 0x3f443700, 0xbae4ad34,
    0x3f41e500, 0xbb2af8f1, 0x3f3fa000, 0xbb708c64, 0x3f3d6900, 0xbbb53f36, 0x3f3b3f00, 0xbbf92694,
    0x3f392100, 0xbc3c58ef, 0x3f371000, 0xbc7ead75, 0x3f350a00, 0xbcc05ba8, 0x3f330f00, 0xbd015bc7,
    0x3f312000, 0xbd418493, 0x3f2f3b00, 0xbd811066, 0x3f2d6000, 0xbdbff82f, 0x3f2b8f00, 0xbdfe34c2,
    0x3f29c800, 0xbe3bbed4, 0x3f280b00, 0xbe788f00, 0x3f265600, 0xbeb4e4d0, 0x3f24aa00, 0xbef096f2,
    0x3f230600, 0xbf2bc306, 0x3f216b00, 0xbf663ecf, 0x3f1fd800, 0xbfa02878, 0x3f1e4d00, 0xbfd97a33,
    0x3f1cc900, 0xc01253cd, 0x3f1b4c00, 0xc04ab065, 0x3f19d700, 0xc082649b, 0x3f186900, 0xc0b99117,
    0x3f170100, 0xc0f057e1, 0x3f15a000, 0xc1268d63, 0x3f144600, 0xc15c2c61, 0x3f12f100, 0xc1917ffb,
    0x3f11a300, 0xc1c633d8, 0x3f105a00, 0xc1fa946c, 0x3f0f1700, 0xc22e751c, 0x3f0dda00, 0xc261d173,
    0x3f0ca300, 0xc294a4f1, 0x3f0b7000, 0xc2c73fca, 0x3f0a4300, 0xc2f94a14, 0x3f091b00, 0xc32aea42,
    0x3f07f800, 0xc35c1cb5, 0x3f06d900, 0xc38d0999, 0x3f05bf00, 0xc3bd821f, 0x3f04aa00, 0xc3ed8289,
    0x3f039900, 0xc41d33f6, 0x3f028d00, 0xc44c6664, 0x3f018500, 0xc47b4398, 0x3f008100, 0xc4a9c8bf,
};

// VifLogLoad has the threads of a block copy the table to shared memory; a barrier must follow.
VQS_DEVICE void VifLogLoad(VqsShared<VqsWord2> table, int thread) {
  if (thread < kVifLogSegments) {
    table[thread] = VqsWord2{Read(&kVifLogTable[2 * thread]), Read(&kVifLogTable[2 * thread + 1])};
  }
}

// VifLogBelow is log2(x) − kVifLogTop in 1/2048, modulo 2^32, for 2^15 ≤ x < 2^32, the mantissa truncated to 16 bits. table is what
// VifLogLoad filled. Differences need nothing more.
constexpr uint32_t kVifLogTop = 31 * kVifLogUnit;
VQS_DEVICE uint32_t VifLogBelow(VqsShared<VqsWord2> table, uint32_t x) {
  const int zeros = __builtin_clz(x);     // x is not 0
  const uint32_t mantissa = x << zeros;  // 1 and 15 bits are of interest
  const VqsWord2 segment = table[static_cast<int>(mantissa >> 25) - kVifLogSegments];
  // The bytes 3f, 1mmm mmmm, mmmm mmmm, 0: what a float has after sign and upper exponent is a 1 and the mantissa.
  const float f = __builtin_bit_cast(float, Bytes(mantissa, 0x3f, 0x4325));
  const float r = __builtin_fmaf(f, __builtin_bit_cast(float, segment.x), -1.0f);
  float q = __builtin_fmaf(kVifLogCubic[2], r, kVifLogCubic[1]);
  q = __builtin_fmaf(q, r, kVifLogCubic[0]);
  q = __builtin_fmaf(q, r, kVifLogMagic);
  const uint32_t of_mantissa = (__builtin_bit_cast(uint32_t, q) + segment.y) >> kVifLogFraction;
  return of_mantissa - static_cast<uint32_t>(zeros) * kVifLogUnit;
}

#endif  // VQS_CUDA_VIF_LOG_H_
