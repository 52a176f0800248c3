// cambi.cu — sums of the largest c-values of a picture, at five scales.                                       Source: spec/cambi.md §5–§7
//
//   C(r,c) = max over d of  f32(wt[d] · N(v) · m) · rcp[m + N(v)]     v = I(r,c), m = max(N(v+d+1), N(v−d−1)), N counts in a window
//
// in     pictures    those of a batch that have one configuration: of the renditions in a mask, or the references; u8 or u16 of any alignment
//        config      VqsCambiConfig; slot z of a launch has its z-th picture, or none, where the frame lacks the rendition
// out    results     u64[lists][entries][5] in 1/2^24, in the lists that have this configuration for the picture's rendition
// fixed  I           u16, 0 … 1024, on a 10-bit scale; bit 15 set where the spatial mask leaves a pixel out, which no count looks at
//        B           7×7 sums of flatness, four in a word: at most 49 in a byte
//        counts      of a code in a column of the window: u8, at most 65; in the window: u32, at most 4225
//        c-values    f32, one multiplication; of 9·65²/4 at the most, and in 1/2^24 below 2^38, so 2^26 pixels fit u64
//        keys        of a selection: the bits of a c-value less those of 0.5, 27 bits
// order  counts, histograms and sums are of integers, so any order of threads gives the same bits
// moved  a sample of the working size: read once from memory, 1.5 times from the first-level cache. A kept one: 2 bytes written, at each scale; a
//        quarter of them read by the next scale; by the c-values once from memory and, at a window of 33, about 7 times from caches: pieces of
//        32×64 look at 64×96, each row enters and leaves, and pixels themselves are looked at twice
//        c-values: 4 bytes written only where more pixels may have one than are pooled, and read three times only where more have
// work   a sample: about 70 instructions with the speed-up, which keeps a quarter of them, 120 without; 25 more with the anti-dither filter
//        a kept pixel: 3 to be counted; of an active one 2n + 1 codes in 5/4 + P/2 words of four columns each: at n = 4 and a window of 33
//        81 words of shared memory, and about 15 instructions (a warp's 500) in all. Counted directly, the 1089 pixels of the window would
//        be 3 instructions each
// grid   z: slot everywhere
//        begin   one block; front  tiles of 64×32 samples, 256 threads, 17 KiB shared;  filter  pieces of 32×8 samples, a warp each
//        values  pieces of 32 columns × `rows` of all scales, a block of one warp each; 6 KiB shared (9 KiB for other than four contrasts);
//                72 registers
//        select  bands of 64 rows of all scales, 256 threads; finish  one block, a warp for each scale
//
// begin finds the pictures. front makes the plane of scale 0: converted, sampled, filtered against dithering, masked, mode-filtered. filter
// makes each further one. values makes c-values, sums and counts them. If more than are to be pooled are not 0, select finds which.
#include "cambi_front.h"
#include "cambi_pool.h"
#include "cambi_values.h"

namespace {

constexpr int kBeginThreads = 256;

// PairOf is the pair of a frame that is of a rendition, or kVqsNoPicture. A frame's pairs are in the order of their renditions, and most
// often all there, so that the first look finds it.
VQS_DEVICE uint32_t PairOf(const VqsFrame& frame, const uint32_t* renditions, uint32_t rendition) {
  for (uint32_t i = Min(static_cast<int>(rendition) + 1, static_cast<int>(frame.pairs)); i-- > 0;) {
    const uint32_t found = Read(&renditions[frame.first_pair + i]);
    if (found == rendition) return frame.first_pair + i;
    if (found < rendition) break;
  }
  return kVqsNoPicture;
}

// NthBit is the index of the n-th lowest bit that is set, from 0 on; there is one.
VQS_DEVICE uint32_t NthBit(uint64_t mask, uint32_t n) {
  uint32_t bit = 0;
  for (;; ++bit) {
    if ((mask >> bit & 1) != 0 && n-- == 0) return bit;
  }
}

}  // namespace

// Fills the slots' states and empties their histograms. Slot z is for the (first + z)-th of the frames' pictures, which are one a frame for
// each rendition in the mask, or where that is 0 the reference.
extern "C" __global__ void __launch_bounds__(kBeginThreads)
    vqs_cambi_begin(const VqsCambiConfig* config, const VqsFrame* frames, const uint32_t* renditions, uint64_t mask, int first,
                    VqsCambiState* states, uint32_t* histograms) {
  uint32_t* const bins = histograms + BlockZ() * static_cast<uint64_t>(kSlotBins);
  for (int i = ThreadX(); i < kSlotBins; i += kBeginThreads) Store(&bins[i], 0u);
  if (ThreadX() != 0) return;
  VqsCambiState state = {};
  uint32_t each = 0;
  for (uint64_t m = mask; m != 0; m &= m - 1) ++each;
  const uint32_t index = static_cast<uint32_t>(first) + static_cast<uint32_t>(BlockZ());
  if (each == 0) {
    state.picture = Read(&frames[index].reference);
    state.entry = index;
  } else {
    const VqsFrame frame = ReadFrame(frames, index / each);
    state.rendition = NthBit(mask, index % each);
    state.picture = PairOf(frame, renditions, state.rendition);
    state.entry = state.picture;
  }
  state.threshold = static_cast<uint32_t>(
      vqs::CambiMaskThreshold(static_cast<int>(Read(&config->width)), static_cast<int>(Read(&config->height))));
  VqsCambiState* const to = &states[BlockZ()];
  for (int scale = 0; scale < vqs::kCambiScales; ++scale) {
    Store(&to->sum[scale], state.sum[scale]);
    Store(&to->above[scale], state.above[scale]);
    Store(&to->active[scale], state.active[scale]);
    Store(&to->nonzero[scale], state.nonzero[scale]);
  }
  Store(&to->picture, state.picture);
  Store(&to->entry, state.entry);
  Store(&to->rendition, state.rendition);
  Store(&to->threshold, state.threshold);
}

extern "C" __global__ void __launch_bounds__(kFrontThreads, kFrontBlocks)
    vqs_cambi_front_u8(const VqsCambiConfig* config, const VqsPicture* pictures, VqsCambiState* states, uint16_t* planes,
                       uint64_t slot_samples, int bpc) {
  Front<uint8_t>(config, pictures, states, planes, slot_samples, bpc);
}

extern "C" __global__ void __launch_bounds__(kFrontThreads, kFrontBlocks)
    vqs_cambi_front_u16(const VqsCambiConfig* config, const VqsPicture* pictures, VqsCambiState* states, uint16_t* planes,
                        uint64_t slot_samples, int bpc) {
  Front<uint16_t>(config, pictures, states, planes, slot_samples, bpc);
}

// Makes the plane of a scale, 1 … 4, from that of the scale before.
extern "C" __global__ void __launch_bounds__(kFilterThreads)
    vqs_cambi_filter(const VqsCambiConfig* config, VqsCambiState* states, uint16_t* planes, uint64_t slot_samples, int scale) {
  Filter(config, states, planes, slot_samples, scale);
}

// For four contrasts, the default of max_log_contrast.
extern "C" __global__ void __launch_bounds__(kWarp, kValuesBlocks)
    vqs_cambi_values_four(const VqsCambiConfig* config, VqsCambiState* states, const uint16_t* planes, float* contrasts,
                          uint64_t slot_samples, int rows) {
  Values<kFourContrasts, kFourRows>(config, states, planes, contrasts, slot_samples, rows);
}

// For any number of contrasts.
extern "C" __global__ void __launch_bounds__(kWarp, kValuesBlocks)
    vqs_cambi_values_many(const VqsCambiConfig* config, VqsCambiState* states, const uint16_t* planes, float* contrasts,
                          uint64_t slot_samples, int rows) {
  Values<0, kManyRows>(config, states, planes, contrasts, slot_samples, rows);
}

// One pass of the selection, 0 … 2.
extern "C" __global__ void __launch_bounds__(kSelectThreads)
    vqs_cambi_select(const VqsCambiConfig* config, VqsCambiState* states, const uint16_t* planes, const float* contrasts,
                     uint64_t slot_samples, uint32_t* histograms, int pass) {
  Select(config, states, planes, contrasts, slot_samples, histograms, pass);
}

// Writes the slots' sums to all lists whose configuration for the slot's rendition this is: config_of[list * renditions + rendition] is
// its number. A list has `entries` entries of five words. A warp for each scale.
extern "C" __global__ void __launch_bounds__(vqs::kCambiScales * kWarp)
    vqs_cambi_finish(const VqsCambiConfig* config, const VqsCambiState* states, const uint32_t* histograms, const uint32_t* config_of,
                     int number, int lists, int renditions, int entries, uint64_t* results) {
  const VqsCambiState* const state = &states[BlockZ()];
  if (Read(&state->picture) == kVqsNoPicture) return;
  const int scale = ThreadX() / kWarp;
  const uint32_t* const bins = histograms + BlockZ() * static_cast<uint64_t>(kSlotBins) + scale * kSelectPasses * kSelectBins;
  const uint64_t sum = PooledSum(state, bins, scale, Read(&config->scales[scale].pooled));
  if (ThreadX() % kWarp != 0) return;
  for (int list = 0; list < lists; ++list) {
    if (Read(&config_of[list * renditions + static_cast<int>(Read(&state->rendition))]) != static_cast<uint32_t>(number)) continue;
    const int64_t at = static_cast<int64_t>(list) * entries + Read(&state->entry);
    Store(&results[at * vqs::kCambiScales + scale], sum);
  }
}
