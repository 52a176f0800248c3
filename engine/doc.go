// Package engine measures: it reads a reference and its renditions, pairs their pictures, has an [Extractor] compute the
// features of each pair and forms series and scores of them.
//
// [Measure] is the whole of it for one process. Its two halves serve those who measure in pieces, and keep figures: [Open] opens
// and indexes all inputs and decides what is compared with what ([Pairing]), which [Comparison.Describe] tells;
// [Comparison.Extract] measures any run of frames: it decodes the reference once and every rendition beside it, converts what
// is not in the comparison's format, and hands sets of pictures to the extractor's workers. Figures are written to places
// that belong to their frame, so that neither chunks nor workers nor the order of arrival can change a result.
//
// A [Backend] is what computes: the processor ([CPU], a frame a call) or a GPU ([CUDA], a batch of frames a call, on package gpu). Whoever
// opens one closes it, after all comparisons that use it. On a GPU, its decoder delivers what it can to the bits of software, and pictures
// stay in its memory. Figures are the same whatever computes.
//
// Everything between decoder and extractor is bounded: a decoder that is ahead waits.
//
// [Fingerprint] and [Stamp] tell whether a file is the one that figures are kept of.
//
// # Decisions
//
// Renditions are grouped by the format they are compared in and by how the reference is scaled for it. What depends on the
// reference alone is computed once a group, and a rendition's figures do not depend on which others are measured with it:
// an 8-bit rendition is compared at 8 bits even where a 10-bit one beside it is compared at 10.
//
// A GPU that fails ends the run with [ErrDeviceFailed], and no figure of that run is kept: what a device in doubt has computed is in doubt. Only
// [Measure], and only where the device was left to us, goes on with the processor, from the start.
//
// A rendition that cannot be decoded fails alone; a reference that cannot fails the measurement.
//
// Motion looks back across the cuts between runs of frames, but never to before the first frame that is compared, although there
// may be pictures: what is measured must not depend on how it is cut, and a range of frames is measured like a file of these.
package engine
