// front.cc — CAMBI's picture: conversion, anti-dither filter, spatial mask, mode filter.            Source: spec/cambi.md §5 … §7.2
//
//   M(r,c) = [ Σ_7×7 z > T ]      z(r,c) = [I(r,c) = I(r,c+1)]·[I(r,c) = I(r+1,c)]
//
// in     plane      u8 (bpc 8) or u16 (9 … 16)
// out    image      u16, code | kCambiMaskedOut; codes: u16, rows of the table or kCambiNoRow
// fixed  I          u16, 0 … 1024;  four of them add up to 4096
//        z          s8, 0 or −1;  over 7 rows ≥ −7, over 7×7 ≥ −49
// order  integers only
// bands  one picture row after another through rings of rows, which stay in L1 or L2: a picture row is read once. Rows end in copies of
//        their last sample, so that the rules for the last row and column are those for the others.
#include "hd.h"

#include <string.h>

#include <algorithm>

#include "front.h"
#include "library.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "front.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef VQS_CPU_CAMBI_FRONT_ROWS_
#define VQS_CPU_CAMBI_FRONT_ROWS_
namespace vqs {
namespace {

// Which rows the front end needs at a time: the mask of row r needs flatness up to r + 3, and that of a row leaves the column sums when
// r − 4 does.
constexpr int kImageRows = 8, kFlatRows = 8, kSampleRows = 2, kModeRows = 3;
static_assert(kFlatRows == 2 * kCambiMaskRadius + 2, "a flatness row comes as another one leaves");

int RowElements(int width) { return kCambiPad + (width + kCambiBlock - 1) / kCambiBlock * kCambiBlock + kCambiPad; }

// Rows are the rings. All pointers are to column 0.
struct Rows {
  uint16_t *image[kImageRows], *samples[kSampleRows], *mode[kModeRows], *out;
  int8_t *flat[kFlatRows], *column;
  Rows(uint8_t* memory, int width) {
    const int n = RowElements(width);
    const auto u16 = [&] {
      uint16_t* const row = reinterpret_cast<uint16_t*>(memory) + kCambiPad;
      memory += sizeof(uint16_t) * static_cast<size_t>(n);
      return row;
    };
    const auto s8 = [&] {
      int8_t* const row = reinterpret_cast<int8_t*>(memory) + kCambiPad;
      memory += static_cast<size_t>(n);
      return row;
    };
    for (auto& row : image) row = u16();
    for (auto& row : samples) row = u16();
    for (auto& row : mode) row = u16();
    out = u16();
    for (auto& row : flat) row = s8();
    column = s8();
  }
};

// Close repeats the samples at both ends.
void Close(uint16_t* row, int width) {
  row[-1] = row[0];
  row[width] = row[width - 1];
}

}  // namespace
}  // namespace vqs
#endif  // VQS_CPU_CAMBI_FRONT_ROWS_

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// Never called: see CambiVectors.
bool FrontVector(VqsCambi*, const CambiSetup&, const VqsPlane&) { return false; }
CambiScale Filter(VqsCambi*, const CambiSetup&, int, int, int) { return {}; }

#else

using D16 = hn::ScalableTag<uint16_t>;
using V16 = hn::VFromD<D16>;
using DS8 = hn::ScalableTag<int8_t>;

// Converter takes samples to the 10-bit scale and remembers which bits they had.
template <typename Sample>
struct Converter {
  int bpc;
  V16 seen = hn::Zero(D16());
  uint32_t seen_singly = 0;

  HWY_INLINE V16 Load(const Sample* p) const {
    const D16 d;
    if constexpr (sizeof(Sample) == 1) {
      return hn::PromoteTo(d, hn::LoadU(hn::Rebind<uint8_t, D16>(), p));
    } else {
      return hn::LoadU(d, p);
    }
  }

  template <class Convert>
  HWY_INLINE void Each(const Sample* in, int width, uint16_t* out, Convert convert) {
    const D16 d;
    const int n = static_cast<int>(hn::Lanes(d));
    if (width < n) {
      for (int c = 0; c < width; ++c) {
        seen_singly |= in[c];
        out[c] = CambiSample(bpc, in[c]);
      }
      return;
    }
    // The last vector overlaps its predecessor, for a row ends where it ends.
    for (int c = 0;; c = std::min(c + n, width - n)) {
      const V16 v = Load(in + c);
      seen = hn::Or(seen, v);
      hn::StoreU(convert(v), d, out + c);
      if (c == width - n) return;
    }
  }

  void Row(const Sample* in, int width, uint16_t* out) {
    const D16 d;
    if (bpc == kCambiBits) {
      Each(in, width, out, [](V16 v) { return v; });
    } else if (bpc < kCambiBits) {
      const int shift = kCambiBits - bpc;
      Each(in, width, out, [shift](V16 v) { return hn::ShiftLeftSame(v, shift); });
    } else {
      // (v + 2^(s−1)) >> s without the carry: one bit more than is kept, and half of it rounded up.
      const int shift = bpc - kCambiBits - 1;
      Each(in, width, out, [shift, d](V16 v) { return hn::AverageRound(hn::ShiftRightSame(v, shift), hn::Zero(d)); });
    }
  }

  bool Valid() {
    const D16 d;
    HWY_ALIGN uint16_t lanes[HWY_MAX_BYTES / sizeof(uint16_t)];
    hn::Store(seen, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); ++i) seen_singly |= lanes[i];
    return seen_singly >> bpc == 0;
  }
};

// AntiDither is §5.3 of two rows, the same one twice at the bottom.
void AntiDither(const uint16_t* row, const uint16_t* below, int width, uint16_t* out) {
  const D16 d;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int c = 0; c < width; c += n) {
    const V16 left = hn::Add(hn::Load(d, row + c), hn::Load(d, below + c));
    const V16 right = hn::Add(hn::LoadU(d, row + c + 1), hn::LoadU(d, below + c + 1));
    hn::Store(hn::ShiftRight<2>(hn::Add(left, right)), d, out + c);
  }
}

// Flatness is z of a row, −1 where it is flat.
void Flatness(const uint16_t* row, const uint16_t* below, int width, int8_t* flat) {
  const D16 d;
  const hn::RebindToSigned<D16> ds;
  const hn::Rebind<int8_t, D16> d8;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int c = 0; c < width; c += n) {
    const V16 v = hn::Load(d, row + c);
    const auto z = hn::And(hn::Eq(v, hn::LoadU(d, row + c + 1)), hn::Eq(v, hn::Load(d, below + c)));
    hn::StoreU(hn::DemoteTo(d8, hn::BitCast(ds, hn::VecFromMask(d, z))), d8, flat + c);
  }
  memset(flat + width, 0, kCambiPad);
}

// Slide adds one row of flatness to the column sums and takes another away.
void Slide(const int8_t* enters, const int8_t* leaves, int width, int8_t* column) {
  const DS8 d;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int c = 0; c < width; c += n) {
    hn::StoreU(hn::Add(hn::LoadU(d, column + c), hn::Sub(hn::LoadU(d, enters + c), hn::LoadU(d, leaves + c))), d, column + c);
  }
}

// Masked marks the samples of a row whose mask is 0.
void Masked(const uint16_t* row, const int8_t* column, int width, int threshold, uint16_t* out) {
  const D16 d;
  const hn::RebindToSigned<D16> ds;
  const hn::Rebind<int8_t, D16> d8;
  const int n = static_cast<int>(hn::Lanes(d));
  const auto limit = hn::Set(d8, static_cast<int8_t>(-threshold));
  const V16 mark = hn::Set(d, kCambiMaskedOut);
  for (int c = 0; c < width; c += n) {
    auto sum = hn::LoadU(d8, column + c);
    for (int k = 1; k <= kCambiMaskRadius; ++k) {
      sum = hn::Add(sum, hn::Add(hn::LoadU(d8, column + c - k), hn::LoadU(d8, column + c + k)));
    }
    const V16 in = hn::BitCast(d, hn::PromoteTo(ds, hn::VecFromMask(d8, hn::Lt(sum, limit))));
    hn::Store(hn::Or(hn::Load(d, row + c), hn::AndNot(in, mark)), d, out + c);
  }
}

// Decimated takes every other sample.
void Decimated(const uint16_t* in, int width, uint16_t* out) {
  const D16 d;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int c = 0; c < width; c += n) {
    hn::Store(hn::ConcatEven(d, hn::Load(d, in + 2 * c + n), hn::Load(d, in + 2 * c)), d, out + c);
  }
  Close(out, width);
}

template <typename Sample>
bool Front(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane) {
  const int width = setup.width, height = setup.height, bpc = scratch->bpc;
  const Rows rows(scratch->rows, width);
  Converter<Sample> convert{bpc};
  const auto source = [&](int y) {
    return reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes);
  };
  if (setup.columns != nullptr) {
    for (int y = 0; y < scratch->height; ++y) {  // rows that are left out must hold no larger samples either
      const Sample* const row = source(y);
      uint32_t seen = 0;
      for (int x = 0; x < scratch->width; ++x) seen |= row[x];
      convert.seen_singly |= seen;
    }
  }
  const auto sampled = [&](int r, uint16_t* out) {
    if (setup.columns == nullptr) {
      convert.Row(source(r), width, out);
    } else {
      const Sample* const row = source(static_cast<int>(setup.rows[r]));
      for (int c = 0; c < width; ++c) out[c] = CambiSample(bpc, row[setup.columns[c]]);
    }
    Close(out, width);
  };
  // Nothing is flat around the picture.
  memset(rows.flat[0] - kCambiPad, 0, static_cast<size_t>(RowElements(width)) * (kFlatRows + 1));
  const int threshold = CambiMaskThreshold(width, height);
  if (setup.anti_dither) sampled(0, rows.samples[0]);
  for (int r = 0; r <= height + kCambiMaskRadius; ++r) {
    uint16_t* const image = rows.image[r % kImageRows];
    if (r < height && setup.anti_dither) {
      const uint16_t* const row = rows.samples[r % kSampleRows];
      uint16_t* const below = rows.samples[(r + 1) % kSampleRows];
      if (r + 1 < height) sampled(r + 1, below);
      AntiDither(row, r + 1 < height ? below : row, width, image);
      Close(image, width);
    } else if (r < height) {
      sampled(r, image);
    }
    int8_t* const enters = rows.flat[(r + kFlatRows - 1) % kFlatRows];  // row r − 1
    if (r > height) {
      memset(enters, 0, static_cast<size_t>(width));
    } else if (r > 0) {
      const uint16_t* const last = rows.image[(r - 1) % kImageRows];
      Flatness(last, r < height ? image : last, width, enters);
    }
    Slide(enters, rows.flat[r % kFlatRows], width, rows.column);  // row r − 8 leaves
    const int ready = r - 1 - kCambiMaskRadius;
    if (ready < 0) continue;
    const uint16_t* const row = rows.image[ready % kImageRows];
    if (!setup.high_res) {
      Masked(row, rows.column, width, threshold, scratch->image[0].Row(ready));
      Close(scratch->image[0].Row(ready), width);
    } else if (ready % 2 == 0) {
      Masked(row, rows.column, width, threshold, rows.out);
      Decimated(rows.out, CambiHalf(width), scratch->image[0].Row(ready / 2));
    }
  }
  return convert.Valid();
}

HWY_INLINE V16 Mode3(V16 a, V16 b, V16 c) {
  const V16 smallest = hn::Min(a, hn::Min(b, c));
  const V16 with_a = hn::IfThenElse(hn::Or(hn::Eq(a, b), hn::Eq(a, c)), a, smallest);
  return hn::IfThenElse(hn::Eq(b, c), b, with_a);
}

CambiScale Filter(VqsCambi* scratch, const CambiSetup& setup, int scale, int width, int height) {
  const D16 d;
  const int n = static_cast<int>(hn::Lanes(d));
  const Rows rows(scratch->rows, setup.width);
  const CambiImage& in = scratch->image[scale & 1];
  const CambiImage& next = scratch->image[(scale + 1) & 1];
  const V16 code_bits = hn::Set(d, kCambiMaskedOut - 1);
  const auto horizontal = [&](int r) {
    const uint16_t* const row = in.Row(r);
    uint16_t* const out = rows.mode[r % kModeRows];
    for (int c = 0; c < width; c += n) {
      hn::Store(Mode3(hn::And(hn::LoadU(d, row + c - 1), code_bits), hn::And(hn::Load(d, row + c), code_bits),
                      hn::And(hn::LoadU(d, row + c + 1), code_bits)), d, out + c);
    }
  };
  // Codes below low wrap, those of masked-out pixels have the highest bit: one comparison leaves what is counted.
  const V16 low = hn::Set(d, static_cast<uint16_t>(setup.low));
  const V16 span = hn::Set(d, static_cast<uint16_t>(setup.high - setup.low));
  const V16 first_row = hn::Set(d, static_cast<uint16_t>(setup.contrasts));
  const V16 none = hn::Set(d, kCambiNoRow);
  V16 smallest = none, largest = hn::Zero(d);
  CambiScale found = {width, height, 0, 0, 0};
  for (int r = 0; r < height; ++r) {
    if (r == 0) horizontal(0);
    if (r + 1 < height) horizontal(r + 1);
    const bool edge = r == 0 || r == height - 1;
    const uint16_t* const row = in.Row(r);
    const uint16_t* const above = rows.mode[(r + kModeRows - 1) % kModeRows];
    const uint16_t* const at = rows.mode[r % kModeRows];
    const uint16_t* const below = rows.mode[(r + 1) % kModeRows];
    uint16_t* const codes = scratch->codes.Row(r);
    V16 counted = hn::Zero(d);
    for (int c = 0; c < width; c += n) {
      const V16 unfiltered = hn::Load(d, row + c);
      const V16 filtered =
          edge ? unfiltered
               : hn::Or(hn::AndNot(code_bits, unfiltered), Mode3(hn::Load(d, above + c), hn::Load(d, at + c), hn::Load(d, below + c)));
      const V16 from_low = hn::Sub(filtered, low);
      const auto counts = hn::Eq(hn::Min(from_low, span), from_low);
      const V16 table_row = hn::IfThenElse(counts, hn::Add(from_low, first_row), none);
      smallest = hn::Min(smallest, table_row);
      largest = hn::Max(largest, hn::IfThenElseZero(counts, table_row));
      counted = hn::Sub(counted, hn::VecFromMask(d, counts));
      hn::Store(table_row, d, codes + c);
      hn::Store(filtered, d, rows.out + c);
    }
    std::fill(codes - kCambiPad, codes, kCambiNoRow);
    std::fill(codes + width, codes + (width + kCambiBlock - 1) / kCambiBlock * kCambiBlock + kCambiPad, kCambiNoRow);
    HWY_ALIGN uint16_t lanes[HWY_MAX_BYTES / sizeof(uint16_t)];
    hn::Store(counted, d, lanes);
    for (int i = 0; i < n; ++i) found.counted += lanes[i];
    if (r % 2 == 0 && scale + 1 < kCambiScales) Decimated(rows.out, CambiHalf(width), next.Row(r / 2));
  }
  HWY_ALIGN uint16_t lanes[HWY_MAX_BYTES / sizeof(uint16_t)];
  hn::Store(smallest, d, lanes);
  found.first = *std::min_element(lanes, lanes + n);
  hn::Store(largest, d, lanes);
  found.last = *std::max_element(lanes, lanes + n);
  return found;
}

bool FrontVector(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane) {
  return scratch->bpc == 8 ? Front<uint8_t>(scratch, setup, plane) : Front<uint16_t>(scratch, setup, plane);
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace
// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vqs {

HWY_EXPORT(FrontVector);
HWY_EXPORT(Filter);

size_t CambiRowsBytes(int width) {
  return static_cast<size_t>(RowElements(width)) *
         (sizeof(uint16_t) * (kImageRows + kSampleRows + kModeRows + 1) + kFlatRows + 1);
}

bool CambiFront(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane) {
  return HWY_DYNAMIC_DISPATCH(FrontVector)(scratch, setup, plane);
}

CambiScale CambiFilter(VqsCambi* scratch, const CambiSetup& setup, int scale, int width, int height) {
  return HWY_DYNAMIC_DISPATCH(Filter)(scratch, setup, scale, width, height);
}

}  // namespace vqs

#endif  // HWY_ONCE
