// Package cambi holds the C++ of CAMBI. Its entry points are plain C, and package cpu is their Go face; see package native for why it is a
// package.
package cambi
