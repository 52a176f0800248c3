package watch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestPair(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Folder
		files []string
		want  []string
	}{
		"reference is no rendition": {Folder{Pair: Pair{Reference: "{title}/ref.mov", Rendition: "{title}/*"}},
			[]string{"a/ref.mov", "a/1.mp4", "b/ref.mov"}, []string{"a/ref.mov: a/1.mp4"}},
		"all captures in common count": {Folder{Pair: Pair{Reference: "{title}_{lang}.mov", Rendition: "{lang}/{title}_{height}.mp4"}},
			[]string{"a_de.mov", "a_en.mov", "de/a_1.mp4", "en/a_1.mp4", "fr/a_1.mp4"},
			[]string{"a_de.mov: de/a_1.mp4", "a_en.mov: en/a_1.mp4", "unpaired fr/a_1.mp4"}},
		"a reference's own captures do not tell it apart": {Folder{Pair: Pair{Reference: "{title}_{take}.mov", Rendition: "{title}.mp4"}},
			[]string{"a_1.mov", "a_2.mov", "a.mp4"}, []string{`problem "a_1.mov"`, `problem "a_2.mov"`, "unpaired a.mp4"}},
		"nothing in common": {Folder{Pair: Pair{Reference: "master.mov", Rendition: "out/{height}.mp4"}},
			[]string{"master.mov", "out/1.mp4", "out/2.mp4"}, []string{"master.mov: out/1.mp4 out/2.mp4"}},
		"by folder, names given": {Folder{Pair: Pair{By: ByFolder, Reference: "in/*.mov", Rendition: "out/**"}},
			[]string{"a/in/m.mov", "a/out/x/1.mp4", "a/2.mp4", "b/in/m.mov", "b/in/n.mov", "b/out/1.mp4"},
			[]string{"a/in/m.mov: a/out/x/1.mp4", `problem "b/in/m.mov"`, `problem "b/in/n.mov"`, "unpaired b/out/1.mp4"}},
		"by folder, marked": {Folder{Pair: Pair{By: ByFolder}, Ready: Ready{Marker: ".done"}},
			[]string{"a/reference.mov", "a/1.mp4", "a/.done", "b/reference.mov", "b/1.mp4", "c/reference.mov", "c/.done", "d/reference.mov", "d/reference.done", "d/1.mp4.done", "d/1.mp4"},
			[]string{"a/reference.mov: a/1.mp4 closed", "c/reference.mov: closed", "d/reference.mov: d/1.mp4", "waiting 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTestFolder(t, c.cfg)
			f.write(c.files...)
			f.want(f.settled(), c.want...)
		})
	}
}

// Captures that have in them what stands between captures in keys are told apart.
func TestPairKeys(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "ref/{a}+{b}", Rendition: "out/{a}+{b}"}})
	f.write("ref/x", "out/x")
	for _, name := range []string{`ref/x" b="y+z`, `ref/x+y" b="z`, `out/x" b="y+z`} {
		f.must(os.WriteFile(f.path(name), nil, 0o644))
	}
	f.want(f.settled(), `ref/x" b="y+z: out/x" b="y+z`)
}

// A second reference that is still being written is waited for: it may be going to take the first one's place.
func TestPairWaitsForSecondReference(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{Reference: "{title}.*", Rendition: "out/{title}_*"}})
	f.write("a.mov", "out/a_1")
	f.want(f.settled(), "a.mov: out/a_1")
	f.write("a.y4m")
	f.want(f.scan(), "unpaired out/a_1", "waiting 1")
	f.remove("a.mov")
	f.want(f.settled(), "a.y4m: out/a_1")
}

func TestPairTellsTitle(t *testing.T) {
	cfg := Folder{
		Pair:    Pair{Reference: "{title}_{take:[0-9]+}.mov", Rendition: "{title}/{height:[0-9]*}*.*"},
		Request: Request{Class: "latency", Labels: map[string]string{"site": "x"}},
	}
	f := newTestFolder(t, cfg)
	f.write("film_3.mov", "film/720.mp4", "film/720.mov", "film/480.mp4", "film/.mp4", "film/best.mp4")
	got := f.settled()
	f.want(got, "film_3.mov: film/480.mp4 film/720.mov film/720.mp4 film/best.mp4")
	title := got.titles[0]
	if title.Key != `title="film"` || title.Name != "film" || title.Request.Class != "latency" || title.Closed || title.Manifest.Path != "" {
		t.Errorf("%+v", title)
	}
	if want := map[string]string{"site": "x", "watch": "in", "title": "film", "take": "3"}; !maps.Equal(title.Request.Labels, want) {
		t.Errorf("labels %v, want %v", title.Request.Labels, want)
	}
	var names []string
	for _, r := range title.Renditions {
		names = append(names, fmt.Sprint(r.Name, r.Labels))
	}
	if want := []string{"480map[height:480]", "720.movmap[height:720]", "720.mp4map[height:720]", "bestmap[]"}; !slices.Equal(names, want) {
		t.Errorf("renditions %q, want %q", names, want)
	}
	if file := got.files["film_3.mov"]; file != title.Reference || file.Size != 10 || file.Inode == 0 || file.ModTime.IsZero() || file.Changed.IsZero() {
		t.Errorf("file %+v", file)
	}
}

func TestPairProblemsSayWhatToDo(t *testing.T) {
	f := newTestFolder(t, Folder{Pair: Pair{By: ByFolder, Rendition: "{path:.*}"}})
	long := strings.Repeat("long/", 60) + "x"
	f.write("a/reference.mov", "a/reference.y4m", "a/1.mp4")
	f.s.entries[long] = &entry{path: "b/" + long, purpose: purpose{roleRendition, "b", []string{long}}}
	got := f.s.pair()
	f.want(got, `problem "b/`+long+`"`)
	if want := "{path} captures 301 bytes"; !strings.Contains(got.problems[0].Err.Error(), want) {
		t.Errorf("%v, want %q", got.problems[0].Err, want)
	}
	got = f.settled()
	f.want(got, `problem "a/reference.mov"`, `problem "a/reference.y4m"`, "unpaired a/1.mp4")
	for i, other := range []string{"a/reference.y4m", "a/reference.mov"} {
		if text := got.problems[i].Err.Error(); !strings.HasPrefix(text, other+" is a reference of the same title") || !strings.Contains(text, "keep one of them") {
			t.Errorf("%q", text)
		}
	}
}

func TestDistinct(t *testing.T) {
	for _, c := range []struct{ names, other, want []string }{
		{[]string{"a"}, nil, []string{"a"}},
		{[]string{"a", "b"}, nil, []string{"a", "b"}},
		{[]string{"a", "a"}, []string{"a.x", "a.y"}, []string{"a.x", "a.y"}},
		{[]string{"a", "a", "a"}, []string{"a.x", "a.x", "a.y"}, []string{"a.x", "a.x-2", "a.y"}},
		{[]string{"a", "a", "a.x", "a.x-2"}, []string{"a.x", "a.y", "", ""}, []string{"a.x-3", "a.y", "a.x", "a.x-2"}},
	} {
		got := slices.Clone(c.names)
		distinct(got, func(i int) string { return c.other[i] })
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.names, got, c.want)
		}
	}
}

// Whatever names files have, a scan ends, and what it finds are those files.
func FuzzFileNames(f *testing.F) {
	f.Add("a_ref.mov", "a_720p.mp4", byte(0))
	f.Add("x\xff/reference.mov", "x\n/..\\1.mp4", byte(1))
	f.Add("a.vqsd.yaml", "..a", byte(2))
	f.Fuzz(func(t *testing.T, one, two string, way byte) {
		cfg := []Folder{byPattern(), {Pair: Pair{By: ByFolder}}, {}, {Pair: Pair{Reference: "**/*r*", Rendition: "**"}}}[way%4]
		folder := newTestFolder(t, cfg)
		made := map[string]bool{}
		for _, name := range []string{one, two} {
			for segment := range strings.SplitSeq(name, "/") {
				if segment == "" || segment == "." || segment == ".." || len(segment) > 255 || strings.Contains(segment, "\x00") {
					return
				}
			}
			if len(name) > 1000 || made[name] || strings.HasPrefix(one+"/", two+"/") || strings.HasPrefix(two+"/", one+"/") {
				return
			}
			made[name] = true
			folder.write(strings.ReplaceAll(name, "=", "-") + "=x")
		}
		got := folder.settled()
		for path, file := range got.files {
			if !made[path] && !strings.Contains(one+two, "=") || file.Path != path {
				t.Fatalf("%q as %q was never made", path, file.Path)
			}
		}
		for _, title := range got.titles {
			for _, r := range title.Renditions {
				if checkPath(r.File.Path) != nil || checkPath(title.Reference.Path) != nil || r.File.Path == title.Reference.Path {
					t.Fatalf("%+v", title)
				}
			}
		}
	})
}
