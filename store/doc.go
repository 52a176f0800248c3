// Package store keeps what vqsd knows in an embedded Badger database: measurements, what is outstanding of them, every
// per-frame feature that was computed, and the indexes that queries use. It is the truth: whatever the store has
// acknowledged survives the death of any process and the loss of power, and nothing else has to.
//
// The central type is [Store]. Its life: [Open] a directory (one process at a time), use it from any number of
// goroutines, [Store.Close]. Records are plain structs, [Measurement] above all; they are copied in and out, so that a caller
// may change what it got.
//
//	m/<measurement>                              a Measurement
//	t/<class>/<deadline>/<measurement>/<task>    a Task that is outstanding, in dispatch order
//	f/<identity>/<figure>/<first>                Columns: per-frame figures of a run of frames
//	v/<file>                                     a File: what is known of a media file's content
//	i/<field>/<value>/<measurement>              indexes
//	r/<owner>/<request id>                       idempotency, with expiry
//	d/<digest>                                   a model document that a client sent
//
// keys.go is the only place where keys are built and parsed. Every value starts with a format version; a newer one is refused.
package store
