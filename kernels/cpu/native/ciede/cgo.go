package ciede

// #cgo CXXFLAGS: -std=c++17 -O3 -fno-exceptions -fno-rtti -DHWY_WANT_AVX3_DL -I${SRCDIR}/../../../common
// #cgo CFLAGS: -O3 -I${SRCDIR}/../../../common
// #cgo arm64 CXXFLAGS: -march=armv8-a+crypto
// #cgo pkg-config: libhwy
import "C"

// For the flags see package native. Changed headers must rebuild this package.
import (
	_ "github.com/vqsd/vqsd/kernels/common"
	_ "github.com/vqsd/vqsd/kernels/common/ciede"
	_ "github.com/vqsd/vqsd/kernels/common/math"
)
