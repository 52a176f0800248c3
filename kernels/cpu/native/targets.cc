// targets.cc — choosing the vector target. Highway's own dispatch picks among the compiled targets that the processor
// supports; narrowing what it believes to be supported to one target forces that one.
#include "hd.h"

#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "targets.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_ONCE
#include <hwy/targets.h>

namespace {

int64_t HighwayTarget(int target) {
  switch (target) {
#if HWY_ARCH_X86
    case kVqsAvx2:
      return HWY_AVX2;
    case kVqsAvx512:
      return HWY_AVX3;
    case kVqsAvx512Dl:
      return HWY_AVX3_DL;
#endif
#if HWY_ARCH_ARM
    case kVqsNeon:
      return HWY_NEON;
#endif
    default:
      return 0;
  }
}

bool g_plain = false;

}  // namespace

extern "C" int vqs_cpu_runs(int target) {
  if (target == kVqsPlain) return 1;
  // Undo an earlier narrowing for the question, and put it back afterwards.
  const int64_t wanted = HighwayTarget(target);
  const int64_t now = hwy::SupportedTargets();
  hwy::SetSupportedTargetsForTest(0);
  const int64_t all = hwy::SupportedTargets();
  hwy::SetSupportedTargetsForTest(now == all ? 0 : now);
  return (all & HWY_TARGETS & wanted) != 0;
}

extern "C" int vqs_cpu_set_target(int target) {
  if (!vqs_cpu_runs(target)) return kVqsInvalid;
  g_plain = target == kVqsPlain;
  hwy::SetSupportedTargetsForTest(g_plain ? 0 : HighwayTarget(target));
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return kVqsOk;
}

extern "C" int vqs_cpu_is_plain(void) { return g_plain; }

#endif  // HWY_ONCE
