// motion.cc — sum of absolute blurred frame differences.                                    Source: spec/motion.md §3.1
//
//   sad = Σ_yx | G ∗ (prev − cur) |      G: 5 taps, separable, vertical first, mirrored edges
//
// in     prev, cur   u8 (bpc 8) or u16 (9 … 16)
// out    sad         u64
// fixed  kMotionTap  s16 Q16, Σ = 65536
//        diff        bpc ≤ 15: d·2^(15−bpc) in s16, so that one vertical shift, 15, serves them all:
//                    floor((a + 2^(bpc−1)) / 2^bpc) = floor((a·2^(15−bpc) + 2^14) / 2^15)
//                    bpc 16: d = 2h + l with h in s16, l 0 or 1
//        vertical    small window (all |d| < 2^14 as widened; nearly always): two differences add up within s16, s32 sum
//                    + 2^14 >> 15 → |t| ≤ 32766, s16.   large: |t| ≤ 65535, kept as t = 2h + l with h in s16, l 0 or 1
//        horizontal  small: s32 sum + 2^15 >> 16 → |e| ≤ 32766, s16.   large (and vertically at bpc 16):
//                    (2·Σ G·h + Σ G·l + 2^15) >> 16 = (Σ G·h + ((Σ G·l + 2^15) >> 1)) >> 15, which fits s32:
//                    −2^31 ≤ Σ G·h, and at the other end 32767·65536 + 49152 < 2^31. Partial sums may wrap: the last
//                    one is right modulo 2^32
// order  integer sums only, so any order gives the same bits
// bands  strips of kMotionStrip columns, each from top to bottom with a ring of five difference rows: a picture row is
//        read once, and what is written stays in L1
#include "hd.h"

#include "motion.h"

#include <stdlib.h>
#include <string.h>

#include "motion_arith.h"
#include "motion_scratch.h"
#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "motion.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "pair_dot.h"

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// One lane holds no pair of 16-bit numbers.
uint64_t MotionVector(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur) {
  return MotionPlain(scratch, prev, cur);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D16 = hn::ScalableTag<int16_t>;
using D32 = hn::RepartitionToWide<D16>;
using D64 = hn::RepartitionToWide<D32>;
using DU64 = hn::RebindToUnsigned<D64>;
using V16 = hn::VFromD<D16>;
using V32 = hn::VFromD<D32>;
using VU64 = hn::VFromD<DU64>;

// How far the samples of a row, or of a window of rows, differ. In ascending order, so that a window's is the maximum.
enum Magnitude : uint8_t {
  kStill = 0,  // not at all
  kSmall = 1,  // |d·2^(15−bpc)| < 2^14
  kLarge = 2,
};

constexpr int kWidened = 15;                          // diff is widened to this many bits; the vertical shift
constexpr int32_t kVerticalRound = 1 << (kWidened - 1);
constexpr int16_t kSmallBelow = 1 << (kWidened - 1);  // half the range
constexpr int32_t kHorizontalRound = 1 << (kMotionTapBits - 1);

// Two vectors a and b of 32-bit sums belong to one vector of 16-bit columns. Which columns they hold is the target's
// affair: on x86 the even and the odd ones (pmaddwd adds neighbours), elsewhere the lower and the upper half.
#define VQS_MOTION_EVEN_ODD HWY_ARCH_X86

#if VQS_MOTION_EVEN_ODD
HWY_INLINE V16 Taps(int32_t first, int32_t second) {
  return hn::BitCast(D16(), hn::Set(D32(), TapPair(first, second)));
}
#endif

// AddProducts adds tap·v.
HWY_INLINE void AddProducts(V16 v, int32_t tap, V32& a, V32& b) {
#if VQS_MOTION_EVEN_ODD
  a = PairDot(a, v, Taps(tap, 0));
  b = PairDot(b, v, Taps(0, tap));
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64
  a = V32(vmlal_n_s16(a.raw, vget_low_s16(v.raw), static_cast<int16_t>(tap)));
  b = V32(vmlal_high_n_s16(b.raw, v.raw, static_cast<int16_t>(tap)));
#else
  const hn::Half<D16> half;
  const V32 taps = hn::Set(D32(), tap);
  a = hn::Add(a, hn::Mul(hn::PromoteTo(D32(), hn::LowerHalf(half, v)), taps));
  b = hn::Add(b, hn::Mul(hn::PromoteTo(D32(), hn::UpperHalf(half, v)), taps));
#endif
}

// AddRow adds Σ G[k]·row[k − 2 + column].
HWY_INLINE void AddRow(const int16_t* row, V32& a, V32& b) {
  const D16 d16;
#if VQS_MOTION_EVEN_ODD
  const V16 taps01 = Taps(kMotionTap0, kMotionTap1);
  const V16 taps23 = Taps(kMotionTap2, kMotionTap1);
  const V16 taps4 = Taps(kMotionTap0, 0);
  a = PairDot(a, hn::LoadU(d16, row - 2), taps01);
  b = PairDot(b, hn::LoadU(d16, row - 1), taps01);
  a = PairDot(a, hn::LoadU(d16, row), taps23);
  b = PairDot(b, hn::LoadU(d16, row + 1), taps23);
  a = PairDot(a, hn::LoadU(d16, row + 2), taps4);
  b = PairDot(b, hn::LoadU(d16, row + 3), taps4);
#else
  AddProducts(hn::LoadU(d16, row - 2), kMotionTap0, a, b);
  AddProducts(hn::LoadU(d16, row - 1), kMotionTap1, a, b);
  AddProducts(hn::LoadU(d16, row), kMotionTap2, a, b);
  AddProducts(hn::LoadU(d16, row + 1), kMotionTap1, a, b);
  AddProducts(hn::LoadU(d16, row + 2), kMotionTap0, a, b);
#endif
}

// ShiftedDown is column by column sum >> kBits, which fits 16 bits.
template <int kBits>
HWY_INLINE V16 ShiftedDown(V32 a, V32 b) {
  static_assert(kBits == kWidened || kBits == 16, "");
  const D16 d16;
#if VQS_MOTION_EVEN_ODD
  const V32 odd = kBits == 16 ? b : hn::ShiftLeft<16 - kBits>(b);
  return hn::OddEven(hn::BitCast(d16, odd), hn::BitCast(d16, hn::ShiftRight<kBits>(a)));
#else
  const hn::Half<D16> half;
  return hn::Combine(d16, hn::DemoteTo(half, hn::ShiftRight<kBits>(b)), hn::DemoteTo(half, hn::ShiftRight<kBits>(a)));
#endif
}

// LowBit is column by column (sum >> kWidened) & 1.
HWY_INLINE V16 LowBit(V32 a, V32 b) {
  const D16 d16;
#if VQS_MOTION_EVEN_ODD
  return hn::And(ShiftedDown<kWidened>(a, b), hn::Set(d16, 1));
#else
  const hn::Half<D16> half;
  const V32 one = hn::Set(D32(), 1);
  return hn::Combine(d16, hn::DemoteTo(half, hn::And(hn::ShiftRight<kWidened>(b), one)),
                     hn::DemoteTo(half, hn::And(hn::ShiftRight<kWidened>(a), one)));
#endif
}

// AddNeighbours adds e, which is not negative, to 32-bit lanes.
HWY_INLINE V32 AddNeighbours(V32 sum, V16 e) {
#if VQS_MOTION_EVEN_ODD
  return PairDot(sum, e, Taps(1, 1));
#else
  const V32 pair = hn::BitCast(D32(), e);
  return hn::Add(sum, hn::Add(hn::And(pair, hn::Set(D32(), 0xffff)), hn::ShiftRight<16>(pair)));
#endif
}

// AddLanes adds 32-bit lanes below 2^31 to 64-bit ones.
HWY_INLINE VU64 AddLanes(VU64 total, V32 sum) {
  const DU64 du64;
  const VU64 pair = hn::BitCast(du64, sum);
  return hn::Add(total, hn::Add(hn::And(pair, hn::Set(du64, 0xffffffffu)), hn::ShiftRight<32>(pair)));
}

// Depth8, Depth15 and Depth16 read samples of 8, 9 … 15 and 16 bits.

struct Depth8 {
  using Sample = uint8_t;
  static constexpr bool kSplit = false;
  explicit Depth8(int /*bpc*/) {}
  HWY_INLINE V16 Difference(const Sample* p, const Sample* c) const {
    const D16 d16;
    const hn::Rebind<uint8_t, D16> d8;
    const V16 d = hn::Sub(hn::PromoteTo(d16, hn::LoadU(d8, p)), hn::PromoteTo(d16, hn::LoadU(d8, c)));
    return hn::ShiftLeft<kWidened - 8>(d);
  }
  HWY_INLINE int16_t Difference1(Sample p, Sample c) const { return static_cast<int16_t>((p - c) * (1 << (kWidened - 8))); }
};

struct Depth15 {
  using Sample = uint16_t;
  static constexpr bool kSplit = false;
  explicit Depth15(int bpc) : shift(kWidened - bpc) {}
  HWY_INLINE V16 Difference(const Sample* p, const Sample* c) const {
    const hn::RebindToUnsigned<D16> du16;
    return hn::BitCast(D16(), hn::ShiftLeftSame(hn::Sub(hn::LoadU(du16, p), hn::LoadU(du16, c)), shift));
  }
  HWY_INLINE int16_t Difference1(Sample p, Sample c) const { return static_cast<int16_t>((p - c) * (1 << shift)); }
  int shift;
};

struct Depth16 {
  using Sample = uint16_t;
  static constexpr bool kSplit = true;
  explicit Depth16(int /*bpc*/) {}
  // p − c = 2h + l: with p = 2P + a and c = 2C + b, h = P − C and l = a − b, but h one less and l = 1 where a − b = −1.
  HWY_INLINE V16 High(const Sample* p, const Sample* c) const {
    const hn::RebindToUnsigned<D16> du16;
    const auto pv = hn::LoadU(du16, p), cv = hn::LoadU(du16, c);
    const auto borrow = hn::And(hn::AndNot(pv, cv), hn::Set(du16, 1));
    return hn::BitCast(D16(), hn::Sub(hn::Sub(hn::ShiftRight<1>(pv), hn::ShiftRight<1>(cv)), borrow));
  }
  HWY_INLINE V16 Low(const Sample* p, const Sample* c) const {
    const hn::RebindToUnsigned<D16> du16;
    return hn::BitCast(D16(), hn::And(hn::Xor(hn::LoadU(du16, p), hn::LoadU(du16, c)), hn::Set(du16, 1)));
  }
  HWY_INLINE int16_t High1(Sample p, Sample c) const { return static_cast<int16_t>((p - c) >> 1); }
  HWY_INLINE int16_t Low1(Sample p, Sample c) const { return static_cast<int16_t>((p - c) & 1); }
};

// ReadRow sets columns differences of a ring row (two rows for Depth16) and says how large they are.
template <class Depth>
HWY_INLINE Magnitude ReadRow(Depth depth, const uint8_t* prev, const uint8_t* cur, int columns, int16_t* HWY_RESTRICT out,
                             int16_t* HWY_RESTRICT out_low) {
  using Sample = typename Depth::Sample;
  static_assert(HWY_MAX_BYTES / sizeof(int16_t) <= kMotionPad, "a vector may go this far beyond a row");
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  const Sample* const p = reinterpret_cast<const Sample*>(prev);
  const Sample* const c = reinterpret_cast<const Sample*>(cur);
  if (columns < lanes) {  // only in pictures narrower than a vector, and in the last strip
    int any = 0;
    for (int x = 0; x < columns; ++x) {
      if constexpr (Depth::kSplit) {
        out[x] = depth.High1(p[x], c[x]);
        out_low[x] = depth.Low1(p[x], c[x]);
        any |= p[x] ^ c[x];
      } else {
        out[x] = depth.Difference1(p[x], c[x]);
        any |= out[x] < 0 ? -out[x] : out[x];
      }
    }
    return any == 0 ? kStill : any < kSmallBelow && !Depth::kSplit ? kSmall : kLarge;
  }
  V16 any = hn::Zero(d16);
  // The last vector ends with the row: it overlaps its predecessor rather than read past.
  for (int x = 0;; x = x + 2 * lanes <= columns ? x + lanes : columns - lanes) {
    if constexpr (Depth::kSplit) {
      const V16 high = depth.High(p + x, c + x), low = depth.Low(p + x, c + x);
      hn::StoreU(high, d16, out + x);
      hn::StoreU(low, d16, out_low + x);
      any = hn::Or(any, hn::Or(high, low));
    } else {
      const V16 d = depth.Difference(p + x, c + x);
      hn::StoreU(d, d16, out + x);
      any = hn::Or(any, hn::Abs(d));
    }
    if (x + lanes == columns) break;
  }
  if (hn::AllTrue(d16, hn::Eq(any, hn::Zero(d16)))) return kStill;
  if (Depth::kSplit) return kLarge;
  return hn::AllTrue(d16, hn::Lt(any, hn::Set(d16, kSmallBelow))) ? kSmall : kLarge;
}

// FilterDown filters a window of small differences to s16.
HWY_INLINE void FilterDown(const int16_t* const HWY_RESTRICT row[kMotionTaps], int columns, int16_t* HWY_RESTRICT out) {
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  for (int x = 0; x < columns; x += lanes) {
    V32 a = hn::Set(D32(), kVerticalRound), b = a;
    AddProducts(hn::Add(hn::Load(d16, row[0] + x), hn::Load(d16, row[4] + x)), kMotionTap0, a, b);
    AddProducts(hn::Add(hn::Load(d16, row[1] + x), hn::Load(d16, row[3] + x)), kMotionTap1, a, b);
    AddProducts(hn::Load(d16, row[2] + x), kMotionTap2, a, b);
    hn::Store(ShiftedDown<kWidened>(a, b), d16, out + x);
  }
}

// FilterDownLarge filters any window to s17 = 2·out + out_low. row_low is there for kSplit.
template <bool kSplit>
HWY_INLINE void FilterDownLarge(const int16_t* const HWY_RESTRICT row[kMotionTaps],
                                const int16_t* const HWY_RESTRICT row_low[kMotionTaps], int columns,
                                int16_t* HWY_RESTRICT out, int16_t* HWY_RESTRICT out_low) {
  static constexpr int32_t kTap[kMotionTaps] = {kMotionTap0, kMotionTap1, kMotionTap2, kMotionTap1, kMotionTap0};
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  for (int x = 0; x < columns; x += lanes) {
    V32 a = hn::Set(D32(), kSplit ? 0 : kVerticalRound), b = a;
    for (int k = 0; k < kMotionTaps; ++k) AddProducts(hn::Load(d16, row[k] + x), kTap[k], a, b);
    if constexpr (kSplit) {
      V32 al = hn::Set(D32(), kHorizontalRound), bl = al;  // which is 2^(bpc−1) too
      for (int k = 0; k < kMotionTaps; ++k) AddProducts(hn::Load(d16, row_low[k] + x), kTap[k], al, bl);
      a = hn::Add(a, hn::ShiftRight<1>(al));
      b = hn::Add(b, hn::ShiftRight<1>(bl));
    }
    hn::Store(ShiftedDown<16>(a, b), d16, out + x);
    hn::Store(LowBit(a, b), d16, out_low + x);
  }
}

// Mirror sets the two columns before and after a filtered row's [0, columns), where the picture ends there.
HWY_INLINE void Mirror(int16_t* row, int columns, bool left, bool right) {
  if (left) {
    row[-1] = row[1];
    row[-2] = row[2];
  }
  if (right) {
    row[columns] = row[columns - 2];
    row[columns + 1] = row[columns - 3];
  }
}

// SumAcross filters a vertically filtered s16 row across and returns 32-bit lanes of Σ|e|.
HWY_INLINE V32 SumAcross(const int16_t* row, int columns) {
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  V32 sum = hn::Zero(D32());
  int x = 0;
  for (; x + lanes <= columns; x += lanes) {
    V32 a = hn::Set(D32(), kHorizontalRound), b = a;
    AddRow(row + x, a, b);
    sum = AddNeighbours(sum, hn::Abs(ShiftedDown<16>(a, b)));
  }
  if (x < columns) {
    V32 a = hn::Set(D32(), kHorizontalRound), b = a;
    AddRow(row + x, a, b);
    const auto inside = hn::FirstN(d16, static_cast<size_t>(columns - x));
    sum = AddNeighbours(sum, hn::IfThenElseZero(inside, hn::Abs(ShiftedDown<16>(a, b))));
  }
  return sum;
}

// SumAcrossLarge is SumAcross of the row 2·row + row_low.
HWY_INLINE V32 SumAcrossLarge(const int16_t* row, const int16_t* row_low, int columns) {
  const D16 d16;
  const int lanes = static_cast<int>(hn::Lanes(d16));
  V32 sum = hn::Zero(D32());
  for (int x = 0; x < columns; x += lanes) {
    V32 a = hn::Zero(D32()), b = a;
    V32 al = hn::Set(D32(), kHorizontalRound), bl = al;
    AddRow(row + x, a, b);
    AddRow(row_low + x, al, bl);
    V32 ea = hn::Abs(hn::ShiftRight<kWidened>(hn::Add(a, hn::ShiftRight<1>(al))));
    V32 eb = hn::Abs(hn::ShiftRight<kWidened>(hn::Add(b, hn::ShiftRight<1>(bl))));
    if (x + lanes > columns) {
      const V16 ones = hn::IfThenElseZero(hn::FirstN(d16, static_cast<size_t>(columns - x)), hn::Set(d16, -1));
#if VQS_MOTION_EVEN_ODD
      ea = hn::And(ea, hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(D32(), ones))));
      eb = hn::And(eb, hn::ShiftRight<16>(hn::BitCast(D32(), ones)));
#else
      const hn::Half<D16> half;
      ea = hn::And(ea, hn::PromoteTo(D32(), hn::LowerHalf(half, ones)));
      eb = hn::And(eb, hn::PromoteTo(D32(), hn::UpperHalf(half, ones)));
#endif
    }
    sum = hn::Add(sum, hn::Add(ea, eb));
  }
  return sum;
}

// Strip is the sum over columns [first, end) of the picture.
template <class Depth>
HWY_INLINE VU64 Strip(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur, int first, int end) {
  const int height = scratch->height;
  const Depth depth(scratch->bpc);
  const bool left = first == 0, right = end == scratch->width;
  // What is read: the strip and two columns on each side, where the picture has them.
  const int read_first = left ? 0 : first - kMotionRadius;
  const int columns = (right ? end : end + kMotionRadius) - read_first;
  const size_t skip = static_cast<size_t>(read_first) * sizeof(typename Depth::Sample);
  const uint8_t* const p = static_cast<const uint8_t*>(prev.data) + skip;
  const uint8_t* const c = static_cast<const uint8_t*>(cur.data) + skip;
  int16_t* const filtered = scratch->filtered + kMotionPad;
  int16_t* const filtered_low = scratch->filtered_low + kMotionPad;
  int16_t* const inside = filtered + (first - read_first);
  int16_t* const inside_low = filtered_low + (first - read_first);

  Magnitude magnitude[kMotionTaps];
  VU64 total = hn::Zero(DU64());
  int rows = 0;  // how many have been read
  for (int y = 0; y < height; ++y) {
    for (; rows < height && rows <= y + kMotionRadius; ++rows) {
      const int slot = rows % kMotionTaps;
      const size_t y_read = static_cast<size_t>(rows);
      magnitude[slot] = ReadRow(depth, p + y_read * prev.stride_bytes, c + y_read * cur.stride_bytes, columns,
                                scratch->difference[slot], scratch->difference_low[slot]);
    }
    const int16_t *row[kMotionTaps], *row_low[kMotionTaps];
    Magnitude window = kStill;
    for (int k = 0; k < kMotionTaps; ++k) {
      const int slot = MirrorWhole(y - kMotionRadius + k, height) % kMotionTaps;
      row[k] = scratch->difference[slot];
      row_low[k] = scratch->difference_low[slot];
      if (magnitude[slot] > window) window = magnitude[slot];
    }
    if (window == kStill) continue;
    if (window == kSmall) {
      FilterDown(row, columns, filtered);
      Mirror(filtered, columns, left, right);
      total = AddLanes(total, SumAcross(inside, end - first));
    } else {
      FilterDownLarge<Depth::kSplit>(row, row_low, columns, filtered, filtered_low);
      Mirror(filtered, columns, left, right);
      Mirror(filtered_low, columns, left, right);
      total = AddLanes(total, SumAcrossLarge(inside, inside_low, end - first));
    }
  }
  return total;
}

template <class Depth>
uint64_t Picture(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur) {
  const int width = scratch->width;
  const int strips = (width + kMotionStrip - 1) / kMotionStrip;
  VU64 total = hn::Zero(DU64());
  for (int i = 0; i < strips; ++i) {
    const int first = static_cast<int>(static_cast<int64_t>(width) * i / strips);
    const int end = static_cast<int>(static_cast<int64_t>(width) * (i + 1) / strips);
    total = hn::Add(total, Strip<Depth>(scratch, prev, cur, first, end));
  }
  return hn::GetLane(hn::SumOfLanes(DU64(), total));
}

uint64_t MotionVector(VqsMotion* scratch, const VqsPlane& prev, const VqsPlane& cur) {
  if (scratch->bpc == 8) return Picture<Depth8>(scratch, prev, cur);
  if (scratch->bpc < 16) return Picture<Depth15>(scratch, prev, cur);
  return Picture<Depth16>(scratch, prev, cur);
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(MotionVector);
}  // namespace vqs

extern "C" int vqs_motion_new(int width, int height, int bpc, VqsMotion** out) {
  *out = nullptr;
  if (width < vqs::kMotionMinSize || height < vqs::kMotionMinSize || width > vqs::kMotionMaxSize ||
      height > vqs::kMotionMaxSize || bpc < 8 || bpc > 16) {
    return kVqsInvalid;
  }
  VqsMotion* const scratch = static_cast<VqsMotion*>(aligned_alloc(alignof(VqsMotion), sizeof(VqsMotion)));
  if (scratch == nullptr) return kVqsNoMemory;
  // Vector code filters columns beyond a row's end and drops the result; zeros keep that free of undefined values.
  memset(scratch, 0, sizeof *scratch);
  scratch->width = width;
  scratch->height = height;
  scratch->bpc = bpc;
  scratch->plain_row = static_cast<int32_t*>(malloc(sizeof(int32_t) * static_cast<size_t>(width)));
  if (scratch->plain_row == nullptr) {
    free(scratch);
    return kVqsNoMemory;
  }
  *out = scratch;
  return kVqsOk;
}

extern "C" void vqs_motion_free(VqsMotion* scratch) {
  if (scratch == nullptr) return;
  free(scratch->plain_row);
  free(scratch);
}

extern "C" int vqs_motion_sad(VqsMotion* scratch, const VqsPlane* prev, const VqsPlane* cur, uint64_t* sad) {
  if (vqs_cpu_is_plain()) {
    *sad = vqs::MotionPlain(scratch, *prev, *cur);
  } else {
    using namespace vqs;
    *sad = HWY_DYNAMIC_DISPATCH(MotionVector)(scratch, *prev, *cur);
  }
  return kVqsOk;
}

#endif  // HWY_ONCE
