// Package synth makes the pictures that the benchmarks measure: a moving texture with film grain, hard edges and a scene cut,
// and worse versions of it. [Content] says what they look like; the same Content gives the same samples on any machine.
//
//	c := synth.Content{Width: 1920, Height: 1080, BitsPerComponent: 8, Frames: 48}
//	err := c.WriteY4M(ctx, w, synth.Reference)
//
// All values may be used from several goroutines at a time.
//
// # Decisions
//
// The kernels take the same time for any picture, but decoders and encoders do not: noise alone would make every clip as expensive
// as it can get, a still picture as cheap. Texture that moves by whole samples can be predicted, grain cannot, and the edges are where
// coarse quantisation shows. Arithmetic is of integers, so that no processor or compiler rounds otherwise.
package synth
