package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/store"
)

// destination is where a rendition, and what is written of it, is in the end.
type destination struct {
	file   string // the rendition, in the watched folder, or in the one that files are moved to
	papers place  // of reports and mark
	dir    string // their folder in it
}

// name is that of a report or mark.
func (to *destination) name(stem, suffix string) string {
	return path.Join(to.dir, fitting(stem, suffix))
}

// destination says where a rendition goes to, and notes it in the entry. Reports and marks go with the file, unless they have a folder of their own.
func (f *watched) destination(e *store.WatchEntry, d Disposal, there bool) *destination {
	to := &destination{file: e.Path, papers: f.in, dir: path.Dir(e.Path)}
	// What is another title's reference goes when that title does.
	e.Kept = there && d != Keep && f.found.claims.references[e.Path]
	if e.Kept {
		d = Keep
	}
	e.Disposed, e.MovedTo = there && d != Keep, ""
	if there && d == Move {
		to.file = f.moveTo.free(e.Path)
		to.papers, to.dir = f.moveTo, path.Dir(to.file)
		e.MovedTo = f.moveTo.path(to.file)
	}
	if f.reports.root != nil {
		to.papers, to.dir = f.reports, path.Dir(e.Path)
	}
	return to
}

// free is a name that nothing has: the one wanted, or one with a number.
func (p place) free(name string) string {
	extension := path.Ext(name)
	for n, candidate := 2, name; ; n++ {
		if _, err := p.root.Lstat(candidate); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return candidate
		} else if err != nil && n > 2 {
			return candidate // it will be refused, and the error says why
		}
		candidate = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), n, extension)
	}
}

// dispose moves or deletes a rendition whose reports or mark are written, with its marker. One that has gone already is fine; one that was replaced
// meanwhile stays.
func (f *watched) dispose(out *end) error {
	e := &out.entry
	stamp, there, err := f.stat(e.Path)
	if err != nil || !there {
		return err
	}
	if !sameStamp(stamp, e.Stamps[e.Path]) {
		out.replaced = e.Path
		return nil
	}
	if f.found.claims.references[e.Path] { // since a process before this one noted that it goes
		e.Disposed, e.MovedTo, e.Kept = false, "", true
		return nil
	}
	to, move := "", false
	if e.MovedTo != "" {
		if to, move = strings.CutPrefix(e.MovedTo, f.moveTo.dir+"/"); !move || f.moveTo.root == nil {
			return fmt.Errorf("it is to be moved to %s, which is not below after.move_to any more; move it by hand", e.MovedTo)
		}
	}
	// The marker goes first: left behind, it would say of the next file of that name that it is complete.
	if marker := f.ownMarker(e.Path); marker != "" {
		if err := f.takeAway(marker, f.moveTo, marker, move); err != nil {
			return err
		}
	}
	if move {
		to, err = f.move(e.Path, to)
		e.MovedTo = f.moveTo.path(to)
		return err
	}
	return f.in.remove(e.Path)
}

// ownMarker is the marker of a file, unless another file shares it.
func (f *watched) ownMarker(file string) string {
	marker := f.found.files[file].Marker
	if marker == "" || marker == file+f.cfg.Ready.Marker {
		return marker
	}
	for other, seen := range f.found.files {
		if _, there := f.entries[other]; seen.Marker == marker && other != file && !there {
			return ""
		}
	}
	return marker
}

// takeAway moves or deletes a file that goes with another.
func (f *watched) takeAway(file string, to place, name string, move bool) error {
	if !move {
		return f.in.remove(file)
	}
	_, err := f.move(file, to.free(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// move moves a file into the folder that files are moved to, never over another: where the name is taken by now, it gets a number. It returns the
// name.
func (f *watched) move(file, to string) (string, error) {
	for {
		err := rename(f.in, file, f.moveTo, to)
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
		to = f.moveTo.free(to)
	}
}

// rename moves a file from one place to another on the same file system, unless something has that name. Both folders are synced.
func rename(from place, file string, into place, to string) (err error) {
	if err := into.makeDir(path.Dir(to)); err != nil {
		return err
	}
	source, err := from.root.Open(path.Dir(file))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := into.root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	oldfd, newfd, oldname, newname := int(source.Fd()), int(target.Fd()), path.Base(file), path.Base(to)
	err = unix.Renameat2(oldfd, oldname, newfd, newname, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// Network file systems do not know that flag. Between the look and the rename somebody else might take the name; nothing on these can
		// keep that from happening.
		if err = unix.Fstatat(newfd, newname, new(unix.Stat_t), unix.AT_SYMLINK_NOFOLLOW); err == nil {
			err = unix.EEXIST
		} else if errors.Is(err, unix.ENOENT) {
			err = unix.Renameat(oldfd, oldname, newfd, newname)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: filepath.Join(from.dir, file), New: filepath.Join(into.dir, to), Err: err}
	}
	return errors.Join(target.Sync(), source.Sync())
}

// sameFileSystem says whether files can be renamed from one folder into another, which need not be there yet. What is copied could be lost or doubled on
// the way.
func sameFileSystem(from, to string) error {
	a, err := deviceOf(from)
	if err != nil {
		return err
	}
	b, err := deviceOf(to)
	if err == nil && a != b {
		err = fmt.Errorf("%s is on another file system than %s; files are renamed and not copied: name a folder on the same one", to, from)
	}
	return err
}

// deviceOf is the file system that a folder is on, or would be.
func deviceOf(dir string) (uint64, error) {
	for {
		var st unix.Stat_t
		err := unix.Stat(dir, &st)
		if err == nil {
			return st.Dev, nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == "/" {
			return 0, &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		dir = filepath.Dir(dir)
	}
}

// disposeTitles moves manifests away whose renditions have all been dealt with, and references that nothing has a use for any more. The ledger hears of
// it first: without the manifest, nothing else would say that the reference is to go.
func (f *watched) disposeTitles(ctx context.Context) {
	if f.cfg.After.Success != Move {
		return
	}
	uses, measured := f.uses()
	var ended []*Title
	var noted []store.WatchEntry
	for i := range f.found.titles {
		// One that nothing has come of yet is for files that are still to come. One whose reference somebody else is going to need stays as a whole, so
		// that the reference goes with the last of them.
		t := &f.found.titles[i]
		e := measured[t.Reference.Path]
		if !t.Closed || e == nil || f.found.claims.has(t.Reference.Path) || !f.dealtWith(t) {
			continue
		}
		ended = append(ended, t)
		if !e.TitleDone {
			done := *e
			done.TitleDone = true
			noted = append(noted, done)
		}
	}
	err := f.put(ctx, noted...)
	f.trouble(ofTitles, err)
	if err != nil {
		return
	}
	for _, t := range ended {
		// What says that there is a title goes first, so that no half of one is taken for another.
		if f.moveAll(t.Marker, t.Manifest.Marker, t.Manifest.Path) {
			uses[t.Reference.Path]--
			f.log.Info("a title is done", "ref", t.Reference.Path)
		}
	}
	f.disposeReferences(ctx, uses)
	f.disposeKept(uses)
}

// ofTitles is what trouble with noting that titles are done is of.
const ofTitles = "(titles)"

// disposeReferences moves references away whose titles are done, when nothing has a use for them any more: those of just now, and those that an earlier
// process, or an error, has left.
func (f *watched) disposeReferences(ctx context.Context, uses map[string]int) {
	var noted []store.WatchEntry
	for _, e := range f.entries {
		if !e.TitleDone {
			continue
		}
		reference := f.found.files[e.Reference]
		if holds(e, reference) { // it is there, and no other that has come since
			if uses[e.Reference] > 0 || f.found.claims.has(e.Reference) || !f.moveAll(reference.Marker, e.Reference) {
				continue
			}
		}
		done := *e
		done.TitleDone = false
		noted = append(noted, done)
	}
	if err := f.put(ctx, noted...); err != nil {
		f.trouble(ofTitles, err) // they are not there, which the next time finds
	}
}

// disposeKept moves renditions away that stayed as references of other titles, when nothing has a use for them any more.
func (f *watched) disposeKept(uses map[string]int) {
	c := &f.found.claims
	for file, e := range f.entries {
		if !e.Kept || !e.State.Settled() || uses[file] > 0 || c.references[file] || c.has(file) {
			continue
		}
		if now, there, err := f.stat(file); err == nil && there && sameStamp(now, e.Stamps[file]) {
			f.moveAll(f.ownMarker(file), file)
		}
	}
}

// moveAll moves files away that nothing is written of, one after the other, but for names that are "". It says whether all are.
func (f *watched) moveAll(files ...string) bool {
	for _, file := range files {
		if file == "" {
			continue
		}
		err := f.takeAway(file, f.moveTo, file, true)
		f.trouble(file, err)
		if err != nil {
			f.counts.reportErrors.Inc()
			return false
		}
	}
	return true
}

// dealtWith says that a title's renditions were measured and moved away, or stay as references of other titles: with the reference and manifest that are
// there now, not with some of these names that came before.
func (f *watched) dealtWith(t *Title) bool {
	for _, file := range t.Awaited {
		e := f.entries[file]
		if _, there := f.found.files[file]; there || e == nil || !e.State.Settled() || e.MovedTo == "" && !e.Kept || !f.isOf(e, t) {
			return false
		}
	}
	for i := range t.Renditions {
		if !f.isKept(t, &t.Renditions[i]) {
			return false
		}
	}
	return true
}

// isOf says that an entry is of a rendition that was measured against a title's reference, as its manifest says.
func (f *watched) isOf(e *store.WatchEntry, t *Title) bool {
	return holds(e, t.Reference) && (t.Manifest.Path == "" || holds(e, t.Manifest))
}

// isKept says that a rendition that is there was dealt with, and stays as the reference of another title.
func (f *watched) isKept(t *Title, r *Rendition) bool {
	e := f.entries[r.File.Path]
	return e != nil && e.Kept && e.State.Settled() && holds(e, r.File) && f.isOf(e, t)
}

// uses counts, by file, the titles that have it as their reference, those that have it as a rendition which is not dealt with, and the work that is
// outstanding with it. measured has, by reference, a rendition that was dealt with and was measured against it as it is.
func (f *watched) uses() (uses map[string]int, measured map[string]*store.WatchEntry) {
	uses, measured = map[string]int{}, map[string]*store.WatchEntry{}
	for i := range f.found.titles {
		t := &f.found.titles[i]
		uses[t.Reference.Path]++
		for j := range t.Renditions {
			if r := &t.Renditions[j]; !f.isKept(t, r) {
				uses[r.File.Path]++
			}
		}
	}
	for file, e := range f.entries {
		switch {
		case !e.State.Settled():
			uses[e.Reference]++
			uses[file]++
		case (e.MovedTo != "" || e.Kept) && holds(e, f.found.files[e.Reference]):
			if measured[e.Reference] == nil || e.TitleDone {
				measured[e.Reference] = e
			}
		}
	}
	return uses, measured
}
