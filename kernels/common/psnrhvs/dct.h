// dct.h — the integer transform of PSNR-HVS, in lifting steps.                         Source: spec/classic-metrics.md §5.1
//
// There is no include guard: it is included once in each namespace that needs it, which is vqs and, for each vector target, the namespace of
// that target, whose functions must be compiled for it. Before, VQS_HVS_INLINE says how the function is declared.
//
// Ops has Value, a number or a vector of them; Add, Sub; Half(a), a/2 rounded towards zero; and Lift<factor, bits>(a),
// (a·factor + 2^(bits−1)) >> bits rounded down.

// Dct8 transforms x[0 … 7] in place: samples into frequencies 0 … 7. Its gain is that of the orthonormal transform, √8 for a constant.
template <class Ops>
VQS_HVS_INLINE void Dct8(typename Ops::Value* x) {
  using Value = typename Ops::Value;
  Value t0 = x[0], t4 = x[1], t2 = x[2], t6 = x[3], t7 = x[4], t3 = x[5], t5 = x[6], t1 = x[7];
  // Differences and means of samples that mirror each other.
  t1 = Ops::Sub(t0, t1);
  const Value half1 = Ops::Half(t1);
  t0 = Ops::Sub(t0, half1);
  t4 = Ops::Add(t4, t5);
  const Value half4 = Ops::Half(t4);
  t5 = Ops::Sub(t5, half4);
  t3 = Ops::Sub(t2, t3);
  t2 = Ops::Sub(t2, Ops::Half(t3));
  t6 = Ops::Add(t6, t7);
  const Value half6 = Ops::Half(t6);
  t7 = Ops::Sub(half6, t7);
  // Even frequencies.
  t0 = Ops::Add(t0, half6);
  t6 = Ops::Sub(t0, t6);
  t2 = Ops::Sub(half4, t2);
  t4 = Ops::Sub(t2, t4);
  t0 = Ops::Sub(t0, Ops::template Lift<13573, 15>(t4));
  t4 = Ops::Add(t4, Ops::template Lift<11585, 14>(t0));
  t0 = Ops::Sub(t0, Ops::template Lift<13573, 15>(t4));
  t6 = Ops::Sub(t6, Ops::template Lift<21895, 15>(t2));
  t2 = Ops::Add(t2, Ops::template Lift<15137, 14>(t6));
  t6 = Ops::Sub(t6, Ops::template Lift<21895, 15>(t2));
  // Odd frequencies.
  t3 = Ops::Add(t3, Ops::template Lift<19195, 15>(t5));
  t5 = Ops::Add(t5, Ops::template Lift<11585, 14>(t3));
  t3 = Ops::Sub(t3, Ops::template Lift<7489, 13>(t5));
  t7 = Ops::Sub(Ops::Half(t5), t7);
  t5 = Ops::Sub(t5, t7);
  t3 = Ops::Sub(half1, t3);
  t1 = Ops::Sub(t1, t3);
  t7 = Ops::Add(t7, Ops::template Lift<3227, 15>(t1));
  t1 = Ops::Sub(t1, Ops::template Lift<6393, 15>(t7));
  t7 = Ops::Add(t7, Ops::template Lift<3227, 15>(t1));
  t5 = Ops::Add(t5, Ops::template Lift<2485, 13>(t3));
  t3 = Ops::Sub(t3, Ops::template Lift<18205, 15>(t5));
  t5 = Ops::Add(t5, Ops::template Lift<2485, 13>(t3));
  x[0] = t0;
  x[1] = t1;
  x[2] = t2;
  x[3] = t3;
  x[4] = t4;
  x[5] = t5;
  x[6] = t6;
  x[7] = t7;
}
