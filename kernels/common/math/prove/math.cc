#include "hd.h"

#include "math.h"

#include <cmath>

#include "math/angle.h"
#include "math/exp.h"
#include "math/log2.h"

namespace vqs {
namespace {

// Numbers is a generator of random numbers, splitmix64.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // Below and above 0 alike.
  double Within(double limit) { return limit * (static_cast<double>(static_cast<int64_t>(Next())) * 0x1p-63); }
  // A number whose logarithm is spread evenly: 2^−range … 2^range.
  double OfAnySize(double range) { return std::exp2(Within(range)); }

 private:
  uint64_t state_;
};

struct Sample {
  double x, y, got;
  long double want;
};

Sample Try(int function, Numbers* numbers) {
  Sample s = {};
  const bool small = numbers->Next() % 4 == 0;
  switch (function) {
    case kVqsLog2:
      s.x = numbers->OfAnySize(1021);
      break;
    case kVqsLog2Near:
      s.x = 1 + (small ? numbers->Within(1) * numbers->OfAnySize(50) * 0x1p-52 : numbers->Within(0.375));
      break;
    case kVqsExp:
      s.x = numbers->Within(small ? 1 : 700);
      break;
    case kVqsExp2:
      s.x = numbers->Within(small ? 1 : 1000);
      break;
    case kVqsSinWithin:
    case kVqsCosWithin:
      s.x = numbers->Within(kPi / 2) * (small ? numbers->OfAnySize(20) * 0x1p-20 : 1);
      break;
    case kVqsSin:
    case kVqsCos:
      s.x = numbers->Within(small ? 0x1p20 : 8);
      break;
    case kVqsAtan2:
      s.x = numbers->Within(200);
      s.y = numbers->Within(200) * (small ? numbers->OfAnySize(20) * 0x1p-20 : 1);
      if (numbers->Next() % 8 == 0) s.y = numbers->Next() % 2 == 0 ? s.x : -s.x;
      break;
  }
  const long double x = s.x, y = s.y;
  double other;
  switch (function) {
    case kVqsLog2:
    case kVqsLog2Near:
      s.got = Log2(s.x), s.want = std::log2(x);
      break;
    case kVqsExp:
      s.got = Exp(s.x), s.want = std::exp(x);
      break;
    case kVqsExp2:
      s.got = Exp2(s.x), s.want = std::exp2(x);
      break;
    case kVqsSinWithin:
      s.got = SinWithin(s.x), s.want = std::sin(x);
      break;
    case kVqsCosWithin:
      s.got = CosWithin(s.x), s.want = std::cos(x);
      break;
    case kVqsSin:
      SinCos(s.x, &s.got, &other), s.want = std::sin(x);
      break;
    case kVqsCos:
      SinCos(s.x, &other, &s.got), s.want = std::cos(x);
      break;
    case kVqsAtan2:
      s.got = Atan2(s.y, s.x), s.want = std::atan2(y, x);
      break;
  }
  return s;
}

}  // namespace
}  // namespace vqs

extern "C" void vqs_prove_math(int function, uint64_t seed, int64_t n, VqsWorst* worst) {
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  *worst = {};
  Numbers numbers(seed);
  for (int64_t i = 0; i < n; ++i) {
    const Sample s = Try(function, &numbers);
    const long double error = std::fabs(static_cast<long double>(s.got) - s.want);
    const long double unit = s.want == 0 ? 0x1p-1074L : std::ldexp(1.0L, std::ilogb(s.want) - 52);
    const double units = static_cast<double>(error / unit);
    if (!(units <= worst->units)) worst->x = s.x, worst->y = s.y, worst->units = units;
    if (!(error <= worst->error)) worst->error = static_cast<double>(error);
  }
}
