package watch

import (
	"errors"
	"fmt"
)

// Apart says whether folders, which have been through [Folder.Check], can be watched beside each other: no file is in two of them, and what is written or
// moved on behalf of one is neither taken for a new file of another nor replaced by another's. Links are followed. It reports every pair that cannot, with
// what to change; i and j in the messages count from 0.
func Apart(folders []Folder) error {
	type place struct{ key, path string }
	var own [][]place
	for _, f := range folders {
		var list []place
		for _, p := range []place{{"reports.to", f.Reports.To}, {"after.move_to", f.After.MoveTo}} {
			if p.path != "" {
				list = append(list, place{p.key, resolved(p.path)})
			}
		}
		own = append(own, list)
	}
	var errs []error
	add := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("watch[%d]: "+format, append([]any{i}, args...)...))
	}
	for j := range folders {
		for i := range j {
			if overlap(resolved(folders[i].Path), resolved(folders[j].Path)) {
				add(j, "folder %s and %s of watch[%d] have files in common, which would be measured twice; watch one of them, or keep them apart",
					folders[j].Path, folders[i].Path, i)
			}
			for _, a := range own[i] {
				for _, b := range own[j] {
					if overlap(a.path, b.path) {
						add(j, "%s %s and %s %s of watch[%d] are not apart, so that files of one could replace those of the other; give each folder its own",
							b.key, b.path, a.key, a.path, i)
					}
				}
			}
		}
	}
	for i, list := range own {
		for j := range folders {
			for _, p := range list {
				if _, outside := within(resolved(folders[j].Path), p.path); i != j && !outside {
					add(i, "%s %s lies in %s of watch[%d], where it would be taken for new files; choose another", p.key, p.path, folders[j].Path, j)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// overlap says that one of two resolved paths is the other or below it.
func overlap(a, b string) bool {
	_, aOutside := within(b, a)
	_, bOutside := within(a, b)
	return !aOutside || !bOutside
}
