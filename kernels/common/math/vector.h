// vector.h — what the functions of this folder are made of, for vectors of numbers, and those functions.
//
// It has no guard: a source that Highway compiles once for each target includes it each time, after highway.h. There Reals take the place of
// double, as wide as the target has them, Singles that of float, and Words that of uint64_t.
#include "math/angle.h"
#include "math/exp.h"
#include "math/log2.h"
#include "math/number.h"

HWY_BEFORE_NAMESPACE();
namespace vqs {
namespace HWY_NAMESPACE {

using RealTag = hwy::HWY_NAMESPACE::ScalableTag<double>;
using WordTag = hwy::HWY_NAMESPACE::RebindToUnsigned<RealTag>;
using IndexTag = hwy::HWY_NAMESPACE::RebindToSigned<RealTag>;
using SingleTag = hwy::HWY_NAMESPACE::Rebind<float, RealTag>;

struct Words {
  hwy::HWY_NAMESPACE::VFromD<WordTag> v;
  explicit HWY_INLINE Words(hwy::HWY_NAMESPACE::VFromD<WordTag> words) : v(words) {}
  HWY_INLINE Words(uint64_t word) : v(hwy::HWY_NAMESPACE::Set(WordTag(), word)) {}  // NOLINT(google-explicit-constructor)
  friend HWY_INLINE Words operator+(Words a, Words b) { return Words(hwy::HWY_NAMESPACE::Add(a.v, b.v)); }
  friend HWY_INLINE Words operator-(Words a, Words b) { return Words(hwy::HWY_NAMESPACE::Sub(a.v, b.v)); }
  friend HWY_INLINE Words operator&(Words a, Words b) { return Words(hwy::HWY_NAMESPACE::And(a.v, b.v)); }
  friend HWY_INLINE Words operator|(Words a, Words b) { return Words(hwy::HWY_NAMESPACE::Or(a.v, b.v)); }
  friend HWY_INLINE Words operator^(Words a, Words b) { return Words(hwy::HWY_NAMESPACE::Xor(a.v, b.v)); }
  friend HWY_INLINE Words operator<<(Words a, int n) { return Words(hwy::HWY_NAMESPACE::ShiftLeftSame(a.v, n)); }
  friend HWY_INLINE Words operator>>(Words a, int n) { return Words(hwy::HWY_NAMESPACE::ShiftRightSame(a.v, n)); }
};

// Which of the lanes a comparison holds for.
template <class Tag>
struct Where {
  decltype(hwy::HWY_NAMESPACE::MaskFromVec(hwy::HWY_NAMESPACE::VFromD<Tag>())) v;
};

// Numbers of a tag, Reals and Singles.
template <class Tag>
struct Numbers {
  using Lane = hwy::HWY_NAMESPACE::TFromD<Tag>;
  hwy::HWY_NAMESPACE::VFromD<Tag> v;
  HWY_INLINE Numbers() : v(hwy::HWY_NAMESPACE::Zero(Tag())) {}
  explicit HWY_INLINE Numbers(hwy::HWY_NAMESPACE::VFromD<Tag> numbers) : v(numbers) {}
  HWY_INLINE Numbers(Lane number) : v(hwy::HWY_NAMESPACE::Set(Tag(), number)) {}  // NOLINT(google-explicit-constructor)
  friend HWY_INLINE Numbers operator+(Numbers a, Numbers b) { return Numbers(hwy::HWY_NAMESPACE::Add(a.v, b.v)); }
  friend HWY_INLINE Numbers operator-(Numbers a, Numbers b) { return Numbers(hwy::HWY_NAMESPACE::Sub(a.v, b.v)); }
  friend HWY_INLINE Numbers operator*(Numbers a, Numbers b) { return Numbers(hwy::HWY_NAMESPACE::Mul(a.v, b.v)); }
  friend HWY_INLINE Numbers operator/(Numbers a, Numbers b) { return Numbers(hwy::HWY_NAMESPACE::Div(a.v, b.v)); }
  friend HWY_INLINE Where<Tag> operator>(Numbers a, Numbers b) { return {hwy::HWY_NAMESPACE::Gt(a.v, b.v)}; }
  friend HWY_INLINE Where<Tag> operator<(Numbers a, Numbers b) { return {hwy::HWY_NAMESPACE::Lt(a.v, b.v)}; }
  friend HWY_INLINE Where<Tag> operator<=(Numbers a, Numbers b) { return {hwy::HWY_NAMESPACE::Le(a.v, b.v)}; }
  friend HWY_INLINE Where<Tag> operator==(Numbers a, Numbers b) { return {hwy::HWY_NAMESPACE::Eq(a.v, b.v)}; }
};

using Reals = Numbers<RealTag>;
using Singles = Numbers<SingleTag>;

HWY_INLINE Words Word(Reals a) { return Words(hwy::HWY_NAMESPACE::BitCast(WordTag(), a.v)); }
HWY_INLINE Reals FromWord(Words a) { return Reals(hwy::HWY_NAMESPACE::BitCast(RealTag(), a.v)); }
HWY_INLINE Singles Single(Reals a) { return Singles(hwy::HWY_NAMESPACE::DemoteTo(SingleTag(), a.v)); }
HWY_INLINE Reals Double(Singles a) { return Reals(hwy::HWY_NAMESPACE::PromoteTo(RealTag(), a.v)); }
HWY_INLINE Reals Sqrt(Reals a) { return Reals(hwy::HWY_NAMESPACE::Sqrt(a.v)); }
HWY_INLINE Reals Min(Reals a, Reals b) { return Reals(hwy::HWY_NAMESPACE::Min(a.v, b.v)); }
HWY_INLINE Reals Max(Reals a, Reals b) { return Reals(hwy::HWY_NAMESPACE::Max(a.v, b.v)); }
template <class Tag>
HWY_INLINE Numbers<Tag> Abs(Numbers<Tag> a) {
  return Numbers<Tag>(hwy::HWY_NAMESPACE::Abs(a.v));
}
template <class Tag>
HWY_INLINE Numbers<Tag> Choose(Where<Tag> where, Numbers<Tag> yes, Numbers<Tag> no) {
  return Numbers<Tag>(hwy::HWY_NAMESPACE::IfThenElse(where.v, yes.v, no.v));
}
HWY_INLINE Reals Entry(const double* table, Words i) {
  return Reals(hwy::HWY_NAMESPACE::GatherIndex(RealTag(), table, hwy::HWY_NAMESPACE::BitCast(IndexTag(), i.v)));
}

#undef VQS_MATH
#define VQS_MATH HWY_INLINE
// Before those that call it, or they would find the one of namespace vqs as well.
#include "math/series.inl"

#include "math/angle.inl"
#include "math/exp.inl"
#include "math/log2.inl"
#undef VQS_MATH
#define VQS_MATH VQS_HD

}  // namespace HWY_NAMESPACE
}  // namespace vqs
HWY_AFTER_NAMESPACE();
