package watch

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/vqsd/vqsd/server/export"
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
		if f.moveTo, err = f.openPlace(f.cfg.After.MoveTo, f.cfg.checkMoveTo); err != nil {
			return fmt.Errorf("after.move_to: %w", err)
		}
	}
	if f.reports.root == nil && f.cfg.Reports.To != "" {
		if f.reports, err = f.openPlace(f.cfg.Reports.To, f.cfg.checkReportsTo); err != nil {
			return fmt.Errorf("reports.to: %w", err)
		}
	}
	return nil
}

// openPlace opens a folder. One inside the watched folder is not left through links.
func (f *watched) openPlace(dir string, check func() error) (place, error) {
	if err := check(); err != nil { // links and mounts may not be what they were at the start
		return place{}, err
	}
	root, err := f.makePlace(dir)
	return place{root, dir}, err
}

func (f *watched) makePlace(dir string) (*os.Root, error) {
	if below, inside := strings.CutPrefix(dir, strings.TrimSuffix(f.cfg.Path, "/")+"/"); inside {
		if err := f.in.root.MkdirAll(below, 0o755); err != nil {
			return nil, err
		}
		return f.in.root.OpenRoot(below)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

// placesMoved says why folders that files are moved or written to have to be opened again: another one is at the path, such as after something was
// mounted there, or none. What is open has gone elsewhere, or is removed.
func (f *watched) placesMoved() error {
	for _, p := range []place{f.moveTo, f.reports} {
		if p.root == nil {
			continue
		}
		if err := p.moved(); err != nil {
			return err
		}
	}
	return nil
}

// moved says why the path does not lead to the open folder.
func (p place) moved() error {
	dir, err := p.root.Open(".")
	if err != nil {
		return fmt.Errorf("%s: %w", p.dir, err)
	}
	defer dir.Close() // opened for reading only: there is nothing that closing could lose
	var open, there unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &open); err != nil {
		return &os.PathError{Op: "stat", Path: p.dir, Err: err}
	}
	if _, err := retried(func() (int, error) { return 0, unix.Stat(p.dir, &there) }); err != nil {
		return &os.PathError{Op: "stat", Path: p.dir, Err: err}
	}
	if open.Nlink == 0 || open.Dev != there.Dev || open.Ino != there.Ino && fileSystemOf(int(dir.Fd())).keepsInodes {
		return fmt.Errorf("%s: %w", p.dir, ErrFolderReplaced)
	}
	return nil
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

// write has a file appear under its name as a whole, or not at all, and survive a loss of power. inWork is its name until then. With replace it
// takes the place of what has the name; without, the error wraps [fs.ErrExist] where something has.
func (p place) write(name, inWork string, replace bool, fill func(io.Writer) error) (err error) {
	dir := path.Dir(name)
	if err := p.makeDir(dir); err != nil {
		return err
	}
	temporary := path.Join(dir, inWork)
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
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
	case replace:
		err = p.root.Rename(temporary, name)
	default:
		err = rename(p, temporary, p, name)
	}
	if err != nil {
		if gone := p.root.Remove(temporary); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	return p.sync(dir)
}

// reportInWork is the name of a folder's file while it is written. It is the same at every try, so that one which was interrupted leaves nothing
// that the next does not take away; and another one for each folder, since several may write to one place.
func reportInWork(folder, name string) string {
	sum := sha256.Sum256([]byte(folder + "/" + name))
	return ".vqsd-" + hex.EncodeToString(sum[:8]) + ".tmp"
}

// has says that something has a name. What cannot be told is refused when the name is written to.
func (p place) has(name string) bool {
	_, err := p.root.Lstat(name)
	return err == nil
}

// isFile says that a name is that of a file, and not of a folder, a link, or a pipe that reading would wait for.
func (p place) isFile(name string) bool {
	info, err := p.root.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}

// holds says that a file is there and has the content that fill writes. A content that cannot be written is in no file.
func (p place) holds(name string, fill func(io.Writer) error) (bool, error) {
	if !p.isFile(name) {
		return false, nil
	}
	file, err := p.root.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close() // opened for reading only: there is nothing that closing could lose
	c := &comparison{file: bufio.NewReaderSize(file, 64<<10)}
	err = fill(c)
	switch {
	case c.differs || errors.Is(err, export.ErrNotInForm):
		return false, nil
	case err != nil:
		return false, err
	}
	_, err = c.file.ReadByte()
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// comparison is a writer to which a file's content is to be written once more.
type comparison struct {
	file    *bufio.Reader
	piece   []byte
	differs bool
}

// errDiffers ends the writing of what has turned out not to be a file's content.
var errDiffers = errors.New("the file has another content")

func (c *comparison) Write(want []byte) (int, error) {
	c.piece = slices.Grow(c.piece[:0], len(want))[:len(want)]
	_, err := io.ReadFull(c.file, c.piece)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	if err != nil || !bytes.Equal(c.piece, want) {
		c.differs = true
		return 0, errDiffers
	}
	return len(want), nil
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

// cutTail is what the stem of a name ends in that fitting has cut.
var cutTail = regexp.MustCompile(`~[0-9a-f]{8}\z`)

// wasCut says that a name is one that fitting has cut: it is as long as names get, but for a character that was not cut in two.
func wasCut(stem, suffix string) bool {
	return len(stem)+len(suffix) > mostName-utf8.UTFMax && cutTail.MatchString(stem)
}
