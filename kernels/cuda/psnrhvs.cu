// psnrhvs.cu — PSNR-HVS-M of all planes.                                               Source: spec/classic-metrics.md §5
//
//   sum = Σ_blocks Σ_n (w_n · max(0, |DCT(ref)_n − DCT(dis)_n| − mask/m_n))²      blocks of 8×8 in raster order, every 7 samples; n in raster order
//
// in     references, distorted               luma of T = u8 or u16, any alignment
//        reference_chroma, distorted_chroma  Cb and Cr, one after the other or alternating
//        frames                              which pairs belong to which reference
// out    contributions  f32: of each pair the groups of 32 blocks of Y, Cb and Cr; of a group [64][32], value n of block b at [n][b]
//        sums           u64[pairs][3], the bits of a f32 each: rounded after every addition
// fixed  transform      s32, bpc ≤ 12
// float  all the rest, f32, as psnrhvs/block.h has it; the sum as psnrhvs/serial_sum.h
// order  is part of the result; a thread has a block for itself, and sums go by that order
// moved  a sample: 1.31 of each picture from the caches. A block: 256 bytes written, and read for the sum
// work   a block: some 2000 operations for either picture, 600 to compare; for the sum 6 a contribution
// grid   blocks: x: groups of blocks of the three planes, one a warp; z: frame. Shared memory 32 KiB for the reference's coefficients
//        sum: x: plane; y: pair. 256 threads, a block each; 1 KiB shared
#include "batch.h"
#include "psnrhvs/block.h"
#include "psnrhvs/csf.h"
#include "psnrhvs/serial_sum.h"

namespace {

using vqs::kHvsCoefficients;
using vqs::kHvsSize;
using vqs::kHvsStep;

constexpr int kWarp = 32;
constexpr int kGroup = kWarp;       // blocks whose contributions lie together
constexpr int kThreads = 128;       // of the blocks' kernel
constexpr int kResident = 4;        // of them on a multiprocessor: 128 registers a thread, of which a block's values take 64
constexpr int kSumThreads = 256;
constexpr int kGroupValues = kHvsCoefficients * kGroup;
static_assert(kThreads * kHvsCoefficients * 4 <= 48 << 10, "shared memory without asking");

VQS_TABLE(float, kWeights, 3 * kHvsCoefficients) = {VQS_HVS_LUMA(vqs::HvsWeight), VQS_HVS_CB(vqs::HvsWeight), VQS_HVS_CR(vqs::HvsWeight)};
VQS_TABLE(float, kMasking, 3 * kHvsCoefficients) = {VQS_HVS_LUMA(vqs::HvsMasking), VQS_HVS_CB(vqs::HvsMasking),
                                                    VQS_HVS_CR(vqs::HvsMasking)};

// Source is one plane of one picture.
struct Source {
  uint64_t address;
  uint32_t pitch_bytes, left_shift, step;
};

VQS_DEVICE Source SourceOf(const VqsPicture* luma, const VqsChroma* chroma, uint32_t i, int plane) {
  if (plane == 0) {
    const VqsPicture p = ReadPicture(luma, i);
    return Source{p.address, p.pitch_bytes, p.left_shift, 1};
  }
  const VqsChroma c = ReadChroma(chroma, i);
  // Chosen, not indexed, for which the two would have to lie in memory.
  return Source{plane == 1 ? c.address[0] : c.address[1], c.pitch_bytes, c.left_shift, c.step};
}

// Analysed loads the block at x, y, transforms it in place and gives its mask.
template <typename T>
VQS_DEVICE float Analysed(const Source& source, int x, int y, int bpc, const float* masking, int32_t* block) {
#pragma unroll
  for (int i = 0; i < kHvsSize; ++i) {
    const T* const row = reinterpret_cast<const T*>(source.address + static_cast<uint64_t>(y + i) * source.pitch_bytes) +
                         static_cast<int64_t>(x) * source.step;
#pragma unroll
    for (int j = 0; j < kHvsSize; ++j) block[i * kHvsSize + j] = Native(Read(row + j * source.step), source.left_shift, bpc);
  }
  const float contrast = vqs::HvsContrast(block);
  vqs::HvsDct(block);
  return vqs::HvsMask(block, contrast, [&](int n) { return Read(masking + n); });
}

// Place is where a warp works: a group of blocks of a plane.
struct Place {
  int plane, group;  // of the plane
  int first;         // group of the plane among those of a pair
  int across, blocks;
};

VQS_DEVICE int Groups(int width, int height) { return (vqs::HvsBlocks(width) * vqs::HvsBlocks(height) + kGroup - 1) / kGroup; }

// PlaceOf is where the groups of Y, Cb and Cr are counted one after the other; plane 3 is behind them all.
VQS_DEVICE Place PlaceOf(int group, int width, int height, int chroma_width, int chroma_height) {
  const int luma = Groups(width, height), chroma = Groups(chroma_width, chroma_height);
  const int plane = group < luma ? 0 : group < luma + chroma ? 1 : group < luma + 2 * chroma ? 2 : 3;
  Place p;
  p.plane = plane;
  p.first = plane == 0 ? 0 : luma + (plane - 1) * chroma;
  p.group = group - p.first;
  p.across = vqs::HvsBlocks(plane == 0 ? width : chroma_width);
  p.blocks = p.across * vqs::HvsBlocks(plane == 0 ? height : chroma_height);
  return p;
}

// Contributions of a pair begin at this.
VQS_DEVICE uint64_t PairValues(int width, int height, int chroma_width, int chroma_height) {
  return static_cast<uint64_t>(Groups(width, height) + 2 * Groups(chroma_width, chroma_height)) * kGroupValues;
}

template <typename T>
VQS_DEVICE void Blocks(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                       const VqsChroma* distorted_chroma, const VqsFrame* frames, int width, int height, int chroma_width, int chroma_height,
                       int bpc, float* contributions, VqsShared<int32_t> reference) {
  const int lane = ThreadX() % kWarp;
  const Place place = PlaceOf(BlockX() * (kThreads / kWarp) + ThreadX() / kWarp, width, height, chroma_width, chroma_height);
  if (place.plane == 3) return;  // the same for all lanes
  const int number = place.group * kGroup + lane;
  const bool counts = number < place.blocks;
  // Lanes behind the last block repeat it.
  const int index = counts ? number : place.blocks - 1;
  const int x = index % place.across * kHvsStep, y = index / place.across * kHvsStep;
  const float* const weights = kWeights + place.plane * kHvsCoefficients;
  const float* const masking = kMasking + place.plane * kHvsCoefficients;

  const VqsFrame frame = ReadFrame(frames, BlockZ());
  int32_t block[kHvsCoefficients];
  const Source ref = SourceOf(references, reference_chroma, frame.reference, place.plane);
  const float reference_mask = Analysed<T>(ref, x, y, bpc, masking, block);
  // Each thread reads what it wrote itself.
#pragma unroll
  for (int n = 0; n < kHvsCoefficients; ++n) reference[n * kThreads + ThreadX()] = block[n];

  for (uint32_t pair = frame.first_pair; pair < frame.first_pair + frame.pairs; ++pair) {
    const Source dis = SourceOf(distorted, distorted_chroma, pair, place.plane);
    const float own_mask = Analysed<T>(dis, x, y, bpc, masking, block);
    const float mask = own_mask > reference_mask ? own_mask : reference_mask;
    float* const out = contributions + pair * PairValues(width, height, chroma_width, chroma_height) +
                       static_cast<uint64_t>(place.first + place.group) * kGroupValues + lane;
    if (!counts) continue;
#pragma unroll
    for (int n = 0; n < kHvsCoefficients; ++n) {
      const int32_t r = reference[n * kThreads + ThreadX()];
      const float threshold = n == 0 ? 0 : mask / Read(masking + n);
      Store(out + n * kGroup, vqs::HvsContribution(r, block[n], threshold, Read(weights + n)));
    }
  }
}

// Increment is by how many units a block raises a sum that is at least base; vqs::kHvsUnits where that can not be told, so that it must be
// added value by value. values are its contributions, kGroup apart.
VQS_DEVICE uint32_t Increment(const float* values, float base) {
  const float tie = vqs::HvsTie(base);
  float total = 0;
  bool told = true;
#pragma unroll 8
  for (int n = 0; n < kHvsCoefficients; ++n) {
    const float c = Read(values + n * kGroup);
    const float rounded = vqs::HvsRounded(base, c);
    const float rest = c - rounded;
    told = told && rest != tie && rest != -tie;
    total += rounded;
  }
  if (total == 0 && told) return 0;
  // From base on the sum leaves its range. With base 0 everything does.
  if (!told || total >= base) return vqs::kHvsUnits;
  return __builtin_bit_cast(uint32_t, base + total) - __builtin_bit_cast(uint32_t, base);
}

// Added is the sum after a block, value by value.
VQS_DEVICE float Added(float sum, const float* values) {
#pragma unroll 8
  for (int n = 0; n < kHvsCoefficients; ++n) sum += Read(values + n * kGroup);
  return sum;
}

// Units of a sum that is at least base, which is its share in powers of two; 0 of 0.
VQS_DEVICE uint32_t UnitsOf(float sum) {
  return sum > 0 ? (__builtin_bit_cast(uint32_t, sum) & vqs::kHvsFractionMask) | (vqs::kHvsUnits >> 1) : 0;
}

VQS_DEVICE float SumOf(float base, uint32_t units) {
  return base > 0 ? __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, base) | (units & vqs::kHvsFractionMask)) : 0;
}

// Whether a sum can be raised so far without leaving its range.
VQS_DEVICE bool Fits(uint32_t units, uint32_t increment) { return increment == 0 || units + increment < vqs::kHvsUnits; }

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads, kResident)
    vqs_psnrhvs_blocks_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                          const VqsChroma* distorted_chroma, const VqsFrame* frames, int width, int height, int chroma_width,
                          int chroma_height, int bpc, float* contributions) {
  VQS_SHARED(int32_t, reference, kThreads * kHvsCoefficients);
  Blocks<uint8_t>(references, distorted, reference_chroma, distorted_chroma, frames, width, height, chroma_width, chroma_height, bpc,
                  contributions, reference);
}

extern "C" __global__ void __launch_bounds__(kThreads, kResident)
    vqs_psnrhvs_blocks_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                           const VqsChroma* distorted_chroma, const VqsFrame* frames, int width, int height, int chroma_width,
                           int chroma_height, int bpc, float* contributions) {
  VQS_SHARED(int32_t, reference, kThreads * kHvsCoefficients);
  Blocks<uint16_t>(references, distorted, reference_chroma, distorted_chroma, frames, width, height, chroma_width, chroma_height, bpc,
                   contributions, reference);
}

// The threads take as many blocks at once, find what each adds as long as the sum stays between two powers of two, and all of them go
// through those numbers in order, by warps where they can. The sum leaves such a range some tens of times, after which the rest is taken again.
extern "C" __global__ void __launch_bounds__(kSumThreads)
    vqs_psnrhvs_sum(const float* contributions, int width, int height, int chroma_width, int chroma_height, uint64_t* sums) {
  VQS_SHARED(uint32_t, increments, kSumThreads);
  VQS_SHARED(uint32_t, of_warps, kSumThreads / kWarp);
  const int plane = BlockX(), thread = ThreadX();
  const int luma = Groups(width, height), chroma = Groups(chroma_width, chroma_height);
  const Place place = PlaceOf(plane == 0 ? 0 : luma + (plane - 1) * chroma, width, height, chroma_width, chroma_height);
  const float* const values = contributions + static_cast<uint64_t>(BlockY()) * PairValues(width, height, chroma_width, chroma_height) +
                              static_cast<uint64_t>(place.first) * kGroupValues;
  float sum = 0;
  for (int next = 0; next < place.blocks;) {
    const float base = vqs::HvsBase(sum);
    const int own = next + thread;
    uint32_t increment = 0;
    if (own < place.blocks) increment = Increment(values + static_cast<uint64_t>(own / kGroup) * kGroupValues + own % kGroup, base);
    increments[thread] = increment;
    const uint32_t of_warp = WarpSum(increment);  // at most 32 · kHvsUnits
    if (thread % kWarp == 0) of_warps[thread / kWarp] = of_warp;
    SyncBlock();

    const int end = Min(kSumThreads, place.blocks - next);
    uint32_t units = UnitsOf(sum);
    bool stays = true;
    int t = 0;
    while (stays && t < end) {
      const uint32_t many = of_warps[t / kWarp];
      if (t % kWarp == 0 && Fits(units, many)) {
        units += many;
        t += kWarp;
        continue;
      }
      const uint32_t one = increments[t];
      if (Fits(units, one)) {
        units += one;
      } else {
        const int block = next + t;
        sum = Added(SumOf(base, units), values + static_cast<uint64_t>(block / kGroup) * kGroupValues + block % kGroup);
        stays = vqs::HvsBase(sum) == base;
        units = UnitsOf(sum);
      }
      ++t;
    }
    if (stays) sum = SumOf(base, units);
    next += t;
    SyncBlock();  // before the numbers are overwritten
  }
  if (thread == 0) Store(&sums[BlockY() * 3 + plane], static_cast<uint64_t>(__builtin_bit_cast(uint32_t, sum)));
}
