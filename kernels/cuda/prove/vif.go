package prove

// #include "vif.h"
import "C"

// The kinds of pixels, which vif.h describes.
const vifKinds, vifOrdinary = C.kVqsVifKinds, C.kVqsVifOrdinary

func vifShares(kind int, seed uint64, n int) finding {
	var f C.VqsFinding
	C.vqs_prove_vif_shares(C.int(kind), C.uint64_t(seed), C.int64_t(n), &f)
	return found(f)
}
