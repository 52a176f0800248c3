// score.h — SpEED: variances, entropies and the score of two planes.                                  Source: spec/speed.md §5.6, §6
#ifndef VQS_COMMON_SPEED_SCORE_H_
#define VQS_COMMON_SPEED_SCORE_H_

#include "speed/matrix.h"

#include "math/log2.h"

namespace vqs {

// ℓ = log2(2πe), rounded.
constexpr double kSpeedLogTwoPiE = 0x1.06073a671183dp+2;

// SpeedVarianceTerm is what one element of a block adds to its variance; the first is not added to 0.
VQS_HD float SpeedVarianceTerm(float x, float y) { return (x * y) / static_cast<float>(kSpeedWindow); }

// SpeedLog is log2(x), as the C library has it also where there is none: −∞ of 0, NaN below.
template <class R>
VQS_HD R SpeedLog(R x) {
  const R log = Choose(x > R(0.0), Log2(x), Choose(x < R(0.0), R(__builtin_nan("")), R(-__builtin_inf())));
  return Choose(x < R(__builtin_inf()), log, x);
}

// SpeedNoisy is the argument of the logarithm of an entropy: variance along one eigenvector, with noise.
VQS_HD float SpeedNoisy(float lambda, float variance, float sigma) {
  return (lambda > 0.0f ? lambda : 0.0f) * variance + sigma;
}

// SpeedEntropy adds an eigenvalue's part to an entropy; log is the logarithm of SpeedNoisy.
VQS_HD float SpeedEntropy(float entropy, double log) {
  return static_cast<float>(static_cast<double>(entropy) + (log + kSpeedLogTwoPiE));
}

// SpeedBase is the entropy below which a block does not count.
VQS_HD float SpeedBase(float sigma, float floor) {
  const float noise = (1.0f + floor) * sigma;
  return static_cast<float>(25.0 * (SpeedLog(static_cast<double>(noise)) + kSpeedLogTwoPiE));
}

// SpeedWeights are what the logarithms are taken of that weigh the entropies of the reference and of the distorted block. mode is
// speed_weight_var_mode, v and w are the two variances.
struct SpeedWeights {
  double reference, distorted;
};
VQS_HD double SpeedMixed(double v, double w, double share) { return 1.0 + (share * v + (1.0 - share) * w); }
VQS_HD double SpeedHalved(float v, float w) { return 1.0 + static_cast<double>(v + w) / 2.0; }
VQS_HD SpeedWeights SpeedWeigh(int mode, float v, float w) {
  const double of_v = static_cast<double>(1.0f + v), of_w = static_cast<double>(1.0f + w);
  switch (mode) {
    case 1:
      return SpeedWeights{of_v, of_v};
    case 2:
      return SpeedWeights{of_w, of_w};
    case 3:
      return SpeedWeights{SpeedHalved(v, w), SpeedHalved(v, w)};
    case 4:
      return SpeedWeights{of_v, SpeedHalved(v, w)};
    case 5:
      return SpeedWeights{of_v, SpeedMixed(v, w, 0.75)};
    case 6:
      return SpeedWeights{of_v, SpeedMixed(v, w, 0.25)};
    default:
      return SpeedWeights{of_v, of_w};
  }
}

// SpeedTerm is what a block adds to the score, where it counts: from its entropies and the logarithms of its weights.
VQS_HD float SpeedTerm(float entropy, double log, float entropy_distorted, double log_distorted) {
  const float of_reference = static_cast<float>(static_cast<double>(entropy) * log);
  const float of_distorted = static_cast<float>(static_cast<double>(entropy_distorted) * log_distorted);
  return SpeedAbs(of_reference - of_distorted);
}

// SpeedCounts says whether a block counts. A NaN does.
VQS_HD bool SpeedCounts(float entropy, float entropy_distorted, float base) {
  return !(entropy < base && entropy_distorted < base);
}

// SpeedScore is the score of a plane with blocks blocks, from the sum of their terms. There is one NaN only: which of them an
// operation gives is up to the processor.
VQS_HD float SpeedScore(float sum, int blocks) {
  const float score = sum / static_cast<float>(blocks);
  return score == score ? score : __builtin_nanf("");
}

}  // namespace vqs

#endif  // VQS_COMMON_SPEED_SCORE_H_
