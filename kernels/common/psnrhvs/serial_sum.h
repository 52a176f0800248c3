// serial_sum.h — the sum of a plane, whose order is part of it, without waiting for every addition.   Source: spec/classic-metrics.md §5
//
// The spec adds the contributions to one number of single precision, one after the other, and each addition rounds. While that number stays
// between two powers of two, base ≤ sum < 2·base, it is a multiple of the unit 2^−23·base, and what an addition of c ≥ 0 does to it is to add
// c rounded to a multiple of the unit: the same whatever the sum is, unless c lies in the middle of two multiples, where rounding is to the
// even result. So many contributions are added as integers in any order, and only where there is such a tie, or where the sum gets to
// 2·base, one after the other.
#ifndef VQS_COMMON_PSNRHVS_SERIAL_SUM_H_
#define VQS_COMMON_PSNRHVS_SERIAL_SUM_H_

#include <stdint.h>

#include "hd.h"

namespace vqs {

constexpr int kHvsFractionBits = 23;
constexpr uint32_t kHvsFractionMask = (uint32_t{1} << kHvsFractionBits) - 1;
constexpr uint32_t kHvsUnits = uint32_t{1} << (kHvsFractionBits + 1);  // that 2·base is

// HvsBase is the power of two at or below a sum that is 0, where it is 0 too, or normal.
VQS_HD float HvsBase(float sum) { return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, sum) & ~kHvsFractionMask); }

// HvsTie is the distance of a tie from the multiples of the unit beside it. With base 0 contributions are what they are and there is none.
VQS_HD float HvsTie(float base) { return base > 0 ? base * 0x1p-24f : 1; }

// HvsRounded is c rounded to a multiple of base's unit, or at least base where it is so large that the sum leaves the range. It is a tie
// where |c − HvsRounded(base, c)| is HvsTie(base).
VQS_HD float HvsRounded(float base, float c) { return (base + c) - base; }

}  // namespace vqs

#endif  // VQS_COMMON_PSNRHVS_SERIAL_SUM_H_
