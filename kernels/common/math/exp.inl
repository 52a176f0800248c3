// ExpOf is 2^(k/128)·e^r, k the low bits of the word: |r| ≤ ln 2/256, and the result a normal number.
template <class R, class W>
VQS_MATH R ExpOf(W k, R r) {
  // (e^r − 1 − r)/r²: relative to e^r, the error is below 2^−63.
  constexpr double kSeries[] = {0x1.fffffffffff57p-2, 0x1.5555555555525p-3, 0x1.55555acf8df82p-5, 0x1.1111143255ff1p-7};
  const auto entry = (k & ((1 << kExpBits) - 1)) << 1;
  const R tail = Entry(kExpTable, entry + 1) + r;
  const R scale = FromWord(Word(Entry(kExpTable, entry)) + (k >> kExpBits << 52));
  return scale + scale * (tail + r * r * Series(kSeries, r));
}

// Exp is e^x for |x| ≤ 700. It is off by at most 0.52 units in the last place.
template <class R>
VQS_MATH R Exp(R x) {
  constexpr double kUnits = 0x1.71547652b82fep+7;                                            // 128/ln 2
  constexpr double kUnitHigh = 0x1.62e42fef8p-8, kUnitLow = 0x1.1cf79abc9e3b4p-43;  // ln 2/128; k times the first is exact
  const R shifted = x * R(kUnits) + R(kRoundToWhole);
  const R k = shifted - R(kRoundToWhole);
  return ExpOf(Word(shifted), (x - k * R(kUnitHigh)) - k * R(kUnitLow));
}

// Exp2 is 2^x for |x| ≤ 1000. It is off by at most 0.52 units in the last place.
template <class R>
VQS_MATH R Exp2(R x) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  const R shifted = x * R(1 << kExpBits) + R(kRoundToWhole);
  const R k = shifted - R(kRoundToWhole);
  return ExpOf(Word(shifted), (x - k * R(1.0 / (1 << kExpBits))) * R(kLn2));
}
