package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What bounds a folder.
const (
	maxFiles  = 200_000   // that may be videos or manifests
	maxNames  = 1_000_000 // with reports, marks and all else
	maxDepth  = 32        // folders below the folder
	maxLogged = 20        // files of one kind that the log names each
)

// Errors of scans. A scan that fails says nothing about which files there are: nothing may be taken for deleted.
var (
	// ErrFolderReplaced: what is at the folder's path is another folder than the scanner's, such as after something was mounted there. It takes
	// a new scanner.
	ErrFolderReplaced = errors.New("the folder was replaced by another one")
	// ErrTooManyFiles: the folder holds more files than can be watched.
	ErrTooManyFiles = errors.New("too many files")
)

// found is what a scan found. It and all that it refers to are read only, since the next scan may give it again.
type found struct {
	// unchanged says that all but next is as the scan before gave it, which means: the very same slices and maps.
	unchanged bool
	titles    []Title         // sorted by key
	problems  []Problem       // sorted by path
	files     map[string]File // every regular file that may count, complete or not; those below unreadable folders as they were last seen
	claims    claims
	waiting   int      // files of titles that are not complete
	unpaired  []string // complete renditions without a reference, sorted
	// unreadable are folders and files that could not be read, sorted. They and what is below them are in files, and in no title.
	unreadable []string
	next       time.Duration // after which a file may be complete: scan again then; 0: nothing is awaited
}

// entry is what the scanner remembers of a file.
type entry struct {
	purpose
	settling
	path     string
	seen     uint64 // the last scan that saw it
	hidden   bool   // it, or a folder above it, cannot be read
	manifest *manifest
	wrong    error // with the manifest
	read     bool  // manifest and wrong are of the file as it is, complete
	peeked   bool  // likewise, and it was not complete when it was read
}

// below is what the scanner remembers of a subfolder, or of what is neither file nor folder.
type below struct {
	path  string
	seen  uint64
	skip  bool   // it is not looked into
	inode uint64 // of a folder
}

// scanner looks at a folder. It is for one goroutine, but for hints and close.
//
// Everything is opened below the folder's own descriptor and no link is followed, so whatever is swapped during a scan, nothing outside the folder is
// looked at.
type scanner struct {
	folder     Folder
	root       *os.Root
	now        func() time.Time
	log        *slog.Logger
	classifier *classifier
	files      fileSystem
	excluded   []string // paths below the folder that are not looked into, sorted
	labels     map[string]string

	// What the scans before saw.
	count    uint64 // of scans
	entries  map[string]*entry
	folders  map[string]*below
	skipped  map[string]*below // links, devices …
	last     *found
	lost     []string // unreadable at the last scan
	again    bool     // something could not be read that may be another time, so the next scan pairs anew
	logged   map[string]int
	relevant int // entries that count against maxFiles

	// What the scan at work needs, kept for the next.
	reader  dirReader
	path    []byte
	pending [maxDepth + 1][]*below // subfolders to go into, by depth
	at      time.Time
	changed bool
	tally   struct{ entries, folders, skipped int } // seen
	next    time.Duration

	events *events
}

// newScanner makes a scanner of a checked folder. root is the folder's, stays the caller's and has to stay open until close.
func newScanner(f Folder, root *os.Root, now func() time.Time, log *slog.Logger) (*scanner, error) {
	c, err := newClassifier(f)
	if err != nil {
		return nil, err
	}
	s := &scanner{
		folder: f, root: root, now: now, log: log, classifier: c,
		labels:  withLabels(f.Request.Labels, map[string]string{watchLabel: f.Name}),
		entries: map[string]*entry{}, folders: map[string]*below{}, skipped: map[string]*below{}, logged: map[string]int{},
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	s.files = fileSystemOf(int(dir.Fd()))
	if err := dir.Close(); err != nil {
		return nil, err
	}
	for _, other := range []string{f.Reports.To, f.After.MoveTo} {
		if path, outside := within(resolved(f.Path), resolved(other)); other != "" && !outside {
			s.excluded = append(s.excluded, path)
		}
	}
	slices.Sort(s.excluded)
	s.events = newEvents(s)
	return s, nil
}

// resolved is a path without links, as far as it is there.
func resolved(path string) string {
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		if path == "/" || path == "." || path == "" {
			return filepath.Join(path, rest)
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// scan looks at every file once. It does not return before the file system answers, even if the context ends meanwhile.
//
// Errors: the context's; [ErrFolderReplaced], [ErrTooManyFiles]; what the file system says of the folder.
func (s *scanner) scan(ctx context.Context) (*found, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("open the folder: %w", err)
	}
	defer dir.Close() // opened for reading only: there is nothing that closing could lose
	fd := int(dir.Fd())
	if err := s.sameFolder(fd); err != nil {
		return nil, err
	}
	s.count++
	begin := time.Now()
	defer func() { s.events.scanTime.Store(int64(time.Since(begin))) }()
	s.at, s.next, s.path = s.now(), 0, s.path[:0]
	s.changed, s.again = s.last == nil || s.again, false
	s.tally.entries, s.tally.folders, s.tally.skipped, s.relevant = 0, 0, 0, 0
	var lost []string
	if err := s.walk(ctx, fd, 0, &lost); err != nil {
		s.again = true
		return nil, err
	}
	s.forget(lost)
	if !s.changed {
		same := *s.last
		same.unchanged, same.next = true, s.next
		return &same, nil
	}
	s.last = s.pair()
	s.last.unreadable = lost
	s.last.next = s.next // pairing may have found that a manifest was replaced
	return s.last, nil
}

// sameFolder sees that the folder's path still leads to the open one.
func (s *scanner) sameFolder(fd int) error {
	var open, there unix.Stat_t
	if err := unix.Fstat(fd, &open); err != nil {
		return fmt.Errorf("look at the folder: %w", err)
	}
	if _, err := retried(func() (int, error) { return 0, unix.Stat(s.folder.Path, &there) }); err != nil {
		return &os.PathError{Op: "stat", Path: s.folder.Path, Err: err}
	}
	if open.Dev != there.Dev || open.Ino != there.Ino && s.files.keepsInodes {
		return fmt.Errorf("%s: %w", s.folder.Path, ErrFolderReplaced)
	}
	return nil
}

// walk looks at what is in an open folder whose path, with a slash behind unless it is the top, is in s.path. What cannot be read is added to lost; only the
// top has to be readable.
func (s *scanner) walk(ctx context.Context, fd, depth int, lost *[]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	base := len(s.path)
	s.pending[depth] = s.pending[depth][:0]
	err := s.reader.each(fd, func(name []byte, kind byte, inode uint64) error {
		s.path = append(s.path[:base], name...)
		return s.meet(fd, base, depth, kind, inode, lost)
	})
	s.path = s.path[:base]
	switch {
	case errors.Is(err, ErrTooManyFiles):
		return err
	case err != nil && depth == 0:
		return fmt.Errorf("read the folder: %w", err)
	case err != nil:
		s.lose(lost, string(s.path[:base-1]), err)
		return nil
	}
	for _, sub := range s.pending[depth] {
		if err := s.enter(ctx, fd, base, depth, sub, lost); err != nil {
			return err
		}
	}
	return nil
}

// enter walks a subfolder.
func (s *scanner) enter(ctx context.Context, fd, base, depth int, sub *below, lost *[]string) error {
	if depth == maxDepth {
		s.logOnce("folder is too deep and passed over", sub.path, "depth", maxDepth)
		return nil
	}
	inner, err := openFolder(fd, sub.path[base:])
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return nil // it was removed or replaced just now
	case err != nil:
		s.lose(lost, sub.path, err)
		return nil
	}
	defer unix.Close(inner) // opened for reading only: there is nothing that closing could lose
	s.path = append(append(s.path[:0], sub.path...), '/')
	err = s.walk(ctx, inner, depth+1, lost)
	s.path = s.path[:base]
	return err
}

// lose notes that something cannot be read.
func (s *scanner) lose(lost *[]string, path string, err error) {
	s.logOnce("cannot be read; what was there is taken to be there", path, "err", err)
	*lost = append(*lost, path)
}

// meet deals with one entry of a folder, whose path is in s.path and whose name begins at base.
func (s *scanner) meet(fd, base, depth int, kind byte, inode uint64, lost *[]string) error {
	e := s.entries[string(s.path)]
	var st unix.Stat_t
	known := kind != unix.DT_UNKNOWN
	look := !known || kind == unix.DT_REG && (e == nil || e.role.counts())
	if look {
		name := ""
		if e != nil {
			name = e.path[base:]
		} else {
			name = string(s.path[base:])
		}
		switch err := statFile(fd, name, &st); {
		case errors.Is(err, unix.ENOENT):
			return nil // removed just now
		case err != nil:
			s.lose(lost, string(s.path), err)
			return nil
		}
		kind = kindOfMode(st.Mode)
	}
	switch kind {
	case unix.DT_DIR:
		s.meetFolder(base, depth, inode)
		return nil
	case unix.DT_REG:
		return s.meetFile(e, &st)
	}
	b := s.skipped[string(s.path)]
	if b == nil {
		b = &below{path: string(s.path)}
		s.skipped[b.path], s.changed = b, true
		if c := s.classifier; !c.isTemporary(b.path[base:]) {
			s.logOnce("neither file nor folder, and passed over", b.path, "kind", kindName(kind))
		}
	}
	s.mark(&b.seen, &s.tally.skipped)
	return nil
}

// mark notes that something was seen. A folder that changes while it is listed may name something twice.
func (s *scanner) mark(seen *uint64, tally *int) {
	if *seen != s.count {
		*seen = s.count
		*tally++
	}
}

func (s *scanner) meetFolder(base, depth int, inode uint64) {
	b := s.folders[string(s.path)]
	if b == nil {
		b = &below{path: string(s.path)}
		b.skip = s.classifier.isTemporary(b.path[base:]) || slices.Contains(s.excluded, b.path)
		s.folders[b.path], s.changed = b, true // a manifest may name it
	}
	if b.inode != inode && !b.skip { // a new one, also one that took the place of another
		b.inode = inode
		s.events.watch(b.path)
	}
	if b.seen == s.count {
		return
	}
	s.mark(&b.seen, &s.tally.folders)
	if !b.skip {
		s.pending[depth] = append(s.pending[depth], b)
	}
}

func (s *scanner) meetFile(e *entry, st *unix.Stat_t) error {
	if e == nil {
		if len(s.entries) >= maxNames {
			return fmt.Errorf("%w: the folder holds more than %d; move away what is done, or watch folders in it one by one", ErrTooManyFiles, maxNames)
		}
		e = &entry{path: string(s.path)}
		e.purpose = s.classifier.classify(e.path)
		s.entries[e.path] = e
		s.changed = s.changed || e.role.counts() || e.role == roleMarker
	}
	s.mark(&e.seen, &s.tally.entries)
	if !e.role.counts() {
		return nil
	}
	if s.relevant++; s.relevant > maxFiles {
		return fmt.Errorf("%w: the folder holds more than %d that may be videos; move away what is done (after.success: move), or watch folders in it one by one",
			ErrTooManyFiles, maxFiles)
	}
	if e.hidden {
		e.hidden, s.changed = false, true
	}
	state := stateOf(st, s.files.keepsInodes)
	at := s.at
	if e.unchangedSince.IsZero() || e.state != state {
		at, e.read, e.peeked = s.now(), false, false // the wait begins when it is looked at, not when the scan began
	}
	if e.see(state, at, *s.folder.Ready.StableFor) {
		s.changed = true
	}
	s.await(e)
	return nil
}

// await makes the next scan come when the file may be steady.
func (s *scanner) await(e *entry) {
	if e.steady || e.role == roleOther && s.folder.Pair.By != ByManifest {
		return
	}
	// A clock's tick more, so that it is not a scan too early.
	if left := max(e.remaining(s.at, *s.folder.Ready.StableFor), 0) + time.Millisecond; s.next == 0 || left < s.next {
		s.next = left
	}
}

// forget drops what this scan did not see, but for what is in lost and below it.
func (s *scanner) forget(lost []string) {
	slices.Sort(lost)
	if !slices.Equal(lost, s.lost) {
		s.lost, s.changed = slices.Clone(lost), true
		for _, e := range s.entries {
			e.hidden = isBelow(e.path, lost)
		}
	}
	if s.tally.entries != len(s.entries) {
		for path, e := range s.entries {
			switch {
			case e.seen == s.count:
			case isBelow(path, lost):
				e.hidden = true
			default:
				delete(s.entries, path)
				s.changed = s.changed || e.role.counts() || e.role == roleMarker
			}
		}
	}
	drop := func(m map[string]*below, tally int, gone func(string)) (dropped bool) {
		if tally == len(m) {
			return false
		}
		for path, b := range m {
			if b.seen != s.count && !isBelow(path, lost) {
				delete(m, path)
				gone(path)
				dropped = true
			}
		}
		return dropped
	}
	folder := drop(s.folders, s.tally.folders, s.events.forget)
	other := drop(s.skipped, s.tally.skipped, func(string) {})
	s.changed = s.changed || folder || other // a manifest may name it
}

// isBelow says whether a path is one of a sorted list or below one.
func isBelow(path string, sorted []string) bool {
	for len(sorted) > 0 {
		if _, there := slices.BinarySearch(sorted, path); there {
			return true
		}
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			break
		}
		path = path[:slash]
	}
	return false
}

// logOnce warns of a file, once for as long as the scanner lives; of many files with the same trouble, only of the first.
func (s *scanner) logOnce(message, path string, args ...any) {
	key := message + "\x00" + path
	if s.logged[key]++; s.logged[key] > 1 {
		return
	}
	s.logged[message]++
	switch n := s.logged[message]; {
	case n < maxLogged:
		s.log.Warn(message, append([]any{"watch", s.folder.Name, "path", path}, args...)...)
	case n == maxLogged:
		s.log.Warn(message+"; further ones are not logged", append([]any{"watch", s.folder.Name, "path", path}, args...)...)
	default:
		delete(s.logged, key)
	}
}

// kindName says what an entry is that is neither file nor folder.
func kindName(kind byte) string {
	switch kind {
	case unix.DT_LNK:
		return "symbolic link"
	case unix.DT_FIFO:
		return "pipe"
	case unix.DT_SOCK:
		return "socket"
	case unix.DT_BLK, unix.DT_CHR:
		return "device"
	}
	return "unknown"
}

// file is an entry as others see it.
func (s *scanner) file(e *entry) File {
	return File{
		Path: e.path, Size: e.size, ModTime: time.Unix(0, e.modified), Inode: e.inode, Changed: time.Unix(0, e.settling.changed),
		Marker: s.markerOf(e.path),
	}
}

// markerOf finds the marker beside a file; "": there is none.
func (s *scanner) markerOf(file string) string {
	suffix := s.folder.Ready.Marker
	if suffix == "" {
		return ""
	}
	if s.has(file+suffix, roleMarker) {
		return file + suffix
	}
	if stem := strings.TrimSuffix(file, filepath.Ext(file)); !strings.HasSuffix(stem, "/") && stem != "" && s.has(stem+suffix, roleMarker) {
		return stem + suffix
	}
	return ""
}

// has says whether there is a file of the role at a path.
func (s *scanner) has(path string, r role) bool {
	e := s.entries[path]
	return e != nil && e.role == r && !e.hidden
}

// hints gives a value some time after something has appeared in the folder, as far as the system tells. Without file events it never gives one.
func (s *scanner) hints() <-chan struct{} { return s.events.hints }

// close ends file events. It may be called twice.
func (s *scanner) close() error { return s.events.close() }
