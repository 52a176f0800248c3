package filter

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
)

// show writes an expression with all its parentheses.
func show(e store.Expr) string {
	list := func(op string, l []store.Expr) string {
		parts := make([]string, len(l))
		for i, x := range l {
			parts[i] = show(x)
		}
		return "(" + strings.Join(parts, " "+op+" ") + ")"
	}
	switch e := e.(type) {
	case nil:
		return "all"
	case store.And:
		return list("and", e)
	case store.Or:
		return list("or", e)
	case store.Not:
		return "not " + show(e.Expr)
	case store.HasLabel:
		return "label " + e.Key
	case store.Compare:
		switch v := e.Value.(type) {
		case time.Time:
			return fmt.Sprintf("%s %s %s", e.Field, e.Op, v.Format(time.RFC3339Nano))
		case string:
			return fmt.Sprintf("%s %s %q", e.Field, e.Op, v)
		default:
			return fmt.Sprintf("%s %s %T %v", e.Field, e.Op, v, v)
		}
	}
	return fmt.Sprintf("%T", e)
}

func TestParse(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", "all"},
		{"white space", " \n\t ", "all"},
		{"a state", "state = SUCCEEDED", `state = "succeeded"`},
		{"a state with its prefix", "state != MEASUREMENT_STATE_FAILED", `state != "failed"`},
		{"a state in quotes", `state = "partial"`, `state = "partial"`},
		{"a class", "service_class = LATENCY", `class = "latency"`},
		{"a name", `name = "measurements/01hzzzzzzzzzzzzzzzzzzzzzzz"`, `name = "01hzzzzzzzzzzzzzzzzzzzzzzz"`},
		{"an ID", `name < 01hzzzzzzzzzzzzzzzzzzzzzzz`, ""},
		{"an ID in quotes", `name < "01hzzzzzzzzzzzzzzzzzzzzzzz"`, `name < "01hzzzzzzzzzzzzzzzzzzzzzzz"`},
		{"times in any zone", `create_time >= "2026-01-31T12:00:00+02:00"`, "create_time >= 2026-01-31T10:00:00Z"},
		{"a label", `labels.title = "x y"`, `labels.title = "x y"`},
		{"a label's key in quotes", `labels."my-key" != x`, `labels.my-key != "x"`},
		{"a label that is there", "labels:title", "label title"},
		{"the same with a star", "labels.title:*", "label title"},
		{"a label whose value is a number", "labels.take = 7", `labels.take = "7"`},
		{"a label that begins with", `labels.title = "x*"`, `labels.title prefix "x"`},
		{"a whole number", "height >= 1080", "height >= int64 1080"},
		{"a negative number", "score > -1", "score > float64 -1"},
		{"a fraction", "reference.frame_rate < 29.97", "reference.frame_rate < float64 29.97"},
		{"a model without quotes", "model = vmaf_v0.6.1", `model = "vmaf_v0.6.1"`},
		{"a series", "series = integer_adm2 pooling = p5", `(series = "integer_adm2" and pooling = "p5")`},
		{"a path that begins with", `path = "shows/*"`, `rendition.path prefix "shows/"`},
		{"a path that does not", `path != "shows/*"`, `not rendition.path prefix "shows/"`},
		{"a path that contains", `reference.path:"intro"`, `reference.path contains "intro"`},
		{"a codec that is known", `codec:*`, `rendition.codec prefix ""`},
		{"a rendition", `rendition = "1080p"`, `rendition.name = "1080p"`},
		{"OR binds more tightly than AND", "width = 1 AND height = 2 OR height = 3 AND bit_depth = 8",
			"(width = int64 1 and (height = int64 2 or height = int64 3) and bit_depth = int64 8)"},
		{"NOT and minus", "NOT width = 1 AND -height = 2", "(not width = int64 1 and not height = int64 2)"},
		{"parentheses", "(width = 1 AND height = 2) OR bit_rate > 3", "((width = int64 1 and height = int64 2) or bit_rate > int64 3)"},
		{"several lines", "width = 1\n AND height = 2", "(width = int64 1 and height = int64 2)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := Parse(row.text)
			if row.want == "" {
				if err == nil {
					t.Errorf("%s, want an error", show(got))
				}
				return
			}
			if err != nil || show(got) != row.want {
				t.Errorf("%s, %v\nwant %s", show(got), err, row.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, row := range []struct {
		name, text   string
		line, column int
		want         string
	}{
		{"an unknown field", "state = FAILED AND hight > 5", 1, 20, `there is no field "hight"; did you mean height`},
		{"an unknown field of the reference", "reference.codecs = x", 1, 1, "did you mean reference.codec"},
		{"a field that is like none", "a = 5", 1, 1, "there are name, state, service_class"},
		{"a field on the second line", "state = FAILED\n AND nope = 5", 2, 6, `"nope"`},
		{"behind letters of several bytes", `labels.a = "ä€" nope = 1`, 1, 17, `"nope"`},
		{"behind white space", "  nope = 1", 1, 3, `"nope"`},
		{"a state that is none", "state = DONE", 1, 9, "there are PENDING"},
		{"a class that is none", "service_class = URGENT", 1, 17, "LATENCY"},
		{"a number that is none", "score > high", 1, 9, `"high" is no number`},
		{"a number in quotes", `score > "5"`, 1, 9, "no number"},
		{"a fraction of a line", "height = 1080.5", 1, 10, "no whole number"},
		{"a time that is none", "create_time > yesterday", 1, 15, "no time"},
		{"a name that is none", "name = x", 1, 8, "no measurement's name"},
		{"an order of states", "state > FAILED", 1, 1, "has no order"},
		{"has of a number", "score:5", 1, 1, "text and labels"},
		{"an order of labels", "labels.a > 5", 1, 1, "labels have no order"},
		{"has of a label's value", "labels.a:b", 1, 1, "asks whether there is the label"},
		{"no key", `labels = x`, 1, 1, "labels.KEY"},
		{"a key that is none", "labels.A = x", 1, 1, "no label's key"},
		{"a field alone", "state", 1, 1, "a comparison is expected"},
		{"a function", "count(state) = 1", 1, 1, "a field's name is expected"},
		{"a function alone", "now()", 1, 1, `no function "now"`},
		{"a comparison on the right", "width = (height = 1)", 1, 10, "a value is expected"},
		{"a number on the left", "1 = width", 1, 1, "a field's name"},
		{"nothing on the right", "width =", 1, 8, "too early"},
		{"an open string", `path = "x`, 1, 8, "unterminated"},
		{"an open parenthesis", "(width = 1", 1, 11, "expected )"},
		{"a closing one too many", "width = 1)", 1, 10, "trailing"},
		{"not UTF-8", "path = \xff", 1, 8, "UTF-8"},
		{"too long", strings.Repeat("x", MaxBytes+1), 1, 1, "at most 4096"},
		{"too deep", strings.Repeat("(", MaxDepth+1) + "width = 1" + strings.Repeat(")", MaxDepth+1), 1, MaxDepth + 1, "within each other"},
		{"too many comparisons", strings.Repeat("width=1 ", MaxComparisons+1), 0, 0, "more than 100 comparisons"},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := Parse(row.text)
			var at *Error
			if !errors.As(err, &at) {
				t.Fatalf("%s, %v, want an *Error", show(e), err)
			}
			if !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q in it", err, row.want)
			}
			if row.line > 0 && (at.Line != row.line || at.Column != row.column) {
				t.Errorf("%v: line %d column %d, want %d, %d", err, at.Line, at.Column, row.line, row.column)
			}
		})
	}
}

// TestEveryFieldParses makes sure that each field takes a value of its kind.
func TestEveryFieldParses(t *testing.T) {
	samples := map[string]string{"state": "FAILED", "service_class": "LATENCY", "name": `"01hzzzzzzzzzzzzzzzzzzzzzzz"`, "create_time": `"2026-01-01T00:00:00Z"`, "finish_time": `"2026-01-01T00:00:00Z"`}
	for _, f := range fields {
		value := samples[f.name]
		if value == "" {
			value = "5"
		}
		if _, err := Parse(f.name + " = " + value); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// openStore is an empty store, which refuses what it cannot evaluate.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), MinFreeBytes: -1, MemoryBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestDeepestAndLongestFilters: what is within the bounds here is so in the store.
func TestDeepestAndLongestFilters(t *testing.T) {
	s := openStore(t)
	for name, text := range map[string]string{
		"deep": strings.Repeat("width = 1 AND width = 2 OR NOT (", MaxDepth) + "width = 1" + strings.Repeat(")", MaxDepth),
		"long": strings.TrimSuffix(strings.Repeat("width = 1 OR ", MaxComparisons), " OR "),
	} {
		e, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := s.Query(context.Background(), store.Query{Filter: e}); err != nil {
			t.Errorf("%s: the store: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`state = SUCCEEDED AND labels.title = "x" AND create_time > "2026-01-01T00:00:00Z"`, "NOT (height >= 1080 OR codec != h264)", `labels."a-b":*`,
		"-score < -1.5", "f(f(f(", "((((", `"a`, "a.b.c.1 = 0x10", "model = vmaf_v0.6.1 path = \"a*\"", "a:b:c", "= = =",
	} {
		f.Add(text)
	}
	ctx, s := context.Background(), openStore(f)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		var at *Error
		if err != nil && (!errors.As(err, &at) || at.Line < 1 || at.Column < 1 || len(err.Error()) > 2*MaxBytes) {
			t.Errorf("%q: %v is no error with a place", text, err)
		}
		if err == nil && e == nil && strings.TrimSpace(text) != "" {
			t.Errorf("%q: everything matches", text)
		}
		if err == nil { // what is accepted here is not for the store to refuse
			if _, err := s.Query(ctx, store.Query{Filter: e}); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
