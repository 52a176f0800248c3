package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/vqsd/vqsd/server/export"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// succeed writes the reports of a rendition that has scores, and says in the entry what is to become of the file. there is false where the file
// has gone, for no doing of ours.
//
// Errors: [store.ErrNotFound] and [workflow.ErrNotStored] where the figures are gone; those of writing, which may go away.
func (f *watched) succeed(ctx context.Context, m *store.Measurement, out *end, there bool) error {
	e := &out.entry
	k, failure := outcome(m, e.Rendition)
	if failure != nil { // it has succeeded before, so the measurement was deleted since
		return fmt.Errorf("measurement of %s: %w", e.Path, store.ErrNotFound)
	}
	out.score = m.Renditions[k].Scores
	before := e.Reports
	e.State, e.Reports = store.WatchDone, nil
	to := f.destination(e, f.cfg.After.Success, there)
	stem, err := f.ownStem(ctx, m, k, e, to)
	if err != nil {
		return err
	}
	for _, text := range f.cfg.Reports.Formats {
		format := export.Format(text)
		file, err := export.Prepare(ctx, f.all.Workflow, m, k, format, export.Options{Version: f.all.Version})
		if err != nil {
			return err
		}
		name := to.name(stem, format.Extension())
		err = f.writePaper(e, to, name, func(w io.Writer) error {
			losses, err := file.Write(w)
			out.losses = append(out.losses, losses...)
			return err
		})
		if errors.Is(err, export.ErrNotInForm) {
			f.log.Warn("a report cannot be written in this form", "dis", e.Path, "form", text, "err", err)
			if e.Disposed && f.cfg.After.Success == Delete {
				e.Disposed = false
				err = fmt.Errorf("%w; the file is kept, since it was to have a report before it is deleted", err)
			}
			f.tell(Event{Kind: Trouble, Path: e.Path, Err: fmt.Errorf("report in the form %s: %w", text, err)})
			continue
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", to.papers.path(name), err)
		}
		f.counts.reports.Inc()
		e.Reports = append(e.Reports, to.papers.path(name))
	}
	return errors.Join(f.removeStale(before, e.Reports), f.removeMark(e.Path))
}

// reportStem is the name of a rendition's reports without extension.
func (f *watched) reportStem(e *store.WatchEntry, to *destination, id store.MeasurementID) string {
	file := path.Base(to.file)
	name := strings.TrimSuffix(file, path.Ext(file))
	if name == "" {
		name = file
	}
	return safeName(strings.NewReplacer("{file}", file, "{name}", name, "{title}", e.Title, "{measurement}", string(id)).Replace(f.cfg.Reports.Name))
}

// ownStem is a stem of reports whose names are theirs to have: a.mp4 and a.mkv may have one name by the folder's template, and there may be files that
// are none of ours. Names that somebody else's file has get a number.
func (f *watched) ownStem(ctx context.Context, m *store.Measurement, k int, e *store.WatchEntry, to *destination) (string, error) {
	stem := f.reportStem(e, to, m.ID)
	for n, candidate := 2, stem; ; n++ {
		free := true
		for _, text := range f.cfg.Reports.Formats {
			format := export.Format(text)
			own, err := f.ownReport(e, to, to.name(candidate, format.Extension()), f.reportOf(ctx, m, k, format))
			if err != nil {
				return "", err
			}
			if free = own; !free {
				break
			}
		}
		if free {
			return candidate, nil
		}
		candidate = fmt.Sprintf("%s-%d", stem, n)
	}
}

// reportOf writes the report of a rendition in a format.
func (f *watched) reportOf(ctx context.Context, m *store.Measurement, k int, format export.Format) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := export.Write(ctx, w, f.all.Workflow, m, k, format, export.Options{Version: f.all.Version})
		return err
	}
}

// ownReport says that a rendition's report may have a name: nothing has it, or a report of this rendition does. The ledger does not know of one that
// was written just before a process died; but then it is what is written again.
func (f *watched) ownReport(e *store.WatchEntry, to *destination, name string, fill func(io.Writer) error) (bool, error) {
	at := to.papers.path(name)
	if whose := f.papers[at]; whose != "" {
		return whose == e.Path, nil
	}
	if there := to.papers.has(name); !there || !f.left[e.Path] {
		return !there, nil
	}
	same, err := to.papers.holds(name, fill)
	if err != nil {
		return false, fmt.Errorf("look whose file %s is: %w", at, err)
	}
	if same {
		f.papers[at] = e.Path
	}
	return same, nil
}

// writePaper writes a report or mark under a name that was looked at, over nothing but another one of the same file.
func (f *watched) writePaper(e *store.WatchEntry, to *destination, name string, fill func(io.Writer) error) error {
	at := to.papers.path(name)
	if err := to.papers.write(name, reportInWork(f.cfg.Name, path.Base(name)), f.papers[at] == e.Path, fill); err != nil {
		return err
	}
	f.papers[at] = e.Path
	return nil
}

// withdraw takes reports away of a file that was replaced while it was measured: what the ledger has, and what was written of this measurement
// just before a process died.
func (f *watched) withdraw(ctx context.Context, m *store.Measurement, e *store.WatchEntry) error {
	errs := []error{f.removeStale(e.Reports, nil)}
	k, failure := outcome(m, e.Rendition)
	if failure != nil || e.Disposed {
		return errors.Join(errs...)
	}
	to := f.destination(e, f.cfg.After.Success, true)
	stem, err := f.ownStem(ctx, m, k, e, to)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, workflow.ErrNotStored) {
		return errors.Join(errs...) // nothing tells any more what was written
	}
	for _, format := range f.cfg.Reports.Formats {
		name := to.name(stem, export.Format(format).Extension())
		if at := to.papers.path(name); err == nil && f.papers[at] == e.Path {
			err = to.papers.remove(name)
			delete(f.papers, at)
		}
	}
	return errors.Join(append(errs, err)...)
}

// safeName is a text as a file's name: it stays in its folder, and can be typed.
func safeName(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '/' || r == 0 || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, text)
	// What begins with a dot is hidden, and taken for temporary.
	if strings.HasPrefix(text, ".") {
		text = "_" + text[1:]
	}
	return text
}

// removeStale takes reports away that were written of a file that has been replaced, and are not among the new ones.
func (f *watched) removeStale(before, now []string) error {
	var errs []error
	for _, report := range before {
		if slices.Contains(now, report) {
			continue
		}
		for _, p := range []place{f.in, f.reports} {
			if p.root == nil {
				continue
			}
			if below, inside := strings.CutPrefix(report, strings.TrimSuffix(p.dir, "/")+"/"); inside {
				errs = append(errs, p.remove(below))
				break
			}
		}
	}
	return errors.Join(errs...)
}
