// ciede.cu — colour differences.                                                        Source: spec/classic-metrics.md §6
//
//   sum = Σ_yx ΔE00(ref(x, y), dis(x, y))
//
// in     references, distorted               luma of T = u8 or u16, any alignment
//        reference_chroma, distorted_chroma  Cb and Cr, one after the other or alternating
//        frames                              which pairs belong to which reference
// out    sums  u64[pairs][2], zeroed by the caller: whole parts, and fractions in 2^−36, which may add up to more than whole
// float  L*a*b* and what is between them and the difference: f32 and f64 as ciede/difference.inl has it, unfused
// fixed  a difference in 2^−36, 44 bits; of the 32·8 pixels of a warp 52 bits
// order  ΔE00 is a pixel's own; their sum is one of integers, so any order of threads gives the same bits
// moved  a sample: one of each picture read; tables of 43 KiB, of which pictures use a part, from the caches
// work   a pixel: some 120 operations of f64 for L*a*b* of a picture and 230 for a difference: the unit for f64 is what it waits for
// grid   x: blocks of 128 columns; y: of 8 rows; z: frame. Shared memory 12 KiB, for L*a*b* of the reference
//
// A thread has a column of its own. It makes L*a*b* of the reference once, keeps it in shared memory, which no other thread looks at, and
// goes through the frame's pairs.
#include "batch.h"
#include "ciede/difference.h"

namespace {

using vqs::CiedeLab;
using vqs::CiedePlace;

constexpr int kThreads = 128, kWarp = 32;
constexpr int kResident = 4;  // blocks that a multiprocessor is to hold: 128 registers a thread
constexpr int kRows = 8;      // of a block: one sum over a warp for 256 pixels
constexpr uint64_t kFractions = (uint64_t{1} << vqs::kCiedeFraction) - 1;

// Layout is how chroma relates to luma. gpu/ciede.go has the same numbers.
enum Layout { k420 = 0, k422 = 1, k444 = 2 };

struct Shape {
  int width, height, chroma_width, chroma_height, layout, bpc;
};

// Place is where the chroma of a pixel is.
VQS_DEVICE CiedePlace Place(const Shape& shape, int x, int y) {
  if (shape.layout == k420) return CiedePlace{vqs::CiedeHalf(x, shape.width), vqs::CiedeHalf(y, shape.height)};
  if (shape.layout == k422) return vqs::CiedeFlaw422(x, y, shape.chroma_width, shape.chroma_height);
  return CiedePlace{x, y};
}

// Chroma is the sample of a plane at a place.
template <typename T>
VQS_DEVICE double Chroma(const VqsChroma& chroma, int plane, const CiedePlace& place, int bpc) {
  if (place.column < 0) return 0;
  return Native(Read(ChromaRow<T>(chroma, plane, place.row) + static_cast<uint32_t>(place.column) * chroma.step), chroma.left_shift, bpc);
}

// LabOf is L*a*b* of the pixel in column x and row y of a picture.
template <typename T>
VQS_DEVICE CiedeLab<double> LabOf(const VqsPicture& luma, const VqsChroma& chroma, const Shape& shape, int x, int y) {
  const CiedePlace place = Place(shape, x, y);
  return vqs::CiedeLabOf(vqs::CiedeRgbOf<double>(Native(Read(Row<T>(luma, y) + x), luma.left_shift, shape.bpc),
                                                 Chroma<T>(chroma, 0, place, shape.bpc), Chroma<T>(chroma, 1, place, shape.bpc),
                                                 vqs::CiedeDepthOf(shape.bpc)));
}

template <typename T>
VQS_DEVICE void Sum(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                    const VqsChroma* distorted_chroma, const VqsFrame* frames, const Shape& shape, uint64_t* sums) {
  VQS_SHARED(float, lab, kThreads * kRows * 3);
  const int thread = ThreadX(), row = BlockY() * kRows, rows = Min(kRows, shape.height - row);
  // Threads beyond the last column do as the one in it, and do not count.
  const bool counts = BlockX() * kThreads + thread < shape.width;
  const int x = Min(BlockX() * kThreads + thread, shape.width - 1);
  const VqsFrame frame = ReadFrame(frames, BlockZ());
  if (frame.pairs == 0) return;  // the same for all threads

  {
    const VqsPicture luma = ReadPicture(references, frame.reference);
    const VqsChroma chroma = ReadChroma(reference_chroma, frame.reference);
#pragma unroll 1
    for (int i = 0; i < rows; ++i) {
      const CiedeLab<double> pixel = LabOf<T>(luma, chroma, shape, x, row + i);
      const int at = i * 3 * kThreads + thread;
      lab[at] = pixel.l;
      lab[at + kThreads] = pixel.a;
      lab[at + 2 * kThreads] = pixel.b;
    }
  }
#pragma unroll 1
  for (uint32_t pair = frame.first_pair; pair < frame.first_pair + frame.pairs; ++pair) {
    const VqsPicture luma = ReadPicture(distorted, pair);
    const VqsChroma chroma = ReadChroma(distorted_chroma, pair);
    uint64_t sum = 0;
#pragma unroll 1
    for (int i = 0; i < rows; ++i) {
      const int at = i * 3 * kThreads + thread;
      const CiedeLab<double> ref{lab[at], lab[at + kThreads], lab[at + 2 * kThreads]};
      const CiedeLab<double> dis = LabOf<T>(luma, chroma, shape, x, row + i);
      sum += vqs::CiedeFixed(vqs::CiedeDifference<double>(ref, dis));
    }
    sum = WarpSum(counts ? sum : uint64_t{0});
    if (thread % kWarp == 0) {
      AtomicAdd(&sums[2 * pair], sum >> vqs::kCiedeFraction);
      AtomicAdd(&sums[2 * pair + 1], sum & kFractions);
    }
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads, kResident)
    vqs_ciede_sum_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                     const VqsChroma* distorted_chroma, const VqsFrame* frames, int width, int height, int chroma_width, int chroma_height,
                     int layout, int bpc, uint64_t* sums) {
  Sum<uint8_t>(references, distorted, reference_chroma, distorted_chroma, frames,
               Shape{width, height, chroma_width, chroma_height, layout, bpc}, sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kResident)
    vqs_ciede_sum_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                      const VqsChroma* distorted_chroma, const VqsFrame* frames, int width, int height, int chroma_width, int chroma_height,
                      int layout, int bpc, uint64_t* sums) {
  Sum<uint16_t>(references, distorted, reference_chroma, distorted_chroma, frames,
                Shape{width, height, chroma_width, chroma_height, layout, bpc}, sums);
}
