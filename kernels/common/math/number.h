// number.h — what the functions of this folder are made of, for one number.
//
// They are templates of a type R, which is double here. The operators of R, and these functions, for a vector of numbers make
// of the same text the same arithmetic in each of its lanes: see vector.h.
//
//   R            +, −, ×, ÷, comparisons, construction from a double
//   Word of R    the 64 bits of it, unsigned: + and − modulo 2^64, &, |, ^, << and >>
#ifndef VQS_COMMON_MATH_NUMBER_H_
#define VQS_COMMON_MATH_NUMBER_H_

#include <stdint.h>

#include "hd.h"

// VQS_MATH_TABLE declares a table of constants for the processor or the device, whichever the source is compiled for. On the device it is not
// const: that would put it where the threads of a warp read different entries one after the other.
#if defined(__CUDA__) || defined(__CUDACC__)
#define VQS_MATH_TABLE(name, count) static __attribute__((device)) double name[count]
#else
#define VQS_MATH_TABLE(name, count) constexpr double name[count]
#endif

namespace vqs {

VQS_HD uint64_t Word(double v) {
  uint64_t word = 0;
  __builtin_memcpy(&word, &v, sizeof word);
  return word;
}

VQS_HD double FromWord(uint64_t word) {
  double v = 0;
  __builtin_memcpy(&v, &word, sizeof v);
  return v;
}

// Sqrt is the square root, correctly rounded.
VQS_HD double Sqrt(double v) { return __builtin_sqrt(v); }

VQS_HD double Abs(double v) { return __builtin_fabs(v); }

// Choose is yes where the condition holds, else no. Both are computed.
VQS_HD double Choose(bool condition, double yes, double no) { return condition ? yes : no; }

// Entry is table[i], i below the table's length.
VQS_HD double Entry(const double* table, uint64_t i) {
#if defined(__CUDA_ARCH__)
  return __nvvm_ldg_d(table + i);
#else
  return table[i];
#endif
}

constexpr uint64_t kSignBit = uint64_t{1} << 63;
constexpr double kRoundToWhole = 0x1.8p52;  // v + this − this is v rounded to a whole number, which is in the low bits of the sum: |v| < 2^51

// Series is c[0] + c[1]·x + … + c[n−1]·x^(n−1), by Horner's rule.
template <int n, class R>
VQS_HD R Series(const double (&c)[n], R x) {
  R sum = R(c[n - 1]);
  for (int i = n - 2; i >= 0; --i) sum = sum * x + R(c[i]);
  return sum;
}

}  // namespace vqs

#endif  // VQS_COMMON_MATH_NUMBER_H_
