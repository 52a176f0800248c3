// Package common holds the arithmetic that decides bits: taps, rounding, mirror rules and tables, as C++ headers that the
// CPU kernels, the CUDA kernels and the software libcuda include. There is no Go code to call.
//
// cgo rebuilds a package when a file in its own folder changes and does not look into others. The packages that
// include these headers therefore import this one, which embeds them, so that a changed header changes their
// build's inputs and nobody tests a stale object.
package common

import "embed"

// Headers are the headers of this folder.
//
//go:embed *.h
var Headers embed.FS
