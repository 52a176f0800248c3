package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestApart(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"a", "b", "a/in", "rep"} {
		if err := os.MkdirAll(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	at := func(path, to, moveTo string) Folder {
		f := Folder{Path: filepath.Join(base, path)}
		if to != "" {
			f.Reports.To = filepath.Join(base, to)
		}
		if moveTo != "" {
			f.After.MoveTo = filepath.Join(base, moveTo)
		}
		return f
	}
	for name, c := range map[string]struct {
		folders []Folder
		want    string // "": they are apart
	}{
		"one":                     {[]Folder{at("a", "a/rep", "a/done")}, ""},
		"two":                     {[]Folder{at("a", "rep/a", "a/done"), at("b", "rep/b", "b/done")}, ""},
		"names with one prefix":   {[]Folder{at("a", "rep/x", ""), at("b", "rep/xy", "")}, ""},
		"the same":                {[]Folder{at("a", "", ""), at("a", "", "")}, "watch[1]: folder"},
		"one in the other":        {[]Folder{at("a/in", "", ""), at("a", "", "")}, "have files in common"},
		"the same through a link": {[]Folder{at("a", "", ""), at("link/in", "", "")}, "have files in common"},
		"reports together":        {[]Folder{at("a", "rep", ""), at("b", "rep", "")}, "watch[1]: reports.to"},
		"reports within reports":  {[]Folder{at("a", "rep", ""), at("b", "rep/new", "")}, "not apart"},
		"reports in moved files":  {[]Folder{at("a", "", "rep/done"), at("b", "rep", "")}, "after.move_to"},
		"moved into another":      {[]Folder{at("a", "", "b/done"), at("b", "", "")}, "watch[0]: after.move_to"},
		"reports into another":    {[]Folder{at("b", "", ""), at("a", "b/rep", "")}, "watch[1]: reports.to"},
		"into it through a link":  {[]Folder{at("b", "link/rep", ""), at("a", "", "")}, "watch[0]: reports.to"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Apart(c.folders)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
