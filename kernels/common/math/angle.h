// angle.h — sine, cosine and angle.
#ifndef VQS_COMMON_MATH_ANGLE_H_
#define VQS_COMMON_MATH_ANGLE_H_

#include "math/number.h"

namespace vqs {

constexpr double kPi = 0x1.921fb54442d18p+1;

#include "math/angle.inl"

}  // namespace vqs

#endif  // VQS_COMMON_MATH_ANGLE_H_
