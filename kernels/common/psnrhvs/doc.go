// Package psnrhvs holds the arithmetic of PSNR-HVS that decides bits, as C++ headers that the CPU kernels, the CUDA kernels and the software
// libcuda include. There is no Go code to call; see package common for why it is a package.
package psnrhvs
