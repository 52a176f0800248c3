package psnrhvs

// #cgo CXXFLAGS: -std=c++17 -O3 -fno-exceptions -fno-rtti -DHWY_WANT_AVX3_DL -I${SRCDIR}/../../../common
// #cgo CFLAGS: -I${SRCDIR}/../../../common
// #cgo arm64 CXXFLAGS: -march=armv8-a+crypto
// #cgo pkg-config: libhwy
import "C"

// A changed header in kernels/common must rebuild this package: see there.
import (
	_ "github.com/vqsd/vqsd/kernels/common"
	_ "github.com/vqsd/vqsd/kernels/common/psnrhvs"
)
