package rules

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite what the scripts in testdata expect")

// ladder is a reference with its renditions and what was asked for.
type ladder struct {
	rules   *Set
	ref     Video
	dis     []Video
	request Request
}

// readLadder reads the upper part of a script: rules (absent: the built-in ones), reference, distorted (a list) and request, with the
// fields as conditions name them.
func readLadder(t *testing.T, text string) ladder {
	t.Helper()
	var script struct {
		Rules     string
		Reference map[string]yaml.Node
		Distorted []map[string]yaml.Node
		Request   map[string]yaml.Node
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&script); err != nil {
		t.Fatal(err)
	}
	l := ladder{rules: Builtin()}
	if script.Rules != "" {
		var err error
		if l.rules, err = Parse("script", []byte(script.Rules)); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, &l.ref, script.Reference)
	l.dis = make([]Video, len(script.Distorted))
	for k, fields := range script.Distorted {
		fill(t, &l.dis[k], fields)
	}
	fill(t, &l.request, script.Request)
	return l
}

// fill sets the fields of a struct by their names in conditions: frame_rate is FrameRate.
func fill(t *testing.T, target any, fields map[string]yaml.Node) {
	t.Helper()
	for name, node := range fields {
		words := strings.Split(name, "_")
		for i, w := range words {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
		f := reflect.ValueOf(target).Elem().FieldByName(strings.Join(words, ""))
		if !f.IsValid() {
			t.Fatalf("a script sets %q, which is no field", name)
		}
		if err := node.Decode(f.Addr().Interface()); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome is the lower part of a script: what was looked at, and what was decided.
func (l ladder) outcome() string {
	var b strings.Builder
	rendition := -1
	for _, e := range l.rules.Explain(l.ref, l.dis, l.request) {
		if e.Rendition != rendition {
			rendition = e.Rendition
			fmt.Fprintf(&b, "rendition %d\n", rendition+1)
		}
		switch {
		case e.Err != nil:
			fmt.Fprintf(&b, "  ! %s: %v\n", e.Rule, e.Err)
		case e.Fired:
			fmt.Fprintf(&b, "  + %s: %s\n", e.Rule, e.Settings)
		default:
			fmt.Fprintf(&b, "  - %s\n", e.Rule)
		}
		for _, f := range e.Facts {
			fmt.Fprintf(&b, "      %s is %s\n", f.Name, f.Value)
		}
	}
	d, err := l.rules.Decide(l.ref, l.dis, l.request)
	if err != nil {
		fmt.Fprintf(&b, "error\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return b.String()
	}
	b.WriteString("decision\n")
	line := func(name string, list ...Choice[string]) {
		for _, c := range list {
			if c.IsSet() {
				fmt.Fprintf(&b, "  %s %s (%s)\n", name, c.Value, c.Rule)
			}
		}
	}
	line("model", d.Models...)
	line("feature", d.Features...)
	line("pool", d.Pools...)
	line("bit depth", d.BitDepth)
	if d.ChunkFrames.IsSet() {
		fmt.Fprintf(&b, "  chunk %d frames (%s)\n", d.ChunkFrames.Value, d.ChunkFrames.Rule)
	}
	line("pairing", d.Pairing)
	line("class", d.Class)
	for k, r := range d.Renditions {
		prefix := fmt.Sprintf("rendition %d:", k+1)
		line(prefix+" scale", r.Scale)
		line(prefix+" geometry", Choice[string]{r.Geometry.Value.String(), r.Geometry.Rule})
		line(prefix+" encoded", Choice[string]{r.Encoded.Value.String(), r.Encoded.Rule})
		line(prefix+" refused:", r.Refusals...)
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(&b, "  warning for %v: %s (%s)\n", w.Renditions, w.Text, w.Rule)
	}
	return b.String()
}

// Each script is a ladder, a line of three dashes, and what the rules make of it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), "---\n")
			got := readLadder(t, input).outcome()
			if *update {
				if err := os.WriteFile(file, []byte(input+"---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (−want +got; -update rewrites it):\n%s", file, diff)
			}
		})
	}
}

func TestEveryBuiltinRuleFiresInAScript(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	for _, rule := range Builtin().Rules() {
		if !strings.Contains(all, "+ "+rule.Name+":") || !strings.Contains(all, "- "+rule.Name+"\n") {
			t.Errorf("rule %s does not both fire and not fire in testdata/scripts", rule.Name)
		}
	}
}

func TestBuiltinRulesSayWhy(t *testing.T) {
	for _, rule := range Builtin().Rules() {
		if !strings.HasSuffix(rule.Doc, ".") {
			t.Errorf("rule %s: doc is %q, want a sentence with the reason", rule.Name, rule.Doc)
		}
	}
	if len(Builtin().Rules()) < 10 {
		t.Error("rules have gone")
	}
}

// The comment above the built-in rules is the manual of conditions and settings.
func TestManualIsComplete(t *testing.T) {
	manual, _, _ := strings.Cut(Builtin().YAML(), "rules:\n")
	words := regexp.MustCompile(`[a-z0-9_]+`).FindAllString(manual, -1)
	for _, names := range [][]string{variableNames, objects[videoType].names, objects[requestType].names, settingNames, ScaleNames(), {"auto", "native", "compared"}, PairingNames(), ClassNames()} {
		for _, name := range names {
			if !slices.Contains(words, name) {
				t.Errorf("the comment in builtin.yaml does not mention %s", name)
			}
		}
	}
}

// A decision depends on nothing but what it is given, and goroutines may share a Set.
func TestDecideIsDeterministicAndConcurrent(t *testing.T) {
	ref := Video{Width: 3840, Height: 2160, Transfer: "smpte2084", FrameRate: 50}
	dis := []Video{{Width: 1920, Height: 1080, Transfer: "bt709"}, {Width: 3840, Height: 2160, FrameRate: 25}}
	request := Request{ModelsAuto: true, Labels: map[string]string{"a": "1", "b": "2"}, Frames: 10}
	want, err := Builtin().Decide(ref, dis, request)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	const goroutines = 8
	for range goroutines {
		go func() {
			var found string
			for range 50 {
				got, err := Builtin().Decide(ref, slices.Clone(dis), request)
				if err != nil {
					found = err.Error()
				} else if diff := cmp.Diff(want, got); diff != "" {
					found = diff
				}
			}
			done <- found
		}()
	}
	for range goroutines {
		if found := <-done; found != "" {
			t.Error(found)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	ref, dis := Video{Width: 1920, Height: 1080, FrameRate: 25}, []Video{{Width: 640, Height: 360, FrameRate: 25}}
	for b.Loop() {
		if _, err := Builtin().Decide(ref, dis, Request{ModelsAuto: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(Builtin().Rules())), "ns/rule")
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse(BuiltinName, builtinText); err != nil {
			b.Fatal(err)
		}
	}
}
