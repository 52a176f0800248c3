package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// place is where a file of results goes.
type place struct {
	what   string // "log" or "plot", for messages
	path   string // as the user gave it
	target string // the file that is replaced: path, or what it links to
	// direct says that path is a device or pipe: it is written to, not replaced.
	direct bool
	// private says that nobody else may read a new file.
	private bool
}

// newPlace checks, before anything is measured, that a file can be written at path, and leaves nothing there.
//
// inputs are the files that are read: none of them may be replaced.
func newPlace(what, path string, inputs []string) (place, error) {
	p := place{what: what, path: path, target: path}
	fail := func(err error) (place, error) { return p, fmt.Errorf("%s %s: %w", what, path, bare(err)) }
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return fail(errors.New("is a symbolic link to a file that is not there"))
		}
		return p, p.try()
	}
	if err != nil {
		return fail(err)
	}
	if info.IsDir() {
		return fail(errors.New("is a directory; name a file"))
	}
	for _, input := range inputs {
		if other, err := os.Stat(input); err == nil && info.Mode().IsRegular() && os.SameFile(info, other) {
			return fail(fmt.Errorf("is the input %s, which would be overwritten", input))
		}
	}
	if err := unix.Access(path, unix.W_OK); err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		p.direct = true
		return p, nil
	}
	if p.target, err = filepath.EvalSymlinks(path); err != nil {
		return fail(err)
	}
	return p, p.try()
}

// try makes a temporary file and removes it.
func (p place) try() error {
	f, err := p.create()
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// privateFile are the permissions of a file that only its owner may read.
const privateFile fs.FileMode = 0o600

// create makes an empty temporary file in the target's folder.
func (p place) create() (*os.File, error) {
	dir := filepath.Dir(p.target)
	for {
		name := filepath.Join(dir, fmt.Sprintf(".vqsd-%08x.tmp", rand.Uint32()))
		mode := fs.FileMode(0o666)
		if p.private {
			mode = privateFile
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: cannot make a file in %s: %w", p.what, p.path, dir, bare(err))
		}
		return f, nil
	}
}

// write puts what fill writes into the place, all of it or nothing.
func (p place) write(ctx context.Context, fill func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", p.what, p.path, bare(err))
		}
	}()
	if p.direct {
		f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(filled(ctx, f, fill), f.Close())
	}
	f, err := p.create()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(filled(ctx, f, fill), p.finish(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), p.target)
}

// finish gives the new file the permissions of the one it replaces and has its contents on the disk, so that a disk that
// is full says so now.
func (p place) finish(f *os.File) error {
	mode := fs.FileMode(0)
	if info, err := os.Stat(p.target); err == nil {
		mode = info.Mode().Perm()
	} else if p.private {
		mode = privateFile
	}
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	return f.Sync()
}

func filled(ctx context.Context, f *os.File, fill func(io.Writer) error) error {
	w := bufio.NewWriter(contextWriter{ctx, f})
	if err := fill(w); err != nil {
		return err
	}
	return w.Flush()
}

// contextWriter refuses to write once its context has ended. Its life is one call of write.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// bare is a system error without call and name: our messages name the file as the user did.
func bare(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	if le := (*os.LinkError)(nil); errors.As(err, &le) {
		return le.Err
	}
	return err
}
