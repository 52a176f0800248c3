// Series is c[0] + c[1]·x + … + c[n−1]·x^(n−1), by Horner's rule.
template <int n, class R>
VQS_MATH R Series(const double (&c)[n], R x) {
  R sum = R(c[n - 1]);
  for (int i = n - 2; i >= 0; --i) sum = sum * x + R(c[i]);
  return sum;
}
