// speed_plain.cc — SpEED of a plane, one number at a time.                                     Source: spec/speed.md §4 … §6
//
//   Q = (k ∗ resampled plane) at every 16th sample of every 16th row        D = Q − mean ∗ Q        K = covariance of D's 5 × 5 windows
//   λ = eigenvalues of K;   K·X = Y, the blocks of D;   V = Σ X·Y/25;   E = Σ log2(λ·V + σ) + ℓ      score: from the E and V of two planes
//
// in     u8 (bpc 8) or u16 (10, 12, 16), samples below 2^bpc
// out    λ, V, E: f32 by block
// float  f32, each step rounded; the covariance sums, square roots of rotations, logarithms and what is added to them in f64
// order  every sum is serial and ascending: taps, elements, positions in raster order. Nothing depends on threads
#include "hd.h"

#include "speed_scratch.h"

#include <math.h>
#include <string.h>

#include "speed/matrix.h"
#include "speed/score.h"

namespace vqs {
namespace {

template <typename Sample>
const Sample* Row(const VqsPlane& plane, int y) {
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes);
}

// Place is where the tables of an axis have point p of tap i of decimated sample d.
int Place(int size, int taps, int p, int d, int i) { return (p * size + d) * taps + i; }

template <typename Sample, int kPoints>
float Resampled(const VqsSpeedFilter& f, const VqsPlane& plane, float scale, int r, int j, int c, int i) {
  return SpeedResampled<kPoints>(
      [&](int down, int across) {
        const Sample* const row = Row<Sample>(plane, f.rows.index[Place(f.height, f.taps, down, r, j)]);
        return SpeedLoad(row[f.columns.index[Place(f.width, f.taps, across, c, i)]], scale);
      },
      [&](int down) { return f.rows.weight[Place(f.height, f.taps, down, r, j)]; },
      [&](int across) { return f.columns.weight[Place(f.width, f.taps, across, c, i)]; });
}

template <typename Sample, int kPoints>
void Decimated(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane) {
  const VqsSpeedFilter& f = shape.filter;
  const float scale = SpeedScale(scratch->bpc);
  for (int r = 0; r < f.height; ++r) {
    for (int c = 0; c < f.width; ++c) {
      float sum = 0;
      for (int i = 0; i < f.taps; ++i) {
        float down = 0;
        for (int j = 0; j < f.taps; ++j) {
          down = down + f.anti_alias[j] * Resampled<Sample, kPoints>(f, plane, scale, r, j, c, i);
        }
        sum = sum + f.anti_alias[i] * down;
      }
      scratch->decimated[r * f.width + c] = sum;
    }
  }
}

template <typename Sample>
void DecimatedBy(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane) {
  switch (shape.filter.points) {
    case kSpeedNearest:
      return Decimated<Sample, kSpeedNearest>(scratch, shape, plane);
    case kSpeedBilinear:
      return Decimated<Sample, kSpeedBilinear>(scratch, shape, plane);
    case kSpeedBicubic:
      return Decimated<Sample, kSpeedBicubic>(scratch, shape, plane);
    default:
      return Decimated<Sample, kSpeedLanczos>(scratch, shape, plane);
  }
}

void Decimate(VqsSpeed* scratch, const SpeedShape& shape, const VqsPlane& plane) {
  if (scratch->bpc == 8) return DecimatedBy<uint8_t>(scratch, shape, plane);
  DecimatedBy<uint16_t>(scratch, shape, plane);
}

void Subtract(VqsSpeed* scratch, const SpeedShape& shape) {
  const VqsSpeedFilter& f = shape.filter;
  const float* const q = scratch->decimated;
  const int reach = f.mean_taps / 2;
  for (int r = 0; r < shape.truncated_height; ++r) {
    for (int c = 0; c < shape.truncated_width; ++c) {
      float mean = 0;
      for (int i = 0; i < f.mean_taps; ++i) {
        const int column = MirrorWhole(c + i - reach, f.width);
        float down = 0;
        for (int j = 0; j < f.mean_taps; ++j) down = down + f.mean[j] * q[MirrorWhole(r + j - reach, f.height) * f.width + column];
        mean = mean + f.mean[i] * down;
      }
      scratch->detail[r * shape.truncated_width + c] = q[r * f.width + c] - mean;
    }
  }
}

void Covariance(VqsSpeed* scratch, const SpeedShape& shape) {
  // At is element e of the window at row r and column c.
  const auto at = [&](int e, int r, int c) {
    return scratch->detail[(r + e / kSpeedSide) * shape.truncated_width + c + e % kSpeedSide];
  };
  float mean[kSpeedWindow];
  for (int e = 0; e < kSpeedWindow; ++e) {
    float sum = 0;
    for (int r = 0; r < shape.positions_down; ++r) {
      for (int c = 0; c < shape.positions_across; ++c) sum = sum + at(e, r, c);
    }
    mean[e] = sum / static_cast<float>(shape.positions);
  }
  for (int e = 0; e < kSpeedWindow; ++e) {
    for (int f = 0; f <= e; ++f) {
      double sum = 0;
      for (int r = 0; r < shape.positions_down; ++r) {
        for (int c = 0; c < shape.positions_across; ++c) {
          sum = sum + (static_cast<double>(at(e, r, c)) - static_cast<double>(mean[e])) *
                          (static_cast<double>(at(f, r, c)) - static_cast<double>(mean[f]));
        }
      }
      scratch->k.at[e][f] = scratch->k.at[f][e] = static_cast<float>(sum / static_cast<double>(shape.positions));
    }
  }
}

// Tridiagonal makes d and e of the matrix; it uses it up.
void Tridiagonal(SpeedMatrix& matrix, float* d, float* e) {
  constexpr int n = kSpeedWindow;
  auto& a = matrix.at;
  for (int i = 0; i < n - 2; ++i) {
    float q = 0;
    for (int k = i + 2; k < n; ++k) q = q + a[k][i] * a[k][i];
    const float nu = SpeedRoot(q);
    if (nu == 0.0f) continue;
    const SpeedReflection r = SpeedReflect(a[i + 1][i], nu);
    if (r.scale != 0.0f) {
      for (int k = i + 2; k < n; ++k) a[k][i] = a[k][i] / r.scale;
      a[i + 1][i] = r.beta;
    }
    if (r.tau == 0.0f) continue;
    float u[n], x[n];
    for (int k = i + 1; k < n; ++k) u[k] = k == i + 1 ? 1.0f : a[k][i];
    float p = 0;
    for (int k = i + 1; k < n; ++k) {
      x[k] = 0;
      for (int l = i + 1; l < n; ++l) x[k] = x[k] + (r.tau * a[k][l]) * u[l];
      p = p + x[k] * u[k];
    }
    const float correction = SpeedCorrection(r.tau, p);
    for (int k = i + 1; k < n; ++k) x[k] = x[k] + correction * u[k];
    for (int k = i + 1; k < n; ++k) {
      for (int l = i + 1; l < n; ++l) a[k][l] = SpeedUpdated(a[k][l], x[k], u[l], u[k], x[l]);
    }
  }
  for (int i = 0; i < n; ++i) d[i] = a[i][i];
  for (int i = 0; i < n - 1; ++i) e[i] = a[i + 1][i];
}

void Eigenvalues(VqsSpeed* scratch, float* lambda) {
  float e[kSpeedWindow - 1];
  memcpy(&scratch->a, &scratch->k, sizeof scratch->a);
  Tridiagonal(scratch->a, lambda, e);
  SpeedEigenvalues(lambda, e);
}

// Reflected sets out to H·in in rows and columns from `first` on of H, whose vector is v; rows before it stay as they are, since there H is
// the identity.
void Reflected(const float* v, int first, int first_column, const SpeedMatrix& in, SpeedMatrix& out) {
  for (int i = 0; i < kSpeedWindow; ++i) {
    for (int j = first_column; j < kSpeedWindow; ++j) {
      if (i < first) {
        out.at[i][j] = in.at[i][j];
        continue;
      }
      float sum = 0;
      for (int k = first; k < kSpeedWindow; ++k) sum = sum + SpeedReflector(v[i], v[k], i == k) * in.at[k][j];
      out.at[i][j] = sum;
    }
  }
}

bool Solve(VqsSpeed* scratch, const SpeedShape& shape, float* variance) {
  constexpr int n = kSpeedWindow;
  SpeedMatrix *z = &scratch->a, *g = &scratch->b, *z_next = &scratch->c, *g_next = &scratch->d;
  memcpy(z, &scratch->k, sizeof *z);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) g->at[i][j] = i == j ? 1.0f : 0.0f;
  }
  for (int k = 0; k < n - 1; ++k) {
    float v[n];
    float q = 0;
    for (int i = k; i < n; ++i) {
      v[i] = z->at[i][k];
      q = q + v[i] * v[i];
    }
    v[k] = v[k] + SpeedSign(scratch->k.at[k][k]) * SpeedRoot(q);
    q = 0;
    for (int i = k; i < n; ++i) q = q + v[i] * v[i];
    const float norm = SpeedRoot(q);
    for (int i = k; i < n; ++i) v[i] = v[i] / norm;
    Reflected(v, k, k, *z, *z_next);
    Reflected(v, k, 0, *g, *g_next);
    SpeedMatrix* const used_z = z;
    SpeedMatrix* const used_g = g;
    z = z_next;
    g = g_next;
    z_next = used_z;
    g_next = used_g;
  }

  SpeedMatrix& right = *z;  // G·K
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum = sum + g->at[i][k] * scratch->k.at[k][j];
      right.at[i][j] = sum;
    }
    if (SpeedCannotDivide(right.at[i][i])) return false;
  }

  for (int block = 0; block < shape.blocks; ++block) {
    const float* const corner =
        scratch->detail + block / shape.across * kSpeedSide * shape.truncated_width + block % shape.across * kSpeedSide;
    float y[n], x[n];
    for (int e = 0; e < n; ++e) y[e] = corner[e / kSpeedSide * shape.truncated_width + e % kSpeedSide];
    for (int i = n - 1; i >= 0; --i) {
      float t = 0;
      for (int k = 0; k < n; ++k) t = t + g->at[i][k] * y[k];
      for (int k = i + 1; k < n; ++k) t = t - x[k] * right.at[i][k];
      x[i] = t / right.at[i][i];
    }
    float sum = SpeedVarianceTerm(x[0], y[0]);
    for (int e = 1; e < n; ++e) sum = sum + SpeedVarianceTerm(x[e], y[e]);
    variance[block] = sum;
  }
  return true;
}

void Entropies(const SpeedPlane& plane, int blocks, float sigma, float* entropy) {
  for (int block = 0; block < blocks; ++block) {
    float sum = 0;
    for (int i = 0; i < kSpeedWindow; ++i) {
      const float noisy = SpeedNoisy(plane.lambda[i], plane.variance[block], sigma);
      sum = SpeedEntropy(sum, SpeedLog(static_cast<double>(noisy)));
    }
    entropy[block] = sum;
  }
}

float Score(VqsSpeed*, const SpeedPlane& reference, const float* entropy, const SpeedPlane& distorted, const float* entropy_distorted,
            int blocks, float base, int mode) {
  float sum = 0;
  for (int block = 0; block < blocks; ++block) {
    if (!SpeedCounts(entropy[block], entropy_distorted[block], base)) continue;
    const SpeedWeights w = SpeedWeigh(mode, reference.variance[block], distorted.variance[block]);
    sum = sum + SpeedTerm(entropy[block], SpeedLog(w.reference), entropy_distorted[block], SpeedLog(w.distorted));
  }
  return sum;
}

}  // namespace

const SpeedStages kSpeedPlain = {Decimate, Subtract, Covariance, Eigenvalues, Solve, Entropies, Score};

}  // namespace vqs
