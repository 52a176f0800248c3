package store

import "errors"

// What callers branch on.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("exists already")
	ErrFull        = errors.New("too little disk space is left") // nothing was written; writes work again once there is space
	ErrClosed      = errors.New("the store is closed")
	ErrNewerFormat = errors.New("written by a newer version of vqsd")
	ErrCorrupt     = errors.New("the store is damaged")
	ErrConflict    = errors.New("changed by somebody else meanwhile") // for callers that compare revisions; the store itself waits its turn
	ErrQuery       = errors.New("the query will not do")              // an unknown field, a value of the wrong type, a page token of another query
	ErrInUse       = errors.New("the store is in use by another process")

	// ErrUnchanged is what a function given to [Store.Update] returns when there is nothing to do: Update then writes nothing and
	// returns the record as it is stored, without an error.
	ErrUnchanged = errors.New("nothing to change")
)
