package watch

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// direntHeader is the size of what stands before the name in an entry that getdents64 gives: inode (8 bytes), offset (8), length (2), type (1).
const direntHeader = 19

// dirReader reads names and types of a folder's entries without allocating. The zero value is ready for use.
type dirReader struct{ buffer [64 << 10]byte }

// each calls fn with every entry but . and .., in the order of the file system. kind is a unix.DT_ constant. name is
// valid during the call.
func (r *dirReader) each(fd int, fn func(name []byte, kind byte, inode uint64) error) error {
	for {
		n, err := retried(func() (int, error) { return unix.Getdents(fd, r.buffer[:]) })
		if n <= 0 || err != nil {
			return err
		}
		for rest := r.buffer[:n]; len(rest) > direntHeader; {
			length := int(binary.NativeEndian.Uint16(rest[16:]))
			if length <= direntHeader || length > len(rest) {
				return errors.New("the system lists entries that are cut off")
			}
			name, _, _ := bytes.Cut(rest[direntHeader:length], []byte{0})
			inode, kind := binary.NativeEndian.Uint64(rest), rest[18]
			rest = rest[length:]
			if string(name) == "." || string(name) == ".." || len(name) == 0 {
				continue
			}
			if err := fn(name, kind, inode); err != nil {
				return err
			}
		}
	}
}

// openFolder opens a folder in another one, and no link in its place.
func openFolder(parent int, name string) (int, error) {
	return retried(func() (int, error) {
		return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// statFile looks at an entry of a folder itself, not at what it links to.
func statFile(parent int, name string, st *unix.Stat_t) error {
	_, err := retried(func() (int, error) { return 0, unix.Fstatat(parent, name, st, unix.AT_SYMLINK_NOFOLLOW) })
	return err
}

// retried calls again what a signal interrupted, which network file systems let happen.
func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// kindOfMode is the type of an entry in terms of DT_ constants.
func kindOfMode(mode uint32) byte { return byte(mode & unix.S_IFMT >> 12) }
