// Package cambi holds the arithmetic of CAMBI that decides bits, as a C++ header that the CPU kernels, the CUDA kernels and the
// software libcuda include. There is no Go code to call; see package common for why it is a package.
package cambi
