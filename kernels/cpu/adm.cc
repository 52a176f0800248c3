#include "hd.h"

#include "adm.h"

#include <new>

#include "adm_arith.h"
#include "adm_plain.h"
#include "targets.h"

struct VqsAdm {
  size_t width, height, renditions, configs;
  int bpc;
};

extern "C" VqsAdm* vqs_adm_new(size_t width, size_t height, int bpc, size_t renditions, size_t configs) {
  if (width < vqs::kAdmMinSize || height < vqs::kAdmMinSize || width > vqs::kAdmMaxSize || height > vqs::kAdmMaxSize ||
      bpc < 8 || bpc > 16 || renditions < 1 || configs < 1) {
    return nullptr;
  }
  return new (std::nothrow) VqsAdm{width, height, renditions, configs, bpc};
}

extern "C" void vqs_adm_free(VqsAdm* adm) { delete adm; }

extern "C" int vqs_adm(VqsAdm* adm, const VqsPlane* ref, const VqsPlane* dis, size_t renditions,
                       const VqsAdmConfig* configs, size_t config_count, VqsAdmSums* sums) {
  for (size_t c = 0; c < config_count; ++c) {
    for (size_t k = 0; k < renditions; ++k) {
      const int status = vqs::AdmPlain(adm->width, adm->height, adm->bpc, *ref, dis[k], configs[c], &sums[c * renditions + k]);
      if (status != kVqsOk) return status;
    }
  }
  return kVqsOk;
}
