// Package arch holds the tests that keep the module's layers apart: which package may import which, who alone
// touches FFmpeg, CUDA, the queue or the store, and that every package says what it is for.
//
// There is no code here to call. The rules are one table in rules_test.go, each with the reason that its failure
// prints; a rule that no longer fits is changed there, in a commit that says why.
//
// # Decisions
//
// Imports are read from the source text of every file below the module root, under whatever build tags it
// stands. The road not taken is to ask the go command, which sees one set of tags at a time and so would miss a
// forbidden import in a file for another operating system or behind a feature tag.
package arch
