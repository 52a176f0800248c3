package cpu

// #cgo CFLAGS: -I${SRCDIR}/native -I${SRCDIR}/../common
import "C"

// What the entry points that this package calls are linked from.
import _ "github.com/vqsd/vqsd/kernels/cpu/native"
