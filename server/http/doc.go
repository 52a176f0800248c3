// Package http is the daemon's HTTP entrance: metrics, health, profiles, and a page that says in plain text what is where.
//
// The central type is [Server]. Its life: [New], [Server.Serve] on a listener, [Server.Shutdown].
//
// Whether the process lives (/healthz) and whether it would take a measurement (/readyz) is told to everybody, without reasons;
// all else asks for the same credentials as the API does. Reasons why the daemon is not ready are told to those who may read.
package http
