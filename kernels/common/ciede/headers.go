// Package ciede holds the arithmetic of CIEDE2000 that decides bits, as C++ headers that the CPU kernels, the CUDA kernels and the
// software libcuda include. There is no Go code to call; see package common for why it is a package.
package ciede

import "embed"

// Headers are the headers of this folder.
//
//go:embed *.h *.inl
var Headers embed.FS
