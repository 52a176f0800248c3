package engine

import (
	"time"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/vmaf"
)

// Result is what a measurement found and everything that made it.
type Result struct {
	Reference      decode.Info
	ReferenceStats decode.Stats
	Renditions     []Rendition // in the order of [Request.Distorted]

	Backend string        // what computed the features: "cpu (avx512dl)"
	Threads int           // frames measured at a time
	Chunk   int64         // reference frames of a chunk; 0: one chunk
	Frames  int64         // reference frames measured: those that any rendition was compared at
	Elapsed time.Duration // from the first frame's decoding to the last score
	// Times are the presentation times, since the reference's first frame, of reference frames FirstFrame,
	// FirstFrame + 1, … that were measured. Nil where the input has no times.
	Times      []time.Duration
	FirstFrame int64
}

// Rendition is the result of one distorted video.
type Rendition struct {
	Info  decode.Info
	Stats decode.Stats
	// Err says why this rendition could not be measured; Table is then nil.
	Err   error
	Table *vmaf.Table

	Format vmaf.Format // what pictures were compared in
	// Conversion and ReferenceConversion say what was done to the pictures for that; empty: nothing.
	Conversion, ReferenceConversion string
	// Encoded is what CAMBI was told that the rendition was encoded in; zero: what pictures were compared in.
	Encoded vmaf.Encoded

	Pairing    Pairing // as applied: by index or by timestamp
	First, End int64   // reference frames that were compared, [First, End)
	Offset     int64   // by index: distorted frame less reference frame
	Repeated   int64   // distorted frames compared more than once, each further time counted
	Dropped    int64   // distorted frames passed over
}
