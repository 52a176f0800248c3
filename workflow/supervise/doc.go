// Package supervise keeps child processes running: it starts a command, watches it, and starts another when it has ended.
//
// [Start] starts a [Child], which has a process until [Child.Stop]. Pauses between a process and the next grow while processes end soon, so that a command
// that cannot work costs next to nothing. A process that has more memory than it may, or that the caller gives up ([Child.Kill]), is
// killed and replaced. Each end is told to [Config.OnExit], with its reason in words and the last that the process wrote.
//
// No process outlives its supervisor: the kernel kills it with the thread that started it, and where that fails (a debugger between, another user)
// a pipe ends, which the command watches with [ParentGone].
//
// What can be seen from outside only is judged here. Whether a process does what it should is not: a hung one is the caller's to notice.
package supervise
