package watch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// What bounds a manifest.
const (
	maxManifestBytes      = 1 << 20
	maxManifestRenditions = 1024
	maxNameBytes          = 255 // of titles and renditions
	maxPathBytes          = 4096
)

// manifest is what a manifest says. It is immutable.
//
// A manifest is a YAML file, or a JSON file with the same keys if its name ends in .json, in UTF-8 and of at most 1 MiB:
//
//	title: The Film            # its name in reports; default: the manifest's file name before .vqsd.yaml, or its extension
//	reference: master.mov      # path relative to the folder that the manifest is in
//	renditions:                # 1 to 1024
//	  - hd.mp4                 # a path like that, or
//	  - path: mobile/sd.mp4
//	    name: 480p             # in the measurement, unique; default: the file name without extension
//	    labels: {codec: av1}
//	request:                   # what differs from the configuration's request: the same keys
//	  models: [vmaf_v0.6.1neg] # a list replaces the configuration's
//	  labels: {season: "2"}    # labels are added to the configuration's, and win over them
//	  shortest: true
//
// Paths have forward slashes and may go up with .., but never out of the watched folder. Keys that are not known, keys that come twice, YAML aliases and a second
// document are errors. Every problem is told at once, with line and column.
type manifest struct {
	title      string
	reference  string // path below the folder
	renditions []namedRendition
	request    Request
	mentioned  []string // of one that is wrong: paths that any of its texts would be
}

// namedRendition is a rendition that a manifest names.
type namedRendition struct {
	path   string // below the folder
	name   string
	labels map[string]string
}

// ManifestError is one thing wrong with a manifest.
type ManifestError struct {
	Path         string // below the folder
	Line, Column int    // from 1; 0: not known
	Err          error
}

func (e *ManifestError) Error() string {
	place := e.Path
	if e.Line > 0 {
		place += fmt.Sprintf(":%d", e.Line)
		if e.Column > 0 {
			place += fmt.Sprintf(":%d", e.Column)
		}
	}
	return fmt.Sprintf("%s: %v", place, e.Err)
}

func (e *ManifestError) Unwrap() error { return e.Err }

// errNotAsSeen: a file is not the one that the scan saw.
var errNotAsSeen = errors.New("the file was replaced or written to during the scan")

// readManifest reads the manifest of a complete entry, unless that has been done. One that is not as the scan saw it has to settle anew.
func (s *scanner) readManifest(e *entry) {
	if e.read {
		return
	}
	text, err := s.readSmall(e)
	e.peeked = false
	if errors.Is(err, errNotAsSeen) {
		e.unsettle(s.now())
		return
	}
	e.read = true
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		e.manifest, e.wrong = nil, &ManifestError{Path: e.path, Err: err}
		e.read, s.again = errors.Is(err, errTooLarge), true // it may be readable another time
		return
	}
	e.manifest, e.wrong = parseManifest(e.path, text, s.classifier, s.excluded, s.folder.Request)
}

var errTooLarge = fmt.Errorf("it is larger than %d MiB", maxManifestBytes>>20)

// readSmall reads a file that the scan saw, if it still is that file. Nothing but a regular file is read from, and opening waits for no one.
func (s *scanner) readSmall(e *entry) (text []byte, err error) {
	if e.size > maxManifestBytes {
		return nil, errTooLarge
	}
	file, err := s.root.OpenFile(e.path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotAsSeen
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	check := func() error {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.Mode().IsRegular() || info.Size() != e.size || st.Mtim.Nano() != e.modified || e.inode != 0 && st.Ino != e.inode {
			return errNotAsSeen
		}
		return nil
	}
	if err := check(); err != nil {
		return nil, err
	}
	if text, err = io.ReadAll(io.LimitReader(file, e.size+1)); err != nil {
		return nil, err
	}
	if int64(len(text)) != e.size {
		return nil, errNotAsSeen
	}
	return text, check()
}

// parseManifest reads the text of a manifest at a path below the folder. base is the configuration's request, which the manifest adds to; excluded are folders that
// are not watched, sorted.
//
// Errors: *[ManifestError]s, joined, every one that can be found. The manifest is then what could be made out of it, and nil where that is nothing.
func parseManifest(file string, text []byte, c *classifier, excluded []string, base Request) (*manifest, error) {
	r := &manifestReader{file: file, classifier: c, excluded: excluded}
	m := r.document(text, base)
	if len(r.errs) > 0 {
		return m, joinSome(r.errs)
	}
	return m, nil
}

// manifestReader makes a manifest of its text and collects what is wrong.
type manifestReader struct {
	file       string
	classifier *classifier
	excluded   []string
	errs       []error
}

func (r *manifestReader) fail(n *node, format string, args ...any) {
	r.errs = append(r.errs, &ManifestError{r.file, n.line, n.column, fmt.Errorf(format, args...)})
}

func (r *manifestReader) document(text []byte, base Request) *manifest {
	if !utf8.Valid(text) {
		r.errs = append(r.errs, &ManifestError{Path: r.file, Err: errors.New("the text is not UTF-8")})
		return nil
	}
	parse := parseYAML
	if strings.HasSuffix(strings.ToLower(r.file), ".json") {
		parse = parseJSON
	}
	top, problem := parse(text)
	if problem != nil {
		problem.Path = r.file
		r.errs = append(r.errs, problem)
		return nil
	}
	keys := r.mapping(top, "", "title", "reference", "renditions", "request")
	if keys == nil {
		return nil
	}
	m := &manifest{title: r.defaultTitle(), request: base}
	if n := keys["title"]; n != nil {
		m.title = r.name(n, "title")
	}
	if n := r.required(top, keys, "reference"); n != nil {
		m.reference = r.path(n, "reference")
	}
	if n := r.required(top, keys, "renditions"); n != nil {
		r.renditions(n, m)
	}
	if n := keys["request"]; n != nil {
		r.request(n, &m.request)
	}
	for i := range m.renditions {
		labels := len(withLabels(m.request.Labels, m.renditions[i].labels)) + 1
		if labels > maxLabels {
			r.fail(top, "renditions[%d]: with those of the request and the folder's name there are %d labels; %d are allowed", i, labels, maxLabels)
		}
	}
	if len(r.errs) > 0 {
		m.mentioned = mentioned(top, path.Dir(r.file), nil)
	}
	return m
}

// defaultTitle is the manifest's name without what tells that it is one.
func (r *manifestReader) defaultTitle() string {
	stem := stemOf(r.file)
	return cmp.Or(strings.TrimSuffix(stem, ".vqsd"), stem)
}

func (r *manifestReader) required(top *node, keys map[string]*node, key string) *node {
	n := keys[key]
	if n == nil {
		r.fail(top, "%s: is missing", key)
	}
	return n
}

// mapping gives the values of a mapping by key; nil, which is reported, of what is none. where is the mapping's own key.
func (r *manifestReader) mapping(n *node, where string, known ...string) map[string]*node {
	if n.kind != mappingNode {
		r.fail(n, "%swant keys with values (%s), not %s", prefixOf(where), strings.Join(known, ", "), n.what())
		return nil
	}
	values := map[string]*node{}
	for _, pair := range n.pairs {
		switch key := pair.key.text; {
		case !slices.Contains(known, key):
			r.fail(pair.key, "%sunknown key %q; want %s", prefixOf(where), clip(key), strings.Join(known, ", "))
		case values[key] != nil:
			r.fail(pair.key, "%s%s: comes twice, first in line %d", prefixOf(where), key, values[key].line)
		default:
			values[key] = pair.value
		}
	}
	return values
}

func prefixOf(where string) string {
	if where == "" {
		return ""
	}
	return where + ": "
}

// text is a value that is text.
func (r *manifestReader) text(n *node, where string) (string, bool) {
	if n.kind != textNode {
		r.fail(n, "%s: want text, not %s%s", where, n.what(), n.quoteIt())
		return "", false
	}
	return n.text, true
}

// name is that of a title or a rendition.
func (r *manifestReader) name(n *node, where string) string {
	if n.kind == numberNode { // of a name, a number is as good
		return n.text
	}
	text, ok := r.text(n, where)
	if err := checkPath(text); ok && (err != nil || strings.TrimSpace(text) == "" || len(text) > maxNameBytes) {
		r.fail(n, "%s: %q is no name of 1 to %d bytes without control characters", where, clip(text), maxNameBytes)
	}
	return text
}

// path is a file's path below the folder, of one relative to the manifest.
func (r *manifestReader) path(n *node, where string) string {
	text, ok := r.text(n, where)
	if !ok {
		return ""
	}
	fail := func(format string, args ...any) { r.fail(n, where+": "+format, args...) }
	file := path.Join(path.Dir(r.file), text)
	switch {
	case text == "":
		fail("is empty; want a file's path")
		return ""
	case len(text) > maxPathBytes:
		fail("the path has %d bytes; %d are allowed", len(text), maxPathBytes)
		return ""
	case checkPath(text) != nil:
		fail("%q has a control character", clip(text))
		return ""
	case strings.HasPrefix(text, "/"):
		fail("%q is absolute; want a path relative to the manifest", clip(text))
		return ""
	case file == ".." || strings.HasPrefix(file, "../"):
		fail("%q lies outside of the watched folder", clip(text))
		return ""
	case file == "." || strings.HasSuffix(text, "/") || text == "." || text == ".." || strings.HasSuffix(text, "/.") || strings.HasSuffix(text, "/.."):
		fail("%q is a folder's path; want a file's", clip(text))
		return ""
	}
	switch role := r.classifier.classify(file).role; {
	case role == roleOther:
	case role == roleManifest:
		fail("%q is a manifest's name", clip(text))
	case role == roleTemporary:
		fail("%q is the name of a file that is not complete (ready.temporary)", clip(text))
	case role == roleMarker:
		fail("%q is a marker's name (ready.marker)", clip(text))
	default:
		fail("%q is the name of a report or a failure mark", clip(text))
	}
	if isBelow(file, r.excluded) {
		fail("%q is where reports or files that are done go (reports.to, after.move_to), which is not watched", clip(text))
	}
	for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
		if r.classifier.isTemporary(path.Base(folder)) {
			fail("%q is in a folder with a temporary name (ready.temporary), which is not looked into", clip(text))
			break
		}
	}
	return file
}

func (r *manifestReader) renditions(n *node, m *manifest) {
	switch {
	case n.kind != listNode:
		r.fail(n, "renditions: want a list of paths, not %s", n.what())
		return
	case len(n.items) == 0 || len(n.items) > maxManifestRenditions:
		r.fail(n, "renditions: there are %d; want 1 to %d", len(n.items), maxManifestRenditions)
		return
	}
	lines := map[string]int{m.reference: -1}
	names := map[string]int{}
	for i, item := range n.items {
		where := fmt.Sprintf("renditions[%d]", i)
		rendition, at := r.rendition(item, where)
		if rendition.path == "" {
			continue // has been reported
		}
		switch line := lines[rendition.path]; {
		case line < 0:
			r.fail(at, "%s: %s is the reference", where, rendition.path)
		case line > 0:
			r.fail(at, "%s: %s is there already, in line %d", where, rendition.path, line)
		}
		if line := names[rendition.name]; line > 0 && rendition.name != "" {
			r.fail(at, "%s: the name %q is that of the rendition in line %d", where, clip(rendition.name), line)
		}
		lines[rendition.path] = at.line
		names[rendition.name] = at.line
		m.renditions = append(m.renditions, rendition)
	}
	// The same files listed in another order are the same title.
	slices.SortStableFunc(m.renditions, func(a, b namedRendition) int { return strings.Compare(a.path, b.path) })
	nameRest(m.renditions, names)
}

// rendition reads one item of the list; at is what it may be told of.
func (r *manifestReader) rendition(n *node, where string) (rendition namedRendition, at *node) {
	if n.kind != mappingNode {
		return namedRendition{path: r.path(n, where)}, n
	}
	keys := r.mapping(n, where, "path", "name", "labels")
	if keys["path"] == nil {
		r.fail(n, "%s: path: is missing", where)
	} else {
		rendition.path = r.path(keys["path"], where+": path")
	}
	if name := keys["name"]; name != nil {
		rendition.name = r.name(name, where+": name")
	}
	if labels := keys["labels"]; labels != nil {
		rendition.labels = r.labels(labels, where+": labels")
	}
	return rendition, n
}

// nameRest names the renditions that were given no name, after their files.
func nameRest(list []namedRendition, taken map[string]int) {
	var names []string
	var at []int
	for i, rendition := range list {
		if rendition.name == "" {
			at = append(at, i)
			names = append(names, stemOf(rendition.path))
		}
	}
	distinct(names, func(i int) string { return path.Base(list[at[i]].path) })
	for i, name := range names {
		first := name
		for n := 2; taken[name] > 0; n++ {
			name = fmt.Sprintf("%s-%d", first, n)
		}
		list[at[i]].name, taken[name] = name, 1
	}
}

// labels are keys with values that are text, or would be if they were in quotes.
func (r *manifestReader) labels(n *node, where string) map[string]string {
	if n.kind != mappingNode {
		r.fail(n, "%s: want keys with values, not %s", where, n.what())
		return nil
	}
	labels := map[string]string{}
	for _, pair := range n.pairs {
		key := pair.key.text
		switch _, twice := labels[key]; {
		case twice:
			r.fail(pair.key, "%s: %s comes twice", where, clip(key))
		case !slices.Contains([]nodeKind{textNode, numberNode, boolNode}, pair.value.kind):
			r.fail(pair.value, "%s: %s: want text, not %s", where, clip(key), pair.value.what())
		default:
			if err := checkLabel(key, pair.value.text); err != nil {
				r.fail(pair.key, "%s: %w", where, err)
			}
			labels[key] = pair.value.text
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}
