package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// with is a small record with a member more.
func with(member string) string {
	return `{"schema": "vqsd.encode-record/1", "distorted": {"name": "x"}, ` + member + `}`
}

func TestRead_Refuses(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		kind error
		want string // within the message
	}{
		"nothing":                     {``, ErrMalformed, "the document (byte 0): the document ends where a value is due"},
		"white space":                 {" \n", ErrMalformed, "the document ends"},
		"another kind of JSON":        {`[]`, ErrSchema, "the document (byte 0): want an object, got an array"},
		"another document":            {`{"schema": "vqsd.measure/1"}`, ErrSchema, `/schema (byte 27): want "vqsd.encode-record/1", got "vqsd.measure/1"`},
		"a later version":             {`{"schema": "vqsd.encode-record/2", "distorted": {"name": "x"}}`, ErrSchema, `got "vqsd.encode-record/2"`},
		"two problems":                {`{"schema": 1, "distorted": {"name": 2}}`, ErrSchema, `want a string, got a number: not as the schema of encode records wants it` + "\n" + `/distorted/name`},
		"members are missing":         {`{"distorted": {}}`, ErrSchema, "/distorted (byte 16): member \"name\" is missing"},
		"schema is missing":           {`{"distorted": {"name": "x"}}`, ErrSchema, `member "schema" is missing`},
		"cut off in a name":           {`{"schema": "vqsd.enc`, ErrMalformed, "/schema (byte 20): the document ends within a string"},
		"cut off in frames":           {with(`"frames": {"end_frame": 9, "series": {"vmaf": [1, 2`)[:114], ErrMalformed, "/frames/series/vmaf/1"},
		"something behind":            {with(`"x": 1`) + "\n{}", ErrMalformed, "'{' behind the document"},
		"a comma behind the last":     {with(`"x": [1,]`), ErrMalformed, "/x/0"},
		"a comma behind all":          {with(`"x": {"a": 1,}`), ErrMalformed, "'}' where '\"' is due"},
		"no comma":                    {with(`"x": [1 2]`), ErrMalformed, "'2' where ',' is due"},
		"number with a zero in front": {with(`"x": 01`), ErrMalformed, "/x"},
		"number with a plus":          {with(`"x": +1`), ErrMalformed, "/x"},
		"number without decimals":     {with(`"x": 1.`), ErrMalformed, "decimal"},
		"number without exponent":     {with(`"x": 1e`), ErrMalformed, "exponent"},
		"nan as a number":             {with(`"scores": {"vmaf": {"mean": nan}}`), ErrMalformed, "/scores/vmaf/mean"},
		"a comment":                   {with(`/**/ "x": 1`), ErrMalformed, "'/' where '\"' is due"},
		"single quotes":               {with(`'x': 1`), ErrMalformed, "where '\"' is due"},
		"a byte order mark":           {"\ufeff" + with(`"x": 1`), ErrMalformed, "byte 0xef"},
		"UTF-16":                      {"\x00{\x00}", ErrMalformed, "byte 0x00"},
		"a name that is not UTF-8":    {with("\"x\xff\": 1"), ErrMalformed, "not UTF-8"},
		"a text that is not UTF-8":    {with("\"x\": \"\xc0\x80\""), ErrMalformed, "not UTF-8"},
		"a line feed in a text":       {with("\"x\": \"\n\""), ErrMalformed, "byte 0x0a within a string"},
		"half of a surrogate pair":    {with(`"x": "\ud800"`), ErrMalformed, "half of a surrogate pair"},
		"the other half":              {with(`"x": "\udc00"`), ErrMalformed, "half of a surrogate pair"},
		"two first halves":            {with(`"x": "\ud800\ud800"`), ErrMalformed, "half of a surrogate pair"},
		"half, and a line feed":       {with(`"x": "\ud800\n"`), ErrMalformed, "surrogate"},
		"an escape that is none":      {with(`"x": "\x41"`), ErrMalformed, "after a backslash"},
		"an escape with bad digits":   {with(`"x": "\u00g0"`), ErrMalformed, "hexadecimal"},
		"a member twice":              {with(`"frames": null, "frames": null`), ErrMalformed, `/frames (byte 87): member "frames" occurs twice`},
		"a member twice, escaped":     {with(`"frames": null, "\u0066rames": null`), ErrMalformed, `occurs twice`},
		"an unknown member twice":     {with(`"x": {"y": 1, "y": 1}`), ErrMalformed, `/x/y`},
		"a series twice":              {with(`"frames": {"end_frame": 0, "series": {"y": [], "y": []}}`), ErrMalformed, `/frames/series/y`},
		"nested objects":              {with(`"x": ` + strings.Repeat(`{"a":`, 1_000_000)), ErrLimit, "nested more than 16 deep"},
		"nested arrays":               {with(`"x": ` + strings.Repeat(`[`, 1_000_000)), ErrLimit, "nested more than 16 deep"},
		"a long number":               {with(`"x": 1` + strings.Repeat("0", 1_000_000)), ErrLimit, "number of more than 1024"},
		"a long fraction":             {with(`"scores": {"a": {"mean": 0.` + strings.Repeat("0", 1_000_000) + `1}}`), ErrLimit, "number of more than 1024"},
		"a number beyond doubles":     {with(`"scores": {"a": {"mean": 1e999999999999999999999}}`), ErrSchema, "/scores/a/mean (byte 111): number 1e999999999999999999999 is beyond the range of doubles"},
		"an integer beyond integers":  {with(`"comparison": {"end_frame": 1e999999999999999999999}`), ErrSchema, "want an integer from 0 to 9007199254740991"},
		"a tiny integer":              {with(`"comparison": {"end_frame": 1e-999999999999999999999}`), ErrSchema, "want an integer"},
		"a long text":                 {with(`"x": "` + strings.Repeat("x", 2_000_000) + `"`), ErrLimit, "string of more than 1048576 bytes"},
		"many members":                {with(`"x": {` + manyMembers(1025) + `}`), ErrLimit, "more than 1024 members"},
		"month 13":                    {with(`"measurement": {"create_time": "2026-13-01T00:00:00Z"}`), ErrInconsistent, "/measurement/create_time"},
		"a range that ends first":     {with(`"comparison": {"first_frame": 2, "end_frame": 1}`), ErrInconsistent, "/comparison/end_frame"},
		"frames that end first":       {with(`"frames": {"first_frame": 2, "end_frame": 1, "series": {}}`), ErrInconsistent, "/frames/end_frame"},
		"unequal columns":             {with(`"frames": {"end_frame": 2, "series": {"a": [1, 2], "b": [1]}}`), ErrInconsistent, "/frames/series/b (byte 125): it has 1 elements, and 2 frames are listed"},
		"columns and step":            {with(`"frames": {"end_frame": 3, "step": 2, "series": {"a": [1, 2, 3]}}`), ErrInconsistent, "it has 3 elements, and 2 frames are listed"},
		"too few times":               {with(`"frames": {"end_frame": 2, "times": [0], "series": {}}`), ErrInconsistent, "/frames/times"},
		"numbers out of order":        {with(`"frames": {"end_frame": 2, "numbers": [1, 0], "series": {}}`), ErrInconsistent, "/frames/numbers/1"},
		"a number twice":              {with(`"frames": {"end_frame": 2, "numbers": [1, 1], "series": {}}`), ErrInconsistent, "/frames/numbers/1"},
		"a number outside":            {with(`"frames": {"first_frame": 1, "end_frame": 2, "numbers": [0], "series": {}}`), ErrInconsistent, "/frames/numbers/0"},
		"overlapping chunks":          {with(`"chunks": [{"first_frame": 0, "end_frame": 2, "scores": {}}, {"first_frame": 1, "end_frame": 3, "scores": {}}]`), ErrInconsistent, "/chunks/1/first_frame"},
		"an empty chunk":              {with(`"chunks": [{"first_frame": 1, "end_frame": 1, "scores": {}}]`), ErrInconsistent, "/chunks/0/end_frame"},
		"a series described twice":    {with(`"series": [{"name": "a"}, {"name": "a"}]`), ErrInconsistent, "/series/1"},
		"stored under one name":       {with(`"series": [{"name": "a", "stored": "b"}], "scores": {"b": {}}`), ErrInconsistent, "/scores/b"},
		"a huge range of frames":      {with(`"frames": {"end_frame": 9007199254740991, "numbers": [0], "series": {"a": [1]}}`), ErrLimit, "/frames/end_frame"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(strings.NewReader(test.text), Limits{})
			var place *ReadError
			if d != nil || !errors.Is(err, test.kind) || !errors.As(err, &place) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("document %v, error %.500v\nwant one that is %q and says %q", d, err, test.kind, test.want)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// manyMembers are members of an object, with null for values.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d": null,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// Everything in front of the end is not yet a record.
func TestRead_CutOffAnywhere(t *testing.T) {
	text := bytes.TrimSpace(write(t, newSample(2).document()))
	for n := range text {
		if _, err := Read(bytes.NewReader(text[:n]), Limits{}); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut off at byte %d: error %v, want %v", n, err, ErrMalformed)
		}
	}
}

// Where a reader's pieces end does not matter.
func TestRead_ByteByByte(t *testing.T) {
	d := newSample(3).document()
	text := write(t, d)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(text)), "data with the error": iotest.DataErrReader(bytes.NewReader(text)), "halves": iotest.HalfReader(bytes.NewReader(text)),
	} {
		again, err := Read(r, Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(d, again, same); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRead_ReportsTheReadersError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(`{"schema": "vqsd`), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := Read(broken, Limits{}); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrMalformed) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestRead_NumberOfProblems(t *testing.T) {
	text := with(`"scores": {"a": {` + manyMembers(100) + `}}`)
	_, err := Read(strings.NewReader(text), Limits{})
	if lines := strings.Count(err.Error(), "\n") + 1; lines != maxProblems || !strings.Contains(err.Error(), errEnough.Error()) {
		t.Errorf("%d lines of %v, want %d, the last of which says that there are more", lines, err, maxProblems)
	}
}

func TestRead_Limits(t *testing.T) {
	s := newSample(6)
	text := write(t, s.document())
	exact := Limits{Bytes: int64(len(text)), Frames: 6, Names: 3, Cells: 18, Chunks: 2, Figures: 3*3*3 + 2}
	if _, err := Read(bytes.NewReader(text), exact); err != nil {
		t.Errorf("limits that are just reached: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*Limits)
		want   string
	}{
		"bytes":   {func(l *Limits) { l.Bytes-- }, "document of more than "},
		"frames":  {func(l *Limits) { l.Frames-- }, "more than 5 frames"},
		"names":   {func(l *Limits) { l.Names-- }, "more than 2 series"},
		"cells":   {func(l *Limits) { l.Cells-- }, "more than 17 values"},
		"chunks":  {func(l *Limits) { l.Chunks-- }, "more than 1 chunks"},
		"figures": {func(l *Limits) { l.Figures-- }, "more than 28 pooled figures"},
	} {
		l := exact
		test.change(&l)
		if _, err := Read(bytes.NewReader(text), l); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, test.want)
		}
	}
	// So do those of a record without figures of frames: its reader goes through them.
	compared := `"comparison": {"first_frame": 5, "end_frame": %d}`
	if _, err := Read(strings.NewReader(with(fmt.Sprintf(compared, 1006))), Limits{Frames: 1000}); !errors.Is(err, ErrLimit) {
		t.Errorf("1001 frames without figures: error %v", err)
	}
	if _, err := Read(strings.NewReader(with(fmt.Sprintf(compared, 1005))), Limits{Frames: 1000}); err != nil {
		t.Error(err)
	}
	// Frames that are not listed count: a table has a place for each.
	sparse := with(`"frames": {"end_frame": 1000, "numbers": [7], "series": {"a": [1], "b": [2]}}`)
	if _, err := Read(strings.NewReader(sparse), Limits{Cells: 1999}); !errors.Is(err, ErrLimit) {
		t.Errorf("2 values of 1000 frames each: error %v", err)
	}
	if _, err := Read(strings.NewReader(sparse), Limits{Cells: 2000, Frames: 1000}); err != nil {
		t.Error(err)
	}
}

// What a hostile document makes Read keep is bounded by its length.
func TestRead_Allocates(t *testing.T) {
	for name, text := range map[string]string{
		"many series":  with(`"frames": {"end_frame": 0, "series": {` + strings.ReplaceAll(manyMembers(1000), "null", "[]") + `}}`),
		"many strings": with(`"x": [` + strings.Repeat(`"`+strings.Repeat("y", 1000)+`",`, 10_000) + `0]`),
		"many objects": with(`"x": [` + strings.Repeat(`{"a": 0},`, 100_000) + `0]`),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Read(strings.NewReader(text), Limits{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if bytes, most := after.TotalAlloc-before.TotalAlloc, uint64(16*len(text)+1<<20); bytes > most {
			t.Errorf("%s: %d bytes allocated for %d, want at most %d", name, bytes, len(text), most)
		}
	}
}

func TestInteger(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0e99999999999999999999": 0, "0.000": 0, "7": 7, "7.0": 7, "70e-1": 7, "0.7e1": 7, "0.0007E+4": 7, "-12e3": -12000,
		"9007199254740993": 9007199254740993, "123456789012345678": 123456789012345678, "1234567890123456789": 1e18, "-1e30": -1e18,
	} {
		if got, ok := integer([]byte(text)); !ok || got != want {
			t.Errorf("integer(%s) = %d, %t, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"0.5", "1e-1", "1.00000000000000000000001", "12e-400", "1e-99999999999999999999"} {
		if got, ok := integer([]byte(text)); ok {
			t.Errorf("integer(%s) = %d, want none", text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples() {
		f.Add(write(f, s.document()))
	}
	f.Add([]byte(with(`"frames": {"end_frame": 9, "numbers": [1, 8], "series": {"a": [null, "nan"], "integer_adm2": [1e-400, -0.0]}}`)))
	f.Add([]byte(with(`"x": [{"\ud83d\ude00": "\\\u0000"}], "chunks": [{"first_frame": 1e0, "end_frame": 20e-1, "scores": {"a": {"p5": "inf"}}}]`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := Limits{Frames: 1 << 16, Cells: 1 << 20}
		d, err := Read(bytes.NewReader(text), limits)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, d); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Read(bytes.NewReader(b.Bytes()), limits)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, b.Bytes())
		}
		d.Unknown = nil
		if diff := cmp.Diff(d, again, same); diff != "" {
			t.Fatalf("read, written and read again: %s", diff)
		}
		if _, err := d.ImportRequest(); err != nil && !errors.Is(err, ErrLimit) {
			t.Fatalf("what was read cannot be imported: %v", err)
		}
	})
}

// large is a record of 10⁵ frames of 20 series with as many digits as they have.
func large() *Document {
	s := newSample(100_000)
	d := s.document()
	d.Frames.Columns = nil
	for i := range 20 {
		c := Column{Name: "series_" + string(rune('a'+i)), Values: make([]float64, d.Frames.Listed())}
		for k := range c.Values {
			c.Values[k] = 100 * math.Abs(math.Sin(float64(i*k+k)))
		}
		d.Frames.Columns = append(d.Frames.Columns, c)
	}
	d.Series = nil
	return d
}

func BenchmarkWrite(b *testing.B) {
	d := large()
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	text := write(b, large())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(text), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
