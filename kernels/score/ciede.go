package score

// CIEDESums is the sum of the colour differences ΔE00 of all pixels, in 1/2^32: an integer, so that any order of work gives the same.
// Source: spec/classic-metrics.md §6.
type CIEDESums uint64
