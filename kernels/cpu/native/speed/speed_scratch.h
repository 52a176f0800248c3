// speed_scratch.h — the working memory behind VqsSpeed, and the stages that the plain and the vector code both have.
#ifndef VQS_CPU_SPEED_SCRATCH_H_
#define VQS_CPU_SPEED_SCRATCH_H_

#include <stdint.h>

#include "speed/filter.h"

#include "speed.h"

namespace vqs {

// Floats of a row of a 25 × 25 matrix: a whole number of vectors of every target.
constexpr int kSpeedRow = 32;

// Elements that vector code may read and write beyond the last of a row.
constexpr int kSpeedPad = 64;

// SpeedMatrix is 25 × 25, its rows padded with what does not matter, and as many of them as groups of four have.
struct SpeedMatrix {
  alignas(64) float at[(kSpeedWindow + 3) / 4 * 4][kSpeedRow];
};

// Windows that are worked on together: as numbers of f64, 16 KiB.
constexpr int kSpeedPositions = 64;

// SpeedPlane is what is kept of a plane under one filter: eigenvalues, and the variances of its blocks. A degenerate one has all
// variances 0.
struct SpeedPlane {
  float lambda[kSpeedWindow];
  bool degenerate;
  float* variance;  // blocks, padded
};

// SpeedShape is a filter with the sizes that follow from it. Source: spec/speed.md §3.1.
struct SpeedShape {
  VqsSpeedFilter filter;
  int across, down, blocks;
  int truncated_width, truncated_height;  // the whole blocks
  int positions_across, positions_down, positions;  // of the window
  // Where the vector code has the sums down that sample c wants at tap i: places[i · stride + c], stride being the width and a padding.
  int32_t* places;
  int stride;
};

// SpeedSide is what is kept of one picture's two planes: by plane and filter, and the entropies by plane and entropy of the plan.
struct SpeedSide {
  SpeedPlane* plane[2];
  float** entropy[2];
};

// SpeedStages computes on either code. All take a scratch with their working memory.
struct SpeedStages {
  // decimate sets scratch->decimated, height × width without padding.
  void (*decimate)(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane);
  // subtract sets scratch->detail, truncated_height rows of truncated_width (spec/speed.md §4.4).
  void (*subtract)(VqsSpeed* scratch, const SpeedShape& shape);
  // covariance sets scratch->k (§5.1, §5.2).
  void (*covariance)(VqsSpeed* scratch, const SpeedShape& shape);
  // eigenvalues sets lambda (§5.3).
  void (*eigenvalues)(VqsSpeed* scratch, float* lambda);
  // solve sets variance (§5.5, §5.6), and returns false where the solution fails.
  bool (*solve)(VqsSpeed* scratch, const SpeedShape& shape, float* variance);
  // entropies sets those of all blocks (§5.6).
  void (*entropies)(const SpeedPlane& plane, int blocks, float sigma, float* entropy);
  // score is Σ of the blocks' terms (§6).
  float (*score)(VqsSpeed* scratch, const SpeedPlane& reference, const float* entropy, const SpeedPlane& distorted,
                 const float* entropy_distorted, int blocks, float base, int mode);
};

extern const SpeedStages kSpeedPlain;

// SpeedVector are the stages for the vector target in force.
const SpeedStages& SpeedVector();

}  // namespace vqs

struct VqsSpeed {
  int width, height, bpc;
  int filters, entropies, scores;
  vqs::SpeedShape* shape;     // by filter
  VqsSpeedEntropy* entropy;
  VqsSpeedScore* score;
  vqs::SpeedSide side[2];     // of the reference, and of one distorted picture after the other

  float* decimated;           // Q
  float* detail;              // D

  // Of the vector code alone.
  int room;                   // floats of a row below: a line of the plane, or the taps of all samples of a decimated one
  float* rows;                // for lines as numbers, as many as there are points, and one of sums
  float* windows;             // kSpeedPositions rows of a matrix
  double *centred, *sums;     // the same less the means; a matrix of covariance sums
  float* terms;               // of the score, by block
  vqs::SpeedMatrix k, a, b, c, d;
};

#endif  // VQS_CPU_SPEED_SCRATCH_H_
