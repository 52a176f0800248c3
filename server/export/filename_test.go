package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/store"
)

const testID store.MeasurementID = "01jd9k3v5q8x2m7n4p6r0s1t2w"

func measurementOf(names ...string) *store.Measurement {
	m := &store.Measurement{ID: testID}
	for _, name := range names {
		m.Renditions = append(m.Renditions, store.Rendition{Name: name})
	}
	return m
}

func TestFileName(t *testing.T) {
	const id = "-" + string(testID)
	long := strings.Repeat("x", 200)
	for _, test := range []struct {
		what  string
		names []string
		want  []string
	}{
		{"an ordinary name", []string{"x720p.mp4"}, []string{"x720p.mp4" + id + ".xml"}},
		{"a path", []string{"../../etc/passwd"}, []string{"_._.._etc_passwd" + id + "-1.xml"}},
		{"an absolute path", []string{"/etc/passwd"}, []string{"_etc_passwd" + id + "-1.xml"}},
		{"a hidden name", []string{".bashrc"}, []string{"_bashrc" + id + "-1.xml"}},
		{"an option", []string{"-rf"}, []string{"_rf" + id + "-1.xml"}},
		{"a device", []string{"CON.mp4"}, []string{"_CON.mp4" + id + "-1.xml"}},
		{"control characters", []string{"a\x00b\nc\x1b[2J"}, []string{"a_b_c__2J" + id + "-1.xml"}},
		{"bytes that are no text", []string{"a\xff\xfeb"}, []string{"a__b" + id + "-1.xml"}},
		{"letters of other scripts", []string{"фильм", "映画"}, []string{"фильм" + id + "-1.xml", "映画" + id + "-2.xml"}},
		{"text that runs backwards", []string{"a\u202egnp.exe"}, []string{"a_gnp.exe" + id + "-1.xml"}},
		{"names that differ in case", []string{"A", "a", "b"}, []string{"A" + id + "-1.xml", "a" + id + "-2.xml", "b" + id + ".xml"}},
		{"names that become equal", []string{"a/b", "a:b", "a_b"}, []string{"a_b" + id + "-1.xml", "a_b" + id + "-2.xml", "a_b" + id + "-3.xml"}},
		{"names that are cut alike", []string{long + "1", long + "2"}, []string{long[:80] + id + "-1.xml", long[:80] + id + "-2.xml"}},
		{"no name", []string{""}, []string{"_" + id + "-1.xml"}},
		{"a name that looks numbered", []string{"a" + id, "a"}, []string{"a" + id + id + ".xml", "a" + id + ".xml"}},
	} {
		m := measurementOf(test.names...)
		for k, want := range test.want {
			if got := FileName(m, k, XML); got != want {
				t.Errorf("%s: %q becomes %q, want %q", test.what, test.names[k], got, want)
			}
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("a/b", "a:b", "A_b")
	f.Add("..", ".", "")
	f.Add("nul", "NUL.txt", "com1 .x")
	f.Add("é", "e\u0301", "K")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, a, b, c string) {
		m := measurementOf(a, b, c)
		seen := map[string]string{}
		for k, d := range m.Renditions {
			for _, format := range Formats() {
				name := FileName(m, k, format)
				if err := CheckFileName(name); err != nil {
					t.Fatalf("%q becomes %q, which %v", d.Name, name, err)
				}
				if !filepath.IsLocal(name) || filepath.Dir(filepath.Join(dir, name)) != filepath.Clean(dir) {
					t.Fatalf("%q becomes %q, which leads out of the folder", d.Name, name)
				}
				if len(name) > 143 {
					t.Fatalf("%q becomes a name of %d bytes", d.Name, len(name))
				}
				if other, twice := seen[strings.ToLower(name)]; twice {
					t.Fatalf("%q and %q both become %q", other, d.Name, name)
				}
				seen[strings.ToLower(name)] = d.Name
			}
		}
		name := FileName(m, 0, XML)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCheckFileName(t *testing.T) {
	for _, name := range []string{
		"", ".", "..", "../x", "a/b", `a\b`, "/x", "C:x", ".hidden", "-x", "x.", "x ", "nul", "Con.txt", "a\x00", "a\n", "a\x1b[m", "a\u202eb", "a\xff", "lpt¹.log",
		strings.Repeat("x", 256),
	} {
		if CheckFileName(name) == nil {
			t.Errorf("%q is taken for a file's name", name)
		}
	}
	for _, name := range []string{"x.xml", "x y.xml", "фильм.csv", "frames-00001.parquet", "console.txt", strings.Repeat("x", 255)} {
		if err := CheckFileName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
