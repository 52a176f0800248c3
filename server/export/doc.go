// Package export turns measurements of the store into files for other tools and for people: the legacy service, watch folders and the command
// line write theirs with it.
//
// [Write] writes the file of one rendition in any [Format]. [NewTable] makes a file with rows of many. [FileName] names such files so that
// nothing a rendition may be called leads out of a folder or onto another file, and [CheckFileName] is the same rule for whoever is told such a
// name. All may be called from any goroutine; a [Table] belongs to one.
//
// A measurement that was made of another program's file (store.Imported) goes back into that file's form with what the file itself said: its
// pooled figures, which were formed of more digits than it lists, its version and its speed. So the file comes out as it went in.
package export
