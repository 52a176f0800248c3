// Package export turns measurements of the store into files for other tools and for people: the legacy service, watch folders and the command
// line write theirs with it.
package export
