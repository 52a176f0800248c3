// vif.h — Visual Information Fidelity in integers: sums over a picture at four scales.          Source: spec/vif.md
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (9…16), width × height, width and height ≥ 16
// out    sums[G][K]    one VqsVifSums for each gain limit and rendition
// shared between renditions: the reference's pyramid, means and variances, denominators; between gain limits: all but n2
#ifndef VQS_CPU_VIF_H_
#define VQS_CPU_VIF_H_

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsVifSums are the accumulators of spec/vif.md §5 for scales 0…3. They are exact.
typedef struct VqsVifSums {
  int64_t nl[4];  // Σ log2(n2) − log2(n1), in 1/2048
  int64_t dl[4];  // Σ log2(s1 + σn²) − 17, in 1/2048
  int64_t nv[4];  // Σ s2 over flat pixels, in 1/65536 of a squared grey level
  int64_t c[4];   // number of flat pixels
} VqsVifSums;

typedef struct VqsVif VqsVif;

// vqs_vif_new allocates all that pictures of one size and depth need, for up to `renditions` at a time; 0 when the
// arguments are out of range or memory is short.
VqsVif* vqs_vif_new(size_t width, size_t height, int bpc, size_t renditions);
void vqs_vif_free(VqsVif* v);

// vqs_vif measures one reference against `renditions` pictures under `gains` limits each (1 ≤ limit ≤ 100). Returns a VqsStatus.
int vqs_vif(VqsVif* v, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const double* gains, size_t gain_count,
            VqsVifSums* sums);

// vqs_vif_log2 is log2 of 2^17 ≤ x[i] < 2^31 in 1/2048 as the target in force computes it: for tests.
void vqs_vif_log2(const uint32_t* x, int32_t* out, size_t n);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_VIF_H_
