package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// Reasons of failures that only the ledger has, beside those of package store.
const (
	reasonProblem   store.Reason = "problem"   // the file is wrong in itself
	reasonCancelled store.Reason = "cancelled" // somebody has cancelled the measurement
	reasonDeleted   store.Reason = "deleted"   // somebody has deleted it before it was dealt with
)

// passing are reasons that may go away by themselves: what fails for one of them is tried again.
var passing = []store.Reason{store.ReasonWorker, store.ReasonLimit, store.ReasonInternal, store.ReasonChanged, store.ReasonNotFound}

// mayPass says that a failed rendition is to be tried again.
func (f *watched) mayPass(e *store.WatchEntry) bool {
	return e.Failure != nil && slices.Contains(passing, e.Failure.Reason) && e.Attempts < f.cfg.After.Attempts
}

// errNotOpen is in the way while the folder, or one that files are written to, is not there.
var errNotOpen = errors.New("the folder, or the one for reports or for files that were dealt with, is not there")

// finish deals with a measurement that has ended: what is in the way of one rendition does not keep the others. What is left is tried again.
//
// Each step is noted in the ledger before the next: that the measurement has ended; that reports or marks are written, if the file goes away then;
// that all is done. Any of them may be repeated.
func (f *watched) finish(ctx context.Context, j *job) {
	if j.unsure {
		f.adopt(ctx, j)
		return
	}
	j.stuck = false
	err := errNotOpen
	if f.isOpen() {
		if err = f.placesMoved(); err == nil {
			err = f.finishAll(ctx, j)
		} else {
			f.soon = true // the next scan opens them again
		}
	}
	j.paths = slices.DeleteFunc(j.paths, func(path string) bool {
		e := f.entries[path]
		return e == nil || e.State.Settled() || e.RequestID != j.requestID
	})
	if len(j.paths) == 0 {
		delete(f.jobs, j.requestID)
		f.trouble(j.name(), err)
		return
	}
	if ctx.Err() != nil {
		return // it is taken up by the next process
	}
	f.counts.reportErrors.Inc()
	j.stuck = true
	j.rest.more(f.all.Now())
	f.trouble(j.name(), err)
}

// end is what becomes of a rendition.
type end struct {
	entry    store.WatchEntry
	replaced string        // which file was replaced meanwhile; "": none
	gone     bool          // the rendition, for no doing of ours
	score    []store.Score // of one that succeeded
	losses   []string
}

func (f *watched) finishAll(ctx context.Context, j *job) error {
	if err := f.noteEnded(ctx, j); err != nil {
		return err
	}
	var errs []error
	var ends, disposed []end
	for _, path := range j.paths {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := f.write(ctx, j, *f.entries[path])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		ends = append(ends, *e)
	}
	if err := f.put(ctx, f.leaving(ends)...); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range ends {
		if e.entry.Disposed {
			if err := f.dispose(&e); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", e.entry.Path, err))
				continue
			}
		}
		disposed = append(disposed, e)
	}
	return errors.Join(append(errs, f.settle(ctx, j, disposed))...)
}

// noteEnded notes in the ledger that the measurement has ended, and what has failed of it.
func (f *watched) noteEnded(ctx context.Context, j *job) error {
	var entries []store.WatchEntry
	for _, path := range j.paths {
		if e := *f.entries[path]; e.State != store.WatchReporting {
			e.State, e.Changed = store.WatchReporting, f.all.Now()
			_, e.Failure = outcome(j.m, e.Rendition)
			entries = append(entries, e)
		}
	}
	return f.put(ctx, entries...)
}

// leaving are the entries of files that are about to be moved or deleted, which the ledger does not know yet.
func (f *watched) leaving(ends []end) []store.WatchEntry {
	var list []store.WatchEntry
	for _, e := range ends {
		if e.entry.Disposed && !f.entries[e.entry.Path].Disposed {
			note := e.entry
			note.State = store.WatchReporting
			list = append(list, note)
		}
	}
	return list
}

// write looks what has become of a rendition, and writes its reports or its mark.
func (f *watched) write(ctx context.Context, j *job, e store.WatchEntry) (*end, error) {
	now, there, err := f.stat(e.Path)
	if err != nil {
		return nil, err
	}
	if there && !sameStamp(now, e.Stamps[e.Path]) {
		return &end{entry: e, replaced: e.Path}, nil
	}
	if e.Disposed {
		e.State = stateAfter(&e)
		return &end{entry: e}, nil // what there is to write is written
	}
	ref, refThere, err := f.stat(e.Reference)
	if err != nil {
		return nil, err
	}
	if refThere && !sameStamp(ref, e.Stamps[e.Reference]) {
		return &end{entry: e, replaced: e.Reference}, nil
	}
	if e.Failure == nil {
		out := &end{entry: e}
		switch err := f.succeed(ctx, j.m, out, there); {
		case errors.Is(err, store.ErrNotFound):
			e.Failure = deleted()
		case errors.Is(err, workflow.ErrNotStored):
			e.Failure = &store.Failure{Reason: store.ReasonNotStored, Message: err.Error()}
		default:
			return out, err
		}
	}
	if !there {
		return &end{entry: e, gone: true}, nil
	}
	e.State = store.WatchFailed
	if f.mayPass(&e) {
		return &end{entry: e}, nil
	}
	err = f.fail(j.id, &e)
	return &end{entry: e}, err
}

// stateAfter is the state of an entry whose file has gone away.
func stateAfter(e *store.WatchEntry) store.WatchState {
	if e.Failure != nil {
		return store.WatchFailed
	}
	return store.WatchDone
}

// stat is a file as it is now.
func (f *watched) stat(file string) (stamp store.WatchStamp, there bool, err error) {
	info, err := f.in.root.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return stamp, false, nil
	}
	if err != nil {
		return stamp, false, err
	}
	stamp = store.WatchStamp{SizeBytes: info.Size(), ModifiedUnixNano: info.ModTime().UnixNano()}
	if file, known := f.found.files[file]; known && file.Inode == 0 {
		return stamp, true, nil // the file system does not keep them
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		stamp.Inode = sys.Ino
	}
	return stamp, true, nil
}

func deleted() *store.Failure {
	return &store.Failure{Reason: reasonDeleted, Message: "the measurement was deleted before its reports were written"}
}

// outcome is the rendition's place in a measurement that has ended (nil: it was deleted), or why it has no scores.
func outcome(m *store.Measurement, rendition string) (k int, failure *store.Failure) {
	if m == nil {
		return 0, deleted()
	}
	k = slices.IndexFunc(m.Renditions, func(d store.Rendition) bool { return d.Name == rendition })
	if k < 0 {
		return 0, &store.Failure{Reason: store.ReasonInternal, Message: fmt.Sprintf("measurement %s has no rendition %s", m.ID, rendition)}
	}
	d := &m.Renditions[k]
	switch {
	case d.State == store.StateSucceeded:
		return k, nil
	case d.Failure != nil:
		return k, d.Failure
	case d.State == store.StateCancelled || m.State == store.StateCancelled:
		return k, &store.Failure{Reason: reasonCancelled, Message: "the measurement was cancelled"}
	case m.Failure != nil:
		return k, m.Failure
	}
	return k, &store.Failure{Reason: store.ReasonInternal, Message: fmt.Sprintf("measurement %s is %s and does not say why", m.ID, m.State)}
}

// refuse deals with renditions whose measurement was not even accepted.
func (f *watched) refuse(ctx context.Context, j *job, entries []store.WatchEntry, failure *store.Failure) {
	for i := range entries {
		entries[i].State, entries[i].Failure = store.WatchReporting, failure
	}
	if err := f.put(ctx, entries...); err != nil {
		f.putOff(len(entries), err)
		return
	}
	f.jobs[j.requestID] = j
	f.finish(ctx, j)
}

// settle notes what has become of renditions, and tells.
func (f *watched) settle(ctx context.Context, j *job, ends []end) error {
	now := f.all.Now()
	var entries []store.WatchEntry
	var dropped []string
	var errs []error
	ends = slices.DeleteFunc(ends, func(e end) bool {
		if e.replaced == "" {
			return false
		}
		err := f.withdraw(ctx, j.m, &e.entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("reports of %s: %w", e.entry.Path, err))
		}
		return err != nil
	})
	for i := range ends {
		e := &ends[i]
		if e.replaced != "" || e.gone {
			dropped = append(dropped, e.entry.Path)
			continue
		}
		e.entry.Changed = now
		if e.entry.Disposed {
			e.entry.Missing = now
			f.soon = true // its title may be done
		}
		entries = append(entries, e.entry)
	}
	if err := errors.Join(f.put(ctx, entries...), f.remove(ctx, dropped...)); err != nil {
		return errors.Join(append(errs, err)...)
	}
	f.soon = f.soon || len(dropped) > 0
	for i := range ends {
		f.tellEnd(j, &ends[i])
	}
	return errors.Join(errs...)
}

// tellEnd logs, counts and tells what has become of a rendition.
func (f *watched) tellEnd(j *job, e *end) {
	log := f.log.With("measurement", j.id, "dis", e.entry.Path)
	event := Event{
		Path: e.entry.Path, Title: e.entry.Title, Measurement: j.id, Scores: e.score, Reports: e.entry.Reports, MovedTo: e.entry.MovedTo, Failure: e.entry.Failure,
	}
	switch {
	case e.replaced != "":
		f.counts.again.Inc()
		log.Info("a file was replaced while it was measured, and is measured anew", "replaced", e.replaced)
		event.Kind, event.Failure = Again, &store.Failure{Reason: store.ReasonChanged, Message: e.replaced + " was replaced while it was measured"}
	case e.gone:
		f.counts.again.Inc()
		log.Info("a rendition has gone before it could be measured", "err", e.entry.Failure.Message)
		return
	case e.entry.State == store.WatchDone:
		f.counts.done.Inc()
		log.Info("a rendition is done", "reports", len(e.entry.Reports), "losses", e.losses)
		event.Kind = Done
	case f.mayPass(&e.entry):
		f.counts.again.Inc()
		log.Warn("a rendition could not be measured; it is tried again", "attempt", e.entry.Attempts, "err", e.entry.Failure.Message)
		event.Kind = Again
	default:
		f.counts.failed.Inc()
		log.Warn("a rendition could not be measured", "reason", e.entry.Failure.Reason, "err", e.entry.Failure.Message)
		event.Kind = Failed
	}
	f.tell(event)
}
