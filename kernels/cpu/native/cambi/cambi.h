// cambi.h — CAMBI, the banding of one luma plane.
#ifndef VQS_CPU_CAMBI_H_
#define VQS_CPU_CAMBI_H_

#include <stddef.h>
#include <stdint.h>

#include "library.h"
#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { kVqsCambiScales = 5, kVqsCambiSteps = 32 };

// VqsCambiConfig is what the sums depend on beside the picture; package score resolves it from options.
typedef struct VqsCambiConfig {
  int32_t width, height;              // working size, 1 … 65536 each
  int32_t window;                     // odd, 1 … 65
  int32_t high_res;                   // not 0: one more halving before the first scale
  int32_t anti_dither;                // not 0: the encode had fewer than 10 bits
  int32_t contrasts;                  // 1 … 32
  int32_t visible[kVqsCambiSteps];    // largest visible code by contrast step, 0 … 1023
  int32_t dark_limit;                 // 0 … 1023
  uint64_t pooled[kVqsCambiScales];   // how many c-values are pooled, 1 … the samples of the scale
  // Which samples of a row, and which rows, the working size takes; both NULL where that is all of them.
  const uint32_t* columns;            // [width]
  const uint32_t* rows;               // [height]
} VqsCambiConfig;

// VqsCambi is the working memory for pictures of one size and depth under any of a list of configurations.
typedef struct VqsCambi VqsCambi;

// vqs_cambi_new makes a scratch for luma planes of width × height and bpc bits per component (8 … 16). The configurations are copied.
// The caller owns *out and hands it to vqs_cambi_free. Returns a VqsStatus: kVqsInvalid for a number out of range, kVqsNoMemory.
int vqs_cambi_new(int width, int height, int bpc, const VqsCambiConfig* configs, size_t count, VqsCambi** out);

// vqs_cambi_free accepts NULL.
void vqs_cambi_free(VqsCambi* scratch);

// vqs_cambi_sums sets sums[s] to the sum of the pooled c-values of scale s in 1/2^24. Returns a VqsStatus: kVqsInvalid for a plane with
// samples of more than bpc bits.
int vqs_cambi_sums(VqsCambi* scratch, size_t config, const VqsPlane* plane, uint64_t sums[kVqsCambiScales]);

// vqs_cambi_heat_maps fills maps[s] with the c-values of scale s, all rows without padding, 65535 being the largest possible. Returns a
// VqsStatus as vqs_cambi_sums does.
int vqs_cambi_heat_maps(VqsCambi* scratch, size_t config, const VqsPlane* plane, uint16_t* const maps[kVqsCambiScales]);

// vqs_cambi_pool is the sum of the count largest of n c-values, a multiple of 32, in 1/2^24: for tests. The values are reordered.
uint64_t vqs_cambi_pool(float* values, size_t n, size_t count);

// vqs_cambi_reciprocals is the table of reciprocals, [0 … 4225]: for tests.
const float* vqs_cambi_reciprocals(void);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_CAMBI_H_
