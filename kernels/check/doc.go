// Package check holds every kernel against its plain reference, bit for bit, and times it: one harness for both, so that a
// kernel which is registered is tested and measured everywhere.
//
// A [Kernel] is a whole-feature entry point: planes in, integers out. [Register] declares it with the sizes, depths and
// contents to be tried; the registrations are in kernels.go. [Kernel.Check] then runs each case on the plain target and on
// every vector target of this machine and compares all results. Each run gets the same samples in another memory layout
// (stride, alignment, junk in the padding), between inaccessible pages, so that a read outside the planes is a crash and a
// read of padding is a difference; writing to a plane or past the results is noticed too. [Bench] times the same kernels.
// [Kernel.CheckAgainst] runs the same cases on an implementation that is not here, such as a device's.
//
//	go test ./kernels/check                         all kernels; prints its seed when something fails
//	go test ./kernels/check -run Parity/vif -seed 7 one kernel, a seed given (or VQSD_CHECK_SEED=7)
//	go test ./kernels/check -run - -bench .         timing; -bench Kernels/motion/1920x1080
//
// A target that this machine does not run is reported as not run. Where all of a list have to run, as on the machine that is
// to prove them, VQSD_CHECK_TARGETS=avx2,avx512 makes a missing one a failure.
//
// # Decisions
//
// Cases are whole pictures rather than stages: the stages of one kernel are fused and their borders move with the vector
// width, so what can be compared between targets is the sums. A difference therefore names the sum, with its neighbours, and
// the shrunken picture that still shows it.
//
// The target is a global of package cpu, so nothing here runs in parallel.
package check
