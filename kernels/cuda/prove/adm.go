package prove

// #cgo CXXFLAGS: -std=c++17 -O2 -fno-exceptions -fno-rtti -I${SRCDIR}/.. -I${SRCDIR}/../../common
// #include "adm.h"
import "C"

import (
	"fmt"

	// A changed header there must rebuild this package.
	_ "github.com/vqsd/vqsd/kernels/common"
	_ "github.com/vqsd/vqsd/kernels/cuda"
)

// A finding says of how many arguments, out of how many, two forms of arithmetic gave different results.
type finding struct {
	tried, wrong, open int64
	first              string
}

func found(f C.VqsFinding) finding {
	return finding{
		tried: int64(f.tried), wrong: int64(f.wrong), open: int64(f.open),
		first: fmt.Sprintf("of (%d, %d, %d): want %d, got %d", f.a, f.b, f.c, f.want, f.got),
	}
}

func admInverses() finding {
	var f C.VqsFinding
	C.vqs_prove_adm_inverses(&f)
	return found(f)
}

// admPlain tries every step-th o below 2^14 from first on, with every t up to o.
func admPlain(first, step int) finding {
	var f C.VqsFinding
	C.vqs_prove_adm_plain(C.int32_t(first), C.int32_t(step), &f)
	return found(f)
}

func admRestored(seed uint64, n int) finding {
	var f C.VqsFinding
	C.vqs_prove_adm_restored(C.uint64_t(seed), C.int64_t(n), &f)
	return found(f)
}

func admEnhanced(seed uint64, n int) finding {
	var f C.VqsFinding
	C.vqs_prove_adm_enhanced(C.uint64_t(seed), C.int64_t(n), &f)
	return found(f)
}

func admAngle(seed uint64, n int) finding {
	var f C.VqsFinding
	C.vqs_prove_adm_angle(C.uint64_t(seed), C.int64_t(n), &f)
	return found(f)
}

func admSmallFloats() finding {
	var f C.VqsFinding
	C.vqs_prove_adm_small_floats(&f)
	return found(f)
}

func admSensitive(weight uint32) finding {
	var f C.VqsFinding
	C.vqs_prove_adm_sensitive(C.uint32_t(weight), &f)
	return found(f)
}

func admMasks() finding {
	var f C.VqsFinding
	C.vqs_prove_adm_masks(&f)
	return found(f)
}
