// Package legacy writes and reads the per-frame log files that libvmaf's tools write, so that tooling built
// around those files goes on working.
//
// [Write] turns a [vmaf.Table] into the XML, JSON, CSV or SUB log of libvmaf 3.2.0, byte for byte. [Read] takes such
// a log, of any libvmaf from 1.5.1 to 3.2.0, and returns a [Log]. Both are pure functions of their arguments and may
// be called from any goroutine; neither keeps what it was given.
//
// Source: spec/legacy-logs.md, Part A (what is written) and Part B.1 (older generations).
//
// # Decisions
//
// Nothing is ever escaped in these files, and a few tables have no sound form in them. libvmaf writes a broken file
// then; Write refuses with an error that wraps [ErrUnwritable], and writes nothing. The cases: a name that the format
// cannot hold or that occurs twice; JSON when frame 0 has no value (it would begin its list with a comma); CSV when a
// frame lacks one of the values (the following ones would move into other columns).
//
// A NaN is written as nan, never as -nan. libvmaf prints the sign that the computation happened to leave, which
// differs between processors; a table gives the same bytes everywhere here.
//
// The reader has its own XML and JSON scanners of a few lines. The general ones cannot bound what one element costs,
// and refuse what libvmaf itself wrote: JSON holding inf and nan (before 2.2.0), and lists with that first comma.
package legacy
