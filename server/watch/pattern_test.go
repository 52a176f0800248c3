package watch

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPattern(t *testing.T) {
	const no = "\x00"
	for name, c := range map[string]struct{ pattern, path, want string }{ // want: captures with | between, no: no match
		"plain":                               {"a/b.mp4", "a/b.mp4", ""},
		"plain, other case":                   {"a/b.mp4", "a/B.mp4", no},
		"plain, more before":                  {"b.mp4", "a/b.mp4", no},
		"a dot is a dot":                      {"b.mp4", "bxmp4", no},
		"star within a segment":               {"*.mp4", "b.mp4", ""},
		"star may match nothing":              {"b*.mp4", "b.mp4", ""},
		"star does not cross":                 {"*.mp4", "a/b.mp4", no},
		"question mark":                       {"b?.mp4", "bü.mp4", ""},
		"question mark is no slash":           {"a?b", "a/b", no},
		"question mark is not nothing":        {"b?.mp4", "b.mp4", no},
		"two stars, no folder":                {"**/*.mp4", "b.mp4", ""},
		"two stars, three folders":            {"**/*.mp4", "a/b/c/d.mp4", ""},
		"two stars in the middle, none":       {"a/**/z", "a/z", ""},
		"two stars in the middle, two":        {"a/**/z", "a/b/c/z", ""},
		"two stars in the middle, not partly": {"a/**/z", "a/bz", no},
		"two stars at the end":                {"a/**", "a/b/c", ""},
		"two stars at the end, not nothing":   {"a/**", "a", no},
		"capture":                             {"{title}.mov", "the film.mov", "the film"},
		"capture does not cross":              {"{title}.mov", "a/b.mov", no},
		"capture is not empty":                {"{title}.mov", ".mov", no},
		"captures take as much as they can":   {"{title}_{height}.mp4", "a_b_720.mp4", "a_b|720"},
		"expression":                          {"{title}_{height:[0-9]{3,4}}p.mp4", "a_1080p.mp4", "a|1080"},
		"expression that does not match":      {"{title}_{height:[0-9]{3,4}}p.mp4", "a_10p.mp4", no},
		"expression over segments":            {"{dir:(.*/)?}{title}.mp4", "a/b/c.mp4", "a/b/|c"},
		"expression that matches nothing":     {"{dir:(.*/)?}{title}.mp4", "c.mp4", "|c"},
		"alternatives stay in their braces":   {"{side:ref|dis}.mp4", "ref.mp4", "ref"},
		"alternatives are not of the whole":   {"{side:ref|dis}.mp4", "ref", no},
		"upper and lower case by expression":  {"{side:(?i:ref)}.mp4", "REF.mp4", "REF"},
		"flags end with the braces":           {"{side:(?i)ref}.mp4", "REF.MP4", no},
		"braces in a class":                   {"{x:[{}]+}.mp4", "}{.mp4", "}{"},
		"bracket first in a class":            {"{x:[]}]+}.mp4", "]}.mp4", "]}"},
		"bracket first in what a class lacks": {"{x:[^]}]+}.mp4", "ab.mp4", "ab"},
		"escaped brace in an expression":      {`{x:a\}b}.mp4`, "a}b.mp4", "a}b"},
		"open quotation in an expression":     {`{x:\Qa.b}.mp4`, "a.b.mp4", "a.b"},
		"escaped star":                        {`a\*.mp4`, "a*.mp4", ""},
		"escaped star is no star":             {`a\*.mp4`, "ab.mp4", no},
		"escaped letter":                      {`\a.mp4`, "a.mp4", ""},
		"bytes that are not UTF-8":            {"{title}.mp4", "\xff\xfe.mp4", "\xff\xfe"},
		"line break in a name":                {"{title}.mp4", "a\nb.mp4", "a\nb"},
		"line break in an expression":         {"{title:.+}.mp4", "a\nb.mp4", "a\nb"},
		"line break at the end":               {"{title}.mp4", "a.mp4\n", no},
		"name with a hyphen":                  {"{audio-track}.mp4", "de.mp4", "de"},
		"dots that are only part of a name":   {"*..mp4", "a..mp4", ""},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := no
		if captures, ok := p.match(c.path); ok {
			got = strings.Join(captures, "|")
		}
		if got != c.want || p.matches(c.path) != (c.want != no) {
			t.Errorf("%s: %q of %q gives %q, want %q", name, c.pattern, c.path, got, c.want)
		}
	}
}

func TestPatternRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                         "is empty",
		"/a/b":                     "begins with /",
		"a//b":                     `segment ""`,
		"a/../b":                   `segment ".."`,
		"./a":                      `segment "."`,
		"a/":                       `segment ""`,
		"a/**/":                    `segment ""`,
		"a\nb":                     "no text of one line",
		"a\xff":                    "no text of one line",
		"a**b":                     "not a whole segment",
		"**a":                      "not a whole segment",
		"***":                      "not a whole segment",
		"{title":                   "not closed",
		"title}":                   "closes nothing",
		`a\`:                       "stands before nothing",
		"{}":                       "a capture's name",
		"{Title}":                  "a capture's name",
		"{title:}":                 "expression is missing",
		"{title:[}":                "not closed",
		"{title:(}":                "missing closing )",
		"{title:a)|(b}":            "unexpected )",
		"{title:(?P<x>a)}":         "group with a name",
		"{title}_{title}":          "comes twice",
		"{watch}":                  "the folder's name",
		"{x:((a{100}){100}){100}":  "not closed",
		"{x:(abc){900}(d.f){900}}": "steps to match",
		"{x:((a{30}){30}){30}}":    "invalid repeat count",
		"{x:a{1001}}":              "invalid repeat count",
		`{x:(a)\1}`:                "invalid escape",
		strings.Repeat("a", 1025):  "1025 bytes",
		"{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}{m}{n}{o}{p}{q}": "more than 16 captures",
	} {
		_, err := parsePattern(pattern)
		if err == nil {
			t.Errorf("%.80q is accepted, want an error with %q", pattern, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", pattern, err, want)
		}
	}
}

// naive says whether a pattern without captures matches, by trying everything.
func naive(pattern, path string) bool {
	switch {
	case pattern == "":
		return path == ""
	case pattern == "**":
		return path != ""
	case strings.HasPrefix(pattern, "**/"):
		if naive(pattern[3:], path) {
			return true
		}
		segment, rest, more := strings.Cut(path, "/")
		return more && segment != "" && naive(pattern, rest)
	case pattern[0] == '*':
		for i := 0; ; i++ {
			if naive(pattern[1:], path[i:]) {
				return true
			}
			if i == len(path) || path[i] == '/' {
				return false
			}
		}
	case path == "" || pattern[0] == '?' && path[0] == '/' || pattern[0] != '?' && pattern[0] != path[0]:
		return false
	}
	return naive(pattern[1:], path[1:])
}

// Patterns of stars and letters match what trying everything says they match.
func TestPatternAgainstTryingEverything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(letters []string, most int) string {
		var b strings.Builder
		for range 1 + random.IntN(most) {
			b.WriteString(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	parsed, matched := 0, 0
	for range 200_000 {
		pattern := text([]string{"a", "b", "/", "/**/", "*", "?", "**/"}, 6)
		p, err := parsePattern(pattern)
		if err != nil {
			continue
		}
		parsed++
		for range 3 {
			path := text([]string{"a", "b", "ab", "/"}, 6)
			if strings.Contains("/"+path+"/", "//") {
				continue
			}
			want := naive(pattern, path)
			if got := p.matches(path); got != want {
				t.Fatalf("%q of %q: %v, want %v", pattern, path, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if parsed < 10_000 || matched < 1000 {
		t.Fatalf("only %d patterns and %d matches", parsed, matched)
	}
}

// What takes backtracking matchers for ever takes this one no time.
func TestPatternIsLinear(t *testing.T) {
	p, err := parsePattern("{a:(x+x+)+y}" + strings.Repeat("*x", 100) + "{b:((x*)*)*z}")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if p.matches(strings.Repeat("x", 4000) + "z") {
		t.Error("it matches")
	}
	// Some 1000 instructions times 4000 characters take tens of milliseconds, and the exponential way longer than anyone waits.
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"{title}_{height:[0-9]{3,4}}p.mp4", `**/a\*?{x:[^]}]|\Qa}`, "{x:(?i)a}"} {
		f.Add(seed, "a/b_720p.mp4")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := parsePattern(text)
		if err != nil || len(path) > 4096 {
			return
		}
		captures, ok := p.match(path)
		if ok != p.matches(path) {
			t.Fatal("match and matches differ")
		}
		if ok && len(captures) != len(p.names) {
			t.Fatalf("%d captures of %d names", len(captures), len(p.names))
		}
		for i, name := range p.names {
			if !captureName.MatchString(name) || slices.Index(p.names, name) != i {
				t.Fatalf("names %q", p.names)
			}
			if ok && !strings.Contains(path, captures[i]) {
				t.Fatalf("%q captures %q of %q", name, captures[i], path)
			}
		}
		// Quoted text matches itself, and nothing else than itself.
		quoted := regexp.MustCompile(`[*?{}\\]`).ReplaceAllString(path, `\$0`)
		if q, err := parsePattern(quoted); err == nil && (!q.matches(path) || q.matches(path+"x") || q.matches(fmt.Sprint("x", path))) {
			t.Fatalf("%q quoted does not match itself alone", path)
		}
	})
}
