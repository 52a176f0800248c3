// Package watch measures what falls into folders.
//
// A [Watcher] looks at each [Folder] at intervals. The scan is the truth: it lists every file, and a file event only makes the next scan come
// sooner, since network file systems send none. What a scan finds is put together into titles, a reference with its renditions each (pair.go,
// manifest.go), once the files are complete (settle.go). A rendition that the ledger of the store does not have with these files is submitted, those
// of one title in one measurement, and when that has ended its reports are written, the ledger notes it, and the files are dealt with as the
// folder says.
//
// Each step is noted in the ledger before the next begins and may be repeated: a process that is killed anywhere goes on where it was, measures
// nothing twice and forgets nothing.
package watch
