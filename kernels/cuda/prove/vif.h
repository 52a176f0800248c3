// vif.h — vif_device.h against vif_arith.h.
#ifndef VQS_PROVE_VIF_H_
#define VQS_PROVE_VIF_H_

#include "adm.h"

#ifdef __cplusplus
extern "C" {
#endif

// Kinds of pixels: 0 any; 1 equal or nearly equal variance and covariance, as of pictures that are the same; 2 a quotient that is a whole
// number; 3 one that is a little above a whole number; 4 a gain around the limit; 5 a gain around 1, as ordinary pixels have it.
enum { kVqsVifKinds = 6, kVqsVifOrdinary = 5 };

// Of n random pixels of a kind, with inverses as far off as allowed. A result that is left open counts as open and not as tried. In the finding
// a, b, c are s1, s2, s12, and want and got are n2.
void vqs_prove_vif_shares(int kind, uint64_t seed, int64_t n, VqsFinding* f);

#ifdef __cplusplus
}
#endif

#endif  // VQS_PROVE_VIF_H_
