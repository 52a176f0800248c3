package score

// SSIMSums are what one scale of structural similarity sums over the positions of its window, in 1/2^36: integers, so that any order of
// work gives the same. Source: spec/classic-metrics.md §3.3.
type SSIMSums struct {
	Total     int64 // Σ l·c·s; not formed by MS-SSIM
	Luminance int64 // Σ l
	Contrast  int64 // Σ c
	Structure int64 // Σ s
}

// MSSSIMSums are those of the five scales of multi-scale structural similarity.
type MSSSIMSums [5]SSIMSums
