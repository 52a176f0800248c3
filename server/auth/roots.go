package auth

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vqsd/vqsd/store"
)

// Errors of [Roots.Resolve]. ErrOutside is one and the same for what is not there, what is not below a root, and what the caller may not use.
var (
	ErrOutside = errors.New("not below a media root that you may use")
	ErrBadURI  = errors.New("bad name of a video")
)

const maxURI = 4096 // bytes

// Root is a folder that videos may be read from.
type Root struct {
	Name string // unique; by default the folder's path
	Dir  string // absolute and clean; as the daemon sees it
}

// Roots are the media roots. The zero value has none. They are immutable.
type Roots struct{ list []Root }

// NewRoots checks the roots, and reports every problem.
func NewRoots(list []Root) (Roots, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("media_roots: "+format, args...)) }
	names, dirs := map[string]bool{}, map[string]bool{}
	for _, r := range list {
		switch {
		case !path.IsAbs(r.Dir) || path.Clean(r.Dir) != r.Dir:
			add("folder %q is not an absolute, clean path", r.Dir)
		case r.Name == "" || (r.Name != r.Dir && strings.ContainsAny(r.Name, ":/\x00")):
			add("%q cannot be a root's name: it is not empty, and has no colon or slash", r.Name)
		case names[r.Name]:
			add("two roots are called %q", r.Name)
		case dirs[r.Dir]:
			add("folder %q is there twice", r.Dir)
		}
		names[r.Name], dirs[r.Dir] = true, true
	}
	return Roots{slices.Clone(list)}, errors.Join(errs...)
}

// Names lists the roots that the caller may use, in the order of the configuration.
func (r Roots) Names(c *Caller) []string {
	var names []string
	for _, root := range r.list {
		if c.MayUse(root.Name) {
			names = append(names, root.Name)
		}
	}
	return names
}

// schemed matches what begins like a URL of any scheme.
var schemed = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// Resolve turns what a request calls a video into a file below a media root: an absolute path below a root's folder, "NAME:PATH"
// with a root's name, or, where there is only one root, a path relative to it. It looks at text only.
//
// Errors: [ErrBadURI] for what can be no file's name (a URL, "..", NUL, too long); [ErrOutside].
func (r Roots) Resolve(c *Caller, uri string) (store.Source, error) {
	switch {
	case uri == "":
		return store.Source{}, fmt.Errorf("%w: it is empty", ErrBadURI)
	case len(uri) > maxURI:
		return store.Source{}, fmt.Errorf("%w: it has %d bytes, and at most %d are allowed", ErrBadURI, len(uri), maxURI)
	case strings.IndexByte(uri, 0) >= 0 || !utf8.ValidString(uri):
		return store.Source{}, fmt.Errorf("%w: it has a NUL, or is not UTF-8", ErrBadURI)
	case schemed.MatchString(uri):
		return store.Source{}, fmt.Errorf("%w: URLs are not read; name a file below a media root", ErrBadURI)
	case slices.Contains(strings.Split(uri, "/"), ".."), strings.HasSuffix(beforeSlash(uri), ":.."):
		return store.Source{}, fmt.Errorf(`%w: ".." is not allowed`, ErrBadURI)
	}
	root, below, ok := r.place(c, uri)
	if !ok {
		return store.Source{}, ErrOutside
	}
	below = path.Clean("/" + below)[1:]
	if below == "" || strings.HasSuffix(uri, "/") {
		return store.Source{}, fmt.Errorf("%w: it is a folder's, and has to be a file's", ErrBadURI)
	}
	// A root inside a root is a world of its own: whoever may not use it does not get at it through the outer one.
	if inner, _, ok := r.deepest(path.Join(root.Dir, below), nil); ok && !c.MayUse(inner.Name) {
		return store.Source{}, ErrOutside
	}
	return store.Source{Root: root.Name, Path: below, URI: uri}, nil
}

// beforeSlash is the part before the first slash, where a root's name may be.
func beforeSlash(uri string) string { first, _, _ := strings.Cut(uri, "/"); return first }

// place finds the root and the path below it, not cleaned. ok is false where there is none that the caller may use.
func (r Roots) place(c *Caller, uri string) (root Root, below string, ok bool) {
	if strings.HasPrefix(uri, "/") {
		for _, root := range r.list {
			// A root without a name of its own is called by its path, which may be followed by a colon, too.
			if below, ok := strings.CutPrefix(uri, root.Name+":"); ok && root.Name == root.Dir && c.MayUse(root.Name) {
				return root, below, true
			}
		}
		return r.deepest(path.Clean(uri), c)
	}
	if name, below, ok := strings.Cut(uri, ":"); ok && !strings.Contains(name, "/") {
		for _, root := range r.list {
			if root.Name == name && c.MayUse(name) {
				return root, below, true
			}
		}
		return Root{}, "", false
	}
	if len(r.list) == 1 && c.MayUse(r.list[0].Name) {
		return r.list[0], uri, true
	}
	return Root{}, "", false
}

// deepest finds the innermost root that an absolute, clean path lies in, of those that the caller may use (nil: of all).
func (r Roots) deepest(file string, c *Caller) (best Root, below string, ok bool) {
	for _, root := range r.list {
		if c != nil && !c.MayUse(root.Name) {
			continue
		}
		rest, inside := strings.CutPrefix(file, strings.TrimSuffix(root.Dir, "/")+"/")
		if inside && (!ok || len(root.Dir) > len(best.Dir)) {
			best, below, ok = root, rest, true
		}
	}
	return best, below, ok
}
