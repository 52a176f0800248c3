package store

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dgraph-io/badger/v4"
)

// WatchStamp identifies a state of a watched file.
type WatchStamp struct {
	SizeBytes        int64  `cbor:"size"`
	ModifiedUnixNano int64  `cbor:"mtime"`
	Inode            uint64 `cbor:"inode"`
}

// WatchState is how far a watched file is.
type WatchState string

// The states of a watched file, in order.
const (
	WatchSubmitting WatchState = "submitting" // under RequestID; it may or may not have arrived
	WatchMeasuring  WatchState = "measuring"  // as Measurement
	WatchReporting  WatchState = "reporting"  // the measurement has ended; reports are being written and files dealt with
	WatchDone       WatchState = "done"
	WatchFailed     WatchState = "failed"
)

// WatchStates lists the states in order.
func WatchStates() []WatchState {
	return []WatchState{WatchSubmitting, WatchMeasuring, WatchReporting, WatchDone, WatchFailed}
}

// Settled says that nothing is outstanding of the file.
func (s WatchState) Settled() bool { return s == WatchDone || s == WatchFailed }

// WatchEntry is what the ledger of watched folders has of one rendition, or of a file that is wrong in itself. Its texts are UTF-8, but for Path.
type WatchEntry struct {
	Folder string `cbor:"-"` // the folder's name
	Path   string `cbor:"-"` // of the rendition below it; any bytes

	State       WatchState            `cbor:"state"`
	Title       string                `cbor:"title"`
	Reference   string                `cbor:"reference"` // its path below the folder
	Settings    string                `cbor:"settings"`  // digest of what was asked for: where it changes, done work is not repeated but failed work may be
	Stamps      map[string]WatchStamp `cbor:"stamps"`    // of the rendition, its reference and its manifest, by path
	RequestID   string                `cbor:"request_id"`
	Measurement MeasurementID         `cbor:"measurement"`
	Rendition   string                `cbor:"rendition"` // its name in the measurement
	Attempts    int                   `cbor:"attempts"`
	Failure     *Failure              `cbor:"failure"`
	Reports     []string              `cbor:"reports"`    // absolute paths of files that were written
	MovedTo     string                `cbor:"moved_to"`   // absolute path that the rendition is moved to; "": it stays, or is deleted
	Disposed    bool                  `cbor:"disposed"`   // reports are written, and the rendition is moved or deleted from here on
	Kept        bool                  `cbor:"kept"`       // it would be, and stays since another title has it as its reference
	TitleDone   bool                  `cbor:"title_done"` // its title is, and the reference is moved away from here on, unless it has another use
	Changed     time.Time             `cbor:"changed"`    // when the state was
	Missing     time.Time             `cbor:"missing"`    // since when the file is not there; zero: it is, or has not been missed
}

// problem says what keeps an entry from being written.
func (e *WatchEntry) problem() error {
	if e.Folder == "" || e.Path == "" {
		return errors.New("it needs a folder and a path")
	}
	texts := append([]string{e.Title, e.Reference, e.Settings, e.RequestID, string(e.Measurement), e.Rendition, e.MovedTo}, e.Reports...)
	for path := range e.Stamps {
		texts = append(texts, path)
	}
	if e.Failure != nil {
		texts = append(texts, string(e.Failure.Reason), e.Failure.Message)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%.80q is not UTF-8", text)
		}
	}
	return nil
}

// PutWatchEntries writes entries in place of those with the same folders and paths, all of them or none, synced. Errors: [ErrFull].
func (s *Store) PutWatchEntries(ctx context.Context, entries ...WatchEntry) error {
	for i := range entries {
		if err := entries[i].problem(); err != nil {
			return fmt.Errorf("ledger entry %.80q of folder %q: %w", entries[i].Path, entries[i].Folder, err)
		}
	}
	return s.write(ctx, false, func(_ *badger.Txn, b *batch) error {
		for i := range entries {
			if err := b.setRecord(watchKey(entries[i].Folder, entries[i].Path), &entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteWatchEntries drops entries of a folder, all of them or none, synced. Those that are not there are passed over.
func (s *Store) DeleteWatchEntries(ctx context.Context, folder string, paths ...string) error {
	return s.write(ctx, true, func(_ *badger.Txn, b *batch) error {
		for _, path := range paths {
			b.remove(watchKey(folder, path))
		}
		return nil
	})
}

// WatchEntry reads an entry. Errors: [ErrNotFound].
func (s *Store) WatchEntry(ctx context.Context, folder, path string) (*WatchEntry, error) {
	e := &WatchEntry{Folder: folder, Path: path}
	err := s.view(ctx, func(txn *badger.Txn) error {
		return get(txn, watchKey(folder, path), func(value []byte) error { return decodeRecord(value, e) })
	})
	if err != nil {
		return nil, fmt.Errorf("ledger entry %.80q of folder %q: %w", path, folder, err)
	}
	return e, nil
}

// WatchEntries calls fn with every entry of a folder, in the order of paths, as of one moment. An error of fn ends it.
func (s *Store) WatchEntries(ctx context.Context, folder string, fn func(WatchEntry) error) error {
	return s.view(ctx, func(txn *badger.Txn) error {
		return scan(txn, watchPrefix(folder), true, func(item *badger.Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var e WatchEntry
			var err error
			if e.Folder, e.Path, err = parseWatchKey(item.Key()); err != nil {
				return err
			}
			if err := item.Value(func(value []byte) error { return decodeRecord(value, &e) }); err != nil {
				return fmt.Errorf("ledger entry %.80q of folder %q: %w", e.Path, e.Folder, err)
			}
			return fn(e)
		})
	})
}
