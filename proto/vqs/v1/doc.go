// Package vqsv1 is the API of vqsd, version 1, as Go: what encoder farms import to call it. The .proto files beside it are its manual; the Go is
// generated from them by make proto.
package vqsv1
