// Package worker is the loop of a worker process: it takes tasks from the queue, has a [protocol.Handler] do them, and delivers what came of them.
//
// [Run] is all of it. It introduces the worker to the daemon, and again whenever the daemon may be a new one, reports every second, and
// does up to [Config.Slots] tasks at a time. The life of a task:
//
//	take ─▶ Begin ─▶ handler ─▶ Record … Record ─▶ Finish ─▶ acknowledge
//
// The lease is extended all the while. A daemon that is away does not stop the handler: what it has measured waits, for as long as
// [Config.ResultPatience], and the queue's copy of the task stays leased.
//
// When its context ends, Run drains: it takes nothing more, lets tasks finish for [Config.DrainGrace], and gives the rest back.
//
// A panic in the handler is not recovered: the process dies, its supervisor starts another, and the task has cost an attempt. What
// cannot be cured within the process ends it in order: a handler that ignores its cancellation ([ErrHung]), memory beyond the limit
// ([ErrMemory]), a device that takes no more work ([ErrBroken]).
package worker
