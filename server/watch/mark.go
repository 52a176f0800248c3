package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
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
	name, err := f.ownMark(e, to)
	if err != nil {
		return err
	}
	if err := f.writePaper(e, to, name, f.markText(e, id)); err != nil {
		return fmt.Errorf("failure mark %s: %w", to.papers.path(name), err)
	}
	e.Reports = []string{to.papers.path(name)}
	return f.removeStale(before, e.Reports)
}

// markText is what a mark says. What it is of is its last line, by which it is known for one of ours.
func (f *watched) markText(e *store.WatchEntry, id store.MeasurementID) func(io.Writer) error {
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
	b.WriteString(f.lastLine(e.Path))
	return func(w io.Writer) error {
		_, err := io.WriteString(w, b.String())
		return err
	}
}

// lastLine is that of a file's mark.
func (f *watched) lastLine(file string) string { return "file: " + f.in.path(file) + "\n" }

// maxMark bounds the size of what is read to find out whether it is a mark. Failures say less.
const maxMark = 1 << 20

// isMark says that a name is that of a mark of a file of this folder, be it that the ledger knows or that the mark itself says so.
func (f *watched) isMark(of string, p place, name string) (bool, error) {
	if whose := f.papers[p.path(name)]; whose != "" {
		return whose == of, nil
	}
	if !p.isFile(name) {
		return false, nil
	}
	file, err := p.root.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close() // opened for reading only: there is nothing that closing could lose
	text, err := io.ReadAll(io.LimitReader(file, maxMark))
	return strings.HasSuffix(string(text), "\n"+f.lastLine(of)), err
}

// markName is the n-th name, from 1, that the mark of a file may have; others are for when something else has those before.
func (to *destination) markName(n int) string {
	stem := path.Base(to.file)
	if n > 1 {
		stem = fmt.Sprintf("%s-%d", stem, n)
	}
	return to.name(stem, markSuffix)
}

// ownMark is a name that the mark of a file may have: nothing has it, or a mark of this file does.
func (f *watched) ownMark(e *store.WatchEntry, to *destination) (string, error) {
	for n := 1; ; n++ {
		name := to.markName(n)
		if !to.papers.has(name) {
			return name, nil
		}
		mark, err := f.isMark(e.Path, to.papers, name)
		if err != nil {
			return "", fmt.Errorf("look whose file %s is: %w", to.papers.path(name), err)
		}
		if mark {
			f.papers[to.papers.path(name)] = e.Path
			return name, nil
		}
	}
}

// removeMark takes the mark of a file that stays away, which holds no longer: also one that the ledger does not know of.
func (f *watched) removeMark(file string) error {
	var errs []error
	if e := f.entries[file]; e != nil {
		known := slices.DeleteFunc(slices.Clone(e.Reports), func(report string) bool { return !strings.HasSuffix(report, markSuffix) })
		errs = append(errs, f.removeStale(known, nil))
	}
	to := f.destination(&store.WatchEntry{Path: file}, Keep, true)
	for n := 1; to.papers.has(to.markName(n)); n++ {
		name := to.markName(n)
		mark, err := f.isMark(file, to.papers, name)
		if mark {
			err = to.papers.remove(name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
	to := f.destination(&e, Keep, true)
	name, err := f.ownMark(&e, to)
	if err == nil {
		err = f.writePaper(&e, to, name, f.markText(&e, ""))
	}
	if err != nil {
		f.counts.reportErrors.Inc()
		return fmt.Errorf("failure mark %s: %w", to.papers.path(name), err)
	}
	e.Reports = []string{to.papers.path(name)}
	if before != nil && !before.Disposed {
		err = f.removeStale(before.Reports, e.Reports)
	}
	if err := errors.Join(err, f.put(ctx, e)); err != nil {
		return err
	}
	f.counts.problems.Inc()
	f.log.Warn("a file is wrong in itself", "path", e.Path, "err", message)
	f.tell(Event{Kind: Failed, Path: e.Path, Failure: e.Failure, Reports: e.Reports})
	return nil
}
