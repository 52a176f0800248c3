// Package protocol is what the daemon and its workers say to each other: tasks on the queue, and the messages about them.
//
// A worker introduces itself ([Hello]) and reports at intervals ([Heartbeat]). It takes a [Task] from the queue, asks leave to
// begin it ([Begin]), has its [Handler] do it, sends what came of it in parts that each fit a message ([Record]), and says that
// it is done ([Finish]); only then does the queue forget the task. While a task runs the worker tells how far it is
// ([Progress]) and listens for [Cancel]. Everything that is answered is idempotent, so that a lost answer is asked for again.
//
// Messages are CBOR maps, encoded by [Encode] and read by [Decode], which refuses what is too large, too deep or of another shape.
// Fields may be added; readers pass over those they do not know. [Version] changes when old and new cannot work together, and the
// handshake refuses a worker of another one.
//
// The package knows neither queue nor media. Its types are plain values, safe to copy.
package protocol
