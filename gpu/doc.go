// Package gpu measures batches of pictures on CUDA devices: it opens devices, keeps their memory, brings pictures there, launches
// the kernels of kernels/cuda and takes back their sums. It is the only package that calls the CUDA driver.
//
// A [Device] is opened once a process. A [Session] is made on it for one format of pictures and one list of features, and measures one
// batch after another: [Session.Measure] takes frames, in host memory or in the device's, and gives exact [Sums], which kernels/score
// turns into figures.
//
// A Device is safe for concurrent use; a Session is for one goroutine at a time. Several sessions of a device work at the same time, each on
// a stream of its own, so that one copies while another computes. Any goroutine may call: each call binds itself to its thread and
// makes the device's context current there.
//
// Failing calls of the driver are [CallError]. Some of them end the context, and the driver then refuses everything: the device is lost
// ([ErrLost]), says so at once at each further call, and can only be closed. No sums come from a batch in which anything failed.
//
// Without the build tag cuda the package has the same names, and [Probe] and [Open] answer [ErrNotBuilt].
//
// Locks: Device.life, then Device.loading or pool.mu. None of the latter two is held while the other is taken.
//
// # Decisions
//
//   - Device memory is allocated when a session is made and not in between: a batch that fits the plan has its memory, and what a session
//     takes is known before ([Plan.Bytes]). Each buffer is an allocation of its own, exact to the byte, so that a checking driver
//     (kernels/emu, compute-sanitizer) sees every access beyond it.
//   - Pictures go to the device through a few pinned buffers in turn rather than one of the batch's size: copying into the next one
//     overlaps with the transfer of the last, and pinned memory, which the system can not swap, stays small.
//   - The primary context, with blocking synchronisation: it is the one that FFmpeg's decoder shares, and a waiting thread leaves its core to
//     those that decode.
package gpu
