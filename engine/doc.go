// Package engine measures: it reads a reference and its renditions, pairs their pictures, has an [Extractor] compute the
// features of each pair and forms series and scores of them.
//
// [Measure] is the whole of it for one process. Its life: open and index all inputs, decide what is compared with what
// ([Pairing]), then, chunk by chunk, decode the reference once and every rendition beside it, convert what is not in the
// comparison's format, and hand sets of pictures to the extractor's workers. Figures are written to places that
// belong to their frame, so that neither chunks nor workers nor the order of arrival can change a result.
//
// Everything between decoder and extractor is bounded: a decoder that is ahead waits.
//
// # Decisions
//
// Renditions are grouped by the format they are compared in. What depends on the reference alone is computed once a group, and a
// rendition's figures do not depend on which others are measured with it: an 8-bit rendition is
// compared at 8 bits even where a 10-bit one beside it is compared at 10.
//
// A rendition that cannot be decoded fails alone; a reference that cannot fails the measurement.
package engine
