package watch

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// place is a folder that files are read from or written to, and nothing outside of it.
type place struct {
	root *os.Root
	dir  string // absolute
}

// openPlaces opens, and makes where they are missing, the folders that files are moved to and that reports are written to.
func (f *watched) openPlaces() error {
	var err error
	if f.moveTo.root == nil && f.cfg.After.MoveTo != "" {
		if f.moveTo, err = f.openPlace(f.cfg.After.MoveTo); err != nil {
			return err
		}
	}
	if f.reports.root == nil && f.cfg.Reports.To != "" {
		f.reports, err = f.openPlace(f.cfg.Reports.To)
	}
	return err
}

// openPlace opens a folder. One inside the watched folder is not left through links.
func (f *watched) openPlace(dir string) (place, error) {
	if below, inside := strings.CutPrefix(dir, strings.TrimSuffix(f.cfg.Path, "/")+"/"); inside {
		if err := f.in.root.MkdirAll(below, 0o755); err != nil {
			return place{}, err
		}
		root, err := f.in.root.OpenRoot(below)
		return place{root, dir}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return place{}, err
	}
	root, err := os.OpenRoot(dir)
	return place{root, dir}, err
}

// path is the absolute path of a file of the place, as the ledger and people have it: UTF-8 in any case.
func (p place) path(name string) string {
	return strings.ToValidUTF8(filepath.Join(p.dir, name), "\uFFFD")
}

// makeDir makes a folder and those above it, synced.
func (p place) makeDir(dir string) error {
	if _, err := p.root.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for dir != "." {
		dir = path.Dir(dir)
		if err := p.sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// sync has what changed in a folder survive a loss of power.
func (p place) sync(dir string) error {
	d, err := p.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write has a file appear under its name as a whole, or not at all, in place of one of that name. It survives a loss of power.
func (p place) write(name string, fill func(io.Writer) error) (err error) {
	dir := path.Dir(name)
	if err := p.makeDir(dir); err != nil {
		return err
	}
	temporary := path.Join(dir, reportInWork(path.Base(name)))
	if err := p.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := p.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 64<<10)
	err = fill(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = p.root.Rename(temporary, name)
	}
	if err != nil {
		if gone := p.root.Remove(temporary); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	return p.sync(dir)
}

// reportInWork is a file's while it is written. It is the same at every try, so that one which was interrupted leaves nothing that the next does
// not take away.
func reportInWork(name string) string {
	sum := sha256.Sum256([]byte(name))
	return ".vqsd-" + hex.EncodeToString(sum[:8]) + ".tmp"
}

// remove takes a file away. One that is not there is fine.
func (p place) remove(name string) error {
	err := p.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, p.sync(path.Dir(name)))
}

// mostName is the longest file name that file systems take, in bytes.
const mostName = 255

// fitting is stem and suffix as a file's name. A stem that is too long is cut, and told apart by a digest of what it was.
func fitting(stem, suffix string) string {
	if len(stem)+len(suffix) <= mostName {
		return stem + suffix
	}
	sum := sha256.Sum256([]byte(stem))
	tail := "~" + hex.EncodeToString(sum[:4])
	cut := stem[:max(mostName-len(suffix)-len(tail), 0)]
	for len(cut) > 0 && !utf8.RuneStart(stem[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return cut + tail + suffix
}
