package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/vqsd/vqsd/server/auth"
)

// InRoots says whether workers can read what falls into a folder that has been through [Folder.Check]: it has to be a media root or lie below one, and to
// be there and readable now. The errors name what to change.
func InRoots(f Folder, roots auth.Roots) error {
	if _, err := roots.Resolve(anyRoot, path.Join(f.Path, "file")); err != nil {
		return fmt.Errorf("folder %s is neither a media root nor below one: add it to media_roots", f.Path)
	}
	folder, err := os.Open(f.Path)
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	if _, err = folder.ReadDir(1); errors.Is(err, io.EOF) {
		err = nil // empty
	}
	if err := errors.Join(err, folder.Close()); err != nil {
		return fmt.Errorf("folder: %w; it has to be a folder that this user can read", err)
	}
	return nil
}
