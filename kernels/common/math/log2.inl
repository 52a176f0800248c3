// Log2 is log2(x) for normal x > 0. It is off by at most 0.51 units in the last place.
template <class R>
VQS_MATH R Log2(R x) {
  // (log2(1 + r) − r/ln 2)/r²: relative to log2(1 + r), the error is below 2^−66.
  constexpr double kSeries[] = {-0x1.71547652b82fep-1, 0x1.ec709dc3a03f7p-2,  -0x1.71547652b5aefp-2, 0x1.2776c50ff1cefp-2,
                                -0x1.ec70a6484e4cfp-3, 0x1.a617f663f03a0p-3, -0x1.6d7775cf581ccp-3};
  constexpr double kInvLn2High = 0x1.715476p0, kInvLn2Low = 0x1.4ae0bf85ddf44p-26;  // 1/ln 2; the first has 25 bits
  constexpr uint64_t kFirst = 0x3fe6000000000000;                                   // 11/16
  constexpr uint64_t kExponents = 1024;                                             // keep e positive while it is an integer
  constexpr uint64_t kUpper = ~uint64_t{0} << 27;                                   // leaves a number 26 bits

  const auto word = Word(x);
  const auto place = word - kFirst + (kExponents << 52);
  const auto exponent = place >> 52;
  const auto part = place >> (52 - kLog2Bits) & ((1 << kLog2Bits) - 1);
  const auto entry = (part << 1) + part;
  const R e = FromWord(exponent | Word(0x1p52)) - R(0x1p52 + kExponents);
  const auto z = word - ((exponent - kExponents) << 52);
  const R inverse = Entry(kLog2Table, entry);

  const R z_high = FromWord(z & kUpper), z_low = FromWord(z) - z_high;
  const R p = z_high * inverse - R(1.0), q = z_low * inverse;  // exact
  const R r = p + q, r_rest = (p - r) + q;
  const R r_high = FromWord(Word(r) & kUpper), r_low = r - r_high;

  const R whole = e + Entry(kLog2Table, entry + 1);
  const R first = r_high * R(kInvLn2High);  // exact
  const R high = whole + first;
  const R low = ((whole - high) + first) + ((Entry(kLog2Table, entry + 2) + (r_low + r_rest) * R(kInvLn2High)) + r * R(kInvLn2Low));
  return high + (low + r * r * Series(kSeries, r));
}
