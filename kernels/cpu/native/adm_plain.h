// adm_plain.h — the scalar reference of ADM.
#ifndef VQS_CPU_ADM_PLAIN_H_
#define VQS_CPU_ADM_PLAIN_H_

#include "adm.h"

namespace vqs {

// AdmPlain is the definition: one reference, one distorted picture, one option set. It allocates its planes, 22 bytes a
// sample, for each call. Returns a VqsStatus.
int AdmPlain(size_t width, size_t height, int bpc, const VqsPlane& ref, const VqsPlane& dis, const VqsAdmConfig& config,
             VqsAdmSums* sums);

}  // namespace vqs

#endif  // VQS_CPU_ADM_PLAIN_H_
