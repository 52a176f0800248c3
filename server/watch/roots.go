package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/vqsd/vqsd/server/auth"
)

// InRoots says whether a folder, which has been through [Folder.Check], can be watched: it is there, lies in a media root, and files can be moved from it
// to where the folder says. It reports every problem.
func InRoots(f Folder, roots auth.Roots) error {
	var errs []error
	add := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("watched folder %s: %s: %w", f.Name, key, fmt.Errorf(format, args...)))
	}
	if _, err := roots.Resolve(anyRoot, path.Join(f.Path, "any")); err != nil {
		add("folder", "%s: %w; add it, or a folder above it, to media_roots", f.Path, err)
	}
	dir, err := os.Open(f.Path)
	if err == nil {
		if _, err = dir.ReadDir(1); errors.Is(err, io.EOF) {
			err = nil // empty
		}
		err = errors.Join(err, dir.Close())
	}
	if err != nil {
		add("folder", "%w; it has to be a folder that this user can read", err)
	}
	if f.After.MoveTo != "" && err == nil {
		if err := sameFileSystem(f.Path, f.After.MoveTo); err != nil {
			add("after.move_to", "%w", err)
		}
	}
	return errors.Join(errs...)
}
