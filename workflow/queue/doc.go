// Package queue carries tasks and messages between the daemon and its workers, on NATS. It takes every body for opaque bytes.
//
// The daemon starts a [Server] of its own ([StartServer]) or uses one that exists; both sides [Connect] to it. Tasks wait in one JetStream
// stream a class: the daemon makes them with [Conn.EnsureStream] and fills them with [Conn.Publish], workers empty them with
// [Conn.Take], in order of class. A taken task is leased: unless the worker extends the lease, another one gets it. Messages go by core
// NATS: questions with [Conn.Request] and [Conn.Handle], news with [Conn.Broadcast] and [Conn.Listen].
//
// A [Conn] reconnects for ever. All of its methods may be called from any goroutine. Its life: [Connect], calls, [Conn.Close].
//
//	<prefix>.task.<class>    tasks, in the stream <prefix>-<class>, read by its consumer "workers"
//	<prefix>.msg.<subject>   messages
//	<prefix>.more            hint that there is a task to take
//	<prefix>.up.<subject>    hint that somebody has begun to answer
//
// Whoever is allowed these, $JS.API.>, $JS.ACK.<prefix>-*.> and _INBOX.> can be a daemon; workers need neither create nor purge streams.
//
// # Decisions
//
// The queue is transport and may lose everything at any time: the daemon's store knows what is outstanding. That is why streams are
// in memory, why deliveries are not counted here, and why what belongs to a connection of before is left to its lease: the
// streams may be new ones since, and the same numbers in them other tasks.
//
// Workers ask each class for a task at once and never wait at one: a request that waits at a lower class would be answered with a task of it while one
// of a higher class comes in. Instead they wait for a hint, which each Publish broadcasts, and look by themselves now and then, since
// hints may be lost and leases end without one.
package queue
