// adm_wavelet.h — the front of ADM's kernels: tiles, and the wavelet of a tile at any scale.            Source: spec/adm.md §4
//
// A block's warps filter the rows of a tile, vertically from global into shared memory, then horizontally from there into
// registers. What of the approximation is the tile's own goes to global memory, for the next scale.
#ifndef VQS_CUDA_ADM_WAVELET_H_
#define VQS_CUDA_ADM_WAVELET_H_

#include "adm_device.h"
#include "batch.h"

// VqsAdmScale is what is known of a scale from the picture's size. gpu/adm.go mirrors it.
struct VqsAdmScale {
  uint64_t in_plane, out_plane;            // bytes from one plane of A to the next: A above, and this scale's
  uint32_t in_pitch, out_pitch;             // bytes from row to row of those
  int32_t in_width, in_height;              // of the signal that is filtered
  int32_t in_left, in_right, in_top, in_bottom;  // what of it is needed; of A above, what there is
  int32_t width, height;                    // of the bands
  int32_t left, right, top, bottom;         // the active region
  int32_t approx_left, approx_right, approx_top, approx_bottom;  // where A is needed; empty at scale 3
  int32_t first_column, first_row;           // of the first tile
  int32_t column_shift;                      // of a term of the denominator, scales 1…3
  int32_t term_shift_hv, term_shift_d;       // of a term of a numerator
  int32_t denominator_row_shift, row_shift;  // of a row's sum: of the denominator, of the others
  int32_t first_sum;                         // where the active rows of this scale begin in a band's row sums
};
static_assert(sizeof(VqsAdmScale) == 120, "as in gpu/adm.go");

namespace vqs {
namespace adm {

constexpr int kLanes = 32;
constexpr int kTile = 32;             // details of a block, each way
constexpr int kInner = kTile - 2;     // positions that it sums: those with all their neighbours
static_assert(kTile == kLanes, "a warp filters rows of a tile, and sums over its columns");

// Shared memory has one row of words for each row of the tile. First it holds the vertically filtered samples, even and odd columns
// apart, so that lanes read neighbouring words; then, in planes of a tile's width, what thresholds and cubes are made of. The odd
// pitch lets lanes work on a column as well as on a row without meeting in a bank.
// kFiltered: from the low-pass to the high-pass words of scales 1…3; scale 0 has both in one.
constexpr int kEven = 0, kOdd = kTile + 1, kFiltered = 2 * (kTile + 1);
constexpr int kNeighbours = 0;          // what the masker's bands add to thresholds around
constexpr int kSelf = kTile;            // what they add to their own beyond that
constexpr int kSignal = 2 * kTile;      // scale 0: |S| of H and V, 16 bits each, then of D; others: |c| of H, V and D

template <int kScale>
struct Shape {
  static constexpr bool kWide = kScale > 0;
  static constexpr int kRows = kWide ? 2 : 4;                  // of details, a thread
  static constexpr int kThreads = kTile / kRows * kLanes;
  static constexpr int kPitch = (kWide ? 5 : 4) * kTile + 1;
  static constexpr int kColumns = kRows;                         // of sums, a thread, which has one row of them
  static constexpr int kGroups = (kInner + kColumns - 1) / kColumns;  // of columns, a warp each
  static_assert((kWide ? 2 : 1) * kFiltered <= kPitch, "filtered rows fit");
};

// Anew gives a value back that the compiler takes for another. What loops do not change is else computed before them and kept,
// addresses and conditions above all, in many more registers than there are.
VQS_DEVICE uint32_t Anew(uint32_t v) {
  asm volatile("" : "+r"(v));
  return v;
}
VQS_DEVICE int32_t Anew(int32_t v) { return static_cast<int32_t>(Anew(static_cast<uint32_t>(v))); }
template <typename T>
VQS_DEVICE T* Anew(T* p) {
  return p + Anew(0);
}

// Bands are the details of a position.
struct Bands {
  int32_t h, v, d;
};

// Kept is how a thread keeps details: those of scale 0 as 16 bits.
template <bool kWide>
struct Kept {
  int32_t h, v, d;
  __device__ Bands Get() const { return {h, v, d}; }
  __device__ void Renew() { h = Anew(h), v = Anew(v), d = Anew(d); }
};
template <>
struct Kept<false> {
  uint32_t hv;
  int32_t d;
  __device__ Bands Get() const { return {static_cast<int16_t>(hv), static_cast<int32_t>(hv) >> 16, d}; }
  __device__ void Renew() { hv = Anew(hv), d = Anew(d); }
};

// Position is where a thread stands. Rows and columns are of the band, and may lie outside of it.
struct Position {
  int thread, lane, warp;
  int column, row;  // of the tile's first details
};

VQS_DEVICE Position Anew(Position p) {
  const int thread = Anew(p.thread);
  return {thread, thread % kLanes, thread / kLanes, Anew(p.column), Anew(p.row)};
}

// ---------------------------------------------------------------------------------------------------- §4 wavelet

// Source is the picture or the plane of A that is filtered.
struct Source {
  uint64_t address;
  uint32_t pitch;   // in bytes
  uint32_t shift;   // that brings a picture's samples to 16 bits
  bool aligned;     // its rows begin where pairs of samples can be loaded
};

template <typename T>
VQS_DEVICE Source Picture(const VqsPicture& picture) {
  return {picture.address, picture.pitch_bytes, picture.left_shift,
          ((picture.address | picture.pitch_bytes) & (2 * sizeof(T) - 1)) == 0};
}

// Sample is a sample as filters take it.
VQS_DEVICE int32_t Sample(const uint8_t* p, uint32_t shift) { return AdmCentre(static_cast<int32_t>(Read(p)) << shift, 16); }
VQS_DEVICE int32_t Sample(const uint16_t* p, uint32_t shift) { return AdmCentre(static_cast<int32_t>(Read(p)) << shift, 16); }
VQS_DEVICE int32_t Sample(const int16_t* p, uint32_t) { return Read(p); }
VQS_DEVICE int32_t Sample(const int32_t* p, uint32_t) { return Read(p); }

struct Pair {
  int32_t even, odd;
};

// TwoSamples are two neighbours, at an address that both together are aligned to.
VQS_DEVICE Pair TwoSamples(const uint8_t* p, uint32_t shift) {
  const int32_t both = Read(reinterpret_cast<const uint16_t*>(p));
  return {AdmCentre((both & 0xff) << shift, 16), AdmCentre((both >> 8) << shift, 16)};
}
VQS_DEVICE Pair TwoSamples(const uint16_t* p, uint32_t shift) {
  const uint32_t both = Read(reinterpret_cast<const uint32_t*>(p));
  return {AdmCentre(static_cast<int32_t>((both & 0xffff) << shift), 16),
          AdmCentre(static_cast<int32_t>((both >> 16) << shift), 16)};
}
VQS_DEVICE Pair TwoSamples(const int16_t* p, uint32_t) {
  const int32_t both = Read(reinterpret_cast<const int32_t*>(p));
  return {static_cast<int16_t>(both), both >> 16};
}
VQS_DEVICE Pair TwoSamples(const int32_t* p, uint32_t) {
  const VqsWord2 both = Read(reinterpret_cast<const VqsWord2*>(p));
  return {static_cast<int32_t>(both.x), static_cast<int32_t>(both.y)};
}

// Inside is where position t of a signal of n samples is found: mirrored, and then for positions that no sum depends on, moved to
// the part that there is.
VQS_DEVICE int Inside(int t, int n, int first, int end) { return Min(Max(MirrorWholeHalf(t, n), first), end - 1); }

// At is row y of what begins at `address`.
template <typename T>
VQS_DEVICE const T* At(uint64_t address, const Source& source, int y) {
  return reinterpret_cast<const T*>(MultiplyAdd(static_cast<uint32_t>(y), source.pitch, address));
}

template <int kShift>
constexpr int32_t kHalf = 1 << (kShift - 1);

// LowPass and HighPass are the filters of adm_arith.h in 64 bits, one multiplication with addition a tap, on top of `start`. The
// compiler, seeing the bits that a shift afterwards drops, would make products of 64-bit numbers of them.
VQS_DEVICE int64_t LowPass(int64_t start, int32_t x0, int32_t x1, int32_t x2, int32_t x3) {
  return MultiplyAdd(kAdmTap3, x3, MultiplyAdd(kAdmTap2, x2, MultiplyAdd(kAdmTap1, x1, MultiplyAdd(kAdmTap0, x0, start))));
}
VQS_DEVICE int64_t HighPass(int64_t start, int32_t x0, int32_t x1, int32_t x2, int32_t x3) {
  return MultiplyAdd(-kAdmTap0, x3, MultiplyAdd(kAdmTap1, x2, MultiplyAdd(-kAdmTap2, x1, MultiplyAdd(kAdmTap3, x0, start))));
}

// StoreDown filters four samples above each other and keeps what comes out at column position `at`.
template <int kScale, class Words>
VQS_DEVICE void StoreDown(Words& words, int at, int32_t x0, int32_t x1, int32_t x2, int32_t x3) {
  if constexpr (kScale == 0) {
    const uint32_t low = AdmLowPass(x0, x1, x2, x3) + kHalf<16>, high = AdmHighPass(x0, x1, x2, x3) + kHalf<16>;
    words[at] = Bytes(low, high, 0x7632);  // the upper halves
  } else if constexpr (kScale == 1) {
    words[at] = AdmLowPass(x0, x1, x2, x3);  // §12: fits 32 bits
    words[at + kFiltered] = AdmHighPass(x0, x1, x2, x3);
  } else {
    constexpr int kShift = 16;  // AdmVerticalShift
    words[at] = static_cast<uint32_t>(LowPass(kHalf<kShift>, x0, x1, x2, x3) >> kShift);
    words[at + kFiltered] = static_cast<uint32_t>(HighPass(kHalf<kShift>, x0, x1, x2, x3) >> kShift);
  }
}

// FilterDown filters the warp's rows vertically. kPlain: all that it reads lies inside and is aligned.
template <int kScale, bool kPlain, typename T, class Words>
VQS_DEVICE void FilterDown(Words& words, const Source& source, const VqsAdmScale* g, const Position& p) {
  constexpr int kRows = Shape<kScale>::kRows, kPitch = Shape<kScale>::kPitch;
  const int first_row = p.warp * kRows, y0 = 2 * (p.row + first_row) - 1;
  const int x = 2 * (p.column + p.lane);
  int in_width = 0, in_height = 0, in_left = 0, in_right = 0, in_top = 0, in_bottom = 0, even = x, odd = x + 1;
  if (!kPlain) {
    in_width = Read(&g->in_width), in_height = Read(&g->in_height);
    in_left = Read(&g->in_left), in_right = Read(&g->in_right);
    in_top = Read(&g->in_top), in_bottom = Read(&g->in_bottom);
    even = Inside(even, in_width, in_left, in_right), odd = Inside(odd, in_width, in_left, in_right);
  }
  const uint64_t at_even = MultiplyAdd(static_cast<uint32_t>(even), sizeof(T), source.address);
  const uint64_t at_odd = MultiplyAdd(static_cast<uint32_t>(odd), sizeof(T), source.address);
  const auto place = [&](int y) { return kPlain ? y : Inside(y, in_height, in_top, in_bottom); };
  const auto load = [&](int y) {
    if (kPlain) return TwoSamples(At<T>(at_even, source, y), source.shift);
    const int row = place(y);
    return Pair{Sample(At<T>(at_even, source, row), source.shift), Sample(At<T>(at_odd, source, row), source.shift)};
  };
  int to = first_row * kPitch;
  Pair s0 = load(y0), s1 = load(y0 + 1);
#pragma unroll
  for (int k = 0; k < kRows; ++k) {
    const Pair s2 = load(y0 + 2 * k + 2), s3 = load(y0 + 2 * k + 3);
    StoreDown<kScale>(words, to + kEven + p.lane, s0.even, s1.even, s2.even, s3.even);
    StoreDown<kScale>(words, to + kOdd + p.lane + 1, s0.odd, s1.odd, s2.odd, s3.odd);
    s0 = s2, s1 = s3;
    to += kPitch;
  }
  // The columns before and after those, a lane for each row of each.
  if (p.lane < 2 * kRows) {
    const int row = p.lane / 2, after = p.lane % 2, y = y0 + 2 * row;
    int column = 2 * p.column + (after ? 2 * kTile : -1);
    if (!kPlain) column = Inside(column, in_width, in_left, in_right);
    const uint64_t at = MultiplyAdd(static_cast<uint32_t>(column), sizeof(T), source.address);
    const auto sample = [&](int k) { return Sample(At<T>(at, source, place(y + k)), source.shift); };
    StoreDown<kScale>(words, (first_row + row) * kPitch + (after ? kEven + kTile : kOdd), sample(0), sample(1), sample(2),
                      sample(3));
  }
}

// FilterAcross makes the bands at one position of a row from what FilterDown kept of it, and returns A.
template <int kScale, class Words>
VQS_DEVICE int32_t FilterAcross(const Words& words, int row, int place, Kept<(kScale > 0)>* bands) {
  const int at = row * Shape<kScale>::kPitch + place;
  const uint32_t w0 = words[at + kOdd], w1 = words[at + kEven], w2 = words[at + kOdd + 1], w3 = words[at + kEven + 1];
  if constexpr (kScale == 0) {
    const int32_t l0 = static_cast<int16_t>(w0), l1 = static_cast<int16_t>(w1), l2 = static_cast<int16_t>(w2),
                  l3 = static_cast<int16_t>(w3);
    const int32_t h0 = static_cast<int32_t>(w0) >> 16, h1 = static_cast<int32_t>(w1) >> 16,
                  h2 = static_cast<int32_t>(w2) >> 16, h3 = static_cast<int32_t>(w3) >> 16;
    bands->hv = Bytes(AdmLowPass(h0, h1, h2, h3) + kHalf<16>, AdmHighPass(l0, l1, l2, l3) + kHalf<16>, 0x7632);
    bands->d = (AdmHighPass(h0, h1, h2, h3) + kHalf<16>) >> 16;
    return (AdmLowPass(l0, l1, l2, l3) + kHalf<16>) >> 16;
  } else {
    constexpr int kShift = kScale == 2 ? 16 : 15;  // AdmHorizontalShift
    const int32_t l0 = w0, l1 = w1, l2 = w2, l3 = w3;
    const int32_t h0 = words[at + kFiltered + kOdd], h1 = words[at + kFiltered + kEven],
                  h2 = words[at + kFiltered + kOdd + 1], h3 = words[at + kFiltered + kEven + 1];
    bands->h = static_cast<int32_t>(LowPass(kHalf<kShift>, h0, h1, h2, h3) >> kShift);
    bands->v = static_cast<int32_t>(HighPass(kHalf<kShift>, l0, l1, l2, l3) >> kShift);
    bands->d = static_cast<int32_t>(HighPass(kHalf<kShift>, h0, h1, h2, h3) >> kShift);
    return static_cast<int32_t>(LowPass(kHalf<kShift>, l0, l1, l2, l3) >> kShift);
  }
}

VQS_DEVICE bool Within(int i, int first, int end) { return i >= first && i < end; }

// Wavelet makes the warp's rows of the bands and stores, of A, what of it is the tile's own, at `approx` where that is not 0.
template <int kScale, typename T, class Words>
VQS_DEVICE void Wavelet(Words& words, const Source& source, const VqsAdmScale* g, const Position& p, uint64_t approx,
                        Kept<(kScale > 0)> (&bands)[Shape<kScale>::kRows]) {
  constexpr int kRows = Shape<kScale>::kRows;
  const int x = 2 * p.column - 1, y = 2 * p.row - 1;
  const bool plain = source.aligned && x >= Read(&g->in_left) && x + 2 * kTile + 2 <= Read(&g->in_right) &&
                     y >= Read(&g->in_top) && y + 2 * kTile + 2 <= Read(&g->in_bottom);
  SyncWarp();  // all lanes have read what the picture before left there
  if (plain) {
    FilterDown<kScale, true, T>(words, source, g, p);
  } else {
    FilterDown<kScale, false, T>(words, source, g, p);
  }
  SyncWarp();
  // §9: beyond the band, column −1 is column 1, and column `width` the one before it. Thresholds look no further.
  const int column = p.column + p.lane;
  const int place = column < 0 ? p.lane + 2 : column == Read(&g->width) ? p.lane - 1 : p.lane;
  const bool store = approx != 0 && Within(p.lane, 1, kTile - 1) &&
                     Within(column, Read(&g->approx_left), Read(&g->approx_right));
  const uint32_t out_pitch = Read(&g->out_pitch);
  const int top = Max(Read(&g->approx_top), p.row + 1), bottom = Min(Read(&g->approx_bottom), p.row + kTile - 1);
#pragma unroll
  for (int k = 0; k < kRows; ++k) {
    const int row = p.warp * kRows + k;
    const int32_t a = FilterAcross<kScale>(words, row, place, &bands[k]);
    if (store && Within(p.row + row, top, bottom)) {
      const uint64_t line = MultiplyAdd(static_cast<uint32_t>(p.row + row), out_pitch, approx);
      if constexpr (kScale == 0) {
        Store(reinterpret_cast<int16_t*>(line) + column, static_cast<int16_t>(a));
      } else {
        Store(reinterpret_cast<int32_t*>(line) + column, a);
      }
    }
  }
}

}  // namespace adm
}  // namespace vqs

#endif  // VQS_CUDA_ADM_WAVELET_H_
