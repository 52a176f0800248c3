// motion.cu — sum of absolute blurred frame differences.                                       Source: spec/motion.md §3.1
//
//   sad = Σ_yx | G ∗ (prev − cur) |      G: 5 taps, separable, vertical first, mirrored edges
//
// in     references  pictures of T = u8 or u16 brought to 16 bits by their shift, any alignment
//        frames      what each is compared with: the picture `distance` frames earlier
// out    sad         u64[frames], zeroed by the caller; untouched where a frame has no such picture
// fixed  as MotionVertical for 16 bits: scaled by 2^(16−bpc) before rounding, both sides of it alike, the bits are those of any depth
//        difference  s32, |d| ≤ 65535;  vertical s64 → s32 Q0;  horizontal s64 → s32 Q0;  a thread's Σ|e| ≤ 8·65535
// order  integer sums only, so any order of threads gives the same bits
// grid   x, y: tiles of 32×32 samples, z: frame; 256 threads of 4 rows each; 9 KiB shared
#include "batch.h"
#include "motion_arith.h"

namespace {

constexpr int kTile = 32, kThreads = 256, kRowsAtOnce = kThreads / kTile;
constexpr int kHalo = vqs::kMotionRadius, kHaloTile = kTile + 2 * kHalo;

// Difference at (y, x), which may lie up to kHalo outside the picture, in 16 bits and sign.
template <typename T>
VQS_DEVICE int32_t Difference(const VqsPicture& prev, const VqsPicture& cur, int y, int x, int width, int height) {
  const int row = MirrorWhole(y, height), column = MirrorWhole(x, width);
  const int32_t before = static_cast<int32_t>(Read(Row<T>(prev, row) + column)) << prev.left_shift;
  const int32_t now = static_cast<int32_t>(Read(Row<T>(cur, row) + column)) << cur.left_shift;
  return before - now;
}

template <typename T>
VQS_DEVICE void MotionSad(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height,
                          uint64_t* sad) {
  VQS_SHARED(int32_t, difference, kHaloTile * kHaloTile);
  VQS_SHARED(int32_t, vertical, kTile * kHaloTile);
  VQS_SHARED(uint64_t, partial, kThreads / 32);

  const VqsFrame frame = ReadFrame(frames, BlockZ());
  const uint32_t earlier = frame.previous[distance - 1];
  if (earlier == kVqsNoPicture) return;  // the same for all threads of the block
  const VqsPicture prev = ReadPicture(references, earlier), cur = ReadPicture(references, frame.reference);
  const int left = BlockX() * kTile, top = BlockY() * kTile, thread = ThreadX();

  for (int i = thread; i < kHaloTile * kHaloTile; i += kThreads) {
    // Beyond the halo of the picture's own edge nothing is used; what is read there must only be inside the picture.
    const int y = Min(top + i / kHaloTile - kHalo, height + kHalo - 1), x = Min(left + i % kHaloTile - kHalo, width + kHalo - 1);
    difference[i] = Difference<T>(prev, cur, y, x, width, height);
  }
  SyncBlock();
  for (int i = thread; i < kTile * kHaloTile; i += kThreads) {
    vertical[i] = vqs::MotionVertical(16, difference[i], difference[i + kHaloTile], difference[i + 2 * kHaloTile],
                                      difference[i + 3 * kHaloTile], difference[i + 4 * kHaloTile]);
  }
  SyncBlock();
  uint32_t sum = 0;
  const int column = thread % kTile;
  for (int row = thread / kTile; row < kTile; row += kRowsAtOnce) {
    const int at = row * kHaloTile + column;
    const int32_t e = vqs::MotionHorizontal(vertical[at], vertical[at + 1], vertical[at + 2], vertical[at + 3], vertical[at + 4]);
    if (left + column < width && top + row < height) sum += e < 0 ? -e : e;
  }
  const uint64_t warp = WarpSum(static_cast<uint64_t>(sum));
  if (thread % 32 == 0) partial[thread / 32] = warp;
  SyncBlock();
  if (thread == 0) {
    uint64_t total = 0;
    for (int i = 0; i < kThreads / 32; ++i) total += partial[i];
    AtomicAdd(&sad[BlockZ()], total);
  }
}

}  // namespace

// distance is 1 or 2.
extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_motion_sad_u8(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height, uint64_t* sad) {
  MotionSad<uint8_t>(references, frames, distance, width, height, sad);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_motion_sad_u16(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height, uint64_t* sad) {
  MotionSad<uint16_t>(references, frames, distance, width, height, sad);
}
