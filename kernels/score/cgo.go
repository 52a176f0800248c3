package score

// #cgo CFLAGS: -std=c11 -O2 -I${SRCDIR}/../common
// #cgo LDFLAGS: -lm
import "C"

// A changed header in kernels/common must rebuild this package: see there.
import _ "github.com/vqsd/vqsd/kernels/common"
