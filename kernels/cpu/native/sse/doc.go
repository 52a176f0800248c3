// Package sse holds the C++ of the sums of squared differences. Its entry point is plain C, and package cpu is its Go face; see
// package native for why it is a package.
package sse
