// counts.cc — CAMBI's c-values.                                                                     Source: spec/cambi.md §7.3
//
//   C(r,c) = max_d  wt[d]·N(v)·m_d / (N(v) + m_d)      m_d = max(N(v+d+1), N(v−d−1)),  v = I(r,c)
//
// in     codes      u16, rows of the table of counters, or kCambiNoRow
// out    sum, nonzero, and the values if asked for
// fixed  N          u16, ≤ 65²; the table holds N of every code at every column for one row of the picture
//        wt·N·m     f32: N and m are exact, N·m < 2^23 is, and so the product with wt is the integer product rounded once
//        C          f32;  sums of a row f64, exact below 2^29: ≤ 65536 columns over 8 lanes of ≤ 9507
// order  counts and sums are exact, so any order gives the same bits
// table  sliding down the picture: the row that enters the window is added, the one that leaves is taken away. A run of L equal
//        pixels changes its code's counters by a trapezoid, 1, 2, … min(L, window) … 2, 1, over L + window − 1 columns. These are kept for
//        each L (bumps), so a run costs a few additions of whole vectors however long it is; where the mask is 1 most pixels have equal
//        neighbours. The counters of a block of columns are together, code by code, so that those that a pixel looks at are
//        neighbours in memory.
// tiles  columns in tiles, each from top to bottom, so that the counters in use stay in L1
#include "hd.h"

#include <string.h>

#include <algorithm>

#include "counts.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "counts.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef VQS_CPU_CAMBI_COUNTS_SHAPE_
#define VQS_CPU_CAMBI_COUNTS_SHAPE_
namespace vqs {
namespace {

// Blocks of columns that are counted for one tile's c-values, without those around it. Dark scene of 1920×1080, default options, AVX-512, best
// of 27, scale 0: 8 blocks 5.3 ms, 12 5.2 ms, 16 5.0 ms, 60 (the whole width) 6.8 ms.
constexpr int kTileBlocks = 16;
// Blocks around a tile: pixels there count in the tile, and their trapezoids reach as far again.
constexpr int kHaloBlocks = kCambiPad / kCambiBlock;
constexpr int kTableBlocks = kTileBlocks + 2 * kHaloBlocks + 1;
static_assert(kHaloBlocks * kCambiBlock >= 2 * (kCambiMaxWindow / 2), "a trapezoid stays in the table");

// A run is cut where a multiple of the longest one begins, so a trapezoid that starts anywhere in a block fits this many blocks. Short
// runs save a block for the smaller windows.
constexpr int LongestRun(int half) { return half <= 8 || (half > 16 && half <= 24) ? kCambiBlock / 2 : kCambiBlock; }
constexpr int BumpBlocks(int half) { return (kCambiBlock - 1 + LongestRun(half) + 2 * half + kCambiBlock - 1) / kCambiBlock; }
// A trapezoid has a block of zeros before it and enough after it.
constexpr int BumpStride(int half) { return (BumpBlocks(half) + 1) * kCambiBlock; }

// RunRow is the runs of one row of a tile: first and last column, counted from where their trapezoid begins in the table, and row of
// the table.
constexpr int kRunCapacity = (kTileBlocks + 2) * kCambiBlock + kCambiBlock;
constexpr int kRunElements = 3 * kRunCapacity + kCambiBlock;
struct RunRow {
  uint16_t *first, *last, *code, *count;
  RunRow(uint16_t* memory, int slot) {
    memory += static_cast<ptrdiff_t>(slot) * kRunElements;
    first = memory;
    last = memory + kRunCapacity;
    code = memory + 2 * kRunCapacity;
    count = memory + 3 * kRunCapacity;
  }
};

}  // namespace
}  // namespace vqs
#endif  // VQS_CPU_CAMBI_COUNTS_SHAPE_

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// Never called: see CambiVectors.
CambiTotals Count(VqsCambi*, const CambiSetup&, const CambiScale&, bool) { return {}; }

#else

using D16 = hn::ScalableTag<uint16_t>;
using V16 = hn::VFromD<D16>;
using M16 = hn::Mask<D16>;
using DS32 = hn::RepartitionToWide<hn::RebindToSigned<D16>>;
using DF32 = hn::RebindToFloat<DS32>;
using VF32 = hn::VFromD<DF32>;
using DF64 = hn::RepartitionToWide<DF32>;
using VF64 = hn::VFromD<DF64>;

constexpr int kLanes = static_cast<int>(HWY_LANES(uint16_t));
static_assert(kCambiBlock % kLanes == 0, "a block is whole vectors");

// Tile is a range of blocks with all that the loops over them need.
struct Tile {
  const CambiSetup* setup;
  CambiImage codes;
  int width, height;
  int first_block, end_block;
  uint16_t* table;  // of row 0, block first_block
  ptrdiff_t block_elements;
  uint16_t* runs;
  const float* reciprocals;
};

// Bits has a bit for each column of the block at codes + c.
template <class Test>
HWY_INLINE uint32_t Bits(const uint16_t* p, const Test& test) {
  const D16 d;
  uint32_t bits = 0;
  for (int c = 0; c < kCambiBlock; c += kLanes) {
    uint8_t bytes[8] = {};  // that is how many are written at the least
    hn::StoreMaskBits(d, test(p + c), bytes);
    uint32_t part;
    memcpy(&part, bytes, sizeof part);
    bits |= part << c;
  }
  return bits;
}

// FindRuns lists the runs of row r, cut at multiples of longest.
void FindRuns(const Tile& t, int r, const RunRow& out, int longest) {
  const D16 d;
  const V16 none = hn::Set(d, kCambiNoRow);
  const uint32_t cuts = longest == kCambiBlock ? 1u : 1u | 1u << kCambiBlock / 2;
  const uint16_t* const codes = t.codes.Row(r);
  // Half a window around the tile counts in it.
  const uint32_t left_halo = static_cast<uint32_t>(~uint64_t{0} << (kCambiBlock - t.setup->half));
  const uint32_t right_halo = static_cast<uint32_t>((uint64_t{1} << t.setup->half) - 1);
  const int first = (t.first_block - 1) * kCambiBlock, end = (t.end_block + 1) * kCambiBlock;
  const int origin = (t.first_block - kHaloBlocks) * kCambiBlock + t.setup->half;
  int count = 0;
  for (int c = first; c < end; c += kCambiBlock) {
    const uint16_t* const p = codes + c;
    uint32_t counts = Bits(p, [&](const uint16_t* q) HWY_ATTR { return hn::Ne(hn::Load(d, q), none); });
    if (c == first) counts &= left_halo;
    if (c == end - kCambiBlock) counts &= right_halo;
    if (counts == 0) continue;
    const uint32_t changes = Bits(p, [&](const uint16_t* q) HWY_ATTR { return hn::Ne(hn::Load(d, q), hn::LoadU(d, q - 1)); });
    uint32_t starts = counts & (changes | cuts | ~(counts << 1));
    uint32_t ends = counts & (~(counts >> 1) | (starts >> 1) | cuts >> 1 | 1u << (kCambiBlock - 1));
#if HWY_TARGET == HWY_AVX3_DL
    // With an instruction for it, packing saves the loop that ends when no one can tell: 5 to 12 % of all. Elsewhere it takes many.
    const V16 at = hn::Add(hn::Iota(d, 0), hn::Set(d, static_cast<uint16_t>(c - origin)));
    const auto pack = [&](V16 v, uint32_t bits, uint16_t* to) HWY_ATTR {
      hn::StoreU(hn::Compress(v, hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&bits))), d, to + count);
    };
    pack(at, starts, out.first);
    pack(at, ends, out.last);
    pack(hn::Load(d, p), starts, out.code);
    count += static_cast<int>(hwy::PopCount(starts));
#else
    do {
      const int first_column = static_cast<int>(hwy::Num0BitsBelowLS1Bit_Nonzero32(starts));
      out.first[count] = static_cast<uint16_t>(c - origin + first_column);
      out.last[count] = static_cast<uint16_t>(c - origin + static_cast<int>(hwy::Num0BitsBelowLS1Bit_Nonzero32(ends)));
      out.code[count++] = p[first_column];
      starts &= starts - 1, ends &= ends - 1;
    } while (starts != 0);
#endif
  }
  *out.count = static_cast<uint16_t>(count);
}

// Bump adds the trapezoids of a row of runs to the table, or takes them away.
template <int kBlocks, bool kAdd>
void Bump(const Tile& t, const RunRow& runs, const uint16_t* bumps, int stride) {
  const D16 d;
  uint16_t* const table = t.table - kHaloBlocks * t.block_elements;
  const int count = *runs.count;
  for (int i = 0; i < count; ++i) {
    const int first = runs.first[i], length = runs.last[i] - first + 1;
    uint16_t* p = table + (first / kCambiBlock) * t.block_elements + runs.code[i] * kCambiBlock;
    const uint16_t* bump = bumps + length * stride + kCambiBlock - first % kCambiBlock;
    for (int b = 0; b < kBlocks; ++b) {
      for (int c = 0; c < kCambiBlock; c += kLanes) {
        const V16 now = hn::Load(d, p + c), change = hn::LoadU(d, bump + c);
        hn::Store(kAdd ? hn::Add(now, change) : hn::Sub(now, change), d, p + c);
      }
      p += t.block_elements;
      bump += kCambiBlock;
    }
  }
}

// Contrasts are N and m_d of a vector of pixels.
template <int kSteps>
struct Contrasts {
  V16 at;
  V16 m[kSteps];
};

// Sums are what the c-values of a row add up to.
struct Sums {
  VF64 sum;
  uint64_t nonzero;
};

// Values are the c-values of half a vector.
template <class Half>
HWY_INLINE VF32 Values(const Tile& t, int steps, VF32 at, hn::VFromD<DS32> at_index, const Half& m) {
  const DF32 df;
  VF32 value = hn::Zero(df);
  for (int d = 0; d < steps; ++d) {
    const auto index = m(d);
    const VF32 product = hn::Mul(hn::Mul(at, hn::ConvertTo(df, index)), hn::Set(df, static_cast<float>(CambiWeight(d))));
    value = hn::Max(value, hn::Mul(product, hn::GatherIndex(df, t.reciprocals, hn::Add(index, at_index))));
  }
  return value;
}

HWY_INLINE void AddValues(VF32 v, Sums& sums) {
  const DF32 df;
  const DF64 d64;
  const hn::Half<DF32> half;
  sums.sum = hn::Add(sums.sum, hn::Add(hn::PromoteTo(d64, hn::LowerHalf(half, v)), hn::PromoteTo(d64, hn::UpperHalf(half, v))));
  sums.nonzero += hn::CountTrue(df, hn::Gt(v, hn::Zero(df)));
}

// Row forms the c-values of row r and puts them into values unless it is null.
template <int kSteps>
void Row(const Tile& t, int r, float* values, Sums& sums) {
  const D16 d;
  const DS32 d32;
  const DF32 df;
  const hn::Half<D16> half16;
  const V16 none = hn::Set(d, kCambiNoRow);
  const uint16_t* const codes = t.codes.Row(r);
  const uint32_t* const qualifies = t.setup->qualifies;
  const int steps = kSteps == 4 ? kSteps : t.setup->contrasts;
  const uint32_t all_steps = static_cast<uint32_t>((uint64_t{1} << steps) - 1);
  const int end = t.end_block * kCambiBlock;
  for (int c = t.first_block * kCambiBlock; c < end; c += kLanes) {
    const V16 v = hn::Load(d, codes + c);
    M16 left = hn::Ne(v, none);
    V16 any = hn::Zero(d);
    Contrasts<kSteps> n;
    n.at = hn::Zero(d);
    if (!hn::AllFalse(d, left)) {
      for (int k = 0; k < steps; ++k) n.m[k] = hn::Zero(d);
      const uint16_t* const block = t.table + (c / kCambiBlock - t.first_block) * t.block_elements + c % kCambiBlock;
      // Pixels of one code look at the same counters.
      do {
        const uint16_t row = codes[c + static_cast<ptrdiff_t>(hn::FindKnownFirstTrue(d, left))];
        const M16 same = hn::Eq(v, hn::Set(d, row));
        left = hn::AndNot(same, left);
        const uint32_t q = qualifies[row];
        if (q == 0) continue;
        const uint16_t* const p = block + row * kCambiBlock;
        n.at = hn::IfThenElse(same, hn::Load(d, p), n.at);
        const auto step = [&](int k) {
          const V16 m = hn::Max(hn::Load(d, p + (k + 1) * kCambiBlock), hn::Load(d, p - (k + 1) * kCambiBlock));
          n.m[k] = hn::IfThenElse(same, m, n.m[k]);
        };
        if (q == all_steps && kSteps == 4) {
          for (int k = 0; k < steps; ++k) step(k);
        } else {
          for (int k = 0; k < steps; ++k) {
            if (q >> k & 1) step(k);
          }
        }
      } while (!hn::AllFalse(d, left));
      for (int k = 0; k < steps; ++k) any = hn::Or(any, n.m[k]);
    }
    if (hn::AllTrue(d, hn::Eq(any, hn::Zero(d)))) {  // no contrast anywhere
      if (values != nullptr) {
        hn::StoreU(hn::Zero(df), df, values + c);
        hn::StoreU(hn::Zero(df), df, values + c + kLanes / 2);
      }
      continue;
    }
    const auto lower_at = hn::PromoteTo(d32, hn::LowerHalf(half16, n.at));
    const auto upper_at = hn::PromoteTo(d32, hn::UpperHalf(half16, n.at));
    const VF32 lower = Values(t, steps, hn::ConvertTo(df, lower_at), lower_at,
                                      [&](int k) HWY_ATTR { return hn::PromoteTo(d32, hn::LowerHalf(half16, n.m[k])); });
    const VF32 upper = Values(t, steps, hn::ConvertTo(df, upper_at), upper_at,
                                      [&](int k) HWY_ATTR { return hn::PromoteTo(d32, hn::UpperHalf(half16, n.m[k])); });
    AddValues(lower, sums);
    AddValues(upper, sums);
    if (values != nullptr) {
      hn::StoreU(lower, df, values + c);
      hn::StoreU(upper, df, values + c + kLanes / 2);
    }
  }
}

uint64_t Fixed(VF64 sum) {
  const DF64 d;
  HWY_ALIGN double lanes[HWY_MAX_BYTES / sizeof(double)];
  hn::Store(sum, d, lanes);
  uint64_t total = 0;
  for (size_t i = 0; i < hn::Lanes(d); ++i) total += static_cast<uint64_t>(lanes[i] * (1 << kCambiSumBits));
  return total;
}

template <int kSteps, int kBlocks>
CambiTotals CountTile(const Tile& t, float* values, ptrdiff_t values_stride) {
  const int half = t.setup->half, window = t.setup->window, slots = window + 1;
  const int longest = LongestRun(half), stride = BumpStride(half);
  const uint16_t* const bumps = t.setup->bumps;
  CambiTotals totals = {0, 0};
  for (int r = 0; r < t.height + half; ++r) {
    if (r < t.height) {
      const RunRow runs(t.runs, r % slots);
      FindRuns(t, r, runs, longest);
      Bump<kBlocks, true>(t, runs, bumps, stride);
    }
    if (r >= window) Bump<kBlocks, false>(t, RunRow(t.runs, (r - window) % slots), bumps, stride);
    if (r < half) continue;
    Sums sums = {hn::Zero(DF64()), 0};
    Row<kSteps>(t, r - half, values == nullptr ? nullptr : values + (r - half) * values_stride, sums);
    totals.sum += Fixed(sums.sum);
    totals.nonzero += sums.nonzero;
  }
  return totals;
}

template <int kSteps>
CambiTotals CountSteps(const Tile& t, float* values, ptrdiff_t values_stride) {
  switch (BumpBlocks(t.setup->half)) {
    case 2:
      return CountTile<kSteps, 2>(t, values, values_stride);
    case 3:
      return CountTile<kSteps, 3>(t, values, values_stride);
    default:
      return CountTile<kSteps, 4>(t, values, values_stride);
  }
}

CambiTotals Count(VqsCambi* scratch, const CambiSetup& setup, const CambiScale& scale, bool keep) {
  CambiTotals totals = {0, 0};
  float* const values = keep ? scratch->values : nullptr;
  const int blocks = (scale.width + kCambiBlock - 1) / kCambiBlock;
  const ptrdiff_t block_elements = static_cast<ptrdiff_t>(setup.table_rows) * kCambiBlock;
  for (int b = 0; b < blocks; b += kTileBlocks) {
    const int end = std::min(b + kTileBlocks, blocks);
    // Only counters of codes that occur, and of their neighbours, are looked at.
    for (int i = 0; i < end - b + kTableBlocks - kTileBlocks; ++i) {
      memset(scratch->table + i * block_elements + (scale.first - setup.contrasts) * kCambiBlock, 0,
             sizeof(uint16_t) * static_cast<size_t>(scale.last - scale.first + 1 + 2 * setup.contrasts) * kCambiBlock);
    }
    const Tile tile = {&setup,         scratch->codes, scale.width,   scale.height, b, end, scratch->table + kHaloBlocks * block_elements,
                       block_elements, scratch->runs,  kCambiReciprocals.at};
    const CambiTotals t = setup.contrasts == 4 ? CountSteps<4>(tile, values, scratch->values_stride)
                                               : CountSteps<kCambiMaxContrasts>(tile, values, scratch->values_stride);
    totals.sum += t.sum;
    totals.nonzero += t.nonzero;
  }
  return totals;
}

#endif  // HWY_TARGET == HWY_SCALAR

bool Vectors() { return HWY_TARGET != HWY_SCALAR; }

}  // namespace
// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {

HWY_EXPORT(Count);
HWY_EXPORT(Vectors);

CambiCountsNeed CambiCountsFor(const CambiSetup& setup) {
  return {static_cast<size_t>(kTableBlocks) * static_cast<size_t>(setup.table_rows) * kCambiBlock,
          static_cast<size_t>(setup.window + 1) * kRunElements};
}

size_t CambiBumps(int half) { return static_cast<size_t>(LongestRun(half) + 1) * BumpStride(half); }

void CambiMakeBumps(int half, uint16_t* bumps) {
  memset(bumps, 0, CambiBumps(half) * sizeof *bumps);
  for (int length = 1; length <= LongestRun(half); ++length) {
    uint16_t* const bump = bumps + length * BumpStride(half) + kCambiBlock;
    for (int pixel = 0; pixel < length; ++pixel) {
      for (int c = 0; c <= 2 * half; ++c) ++bump[pixel + c];
    }
  }
}

CambiTotals CambiCount(VqsCambi* scratch, const CambiSetup& setup, const CambiScale& scale, bool keep) {
  return HWY_DYNAMIC_DISPATCH(Count)(scratch, setup, scale, keep);
}

bool CambiVectors() { return HWY_DYNAMIC_DISPATCH(Vectors)(); }

}  // namespace vqs

#endif  // HWY_ONCE
