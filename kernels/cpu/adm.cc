// adm.cc — Additive Detail Measure: wavelet detail restored and added, at four scales.        Source: spec/adm.md
//
//   per scale:  A, H, V, D = wavelet(A above)      both pictures
//               r, a = decouple(o, t)              restored and additive detail
//               den = Σ |o|³     num = Σ max(|csf·r| − thr(a), 0)³     aim = Σ max(|csf·a| − thr(r), 0)³
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (9…16)
// out    sums          den u64, num and aim s64, [scale][H, V, D]
// fixed  scale 0       samples s16 (recentred, ·2^(16−bpc)); filtered s32 + 2^15 >> 16 → s16; details s16 in s32 lanes
//        scale 1…3     s32, filtered as two halves: y = 2^16·h + l + 2^15 with h and l in s16, so Σ f·y is
//                      2^16·Σ f·h + Σ f·l + 2^15·S; both sums fit s32 (adm_arith.h), and 2^15·S is a multiple of either
//                      shift's unit: S = 46342 or 0, hence it is added after the shift
//        k             s32 lanes, see Restored; cubes: u64, the even lanes and the odd lanes of u32 in turn
// order  a row's sums are complete before they are shifted; otherwise integer sums, any order gives the same bits
// rows   The four scales run as one cascade. Each filters, decouples and masks one row of its bands at a time and keeps four
//        rows of A above and three rows of masks; a row of scale s + 1 follows as soon as its rows of A are there. All of that
//        stays in L2, and a picture row is read once.
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

// AdmMasks are rows of one masker (r or a) with the signal that it masks (a or r).
struct AdmMasks {
  int32_t* neighbours[kAdmMaskRows];  // Σ over H, V, D of what a coefficient adds to the threshold around it
  // Vector by vector: what it adds to its own threshold beyond that, and the signal's three magnitudes.
  int32_t* block[kAdmMaskRows];
};
constexpr int kAdmMaskBlock = 4;
constexpr int kAdmReferenceVectors = 9;  // what a row of the reference is kept as, see kRef…

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
  int32_t* box;        // one row of thresholds, summed over three rows
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
  int32_t gain;         // kWhole
  uint32_t gain_limit;  // kWhole: beyond it r·gain exceeds any t and 32 bits
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

#if HWY_ARCH_ARM
namespace N_NEON {
int AdmVector(AdmJob& job);
void AdmReciprocals(const int32_t* m, int32_t* out, size_t n);
}  // namespace N_NEON
#endif

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

#elif HWY_HAVE_SCALABLE && HWY_ARCH_ARM

// Vectors without a size cannot stand in structures. Where there is SVE there is NEON.
int AdmVector(AdmJob& job) { return N_NEON::AdmVector(job); }
void AdmReciprocals(const int32_t* m, int32_t* out, size_t n) { N_NEON::AdmReciprocals(m, out, n); }

#else

namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D16 = hn::CappedTag<int16_t, 2 * kAdmLanes>;
using D32 = hn::RepartitionToWide<D16>;
using DU32 = hn::RebindToUnsigned<D32>;
using DU64 = hn::RepartitionToWide<DU32>;
using D64 = hn::RebindToSigned<DU64>;
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
#if HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM
  explicit Shift(int bits) : count(hn::Set(DU64(), static_cast<uint64_t>(bits))), half(HalfOf(bits)) {}
  HWY_INLINE VU64 operator()(VU64 v) const { return hn::Shr(v, count); }
  VU64 count;
#else  // no shift by vectors there
  explicit Shift(int bits) : count(bits), half(HalfOf(bits)) {}
  HWY_INLINE VU64 operator()(VU64 v) const { return hn::ShiftRightSame(v, count); }
  int count;
#endif
  HWY_INLINE VU64 Rounded(VU64 v) const { return (*this)(hn::Add(v, half)); }
  VU64 half;

 private:
  static HWY_INLINE VU64 HalfOf(int bits) { return hn::Set(DU64(), bits == 0 ? 0 : uint64_t{1} << (bits - 1)); }
};

HWY_INLINE uint64_t Total(VU64 v) { return hn::GetLane(hn::SumOfLanes(DU64(), v)); }

// ---- §4 wavelet

// Two rows a and b as pairs for PairDot. PairsFirst holds (a, b) of the even elements, PairsSecond of the odd ones.
HWY_INLINE V16 PairsFirst(V16 a, V16 b) { return hn::OddEven(As16(hn::ShiftLeft<16>(As32(b))), a); }
HWY_INLINE V16 PairsSecond(V16 a, V16 b) { return hn::OddEven(b, As16(hn::ShiftRight<16>(AsU32(a)))); }
// Upper and lower halves of first and second, interleaved again; the lower ones minus 2^15, so that they are signed.
HWY_INLINE V16 UpperHalves(V32 first, V32 second) {
  return hn::OddEven(As16(second), As16(hn::ShiftRight<16>(AsU32(first))));
}
HWY_INLINE V16 LowerHalves(V32 first, V32 second) {
  const V16 halves = hn::OddEven(As16(hn::ShiftLeft<16>(second)), As16(first));
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

// Half of Σ f, what 2^15·S becomes after a shift by 16.
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
HWY_INLINE void FilterPicture(const AdmGeometry& g, const AdmPicture& picture, const Sample* a, const Sample* b, V16 unit) {
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
HWY_INLINE void FilterApprox1(const AdmGeometry& g, const AdmPicture& picture, const int32_t* const rows[4]) {
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

// FilterWide is one tap sum of 32-bit rows, given as pairs of upper and of lower halves, + 2^15 >> 16.
HWY_INLINE V32 FilterWide16(const Filter& f, int32_t half_sum, V16 upper01, V16 upper23, V16 lower01, V16 lower23) {
  return hn::Add(Apply(f, Int(half_sum), upper01, upper23),
                 hn::ShiftRight<16>(Apply(f, Int(kRound16), lower01, lower23)));
}
// … + 2^14 >> 15.
HWY_INLINE V32 FilterWide15(const Filter& f, int32_t half_sum, V16 upper01, V16 upper23, V16 lower01, V16 lower23) {
  const V32 upper = Apply(f, Int(half_sum), upper01, upper23);
  return hn::Add(hn::Add(upper, upper), hn::ShiftRight<15>(Apply(f, Int(kRound15), lower01, lower23)));
}

// FilterApprox23 filters four rows of scale 1's or 2's A.
HWY_INLINE void FilterApprox23(const AdmGeometry& g, const AdmPicture& picture, const int32_t* const rows[4], int half) {
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

// Band columns j … from one filtered row of scale 0: the sum, whose upper half is the band.
HWY_INLINE V32 Across(const Filter& f, const int16_t* row, int j) {
  return Apply(f, Int(kRound16), hn::Load(D16(), row + 2 * j), hn::LoadU(D16(), row + 2 * j + 2));
}

// Band columns j … of scales 1…3 from the two halves of a filtered row.
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
HWY_INLINE void Approx(const AdmScale& scale, int s, const AdmPicture& picture, int i) {
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

// Reciprocal is 2^30/m, truncated, for 1 ≤ m ≤ 2^15. With a fused multiply-add it costs less than a gather from a table.
//
// x is near 1/m: ε = 1 − m·x has |ε| < 2^−22, be the estimate good to 2^−11 (x86) or the quotient itself (elsewhere), and is
// known with relative error 2^−24. 2^30/m = 2^30·x·(1 + ε + ε² + …) = n + f + 2^30·x·ε + …, where n and f are 2^30·x, rounded, and the
// rest. What is left out or rounded is below 2^30/m·(2^−44 + 2^−46) + 2^−23 < (2^−13 + 2^-8)/m, and since 2^30/m is either whole or at
// least 1/m away from it, adding 1/(2m) − 1/2 and rounding to nearest truncates.
HWY_INLINE V32 Reciprocal(V32 m) {
  const DF32 df;
  const VF32 one = hn::Set(df, 1.0f), half = hn::Set(df, 0.5f);
  const VF32 mf = hn::ConvertTo(df, m);
#if HWY_NATIVE_FMA || HWY_ARCH_ARM_A64
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
  const VF32 bias = hn::NegMulAdd(half, hn::Sub(one, x), f);
  return hn::Add(n, RoundToInt(hn::MulAdd(scaled, epsilon, bias)));
#else
  // A quotient off by less than 2^7, since f32 has 24 bits, then twice the remainder's quotient: the first leaves it below
  // m + 2^−16·m, the second is 0 or ±1.
  const VF32 x = hn::Div(one, mf);
  V32 n = RoundToInt(hn::Mul(x, hn::Set(df, 1073741824.0f)));
  for (int i = 0; i < 2; ++i) {
    const V32 rest = hn::Sub(Int(1 << 30), hn::Mul(n, m));
    n = hn::Add(n, RoundToInt(hn::Sub(hn::MulAdd(hn::ConvertTo(df, rest), x, hn::Mul(half, x)), half)));
  }
  return n;
#endif
}

// Bands are three bands at one vector.
struct Bands {
  V32 h, v, d;
};

// Exact flags, lane by lane, for the few vectors that the estimate below leaves open.
HWY_NOINLINE M32 ExactFlags(V32 oh, V32 ov, V32 th, V32 tv) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  HWY_ALIGN int32_t v[4][kAdmLanes];
  HWY_ALIGN int32_t flags[kAdmLanes];
  hn::Store(oh, d32, v[0]);
  hn::Store(ov, d32, v[1]);
  hn::Store(th, d32, v[2]);
  hn::Store(tv, d32, v[3]);
  for (size_t i = 0; i < lanes; ++i) {
    const int64_t h = v[0][i], w = v[1][i], p = v[2][i], q = v[3][i];
    flags[i] = AdmAngleFlag(h * p + w * q, h * h + w * w, p * p + q * q) ? -1 : 0;
  }
  return hn::MaskFromVec(hn::Load(d32, flags));
}

// AngleFlags decides dp² ≥ c·om·tm, dp ≥ 0 in f32 where that is safe.
//
// With u = 2^−24 and S² = om·tm: products of converted integers and their sums err by less than 4u, dp by less than
// 4u·(|oh·th| + |ov·tv|) ≤ 4u·S (Cauchy, Schwarz), so dp² near c·S² by less than 9u·S², and c·om·tm by less than 10u. The spec's own
// roundings of dp, om and tm move both sides by 2u. Beyond a distance of 2^−18 = 64u·c·S² the estimate therefore decides as the
// spec does, and then |dp| > 0.9·S, so that its sign is right too. om or tm 0: all are exactly 0 and the flag is set.
HWY_INLINE M32 AngleFlags(VF32 dp, VF32 om, VF32 tm, const Bands& o, const Bands& t) {
  const DF32 df;
  constexpr float kMargin = 1.0f / (1 << 18);
  const VF32 square = hn::Mul(dp, dp), om_tm = hn::Mul(om, tm);  // below 2^126
  const auto positive = hn::Ge(dp, hn::Zero(df));
  const auto surely = hn::And(positive, hn::Ge(square, hn::Mul(om_tm, hn::Set(df, kAdmCosSquared * (1 + kMargin)))));
  const auto perhaps = hn::And(positive, hn::Ge(square, hn::Mul(om_tm, hn::Set(df, kAdmCosSquared * (1 - kMargin)))));
  if (HWY_UNLIKELY(!hn::AllFalse(df, hn::AndNot(surely, perhaps)))) return ExactFlags(o.h, o.v, t.h, t.v);
  return hn::RebindMask(D32(), surely);
}

// What one row of the reference's details is kept as, in vectors.
enum : int {
  // Scale 0
  kRefPair = 0,        // H in the lower halves, V in the upper ones
  kRefD = 1,
  kRefReciprocal0 = 2,  // of H, V, D
  kRefVectors0 = 5,
  // Scales 1…3, each of H, V, D
  kRefDetail = 0,
  kRefReciprocal = 3,
  kRefShift = 6,  // 14 + by how many bits |o| exceeds 15
  kRefVectors = kAdmReferenceVectors,
};

// Relative is t with the sign that it has relative to o, whose sign is given as 0 or −1.
HWY_INLINE V32 Relative(V32 t, V32 sign) { return hn::Sub(hn::Xor(t, sign), sign); }

// Restored0 is |r| before enhancement, one band of scale 0: k·|o| with k = t/o in Q15, 0 to 1. positive is |t| where it has the
// sign of o, else 0, and so is k then. The reciprocal L of |o| = m < 2^15 times t fits 32 bits once t is limited to m + 1: from there
// on k is 1 anyway, since L·(m + 1) > (2^30/m − 1)·(m + 1) > 2^30 − 2^14, and L·(m + 1) ≤ 2^31. o = 0 has k finite and r = 0. r itself
// rounds up at the half, so |r| of a negative r rounds down there.
HWY_INLINE V32 Restored0(V32 o, V32 sign, V32 positive, V32 reciprocal) {
  const V32 m = hn::Abs(o);
  const VU32 product = AsU32(hn::Mul(reciprocal, hn::Min(positive, hn::Add(m, Int(1)))));
  const VU32 k = hn::Min(hn::ShiftRight<15>(hn::Add(product, Unsigned(1 << 14))), Unsigned(kAdmOne));
  const V32 half = hn::Add(sign, Int(1 << 14));
  return hn::ShiftRight<15>(hn::Add(hn::Mul(As32(k), m), half));
}

// Restored is the same for scales 1…3. k = (L·t + 2^(14+q)) >> (15 + q) is ((L·t >> (14 + q)) + 1) >> 1, in 64 bits; t is limited
// to 2·|o|, where k is 1 and which leaves 32 bits. Then k·m for m = 2^15·u + l is 2^15·k·u + k·l, of which only k·l has to be rounded.
HWY_INLINE V32 Restored(V32 o, V32 sign, V32 positive, VU32 reciprocal, VU32 shift) {
  const VU32 m = AsU32(hn::Abs(o));
  const VU32 limited = hn::Min(AsU32(positive), hn::Add(m, m));
  const VU64 even = hn::Shr(MulLow(Even(reciprocal), Even(limited)),
                            hn::And(Even(shift), hn::Set(DU64(), 0xff)));
  const VU64 odd = hn::Shr(MulLow(Odd(reciprocal), Odd(limited)), Odd(shift));
  const VU32 twice = hn::OddEven(AsU32(hn::ShiftLeft<32>(odd)), AsU32(even));
  const VU32 k = hn::Min(hn::ShiftRight<1>(hn::Add(twice, Unsigned(1))), Unsigned(kAdmOne));
  const VU32 half = AsU32(hn::Add(sign, Int(1 << 14)));
  const VU32 low = hn::ShiftRight<15>(hn::Add(hn::Mul(k, hn::And(m, Unsigned(0x7fff))), half));
  return As32(hn::Add(hn::Mul(k, hn::ShiftRight<15>(m)), low));
}

// Fraction is r·gain, truncated, no more than limit. None is negative.
HWY_INLINE V32 Fraction(V32 r, V32 limit, double gain) {
  const hn::Half<D32> half;
  const hn::Repartition<double, D32> df64;
  const auto factor = hn::Set(df64, gain);
  const auto low = hn::Min(hn::Mul(hn::PromoteTo(df64, hn::LowerHalf(half, r)), factor),
                           hn::PromoteTo(df64, hn::LowerHalf(half, limit)));
  const auto high = hn::Min(hn::Mul(hn::PromoteTo(df64, hn::UpperHalf(half, r)), factor),
                            hn::PromoteTo(df64, hn::UpperHalf(half, limit)));
  return hn::Combine(D32(), hn::DemoteTo(half, high), hn::DemoteTo(half, low));
}

// Enhanced is |r| after enhancement up to limit, which is |t|, where flag is set.
template <bool kWide>
HWY_INLINE V32 Enhanced(const AdmSetting& setting, V32 r, V32 limit, M32 flag) {
  if (setting.kind == AdmGainKind::kWhole) {
    VU32 enhanced;
    if (kWide) {
      enhanced = hn::Mul(hn::Min(AsU32(r), Unsigned(setting.gain_limit)), Unsigned(static_cast<uint32_t>(setting.gain)));
    } else {  // r < 2^15, and its upper half is 0
      enhanced = AsU32(PairDot(hn::Zero(D32()), As16(r), As16(Int(setting.gain))));
    }
    return hn::IfThenElse(flag, As32(hn::Min(enhanced, AsU32(limit))), r);
  }
  if (setting.kind == AdmGainKind::kFraction) {
    return hn::IfThenElse(flag, Fraction(r, limit, setting.config->gain), r);
  }
  // At scale 0 r is never beyond t as it is (spec §6.3).
  return kWide ? hn::IfThenElse(flag, hn::Min(r, limit), r) : r;
}

// Flags of scale 0, whose sums of products fit 32 bits. o_pair and t_pair are H and V of o and t.
HWY_INLINE M32 AngleFlags0(V16 o_pair, V16 t_pair, const Bands& o, const Bands& t) {
  const DF32 df;
  const V32 zero = hn::Zero(D32());
  return AngleFlags(hn::ConvertTo(df, PairDot(zero, o_pair, t_pair)), hn::ConvertTo(df, PairDot(zero, o_pair, o_pair)),
                    hn::ConvertTo(df, PairDot(zero, t_pair, t_pair)), o, t);
}

HWY_INLINE M32 AngleFlagsWide(const Bands& o, const Bands& t) {
  const DF32 df;
  const VF32 oh = hn::ConvertTo(df, o.h), ov = hn::ConvertTo(df, o.v);
  const VF32 th = hn::ConvertTo(df, t.h), tv = hn::ConvertTo(df, t.v);
  return AngleFlags(hn::MulAdd(oh, th, hn::Mul(ov, tv)), hn::MulAdd(oh, oh, hn::Mul(ov, ov)),
                    hn::MulAdd(th, th, hn::Mul(tv, tv)), o, t);
}

// ---- §9 masking

// Weighted is M·w at scale 0.
HWY_INLINE V32 Weighted(V32 m, uint32_t weight) { return hn::Mul(m, Int(static_cast<int32_t>(weight))); }

// StoreMasks0 makes the masks of scale 0 from M·w. n = (4369·c + 2^11) >> 12 is c + ((2184·c + 2^14) >> 15), the latter being what
// MulFixedPoint15 is; z = (8738·c + 2^11) >> 12 is 2·c + ((4368·c + 2^14) >> 15), which wraps as it should. |c| < 2^15 (see
// Fits), so H and V share a vector.
HWY_INLINE void StoreMasks0(const Bands& weighted, const Bands& signal, int32_t* neighbours, int32_t* block) {
  const D16 d16;
  const D32 d32;
  const V16 k2184 = hn::Set(d16, 2184), k4368 = hn::Set(d16, 4368);
  const V32 ch = hn::ShiftRight<15>(hn::Add(weighted.h, Int(1 << 14)));
  const V32 cv = hn::ShiftLeft<1>(hn::Add(weighted.v, Int(1 << 14)));
  const V16 c = hn::Abs(hn::OddEven(As16(cv), As16(ch)));
  const V16 cd = As16(hn::Abs(hn::ShiftRight<17>(hn::Add(weighted.d, Int(65535)))));
  const V16 n = hn::Add(c, hn::MulFixedPoint15(c, k2184));
  const V16 nd = hn::Add(cd, hn::MulFixedPoint15(cd, k2184));
  const V16 z = hn::Add(hn::Add(c, c), hn::MulFixedPoint15(c, k4368));
  const V16 zd = hn::Add(hn::Add(cd, cd), hn::MulFixedPoint15(cd, k4368));
  const V16 ones = hn::Set(d16, 1);
  const V32 sum = PairDot(As32(nd), n, ones);  // the upper halves of nd and zd are 0
  const V32 own = hn::Sub(PairDot(As32(zd), z, ones), sum);
  const int lanes = static_cast<int>(hn::Lanes(d32));
  hn::Store(sum, d32, neighbours);
  hn::Store(own, d32, block);
  hn::Store(signal.h, d32, block + lanes);
  hn::Store(signal.v, d32, block + 2 * lanes);
  hn::Store(signal.d, d32, block + 3 * lanes);
}

// Sensitive is |c|, scales 1…3.
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

HWY_INLINE void StoreMasks(const Bands& c, const Bands& signal, int32_t* neighbours, int32_t* block) {
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const V32 sum = UpperSum(c, 143165577);
  const V32 own = hn::Sub(UpperSum(c, 286331153), sum);
  hn::Store(sum, d32, neighbours);
  hn::Store(own, d32, block);
  hn::Store(signal.h, d32, block + lanes);
  hn::Store(signal.v, d32, block + 2 * lanes);
  hn::Store(signal.d, d32, block + 3 * lanes);
}

// ---- rows

// AddCubes adds (x² + round >> kSquare)·x, rounded by shift, for x < 2^31 whose square shifted fits 32 bits.
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

// Details0 and DetailsWide are the details at band columns j … of a filtered row.
HWY_INLINE Bands Details0(const AdmPicture& picture, int j, V16* pair) {
  const V32 h = Across(LowPass(), picture.filtered[1], j);
  const V32 v = Across(HighPass(), picture.filtered[0], j);
  const V32 d = Across(HighPass(), picture.filtered[1], j);
  *pair = UpperHalves(h, v);
  return {hn::ShiftRight<16>(h), hn::ShiftRight<16>(v), hn::ShiftRight<16>(d)};
}
template <int kShift>
HWY_INLINE Bands DetailsWide(const AdmPicture& picture, int j) {
  return {AcrossWide<kShift>(LowPass(), kLowHalfSum, picture.filtered[2], picture.filtered[3], j),
          AcrossWide<kShift>(HighPass(), 0, picture.filtered[0], picture.filtered[1], j),
          AcrossWide<kShift>(HighPass(), 0, picture.filtered[2], picture.filtered[3], j)};
}

// Reduced is |o| cut to 15 bits, rounded, at least 1, and 14 more than the number of bits cut.
HWY_INLINE void StoreReference(V32 o, int32_t* reciprocal, int32_t* shift) {
  const D32 d32;
  const VU32 m = AsU32(hn::Abs(o));
  // The exponent of m as a float is ⌊log2 m⌋, since the bit below the uppermost one is cleared and rounding cannot carry so far.
  const VF32 f = hn::ConvertTo(DF32(), As32(hn::AndNot(hn::ShiftRight<1>(m), m)));
  const V32 excess = hn::Sub(hn::ShiftRight<23>(hn::BitCast(D32(), f)), Int(127 + 14));
  const VU32 q = AsU32(hn::Max(excess, hn::Zero(d32)));
  const VU32 round = hn::ShiftRight<1>(hn::Shl(Unsigned(1), q));
  const VU32 reduced = hn::Max(hn::Shr(hn::Add(m, round), q), Unsigned(1));
  hn::Store(Reciprocal(As32(reduced)), d32, reciprocal);
  hn::Store(hn::Add(As32(q), Int(14)), d32, shift);
}

// ReferenceRow makes scale.reference from the reference's filtered row, and adds the denominators of row i.
template <int kShift>
HWY_INLINE void ReferenceRow(AdmJob& job, const AdmScale& scale, int s, int i) {
  constexpr bool kWide = kShift != 0;
  constexpr int kSquare = kShift == 16 ? 30 : 31;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmPicture& picture = scale.picture[0];
  const VU64 unit = hn::Set(DU64(), uint64_t{1} << kSquare);
  const Shift column_shift(scale.g.column_shift);
  VU64 sum_h = hn::Zero(DU64()), sum_v = sum_h, sum_d = sum_h;
  int32_t* out = scale.reference;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    const V32 active = hn::Load(d32, scale.active + j);
    if constexpr (!kWide) {
      V16 pair;
      const Bands o = Details0(picture, j, &pair);
      const V32 h = hn::Abs(o.h), v = hn::Abs(o.v), d = hn::Abs(o.d), one = Int(1);
      hn::Store(As32(pair), d32, out + kRefPair * lanes);
      hn::Store(o.d, d32, out + kRefD * lanes);
      hn::Store(Reciprocal(hn::Max(h, one)), d32, out + kRefReciprocal0 * lanes);
      hn::Store(Reciprocal(hn::Max(v, one)), d32, out + (kRefReciprocal0 + 1) * lanes);
      hn::Store(Reciprocal(hn::Max(d, one)), d32, out + (kRefReciprocal0 + 2) * lanes);
      sum_h = AddCubes0(sum_h, hn::And(h, active));
      sum_v = AddCubes0(sum_v, hn::And(v, active));
      sum_d = AddCubes0(sum_d, hn::And(d, active));
      out += kRefVectors0 * lanes;
    } else {
      const Bands o = DetailsWide<kShift>(picture, j);
      hn::Store(o.h, d32, out + kRefDetail * lanes);
      hn::Store(o.v, d32, out + (kRefDetail + 1) * lanes);
      hn::Store(o.d, d32, out + (kRefDetail + 2) * lanes);
      StoreReference(o.h, out + kRefReciprocal * lanes, out + kRefShift * lanes);
      StoreReference(o.v, out + (kRefReciprocal + 1) * lanes, out + (kRefShift + 1) * lanes);
      StoreReference(o.d, out + (kRefReciprocal + 2) * lanes, out + (kRefShift + 2) * lanes);
      sum_h = AddCubes<kSquare>(sum_h, AsU32(hn::And(hn::Abs(o.h), active)), unit, column_shift);
      sum_v = AddCubes<kSquare>(sum_v, AsU32(hn::And(hn::Abs(o.v), active)), unit, column_shift);
      sum_d = AddCubes<kSquare>(sum_d, AsU32(hn::And(hn::Abs(o.d), active)), unit, column_shift);
      out += kRefVectors * lanes;
    }
  }
  if (!Inside(scale.g.rows, i)) return;
  job.den[s][kAdmH] += AdmRow(Total(sum_h), scale.g.row_shift);
  job.den[s][kAdmV] += AdmRow(Total(sum_v), scale.g.row_shift);
  job.den[s][kAdmD] += AdmRow(Total(sum_d), scale.g.row_shift);
}

// DistortedRow decouples a filtered row of a distorted picture and makes its masks for every setting.
template <int kShift>
HWY_INLINE void DistortedRow(const AdmJob& job, const AdmScale& scale, int s, size_t rendition, int i) {
  constexpr bool kWide = kShift != 0;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmPicture& picture = scale.picture[1 + rendition];
  AdmMasks* const all = scale.masks + rendition * job.adm->configs * 2;
  const int row = i % kAdmMaskRows;
  const int32_t* ref = scale.reference;
  int at = 0;  // vectors × lanes so far
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes, at += lanes) {
    Bands o, t, r, limit;
    M32 flag = hn::MaskFromVec(hn::Zero(d32));
    if constexpr (!kWide) {
      V16 t_pair;
      t = Details0(picture, j, &t_pair);
      const V16 o_pair = As16(hn::Load(d32, ref + kRefPair * lanes));
      o.h = hn::ShiftRight<16>(hn::ShiftLeft<16>(As32(o_pair)));
      o.v = hn::ShiftRight<16>(As32(o_pair));
      o.d = hn::Load(d32, ref + kRefD * lanes);
      if (job.enhances) flag = AngleFlags0(o_pair, t_pair, o, t);
    } else {
      t = DetailsWide<kShift>(picture, j);
      o.h = hn::Load(d32, ref + kRefDetail * lanes);
      o.v = hn::Load(d32, ref + (kRefDetail + 1) * lanes);
      o.d = hn::Load(d32, ref + (kRefDetail + 2) * lanes);
    }
    const Bands sign = {hn::BroadcastSignBit(o.h), hn::BroadcastSignBit(o.v), hn::BroadcastSignBit(o.d)};
    const V32 zero = hn::Zero(d32);
    limit.h = hn::Max(Relative(t.h, sign.h), zero);
    limit.v = hn::Max(Relative(t.v, sign.v), zero);
    limit.d = hn::Max(Relative(t.d, sign.d), zero);
    if constexpr (!kWide) {
      r.h = Restored0(o.h, sign.h, limit.h, hn::Load(d32, ref + kRefReciprocal0 * lanes));
      r.v = Restored0(o.v, sign.v, limit.v, hn::Load(d32, ref + (kRefReciprocal0 + 1) * lanes));
      r.d = Restored0(o.d, sign.d, limit.d, hn::Load(d32, ref + (kRefReciprocal0 + 2) * lanes));
      ref += kRefVectors0 * lanes;
    } else {
      const DU32 du32;
      const uint32_t* const u = reinterpret_cast<const uint32_t*>(ref);
      r.h = Restored(o.h, sign.h, limit.h, hn::Load(du32, u + kRefReciprocal * lanes), hn::Load(du32, u + kRefShift * lanes));
      r.v = Restored(o.v, sign.v, limit.v, hn::Load(du32, u + (kRefReciprocal + 1) * lanes),
                     hn::Load(du32, u + (kRefShift + 1) * lanes));
      r.d = Restored(o.d, sign.d, limit.d, hn::Load(du32, u + (kRefReciprocal + 2) * lanes),
                     hn::Load(du32, u + (kRefShift + 2) * lanes));
      ref += kRefVectors * lanes;
      // Without enhancement the angle matters only where r exceeds t.
      if (job.enhances || !hn::AllFalse(d32, hn::Or(hn::Or(hn::Gt(r.h, limit.h), hn::Gt(r.v, limit.v)), hn::Gt(r.d, limit.d)))) {
        flag = AngleFlagsWide(o, t);
      }
    }
    for (size_t c = 0; c < job.setting_count; ++c) {
      const AdmSetting& setting = job.settings[c];
      const uint32_t* const weight = setting.config->weight[s];
      AdmMasks* const masks = all + 2 * c;
      const Bands er = {Enhanced<kWide>(setting, r.h, limit.h, flag), Enhanced<kWide>(setting, r.v, limit.v, flag),
                        Enhanced<kWide>(setting, r.d, limit.d, flag)};
      const Bands sr = {Relative(er.h, sign.h), Relative(er.v, sign.v), Relative(er.d, sign.d)};
      const Bands a = {hn::Sub(t.h, sr.h), hn::Sub(t.v, sr.v), hn::Sub(t.d, sr.d)};
      if constexpr (!kWide) {
        const Bands wa = {Weighted(a.h, weight[0]), Weighted(a.v, weight[0]), Weighted(a.d, weight[1])};
        const Bands wr = {Weighted(sr.h, weight[0]), Weighted(sr.v, weight[0]), Weighted(sr.d, weight[1])};
        const Bands abs_r = {hn::Abs(wr.h), hn::Abs(wr.v), hn::Abs(wr.d)};
        StoreMasks0(wa, abs_r, masks[0].neighbours[row] + j, masks[0].block[row] + kAdmMaskBlock * at);
        if (setting.config->aim) {
          const Bands abs_a = {hn::Abs(wa.h), hn::Abs(wa.v), hn::Abs(wa.d)};
          StoreMasks0(wr, abs_a, masks[1].neighbours[row] + j, masks[1].block[row] + kAdmMaskBlock * at);
        }
      } else {
        const Bands ca = SensitiveBands(a, weight), cr = SensitiveBands(sr, weight);
        StoreMasks(ca, cr, masks[0].neighbours[row] + j, masks[0].block[row] + kAdmMaskBlock * at);
        if (setting.config->aim) {
          StoreMasks(cr, ca, masks[1].neighbours[row] + j, masks[1].block[row] + kAdmMaskBlock * at);
        }
      }
    }
  }
}

// Box sums the neighbours' parts of three rows, and mirrors the row's ends where the threshold reaches beyond them.
HWY_INLINE void Box(const AdmScale& scale, const int32_t* up, const int32_t* row, const int32_t* down) {
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const AdmRange columns = scale.g.detail_columns;
  for (int j = columns.first / lanes * lanes; j < columns.end; j += lanes) {
    hn::Store(hn::Add(hn::Add(hn::Load(d32, up + j), hn::Load(d32, row + j)), hn::Load(d32, down + j)), d32, scale.box + j);
  }
  if (columns.first == 0) scale.box[-1] = scale.box[1];
  if (columns.end == scale.g.width) scale.box[columns.end] = scale.box[columns.end - 1];
}

// NumeratorRowExact is NumeratorRow one sample at a time, for rows with a signal so strong that 32 bits wrap.
HWY_NOINLINE void NumeratorRowExact(const AdmScale& scale, int s, const int32_t* block, uint64_t sums[kAdmBands]) {
  const int lanes = static_cast<int>(hn::Lanes(D32()));
  const int first = scale.g.detail_columns.first / lanes * lanes;
  for (int b = 0; b < kAdmBands; ++b) {
    sums[b] = 0;
    for (int j = scale.g.columns.first; j < scale.g.columns.end; ++j) {
      const int at = j - first, lane = at % lanes;
      const int32_t* const vectors = block + kAdmMaskBlock * (at - lane) + lane;
      const uint32_t threshold = static_cast<uint32_t>(scale.box[j - 1]) + static_cast<uint32_t>(scale.box[j]) +
                                 static_cast<uint32_t>(scale.box[j + 1]) + static_cast<uint32_t>(vectors[0]);
      const int32_t x = AdmVisible(static_cast<uint32_t>(vectors[(1 + b) * lanes]), static_cast<int32_t>(threshold),
                                   AdmThresholdShift(s, b));
      sums[b] += static_cast<uint64_t>(AdmNumeratorTerm(x, AdmTermSquareShift(s, b), scale.g.term_shift[b == kAdmD]));
    }
  }
}

// NumeratorRow sums one row of the numerator. Vectors whose every x is below 2^14, and so rounds to q = 0, are passed over.
template <bool kWide>
HWY_INLINE void NumeratorRow(const AdmScale& scale, int s, const int32_t* block, int64_t sums[kAdmBands]) {
  constexpr int kSquareHV = kWide ? 30 : 29, kSquareD = 30;
  constexpr int kSmall = 1 << 14, kLarge = 1 << 30;
  const D32 d32;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const VU64 round_hv = hn::Set(DU64(), uint64_t{1} << (kSquareHV - 1)), round_d = hn::Set(DU64(), uint64_t{1} << (kSquareD - 1));
  const Shift shift_hv(scale.g.term_shift[0]), shift_d(scale.g.term_shift[1]);
  const V32 zero = hn::Zero(d32), small = Int(kSmall - 1);
  VU64 sum_h = hn::Zero(DU64()), sum_v = sum_h, sum_d = sum_h;
  V32 any = zero;
  const int32_t* const box = scale.box;
  const int32_t* const blocks = block;
  for (int j = scale.g.detail_columns.first / lanes * lanes; j < scale.g.detail_columns.end; j += lanes) {
    const V32 around = hn::Add(hn::Add(hn::LoadU(d32, box + j - 1), hn::Load(d32, box + j)), hn::LoadU(d32, box + j + 1));
    const V32 threshold = hn::Add(around, hn::Load(d32, block));
    const V32 threshold_hv = kWide ? threshold : hn::ShiftLeft<10>(threshold);
    const V32 threshold_d = kWide ? threshold : hn::ShiftLeft<12>(threshold);
    const V32 active = hn::Load(d32, scale.active + j);
    const V32 xh = hn::And(hn::Max(hn::Sub(hn::Load(d32, block + lanes), threshold_hv), zero), active);
    const V32 xv = hn::And(hn::Max(hn::Sub(hn::Load(d32, block + 2 * lanes), threshold_hv), zero), active);
    const V32 xd = hn::And(hn::Max(hn::Sub(hn::Load(d32, block + 3 * lanes), threshold_d), zero), active);
    block += kAdmMaskBlock * lanes;
    const V32 all = hn::Or(hn::Or(xh, xv), xd);
    if (hn::AllFalse(d32, hn::Gt(all, small))) continue;
    any = hn::Or(any, all);
    sum_h = AddCubes<kSquareHV>(sum_h, AsU32(xh), round_hv, shift_hv);
    sum_v = AddCubes<kSquareHV>(sum_v, AsU32(xv), round_hv, shift_hv);
    sum_d = AddCubes<kSquareD>(sum_d, AsU32(xd), round_d, shift_d);
  }
  uint64_t row[kAdmBands];
  if (HWY_UNLIKELY(!hn::AllFalse(d32, hn::Gt(any, Int(kLarge - 1))))) {
    NumeratorRowExact(scale, s, blocks, row);
  } else {
    row[kAdmH] = Total(sum_h);
    row[kAdmV] = Total(sum_v);
    row[kAdmD] = Total(sum_d);
  }
  for (int b = 0; b < kAdmBands; ++b) sums[b] += static_cast<int64_t>(AdmRow(row[b], scale.g.sum_shift));
}

// Numerators sums row i of every setting, once the rows around it are there.
template <bool kWide>
HWY_INLINE void Numerators(const AdmJob& job, const AdmScale& scale, int s, size_t rendition, int i) {
  const int up = MirrorWholeHalf(i - 1, scale.g.height) % kAdmMaskRows;
  const int down = MirrorWholeHalf(i + 1, scale.g.height) % kAdmMaskRows;
  const int row = i % kAdmMaskRows;
  for (size_t c = 0; c < job.setting_count; ++c) {
    const AdmSetting& setting = job.settings[c];
    VqsAdmSums& sums = setting.sums[rendition];
    const AdmMasks* const masks = scale.masks + (rendition * job.adm->configs + c) * 2;
    for (int additive = 0; additive <= (setting.config->aim ? 1 : 0); ++additive) {
      const AdmMasks& m = masks[additive];
      Box(scale, m.neighbours[up], m.neighbours[row], m.neighbours[down]);
      NumeratorRow<kWide>(scale, s, m.block[row], additive ? sums.aim[s] : sums.num[s]);
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
  ReferenceRow<kShift>(job, scale, s, i);
  for (size_t k = 0; k < job.renditions; ++k) {
    DistortedRow<kShift>(job, scale, s, k, i);
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
const Sample* PictureRow(const AdmJob& job, size_t p, int y) {
  const VqsPlane& plane = p == 0 ? *job.ref : job.dis[p - 1];
  const int row = MirrorWholeHalf(y, static_cast<int>(job.adm->height));
  return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) +
                                         static_cast<size_t>(row) * plane.stride_bytes);
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

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(AdmVector);
HWY_EXPORT(AdmReciprocals);
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
    scale.box = arena->Take<int32_t>(row + kAdmPad) + kAdmPad;
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
      for (int k = 0; k < kAdmMaskRows; ++k) {
        masks.neighbours[k] = arena->Take<int32_t>(row);
        masks.block[k] = arena->Take<int32_t>(kAdmMaskBlock * row);
      }
    }
  }
}

// Fits tells whether the vector code takes a configuration. Only CSF mode 1 at large scales goes beyond: at scale 0 |c| has to
// stay below 2^15, at the others below 2^31, for any coefficient.
bool Fits(const VqsAdmConfig& config) {
  constexpr uint32_t kLargest0 = 46000, kLargest = 1u << 28;
  static_assert((int64_t{22930} * kLargest0 >> 15) < 32767, "|c| of scale 0");
  for (int s = 1; s < kAdmScales; ++s) {
    if (config.weight[s][0] > kLargest || config.weight[s][1] > kLargest) return false;
  }
  return config.weight[0][0] <= kLargest0;
}

AdmSetting Setting(const VqsAdmConfig& config, VqsAdmSums* sums) {
  AdmSetting setting = {&config, sums, AdmGainKind::kFraction, 1, 0};
  const int gain = static_cast<int>(config.gain);
  if (config.gain == gain) {
    setting.kind = gain == 1 ? AdmGainKind::kNone : AdmGainKind::kWhole;
    setting.gain = gain;
    setting.gain_limit = UINT32_MAX / static_cast<uint32_t>(gain);
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

#endif  // HWY_ONCE
