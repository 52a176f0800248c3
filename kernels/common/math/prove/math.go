package prove

// #cgo CXXFLAGS: -std=c++17 -O2 -fno-exceptions -fno-rtti -I${SRCDIR}/../..
// #include "math.h"
import "C"

// Changed headers there must rebuild this package.
import (
	_ "github.com/vqsd/vqsd/kernels/common"
	_ "github.com/vqsd/vqsd/kernels/common/math"
)

// function is one of those that are measured.
type function int

const (
	log2      = function(C.kVqsLog2)
	log2Near  = function(C.kVqsLog2Near)
	exp       = function(C.kVqsExp)
	exp2      = function(C.kVqsExp2)
	sinWithin = function(C.kVqsSinWithin)
	cosWithin = function(C.kVqsCosWithin)
	sin       = function(C.kVqsSin)
	cos       = function(C.kVqsCos)
	atan2     = function(C.kVqsAtan2)
)

// worst is the largest error found: in units of the last place of the true result, with the argument, or two, that has it; and absolutely.
type worst struct{ x, y, units, error float64 }

// measure tries n random arguments.
func (f function) measure(seed uint64, n int) worst {
	var w C.VqsWorst
	C.vqs_prove_math(C.int(f), C.uint64_t(seed), C.int64_t(n), &w)
	return worst{float64(w.x), float64(w.y), float64(w.units), float64(w.error)}
}
