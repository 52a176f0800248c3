// speed_vector.cc — SpEED of a plane.                                                          Source: spec/speed.md §4 … §6
//
//   Q = (k ∗ resampled plane) at every 16th sample of every 16th row        D = Q − mean ∗ Q        K = covariance of D's 5 × 5 windows
//   λ = eigenvalues of K;   K·X = Y, the blocks of D;   V = Σ X·Y/25;   E = Σ log2(λ·V + σ) + ℓ      score: from the E and V of two planes
//
// in     u8 (bpc 8) or u16 (10, 12, 16), samples below 2^bpc
// out    λ, V, E: f32 by block
// float  f32, each step rounded; the covariance sums, square roots of rotations, logarithms and what is added to them in f64
// order  that of speed_plain.cc: a lane has a sum of its own, which it forms serially. Lanes are columns of the plane, elements of the window,
//        columns of a matrix, or blocks, never terms of one sum
// moved  each sample that counts (9/16 of them) once from memory; what follows stays in L1 and L2
// work   1920×1080, 4:2:0: a third of the time each goes into the plane and into the 325 covariance sums; the rest is matrices, half of it rotations
//        that wait for each other. After prescaling by a half, nearly all of it is the plane: four gathered samples for one
#include "hd.h"

#include "speed_scratch.h"

#include <string.h>

#include "speed/matrix.h"
#include "speed/score.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "speed_vector.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "math/vector.h"

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// One lane is no faster than the plain code.
const SpeedStages* SpeedStagesOfTarget() { return &kSpeedPlain; }

#else

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::VFromD<DF>;
using DI = hn::RebindToSigned<DF>;
using DD = hn::ScalableTag<double>;
using VD = hn::VFromD<DD>;

static_assert(hn::MaxLanes(DF()) <= kSpeedRow / 2 && kSpeedRow % hn::MaxLanes(DF()) == 0, "whole vectors make a row of a matrix");

constexpr int n = kSpeedWindow;

HWY_INLINE int Lanes() { return static_cast<int>(hn::Lanes(DF())); }

// Loader reads samples as numbers.
template <typename Sample>
struct Loader {
  VF scale = hn::Zero(DF()), middle = hn::Set(DF(), 128.0f);
  explicit HWY_INLINE Loader(int bpc) : scale(hn::Set(DF(), SpeedScale(bpc))) {}
  HWY_INLINE VF operator()(const Sample* p) const {
    const hn::Rebind<Sample, DF> narrow;
    const VF v = hn::ConvertTo(DF(), hn::PromoteTo(DI(), hn::LoadU(narrow, p)));
    return hn::Sub(hn::Mul(v, scale), middle);
  }
};

template <typename Sample>
const Sample* Row(const VqsPlane& plane, int y) {
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes);
}

// DownWhole sums down decimated row r in all columns of the plane, of which the last vector overlaps its predecessor rather than read past
// the row. No plane is narrower than a vector: 80 samples of the resampled plane are 20 at the least.
template <typename Sample>
void DownWhole(const VqsSpeedFilter& f, const VqsPlane& plane, int width, int bpc, int r, float* HWY_RESTRICT down) {
  const Loader<Sample> load(bpc);
  const Sample* row[kSpeedMaxTaps];
  for (int j = 0; j < f.taps; ++j) row[j] = Row<Sample>(plane, f.rows.index[r * f.taps + j]);
  const int lanes = Lanes();
  for (int x = 0;; x = x + 2 * lanes <= width ? x + lanes : width - lanes) {
    VF sum = hn::Zero(DF());
    for (int j = 0; j < f.taps; ++j) sum = hn::Add(sum, hn::Mul(hn::Set(DF(), f.anti_alias[j]), load(row[j] + x)));
    hn::StoreU(sum, DF(), down + x);
    if (x + lanes == width) break;
  }
}

// DownAt sums down decimated row r at the taps of all its samples, of the resampled plane. numbers has room for a row of the plane for each point.
template <typename Sample, int kPoints>
void DownAt(const VqsSpeedFilter& f, const VqsPlane& plane, int width, int room, int bpc, int r, float* HWY_RESTRICT numbers,
            float* HWY_RESTRICT down) {
  const Loader<Sample> load(bpc);
  const int lanes = Lanes(), positions = f.width * f.taps;
  for (int j = 0; j < f.taps; ++j) {
    float row_weight[kPoints];
    for (int p = 0; p < kPoints; ++p) {
      const int at = (p * f.height + r) * f.taps + j;
      row_weight[p] = f.rows.weight[at];
      const Sample* const row = Row<Sample>(plane, f.rows.index[at]);
      for (int x = 0;; x = x + 2 * lanes <= width ? x + lanes : width - lanes) {
        hn::StoreU(load(row + x), DF(), numbers + p * room + x);
        if (x + lanes == width) break;
      }
    }
    const VF tap = hn::Set(DF(), f.anti_alias[j]);
    for (int x = 0; x < positions; x += lanes) {
      VF sum = hn::Zero(DF()), weights = hn::Zero(DF());
      for (int v = 0; v < kPoints; ++v) {
        for (int h = 0; h < kPoints; ++h) {
          const auto index = hn::LoadU(DI(), f.columns.index + h * positions + x);
          const VF sample = hn::GatherIndex(DF(), numbers + v * room, index);
          const VF weight = hn::Mul(hn::LoadU(DF(), f.columns.weight + h * positions + x), hn::Set(DF(), row_weight[v]));
          const VF product = hn::Mul(weight, sample);
          // A bilinear sample begins with its first product, not with 0.
          sum = kPoints == kSpeedBilinear && v == 0 && h == 0 ? product : hn::Add(sum, product);
          if (kPoints == kSpeedLanczos) weights = hn::Add(weights, weight);
        }
      }
      if (kPoints == kSpeedLanczos) sum = hn::Div(sum, weights);
      const VF before = j == 0 ? hn::Zero(DF()) : hn::LoadU(DF(), down + x);
      hn::StoreU(hn::Add(before, hn::Mul(tap, sum)), DF(), down + x);
    }
  }
}

template <typename Sample>
void DecimateBy(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane) {
  const VqsSpeedFilter& f = shape.filter;
  const int width = scratch->width, room = scratch->room, bpc = scratch->bpc, lanes = Lanes();
  float *const numbers = scratch->rows, *const down = scratch->rows + kSpeedMaxPoints * room;
  for (int r = 0; r < f.height; ++r) {
    switch (f.points) {
      case kSpeedNearest:
        DownWhole<Sample>(f, plane, width, bpc, r, down);
        break;
      case kSpeedBilinear:
        DownAt<Sample, kSpeedBilinear>(f, plane, width, room, bpc, r, numbers, down);
        break;
      case kSpeedBicubic:
        DownAt<Sample, kSpeedBicubic>(f, plane, width, room, bpc, r, numbers, down);
        break;
      default:
        DownAt<Sample, kSpeedLanczos>(f, plane, width, room, bpc, r, numbers, down);
    }
    // What is stored beyond a row is overwritten by the next.
    for (int c = 0; c < f.width; c += lanes) {
      VF sum = hn::Zero(DF());
      for (int i = 0; i < f.taps; ++i) {
        const VF v = hn::GatherIndex(DF(), down, hn::LoadU(DI(), shape.places + i * shape.stride + c));
        sum = hn::Add(sum, hn::Mul(hn::Set(DF(), f.anti_alias[i]), v));
      }
      hn::StoreU(sum, DF(), scratch->decimated + r * f.width + c);
    }
  }
}

void Decimate(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane) {
  if (scratch->bpc == 8) return DecimateBy<uint8_t>(scratch, shape, plane);
  DecimateBy<uint16_t>(scratch, shape, plane);
}

void Subtract(VqsSpeed* scratch, const SpeedShape& shape) {
  const VqsSpeedFilter& f = shape.filter;
  const int lanes = Lanes(), reach = f.mean_taps / 2;
  float* const down = scratch->rows + kSpeedMaxMeanTaps;  // with room for the mirror image on both sides
  for (int r = 0; r < shape.truncated_height; ++r) {
    for (int c = 0; c < f.width; c += lanes) {
      VF sum = hn::Zero(DF());
      for (int j = 0; j < f.mean_taps; ++j) {
        const float* const row = scratch->decimated + MirrorWhole(r + j - reach, f.height) * f.width;
        sum = hn::Add(sum, hn::Mul(hn::Set(DF(), f.mean[j]), hn::LoadU(DF(), row + c)));
      }
      hn::StoreU(sum, DF(), down + c);
    }
    for (int i = 1; i <= reach; ++i) {
      down[-i] = down[MirrorWhole(-i, f.width)];
      down[f.width - 1 + i] = down[MirrorWhole(f.width - 1 + i, f.width)];
    }
    for (int c = 0; c < shape.truncated_width; c += lanes) {
      VF mean = hn::Zero(DF());
      for (int i = 0; i < f.mean_taps; ++i) {
        mean = hn::Add(mean, hn::Mul(hn::Set(DF(), f.mean[i]), hn::LoadU(DF(), down + c + i - reach)));
      }
      // What is stored beyond a row is overwritten by the next.
      hn::StoreU(hn::Sub(hn::LoadU(DF(), scratch->decimated + r * f.width + c), mean), DF(),
                 scratch->detail + r * shape.truncated_width + c);
    }
  }
}

// Windows copies the windows of up to kSpeedPositions positions from `first` on, a row of a matrix each.
int Windows(VqsSpeed* scratch, const SpeedShape& shape, int first) {
  const int count = shape.positions - first < kSpeedPositions ? shape.positions - first : kSpeedPositions;
  int r = first / shape.positions_across, c = first % shape.positions_across;
  for (int k = 0; k < count; ++k) {
    const float* const corner = scratch->detail + r * shape.truncated_width + c;
    float* const window = scratch->windows + k * kSpeedRow;
    for (int i = 0; i < kSpeedSide; ++i) {
      memcpy(window + i * kSpeedSide, corner + i * shape.truncated_width, kSpeedSide * sizeof(float));
    }
    if (++c == shape.positions_across) {
      c = 0;
      ++r;
    }
  }
  return count;
}

// AddProducts adds the products of elements e … e + 3 with elements f … of two vectors, of count windows in f64.
HWY_INLINE void AddProducts(const double* HWY_RESTRICT centred, int count, int e, int f, double* HWY_RESTRICT sums) {
  const DD d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  double* const to = sums + e * kSpeedRow + f;
  VD s00 = hn::Load(d, to), s01 = hn::Load(d, to + lanes);
  VD s10 = hn::Load(d, to + kSpeedRow), s11 = hn::Load(d, to + kSpeedRow + lanes);
  VD s20 = hn::Load(d, to + 2 * kSpeedRow), s21 = hn::Load(d, to + 2 * kSpeedRow + lanes);
  VD s30 = hn::Load(d, to + 3 * kSpeedRow), s31 = hn::Load(d, to + 3 * kSpeedRow + lanes);
  for (int k = 0; k < count; ++k) {
    const double* const window = centred + k * kSpeedRow;
    const VD b0 = hn::Load(d, window + f), b1 = hn::Load(d, window + f + lanes);
    const VD a0 = hn::Set(d, window[e]), a1 = hn::Set(d, window[e + 1]), a2 = hn::Set(d, window[e + 2]), a3 = hn::Set(d, window[e + 3]);
    s00 = hn::Add(s00, hn::Mul(a0, b0));
    s01 = hn::Add(s01, hn::Mul(a0, b1));
    s10 = hn::Add(s10, hn::Mul(a1, b0));
    s11 = hn::Add(s11, hn::Mul(a1, b1));
    s20 = hn::Add(s20, hn::Mul(a2, b0));
    s21 = hn::Add(s21, hn::Mul(a2, b1));
    s30 = hn::Add(s30, hn::Mul(a3, b0));
    s31 = hn::Add(s31, hn::Mul(a3, b1));
  }
  hn::Store(s00, d, to);
  hn::Store(s01, d, to + lanes);
  hn::Store(s10, d, to + kSpeedRow);
  hn::Store(s11, d, to + kSpeedRow + lanes);
  hn::Store(s20, d, to + 2 * kSpeedRow);
  hn::Store(s21, d, to + 2 * kSpeedRow + lanes);
  hn::Store(s30, d, to + 3 * kSpeedRow);
  hn::Store(s31, d, to + 3 * kSpeedRow + lanes);
}

void Covariance(VqsSpeed* scratch, const SpeedShape& shape) {
  const DF df;
  const DD dd;
  const hn::Rebind<float, DD> half;
  const int lanes = Lanes(), wide = static_cast<int>(hn::Lanes(dd));
  alignas(64) float mean[kSpeedRow] = {};
  for (int first = 0; first < shape.positions; first += kSpeedPositions) {
    const int count = Windows(scratch, shape, first);
    for (int e = 0; e < kSpeedRow; e += lanes) {
      VF sum = hn::Load(df, mean + e);
      for (int k = 0; k < count; ++k) sum = hn::Add(sum, hn::Load(df, scratch->windows + k * kSpeedRow + e));
      hn::Store(sum, df, mean + e);
    }
  }
  for (int e = 0; e < n; ++e) mean[e] = mean[e] / static_cast<float>(shape.positions);

  double* const sums = scratch->sums;
  memset(sums, 0, sizeof(double) * kSpeedRow * kSpeedRow);
  for (int first = 0; first < shape.positions; first += kSpeedPositions) {
    const int count = Windows(scratch, shape, first);
    for (int e = 0; e < kSpeedRow; e += wide) {
      const VD less = hn::PromoteTo(dd, hn::Load(half, mean + e));
      for (int k = 0; k < count; ++k) {
        const VD v = hn::PromoteTo(dd, hn::Load(half, scratch->windows + k * kSpeedRow + e));
        hn::Store(hn::Sub(v, less), dd, scratch->centred + k * kSpeedRow + e);
      }
    }
    for (int e = 0; e < n; e += 4) {
      for (int f = 0; f < e + 4 && f < n; f += 2 * wide) AddProducts(scratch->centred, count, e, f, sums);
    }
  }
  for (int e = 0; e < n; ++e) {
    for (int f = 0; f <= e; ++f) {
      const double sum = sums[e * kSpeedRow + f];
      scratch->k.at[e][f] = scratch->k.at[f][e] = static_cast<float>(sum / static_cast<double>(shape.positions));
    }
  }
}

// Tridiagonal makes d and e of the matrix and uses it up. The matrix stays symmetric to the last bit, so that a row serves as a column.
void Tridiagonal(SpeedMatrix& matrix, float* d, float* e) {
  const DF df;
  const int lanes = Lanes();
  auto& a = matrix.at;
  for (int i = 0; i < n - 2; ++i) {
    d[i] = a[i][i];
    e[i] = a[i][i + 1];
    float q = 0;
    for (int k = i + 2; k < n; ++k) q = q + a[i][k] * a[i][k];
    const float nu = SpeedRoot(q);
    if (nu == 0.0f) continue;
    const SpeedReflection r = SpeedReflect(e[i], nu);
    alignas(64) float u[kSpeedRow], x[kSpeedRow];
    if (r.scale != 0.0f) {
      e[i] = r.beta;
      for (int k = 0; k < kSpeedRow; k += lanes) hn::Store(hn::Div(hn::Load(df, a[i] + k), hn::Set(df, r.scale)), df, u + k);
    } else {
      memcpy(u, a[i], sizeof u);
    }
    if (r.tau == 0.0f) continue;
    // Zeros, which change nothing, outside of what is left of the matrix.
    for (int k = 0; k <= i; ++k) u[k] = 0.0f;
    for (int k = n; k < kSpeedRow; ++k) u[k] = 0.0f;
    u[i + 1] = 1.0f;
    for (int k = i / lanes * lanes; k < kSpeedRow; k += lanes) {
      VF sum = hn::Zero(df);
      const VF tau = hn::Set(df, r.tau);
      for (int l = i + 1; l < n; ++l) sum = hn::Add(sum, hn::Mul(hn::Mul(tau, hn::Load(df, a[l] + k)), hn::Set(df, u[l])));
      hn::Store(sum, df, x + k);
    }
    float p = 0;
    for (int k = i + 1; k < n; ++k) p = p + x[k] * u[k];
    const VF correction = hn::Set(df, SpeedCorrection(r.tau, p));
    for (int k = i / lanes * lanes; k < kSpeedRow; k += lanes) {
      hn::Store(hn::Add(hn::Load(df, x + k), hn::Mul(correction, hn::Load(df, u + k))), df, x + k);
    }
    for (int k = 0; k <= i; ++k) x[k] = 0.0f;
    for (int k = n; k < kSpeedRow; ++k) x[k] = 0.0f;
    for (int k = i / lanes * lanes; k < kSpeedRow; k += lanes) {
      const VF ul = hn::Load(df, u + k), xl = hn::Load(df, x + k);
      for (int l = i + 1; l < n; ++l) {
        const VF sum = hn::Add(hn::Mul(hn::Set(df, x[l]), ul), hn::Mul(hn::Set(df, u[l]), xl));
        hn::Store(hn::Sub(hn::Load(df, a[l] + k), sum), df, a[l] + k);
      }
    }
  }
  d[n - 2] = a[n - 2][n - 2];
  d[n - 1] = a[n - 1][n - 1];
  e[n - 2] = a[n - 2][n - 1];
}

void Eigenvalues(VqsSpeed* scratch, float* lambda) {
  float e[n - 1];
  memcpy(&scratch->a, &scratch->k, sizeof scratch->a);
  Tridiagonal(scratch->a, lambda, e);
  SpeedEigenvalues(lambda, e);
}

// Multiply sets rows from `first` on of out to left·in, in columns from a multiple of a vector on, where the first `first` columns of left are 0.
HWY_INLINE void Multiply(const SpeedMatrix& left, const SpeedMatrix& in, int first, int column, SpeedMatrix& out) {
  const DF df;
  const int lanes = Lanes();
  for (int i = first; i < n; i += 4) {
    const float *const h0 = left.at[i], *const h1 = left.at[i + 1], *const h2 = left.at[i + 2], *const h3 = left.at[i + 3];
    for (int j = column; j < n; j += lanes) {
      VF s0 = hn::Zero(df), s1 = hn::Zero(df), s2 = hn::Zero(df), s3 = hn::Zero(df);
      for (int k = first; k < n; ++k) {
        const VF row = hn::Load(df, in.at[k] + j);
        s0 = hn::Add(s0, hn::Mul(hn::Set(df, h0[k]), row));
        s1 = hn::Add(s1, hn::Mul(hn::Set(df, h1[k]), row));
        s2 = hn::Add(s2, hn::Mul(hn::Set(df, h2[k]), row));
        s3 = hn::Add(s3, hn::Mul(hn::Set(df, h3[k]), row));
      }
      hn::Store(s0, df, out.at[i] + j);
      hn::Store(s1, df, out.at[i + 1] + j);
      hn::Store(s2, df, out.at[i + 2] + j);
      hn::Store(s3, df, out.at[i + 3] + j);
    }
  }
}

// Factor sets g to the product of the Householder matrices of K.
void Factor(VqsSpeed* scratch, SpeedMatrix& g) {
  const DF df;
  const int lanes = Lanes();
  SpeedMatrix &z = scratch->a, &h = scratch->c, &next = scratch->d;
  memcpy(&z, &scratch->k, sizeof z);
  memset(&g, 0, sizeof g);
  for (int i = 0; i < n; ++i) g.at[i][i] = 1.0f;
  for (int k = 0; k < n - 1; ++k) {
    alignas(64) float v[kSpeedRow] = {};
    float q = 0;
    for (int i = k; i < n; ++i) {
      v[i] = z.at[i][k];
      q = q + v[i] * v[i];
    }
    v[k] = v[k] + SpeedSign(scratch->k.at[k][k]) * SpeedRoot(q);
    q = 0;
    for (int i = k; i < n; ++i) q = q + v[i] * v[i];
    const VF norm = hn::Set(df, SpeedRoot(q));
    for (int i = 0; i < kSpeedRow; i += lanes) hn::Store(hn::Div(hn::Load(df, v + i), norm), df, v + i);
    for (int j = 0; j < kSpeedRow; j += lanes) {
      const VF vj = hn::Load(df, v + j);
      for (int i = k; i < n; ++i) hn::Store(hn::Mul(hn::Set(df, -2.0f * v[i]), vj), df, h.at[i] + j);
    }
    for (int i = k; i < n; ++i) h.at[i][i] = h.at[i][i] + 1.0f;
    const size_t bytes = static_cast<size_t>(n - k) * sizeof z.at[0];
    Multiply(h, z, k, k / lanes * lanes, next);
    memcpy(z.at[k], next.at[k], bytes);
    Multiply(h, g, k, 0, next);
    memcpy(g.at[k], next.at[k], bytes);
  }
}

bool Solve(VqsSpeed* scratch, const SpeedShape& shape, float* variance) {
  const DF df;
  const int lanes = Lanes();
  SpeedMatrix &g = scratch->b, &right = scratch->a;
  Factor(scratch, g);
  Multiply(g, scratch->k, 0, 0, right);
  for (int i = 0; i < n; ++i) {
    if (SpeedCannotDivide(right.at[i][i])) return false;
  }

  for (int first = 0; first < shape.blocks; first += lanes) {
    // Lanes beyond the last block repeat it.
    alignas(64) float y[n][kSpeedRow], t[n + 3][kSpeedRow];
    for (int lane = 0; lane < lanes; ++lane) {
      const int block = first + lane < shape.blocks ? first + lane : shape.blocks - 1;
      const float* const corner =
          scratch->detail + block / shape.across * kSpeedSide * shape.truncated_width + block % shape.across * kSpeedSide;
      for (int e = 0; e < n; ++e) y[e][lane] = corner[e / kSpeedSide * shape.truncated_width + e % kSpeedSide];
    }
    for (int i = 0; i < n; i += 4) {
      VF s0 = hn::Zero(df), s1 = hn::Zero(df), s2 = hn::Zero(df), s3 = hn::Zero(df);
      for (int k = 0; k < n; ++k) {
        const VF row = hn::Load(df, y[k]);
        s0 = hn::Add(s0, hn::Mul(hn::Set(df, g.at[i][k]), row));
        s1 = hn::Add(s1, hn::Mul(hn::Set(df, g.at[i + 1][k]), row));
        s2 = hn::Add(s2, hn::Mul(hn::Set(df, g.at[i + 2][k]), row));
        s3 = hn::Add(s3, hn::Mul(hn::Set(df, g.at[i + 3][k]), row));
      }
      hn::Store(s0, df, t[i]);
      hn::Store(s1, df, t[i + 1]);
      hn::Store(s2, df, t[i + 2]);
      hn::Store(s3, df, t[i + 3]);
    }
    // t becomes X from the last row on.
    for (int i = n - 1; i >= 0; --i) {
      VF x = hn::Load(df, t[i]);
      for (int k = i + 1; k < n; ++k) x = hn::Sub(x, hn::Mul(hn::Load(df, t[k]), hn::Set(df, right.at[i][k])));
      hn::Store(hn::Div(x, hn::Set(df, right.at[i][i])), df, t[i]);
    }
    const VF elements = hn::Set(df, static_cast<float>(n));
    VF sum = hn::Div(hn::Mul(hn::Load(df, t[0]), hn::Load(df, y[0])), elements);
    for (int e = 1; e < n; ++e) sum = hn::Add(sum, hn::Div(hn::Mul(hn::Load(df, t[e]), hn::Load(df, y[e])), elements));
    hn::StoreU(sum, df, variance + first);
  }
  return true;
}

HWY_INLINE Singles LoadSingles(const float* p) { return Singles(hn::LoadU(SingleTag(), p)); }
HWY_INLINE void StoreSingles(Singles v, float* p) { hn::StoreU(v.v, SingleTag(), p); }

// Logs is SpeedLog.
HWY_INLINE Reals Logs(Reals x) {
  const Reals none = Choose(x < Reals(0.0), Reals(__builtin_nan("")), Reals(-__builtin_inf()));
  return Choose(x < Reals(__builtin_inf()), Choose(x > Reals(0.0), Log2(x), none), x);
}

void Entropies(const SpeedPlane& plane, int blocks, float sigma, float* entropy) {
  const int lanes = static_cast<int>(hn::Lanes(SingleTag()));
  for (int block = 0; block < blocks; block += lanes) {
    const Singles variance = LoadSingles(plane.variance + block), noise(sigma);
    Singles sum(0.0f);
    for (int i = 0; i < n; ++i) {
      const Singles lambda(plane.lambda[i] > 0.0f ? plane.lambda[i] : 0.0f);
      sum = Single(Double(sum) + (Logs(Double(lambda * variance + noise)) + Reals(kSpeedLogTwoPiE)));
    }
    StoreSingles(sum, entropy + block);
  }
}

struct Weights {
  Reals reference, distorted;
};

// Weigh is SpeedWeigh.
HWY_INLINE Weights Weigh(int mode, Singles v, Singles w) {
  const Reals of_v = Double(Singles(1.0f) + v), of_w = Double(Singles(1.0f) + w);
  const Reals halved = Reals(1.0) + Double(v + w) / Reals(2.0);
  const double share = mode == 5 ? 0.75 : 0.25;
  const Reals mixed = Reals(1.0) + (Reals(share) * Double(v) + Reals(1.0 - share) * Double(w));
  switch (mode) {
    case 1:
      return Weights{of_v, of_v};
    case 2:
      return Weights{of_w, of_w};
    case 3:
      return Weights{halved, halved};
    case 4:
      return Weights{of_v, halved};
    case 5:
    case 6:
      return Weights{of_v, mixed};
    default:
      return Weights{of_v, of_w};
  }
}

float Score(VqsSpeed* scratch, const SpeedPlane& reference, const float* entropy, const SpeedPlane& distorted, const float* entropy_distorted,
            int blocks, float base, int mode) {
  const int lanes = static_cast<int>(hn::Lanes(SingleTag()));
  for (int block = 0; block < blocks; block += lanes) {
    const Weights w = Weigh(mode, LoadSingles(reference.variance + block), LoadSingles(distorted.variance + block));
    const Singles of_reference = Single(Double(LoadSingles(entropy + block)) * Logs(w.reference));
    const Singles of_distorted = Single(Double(LoadSingles(entropy_distorted + block)) * Logs(w.distorted));
    StoreSingles(Abs(of_reference - of_distorted), scratch->terms + block);
  }
  float sum = 0;
  for (int block = 0; block < blocks; ++block) {
    if (SpeedCounts(entropy[block], entropy_distorted[block], base)) sum = sum + scratch->terms[block];
  }
  return sum;
}

const SpeedStages* SpeedStagesOfTarget() {
  static constexpr SpeedStages kStages = {Decimate, Subtract, Covariance, Eigenvalues, Solve, Entropies, Score};
  return &kStages;
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {

HWY_EXPORT(SpeedStagesOfTarget);

const SpeedStages& SpeedVector() { return *HWY_DYNAMIC_DISPATCH(SpeedStagesOfTarget)(); }

}  // namespace vqs

#endif  // HWY_ONCE
