// adm.h — Additive Detail Measure in integers: sums over a picture at four scales.             Source: spec/adm.md
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (9…16), width × height, width and height ≥ 33
// out    sums[C][K]    one VqsAdmSums for each configuration and rendition
// shared between renditions: the reference's wavelet, reciprocals, denominators; between configurations: both wavelets, the
// angle flag, k and the unenhanced r
#ifndef VQS_CPU_ADM_H_
#define VQS_CPU_ADM_H_

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsAdmConfig is what tells one option set of the extractor from another before the last, floating-point steps.
typedef struct VqsAdmConfig {
  double gain;  // enhancement gain limit, 1…100
  // Contrast sensitivity of each scale, for H and V and for D. Scale 0: Q21 and Q23 below 2^16; others: Q32 below 2^31.
  uint32_t weight[4][2];
  int32_t aim;  // 1: sum the additive impairment too; 0: leave it 0
} VqsAdmConfig;

// VqsAdmSums are the accumulators of spec/adm.md §8 and §10, [scale][band H, V, D]. They are exact.
typedef struct VqsAdmSums {
  uint64_t den[4][3];
  int64_t num[4][3];
  int64_t aim[4][3];
} VqsAdmSums;

typedef struct VqsAdm VqsAdm;

// vqs_adm_new allocates all that pictures of one size and depth need, for up to `renditions` pictures and `configs` option
// sets at a time; NULL when the arguments are out of range or memory is short.
VqsAdm* vqs_adm_new(size_t width, size_t height, int bpc, size_t renditions, size_t configs);
void vqs_adm_free(VqsAdm* adm);

// vqs_adm measures `renditions` pictures against one reference under each of `configs` option sets, which must be no more
// than the scratch was made for. sums[c·renditions + k] is for configuration c and rendition k. Returns a VqsStatus.
int vqs_adm(VqsAdm* adm, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const VqsAdmConfig* configs,
            size_t config_count, VqsAdmSums* sums);

// For tests, as the target in force computes them, n a multiple of 16: vqs_adm_reciprocals is 2^30/m[i], truncated, for
// 1 ≤ m[i] ≤ 2^15; vqs_adm_restored is the restored part r[i] of t[i] before enhancement, |o[i]| < 2^15 at scale 0.
void vqs_adm_reciprocals(const int32_t* m, int32_t* out, size_t n);
void vqs_adm_restored(int scale, const int32_t* o, const int32_t* t, int32_t* r, size_t n);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_ADM_H_
