package score

// SpeedConfig is all that SpEED's figures depend on beside the pictures. Source: spec/speed.md §2.
type SpeedConfig struct {
	KernelScale    float32
	Prescale       float64
	PrescaleMethod string // nearest, bilinear, bicubic or lanczos4
	SigmaNN        float32
	NNFloor        float32
	WeightVarMode  int
}

// SpeedSums are the scores of the two chroma planes of a pair, and which of them are degenerate. Source: spec/speed.md §6.
type SpeedSums struct {
	U, V                     float32
	DegenerateU, DegenerateV bool
}
