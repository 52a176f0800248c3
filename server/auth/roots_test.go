package auth

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/store"
)

func roots(t testing.TB, list ...Root) Roots {
	t.Helper()
	r, err := NewRoots(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResolve(t *testing.T) {
	one := roots(t, Root{"/srv/clips", "/srv/clips"})
	several := roots(t, Root{"clips", "/srv/clips"}, Root{"secret", "/srv/clips/secret"}, Root{"/mnt", "/mnt"}, Root{"all", "/"})
	all, clipsOnly := anyone, &Caller{Roots: []string{"clips"}}
	for _, row := range []struct {
		name   string
		roots  Roots
		caller *Caller
		uri    string
		root   string
		path   string
		err    error
	}{
		{"relative to the only root", one, all, "a/b.mp4", "/srv/clips", "a/b.mp4", nil},
		{"absolute", one, all, "/srv/clips/a/b.mp4", "/srv/clips", "a/b.mp4", nil},
		{"absolute, not clean", one, all, "//srv/./clips//a/./b.mp4", "/srv/clips", "a/b.mp4", nil},
		{"a root called by its path", one, all, "/srv/clips:a.mp4", "/srv/clips", "a.mp4", nil},
		{"a root by name", several, all, "clips:a.mp4", "clips", "a.mp4", nil},
		{"a root by name, slash after the colon", several, all, "clips:/a.mp4", "clips", "a.mp4", nil},
		{"the innermost of nested roots", several, all, "/srv/clips/secret/a.mp4", "secret", "a.mp4", nil},
		{"below the root of everything", several, all, "/etc/passwd", "all", "etc/passwd", nil},
		{"a colon later in the path", several, all, "clips:a:b.mp4", "clips", "a:b.mp4", nil},
		{"dots in a name", one, all, "a..b/...mp4", "/srv/clips", "a..b/...mp4", nil},

		{"relative with several roots", several, all, "a.mp4", "", "", ErrOutside},
		{"an unknown root", several, all, "movies:a.mp4", "", "", ErrOutside},
		{"outside of all", one, all, "/etc/passwd", "", "", ErrOutside},
		{"a folder that begins like the root", one, all, "/srv/clips2/a.mp4", "", "", ErrOutside},
		{"a root that others may use", several, clipsOnly, "/mnt/a.mp4", "", "", ErrOutside},
		{"the same by name", several, clipsOnly, "/mnt:a.mp4", "", "", ErrOutside},
		{"a nested root that others may use, through the outer one", several, clipsOnly, "/srv/clips/secret/a.mp4", "", "", ErrOutside},
		{"the same by name", several, clipsOnly, "clips:secret/a.mp4", "", "", ErrOutside},
		{"relative to a root that others may use", one, &Caller{Roots: []string{}}, "a.mp4", "", "", ErrOutside},
		{"no roots", Roots{}, all, "a.mp4", "", "", ErrOutside},

		{"dots that lead up", one, all, "../a.mp4", "", "", ErrBadURI},
		{"dots in the middle", one, all, "/srv/clips/x/../../secret", "", "", ErrBadURI},
		{"dots at the end", one, all, "a/..", "", "", ErrBadURI},
		{"dots behind a root's name", several, all, "clips:../a", "", "", ErrBadURI},
		{"only dots behind a root's name", several, all, "clips:..", "", "", ErrBadURI},
		{"a NUL", one, all, "a\x00.mp4", "", "", ErrBadURI},
		{"not UTF-8", one, all, "a\xff.mp4", "", "", ErrBadURI},
		{"a URL", one, all, "http://example.com/a.mp4", "", "", ErrBadURI},
		{"a file URL", one, all, "file:///etc/passwd", "", "", ErrBadURI},
		{"a URL with FFmpeg's prefix", one, all, "concat+x://a", "", "", ErrBadURI},
		{"empty", one, all, "", "", "", ErrBadURI},
		{"too long", one, all, strings.Repeat("a", maxURI+1), "", "", ErrBadURI},
		{"the root itself", one, all, "/srv/clips/", "", "", ErrOutside},
		{"the root itself, by a dot", one, all, "./.", "", "", ErrBadURI},
		{"a folder", one, all, "a/", "", "", ErrBadURI},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.roots.Resolve(row.caller, row.uri)
			want := store.Source{Root: row.root, Path: row.path}
			if row.err == nil {
				want.URI = row.uri
			}
			if got != want || !errors.Is(err, row.err) {
				t.Errorf("Resolve(%.60q) = %+v, %v, want %+v, %v", row.uri, got, err, want, row.err)
			}
			if errors.Is(err, ErrOutside) && err.Error() != ErrOutside.Error() {
				t.Errorf("the error tells more than it may: %v", err)
			}
		})
	}
}

func TestNewRootsRefuses(t *testing.T) {
	for want, list := range map[string][]Root{
		"not an absolute":   {{"a", "clips"}},
		"clean path":        {{"a", "/srv/../clips"}},
		"cannot be":         {{"a:b", "/srv"}},
		"two roots":         {{"a", "/srv"}, {"a", "/mnt"}},
		"is there twice":    {{"a", "/srv"}, {"b", "/srv"}},
		`"" cannot be a ro`: {{"", "/srv"}},
	} {
		if _, err := NewRoots(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q in it", list, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	r := roots(t, Root{"b", "/b"}, Root{"a", "/a"})
	if got := strings.Join(r.Names(anyone), " "); got != "b a" {
		t.Errorf("all: %s", got)
	}
	if got := strings.Join(r.Names(&Caller{Roots: []string{"a"}}), " "); got != "a" {
		t.Errorf("of one: %s", got)
	}
}

func FuzzResolve(f *testing.F) {
	for _, uri := range []string{"a.mp4", "clips:a", "/srv/clips/a", "..", "a/../b", "/srv/clips:..", "clips:/../a", "x://", "/srv/clips/secret/..", "clips:secret"} {
		f.Add(uri)
	}
	r := roots(f, Root{"clips", "/srv/clips"}, Root{"secret", "/srv/clips/secret"}, Root{"/mnt", "/mnt"})
	caller := &Caller{Roots: []string{"clips", "/mnt"}}
	f.Fuzz(func(t *testing.T, uri string) {
		s, err := r.Resolve(caller, uri)
		if err != nil {
			if s != (store.Source{}) || (!errors.Is(err, ErrOutside) && !errors.Is(err, ErrBadURI)) {
				t.Errorf("%q: %+v, %v", uri, s, err)
			}
			return
		}
		if !caller.MayUse(s.Root) || s.URI != uri || path.Clean("/"+s.Path) != "/"+s.Path || s.Path == "" || strings.Contains("/"+s.Path+"/", "/../") {
			t.Errorf("%q: %+v", uri, s)
		}
		if s.Root == "clips" && strings.HasPrefix(s.Path, "secret/") {
			t.Errorf("%q reaches the inner root: %+v", uri, s)
		}
	})
}
