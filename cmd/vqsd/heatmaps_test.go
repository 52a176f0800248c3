package main

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vqsd/vqsd/engine"
)

// readGrey reads a PNG of 16-bit grey.
func readGrey(t *testing.T, path string) *image.Gray16 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := picture.(*image.Gray16)
	if !ok {
		t.Fatalf("%s is a %T, want 16-bit grey", path, picture)
	}
	return g
}

func TestHeatMaps_samplesAreKept(t *testing.T) {
	dir := t.TempDir()
	h, err := newHeatMaps(dir, []string{"a", "b", "a", ".."})
	if err != nil {
		t.Fatal(err)
	}
	m := engine.HeatMap{Rendition: 2, Frame: 12, Scale: 3, Width: 3, Height: 2, Samples: []uint16{0, 1, 256, 65535, 0x1234, 7}}
	for range 2 { // the second replaces the first
		if err := h.write(m); err != nil {
			t.Fatal(err)
		}
	}
	folderHas(t, dir, "..-4", "a-1", "a-3", "b")
	folderHas(t, filepath.Join(dir, "a-3"), "frame000012_scale3.png")
	got := readGrey(t, filepath.Join(dir, "a-3", "frame000012_scale3.png"))
	for i, want := range m.Samples {
		if v := got.Gray16At(i%3, i/3).Y; v != want {
			t.Errorf("sample %d is %d, want %d", i, v, want)
		}
	}
	h.written.Store(mostHeatMaps)
	if err := h.write(m); err == nil {
		t.Error("one map too many was written")
	}
}

func TestFolderNames(t *testing.T) {
	for name, row := range map[string]struct{ names, want []string }{
		"names of their own":                {[]string{"a", "b"}, []string{"a", "b"}},
		"a name twice":                      {[]string{"a", "b", "a"}, []string{"a-1", "b", "a-3"}},
		"a numbered name that another has":  {[]string{"a", "a", "a-2"}, []string{"a-1", "a-2-2", "a-2"}},
		"the same, the other first":         {[]string{"a-2", "a", "a-3", "a"}, []string{"a-2", "a-2-2", "a-3", "a-4"}},
		"numbered names that have numbers":  {[]string{"a-1", "a-1", "a", "a", "a-1-1"}, []string{"a-1-1-1", "a-1-2", "a-3", "a-4", "a-1-1"}},
		"what leads out, and what does not": {[]string{"..", ".", "..-1"}, []string{"..-1-1", ".-2", "..-1"}},
	} {
		if got := folderNames(row.names); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// A folder that stays empty goes again, with those that were made for it; what was there before stays.
func TestMeasure_heatMapsOfWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	ref := clipSpec{width: 320, height: 240, frames: 1}.write(t, dir, "ref.y4m")
	dis := bandedClip(t, dir, "dis.y4m", 320, 240, 1)
	args := []string{"measure", "-r", ref, "--no-prediction", "--feature", "cambi", "-d", filepath.Join(dir, "misspelt.y4m")}
	vqsd(t, append(args, "--cambi-heatmaps", filepath.Join(dir, "deep", "maps"))...).want(t, exitFailed, "misspelt.y4m")
	folderHas(t, dir, "dis.y4m", "ref.y4m")
	maps := filepath.Join(dir, "maps")
	if err := os.MkdirAll(filepath.Join(maps, "old"), 0o777); err != nil {
		t.Fatal(err)
	}
	vqsd(t, append(args, "-d", dis, "--cambi-heatmaps", maps)...).want(t, exitFailed, "misspelt.y4m")
	folderHas(t, maps, "dis", "old")
}

// A picture in bands has some in its map; a folder that cannot be made is told before anything is measured.
func TestMeasure_heatMaps(t *testing.T) {
	dir := t.TempDir()
	ref := clipSpec{width: 320, height: 240, frames: 3}.write(t, dir, "ref.y4m")
	dis := bandedClip(t, dir, "dis.y4m", 320, 240, 3)
	maps := filepath.Join(dir, "maps")
	vqsd(t, "measure", "-r", ref, "-d", dis, "--no-prediction", "--feature", "cambi", "--cambi-heatmaps", maps, "--subsample", "2").want(t, exitDone)
	folderHas(t, maps, "dis")
	for _, name := range []string{"frame000000", "frame000002"} {
		for scale, suffix := range []string{"_scale0.png", "_scale1.png", "_scale2.png", "_scale3.png", "_scale4.png"} {
			g := readGrey(t, filepath.Join(maps, "dis", name+suffix))
			if want := 320 >> scale; g.Rect.Dx() != want {
				t.Errorf("%s%s is %d wide, want %d", name, suffix, g.Rect.Dx(), want)
			}
		}
	}
	light := false
	for _, v := range readGrey(t, filepath.Join(maps, "dis", "frame000000_scale0.png")).Pix {
		light = light || v > 0
	}
	if !light {
		t.Error("there are bands in the picture, and its map is black")
	}
	if entries, err := os.ReadDir(filepath.Join(maps, "dis")); err != nil || len(entries) != 10 {
		t.Errorf("%d files, %v; want 5 scales of 2 frames", len(entries), err)
	}
	vqsd(t, "measure", "-r", ref, "-d", dis, "--feature", "cambi", "--cambi-heatmaps", dis).want(t, exitFailed, "not a directory")
}

// bandedClip writes a clip of a slow ramp in steps of one, which is what banding is.
func bandedClip(t *testing.T, dir, name string, width, height, frames int) string {
	t.Helper()
	clip := clipSpec{width: width, height: height, frames: frames}.y4m()
	header := len(clip) - frames*(len("FRAME\n")+width*height*3/2)
	for n := range frames {
		luma := clip[header+n*(len("FRAME\n")+width*height*3/2)+len("FRAME\n"):]
		for i := range width * height {
			luma[i] = byte(60 + i%width/32)
		}
	}
	return writeFile(t, filepath.Join(dir, name), clip)
}
