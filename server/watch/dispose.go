package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// disposeTitles moves manifests away whose renditions have all been moved, and references that no other title has a use for.
func (f *watched) disposeTitles() {
	if f.cfg.After.Success != Move {
		return
	}
	var ended []*Title
	for i := range f.found.titles {
		if t := &f.found.titles[i]; t.Closed && len(t.Renditions) == 0 && f.allMoved(t) {
			ended = append(ended, t)
		}
	}
	if len(ended) == 0 {
		return
	}
	uses, moved := f.references()
	for _, t := range ended {
		uses[t.Reference.Path]--
	}
	for _, t := range ended {
		if moved[t.Reference.Path] == 0 {
			continue // nothing has come of it: what it says is for files that are still to come
		}
		// What says that there is a title goes first, so that no half of one is taken for another.
		files := []string{t.Marker, t.Manifest.Marker, t.Manifest.Path}
		if uses[t.Reference.Path] == 0 {
			files = append(files, t.Reference.Marker, t.Reference.Path)
		}
		for _, file := range slices.DeleteFunc(files, func(file string) bool { return file == "" }) {
			err := f.takeAway(file, f.moveTo, file, true)
			f.trouble(file, err)
			if err != nil {
				f.counts.reportErrors.Inc()
				break
			}
		}
		f.log.Info("a title is done", "ref", t.Reference.Path)
	}
}

// allMoved says that a title's renditions were dealt with and moved away: with the reference and manifest that are there now, not with some of these
// names that came before.
func (f *watched) allMoved(t *Title) bool {
	return !slices.ContainsFunc(t.Awaited, func(file string) bool {
		e := f.entries[file]
		_, there := f.found.files[file]
		return there || e == nil || !e.State.Settled() || e.MovedTo == "" || !holds(e, t.Reference) || t.Manifest.Path != "" && !holds(e, t.Manifest)
	})
}

// references counts, by reference, the titles that have it and the renditions that were moved away after they were measured against it. A reference that work is outstanding
// with has one more title.
func (f *watched) references() (uses, moved map[string]int) {
	uses, moved = map[string]int{}, map[string]int{}
	for i := range f.found.titles {
		uses[f.found.titles[i].Reference.Path]++
	}
	for _, e := range f.entries {
		switch {
		case !e.State.Settled():
			uses[e.Reference]++
		case e.MovedTo != "" && holds(e, f.found.files[e.Reference]):
			moved[e.Reference]++
		}
	}
	return uses, moved
}
