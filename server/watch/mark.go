package watch

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/vqsd/vqsd/store"
)

// markSuffix is what the names of failure marks end in, behind the file's own.
const markSuffix = ".vqsd-failed.txt"

// advice says what to do about a failure, by reason.
var advice = map[store.Reason]string{
	store.ReasonNotFound:    "Look whether the file is there, and is not renamed or removed while it is measured.",
	store.ReasonDenied:      "The file has to lie below a media root of the daemon, and be readable for its user.",
	store.ReasonUnsupported: "Put a file here that is a video in a known format; vqsd inspect says what is known of one.",
	store.ReasonAmbiguous:   "Say how the two are to be compared: in the folder's request, or in a manifest.",
	store.ReasonDamaged:     "Encode or copy the file again; on_damage: conceal has damaged pictures measured as they are decoded.",
	store.ReasonChanged:     "Copy files under another name and rename them when they are complete, or have the folder wait longer (stable_for).",
	store.ReasonLimit:       "Raise the limit that the message names, or give a file below it.",
	store.ReasonInvalid:     "Correct the folder's request, or the manifest's.",
	store.ReasonRefused:     "A rule of the daemon refuses this comparison; vqsd rules prints them.",
	store.ReasonWorker:      "Workers died of it as often as they are allowed to: the daemon's log says how. Encode the file again.",
	store.ReasonInternal:    "This is a defect of vqsd's: please report it with the daemon's log.",
	store.ReasonNotStored:   "The figures are not in the store any more; have it measured again.",
	reasonProblem:           "Correct the file.",
	reasonCancelled:         "Have it measured again, if it is wanted.",
	reasonDeleted:           "Have it measured again, if its reports are wanted.",
}

// fail marks a rendition as failed for good, and says in the entry what is to become of the file. Reports of a file that was there before go.
func (f *watched) fail(id store.MeasurementID, e *store.WatchEntry) error {
	before := e.Reports
	e.State, e.Reports = store.WatchFailed, nil
	to := f.destination(e, f.cfg.After.Failure, true)
	name := to.name(path.Base(to.file), markSuffix)
	if err := to.papers.write(name, markText(e, id)); err != nil {
		return fmt.Errorf("failure mark %s: %w", to.papers.path(name), err)
	}
	e.Reports = []string{to.papers.path(name)}
	return f.removeStale(before, e.Reports)
}

// markText is what a mark says.
func markText(e *store.WatchEntry, id store.MeasurementID) func(io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s could not be measured.\n\nreason: %s\n%s\n\n", strings.ToValidUTF8(path.Base(e.Path), "\uFFFD"), e.Failure.Reason, strings.TrimSpace(e.Failure.Message))
	fmt.Fprintf(&b, "What to do: %s\n", advice[e.Failure.Reason])
	b.WriteString("It is tried again when the file, or its reference, is replaced, or what is asked for changes. Then this mark goes away.\n\n")
	fmt.Fprintf(&b, "time: %s\n", e.Changed.UTC().Format(time.RFC3339))
	if e.Reference != "" {
		fmt.Fprintf(&b, "reference: %s\nattempts: %d\n", e.Reference, e.Attempts)
	}
	if id != "" {
		fmt.Fprintf(&b, "measurement: measurements/%s\n", id)
	}
	return func(w io.Writer) error {
		_, err := io.WriteString(w, b.String())
		return err
	}
}

// markOf is where the mark of a file that stays is.
func (f *watched) markOf(file string) (place, string) {
	p := f.in
	if f.reports.root != nil {
		p = f.reports
	}
	return p, path.Join(path.Dir(file), fitting(path.Base(file), markSuffix))
}

// removeMark takes the mark of a file away, which holds no longer.
func (f *watched) removeMark(file string) error {
	p, name := f.markOf(file)
	return p.remove(name)
}

// mark marks files that are wrong in themselves, and takes marks away of those that are no longer.
func (f *watched) mark(ctx context.Context) {
	wrong := make(map[string]bool, len(f.found.problems))
	for i := range f.found.problems {
		p := &f.found.problems[i]
		wrong[p.File.Path] = true
		f.trouble(p.File.Path, f.markProblem(ctx, p))
	}
	for file := range f.problems {
		if wrong[file] {
			continue
		}
		err := f.removeMark(file)
		if err == nil {
			err = f.remove(ctx, file)
		}
		f.trouble(file, err)
	}
}

// markProblem marks one file, unless it is marked.
func (f *watched) markProblem(ctx context.Context, p *Problem) error {
	message := strings.ToValidUTF8(p.Err.Error(), "\uFFFD")
	before := f.entries[p.File.Path]
	if before != nil && (!before.State.Settled() || before.State == store.WatchDone && holds(before, p.File)) {
		return nil // it was measured, or is being measured
	}
	if before != nil && f.problems[p.File.Path] && before.Failure.Message == message {
		return nil
	}
	e := store.WatchEntry{
		Folder: f.cfg.Name, Path: p.File.Path, State: store.WatchFailed, Changed: f.all.Now(),
		Failure: &store.Failure{Reason: reasonProblem, Message: message},
	}
	at, name := f.markOf(p.File.Path)
	if err := at.write(name, markText(&e, "")); err != nil {
		f.counts.reportErrors.Inc()
		return fmt.Errorf("failure mark %s: %w", at.path(name), err)
	}
	e.Reports = []string{at.path(name)}
	if err := f.put(ctx, e); err != nil {
		return err
	}
	f.counts.problems.Inc()
	f.log.Warn("a file is wrong in itself", "path", e.Path, "err", message)
	f.tell(Event{Kind: Failed, Path: e.Path, Failure: e.Failure, Reports: e.Reports})
	return nil
}
