// ssim.cu — structural similarity, SSIM and MS-SSIM.                               Source: spec/classic-metrics.md §3, §4
//
//   l = (2·μr·μd + C1)/(μr² + μd² + C1)   c = (2·σrσd + C2)/(σr² + σd² + C2)   t = (σrd + C3)/(σrσd + C3)
//
// in     references, distorted   pictures of T = u8, u16, or f32, which are those that decimate and halve have made
//        frames                  each reference with its pairs
// out    sums                    u64[pairs][4]: Σ l·c·t, Σ l, Σ c, Σ t, in 2^−F; zeroed by the caller
// fixed  before the sums f32 products and f64 sums, those of the description in its order. Sums s64; ssim/arith.h has the bounds
// order  of a local value as described; over positions sums of integers only, so any order of threads gives the same bits
// moved  a position and pair: 1.72 samples, and 6 words into shared memory and 39 out of it
// work   a position and pair: 43 additions in f64 across (33, and those of rows that tiles share) and 33 down, as many f32 products at the
//        most; of the reference 29 and 22, once a frame. 2 divisions in f64, 1 in f32, a root. The sums are in f64 because
//        that is what the description rounds to f32. An f32 is widened to f64 in integer arithmetic, of which devices have
//        plenty; see Widened
// grid   statistics: a block of 256 threads for a tile of 32 × 32 positions, x, y: tiles, z: frame. 30 KiB shared
//        decimate, halve: a thread for a sample, blocks of 32 × 8, z: picture. halve: 6.5 KiB shared
//
// A block loads the reference's 42 × 42 samples, filters them, and keeps the statistics of its positions in registers, four to a thread,
// while it goes through the frame's pairs.
#include "batch.h"
#include "ssim/arith.h"

namespace {

constexpr int kThreads = 256, kWarp = 32, kWarps = kThreads / kWarp;
constexpr int kBlocks = 3;                                  // that a multiprocessor is to hold
constexpr int kTile = 32;                                   // positions each way
constexpr int kRead = kTile + vqs::kSsimBorder;             // samples each way
constexpr int kRun = kTile / kWarps;                        // positions of a thread, one below the other
constexpr int kSums = 4;

// The tile that halve makes, and what it reads for it: even columns of a row, then odd ones, so that neighbours read neighbours.
constexpr int kHalfRows = kWarps;
constexpr int kHalfRadius = vqs::kMsSsimRadius;
constexpr int kHalfReadRows = 2 * kHalfRows + 2 * kHalfRadius - 1;
constexpr int kHalfParity = kWarp + kHalfRadius;            // columns of either parity
constexpr int kHalfPitch = 2 * kHalfParity;

// Widened is v·2^−896 in f64, and Narrowed what is left of a sum of such when it is rounded to f32. An f32's exponent and fraction are
// those of an f64, if they are moved to its lower end: two shifts, where a conversion is done at a fraction of their rate. All
// of it is exact, subnormal numbers included: terms are multiples of the least f64, as those of the true sum are of 2^−178.
// kSigned: v may be negative.
template <bool kSigned>
VQS_DEVICE double Widened(float v) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, v);
  const uint32_t high = kSigned ? static_cast<uint32_t>(static_cast<int32_t>(bits) >> 3) & 0x8fffffffu : bits >> 3;
  return __builtin_bit_cast(double, static_cast<uint64_t>(high) << 32 | bits << 29);
}
VQS_DEVICE float Narrowed(double sum) { return static_cast<float>(sum * 0x1p896); }

template <typename T>
constexpr bool kMayBeNegative = false;
template <>
constexpr bool kMayBeNegative<float> = true;  // the pyramid's filter has negative taps

VQS_DEVICE float Sample(const uint8_t* p, const VqsPicture&, int) { return static_cast<float>(Read(p)); }
VQS_DEVICE float Sample(const uint16_t* p, const VqsPicture& picture, int bpc) {
  return static_cast<float>(Native(Read(p), picture.left_shift, bpc)) * vqs::SsimSampleUnit(bpc);
}
VQS_DEVICE float Sample(const float* p, const VqsPicture&, int) { return Read(p); }

// Image is a picture with what has to be known to read it.
template <typename T>
struct Image {
  VqsPicture picture;
  int width, height, bpc;
  VQS_DEVICE float At(int x, int y) const { return Sample(Row<T>(picture, y) + x, picture, bpc); }
};

// LoadTile brings a tile with its border to shared memory. Positions beyond the picture's are formed of samples at its edge and not summed.
template <typename T>
VQS_DEVICE void LoadTile(const Image<T>& image, int x0, int y0, VqsShared<float> tile) {
  for (int i = ThreadX(); i < kRead * kRead; i += kThreads) {
    tile[i] = image.At(Min(x0 + i % kRead, image.width - 1), Min(y0 + i / kRead, image.height - 1));
  }
}

// FilterDown is F's second step for a thread's positions: out[i] is that of rows row + i … row + i + 10 of a column of what was filtered
// across.
template <bool kSigned>
VQS_DEVICE void FilterDown(VqsShared<float> across, int row, int column, float out[kRun]) {
  double sum[kRun];
#pragma unroll
  for (int i = 0; i < kRun; ++i) sum[i] = 0;
#pragma unroll
  for (int j = 0; j < kRun + vqs::kSsimBorder; ++j) {
    const float v = across[(row + j) * kTile + column];
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      if (j - i >= 0 && j - i < vqs::kSsimTaps) sum[i] += Widened<kSigned>(v * vqs::SsimTap(j - i));
    }
  }
#pragma unroll
  for (int i = 0; i < kRun; ++i) out[i] = Narrowed(sum[i]);
}

// FilterReferenceAcross and FilterPairAcross are F's first step: of r and r², and of d, d² and r·d. A warp has a row.
template <bool kSigned>
VQS_DEVICE void FilterReferenceAcross(VqsShared<float> reference, VqsShared<float> mean, VqsShared<float> square) {
  const int lane = ThreadX() % kWarp;
  for (int row = ThreadX() / kWarp; row < kRead; row += kWarps) {
    double mean_sum = 0, square_sum = 0;
#pragma unroll
    for (int i = 0; i < vqs::kSsimTaps; ++i) {
      const float r = reference[row * kRead + lane + i];
      mean_sum += Widened<kSigned>(r * vqs::SsimTap(i));
      square_sum += Widened<false>(r * r * vqs::SsimTap(i));
    }
    mean[row * kTile + lane] = Narrowed(mean_sum);
    square[row * kTile + lane] = Narrowed(square_sum);
  }
}

template <bool kSigned>
VQS_DEVICE void FilterPairAcross(VqsShared<float> reference, VqsShared<float> distorted, VqsShared<float> mean, VqsShared<float> square,
                                 VqsShared<float> product) {
  const int lane = ThreadX() % kWarp;
  for (int row = ThreadX() / kWarp; row < kRead; row += kWarps) {
    double mean_sum = 0, square_sum = 0, product_sum = 0;
#pragma unroll
    for (int i = 0; i < vqs::kSsimTaps; ++i) {
      const float r = reference[row * kRead + lane + i], d = distorted[row * kRead + lane + i];
      mean_sum += Widened<kSigned>(d * vqs::SsimTap(i));
      square_sum += Widened<false>(d * d * vqs::SsimTap(i));
      product_sum += Widened<kSigned>(d * r * vqs::SsimTap(i));
    }
    mean[row * kTile + lane] = Narrowed(mean_sum);
    square[row * kTile + lane] = Narrowed(square_sum);
    product[row * kTile + lane] = Narrowed(product_sum);
  }
}

// Statistics of a block's tile in all pairs of its frame. references are indexed as frames have it, or, where the pictures are of our own
// making, by frame.
template <typename T>
VQS_DEVICE void Statistics(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames, int width, int height,
                           int bpc, double shift, uint64_t* sums) {
  VQS_SHARED(float, reference_tile, kRead * kRead);
  VQS_SHARED(float, distorted_tile, kRead * kRead);
  VQS_SHARED(float, across_mean, kRead * kTile);
  VQS_SHARED(float, across_square, kRead * kTile);
  VQS_SHARED(float, across_product, kRead * kTile);
  constexpr bool kSigned = kMayBeNegative<T>;
  const VqsFrame frame = ReadFrame(frames, BlockZ());
  if (frame.pairs == 0) return;  // the same for all threads

  const int x0 = BlockX() * kTile, y0 = BlockY() * kTile;
  const int column = ThreadX() % kWarp, row = ThreadX() / kWarp * kRun;
  Image<T> image;
  image.picture = ReadPicture(references, sizeof(T) == sizeof(float) ? static_cast<uint32_t>(BlockZ()) : frame.reference);
  image.width = width;
  image.height = height;
  image.bpc = bpc;
  LoadTile(image, x0, y0, reference_tile);
  SyncBlock();
  FilterReferenceAcross<kSigned>(reference_tile, across_mean, across_square);
  SyncBlock();
  float mean_r[kRun], variance_r[kRun];
  FilterDown<kSigned>(across_mean, row, column, mean_r);
  FilterDown<false>(across_square, row, column, variance_r);
#pragma unroll
  for (int i = 0; i < kRun; ++i) variance_r[i] = vqs::SsimVariance(variance_r[i], mean_r[i]);

  for (uint32_t pair = frame.first_pair; pair < frame.first_pair + frame.pairs; ++pair) {
    image.picture = ReadPicture(distorted, pair);
    LoadTile(image, x0, y0, distorted_tile);
    SyncBlock();  // and no thread still needs what was filtered across before
    FilterPairAcross<kSigned>(reference_tile, distorted_tile, across_mean, across_square, across_product);
    SyncBlock();
    float mean_d[kRun], square_d[kRun], product[kRun];
    FilterDown<kSigned>(across_mean, row, column, mean_d);
    FilterDown<false>(across_square, row, column, square_d);
    FilterDown<kSigned>(across_product, row, column, product);
    uint64_t total = 0, luminance = 0, contrast = 0, structure = 0;
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const vqs::SsimLocal p =
          vqs::SsimLocalOf(mean_r[i], mean_d[i], variance_r[i], vqs::SsimVariance(square_d[i], mean_d[i]),
                           vqs::SsimCovariance(product[i], mean_r[i], mean_d[i]));
      if (x0 + column < width - vqs::kSsimBorder && y0 + row + i < height - vqs::kSsimBorder) {
        total += vqs::SsimFixed(p.l * p.c * p.t, shift);
        luminance += vqs::SsimFixed(p.l, shift);
        contrast += vqs::SsimFixed(p.c, shift);
        structure += vqs::SsimFixed(p.t, shift);
      }
    }
    total = WarpSum(total);
    luminance = WarpSum(luminance);
    contrast = WarpSum(contrast);
    structure = WarpSum(structure);
    if (column < kSums) {
      const uint64_t sum = column == 0 ? total : column == 1 ? luminance : column == 2 ? contrast : structure;
      AtomicAdd(&sums[static_cast<uint64_t>(pair) * kSums + static_cast<uint32_t>(column)], sum);
    }
  }
}

// Source is the picture that a block of decimate or halve reads: that of the frame, or the one of that index where frames is 0.
template <typename T>
VQS_DEVICE Image<T> Source(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc) {
  const uint32_t z = static_cast<uint32_t>(BlockZ());
  Image<T> image;
  image.picture = ReadPicture(pictures, frames == nullptr ? z : ReadFrame(frames, z).reference);
  image.width = width;
  image.height = height;
  image.bpc = bpc;
  return image;
}

VQS_DEVICE void StoreSample(const VqsPicture* out, int x, int y, float v) {
  Store(const_cast<float*>(Row<float>(ReadPicture(out, static_cast<uint32_t>(BlockZ())), y)) + x, v);
}

template <typename T>
VQS_DEVICE void Decimate(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, int scale,
                         const VqsPicture* out) {
  const int x = BlockX() * kWarp + ThreadX() % kWarp, y = BlockY() * kWarps + ThreadX() / kWarp;
  if (x >= vqs::SsimDecimated(width, scale) || y >= vqs::SsimDecimated(height, scale)) return;
  const Image<T> image = Source<T>(pictures, frames, width, height, bpc);
  const int left = x * scale + vqs::SsimDecimationFirst(scale), top = y * scale + vqs::SsimDecimationFirst(scale);
  const float k = vqs::SsimDecimationWeight(scale);
  double sum = 0;
  for (int v = top; v < top + scale; ++v) {
    for (int u = left; u < left + scale; ++u) {
      sum += Widened<false>(image.At(vqs::MirrorHalf(u, width), vqs::MirrorHalf(v, height)) * k);
    }
  }
  StoreSample(out, x, y, Narrowed(sum));
}

template <typename T>
VQS_DEVICE void Halve(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, const VqsPicture* out) {
  VQS_SHARED(float, tile, kHalfReadRows * kHalfPitch);
  constexpr bool kSigned = true;  // the taps are
  const Image<T> image = Source<T>(pictures, frames, width, height, bpc);
  const int x0 = BlockX() * kWarp, y0 = BlockY() * kHalfRows;
  const int left = 2 * x0 - kHalfRadius, top = 2 * y0 - kHalfRadius;
  for (int i = ThreadX(); i < kHalfReadRows * kHalfPitch; i += kThreads) {
    const int column = i % kHalfPitch, row = i / kHalfPitch;
    // Further out than the filter's radius nothing is used; what is read there must only be inside the picture.
    const int x = vqs::MirrorHalf(Min(left + column, width - 1 + kHalfRadius), width);
    const int y = vqs::MirrorHalf(Min(top + row, height - 1 + kHalfRadius), height);
    tile[row * kHalfPitch + column % 2 * kHalfParity + column / 2] = image.At(x, y);
  }
  SyncBlock();
  const int x = ThreadX() % kWarp, y = ThreadX() / kWarp;
  double sum = 0;
#pragma unroll
  for (int v = 0; v <= 2 * kHalfRadius; ++v) {
#pragma unroll
    for (int u = 0; u <= 2 * kHalfRadius; ++u) {
      const float sample = tile[(2 * y + v) * kHalfPitch + u % 2 * kHalfParity + x + u / 2];
      sum += Widened<kSigned>(sample * vqs::MsSsimTap(v - kHalfRadius, u - kHalfRadius));
    }
  }
  if (x0 + x < vqs::SsimDecimated(width, 2) && y0 + y < vqs::SsimDecimated(height, 2)) StoreSample(out, x0 + x, y0 + y, Narrowed(sum));
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_ssim_statistics_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames, int width, int height, int bpc,
                           double shift, uint64_t* sums) {
  Statistics<uint8_t>(references, distorted, frames, width, height, bpc, shift, sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_ssim_statistics_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames, int width, int height, int bpc,
                            double shift, uint64_t* sums) {
  Statistics<uint16_t>(references, distorted, frames, width, height, bpc, shift, sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_ssim_statistics_f32(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames, int width, int height, int bpc,
                            double shift, uint64_t* sums) {
  Statistics<float>(references, distorted, frames, width, height, bpc, shift, sums);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_ssim_decimate_u8(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, int scale,
                         const VqsPicture* out) {
  Decimate<uint8_t>(pictures, frames, width, height, bpc, scale, out);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_ssim_decimate_u16(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, int scale,
                          const VqsPicture* out) {
  Decimate<uint16_t>(pictures, frames, width, height, bpc, scale, out);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_ssim_halve_u8(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, const VqsPicture* out) {
  Halve<uint8_t>(pictures, frames, width, height, bpc, out);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_ssim_halve_u16(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, const VqsPicture* out) {
  Halve<uint16_t>(pictures, frames, width, height, bpc, out);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_ssim_halve_f32(const VqsPicture* pictures, const VqsFrame* frames, int width, int height, int bpc, const VqsPicture* out) {
  Halve<float>(pictures, frames, width, height, bpc, out);
}
