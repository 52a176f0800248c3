// ciede_plain.cc — colour differences, one pixel at a time.                                 Source: spec/classic-metrics.md §6
//
//   sum = Σ_yx ΔE00(ref(x, y), dis(x, y))
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 16): Y, Cb, Cr
// out    sum         u64 in 2^−36 a row
// order  ΔE00 of a pixel is a binary32, of operations in the order of difference.inl; their sum is one of integers, in any order
#include "hd.h"

#include <stdint.h>

#include "ciede/difference.h"
#include "ciede_scratch.h"

namespace vqs {
namespace {

uint16_t Sample(const VqsPlane& plane, int bpc, int x, int y) {
  const uint8_t* const row = static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes;
  return bpc == 8 ? row[x] : reinterpret_cast<const uint16_t*>(row)[x];
}

// Place is where a pixel's chroma is.
CiedePlace Place(const VqsCiede& s, int x, int y) {
  switch (s.layout) {
    case kVqsCiede420:
      return CiedePlace{CiedeHalf(x, s.width), CiedeHalf(y, s.height)};
    case kVqsCiede422:
      return CiedeFlaw422(x, y, s.chroma_width, s.chroma_height);
    default:
      return CiedePlace{x, y};
  }
}

}  // namespace

void CiedeReadRowPlain(VqsCiede* scratch, const VqsPlane* picture, int y) {
  for (int x = 0; x < scratch->width; ++x) {
    const CiedePlace place = Place(*scratch, x, y);
    scratch->samples[x] = Sample(picture[0], scratch->bpc, x, y);
    for (size_t i = 1; i < 3; ++i) {
      scratch->samples[i * scratch->room + static_cast<size_t>(x)] =
          place.column < 0 ? uint16_t{0} : Sample(picture[i], scratch->bpc, place.column, place.row);
    }
  }
}

void CiedeLabRowPlain(const VqsCiede& scratch, float* lab) {
  const size_t room = scratch.room;
  for (size_t x = 0; x < static_cast<size_t>(scratch.width); ++x) {
    const uint16_t* const sample = scratch.samples + x;
    const CiedeLab<double> pixel = CiedeLabOf(CiedeRgbOf<double>(sample[0], sample[room], sample[2 * room], scratch.depth));
    lab[x] = pixel.l;
    lab[x + room] = pixel.a;
    lab[x + 2 * room] = pixel.b;
  }
}

uint64_t CiedeSumRowPlain(const VqsCiede& scratch) {
  const size_t room = scratch.room;
  uint64_t sum = 0;
  for (size_t x = 0; x < static_cast<size_t>(scratch.width); ++x) {
    const float *const ref = scratch.lab[0] + x, *const dis = scratch.lab[1] + x;
    sum += CiedeFixed(CiedeDifference(CiedeLab<double>{ref[0], ref[room], ref[2 * room]}, CiedeLab<double>{dis[0], dis[room], dis[2 * room]}));
  }
  return sum;
}

}  // namespace vqs
