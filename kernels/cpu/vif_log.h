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

// Log2 of 2^17 ≤ x < 2^31. Other lanes give something harmless.
//
// The mantissa's 16 leading bits are found by conversion to float. Clearing in x the bits that x >> 16 has set leaves those 16 alone
// and makes the 17th zero, so that rounding to 24 bits cannot carry into them.
template <class V>
HWY_INLINE V Log2(V x, const uint16_t* table) {
  const hn::DFromV<V> d32;
  const hn::RebindToFloat<decltype(d32)> df;
  const V cut = hn::AndNot(hn::ShiftRight<16>(x), x);
  // Biased exponent above 15 bits of mantissa.
  const V bits = hn::ShiftRight<8>(hn::BitCast(d32, hn::ConvertTo(df, cut)));
  // x = 2^b·(1 + m/32768), bits = (127 + b)·32768 + m and k = b − 15 as in the description.
  const V k = hn::Sub(hn::And(hn::ShiftRight<4>(bits), hn::Set(d32, ~2047)), hn::Set(d32, (127 + 15) * 2048));
  const V offset_bytes = hn::And(hn::Add(bits, bits), hn::Set(d32, 0xfffe));
  const V log = hn::GatherOffset(d32, reinterpret_cast<const int32_t*>(table), offset_bytes);
  return hn::Add(hn::And(log, hn::Set(d32, 0xffff)), k);
}

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();

#endif  // VQS_CPU_VIF_LOG_H_
