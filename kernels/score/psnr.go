package score

// SSESums are, by plane (Y, Cb, Cr), the sums of squared differences over one pair of pictures, in squared units of the native depth.
// Chroma planes count as the metrics see them: odd luma sizes are halved rounding down. Source: spec/classic-metrics.md §2.
type SSESums [3]uint64
