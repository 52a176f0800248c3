// matrix.h — SpEED: eigenvalues and solution for the covariance matrix K, 25 × 25.                      Source: spec/speed.md §5.3 … §5.5
//
// The steps that a backend spreads over lanes as it likes are here element by element; a sum over elements is serial and ascending from 0.
// Everything is f32 and rounds at each step, but where a cast says f64.
#ifndef VQS_COMMON_SPEED_MATRIX_H_
#define VQS_COMMON_SPEED_MATRIX_H_

#include "speed/filter.h"

namespace vqs {

// Below it an eigenvalue or a diagonal element is none, and relative to the diagonal an off-diagonal element is zero.
constexpr double kSpeedTiny = 1e-6;
// Steps of the QR iteration. It takes 30 to 40.
constexpr int kSpeedMostSteps = 500;

VQS_HD float SpeedAbs(float x) { return __builtin_fabsf(x); }
VQS_HD float SpeedSign(float x) { return x >= 0.0f ? 1.0f : -1.0f; }

// SpeedRoot is the correctly rounded square root, which is also that in f64 rounded to f32.
VQS_HD float SpeedRoot(float x) { return __builtin_sqrtf(x); }
VQS_HD float SpeedHypot(float x, float y) { return SpeedRoot(x * x + y * y); }

// SpeedReflection is a step of the reduction to tridiagonal form: alpha is the element below the diagonal, nu the norm of those below
// it, which is not 0.
struct SpeedReflection {
  float beta;   // what the element becomes
  float tau;
  float scale;  // alpha − beta, what the column is divided by unless it is 0
};
VQS_HD SpeedReflection SpeedReflect(float alpha, float nu) {
  const float beta = -SpeedSign(alpha) * SpeedHypot(alpha, nu);
  return SpeedReflection{beta, (beta - alpha) / beta, alpha - beta};
}

// SpeedCorrection is α' of the step, from p = Σ x·u.
VQS_HD float SpeedCorrection(float tau, float p) {
  return static_cast<float>((-0.5 * static_cast<double>(tau)) * static_cast<double>(p));
}

// SpeedUpdated is element (k, l) of the matrix after the step.
VQS_HD float SpeedUpdated(float a, float xk, float ul, float uk, float xl) { return a - (xk * ul + uk * xl); }

// SpeedChop sets off-diagonal elements to 0 that are small beside their neighbours: e_from … e_{to−1}. Array is a pointer or what the
// device has instead.
template <class Array>
VQS_HD void SpeedChop(Array d, Array e, int from, int to) {
  for (int i = from; i < to; ++i) {
    const float off = e[i], first = d[i], second = d[i + 1];
    const float sum = SpeedAbs(first) + SpeedAbs(second);
    if (static_cast<double>(SpeedAbs(off)) < kSpeedTiny * static_cast<double>(sum)) e[i] = 0.0f;
  }
}

struct SpeedRotation {
  float c, s;
};
VQS_HD float SpeedInverseRoot(float x) { return static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(x))); }
VQS_HD SpeedRotation SpeedRotate(float a, float b) {
  if (b == 0.0f) return SpeedRotation{1.0f, 0.0f};
  if (SpeedAbs(b) > SpeedAbs(a)) {
    const float t = -a / b;
    const float s = SpeedInverseRoot(1.0f + t * t);
    return SpeedRotation{s * t, s};
  }
  const float t = -b / a;
  const float c = SpeedInverseRoot(1.0f + t * t);
  return SpeedRotation{c, c * t};
}

// SpeedShift is the shift μ of a QR step, from the last two elements of the diagonal, the last beside it, and the first of each.
VQS_HD float SpeedShift(float ta, float tb, float g, float d0, float e0) {
  const float h = (ta - tb) / 2.0f;
  float mu;
  if (h > 0.0f) {
    mu = tb - g * (g / (h + SpeedHypot(h, g)));
  } else if (h == 0.0f) {
    mu = tb - SpeedAbs(g);
  } else {
    mu = tb + g * (g / (-h + SpeedHypot(h, g)));
  }
  const float first = SpeedAbs(d0) + SpeedAbs(e0);
  return kSpeedTiny * static_cast<double>(SpeedAbs(mu)) > static_cast<double>(first) ? 0.0f : mu;
}

// SpeedStep is a QR step on the block d_a … d_b.
template <class Array>
VQS_HD void SpeedStep(Array d, Array e, int a, int b) {
  float ap = d[a], bp = e[a], aq = d[a + 1];
  float x = ap - SpeedShift(d[b - 1], d[b], e[b - 1], ap, bp), z = bp;
  float bk = 0.0f, zk = 0.0f, bq = 0.0f;
  if (b - a > 1) bq = e[a + 1];
  for (int k = a; k < b; ++k) {
    const SpeedRotation r = SpeedRotate(x, z);
    const float c = r.c, s = r.s;
    const float bk1 = c * bk - s * zk;
    const float ap1 = c * (c * ap - s * bp) + s * (s * aq - c * bp);
    const float bp1 = c * (s * ap + c * bp) - s * (s * bp + c * aq);
    const float aq1 = s * (s * ap + c * bp) + c * (s * bp + c * aq);
    const float zp1 = -s * bq;
    bq = c * bq;
    d[k] = ap1;
    if (k > a) e[k - 1] = bk1;
    bk = bp1;
    zk = zp1;
    ap = aq1;
    bp = bq;
    if (k < b - 1) {
      aq = d[k + 2];
      e[k + 1] = bp;
    }
    if (k < b - 2) bq = e[k + 2];
    x = bk;
    z = zk;
  }
  d[b] = ap;
  e[b - 1] = bk;
}

// SpeedEigenvalues makes the diagonal d, 25 long, of a tridiagonal matrix its eigenvalues; e, 24 long, is what stands beside it.
template <class Array>
VQS_HD void SpeedEigenvalues(Array d, Array e) {
  SpeedChop(d, e, 0, kSpeedWindow - 1);
  int b = kSpeedWindow - 1;
  for (int step = 0; b > 0 && step < kSpeedMostSteps;) {
    const float last = e[b - 1];
    if (last == 0.0f) {
      --b;
      continue;
    }
    int a = b - 1;
    for (; a > 0; --a) {
      const float before = e[a - 1];
      if (before == 0.0f) break;
    }
    SpeedStep(d, e, a, b);
    SpeedChop(d, e, a, b);
    ++step;
  }
}

// SpeedIsTiny says of an eigenvalue that the matrix is not regular.
VQS_HD bool SpeedIsTiny(float lambda) { return static_cast<double>(lambda) < kSpeedTiny; }
// SpeedCannotDivide says of an element of the diagonal that the solution fails.
VQS_HD bool SpeedCannotDivide(float r) { return static_cast<double>(SpeedAbs(r)) < kSpeedTiny; }

// SpeedReflector is element (i, j) of a Householder matrix of the vector v.
VQS_HD float SpeedReflector(float vi, float vj, bool diagonal) {
  const float h = (-2.0f * vi) * vj;
  return diagonal ? h + 1.0f : h;
}

}  // namespace vqs

#endif  // VQS_COMMON_SPEED_MATRIX_H_
