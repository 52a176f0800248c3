// number.h — what the functions of this folder are made of, for one number.
//
// They are templates of a type R, which is double here. Operators and functions of the same names for a vector of numbers make of the
// same text the same arithmetic in each of its lanes: see vector.h. For that the text is in files *.inl, which the headers include in
// namespace vqs, and vector code in a namespace of its own for each set of instructions.
//
//   R            double: +, −, ×, ÷, comparisons, construction from a double
//   Single(R)    float: the same
//   Word(R)      the 64 bits: + and − modulo 2^64, &, |, ^, << and >>
#ifndef VQS_COMMON_MATH_NUMBER_H_
#define VQS_COMMON_MATH_NUMBER_H_

#include <stdint.h>

#include "hd.h"

// VQS_MATH_TABLE declares a table of constants for the processor or the device, whichever the source is compiled for. On the device it is not
// const, which would put it where the threads of a warp read different entries one after the other, nor static, which the compiler writes in
// an order that changes from run to run. VQS_MATH_CONSTANT does the same for a structure.
#if defined(__CUDA__) || defined(__CUDACC__)
#define VQS_MATH_CONSTANT(type, name) __attribute__((device)) type name
#else
#define VQS_MATH_CONSTANT(type, name) constexpr type name
#endif
#define VQS_MATH_TABLE(name, count) VQS_MATH_CONSTANT(double, name)[count]

// VQS_MATH is what the functions of *.inl are declared with.
#define VQS_MATH VQS_HD

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

// Single rounds to binary32, and Double is exact.
VQS_HD float Single(double v) { return static_cast<float>(v); }
VQS_HD double Double(float v) { return static_cast<double>(v); }

// Sqrt is the square root, correctly rounded.
VQS_HD double Sqrt(double v) { return __builtin_sqrt(v); }

VQS_HD double Abs(double v) { return __builtin_fabs(v); }
VQS_HD float Abs(float v) { return __builtin_fabsf(v); }

// Min and Max are the smaller and the larger of two numbers, neither NaN.
VQS_HD double Min(double a, double b) { return a < b ? a : b; }
VQS_HD double Max(double a, double b) { return a > b ? a : b; }

// Choose is yes where the condition holds, else no. Both are computed.
VQS_HD double Choose(bool condition, double yes, double no) { return condition ? yes : no; }
VQS_HD float Choose(bool condition, float yes, float no) { return condition ? yes : no; }

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

#include "math/series.inl"

}  // namespace vqs

#endif  // VQS_COMMON_MATH_NUMBER_H_
