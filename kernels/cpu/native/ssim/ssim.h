// ssim.h — sums of structural similarity of a picture and its renditions.
#ifndef VQS_CPU_SSIM_H_
#define VQS_CPU_SSIM_H_

#include <stddef.h>
#include <stdint.h>

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsSsimPass is one pair of images that local statistics are formed of.
typedef struct VqsSsimPass {
  int32_t scale;     // 1 … 256: the factor by which the pictures are decimated; 1 with level > 0
  int32_t level;     // 0, or 1 … 4: that level of MS-SSIM's pyramid, whose level 0 is a pass of scale 1
  int32_t fraction;  // fractional bits of its sums, 28 … 48; see score.SSIMFraction
} VqsSsimPass;

// VqsSsimSums are sums over all positions, in 2^−fraction. Source: spec/classic-metrics.md §3.3
typedef struct VqsSsimSums {
  int64_t total;      // Σ l·c·t
  int64_t luminance;  // Σ l
  int64_t contrast;   // Σ c
  int64_t structure;  // Σ t
} VqsSsimSums;

// VqsSsim is the working memory for one picture size and depth: some 140 KiB, 50 more a rendition, and for the reference and each
// rendition images of f32 with up to five sixteenths of the picture's samples, where pictures are decimated.
typedef struct VqsSsim VqsSsim;

// vqs_ssim_new makes a scratch for luma planes of width × height samples of bpc bits (8, 10, 12, 16), up to renditions (≥ 1) distorted
// pictures a call, and these passes (≥ 1), levels of the pyramid in ascending order from 1. Every image that is looked at must have at
// least 11 × 11 samples. NULL: a number is out of range, or there is no memory.
VqsSsim* vqs_ssim_new(size_t width, size_t height, int bpc, size_t renditions, const VqsSsimPass* passes, size_t pass_count);

// vqs_ssim_free accepts NULL.
void vqs_ssim_free(VqsSsim* scratch);

// vqs_ssim sets sums[pass][rendition], pass after pass, of which each has renditions entries. Returns a VqsStatus.
int vqs_ssim(VqsSsim* scratch, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, VqsSsimSums* sums);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_SSIM_H_
