// Package cuda holds the CUDA kernels as the program carries them: PTX, which the driver of the machine compiles for its device.
//
// Beside each .cu lies the .ptx that scripts/ptx.sh makes of it with clang alone; both are committed, and CI compiles again and
// compares. The Go code only embeds the texts and knows their entry points; loading and launching is gpu's business.
//
// # Decisions
//
//   - PTX for compute capability 7.5, ISA 6.3, and no machine code: one text serves every device since then, for the milliseconds
//     that a driver takes to compile it once (it keeps the result).
//   - device.h is all that a kernel may use of the device, so that kernels/emu can execute, and check, the same sources.
package cuda
