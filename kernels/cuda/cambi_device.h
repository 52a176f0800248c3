// cambi_device.h — what the stages of cambi.cu share: how a configuration, a slot and its planes lie in memory. gpu/cambi.go mirrors the
// structures and checks their sizes.
#ifndef VQS_CUDA_CAMBI_DEVICE_H_
#define VQS_CUDA_CAMBI_DEVICE_H_

#include "batch.h"
#include "cambi/arith.h"

// VqsCambiScale is the plane of one scale. Rows are pitch samples apart, a multiple of 32, and have no sample beyond their width that counts.
struct VqsCambiScale {
  uint32_t width, height;
  uint32_t pitch;   // in samples
  uint32_t offset;  // of the plane's first sample in those of its slot
  uint32_t pooled;  // how many of the largest c-values are summed
};
static_assert(sizeof(VqsCambiScale) == 20, "as in gpu/cambi.go");

// VqsCambiConfig is score.CambiConfig with what follows from it.
struct VqsCambiConfig {
  uint64_t columns, rows;  // where the working size is not the picture's: u32[width] and u32[height], the samples that are taken; else 0
  uint32_t width, height;  // working size
  uint32_t step;           // 2 with the speed-up for large pictures, which keeps every second row and column, else 1
  uint32_t anti_dither;    // 0 or 1
  uint32_t half_window;    // 0 … 32
  uint32_t contrasts;      // n, 1 … 32
  uint32_t dark_limit;
  uint32_t lowest, highest;  // codes that a pixel must lie between to have a c-value other than 0; none if highest < lowest
  VqsCambiScale scales[vqs::kCambiScales];
  int32_t visible[vqs::kCambiMaxContrasts];
};
static_assert(sizeof(VqsCambiConfig) == 280, "as in gpu/cambi.go");

// VqsCambiState is what is known of the picture in a slot. Kernels that find none there leave at once.
struct VqsCambiState {
  uint64_t sum[vqs::kCambiScales];    // of all c-values, in 1/2^24
  uint64_t above[vqs::kCambiScales];  // of those that are larger than the pooled ones' smallest, as far as selection has come
  uint32_t active[vqs::kCambiScales];   // pixels that may have a c-value other than 0
  uint32_t nonzero[vqs::kCambiScales];  // pixels that have one
  uint32_t picture;    // index into the table of pictures, or kVqsNoPicture
  uint32_t entry;      // where its results go: its pair or frame
  uint32_t rendition;  // 0 for references
  uint32_t threshold;  // of the spatial mask
};
static_assert(sizeof(VqsCambiState) == 136, "as in gpu/cambi.go");

namespace {

constexpr int kWarp = 32;

// A sample of a plane is its code, 0 … 1024, with this bit set where the mask leaves it out. No count looks at codes that high.
constexpr uint32_t kMaskedOut = 0x8000;

// Of a selection's key, 27 bits of a c-value, each of three passes looks at nine.
constexpr int kSelectPasses = 3, kSelectBits = 9, kSelectBins = 1 << kSelectBits;
constexpr int kSlotBins = vqs::kCambiScales * kSelectPasses * kSelectBins;

VQS_DEVICE VqsCambiScale ReadScale(const VqsCambiConfig* config, int scale) {
  const VqsCambiScale* const p = &config->scales[scale];
  VqsCambiScale s;
  s.width = Read(&p->width);
  s.height = Read(&p->height);
  s.pitch = Read(&p->pitch);
  s.offset = Read(&p->offset);
  s.pooled = Read(&p->pooled);
  return s;
}

// IsActive says whether a pixel, as it lies in a plane, can have a c-value other than 0.
VQS_DEVICE bool IsActive(uint32_t sample, uint32_t lowest, uint32_t highest) { return sample >= lowest && sample <= highest; }

// Fixed is vqs::CambiFixed without f64, of which many devices have little: scaling by a power of two is exact, and so is the conversion.
VQS_DEVICE uint64_t Fixed(float c) { return static_cast<uint64_t>(c * static_cast<float>(1 << vqs::kCambiSumBits)); }

VQS_DEVICE uint32_t WarpMin(uint32_t v) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const uint32_t other = ShuffleXor(v, mask);
    v = other < v ? other : v;
  }
  return v;
}

}  // namespace

#endif  // VQS_CUDA_CAMBI_DEVICE_H_
