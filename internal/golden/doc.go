// Package golden gives tests the golden material: real clips, encodes of them, and the figures the reference
// implementation gave for every pair, frame by frame.
//
// The material is not part of the repository. [Dir] finds it in the folder named by the environment variable
// VQSD_GOLDEN, else in ../shared/golden beside the repository; a test that asks for it where there is none is skipped
// and says so. Everything read here is immutable and may be shared between goroutines.
//
// # Decisions
//
// A figure that was not computed ("NA") is a NaN in [Column.Values] and false in [Column.Present]: some figures are
// NaN or infinite by right, so the value alone does not tell.
package golden
