// ssim.cc — structural similarity, SSIM and MS-SSIM, vectorised.                   Source: spec/classic-metrics.md §3, §4
//
//   l = (2·μr·μd + C1)/(μr² + μd² + C1)   c = (2·σrσd + C2)/(σr² + σd² + C2)   t = (σrd + C3)/(σrσd + C3)
//
// in     ref, dis[K]   u8 (bpc 8) or u16 (10, 12, 16)
// out    sums[pass][K] Σ l·c·t, Σ l, Σ c, Σ t of the picture, decimated, or at a level of the pyramid
// fixed  none before the sums: f32 products and f64 sums of the description, in its order. Sums s64 in 2^−fraction; ssim/arith.h has
//        the bounds and what that costs
// order  of a local value as described; over positions sums of integers only, so any order gives the same bits
// bands  strips of 192 columns from top to bottom, 11 rows at a time: rows are filtered across, what results is filtered down with the sums
//        of the 11 rows that are under way in registers, and where a row is complete its positions are summed. The reference's part
//        is formed once for all renditions. Nothing of the picture's size is written but decimated images
// work   a position and rendition: 66 additions in f64, 36 products in f32 (taps are symmetric, so 6 of a sample's 11 are formed), 51
//        conversions to f64, 2 divisions in f64, 1 in f32, a root; of the reference 44 additions, 24 products and 34 conversions,
//        once a frame. Sums keep their order and can not share terms
#include "hd.h"

#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "ssim/arith.h"
#include "ssim.h"
#include "ssim_plain.h"
#include "ssim_scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ssim.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

// A processor without any vectors that Highway knows has the plain reference.
int Ssim(VqsSsim* s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, VqsSsimSums* sums) {
  return SsimPlain(static_cast<size_t>(s->width), static_cast<size_t>(s->height), s->bpc, *ref, dis, renditions, s->passes,
                   s->pass_count, sums);
}

#else

namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<double>;
using DU = hn::RebindToUnsigned<D>;
using F = hn::Rebind<float, D>;      // as many numbers as D
using FW = hn::ScalableTag<float>;   // twice as many
using VD = hn::VFromD<D>;
using VU = hn::VFromD<DU>;
using VF = hn::VFromD<F>;
using VFW = hn::VFromD<FW>;

constexpr size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);
static_assert(kMostLanes <= kPad, "a vector may go this far beyond a row");

// ReadSamples sets out[0 … count) to a row's samples.
template <typename Sample>
HWY_INLINE void ReadSamples(const Sample* row, size_t count, float unit, float* HWY_RESTRICT out) {
  const FW fw;
  const hn::Rebind<int32_t, FW> di;
  const hn::Rebind<Sample, FW> ds;
  const VFW u = hn::Set(fw, unit);
  const size_t lanes = hn::Lanes(fw);
  if (count < lanes) {
    for (size_t x = 0; x < count; ++x) out[x] = static_cast<float>(row[x]) * unit;
    return;
  }
  // The last vector ends with the row: it overlaps its predecessor rather than read past.
  for (size_t x = 0;; x = x + 2 * lanes <= count ? x + lanes : count - lanes) {
    hn::StoreU(hn::Mul(hn::ConvertTo(fw, hn::PromoteTo(di, hn::LoadU(ds, row + x))), u), fw, out + x);
    if (x + lanes == count) break;
  }
}

HWY_INLINE void ReadRow(const View& view, int x, int y, int count, float* HWY_RESTRICT out) {
  const uint8_t* const row = view.data + static_cast<size_t>(y) * view.stride_bytes;
  const size_t n = static_cast<size_t>(count);
  switch (view.kind) {
    case View::kBytes:
      return ReadSamples(row + x, n, view.unit, out);
    case View::kWords:
      return ReadSamples(reinterpret_cast<const uint16_t*>(row) + x, n, view.unit, out);
    case View::kFloats:
      memcpy(out, reinterpret_cast<const float*>(row) + x, n * sizeof(float));
  }
}

// ReadMirrored is ReadRow for columns and rows that may lie outside.
HWY_INLINE void ReadMirrored(const View& view, int x, int y, int count, float* HWY_RESTRICT out) {
  const int first = HWY_MAX(x, 0), end = HWY_MIN(x + count, view.width);
  ReadRow(view, first, MirrorHalf(y, view.height), end - first, out + (first - x));
  for (int i = x; i < first; ++i) out[i - x] = out[MirrorHalf(i, view.width) - x];
  for (int i = end; i < x + count; ++i) out[i - x] = out[MirrorHalf(i, view.width) - x];
}

// FilterAcross sets out[0 … columns) to F's first step of a·b, or of a without b.
template <bool kProductOfTwo>
HWY_INLINE void FilterAcross(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int columns,
                             float (*HWY_RESTRICT weighted)[kRow], float* HWY_RESTRICT out) {
  const D d;
  const F f;
  const FW fw;
  const int wide = static_cast<int>(hn::Lanes(fw)), lanes = static_cast<int>(hn::Lanes(d));
  for (int x = 0; x < columns + kSsimBorder; x += wide) {
    VFW v = hn::Load(fw, a + x);
    if (kProductOfTwo) v = hn::Mul(v, hn::Load(fw, b + x));
    for (int i = 0; i < kDistinctTaps; ++i) hn::Store(hn::Mul(v, hn::Set(fw, SsimTap(i))), fw, weighted[i] + x);
  }
  for (int x = 0; x < columns; x += lanes) {
    VD sum = hn::PromoteTo(d, hn::LoadU(f, weighted[0] + x));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[1] + x + 1)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[2] + x + 2)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[3] + x + 3)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[4] + x + 4)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[5] + x + 5)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[4] + x + 6)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[3] + x + 7)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[2] + x + 8)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[1] + x + 9)));
    sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, weighted[0] + x + 10)));
    hn::StoreU(hn::DemoteTo(f, sum), f, out + x);
  }
}

// TakeRow adds a row, filtered across, to the sums of the rows under way: s0 begins with it, s1 takes it as its second, and s10 is complete
// with it and returned. Of each sum the terms come in the order of rows.
HWY_INLINE VF TakeRow(const float* row, VD& s0, VD& s1, VD& s2, VD& s3, VD& s4, VD& s5, VD& s6, VD& s7, VD& s8, VD& s9, VD& s10) {
  const D d;
  const F f;
  const VF v = hn::LoadU(f, row);
  const VD w0 = hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(0))));
  const VF complete = hn::DemoteTo(f, hn::Add(s10, w0));
  s0 = w0;
  const VD w1 = hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(1))));
  s1 = hn::Add(s1, w1);
  s9 = hn::Add(s9, w1);
  const VD w2 = hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(2))));
  s2 = hn::Add(s2, w2);
  s8 = hn::Add(s8, w2);
  const VD w3 = hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(3))));
  s3 = hn::Add(s3, w3);
  s7 = hn::Add(s7, w3);
  const VD w4 = hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(4))));
  s4 = hn::Add(s4, w4);
  s6 = hn::Add(s6, w4);
  s5 = hn::Add(s5, hn::PromoteTo(d, hn::Mul(v, hn::Set(f, SsimTap(5)))));
  return complete;
}

using Band = float (*)[kStrip + kPad];

// FilterDown takes the rows of a band, of which the first has an index that is a multiple of 11, and sets out to the rows that each of
// them completes: those that begin 10 rows earlier. sums are the 11 rows of sums of a strip, row y in slot y mod 11.
HWY_INLINE void FilterDown(Band in, int columns, double* HWY_RESTRICT sums, Band out) {
  const D d;
  const F f;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int x = 0; x < columns; x += lanes) {
    double* const at = sums + x;
    VD a0, a1 = hn::Load(d, at + 1 * kStrip), a2 = hn::Load(d, at + 2 * kStrip), a3 = hn::Load(d, at + 3 * kStrip),
           a4 = hn::Load(d, at + 4 * kStrip), a5 = hn::Load(d, at + 5 * kStrip), a6 = hn::Load(d, at + 6 * kStrip),
           a7 = hn::Load(d, at + 7 * kStrip), a8 = hn::Load(d, at + 8 * kStrip), a9 = hn::Load(d, at + 9 * kStrip),
           a10 = hn::Load(d, at + 10 * kStrip);
    hn::StoreU(TakeRow(in[0] + x, a0, a10, a9, a8, a7, a6, a5, a4, a3, a2, a1), f, out[0] + x);
    hn::StoreU(TakeRow(in[1] + x, a1, a0, a10, a9, a8, a7, a6, a5, a4, a3, a2), f, out[1] + x);
    hn::StoreU(TakeRow(in[2] + x, a2, a1, a0, a10, a9, a8, a7, a6, a5, a4, a3), f, out[2] + x);
    hn::StoreU(TakeRow(in[3] + x, a3, a2, a1, a0, a10, a9, a8, a7, a6, a5, a4), f, out[3] + x);
    hn::StoreU(TakeRow(in[4] + x, a4, a3, a2, a1, a0, a10, a9, a8, a7, a6, a5), f, out[4] + x);
    hn::StoreU(TakeRow(in[5] + x, a5, a4, a3, a2, a1, a0, a10, a9, a8, a7, a6), f, out[5] + x);
    hn::StoreU(TakeRow(in[6] + x, a6, a5, a4, a3, a2, a1, a0, a10, a9, a8, a7), f, out[6] + x);
    hn::StoreU(TakeRow(in[7] + x, a7, a6, a5, a4, a3, a2, a1, a0, a10, a9, a8), f, out[7] + x);
    hn::StoreU(TakeRow(in[8] + x, a8, a7, a6, a5, a4, a3, a2, a1, a0, a10, a9), f, out[8] + x);
    hn::StoreU(TakeRow(in[9] + x, a9, a8, a7, a6, a5, a4, a3, a2, a1, a0, a10), f, out[9] + x);
    hn::StoreU(TakeRow(in[10] + x, a10, a9, a8, a7, a6, a5, a4, a3, a2, a1, a0), f, out[10] + x);
    hn::Store(a1, d, at + 1 * kStrip);
    hn::Store(a2, d, at + 2 * kStrip);
    hn::Store(a3, d, at + 3 * kStrip);
    hn::Store(a4, d, at + 4 * kStrip);
    hn::Store(a5, d, at + 5 * kStrip);
    hn::Store(a6, d, at + 6 * kStrip);
    hn::Store(a7, d, at + 7 * kStrip);
    hn::Store(a8, d, at + 8 * kStrip);
    hn::Store(a9, d, at + 9 * kStrip);
    hn::Store(a10, d, at + 10 * kStrip);
  }
}

// Variances turns filtered squares into variances.
HWY_INLINE void Variances(Band mean, Band square, int columns) {
  const FW fw;
  const int wide = static_cast<int>(hn::Lanes(fw));
  for (int i = 0; i < kBandRows; ++i) {
    for (int x = 0; x < columns; x += wide) {
      const VFW m = hn::Load(fw, mean[i] + x);
      hn::Store(hn::Max(hn::Sub(hn::Load(fw, square[i] + x), hn::Mul(m, m)), hn::Zero(fw)), fw, square[i] + x);
    }
  }
}

// Totals are lanes of sums.
struct Totals {
  VU total, luminance, contrast, structure;
};

// Fixed is SsimFixed.
HWY_INLINE VU Fixed(VD v, VD shift) { return hn::Sub(hn::BitCast(DU(), hn::Add(v, shift)), hn::BitCast(DU(), shift)); }

// AddPositions sums the local values of a row, as SsimLocalOf has them.
HWY_INLINE void AddPositions(const VqsSsim* s, int row, int columns, VD shift, Totals& sums) {
  const D d;
  const F f;
  const DU du;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const VD c1 = hn::Set(d, static_cast<double>(kSsimC1)), c2 = hn::Set(d, static_cast<double>(kSsimC2));
  const VF c1f = hn::Set(f, kSsimC1), c2f = hn::Set(f, kSsimC2), c3f = hn::Set(f, kSsimC3), zero = hn::Zero(f);
  for (int x = 0; x < columns; x += lanes) {
    const VF mr = hn::LoadU(f, s->filtered_r[kMeanR][row] + x), vr = hn::LoadU(f, s->filtered_r[kSquareR][row] + x);
    const VF md = hn::LoadU(f, s->filtered_d[kMeanD][row] + x);
    const VF mdd = hn::Mul(md, md);
    const VF vd = hn::Max(hn::Sub(hn::LoadU(f, s->filtered_d[kSquareD][row] + x), mdd), zero);
    const VF covariance = hn::Sub(hn::LoadU(f, s->filtered_d[kProduct][row] + x), hn::Mul(mr, md));
    const VF sigma = hn::Sqrt(hn::Mul(vr, vd));
    const VF cv = hn::IfThenElse(hn::And(hn::Lt(covariance, zero), hn::Le(sigma, zero)), zero, covariance);
    const VD mr64 = hn::PromoteTo(d, mr), sigma64 = hn::PromoteTo(d, sigma);
    // 2·v is v + v.
    const VD l = hn::Div(hn::Add(hn::Mul(hn::Add(mr64, mr64), hn::PromoteTo(d, md)), c1),
                         hn::PromoteTo(d, hn::Add(hn::Add(hn::Mul(mr, mr), mdd), c1f)));
    const VD c = hn::Div(hn::Add(hn::Add(sigma64, sigma64), c2), hn::PromoteTo(d, hn::Add(hn::Add(vr, vd), c2f)));
    const VD t = hn::PromoteTo(d, hn::Div(hn::Add(cv, c3f), hn::Add(sigma, c3f)));
    VU total = Fixed(hn::Mul(hn::Mul(l, c), t), shift), luminance = Fixed(l, shift);
    VU contrast = Fixed(c, shift), structure = Fixed(t, shift);
    if (x + lanes > columns) {
      const auto inside = hn::FirstN(du, static_cast<size_t>(columns - x));
      total = hn::IfThenElseZero(inside, total);
      luminance = hn::IfThenElseZero(inside, luminance);
      contrast = hn::IfThenElseZero(inside, contrast);
      structure = hn::IfThenElseZero(inside, structure);
    }
    sums.total = hn::Add(sums.total, total);
    sums.luminance = hn::Add(sums.luminance, luminance);
    sums.contrast = hn::Add(sums.contrast, contrast);
    sums.structure = hn::Add(sums.structure, structure);
  }
}

// AddBand adds the positions of a band's rows [first, end) to sums.
HWY_INLINE void AddBand(const VqsSsim* s, int first, int end, int columns, double shift, VqsSsimSums* sums) {
  const D d;
  const DU du;
  Totals t = {hn::Zero(du), hn::Zero(du), hn::Zero(du), hn::Zero(du)};
  for (int i = first; i < end; ++i) AddPositions(s, i, columns, hn::Set(d, shift), t);
  const auto add = [&](int64_t* sum, VU lanes) HWY_ATTR {
    *sum = static_cast<int64_t>(static_cast<uint64_t>(*sum) + hn::GetLane(hn::SumOfLanes(du, lanes)));
  };
  add(&sums->total, t.total);
  add(&sums->luminance, t.luminance);
  add(&sums->contrast, t.contrast);
  add(&sums->structure, t.structure);
}

// Statistics sums the local values of columns [first, first + columns) of a pass.
void Statistics(VqsSsim* s, const View& ref, const View* dis, size_t renditions, int first, int columns, double shift,
                VqsSsimSums* sums) {
  const int positions = ref.height - kSsimBorder;  // rows of them
  for (int y = 0; y < ref.height; y += kBandRows) {
    const int rows = HWY_MIN(kBandRows, ref.height - y);
    // Row i of what is filtered down is row y − 10 + i of the positions.
    const int begin = HWY_MAX(0, kSsimBorder - y), end = HWY_MIN(kBandRows, positions + kSsimBorder - y);
    for (int i = 0; i < rows; ++i) {
      ReadRow(ref, first, y + i, columns + kSsimBorder, s->row_r[i]);
      FilterAcross<false>(s->row_r[i], nullptr, columns, s->weighted, s->across[kMeanR][i]);
      FilterAcross<true>(s->row_r[i], s->row_r[i], columns, s->weighted, s->across[kSquareR][i]);
    }
    for (int q = 0; q < kRefQuantities; ++q) {
      FilterDown(s->across[q], columns, s->down + static_cast<size_t>(q) * s->down_doubles, s->filtered_r[q]);
    }
    Variances(s->filtered_r[kMeanR], s->filtered_r[kSquareR], columns);
    for (size_t k = 0; k < renditions; ++k) {
      for (int i = 0; i < rows; ++i) {
        ReadRow(dis[k], first, y + i, columns + kSsimBorder, s->row_d);
        FilterAcross<false>(s->row_d, nullptr, columns, s->weighted, s->across[kMeanD][i]);
        FilterAcross<true>(s->row_d, s->row_d, columns, s->weighted, s->across[kSquareD][i]);
        FilterAcross<true>(s->row_d, s->row_r[i], columns, s->weighted, s->across[kProduct][i]);
      }
      double* const down = s->down + (kRefQuantities + k * kDisQuantities) * s->down_doubles;
      for (int q = 0; q < kDisQuantities; ++q) {
        FilterDown(s->across[q], columns, down + static_cast<size_t>(q) * s->down_doubles, s->filtered_d[q]);
      }
      AddBand(s, begin, end, columns, shift, &sums[k]);
    }
  }
}

// AddColumns sets sums[0 … width) to the sums down of s rows, each sample times unit and then k.
template <typename Sample>
HWY_INLINE void AddColumns(const uint8_t* const* rows, int s, int width, float unit, float k, double* HWY_RESTRICT sums) {
  const D d;
  const F f;
  const hn::Rebind<int32_t, F> di;
  const hn::Rebind<Sample, F> ds;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const VF u = hn::Set(f, unit), weight = hn::Set(f, k);
  int x = 0;
  for (; x + lanes <= width; x += lanes) {
    VD sum = hn::Zero(d);
    for (int v = 0; v < s; ++v) {
      const VF sample = hn::ConvertTo(f, hn::PromoteTo(di, hn::LoadU(ds, reinterpret_cast<const Sample*>(rows[v]) + x)));
      sum = hn::Add(sum, hn::PromoteTo(d, hn::Mul(hn::Mul(sample, u), weight)));
    }
    hn::StoreU(sum, d, sums + x);
  }
  for (; x < width; ++x) {
    double sum = 0;
    for (int v = 0; v < s; ++v) {
      sum += static_cast<double>(static_cast<float>(reinterpret_cast<const Sample*>(rows[v])[x]) * unit * k);
    }
    sums[x] = sum;
  }
}

// AddColumns for an s that is a power of two, where multiplying rounds nothing: sums of the samples themselves, below 2^24.
template <typename Sample>
HWY_INLINE void AddColumns(const uint8_t* const* rows, int s, int width, uint32_t* HWY_RESTRICT sums) {
  const hn::ScalableTag<uint32_t> du;
  const hn::Rebind<Sample, decltype(du)> ds;
  const int lanes = static_cast<int>(hn::Lanes(du));
  int x = 0;
  for (; x + lanes <= width; x += lanes) {
    auto sum = hn::Zero(du);
    for (int v = 0; v < s; ++v) {
      sum = hn::Add(sum, hn::PromoteTo(du, hn::LoadU(ds, reinterpret_cast<const Sample*>(rows[v]) + x)));
    }
    hn::StoreU(sum, du, sums + x);
  }
  for (; x < width; ++x) {
    uint32_t sum = 0;
    for (int v = 0; v < s; ++v) sum += reinterpret_cast<const Sample*>(rows[v])[x];
    sums[x] = sum;
  }
}

// SumColumns makes a row of the decimated picture of the sums down, columns, whose number is width and which it continues on both sides.
// A sum is multiplied with weight, a power of two.
template <typename Sum>
HWY_INLINE void SumColumns(Sum* columns, int width, int s, double weight, float* HWY_RESTRICT row, int out_width) {
  for (int x = 0; x < s; ++x) {
    columns[-1 - x] = columns[HWY_MIN(x, width - 1)];
    columns[width + x] = columns[HWY_MAX(width - 1 - x, 0)];
  }
  const Sum* at = columns + SsimDecimationFirst(s);
  for (int x = 0; x < out_width; ++x, at += s) {
    Sum sum = 0;
    for (int u = 0; u < s; ++u) sum += at[u];
    row[x] = static_cast<float>(static_cast<double>(sum) * weight);
  }
}

// Decimate sets out to view decimated by s. The sums are exact, so they are formed down first.
template <typename Sample>
HWY_INLINE void Decimate(VqsSsim* scratch, const View& view, int s, float* out, int out_width, int out_height) {
  const int first = SsimDecimationFirst(s);
  const float k = SsimDecimationWeight(s);
  for (int y = 0; y < out_height; ++y) {
    const uint8_t* rows[kSsimMaxScale];
    for (int v = 0; v < s; ++v) {
      rows[v] = view.data + static_cast<size_t>(MirrorHalf(y * s + first + v, view.height)) * view.stride_bytes;
    }
    float* const row = out + static_cast<size_t>(y) * static_cast<size_t>(out_width);
    if ((s & (s - 1)) == 0) {
      uint32_t* const columns = reinterpret_cast<uint32_t*>(scratch->columns) + kSsimMaxScale;
      AddColumns<Sample>(rows, s, view.width, columns);
      // s² samples of 16 bits sum up to less than 2^32.
      SumColumns(columns, view.width, s, static_cast<double>(view.unit) * static_cast<double>(k), row, out_width);
    } else {
      double* const columns = reinterpret_cast<double*>(scratch->columns) + kSsimMaxScale;
      AddColumns<Sample>(rows, s, view.width, view.unit, k, columns);
      SumColumns(columns, view.width, s, 1.0, row, out_width);
    }
  }
}

// DecimateInOrder is Decimate where the sums are not exact.
void DecimateInOrder(const View& view, int s, float* out, int out_width, int out_height) {
  const int first = SsimDecimationFirst(s);
  const float k = SsimDecimationWeight(s);
  for (int y = 0; y < out_height; ++y) {
    for (int x = 0; x < out_width; ++x) {
      double sum = 0;
      for (int v = first; v < first + s; ++v) {
        const uint16_t* const row = reinterpret_cast<const uint16_t*>(
            view.data + static_cast<size_t>(MirrorHalf(y * s + v, view.height)) * view.stride_bytes);
        for (int u = first; u < first + s; ++u) {
          sum += static_cast<double>(static_cast<float>(row[MirrorHalf(x * s + u, view.width)]) * view.unit * k);
        }
      }
      out[static_cast<size_t>(y) * static_cast<size_t>(out_width) + static_cast<size_t>(x)] = static_cast<float>(sum);
    }
  }
}

// AddHalfRow adds to sums a row's part: weighted are its even and odd columns times the taps ±0 … ±4, which come from left to right.
template <bool kBegin, bool kTwo>
HWY_INLINE void AddHalfRow(const float (*HWY_RESTRICT weighted)[kHalfRow], int columns, double* HWY_RESTRICT first,
                           double* HWY_RESTRICT second) {
  const D d;
  const F f;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int x = 0; x < columns; x += lanes) {
    VD a = kBegin ? hn::Zero(d) : hn::Load(d, first + x), b = kTwo ? hn::Load(d, second + x) : hn::Zero(d);
    const auto add = [&](const float* w) HWY_ATTR {
      const VD v = hn::PromoteTo(d, hn::LoadU(f, w));
      a = hn::Add(a, v);
      if (kTwo) b = hn::Add(b, v);
    };
    // Column 2x + u of the picture is even column x + u/2, or odd column x + (u − 1)/2; both arrays begin kHalfMargin earlier.
    add(weighted[4] + x);
    add(weighted[3] + x);
    add(weighted[2] + x + 1);
    add(weighted[1] + x + 1);
    add(weighted[0] + x + 2);
    add(weighted[1] + x + 2);
    add(weighted[2] + x + 3);
    add(weighted[3] + x + 3);
    add(weighted[4] + x + 4);
    hn::Store(a, d, first + x);
    if (kTwo) hn::Store(b, d, second + x);
  }
}

// WeightHalfRow multiplies even and odd columns with the taps of the filter's rows ±v.
HWY_INLINE void WeightHalfRow(VqsSsim* s, int v, int columns) {
  const FW fw;
  const int wide = static_cast<int>(hn::Lanes(fw));
  for (int u = 0; u <= kMsSsimRadius; ++u) {
    const VFW tap = hn::Set(fw, MsSsimTap(v, u));
    const float* const in = u % 2 == 0 ? s->half_even : s->half_odd;
    for (int x = 0; x < columns + 2 * kHalfMargin; x += wide) {
      hn::Store(hn::Mul(hn::Load(fw, in + x), tap), fw, s->half_weighted[u] + x);
    }
  }
}

// Halve sets columns [first, first + columns) of out, an image of out_width columns, to the next level of the pyramid.
void Halve(VqsSsim* s, const View& view, int first, int columns, float* out, int out_width, int out_height) {
  const D d;
  const F f;
  const FW fw;
  const int lanes = static_cast<int>(hn::Lanes(d)), wide = static_cast<int>(hn::Lanes(fw));
  const int read = 2 * (columns + 2 * kHalfMargin);
  const auto sum_of = [&](int y) { return s->half_sum[y % kHalfAhead]; };
  // Row r is row v of the filter for the output rows (r − v)/2. It comes to them one after the other, so that each gets its rows in order.
  for (int r = -kMsSsimRadius; r < 2 * out_height - 1 + kMsSsimRadius; ++r) {
    ReadMirrored(view, 2 * (first - kHalfMargin), r, read, s->half_row);
    for (int x = 0; x < columns + 2 * kHalfMargin; x += wide) {
      VFW even, odd;
      hn::LoadInterleaved2(fw, s->half_row + 2 * x, even, odd);
      hn::Store(even, fw, s->half_even + x);
      hn::Store(odd, fw, s->half_odd + x);
    }
    for (int v = r & 1; v <= kMsSsimRadius; v += 2) {
      WeightHalfRow(s, v, columns);
      const int early = (r - v) / 2, late = (r + v) / 2;  // rows v and −v of the filter
      const bool has_early = r - v >= 0 && early < out_height, has_late = r + v >= 0 && late < out_height;
      const auto* const weighted = s->half_weighted;
      if (v == kMsSsimRadius) {
        if (has_early) AddHalfRow<false, false>(weighted, columns, sum_of(early), nullptr);
        if (has_early) {
          const double* const sum = sum_of(early);
          float* const row = out + static_cast<size_t>(early) * static_cast<size_t>(out_width) + first;
          int x = 0;
          for (; x + lanes <= columns; x += lanes) hn::StoreU(hn::DemoteTo(f, hn::Load(d, sum + x)), f, row + x);
          for (; x < columns; ++x) row[x] = static_cast<float>(sum[x]);
        }
        if (has_late) AddHalfRow<true, false>(weighted, columns, sum_of(late), nullptr);
      } else if (v == 0) {
        if (has_early) AddHalfRow<false, false>(weighted, columns, sum_of(early), nullptr);
      } else if (has_early && has_late) {
        AddHalfRow<false, true>(weighted, columns, sum_of(early), sum_of(late));
      } else if (has_early) {
        AddHalfRow<false, false>(weighted, columns, sum_of(early), nullptr);
      } else if (has_late) {
        AddHalfRow<false, false>(weighted, columns, sum_of(late), nullptr);
      }
    }
  }
}

View Input(const VqsSsim* s, const VqsPlane& plane) {
  return View{static_cast<const uint8_t*>(plane.data), plane.stride_bytes, s->width, s->height,
              s->bpc == 8 ? View::kBytes : View::kWords, SsimSampleUnit(s->bpc)};
}

}  // namespace

int Ssim(VqsSsim* s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, VqsSsimSums* sums) {
  // Picture 0 is the reference, 1 + k rendition k.
  const auto view_of = [&](int set, size_t picture, int width, int height) {
    const float* const image = s->images[set] + picture * s->image_floats[set];
    return View{reinterpret_cast<const uint8_t*>(image), static_cast<size_t>(width) * sizeof(float), width, height, View::kFloats, 1};
  };
  int level_width = s->width, level_height = s->height;
  for (size_t i = 0; i < s->pass_count; ++i) {
    const VqsSsimPass& pass = s->passes[i];
    const int set = pass.level > 0 ? (pass.level + 1) % 2 : 0;
    int width = s->width, height = s->height;
    if (pass.level > 0) {
      width = SsimDecimated(level_width, 2);
      height = SsimDecimated(level_height, 2);
    } else if (pass.scale > 1) {
      width = SsimDecimated(s->width, pass.scale);
      height = SsimDecimated(s->height, pass.scale);
    }
    const bool own = pass.level > 0 || pass.scale > 1;
    for (size_t picture = 0; own && picture <= renditions; ++picture) {
      const View input = Input(s, picture == 0 ? *ref : dis[picture - 1]);
      float* const image = s->images[set] + picture * s->image_floats[set];
      if (pass.level > 0) {
        const View from = pass.level == 1 ? input : view_of(1 - set, picture, level_width, level_height);
        for (int x = 0; x < width; x += kHalfStrip) Halve(s, from, x, HWY_MIN(kHalfStrip, width - x), image, width, height);
      } else if (s->bpc == 8) {
        Decimate<uint8_t>(s, input, pass.scale, image, width, height);
      } else if (s->bpc < 16 || pass.scale <= kSsimExactScale || pass.scale == kSsimMaxScale) {
        Decimate<uint16_t>(s, input, pass.scale, image, width, height);
      } else {
        DecimateInOrder(input, pass.scale, image, width, height);
      }
    }
    if (pass.level > 0) {
      level_width = width;
      level_height = height;
    }
    VqsSsimSums* const of = sums + i * renditions;
    memset(of, 0, renditions * sizeof *of);
    const View ref_view = own ? view_of(set, 0, width, height) : Input(s, *ref);
    View* const dis_views = s->views;
    for (size_t k = 0; k < renditions; ++k) dis_views[k] = own ? view_of(set, 1 + k, width, height) : Input(s, dis[k]);
    for (int x = 0; x < width - kSsimBorder; x += kStrip) {
      Statistics(s, ref_view, dis_views, renditions, x, HWY_MIN(kStrip, width - kSsimBorder - x), SsimShift(pass.fraction), of);
    }
  }
  return kVqsOk;
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {
HWY_EXPORT(Ssim);

namespace {

// Whether passes are as ssim.h has them; sets how many samples the images of either set have.
bool Plan(size_t width, size_t height, int bpc, const VqsSsimPass* passes, size_t pass_count, size_t image_floats[2]) {
  constexpr size_t kMaxSize = 65536;
  if (width > kMaxSize || height > kMaxSize || pass_count < 1 || (bpc != 8 && bpc != 10 && bpc != 12 && bpc != 16)) return false;
  int level = 0, level_width = static_cast<int>(width), level_height = static_cast<int>(height);
  image_floats[0] = image_floats[1] = 1;
  for (size_t i = 0; i < pass_count; ++i) {
    const VqsSsimPass& pass = passes[i];
    if (pass.scale < 1 || pass.scale > kSsimMaxScale || pass.fraction < 28 || pass.fraction > 48) return false;
    int w = static_cast<int>(width), h = static_cast<int>(height), set = 0;
    if (pass.level > 0) {
      if (pass.level != level + 1 || pass.level >= kMsSsimLevels || pass.scale != 1) return false;
      level = pass.level;
      set = (level + 1) % 2;
      w = level_width = SsimDecimated(level_width, 2);
      h = level_height = SsimDecimated(level_height, 2);
    } else if (pass.level < 0 || level > 0) {
      return false;  // an image of another kind would overwrite the level that is to be halved
    } else if (pass.scale > 1) {
      w = SsimDecimated(w, pass.scale);
      h = SsimDecimated(h, pass.scale);
    }
    if (w < kSsimMinSize || h < kSsimMinSize) return false;
    const size_t floats = static_cast<size_t>(w) * static_cast<size_t>(h);
    if ((pass.level > 0 || pass.scale > 1) && floats > image_floats[set]) image_floats[set] = floats;
  }
  return true;
}

}  // namespace
}  // namespace vqs

extern "C" VqsSsim* vqs_ssim_new(size_t width, size_t height, int bpc, size_t renditions, const VqsSsimPass* passes,
                                 size_t pass_count) {
  size_t image_floats[2];
  constexpr size_t kMostRenditions = 65536;
  if (renditions < 1 || renditions > kMostRenditions || !vqs::Plan(width, height, bpc, passes, pass_count, image_floats)) return nullptr;
  VqsSsim* const s = static_cast<VqsSsim*>(aligned_alloc(alignof(VqsSsim), sizeof(VqsSsim)));
  if (s == nullptr) return nullptr;
  // Vector code works on columns beyond a row's end and drops the result; zeros keep that free of undefined values.
  memset(s, 0, sizeof *s);
  s->width = static_cast<int>(width);
  s->height = static_cast<int>(height);
  s->bpc = bpc;
  s->renditions = renditions;
  s->pass_count = pass_count;
  s->down_doubles = vqs::kSsimTaps * vqs::kStrip;
  const size_t down = (vqs::kRefQuantities + renditions * vqs::kDisQuantities) * s->down_doubles * sizeof(double);
  s->passes = static_cast<VqsSsimPass*>(malloc(pass_count * sizeof *passes));
  s->views = static_cast<vqs::View*>(malloc(renditions * sizeof *s->views));
  s->columns = calloc(width + 2 * vqs::kSsimMaxScale, sizeof(double));
  s->down = static_cast<double*>(aligned_alloc(64, down));
  for (int i = 0; i < 2; ++i) {
    s->image_floats[i] = image_floats[i];
    s->images[i] = static_cast<float*>(calloc((1 + renditions) * image_floats[i], sizeof(float)));
  }
  if (s->passes == nullptr || s->views == nullptr || s->columns == nullptr || s->down == nullptr || s->images[0] == nullptr ||
      s->images[1] == nullptr) {
    vqs_ssim_free(s);
    return nullptr;
  }
  memcpy(s->passes, passes, pass_count * sizeof *passes);
  memset(s->down, 0, down);
  return s;
}

extern "C" void vqs_ssim_free(VqsSsim* s) {
  if (s == nullptr) return;
  free(s->passes);
  free(s->views);
  free(s->columns);
  free(s->down);
  free(s->images[0]);
  free(s->images[1]);
  free(s);
}

extern "C" int vqs_ssim(VqsSsim* s, const VqsPlane* ref, const VqsPlane* dis, size_t renditions, VqsSsimSums* sums) {
  if (renditions > s->renditions) return kVqsInvalid;
  if (vqs_cpu_is_plain()) {
    return vqs::SsimPlain(static_cast<size_t>(s->width), static_cast<size_t>(s->height), s->bpc, *ref, dis, renditions, s->passes,
                          s->pass_count, sums);
  }
  using namespace vqs;
  return HWY_DYNAMIC_DISPATCH(Ssim)(s, ref, dis, renditions, sums);
}

#endif  // HWY_ONCE
