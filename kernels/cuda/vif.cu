// vif.cu — Visual Information Fidelity in integers: sums over a picture, one scale a launch.         Source: spec/vif.md
//
// in     references, distorted   pictures of T = u8 or u16 brought to 16 bits by their shift, any alignment; at scales 1…3 what the
//                    launch before made
//        frames      which pictures belong together
// out    sums        u64[pairs][3 + limits][4]: DL, C, NV, then NL under each gain limit, by scale; zeroed by the caller
//        next_…      the pictures of the next scale, u16
// fixed  kVifTaps    Q16, Σ = 65536
//        x           sample, 16 bits (8 at scale 0 of 8-bit pictures, with shifts that make up for it: the bits are those of any depth)
//        m           Σ f·x: u32 Q16 → u16;  horizontally A = Σ f·m: u32 Q16
//        p11, p22    Σ f·x²: u32. Kept as P = p − 2^16·m + 2^30 + 2^15, which is E[(x − 2^15)²] and a rounding of less than 2^15: it
//                    lies in 0 … 2^30 + 2^16, so that P of two columns that share a tap can be added in 32 bits first. In the end
//                    (Σ f·p + 2^15) >> 16 = ((Σ f·P + 2^15) >> 16) + A − 2^30 − 2^15, since the other terms have no fraction there.
//        p12         Σ f·x·y: u32, as it is. It would need 33 bits, so its columns are multiplied one by one
//        Q           Σ f·P, Σ f·p12: u64, 48 bits
//        sums        a thread's NL and DL of a band ≤ 8·2^15, NV < 2^34
// order  integer sums only, so any order of threads gives the same bits; f64 for the gain alone, as the spec has it
// moved  scale 0, a pixel of a pair: 2 samples read from memory, 1 byte written for the next scale. Bands of 8 rows overlap by 16: what
//        they share is read again, three times in all, from the first-level cache
// work   a pixel of scale 0 with 8 bits, reference and one rendition: 63 multiply-adds in 32 bits and 45 in 64 (of which for another
//        rendition 36 and 36), of products 9, for the next scale 8, for the logarithms of two gain limits 16 in f32, and about 25 in f64;
//        without pairing of equal taps and in 64 bits throughout it would be 170 for the moments alone
// grid   x: strips of 240 columns (248 from scale 1 on), y: segments of `rows` rows, z: frame; 256 threads; 28.5 KiB shared
//
// A block goes down its strip in bands of 8 rows: for the reference, then for each of the frame's renditions,
//   vertically    a thread has one of 256 columns, the halo on both sides included, and forms 8 rows from a window of 24 in registers;
//   horizontally  a warp has one of the 8 rows, and a lane twice four neighbouring columns from a window of 20.
// The reference's A and variance stay in registers for the renditions.
#include "batch.h"
#include "mirror.h"
#include "vif_arith.h"
#include "vif_log.h"

namespace {

constexpr int kThreads = 256, kWarp = 32, kBlocks = 2;     // blocks that a multiprocessor's registers are to suffice for
constexpr int kColumns = kThreads;                         // filtered vertically, halo included
constexpr int kRows = 4;                                   // of a band
constexpr int kGroup = 4;                                  // neighbouring columns that a thread filters at once
constexpr int kRowThreads = kThreads / kRows;              // threads of a row
constexpr int kNextRows = kRows / 2;
static_assert(kRowThreads * kGroup == kColumns, "how rows and columns fall to threads");

constexpr uint32_t kRound = 1u << 15;                      // half of Q16's unit
constexpr uint32_t kCentre = (1u << 30) + (1u << 15);      // what is added to P: see above

// Again is v, and hides from the compiler that it is: what is computed of it in a loop is computed there each time rather than kept
// in registers, which are scarcer than instructions here.
VQS_DEVICE uint32_t Again(uint32_t v) {
  asm volatile("" : "+r"(v));
  return v;
}

template <int kScale>
struct Filter {
  static constexpr int kTaps = kVifTapCount[kScale], kHalf = kTaps / 2;
  static constexpr int kWindow = kRows + 2 * kHalf;        // rows that the rows of a band reach
  static constexpr int kHalo = kScale == 0 ? 8 : 4;        // columns beside those of the block: kHalf at least, and a multiple of kGroup
  static constexpr int kOutputs = kColumns - 2 * kHalo;
  static constexpr int kBefore = kHalo - kHalf;            // columns of the halo that are not reached
  static constexpr int kReach = kGroup + 2 * kHalo;        // columns that are loaded for those of a group
};

constexpr int kLongestWindow = Filter<0>::kWindow;
static_assert(kLongestWindow % 4 == 0, "loaded four at a time");

// PairSum is Σ f·w over the taps at w[first] … . Equal taps share a multiplication; a sum of two values fits 32 bits.
template <int kScale, typename Sum, int n>
VQS_DEVICE Sum PairSum(const uint32_t (&w)[n], int first, uint32_t start) {
  constexpr int half = Filter<kScale>::kHalf;
  Sum sum = start + static_cast<Sum>(w[first + half]) * static_cast<uint32_t>(kVifTaps[kScale][half]);
#pragma unroll
  for (int k = 0; k < half; ++k) {
    sum += static_cast<Sum>(w[first + k] + w[first + 2 * half - k]) * static_cast<uint32_t>(kVifTaps[kScale][k]);
  }
  return sum;
}

// WideSum is Σ f·w for values of which two do not fit 32 bits.
template <int kScale, int n>
VQS_DEVICE uint64_t WideSum(const uint32_t (&w)[n], int first, uint32_t start) {
  uint64_t sum = start;
#pragma unroll
  for (int k = 0; k < Filter<kScale>::kTaps; ++k) {
    sum += static_cast<uint64_t>(w[first + k]) * static_cast<uint32_t>(kVifTaps[kScale][k]);
  }
  return sum;
}

// ------------------------------------------------------------------------------------------ vertical filter

// Samples are the window of one column: of 8 bits as they are, others brought to 16.
template <typename T, int kScale>
struct Samples {
  static constexpr int n = Filter<kScale>::kWindow;
  static constexpr int kUnit = sizeof(T) == 1 ? 8 : 0;     // what a sample lacks to 16 bits
  uint32_t x[n];
};

// LoadSamples reads column x of the window's rows. They come from shared memory, four a load, and are mirrored there for all pictures.
template <typename T, int kScale>
VQS_DEVICE Samples<T, kScale> LoadSamples(const VqsPicture& picture, VqsShared<uint32_t> rows, int x) {
  Samples<T, kScale> s;
  const int first = static_cast<int>(Again(0)) * 4;
#pragma unroll
  for (int i = 0; i < s.n; i += 4) {
    const VqsWord4 four = FourOf(rows, first + i);
    const uint32_t row[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int j = 0; j < 4 && i + j < s.n; ++j) {
      const uint32_t sample = Read(Row<T>(picture, static_cast<int>(row[j])) + x);
      s.x[i + j] = sizeof(T) == 1 ? sample : sample << picture.left_shift & 0xffff;
    }
  }
  return s;
}

// Packed keeps a window in fewer registers.
template <typename T, int kScale>
struct Packed {
  static constexpr int n = Filter<kScale>::kWindow, kPer = 4 / sizeof(T);
  uint32_t word[n / kPer];
};

template <typename T, int kScale>
VQS_DEVICE Packed<T, kScale> Pack(const Samples<T, kScale>& s) {
  Packed<T, kScale> p = {};
#pragma unroll
  for (int i = 0; i < s.n; ++i) p.word[i / p.kPer] |= s.x[i] << (8 * sizeof(T) * (i % p.kPer));
  return p;
}

template <typename T, int kScale>
VQS_DEVICE Samples<T, kScale> Unpack(const Packed<T, kScale>& p) {
  Samples<T, kScale> s;
#pragma unroll
  for (int i = 0; i < s.n; i += p.kPer) {
    const uint32_t word = Again(p.word[i / p.kPer]);
#pragma unroll
    for (int j = 0; j < p.kPer; ++j) s.x[i + j] = Bytes(word, 0, sizeof(T) == 1 ? 0x4440 + j : 0x4410 + j * 0x22);
  }
  return s;
}

// StoreMeans filters a column of one picture: m of a band's rows. rounding gets what the squares need of its roundings.
template <typename T, int kScale>
VQS_DEVICE void StoreMeans(const Samples<T, kScale>& s, VqsShared<uint32_t> means, int column, uint32_t (&rounding)[kRows]) {
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    const uint32_t m = (PairSum<kScale, uint32_t>(s.x, row, 0) << s.kUnit) + kRound;
    means[row * kColumns + column] = m >> 16;
    rounding[row] = sizeof(T) == 1 ? kCentre - (m & 0xffff0000) : m & 0xffff;
  }
}

// StoreSquares filters the squares of a column: P of a band's rows. Of 16 bits Σ f·(x − 2^15)² is formed, and m's rounding added; of
// 8 bits Σ f·x², and what there is of m taken off.
template <typename T, int kScale>
VQS_DEVICE void StoreSquares(const Samples<T, kScale>& s, const uint32_t (&rounding)[kRows], VqsShared<uint32_t> squares, int column) {
  uint32_t square[Filter<kScale>::kWindow];
#pragma unroll
  for (int i = 0; i < s.n; ++i) {
    const uint32_t x = sizeof(T) == 1 ? s.x[i] : s.x[i] - 0x8000;  // modulo 2^32; its square is right
    square[i] = x * x;
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    squares[row * kColumns + column] =
        sizeof(T) == 1 ? PairSum<kScale, uint32_t>(square, row, rounding[row])
                       : static_cast<uint32_t>(PairSum<kScale, uint64_t>(square, row, kRound) >> 16) + rounding[row];
  }
}

// StoreProducts filters the products of two columns: p12 of a band's rows.
template <typename T, int kScale>
VQS_DEVICE void StoreProducts(const Samples<T, kScale>& ref, const Samples<T, kScale>& dis, VqsShared<uint32_t> products, int column) {
  constexpr int n = Filter<kScale>::kWindow;
  uint32_t product[n];
#pragma unroll
  for (int i = 0; i < n; ++i) product[i] = ref.x[i] * dis.x[i];
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    products[row * kColumns + column] =
        sizeof(T) == 1 ? PairSum<kScale, uint32_t>(product, row, 0)
                       : static_cast<uint32_t>(WideSum<kScale>(product, row, kRound) >> 16);
  }
}

// StoreNext filters a column for the next scale, at even rows alone.
template <typename T, int kScale>
VQS_DEVICE void StoreNext(const Samples<T, kScale>& s, VqsShared<uint32_t> next, int column) {
  if constexpr (kScale + 1 < kVifScales) {
    constexpr int first = Filter<kScale>::kHalf - Filter<kScale + 1>::kHalf;
#pragma unroll
    for (int row = 0; row < kNextRows; ++row) {
      next[row * kColumns + column] = VifRoundQ16(PairSum<kScale + 1, uint32_t>(s.x, first + 2 * row, 0) << s.kUnit);
    }
  }
}

// ------------------------------------------------------------------------------------------ horizontal filter

// LoadGroup reads what the group of columns beside `at` reaches, and where the halo is wider than that, some of what is left of it.
template <int kScale>
VQS_DEVICE void LoadGroup(VqsShared<uint32_t> rows, int at, uint32_t (&w)[Filter<kScale>::kReach]) {
#pragma unroll
  for (int i = 0; i < Filter<kScale>::kReach; i += 4) {
    const VqsWord4 four = FourOf(rows, at + i);
    w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
  }
}

// A and w − u, the variance, of a group of one picture. They are of one width for the renditions' use of the reference's.
struct Group {
  uint32_t mean[kGroup];
  int32_t variance[kGroup];
};

template <int kScale>
VQS_DEVICE Group FilterGroup(VqsShared<uint32_t> means, VqsShared<uint32_t> squares, int at) {
  Group g;
  uint32_t w[Filter<kScale>::kReach];
  LoadGroup<kScale>(means, at, w);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) g.mean[i] = PairSum<kScale, uint32_t>(w, Filter<kScale>::kBefore + i, 0);
  LoadGroup<kScale>(squares, at, w);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    const uint32_t square = static_cast<uint32_t>(PairSum<kScale, uint64_t>(w, Filter<kScale>::kBefore + i, kRound) >> 16) + g.mean[i] - kCentre;
    g.variance[i] = static_cast<int32_t>(square - VifMeanProduct(g.mean[i], g.mean[i]));
  }
  return g;
}

// FilterNext makes the band's part of the next scale: a thread two columns of one row.
template <int kScale>
VQS_DEVICE void FilterNext(VqsShared<uint32_t> next, const VqsPicture& out, int left, int top, int width, int height) {
  if constexpr (kScale + 1 < kVifScales) {
    const int row = ThreadX() / kRowThreads, column = ThreadX() % kRowThreads * kGroup;
    const int x = (left + column) / 2, y = top / 2 + row;
    if (row >= kNextRows || column >= Filter<kScale>::kOutputs || y >= height / 2 || x >= width / 2) return;
    uint32_t w[Filter<kScale>::kReach];
    LoadGroup<kScale>(next, row * kColumns + column, w);
    constexpr int first = Filter<kScale>::kHalo - Filter<kScale + 1>::kHalf;
    uint16_t* const to = const_cast<uint16_t*>(Row<uint16_t>(out, y)) + x;
    Store(to, static_cast<uint16_t>(VifRoundQ16(PairSum<kScale + 1, uint32_t>(w, first, 0))));
    if (x + 1 < width / 2) Store(to + 1, static_cast<uint16_t>(VifRoundQ16(PairSum<kScale + 1, uint32_t>(w, first + 2, 0))));
  }
}

// ------------------------------------------------------------------------------------------ sums

// Of a thread, or a warp, over at most kMostRows rows: nl and dl below 2^31.
struct RefSums {
  uint32_t dl, c;
};
struct PairSums {
  uint32_t nl[2];
  uint64_t nv;
};

VQS_DEVICE void AddRef(VqsShared<VqsWord2> log, int32_t variance, RefSums& sums) {
  if (variance >= kVifSigmaNsq) {
    sums.dl += VifLog(log, static_cast<uint32_t>(variance + kVifSigmaNsq)) - kVifLogOfSigmaNsq;
  } else {
    sums.c += 1;
  }
}

// AddPair adds a pixel under one gain limit, or two.
VQS_DEVICE void AddPair(VqsShared<VqsWord2> log, int32_t s1, int32_t s2, int32_t s12, bool two, double limit0, double limit1, PairSums& sums) {
  s2 = Max(s2, 0);
  if (s1 < kVifSigmaNsq) {
    sums.nv += static_cast<uint32_t>(s2);
  } else if (s12 > 0 && s2 > 0) {
    const VifGain first = VifNumerator(s1, s2, s12, limit0);
    const uint32_t log1 = VifLog(log, first.n1);
    sums.nl[0] += VifLog(log, first.n2) - log1;
    if (two) sums.nl[1] += VifLog(log, VifNumerator(s1, s2, s12, limit1).n2) - log1;
  }
}

// Place is where the sums of a pair go: words of kVifScales by scale.
struct Place {
  uint64_t* words;  // DL of the pair at the scale at hand
  int gain;         // first of the gain limits at hand
  bool two;         // are they two
};

VQS_DEVICE void Deliver(const Place& to, const RefSums& warp) {
  AtomicAdd(to.words, static_cast<uint64_t>(warp.dl));
  AtomicAdd(to.words + kVifScales, static_cast<uint64_t>(warp.c));
}
VQS_DEVICE void Deliver(const Place& to, const PairSums& warp) {
  if (to.gain == 0) AtomicAdd(to.words + 2 * kVifScales, warp.nv);
  AtomicAdd(to.words + kVifScales * (3 + to.gain), static_cast<uint64_t>(warp.nl[0]));
  if (to.two) AtomicAdd(to.words + kVifScales * (4 + to.gain), static_cast<uint64_t>(warp.nl[1]));
}

// Hold adds a band's sums of one rendition to those of the block: lane k of each warp holds the warp's of rendition k. Those of renditions
// beyond the lanes are delivered at once.
VQS_DEVICE void Hold(const PairSums& sums, const Place& to, uint32_t rendition, uint32_t lane, PairSums& held) {
  PairSums warp;
  warp.nl[0] = WarpSum(sums.nl[0]);
  warp.nl[1] = to.two ? WarpSum(sums.nl[1]) : 0;
  // In two halves, since a sum over the warp in 64 bits takes twice as long, and more.
  warp.nv = WarpSum(static_cast<uint32_t>(sums.nv & 0xffff)) + (static_cast<uint64_t>(WarpSum(static_cast<uint32_t>(sums.nv >> 16))) << 16);
  if (rendition >= kWarp) {
    if (lane == 0) Deliver(to, warp);
  } else if (lane == rendition) {
    held.nl[0] += warp.nl[0];
    held.nl[1] += warp.nl[1];
    held.nv += warp.nv;
  }
}

// ------------------------------------------------------------------------------------------ one scale

template <typename T, int kScale>
VQS_DEVICE void Scale(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                      const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                      int gains, double limit0, double limit1, uint64_t* sums) {
  using F = Filter<kScale>;
  VQS_SHARED_ALIGNED(uint32_t, means, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, squares, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, products, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, next, kNextRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, window, kLongestWindow);
  VQS_SHARED(VqsWord2, log, kVifLogSegments);

  const VqsFrame frame = ReadFrame(frames, BlockZ());
  // From scale 1 on a frame has its own picture of the reference.
  const VqsPicture ref = ReadPicture(references, kScale == 0 ? frame.reference : BlockZ());
  const int thread = ThreadX();
  const uint32_t lane = static_cast<uint32_t>(thread) % kWarp;
  const int row = thread / kRowThreads, column = thread % kRowThreads * kGroup;  // of the thread's group
  const int at = row * kColumns + column;                                         // of the group's halo in shared memory
  const int left = BlockX() * F::kOutputs, first = BlockY() * rows, end = Min(first + rows, height);
  // Columns right of what the picture's own columns reach are not used.
  const int x = MirrorWhole(Min(left - F::kHalo + thread, width - 1 + F::kHalf), width);
  const bool two = gain + 1 < gains;
  const auto place = [&](uint32_t rendition) {
    const uint64_t pair = frame.first_pair + rendition;
    return Place{sums + pair * (kVifScales * (3 + static_cast<uint32_t>(gains))) + kScale, gain, two};
  };

  VifLogLoad(log, thread);
  RefSums ref_sums = {};
  PairSums held = {};
  for (int top = first; top < end; top += kRows) {
    // The band before has loaded its samples. Rows below what the picture's own rows reach are not used.
    if (thread < kLongestWindow) window[thread] = static_cast<uint32_t>(MirrorWhole(Min(top + thread, height - 1 + 2 * F::kHalf) - F::kHalf, height));
    SyncBlock();
    const Samples<T, kScale> r = LoadSamples<T, kScale>(ref, window, x);
    const Packed<T, kScale> ref_samples = Pack(r);
    uint32_t rounding[kRows];
    StoreMeans(r, means, thread, rounding);
    StoreNext(r, next, thread);
    StoreSquares(r, rounding, squares, thread);
    SyncBlock();

    const bool inside = top + row < height && column < F::kOutputs;
    Group ref_group;
    if (inside) {
      ref_group = FilterGroup<kScale>(means, squares, at);
#pragma unroll
      for (int i = 0; i < kGroup; ++i) {
        if (left + column + i < width) AddRef(log, ref_group.variance[i], ref_sums);
      }
    }
    if (kScale + 1 < kVifScales) FilterNext<kScale>(next, ReadPicture(next_references, BlockZ()), left, top, width, height);

    for (uint32_t k = 0; k < frame.pairs; ++k) {
      SyncBlock();
      {
        const Samples<T, kScale> d = LoadSamples<T, kScale>(ReadPicture(distorted, frame.first_pair + k), window, x);
        StoreMeans(d, means, thread, rounding);
        StoreNext(d, next, thread);
        StoreProducts(Unpack(ref_samples), d, products, thread);
        StoreSquares(d, rounding, squares, thread);
      }
      SyncBlock();

      PairSums pair_sums = {};
      if (inside) {
        const Group dis = FilterGroup<kScale>(means, squares, at);
        uint32_t w[F::kReach];
        LoadGroup<kScale>(products, at, w);
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          const uint32_t product = static_cast<uint32_t>(WideSum<kScale>(w, F::kBefore + i, kRound) >> 16);
          const int32_t s12 = static_cast<int32_t>(product - VifMeanProduct(ref_group.mean[i], dis.mean[i]));
          if (left + column + i < width) {
            AddPair(log, static_cast<int32_t>(Again(static_cast<uint32_t>(ref_group.variance[i]))), dis.variance[i], s12, two, limit0, limit1, pair_sums);
          }
        }
      }
      Hold(pair_sums, place(k), k, lane, held);
      if (kScale + 1 < kVifScales) {
        FilterNext<kScale>(next, ReadPicture(next_distorted, frame.first_pair + k), left, top, width, height);
      }
    }
  }

  if (lane < frame.pairs) Deliver(place(lane), held);
  if (gain > 0) return;  // the sums of the reference are those of the first limits' launch
  const RefSums warp = {WarpSum(ref_sums.dl), WarpSum(ref_sums.c)};
  for (uint32_t k = lane; k < frame.pairs; k += kWarp) Deliver(place(k), warp);
}

}  // namespace

// Every launch takes pictures of one scale, of width × height samples. It forms the sums under limits `gain` and, where there is one, gain + 1
// of `gains`, which are limit0 and limit1. A block makes `rows` rows, a multiple of 4 and at most 4096.

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale0_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint8_t, 0>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale0_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 0>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale1_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 1>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale2_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 2>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale3_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 3>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

// For tests, that every logarithm is right on a device: of x[i] < 2^31, as the sums have it.
extern "C" __global__ void __launch_bounds__(kThreads) vqs_vif_log2(const uint32_t* x, uint32_t* out, int count) {
  VQS_SHARED(VqsWord2, log, kVifLogSegments);
  VifLogLoad(log, ThreadX());
  SyncBlock();
  const int i = BlockX() * kThreads + ThreadX();
  if (i < count) Store(out + i, VifLog(log, Read(x + i)));
}
