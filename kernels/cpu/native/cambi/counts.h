// counts.h — the c-values of one scale.
#ifndef VQS_CPU_CAMBI_COUNTS_H_
#define VQS_CPU_CAMBI_COUNTS_H_

#include <stddef.h>
#include <stdint.h>

#include "front.h"
#include "scratch.h"

namespace vqs {

// CambiTotals are of the c-values of one scale.
struct CambiTotals {
  uint64_t sum;      // in 1/2^24
  uint64_t nonzero;  // how many there are
};

// CambiCountsFor says how large the tables are that a scratch needs for pictures up to width columns.
struct CambiCountsNeed {
  size_t table;  // elements of VqsCambi::table
  size_t runs;   // elements of VqsCambi::runs
};
CambiCountsNeed CambiCountsFor(const CambiSetup& setup);

// CambiBumps is how many elements CambiSetup::bumps has, and CambiMakeBumps fills them.
size_t CambiBumps(int half);
void CambiMakeBumps(int half, uint16_t* bumps);

// CambiCount forms the c-values (§7.3) of codes. With keep, which n may be 0 without, all of them are put into values.
CambiTotals CambiCount(VqsCambi* scratch, const CambiSetup& setup, const CambiScale& scale, bool keep);

// CambiVectors is false where the target has no vectors to speak of; then none of the functions that front.h and this header declare
// may be called.
bool CambiVectors();

}  // namespace vqs

#endif  // VQS_CPU_CAMBI_COUNTS_H_
