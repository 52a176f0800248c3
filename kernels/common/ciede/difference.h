// difference.h — the colour difference ΔE00 of two pixels.                                       Source: spec/classic-metrics.md §6
//
//   Y'CbCr → R'G'B' → RGB → XYZ → L*a*b* of both pixels;  then their difference, weighted by lightness, chroma and hue
//
// What is a binary32 in the description is one here, and what is a binary64 is one. Powers, sine, cosine, angle and exponential are those of
// math/ and powers.h, within 2^−43 of the C library's: a binary32 is another one on rare occasions, and the mean over a picture moves by less
// than 10^−9 of it.
#ifndef VQS_COMMON_CIEDE_DIFFERENCE_H_
#define VQS_COMMON_CIEDE_DIFFERENCE_H_

#include "ciede/powers.h"
#include "math/angle.h"
#include "math/exp.h"
#include "math/number.h"

namespace vqs {

// A difference is summed in units of 2^−36, to which one that is not tiny is a multiple of anyway: it is below 256 for samples in range. The sum of a
// row, of up to 65536 pixels, takes 60 bits.
constexpr int kCiedeFraction = 36;
constexpr int kCiedeMaxSize = 65536;

// CiedeDepth is what samples of a depth are brought to their ranges with: black, and one over the range.
struct CiedeDepth {
  double luma_zero, luma_scale, chroma_zero, chroma_scale;
};

VQS_HD CiedeDepth CiedeDepthOf(int bpc) {
  const int k = 1 << (bpc - 8);
  return CiedeDepth{16.0 * k, 1 / (219.0 * k), 128.0 * k, 1 / (224.0 * k)};
}

// CiedeHalf is where the chroma of pixel i of a row or column of size ≥ 2 is, in planes that have floor(size/2). The last of an odd number has the
// chroma of the one before.
VQS_HD int CiedeHalf(int i, int size) {
  const int last = size / 2 - 1, half = i / 2;
  return half < last ? half : last;
}

// CiedeFlaw422 is where libvmaf looks for the chroma of the pixel in column x and row y of a 4:2:2 picture: not in the row and half the column, but
// in half the row and the column, which is beyond the plane's row for the right half of the picture. There are samples of value 0 up to the
// next multiple of 32, then the next row. The column is −1 for such a zero. Rows below the plane, which only flat pictures have, read as its last.
struct CiedePlace {
  int column, row;
};
VQS_HD CiedePlace CiedeFlaw422(int x, int y, int chroma_width, int chroma_height) {
  const int stride = (chroma_width + 31) / 32 * 32;
  const int column = x % stride, row = y / 2 + x / stride;
  return CiedePlace{column < chroma_width ? column : -1, row < chroma_height ? row : chroma_height - 1};
}

#include "ciede/difference.inl"

}  // namespace vqs

#endif  // VQS_COMMON_CIEDE_DIFFERENCE_H_
