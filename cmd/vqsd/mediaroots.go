package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// mediaRoots are the folders that a worker reads below, each by the folder itself rather than its path, so that no link and no renamed folder leads
// elsewhere meanwhile.
type mediaRoots struct {
	// mu guards open.
	mu   sync.Mutex
	dirs map[string]string // paths, by name
	open map[string]*os.Root
}

// openMediaRoots opens the folders. The error is that of the first that cannot be.
func openMediaRoots(dirs map[string]string) (*mediaRoots, error) {
	r := &mediaRoots{dirs: dirs, open: map[string]*os.Root{}}
	for name, dir := range dirs {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("media root %s: %w", name, err), r.close())
		}
		r.open[name] = root
	}
	return r, nil
}

// named is the folder that is at a root's path now: a file system may have been mounted there since, or the folder replaced. nil: there is no
// root of that name. One that was open before stays so for those who read below it, until they are done.
func (r *mediaRoots) named(name string) (*os.Root, error) {
	dir, known := r.dirs[name]
	if !known {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("media root %s: %w", name, err)
	}
	if root := r.open[name]; root != nil {
		if was, err := root.Stat("."); err == nil && os.SameFile(was, now) {
			return root, nil
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("media root %s: %w", name, err)
	}
	r.open[name] = root
	return root, nil
}

// close closes the folders that no task reads below.
func (r *mediaRoots) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, root := range r.open {
		errs = append(errs, root.Close())
	}
	return errors.Join(errs...)
}
