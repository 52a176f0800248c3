//go:build cuda

package gpu

// feature is one kind of sums that a session forms. Its methods are called with the device's context current, one at a time.
type feature interface {
	name() string
	// resultWords is how many 64-bit words it wants in the results of a batch. They are zero when launch is called.
	resultWords(frames, pairs int) int
	// launch starts the feature's kernels on the batch. results is the device address of its words.
	launch(s *stream, b *batch, results uint64) error
	// collect takes the sums of the batch from the words.
	collect(words []uint64, b *batch, out *Sums)
	// close frees what is not in the session's memory.
	close() error
}

// featureKind is what is to be known of a feature before there is one.
type featureKind struct {
	name   string
	wanted func(p Plan) bool
	// validate says all that is wrong with the feature's part of a plan, whose format and numbers may be wrong, too.
	validate func(p Plan) error
	// bytes is the device memory that open allocates, and words what resultWords of the feature says.
	bytes func(p Plan) int64
	words func(p Plan, frames, pairs int) int
	open  func(d *Device, p Plan, m *memory) (feature, error)
}

// featureKinds are all there are, in the order in which they are computed.
func featureKinds() []featureKind {
	return []featureKind{motionKind, vifKind, admKind, cambiKind, speedKind, sseKind, ssimKind, psnrHVSKind, ciedeKind}
}

// kinds are those that the plan wants.
func (p Plan) kinds() []featureKind {
	var list []featureKind
	for _, k := range featureKinds() {
		if k.wanted(p) {
			list = append(list, k)
		}
	}
	return list
}
