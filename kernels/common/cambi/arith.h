// arith.h — the arithmetic of CAMBI that decides bits.                                                 Source: spec/cambi.md
#ifndef VQS_COMMON_CAMBI_ARITH_H_
#define VQS_COMMON_CAMBI_ARITH_H_

#include <stdint.h>

#include "hd.h"

namespace vqs {

constexpr int kCambiScales = 5;
// §3.3: the largest window, so a count is at most 65² = 4225, and a reciprocal's index too: its two codes share the window.
constexpr int kCambiMaxWindow = 65;
constexpr int kCambiMaxCount = kCambiMaxWindow * kCambiMaxWindow;
// §2: 2^max_log_contrast.
constexpr int kCambiMaxContrasts = 32;
// §5.2: samples are on a 10-bit scale; from 11 bits up rounding can give 1024.
constexpr int kCambiBits = 10;
constexpr int kCambiMaxSample = 1 << kCambiBits;
// §6: the spatial mask sums flatness over (2·3 + 1)².
constexpr int kCambiMaskRadius = 3;
// §7.4: c-values are multiples of 2^−24, and sums are kept in that unit.
constexpr int kCambiSumBits = 24;

// Decimated sizes round up (§7.1).
VQS_HD int CambiHalf(int size) { return (size + 1) >> 1; }

// CambiSample takes a sample of bpc bits (8 … 16) to the 10-bit scale, 0 … 1024 (§5.2).
VQS_HD uint16_t CambiSample(int bpc, uint32_t v) {
  if (bpc <= kCambiBits) return static_cast<uint16_t>(v << (kCambiBits - bpc));
  return static_cast<uint16_t>((v + (1u << (bpc - kCambiBits - 1))) >> (bpc - kCambiBits));
}

// CambiMean4 and CambiMean2 are the anti-dither filter inside the picture and in its last row and column (§5.3).
VQS_HD uint16_t CambiMean4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return static_cast<uint16_t>((a + b + c + d) >> 2); }
VQS_HD uint16_t CambiMean2(uint32_t a, uint32_t b) { return static_cast<uint16_t>((a + b) >> 1); }

// CambiMaskThreshold is T: a pixel is masked in when more than T of the 49 around it are flat (§6). Sides up to 65536 give 7 … 37.
VQS_HD int CambiMaskThreshold(int width, int height) {
  const int64_t k = static_cast<int64_t>(width >> 6) * (height >> 6);
  int lg = 0;
  while ((int64_t{1} << lg) < k) ++lg;
  return (49 + 3 * (lg - 11) - 1) >> 1;
}

// CambiMode3 is the most frequent of three samples, the smallest if all differ (§7.2).
VQS_HD uint16_t CambiMode3(uint16_t a, uint16_t b, uint16_t c) {
  if (a == b || a == c) return a;
  if (b == c) return b;
  const uint16_t ab = a < b ? a : b;
  return ab < c ? ab : c;
}

// CambiWeight is wt[d], for the contrast step d + 1 (§3.7). Every value is reached at the step that its comparison names.
VQS_HD int CambiWeight(int d) {
  return 1 + (d > 0) + (d > 1) + (d > 2) + (d > 4) + (d > 6) + (d > 10) + (d > 14) + (d > 21);
}

// CambiQualifies says whether step d + 1 counts around code v, of n steps in all (§7.3). That the dark limit is compared with n added is
// no slip.
VQS_HD bool CambiQualifies(int v, int d, int n, int visible, int dark_limit) { return v <= visible && v + n + d + 1 > dark_limit; }

// CambiContrast is one step's c-value (§7.3): of a pixel whose code is counted at times in its window and a neighbouring one m times.
// weight·at·m ≤ 9·2112·2113 fits 26 bits, and its conversion rounds above 2^24. reciprocal is that of at + m.
VQS_HD float CambiContrast(int weight, int at, int m, float reciprocal) {
  return static_cast<float>(static_cast<int32_t>(weight * at * m)) * reciprocal;
}

// CambiFixed is a c-value in 1/2^24 (§7.4): exact, for c is 0 or at least 0.5, and below 2^14.
VQS_HD uint64_t CambiFixed(float c) { return static_cast<uint64_t>(static_cast<double>(c) * (1 << kCambiSumBits)); }

// CambiReciprocals are rcp[0 … 4225] (§3.8).
struct CambiReciprocals {
  float at[kCambiMaxCount + 1];
};

// MakeCambiReciprocals makes the table at compile time. rcp[i] is 1/i printed with nine digits and read back, which misses the
// nearest f32 of these i by one unit in the last place.
constexpr CambiReciprocals MakeCambiReciprocals() {
  constexpr int above[] = {82, 83, 244, 488, 564, 614, 664, 1419, 1699, 1906, 2443, 2740, 3812, 4130};
  constexpr int below[] = {504,  510,  528,  749,  760,  892,  2040, 2071, 2112, 2223, 2555, 2927, 3285, 3515,
                           3525, 3705, 3795, 3797, 3837, 3885, 4033, 4080, 4091, 4095, 4142, 4203, 4218, 4224};
  CambiReciprocals r{};
  for (int i = 1; i <= kCambiMaxCount; ++i) r.at[i] = 1.0f / static_cast<float>(i);
  // None of these 1/i is a power of two, so the spacing of f32 is the same on both sides: 2^−24 in [1/2, 1), and so on.
  for (int sign = 1; sign >= -1; sign -= 2) {
    const int* const list = sign > 0 ? above : below;
    const int count = static_cast<int>((sign > 0 ? sizeof above : sizeof below) / sizeof(int));
    for (int k = 0; k < count; ++k) {
      float unit = 1.0f / (1 << kCambiSumBits);
      for (float scaled = r.at[list[k]]; scaled < 0.5f; scaled *= 2) unit /= 2;
      r.at[list[k]] += static_cast<float>(sign) * unit;
    }
  }
  return r;
}

}  // namespace vqs

#endif  // VQS_COMMON_CAMBI_ARITH_H_
