package score

// CambiConfig is all that CAMBI's sums of one picture depend on beside the picture: options and sizes, resolved as spec/cambi.md §3 says.
// Configurations that are equal have equal sums.
type CambiConfig struct {
	Width, Height int     // working size; the picture is sampled to it where it has another
	Window        int     // side of the window, odd
	HighRes       bool    // the speed-up flag: one more halving before the first scale
	AntiDither    bool    // the encode had fewer than 10 bits
	Contrasts     int     // n, the number of contrast steps: 1 … 32
	Visible       [32]int // tvi by step; those from Contrasts on are 0
	DarkLimit     int     // vlt
	TopShare      float64 // share of the pixels that is pooled
}

// CambiSums are, by scale, the sums of the largest c-values that are pooled, in 1/2^24: exact, whatever the order of work.
// Source: spec/cambi.md §7.4.
type CambiSums [5]uint64
