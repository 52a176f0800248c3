// Package psnrhvs holds the C++ of PSNR-HVS. Its entry points are plain C, and package cpu is their Go face; see package native for why it is
// a package.
package psnrhvs
