// motion_scratch.h — the working memory behind VqsMotion, shared by motion.cc and motion_plain.cc.
#ifndef VQS_CPU_MOTION_SCRATCH_H_
#define VQS_CPU_MOTION_SCRATCH_H_

#include <stdint.h>

#include "plane.h"

namespace vqs {

// Columns of one strip. A strip's five difference rows and its filtered row (2 bytes a column each, 24 KiB together)
// stay in L1 beside the picture rows that are being read. Narrower strips read the picture in shorter runs, which the
// prefetchers like less: 1920×1080 u8, AVX-512, best of 5: 512 0.78 ms, 1024 0.57 ms, 2048 0.48 ms, 4096 0.57 ms.
// Prefetching two rows ahead by hand: 0 to 25 % slower.
constexpr int kMotionStrip = 2048;

// Elements before and after a row that vector code may touch: a vector of the widest target (2048 bits) and the halo.
constexpr int kMotionPad = 128;
constexpr int kMotionRow = kMotionStrip + 2 * kMotionPad;

}  // namespace vqs

struct VqsMotion {
  int width, height, bpc;

  // Ring of the five difference rows of a strip; row y is in slot y mod 5. See motion.cc for the two forms.
  alignas(64) int16_t difference[5][vqs::kMotionRow];
  alignas(64) int16_t difference_low[5][vqs::kMotionRow];

  // One vertically filtered row of a strip, column 0 of the strip at kMotionPad.
  alignas(64) int16_t filtered[vqs::kMotionRow];
  alignas(64) int16_t filtered_low[vqs::kMotionRow];

  // One vertically filtered row of the picture, for the plain function.
  int32_t* plain_row;
};

namespace vqs {

// MotionPlain is the definition: written straight from spec/motion.md §3.1.
uint64_t MotionPlain(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur);

}  // namespace vqs

#endif  // VQS_CPU_MOTION_SCRATCH_H_
