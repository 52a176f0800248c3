package watch

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
)

// Errors of scans. A scan that fails says nothing about which files there are: nothing may be taken for deleted.
var (
	// ErrFolderReplaced: what is at the folder's path is another folder than the scanner's, such as after something was mounted there. It takes
	// a new scanner.
	ErrFolderReplaced = errors.New("the folder was replaced by another one")
	// ErrTooManyFiles: the folder holds more files than can be watched.
	ErrTooManyFiles = errors.New("too many files")
)

// found is what a scan found. It and all that it refers to are read only, since the next scan may give it again.
type found struct {
	// unchanged says that all but next is as the scan before gave it, which means: the very same slices and maps.
	unchanged bool
	titles    []Title         // sorted by key
	problems  []Problem       // sorted by path
	files     map[string]File // every regular file that may count, complete or not; those below unreadable folders as they were last seen
	waiting   int             // files that are not complete
	unpaired  []string        // complete renditions without a reference, sorted
	// unreadable are folders that could not be read, sorted. What is below them is in files, and in no title.
	unreadable []string
	next       time.Duration // after which a file may be complete: scan again then; 0: nothing is awaited
}

// scanner looks at a folder. It is for one goroutine, but for hints.
type scanner struct {
	folder Folder
	root   *os.Root
	now    func() time.Time
	log    *slog.Logger
}

// newScanner makes a scanner of a checked folder. root is the folder's, stays the caller's and has to stay open until close.
func newScanner(f Folder, root *os.Root, now func() time.Time, log *slog.Logger) (*scanner, error) {
	return &scanner{folder: f, root: root, now: now, log: log}, nil
}

// scan looks at every file once. Errors: the context's; [ErrFolderReplaced], [ErrTooManyFiles]; what the file system says of the folder.
func (s *scanner) scan(ctx context.Context) (*found, error) {
	return nil, errors.New("nothing was scanned")
}

// hints gives a value some time after something has appeared in the folder, as far as the system tells. Without file events it never gives one.
func (s *scanner) hints() <-chan struct{} { return nil }

// close ends file events. It may be called twice.
func (s *scanner) close() error { return nil }
