// Package cpu computes VMAF's integer features on the processor, one picture (with all its renditions) a call.
//
// Each feature has a scratch type ([VIFScratch], [ADMScratch], [MotionScratch]) that owns everything the feature needs
// beside the pictures: make one per goroutine and picture size, call it for each frame, Close it. Calls allocate nothing.
// A scratch is not safe for concurrent use; different ones are. Planes are only read, and only during the call.
//
// The kernels are C++ with Google Highway, compiled once for each vector target and dispatched at run time; beside
// each stands a plain one (the files named …_plain.cc), written from the algorithm's description, which is its definition
// and gives the same bits. VQSD_CPU=plain, avx2, avx512 or avx512dl (neon on ARM) in the environment forces a target; by
// default it is the best that the processor runs.
//
// # Decisions
//
// The results are exact integers (sums of rounded integers), so neither the order of rows nor the vector width can change
// them. Floating-point steps that follow live in kernels/score.
package cpu
