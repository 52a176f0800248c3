package watch

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	// hintDelay is from the first event to the hint, so that many files that come together make one scan.
	hintDelay = 250 * time.Millisecond
	// hintShare is how many times as long as a scan takes there is at least between hints: scans that come of them then take at most 2 % of a
	// processor.
	hintShare = 50
	// maxWatchedFolders bounds what is taken of the user's inotify watches, of which others want some, too.
	maxWatchedFolders = 4096
)

// events turns file events into hints. All that depends on them is how soon a scan comes, so whatever goes wrong here ends them, is logged once, and the scans at
// intervals go on.
type events struct {
	hints      chan struct{}
	log        *slog.Logger
	dir        string
	classifier *classifier
	excluded   []string
	scanTime   atomic.Int64 // of the last scan, ns
	done       chan struct{}

	// mu guards the fields below.
	mu      sync.Mutex
	watcher *fsnotify.Watcher // nil: there are no events, or no more
	folders map[string]bool   // that are waited for
	full    bool              // there are more folders than are waited for
}

// newEvents begins to wait for events in a scanner's folder; subfolders are added as scans find them.
func newEvents(s *scanner) *events {
	e := &events{
		hints: make(chan struct{}, 1), log: s.log.With("watch", s.folder.Name), dir: s.folder.Path, classifier: s.classifier, excluded: s.excluded, done: make(chan struct{}),
		folders: map[string]bool{},
	}
	switch {
	case !*s.folder.Events:
		close(e.done)
		return e
	case !s.files.tellsEvents:
		e.log.Info("the file system tells no events of other machines; the folder is scanned at intervals only", "file_system", s.files.name)
		close(e.done)
		return e
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		e.without(err)
		close(e.done)
		return e
	}
	e.watcher = w
	go e.run(w)
	e.watch(".")
	return e
}

// without logs that there are no events.
func (e *events) without(err error) {
	advice := "none"
	switch {
	case errors.Is(err, unix.ENOSPC):
		advice = "raise fs.inotify.max_user_watches"
	case errors.Is(err, unix.EMFILE):
		advice = "raise fs.inotify.max_user_instances, or the limit of open files"
	}
	e.log.Warn("no file events; the folder is scanned at intervals only", "err", err, "advice", advice)
}

// watch adds a subfolder, or adds it again where another one took its place. A link in its place would give hints of another folder and nothing else.
func (e *events) watch(folder string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watcher == nil {
		return
	}
	if len(e.folders) >= maxWatchedFolders && !e.folders[folder] {
		if !e.full {
			e.log.Info("not all subfolders are waited for by events; what comes into others is seen by scans at intervals", "limit", maxWatchedFolders)
		}
		e.full = true
		return
	}
	e.folders[folder] = true
	err := e.watcher.Add(filepath.Join(e.dir, folder))
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return // one that has gone, or cannot be read, is the scan's to tell
	}
	e.without(err)
	if err := e.watcher.Close(); err != nil {
		e.log.Debug("end file events", "err", err)
	}
	e.watcher = nil
}

// forget makes room for others after a folder has gone.
func (e *events) forget(folder string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.folders, folder)
}

// run turns events into hints until the watcher is closed.
func (e *events) run(w *fsnotify.Watcher) {
	defer close(e.done)
	var due <-chan time.Time
	var last time.Time
	soon := func() {
		if due == nil {
			gap := time.Duration(hintShare * e.scanTime.Load())
			due = time.After(max(hintDelay, gap-time.Since(last)))
		}
	}
	for {
		select {
		case event, ok := <-w.Events:
			if !ok {
				return
			}
			if e.matters(event) {
				soon()
			}
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			e.log.Debug("file events", "err", err) // some were lost
			soon()
		case <-due:
			due, last = nil, time.Now()
			select {
			case e.hints <- struct{}{}:
			default: // the hint before was not taken yet
			}
		}
	}
}

// matters says whether something may have come into the folder: what is written to is looked at again as long as it is not complete, anyway. Our own reports and
// what will get another name are no reason to scan.
func (e *events) matters(event fsnotify.Event) bool {
	if !event.Has(fsnotify.Create) {
		return false
	}
	path, outside := within(e.dir, event.Name)
	if outside || path == "." {
		return true
	}
	if r := e.classifier.classify(path).role; r == roleOwn || r == roleTemporary {
		return false
	}
	// A new folder is waited for at once, and not only when the next scan has seen it: it may have the inode number of one that was removed just now, and look
	// like that one.
	if info, err := os.Lstat(event.Name); err == nil && info.IsDir() && !slices.Contains(e.excluded, path) {
		e.watch(path)
	}
	return true
}

// close ends events and waits until nothing gives hints any more. It may be called twice.
func (e *events) close() error {
	e.mu.Lock()
	w := e.watcher
	e.watcher = nil
	e.mu.Unlock()
	var err error
	if w != nil {
		err = w.Close()
	}
	<-e.done
	return err
}
