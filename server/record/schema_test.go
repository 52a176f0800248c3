package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is the published schema.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("encode-record.schema.json", text); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("encode-record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verdict compares what Read and the schema say of a document. Those that Read cannot judge are passed over: they are no JSON, or too much.
func verdict(t testing.TB, s *jsonschema.Schema, text []byte) (judged, valid bool) {
	t.Helper()
	_, err := Read(bytes.NewReader(text), Limits{})
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrLimit) {
		return false, false
	}
	if !json.Valid(text) {
		t.Errorf("Read takes for JSON what is none (error %v):\n%s", err, text)
		return false, false
	}
	tree, jsonErr := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if jsonErr != nil {
		t.Errorf("%v:\n%s", jsonErr, text)
		return false, false
	}
	want := s.Validate(tree)
	if violated := errors.Is(err, ErrSchema); violated != (want != nil) {
		t.Errorf("Read says: %v\nthe schema says: %v\nof %s", err, want, text)
	}
	return true, want == nil
}

func TestSchema_TakesWhatIsWritten(t *testing.T) {
	s := compiled(t)
	for name, sample := range samples() {
		if judged, valid := verdict(t, s, write(t, sample.document())); !judged || !valid {
			t.Errorf("%s: judged %t, valid %t", name, judged, valid)
		}
	}
}

// wrongs are values that most places of a record do not take. Among them are the neighbours of bounds.
var wrongs = []string{
	`null`, `true`, `false`, `""`, `"x"`, `"nan"`, `"NaN"`, `"inf"`, `"-inf"`, `"Infinity"`, `"a\u0000"`, `[]`, `[[]]`, `[null]`, `["nan"]`, `[1.5]`, `[-1]`, `{}`, `{"x": 1}`, `{"mean": 1}`, `{"": 1}`,
	`{"x": {"mean": "nan"}}`, `{"x": {"MEAN": 1}}`, `{"x": [1, null, "inf"]}`, `{"x": [true]}`, `{"mean": null}`,
	`0`, `-0`, `-0.0`, `1`, `1.0`, `1e0`, `10e-1`, `1e2`, `0.5`, `1.5`, `1.000000000000000000000000000001`, `-1`, `-1e-400`, `-5e-324`, `1e-400`,
	`9007199254740991`, `9007199254740992`, `9007199254740991.0`, `90071992547409910e-1`, `-9007199254740991`, `-9007199254740992`, `1e15`, `1e16`, `1e18`, `1e19`, `99999999999999999999999`,
	`1000000000`, `1e9`, `1000000000.0000000000000001`, `999999999.9999999999999999`, `1000000001`, `-1000000000`, `-1000000000.0000000000000001`,
	`1.7976931348623157e308`, `1.7976931348623157000000001e308`, `1.7976931348623158e308`, `-1.7976931348623158e308`, `1e308`, `1e309`, `-1e309`, `0.00017976931348623157e312`,
	`"30000/1001"`, `"0/1"`, `"1/0"`, `"1/1 "`, `"1234567890123456/1"`,
	`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.123456789+01:00"`, `"2026-13-02T03:04:05Z"`, `"2026-01-02T03:04:05"`, `"2026-01-02T03:04:05.Z"`, `"2026-01-02T03:04:05Z\n"`, `"2026-01-02 03:04:05Z"`,
	`"index"`, `"strict"`,
}

// long are values about as long as the schema allows somewhere.
func long() []string {
	var list []string
	for _, n := range []int{64, 256, 1024, 4096, 65536} {
		for _, n := range []int{n, n + 1} {
			list = append(list, `"`+strings.Repeat("ö", n)+`"`)
			if n < 2000 {
				list = append(list, fmt.Sprintf(`{"%s": "x"}`, strings.Repeat("n", n)), fmt.Sprintf(`{"%s": 1}`, strings.Repeat("n", n)),
					fmt.Sprintf(`{"%s": {}}`, strings.Repeat("ö", n)), "["+strings.TrimSuffix(strings.Repeat(`"x",`, n), ",")+"]")
			}
			if n < 100 {
				var b strings.Builder
				for i := range n {
					fmt.Fprintf(&b, `,"l%d": "x"`, i)
				}
				list = append(list, "{"+b.String()[1:]+"}")
			}
		}
	}
	return list
}

// Every place of a record is given every wrong value, is removed, renamed, and gets a companion that is not known. Read and schema agree on all of these.
func TestSchema_VerdictsAgree(t *testing.T) {
	s := compiled(t)
	whole := newSample(2).document()
	whole.Provenance.Imported = sampleOrigin()
	text := write(t, whole)
	bounds := long()
	judged, valid := 0, 0
	try := func(text []byte) {
		if t.Failed() {
			t.FailNow() // one is enough
		}
		j, v := verdict(t, s, text)
		if j {
			judged++
		}
		if v {
			valid++
		}
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	encode := func() []byte {
		out, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const mark = "\"the place\""
	at := func(set func(any), was any) {
		set(json.RawMessage(mark))
		before, behind, _ := strings.Cut(string(encode()), mark)
		for _, v := range wrongs {
			try([]byte(before + v + behind))
		}
		for _, v := range bounds {
			if kind, _ := json.Marshal(was); v[0] == kind[0] { // too long matters where the kind is right
				try([]byte(before + v + behind))
			}
		}
		set(was)
	}
	var visit func(node any)
	visit = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for name, value := range node {
				at(func(v any) { node[name] = v }, value)
				delete(node, name)
				try(encode())
				node[strings.ToUpper(name)+"_"] = value
				try(encode())
				delete(node, strings.ToUpper(name)+"_")
				node[name] = value
				visit(value)
			}
			node[""] = map[string]any{"deeper": []any{nil}}
			try(encode())
			delete(node, "")
		case []any:
			for i, value := range node[:min(len(node), 1)] { // the others are like it
				at(func(v any) { node[i] = v }, value)
				visit(value)
			}
		}
	}
	at(func(v any) { tree = v }, tree)
	// One part at a time, so that the validator sees small documents.
	for name, part := range tree.(map[string]any) {
		if name == "reference" {
			continue // like distorted
		}
		small := map[string]any{"schema": SchemaName, "distorted": map[string]any{"name": "x"}}
		small[name] = part
		tree = small
		at(func(v any) { small[name] = v }, part)
		visit(part)
	}
	for _, text := range []string{`{}`, `{"schema": "vqsd.encode-record/1"}`, `{"distorted": {"name": "x"}}`} {
		try([]byte(text))
	}
	t.Logf("%d documents judged, %d of them valid", judged, valid)
	if judged < 5_000 || valid < judged/20 || valid > judged/2 {
		t.Errorf("%d documents judged, %d of them valid: that tries too little of one or the other", judged, valid)
	}
}

// The patterns of schema and code are the same text: where one is changed, the other has to be.
func TestSchema_Patterns(t *testing.T) {
	for _, form := range []string{instantForm, ratioForm, poolForm} {
		quoted, err := json.Marshal(form)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(Schema(), append([]byte(`"pattern": `), quoted...)) {
			t.Errorf("the schema has no pattern %s", quoted)
		}
	}
}

// Every member is described, so that the schema can be read without the code.
func TestSchema_DescribesEverything(t *testing.T) {
	var tree map[string]any
	if err := json.Unmarshal(Schema(), &tree); err != nil {
		t.Fatal(err)
	}
	var visit func(place string, node any)
	visit = func(place string, node any) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		for _, within := range []string{"properties", "$defs"} {
			members, _ := object[within].(map[string]any)
			for name, member := range members {
				if d, _ := member.(map[string]any)["description"].(string); !strings.HasSuffix(d, ".") {
					t.Errorf("%s/%s/%s has description %q, want one that ends with a full stop", place, within, name, d)
				}
				visit(place+"/"+within+"/"+name, member)
			}
		}
	}
	visit("", tree)
}

// hugeExponent is of numbers that the validator would write out.
var hugeExponent = regexp.MustCompile(`[eE][+-]?[0-9]{5}`)

func FuzzVerdict(f *testing.F) {
	text := write(f, newSample(2).document())
	f.Add(text)
	for _, v := range wrongs {
		f.Add(bytes.Replace(text, []byte(`"provenance": {`), []byte(`"provenance": {"rules_digest": `+v+","), 1))
		f.Add([]byte(`{"schema":"vqsd.encode-record/1","distorted":{"name":"x"},"scores":{"x":` + v + `},"frames":{"end_frame":2,"series":{"y":[` + v + `,1]}}}`))
	}
	s := compiled(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if hugeExponent.Match(text) {
			return
		}
		verdict(t, s, text)
	})
}

func TestSchema_FileIsWhatIsEmbedded(t *testing.T) {
	text, err := os.ReadFile("encode-record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	got := Schema()
	if !bytes.Equal(got, text) {
		t.Error("Schema is not the published file")
	}
	got[0] = 'x'
	if Schema()[0] == 'x' {
		t.Error("callers of Schema share its bytes")
	}
}
