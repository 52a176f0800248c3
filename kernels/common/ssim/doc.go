// Package ssim holds the arithmetic of structural similarity that decides bits, as a C++ header that the CPU kernels, the CUDA kernels
// and the software libcuda include. There is no Go code to call; see package common for why it is a package.
package ssim
