package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vqsd/vqsd/store"
)

// What a folder's work waits for, beside its interval.
const (
	// scanShare is how many times longer than a scan the pause after it is at least, whatever file events say: while files are written, scans
	// take a twentieth of one processor at most.
	scanShare  = 20
	leastPause = 100 * time.Millisecond
	// retryFirst and retryMost are the pauses before something is tried again that was in the way: they double.
	retryFirst = time.Second
	retryMost  = time.Minute
	// pruneEvery is how often entries of files that are gone are looked for.
	pruneEvery = time.Hour
)

// watched is a folder at work. All but all, cfg, log, counts, ended and shown is only touched by run(), no lock.
type watched struct {
	all    *Config
	cfg    Folder
	log    *slog.Logger
	counts *counts
	ended  chan *job // measurements that have ended
	shown  shown

	in      place // the folder itself; no root: not open
	moveTo  place // no root: not open, or nothing is moved
	reports place // no root: not open, or reports are written beside renditions
	scanner *scanner
	found   *found // of the last scan; nil: none yet

	entries   map[string]*store.WatchEntry // the ledger, by path. Entries are replaced, not written to.
	problems  map[string]bool              // paths of entries of files that are wrong in themselves
	papers    map[string]string            // whose reports files are: paths of renditions, by absolute path
	left      map[string]bool              // paths of entries whose reports an earlier process may have written: it has noted that it is going to
	jobs      map[string]*job              // measurements that are not dealt with, by request ID
	following sync.WaitGroup

	rest        backoff              // of submissions
	again       map[string]time.Time // failed renditions that are tried again: when
	waiting     int                  // renditions that would have been submitted
	soon        bool                 // something is to be done that takes another scan
	changed     bool                 // the ledger, since the last scan: what is unchanged has to be looked at all the same
	troubles    map[string]string    // what is in the way, by what it is in the way of
	lastPrune   time.Time
	lastScan    time.Time
	scanTook    time.Duration
	settledDone int // entries that are done, for the status; those of files that are gone, for no doing of ours, do not count
	settledFail int // likewise
	settledGone int // those
}

// backoff is a pause that doubles.
type backoff struct {
	pause time.Duration
	until time.Time // zero: nothing is paused
}

// more makes the pause longer.
func (b *backoff) more(now time.Time) {
	b.pause = min(max(2*b.pause, retryFirst), retryMost)
	b.until = now.Add(b.pause)
}

// over says that there is no pause (any more).
func (b *backoff) over(now time.Time) bool { return !now.Before(b.until) }

func newWatched(all *Config, cfg Folder) *watched {
	return &watched{
		all: all, cfg: cfg, log: all.Logger.With("folder", cfg.Name), ended: make(chan *job),
		entries: map[string]*store.WatchEntry{}, problems: map[string]bool{}, papers: map[string]string{}, left: map[string]bool{}, jobs: map[string]*job{}, again: map[string]time.Time{},
		troubles: map[string]string{}, shown: shown{status: FolderStatus{Name: cfg.Name, Path: cfg.Path}},
	}
}

// run works until ctx ends.
func (f *watched) run(ctx context.Context) error {
	if err := f.load(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		f.following.Wait()
		f.close()
	}()
	pause := time.Duration(0)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for ctx.Err() == nil {
		pause = f.look(ctx)
		f.show()
		timer.Reset(pause)
		if !f.wait(ctx, timer.C) {
			return nil
		}
	}
	return nil
}

// wait deals with measurements that end until the time has come to look again. False: ctx has ended.
func (f *watched) wait(ctx context.Context, due <-chan time.Time) bool {
	least := time.NewTimer(max(leastPause, scanShare*f.scanTook))
	defer least.Stop()
	var hints <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due:
			return true
		case <-least.C:
			if f.scanner != nil {
				hints = f.scanner.hints()
			}
			if f.rested() {
				return true // a measurement has ended and made room
			}
		case <-hints:
			return true
		case j := <-f.ended:
			f.finish(ctx, j)
			f.show()
			if f.rested() && hints != nil {
				return true
			}
		}
	}
}

// rested says that there is something to do that takes a scan, such as to submit what there is room for now.
func (f *watched) rested() bool {
	return f.soon || f.waiting > 0 && len(f.jobs) < f.all.Outstanding && f.rest.over(f.all.Now())
}

// look scans the folder and acts on it. It returns the pause before the next time, should nothing happen before.
func (f *watched) look(ctx context.Context) time.Duration {
	pause := f.cfg.Interval
	if f.found != nil { // what is moved away now has to be gone from the next scan
		f.finishStuck(ctx)
	}
	f.soon = false
	found, err := f.scan(ctx)
	if ctx.Err() != nil {
		return pause
	}
	f.trouble(ofFolder, err)
	if err != nil {
		f.counts.scanErrors.Inc()
		return min(pause, retryMost)
	}
	f.counts.scans.Inc()
	f.counts.scanSeconds.Add(f.scanTook.Seconds())
	if found.next > 0 {
		pause = min(pause, found.next)
	}
	now := f.all.Now()
	first := f.found == nil
	f.found = found
	f.forgetTroubles()
	if first {
		f.takeUp(ctx)
	}
	if !found.unchanged || f.changed || f.waiting > 0 || f.due(now) || first {
		f.changed = false
		f.mark(ctx)
		f.submit(ctx)
		f.disposeTitles(ctx)
	}
	if now.Sub(f.lastPrune) >= pruneEvery || !found.unchanged {
		f.lastPrune = now
		f.prune(ctx)
	}
	return min(pause, f.soonest(now))
}

// finishStuck tries again to deal with measurements that something was in the way of.
func (f *watched) finishStuck(ctx context.Context) {
	for _, j := range f.jobs {
		if j.stuck && j.rest.over(f.all.Now()) {
			f.finish(ctx, j)
		}
	}
}

// due says that a failed rendition can be tried again.
func (f *watched) due(now time.Time) bool {
	for _, at := range f.again {
		if !now.Before(at) {
			return true
		}
	}
	return false
}

// soonest is how long it takes until something can be tried again.
func (f *watched) soonest(now time.Time) time.Duration {
	pause := f.cfg.Interval
	sooner := func(at time.Time) { pause = max(min(pause, at.Sub(now)), leastPause) }
	for _, at := range f.again {
		sooner(at)
	}
	for _, j := range f.jobs {
		if j.stuck {
			sooner(j.rest.until)
		}
	}
	if f.waiting > 0 && len(f.jobs) < f.all.Outstanding {
		sooner(f.rest.until)
	}
	return pause
}

// scan opens what is not open and scans.
func (f *watched) scan(ctx context.Context) (*found, error) {
	began := f.all.Now()
	if err := f.placesMoved(); err != nil {
		f.log.Info("a folder that files are moved or written to is not the one that it was; it is opened again, and made where it is missing", "err", err)
		f.close() // with the scanner, which passes them over
	}
	if err := f.open(); err != nil {
		return nil, err
	}
	found, err := f.scanner.scan(ctx)
	if errors.Is(err, ErrFolderReplaced) {
		f.log.Info("another folder is at the path of the watched one, and is watched from here on", "path", f.cfg.Path)
		f.close()
		if err = f.open(); err == nil {
			found, err = f.scanner.scan(ctx)
		}
	}
	f.lastScan = f.all.Now()
	f.scanTook = f.lastScan.Sub(began)
	return found, err
}

// open opens the folder with its scanner, and the folders that files are written to.
func (f *watched) open() error {
	if f.scanner == nil {
		root, err := openWatched(&f.cfg, f.all.Roots)
		if err != nil {
			return err
		}
		scanner, err := newScanner(f.cfg, root, f.all.Now, f.log)
		if err != nil {
			return errors.Join(err, root.Close())
		}
		f.in, f.scanner = place{root, f.cfg.Path}, scanner
	}
	return f.openPlaces()
}

// isOpen says that the folder, and those that files are written to, are open. Whether they still are what is at their paths, scans find out.
func (f *watched) isOpen() bool {
	return f.scanner != nil && (f.moveTo.root != nil || f.cfg.After.MoveTo == "") && (f.reports.root != nil || f.cfg.Reports.To == "")
}

// close closes what open has opened. That something cannot be closed which was only read from, or is written and synced, loses nothing.
func (f *watched) close() {
	if f.scanner != nil {
		_ = f.scanner.close()
	}
	f.scanner = nil
	for _, p := range []*place{&f.in, &f.moveTo, &f.reports} {
		if p.root != nil {
			_ = p.root.Close()
		}
		p.root = nil
	}
}

// ofFolder is what a trouble with the folder as a whole is of.
const ofFolder = ""

// trouble notes what is in the way of something, or with nil that nothing is (any more). It is logged and told once.
func (f *watched) trouble(of string, err error) {
	if err == nil {
		if _, was := f.troubles[of]; was {
			f.log.Info("what was in the way is gone", "path", of)
			delete(f.troubles, of)
		}
		return
	}
	if f.troubles[of] == err.Error() {
		return
	}
	f.troubles[of] = err.Error()
	f.log.Warn("something is in the way; it is tried again", "path", of, "err", err)
	f.tell(Event{Kind: Trouble, Path: of, Err: err})
}

// forgetTroubles forgets what was in the way of files that are gone. Names of what is no file are in parentheses.
func (f *watched) forgetTroubles() {
	for of := range f.troubles {
		isJob := func(j *job) bool { return j.name() == of }
		if of == ofFolder || strings.HasPrefix(of, "(") || slices.ContainsFunc(slices.Collect(maps.Values(f.jobs)), isJob) {
			continue
		}
		if _, there, err := f.stat(of); err == nil && !there {
			f.trouble(of, nil)
		}
	}
}

func (f *watched) tell(e Event) {
	e.Time, e.Folder = f.all.Now(), f.cfg.Name
	f.all.Tell(e)
}

// show makes the status that others see.
func (f *watched) show() {
	s := FolderStatus{
		Name: f.cfg.Name, Path: f.cfg.Path, Waiting: f.waiting, Outstanding: len(f.jobs), Done: f.settledDone, Failed: f.settledFail,
		Measuring: len(f.entries) - f.settledDone - f.settledFail - f.settledGone, LastScan: f.lastScan, ScanDuration: f.scanTook, Again: len(f.again), soon: f.soon,
	}
	if f.found != nil {
		s.Files, s.Titles, s.Incomplete, s.settling = len(f.found.files), len(f.found.titles), f.found.waiting, f.found.next > 0
	} else {
		s.LastScan = time.Time{}
	}
	for of, text := range f.troubles {
		if s.Err == "" || of == ofFolder {
			s.Err = text
		}
	}
	f.shown.mu.Lock()
	f.shown.status = s
	f.shown.mu.Unlock()
}

func (f *watched) statusNow() FolderStatus {
	f.shown.mu.Lock()
	defer f.shown.mu.Unlock()
	return f.shown.status
}

// keep changes entries in memory as they were written to the ledger.
func (f *watched) keep(entries ...store.WatchEntry) {
	for i := range entries {
		e := entries[i]
		f.count(f.entries[e.Path], -1)
		f.entries[e.Path] = &e
		f.count(&e, 1)
		if e.State.Settled() {
			delete(f.left, e.Path)
		}
	}
	f.changed = true
}

// drop forgets entries that were dropped from the ledger.
func (f *watched) drop(paths ...string) {
	for _, path := range paths {
		f.count(f.entries[path], -1)
		delete(f.entries, path)
		delete(f.again, path)
		delete(f.left, path)
	}
	f.changed = true
}

// count keeps what is derived from the ledger: an entry comes (by 1) or goes (by −1).
func (f *watched) count(e *store.WatchEntry, by int) {
	if e == nil {
		return
	}
	switch {
	case e.State.Settled() && !e.Missing.IsZero() && !e.Disposed:
		f.settledGone += by
	case e.State == store.WatchDone:
		f.settledDone += by
	case e.State == store.WatchFailed:
		f.settledFail += by
	}
	for _, report := range e.Reports {
		if by > 0 {
			f.papers[report] = e.Path
		} else {
			delete(f.papers, report)
		}
	}
	if e.State == store.WatchFailed && e.Failure != nil && e.Failure.Reason == reasonProblem {
		if by > 0 {
			f.problems[e.Path] = true
		} else {
			delete(f.problems, e.Path)
		}
	}
}

// put writes entries to the ledger and to memory.
func (f *watched) put(ctx context.Context, entries ...store.WatchEntry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := f.all.Ledger.PutWatchEntries(ctx, entries...); err != nil {
		return err
	}
	f.keep(entries...)
	return nil
}

// remove drops entries from the ledger and from memory.
func (f *watched) remove(ctx context.Context, paths ...string) error {
	if len(paths) == 0 {
		return nil
	}
	if err := f.all.Ledger.DeleteWatchEntries(ctx, f.cfg.Name, paths...); err != nil {
		return err
	}
	f.drop(paths...)
	return nil
}
