// ssim_scratch.h — the working memory behind VqsSsim.
#ifndef VQS_CPU_SSIM_SCRATCH_H_
#define VQS_CPU_SSIM_SCRATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "ssim/arith.h"
#include "ssim.h"

namespace vqs {

constexpr int kBandRows = kSsimTaps;  // rows that are filtered across before they are filtered down
// Columns that are filtered at a time. What a strip needs, 190 KiB with one rendition, stays in L2. 1920×1080 u8, AVX-512, best of 12:
// 64 22.9 ms, 128 22.2 ms, 192 21.3 ms, 256 23.0 ms, 512 22.2 ms.
constexpr int kStrip = 192;
constexpr int kPad = 32;              // elements that vector code may touch beyond a row: two vectors of 512 bits
constexpr int kRow = kStrip + 2 * kPad;  // with the border of the window; every row begins at a multiple of 64 bytes
static_assert(kSsimBorder <= kPad, "the border is in the first of the two");
constexpr int kDistinctTaps = kSsimTaps / 2 + 1;

enum RefQuantity { kMeanR, kSquareR, kRefQuantities };
enum DisQuantity { kMeanD, kSquareD, kProduct, kDisQuantities };

constexpr int kHalfStrip = 128;                           // columns that halving makes at a time
constexpr int kHalfMargin = kMsSsimRadius / 2;            // columns of either parity beside those
constexpr int kHalfRow = kHalfStrip + 2 * kPad;
static_assert(2 * kHalfMargin <= kPad, "the margins are in the first of the two");
constexpr int kHalfAhead = kMsSsimRadius + 1;             // rows that one row of the picture adds to, at the most

// View is a picture as it is read: samples of a plane, or of an image of f32.
struct View {
  enum Kind { kBytes, kWords, kFloats };
  const uint8_t* data;
  size_t stride_bytes;
  int width, height;
  Kind kind;
  float unit;  // what a sample of a plane is multiplied with
};

}  // namespace vqs

struct VqsSsim {
  int width, height, bpc;
  size_t renditions;
  size_t pass_count;
  VqsSsimPass* passes;
  vqs::View* views;  // room for what each rendition's picture looks like

  // Two sets of images, one for the reference and one for each rendition: what a pass looks at, and the level before. image_floats is how
  // many samples an image of a set has room for.
  float* images[2];
  size_t image_floats[2];
  // Σ over the rows of a decimated sample, by column of the picture, with kSsimMaxScale more on both sides: double, or uint32_t where the
  // scale is a power of two.
  void* columns;
  // Accumulators of the filter down, 11 rows of a strip for each quantity: the reference's, then each rendition's.
  double* down;
  size_t down_doubles;

  alignas(64) float row_r[vqs::kBandRows][vqs::kRow];
  alignas(64) float row_d[vqs::kRow];
  alignas(64) float weighted[vqs::kDistinctTaps][vqs::kRow];                                   // a row times each tap
  alignas(64) float across[vqs::kDisQuantities][vqs::kBandRows][vqs::kStrip + vqs::kPad];      // filtered across
  alignas(64) float filtered_r[vqs::kRefQuantities][vqs::kBandRows][vqs::kStrip + vqs::kPad];  // and down
  alignas(64) float filtered_d[vqs::kDisQuantities][vqs::kBandRows][vqs::kStrip + vqs::kPad];

  // Halving: a row, its even and its odd columns, these times the taps of a row of the filter, and accumulators.
  alignas(64) float half_row[2 * vqs::kHalfRow];
  alignas(64) float half_even[vqs::kHalfRow], half_odd[vqs::kHalfRow];
  alignas(64) float half_weighted[vqs::kMsSsimRadius + 1][vqs::kHalfRow];
  alignas(64) double half_sum[vqs::kHalfAhead][vqs::kHalfStrip + vqs::kPad];
};

#endif  // VQS_CPU_SSIM_SCRATCH_H_
