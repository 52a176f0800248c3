// vif.cc — Visual Information Fidelity in integers, vectorised.                              Source: spec/vif.md
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (9…16), rows stride_bytes apart
// out    sums[G][K]    NL, DL, NV, C of four scales; the caller need not zero them
// fixed  kVifTaps      Q16, Σ = 65536
//        samples       brought to 16 bits (x = r << (16 − bpc)) so that one set of shifts serves all (kernels/common/vif.h)
//        m             Q0 16 bits; p = E[x²] 32 bits; both kept as signed halves: see below
// order  integer sums only, so any order of rows, columns and lanes gives the same bits
//
// How the 64-bit sums of the description become signed 16-bit dot products (spec/vif.md §10.4):
//   a 32-bit p is h·2^16 + l, and (Σ f·p + 2^15) >> 16 = Σ f·h + ((Σ f·l + 2^15) >> 16) because Σ f·h has no fraction;
//   an unsigned half u is u' + 2^15 with u' signed, and Σ f·u = Σ f·u' + 2^31 because Σ f = 2^16.
// Primes mark such shifted values below. All sums are modulo 2^32 and so are the results.
//
// How it moves: bands of four rows. A ring holds the last source rows as products (x, x², xy), two rows to a 32-bit lane, even and odd
// columns apart: a lane times a pair of taps is then two taps of the vertical filter, and four output rows use each
// lane that is loaded. Vertically filtered rows go to row buffers, which the horizontal filter reads
// while they are still in the first-level cache; it too makes even and odd columns apart, two taps an instruction.
// Nothing but the pyramid (a quarter of the picture) is written to memory.
#include "hd.h"

#include <string.h>

#include <new>
#include <type_traits>

#include "mirror.h"
#include "targets.h"
#include "vif.h"
#include "vif_arith.h"
#include "vif_plain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vif.cc"
#include <hwy/foreach_target.h>
#include <hwy/aligned_allocator.h>
#include <hwy/highway.h>

#include "pair_dot.h"
#include "vif_log.h"

#ifndef VQS_CPU_VIF_STATE_
#define VQS_CPU_VIF_STATE_

namespace vqs {

constexpr size_t kBandRows = 4;                    // output rows of one pass
constexpr size_t kRingPairs = 10;                  // row pairs that four rows of 17 taps reach
constexpr size_t kMargin = 64;                     // columns beside a row buffer; ≥ 8 mirrored ones, and keeps rows aligned
constexpr size_t kBlockMax = 64;                   // columns of the widest block; rows are padded to it
constexpr size_t kStrip = 256;                     // columns filtered vertically before they are filtered horizontally

// Quantities in the ring. At 8 bits a square fits 16 bits and its low half is not there.
enum RefQuantity { kR, kRRh, kRRl, kRefQuantities };
enum DisQuantity { kD, kDDh, kDDl, kRDh, kRDl, kDisQuantities };

// Row buffers of one picture after the vertical filter.
enum RefRow { kM1, kP11h, kP11l, kRefNext, kRefRows };
enum DisRow { kM2, kP22h, kP22l, kP12h, kP12l, kDisNext, kDisRows };

constexpr size_t kTexturedPart = kStrip + 3 * kBlockMax;  // pixels of a strip, and a vector more to be written past them

constexpr size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Plane16 is one level of a pyramid, rows padded for whole-vector access.
struct Plane16 {
  uint16_t* data;
  size_t stride;  // samples
};

}  // namespace vqs

struct VqsVif {
  size_t width, height;
  int bpc;
  size_t renditions;
  size_t row;         // samples of a padded row, without margins
  size_t row_buffer;  // samples of a row buffer, with margins
  int32_t* ring;      // [quantity][pair][row]
  int16_t* rows;      // [row quantity][band row][row_buffer]
  uint32_t* a1;       // [kStrip + 2·kBlockMax]: Σ f·m1 of the row at hand
  int32_t* s1;        // likewise its variance
  int32_t* textured;  // three parts of kTexturedPart: see Textured
  uint16_t* next;     // all pyramid levels
  size_t level_offset[4], level_stride[4], level_size;
  uint8_t* memory;

  // Picture 0 is the reference, 1 + k rendition k.
  vqs::Plane16 Level(size_t picture, int scale) const {
    return {next + picture * level_size + level_offset[scale], level_stride[scale]};
  }
  int32_t* RefRing(int q) const { return ring + static_cast<size_t>(q) * vqs::kRingPairs * row; }
  int32_t* DisRing(size_t k, int q) const {
    return ring + (vqs::kRefQuantities + k * vqs::kDisQuantities + static_cast<size_t>(q)) * vqs::kRingPairs * row;
  }
  // Column 0 of a band row; kMargin columns before it and after the padded row may be used.
  int16_t* RefRowAt(int q, size_t band_row) const {
    return rows + (static_cast<size_t>(q) * vqs::kBandRows + band_row) * row_buffer + vqs::kMargin;
  }
  int16_t* DisRowAt(size_t k, int q, size_t band_row) const {
    return rows +
           ((vqs::kRefRows + k * vqs::kDisRows + static_cast<size_t>(q)) * vqs::kBandRows + band_row) * row_buffer +
           vqs::kMargin;
  }
};

#endif  // VQS_CPU_VIF_STATE_

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

// A processor without any vectors that Highway knows has the plain reference.
int Vif(const VqsVif& s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const double* gains,
        size_t gain_count, VqsVifSums* sums) {
  return VifPlain(s.width, s.height, s.bpc, ref, dis, renditions, gains, gain_count, sums);
}
void VifLog2Array(const uint32_t* x, int32_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = VifLog2(VifLogTables().log, x[i]);
}

#else

using D32 = hn::ScalableTag<int32_t>;
using D16 = hn::ScalableTag<int16_t>;
using DU32 = hn::RebindToUnsigned<D32>;
using DU16 = hn::RebindToUnsigned<D16>;
using V32 = hn::Vec<D32>;
using V16 = hn::Vec<D16>;
using VU32 = hn::Vec<DU32>;

// Columns of a block: one 16-bit vector, or two 32-bit ones (even columns, odd columns).
HWY_INLINE size_t Block() { return hn::Lanes(D16()); }

HWY_INLINE V16 Flip(V16 v) { return hn::Xor(v, hn::Set(D16(), INT16_MIN)); }

// Taps of scale kScale, two to a lane. Output parity 0 is an even row or column, 1 the odd one after it; source pair j is
// the rows or columns 2j, 2j+1 counted from the even one. Part 1 is what a tap above 32767 has left.
template <int kScale>
struct TapPairs {
  static constexpr int kHalf = kVifTapCount[kScale] / 2;
  static constexpr int kReach = (kHalf + 1) / 2;  // pairs −kReach … kReach hold all taps of both parities

  static constexpr int Tap(int parity, int j, int lane, int part) {
    const int i = 2 * j + lane - parity + kHalf;
    if (i < 0 || i >= kVifTapCount[kScale]) return 0;
    const int tap = kVifTaps[kScale][i];
    const int first = tap > 32767 ? tap / 2 : tap;
    return part == 0 ? first : tap - first;
  }
  static constexpr bool Any(int parity, int j, int part) {
    return j >= -kReach && j <= kReach && (Tap(parity, j, 0, part) != 0 || Tap(parity, j, 1, part) != 0);
  }
};

// Accumulate adds the products of v with the taps of (parity, j) to acc.
template <int kScale, int kParity, int kJ>
HWY_INLINE void Accumulate(V32& acc, V16 v) {
  using T = TapPairs<kScale>;
  if constexpr (T::Any(kParity, kJ, 0)) {
    acc = PairDot(acc, v,
                  hn::BitCast(D16(), hn::Set(D32(), TapPair(T::Tap(kParity, kJ, 0, 0), T::Tap(kParity, kJ, 1, 0)))));
  }
  if constexpr (T::Any(kParity, kJ, 1)) {
    acc = PairDot(acc, v,
                  hn::BitCast(D16(), hn::Set(D32(), TapPair(T::Tap(kParity, kJ, 0, 1), T::Tap(kParity, kJ, 1, 1)))));
  }
}

// ------------------------------------------------------------------------------------------ ring

// Two rows of samples at column x, as 16-bit values. The last block of a row is copied so as not to read past it.
template <class T>
HWY_INLINE V16 LoadSamples(const T* row, size_t x, size_t width, int shift) {
  const D16 d16;
  const size_t n = Block();
  const hn::Rebind<T, D16> dt;
  HWY_ALIGN T copy[kBlockMax];
  const T* from = row + x;
  if (HWY_UNLIKELY(x + n > width)) {
    memset(copy, 0, sizeof(copy));
    memcpy(copy, from, (width - x) * sizeof(T));
    from = copy;
  }
  if constexpr (sizeof(T) == 1) {
    (void)shift;
    return hn::PromoteTo(d16, hn::LoadU(dt, from));
  } else {
    return hn::BitCast(d16, hn::ShiftLeftSame(hn::LoadU(dt, from), shift));
  }
}

// StorePair puts row a and row b into one ring row: 32-bit lanes (a, b) of the even columns, then those of the odd ones.
HWY_INLINE void StorePair(V16 a, V16 b, int32_t* out) {
  const D16 d16;
  const D32 d32;
  const auto a32 = hn::BitCast(d32, a);
  const auto b32 = hn::BitCast(d32, b);
  hn::Store(hn::BitCast(d32, hn::OddEven(hn::BitCast(d16, hn::ShiftLeft<16>(b32)), a)), d32, out);
  hn::Store(hn::BitCast(d32, hn::OddEven(b, hn::BitCast(d16, hn::ShiftRight<16>(a32)))), d32, out + hn::Lanes(d32));
}

template <bool k8>
HWY_INLINE void StoreProducts(V16 ax, V16 ay, V16 bx, V16 by, int32_t* high, int32_t* low) {
  const D16 d16;
  const DU16 du16;
  if constexpr (k8) {
    (void)low;
    // x·y of 8-bit samples fits 16 bits unsigned.
    StorePair(Flip(hn::Mul(ax, ay)), Flip(hn::Mul(bx, by)), high);
  } else {
    const auto uax = hn::BitCast(du16, ax), uay = hn::BitCast(du16, ay);
    const auto ubx = hn::BitCast(du16, bx), uby = hn::BitCast(du16, by);
    StorePair(Flip(hn::BitCast(d16, hn::MulHigh(uax, uay))), Flip(hn::BitCast(d16, hn::MulHigh(ubx, uby))), high);
    StorePair(Flip(hn::Mul(ax, ay)), Flip(hn::Mul(bx, by)), low);
  }
}

// Source is one picture's plane at the scale being measured.
struct Source {
  const uint8_t* data;
  size_t stride_bytes;
  const void* Row(int y) const { return data + static_cast<size_t>(y) * stride_bytes; }
};

// FillPair puts rows 2p and 2p+1 (mirrored at the picture's edges) of all pictures into the ring's slot.
template <bool k8>
void FillPair(const VqsVif& s, const Source* sources, size_t renditions, size_t width, size_t height, int shift, int p,
              size_t slot) {
  using T = std::conditional_t<k8, uint8_t, uint16_t>;
  const int a = MirrorWhole(2 * p, static_cast<int>(height));
  const int b = MirrorWhole(2 * p + 1, static_cast<int>(height));
  const T* ra = static_cast<const T*>(sources[0].Row(a));
  const T* rb = static_cast<const T*>(sources[0].Row(b));
  const size_t at = slot * s.row;
  const size_t n = Block();
  // A sample becomes signed at 16 bits. At 8 bits it is signed already, and the vertical filter's start value shifts it.
  const auto mean = [](V16 v) HWY_ATTR { return k8 ? v : Flip(v); };
  for (size_t x = 0; x < width; x += n) {
    const V16 xa = LoadSamples(ra, x, width, shift);
    const V16 xb = LoadSamples(rb, x, width, shift);
    StorePair(mean(xa), mean(xb), s.RefRing(kR) + at + x);
    StoreProducts<k8>(xa, xa, xb, xb, s.RefRing(kRRh) + at + x, s.RefRing(kRRl) + at + x);
    for (size_t k = 0; k < renditions; ++k) {
      const V16 ya = LoadSamples(static_cast<const T*>(sources[1 + k].Row(a)), x, width, shift);
      const V16 yb = LoadSamples(static_cast<const T*>(sources[1 + k].Row(b)), x, width, shift);
      StorePair(mean(ya), mean(yb), s.DisRing(k, kD) + at + x);
      StoreProducts<k8>(ya, ya, yb, yb, s.DisRing(k, kDDh) + at + x, s.DisRing(k, kDDl) + at + x);
      StoreProducts<k8>(xa, ya, xb, yb, s.DisRing(k, kRDh) + at + x, s.DisRing(k, kRDl) + at + x);
    }
  }
}

// ------------------------------------------------------------------------------------------ vertical filter

// Band holds what the vertical filter of four rows y … y+3 needs: where each pair of source rows is in the ring.
struct Band {
  size_t at[kRingPairs + 1];  // offset of pair y/2 − reach + i; one more than used, to end loops simply
};

// Sums of four rows in even (a) and odd (b) columns.
struct FourRows {
  V32 a0, a1, a2, a3, b0, b1, b2, b3;
};

template <int kScale, int kJ>
HWY_INLINE void VerticalStep(const int32_t* ring, const Band& band, size_t x, FourRows& s) {
  using T = TapPairs<kScale>;
  const D32 d32;
  const D16 d16;
  const int32_t* from = ring + band.at[kJ + T::kReach] + x;
  const V16 va = hn::BitCast(d16, hn::Load(d32, from));
  const V16 vb = hn::BitCast(d16, hn::Load(d32, from + hn::Lanes(d32)));
  Accumulate<kScale, 0, kJ>(s.a0, va);
  Accumulate<kScale, 0, kJ>(s.b0, vb);
  Accumulate<kScale, 1, kJ>(s.a1, va);
  Accumulate<kScale, 1, kJ>(s.b1, vb);
  Accumulate<kScale, 0, kJ - 1>(s.a2, va);
  Accumulate<kScale, 0, kJ - 1>(s.b2, vb);
  Accumulate<kScale, 1, kJ - 1>(s.a3, va);
  Accumulate<kScale, 1, kJ - 1>(s.b3, vb);
  if constexpr (kJ < T::kReach + 1) VerticalStep<kScale, kJ + 1>(ring, band, x, s);
}

template <int kScale>
HWY_INLINE FourRows Vertical(const int32_t* ring, const Band& band, size_t x, int32_t start) {
  const V32 v = hn::Set(D32(), start);
  FourRows s = {v, v, v, v, v, v, v, v};
  VerticalStep<kScale, -TapPairs<kScale>::kReach>(ring, band, x, s);
  return s;
}

// JoinHigh and JoinLow gather the high or low halves of even and odd columns' lanes into a row in natural order.
HWY_INLINE V16 JoinHigh(V32 a, V32 b) {
  const D16 d16;
  return hn::OddEven(hn::BitCast(d16, b), hn::BitCast(d16, hn::ShiftRight<16>(a)));
}
HWY_INLINE V16 JoinLow(V32 a, V32 b) {
  const D16 d16;
  return hn::OddEven(hn::BitCast(d16, hn::ShiftLeft<16>(b)), hn::BitCast(d16, a));
}

// The sum that a mean starts from, and the mean's place in the sum: at 8 bits (Σ f·r + 2^7) >> 8, less 2^15 to be signed.
template <bool k8>
constexpr int32_t MeanStart() {
  return k8 ? (1 << 7) - (1 << 23) : 1 << 15;
}
template <bool k8>
HWY_INLINE V16 JoinMean(V32 a, V32 b) {
  if constexpr (k8) return JoinHigh(hn::ShiftLeft<8>(a), hn::ShiftLeft<8>(b));
  return JoinHigh(a, b);
}

template <bool k8, int kScale>
HWY_INLINE void VerticalMeans(const int32_t* ring, const Band& band, size_t begin, size_t end, int16_t* out,
                              size_t out_row) {
  const D16 d16;
  const size_t n = Block();
  for (size_t x = begin; x < end; x += n) {
    const FourRows m = Vertical<kScale>(ring, band, x, MeanStart<k8>());
    hn::Store(JoinMean<k8>(m.a0, m.b0), d16, out + x);
    hn::Store(JoinMean<k8>(m.a1, m.b1), d16, out + out_row + x);
    hn::Store(JoinMean<k8>(m.a2, m.b2), d16, out + 2 * out_row + x);
    hn::Store(JoinMean<k8>(m.a3, m.b3), d16, out + 3 * out_row + x);
  }
}

// StoreHalves splits p' (p with its top bit flipped) into h' and l'.
HWY_INLINE void StoreHalves(V32 a, V32 b, int16_t* high, int16_t* low) {
  const D16 d16;
  hn::Store(JoinHigh(a, b), d16, high);
  hn::Store(Flip(JoinLow(a, b)), d16, low);
}

template <bool k8, int kScale>
HWY_INLINE void VerticalSquares(const int32_t* ring_high, const int32_t* ring_low, const Band& band, size_t begin,
                                size_t end, int16_t* high, int16_t* low, size_t out_row) {
  const size_t n = Block();
  for (size_t x = begin; x < end; x += n) {
    FourRows p = Vertical<kScale>(ring_high, band, x, 0);
    if constexpr (!k8) {
      const FourRows l = Vertical<kScale>(ring_low, band, x, INT32_MIN + (1 << 15));
      const auto add = [](V32 h, V32 low_sum) HWY_ATTR {
        return hn::Add(h, hn::BitCast(D32(), hn::ShiftRight<16>(hn::BitCast(DU32(), low_sum))));
      };
      p = {add(p.a0, l.a0), add(p.a1, l.a1), add(p.a2, l.a2), add(p.a3, l.a3),
           add(p.b0, l.b0), add(p.b1, l.b1), add(p.b2, l.b2), add(p.b3, l.b3)};
    }
    StoreHalves(p.a0, p.b0, high + x, low + x);
    StoreHalves(p.a1, p.b1, high + out_row + x, low + out_row + x);
    StoreHalves(p.a2, p.b2, high + 2 * out_row + x, low + 2 * out_row + x);
    StoreHalves(p.a3, p.b3, high + 3 * out_row + x, low + 3 * out_row + x);
  }
}

// VerticalNext filters for the next scale of the pyramid: rows y and y+2 alone.
template <bool k8, int kScale, int kJ>
HWY_INLINE void NextStep(const int32_t* ring, const size_t* at, size_t x, FourRows& s) {
  const D32 d32;
  const D16 d16;
  const int32_t* from = ring + at[kJ] + x;
  const V16 va = hn::BitCast(d16, hn::Load(d32, from));
  const V16 vb = hn::BitCast(d16, hn::Load(d32, from + hn::Lanes(d32)));
  Accumulate<kScale, 0, kJ>(s.a0, va);
  Accumulate<kScale, 0, kJ>(s.b0, vb);
  Accumulate<kScale, 0, kJ - 1>(s.a2, va);
  Accumulate<kScale, 0, kJ - 1>(s.b2, vb);
  if constexpr (kJ < TapPairs<kScale>::kReach + 1) NextStep<k8, kScale, kJ + 1>(ring, at, x, s);
}
template <bool k8, int kScale>
HWY_INLINE void VerticalNext(const int32_t* ring, const Band& band, size_t begin, size_t end, int16_t* out,
                             size_t out_row) {
  const D16 d16;
  const size_t n = Block();
  // The band's offsets start at this scale's reach, which is not smaller than the next one's.
  const size_t* at = band.at + TapPairs<kScale - 1>::kReach;
  for (size_t x = begin; x < end; x += n) {
    const V32 v = hn::Set(D32(), MeanStart<k8>());
    FourRows s = {v, v, v, v, v, v, v, v};
    NextStep<k8, kScale, -TapPairs<kScale>::kReach>(ring, at, x, s);
    hn::Store(JoinMean<k8>(s.a0, s.b0), d16, out + x);
    hn::Store(JoinMean<k8>(s.a2, s.b2), d16, out + 2 * out_row + x);
  }
}

// ------------------------------------------------------------------------------------------ horizontal filter

// Sums of a block: even columns, odd columns.
struct EvenOdd {
  V32 even, odd;
};

template <int kScale, int kJ>
HWY_INLINE void HorizontalStep(const int16_t* row, EvenOdd& s) {
  const V16 v = hn::LoadU(D16(), row + 2 * kJ);
  Accumulate<kScale, 0, kJ>(s.even, v);
  Accumulate<kScale, 1, kJ>(s.odd, v);
  if constexpr (kJ < TapPairs<kScale>::kReach) HorizontalStep<kScale, kJ + 1>(row, s);
}

template <int kScale>
HWY_INLINE EvenOdd Horizontal(const int16_t* row, int32_t start) {
  const V32 v = hn::Set(D32(), start);
  EvenOdd s = {v, v};
  HorizontalStep<kScale, -TapPairs<kScale>::kReach>(row, s);
  return s;
}

// HorizontalMean is Σ f·m: the signed sum plus 2^31.
template <int kScale>
HWY_INLINE EvenOdd HorizontalMean(const int16_t* row) {
  return Horizontal<kScale>(row, INT32_MIN);
}

// HorizontalSquare is (Σ f·p + 2^15) >> 16 from p's halves.
template <int kScale>
HWY_INLINE EvenOdd HorizontalSquare(const int16_t* high, const int16_t* low) {
  const DU32 du32;
  const D32 d32;
  const EvenOdd h = Horizontal<kScale>(high, INT32_MIN);
  const EvenOdd l = Horizontal<kScale>(low, INT32_MIN + (1 << 15));
  return {hn::Add(h.even, hn::BitCast(d32, hn::ShiftRight<16>(hn::BitCast(du32, l.even)))),
          hn::Add(h.odd, hn::BitCast(d32, hn::ShiftRight<16>(hn::BitCast(du32, l.odd))))};
}

// MeanProduct is (a·b + 2^31) >> 32 in each lane.
HWY_INLINE V32 MeanProduct(V32 a, V32 b) {
  const DU32 du32;
  const hn::RepartitionToWide<DU32> du64;
  const auto ua = hn::BitCast(du32, a), ub = hn::BitCast(du32, b);
  const auto half = hn::Set(du64, 0x80000000u);
  const auto even = hn::Add(hn::MulEven(ua, ub), half);
  const auto odd_a = hn::BitCast(du32, hn::ShiftRight<32>(hn::BitCast(du64, ua)));
  const auto odd_b = hn::BitCast(du32, hn::ShiftRight<32>(hn::BitCast(du64, ub)));
  const auto odd = hn::Add(hn::MulEven(odd_a, odd_b), half);
  return hn::BitCast(D32(), hn::OddEven(hn::BitCast(du32, odd), hn::BitCast(du32, hn::ShiftRight<32>(even))));
}

// Lanes of a block's even or odd columns that are inside the picture.
HWY_INLINE hn::Mask<D32> Inside(size_t x, size_t width, int parity) {
  const D32 d32;
  const auto column = hn::Add(hn::ShiftLeft<1>(hn::Iota(d32, 0)), hn::Set(d32, static_cast<int32_t>(x) + parity));
  return hn::Lt(column, hn::Set(d32, static_cast<int32_t>(width)));
}

// Row sums of the reference alone.
struct RefTotals {
  V32 dl, c;  // c counts as −1 a lane
};

template <bool kTail>
HWY_INLINE void RefStatistics(V32 a1, V32 w11, hn::Mask<D32> inside, const VifLog& log, uint32_t* a1_out, int32_t* s1_out,
                              RefTotals& totals) {
  const D32 d32;
  const DU32 du32;
  const V32 s1 = hn::Sub(w11, MeanProduct(a1, a1));
  hn::StoreU(hn::BitCast(du32, a1), du32, a1_out);
  hn::StoreU(s1, d32, s1_out);
  const V32 nsq = hn::Set(d32, kVifSigmaNsq);
  auto flat = hn::Lt(s1, nsq);
  auto textured = hn::Not(flat);
  if constexpr (kTail) {
    flat = hn::And(flat, inside);
    textured = hn::And(textured, inside);
  }
  totals.c = hn::Add(totals.c, hn::VecFromMask(d32, flat));
  if (!hn::AllFalse(d32, textured)) {
    const V32 lg = hn::Sub(Log2(hn::Add(s1, nsq), log), hn::Set(d32, kVifLogOfSigmaNsq));
    totals.dl = hn::Add(totals.dl, hn::IfThenElseZero(textured, lg));
  }
}

template <int kScale>
void HorizontalRef(const VqsVif& s, size_t band_row, size_t begin, size_t end, size_t width, const VifLog& log,
                   VqsVifSums* sums, size_t sum_count) {
  const D32 d32;
  const size_t n = Block(), lanes = hn::Lanes(d32);
  const int16_t* m1 = s.RefRowAt(kM1, band_row);
  const int16_t* p11h = s.RefRowAt(kP11h, band_row);
  const int16_t* p11l = s.RefRowAt(kP11l, band_row);
  RefTotals totals = {hn::Zero(d32), hn::Zero(d32)};
  for (size_t x = begin; x < end; x += n) {
    const EvenOdd a1 = HorizontalMean<kScale>(m1 + x);
    const EvenOdd w11 = HorizontalSquare<kScale>(p11h + x, p11l + x);
    uint32_t* a1_out = s.a1 + (x - begin);
    int32_t* s1_out = s.s1 + (x - begin);
    if (HWY_LIKELY(x + n <= width)) {
      const auto all = hn::FirstN(d32, lanes);
      RefStatistics<false>(a1.even, w11.even, all, log, a1_out, s1_out, totals);
      RefStatistics<false>(a1.odd, w11.odd, all, log, a1_out + lanes, s1_out + lanes, totals);
    } else {
      RefStatistics<true>(a1.even, w11.even, Inside(x, width, 0), log, a1_out, s1_out, totals);
      RefStatistics<true>(a1.odd, w11.odd, Inside(x, width, 1), log, a1_out + lanes, s1_out + lanes, totals);
    }
  }
  // A lane adds at most 14·2048 a block, and a strip has few blocks: 32 bits are plenty until here.
  const int64_t dl = hn::GetLane(hn::SumOfLanes(d32, totals.dl));
  const int64_t c = -static_cast<int64_t>(hn::GetLane(hn::SumOfLanes(d32, totals.c)));
  for (size_t i = 0; i < sum_count; ++i) {
    sums[i].dl[kScale] += dl;
    sums[i].c[kScale] += c;
  }
}

// Textured is the pixels of a part of a row whose numerator is not 0, packed where that is cheap: §5 has much to do for those and
// nothing for the others, which in smooth pictures are the most.
struct Textured {
  int32_t* s1;
  int32_t* s2;
  int32_t* s12;
  size_t count;
};

template <bool kTail, class V64>
HWY_INLINE void DisStatistics(V32 a1, V32 s1, V32 a2, V32 w22, V32 w12, hn::Mask<D32> inside, Textured& textured, V64& nv) {
  const D32 d32;
  const hn::RepartitionToWide<DU32> du64;
  const V32 zero = hn::Zero(d32);
  const V32 s12 = hn::Sub(w12, MeanProduct(a1, a2));
  const V32 s2 = hn::Max(hn::Sub(w22, MeanProduct(a2, a2)), zero);
  auto flat = hn::Lt(s1, hn::Set(d32, kVifSigmaNsq));
  auto active = hn::AndNot(flat, hn::And(hn::Gt(s12, zero), hn::Gt(s2, zero)));
  if constexpr (kTail) {
    flat = hn::And(flat, inside);
    active = hn::And(active, inside);
  }
  if (!hn::AllFalse(d32, flat)) {
    const auto of_flat = hn::BitCast(du64, hn::IfThenElseZero(flat, s2));
    nv = hn::Add(nv, hn::Add(hn::And(of_flat, hn::Set(du64, 0xffffffffu)), hn::ShiftRight<32>(of_flat)));
  }
  if (!hn::AllFalse(d32, active)) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    hn::StoreU(hn::Compress(s1, active), d32, textured.s1 + textured.count);
    hn::StoreU(hn::Compress(s2, active), d32, textured.s2 + textured.count);
    hn::StoreU(hn::Compress(s12, active), d32, textured.s12 + textured.count);
    textured.count += hn::CountTrue(d32, active);
#else
    // Where packing is no instruction it costs more than it saves (AVX2: 44 ms a picture against 26). A pixel with s12 = 0 has
    // n2 = n1, and adds nothing.
    hn::StoreU(s1, d32, textured.s1 + textured.count);
    hn::StoreU(s2, d32, textured.s2 + textured.count);
    hn::StoreU(hn::IfThenElseZero(active, s12), d32, textured.s12 + textured.count);
    textured.count += hn::Lanes(d32);
#endif
  }
}

// LogRatios is §5's log2(n2) − log2(n1) in each lane, for every gain limit. Each operation in double precision is one rounding.
template <int kGains>
struct LogRatios {
  V32 of[kGains];
};

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

template <int kGains>
HWY_INLINE LogRatios<kGains> Numerators(const Textured& p, size_t at, const double* limits, const VifLog& log) {
  const __m512d eps = _mm512_set1_pd(kVifEps);
  // Added to x ≥ 0 with rounding towards zero, 2^52 leaves ⌊x⌋ in the low bits; taking it off again is exact.
  const __m512d integer = _mm512_set1_pd(0x1p52);
  constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  __m512d n1[2], n2[kGains][2];
  for (size_t h = 0; h < 2; ++h) {
    const auto load = [&](const int32_t* from) HWY_ATTR {
      return _mm512_cvtepi32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at + 8 * h)));
    };
    const __m512d f1 = load(p.s1), f2 = load(p.s2), f12 = load(p.s12);
    const __m512d g = _mm512_div_pd(f12, _mm512_add_pd(f1, eps));
    const __m512d v = _mm512_max_pd(_mm512_sub_pd(f2, _mm512_mul_pd(g, f12)), _mm512_setzero_pd());
    n1[h] = _mm512_sub_pd(_mm512_add_round_pd(v, _mm512_set1_pd(0x1p52 + kVifSigmaNsq), kTowardsZero), integer);
    for (int i = 0; i < kGains; ++i) {
      const __m512d limited = _mm512_min_pd(g, _mm512_set1_pd(limits[i]));
      const __m512d t = _mm512_mul_pd(_mm512_mul_pd(limited, limited), f1);
      n2[i][h] = _mm512_add_pd(_mm512_sub_pd(_mm512_add_round_pd(t, integer, kTowardsZero), integer), n1[h]);
    }
  }
  const __m512i log1 = Log2OfDoubles(n1[0], n1[1], log);
  LogRatios<kGains> r;
  for (int i = 0; i < kGains; ++i) r.of[i] = V32{_mm512_sub_epi32(Log2OfDoubles(n2[i][0], n2[i][1], log), log1)};
  return r;
}

#else

template <int kGains>
HWY_INLINE LogRatios<kGains> Numerators(const Textured& p, size_t at, const double* limits, const VifLog& log) {
  const D32 d32;
  const hn::Half<D32> dh;
  const hn::RepartitionToWide<D32> di64;
  const hn::RebindToFloat<decltype(di64)> d64;
  const auto eps = hn::Set(d64, kVifEps);
  const auto half = [&](size_t from, auto* t) HWY_ATTR {
    const auto f1 = hn::PromoteTo(d64, hn::LoadU(dh, p.s1 + from));
    const auto f12 = hn::PromoteTo(d64, hn::LoadU(dh, p.s12 + from));
    const auto g = hn::Div(f12, hn::Add(f1, eps));
    for (int i = 0; i < kGains; ++i) {
      const auto limited = hn::Min(g, hn::Set(d64, limits[i]));
      t[i] = hn::DemoteTo(dh, hn::Mul(hn::Mul(limited, limited), f1));
    }
    return hn::DemoteTo(dh, hn::Sub(hn::PromoteTo(d64, hn::LoadU(dh, p.s2 + from)), hn::Mul(g, f12)));
  };
  hn::Vec<hn::Half<D32>> low[kGains], high[kGains];
  const auto v_low = half(at, low);
  const auto v_high = half(at + hn::Lanes(dh), high);
  const V32 n1 = hn::Add(hn::Max(hn::Combine(d32, v_high, v_low), hn::Zero(d32)), hn::Set(d32, kVifSigmaNsq));
  const V32 log1 = Log2(n1, log);
  LogRatios<kGains> r;
  for (int i = 0; i < kGains; ++i) r.of[i] = hn::Sub(Log2(hn::Add(hn::Combine(d32, high[i], low[i]), n1), log), log1);
  return r;
}

#endif

template <int kScale, int kGains>
void HorizontalDis(const VqsVif& s, size_t k, size_t band_row, size_t begin, size_t end, size_t width,
                   const double* limits, const VifLog& log, VqsVifSums* sums, size_t sums_stride) {
  const D32 d32;
  const DU32 du32;
  const hn::RepartitionToWide<DU32> du64;
  const size_t n = Block(), lanes = hn::Lanes(d32);
  const int16_t* m2 = s.DisRowAt(k, kM2, band_row);
  const int16_t* p22h = s.DisRowAt(k, kP22h, band_row);
  const int16_t* p22l = s.DisRowAt(k, kP22l, band_row);
  const int16_t* p12h = s.DisRowAt(k, kP12h, band_row);
  const int16_t* p12l = s.DisRowAt(k, kP12l, band_row);
  Textured textured = {s.textured, s.textured + kTexturedPart, s.textured + 2 * kTexturedPart, 0};
  auto nv_sum = hn::Zero(du64);
  for (size_t x = begin; x < end; x += n) {
    const EvenOdd a2 = HorizontalMean<kScale>(m2 + x);
    const EvenOdd w22 = HorizontalSquare<kScale>(p22h + x, p22l + x);
    const EvenOdd w12 = HorizontalSquare<kScale>(p12h + x, p12l + x);
    const V32 a1_even = hn::BitCast(d32, hn::LoadU(du32, s.a1 + (x - begin)));
    const V32 a1_odd = hn::BitCast(d32, hn::LoadU(du32, s.a1 + (x - begin) + lanes));
    const V32 s1_even = hn::LoadU(d32, s.s1 + (x - begin));
    const V32 s1_odd = hn::LoadU(d32, s.s1 + (x - begin) + lanes);
    if (HWY_LIKELY(x + n <= width)) {
      const auto all = hn::FirstN(d32, lanes);
      DisStatistics<false>(a1_even, s1_even, a2.even, w22.even, w12.even, all, textured, nv_sum);
      DisStatistics<false>(a1_odd, s1_odd, a2.odd, w22.odd, w12.odd, all, textured, nv_sum);
    } else {
      DisStatistics<true>(a1_even, s1_even, a2.even, w22.even, w12.even, Inside(x, width, 0), textured, nv_sum);
      DisStatistics<true>(a1_odd, s1_odd, a2.odd, w22.odd, w12.odd, Inside(x, width, 1), textured, nv_sum);
    }
  }

  V32 nl[kGains];
  for (int i = 0; i < kGains; ++i) nl[i] = hn::Zero(d32);
  // What follows the last pixel in its vector is left over from before, or 0: harmless, and masked.
  for (size_t at = 0; at < textured.count; at += lanes) {
    const LogRatios<kGains> ratios = Numerators<kGains>(textured, at, limits, log);
    const auto valid = hn::FirstN(d32, textured.count - at);
    for (int i = 0; i < kGains; ++i) nl[i] = hn::Add(nl[i], hn::IfThenElseZero(valid, ratios.of[i]));
  }
  const int64_t nv = static_cast<int64_t>(hn::GetLane(hn::SumOfLanes(du64, nv_sum)));
  for (int i = 0; i < kGains; ++i) {
    VqsVifSums& sum = sums[static_cast<size_t>(i) * sums_stride + k];
    sum.nl[kScale] += hn::GetLane(hn::SumOfLanes(d32, nl[i]));
    sum.nv[kScale] += nv;
  }
}

// HorizontalNext makes one row of the next scale: even columns alone.
template <int kScale>
void HorizontalNext(const int16_t* row, size_t begin, size_t end, uint16_t* out) {
  const DU32 du32;
  const hn::Rebind<uint16_t, DU32> du16;
  const size_t n = Block();
  for (size_t x = begin; x < end; x += n) {
    const EvenOdd z = Horizontal<kScale>(row + x, INT32_MIN + (1 << 15));
    hn::StoreU(hn::DemoteTo(du16, hn::BitCast(D32(), hn::ShiftRight<16>(hn::BitCast(du32, z.even)))), du16, out + x / 2);
  }
}

// MirrorLeft and MirrorRight fill the columns beside a row buffer that the horizontal filter reaches. One reflection does
// where the picture is wider than the filter's half.
template <int kHalf>
HWY_INLINE void MirrorLeft(int16_t* row, int width) {
  if (HWY_LIKELY(width > kHalf)) {
    for (int t = 1; t <= kHalf; ++t) row[-t] = row[t];
  } else {
    for (int t = -kHalf; t < 0; ++t) row[t] = row[MirrorWhole(t, width)];
  }
}
template <int kHalf>
HWY_INLINE void MirrorRight(int16_t* row, int width) {
  if (HWY_LIKELY(width > kHalf)) {
    int16_t* last = row + width - 1;
    for (int t = 1; t <= kHalf; ++t) last[t] = last[-t];
  } else {
    for (int t = width; t < width + kHalf; ++t) row[t] = row[MirrorWhole(t, width)];
  }
}

// ------------------------------------------------------------------------------------------ one scale

template <bool k8, int kScale, int kGains>
void MeasureScale(const VqsVif& s, const Source* sources, size_t renditions, size_t width, size_t height, int shift,
                  const double* limits, VqsVifSums* sums, size_t sums_stride) {
  using T = TapPairs<kScale>;
  constexpr int kHalf = T::kHalf;
  constexpr size_t kPairs = 2 * T::kReach + 2;  // of a band of four rows
  const VifLog& log = VifLogTables();
  const size_t n = Block();
  const size_t padded = RoundUp(width, n);
  const size_t next_width = width / 2, next_height = height / 2;
  const bool has_next = kScale + 1 < kVifScales;
  constexpr int kNext = kScale + 1 < kVifScales ? kScale + 1 : kScale;
  const auto slot = [](int p) { return static_cast<size_t>(p + T::kReach) % kPairs; };

  int filled = -T::kReach;  // the next pair to go into the ring
  for (size_t y = 0; y < height; y += kBandRows) {
    const int middle = static_cast<int>(y / 2);
    for (; filled <= middle + T::kReach + 1; ++filled) {
      FillPair<k8>(s, sources, renditions, width, height, shift, filled, slot(filled));
    }
    Band band;
    for (size_t i = 0; i < kPairs; ++i) band.at[i] = slot(middle - T::kReach + static_cast<int>(i)) * s.row;
    const size_t rows = HWY_MIN(kBandRows, height - y);

    const size_t out_row = s.row_buffer;
    size_t done = 0;  // columns filtered horizontally
    for (size_t begin = 0; begin < padded; begin += kStrip) {
      const size_t end = HWY_MIN(begin + kStrip, padded);
      VerticalMeans<k8, kScale>(s.RefRing(kR), band, begin, end, s.RefRowAt(kM1, 0), out_row);
      VerticalSquares<k8, kScale>(s.RefRing(kRRh), s.RefRing(kRRl), band, begin, end, s.RefRowAt(kP11h, 0),
                                  s.RefRowAt(kP11l, 0), out_row);
      if (has_next) VerticalNext<k8, kNext>(s.RefRing(kR), band, begin, end, s.RefRowAt(kRefNext, 0), out_row);
      for (size_t k = 0; k < renditions; ++k) {
        VerticalMeans<k8, kScale>(s.DisRing(k, kD), band, begin, end, s.DisRowAt(k, kM2, 0), out_row);
        VerticalSquares<k8, kScale>(s.DisRing(k, kDDh), s.DisRing(k, kDDl), band, begin, end, s.DisRowAt(k, kP22h, 0),
                                    s.DisRowAt(k, kP22l, 0), out_row);
        VerticalSquares<k8, kScale>(s.DisRing(k, kRDh), s.DisRing(k, kRDl), band, begin, end, s.DisRowAt(k, kP12h, 0),
                                    s.DisRowAt(k, kP12l, 0), out_row);
        if (has_next) VerticalNext<k8, kNext>(s.DisRing(k, kD), band, begin, end, s.DisRowAt(k, kDisNext, 0), out_row);
      }
      const auto each_row = [&](auto&& mirror) {
        for (size_t r = 0; r < rows; ++r) {
          for (int q = 0; q < kRefRows; ++q) mirror(s.RefRowAt(q, r));
          for (size_t k = 0; k < renditions; ++k) {
            for (int q = 0; q < kDisRows; ++q) mirror(s.DisRowAt(k, q, r));
          }
        }
      };
      const int w = static_cast<int>(width);
      if (begin == 0) each_row([&](int16_t* row) { MirrorLeft<kHalf>(row, w); });
      if (end == padded) each_row([&](int16_t* row) { MirrorRight<kHalf>(row, w); });

      // What is filtered vertically up to `end` can be filtered horizontally up to a block before it.
      const size_t ready = end == padded ? padded : end - n;
      for (size_t r = 0; r < rows; ++r) {
        HorizontalRef<kScale>(s, r, done, ready, width, log, sums, kGains * sums_stride);
        for (size_t k = 0; k < renditions; ++k) {
          HorizontalDis<kScale, kGains>(s, k, r, done, ready, width, limits, log, sums, sums_stride);
        }
        if (has_next && r % 2 == 0 && (y + r) / 2 < next_height) {
          const size_t next_row = (y + r) / 2;
          const Plane16 ref = s.Level(0, kNext);
          HorizontalNext<kNext>(s.RefRowAt(kRefNext, r), done, HWY_MIN(ready, RoundUp(2 * next_width, n)),
                                ref.data + next_row * ref.stride);
          for (size_t k = 0; k < renditions; ++k) {
            const Plane16 dis = s.Level(1 + k, kNext);
            HorizontalNext<kNext>(s.DisRowAt(k, kDisNext, r), done, HWY_MIN(ready, RoundUp(2 * next_width, n)),
                                  dis.data + next_row * dis.stride);
          }
        }
      }
      done = ready;
    }
  }
}

template <int kScale, int kGains>
void MeasureLevel(const VqsVif& s, size_t renditions, const double* limits, VqsVifSums* sums, size_t sums_stride) {
  Source* sources = static_cast<Source*>(static_cast<void*>(s.memory));
  for (size_t p = 0; p <= renditions; ++p) {
    const Plane16 level = s.Level(p, kScale);
    sources[p] = {reinterpret_cast<const uint8_t*>(level.data), level.stride * sizeof(uint16_t)};
  }
  MeasureScale<false, kScale, kGains>(s, sources, renditions, s.width >> kScale, s.height >> kScale, 0, limits, sums,
                                      sums_stride);
}

template <int kGains>
void MeasureGains(const VqsVif& s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const double* limits,
                  VqsVifSums* sums, size_t sums_stride) {
  Source* sources = static_cast<Source*>(static_cast<void*>(s.memory));
  for (size_t p = 0; p <= renditions; ++p) {
    const VqsPlane& plane = p == 0 ? *ref : dis[p - 1];
    sources[p] = {static_cast<const uint8_t*>(plane.data), plane.stride_bytes};
  }
  if (s.bpc == 8) {
    MeasureScale<true, 0, kGains>(s, sources, renditions, s.width, s.height, 0, limits, sums, sums_stride);
  } else {
    MeasureScale<false, 0, kGains>(s, sources, renditions, s.width, s.height, 16 - s.bpc, limits, sums, sums_stride);
  }
  MeasureLevel<1, kGains>(s, renditions, limits, sums, sums_stride);
  MeasureLevel<2, kGains>(s, renditions, limits, sums, sums_stride);
  MeasureLevel<3, kGains>(s, renditions, limits, sums, sums_stride);
}

int Vif(const VqsVif& s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const double* gains,
        size_t gain_count, VqsVifSums* sums) {
  memset(sums, 0, gain_count * renditions * sizeof(VqsVifSums));
  // One or two limits (the plain and the gain-limited models) are what is asked for; more are measured two at a time.
  size_t g = 0;
  for (; g + 2 <= gain_count; g += 2) {
    MeasureGains<2>(s, ref, dis, renditions, gains + g, sums + g * renditions, renditions);
  }
  if (g < gain_count) MeasureGains<1>(s, ref, dis, renditions, gains + g, sums + g * renditions, renditions);
  return kVqsOk;
}

void VifLog2Array(const uint32_t* x, int32_t* out, size_t count) {
  const D32 d32;
  const size_t lanes = hn::Lanes(d32);
  HWY_ALIGN int32_t block[kBlockMax];
  for (size_t i = 0; i < count; i += lanes) {
    const size_t here = HWY_MIN(lanes, count - i);
    for (size_t j = 0; j < lanes; ++j) block[j] = static_cast<int32_t>(j < here ? x[i + j] : 1u << 17);
    hn::Store(Log2(hn::Load(d32, block), VifLogTables()), d32, block);
    for (size_t j = 0; j < here; ++j) out[i + j] = block[j];
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vqs {
HWY_EXPORT(Vif);
HWY_EXPORT(VifLog2Array);

namespace {

// Carve hands out 64-byte-aligned parts of one allocation; with no allocation it only counts.
struct Carve {
  uint8_t* base;
  size_t used = 0;
  template <class T>
  T* Take(size_t count) {
    T* p = base == nullptr ? nullptr : reinterpret_cast<T*>(base + used);
    used += RoundUp(count * sizeof(T), 64);
    return p;
  }
};

void Layout(VqsVif* v, Carve* carve) {
  const size_t pictures = 1 + v->renditions;
  v->memory = carve->Take<uint8_t>(pictures * 2 * sizeof(void*));  // the list of sources
  v->ring = carve->Take<int32_t>((kRefQuantities + v->renditions * kDisQuantities) * kRingPairs * v->row);
  v->rows = carve->Take<int16_t>((kRefRows + v->renditions * kDisRows) * kBandRows * v->row_buffer);
  v->a1 = carve->Take<uint32_t>(kStrip + 2 * kBlockMax);
  v->s1 = carve->Take<int32_t>(kStrip + 2 * kBlockMax);
  v->textured = carve->Take<int32_t>(3 * kTexturedPart);
  v->level_size = 0;
  for (int scale = 1; scale < kVifScales; ++scale) {
    v->level_offset[scale] = v->level_size;
    v->level_stride[scale] = RoundUp((v->width >> scale) + kBlockMax, kBlockMax);
    v->level_size += v->level_stride[scale] * (v->height >> scale);
  }
  v->next = carve->Take<uint16_t>(pictures * v->level_size);
}

}  // namespace
}  // namespace vqs

extern "C" VqsVif* vqs_vif_new(size_t width, size_t height, int bpc, size_t renditions) {
  if (width < 16 || height < 16 || width > 65536 || height > 65536 || bpc < 8 || bpc > 16 || renditions < 1) return nullptr;
  VqsVif* v = new (std::nothrow) VqsVif();
  if (v == nullptr) return nullptr;
  v->width = width;
  v->height = height;
  v->bpc = bpc;
  v->renditions = renditions;
  v->row = vqs::RoundUp(width, vqs::kBlockMax);
  v->row_buffer = v->row + 2 * vqs::kMargin;
  vqs::Carve count{nullptr};
  vqs::Layout(v, &count);
  uint8_t* memory = static_cast<uint8_t*>(hwy::AllocateAlignedBytes(count.used, nullptr, nullptr));
  if (memory == nullptr) {
    delete v;
    return nullptr;
  }
  memset(memory, 0, count.used);
  vqs::Carve carve{memory};
  vqs::Layout(v, &carve);
  return v;
}

extern "C" void vqs_vif_free(VqsVif* v) {
  if (v == nullptr) return;
  hwy::FreeAlignedBytes(v->memory, nullptr, nullptr);
  delete v;
}

extern "C" int vqs_vif(VqsVif* v, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, const double* gains,
                       size_t gain_count, VqsVifSums* sums) {
  if (renditions < 1 || renditions > v->renditions || gain_count < 1) return kVqsInvalid;
  if (vqs_cpu_is_plain()) {
    return vqs::VifPlain(v->width, v->height, v->bpc, ref, dis, renditions, gains, gain_count, sums);
  }
  // HWY_DYNAMIC_DISPATCH wants the bare name.
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  return HWY_DYNAMIC_DISPATCH(Vif)(*v, ref, dis, renditions, gains, gain_count, sums);
}

extern "C" void vqs_vif_log2(const uint32_t* x, int32_t* out, size_t n) {
  if (vqs_cpu_is_plain()) {
    for (size_t i = 0; i < n; ++i) out[i] = VifLog2(vqs::VifLogTables().log, x[i]);
    return;
  }
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  HWY_DYNAMIC_DISPATCH(VifLog2Array)(x, out, n);
}
#endif  // HWY_ONCE
