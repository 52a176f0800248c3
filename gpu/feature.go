//go:build cuda

package gpu

// feature is one kind of sums that a session forms. Its methods are called with the device's context current, one at a time.
type feature interface {
	name() string
	// resultWords is how many 64-bit words it wants in the results of a batch. They are zero when launch is called.
	resultWords(frames, pairs int) int
	// launch starts the feature's kernels on the batch. results is the device address of its words.
	launch(s *stream, b *batch, results uint64) error
	// collect takes the sums of the batch from the words. out has room for them.
	collect(words []uint64, b *batch, out *Sums)
	// close frees what is not in the session's memory.
	close() error
}
