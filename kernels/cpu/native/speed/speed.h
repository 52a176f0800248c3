// speed.h — SpEED of the chroma planes of one picture and its renditions.
#ifndef VQS_CPU_SPEED_H_
#define VQS_CPU_SPEED_H_

#include <stdint.h>

#include "library.h"
#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsSpeedAxis, VqsSpeedFilter, VqsSpeedEntropy and VqsSpeedScore are the parts of a plan, which kernels/score/speed_plan.go explains. The
// tables have (points · size · taps) entries each, size being the filter's width or height.
typedef struct VqsSpeedAxis {
  const int32_t* index;
  const float* weight;
} VqsSpeedAxis;

typedef struct VqsSpeedFilter {
  int32_t width, height, points, taps, mean_taps;
  const float* anti_alias;
  const float* mean;
  VqsSpeedAxis columns, rows;
} VqsSpeedFilter;

typedef struct VqsSpeedEntropy {
  int32_t filter;
  float sigma;
} VqsSpeedEntropy;

typedef struct VqsSpeedScore {
  int32_t entropy;
  float sigma, floor;
  int32_t mode;
} VqsSpeedScore;

typedef struct VqsSpeedPlan {
  int32_t width, height, bpc;  // of the planes; 8 … 16 bits
  int32_t filters, entropies, scores;
  const VqsSpeedFilter* filter;
  const VqsSpeedEntropy* entropy;
  const VqsSpeedScore* score;
} VqsSpeedPlan;

// VqsSpeedSums are the scores of U and V, and whether either plane is degenerate (0 or 1).
typedef struct VqsSpeedSums {
  float score[2];
  int32_t degenerate[2];
} VqsSpeedSums;

// VqsSpeed is a plan with the working memory for it: 300 KiB, and 300 bytes for each block of a plane of every filter.
typedef struct VqsSpeed VqsSpeed;

// vqs_speed_new makes a scratch. It copies the plan. The caller owns *out and hands it to vqs_speed_free. Returns a VqsStatus:
// kVqsInvalid for sizes out of range, kVqsNoMemory.
int vqs_speed_new(const VqsSpeedPlan* plan, VqsSpeed** out);

// vqs_speed_free accepts NULL.
void vqs_speed_free(VqsSpeed* scratch);

// vqs_speed compares pictures with a reference. reference points to its two chroma planes, distorted to the planes of `pictures` others,
// two each. Sums of configuration c and picture k go to sums[c · pictures + k]. Returns a VqsStatus.
int vqs_speed(VqsSpeed* scratch, const VqsPlane* reference, const VqsPlane* distorted, int pictures, VqsSpeedSums* sums);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_SPEED_H_
