// adm.h — adm_device.h against adm_arith.h.
#ifndef VQS_PROVE_ADM_H_
#define VQS_PROVE_ADM_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// VqsFinding is what a comparison found: how many arguments it tried, how many of them gave something else, and the first of those.
typedef struct VqsFinding {
  int64_t tried, wrong;
  int64_t a, b, c, want, got;
  int64_t open;  // of the angle: how many the estimate left open
} VqsFinding;

void vqs_prove_adm_inverses(VqsFinding* f);
// Of o below 2^14, every sample-th from first on, with every t up to o.
void vqs_prove_adm_plain(int32_t first, int32_t sample, VqsFinding* f);
void vqs_prove_adm_restored(uint64_t seed, int64_t n, VqsFinding* f);
void vqs_prove_adm_enhanced(uint64_t seed, int64_t n, VqsFinding* f);
void vqs_prove_adm_angle(uint64_t seed, int64_t n, VqsFinding* f);
void vqs_prove_adm_small_floats(VqsFinding* f);
// Of all samples of 16 bits under one weight.
void vqs_prove_adm_sensitive(uint32_t weight, VqsFinding* f);
void vqs_prove_adm_masks(VqsFinding* f);

#ifdef __cplusplus
}
#endif

#endif  // VQS_PROVE_ADM_H_
