// The functions of difference.h, for one pixel or for a vector of them.

template <class R>
struct CiedeLab {
  decltype(Single(R(0.0))) l, a, b;
};

// CiedePower is the value at x of the polynomial of its cell. x lies in the cells.
template <class Cells, class R>
VQS_MATH R CiedePower(const double* cells, R x) {
  constexpr int kShift = 52 - Cells::kBits;
  const auto word = Word(x);
  const auto cell = (word >> kShift) - (static_cast<uint64_t>(1023 + Cells::kFirst) << Cells::kBits);
  const R middle = FromWord((word & (~uint64_t{0} << kShift)) | (uint64_t{1} << (kShift - 1)));
  const auto at = (cell << 2) + cell;
  const R d = x - middle;
  static_assert(kPowerDegree == 4, "five coefficients a cell");
  return Entry(cells, at) + d * (Entry(cells + 1, at) + d * (Entry(cells + 2, at) + d * (Entry(cells + 3, at) + d * Entry(cells + 4, at))));
}

// CiedeLinear takes the transfer function off one of R', G', B'.
template <class R>
VQS_MATH R CiedeLinear(R c) {
  constexpr double kLinearUpTo = 10.0 / 255;
  const R bent = CiedePower<LinearCells>(kLinearCells.c, Min(Max(c, R(kLinearUpTo)), R(3.99)));  // samples in range stay below 2.4
  return Choose(c > R(kLinearUpTo), bent, c * R(1 / 12.92));
}

// CiedeF is the function f of L*a*b*.
template <class R>
VQS_MATH auto CiedeF(R c) {
  constexpr double kLinearUpTo = 216.0 / 24389;
  const R bent = CiedePower<CubeRootCells>(kCubeRootCells.c, Min(Max(c, R(kLinearUpTo)), R(7.99)));  // samples in range stay below 6.4
  return Single(Choose(c > R(kLinearUpTo), bent, (R(24389.0 / 27) * c + R(16.0)) * R(1.0 / 116)));
}

// CiedeRgb is red, green and blue in linear light.
template <class R>
struct CiedeRgb {
  R r, g, b;
};

// CiedeRgbOf makes them of a pixel's three samples.
template <class R>
VQS_MATH CiedeRgb<R> CiedeRgbOf(R y, R u, R v, const CiedeDepth& depth) {
  y = (y - R(depth.luma_zero)) * R(depth.luma_scale);
  u = (u - R(depth.chroma_zero)) * R(depth.chroma_scale);
  v = (v - R(depth.chroma_zero)) * R(depth.chroma_scale);
  return CiedeRgb<R>{CiedeLinear(y + R(1.28033) * v), CiedeLinear(y - R(0.21482) * u - R(0.38059) * v), CiedeLinear(y + R(2.12798) * u)};
}

// CiedeLabOf is L*a*b* of a colour.
template <class R>
VQS_MATH CiedeLab<R> CiedeLabOf(const CiedeRgb<R>& colour) {
  const R r = colour.r, g = colour.g, b = colour.b;
  const auto fx = CiedeF((r * R(0.4124564390896921) + g * R(0.357576077643909) + b * R(0.18043748326639894)) * R(1 / 0.95047));
  const auto fy = CiedeF(r * R(0.21267285140562248) + g * R(0.715152155287818) + b * R(0.07217499330655958));
  const auto fz = CiedeF((r * R(0.019333895582329317) + g * R(0.119192025881303) + b * R(0.9503040785363677)) * R(1 / 1.08883));
  return CiedeLab<R>{Single(R(116.0) * Double(fy) - R(16.0)), Single(R(500.0) * (Double(fx) - Double(fy))),
                     Single(R(200.0) * (Double(fy) - Double(fz)))};
}

// CiedeLength is √(x² + y²).
template <class F>
VQS_MATH F CiedeLength(F x, F y) {
  return Single(Sqrt(Double(x) * Double(x) + Double(y) * Double(y)));
}

// CiedeHue is the angle of (a, b) in 0 … 2π.
template <class F>
VQS_MATH F CiedeHue(F b, F a) {
  const F angle = Single(Atan2(Double(b), Double(a)));
  return Choose(angle < F(0.0f), Single(Double(angle) + 2 * kPi), angle);
}

// CiedeSeventh is x⁷.
template <class R>
VQS_MATH R CiedeSeventh(R x) {
  const R square = x * x;
  return square * square * square * x;
}

constexpr double kCiede25To7 = 6103515625.0;

// CiedeRotation is R_T, of the means of chroma and hue.
template <class F>
VQS_MATH F CiedeRotation(F chroma, F hue) {
  const F degrees = Single(Double(hue) * (180 / kPi));
  const F z = Single(Double(degrees - F(275.0f)) * (1.0 / 25));
  const F angle = Single(Exp(Double(F(0.0f) - z * z)) * 60.0);
  const F radians = Single(Double(angle) * (kPi / 180));
  const F seventh = Single(CiedeSeventh(Double(chroma)));
  return Single(Sqrt(Double(seventh / (seventh + F(static_cast<float>(kCiede25To7))))) * -2.0 * SinWithin(Double(radians)));
}

// CiedeT is T, of the mean hue. Cosines of multiples of the hue are made of one sine and one cosine.
template <class R>
VQS_MATH R CiedeT(R hue) {
  R s, c;
  SinCos(hue, &s, &c);
  const R s2 = R(2.0) * s * c, c2 = R(1.0) - R(2.0) * s * s;
  const R s3 = s2 * c + c2 * s, c3 = c2 * c - s2 * s;
  const R s4 = R(2.0) * s2 * c2, c4 = R(1.0) - R(2.0) * s2 * s2;
  // cos(α + β) = cos α·cos β − sin α·sin β with β = −π/6, 0, π/30, −7π/20
  constexpr double kCos1 = 0x1.bb67ae8584cabp-1, kSin1 = -0.5, kCos3 = 0x1.fd31f94f867c6p-1, kSin3 = 0x1.ac2609b3c576bp-4;
  constexpr double kCos4 = 0x1.d0e2e2b44de01p-2, kSin4 = -0x1.c83201d3d2c6cp-1;
  return R(1.0) - R(0.17) * (c * R(kCos1) - s * R(kSin1)) + R(0.24) * c2 + R(0.32) * (c3 * R(kCos3) - s3 * R(kSin3)) -
         R(0.20) * (c4 * R(kCos4) - s4 * R(kSin4));
}

// The difference of two pixels is made in four steps, each with what the next ones take of it. Vector code takes them one after the other over many
// pixels: a pixel's operations wait for each other, those of others do not wait for them.

// CiedeChromas are a' and C' of both pixels, and the smaller one of their C.
template <class F>
struct CiedeChromas {
  F a1, a2, c1, c2, least;
};
template <class R>
VQS_MATH auto CiedeChromasOf(const CiedeLab<R>& ref, const CiedeLab<R>& dis) {
  using F = decltype(Single(R(0.0)));
  const F half = F(0.5f), c1 = CiedeLength(ref.a, ref.b), c2 = CiedeLength(dis.a, dis.b);
  const R seventh = CiedeSeventh(Double((c1 + c2) * half));
  const R g = R(1.0) - Sqrt(seventh / (seventh + R(kCiede25To7)));
  const F a1 = Single(Double(ref.a) + Double(ref.a * half) * g), a2 = Single(Double(dis.a) + Double(dis.a * half) * g);
  return CiedeChromas<F>{a1, a2, CiedeLength(a1, ref.b), CiedeLength(a2, dis.b), Choose(c1 < c2, c1, c2)};
}

// CiedeHues are Δh' and the mean of h'.
template <class F>
struct CiedeHues {
  F step, mean;
};
template <class F>
VQS_MATH CiedeHues<F> CiedeHuesOf(const CiedeChromas<F>& chromas, F b1, F b2) {
  using R = decltype(Double(b1));
  const F hue1 = CiedeHue(b1, chromas.a1), hue2 = CiedeHue(b2, chromas.a2);
  const F step = hue2 - hue1;
  const auto far = Double(Abs(step)) > R(kPi);
  const R turn = Choose(Double(hue2) <= Double(hue1), R(2 * kPi), R(-2 * kPi));
  const F near = Single(Double(step) + Choose(far, turn, R(0.0)));
  return CiedeHues<F>{Choose(chromas.least > F(0.0f), near, F(0.0f)),
                      Single((Double(hue1 + hue2) + Choose(far, R(2 * kPi), R(0.0))) * R(0.5))};
}

// CiedeWeights are S_H and R_T.
template <class F>
struct CiedeWeights {
  F hue, rotation;
};
template <class F>
VQS_MATH CiedeWeights<F> CiedeWeightsOf(const CiedeChromas<F>& chromas, const CiedeHues<F>& hues) {
  using R = decltype(Double(hues.mean));
  const F mean = (chromas.c1 + chromas.c2) * F(0.5f);
  const F t = Single(CiedeT(Double(hues.mean)));
  return CiedeWeights<F>{Single(R(1.0) + R(0.015) * Double(mean) * Double(t)), CiedeRotation(mean, hues.mean)};
}

// CiedeDifference is ΔE00.
template <class F>
VQS_MATH F CiedeDifference(F l1, F l2, const CiedeChromas<F>& chromas, const CiedeHues<F>& hues, const CiedeWeights<F>& weights) {
  using R = decltype(Double(l1));
  const R from50 = Double((l1 + l2) * F(0.5f) - F(50.0f)), q = from50 * from50;
  const F s_l = Single(R(1.0) + R(0.015) * q / Sqrt(R(20.0) + q));
  const F s_c = Single(R(1.0) + R(0.045) * Double((chromas.c1 + chromas.c2) * F(0.5f)));
  const F hue = Single(R(2.0) * Sqrt(Double(chromas.c1 * chromas.c2)) * SinWithin(Double(hues.step) * R(0.5)));
  const F l = (l2 - l1) / (F(0.65f) * s_l), c = (chromas.c2 - chromas.c1) / s_c, h = hue / (F(4.0f) * weights.hue);
  return Single(Sqrt(Double(l) * Double(l) + Double(c) * Double(c) + Double(h) * Double(h) + Double(weights.rotation * c * h)));
}

// CiedeDifference of two pixels takes all four steps.
template <class R>
VQS_MATH auto CiedeDifference(const CiedeLab<R>& ref, const CiedeLab<R>& dis) {
  const auto chromas = CiedeChromasOf(ref, dis);
  const auto hues = CiedeHuesOf(chromas, ref.b, dis.b);
  return CiedeDifference(ref.l, dis.l, chromas, hues, CiedeWeightsOf(chromas, hues));
}

// CiedeFixed is a difference in units of 2^−kCiedeFraction, an integer.
template <class F>
VQS_MATH auto CiedeFixed(F difference) {
  using R = decltype(Double(difference));
  const R unit = R(0x1p52);  // its last place is 1
  return Word(Double(difference) * R(static_cast<double>(uint64_t{1} << kCiedeFraction)) + unit) - Word(unit);
}
