// ciede.h — sums of the colour differences of a picture and its renditions.
#ifndef VQS_CPU_CIEDE_H_
#define VQS_CPU_CIEDE_H_

#include <stdint.h>

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

enum VqsCiedeLayout { kVqsCiede420, kVqsCiede422, kVqsCiede444 };

// VqsCiedeSums is a sum over all pixels: its whole part, and the rest in 2^−36.
typedef struct VqsCiedeSums {
  uint64_t whole, fraction;
} VqsCiedeSums;

// VqsCiede is the working memory for one size, depth and layout: some 30 bytes a column.
typedef struct VqsCiede VqsCiede;

// vqs_ciede_new makes a scratch for pictures of width × height luma samples (1 … 65536 each, at least 2 where chroma has half as many) of bpc
// bits (8 … 16). The caller owns *out and hands it to vqs_ciede_free. Returns a VqsStatus: kVqsInvalid for a number out of range, kVqsNoMemory.
int vqs_ciede_new(int width, int height, int bpc, int layout, VqsCiede** out);

// vqs_ciede_free accepts NULL.
void vqs_ciede_free(VqsCiede* scratch);

// vqs_ciede sets sums[k] to Σ ΔE00 between ref and rendition k. A picture is three planes, Y, Cb, Cr; of chroma the first floor(width/2)
// columns and floor(height/2) rows are looked at where there are half as many. Returns a VqsStatus.
int vqs_ciede(VqsCiede* scratch, const VqsPlane* ref, const VqsPlane* dis, int renditions, VqsCiedeSums* sums);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_CIEDE_H_
