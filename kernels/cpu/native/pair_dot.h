// pair_dot.h — the one multiply-add that VIF, ADM and motion live on: pairs of signed 16-bit products added to
// 32-bit lanes. Included inside HWY_NAMESPACE once for each target (see foreach_target), hence the guard.
//
//   PairDot(acc, a, b)[i] = acc[i] + a[2i]·b[2i] + a[2i+1]·b[2i+1]        modulo 2^32
//
// x86 has it as pmaddwd and, with VNNI, fused with the addition. Elsewhere the lanes are taken apart, since Highway's
// ReorderWidenMulAccumulate promises no order there and order is the point here.
#if defined(VQS_CPU_PAIR_DOT_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VQS_CPU_PAIR_DOT_H_
#undef VQS_CPU_PAIR_DOT_H_
#else
#define VQS_CPU_PAIR_DOT_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class V32, class V16>
HWY_INLINE V32 PairDot(V32 acc, V16 a, V16 b) {
#if HWY_TARGET == HWY_AVX3_DL
  // As text: Highway 1.0.3 asks the processor for AVX512_VNNI here but does not tell the compiler, which then refuses
  // the intrinsic.
  __asm__("vpdpwssd %2, %1, %0" : "+v"(acc.raw) : "v"(a.raw), "vm"(b.raw));
  return acc;
#elif HWY_TARGET == HWY_AVX3
  return V32{_mm512_add_epi32(acc.raw, _mm512_madd_epi16(a.raw, b.raw))};
#elif HWY_TARGET == HWY_AVX2
  return V32{_mm256_add_epi32(acc.raw, _mm256_madd_epi16(a.raw, b.raw))};
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  return V32{_mm_add_epi32(acc.raw, _mm_madd_epi16(a.raw, b.raw))};
#else
  const hn::DFromV<V32> d32;
  const auto a32 = hn::BitCast(d32, a);
  const auto b32 = hn::BitCast(d32, b);
  const auto even = hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(a32)),
                            hn::ShiftRight<16>(hn::ShiftLeft<16>(b32)));
  const auto odd = hn::Mul(hn::ShiftRight<16>(a32), hn::ShiftRight<16>(b32));
  return hn::Add(acc, hn::Add(even, odd));
#endif
}

// TapPair is the 32-bit lane that holds two 16-bit taps, first below second, for PairDot's b.
HWY_INLINE int32_t TapPair(int first, int second) {
  return static_cast<int32_t>((static_cast<uint32_t>(second) << 16) |
                              (static_cast<uint32_t>(first) & 0xffff));
}

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#endif  // VQS_CPU_PAIR_DOT_H_
