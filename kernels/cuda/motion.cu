// motion.cu — sum of absolute blurred frame differences.                                       Source: spec/motion.md §3.1
//
//   sad = Σ_yx | G ∗ (prev − cur) |      G: 5 taps, separable, vertical first, mirrored edges
//
// in     references  pictures of T = u8 or u16 brought to 16 bits by their shift, any alignment
//        frames      what each is compared with: the picture `distance` frames earlier
// out    sad         u64[frames], zeroed by the caller; untouched where a frame has no such picture
// fixed  u16: as MotionVertical for 16 bits. Scaled by 2^(16−bpc) before rounding, both sides of it alike, the bits are those of any depth
//        difference  s32, |d| ≤ 65535;  vertical s64 → s32 Q0;  horizontal s64 → s32 Q0;  a warp's Σ|e| ≤ 124·32·65535 fits u32
// order  integer sums only, so any order of threads gives the same bits
// moved  a sample: one of each picture read from memory; 1.18 of each read from the caches, for the rows and columns that pieces share
// work   a sample: a difference, 3 products each way (of the vertical way 1.14, counting rows that pieces share), 1 shuffle
// grid   a warp for each piece of 124 columns × 32 rows: x, y: blocks of 8 warps, as many as there are pieces and more if one likes; z: frame.
//        No shared memory and no barrier
//
// A warp goes down its piece row by row. A lane has four neighbouring columns, the last five rows of which it keeps in registers, and
// gets the four columns to the right of its own from the next lane.
#include "batch.h"
#include "motion_arith.h"

namespace {

constexpr int kThreads = 256, kWarp = 32;
constexpr int kBlocks = 3;                                 // that a multiprocessor is to hold: 80 registers a thread, and none spilled
constexpr int kGroup = 4;                                  // columns of a lane
constexpr int kPieceColumns = (kWarp - 1) * kGroup;        // the last lane has no neighbour and only gives
constexpr int kPieceRows = 32;
constexpr int kRadius = vqs::kMotionRadius;
static_assert(2 * kRadius == kGroup, "a lane's own columns and the next four are what it filters four columns with");

// Bits that samples are brought to; those of bytes stay as they are.
template <typename T>
constexpr int kBits = 8 * sizeof(T);

struct Four {
  int32_t v[kGroup];
};

VQS_DEVICE Four LoadWhole(const uint8_t* p) {
  const uint32_t w = Read(reinterpret_cast<const uint32_t*>(p));
  return Four{{static_cast<int32_t>(w & 0xff), static_cast<int32_t>(w >> 8 & 0xff), static_cast<int32_t>(w >> 16 & 0xff),
               static_cast<int32_t>(w >> 24)}};
}

VQS_DEVICE Four LoadWhole(const uint16_t* p) {
  const VqsWord2 w = Read(reinterpret_cast<const VqsWord2*>(p));
  return Four{{static_cast<int32_t>(w.x & 0xffff), static_cast<int32_t>(w.x >> 16), static_cast<int32_t>(w.y & 0xffff),
               static_cast<int32_t>(w.y >> 16)}};
}

// Piece is where a warp works and what it reads.
struct Piece {
  VqsPicture prev, cur;
  int width, height;
  int column;  // of the lane: its first, a multiple of kGroup; of its results kRadius more
  int row;
};

// Difference of the lane's columns in row y, which may lie up to kRadius outside the picture. kWhole: all columns of the warp
// lie inside and can be loaded four at once.
template <typename T, bool kWhole>
VQS_DEVICE Four Difference(const Piece& piece, int y) {
  const int row = MirrorWhole(y, piece.height);
  const T* const prev = Row<T>(piece.prev, row);
  const T* const cur = Row<T>(piece.cur, row);
  Four before, now;
  if (kWhole) {
    before = LoadWhole(prev + piece.column);
    now = LoadWhole(cur + piece.column);
  } else {
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      // Further out than kRadius nothing is used; what is read there must only be inside the picture.
      const int x = MirrorWhole(Max(-kRadius, Min(piece.column + i, piece.width - 1 + kRadius)), piece.width);
      before.v[i] = Read(prev + x);
      now.v[i] = Read(cur + x);
    }
  }
  Four d;
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    d.v[i] = kBits<T> == 8 ? before.v[i] - now.v[i] : (before.v[i] << piece.prev.left_shift) - (now.v[i] << piece.cur.left_shift);
  }
  return d;
}

// Sum of |e| over the lane's part of a piece.
template <typename T, bool kWhole>
VQS_DEVICE uint32_t PieceSum(const Piece& piece, int lane) {
  Four d0 = Difference<T, kWhole>(piece, piece.row - 2), d1 = Difference<T, kWhole>(piece, piece.row - 1);
  Four d2 = Difference<T, kWhole>(piece, piece.row), d3 = Difference<T, kWhole>(piece, piece.row + 1);
  uint32_t sum = 0;
  // A fixed count, so that rows can be taken two at a time; of rows below the picture the sum takes nothing.
#pragma unroll 2
  for (int i = 0; i < kPieceRows; ++i) {
    const int y = piece.row + i;
    const Four d4 = Difference<T, kWhole>(piece, Min(y + kRadius, piece.height - 1 + kRadius));
    int32_t t[2 * kGroup];
#pragma unroll
    for (int c = 0; c < kGroup; ++c) {
      t[c] = vqs::MotionVertical(kBits<T>, d0.v[c], d1.v[c], d2.v[c], d3.v[c], d4.v[c]);
      t[c + kGroup] = static_cast<int32_t>(ShuffleDown(static_cast<uint32_t>(t[c]), 1));
    }
#pragma unroll
    for (int c = 0; c < kGroup; ++c) {
      const int32_t e = vqs::MotionHorizontal(t[c], t[c + 1], t[c + 2], t[c + 3], t[c + 4]);
      const int x = piece.column + kRadius + c;
      const bool counts = lane < kWarp - 1 && x >= 0 && x < piece.width && y < piece.height;
      sum += counts ? static_cast<uint32_t>(e < 0 ? -e : e) : 0;
    }
    d0 = d1;
    d1 = d2;
    d2 = d3;
    d3 = d4;
  }
  return sum;
}

// Whether a lane can load all of its columns at once, in every row.
template <typename T>
VQS_DEVICE bool IsWhole(const Piece& piece) {
  const uint64_t places = piece.prev.address | piece.cur.address | piece.prev.pitch_bytes | piece.cur.pitch_bytes;
  return piece.column >= 0 && piece.column + kGroup <= piece.width && places % (kGroup * sizeof(T)) == 0;
}

template <typename T>
VQS_DEVICE void MotionSad(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height, uint64_t* sad) {
  const int lane = ThreadX() % kWarp;
  const int index = (BlockY() * GridX() + BlockX()) * (kThreads / kWarp) + ThreadX() / kWarp;
  const int across = (width + kRadius + kPieceColumns - 1) / kPieceColumns, down = (height + kPieceRows - 1) / kPieceRows;
  const VqsFrame frame = ReadFrame(frames, BlockZ());
  const uint32_t earlier = distance == 1 ? frame.previous[0] : frame.previous[1];
  if (index >= across * down || earlier == kVqsNoPicture) return;  // the same for all lanes

  Piece piece;
  piece.prev = ReadPicture(references, earlier);
  piece.cur = ReadPicture(references, frame.reference);
  piece.width = width;
  piece.height = height;
  // The first piece's results begin kRadius columns before the picture, so that every lane's columns begin at a multiple of kGroup.
  piece.column = index % across * kPieceColumns - kGroup + lane * kGroup;
  piece.row = index / across * kPieceRows;
  const bool whole = WarpSum(static_cast<uint32_t>(IsWhole<T>(piece))) == kWarp;
  const uint32_t sum = WarpSum(whole ? PieceSum<T, true>(piece, lane) : PieceSum<T, false>(piece, lane));
  if (lane == 0) AtomicAdd(&sad[BlockZ()], static_cast<uint64_t>(sum));
}

}  // namespace

// distance is 1 or 2.
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_motion_sad_u8(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height, uint64_t* sad) {
  MotionSad<uint8_t>(references, frames, distance, width, height, sad);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_motion_sad_u16(const VqsPicture* references, const VqsFrame* frames, int distance, int width, int height, uint64_t* sad) {
  MotionSad<uint16_t>(references, frames, distance, width, height, sad);
}
