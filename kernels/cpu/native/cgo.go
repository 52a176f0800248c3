package native

// #cgo CXXFLAGS: -std=c++17 -O3 -fno-exceptions -fno-rtti -DHWY_WANT_AVX3_DL -I${SRCDIR}/../../common
// #cgo CFLAGS: -O3 -I${SRCDIR}/../../common
// #cgo arm64 CXXFLAGS: -march=armv8-a+crypto
// #cgo pkg-config: libhwy
import "C"

// On arm64, Highway compiles NEON code for cores with AES instructions by a pragma that GCC forgets for the implicit
// constructors of structures with vectors in them; the flag says it for the whole file. A core without AES runs the plain
// target, in which the compiler has no use for AES.

// A changed header in kernels/common must rebuild this package: see there.
import _ "github.com/vqsd/vqsd/kernels/common"
