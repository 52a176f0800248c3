// mirror.h — the border rules. Each is one function named for its rule: rules that differ by one sample get confused.
#ifndef VQS_COMMON_MIRROR_H_
#define VQS_COMMON_MIRROR_H_

#include "hd.h"

// MirrorWhole extends a signal of n ≥ 2 samples by whole-sample symmetry (… 2 1 | 0 1 2 … n−1 | n−2 n−3 …), repeated as
// often as needed. VIF and motion use it.                                Source: spec/vif.md §3.1, spec/motion.md §3.1
VQS_HD int MirrorWhole(int t, int n) {
  while (t < 0 || t >= n) {
    if (t < 0) t = -t;
    if (t >= n) t = 2 * (n - 1) - t;
  }
  return t;
}

#endif  // VQS_COMMON_MIRROR_H_
