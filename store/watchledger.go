package store

import "time"

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

// WatchEntry is what the ledger of watched folders has of one rendition, or of a file that is wrong in itself.
type WatchEntry struct {
	Folder string `cbor:"-"` // the folder's name
	Path   string `cbor:"-"` // of the rendition below it

	State       WatchState            `cbor:"state"`
	Title       string                `cbor:"title"`
	Settings    string                `cbor:"settings"` // digest of what was asked for: where it changes, done work is not repeated but failed work may be
	Stamps      map[string]WatchStamp `cbor:"stamps"`   // of the rendition, its reference and its manifest, by path
	RequestID   string                `cbor:"request_id"`
	Measurement MeasurementID         `cbor:"measurement"`
	Rendition   string                `cbor:"rendition"` // its name in the measurement
	Attempts    int                   `cbor:"attempts"`
	Failure     *Failure              `cbor:"failure"`
	Reports     []string              `cbor:"reports"` // files that were written
	Changed     time.Time             `cbor:"changed"` // when the state was
}
