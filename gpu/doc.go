// Package gpu measures batches of pictures on CUDA devices: it opens devices, keeps their memory, brings pictures there and
// launches the kernels of kernels/cuda. It is the only package that calls the CUDA driver.
package gpu
