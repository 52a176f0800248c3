// psnrhvs.cc — PSNR-HVS-M of one plane.                                                Source: spec/classic-metrics.md §5
//
//   sum = Σ_blocks Σ_n (w_n · max(0, |DCT(ref)_n − DCT(dis)_n| − mask/m_n))²      blocks of 8×8 in raster order, every 7 samples; n in raster order
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 12)
// out    sum         f32, of each dis; rounded after every addition
// lanes  of 16 bits, one block each: blocks that follow each other in raster order, also from one row of blocks to the next. What is f32 or s32
//        of them takes two vectors
// fixed  transform   bpc ≤ 11: s16. No step is larger than 8.001·(2^11 − 1) and a few roundings (the extremes of the linear steps), and
//                    (a·f + 2^(b−1)) >> b is (a·f·2^(15−b) + 2^14) >> 15, a rounding product of 16 bits.   12: s32
//        squares     of coefficients, |X| < 2^15: the f32 product of two integers is the rounded square, as that of the square made an f32
// float  in the order of the plain function for each block; a lane is one block, so lanes do not meet before the sum
// order  of the sum: as psnrhvs/serial_sum.h, a group of blocks at once, or one contribution after the other where that does not hold
#include "hd.h"

#include "psnrhvs.h"

#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "psnrhvs/serial_sum.h"
#include "psnrhvs_plain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "psnrhvs.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// One lane has no neighbours to transpose with.
void HvsVector(VqsPsnrHvs* scratch, const HvsCall& call, float* sums) { HvsPlain(*scratch, call, sums); }

#else

namespace hn = hwy::HWY_NAMESPACE;

using D16 = hn::ScalableTag<int16_t>;
using DU16 = hn::RebindToUnsigned<D16>;
using D32 = hn::RepartitionToWide<D16>;
using DF = hn::RebindToFloat<D32>;
using D64 = hn::RepartitionToWide<D32>;
using DHalf16 = hn::Half<D16>;
using DHalfU16 = hn::Half<DU16>;
using V16 = hn::VFromD<D16>;
using VU16 = hn::VFromD<DU16>;
using V32 = hn::VFromD<D32>;
using VF = hn::VFromD<DF>;

// Values of one kind of all blocks of a group take two vectors of 32 bits.
constexpr size_t kHalves = 2;

struct Shorts {
  using Value = V16;
  static HWY_INLINE V16 Add(V16 a, V16 b) { return hn::Add(a, b); }
  static HWY_INLINE V16 Sub(V16 a, V16 b) { return hn::Sub(a, b); }
  static HWY_INLINE V16 Half(V16 a) { return hn::ShiftRight<1>(hn::Sub(a, hn::ShiftRight<15>(a))); }
  template <int kFactor, int kBits>
  static HWY_INLINE V16 Lift(V16 a) {
    static_assert(kFactor << (15 - kBits) < 1 << 15, "the factor fits 16 bits with sign");
    return hn::MulFixedPoint15(a, hn::Set(D16(), kFactor << (15 - kBits)));
  }
};

struct Integers {
  using Value = V32;
  static HWY_INLINE V32 Add(V32 a, V32 b) { return hn::Add(a, b); }
  static HWY_INLINE V32 Sub(V32 a, V32 b) { return hn::Sub(a, b); }
  static HWY_INLINE V32 Half(V32 a) { return hn::ShiftRight<1>(hn::Sub(a, hn::ShiftRight<31>(a))); }
  template <int kFactor, int kBits>
  static HWY_INLINE V32 Lift(V32 a) {
    return hn::ShiftRight<kBits>(hn::Add(hn::Mul(a, hn::Set(D32(), kFactor)), hn::Set(D32(), 1 << (kBits - 1))));
  }
};

#define VQS_HVS_INLINE HWY_INLINE
#include "psnrhvs/dct.h"
#undef VQS_HVS_INLINE

// Group is where a group's blocks begin in a plane.
struct Group {
  size_t offset_y[kHvsGroup], offset_x[kHvsGroup];  // rows, samples
  size_t blocks;                                    // fewer than lanes in the last one, whose further lanes repeat its last block
};

// Gather copies the rows of a group's blocks, 8 samples each.
template <typename Sample>
HWY_INLINE void Gather(const VqsPlane& plane, const Group& group, uint16_t* HWY_RESTRICT rows) {
  const hn::FixedTag<uint16_t, kHvsSize> row;
  const hn::Rebind<Sample, decltype(row)> from;
  const size_t lanes = hn::Lanes(D16());
  // Block b's row goes where the transposition wants it: the b % 8-th vector of its row, at the b / 8-th part of 128 bits.
  for (size_t b = 0; b < lanes; ++b) {
    const uint8_t* source = static_cast<const uint8_t*>(plane.data) + group.offset_y[b] * plane.stride_bytes + group.offset_x[b] * sizeof(Sample);
    uint16_t* to = rows + b % kHvsSize * lanes + b / kHvsSize * kHvsSize;
    for (int i = 0; i < kHvsSize; ++i) {
      const auto samples = hn::LoadU(from, reinterpret_cast<const Sample*>(source));
      if constexpr (sizeof(Sample) == 1) {
        hn::StoreU(hn::PromoteTo(row, samples), row, to);
      } else {
        hn::StoreU(samples, row, to);
      }
      source += plane.stride_bytes;
      to += kHvsSize * lanes;
    }
  }
}

// Transpose makes vectors of one sample of all blocks out of rows of blocks.
HWY_INLINE void Transpose(const uint16_t* HWY_RESTRICT rows, uint16_t* HWY_RESTRICT samples) {
  const DU16 d16;
  const hn::RebindToUnsigned<D32> d32;
  const hn::RebindToUnsigned<D64> d64;
  const size_t lanes = hn::Lanes(d16);
  for (int i = 0; i < kHvsSize; ++i) {
    const uint16_t* const from = rows + i * kHvsSize * lanes;
    uint16_t* const to = samples + i * kHvsSize * lanes;
    VU16 a[kHvsSize];
    for (int b = 0; b < kHvsSize; ++b) a[b] = hn::Load(d16, from + b * lanes);
    for (int side = 0; side < 2; ++side) {  // samples 0 … 3, then 4 … 7
      VU16 pairs[4];
      for (int b = 0; b < 4; ++b) {
        pairs[b] = side == 0 ? hn::InterleaveLower(d16, a[2 * b], a[2 * b + 1]) : hn::InterleaveUpper(d16, a[2 * b], a[2 * b + 1]);
      }
      const auto low0 = hn::InterleaveLower(d32, hn::BitCast(d32, pairs[0]), hn::BitCast(d32, pairs[1]));
      const auto low1 = hn::InterleaveLower(d32, hn::BitCast(d32, pairs[2]), hn::BitCast(d32, pairs[3]));
      const auto high0 = hn::InterleaveUpper(d32, hn::BitCast(d32, pairs[0]), hn::BitCast(d32, pairs[1]));
      const auto high1 = hn::InterleaveUpper(d32, hn::BitCast(d32, pairs[2]), hn::BitCast(d32, pairs[3]));
      const auto wide = [&](decltype(low0) v) { return hn::BitCast(d64, v); };
      uint16_t* const four = to + side * 4 * lanes;
      hn::Store(hn::BitCast(d16, hn::InterleaveLower(d64, wide(low0), wide(low1))), d16, four);
      hn::Store(hn::BitCast(d16, hn::InterleaveUpper(d64, wide(low0), wide(low1))), d16, four + lanes);
      hn::Store(hn::BitCast(d16, hn::InterleaveLower(d64, wide(high0), wide(high1))), d16, four + 2 * lanes);
      hn::Store(hn::BitCast(d16, hn::InterleaveUpper(d64, wide(high0), wide(high1))), d16, four + 3 * lanes);
    }
  }
}

HWY_INLINE VF Floats(V32 v) { return hn::ConvertTo(DF(), v); }

// Contrast is HvsContrast of half of the blocks: those from samples on.
HWY_INLINE VF Contrast(const uint16_t* HWY_RESTRICT samples) {
  const DHalfU16 half;
  const DF df;
  const size_t lanes = hn::Lanes(D16());
  // A quarter's sum fits 16 bits without sign: 16 · 4095.
  hn::VFromD<DHalfU16> sum[4] = {hn::Zero(half), hn::Zero(half), hn::Zero(half), hn::Zero(half)};
  for (int i = 0; i < kHvsSize; ++i) {
    for (int j = 0; j < kHvsSize; ++j) {
      const int q = HvsQuarter(i * kHvsSize + j);
      sum[q] = hn::Add(sum[q], hn::Load(half, samples + (i * kHvsSize + j) * lanes));
    }
  }
  VF mean = hn::Zero(df), quarter_mean[4], quarter[4], all = hn::Zero(df);
  for (int q = 0; q < 4; ++q) {
    const VF total = Floats(hn::PromoteTo(D32(), sum[q]));
    mean = hn::Add(mean, total);  // exact
    quarter_mean[q] = hn::Mul(total, hn::Set(df, 1.0f / 16));
    quarter[q] = hn::Zero(df);
  }
  mean = hn::Mul(mean, hn::Set(df, 1.0f / 64));
  for (int i = 0; i < kHvsSize; ++i) {
    const bool lower = i >= kHvsSize / 2;
    for (int right = 0; right < 2; ++right) {
      const int q = lower + 2 * right;
      VF in_quarter = quarter[q];
      const VF mean_of_quarter = quarter_mean[q];
      for (int j = right * kHvsSize / 2; j < (right + 1) * kHvsSize / 2; ++j) {
        const VF a = Floats(hn::PromoteTo(D32(), hn::Load(half, samples + (i * kHvsSize + j) * lanes)));
        const VF d = hn::Sub(a, mean), e = hn::Sub(a, mean_of_quarter);
        all = hn::Add(all, hn::Mul(d, d));
        in_quarter = hn::Add(in_quarter, hn::Mul(e, e));
      }
      quarter[q] = in_quarter;
    }
  }
  all = hn::Mul(all, hn::Set(df, kHvsBlockVariance));
  for (int q = 0; q < 4; ++q) quarter[q] = hn::Mul(quarter[q], hn::Set(df, kHvsQuarterVariance));
  const VF within = hn::Add(hn::Add(hn::Add(quarter[0], quarter[1]), quarter[2]), quarter[3]);
  return hn::IfThenElseZero(hn::Gt(all, hn::Zero(df)), hn::Div(within, all));
}

// Transform writes the coefficients of all blocks, from 16-bit lanes.
HWY_INLINE void TransformShorts(const uint16_t* HWY_RESTRICT samples, int32_t* HWY_RESTRICT columns, float* HWY_RESTRICT out) {
  const D16 d16;
  const DHalf16 half;
  const DF df;
  const size_t lanes = hn::Lanes(d16);
  int16_t* const between = reinterpret_cast<int16_t*>(columns);
  for (int j = 0; j < kHvsSize; ++j) {
    V16 x[kHvsSize];
    for (int i = 0; i < kHvsSize; ++i) x[i] = hn::BitCast(d16, hn::Load(DU16(), samples + (i * kHvsSize + j) * lanes));
    Dct8<Shorts>(x);
    for (int i = 0; i < kHvsSize; ++i) hn::Store(x[i], d16, between + (i * kHvsSize + j) * lanes);
  }
  for (int i = 0; i < kHvsSize; ++i) {
    V16 x[kHvsSize];
    for (int j = 0; j < kHvsSize; ++j) x[j] = hn::Load(d16, between + (i * kHvsSize + j) * lanes);
    Dct8<Shorts>(x);
    for (int j = 0; j < kHvsSize; ++j) {
      float* const to = out + (i * kHvsSize + j) * lanes;
      hn::Store(Floats(hn::PromoteTo(D32(), hn::LowerHalf(half, x[j]))), df, to);
      hn::Store(Floats(hn::PromoteTo(D32(), hn::UpperHalf(half, x[j]))), df, to + lanes / kHalves);
    }
  }
}

// The same from 32-bit lanes.
HWY_INLINE void TransformIntegers(const uint16_t* HWY_RESTRICT samples, int32_t* HWY_RESTRICT columns, float* HWY_RESTRICT out) {
  const D32 d32;
  const DHalfU16 half;
  const DF df;
  const size_t lanes = hn::Lanes(D16());
  for (size_t first = 0; first < lanes; first += lanes / kHalves) {
    for (int j = 0; j < kHvsSize; ++j) {
      V32 x[kHvsSize];
      for (int i = 0; i < kHvsSize; ++i) x[i] = hn::PromoteTo(d32, hn::Load(half, samples + (i * kHvsSize + j) * lanes + first));
      Dct8<Integers>(x);
      for (int i = 0; i < kHvsSize; ++i) hn::Store(x[i], d32, columns + (i * kHvsSize + j) * lanes + first);
    }
    for (int i = 0; i < kHvsSize; ++i) {
      V32 x[kHvsSize];
      for (int j = 0; j < kHvsSize; ++j) x[j] = hn::Load(d32, columns + (i * kHvsSize + j) * lanes + first);
      Dct8<Integers>(x);
      for (int j = 0; j < kHvsSize; ++j) hn::Store(Floats(x[j]), df, out + (i * kHvsSize + j) * lanes + first);
    }
  }
}

// Analyse makes coefficients and masks of a group of blocks of one picture.
template <typename Sample>
HWY_INLINE void Analyse(VqsPsnrHvs* scratch, const VqsPlane& plane, const Group& group, const float* HWY_RESTRICT masking,
                        float* HWY_RESTRICT coefficients, float* HWY_RESTRICT mask) {
  const DF df;
  const size_t lanes = hn::Lanes(D16()), part = lanes / kHalves;
  Gather<Sample>(plane, group, scratch->rows);
  Transpose(scratch->rows, scratch->samples);
  if (scratch->bpc < kHvsMaxBits) {
    TransformShorts(scratch->samples, scratch->columns, coefficients);
  } else {
    TransformIntegers(scratch->samples, scratch->columns, coefficients);
  }
  const VF contrast0 = Contrast(scratch->samples), contrast1 = Contrast(scratch->samples + part);
  VF energy0 = hn::Zero(df), energy1 = hn::Zero(df);
  for (int n = 1; n < kHvsCoefficients; ++n) {
    const VF x0 = hn::Load(df, coefficients + n * lanes), x1 = hn::Load(df, coefficients + n * lanes + part);
    const VF m = hn::Set(df, masking[n]);
    energy0 = hn::Add(energy0, hn::Mul(hn::Mul(x0, x0), m));
    energy1 = hn::Add(energy1, hn::Mul(hn::Mul(x1, x1), m));
  }
  const VF scale = hn::Set(df, 1.0f / 32);
  hn::Store(hn::Mul(hn::Sqrt(hn::Mul(energy0, contrast0)), scale), df, mask);
  hn::Store(hn::Mul(hn::Sqrt(hn::Mul(energy1, contrast1)), scale), df, mask + part);
}

// Compare adds a group's contributions to sum.
HWY_INLINE float Compare(VqsPsnrHvs* scratch, const Group& group, const float* HWY_RESTRICT weights, const float* HWY_RESTRICT masking,
                         float sum) {
  const DF df;
  const size_t lanes = hn::Lanes(D16()), part = lanes / kHalves;
  float* const contributions = scratch->contributions;
  const float base = HvsBase(sum);
  const VF base_lanes = hn::Set(df, base), tie = hn::Set(df, HvsTie(base));
  VF total = hn::Zero(df);
  auto ties = hn::Ne(total, total);  // none
  for (size_t first = 0; first < lanes; first += part) {
    const VF mask = hn::Max(hn::Load(df, scratch->ref_mask + first), hn::Load(df, scratch->dis_mask + first));
    const auto counts = hn::FirstN(df, group.blocks < first ? 0 : group.blocks - first);
    for (int n = 0; n < kHvsCoefficients; ++n) {
      const size_t at = n * lanes + first;
      const VF difference = hn::Abs(hn::Sub(hn::Load(df, scratch->ref + at), hn::Load(df, scratch->dis + at)));
      const VF threshold = n == 0 ? hn::Zero(df) : hn::Div(mask, hn::Set(df, masking[n]));
      // Where the difference is below the threshold it is negative and becomes 0.
      const VF visible = hn::Mul(hn::Max(hn::Sub(difference, threshold), hn::Zero(df)), hn::Set(df, weights[n]));
      const VF c = hn::IfThenElseZero(counts, hn::Mul(visible, visible));
      hn::Store(c, df, contributions + at);
      const VF rounded = hn::Sub(hn::Add(base_lanes, c), base_lanes);
      ties = hn::Or(ties, hn::Eq(hn::Abs(hn::Sub(c, rounded)), tie));
      total = hn::Add(total, rounded);
    }
  }
  const float all = hn::GetLane(hn::SumOfLanes(df, total));
  // Sums of multiples of the unit are exact below 2·base, and not smaller where what they round is not.
  if (hn::AllFalse(df, ties) && (all == 0 || sum + all < 2 * base)) return sum + all;
  for (size_t b = 0; b < group.blocks; ++b) {
    for (int n = 0; n < kHvsCoefficients; ++n) sum += contributions[n * lanes + b];
  }
  return sum;
}

template <typename Sample>
HWY_INLINE void Sum(VqsPsnrHvs* scratch, const HvsCall& call, float* sums) {
  const size_t lanes = hn::Lanes(D16());
  const size_t across = static_cast<size_t>(HvsBlocks(call.width)), down = static_cast<size_t>(HvsBlocks(call.height));
  const float* const weights = kHvsWeights[call.plane];
  const float* const masking = kHvsMaskings[call.plane];
  for (size_t k = 0; k < call.count; ++k) sums[k] = 0;
  size_t x = 0, y = 0;  // of the next block
  for (size_t next = 0; next < across * down; next += lanes) {
    Group group;
    group.blocks = 0;
    for (size_t b = 0; b < lanes; ++b) {
      group.offset_y[b] = y * kHvsStep;
      group.offset_x[b] = x * kHvsStep;
      if (next + b < across * down) ++group.blocks;
      if (next + b + 1 < across * down && ++x == across) {
        x = 0;
        ++y;
      }
    }
    Analyse<Sample>(scratch, *call.ref, group, masking, scratch->ref, scratch->ref_mask);
    for (size_t k = 0; k < call.count; ++k) {
      Analyse<Sample>(scratch, call.dis[k], group, masking, scratch->dis, scratch->dis_mask);
      sums[k] = Compare(scratch, group, weights, masking, sums[k]);
    }
  }
}

void HvsVector(VqsPsnrHvs* scratch, const HvsCall& call, float* sums) {
  if (scratch->bpc == 8) {
    Sum<uint8_t>(scratch, call, sums);
  } else {
    Sum<uint16_t>(scratch, call, sums);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(HvsVector);
}  // namespace vqs

extern "C" int vqs_psnrhvs_new(int bpc, VqsPsnrHvs** out) {
  *out = nullptr;
  if (bpc < 8 || bpc > vqs::kHvsMaxBits) return kVqsInvalid;
  VqsPsnrHvs* const scratch = static_cast<VqsPsnrHvs*>(aligned_alloc(alignof(VqsPsnrHvs), sizeof(VqsPsnrHvs)));
  if (scratch == nullptr) return kVqsNoMemory;
  memset(scratch, 0, sizeof *scratch);
  scratch->bpc = bpc;
  *out = scratch;
  return kVqsOk;
}

extern "C" void vqs_psnrhvs_free(VqsPsnrHvs* scratch) { free(scratch); }

extern "C" int vqs_psnrhvs_plane(VqsPsnrHvs* scratch, int plane, int width, int height, const VqsPlane* ref, const VqsPlane* dis,
                                 size_t count, float* sums) {
  if (plane < 0 || plane > 2 || width < vqs::kHvsSize || height < vqs::kHvsSize) return kVqsInvalid;
  const vqs::HvsCall call = {plane, width, height, ref, dis, count};
  if (vqs_cpu_is_plain()) {
    vqs::HvsPlain(*scratch, call, sums);
  } else {
    using namespace vqs;
    HWY_DYNAMIC_DISPATCH(HvsVector)(scratch, call, sums);
  }
  return kVqsOk;
}

#endif  // HWY_ONCE
