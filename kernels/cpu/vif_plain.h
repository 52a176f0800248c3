// vif_plain.h — what vif.cc and the scalar reference in vif_plain.cc share.
#ifndef VQS_CPU_VIF_PLAIN_H_
#define VQS_CPU_VIF_PLAIN_H_

#include <stddef.h>
#include <stdint.h>

#include "vif.h"

namespace vqs {

constexpr size_t kVifMaxGains = 8;
constexpr size_t kVifLogEntries = 32768;

// VifLogTable is LOG[32768…65535] of spec/vif.md §2.1, followed by padding for vector loads.
const uint16_t* VifLogTable();

// VifPlain is the definition: spec/vif.md read top to bottom, one pixel at a time. Allocates.
int VifPlain(size_t width, size_t height, int bpc, const VqsPlane* ref, const VqsPlane* dis, size_t renditions,
             const double* gains, size_t gain_count, VqsVifSums* sums);

}  // namespace vqs

#endif  // VQS_CPU_VIF_PLAIN_H_
