package watch

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCheckDefaults(t *testing.T) {
	yes, ten := true, 10*time.Second
	want := Folder{
		Name: "incoming-films", Path: "/media/incoming films", Interval: ten, Events: &yes,
		Ready:   Ready{StableFor: &ten, Temporary: []string{".part", ".tmp", ".temp", ".filepart", ".crdownload", ".partial", ".~tmp"}},
		Pair:    Pair{By: ByManifest},
		Request: Request{Class: "background"},
		Reports: Reports{Formats: []string{"xml", "record", "html"}, Name: "{file}.vmaf"},
		After:   After{Success: Keep, Failure: Keep, Attempts: 3},
	}
	got := Folder{Path: "/media/incoming films/"}
	for range 2 { // the second time it changes nothing
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestCheckFillsIn(t *testing.T) {
	for name, c := range map[string]struct {
		folder Folder
		is     func(f Folder) bool
	}{
		"a pattern means pairing by pattern": {byPattern(), func(f Folder) bool { return f.Pair.By == ByPattern }},
		"patterns by folder":                 {Folder{Pair: Pair{By: ByFolder}}, func(f Folder) bool { return f.Pair.Reference == "reference.*" && f.Pair.Rendition == "*" }},
		"a marker makes waiting needless":    {Folder{Ready: Ready{Marker: ".done"}}, func(f Folder) bool { return *f.Ready.StableFor == 0 }},
		"no temporary names":                 {Folder{Ready: Ready{Temporary: []string{}}}, func(f Folder) bool { return len(f.Ready.Temporary) == 0 }},
		"no reports":                         {Folder{Reports: Reports{Formats: []string{}}}, func(f Folder) bool { return len(f.Reports.Formats) == 0 }},
		"formats in lower case":              {Folder{Reports: Reports{Formats: []string{"JSON"}}}, func(f Folder) bool { return f.Reports.Formats[0] == "json" }},
		"reports in the folder itself":       {Folder{Reports: Reports{To: "/media/in/x/.."}}, func(f Folder) bool { return f.Reports.To == "" }},
		"a relative place to move to":        {Folder{After: After{Success: Move, MoveTo: "../done/"}}, func(f Folder) bool { return f.After.MoveTo == "/media/done" }},
		"an absolute place to move to":       {Folder{After: After{Failure: Move, MoveTo: "/media/in/bad"}}, func(f Folder) bool { return f.After.MoveTo == "/media/in/bad" }},
	} {
		f := c.folder
		f.Path = "/media/in"
		if err := f.Check(); err != nil || !c.is(f) {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	wait := func(d time.Duration) *time.Duration { return &d }
	for name, c := range map[string]struct {
		folder Folder
		want   string
	}{
		"no folder":                       {Folder{Path: "-"}, "folder: name the folder"},
		"root":                            {Folder{Path: "/"}, "folder: the whole file system"},
		"folder not UTF-8":                {Folder{Path: "/a\xff"}, "folder: "},
		"bad name":                        {Folder{Name: "a b"}, `name: "a b": want 1 to 64 letters`},
		"long name":                       {Folder{Name: strings.Repeat("a", 65)}, "name: "},
		"interval too short":              {Folder{Interval: time.Millisecond}, "interval: 1ms is out of range; want 1s to 24h"},
		"interval negative":               {Folder{Interval: -time.Second}, "interval: "},
		"interval too long":               {Folder{Interval: 25 * time.Hour}, "interval: "},
		"negative wait":                   {Folder{Ready: Ready{StableFor: wait(-1)}}, "ready.stable_for: "},
		"long wait":                       {Folder{Ready: Ready{StableFor: wait(25 * time.Hour)}}, "ready.stable_for: "},
		"marker with a slash":             {Folder{Ready: Ready{Marker: "a/b"}}, "ready.marker: "},
		"marker that is temporary":        {Folder{Ready: Ready{Marker: ".done.TMP"}}, "ready.temporary: "},
		"empty temporary name":            {Folder{Ready: Ready{Temporary: []string{"*"}}}, "ready.temporary: "},
		"star in a temporary name":        {Folder{Ready: Ready{Temporary: []string{"*.part"}}}, "want a suffix such as .part"},
		"many temporary names":            {Folder{Ready: Ready{Temporary: make([]string, 65)}}, "65 names; 64 are allowed"},
		"unknown way to pair":             {Folder{Pair: Pair{By: "luck"}}, `pair.by: unknown way "luck"; want pattern, manifest or folder`},
		"pattern without rendition":       {Folder{Pair: Pair{Reference: "a"}}, "pair.rendition: is missing"},
		"bad pattern":                     {Folder{Pair: Pair{Reference: "{", Rendition: "a"}}, `pair.reference: "{"`},
		"patterns with manifests":         {Folder{Pair: Pair{By: ByManifest, Rendition: "a"}}, "pair.reference: and pair.rendition go with"},
		"manifest with patterns":          {Folder{Pair: Pair{Reference: "a", Rendition: "b", Manifest: "c"}}, "pair.manifest: goes with by: manifest"},
		"bad manifest pattern":            {Folder{Pair: Pair{Manifest: "{"}}, "pair.manifest: "},
		"captures in a manifest pattern":  {Folder{Pair: Pair{Manifest: "{title}.yaml"}}, "pair.manifest: "},
		"unknown model":                   {Folder{Request: Request{Models: []string{"x"}}}, `request.models: "x"`},
		"model from a file":               {Folder{Request: Request{Models: []string{"path=/x"}}}, "request.models: "},
		"many models":                     {Folder{Request: Request{Models: make([]string, 65)}}, "request.models: 65 entries; 64 are allowed"},
		"unknown feature":                 {Folder{Request: Request{Features: []string{"x"}}}, "request.features: "},
		"unknown preset":                  {Folder{Request: Request{Presets: []string{"x"}}}, "request.presets: "},
		"unknown class":                   {Folder{Request: Request{Class: "x"}}, "request.class: unknown"},
		"unknown pairing":                 {Folder{Request: Request{Pairing: "x"}}, "request.pairing: unknown"},
		"unknown filter":                  {Folder{Request: Request{Scale: "x"}}, "request.scale: unknown"},
		"unknown depth":                   {Folder{Request: Request{BitDepth: "9"}}, "request.bit_depth: unknown"},
		"unknown damage policy":           {Folder{Request: Request{OnDamage: "x"}}, "request.on_damage: unknown"},
		"negative subsample":              {Folder{Request: Request{Subsample: -1}}, "request.subsample: "},
		"raw video":                       {Folder{Request: Request{RawVideo: "x"}}, "request.raw_video: "},
		"bad label":                       {Folder{Request: Request{Labels: map[string]string{"A": ""}}}, "request.labels: "},
		"label watch":                     {Folder{Request: Request{Labels: map[string]string{"watch": ""}}}, "request.labels: "},
		"label that is not UTF-8":         {Folder{Request: Request{Labels: map[string]string{"a": "\xff"}}}, "request.labels: "},
		"label that is captured":          {Folder{Pair: Pair{Reference: "{a}", Rendition: "{a}"}, Request: Request{Labels: map[string]string{"a": ""}}}, "request.labels: \"a\" is what a pattern captures"},
		"many labels":                     {Folder{Request: Request{Labels: manyLabels(64)}}, "there are 65 labels; 64 are allowed"},
		"unknown format":                  {Folder{Reports: Reports{Formats: []string{"doc"}}}, "reports.formats: "},
		"table as a report":               {Folder{Reports: Reports{Formats: []string{"table-csv"}}}, "reports.formats: table-csv is for many measurements"},
		"format twice":                    {Folder{Reports: Reports{Formats: []string{"xml", "XML"}}}, "reports.formats: xml is there twice"},
		"report in another folder":        {Folder{Reports: Reports{Name: "../{file}"}}, "reports.name: "},
		"unknown placeholder":             {Folder{Reports: Reports{Name: "{file}{date}"}}, "reports.name: {date} means nothing there; want {name}, {file}"},
		"open brace":                      {Folder{Reports: Reports{Name: "{file}{"}}, "reports.name: { means nothing"},
		"one report for all":              {Folder{Reports: Reports{Name: "{title}"}}, "put {file} or {name} in it"},
		"report that would be a manifest": {Folder{Reports: Reports{Name: "{file}.vqsd", Formats: []string{"json"}}}, "x.vqsd.json would be read as a manifest"},
		"unknown disposal":                {Folder{After: After{Success: "burn"}}, "after.success: unknown"},
		"failures are not deleted":        {Folder{After: After{Failure: Delete}}, "after.failure: what could not be measured"},
		"unknown disposal of failures":    {Folder{After: After{Failure: "burn"}}, "after.failure: unknown"},
		"nowhere to move to":              {Folder{After: After{Success: Move}}, "after.move_to: is missing"},
		"nothing to move":                 {Folder{After: After{MoveTo: "done"}}, "after.move_to: is set, and nothing is moved"},
		"moving to the folder":            {Folder{After: After{Success: Move, MoveTo: "x/.."}}, "after.move_to: /media/in is or holds the watched folder"},
		"moving to the folder above":      {Folder{After: After{Success: Move, MoveTo: ".."}}, "after.move_to: /media is or holds"},
		"many attempts":                   {Folder{After: After{Attempts: 101}}, "after.attempts: 101 is out of range; want 1 to 100"},
		"no attempt":                      {Folder{After: After{Attempts: -1}}, "after.attempts: "},
	} {
		f := c.folder
		switch f.Path {
		case "":
			f.Path = "/media/in"
		case "-":
			f.Path = ""
		}
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func manyLabels(n int) map[string]string {
	labels := map[string]string{}
	for i := range n {
		labels[strings.Repeat("a", i+1)[:min(i+1, 60)]+strings.Repeat("b", max(0, i-59))] = ""
	}
	return labels
}

// Every problem is told at once.
func TestCheckTellsAll(t *testing.T) {
	f := Folder{Name: "a b", Interval: 1, Pair: Pair{By: "x"}, Reports: Reports{Name: "x"}, After: After{Attempts: -1}, Request: Request{Class: "x", Scale: "x"}}
	err := f.Check()
	for _, key := range []string{"folder", "name", "interval", "pair.by", "reports.name", "after.attempts", "request.class", "request.scale"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("%v\nhas nothing about %s", err, key)
		}
	}
}
