// Package math holds mathematical functions that give the same bits on every processor and device, as C++ headers that the CPU
// kernels, the CUDA kernels and the software libcuda include: logarithm, exponential, sine and cosine, angle. They are made
// of +, −, ×, ÷ and √ of binary64 and of operations on bits, each of which IEEE 754 or the language defines to the last bit; the
// libraries of C and CUDA each round in ways of their own. There is no Go code to call.
//
// Each is a template of the number that it takes, a double or a vector of them (see number.h). Results are not always the closest
// number to the true one: each function says how far off it may be, and the tests in the folder prove measure it.
//
// Packages that include these headers import this one, which embeds them, so that a changed header rebuilds them; see
// kernels/common.
package math

import "embed"

// Headers are the headers of this folder.
//
//go:embed *.h *.inl
var Headers embed.FS
