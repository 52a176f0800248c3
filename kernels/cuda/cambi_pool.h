// cambi_pool.h — the sum of the largest c-values (spec/cambi.md §7.4), where it is not that of all. Part of cambi.cu.
//
// If no more pixels have a c-value above 0 than are pooled, the sum is that of all, and every kernel but the last leaves at once. Else three
// passes over the c-values find the smallest that is pooled, nine bits each: positive floats are ordered as their bits are.
#ifndef VQS_CUDA_CAMBI_POOL_H_
#define VQS_CUDA_CAMBI_POOL_H_

#include "cambi_device.h"

namespace {

constexpr int kSelectThreads = 256, kSelectRows = 64;
// c-values lie between 0.5 and 9·65²/4 < 2^14 (§7.3), so of their bits less those of 0.5, 27 are left.
constexpr uint32_t kLeastBits = 0x3f000000;
static_assert(9 * vqs::kCambiMaxCount / 4 < 1 << 14 && (0x46800000 - kLeastBits) >> (kSelectPasses * kSelectBits) == 0, "2^14 is 0x46800000");

VQS_DEVICE uint32_t Key(float c) { return __builtin_bit_cast(uint32_t, c) - kLeastBits; }
VQS_DEVICE float Unkey(uint32_t key) { return __builtin_bit_cast(float, key + kLeastBits); }

// Bin is where, counted from the highest, the wanted-th value lies, and its number among those in the bin.
struct Bin {
  uint32_t index, wanted;
};

// FindBin is for a whole warp, which all get the same. There are at least `wanted` values, at least one.
VQS_DEVICE Bin FindBin(const uint32_t* bins, uint32_t wanted) {
  constexpr int kEach = kSelectBins / kWarp;
  const int lane = ThreadX() % kWarp;
  uint32_t own = 0;
  for (int i = 0; i < kEach; ++i) own += Read(&bins[lane * kEach + i]);
  uint32_t from = own;  // how many there are in this lane's bins and above
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint32_t other = ShuffleDown(from, distance);
    if (lane + distance < kWarp) from += other;
  }
  Bin found = {0, 0};
  uint32_t above = from - own;
  if (above < wanted && wanted <= from) {
    int i = kEach - 1;
    for (; i > 0; --i) {
      const uint32_t n = Read(&bins[lane * kEach + i]);
      if (above + n >= wanted) break;
      above += n;
    }
    found = Bin{static_cast<uint32_t>(lane * kEach + i), wanted - above};
  }
  return Bin{WarpSum(found.index), WarpSum(found.wanted)};  // one lane has found it
}

// Prefix is the first passes' bins of the smallest value that is pooled, one behind the other, and its number among those that share them.
VQS_DEVICE Bin Prefix(const uint32_t* bins, int passes, uint32_t pooled) {
  Bin all = {0, pooled};
  for (int pass = 0; pass < passes; ++pass) {
    const Bin bin = FindBin(bins + pass * kSelectBins, all.wanted);
    all = Bin{all.index << kSelectBits | bin.index, bin.wanted};
  }
  return all;
}

VQS_DEVICE void Select(const VqsCambiConfig* config, VqsCambiState* states, const uint16_t* planes, const float* contrasts, uint64_t slot_samples,
                       uint32_t* histograms, int pass) {
  VQS_SHARED(uint32_t, counts, kSelectBins);
  VqsCambiState* const state = &states[BlockZ()];
  if (Read(&state->picture) == kVqsNoPicture) return;
  int scale = 0, index = BlockX();
  VqsCambiScale s = ReadScale(config, 0);
  for (;;) {
    const int bands = (static_cast<int>(s.height) + kSelectRows - 1) / kSelectRows;
    if (index < bands || scale == vqs::kCambiScales - 1) break;
    index -= bands;
    s = ReadScale(config, ++scale);
  }
  if (Read(&state->nonzero[scale]) <= s.pooled) return;

  uint32_t* const bins = histograms + BlockZ() * static_cast<uint64_t>(kSlotBins) + scale * kSelectPasses * kSelectBins;
  const Bin prefix = Prefix(bins, pass, s.pooled);
  for (int i = ThreadX(); i < kSelectBins; i += kSelectThreads) counts[i] = 0;
  SyncBlock();
  const uint32_t lowest = Read(&config->lowest), highest = Read(&config->highest);
  const uint64_t base = BlockZ() * slot_samples + s.offset;
  // What the passes before have looked at, and the bin of this one.
  const int done = (kSelectPasses - pass) * kSelectBits, bin = done - kSelectBits;
  uint64_t above = 0;
  const int last = Min((index + 1) * kSelectRows, static_cast<int>(s.height));
  for (int y = index * kSelectRows + ThreadX() / kWarp; y < last; y += kSelectThreads / kWarp) {
    for (int x = ThreadX() % kWarp; x < static_cast<int>(s.width); x += kWarp) {
      const uint64_t at = base + static_cast<uint64_t>(y) * s.pitch + x;
      if (!IsActive(Read(planes + at), lowest, highest)) continue;  // there is no c-value
      const float c = Read(contrasts + at);
      if (c == 0) continue;
      const uint32_t key = Key(c), seen = key >> done;
      // Those above in a bin of an earlier pass have been added then, or by it.
      if (seen == prefix.index) {
        AtomicAdd(&counts[static_cast<int>(key >> bin & (kSelectBins - 1))], 1u);
      } else if (seen > prefix.index && seen >> kSelectBits == prefix.index >> kSelectBits) {
        above += Fixed(c);
      }
    }
  }
  SyncBlock();
  for (int i = ThreadX(); i < kSelectBins; i += kSelectThreads) {
    if (counts[i] != 0) AtomicAdd(&bins[pass * kSelectBins + i], counts[i]);
  }
  above = WarpSum(above);
  if (ThreadX() % kWarp == 0 && above != 0) AtomicAdd(&state->above[scale], above);
}

// PooledSum is for a whole warp.
VQS_DEVICE uint64_t PooledSum(const VqsCambiState* state, const uint32_t* bins, int scale, uint32_t pooled) {
  if (Read(&state->nonzero[scale]) <= pooled) return Read(&state->sum[scale]);
  const Bin prefix = Prefix(bins, kSelectPasses, pooled);
  const uint32_t* const last = bins + (kSelectPasses - 1) * kSelectBins;
  const uint32_t shared = prefix.index & ~(kSelectBins - 1u);
  uint64_t sum = 0;
  for (uint32_t i = ThreadX() % kWarp; i < kSelectBins; i += kWarp) {
    // A value in one of the last pass's bins is known to the last bit.
    const uint64_t value = Fixed(Unkey(shared | i));
    if ((shared | i) > prefix.index) sum += Read(&last[i]) * value;
    if ((shared | i) == prefix.index) sum += prefix.wanted * value;
  }
  return Read(&state->above[scale]) + WarpSum(sum);
}

}  // namespace

#endif  // VQS_CUDA_CAMBI_POOL_H_
