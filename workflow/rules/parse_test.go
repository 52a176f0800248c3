package rules

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each file is rules with mistakes, a line of three dashes, and all that Parse says of them.
func TestMistakesAreNamed(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := bytes.Cut(text, []byte("---\n"))
			set, err := Parse("rules.yaml", input)
			if err == nil || set != nil {
				t.Fatal("was accepted")
			}
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(file, append(append(input, "---\n"...), got...), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (−want +got; -update rewrites it):\n%s", file, diff)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	rule := func(i int) string { return fmt.Sprintf("  - {name: r%d, when: true, then: {warn: w}}\n", i) }
	var many strings.Builder
	many.WriteString("rules:\n")
	for i := range MaxRules {
		many.WriteString(rule(i))
	}
	if _, err := Parse("x", []byte(many.String())); err != nil {
		t.Errorf("%d rules: %v", MaxRules, err)
	}
	when := func(expression string) string {
		return fmt.Sprintf("rules:\n  - {name: r, when: '%s', then: {warn: w}}\n", expression)
	}
	for name, row := range map[string]struct{ text, says string }{
		"a rule too many":        {many.String() + rule(MaxRules), "257 rules; 256 are allowed"},
		"a file too large":       {strings.Repeat("#", MaxFileBytes+1), "1048577 bytes; 1048576 are allowed"},
		"a condition too long":   {when(strings.Repeat(" ", maxConditionBytes) + "true"), "4100 bytes; 4096 are allowed"},
		"brackets too deep":      {when(strings.Repeat("(", 1500) + "true" + strings.Repeat(")", 1500)), "recursion"},
		"lists in lists":         {when(strings.Repeat("[", 100) + strings.Repeat("]", 100) + " == []"), "recursion limit exceeded"},
		"YAML too deep":          {"rules: " + strings.Repeat("[", 100_000), "not YAML: exceeded max depth"},
		"nested block sequences": {strings.Repeat("- ", 100_000), "not YAML: exceeded max depth"},
		"a costly condition": {when(`["0","1","2","3","4","5","6","7","8","9"].exists(x, request.labels.exists(k, k == x))`),
			"comprehension exceeds nesting limit"},
		"comprehensions one after the other": {when(`request.labels.exists(k, k.matches("(a+)+b")` + strings.Repeat(` || k.matches("(a+)+b")`, 150) + `)`),
			"evaluating it may cost"},
		"a large regular expression": {when(`reference.path.matches("((a{100}){100}){100}")`), "no regular expression (RE2), or a very large one"},
		"a list of many":             {"rules:\n  - {name: r, when: true, then: {pools: [" + strings.Repeat("mean,", 40) + "]}}\n", "40 entries; want 1 to 32"},
		"a long message":             {"rules:\n  - {name: r, when: true, then: {warn: " + strings.Repeat("w", 1025) + "}}\n", "1025 bytes; want 1 to 1024"},
		"a long reason":              {"rules:\n  - {name: r, doc: " + strings.Repeat("w", 4097) + ", when: true, then: {warn: w}}\n", "4097 bytes; 4096 are allowed"},
		"text that is not UTF-8":     {"rules: \xff", "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x", []byte(row.text))
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %.300v, want %q", err, row.says)
			}
		})
	}
}

// A request whose labels are larger than the estimate takes them for is stopped where it costs too much.
func TestCostIsBoundedWhenLabelsAreNot(t *testing.T) {
	set, err := Parse("x", []byte(`rules: [{name: greedy, when: 'request.labels.exists(k, request.labels[k].contains("needle"))', then: {warn: w}}]`))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for i := range 64 {
		labels[fmt.Sprint(i)] = strings.Repeat("hay", 80)
	}
	if _, err := set.Decide(Video{}, []Video{{}}, Request{Labels: labels}); err != nil {
		t.Error("within the bounds:", err)
	}
	for i := range 20_000 {
		labels[fmt.Sprint(i)] = strings.Repeat("hay", 80)
	}
	_, err = set.Decide(Video{}, []Video{{}}, Request{Labels: labels})
	failed := (*EvaluationError)(nil)
	if !errors.As(err, &failed) || failed.Rule != "greedy" || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Errorf("beyond the bounds: got %v, want a cost limit and the rule's name", err)
	}
}

func TestParseKeepsTheText(t *testing.T) {
	text := "# mine\nrules:\n- {name: a, doc: \"why\\n so\", when: true, then: {geometry: 640x360, chunk_seconds: 0.5, refuse: No.}}\n"
	set, err := Parse("mine.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if set.YAML() != text || set.Name() != "mine.yaml" {
		t.Errorf("kept %q of %q", set.YAML(), set.Name())
	}
	const want = "8d5dbd23be2d573eaaa67f66c7b25526624a45e79658a58cd33d3b192ea6d5ec"
	if set.Digest() != want {
		t.Errorf("digest %s, want %s, which sha256sum gives", set.Digest(), want)
	}
	r := set.Rules()[0]
	if r.Name != "a" || r.Doc != "why so" || r.When != "true" || r.Line != 3 {
		t.Errorf("rule is %+v", r)
	}
	if got, want := r.Then.String(), `geometry 640x360, chunk_seconds 0.5, refuse "No."`; got != want {
		t.Errorf("settings are %s, want %s", got, want)
	}
}

func TestDecideNeedsARendition(t *testing.T) {
	if _, err := Builtin().Decide(Video{}, nil, Request{}); err == nil {
		t.Error("decided for no rendition")
	}
}

func TestParseGeometry(t *testing.T) {
	for text, want := range map[string]Geometry{
		"1920x1080": {Width: 1920, Height: 1080}, "reference": {Reference: true}, "16x32768": {Width: 16, Height: 32768},
	} {
		got, err := ParseGeometry(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "1920", "1920x", "1920x1080x3", "15x16", "0x0", "016x16", "+16x16", "16x32769", "1e3x16", "1920 x 1080", "Reference"} {
		if g, err := ParseGeometry(text); err == nil {
			t.Errorf("%q was read as %v", text, g)
		}
	}
}

// FuzzParse: whatever is read, mistakes have a place in the text, and rules without mistakes can be decided and read again.
func FuzzParse(f *testing.F) {
	f.Add(builtinText)
	for _, pattern := range []string{"testdata/errors/*.txt", "testdata/scripts/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := Parse("x", text)
		if err != nil {
			checkPlaces(t, text, err)
			return
		}
		again, err := Parse("x", []byte(set.YAML()))
		if err != nil || again.Digest() != set.Digest() {
			t.Fatal("cannot be read again:", err)
		}
		evaluate(t, set)
	})
}

// FuzzCondition is the same for one condition, which is where most of what can go wrong is.
func FuzzCondition(f *testing.F) {
	for _, rule := range Builtin().Rules() {
		f.Add(rule.When)
	}
	for _, expression := range []string{
		`"a" in request.labels && request.labels.a == "b"`, `request.labels.exists(k, k.startsWith("x"))`, `has(reference.transfer)`,
		`distorted.path.matches("^a.*b$")`, `[1, 2, 3].map(x, x * 2).size() > reference.width`, `1 / reference.frames > 0`,
		`reference.frame_rate >= 48`, `string(reference.width) + "x" == b"x"`, `reference.heigth > 1`, `Video{}`, "a\n&& ü", `{1: 2}[1] == 2`, `"\U0001F600".size() == 1`,
		`reference.bit_rate * 9223372036854775807 > 0`, `double("nan") != 1.0`, `uint(distorted.frames) > 3u`, "true // comment",
	} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		compiled, mistakes := compile(expression)
		if (compiled == nil) != (len(mistakes) > 0) {
			t.Fatal("neither compiled nor wrong, or both")
		}
		for _, m := range mistakes {
			if m.line < 1 || m.column < 1 || m.text == "" {
				t.Errorf("mistake without a place: %+v", m)
			}
		}
		if compiled != nil {
			evaluate(t, &Set{rules: []Rule{{Name: "r", When: expression, Then: Settings{Warn: "w"}, condition: compiled}}})
		}
	})
}

// checkPlaces requires that every error is an [*Error] that points into the text.
func checkPlaces(t *testing.T, text []byte, err error) {
	t.Helper()
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	lines := len(newReader("", text).lines)
	for _, err := range list {
		e := (*Error)(nil)
		if !errors.As(err, &e) {
			t.Errorf("not an *Error: %v", err)
		} else if e.Line < 0 || e.Line > lines+1 || e.Column < 0 {
			t.Errorf("points to %d:%d of %d lines: %v", e.Line, e.Column, lines, err)
		}
	}
}

// evaluate requires that a set gives the same answer twice, and that Explain and Decide agree.
func evaluate(t *testing.T, set *Set) {
	t.Helper()
	ref := Video{Path: "/a/ref.mkv", Codec: "h264", Width: 3840, Height: 2160, BitDepth: 10, FrameRate: 23.976, Frames: 100, Transfer: "smpte2084"}
	dis := []Video{{Path: "dis.mp4", Width: 640, Height: 360, Interlaced: true}, {}}
	request := Request{ModelsAuto: true, Class: "latency", Labels: map[string]string{"a": "b", "": "x"}, Frames: 100}
	first, err := set.Decide(ref, dis, request)
	second, again := set.Decide(ref, dis, request)
	if fmt.Sprint(err) != fmt.Sprint(again) {
		t.Fatalf("once %v, then %v", err, again)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Fatal("decided differently:\n", diff)
	}
	fired := 0
	for _, e := range set.Explain(ref, dis, request) {
		if e.Fired {
			fired++
		}
		if e.Err != nil && err == nil {
			t.Fatalf("explained an error of rule %s that did not happen: %v", e.Rule, e.Err)
		}
	}
	if first != nil && fired != len(first.Fired) {
		t.Fatalf("explained that %d fire, and %d did", fired, len(first.Fired))
	}
}
