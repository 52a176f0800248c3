package watch

import (
	"time"

	"github.com/vqsd/vqsd/store"
)

// File is a file of a watched folder as a scan saw it.
type File struct {
	Path    string // below the folder, with forward slashes
	Size    int64  // bytes
	ModTime time.Time
	Inode   uint64
	Changed time.Time // of the inode
}

// Stamp identifies a state of the file: it differs when the file was replaced or written to.
func (f File) Stamp() store.WatchStamp {
	return store.WatchStamp{SizeBytes: f.Size, ModifiedUnixNano: f.ModTime.UnixNano(), Inode: f.Inode}
}

// Title is a reference and what was made from it, as far as it is there and complete.
type Title struct {
	Key        string // unique in the folder and the same at every scan
	Name       string // for reports: the first capture, the manifest's name or the folder's
	Reference  File
	Renditions []Rendition // complete ones, sorted by path
	// Request is the folder's, with what a manifest adds and changes, and the labels.
	Request Request
	// Closed says that there will be no further renditions: a manifest names those there are, or a folder's marker is there.
	Closed   bool
	Awaited  int    // renditions that a manifest names and that are not there or not complete
	Manifest string // its path below the folder; "": none
}

// Rendition is a distorted video of a title.
type Rendition struct {
	File   File
	Name   string            // unique in the title
	Labels map[string]string // its captures
}

// Problem is what is wrong with a file of the folder itself, such as a manifest that cannot be read. It is marked beside the file.
type Problem struct {
	File File
	Err  error
}
