package watch

import (
	"context"
	"slices"
	"time"

	"github.com/vqsd/vqsd/store"
)

// keepGone is how long the ledger keeps what it has of a file that is gone. Folders on networks come and go, and a file that comes back unchanged is
// not measured again.
const keepGone = 7 * 24 * time.Hour

// pruneBatch is how many entries are written together.
const pruneBatch = 1000

// prune notes which files are gone, and forgets those that have been for long. A folder without any file says nothing: it may not be the one it
// was.
func (f *watched) prune(ctx context.Context) {
	if len(f.found.files) == 0 {
		return
	}
	now := f.all.Now()
	var noted []store.WatchEntry
	var dropped []string
	for file, e := range f.entries {
		_, there := f.found.files[file]
		switch {
		case !e.State.Settled():
		case there && !e.Missing.IsZero():
			back := *e
			back.Missing = time.Time{}
			noted = append(noted, back)
		case !there && e.Missing.IsZero():
			gone := *e
			gone.Missing = now
			if e.State == store.WatchFailed && !e.Disposed {
				f.trouble(file, f.removeMark(file)) // nothing is left that it could be about
			}
			noted = append(noted, gone)
		case !there && now.Sub(e.Missing) >= keepGone:
			dropped = append(dropped, file)
		}
	}
	for batch := range slices.Chunk(noted, pruneBatch) {
		if err := f.put(ctx, batch...); err != nil {
			f.trouble(ofLedger, err)
			return
		}
	}
	for batch := range slices.Chunk(dropped, pruneBatch) {
		if err := f.remove(ctx, batch...); err != nil {
			f.trouble(ofLedger, err)
			return
		}
	}
	f.trouble(ofLedger, nil)
}

// ofLedger is what trouble with the ledger is of.
const ofLedger = "(ledger)"
