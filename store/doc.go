// Package store keeps what vqsd knows in an embedded Badger database: measurements, what is outstanding of them, every
// per-frame feature that was computed, and the indexes that queries use. It is the truth: whatever the store has
// acknowledged survives the death of any process and the loss of power, and nothing else has to.
//
// The central type is [Store]. Its life: [Open] a directory (one process at a time), use it from any number of
// goroutines, [Store.Close]. Records are plain structs, [Measurement] above all; they are copied in and out, so that a caller
// may change what it got.
//
//	m/<measurement>                                      a Measurement
//	q/<measurement>                                      its facts: what filters look at, quick to read
//	t/<class>/<deadline>/<measurement>/<number>          a Task that is outstanding, in dispatch order
//	k/<measurement>/<number>                             where the task of that number is
//	c/<measurement>/<number>                             a TaskDone, until the measurement is assembled
//	f/<identity>/<figure>/<first>/<end>/<step>           Columns: per-frame figures of a run of frames
//	v/<host>/<root>/<path>/<raw>                         a File: what is known of a media file's content
//	w/<folder>/<path>                                    a WatchEntry: what has become of a file in a watched folder
//	i/<index>/<value>/<measurement>                      indexes
//	r/<owner>/<request id>                               idempotency, with expiry
//	d/<digest>/<part>                                    a model document that a client sent
//	n/<key>/<part>                                       a note: something that was found out, to save work
//	j/<number>/<part>                                    a write that is larger than a transaction, while it is carried out
//	s/<name>                                             what the store notes of itself: formats, the secret of page tokens
//
// keys.go is the only place where keys are built and parsed. Every value but an index entry's starts with a format version; a newer one
// is refused.
//
// Locks: closing before using; touched.mu and space.mu are taken last and held over no call but a statfs.
//
// # Decisions
//
// One goroutine writes (commit.go), and whatever waits for it shares a synced transaction. Transactions of Badger's own from many
// goroutines would sync one by one, and would have to be retried on conflicts. The price is that a function given to
// [Store.Update] holds up all other writes.
//
// Queries evaluate on facts and never trust an index alone (plan.go), so that a stale entry does no harm. The road not taken was an index
// in memory: quick, but it grows with the number of measurements.
//
// Writes are refused while the disk is nearly full (space.go). Badger writes through memory maps, and where the file system cannot
// give a page any more the process dies of SIGBUS, which Go code cannot handle; it leaves a store that is whole, but takes the daemon down.
package store
