#include "hd.h"

#include "adm.h"

#include <math.h>

#include "adm_device.h"
#include "numbers.h"

namespace vqs {
namespace {

void Compare(VqsFinding* f, int64_t a, int64_t b, int64_t c, int64_t want, int64_t got) {
  ++f->tried;
  if (want == got) return;
  if (f->wrong++ > 0) return;
  f->a = a, f->b = b, f->c = c, f->want = want, f->got = got;
}

constexpr int64_t kLargest = 2103200000;  // spec §12: of any band

// Coefficient is of any size, often a small one, with a preference for the neighbourhood of powers of two and the ends.
int64_t Coefficient(Numbers* numbers) {
  const int bits = static_cast<int>(1 + numbers->Below(31));
  int64_t v = numbers->Below(int64_t{1} << bits);
  switch (numbers->Below(5)) {
    case 0:
      v = (int64_t{1} << bits) + numbers->Below(5) - 2;
      break;
    case 1:
      v = kLargest - numbers->Below(kLargest / 3);
      break;
  }
  return v < 0 ? 0 : v > kLargest ? kLargest : v;
}

// Coefficients draws o and t, mostly of one sign and often close to each other or to a half or double.
void Coefficients(Numbers* numbers, int32_t* o, int32_t* t) {
  int64_t a = Coefficient(numbers), b = Coefficient(numbers);
  switch (numbers->Below(4)) {
    case 0:
      b = a + numbers->Below(9) - 4;
      break;
    case 1:
      b = a * (1 + numbers->Below(6)) / 2 + numbers->Below(5) - 2;
      break;
  }
  b = b < 0 ? 0 : b > kLargest ? kLargest : b;
  if (numbers->Below(2) == 0) a = -a;
  if ((a < 0) != (numbers->Below(8) == 0)) b = -b;
  *o = static_cast<int32_t>(a);
  *t = static_cast<int32_t>(b);
}

// What of |o| AdmGain divides by.
int32_t Reduced(uint32_t magnitude) {
  const int q = AdmExcess(magnitude);
  return static_cast<int32_t>(q == 0 ? magnitude : AdmRoundShift(static_cast<uint64_t>(magnitude), q));
}

void CompareInverse(VqsFinding* f, uint32_t magnitude) {
  const AdmInverse inverse = AdmInverseOf(magnitude);
  Compare(f, magnitude, 0, 0, AdmExcess(magnitude), inverse.excess);
  Compare(f, magnitude, 1, 0, AdmReciprocal(Reduced(magnitude)), inverse.reciprocal);
}

}  // namespace
}  // namespace vqs

using namespace vqs;

// Every number of 15 bits that is divided by, out of numbers of every length; rounded up and down to it.
extern "C" void vqs_prove_adm_inverses(VqsFinding* f) {
  for (uint32_t m = kAdmPlainBelow; m < 2 * kAdmPlainBelow; ++m) {
    for (int q = 0; q <= 16; ++q) {
      const uint32_t lowest = m << q;
      const uint32_t half = q == 0 ? 0 : 1u << (q - 1);
      CompareInverse(f, lowest);
      CompareInverse(f, lowest + half);
      CompareInverse(f, lowest + half - (half > 0 ? 1 : 0));
      CompareInverse(f, lowest + (1u << q) - 1);
    }
  }
}

extern "C" void vqs_prove_adm_plain(int32_t first, int32_t sample, VqsFinding* f) {
  for (int32_t o = first; o < static_cast<int32_t>(kAdmPlainBelow); o += sample) {
    const AdmInverse none = AdmInverseOf(static_cast<uint32_t>(o));
    for (int32_t t = 0; t <= o + 1; ++t) {
      Compare(f, o, t, 0, AdmRestored(AdmGain(o, t), o, t, false, 1), AdmUnenhanced(o, t, none));
      Compare(f, -o, -t, 0, AdmRestored(AdmGain(-o, -t), -o, -t, false, 1), AdmUnenhanced(-o, -t, none));
    }
  }
}

extern "C" void vqs_prove_adm_restored(uint64_t seed, int64_t n, VqsFinding* f) {
  Numbers numbers(seed);
  for (int64_t i = 0; i < n; ++i) {
    int32_t o, t;
    Coefficients(&numbers, &o, &t);
    Compare(f, o, t, 0, AdmRestored(AdmGain(o, t), o, t, false, 1), AdmUnenhanced(o, t, AdmInverseOf(AdmMagnitude(o))));
  }
}

extern "C" void vqs_prove_adm_enhanced(uint64_t seed, int64_t n, VqsFinding* f) {
  Numbers numbers(seed);
  for (int64_t i = 0; i < n; ++i) {
    int32_t o, t;
    Coefficients(&numbers, &o, &t);
    const int32_t gain = static_cast<int32_t>(1 + numbers.Below(100));
    const double fraction = 1 + static_cast<double>(numbers.Below(99000)) / 1000;
    const int32_t k = AdmGain(o, t), r = AdmRestored(k, o, t, false, 1);
    Compare(f, o, t, gain, AdmRestored(k, o, t, true, gain), AdmEnhancedWhole(r, t, gain, kAdmLargestTimes / gain));
    Compare(f, o, t, 0, AdmRestored(k, o, t, true, fraction), AdmEnhancedFraction(r, t, fraction));
  }
}

// The directions of both are a degree apart but for parts in a million, or less, so that the estimate has to be good.
extern "C" void vqs_prove_adm_angle(uint64_t seed, int64_t n, VqsFinding* f) {
  Numbers numbers(seed);
  const auto uniform = [&] { return static_cast<double>(numbers.Next() >> 11) / (1ull << 53); };
  const double pi = 3.14159265358979323846;
  for (int64_t i = 0; i < n; ++i) {
    const bool wide = i % 2 != 0;
    const double largest = wide ? 1.4e9 : 22930.0 / 1.5;
    const double direction = 2 * pi * uniform(), apart = pi / 180 + (uniform() - 0.5) * pow(10, -8 * uniform());
    const double length = largest * pow(10, -4 * uniform()), other = largest * pow(10, -4 * uniform());
    int64_t oh = llround(length * cos(direction)), ov = llround(length * sin(direction));
    int64_t th = llround(other * cos(direction + apart)), tv = llround(other * sin(direction + apart));
    switch (numbers.Below(16)) {
      case 0:  // away from each other
        th = -th, tv = -tv;
        break;
      case 1:  // alike
        th = oh * 3, tv = ov * 3;
        break;
      case 2:  // none
        oh = ov = 0;
        break;
    }
    if (!wide && (llabs(th) > 32767 || llabs(tv) > 32767)) continue;
    if (llabs(th) > kLargest || llabs(tv) > kLargest) continue;
    const bool flag = AdmAngleFlag(oh * th + ov * tv, oh * oh + ov * ov, th * th + tv * tv);
    const auto real = [&](int64_t v) {
      const int32_t narrow = static_cast<int32_t>(v);
      return wide ? static_cast<float>(narrow) : AdmSmallFloat(narrow);
    };
    const AdmAngle angle = AdmAngleEstimate(real(oh), real(ov), real(th), real(tv));
    if (angle == AdmAngle::kOpen) {
      ++f->open;
      continue;
    }
    Compare(f, oh, ov, th, flag, angle == AdmAngle::kYes);
  }
}

extern "C" void vqs_prove_adm_small_floats(VqsFinding* f) {
  for (int32_t v = -(1 << 21); v <= 1 << 21; ++v) Compare(f, v, 0, 0, v, static_cast<int64_t>(AdmSmallFloat(v)));
}

extern "C" void vqs_prove_adm_sensitive(uint32_t weight, VqsFinding* f) {
  for (int32_t m = -32768; m <= 32767; ++m) {
    const int32_t narrow = static_cast<int32_t>(weight);
    Compare(f, m, weight, kAdmH, AdmSensitive0(m, weight, kAdmH), AdmSensitiveNarrow(m, narrow, kAdmH));
    Compare(f, m, weight, kAdmD, AdmSensitive0(m, weight, kAdmD), AdmSensitiveNarrow(m, narrow, kAdmD));
  }
}

extern "C" void vqs_prove_adm_masks(VqsFinding* f) {
  for (int32_t c = 0; c < 1 << 16; ++c) {
    Compare(f, c, 0, 0, AdmNeighbour0(c), AdmNeighbourNarrow(static_cast<uint32_t>(c)));
    Compare(f, c, 1, 0, AdmSelf0(c), AdmSelfNarrow(static_cast<uint32_t>(c)));
  }
}
