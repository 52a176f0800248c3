// speed.cu — SpEED of the chroma planes of a batch.                                             Source: spec/speed.md §4 … §6
//
//   Q = (k ∗ resampled plane) at every 16th sample of every 16th row        D = Q − mean ∗ Q        K = covariance of D's 5 × 5 windows
//   λ = eigenvalues of K;   K·X = Y, the blocks of D;   V = Σ X·Y/25;   E = Σ log2(λ·V + σ) + ℓ      score: from the E and V of two planes
//
// in     reference_chroma, distorted_chroma  Cb and Cr, one after the other or alternating, of T = u8 or u16
//        frames                              which pairs belong to which reference
//        kernels, indices, weights           tables of a filter, as kernels/score/speed_plan.go explains them: the coefficients of the
//                                            anti-alias filter, then those of the local mean; columns, then rows
// out    scores      u64[configurations][pairs][2]: the f32 of U and V, and at bit 32 whether either plane is degenerate
// float  f32, each step rounded; the covariance sums, square roots of rotations, logarithms and what is added to them in f64
// order  every sum that is not of integers is serial and ascending, within one thread: the results do not depend on how threads follow each other
// planes 2·(frames + pairs): number n is Cb or Cr (n & 1) of picture n/2, those of the references in the order of their frames before the
//        distorted ones. Between kernels lie, by plane: decimated and detail, K, a record (below), variances and entropies by block
// moved  a sample: 9/16 of the samples once from memory; all that follows stays in the second-level cache
// work   a plane: 90 products a decimated sample; 325 f64 sums over all windows, most of the time where f64 is slow; then a few hundred dependent
//        rotations in one lane, which many planes at once hide
// grid   x: plane; y: part of it. The score: x: frame, y: its pairs, z: Cb and Cr
#include "batch.h"
#include "speed/filter.h"
#include "speed/matrix.h"
#include "speed/score.h"

namespace {

using vqs::kSpeedMaxMeanTaps;
using vqs::kSpeedMaxTaps;
using vqs::kSpeedSide;
using vqs::kSpeedWindow;

constexpr int kWarp = 32;
constexpr int kMatrix = kSpeedWindow * kSpeedWindow;

// A record is what is known of a plane beside its blocks: eigenvalues, whether it is degenerate (1 or 0), and, unless it is, the matrices G
// and R = G·K, of which the upper triangle.
constexpr int kRecordDegenerate = kSpeedWindow;
constexpr int kRecordG = kRecordDegenerate + 1;
constexpr int kRecordR = kRecordG + kMatrix;
constexpr int kRecord = kRecordR + kMatrix;  // as in gpu/speed.go

VQS_DEVICE int Across(int width) { return width / kSpeedSide; }

// Decimation: a block makes kDecimatedColumns samples of a row, a thread one of the sums down that they need.
constexpr int kDecimateThreads = 160;
constexpr int kDecimatedColumns = 16;

struct Decimation {
  int width, height, taps;
  const float* kernel;
  const int32_t *columns, *rows;
  const float *column_weights, *row_weights;
};

// Down is the sum down at tap i of decimated column c.
template <typename T, int kPoints>
VQS_DEVICE float Down(const Decimation& d, const VqsChroma& chroma, int plane, int bpc, int r, int c, int i) {
  const float scale = vqs::SpeedScale(bpc);
  const uint64_t address = plane == 0 ? chroma.address[0] : chroma.address[1];
  int64_t column[kPoints];
  float column_weight[kPoints];
#pragma unroll
  for (int p = 0; p < kPoints; ++p) {
    const int at = (p * d.width + c) * d.taps + i;
    column[p] = static_cast<int64_t>(Read(d.columns + at)) * chroma.step;
    column_weight[p] = Read(d.column_weights + at);
  }
  float sum = 0;
  for (int j = 0; j < d.taps; ++j) {
    const T* row[kPoints];
    float row_weight[kPoints];
#pragma unroll
    for (int p = 0; p < kPoints; ++p) {
      const int at = (p * d.height + r) * d.taps + j;
      row[p] = reinterpret_cast<const T*>(address + static_cast<uint64_t>(Read(d.rows + at)) * chroma.pitch_bytes);
      row_weight[p] = Read(d.row_weights + at);
    }
    const float sample = vqs::SpeedResampled<kPoints>(
        [&](int down, int across) { return vqs::SpeedLoad(Native(Read(row[down] + column[across]), chroma.left_shift, bpc), scale); },
        [&](int down) { return row_weight[down]; }, [&](int across) { return column_weight[across]; });
    sum = sum + Read(d.kernel + j) * sample;
  }
  return sum;
}

template <typename T>
VQS_DEVICE float Down(const Decimation& d, int points, const VqsChroma& chroma, int plane, int bpc, int r, int c, int i) {
  switch (points) {
    case vqs::kSpeedNearest:
      return Down<T, vqs::kSpeedNearest>(d, chroma, plane, bpc, r, c, i);
    case vqs::kSpeedBilinear:
      return Down<T, vqs::kSpeedBilinear>(d, chroma, plane, bpc, r, c, i);
    case vqs::kSpeedBicubic:
      return Down<T, vqs::kSpeedBicubic>(d, chroma, plane, bpc, r, c, i);
    default:
      return Down<T, vqs::kSpeedLanczos>(d, chroma, plane, bpc, r, c, i);
  }
}

template <typename T>
VQS_DEVICE void Decimate(const VqsChroma* reference_chroma, const VqsChroma* distorted_chroma, const VqsFrame* frames, int frame_count, int bpc,
                         int width, int height, int taps, int points, const float* kernels, const int32_t* indices, const float* weights,
                         float* decimated) {
  VQS_SHARED(float, down, kDecimatedColumns * kSpeedMaxTaps);
  const int n = BlockX(), picture = n / 2, plane = n % 2;
  const VqsChroma chroma = picture < frame_count ? ReadChroma(reference_chroma, Read(&frames[picture].reference))
                                                 : ReadChroma(distorted_chroma, static_cast<uint32_t>(picture - frame_count));
  const int groups = (width + kDecimatedColumns - 1) / kDecimatedColumns;
  const int r = BlockY() / groups, first = BlockY() % groups * kDecimatedColumns, columns = Min(kDecimatedColumns, width - first);
  Decimation d;
  d.width = width;
  d.height = height;
  d.taps = taps;
  d.kernel = kernels;
  d.columns = indices;
  d.rows = indices + points * width * taps;
  d.column_weights = weights;
  d.row_weights = weights + points * width * taps;
  for (int k = ThreadX(); k < columns * taps; k += kDecimateThreads) {
    down[k] = Down<T>(d, points, chroma, plane, bpc, r, first + k / taps, k % taps);
  }
  SyncBlock();
  if (ThreadX() < columns) {
    float sum = 0;
    for (int i = 0; i < taps; ++i) {
      const float v = down[ThreadX() * taps + i];
      sum = sum + Read(kernels + i) * v;
    }
    Store(&decimated[(static_cast<int64_t>(n) * height + r) * width + first + ThreadX()], sum);
  }
}

// Covariance: a thread has four entries of K, those of rows 2a, 2a + 1 and columns 2b, 2b + 1, and goes through the windows one by one. The
// block brings them to f64, less the means, kPositions at a time.
constexpr int kCovarianceThreads = 96;
constexpr int kPairs = (kSpeedWindow + 1) / 2;
constexpr int kPadded = 2 * kPairs;
constexpr int kPositions = 64;
static_assert(kPairs * (kPairs + 1) / 2 <= kCovarianceThreads, "a thread for each four entries of the lower triangle");

// Solution: a warp has a plane.
VQS_DEVICE void Tridiagonal(VqsShared<float> a, VqsShared<float> u, VqsShared<float> x, int lane) {
  constexpr int n = kSpeedWindow;
  for (int i = 0; i < n - 2; ++i) {
    float q = 0;
    for (int k = i + 2; k < n; ++k) {
      const float v = a[k * n + i];
      q = q + v * v;
    }
    const float nu = vqs::SpeedRoot(q);
    if (nu == 0.0f) continue;  // the same in all lanes
    const float alpha = a[(i + 1) * n + i];
    const vqs::SpeedReflection r = vqs::SpeedReflect(alpha, nu);
    SyncWarp();
    const bool inside = lane > i && lane < n;
    float own = 1.0f;  // u of the lane's row
    if (inside && lane > i + 1) {
      own = a[lane * n + i];
      if (r.scale != 0.0f) own = own / r.scale;
    }
    if (inside) u[lane] = own;
    if (lane == i + 1 && r.scale != 0.0f) a[lane * n + i] = r.beta;
    SyncWarp();
    if (r.tau == 0.0f) continue;
    float sum = 0;
    if (inside) {
      for (int l = i + 1; l < n; ++l) {
        const float v = a[lane * n + l], ul = u[l];
        sum = sum + (r.tau * v) * ul;
      }
      x[lane] = sum;
    }
    SyncWarp();
    float p = 0;
    for (int k = i + 1; k < n; ++k) {
      const float xk = x[k], uk = u[k];
      p = p + xk * uk;
    }
    const float xk = sum + vqs::SpeedCorrection(r.tau, p) * own;
    SyncWarp();
    if (inside) x[lane] = xk;
    SyncWarp();
    if (inside) {
      for (int l = i + 1; l < n; ++l) {
        const float v = a[lane * n + l], ul = u[l], xl = x[l];
        a[lane * n + l] = vqs::SpeedUpdated(v, xk, ul, own, xl);
      }
    }
    SyncWarp();
  }
}

// Reflect makes Z and G what they are after step k: a lane has a column of each.
VQS_DEVICE void Reflect(VqsShared<float> z, VqsShared<float> g, VqsShared<float> next_z, VqsShared<float> next_g, VqsShared<float> v, float sign,
                        int k, int lane) {
  constexpr int n = kSpeedWindow;
  float q = 0;
  for (int i = k; i < n; ++i) {
    const float element = z[i * n + k];
    q = q + element * element;
  }
  const bool inside = lane >= k && lane < n;
  float own = 0;
  if (inside) {
    own = z[lane * n + k];
    if (lane == k) own = own + sign * vqs::SpeedRoot(q);
    v[lane] = own;
  }
  SyncWarp();
  q = 0;
  for (int i = k; i < n; ++i) {
    const float element = v[i];
    q = q + element * element;
  }
  const float norm = vqs::SpeedRoot(q);
  SyncWarp();
  if (inside) v[lane] = own / norm;
  SyncWarp();
  if (lane < n) {
    for (int i = k; i < n; ++i) {
      const float vi = v[i];
      float sum_z = 0, sum_g = 0;
      for (int l = k; l < n; ++l) {
        const float vl = v[l], h = vqs::SpeedReflector(vi, vl, i == l);
        const float of_g = g[l * n + lane];
        sum_g = sum_g + h * of_g;
        if (lane >= k) {
          const float of_z = z[l * n + lane];
          sum_z = sum_z + h * of_z;
        }
      }
      next_g[i * n + lane] = sum_g;
      if (lane >= k) next_z[i * n + lane] = sum_z;
    }
    for (int i = k; i < n; ++i) {
      const float of_g = next_g[i * n + lane];
      g[i * n + lane] = of_g;
      if (lane >= k) {
        const float of_z = next_z[i * n + lane];
        z[i * n + lane] = of_z;
      }
    }
  }
  SyncWarp();
}

// Variances: a thread has a block of the plane.
constexpr int kVarianceThreads = 64;
constexpr int kEntropyThreads = 128;

VQS_DEVICE bool IsDegenerate(const float* record) { return Read(record + kRecordDegenerate) != 0.0f; }

// Score: a thread has a block of both planes, and the first of them adds up.
constexpr int kScoreThreads = 128;

}  // namespace

// grid x: plane; y: groups of 16 columns, row by row.
extern "C" __global__ void __launch_bounds__(kDecimateThreads)
    vqs_speed_decimate_u8(const VqsChroma* reference_chroma, const VqsChroma* distorted_chroma, const VqsFrame* frames, int frame_count,
                          int bpc, int width, int height, int taps, int points, const float* kernels, const int32_t* indices,
                          const float* weights, float* decimated) {
  Decimate<uint8_t>(reference_chroma, distorted_chroma, frames, frame_count, bpc, width, height, taps, points, kernels, indices, weights,
                    decimated);
}

extern "C" __global__ void __launch_bounds__(kDecimateThreads)
    vqs_speed_decimate_u16(const VqsChroma* reference_chroma, const VqsChroma* distorted_chroma, const VqsFrame* frames, int frame_count,
                           int bpc, int width, int height, int taps, int points, const float* kernels, const int32_t* indices,
                           const float* weights, float* decimated) {
  Decimate<uint16_t>(reference_chroma, distorted_chroma, frames, frame_count, bpc, width, height, taps, points, kernels, indices, weights,
                     decimated);
}

// grid x: plane; y: parts of 128 samples of the detail, which is the whole blocks of the decimated plane less its local mean.
extern "C" __global__ void __launch_bounds__(128)
    vqs_speed_detail(const float* decimated, int width, int height, int mean_taps, const float* mean, float* detail) {
  const int detail_width = Across(width) * kSpeedSide, detail_height = Across(height) * kSpeedSide;
  const int at = BlockY() * 128 + ThreadX();
  if (at >= detail_width * detail_height) return;
  const int r = at / detail_width, c = at % detail_width, reach = mean_taps / 2;
  const float* const q = decimated + static_cast<int64_t>(BlockX()) * width * height;
  float sum = 0;
  for (int i = 0; i < mean_taps; ++i) {
    const int column = MirrorWhole(c + i - reach, width);
    float down = 0;
    for (int j = 0; j < mean_taps; ++j) down = down + Read(mean + j) * Read(q + MirrorWhole(r + j - reach, height) * width + column);
    sum = sum + Read(mean + i) * down;
  }
  Store(&detail[static_cast<int64_t>(BlockX()) * detail_width * detail_height + at], Read(q + r * width + c) - sum);
}

// grid x: plane. width and height are those of the detail.
extern "C" __global__ void __launch_bounds__(kCovarianceThreads)
    vqs_speed_covariance(const float* detail, int width, int height, float* covariance) {
  VQS_SHARED(float, mean, kSpeedWindow);
  VQS_SHARED(double, windows, kPositions * kPadded);
  const float* const d = detail + static_cast<int64_t>(BlockX()) * width * height;
  const int across = width - kSpeedSide + 1, down = height - kSpeedSide + 1, positions = across * down;
  if (ThreadX() < kSpeedWindow) {
    const float* const corner = d + ThreadX() / kSpeedSide * width + ThreadX() % kSpeedSide;
    float sum = 0;
    for (int r = 0; r < down; ++r) {
#pragma unroll 4
      for (int c = 0; c < across; ++c) sum = sum + Read(corner + r * width + c);
    }
    mean[ThreadX()] = sum / static_cast<float>(positions);
  }
  int a = 0, b = ThreadX();
  while (b > a) b -= ++a;
  const bool inside = a < kPairs;
  double sum00 = 0, sum01 = 0, sum10 = 0, sum11 = 0;
  for (int first = 0; first < positions; first += kPositions) {
    SyncBlock();
    const int count = Min(kPositions, positions - first);
    for (int k = ThreadX(); k < count * kPadded; k += kCovarianceThreads) {
      const int position = first + k / kPadded, e = k % kPadded;
      double v = 0;
      if (e < kSpeedWindow) {
        const int r = position / across + e / kSpeedSide, c = position % across + e % kSpeedSide;
        const float less = mean[e];
        v = static_cast<double>(Read(d + r * width + c)) - static_cast<double>(less);
      }
      windows[k] = v;
    }
    SyncBlock();
    if (inside) {
      for (int k = 0; k < count; ++k) {
        const double a0 = windows[k * kPadded + 2 * a], a1 = windows[k * kPadded + 2 * a + 1];
        const double b0 = windows[k * kPadded + 2 * b], b1 = windows[k * kPadded + 2 * b + 1];
        sum00 = sum00 + a0 * b0;
        sum01 = sum01 + a0 * b1;
        sum10 = sum10 + a1 * b0;
        sum11 = sum11 + a1 * b1;
      }
    }
  }
  if (!inside) return;
  float* const to = covariance + static_cast<int64_t>(BlockX()) * kMatrix;
  const auto put = [&](int e, int f, double sum) {
    if (e >= kSpeedWindow || f >= kSpeedWindow) return;
    const float v = static_cast<float>(sum / static_cast<double>(positions));
    Store(&to[e * kSpeedWindow + f], v);
    Store(&to[f * kSpeedWindow + e], v);
  };
  put(2 * a, 2 * b, sum00);
  put(2 * a, 2 * b + 1, sum01);
  put(2 * a + 1, 2 * b, sum10);
  put(2 * a + 1, 2 * b + 1, sum11);
}

// grid x: plane.
extern "C" __global__ void __launch_bounds__(kWarp) vqs_speed_solve(const float* covariance, float* records) {
  constexpr int n = kSpeedWindow;
  VQS_SHARED(float, k, kMatrix);
  VQS_SHARED(float, z, kMatrix);
  VQS_SHARED(float, g, kMatrix);
  VQS_SHARED(float, next_z, kMatrix);
  VQS_SHARED(float, next_g, kMatrix);
  VQS_SHARED(float, u, n);
  VQS_SHARED(float, x, n);
  const int lane = ThreadX();
  float* const record = records + static_cast<int64_t>(BlockX()) * kRecord;
  for (int i = lane; i < kMatrix; i += kWarp) {
    const float v = Read(covariance + static_cast<int64_t>(BlockX()) * kMatrix + i);
    k[i] = v;
    z[i] = v;
    g[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
  }
  SyncWarp();

  Tridiagonal(z, u, x, lane);
  if (lane < n) {
    const float diagonal = z[lane * n + lane];
    x[lane] = diagonal;
    if (lane < n - 1) {
      const float below = z[(lane + 1) * n + lane];
      u[lane] = below;
    }
  }
  SyncWarp();
  if (lane == 0) vqs::SpeedEigenvalues<VqsShared<float>>(x, u);
  SyncWarp();
  bool tiny = false;
  if (lane < n) {
    const float lambda = x[lane];
    tiny = vqs::SpeedIsTiny(lambda);
    Store(&record[lane], lambda);
  }
  if (WarpSum(static_cast<uint32_t>(tiny)) > 0) {  // the same in all lanes
    if (lane == 0) Store(&record[kRecordDegenerate], 1.0f);
    return;
  }

  for (int i = lane; i < kMatrix; i += kWarp) {
    const float v = k[i];
    z[i] = v;
  }
  SyncWarp();
  for (int step = 0; step < n - 1; ++step) {
    const float diagonal = k[step * n + step];
    Reflect(z, g, next_z, next_g, u, vqs::SpeedSign(diagonal), step, lane);
  }
  bool fails = false;
  if (lane < n) {
    for (int i = 0; i < n; ++i) {
      float sum = 0;
      for (int l = 0; l < n; ++l) {
        const float of_g = g[i * n + l], of_k = k[l * n + lane];
        sum = sum + of_g * of_k;
      }
      if (i == lane) fails = vqs::SpeedCannotDivide(sum);
      Store(&record[kRecordR + i * n + lane], sum);
    }
  }
  for (int i = lane; i < kMatrix; i += kWarp) {
    const float v = g[i];
    Store(&record[kRecordG + i], v);
  }
  const bool failed = WarpSum(static_cast<uint32_t>(fails)) > 0;
  if (lane == 0) Store(&record[kRecordDegenerate], failed ? 1.0f : 0.0f);
}

// grid x: plane; y: parts of 64 blocks. width and height are those of the detail.
extern "C" __global__ void __launch_bounds__(kVarianceThreads)
    vqs_speed_variance(const float* detail, const float* records, int width, int height, float* variance) {
  constexpr int n = kSpeedWindow;
  VQS_SHARED(float, g, kMatrix);
  VQS_SHARED(float, right, kMatrix);
  const float* const record = records + static_cast<int64_t>(BlockX()) * kRecord;
  if (IsDegenerate(record)) return;  // the same in all threads
  for (int i = ThreadX(); i < kMatrix; i += kVarianceThreads) {
    g[i] = Read(record + kRecordG + i);
    right[i] = Read(record + kRecordR + i);
  }
  SyncBlock();
  const int across = Across(width), blocks = across * Across(height), block = BlockY() * kVarianceThreads + ThreadX();
  if (block >= blocks) return;
  const float* const corner = detail + static_cast<int64_t>(BlockX()) * width * height + block / across * kSpeedSide * width +
                              block % across * kSpeedSide;
  float y[n], x[n];
#pragma unroll
  for (int e = 0; e < n; ++e) y[e] = Read(corner + e / kSpeedSide * width + e % kSpeedSide);
  // Unrolled, so that x and y are registers.
#pragma unroll
  for (int i = n - 1; i >= 0; --i) {
    float t = 0;
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const float of_g = g[i * n + k];
      t = t + of_g * y[k];
    }
#pragma unroll
    for (int k = i + 1; k < n; ++k) {
      const float of_r = right[i * n + k];
      t = t - x[k] * of_r;
    }
    const float diagonal = right[i * n + i];
    x[i] = t / diagonal;
  }
  float sum = vqs::SpeedVarianceTerm(x[0], y[0]);
#pragma unroll
  for (int e = 1; e < n; ++e) sum = sum + vqs::SpeedVarianceTerm(x[e], y[e]);
  Store(&variance[static_cast<int64_t>(BlockX()) * blocks + block], sum);
}

// grid x: plane; y: parts of 128 blocks.
extern "C" __global__ void __launch_bounds__(kEntropyThreads)
    vqs_speed_entropy(const float* records, const float* variance, int blocks, float sigma, float* entropy) {
  const float* const record = records + static_cast<int64_t>(BlockX()) * kRecord;
  const int block = BlockY() * kEntropyThreads + ThreadX();
  if (IsDegenerate(record) || block >= blocks) return;
  const float v = Read(variance + static_cast<int64_t>(BlockX()) * blocks + block);
  float sum = 0;
#pragma unroll 1
  for (int i = 0; i < kSpeedWindow; ++i) {
    const float noisy = vqs::SpeedNoisy(Read(record + i), v, sigma);
    sum = vqs::SpeedEntropy(sum, vqs::SpeedLog(static_cast<double>(noisy)));
  }
  Store(&entropy[static_cast<int64_t>(BlockX()) * blocks + block], sum);
}

// grid x: frame; y: its pairs, and more where another frame has more; z: Cb and Cr.
extern "C" __global__ void __launch_bounds__(kScoreThreads)
    vqs_speed_score(const VqsFrame* frames, int frame_count, const float* records, const float* variance, const float* entropy, int blocks,
                    float sigma, float floor, int mode, uint64_t* scores) {
  VQS_SHARED(float, terms, kScoreThreads);
  const VqsFrame frame = ReadFrame(frames, BlockX());
  if (BlockY() >= static_cast<int>(frame.pairs)) return;
  const int pair = static_cast<int>(frame.first_pair) + BlockY();
  const int64_t reference = 2 * BlockX() + BlockZ(), distorted = 2 * (frame_count + pair) + BlockZ();
  uint64_t* const to = &scores[2 * pair + BlockZ()];
  if (IsDegenerate(records + reference * kRecord) || IsDegenerate(records + distorted * kRecord)) {
    // A score of 0: by definition where one is; where both are, because variances are 0 and so are the logarithms of their weights.
    if (ThreadX() == 0) Store(to, uint64_t{1} << 32);
    return;
  }
  const float base = vqs::SpeedBase(sigma, floor);
  float sum = 0;
  for (int first = 0; first < blocks; first += kScoreThreads) {
    const int block = first + ThreadX();
    if (block < blocks) {
      const float e = Read(entropy + reference * blocks + block), of_distorted = Read(entropy + distorted * blocks + block);
      float term = -1.0f;
      if (vqs::SpeedCounts(e, of_distorted, base)) {
        const vqs::SpeedWeights w =
            vqs::SpeedWeigh(mode, Read(variance + reference * blocks + block), Read(variance + distorted * blocks + block));
        term = vqs::SpeedTerm(e, vqs::SpeedLog(w.reference), of_distorted, vqs::SpeedLog(w.distorted));
      }
      terms[ThreadX()] = term;
    }
    SyncBlock();
    if (ThreadX() == 0) {
      for (int i = 0; i < Min(kScoreThreads, blocks - first); ++i) {
        const float term = terms[i];
        if (!(term < 0.0f)) sum = sum + term;  // a NaN counts
      }
    }
    SyncBlock();
  }
  if (ThreadX() == 0) Store(to, static_cast<uint64_t>(__builtin_bit_cast(uint32_t, vqs::SpeedScore(sum, blocks))));
}
