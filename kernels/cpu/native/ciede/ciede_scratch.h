// ciede_scratch.h — the working memory behind VqsCiede, shared by ciede.cc and ciede_plain.cc.
#ifndef VQS_CPU_CIEDE_SCRATCH_H_
#define VQS_CPU_CIEDE_SCRATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "ciede.h"
#include "ciede/difference.h"

namespace vqs {
// The largest vector, in numbers of 64 bits.
constexpr size_t kCiedeLanes = 8;
}  // namespace vqs

struct VqsCiede {
  int width, height, bpc, layout;
  int chroma_width, chroma_height;
  vqs::CiedeDepth depth;

  // Samples of a row of a picture, chroma brought to the pixels; and L*, a* and b* of a row of the reference and of a distorted picture. A row's room is
  // a multiple of the largest vector. Samples beyond the width stay 0, so that pixels there have no difference.
  size_t room;
  uint16_t* samples;  // 3 rows
  float* lab[2];      // 3 rows each
};

namespace vqs {

// A CiedeLabRow makes L*, a* and b* of the samples in the scratch, three rows of floats from lab on.
using CiedeLabRow = void (*)(const VqsCiede& scratch, float* lab);
// A CiedeSumRow is Σ ΔE00 over a row, in 2^−kCiedeFraction.
using CiedeSumRow = uint64_t (*)(const VqsCiede& scratch);

void CiedeLabRowPlain(const VqsCiede& scratch, float* lab);
uint64_t CiedeSumRowPlain(const VqsCiede& scratch);

// CiedeReadRowPlain brings the samples of row y of a picture into the scratch, pixel by pixel.
void CiedeReadRowPlain(VqsCiede* scratch, const VqsPlane* picture, int y);

}  // namespace vqs

#endif  // VQS_CPU_CIEDE_SCRATCH_H_
