// Package score takes the integer sums that a backend found over a picture to the figures that are reported for the frame:
// the few floating-point steps at the end of each feature. CPU and GPU share them, so equal sums give equal figures.
//
// The steps are C, because some of their bits come from the C library (powf), and the reference took them from there too.
// Everything here is safe for concurrent use.
package score
