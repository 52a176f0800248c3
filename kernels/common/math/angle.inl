// SinWithin is sin(x) for |x| ≤ π/2. It is off by at most three units in the last place.
template <class R>
VQS_MATH R SinWithin(R x) {
  // (sin(x)/x − 1)/x², in powers of x²: relative to sin(x), the error is below 2^−59.
  constexpr double kSeries[] = {-0x1.5555555555555p-3, 0x1.1111111111107p-7,  -0x1.a01a01a018aaap-13, 0x1.71de3a54564dfp-19,
                                -0x1.ae6455a1c0795p-26, 0x1.612401540ed0fp-33, -0x1.ae51366b753a9p-41, 0x1.89a43bea5b135p-49};
  const R square = x * x;
  return x + x * square * Series(kSeries, square);
}

// CosWithin is cos(x) for |x| ≤ π/2. It is off by at most 2^−52.
template <class R>
VQS_MATH R CosWithin(R x) {
  // (cos(x) − 1 + x²/2)/x⁴, in powers of x².
  constexpr double kSeries[] = {0x1.5555555555554p-5, -0x1.6c16c16c164a9p-10, 0x1.a01a019f593f1p-16, -0x1.27e4fb02497bap-22,
                                0x1.1eed4b09a06f0p-29, -0x1.936ecf8fc484ap-37, 0x1.a2833757d771cp-45};
  const R square = x * x;
  return (R(1.0) - square * R(0.5)) + square * square * Series(kSeries, square);
}

// SinCos sets the sine and the cosine of x for |x| ≤ 2^20. They are off by at most 2^−51.
template <class R>
VQS_MATH void SinCos(R x, R* sine, R* cosine) {
  constexpr double kInvPi = 0x1.45f306dc9c883p-2;
  constexpr double kPiHigh = 0x1.921fb544p+1, kPiLow = 0x1.0b4611a626331p-33;  // k times the first is exact
  const R shifted = x * R(kInvPi) + R(kRoundToWhole);
  const R k = shifted - R(kRoundToWhole);
  const R r = (x - k * R(kPiHigh)) - k * R(kPiLow);
  const auto sign = Word(shifted) << 63;  // both change it with every half turn
  *sine = FromWord(Word(SinWithin(r)) ^ sign);
  *cosine = FromWord(Word(CosWithin(r)) ^ sign);
}

// Atan2 is the angle of the point (x, y) in −π … π, as the function of that name in C: 0 for (0, 0), whatever their signs, and −π for a
// negative x with a y of −0. It is off by at most three units in the last place.
template <class R>
VQS_MATH R Atan2(R y, R x) {
  // (atan(z)/z − 1)/z², in powers of z²: relative to atan(z), the error is below 2^−57.
  constexpr double kSeries[] = {-0x1.5555555555555p-2, 0x1.999999999934ap-3,  -0x1.24924924360cbp-3, 0x1.c71c7185314cbp-4,
                                -0x1.745d0b26b83e7p-4, 0x1.3b1262d95579ep-4,  -0x1.10fa75382537fp-4, 0x1.dfe61e80903d2p-5,
                                -0x1.a098bb6ba4941p-5, 0x1.41603647c7a7cp-5, -0x1.3a2b7a07caea9p-6};
  constexpr double kTanEighth = 0.414213562373095;  // tan(π/8)
  const R width = Abs(x), height = Abs(y);
  const auto tall = height > width;
  const R large = Choose(tall, height, width), small = Choose(tall, width, height);
  // atan(s/l) = π/4 + atan((s − l)/(s + l)) brings the quotient below tan(π/8).
  const auto steep = small > large * R(kTanEighth);
  const R numerator = Choose(steep, small - large, small), sum = Choose(steep, small + large, large);
  const R z = numerator / Choose(sum > R(0.0), sum, R(1.0));
  const R square = z * z;
  R angle = z + z * square * Series(kSeries, square);
  angle = Choose(steep, R(kPi / 4) + angle, angle);
  angle = Choose(tall, R(kPi / 2) - angle, angle);
  angle = Choose(x < R(0.0), R(kPi) - angle, angle);
  return FromWord(Word(angle) | (Word(y) & kSignBit));
}
