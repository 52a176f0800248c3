package score

// PSNRHVSSums are, by plane, the sums of weighted squared differences of DCT coefficients, added in the order that spec/classic-metrics.md
// §5 states, in single precision.
type PSNRHVSSums [3]float32
