// filter.h — SpEED: from the samples of a plane to one of the resampled plane.                        Source: spec/speed.md §4.1, §4.2
//
// What follows, the anti-alias filter and the local mean, are plain sums: each starts at 0 and adds product by product in ascending order,
// down first and across after. Everything is f32 and rounds at each step.
#ifndef VQS_COMMON_SPEED_FILTER_H_
#define VQS_COMMON_SPEED_FILTER_H_

#include <stdint.h>

#include "hd.h"
#include "mirror.h"

namespace vqs {

constexpr int kSpeedSide = 5;                         // of a block, and of the window whose statistics are taken
constexpr int kSpeedWindow = kSpeedSide * kSpeedSide;
constexpr int kSpeedMaxTaps = 35;                     // of the anti-alias filter, as in kernels/score/speed_plan.go
constexpr int kSpeedMaxMeanTaps = 9;
constexpr int kSpeedMaxPoints = 9;

// The number of points along a direction names the resampling.
constexpr int kSpeedNearest = 1, kSpeedBilinear = 2, kSpeedBicubic = 4, kSpeedLanczos = 9;

// SpeedScale is 2^(8 − bpc), for bpc 8 … 16.
VQS_HD float SpeedScale(int bpc) { return 1.0f / static_cast<float>(1 << (bpc - 8)); }

// SpeedLoad is a sample as it is computed with: −128 … 128, exact.
VQS_HD float SpeedLoad(int sample, float scale) { return static_cast<float>(sample) * scale - 128.0f; }

// SpeedResampled is a sample of the resampled plane. at(j, i) is the plane's sample in the j-th row and the i-th column of the points,
// row(j) and column(i) their weights.
template <int kPoints, class Sample, class RowWeight, class ColumnWeight>
VQS_HD float SpeedResampled(const Sample& at, const RowWeight& row, const ColumnWeight& column) {
  if (kPoints == kSpeedNearest) return at(0, 0);
  if (kPoints == kSpeedBilinear) {
    float sum = (row(0) * column(0)) * at(0, 0);
    sum = sum + (row(0) * column(1)) * at(0, 1);
    sum = sum + (row(1) * column(0)) * at(1, 0);
    return sum + (row(1) * column(1)) * at(1, 1);
  }
  float sum = 0, weights = 0;
  for (int j = 0; j < kPoints; ++j) {
    for (int i = 0; i < kPoints; ++i) {
      // The two read their factors in another order; products do not mind.
      const float weight = column(i) * row(j);
      weights = weights + weight;
      sum = sum + at(j, i) * weight;
    }
  }
  return kPoints == kSpeedLanczos ? sum / weights : sum;
}

}  // namespace vqs

#endif  // VQS_COMMON_SPEED_FILTER_H_
