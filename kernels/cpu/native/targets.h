// targets.h — which vector target the kernels of this library run on.
#ifndef VQS_CPU_TARGETS_H_
#define VQS_CPU_TARGETS_H_

#include "library.h"

#ifdef __cplusplus
extern "C" {
#endif

// The targets in ascending order of preference. kVqsPlain is the scalar reference and runs everywhere.
enum VqsTarget {
  kVqsPlain = 0,
  kVqsAvx2,
  kVqsAvx512,
  kVqsAvx512Dl,
  kVqsNeon,
  kVqsTargetCount
};

// vqs_cpu_runs is 1 when this library was compiled with target and this processor runs it, else 0.
int vqs_cpu_runs(int target);

// vqs_cpu_set_target makes all later calls use target; kVqsInvalid if it does not run here. Not to be called while a
// kernel runs.
int vqs_cpu_set_target(int target);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_TARGETS_H_
