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
	stem := f.ownStem(e, to, f.reportStem(e, to, m.ID))
	for _, text := range f.cfg.Reports.Formats {
		format := export.Format(text)
		file, err := export.Prepare(ctx, f.all.Workflow, m, k, format, export.Options{Version: f.all.Version})
		if err != nil {
			return err
		}
		name := to.name(stem, format.Extension())
		err = to.papers.write(name, func(w io.Writer) error {
			losses, err := file.Write(w)
			out.losses = append(out.losses, losses...)
			return err
		})
		if errors.Is(err, export.ErrNotInForm) {
			f.log.Warn("a report cannot be written in this form", "dis", e.Path, "form", text, "err", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", to.papers.path(name), err)
		}
		f.counts.reports.Inc()
		f.papers[to.papers.path(name)] = e.Path
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

// ownStem is a stem of reports that are no other rendition's: a.mp4 and a.mkv may have one name by the folder's template.
func (f *watched) ownStem(e *store.WatchEntry, to *destination, stem string) string {
	for n, candidate := 2, stem; ; n++ {
		taken := slices.ContainsFunc(f.cfg.Reports.Formats, func(format string) bool {
			whose := f.papers[to.papers.path(to.name(candidate, export.Format(format).Extension()))]
			return whose != "" && whose != e.Path
		})
		if !taken {
			return candidate
		}
		candidate = fmt.Sprintf("%s-%d", stem, n)
	}
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
