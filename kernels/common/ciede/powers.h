// powers.h — tables for the two powers of the way from R'G'B' to L*a*b*.                   Source: spec/classic-metrics.md §6.2
//
// A cell is a part of an octave, the same part of each, and has a polynomial of degree 4 in the distance from its middle m: that of Taylor of
// degree 5, whose last term 5/16·(4·h²·d³ − h⁴·d)·c5 is the best fit to, h being half the cell's width. Relative to the power, the error is
// below 2^−43: one result in half a million comes out as another binary32 than that of the true power.
//
// The compiler computes the tables, of +, −, × and ÷ of binary64, and compilers agree on those.
#ifndef VQS_COMMON_CIEDE_POWERS_H_
#define VQS_COMMON_CIEDE_POWERS_H_

#include "math/number.h"

namespace vqs {

constexpr int kPowerDegree = 4;

// PowerCells covers 2^kFirst ≤ x < 2^(kFirst + kOctaves) with 2^kBits cells an octave.
template <int kBitsOfCell, int kFirstOctave, int kOctaveCount>
struct PowerCells {
  static constexpr int kBits = kBitsOfCell, kFirst = kFirstOctave, kOctaves = kOctaveCount;
  static constexpr int kCells = kOctaves << kBits;
  double c[kCells * (kPowerDegree + 1)] = {};

  static constexpr double Power2(int n) {
    double v = 1;
    for (; n > 0; --n) v *= 2;
    for (; n < 0; ++n) v /= 2;
    return v;
  }

  // Middle and half the width of a cell.
  static constexpr double Half(int cell) { return Power2(kFirst + (cell >> kBits) - kBits - 1); }
  static constexpr double Middle(int cell) { return Half(cell) * (2 * ((cell & ((1 << kBits) - 1)) + (1 << kBits)) + 1); }

  // Set makes a cell's polynomial for (x + shift)^exponent·scale, given m^exponent·scale for m = its middle + shift.
  constexpr void Set(int cell, double shift, double exponent, double value) {
    const double m = Middle(cell) + shift, h = Half(cell);
    double taylor[kPowerDegree + 2] = {value};
    for (int i = 1; i <= kPowerDegree + 1; ++i) taylor[i] = taylor[i - 1] * ((exponent - (i - 1)) / (i * m));
    taylor[3] += taylor[5] * (1.25 * h * h);
    taylor[1] -= taylor[5] * (0.3125 * h * h * h * h);
    for (int i = 0; i <= kPowerDegree; ++i) c[cell * (kPowerDegree + 1) + i] = taylor[i];
  }
};

// Root is the n-th root of v > 0, from an estimate that is not too small.
constexpr double Root(int n, double v, double estimate) {
  for (int i = 0; i < 8; ++i) {
    double power = 1;
    for (int k = 1; k < n; ++k) power *= estimate;
    estimate -= (estimate - v / power) / n;
  }
  return estimate;
}

// Of ((x + 0.055)/1.055)^2.4 from 1/32 to 4.
using LinearCells = PowerCells<6, -5, 7>;
constexpr LinearCells MakeLinearCells() {
  LinearCells cells;
  double root = 1;
  for (int i = LinearCells::kCells - 1; i >= 0; --i) {  // downwards, so that the root before is an estimate
    const double base = (LinearCells::Middle(i) + 0.055) / 1.055;
    root = Root(5, base, i == LinearCells::kCells - 1 ? 2 : root);
    cells.Set(i, 0.055, 2.4, base * base * (root * root));
  }
  return cells;
}

// Of the cube root from 1/128 to 8.
using CubeRootCells = PowerCells<6, -7, 10>;
constexpr CubeRootCells MakeCubeRootCells() {
  CubeRootCells cells;
  double root = 2;
  for (int i = CubeRootCells::kCells - 1; i >= 0; --i) {
    root = Root(3, CubeRootCells::Middle(i), root);
    cells.Set(i, 0, 1.0 / 3, root);
  }
  return cells;
}

VQS_MATH_CONSTANT(LinearCells, kLinearCells) = MakeLinearCells();
VQS_MATH_CONSTANT(CubeRootCells, kCubeRootCells) = MakeCubeRootCells();

}  // namespace vqs

#endif  // VQS_COMMON_CIEDE_POWERS_H_
