// math.h — the functions of kernels/common/math against those of the C library for long double.
#ifndef VQS_PROVE_MATH_H_
#define VQS_PROVE_MATH_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum VqsMathFunction {
  kVqsLog2,      // of positive numbers of any size
  kVqsLog2Near,  // of numbers near 1
  kVqsExp,
  kVqsExp2,
  kVqsSinWithin,
  kVqsCosWithin,
  kVqsSin,  // by SinCos
  kVqsCos,
  kVqsAtan2,
  kVqsMathFunctions
};

// VqsWorst is the argument, or two, of the result that is furthest off, by how many units in its last place, and how far it is off.
typedef struct VqsWorst {
  double x, y, units, error;
} VqsWorst;

// Of n random arguments.
void vqs_prove_math(int function, uint64_t seed, int64_t n, VqsWorst* worst);

#ifdef __cplusplus
}
#endif

#endif  // VQS_PROVE_MATH_H_
