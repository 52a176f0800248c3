// Package prove measures how far the functions of kernels/common/math are off, against the C library's in a longer format. Only
// its tests use it.
package prove
