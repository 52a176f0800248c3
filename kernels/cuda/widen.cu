// widen.cu — pictures of 8 bits as pictures of more, for those that a decoder has left on the device.              Source: decode's Converter
//
//   wide = v << up | v >> down      down is 8 − up where the bits of a sample are to be repeated below it, and at least 8 where not
//
// in     one picture of u8: luma, and chroma planes whose samples are `step` apart
// out    the same as u16, planes one by one; rows begin at multiples of 8 bytes
// fixed  up 1 … 8, so that the value fits 16 bits
// moved  a sample: one byte read, two written
// work   a sample: two shifts and an or
// grid   a thread for 4 samples of a row; x: columns, y: rows, z: plane. No shared memory and no barrier
#include "device.h"

namespace {

constexpr int kThreads = 128;
constexpr int kGroup = 4;  // samples of a thread

VQS_DEVICE uint32_t Wide(uint8_t v, int up, int down) { return static_cast<uint32_t>(v) << up | static_cast<uint32_t>(v) >> down; }

}  // namespace

// Plane 0 is luma. from1 and from2, with all that belongs to them, count only where the grid has three planes.
extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_widen_u8(uint64_t from0, uint32_t from_pitch0, uint64_t to0, uint32_t to_pitch0, int width0, int height0, int down0,
                 uint64_t from1, uint64_t from2, uint32_t from_pitch1, int step1, uint64_t to1, uint64_t to2, uint32_t to_pitch1, int width1, int height1,
                 int up) {
  const int plane = BlockZ(), y = BlockY(), x = (BlockX() * kThreads + ThreadX()) * kGroup;
  const bool luma = plane == 0;
  const int width = luma ? width0 : width1, step = luma ? 1 : step1, down = luma ? down0 : 8;
  if (x >= width || y >= (luma ? height0 : height1)) return;
  const uint8_t* const from = reinterpret_cast<const uint8_t*>((luma ? from0 : plane == 1 ? from1 : from2) +
                                                               static_cast<uint64_t>(y) * (luma ? from_pitch0 : from_pitch1));
  uint16_t* const to =
      reinterpret_cast<uint16_t*>((luma ? to0 : plane == 1 ? to1 : to2) + static_cast<uint64_t>(y) * (luma ? to_pitch0 : to_pitch1));
  if (x + kGroup <= width) {
    uint32_t v[kGroup];
#pragma unroll
    for (int i = 0; i < kGroup; ++i) v[i] = Wide(Read(from + (x + i) * step), up, down);
    Store(reinterpret_cast<VqsWord2*>(to + x), VqsWord2{v[0] | v[1] << 16, v[2] | v[3] << 16});
    return;
  }
  for (int i = x; i < width; ++i) Store(to + i, static_cast<uint16_t>(Wide(Read(from + i * step), up, down)));
}
