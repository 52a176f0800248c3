package watch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vqsd/vqsd/server/auth"
)

// InRoots says whether a folder, which has been through [Folder.Check], can be watched: it is there, lies in a media root, and what is moved and written
// does not fall into it again. It looks at links and mounts, and reports every problem.
func InRoots(f Folder, roots auth.Roots) error {
	var errs []error
	add := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("watched folder %s: %s: %w", f.Name, key, err))
		}
	}
	err := readable(&f, roots)
	add("folder", err)
	if err == nil {
		add("after.move_to", f.checkMoveTo())
		add("reports.to", f.checkReportsTo())
	}
	return errors.Join(errs...)
}

// readable says why a folder cannot be read below a media root.
func readable(f *Folder, roots auth.Roots) error {
	root, err := openWatched(f, roots)
	if err != nil {
		return err
	}
	dir, err := root.Open(".")
	if err == nil {
		if _, err = dir.ReadDir(1); errors.Is(err, io.EOF) {
			err = nil // empty
		}
		err = errors.Join(err, dir.Close())
	}
	if err = errors.Join(err, root.Close()); err != nil {
		err = fmt.Errorf("%w; %s", err, wantFolder)
	}
	return err
}

const wantFolder = "it has to be a folder that this user can read"

// openWatched opens a watched folder as its videos are opened: from the media root that it lies in, which links do not lead out of.
func openWatched(f *Folder, roots auth.Roots) (*os.Root, error) {
	file := path.Join(f.Path, "any")
	s, err := roots.Resolve(anyRoot, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; add it, or a folder above it, to media_roots", f.Path, err)
	}
	dir := path.Clean(strings.TrimSuffix(file, s.Path))
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("media root %s: %w", dir, err)
	}
	in, err := root.OpenRoot(path.Dir(s.Path))
	err = errors.Join(err, root.Close())
	switch {
	case err == nil:
		return in, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; %s", err, wantFolder)
	}
	if info, there := os.Stat(f.Path); there == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: a link leads out of the media root %s: %w; watch the folder that it leads to, which has to be in media_roots, too", f.Path, dir, err)
	}
	return nil, fmt.Errorf("%w; %s", err, wantFolder)
}

// checkMoveTo says why files cannot be moved to where the folder says. It need not be there yet.
func (f *Folder) checkMoveTo() error {
	to := f.After.MoveTo
	if to == "" {
		return nil
	}
	switch lies, err := standingOf(to, f.Path); {
	case err != nil:
		return err
	case lies == same || lies == above:
		return fmt.Errorf("%s is or holds the watched folder, by a link or a mount; what is moved there would be measured again: name another folder", to)
	case lies == disguised:
		return fmt.Errorf("%s lies in the watched folder, by a mount; what is moved there would be measured again: name it by its path in the folder", to)
	}
	return sameFileSystem(f.Path, to)
}

// checkReportsTo says why reports cannot be written to where the folder says. It need not be there yet.
func (f *Folder) checkReportsTo() error {
	to := f.Reports.To
	if to == "" {
		return nil
	}
	switch lies, err := standingOf(to, f.Path); {
	case err != nil:
		return err
	case lies == same:
		return fmt.Errorf("%s is the watched folder, by a link or a mount; leave it out to have reports beside the renditions", to)
	case lies == disguised:
		return fmt.Errorf("%s lies in the watched folder, by a mount; name it by its path in the folder", to)
	}
	return nil
}

// standing is how a folder lies to a watched one.
type standing int

const (
	outside   standing = iota
	inside             // in it, and scans pass it over
	same               // it is that one
	above              // it holds that one
	disguised          // in it, and scans cannot tell
)

// standingOf looks through links at how a folder, which need not be there, lies to a watched one, which is. A folder that is mounted at several
// paths is known by its inode.
func standingOf(dir, watched string) (standing, error) {
	in, to := resolved(watched), resolved(dir)
	if below, out := within(in, to); !out {
		if below == "." {
			return same, nil
		}
		return inside, nil
	}
	if _, out := within(to, in); !out {
		return above, nil
	}
	info, err := os.Stat(in)
	if err != nil {
		return outside, err
	}
	lies := same
	for at := to; ; at = filepath.Dir(at) {
		other, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return outside, err
		case os.SameFile(info, other):
			return lies, nil
		}
		if at == "/" {
			break
		}
		lies = disguised
	}
	info, err = os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return outside, nil
	}
	for at := in; err == nil && at != "/"; {
		at = filepath.Dir(at)
		var other fs.FileInfo
		if other, err = os.Stat(at); err == nil && os.SameFile(info, other) {
			return above, nil
		}
	}
	return outside, err
}
