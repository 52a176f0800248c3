// vif_log.h — log2 of 32-bit lanes in units of 1/2048, as spec/vif.md §2.2 defines it. Included once for each target.
#if defined(VQS_CPU_VIF_LOG_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VQS_CPU_VIF_LOG_H_
#undef VQS_CPU_VIF_LOG_H_
#else
#define VQS_CPU_VIF_LOG_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

// LogOfMantissa is LOG[32768 + m] without a gather. f holds the float 1 + m/32768, and the five low bits of segment are m's five
// high ones: in each of 32 segments f is taken relative to the middle c, r = f·c⁻¹ − 1 with |r| ≤ 1/64, and log2(1 + r) is a polynomial.
// VifLog says why the result is exact.
HWY_INLINE __m512i LogOfMantissa(__m512i segment, __m512i f, const VifLog& tables) {
  const __m512 inverse = _mm512_permutex2var_ps(_mm512_load_ps(tables.inverse), segment, _mm512_load_ps(tables.inverse + 16));
  const __m512 fraction =
      _mm512_permutex2var_ps(_mm512_load_ps(tables.fraction), segment, _mm512_load_ps(tables.fraction + 16));
  const __m512i base = _mm512_permutex2var_epi32(_mm512_load_si512(tables.base), segment, _mm512_load_si512(tables.base + 16));
  const __m512 r = _mm512_fmsub_ps(_mm512_castsi512_ps(f), inverse, _mm512_set1_ps(1.0f));
  __m512 p = _mm512_set1_ps(tables.polynomial[3]);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(tables.polynomial[2]));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(tables.polynomial[1]));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(tables.polynomial[0]));
  p = _mm512_fmadd_ps(p, r, fraction);
  return _mm512_add_epi32(base, _mm512_cvt_roundps_epi32(p, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

// Log2OfDoubles is Log2 of 16 integers below 2^31 that are held as doubles, but for a constant: a double has the mantissa's
// leading bits in their place already, and truncated, since it holds the integer exactly.
HWY_INLINE __m512i Log2OfDoubles(__m512d low, __m512d high, const VifLog& tables) {
  // The upper halves of 16 doubles: sign, 11 bits of exponent, 20 of mantissa.
  const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  const __m512i bits = _mm512_permutex2var_epi32(_mm512_castpd_si512(low), odd, _mm512_castpd_si512(high));
  const __m512i f = _mm512_ternarylogic_epi32(_mm512_slli_epi32(bits, 3), _mm512_set1_epi32(0x007fff00),
                                              _mm512_set1_epi32(0x3f800000), 0xEA);
  const __m512i k = _mm512_and_si512(_mm512_srli_epi32(bits, 9), _mm512_set1_epi32(~2047));
  return _mm512_add_epi32(LogOfMantissa(_mm512_srli_epi32(bits, 15), f, tables), k);
}

#endif

// Log2 of 2^17 ≤ x < 2^31. Other lanes give something harmless. tables is what VifLogTables returns.
//
// The mantissa's 16 leading bits are found by conversion to float. Clearing in x the bits that x >> 16 has set leaves those 16 alone
// and makes the 17th zero, so that rounding to 24 bits cannot carry into them.
template <class V>
HWY_INLINE V Log2(V x, const VifLog& tables) {
  const hn::DFromV<V> d32;
  const hn::RebindToFloat<decltype(d32)> df;
  const V cut = hn::AndNot(hn::ShiftRight<16>(x), x);
  const V bits = hn::BitCast(d32, hn::ConvertTo(df, cut));
  // x = 2^b·(1 + m/32768) has the exponent 127 + b here, and 2048·(b − 15) is the description's 2048·k.
  const V k = hn::Sub(hn::And(hn::ShiftRight<12>(bits), hn::Set(d32, ~2047)), hn::Set(d32, (127 + 15) * 2048));
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  const __m512i f = _mm512_ternarylogic_epi32(bits.raw, _mm512_set1_epi32(0x007fff00), _mm512_set1_epi32(0x3f800000), 0xEA);
  return hn::Add(V{LogOfMantissa(_mm512_srli_epi32(bits.raw, 18), f, tables)}, k);
#else
  const V offset_bytes = hn::And(hn::ShiftRight<7>(bits), hn::Set(d32, 0xfffe));
  const V log = hn::GatherOffset(d32, reinterpret_cast<const int32_t*>(tables.log), offset_bytes);
  return hn::Add(hn::And(log, hn::Set(d32, 0xffff)), k);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#endif  // VQS_CPU_VIF_LOG_H_
