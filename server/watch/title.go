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
	Inode   uint64    // 0 on file systems that do not keep it
	Changed time.Time // of the inode
	Marker  string    // path of the marker beside it; "": there is none
}

// Stamp identifies a state of the file: it differs when the file was replaced or written to.
func (f File) Stamp() store.WatchStamp {
	return store.WatchStamp{SizeBytes: f.Size, ModifiedUnixNano: f.ModTime.UnixNano(), Inode: f.Inode}
}

// Title is a reference and what was made from it, as far as it is there and complete.
type Title struct {
	Key        string // unique in the folder and the same at every scan
	Name       string // for reports: the first capture, the manifest's title or the folder's name
	Reference  File
	Renditions []Rendition // complete ones, sorted by path; empty only where Closed
	// Request is the folder's, with what a manifest adds and changes, and the labels. Titles share its lists and maps; they are read only.
	Request Request
	// Closed says that there will be no further renditions: a manifest names those there are, or a folder's marker is there.
	Closed bool
	// Awaited are the paths of renditions that are not complete, cannot be read or are wrong in themselves, and of those that a manifest names and
	// that are not there (one that has been dealt with may have been moved away), sorted.
	Awaited  []string
	Manifest File   // without a path: none
	Marker   string // path of the folder's marker; "": none
}

// Rendition is a distorted video of a title.
type Rendition struct {
	File   File
	Name   string            // unique in the title
	Labels map[string]string // its captures that are not the title's, or what a manifest says; read only
}

// Problem is what is wrong with a file of the folder itself, such as a manifest that cannot be read. It is marked beside the file.
type Problem struct {
	File File
	Err  error
}
