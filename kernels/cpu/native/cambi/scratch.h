// scratch.h — the working memory behind VqsCambi, shared by the sources of this folder.
#ifndef VQS_CPU_CAMBI_SCRATCH_H_
#define VQS_CPU_CAMBI_SCRATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "cambi.h"
#include "cambi/arith.h"
#include "plane.h"

namespace vqs {

extern const CambiReciprocals kCambiReciprocals;

// Columns whose counters lie together: one cache line of u16. Vectors divide it on every target.
constexpr int kCambiBlock = 32;
// Elements before and after each row, in whole blocks: at least half a window, and what vector code may touch.
constexpr int kCambiPad = 64;
// A sample of an image plane has its code in the low bits and this one set where the mask is 0, so that one plane carries both
// through the scales.
constexpr uint16_t kCambiMaskedOut = 0x8000;
// In a plane of rows of the table: a pixel that is not counted, because of the mask or of its code.
constexpr uint16_t kCambiNoRow = 0xffff;

// CambiSetup is a configuration made ready.
struct CambiSetup {
  int width, height;  // working size
  int window, half;   // 2·half + 1
  bool high_res, anti_dither;
  int contrasts;
  int visible[kCambiMaxContrasts];
  int dark_limit;
  uint64_t pooled[kCambiScales];
  const uint32_t* columns;  // both nullptr where the picture has the working size
  const uint32_t* rows;

  // The vector form's. Only codes from low to high can influence a result (§7.3). They have rows in the table of counters from contrasts
  // on, with as many unused ones before and after them, so that neighbouring codes need no check.
  int low, high, table_rows;
  // qualifies[row] has bit d set when step d + 1 counts around the row's code.
  const uint32_t* qualifies;
  // What runs of 1 … kCambiBlock pixels add to the counters, see counts.cc.
  const uint16_t* bumps;

  // The vectors of a plane that belongs to scale 0, 1, …
  void ScaleSize(int scale, int* w, int* h) const {
    *w = width, *h = height;
    for (int i = 0; i < scale + (high_res ? 1 : 0); ++i) *w = CambiHalf(*w), *h = CambiHalf(*h);
  }
};

// CambiImage is a plane of u16 with kCambiPad elements before each row.
struct CambiImage {
  uint16_t* data;  // row 0, column 0
  ptrdiff_t stride;
  uint16_t* Row(int y) const { return data + y * stride; }
};

}  // namespace vqs

struct VqsCambi {
  int width, height, bpc;
  size_t count;
  vqs::CambiSetup* setups;

  vqs::CambiImage image[2];  // scales 0, 2, 4 and 1, 3
  vqs::CambiImage codes;     // of the scale at hand, as rows of the table
  float* values;             // c-values of the scale at hand
  ptrdiff_t values_stride;
  uint16_t* table;           // counters
  uint8_t* rows;             // rings of rows of the front end and the filter
  uint16_t* runs;            // ring of rows of runs
  uint16_t* plain_image[2];  // of the working size, without padding: the plain function's
  uint8_t* plain_mask;
};

namespace vqs {

// CambiPlain is the definition: written straight from spec/cambi.md §4 … §9. With maps it fills those and leaves sums alone. False for a
// plane with samples of more than bpc bits.
bool CambiPlain(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane, uint64_t* sums, uint16_t* const* maps);

// CambiPool is the sum of the count largest of n c-values, in 1/2^24. It reorders the values.
uint64_t CambiPool(float* values, size_t n, size_t count);

// CambiHeat takes c-values to a heat map (§9).
void CambiHeat(const CambiSetup& setup, const float* values, size_t n, uint16_t* map);

}  // namespace vqs

#endif  // VQS_CPU_CAMBI_SCRATCH_H_
