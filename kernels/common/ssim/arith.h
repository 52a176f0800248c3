// arith.h — the arithmetic of structural similarity, SSIM and MS-SSIM.               Source: spec/classic-metrics.md §3, §4
//
// Every step up to the local values l, c and t is the description's own: products of f32 rounded to f32, sums of them in f64 in the
// stated order, f32 where it says float, nothing fused. What differs is the sum over positions, which there is one long f64 sum in raster
// order and here a sum of integers, so that any order of work gives the same.
//
// Why that is no loss. A local value is rounded to the nearest multiple of 2^−F, where F is 60 less the bits of the number of positions, 48
// at the most (score.SSIMFraction): 43 for the 130,000 positions of 1920×1080 at scale 4, 39 for the 2 million at scale 1. The mean is then
// off by at most 2^−F−1, and by 0.29·2^−F/√n where the errors are as good as random. That is less than what the description's
// own sum is off by: it has up to 53 bits, so that its last terms are rounded to n·2^−53, and the mean is off by about
// 0.29·√n·2^−53. Results are rounded to f32, whose numbers near 1 are 2^−24 apart. The two differ, by one such unit, where a rounding
// boundary lies between them, which has about the probability (error of one + error of the other)/2^−24: 2·10^−7 for 130,000
// positions, 8·10^−7 for 2 million. Where all errors go to one side, as in flat pictures, it is 2^(24−F) at the most. A mean near 0, of
// a black picture against another, is exact to 2^−F−1 all the same. Identical pictures have l = c = t = 1, exact in either.
//
// Why nothing overflows. With weights w of sum S = 1 + δ, δ ≈ 4·10^−6, and samples split into a constant α and a part a without mean,
//   v(a) = Σ w·a² − κ·α²,   cov = Σ w·a·b − κ·α·β,   κ = S·δ,
// so that the covariance may exceed s = √(v·v'), but by no more than √(κ·α²·Σ w·b²) + κ·α·β. For samples in 0 … 256, of which the sum of
// squares about the mean is at most 128², that is below 69, roundings to f32 included, and as C3 > 29.2, −1.4 < t < 3.4. In 0 ≤ c and l
// nothing exceeds 1 by more than the last bits, hence |l·c·t| < 3.4 too. The low-pass filter of MS-SSIM overshoots: its weights' magnitudes
// sum to 1.91, those of repeated application to less. So samples stay within 127.5 ± 1.91·127.5, where l may be negative and |t| < 7.5.
// All magnitudes are below 8, and n·8·2^F ≤ 2^63 of n positions. Samples beyond their depth's range give sums that may wrap, the same ones
// everywhere.
#ifndef VQS_COMMON_SSIM_ARITH_H_
#define VQS_COMMON_SSIM_ARITH_H_

#include "hd.h"

#include <stdint.h>

namespace vqs {

constexpr int kSsimTaps = 11;                // of the window, each way
constexpr int kSsimBorder = kSsimTaps - 1;   // columns, and rows, that the filtered picture has less
constexpr int kMsSsimLevels = 5;
constexpr int kMsSsimRadius = 4;             // of the low-pass filter between levels: 9 taps each way
constexpr int kSsimMinSize = kSsimTaps;      // of a picture that is looked at
constexpr int kMsSsimMinSize = 176;          // 11 after four halvings rounded down
constexpr int kSsimMaxScale = 256;

// The decimation's sums are exact in f64, and so free of order, up to this scale: a product of f32 is a multiple of its last place, which
// for the least sample (2^−8, of 16 bits) and a weight of at least 2^−14 is 2^−45 or more, and 2^8·2^45 = 2^53. With fewer bits to a
// sample, or a weight that is a power of two, all scales are.
constexpr int kSsimExactScale = 128;

// SsimTap is the window g (§3.3), not exactly normalised.
VQS_HD constexpr float SsimTap(int i) {
  constexpr float kTap[kSsimTaps] = {0.001028f, 0.007599f, 0.036001f, 0.109361f, 0.213006f, 0.266012f,
                                     0.213006f, 0.109361f, 0.036001f, 0.007599f, 0.001028f};
  return kTap[i];
}

// MsSsimTap is the low-pass filter K (§4) at row v and column u, −4 … 4 each, by their magnitudes. It is no product of two filters.
VQS_HD constexpr float MsSsimTap(int v, int u) {
  constexpr float kTap[kMsSsimRadius + 1][kMsSsimRadius + 1] = {
      {0.363505f, 0.160885f, -0.047149f, -0.010146f, 0.016114f},
      {0.160885f, 0.071207f, -0.020867f, -0.004490f, 0.007132f},
      {-0.047149f, -0.020867f, 0.006115f, 0.001316f, -0.002090f},
      {-0.010146f, -0.004490f, 0.001316f, 0.000283f, -0.000450f},
      {0.016114f, 0.007132f, -0.002090f, -0.000450f, 0.000714f},
  };
  return kTap[v < 0 ? -v : v][u < 0 ? -u : u];
}

// The constants of §3.3, evaluated in f32.
constexpr float kSsimC1 = (0.01f * 255) * (0.01f * 255);
constexpr float kSsimC2 = (0.03f * 255) * (0.03f * 255);
constexpr float kSsimC3 = kSsimC2 / 2;

// MirrorHalf extends a signal of n samples by half-sample symmetry (… 1 0 | 0 1 … n−1 | n−1 n−2 …), for −n ≤ t < 2n. Source: §3.2
VQS_HD int MirrorHalf(int t, int n) { return t < 0 ? -1 - t : t >= n ? 2 * n - 1 - t : t; }

// SsimSampleUnit is what a sample of bpc bits is multiplied with to be on the scale of 8 bits (§1.2). Exact.
VQS_HD float SsimSampleUnit(int bpc) { return 1.0f / static_cast<float>(1 << (bpc - 8)); }

// SsimDecimated is how many columns, or rows, are left of size samples at a scale s (§3.2): an odd width has one more, and so
// has an odd height, whatever s is. Halving of MS-SSIM is the same with s = 2.
VQS_HD int SsimDecimated(int size, int s) { return size / s + size % 2; }

// SsimDecimationWeight is the weight k of each of the s² samples, and SsimDecimationFirst the offset of the first of them.
VQS_HD float SsimDecimationWeight(int s) { return 1.0f / static_cast<float>(s * s); }
VQS_HD int SsimDecimationFirst(int s) { return -(s / 2); }

// SsimVariance is a filtered square less the square of the mean, not below 0.
VQS_HD float SsimVariance(float square, float mean) {
  const float v = square - mean * mean;
  return v > 0 ? v : 0.0f;
}
VQS_HD float SsimCovariance(float product, float mean_r, float mean_d) { return product - mean_r * mean_d; }

// SsimLocal is one position's luminance, contrast and structure.
struct SsimLocal {
  double l, c, t;
};
VQS_HD SsimLocal SsimLocalOf(float mean_r, float mean_d, float variance_r, float variance_d, float covariance) {
  const float sigma = __builtin_sqrtf(variance_r * variance_d);
  const float cv = covariance < 0 && sigma <= 0 ? 0.0f : covariance;
  SsimLocal p;
  p.l = (2.0 * static_cast<double>(mean_r) * static_cast<double>(mean_d) + static_cast<double>(kSsimC1)) /
        static_cast<double>(mean_r * mean_r + mean_d * mean_d + kSsimC1);
  p.c = (2.0 * static_cast<double>(sigma) + static_cast<double>(kSsimC2)) / static_cast<double>(variance_r + variance_d + kSsimC2);
  p.t = static_cast<double>((cv + kSsimC3) / (sigma + kSsimC3));
  return p;
}

// SsimShift is what SsimFixed adds for F fractional bits, 28 … 48: 1.5·2^(52−F), a number whose unit in the last place is 2^−F.
VQS_HD double SsimShift(int fraction) { return 1.5 * static_cast<double>(static_cast<int64_t>(1) << (52 - fraction)); }

VQS_HD uint64_t SsimBits(double v) { return __builtin_bit_cast(uint64_t, v); }

// SsimFixed is v in 2^−F, rounded to nearest, of two the even one, for |v| < 2^(51−F): the sum is rounded to that unit, and its bits
// count them from those of shift on. Other values give some number, the same everywhere.
VQS_HD uint64_t SsimFixed(double v, double shift) { return SsimBits(v + shift) - SsimBits(shift); }

}  // namespace vqs

#endif  // VQS_COMMON_SSIM_ARITH_H_
