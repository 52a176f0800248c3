// Package prove holds the forms of arithmetic that kernels of kernels/cuda use against the definitions in kernels/common, for all
// arguments or for many: on the processor, where they compile as well. Only its tests use it.
package prove
