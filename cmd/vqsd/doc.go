// Command vqsd measures video quality: VMAF and its features of distorted videos against their reference.
//
// main turns signals into a cancelled context and an exit status into the process's; everything else is below run, which
// needs no process and so can be tested. A subcommand has a file of its own: flags become one request, the request one
// call, and its answer a table, a document or files.
//
// # Streams and exit status
//
// Results go to standard output and nothing else does; all else goes to standard error. The status is 0 when all was
// done, 1 when something failed, and 2 when the command was not understood: unknown flags, values that cannot be read, flags
// that contradict each other. What depends on the world (files, what they hold, devices) is never 2. vmaf, which
// stands for another program, has that one's statuses.
//
// # Files
//
// A log or plot is written under a temporary name beside its place and renamed when it is complete, so a failure, an
// interruption or a full disk leaves the old file or none, and never half of one. That the place can be written to is
// checked before anything is measured.
//
// # Daemons
//
// A result has one form, whether the engine found it in this process or a daemon sent it, and all that is printed, written and
// drawn is made from that. So the same command gives the same log with --server and without. A daemon that goes away is
// waited for; a request for a measurement has an ID, so that it can be sent again without starting another.
//
// # Decisions
//
// measure --server names the default model, where the API would let the daemon's rules choose: adding --server to a
// command must not change its figures. --model auto is there for those who want the rules.
//
// Lists with --json are lines, one document each, so that a million rows can be read as they come.
//
// Several models that are given no name are called by their versions, where a single one is called "vmaf" as in libvmaf:
// libvmaf itself refuses two models of one name.
//
// The document that --json prints has no figures of single frames. The log has them, in four formats that tools read
// already; a document of a two-hour film would be all frames.
package main
