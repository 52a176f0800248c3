// front.h — what turns a plane into the images that the counting of contrasts works on.
#ifndef VQS_CPU_CAMBI_FRONT_H_
#define VQS_CPU_CAMBI_FRONT_H_

#include <stddef.h>
#include <stdint.h>

#include "scratch.h"

namespace vqs {

// CambiScale is what the filter knows of a scale when it has passed over it.
struct CambiScale {
  int width, height;
  uint64_t counted;     // at least as many pixels as are counted
  int first, last;      // rows of the table: all that occur are in between; first > last if none does
};

// CambiRowsBytes is the size of VqsCambi::rows for pictures up to width columns.
size_t CambiRowsBytes(int width);

// CambiFront converts, filters and masks the plane (§5, §6) into image[0] at the size of scale 0. False for a plane with samples of more
// than bpc bits.
bool CambiFront(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane);

// CambiFilter is the mode filter (§7.2) of image[scale & 1], which has width × height samples: it fills codes, and unless it is the last
// scale the other image with every other sample of every other row (§7.1).
CambiScale CambiFilter(VqsCambi* scratch, const CambiSetup& setup, int scale, int width, int height);

}  // namespace vqs

#endif  // VQS_CPU_CAMBI_FRONT_H_
