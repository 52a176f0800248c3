// Package grpc is the gRPC entrance: it validates, authorises and translates, and leaves the rest to the workflow and the store.
//
// The central type is [Server]. Its life: [New], [Server.Serve] on a listener, [Server.Shutdown]. A call passes, in this order: the size
// limits of gRPC, the observer (log, metrics, errors → status), recovery from panics, authentication and rights (the table in
// rights.go), the caller's limits, protovalidate, and then its method. Domain types never leave the package as they are, and
// generated types never enter another one: convert*.go has a function for each way.
//
// Errors of the domain become gRPC codes in status.go and nowhere else.
//
// # Decisions
//
// A caller who may not use the media roots of a measurement gets the answer that there is none. So does he in lists, which are filtered by
// root in the store, so that pages are full.
//
// A client that does not read is not waited for longer than [Limits.StalledStream]: a message that cannot be handed over for that
// long ends its stream. Until then one message is held for it, and nothing else.
package grpc
