// psnrhvs.h — sums of what differs visibly between a reference plane and others.
#ifndef VQS_CPU_PSNRHVS_H_
#define VQS_CPU_PSNRHVS_H_

#include <stddef.h>

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

// VqsPsnrHvs is the working memory for one depth: about 40 KiB.
typedef struct VqsPsnrHvs VqsPsnrHvs;

// vqs_psnrhvs_new makes a scratch for bpc bits per component (8 … 12). The caller owns *out and hands it to vqs_psnrhvs_free. Returns a
// VqsStatus: kVqsInvalid for a depth out of range, kVqsNoMemory.
int vqs_psnrhvs_new(int bpc, VqsPsnrHvs** out);

// vqs_psnrhvs_free accepts NULL.
void vqs_psnrhvs_free(VqsPsnrHvs* scratch);

// vqs_psnrhvs_plane sets sums[k] to the sum of contributions of one plane, 0 Y, 1 Cb or 2 Cr, of dis[k] against ref, k < count. All have
// width × height samples (8 … 65536 each) below 2^bpc. Returns a VqsStatus.
int vqs_psnrhvs_plane(VqsPsnrHvs* scratch, int plane, int width, int height, const VqsPlane* ref, const VqsPlane* dis, size_t count,
                      float* sums);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_PSNRHVS_H_
