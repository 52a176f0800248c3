package watch

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// parse reads a manifest at a path, of a folder that says little else.
func parse(t testing.TB, file, text string) (*manifest, error) {
	t.Helper()
	cfg := Folder{
		Name: "in", Path: "/media/in", After: After{Success: Move, MoveTo: "done"}, Ready: Ready{Marker: ".done"},
		Request: Request{Models: []string{"vmaf_v0.6.1"}, Labels: map[string]string{"site": "a", "kind": "film"}, Shortest: true},
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	c, err := newClassifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return parseManifest(file, []byte(text), c, []string{"done"}, cfg.Request)
}

func TestManifest(t *testing.T) {
	const yaml = `# a comment
title: The Film
reference: ../masters/film.mov
renditions:
  - sd.mp4
  - path: mobile/sd.mp4
  - path: hd.mp4
    name: 1080p
    labels: {codec: av1, year: 2024, final: true}
request:
  models: [version=vmaf_v0.6.1neg]
  features: []
  class: latency
  labels: {kind: series, season: 2}
  pairing: timestamp
  shortest: false
  subsample: 5
  bit_depth: 10
`
	const document = `{"title": "The Film", "reference": "..\/masters/film.mov",
	"renditions": ["sd.mp4", {"path": "mobile/sd.mp4"}, {"path": "hd.mp4", "name": "1080p", "labels": {"codec": "av1", "year": 2024, "final": true}}],
	"request": {"models": ["version=vmaf_v0.6.1neg"], "features": [], "class": "latency", "labels": {"kind": "series", "season": 2},
		"pairing": "timestamp", "shortest": false, "subsample": 5, "bit_depth": "10"}}`
	want := &manifest{
		title: "The Film", reference: "masters/film.mov",
		renditions: []namedRendition{
			{"out/hd.mp4", "1080p", map[string]string{"codec": "av1", "year": "2024", "final": "true"}},
			{"out/mobile/sd.mp4", "sd.mp4", nil},
			{"out/sd.mp4", "sd.mp4-2", nil},
		},
		request: Request{
			Models: []string{"version=vmaf_v0.6.1neg"}, Features: []string{}, Class: "latency", Pairing: "timestamp", Subsample: 5, BitDepth: "10",
			Labels: map[string]string{"site": "a", "kind": "series", "season": "2"},
		},
	}
	for file, text := range map[string]string{"out/film.vqsd.yaml": yaml, "out/film.vqsd.json": document, "out/film.vqsd.JSON": "\ufeff" + document} {
		got, err := parse(t, file, text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", file, got, want)
		}
	}
}

func TestManifestDefaults(t *testing.T) {
	for file, title := range map[string]string{"a/film.vqsd.yaml": "film", "b.vqsd.json": "b", "c.yaml": "c", ".vqsd.yaml": ".vqsd"} {
		m, err := parse(t, file, "reference: r.mov\nrenditions: [x.mp4]")
		if strings.HasSuffix(file, ".json") {
			m, err = parse(t, file, `{"reference": "r.mov", "renditions": ["x.mp4"]}`)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if m.title != title || !m.request.Shortest || len(m.request.Labels) != 2 || m.renditions[0].name != "x" {
			t.Errorf("%s: %+v, want the title %q and the folder's request", file, m, title)
		}
	}
}

// Every mistake is told with its place and what to do.
func TestManifestRefused(t *testing.T) {
	const rest = "\nreference: r.mov\nrenditions: [x.mp4]\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                  {"", "m.vqsd.yaml: the file is empty"},
		"comments only":            {"# nothing\n", "is empty"},
		"no YAML":                  {"reference: [", "m.vqsd.yaml:1: not YAML"},
		"not UTF-8":                {"title: \xff", "not UTF-8"},
		"a list":                   {"- a", "m.vqsd.yaml:1:1: want keys with values (title, reference, renditions, request), not a list"},
		"two documents":            {rest + "---\na: b", "second document"},
		"alias":                    {"title: &a x\nreference: *a" + "\nrenditions: [x.mp4]", "m.vqsd.yaml:2:12: aliases"},
		"merge key":                {"<<: {title: x}" + rest, `1:1: unknown key "<<"`},
		"unknown key":              {"titel: x" + rest, `m.vqsd.yaml:1:1: unknown key "titel"; want title,`},
		"key twice":                {"title: a\ntitle: b" + rest, "2:1: title: comes twice, first in line 1"},
		"list for a key":           {"[a]: b" + rest, "want text for a key"},
		"nothing but a title":      {"title: a", "reference: is missing"},
		"no renditions":            {"reference: r.mov", "renditions: is missing"},
		"no list":                  {"reference: r.mov\nrenditions: x.mp4", "2:13: renditions: want a list of paths, not text"},
		"empty list":               {"reference: r.mov\nrenditions: []", "there are 0; want 1 to 1024"},
		"too many":                 {"reference: r.mov\nrenditions: [" + strings.Repeat("a,", 1025) + "]", "there are 1025"},
		"number for a path":        {"reference: 12\nrenditions: [x.mp4]", "1:12: reference: want text, not a number; put it in quotes"},
		"date for a path":          {"reference: 2024-01-01\nrenditions: [x.mp4]", "want text, not a date"},
		"path out of the folder":   {"reference: ../r.mov\nrenditions: [x.mp4]", `1:12: reference: "../r.mov" lies outside of the watched folder`},
		"path out by a detour":     {"reference: a/../../r.mov\nrenditions: [x.mp4]", "lies outside"},
		"absolute path":            {"reference: /media/in/r.mov\nrenditions: [x.mp4]", "is absolute; want a path relative to the manifest"},
		"folder's path":            {"reference: a/\nrenditions: [x.mp4]", "is a folder's path"},
		"the folder itself":        {"reference: .\nrenditions: [x.mp4]", "is a folder's path"},
		"dots at the end":          {"reference: a/b/..\nrenditions: [x.mp4]", "is a folder's path"},
		"empty path":               {"reference: ''\nrenditions: [x.mp4]", "is empty"},
		"line break in a path":     {"reference: \"a\\nb\"\nrenditions: [x.mp4]", "control character"},
		"NUL in a path":            {"reference: \"a\\0b\"\nrenditions: [x.mp4]", "control character"},
		"long path":                {"reference: " + strings.Repeat("a", 4097) + "\nrenditions: [x.mp4]", "4097 bytes"},
		"reference as a rendition": {"reference: r.mov\nrenditions: [x.mp4, r.mov]", "2:21: renditions[1]: r.mov is the reference"},
		"rendition twice":          {"reference: r.mov\nrenditions:\n- x.mp4\n- a/../x.mp4", "4:3: renditions[1]: x.mp4 is there already, in line 3"},
		"name twice":               {"reference: r.mov\nrenditions:\n- {path: x, name: a}\n- {path: y, name: a}", `4:3: renditions[1]: the name "a" is that of the rendition in line 3`},
		"rendition without a path": {"reference: r.mov\nrenditions: [{name: a}]", "renditions[0]: path: is missing"},
		"rendition's unknown key":  {"reference: r.mov\nrenditions: [{path: a, size: b}]", `renditions[0]: unknown key "size"; want path, name, labels`},
		"manifest as a rendition":  {"reference: r.mov\nrenditions: [n.vqsd.yaml]", "is a manifest's name"},
		"temporary file":           {"reference: r.mov.part\nrenditions: [x.mp4]", "not complete (ready.temporary)"},
		"hidden folder":            {"reference: .git/r.mov\nrenditions: [x.mp4]", "folder with a temporary name"},
		"marker":                   {"reference: r.done\nrenditions: [x.mp4]", "is a marker's name"},
		"failure mark":             {"reference: r.vqsd-failed.txt\nrenditions: [x.mp4]", "a report or a failure mark"},
		"folder of what is done":   {"reference: done/r.mov\nrenditions: [x.mp4]", "which is not watched"},
		"long title":               {"title: " + strings.Repeat("a", 256) + rest, "1:8: title: "},
		"unknown request key":      {"request: {model: [a]}" + rest, `request: unknown key "model"; want models,`},
		"unknown model":            {"request:\n  models: [vmaf_nil]" + rest, `m.vqsd.yaml:2:11: request.models: "vmaf_nil"`},
		"model from a file":        {"request: {models: ['path=/etc/passwd']}" + rest, "request.models"},
		"models are a list":        {"request: {models: vmaf_v0.6.1}" + rest, "request.models: want a list such as [a, b], not text"},
		"unknown feature":          {"request: {features: [fog]}" + rest, "request.features"},
		"unknown class":            {"request: {class: urgent}" + rest, "want latency, throughput, background"},
		"unknown pairing":          {"request: {pairing: luck}" + rest, "request.pairing"},
		"unknown scale":            {"request: {scale: nearest}" + rest, "request.scale"},
		"raw video":                {"request: {raw_video: 1920x1080}" + rest, "is not WxH:PIXFMT[:FPS]"},
		"negative subsample":       {"request: {subsample: -1}" + rest, "request.subsample: want a whole number"},
		"shortest is a word":       {"request: {shortest: 'yes'}" + rest, "request.shortest: want true or false"},
		"label with a bad key":     {"request: {labels: {Season: a}}" + rest, `"Season": a key is made of`},
		"label watch":              {"request: {labels: {watch: a}}" + rest, "choose another key"},
		"label twice":              {"request: {labels: {a: b, a: c}}" + rest, "a comes twice"},
		"label is a list":          {"request: {labels: {a: [b]}}" + rest, "a: want text, not a list"},
		"long label":               {"request: {labels: {a: " + strings.Repeat("b", 256) + "}}" + rest, "256 bytes; 255 are allowed"},
		"deep":                     {"title: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + rest, "too deep"},
	} {
		_, err := parse(t, "m.vqsd.yaml", c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		var problem *ManifestError
		if !errors.As(err, &problem) || problem.Path != "m.vqsd.yaml" {
			t.Errorf("%s: %v is no *ManifestError of the file", name, err)
		}
	}
}

func TestManifestJSONRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "m.json:1:1: not JSON: the file ends too early"},
		"cut off":             {`{"reference": "a", `, "ends too early"},
		"cut off in a text":   {`{"reference": "a`, "ends too early"},
		"YAML":                {"reference: a", "m.json:1:1: not JSON"},
		"comma at the end":    {"{\"reference\": \"a\",\n}", "m.json:2:1: not JSON"},
		"wrong bracket":       {"{\"renditions\": [\"a\"}", "not JSON"},
		"more behind":         {"{\"reference\": \"r\", \"renditions\": [\"x\"]}\n {}", "m.json:2:2: something follows"},
		"unknown key":         {"{\"reference\": \"r\",\n \"ü\": 1, \"what\": 1}", `m.json:2:10: unknown key "what"`},
		"key twice":           {"{\"title\": \"a\",\n\"title\": \"b\"}", "m.json:2:1: title: comes twice, first in line 1"},
		"number for a path":   {`{"reference": 1, "renditions": ["x"]}`, "1:15: reference: want text, not a number"},
		"nothing for a path":  {`{"reference": null, "renditions": ["x"]}`, "reference: want text, not nothing"},
		"path out by escapes": {`{"reference": "..\/x", "renditions": ["x"]}`, "lies outside"},
		"deep":                {strings.Repeat("[", 100_000), "too deep"},
		"deep in objects":     {strings.Repeat(`{"a":`, 100_000), "too deep"},
	} {
		_, err := parse(t, "m.json", c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// All mistakes of a manifest are told at once, but not thousands.
func TestManifestTellsAll(t *testing.T) {
	_, err := parse(t, "m.vqsd.yaml", "titel: x\nreference: ../r.mov\nrenditions: [/x.mp4]\nrequest: {class: x}")
	for _, want := range []string{":1:1: ", ":2:12: ", ":3:14: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v has nothing with %q", err, want)
		}
	}
	_, err = parse(t, "m.vqsd.yaml", "reference: r\nrenditions: ["+strings.Repeat("/,", 1000)+"]")
	if lines := strings.Count(err.Error(), "\n") + 1; lines != maxJoined+1 || !strings.HasSuffix(err.Error(), "and 980 more") {
		t.Errorf("%d lines:\n%v", lines, err)
	}
}

// The folder's request is not changed by what a manifest adds to it.
func TestManifestLeavesFolderAlone(t *testing.T) {
	f := newTestFolder(t, Folder{Request: Request{Labels: map[string]string{"kind": "film"}, Models: []string{"version=vmaf_v0.6.1"}}})
	f.write("r.mov", "x.mp4", "y.mp4",
		"a.vqsd.yaml=reference: r.mov\nrenditions: [x.mp4]\nrequest: {models: [], labels: {kind: series}}\n",
		"b.vqsd.yaml=reference: r.mov\nrenditions: [y.mp4]\n")
	got := f.settled()
	f.want(got, "r.mov: x.mp4 closed", "r.mov: y.mp4 closed")
	a, b := got.titles[0].Request, got.titles[1].Request
	if want := map[string]string{"kind": "series", "watch": "in"}; !maps.Equal(a.Labels, want) || len(a.Models) != 0 {
		t.Errorf("a: %+v", a)
	}
	if want := map[string]string{"kind": "film", "watch": "in"}; !maps.Equal(b.Labels, want) || len(b.Models) != 1 {
		t.Errorf("b: %+v", b)
	}
}

func TestManifestInFolder(t *testing.T) {
	f := newTestFolder(t, Folder{})
	good := "a.vqsd.yaml=reference: r.mov\nrenditions: [x.mp4, y.mp4]\n"
	f.write(good)
	f.want(f.settled(), "") // waits for files that may come
	f.write("r.mov", "x.mp4")
	got := f.settled()
	f.want(got, "r.mov: x.mp4 -y.mp4 closed")
	if got.titles[0].Key != "a.vqsd.yaml" || got.titles[0].Name != "a" || got.titles[0].Manifest.Path != "a.vqsd.yaml" {
		t.Errorf("title %+v", got.titles[0])
	}
	f.remove("x.mp4")
	f.want(f.scan(), "r.mov: -x.mp4 -y.mp4 closed")

	f.write("a.vqsd.yaml=reference: r.mov\nrendition: [x.mp4]\n")
	f.want(f.scan(), "waiting 1")
	got = f.settled()
	f.want(got, `problem "a.vqsd.yaml"`)
	if got.problems[0].File.Size == 0 || !strings.Contains(got.problems[0].Err.Error(), "a.vqsd.yaml:2:1") {
		t.Errorf("problem %+v", got.problems[0])
	}
	f.write(good)
	f.want(f.settled(), "r.mov: -x.mp4 -y.mp4 closed")

	f.must(os.Symlink("r.mov", f.path("x.mp4")))
	f.must(os.Mkdir(f.path("y.mp4"), 0o755))
	got = f.settled()
	f.want(got, `problem "a.vqsd.yaml"`)
	for _, want := range []string{"x.mp4 is neither file nor folder", "y.mp4 is a folder"} {
		if !strings.Contains(got.problems[0].Err.Error(), want) {
			t.Errorf("problem %v, want %q", got.problems[0].Err, want)
		}
	}
	f.remove("x.mp4")
	f.remove("y.mp4")
	f.want(f.settled(), "r.mov: -x.mp4 -y.mp4 closed")

	f.write("real/x.mp4", "a.vqsd.yaml=reference: r.mov\nrenditions: [link/x.mp4, other/deep/y.mp4]\n")
	f.must(os.Symlink("real", f.path("link")))
	f.must(os.Symlink("real", f.path("other")))
	got = f.settled()
	f.want(got, `problem "a.vqsd.yaml"`)
	for _, want := range []string{"link/x.mp4: link is a link", "other/deep/y.mp4: other is a link"} {
		if !strings.Contains(got.problems[0].Err.Error(), want) {
			t.Errorf("problem %v, want %q", got.problems[0].Err, want)
		}
	}
}

// A manifest's marker says that all it names is complete.
func TestManifestMarker(t *testing.T) {
	f := newTestFolder(t, Folder{Ready: Ready{Marker: ".done"}})
	f.write("r.mov", "x.mp4", "a.vqsd.yaml=reference: r.mov\nrenditions: [x.mp4]\n")
	f.want(f.settled(), "waiting 1")
	f.write("a.vqsd.yaml.done")
	got := f.scan()
	f.want(got, "r.mov: x.mp4 closed")
	if got.titles[0].Manifest.Marker != "a.vqsd.yaml.done" {
		t.Errorf("manifest %+v", got.titles[0].Manifest)
	}
}

// Whatever is in a manifest's place when it is read, nothing waits, and nothing is read but the file that the scan saw.
func TestManifestSwapped(t *testing.T) {
	const text = "reference: r.mov\nrenditions: [x.mp4]\n"
	for name, swap := range map[string]func(f *testFolder){
		"a pipe":               func(f *testFolder) { f.must(unix.Mkfifo(f.path("a.vqsd.yaml"), 0o644)) },
		"a link to outside":    func(f *testFolder) { f.must(os.Symlink("/etc/hostname", f.path("a.vqsd.yaml"))) },
		"a link to inside":     func(f *testFolder) { f.sameTime("moved", "b"); f.must(os.Symlink("b", f.path("a.vqsd.yaml"))) },
		"another file":         func(f *testFolder) { f.sameTime("moved", "a.vqsd.yaml") },
		"a folder":             func(f *testFolder) { f.must(os.Mkdir(f.path("a.vqsd.yaml"), 0o755)) },
		"a larger file":        func(f *testFolder) { f.write("a.vqsd.yaml=" + text + text) },
		"a file of no end":     func(f *testFolder) { f.must(os.Symlink("/dev/zero", f.path("a.vqsd.yaml"))) },
		"nothing":              func(f *testFolder) {},
		"a file without right": func(f *testFolder) { f.write("a.vqsd.yaml="); f.must(os.Chmod(f.path("a.vqsd.yaml"), 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newTestFolder(t, Folder{})
			f.write("r.mov", "x.mp4", "a.vqsd.yaml="+text)
			f.want(f.settled(), "r.mov: x.mp4 closed")
			e := *f.s.entries["a.vqsd.yaml"]
			f.rename("a.vqsd.yaml", "moved")
			swap(f)
			e.read, e.manifest, e.wrong = false, nil, nil
			f.s.readManifest(&e)
			// A link that leads out is told, and everything else waited for until it has settled.
			out := strings.Contains(name, "outside") || strings.Contains(name, "no end")
			if e.manifest != nil || e.steady != out || (e.wrong != nil) != out {
				t.Errorf("manifest %+v, steady %v, wrong %v", e.manifest, e.steady, e.wrong)
			}
		})
	}
}

func TestManifestTooLarge(t *testing.T) {
	f := newTestFolder(t, Folder{})
	f.write("a.vqsd.yaml=#" + strings.Repeat("x", maxManifestBytes))
	got := f.settled()
	f.want(got, `problem "a.vqsd.yaml"`)
	if !strings.Contains(got.problems[0].Err.Error(), "larger than 1 MiB") {
		t.Error(got.problems[0].Err)
	}
}

// Whatever a manifest says, what comes of it are files in the folder, each once and with names of their own.
func FuzzManifest(f *testing.F) {
	f.Add("a.vqsd.yaml", "title: x\nreference: r.mov\nrenditions: [x, {path: y, name: z, labels: {a: b}}]\nrequest: {models: [version=vmaf_v0.6.1], shortest: true}")
	f.Add("d/a.vqsd.json", `{"reference": "../r", "renditions": ["x", {"path": "y/x"}, "z/x"]}`)
	f.Add("d/a.vqsd.yaml", "reference: a/../../../r\nrenditions: [\"\\0\", '', ., .., /x]")
	f.Fuzz(func(t *testing.T, file, text string) {
		if file == "" || path.Clean("/" + file)[1:] != file {
			return
		}
		m, err := parse(t, file, text)
		if err != nil {
			if len(err.Error()) > 1<<20 || m != nil && m.reference != "" && path.Clean("/" + m.reference)[1:] != m.reference {
				t.Fatalf("%v, and an error of %d bytes", m, len(err.Error()))
			}
			return
		}
		paths, names := map[string]bool{}, map[string]bool{}
		for _, r := range append(slices.Clone(m.renditions), namedRendition{path: m.reference, name: "\x00"}) {
			if path.Clean("/" + r.path)[1:] != r.path || r.path == "" || checkPath(r.path) != nil || paths[r.path] || names[r.name] || r.name == "" {
				t.Fatalf("%q called %q of %+v", r.path, r.name, m)
			}
			paths[r.path], names[r.name] = true, true
		}
		if problems := m.request.problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
		// What was understood says the same when it is written as JSON.
		again, err := parse(t, path.Dir(file)+"/again.json", m.asJSON(t, path.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		again.title = m.title
		if !reflect.DeepEqual(again.renditions, m.renditions) || again.reference != m.reference {
			t.Fatalf("%+v and again %+v", m, again)
		}
	})
}

// asJSON writes reference and renditions as a manifest in a folder.
func (m *manifest) asJSON(t *testing.T, folder string) string {
	up := strings.Repeat("../", strings.Count(path.Clean(folder)+"/", "/"))
	if folder == "." {
		up = ""
	}
	type rendition struct {
		Path   string            `json:"path"`
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels,omitempty"`
	}
	document := struct {
		Reference  string      `json:"reference"`
		Renditions []rendition `json:"renditions"`
	}{Reference: up + m.reference}
	for _, r := range m.renditions {
		document.Renditions = append(document.Renditions, rendition{up + r.path, r.name, r.labels})
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
