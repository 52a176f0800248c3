package watch

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/store"
)

// chain is a folder in which mezz.y4m is a rendition of m1 and the reference of m2.
func chain(t *testing.T, change func(*Folder)) *rig {
	r := newRig(t, func(f *Folder) {
		moving(f)
		f.Pair = Pair{By: ByManifest}
		f.Reports.To = filepath.Join(filepath.Dir(f.Path), "out")
		if change != nil {
			change(f)
		}
	})
	r.file("master.y4m", "master")
	r.file("mezz.y4m", "mezz")
	r.file("enc.y4m", "enc")
	r.file("m1.vqsd.yaml", "reference: master.y4m\nrenditions: [mezz.y4m]\n")
	r.file("m2.vqsd.yaml", "reference: mezz.y4m\nrenditions: [enc.y4m, later.y4m]\n")
	return r
}

func TestChainIsMovedFromItsBeginning(t *testing.T) {
	r := chain(t, nil)
	r.look()
	r.wantSubmitted("master.y4m: mezz.y4m", "mezz.y4m: enc.y4m")
	r.end(0, nil)
	r.look()
	r.wantFiles("done/m1.vqsd.yaml", "done/master.y4m", "enc.y4m", "m2.vqsd.yaml", "mezz.y4m")
	r.end(1, nil)
	r.restart()
	r.look()
	r.file("later.y4m", "later")
	r.look()
	r.end(2, nil)
	r.look()
	r.wantSubmitted("master.y4m: mezz.y4m", "mezz.y4m: enc.y4m", "mezz.y4m: later.y4m")
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml", "done/master.y4m", "done/mezz.y4m")
}

func TestChainIsMovedFromItsEnd(t *testing.T) {
	r := chain(t, nil)
	r.file("later.y4m", "later")
	r.look()
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m2.vqsd.yaml", "m1.vqsd.yaml", "master.y4m", "mezz.y4m")
	r.end(0, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml", "done/master.y4m", "done/mezz.y4m")
}

func TestReferenceIsNotMovedWhileItIsMeasuredAsARendition(t *testing.T) {
	r := chain(t, nil)
	r.file("later.y4m", "later")
	r.look()
	if err := os.Remove(filepath.Join(r.dir, "m1.vqsd.yaml")); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m2.vqsd.yaml", "master.y4m", "mezz.y4m")
	r.end(0, nil)
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m2.vqsd.yaml", "done/mezz.y4m", "master.y4m")
}

// A title whose rendition stays as a reference is not done before its other renditions are, and is then, although that one has gone meanwhile.
func TestChainIsMovedFromTheMiddle(t *testing.T) {
	r := chain(t, nil)
	r.file("later.y4m", "later")
	r.file("m1.vqsd.yaml", "reference: master.y4m\nrenditions: [mezz.y4m, other.y4m]\n")
	r.look()
	r.end(0, nil)
	r.wantFiles("enc.y4m", "later.y4m", "m1.vqsd.yaml", "m2.vqsd.yaml", "master.y4m", "mezz.y4m")
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m2.vqsd.yaml", "done/mezz.y4m", "m1.vqsd.yaml", "master.y4m")
	r.file("other.y4m", "other")
	r.look()
	r.end(2, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/later.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml", "done/master.y4m", "done/mezz.y4m", "done/other.y4m")
}

func TestTitlesInACircleAreMoved(t *testing.T) {
	r := newRig(t, func(f *Folder) { moving(f); f.Pair = Pair{By: ByManifest} })
	r.file("a.y4m", "a")
	r.file("b.y4m", "b")
	r.file("m1.vqsd.yaml", "reference: a.y4m\nrenditions: [b.y4m]\n")
	r.file("m2.vqsd.yaml", "reference: b.y4m\nrenditions: [a.y4m]\n")
	r.look()
	r.end(0, nil)
	r.wantFiles("a.y4m", "b.y4m", "b.y4m.vmaf.xml", "done/m1.vqsd.yaml", "m2.vqsd.yaml")
	r.end(1, nil)
	r.look()
	r.wantFiles("b.y4m.vmaf.xml", "done/a.y4m", "done/a.y4m.vmaf.xml", "done/b.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml")
}

// One that has failed and stays for that is still its title's, whoever else has it as a reference.
func TestFailedRenditionThatIsAReferenceStays(t *testing.T) {
	r := chain(t, func(f *Folder) { f.After.Failure = Keep })
	r.file("m2.vqsd.yaml", "reference: mezz.y4m\nrenditions: [enc.y4m]\n")
	r.look()
	r.end(0, map[string]store.Failure{"mezz": damaged})
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/m2.vqsd.yaml", "m1.vqsd.yaml", "master.y4m", "mezz.y4m")
}

// What stayed for a title that somebody takes away goes when nothing has a use for it any more.
func TestKeptRenditionGoesWhenItsUseIsTakenAway(t *testing.T) {
	r := chain(t, nil)
	r.look()
	r.end(0, nil)
	r.look()
	takeAway := func() {
		if err := os.Remove(filepath.Join(r.dir, "m2.vqsd.yaml")); err != nil {
			t.Fatal(err)
		}
		r.look()
	}
	takeAway()
	r.wantFiles("done/m1.vqsd.yaml", "done/master.y4m", "enc.y4m", "mezz.y4m") // enc.y4m is being measured
	r.file("m2.vqsd.yaml", "not to be understood: [\n")
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/m1.vqsd.yaml", "done/master.y4m", "m2.vqsd.yaml", "mezz.y4m")
	takeAway()
	r.wantFiles("done/enc.y4m", "done/m1.vqsd.yaml", "done/master.y4m", "done/mezz.y4m")
}

func TestReferencesAreNeverDeleted(t *testing.T) {
	for name, m2 := range map[string]string{
		"of a title":                          "reference: mezz.y4m\nrenditions: [enc.y4m, later.y4m]\n",
		"of a title without a rendition":      "reference: mezz.y4m\nrenditions: [later.y4m]\n",
		"of a manifest that is wrong":         "reference: mezz.y4m\nrendition: [enc.y4m, later.y4m]\n",
		"of a manifest, under a mistaken key": "referense: mezz.y4m\nrenditions: [enc.y4m, later.y4m]\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := chain(t, func(f *Folder) { f.After = After{Success: Delete} })
			r.file("m2.vqsd.yaml", m2)
			r.look()
			for i, ref := range r.submitted() {
				if strings.HasPrefix(ref, "master.y4m") {
					r.end(i, nil)
				}
			}
			r.look()
			r.file("m2.vqsd.yaml", "reference: mezz.y4m\nrenditions: [later.y4m]\n")
			r.file("later.y4m", "later")
			r.look()
			if got := r.submitted(); got[len(got)-1] != "mezz.y4m: later.y4m" {
				t.Fatalf("submitted %q", got)
			}
			r.end(len(r.workflow.subs)-1, nil)
			r.wantFiles("enc.y4m", "m1.vqsd.yaml", "m2.vqsd.yaml", "master.y4m", "mezz.y4m")
		})
	}
}

func TestReferenceOfAManifestWithoutItsMarkerIsNotDeleted(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		f.After, f.Pair, f.Ready.Marker, f.Reports.Formats = After{Success: Delete}, Pair{By: ByManifest}, ".done", []string{}
	})
	for _, name := range []string{"master.y4m", "mezz.y4m", "plain.y4m", "m1.vqsd.yaml.done"} {
		r.file(name, name)
	}
	r.file("m1.vqsd.yaml", "reference: master.y4m\nrenditions: [mezz.y4m, plain.y4m]\n")
	r.file("m2.vqsd.yaml", "reference: mezz.y4m\nrenditions: [later.y4m]\n")
	r.look()
	r.end(0, nil)
	r.wantFiles("m1.vqsd.yaml", "m1.vqsd.yaml.done", "m2.vqsd.yaml", "master.y4m", "mezz.y4m")
}

// A process has noted that a file is going to be moved, and ended. Then the file became a reference.
func TestReferenceSinceARestartStays(t *testing.T) {
	r := chain(t, nil)
	if err := os.Remove(filepath.Join(r.dir, "m2.vqsd.yaml")); err != nil {
		t.Fatal(err)
	}
	r.look()
	e := *r.folder.entries["mezz.y4m"]
	e.State, e.Disposed, e.MovedTo = store.WatchReporting, true, filepath.Join(r.dir, "done/mezz.y4m")
	if err := r.store.PutWatchEntries(r.ctx, e); err != nil {
		t.Fatal(err)
	}
	r.endOnly(0, nil)
	r.kill()
	r.file("m2.vqsd.yaml", "reference: mezz.y4m\nrenditions: [enc.y4m]\n")
	r.start()
	r.look()
	r.hear()
	r.look()
	r.wantFiles("done/m1.vqsd.yaml", "done/master.y4m", "enc.y4m", "m2.vqsd.yaml", "mezz.y4m")
	r.end(1, nil)
	r.look()
	r.wantFiles("done/enc.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml", "done/master.y4m", "done/mezz.y4m")
}

// A rendition that a change of the configuration makes a reference is one when its measurement ends.
func TestReferenceSinceAChangeOfPatternsStays(t *testing.T) {
	r := newRig(t, func(f *Folder) { moving(f); f.Reports.Formats = []string{} })
	r.file("ref/x.y4m", "ref")
	r.file("dis/x_a.y4m", "a")
	r.look()
	r.endOnly(0, nil)
	r.kill()
	r.cfg.Pair = Pair{By: ByPattern, Reference: "dis/*_a.y4m", Rendition: "enc/*"}
	r.start()
	r.look()
	r.hear()
	r.look()
	r.wantFiles("dis/x_a.y4m", "ref/x.y4m")
}

func TestReferenceStaysForManifestsWithoutTitle(t *testing.T) {
	const good = "reference: master.y4m\nrenditions: [b.y4m]\n"
	for name, c := range map[string]struct {
		files map[string]string
		moved bool
	}{
		"none":                           {nil, true},
		"wrong":                          {map[string]string{"m2": "reference: master.y4m\nrendition: [b.y4m]\n"}, false},
		"wrong, of another reference":    {map[string]string{"m2": "reference: other.y4m\nrendition: [b.y4m]\n"}, true},
		"wrong, named under another key": {map[string]string{"m2": "reference: other.y4m\nref: ./master.y4m\n"}, false},
		"wrong, named a second time":     {map[string]string{"m2": "reference: other.y4m\nreference: master.y4m\nrenditions: [b.y4m]\n"}, false},
		"without reference":              {map[string]string{"m2": "renditions: [b.y4m]\n"}, false},
		"not to be understood":           {map[string]string{"m2": "reference: [\n"}, false},
		"a list":                         {map[string]string{"m2": "- reference: other.y4m\n"}, false},
		"too large":                      {map[string]string{"m2": good + "#" + strings.Repeat("x", maxManifestBytes)}, false},
		"its reference is awaited":       {map[string]string{"m2": "reference: other.y4m\nrenditions: [master.y4m]\n"}, false},
		"others of which is":             {map[string]string{"m2": "reference: other.y4m\nrenditions: [b.y4m]\n"}, true},
		"in one another's way":           {map[string]string{"m2": good, "m3": good}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(f *Folder) { moving(f); f.Pair = Pair{By: ByManifest}; f.Reports.Formats = []string{} })
			r.file("master.y4m", "master")
			r.file("a.y4m", "a")
			r.file("m1.vqsd.yaml", "reference: master.y4m\nrenditions: [a.y4m]\n")
			for name, text := range c.files {
				r.file(name+".vqsd.yaml", text)
			}
			r.look()
			r.end(0, nil)
			r.look()
			if moved := !slices.Contains(r.files(), "master.y4m"); moved != c.moved {
				t.Fatalf("moved %v: %q", moved, r.files())
			}
			if c.moved {
				return
			}
			// What is wrong is put right, and both are done.
			for name := range c.files {
				if err := os.Remove(filepath.Join(r.dir, name+".vqsd.yaml")); err != nil {
					t.Fatal(err)
				}
			}
			r.file("m2.vqsd.yaml", good)
			r.file("b.y4m", "b")
			r.look()
			r.end(1, nil)
			r.look()
			r.wantFiles("done/a.y4m", "done/b.y4m", "done/m1.vqsd.yaml", "done/m2.vqsd.yaml", "done/master.y4m")
		})
	}
}

// A folder's title is not done while there is a file of it that cannot be used as it is.
func TestReferenceStaysForRenditionsThatAreWrong(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		moving(f)
		f.Pair, f.Ready.Marker, f.Reports.Formats = Pair{By: ByFolder}, ".done", []string{}
	})
	r.file("t/reference.y4m", "ref")
	r.file("t/a.y4m", "a")
	r.file("t/b\x01.y4m", "b")
	r.file("t/.done", "")
	r.look()
	r.end(0, nil)
	r.look()
	if !slices.Contains(r.files(), "t/reference.y4m") {
		t.Fatalf("the reference was moved away from a rendition: %q", r.files())
	}
	if err := os.Rename(filepath.Join(r.dir, "t/b\x01.y4m"), filepath.Join(r.dir, "t/b.y4m")); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.end(1, nil)
	r.look()
	r.wantFiles("done/t/.done", "done/t/a.y4m", "done/t/b.y4m", "done/t/reference.y4m")
}

func TestClaimsOfManifestsThatAreNotComplete(t *testing.T) {
	f := newTestFolder(t, Folder{})
	f.write("m.vqsd.yaml=reference: r.mov\nrenditions: [a.mp4]\n")
	want := func(when string, unknown bool, references, named string) {
		t.Helper()
		got := f.scan().claims
		list := func(m map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }
		if got.unknown != unknown || list(got.references) != references || list(got.named) != named {
			t.Errorf("%s: %+v", when, got)
		}
	}
	want("being written", false, "r.mov", "a.mp4 r.mov")
	f.write("m.vqsd.yaml=reference: r.mov\nrenditions: [a.mp4, b.m\n")
	want("half of it", true, "", "")
	f.write("m.vqsd.yaml=reference: r.mov\nrendition: [a.mp4]\n")
	want("being written, and wrong", true, "r.mov", "a.mp4 r.mov")
	f.clock = f.clock.Add(*f.cfg.Ready.StableFor)
	want("wrong", false, "r.mov", "a.mp4 r.mov")

	// What was read before it was complete is read again then.
	f.write("m.vqsd.yaml=reference: r.mov\nrenditions: [a.mp4]\n", "moved=reference: s.mov\nrenditions: [b.mp4]\n")
	want("once more", false, "r.mov", "a.mp4 r.mov")
	f.s.entries["m.vqsd.yaml"].manifest.reference = "t.mov"
	f.clock = f.clock.Add(*f.cfg.Ready.StableFor)
	want("complete", false, "r.mov", "a.mp4 r.mov")
	f.write("r.mov", "a.mp4")
	f.want(f.settled(), "r.mov: a.mp4 closed")
	want("a title", false, "r.mov", "")
}

// That a reference cannot be moved, or that the process ends before it is, does not leave it behind once its manifest has gone.
func TestReferenceGoesAfterItsManifest(t *testing.T) {
	for name, c := range map[string]struct {
		pair   Pair
		marker string
		files  []string // name=text
		last   []string
	}{
		"by manifest": {Pair{By: ByManifest}, "", []string{"t.vqsd.yaml=reference: t/reference.y4m\nrenditions: [a.y4m]\n", "a.y4m=a", "t/reference.y4m=ref"},
			[]string{"done/a.y4m", "done/t.vqsd.yaml", "done/t/reference.y4m"}},
		"by folder": {Pair{By: ByFolder, Reference: "sub/reference.y4m"}, ".done", []string{"t/.done=", "t/a.y4m=a", "t/sub/reference.y4m=ref"},
			[]string{"done/t/.done", "done/t/a.y4m", "done/t/sub/reference.y4m"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(f *Folder) { moving(f); f.Pair, f.Ready.Marker, f.Reports.Formats = c.pair, c.marker, []string{} })
			for _, file := range c.files {
				name, text, _ := strings.Cut(file, "=")
				r.file(name, text)
			}
			r.look()
			reference := strings.TrimPrefix(c.last[2], "done/")
			inTheWay := path.Dir(c.last[2])
			r.file(inTheWay, "")
			r.end(0, nil)
			r.look()
			r.wantFiles(append([]string{inTheWay, reference}, c.last[:2]...)...)
			if err := os.Remove(filepath.Join(r.dir, inTheWay)); err != nil {
				t.Fatal(err)
			}
			r.restart()
			r.look()
			r.wantFiles(c.last...)

			// Put back for other renditions, it stays.
			if err := os.Rename(filepath.Join(r.dir, c.last[2]), filepath.Join(r.dir, reference)); err != nil {
				t.Fatal(err)
			}
			r.look()
			r.restart()
			r.look()
			r.wantFiles(append([]string{reference}, c.last[:2]...)...)
		})
	}
}

func TestReferenceThatWasLeftBehindStaysForNewRenditions(t *testing.T) {
	r := newRig(t, func(f *Folder) {
		moving(f)
		f.Pair, f.Ready.Marker, f.Reports.Formats = Pair{By: ByFolder, Reference: "sub/*"}, ".done", []string{}
	})
	r.file("t/sub/reference.y4m", "ref")
	r.file("t/a.y4m", "a")
	r.file("t/.done", "")
	r.look()
	r.file("done/t/sub", "")
	r.end(0, nil)
	r.look()
	r.file("t/sub/reference.y4m.done", "")
	r.file("t/b.y4m", "b")
	if err := os.Remove(filepath.Join(r.dir, "done/t/sub")); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.file("t/b.y4m.done", "")
	r.look()
	r.wantSubmitted("t/sub/reference.y4m: t/a.y4m", "t/sub/reference.y4m: t/b.y4m")
}
