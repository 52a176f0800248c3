// adm.cc — Additive Detail Measure: wavelet detail restored and added, at four scales.        Source: spec/adm.md
//
//   per scale:  A, H, V, D = wavelet(A above)      both pictures
//               r, a = decouple(o, t)              restored and additive detail
//               den = Σ |o|³     num = Σ max(|csf·r| − thr(a), 0)³     aim = Σ max(|csf·a| − thr(r), 0)³
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (9…16)
// out    sums          den u64, num and aim s64, [scale][H, V, D]
// fixed  samples       scale 0: s16, recentred and ·2^(16−bpc); scales 1…3: s32
//        filters       scale 0: s32 sum + 2^15 >> 16 → s16. Others take samples apart as 2^16·h + l + 2^15 with h and l in s16, so
//                      that Σ f·x is 2^16·Σ f·h + Σ f·l + 2^15·S. Both sums fit s32 (adm_arith.h); 2^15·S, with S = 46342 or 0, is a
//                      whole number after either shift and is added then
//        decoupling    scale 0: s16, H and V of a position in one 32-bit lane, since nearly always |r| is min(|t|, |o|), see
//                      kPlainBelow; others: u32, see Restored
//        masks         s32; scale 0 in s16 up to the sum over bands, see StoreMasks0
//        cubes         u64, the even lanes and the odd lanes of u32 apart
// order  a row's sums are complete before they are shifted; otherwise integer sums, any order gives the same bits
// rows   The four scales run as one cascade. Each filters, decouples and masks one row of its bands at a time and keeps four
//        rows of A above and three rows of masks; a row of scale s + 1 follows as soon as its rows of A are there. All of that
//        stays in L2, and a picture row is read once. Column strips that stay in L1 gained nothing.
// region Columns and rows that no sum depends on are left out: the outer tenth of the bands, and of A and the pictures what
//        only they need (25 % of the samples at 1080 lines).
#include "hd.h"

#include "adm.h"

#include <stdlib.h>
#include <string.h>

#include "adm_arith.h"
#include "adm_plain.h"
#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "adm.cc"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "pair_dot.h"

// What follows up to HWY_BEFORE_NAMESPACE is the same for all targets.
#ifndef VQS_CPU_ADM_LAYOUT_
#define VQS_CPU_ADM_LAYOUT_

namespace vqs {

// Lanes of 32 bits in the widest vector, 512 bits; of 16 bits there are twice as many. Wider targets are capped.
constexpr int kAdmLanes = 16;
// Elements that rows have before column 0 and after the last column: vector code rounds ranges out to whole vectors, and
// the threshold looks one column further.
constexpr int kAdmPad = 4 * kAdmLanes;
constexpr int kAdmRing = 4;      // rows of A that the next scale can look back on
constexpr int kAdmMaskRows = 3;  // rows of masks that a threshold covers

struct AdmRange {
  int first, end;  // [first, end)
};

// AdmGeometry is what is known of a scale from the picture's size.
struct AdmGeometry {
  int in_width, in_height;           // of the signal that is filtered
  int width, height;                 // of the bands
  AdmRange columns, rows;            // the active region
  AdmRange detail_columns, detail_rows;  // where details are needed: the same and one more on each side
  AdmRange approx_columns, approx_rows;  // where A is needed; empty at scale 3
  AdmRange out_rows;                     // rows that are filtered: the union of both
  AdmRange in_columns;                   // columns of the input that both need
  int column_shift, row_shift;           // of the denominator
  int term_shift[2], sum_shift;          // of the numerator: H and V, D; rows
};

// AdmMasks are rows of one masker (r or a) with the signal that it masks (a or r); row i is in slot i mod 3.
struct AdmMasks {
  int32_t* neighbours[kAdmMaskRows];  // Σ over H, V, D of what a coefficient adds to the thresholds around it
  int32_t* box;                       // the three newest rows of that, summed
  // Vector by vector: what the coefficients add to their own threshold beyond that, and the signal: at scale 0 |S| of H and V,
  // paired, and of D; at the others |c| of H, V and D.
  int32_t* block[kAdmMaskRows];
};
constexpr int kAdmMaskVectors0 = 3, kAdmMaskVectors = 4;  // vectors of a block at scale 0, and at the others

// What one row of the reference's details is kept as, in vectors. Scale 0: H and V, paired, and D.
constexpr int kAdmReferenceVectors0 = 2;
// Scales 1…3: of H, V and D the detail, the reciprocal of |o| cut to 15 bits, and how many bits that cut.
constexpr int kAdmReferenceVectors = 9;
constexpr int kAdmDetail = 0, kAdmReciprocals = 3, kAdmCut = 6;

// AdmPicture is the working memory of one picture at one scale.
struct AdmPicture {
  // Vertically filtered rows, column x at [x + 1]. Scale 0: low-pass, high-pass. Others: upper and lower half of each.
  int16_t* filtered[4];
  int32_t* pairs;            // scale 0: rows 2i − 1 and 2i, interleaved, vector by vector
  int32_t* approx[kAdmRing];  // rows of A: of scale 0 s16, column x at [x + 1]; of others the odd columns, then the even ones
};

struct AdmScale {
  AdmGeometry g;
  int32_t* active;     // −1 in active columns, else 0
  int32_t* reference;  // one row of details and what follows from them, vector by vector
  AdmPicture* picture;
  AdmMasks* masks;  // [rendition][configuration][2]: the numerator's, and the additive impairment's
  int approx_half;  // elements between the odd and the even columns of A
};

// How a configuration enhances.
enum class AdmGainKind : int32_t { kNone, kWhole, kFraction };

// AdmSetting is a configuration as the vector code takes it.
struct AdmSetting {
  const VqsAdmConfig* config;
  VqsAdmSums* sums;  // [rendition]
  AdmGainKind kind;
  int32_t gain;  // kWhole
  // The largest r whose product with gain fits 32 bits, and 16 bits. A larger one exceeds any t, and so does the largest.
  uint32_t largest;
  int16_t largest0;
};

}  // namespace vqs

struct VqsAdm {
  size_t width, height, renditions, configs;
  int bpc;
  vqs::AdmScale scale[vqs::kAdmScales];
  vqs::AdmSetting* settings;
  void* memory;
};

namespace vqs {

// AdmJob is one call.
struct AdmJob {
  const VqsAdm* adm;
  const VqsPlane* ref;
  const VqsPlane* dis;
  size_t renditions;
  const AdmSetting* settings;  // those that the vector code takes
  size_t setting_count;
  bool enhances;               // some setting does, so that the angle matters everywhere
  int next_row[kAdmScales];    // of each scale, the row that it filters next
  uint64_t den[kAdmScales][kAdmBands];
};

}  // namespace vqs

#endif  // VQS_CPU_ADM_LAYOUT_

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

// One lane holds no pair of 16-bit numbers.
int AdmVector(AdmJob& job) {
  const VqsAdm& adm = *job.adm;
  for (size_t c = 0; c < job.setting_count; ++c) {
    const AdmSetting& setting = job.settings[c];
    for (size_t k = 0; k < job.renditions; ++k) {
      const int status =
          AdmPlain(adm.width, adm.height, adm.bpc, *job.ref, job.dis[k], *setting.config, &setting.sums[k]);
      if (status != kVqsOk) return status;
    }
  }
  return kVqsOk;
}

void AdmReciprocals(const int32_t* m, int32_t* out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = AdmReciprocal(m[i]);
}

void AdmRestoredParts(int /*scale*/, const int32_t* o, const int32_t* t, int32_t* r, size_t n) {
  for (size_t i = 0; i < n; ++i) r[i] = AdmRestored(AdmGain(o[i], t[i]), o[i], t[i], false, 1);
}

#else

namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D16 = hn::CappedTag<int16_t, 2 * kAdmLanes>;
using D32 = hn::RepartitionToWide<D16>;
using DU32 = hn::RebindToUnsigned<D32>;
using DU64 = hn::RepartitionToWide<DU32>;
using DF32 = hn::RebindToFloat<D32>;
using V16 = hn::VFromD<D16>;
using V32 = hn::VFromD<D32>;
using VU32 = hn::VFromD<DU32>;
using VU64 = hn::VFromD<DU64>;
using VF32 = hn::VFromD<DF32>;
using M32 = hn::Mask<D32>;

HWY_INLINE V16 As16(V32 v) { return hn::BitCast(D16(), v); }
HWY_INLINE V16 As16(VU32 v) { return hn::BitCast(D16(), v); }
HWY_INLINE V32 As32(V16 v) { return hn::BitCast(D32(), v); }
HWY_INLINE V32 As32(VU32 v) { return hn::BitCast(D32(), v); }
HWY_INLINE VU32 AsU32(V16 v) { return hn::BitCast(DU32(), v); }
HWY_INLINE VU32 AsU32(V32 v) { return hn::BitCast(DU32(), v); }
HWY_INLINE VU32 AsU32(VU64 v) { return hn::BitCast(DU32(), v); }
HWY_INLINE V32 Int(int32_t v) { return hn::Set(D32(), v); }
HWY_INLINE VU32 Unsigned(uint32_t v) { return hn::Set(DU32(), v); }
HWY_INLINE V16 Taps(int first, int second) { return As16(Int(TapPair(first, second))); }

// ---- 64-bit products of 32-bit lanes: those of the even lanes, and those of the odd lanes.

HWY_INLINE VU64 Odd(VU32 v) { return hn::ShiftRight<32>(hn::BitCast(DU64(), v)); }
HWY_INLINE VU64 MulLow(VU64 a, VU64 b) { return hn::MulEven(AsU32(a), AsU32(b)); }
HWY_INLINE VU64 Even(VU32 v) { return hn::BitCast(DU64(), v); }  // its upper halves are not zero
// SignedMulLow takes the lower halves as signed.
HWY_INLINE VU64 SignedMulLow(VU64 a, V32 b) {
  return hn::BitCast(DU64(), hn::MulEven(hn::BitCast(D32(), a), b));
}

// Shift is a shift to the right by a number that the compiler does not know.
struct Shift {
  explicit Shift(int bits)
      : count(hn::Set(DU64(), static_cast<uint64_t>(bits))),
        half(hn::Set(DU64(), bits == 0 ? 0 : uint64_t{1} << (bits - 1))) {}
  HWY_INLINE VU64 Rounded(VU64 v) const { return hn::Shr(hn::Add(v, half), count); }
  VU64 count, half;
};

HWY_INLINE uint64_t Total(VU64 v) { return hn::GetLane(hn::SumOfLanes(DU64(), v)); }

// ---- §4 wavelet

// Halves are the upper halves of the 32-bit lanes of one vector and the lower ones of another.
HWY_INLINE V16 Halves(V16 upper, V16 lower) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  // A mask register instead would be loaded anew at each step of a loop.
  return V16{_mm512_ternarylogic_epi32(_mm512_set1_epi32(0xffff), lower.raw, upper.raw, 0xca)};
#else
  return hn::OddEven(upper, lower);
#endif
}

// Two rows a and b as pairs for PairDot. PairsFirst holds (a, b) of the even elements, PairsSecond of the odd ones.
HWY_INLINE V16 PairsFirst(V16 a, V16 b) { return Halves(As16(hn::ShiftLeft<16>(As32(b))), a); }
HWY_INLINE V16 PairsSecond(V16 a, V16 b) { return Halves(b, As16(hn::ShiftRight<16>(AsU32(a)))); }
// Upper and lower halves of first and second, interleaved again; the lower ones minus 2^15, so that they are signed.
HWY_INLINE V16 UpperHalves(V32 first, V32 second) {
  return Halves(As16(second), As16(hn::ShiftRight<16>(AsU32(first))));
}
HWY_INLINE V16 LowerHalves(V32 first, V32 second) {
  const V16 halves = Halves(As16(hn::ShiftLeft<16>(second)), As16(first));
  return hn::Xor(halves, hn::Set(D16(), INT16_MIN));
}

// Both filters as pairs of taps.
struct Filter {
  V16 taps01, taps23;
};
HWY_INLINE Filter LowPass() { return {Taps(kAdmTap0, kAdmTap1), Taps(kAdmTap2, kAdmTap3)}; }
HWY_INLINE Filter HighPass() { return {Taps(kAdmTap3, -kAdmTap2), Taps(kAdmTap1, -kAdmTap0)}; }

HWY_INLINE V32 Apply(const Filter& f, V32 start, V16 pairs01, V16 pairs23) {
  return PairDot(PairDot(start, pairs01, f.taps01), pairs23, f.taps23);
}

// Half of Σ f: what 2^15·S is after a shift by 16.
constexpr int32_t kLowHalfSum = kAdmLowSum / 2;
static_assert(kLowHalfSum * 2 == kAdmLowSum, "no bit is lost");
constexpr int32_t kRound16 = 1 << 15, kRound15 = 1 << 14;

// Centred reads samples as AdmCentre has them. unit is 2^(16−bpc).
HWY_INLINE V16 Centred(const uint8_t* p, V16 /*unit*/) {
  const hn::Rebind<uint8_t, D16> d8;
  return hn::Xor(hn::ShiftLeft<8>(hn::PromoteTo(D16(), hn::LoadU(d8, p))), hn::Set(D16(), INT16_MIN));
}
HWY_INLINE V16 Centred(const uint16_t* p, V16 unit) {
  const V16 v = hn::BitCast(D16(), hn::LoadU(hn::RebindToUnsigned<D16>(), p));
  return hn::Xor(hn::Mul(v, unit), hn::Set(D16(), INT16_MIN));
}

enum class Rows { kPairs, kLow, kLowHigh };

// FilterPicture filters rows 2i − 1 … 2i + 2 of a picture, the first two being in picture.pairs already. a and b are the last
// two, which take their place. Vectors begin at columns −1 mod their width, so that the pairs which the horizontal filter reads
// are aligned; the first and the last are moved inwards where they would leave the row.
template <class Sample, Rows kRows>
HWY_NOINLINE void FilterPicture(const AdmGeometry& g, const AdmPicture& picture, const Sample* a, const Sample* b, V16 unit) {
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(D16()));
  const int last = g.in_width - lanes;
  const Filter low_pass = LowPass(), high_pass = HighPass();
  const V32 round = Int(kRound16);
  int16_t* const low = picture.filtered[0] + 1;
  int16_t* const high = picture.filtered[1] + 1;
  int32_t* pairs = picture.pairs;
  for (int x = (g.in_columns.first + 1) / lanes * lanes - 1; x < g.in_columns.end; x += lanes) {
    const int from = x < 0 ? 0 : x < last ? x : last;
    const V16 ra = Centred(a + from, unit), rb = Centred(b + from, unit);
    const V16 first = PairsFirst(ra, rb), second = PairsSecond(ra, rb);
    if constexpr (kRows != Rows::kPairs) {
      const V16 above_first = As16(hn::Load(d32, pairs)), above_second = As16(hn::Load(d32, pairs + lanes / 2));
      hn::StoreU(UpperHalves(Apply(low_pass, round, above_first, first), Apply(low_pass, round, above_second, second)), D16(),
                 low + from);
      if constexpr (kRows == Rows::kLowHigh) {
        hn::StoreU(UpperHalves(Apply(high_pass, round, above_first, first), Apply(high_pass, round, above_second, second)),
                   D16(), high + from);
      }
    }
    hn::Store(As32(first), d32, pairs);
    hn::Store(As32(second), d32, pairs + lanes / 2);
    pairs += lanes;
  }
}

// FilterApprox1 filters four rows of scale 0's A.
HWY_NOINLINE void FilterApprox1(const AdmGeometry& g, const AdmPicture& picture, const int32_t* const rows[4]) {
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  const Filter low_pass = LowPass(), high_pass = HighPass();
  const V32 zero = hn::Zero(D32());
  const int16_t* row[4];
  for (int k = 0; k < 4; ++k) row[k] = reinterpret_cast<const int16_t*>(rows[k]);
  for (int x = (g.in_columns.first + 1) / lanes * lanes; x <= g.in_columns.end; x += lanes) {
    const V16 r0 = hn::Load(d16, row[0] + x), r1 = hn::Load(d16, row[1] + x);
    const V16 r2 = hn::Load(d16, row[2] + x), r3 = hn::Load(d16, row[3] + x);
    const V16 first01 = PairsFirst(r0, r1), second01 = PairsSecond(r0, r1);
    const V16 first23 = PairsFirst(r2, r3), second23 = PairsSecond(r2, r3);
    const V32 low1 = Apply(low_pass, zero, first01, first23), low2 = Apply(low_pass, zero, second01, second23);
    const V32 high1 = Apply(high_pass, zero, first01, first23), high2 = Apply(high_pass, zero, second01, second23);
    hn::Store(UpperHalves(low1, low2), d16, picture.filtered[0] + x);
    hn::Store(LowerHalves(low1, low2), d16, picture.filtered[1] + x);
    hn::Store(UpperHalves(high1, high2), d16, picture.filtered[2] + x);
    hn::Store(LowerHalves(high1, high2), d16, picture.filtered[3] + x);
  }
}

// FilterWide16 and FilterWide15 are Σ f·x of 32-bit samples, given as pairs of upper and of lower halves, + 2^15 >> 16 and
// + 2^14 >> 15. half_sum is half of Σ f.
HWY_INLINE V32 FilterWide16(const Filter& f, int32_t half_sum, V16 upper01, V16 upper23, V16 lower01, V16 lower23) {
  return hn::Add(Apply(f, Int(half_sum), upper01, upper23),
                 hn::ShiftRight<16>(Apply(f, Int(kRound16), lower01, lower23)));
}
HWY_INLINE V32 FilterWide15(const Filter& f, int32_t half_sum, V16 upper01, V16 upper23, V16 lower01, V16 lower23) {
  const V32 upper = Apply(f, Int(half_sum), upper01, upper23);
  return hn::Add(hn::Add(upper, upper), hn::ShiftRight<15>(Apply(f, Int(kRound15), lower01, lower23)));
}

// FilterApprox23 filters four rows of scale 1's or 2's A.
HWY_NOINLINE void FilterApprox23(const AdmGeometry& g, const AdmPicture& picture, const int32_t* const rows[4], int half) {
  const D16 d16;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  const Filter low_pass = LowPass(), high_pass = HighPass();
  const V16 sign = hn::Set(d16, INT16_MIN);
  for (int x = (g.in_columns.first + 1) / lanes * lanes; x <= g.in_columns.end; x += lanes) {
    V32 low[2], high[2];
    for (int odd_even = 0; odd_even < 2; ++odd_even) {
      const int at = x / 2 + odd_even * half;
      const V16 r0 = As16(hn::Load(d32, rows[0] + at)), r1 = As16(hn::Load(d32, rows[1] + at));
      const V16 r2 = As16(hn::Load(d32, rows[2] + at)), r3 = As16(hn::Load(d32, rows[3] + at));
      const V16 upper01 = PairsSecond(r0, r1), lower01 = hn::Xor(PairsFirst(r0, r1), sign);
      const V16 upper23 = PairsSecond(r2, r3), lower23 = hn::Xor(PairsFirst(r2, r3), sign);
      low[odd_even] = FilterWide16(low_pass, kLowHalfSum, upper01, upper23, lower01, lower23);
      high[odd_even] = FilterWide16(high_pass, 0, upper01, upper23, lower01, lower23);
    }
    hn::Store(UpperHalves(low[0], low[1]), d16, picture.filtered[0] + x);
    hn::Store(LowerHalves(low[0], low[1]), d16, picture.filtered[1] + x);
    hn::Store(UpperHalves(high[0], high[1]), d16, picture.filtered[2] + x);
    hn::Store(LowerHalves(high[0], high[1]), d16, picture.filtered[3] + x);
  }
}

// Mirror sets the column before a filtered row and the two after it, where the row reaches so far.
HWY_INLINE void Mirror(const AdmGeometry& g, int16_t* filtered) {
  int16_t* const row = filtered + 1;
  const int n = g.in_width;
  if (g.in_columns.first == 0) row[-1] = row[1];
  if (g.in_columns.end == n) {
    row[n] = row[n - 1];
    row[n + 1] = row[n - 2];
  }
}

// Across is Σ f·y + 2^15 for band columns j and on, from a filtered row of scale 0. Its upper half is the band.
HWY_INLINE V32 Across(const Filter& f, const int16_t* row, int j) {
  return Apply(f, Int(kRound16), hn::Load(D16(), row + 2 * j), hn::LoadU(D16(), row + 2 * j + 2));
}

// AcrossWide is the same for scales 1…3, from the two halves of a filtered row, and the band itself.
template <int kShift>
HWY_INLINE V32 AcrossWide(const Filter& f, int32_t half_sum, const int16_t* upper, const int16_t* lower, int j) {
  const D16 d16;
  const V16 u01 = hn::Load(d16, upper + 2 * j), u23 = hn::LoadU(d16, upper + 2 * j + 2);
  const V16 l01 = hn::Load(d16, lower + 2 * j), l23 = hn::LoadU(d16, lower + 2 * j + 2);
  return kShift == 15 ? FilterWide15(f, half_sum, u01, u23, l01, l23) : FilterWide16(f, half_sum, u01, u23, l01, l23);
}

// Packed is the lanes of low, then of high, which fit 16 bits.
HWY_INLINE V16 Packed(V32 low, V32 high) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return V16{_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_packs_epi32(low.raw, high.raw))};
#elif HWY_TARGET == HWY_AVX2
  return V16{_mm256_permute4x64_epi64(_mm256_packs_epi32(low.raw, high.raw), _MM_SHUFFLE(3, 1, 2, 0))};
#else
  const hn::Half<D16> half;
  return hn::Combine(D16(), hn::DemoteTo(half, high), hn::DemoteTo(half, low));
#endif
}

// Approx makes row i of A.
template <int kShift>
HWY_NOINLINE void Approx(const AdmScale& scale, int s, const AdmPicture& picture, int i) {
  const D16 d16;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const Filter low_pass = LowPass();
  int32_t* const out = picture.approx[i % kAdmRing];
  const AdmRange columns = scale.g.approx_columns;
  for (int j = columns.first / (2 * lanes) * (2 * lanes); j < columns.end; j += 2 * lanes) {
    if (s == 0) {
      const V32 low = hn::ShiftRight<16>(Across(low_pass, picture.filtered[0], j));
      const V32 high = hn::ShiftRight<16>(Across(low_pass, picture.filtered[0], j + lanes));
      hn::StoreU(Packed(low, high), d16, reinterpret_cast<int16_t*>(out) + j + 1);
    } else {
      const V32 low = AcrossWide<kShift>(low_pass, kLowHalfSum, picture.filtered[0], picture.filtered[1], j);
      const V32 high = AcrossWide<kShift>(low_pass, kLowHalfSum, picture.filtered[0], picture.filtered[1], j + lanes);
      hn::StoreU(hn::ConcatOdd(d32, high, low), d32, out + j / 2 + 1);
      hn::Store(hn::ConcatEven(d32, high, low), d32, out + scale.approx_half + j / 2);
    }
  }
}

// ---- §6 decoupling

// RoundToInt is to nearest, for values that fit.
HWY_INLINE V32 RoundToInt(VF32 v) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return V32{_mm512_cvtps_epi32(v.raw)};
#elif HWY_TARGET == HWY_AVX2
  return V32{_mm256_cvtps_epi32(v.raw)};
#else
  return hn::NearestInt(v);
#endif
}

// Reciprocal is 2^30/m, truncated, for 1 ≤ m ≤ 2^15. A gather from a table is no faster.
//
// x is near 1/m: with an estimate good to 2^−11 and one step of Newton's, or as a quotient, ε = 1 − m·x has |ε| < 2^−21. A fused
// multiply-add gives ε but for a relative 2^−24. 2^30/m is 2^30·x·(1 + ε + ε²/(1 − ε)), and 2^30·x is n + f exactly, n whole. What is
// left out or rounded in adding f and 2^30·x·ε is less than (2^−12 + 2^−14)/m + 2^−22, hence than 1/(4m). 2^30/m is whole, or 1/m or
// more away from a whole number: adding 1/(2m) − 1/2 and rounding to nearest truncates it.
HWY_INLINE V32 Reciprocal(V32 m) {
#if !HWY_NATIVE_FMA
#error "Reciprocal needs a fused multiply-add"
#endif
  const DF32 df;
  const VF32 one = hn::Set(df, 1.0f), half = hn::Set(df, 0.5f);
  const VF32 mf = hn::ConvertTo(df, m);
#if HWY_ARCH_X86
  const VF32 estimate = hn::ApproximateReciprocal(mf);
  const VF32 x = hn::MulAdd(estimate, hn::NegMulAdd(mf, estimate, one), estimate);
#else
  const VF32 x = hn::Div(one, mf);
#endif
  const VF32 epsilon = hn::NegMulAdd(mf, x, one);
  const VF32 scaled = hn::Mul(x, hn::Set(df, 1073741824.0f));
  const V32 n = RoundToInt(scaled);
  const VF32 f = hn::Sub(scaled, hn::ConvertTo(df, n));
  const VF32 biased = hn::NegMulAdd(half, hn::Sub(one, x), f);
  return hn::Add(n, RoundToInt(hn::MulAdd(scaled, epsilon, biased)));
}

// Bands are three bands at one vector.
struct Bands {
  V32 h, v, d;
};

// Scale 0 holds H and V of a position in the halves of a 32-bit lane, and D in the lower half of another whose upper half is 0.
HWY_INLINE V16 Relative0(V16 t, V16 sign) { return hn::Sub(hn::Xor(t, sign), sign); }
HWY_INLINE V32 Lower(V16 v) { return hn::And(As32(v), Int(0xffff)); }  // of a lane not negative
HWY_INLINE V32 Upper(V16 v) { return As32(hn::ShiftRight<16>(AsU32(v))); }
HWY_INLINE V32 SignedLower(V16 v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(As32(v))); }
HWY_INLINE V32 SignedUpper(V16 v) { return hn::ShiftRight<16>(As32(v)); }
HWY_INLINE V16 Paired(V32 lower, V32 upper) { return Halves(As16(hn::ShiftLeft<16>(upper)), As16(lower)); }

// ExactFlags decides lane by lane, for the few vectors that the estimate below leaves open.
HWY_NOINLINE M32 ExactFlags(const Bands& o, const Bands& t) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  HWY_ALIGN int32_t oh[kAdmLanes], ov[kAdmLanes], th[kAdmLanes], tv[kAdmLanes], flags[kAdmLanes];
  hn::Store(o.h, d32, oh);
  hn::Store(o.v, d32, ov);
  hn::Store(t.h, d32, th);
  hn::Store(t.v, d32, tv);
  for (size_t i = 0; i < lanes; ++i) {
    const int64_t a = oh[i], b = ov[i], c = th[i], d = tv[i];
    flags[i] = AdmAngleFlag(a * c + b * d, a * a + b * b, c * c + d * d) ? -1 : 0;
  }
  return hn::MaskFromVec(hn::Load(d32, flags));
}

// AngleFlags decides dp² ≥ c·om·tm and dp ≥ 0 in f32, and says whether it had to leave a lane open.
//
// With u = 2^−24 and S² = om·tm: om and tm, sums of two squares of converted integers, err by less than 4u, relatively; dp by less
// than 4u·(|oh·th| + |ov·tv|) ≤ 4u·S (Cauchy, Schwarz). So dp², where it is near c·S², errs by less than 9u·S², and c·om·tm by less than
// 11u·S². The spec's own roundings of dp, om and tm move each side by 2u·S² at most. Outside of c·S²·(1 ± 64u) the estimate
// therefore decides as the spec does; where it says yes, |dp| > 0.9·S, so that dp has its sign. If om or tm is 0, all three are
// exactly 0, and the flag is set as it should be.
HWY_INLINE M32 AngleFlags(VF32 dp, VF32 om, VF32 tm, bool* open) {
  const DF32 df;
  constexpr float kMargin = 1.0f / (1 << 18);
  const VF32 square = hn::Mul(dp, hn::Abs(dp)), om_tm = hn::Mul(om, tm);  // below 2^126; dp's sign stays
  const auto surely = hn::Ge(square, hn::Mul(om_tm, hn::Set(df, kAdmCosSquared * (1 + kMargin))));
  const auto perhaps = hn::Ge(square, hn::Mul(om_tm, hn::Set(df, kAdmCosSquared * (1 - kMargin))));
  *open = !hn::AllFalse(df, hn::AndNot(surely, perhaps));
  return hn::RebindMask(D32(), surely);
}

// AngleFlags0 takes pairs (H, V) of scale 0, whose sums of products fit 32 bits.
HWY_INLINE M32 AngleFlags0(V16 o, V16 t) {
  const DF32 df;
  const V32 zero = hn::Zero(D32());
  bool open;
  const M32 flags = AngleFlags(hn::ConvertTo(df, PairDot(zero, o, t)), hn::ConvertTo(df, PairDot(zero, o, o)),
                               hn::ConvertTo(df, PairDot(zero, t, t)), &open);
  if (HWY_LIKELY(!open)) return flags;
  return ExactFlags({SignedLower(o), SignedUpper(o), zero}, {SignedLower(t), SignedUpper(t), zero});
}

HWY_INLINE M32 AngleFlagsWide(const Bands& o, const Bands& t) {
  const DF32 df;
  const VF32 oh = hn::ConvertTo(df, o.h), ov = hn::ConvertTo(df, o.v);
  const VF32 th = hn::ConvertTo(df, t.h), tv = hn::ConvertTo(df, t.v);
  bool open;
  const M32 flags = AngleFlags(hn::MulAdd(oh, th, hn::Mul(ov, tv)), hn::MulAdd(oh, oh, hn::Mul(ov, ov)),
                               hn::MulAdd(th, th, hn::Mul(tv, tv)), &open);
  return HWY_LIKELY(!open) ? flags : ExactFlags(o, t);
}

// Relative is t with the sign that it has relative to o, whose sign is given as 0 or −1.
HWY_INLINE V32 Relative(V32 t, V32 sign) { return hn::Sub(hn::Xor(t, sign), sign); }

// kPlainBelow: for any smaller |o|, |r| is min(|t|, |o|) if t has the sign of o, else 0; a test tries all o and t. The roundings in k
// move it by less than 1.2 units of 2^−15, and r by less than 1.2·|o|/2^15: too little to show.
constexpr int kPlainBelow = 1 << 14;

// RestoredExact is |r| before enhancement for any |o| = m < 2^15 and t, of which positive is |t| where it has the sign of o, else 0.
// The reciprocal L of m times t fits 32 bits once t is limited to m + 1: from there on k is 1 anyway, since L·(m + 1) >
// (2^30/m − 1)·(m + 1) > 2^30 − 2^14, and L·(m + 1) ≤ 2^31. r rounds up at the half, so |r| of a negative r rounds down there.
HWY_INLINE V32 RestoredExact(V32 o, V32 positive) {
  const V32 m = hn::Abs(o), one = Int(1);
  const V32 limited = hn::Min(positive, hn::Add(m, one));
  const VU32 product = AsU32(hn::Mul(Reciprocal(hn::Max(m, one)), limited));
  const VU32 k = hn::Min(hn::ShiftRight<15>(hn::Add(product, Unsigned(1 << 14))), Unsigned(kAdmOne));
  const V32 half = hn::Add(hn::BroadcastSignBit(o), Int(1 << 14));
  return hn::ShiftRight<15>(hn::Add(hn::Mul(As32(k), m), half));
}
HWY_NOINLINE V16 RestoredExactPair(V16 o, V16 positive) {
  return Paired(RestoredExact(SignedLower(o), Lower(positive)), RestoredExact(SignedUpper(o), Upper(positive)));
}

// Restored is |r| before enhancement at scales 1…3, for o with q bits beyond 15, whose other bits, rounded, have the reciprocal L.
// k = (L·t + 2^(14+q)) >> (15 + q). t is limited to 2·|o|, where k is 1, and taken apart as 2^q·u + l: then k is
// (L·u + 2^14 + (L·l >> q)) >> 15, where L·u is little more than 2^31 and L·l < 2^32. Likewise k·m for m = 2^15·u + l is 2^15·k·u + k·l, of which only k·l
// has to be rounded.
HWY_INLINE V32 Restored(V32 o, V32 sign, V32 positive, VU32 reciprocal, VU32 q) {
  const VU32 m = AsU32(hn::Abs(o));
  const VU32 limited = hn::Min(AsU32(positive), hn::Add(m, m));
  const VU32 upper = hn::Shr(limited, q);
  const VU32 lower = hn::Sub(limited, hn::Shl(upper, q));
  const VU32 sum = hn::Add(hn::Add(hn::Mul(reciprocal, upper), Unsigned(1 << 14)), hn::Shr(hn::Mul(reciprocal, lower), q));
  const VU32 k = hn::Min(hn::ShiftRight<15>(sum), Unsigned(kAdmOne));
  const VU32 half = AsU32(hn::Add(sign, Int(1 << 14)));
  const VU32 low = hn::ShiftRight<15>(hn::Add(hn::Mul(k, hn::And(m, Unsigned(0x7fff))), half));
  return As32(hn::Add(hn::Mul(k, hn::ShiftRight<15>(m)), low));
}

// Fraction is r·gain, truncated, no more than limit. None is negative. Few ask for it: it stays out of the loops.
HWY_NOINLINE V32 Fraction(V32 r, V32 limit, double gain) {
  const hn::Half<D32> half;
  const hn::Repartition<double, D32> df64;
  const auto factor = hn::Set(df64, gain);
  const auto low = hn::Min(hn::Mul(hn::PromoteTo(df64, hn::LowerHalf(half, r)), factor),
                           hn::PromoteTo(df64, hn::LowerHalf(half, limit)));
  const auto high = hn::Min(hn::Mul(hn::PromoteTo(df64, hn::UpperHalf(half, r)), factor),
                            hn::PromoteTo(df64, hn::UpperHalf(half, limit)));
  return hn::Combine(D32(), hn::DemoteTo(half, high), hn::DemoteTo(half, low));
}

HWY_NOINLINE V16 FractionPair(V16 r, V16 limit, double gain) {
  return Paired(Fraction(Lower(r), Lower(limit), gain), Fraction(Upper(r), Upper(limit), gain));
}

// Enhanced is |r| after enhancement up to limit, which is |t|, where flag is set. Scales 1…3.
HWY_INLINE V32 Enhanced(const AdmSetting& setting, V32 r, V32 limit, M32 flag) {
  V32 enhanced = r;
  if (setting.kind == AdmGainKind::kWhole) {
    const VU32 factor = hn::Min(AsU32(r), Unsigned(setting.largest));
    enhanced = As32(hn::Min(hn::Mul(factor, Unsigned(static_cast<uint32_t>(setting.gain))), AsU32(limit)));
  } else if (setting.kind == AdmGainKind::kFraction) {
    enhanced = Fraction(r, limit, setting.config->gain);
  } else {
    enhanced = hn::Min(r, limit);
  }
  return hn::IfThenElse(flag, enhanced, r);
}

// Enhanced0 is the same for pairs of scale 0, where without enhancement r is never beyond t as it is (spec §6.3).
HWY_INLINE V16 Enhanced0(const AdmSetting& setting, V16 r, V16 limit, M32 flag) {
  if (setting.kind == AdmGainKind::kNone) return r;
  V16 enhanced;
  if (setting.kind == AdmGainKind::kWhole) {
    const D16 d16;
    const V16 factor = hn::Min(r, hn::Set(d16, setting.largest0));
    enhanced = hn::Min(hn::Mul(factor, hn::Set(d16, static_cast<int16_t>(setting.gain))), limit);
  } else {
    enhanced = FractionPair(r, limit, setting.config->gain);
  }
  return As16(hn::IfThenElse(flag, As32(enhanced), As32(r)));
}

// ---- §9 masking

// MaskRows are the slots of the newest row of masks and of the two above it. Above row 1 is row 0, above that row 1 again.
struct MaskRows {
  int row, above, over;
  explicit MaskRows(int i)
      : row(i % kAdmMaskRows), above((i + kAdmMaskRows - 1) % kAdmMaskRows), over(i == 1 ? row : (i + 1) % kAdmMaskRows) {}
};

// StoreMasks keeps what one vector of a masker adds to the thresholds around it and to its own, block elements into the row's
// blocks, and returns where the signal goes.
HWY_INLINE int32_t* StoreMasks(V32 neighbours, V32 own, const AdmMasks& masks, const MaskRows& rows, int j, int block) {
  const D32 d32;
  hn::Store(neighbours, d32, masks.neighbours[rows.row] + j);
  const V32 above = hn::Load(d32, masks.neighbours[rows.above] + j), over = hn::Load(d32, masks.neighbours[rows.over] + j);
  hn::Store(hn::Add(hn::Add(above, over), neighbours), d32, masks.box + j);
  hn::Store(own, d32, masks.block[rows.row] + block);
  return masks.block[rows.row] + block + hn::Lanes(d32);
}

// Weights0 are the weights of scale 0, that of H and V less 2^15.
struct Weights0 {
  V16 pair;
  V32 d;
  explicit Weights0(const uint32_t weight[2])
      : pair(hn::Set(D16(), static_cast<int16_t>(static_cast<int>(weight[0]) - 32768))),
        d(Int(static_cast<int32_t>(weight[1]))) {}
};

// StoreMasks0 makes the masks of scale 0. MulFixedPoint15(a, b) is (a·b + 2^14) >> 15, so c = (M·w + 2^14) >> 15 is M and
// that of M and w − 2^15; n = (4369·|c| + 2^11) >> 12 is |c| and that of |c| and 8·4369 − 2^15; z = (8738·|c| + 2^11) >> 12 is 2·|c| and
// that of |c| and 8·8738 − 2^16, and both wrap as they should. |c| < 2^15, see Fits.
HWY_INLINE void StoreMasks0(const Weights0& w, V16 m_pair, V32 m_d, V16 signal_pair, V16 signal_d, const AdmMasks& masks,
                            const MaskRows& rows, int j, int block) {
  const D16 d16;
  const D32 d32;
  const V16 thirtieth = hn::Set(d16, 8 * kAdmThirtieth0 - (1 << 15)), fifteenth = hn::Set(d16, 8 * kAdmFifteenth0 - (1 << 16));
  const V16 c = hn::Abs(hn::Add(m_pair, hn::MulFixedPoint15(m_pair, w.pair)));
  const V16 cd = As16(hn::Abs(hn::ShiftRight<17>(hn::Add(hn::Mul(m_d, w.d), Int(65535)))));
  const V16 n = hn::Add(c, hn::MulFixedPoint15(c, thirtieth));
  const V16 nd = hn::Add(cd, hn::MulFixedPoint15(cd, thirtieth));
  const V16 z = hn::Add(hn::Add(c, c), hn::MulFixedPoint15(c, fifteenth));
  const V16 zd = hn::Add(hn::Add(cd, cd), hn::MulFixedPoint15(cd, fifteenth));
  const V16 ones = hn::Set(d16, 1);
  const V32 sum = PairDot(As32(nd), n, ones);
  int32_t* const out = StoreMasks(sum, hn::Sub(PairDot(As32(zd), z, ones), sum), masks, rows, j, block);
  hn::Store(As32(signal_pair), d32, out);
  hn::Store(As32(signal_d), d32, out + hn::Lanes(d32));
}

// Sensitive is |c| at scales 1…3: (M·w + 2^27) >> 28, which fits 32 bits, see Fits.
HWY_INLINE V32 Sensitive(V32 m, uint32_t weight) {
  const V32 w = Int(static_cast<int32_t>(weight));
  const VU64 round = hn::Set(DU64(), 1 << 27);
  const VU64 even = hn::Add(SignedMulLow(Even(AsU32(m)), w), round);
  const VU64 odd = hn::Add(SignedMulLow(Odd(AsU32(m)), w), round);
  return hn::Abs(As32(hn::OddEven(AsU32(hn::ShiftLeft<4>(odd)), AsU32(hn::ShiftRight<28>(even)))));
}
HWY_INLINE Bands SensitiveBands(const Bands& m, const uint32_t weight[2]) {
  return {Sensitive(m.h, weight[0]), Sensitive(m.v, weight[0]), Sensitive(m.d, weight[1])};
}

// UpperSum is Σ over the bands of (factor·c − 2^31) >> 32.
HWY_INLINE V32 UpperSum(const Bands& c, uint32_t factor) {
  const VU32 k = Unsigned(factor);
  const VU64 kk = Even(k);
  const VU64 minus = hn::Set(DU64(), uint64_t{0} - (uint64_t{1} << 31));
  const VU32 h = AsU32(c.h), v = AsU32(c.v), d = AsU32(c.d);
  // The upper halves add up as 32-bit lanes, whatever the lower ones do.
  const VU32 even = hn::Add(hn::Add(AsU32(hn::Add(MulLow(Even(h), kk), minus)), AsU32(hn::Add(MulLow(Even(v), kk), minus))),
                            AsU32(hn::Add(MulLow(Even(d), kk), minus)));
  const VU32 odd = hn::Add(hn::Add(AsU32(hn::Add(MulLow(Odd(h), kk), minus)), AsU32(hn::Add(MulLow(Odd(v), kk), minus))),
                           AsU32(hn::Add(MulLow(Odd(d), kk), minus)));
  return As32(hn::OddEven(odd, AsU32(Odd(even))));
}

HWY_INLINE void StoreMasksWide(const Bands& c, const Bands& signal, const AdmMasks& masks, const MaskRows& rows, int j,
                               int block) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  const V32 sum = UpperSum(c, kAdmThirtieth);
  int32_t* const out = StoreMasks(sum, hn::Sub(UpperSum(c, kAdmFifteenth), sum), masks, rows, j, block);
  hn::Store(signal.h, d32, out);
  hn::Store(signal.v, d32, out + lanes);
  hn::Store(signal.d, d32, out + 2 * lanes);
}

// ---- rows

// AddCubes adds (q·x + half) >> shift with q = (x² + round) >> kSquare, for x < 2^31 with q < 2^32.
template <int kSquare>
HWY_INLINE VU64 AddCubes(VU64 sum, VU32 x, VU64 round, const Shift& shift) {
  const VU64 even = Even(x), odd = Odd(x);
  const VU64 qe = hn::ShiftRight<kSquare>(hn::Add(MulLow(even, even), round));
  const VU64 qo = hn::ShiftRight<kSquare>(hn::Add(MulLow(odd, odd), round));
  return hn::Add(hn::Add(sum, shift.Rounded(MulLow(qe, even))), shift.Rounded(MulLow(qo, odd)));
}

// AddCubes0 adds x³ for x < 2^15.
HWY_INLINE VU64 AddCubes0(VU64 sum, V32 x) {
  const VU32 square = AsU32(PairDot(hn::Zero(D32()), As16(x), As16(x)));
  return hn::Add(hn::Add(sum, MulLow(Even(square), Even(AsU32(x)))), MulLow(Odd(square), Odd(AsU32(x))));
}

HWY_INLINE bool Inside(AdmRange range, int i) { return i >= range.first && i < range.end; }

// Details0 are H and V, paired, and D at band columns j and on of scale 0; DetailsWide are those of the other scales.
HWY_INLINE V16 Details0(const AdmPicture& picture, int j, V32* d) {
  *d = hn::ShiftRight<16>(Across(HighPass(), picture.filtered[1], j));
  return UpperHalves(Across(LowPass(), picture.filtered[1], j), Across(HighPass(), picture.filtered[0], j));
}
template <int kShift>
HWY_INLINE Bands DetailsWide(const AdmPicture& picture, int j) {
  return {AcrossWide<kShift>(LowPass(), kLowHalfSum, picture.filtered[2], picture.filtered[3], j),
          AcrossWide<kShift>(HighPass(), 0, picture.filtered[0], picture.filtered[1], j),
          AcrossWide<kShift>(HighPass(), 0, picture.filtered[2], picture.filtered[3], j)};
}

// StoreReference makes what Restored needs to know of o. o = 0 counts as 1: r is 0 anyway.
HWY_INLINE void StoreReference(V32 o, int32_t* reciprocal, int32_t* cut) {
  const D32 d32;
  const VU32 m = AsU32(hn::Abs(o));
  // The exponent of m as a float is ⌊log2 m⌋, since the bit below the uppermost one is cleared and rounding cannot carry so far.
  const VF32 f = hn::ConvertTo(DF32(), As32(hn::AndNot(hn::ShiftRight<1>(m), m)));
  const V32 excess = hn::Sub(hn::ShiftRight<23>(hn::BitCast(D32(), f)), Int(127 + 14));
  const VU32 q = AsU32(hn::Max(excess, hn::Zero(d32)));
  const VU32 round = hn::ShiftRight<1>(hn::Shl(Unsigned(1), q));
  const VU32 reduced = hn::Max(hn::Shr(hn::Add(m, round), q), Unsigned(1));
  hn::Store(Reciprocal(As32(reduced)), d32, reciprocal);
  hn::Store(As32(q), d32, cut);
}

// PictureRow is row y of picture p, the reference being 0, mirrored.
template <class Sample>
HWY_INLINE const Sample* PictureRow(const AdmJob& job, size_t p, int y) {
  const VqsPlane& plane = p == 0 ? *job.ref : job.dis[p - 1];
  const int row = MirrorWholeHalf(y, static_cast<int>(job.adm->height));
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) +
                                         static_cast<size_t>(row) * plane.stride_bytes);
}

// Ahead fetches what row i + 1 will read of a picture, a few samples at each step of a loop over band columns. Without it, the
// loop that reads them spent two thirds of its time waiting.
class Ahead {
 public:
  Ahead(const AdmJob& job, size_t p, int i)
      : a_(PictureRow<uint8_t>(job, p, 2 * i + 3)), b_(PictureRow<uint8_t>(job, p, 2 * i + 4)),
        bytes_(job.adm->bpc == 8 ? 2 : 4) {}
  HWY_INLINE void Fetch(int j) const {
    hwy::Prefetch(a_ + j * bytes_);
    hwy::Prefetch(b_ + j * bytes_);
  }

 private:
  const uint8_t* const a_;
  const uint8_t* const b_;
  const ptrdiff_t bytes_;  // of the two samples that a band column stands for
};

// AddDenominators adds the sums of one row.
HWY_INLINE void AddDenominators(AdmJob& job, int s, int i, VU64 h, VU64 v, VU64 d) {
  const AdmGeometry& g = job.adm->scale[s].g;
  if (!Inside(g.rows, i)) return;
  job.den[s][kAdmH] += AdmRow(Total(h), g.row_shift);
  job.den[s][kAdmV] += AdmRow(Total(v), g.row_shift);
  job.den[s][kAdmD] += AdmRow(Total(d), g.row_shift);
}

// ReferenceRow0 and ReferenceRow make scale.reference from the reference's filtered row, and add the denominators of row i.
HWY_NOINLINE void ReferenceRow0(AdmJob& job, int i) {
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmScale& scale = job.adm->scale[0];
  const Ahead ahead(job, 0, i);
  VU64 sum_h = hn::Zero(DU64()), sum_v = sum_h, sum_d = sum_h;
  int32_t* out = scale.reference;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    ahead.Fetch(j);
    V32 d;
    const V16 pair = Details0(scale.picture[0], j, &d);
    hn::Store(As32(pair), d32, out);
    hn::Store(d, d32, out + lanes);
    out += kAdmReferenceVectors0 * lanes;
    const V32 active = hn::Load(d32, scale.active + j);
    const V16 m = As16(hn::And(As32(hn::Abs(pair)), active));
    sum_h = AddCubes0(sum_h, Lower(m));
    sum_v = AddCubes0(sum_v, Upper(m));
    sum_d = AddCubes0(sum_d, hn::And(hn::Abs(d), active));
  }
  AddDenominators(job, 0, i, sum_h, sum_v, sum_d);
}

template <int kShift>
HWY_NOINLINE void ReferenceRow(AdmJob& job, int s, int i) {
  constexpr int kSquare = kShift == 16 ? 30 : 31;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmScale& scale = job.adm->scale[s];
  const VU64 unit = hn::Set(DU64(), uint64_t{1} << kSquare);
  const Shift column_shift(scale.g.column_shift);
  VU64 sum_h = hn::Zero(DU64()), sum_v = sum_h, sum_d = sum_h;
  int32_t* out = scale.reference;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    const Bands o = DetailsWide<kShift>(scale.picture[0], j);
    hn::Store(o.h, d32, out + kAdmDetail * lanes);
    hn::Store(o.v, d32, out + (kAdmDetail + 1) * lanes);
    hn::Store(o.d, d32, out + (kAdmDetail + 2) * lanes);
    StoreReference(o.h, out + kAdmReciprocals * lanes, out + kAdmCut * lanes);
    StoreReference(o.v, out + (kAdmReciprocals + 1) * lanes, out + (kAdmCut + 1) * lanes);
    StoreReference(o.d, out + (kAdmReciprocals + 2) * lanes, out + (kAdmCut + 2) * lanes);
    out += kAdmReferenceVectors * lanes;
    const V32 active = hn::Load(d32, scale.active + j);
    sum_h = AddCubes<kSquare>(sum_h, AsU32(hn::And(hn::Abs(o.h), active)), unit, column_shift);
    sum_v = AddCubes<kSquare>(sum_v, AsU32(hn::And(hn::Abs(o.v), active)), unit, column_shift);
    sum_d = AddCubes<kSquare>(sum_d, AsU32(hn::And(hn::Abs(o.d), active)), unit, column_shift);
  }
  AddDenominators(job, s, i, sum_h, sum_v, sum_d);
}

// DistortedRow0 and DistortedRow decouple a filtered row of a distorted picture and make its masks for every setting.
HWY_NOINLINE void DistortedRow0(const AdmJob& job, size_t rendition, int i) {
  const D16 d16;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmScale& scale = job.adm->scale[0];
  const AdmMasks* const all = scale.masks + rendition * job.adm->configs * 2;
  const MaskRows rows(i);
  const Ahead ahead(job, 1 + rendition, i);
  const int32_t* ref = scale.reference;
  int block = 0;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    ahead.Fetch(j);
    V32 t_d;
    const V16 t = Details0(scale.picture[1 + rendition], j, &t_d);
    const V16 o = As16(hn::Load(d32, ref));
    const V32 o_d = hn::Load(d32, ref + lanes);
    ref += kAdmReferenceVectors0 * lanes;
    const M32 flag = job.enhances ? AngleFlags0(o, t) : hn::MaskFromVec(hn::Zero(d32));

    const V16 zero = hn::Zero(d16);
    const V16 sign = hn::ShiftRight<15>(o), m = hn::Abs(o);
    const V16 limit = hn::Max(Relative0(t, sign), zero);
    const V32 sign_d = hn::BroadcastSignBit(o_d);
    const V16 m_d = As16(hn::Abs(o_d));
    const V16 limit_d = As16(hn::Max(Relative(t_d, sign_d), hn::Zero(d32)));
    V16 r = hn::Min(limit, m), r_d = hn::Min(limit_d, m_d);
    if (HWY_UNLIKELY(!hn::AllFalse(d16, hn::Gt(hn::Or(m, m_d), hn::Set(d16, kPlainBelow - 1))))) {
      r = RestoredExactPair(o, limit);
      r_d = As16(RestoredExact(o_d, As32(limit_d)));
    }
    for (size_t c = 0; c < job.setting_count; ++c) {
      const AdmSetting& setting = job.settings[c];
      const Weights0 weights(setting.config->weight[0]);
      const V16 er = Enhanced0(setting, r, limit, flag), er_d = Enhanced0(setting, r_d, limit_d, flag);
      const V16 sr = Relative0(er, sign), a = hn::Sub(t, sr);
      const V32 sr_d = Relative(As32(er_d), sign_d), a_d = hn::Sub(t_d, sr_d);
      StoreMasks0(weights, a, a_d, er, er_d, all[2 * c], rows, j, block);
      if (setting.config->aim) {
        StoreMasks0(weights, sr, sr_d, hn::Abs(a), As16(hn::Abs(a_d)), all[2 * c + 1], rows, j, block);
      }
    }
    block += kAdmMaskVectors0 * lanes;
  }
}

template <int kShift>
HWY_NOINLINE void DistortedRow(const AdmJob& job, int s, size_t rendition, int i) {
  const D32 d32;
  const DU32 du32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmScale& scale = job.adm->scale[s];
  const AdmMasks* const all = scale.masks + rendition * job.adm->configs * 2;
  const MaskRows rows(i);
  const int32_t* ref = scale.reference;
  int block = 0;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    const Bands t = DetailsWide<kShift>(scale.picture[1 + rendition], j);
    const Bands o = {hn::Load(d32, ref + kAdmDetail * lanes), hn::Load(d32, ref + (kAdmDetail + 1) * lanes),
                     hn::Load(d32, ref + (kAdmDetail + 2) * lanes)};
    const Bands sign = {hn::BroadcastSignBit(o.h), hn::BroadcastSignBit(o.v), hn::BroadcastSignBit(o.d)};
    const V32 zero = hn::Zero(d32);
    const Bands limit = {hn::Max(Relative(t.h, sign.h), zero), hn::Max(Relative(t.v, sign.v), zero),
                         hn::Max(Relative(t.d, sign.d), zero)};
    const uint32_t* const reciprocal = reinterpret_cast<const uint32_t*>(ref) + kAdmReciprocals * lanes;
    const uint32_t* const cut = reinterpret_cast<const uint32_t*>(ref) + kAdmCut * lanes;
    const Bands r = {
        Restored(o.h, sign.h, limit.h, hn::Load(du32, reciprocal), hn::Load(du32, cut)),
        Restored(o.v, sign.v, limit.v, hn::Load(du32, reciprocal + lanes), hn::Load(du32, cut + lanes)),
        Restored(o.d, sign.d, limit.d, hn::Load(du32, reciprocal + 2 * lanes), hn::Load(du32, cut + 2 * lanes))};
    ref += kAdmReferenceVectors * lanes;
    // Without enhancement the angle matters only where r exceeds t.
    M32 flag = hn::Or(hn::Or(hn::Gt(r.h, limit.h), hn::Gt(r.v, limit.v)), hn::Gt(r.d, limit.d));
    if (job.enhances || !hn::AllFalse(d32, flag)) flag = AngleFlagsWide(o, t);
    for (size_t c = 0; c < job.setting_count; ++c) {
      const AdmSetting& setting = job.settings[c];
      const uint32_t* const weight = setting.config->weight[s];
      const Bands er = {Enhanced(setting, r.h, limit.h, flag), Enhanced(setting, r.v, limit.v, flag),
                        Enhanced(setting, r.d, limit.d, flag)};
      const Bands sr = {Relative(er.h, sign.h), Relative(er.v, sign.v), Relative(er.d, sign.d)};
      const Bands a = {hn::Sub(t.h, sr.h), hn::Sub(t.v, sr.v), hn::Sub(t.d, sr.d)};
      const Bands ca = SensitiveBands(a, weight), cr = SensitiveBands(sr, weight);
      StoreMasksWide(ca, cr, all[2 * c], rows, j, block);
      if (setting.config->aim) StoreMasksWide(cr, ca, all[2 * c + 1], rows, j, block);
    }
    block += kAdmMaskVectors * lanes;
  }
}

// BoxOfLast makes the box of a band's last row, whose row below is its own mirror image.
HWY_NOINLINE void BoxOfLast(AdmRange columns, const AdmMasks& masks, int i) {
  const int32_t* const row = masks.neighbours[i % kAdmMaskRows];
  const int32_t* const above = masks.neighbours[(i + kAdmMaskRows - 1) % kAdmMaskRows];
  for (int j = columns.first; j < columns.end; ++j) {
    const uint32_t twice = static_cast<uint32_t>(row[j]) * 2;
    masks.box[j] = static_cast<int32_t>(twice + static_cast<uint32_t>(above[j]));
  }
}

// NumeratorRowExact is NumeratorRow one sample at a time, for rows with a signal so strong that 32 bits wrap.
HWY_NOINLINE void NumeratorRowExact(const AdmScale& scale, int s, const uint32_t weight[2], const int32_t* box,
                                    const int32_t* block, uint64_t sums[kAdmBands]) {
  const int lanes = static_cast<int>(hn::Lanes(D32()));
  const int first = scale.g.detail_columns.first / lanes * lanes;
  const int vectors = s == 0 ? kAdmMaskVectors0 : kAdmMaskVectors;
  for (int b = 0; b < kAdmBands; ++b) sums[b] = 0;
  for (int j = scale.g.columns.first; j < scale.g.columns.end; ++j) {
    const int at = j - first, lane = at % lanes;
    const int32_t* const v = block + vectors * (at - lane) + lane;
    const uint32_t threshold = static_cast<uint32_t>(box[j - 1]) + static_cast<uint32_t>(box[j]) +
                               static_cast<uint32_t>(box[j + 1]) + static_cast<uint32_t>(v[0]);
    uint32_t signal[kAdmBands];
    for (int b = 0; b < kAdmBands; ++b) signal[b] = static_cast<uint32_t>(v[(1 + b) % vectors * lanes]);
    if (s == 0) {
      const uint32_t pair = static_cast<uint32_t>(v[lanes]);
      signal[kAdmH] = (pair & 0xffff) * weight[0];
      signal[kAdmV] = (pair >> 16) * weight[0];
      signal[kAdmD] = static_cast<uint32_t>(v[2 * lanes]) * weight[1];
    }
    for (int b = 0; b < kAdmBands; ++b) {
      const int32_t x = AdmVisible(signal[b], static_cast<int32_t>(threshold), AdmThresholdShift(s, b));
      sums[b] += static_cast<uint64_t>(AdmNumeratorTerm(x, AdmTermSquareShift(s, b), scale.g.term_shift[b == kAdmD]));
    }
  }
}

// NumeratorRow sums one row of the numerator. Vectors whose every x is below 2^14, and so rounds to q = 0, are passed over.
template <bool kWide>
HWY_NOINLINE void NumeratorRow(const AdmScale& scale, int s, const uint32_t weight[2], const int32_t* box, const int32_t* block,
                               int64_t sums[kAdmBands]) {
  constexpr int kSquareHV = kWide ? 30 : 29, kSquareD = 30;
  constexpr int kSmall = 1 << 14, kLarge = 1 << 30;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const VU64 round_hv = hn::Set(DU64(), uint64_t{1} << (kSquareHV - 1)), round_d = hn::Set(DU64(), uint64_t{1} << (kSquareD - 1));
  const Shift shift_hv(scale.g.term_shift[0]), shift_d(scale.g.term_shift[1]);
  const V32 zero = hn::Zero(d32), small = Int(kSmall - 1);
  const V32 weight_hv = Int(static_cast<int32_t>(weight[0])), weight_d = Int(static_cast<int32_t>(weight[1]));
  VU64 sum_h = hn::Zero(DU64()), sum_v = sum_h, sum_d = sum_h;
  V32 any = zero;
  const int32_t* in = block;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    const V32 around = hn::Add(hn::Add(hn::LoadU(d32, box + j - 1), hn::Load(d32, box + j)), hn::LoadU(d32, box + j + 1));
    const V32 threshold = hn::Add(around, hn::Load(d32, in));
    V32 h, v, d;
    if constexpr (kWide) {
      h = hn::Sub(hn::Load(d32, in + lanes), threshold);
      v = hn::Sub(hn::Load(d32, in + 2 * lanes), threshold);
      d = hn::Sub(hn::Load(d32, in + 3 * lanes), threshold);
      in += kAdmMaskVectors * lanes;
    } else {
      const V16 pair = As16(hn::Load(d32, in + lanes));
      const V32 threshold_hv = hn::ShiftLeft<10>(threshold);
      h = hn::Sub(hn::Mul(Lower(pair), weight_hv), threshold_hv);
      v = hn::Sub(hn::Mul(Upper(pair), weight_hv), threshold_hv);
      d = hn::Sub(hn::Mul(hn::Load(d32, in + 2 * lanes), weight_d), hn::ShiftLeft<12>(threshold));
      in += kAdmMaskVectors0 * lanes;
    }
    const V32 active = hn::Load(d32, scale.active + j);
    h = hn::And(hn::Max(h, zero), active);
    v = hn::And(hn::Max(v, zero), active);
    d = hn::And(hn::Max(d, zero), active);
    const V32 all = hn::Or(hn::Or(h, v), d);
    if (hn::AllFalse(d32, hn::Gt(all, small))) continue;
    any = hn::Or(any, all);
    sum_h = AddCubes<kSquareHV>(sum_h, AsU32(h), round_hv, shift_hv);
    sum_v = AddCubes<kSquareHV>(sum_v, AsU32(v), round_hv, shift_hv);
    sum_d = AddCubes<kSquareD>(sum_d, AsU32(d), round_d, shift_d);
  }
  uint64_t row[kAdmBands];
  if (HWY_UNLIKELY(!hn::AllFalse(d32, hn::Gt(any, Int(kLarge - 1))))) {
    NumeratorRowExact(scale, s, weight, box, block, row);
  } else {
    row[kAdmH] = Total(sum_h);
    row[kAdmV] = Total(sum_v);
    row[kAdmD] = Total(sum_d);
  }
  for (int b = 0; b < kAdmBands; ++b) sums[b] += static_cast<int64_t>(AdmRow(row[b], scale.g.sum_shift));
}

// Numerators sums row i of every setting. Row i + 1 is there, or i is the last.
template <bool kWide>
HWY_INLINE void Numerators(const AdmJob& job, const AdmScale& scale, int s, size_t rendition, int i) {
  const AdmRange columns = scale.g.detail_columns;
  for (size_t c = 0; c < job.setting_count; ++c) {
    const AdmSetting& setting = job.settings[c];
    VqsAdmSums& sums = setting.sums[rendition];
    const AdmMasks* const masks = scale.masks + (rendition * job.adm->configs + c) * 2;
    for (int additive = 0; additive <= (setting.config->aim ? 1 : 0); ++additive) {
      const AdmMasks& m = masks[additive];
      if (i == scale.g.height - 1) BoxOfLast(columns, m, i);
      if (columns.first == 0) m.box[-1] = m.box[1];
      if (columns.end == scale.g.width) m.box[columns.end] = m.box[columns.end - 1];
      NumeratorRow<kWide>(scale, s, setting.config->weight[s], m.box, m.block[i % kAdmMaskRows],
                          additive ? sums.aim[s] : sums.num[s]);
    }
  }
}

// ---- the cascade

// BandRow makes what scale s has to make of row i, the filtered rows being there.
template <int kShift>
HWY_NOINLINE void BandRow(AdmJob& job, int s, int i) {
  constexpr bool kWide = kShift != 0;
  const AdmScale& scale = job.adm->scale[s];
  const AdmGeometry& g = scale.g;
  for (size_t p = 0; p <= job.renditions; ++p) {
    const AdmPicture& picture = scale.picture[p];
    for (int k = 0; k < (kWide ? 4 : 2); ++k) Mirror(g, picture.filtered[k]);
    if (Inside(g.approx_rows, i)) Approx<kShift>(scale, s, picture, i);
  }
  if (!Inside(g.detail_rows, i)) return;
  if constexpr (kWide) {
    ReferenceRow<kShift>(job, s, i);
  } else {
    ReferenceRow0(job, i);
  }
  for (size_t k = 0; k < job.renditions; ++k) {
    if constexpr (kWide) {
      DistortedRow<kShift>(job, s, k, i);
    } else {
      DistortedRow0(job, k, i);
    }
    if (Inside(g.rows, i - 1)) Numerators<kWide>(job, scale, s, k, i - 1);
    // The last row of a band has no row below and needs none: it is its own mirror image.
    if (i == g.height - 1 && Inside(g.rows, i)) Numerators<kWide>(job, scale, s, k, i);
  }
}

// Cascade lets scale s take what it can, A of the scale above having rows up to and including last.
void Cascade(AdmJob& job, int s, int last) {
  const AdmScale& scale = job.adm->scale[s];
  const AdmGeometry& g = scale.g;
  for (int& i = job.next_row[s]; i < g.out_rows.end; ++i) {
    const int lowest = 2 * i + 2 < g.in_height ? 2 * i + 2 : g.in_height - 1;
    if (lowest > last) return;
    for (size_t p = 0; p <= job.renditions; ++p) {
      const AdmScale& above = job.adm->scale[s - 1];
      const int32_t* rows[4];
      for (int k = 0; k < 4; ++k) rows[k] = above.picture[p].approx[MirrorWholeHalf(2 * i - 1 + k, g.in_height) % kAdmRing];
      if (s == 1) {
        FilterApprox1(g, scale.picture[p], rows);
      } else {
        FilterApprox23(g, scale.picture[p], rows, above.approx_half);
      }
    }
    if (AdmHorizontalShift(s) == 15) {
      BandRow<15>(job, s, i);
    } else {
      BandRow<16>(job, s, i);
    }
    if (s + 1 < kAdmScales) Cascade(job, s + 1, i);
  }
}

template <class Sample>
HWY_NOINLINE void Pictures(AdmJob& job) {
  const AdmScale& scale = job.adm->scale[0];
  const AdmGeometry& g = scale.g;
  const V16 unit = hn::Set(D16(), static_cast<int16_t>(1 << (16 - job.adm->bpc)));
  for (size_t p = 0; p <= job.renditions; ++p) {
    const int y = 2 * g.out_rows.first;
    FilterPicture<Sample, Rows::kPairs>(g, scale.picture[p], PictureRow<Sample>(job, p, y - 1),
                                        PictureRow<Sample>(job, p, y), unit);
  }
  for (int i = g.out_rows.first; i < g.out_rows.end; ++i) {
    for (size_t p = 0; p <= job.renditions; ++p) {
      const Sample* const a = PictureRow<Sample>(job, p, 2 * i + 1);
      const Sample* const b = PictureRow<Sample>(job, p, 2 * i + 2);
      if (Inside(g.detail_rows, i)) {
        FilterPicture<Sample, Rows::kLowHigh>(g, scale.picture[p], a, b, unit);
      } else {
        FilterPicture<Sample, Rows::kLow>(g, scale.picture[p], a, b, unit);
      }
    }
    BandRow<0>(job, 0, i);
    Cascade(job, 1, i);
  }
}

}  // namespace

int AdmVector(AdmJob& job) {
  memset(job.den, 0, sizeof job.den);
  for (int s = 0; s < kAdmScales; ++s) job.next_row[s] = job.adm->scale[s].g.out_rows.first;
  if (job.adm->bpc == 8) {
    Pictures<uint8_t>(job);
  } else {
    Pictures<uint16_t>(job);
  }
  for (size_t c = 0; c < job.setting_count; ++c) {
    for (size_t k = 0; k < job.renditions; ++k) memcpy(job.settings[c].sums[k].den, job.den, sizeof job.den);
  }
  return kVqsOk;
}

void AdmReciprocals(const int32_t* m, int32_t* out, size_t n) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  for (size_t i = 0; i + lanes <= n; i += lanes) hn::StoreU(Reciprocal(hn::LoadU(d32, m + i)), d32, out + i);
}

void AdmRestoredParts(int scale, const int32_t* o, const int32_t* t, int32_t* r, size_t n) {
  const D32 d32;
  const DU32 du32;
  const size_t lanes = hn::Lanes(d32);
  HWY_ALIGN uint32_t reciprocal[kAdmLanes], cut[kAdmLanes];
  for (size_t i = 0; i + lanes <= n; i += lanes) {
    const V32 ov = hn::LoadU(d32, o + i);
    const V32 sign = hn::BroadcastSignBit(ov);
    const V32 positive = hn::Max(Relative(hn::LoadU(d32, t + i), sign), hn::Zero(d32));
    StoreReference(ov, reinterpret_cast<int32_t*>(reciprocal), reinterpret_cast<int32_t*>(cut));
    const V32 magnitude = scale == 0 ? RestoredExact(ov, positive)
                                     : Restored(ov, sign, positive, hn::Load(du32, reciprocal), hn::Load(du32, cut));
    hn::StoreU(Relative(magnitude, sign), d32, r + i);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(AdmVector);
HWY_EXPORT(AdmReciprocals);
HWY_EXPORT(AdmRestoredParts);
namespace {

AdmRange Widened(AdmRange r, int n) { return {r.first > 0 ? r.first - 1 : 0, r.end < n ? r.end + 1 : n}; }

AdmRange Union(AdmRange a, AdmRange b) {
  if (b.first == b.end) return a;
  return {a.first < b.first ? a.first : b.first, a.end > b.end ? a.end : b.end};
}

// Inputs is the range of a signal of n samples that outputs depend on.
AdmRange Inputs(AdmRange outputs, int n) {
  const int first = 2 * outputs.first - 1, end = 2 * outputs.end + 1;
  return {first > 0 ? first : 0, end < n ? end : n};
}

// Lay sets the geometry of all scales.
void Lay(VqsAdm* adm) {
  int width = static_cast<int>(adm->width), height = static_cast<int>(adm->height);
  for (int s = 0; s < kAdmScales; ++s) {
    AdmGeometry& g = adm->scale[s].g;
    g.in_width = width;
    g.in_height = height;
    g.width = width = AdmHalf(width);
    g.height = height = AdmHalf(height);
    g.columns = {AdmMargin(width), width - AdmMargin(width)};
    g.rows = {AdmMargin(height), height - AdmMargin(height)};
    g.detail_columns = Widened(g.columns, width);
    g.detail_rows = Widened(g.rows, height);
    const int columns = g.columns.end - g.columns.first, rows = g.rows.end - g.rows.first;
    g.column_shift = s == 0 ? 0 : AdmCeilLog2(static_cast<uint32_t>(columns));
    g.row_shift = s == 0 ? AdmDenominatorShift0(rows * columns) : AdmCeilLog2(static_cast<uint32_t>(rows));
    g.term_shift[0] = AdmTermShift(s, kAdmH, width);
    g.term_shift[1] = AdmTermShift(s, kAdmD, width);
    g.sum_shift = AdmRowShift(height);
  }
  AdmRange approx_columns = {0, 0}, approx_rows = {0, 0};
  for (int s = kAdmScales - 1; s >= 0; --s) {
    AdmGeometry& g = adm->scale[s].g;
    g.approx_columns = approx_columns;
    g.approx_rows = approx_rows;
    g.out_rows = Union(g.detail_rows, approx_rows);
    g.in_columns = approx_columns = Inputs(Union(g.detail_columns, approx_columns), g.in_width);
    approx_rows = Inputs(g.out_rows, g.in_height);
  }
}

// Arena hands out parts of one block, or with no block counts what they come to. Five cache lines between parts keep rows whose
// length is near a power of two out of each other's cache sets.
class Arena {
 public:
  explicit Arena(void* block) : block_(static_cast<char*>(block)) {}
  template <class T>
  T* Take(size_t n) {
    T* const p = block_ == nullptr ? nullptr : reinterpret_cast<T*>(block_ + used_);
    used_ += (n * sizeof(T) + 63) / 64 * 64 + 5 * 64;
    return p;
  }
  size_t used() const { return used_; }

 private:
  char* const block_;
  size_t used_ = 0;
};

// Furnish points all scales at their parts of arena. Its block is zero at first: vector code computes with what no sum depends
// on, too.
void Furnish(VqsAdm* adm, Arena* arena) {
  for (int s = 0; s < kAdmScales; ++s) {
    AdmScale& scale = adm->scale[s];
    const size_t in_row = static_cast<size_t>(scale.g.in_width) + 2 * kAdmPad;
    const size_t row = static_cast<size_t>(scale.g.width) + kAdmPad;
    scale.active = arena->Take<int32_t>(row);
    scale.reference = arena->Take<int32_t>(kAdmReferenceVectors * row);
    const size_t approx_half = (row / 2 + kAdmPad) / kAdmLanes * kAdmLanes;
    scale.approx_half = static_cast<int>(approx_half);
    for (size_t p = 0; p <= adm->renditions; ++p) {
      AdmPicture& picture = scale.picture[p];
      for (int k = 0; k < (s == 0 ? 2 : 4); ++k) picture.filtered[k] = arena->Take<int16_t>(in_row);
      picture.pairs = s == 0 ? arena->Take<int32_t>(in_row) : nullptr;
      if (s + 1 == kAdmScales) continue;
      for (int32_t*& a : picture.approx) {
        a = s == 0 ? reinterpret_cast<int32_t*>(arena->Take<int16_t>(row + kAdmPad)) : arena->Take<int32_t>(2 * approx_half);
      }
    }
    for (size_t m = 0; m < adm->renditions * adm->configs * 2; ++m) {
      AdmMasks& masks = scale.masks[m];
      masks.box = arena->Take<int32_t>(row + kAdmPad) + kAdmPad;
      for (int k = 0; k < kAdmMaskRows; ++k) {
        masks.neighbours[k] = arena->Take<int32_t>(row);
        masks.block[k] = arena->Take<int32_t>((s == 0 ? kAdmMaskVectors0 : kAdmMaskVectors) * row);
      }
    }
  }
}

// Fits tells whether the vector code takes a configuration. Only CSF mode 1 at large scales goes beyond: at scale 0 |c| has to
// stay below 2^15, at the others below 2^31, for any coefficient.
bool Fits(const VqsAdmConfig& config) {
  constexpr uint32_t kLargest0 = 46000, kLargest = 1u << 28;
  static_assert((int64_t{kAdmLargest0} * kLargest0 >> 15) < INT16_MAX, "|c| of scale 0");
  for (int s = 1; s < kAdmScales; ++s) {
    if (config.weight[s][0] > kLargest || config.weight[s][1] > kLargest) return false;
  }
  return config.weight[0][0] <= kLargest0;
}

AdmSetting Setting(const VqsAdmConfig& config, VqsAdmSums* sums) {
  AdmSetting setting = {&config, sums, AdmGainKind::kFraction, 1, 0, 0};
  const int gain = static_cast<int>(config.gain);
  if (config.gain == gain) {
    setting.kind = gain == 1 ? AdmGainKind::kNone : AdmGainKind::kWhole;
    setting.gain = gain;
    setting.largest = UINT32_MAX / static_cast<uint32_t>(gain);
    setting.largest0 = static_cast<int16_t>(INT16_MAX / gain);
  }
  return setting;
}

}  // namespace
}  // namespace vqs

extern "C" VqsAdm* vqs_adm_new(size_t width, size_t height, int bpc, size_t renditions, size_t configs) {
  using namespace vqs;
  if (width < kAdmMinSize || height < kAdmMinSize || width > kAdmMaxSize || height > kAdmMaxSize || bpc < 8 || bpc > 16 ||
      renditions < 1 || configs < 1) {
    return nullptr;
  }
  VqsAdm* const adm = static_cast<VqsAdm*>(calloc(1, sizeof(VqsAdm)));
  if (adm == nullptr) return nullptr;
  adm->width = width;
  adm->height = height;
  adm->bpc = bpc;
  adm->renditions = renditions;
  adm->configs = configs;
  Lay(adm);
  bool complete = (adm->settings = static_cast<AdmSetting*>(calloc(configs, sizeof(AdmSetting)))) != nullptr;
  for (AdmScale& scale : adm->scale) {
    scale.picture = static_cast<AdmPicture*>(calloc(1 + renditions, sizeof(AdmPicture)));
    scale.masks = static_cast<AdmMasks*>(calloc(renditions * configs, 2 * sizeof(AdmMasks)));
    complete = complete && scale.picture != nullptr && scale.masks != nullptr;
  }
  if (complete) {
    Arena count(nullptr);
    Furnish(adm, &count);
    adm->memory = aligned_alloc(64, count.used());
    if (adm->memory != nullptr) {
      memset(adm->memory, 0, count.used());
      Arena arena(adm->memory);
      Furnish(adm, &arena);
      for (AdmScale& scale : adm->scale) {
        for (int j = scale.g.columns.first; j < scale.g.columns.end; ++j) scale.active[j] = -1;
      }
      return adm;
    }
  }
  vqs_adm_free(adm);
  return nullptr;
}

extern "C" void vqs_adm_free(VqsAdm* adm) {
  if (adm == nullptr) return;
  for (vqs::AdmScale& scale : adm->scale) {
    free(scale.picture);
    free(scale.masks);
  }
  free(adm->settings);
  free(adm->memory);
  free(adm);
}

extern "C" int vqs_adm(VqsAdm* adm, const VqsPlane* ref, const VqsPlane* dis, size_t renditions,
                       const VqsAdmConfig* configs, size_t config_count, VqsAdmSums* sums) {
  using namespace vqs;
  if (renditions < 1 || renditions > adm->renditions || config_count < 1 || config_count > adm->configs) return kVqsInvalid;
  memset(sums, 0, renditions * config_count * sizeof *sums);
  AdmJob job = {};
  job.adm = adm;
  job.ref = ref;
  job.dis = dis;
  job.renditions = renditions;
  job.settings = adm->settings;
  for (size_t c = 0; c < config_count; ++c) {
    if (!vqs_cpu_is_plain() && Fits(configs[c])) {
      const AdmSetting setting = Setting(configs[c], sums + c * renditions);
      adm->settings[job.setting_count++] = setting;
      job.enhances = job.enhances || setting.kind != AdmGainKind::kNone;
      continue;
    }
    for (size_t k = 0; k < renditions; ++k) {
      const int status = AdmPlain(adm->width, adm->height, adm->bpc, *ref, dis[k], configs[c], &sums[c * renditions + k]);
      if (status != kVqsOk) return status;
    }
  }
  if (job.setting_count == 0) return kVqsOk;
  return HWY_DYNAMIC_DISPATCH(AdmVector)(job);
}

extern "C" void vqs_adm_reciprocals(const int32_t* m, int32_t* out, size_t n) {
  using namespace vqs;
  if (!vqs_cpu_is_plain()) {
    HWY_DYNAMIC_DISPATCH(AdmReciprocals)(m, out, n);
    return;
  }
  for (size_t i = 0; i < n; ++i) out[i] = AdmReciprocal(m[i]);
}

extern "C" void vqs_adm_restored(int scale, const int32_t* o, const int32_t* t, int32_t* r, size_t n) {
  using namespace vqs;
  if (!vqs_cpu_is_plain()) {
    HWY_DYNAMIC_DISPATCH(AdmRestoredParts)(scale, o, t, r, n);
    return;
  }
  for (size_t i = 0; i < n; ++i) r[i] = AdmRestored(AdmGain(o[i], t[i]), o[i], t[i], false, 1);
}

#endif  // HWY_ONCE
