// psnrhvs_plain.cc — PSNR-HVS-M of one plane, one block at a time.                     Source: spec/classic-metrics.md §5
//
//   sum = Σ_blocks Σ_n (w_n · max(0, |DCT(ref)_n − DCT(dis)_n| − mask/m_n))²      blocks of 8×8 in raster order, every 7 samples; n in raster order
//
// in     ref, dis    u8 (bpc 8) or u16 (9 … 12)
// out    sum         f32, of each dis; rounded after every addition
// fixed  transform   s32
// float  all the rest, f32, as psnrhvs/block.h has it
// order  is part of the result, throughout
#include "hd.h"

#include <string.h>

#include "psnrhvs_plain.h"

namespace vqs {
namespace {

// What is kept of a block: its coefficients and what differences it hides.
struct Block {
  int32_t coefficients[kHvsCoefficients];
  float mask;
};

template <typename Sample>
Block Analysed(const VqsPlane& plane, int x, int y, const float* masking) {
  Block block;
  int32_t* const values = block.coefficients;
  for (int i = 0; i < kHvsSize; ++i) {
    const Sample* const row =
        reinterpret_cast<const Sample*>(static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y + i) * plane.stride_bytes) + x;
    for (int j = 0; j < kHvsSize; ++j) values[i * kHvsSize + j] = row[j];
  }
  const float contrast = HvsContrast(values);
  HvsDct(values);
  block.mask = HvsMask(values, contrast, [&](int n) { return masking[n]; });
  return block;
}

template <typename Sample>
void Sum(const HvsCall& call, float* sums) {
  const float* const weights = kHvsWeights[call.plane];
  const float* const masking = kHvsMaskings[call.plane];
  for (size_t k = 0; k < call.count; ++k) sums[k] = 0;
  for (int y = 0; y < call.height - kHvsStep; y += kHvsStep) {
    for (int x = 0; x < call.width - kHvsStep; x += kHvsStep) {
      const Block ref = Analysed<Sample>(*call.ref, x, y, masking);
      for (size_t k = 0; k < call.count; ++k) {
        const Block dis = Analysed<Sample>(call.dis[k], x, y, masking);
        const float mask = dis.mask > ref.mask ? dis.mask : ref.mask;
        for (int n = 0; n < kHvsCoefficients; ++n) {
          const float threshold = n == 0 ? 0 : mask / masking[n];
          sums[k] += HvsContribution(ref.coefficients[n], dis.coefficients[n], threshold, weights[n]);
        }
      }
    }
  }
}

}  // namespace

void HvsPlain(const VqsPsnrHvs& scratch, const HvsCall& call, float* sums) {
  if (scratch.bpc == 8) {
    Sum<uint8_t>(call, sums);
  } else {
    Sum<uint16_t>(call, sums);
  }
}

}  // namespace vqs
