// motion.h — sum of absolute blurred frame differences of one luma plane pair.
#ifndef VQS_CPU_MOTION_H_
#define VQS_CPU_MOTION_H_

#include <stdint.h>

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsMotion is the working memory for one picture size and depth: about 55 KiB plus four bytes a column.
typedef struct VqsMotion VqsMotion;

// vqs_motion_new makes a scratch for pictures of width × height (3 … 65536 each) and bpc bits per component (8 … 16).
// The caller owns *out and hands it to vqs_motion_free. Returns a VqsStatus: kVqsInvalid for a number out of
// range, kVqsNoMemory.
int vqs_motion_new(int width, int height, int bpc, VqsMotion** out);

// vqs_motion_free accepts NULL.
void vqs_motion_free(VqsMotion* scratch);

// vqs_motion_sad sets *sad to Σ|G ∗ (prev − cur)| in Q(16−bpc); samples are below 2^bpc. Returns a VqsStatus.
int vqs_motion_sad(VqsMotion* scratch, const VqsPlane* prev, const VqsPlane* cur, uint64_t* sad);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_MOTION_H_
