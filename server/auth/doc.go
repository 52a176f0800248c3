// Package auth says who calls and what he may: bearer tokens and client certificates from a file, rights, media roots, and where
// the daemon may listen without any of them.
//
// The central type is [Auth]: [Open] reads the file, [Auth.Authenticate] turns credentials into a [Caller], re-reading the file when it has
// changed. [Roots] turn what a request calls a video into a file below a media root that the caller may use; they look at text
// only and never at the file system. All of it is safe for concurrent use, and knows nothing of gRPC or HTTP: entrances take
// credentials from their own headers and put the Caller into the context ([NewContext], [FromContext]).
//
// # Decisions
//
// Tokens are compared by their SHA-256, each with every known one and in constant time, so that answers tell nothing about how much of a guess
// was right. A salted, slow hash is for passwords; tokens are long and random, and are checked with every call.
//
// A token that is taken out of the file is refused within seconds; a stream that is open keeps the caller it began with.
//
// A file that cannot be read any more, or that has become wrong, leaves the last good one in force and is logged: a slip of the editor must not
// lock everybody out, nor let anybody in.
package auth
