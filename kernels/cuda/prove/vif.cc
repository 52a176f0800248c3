#include "hd.h"

#include "vif.h"

#include <math.h>
#include <string.h>

#include "numbers.h"
#include "vif_device.h"

namespace vqs {
namespace {

constexpr int64_t kLargestQuotient = 2147000000;  // §10.4 has 1.7e9

struct Pixel {
  int64_t s1, s2, s12;
};

// Valid tells whether a pixel can occur, as far as the arithmetic relies on it.
bool Valid(const Pixel& p) {
  constexpr int64_t kEnd = int64_t{1} << 31;
  return p.s1 >= kVifSigmaNsq && p.s1 < kEnd - kVifSigmaNsq && p.s12 > 0 && p.s12 < kEnd && p.s2 > 0 && p.s2 < kEnd - kVifSigmaNsq &&
         static_cast<double>(p.s12) * static_cast<double>(p.s12) < static_cast<double>(kLargestQuotient) * static_cast<double>(p.s1);
}

int64_t OfAnySize(Numbers* numbers, int least, int bits) {
  return numbers->Below(int64_t{1} << (least + numbers->Below(bits - least + 1)));
}

// Draw makes a pixel of a kind.
Pixel Draw(Numbers* numbers, int kind, int64_t limit) {
  Pixel p;
  p.s1 = kVifSigmaNsq + OfAnySize(numbers, 3, 31);
  p.s12 = OfAnySize(numbers, 3, 31);
  switch (kind) {
    case 1:
      p.s12 = p.s1 + numbers->Below(5) - 2;
      break;
    case 2: {
      const int64_t d = 363 + numbers->Below(45000), c = 1 + OfAnySize(numbers, 1, 15);
      p.s1 = d * d;
      p.s12 = c * d;
      break;
    }
    case 3: {  // s12² = (s12 − s)·(s12 + s) + s²
      const int64_t s = 1 + OfAnySize(numbers, 1, 9);
      p.s12 = p.s1 + s;
      break;
    }
    case 4:
      p.s1 = kVifSigmaNsq + numbers->Below(kLargestQuotient / (limit * limit));
      p.s12 = limit * p.s1 + numbers->Below(5) - 2;
      break;
    case kVqsVifOrdinary:
      p.s12 = p.s1 / 4 + numbers->Below(2 * p.s1);
      break;
  }
  const int64_t quotient = static_cast<int64_t>(static_cast<double>(p.s12) * static_cast<double>(p.s12) / static_cast<double>(p.s1));
  p.s2 = numbers->Below(3) == 0 ? quotient + numbers->Below(7) - 3 : quotient + OfAnySize(numbers, 1, 30) - OfAnySize(numbers, 1, 17);
  return p;
}

// Around is x and its neighbours.
float Around(float x, int steps) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += steps;
  memcpy(&x, &bits, sizeof x);
  return x;
}

void Try(const Pixel& p, int64_t limit, VqsFinding* f) {
  const uint32_t s1 = static_cast<uint32_t>(p.s1), s2 = static_cast<uint32_t>(p.s2), s12 = static_cast<uint32_t>(p.s12);
  const VifGain want = VifNumerator(static_cast<int32_t>(s1), static_cast<int32_t>(s2), static_cast<int32_t>(s12), static_cast<double>(limit));
  for (int steps = -1; steps <= 1; ++steps) {
    const VifShares shares = VifSharesOf(s1, s2, s12, Around(1.0f / static_cast<float>(s1), steps));
    if (shares.open) {
      ++f->open;
      continue;
    }
    ++f->tried;
    const uint32_t n1 = shares.v + kVifSigmaNsq, n2 = VifLimited(shares.t, s1, s12, static_cast<uint32_t>(limit)) + n1;
    if ((n1 != want.n1 || n2 != want.n2) && f->wrong++ == 0) {
      f->a = p.s1, f->b = p.s2, f->c = p.s12, f->want = want.n2, f->got = n2;
    }
  }
}

}  // namespace
}  // namespace vqs

extern "C" void vqs_prove_vif_shares(int kind, uint64_t seed, int64_t n, VqsFinding* f) {
  using namespace vqs;  // NOLINT(google-build-using-namespace)
  constexpr int64_t kLimits[] = {1, 2, 3, 10, 90, 100};
  *f = {};
  Numbers numbers(seed);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t limit = kLimits[numbers.Below(6)];
    const Pixel p = Draw(&numbers, kind, limit);
    if (Valid(p)) Try(p, limit, f);
  }
}
