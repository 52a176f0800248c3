package legacy

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vqsd/vqsd/vmaf"
)

var (
	inf = math.Inf(1)
	nan = math.NaN()
)

func TestAppendScore_SpecA2(t *testing.T) {
	for _, c := range []struct {
		what      string
		x         float64
		precision int
		want      string
	}{
		{"plain", 83.856284000421454, 0, "83.856284"},
		{"integer", 100, 0, "100.000000"},
		{"zero", 0, 0, "0.000000"},
		{"negative zero", math.Copysign(0, -1), 0, "-0.000000"},
		{"negative", -0.25, 0, "-0.250000"},
		{"tiny fraction", 0.0000004, 0, "0.0000004000000000"},
		{"tiny negative fraction", -0.0000004, 0, "-0.0000004000000000"},
		{"tiny fraction after an integer", 60 + 7.1e-15, 0, "60.0000000000000071"},
		{"just below an integer", 59.9999999, 0, "60.000000"},
		{"a millionth", 1e-6, 0, "0.000001"},
		// 1e-6 times ten six times is 1 or a bit below it, depending on the double one starts from.
		{"next below a millionth", math.Nextafter(1e-6, 0), 0, "0.0000010000000000"},
		{"next above a millionth", math.Nextafter(1e-6, 1), 0, "0.000001"},
		{"half of the last digit", 0.5e-6, 0, "0.0000005000000000"},
		{"smallest double", math.SmallestNonzeroFloat64, 0, "0.0000000000000000"},
		{"a double below the tie its text suggests", 0.5000005, 0, "0.500000"},
		{"an exact tie goes to even", 0x1p-7 + 1, 0, "1.007812"},
		{"an exact tie goes to even, odd digit", 3*0x1p-7 + 1, 0, "1.023438"},
		{"largest 32-bit integer", math.MaxInt32, 0, "2147483647.000000"},
		{"tiny fraction of a large integer", 2147483647 + 0x1p-21, 0, "2147483647.0000004768371582"},
		{"beyond 32 bits", 2147483648 + 0x1p-21, 0, "2147483648.000000"},
		{"far beyond", 1e22, 0, "10000000000000000000000.000000"},
		{"infinity", inf, 0, "inf"},
		{"negative infinity", -inf, 0, "-inf"},
		{"no number", nan, 0, "nan"},
		{"no number, sign set", math.Copysign(nan, -1), 0, "nan"},
		{"17 digits", 83.856284000421454, 17, "83.856284000421454"},
		{"17 digits of a short number", 0.5, 17, "0.5"},
		{"17 digits of an integer", 100, 17, "100"},
		{"17 digits, small", 1.0 / 2073600, 17, "4.822530864197531e-07"},
		{"17 digits, four zeros", 0.0001, 17, "0.0001"},
		{"17 digits, large", 1e17, 17, "1e+17"},
		{"17 digits, below large", 1e16, 17, "10000000000000000"},
		{"17 digits, infinity", inf, 17, "inf"},
		{"6 digits", 1234567, 6, "1.23457e+06"},
	} {
		if got := string(appendScore(nil, c.x, c.precision)); got != c.want {
			t.Errorf("%s: %v written as %s, want %s", c.what, c.x, got, c.want)
		}
	}
}

// awkward is a table of values that a formatter may get wrong.
func awkward() *vmaf.Table {
	values := []float64{
		0, math.Copysign(0, -1), 1e-6, math.Nextafter(1e-6, 0), math.Nextafter(1e-6, 1), 1e-7, -1e-7, 5e-324, 2.2e-308,
		60 + 7.1e-15, 59.9999999, 99.9999995, 2147483647.5, 2147483648.0000005, -2147483648, 1e300, -1e300, math.MaxFloat64, 100, -1,
	}
	a := &vmaf.Table{Frames: len(values), Width: 16, Height: 16, FPS: 25.5, Series: []vmaf.Series{{Name: "a", Values: values}}}
	reversed := make([]float64, len(values))
	for i, x := range values {
		reversed[len(values)-1-i] = x
	}
	a.Series = append(a.Series, vmaf.Series{Name: "b", Values: reversed})
	a.Aggregates = []vmaf.Aggregate{{Name: "apsnr_y", Value: 1e-7}, {Name: "apsnr_cb", Value: nan}, {Name: "apsnr_cr", Value: -inf}}
	return a
}

// What is written comes back: exactly with 17 digits.
func TestWriteRead_RoundTrip(t *testing.T) {
	for f := XML; f <= SUB; f++ {
		var out bytes.Buffer
		table := awkward()
		if err := Write(&out, f, table, WriteOptions{Version: "3.2.0", Precision: 17}); err != nil {
			t.Fatal(err)
		}
		log, format, err := Read(&out)
		if err != nil || format != f {
			t.Fatalf("%v: read as %v: %v", f, format, err)
		}
		compareLog(t, log, table, f)
		for k, s := range table.Series {
			for i, want := range s.Values {
				if got := log.Series[k].Values[i]; math.Float64bits(got) != math.Float64bits(want) {
					t.Errorf("%v: %s of frame %d: %v, want %v", f, s.Name, i, got, want)
				}
			}
		}
	}
}

// gaps is a table where series a lacks frame 1, b frames 0 and 2, and no series has frame 3.
func gaps() *vmaf.Table {
	return &vmaf.Table{
		Frames: 5, Width: 64, Height: 48, FPS: 10,
		Series: []vmaf.Series{
			{Name: "a", Values: []float64{1, 0, 3, 0, inf}, Present: []bool{true, false, true, false, true}},
			{Name: "b", Values: []float64{0, 2}, Present: []bool{false, true}},
		},
	}
}

func TestWrite_MissingValues(t *testing.T) {
	for f, want := range map[Format]string{
		XML: `<VMAF version="v">
  <params qualityWidth="64" qualityHeight="48" />
  <fyi fps="10.00" />
  <frames>
    <frame frameNum="0" a="1.000000" />
    <frame frameNum="1" b="2.000000" />
    <frame frameNum="2" a="3.000000" />
    <frame frameNum="4" a="inf" />
  </frames>
  <pooled_metrics>
    <metric name="a" />
    <metric name="b" />
  </pooled_metrics>
  <aggregate_metrics />
</VMAF>
`,
		JSON: `{
  "version": "v",
  "fps": 10.00,
  "frames": [
    {
      "frameNum": 0,
      "metrics": {
        "a": 1.000000
      }
    },
    {
      "frameNum": 1,
      "metrics": {
        "b": 2.000000
      }
    },
    {
      "frameNum": 2,
      "metrics": {
        "a": 3.000000
      }
    },
    {
      "frameNum": 4,
      "metrics": {
        "a": null      }
    }
  ],
  "pooled_metrics": {
    "a": {
    },
    "b": {
    }
  },
  "aggregate_metrics": {
  }
}
`,
		SUB: `{0}{1}frame: 0|a: 1.000000|
{1}{2}frame: 1|b: 2.000000|
{2}{3}frame: 2|a: 3.000000|
{4}{5}frame: 4|a: inf|
`,
	} {
		var out bytes.Buffer
		if err := Write(&out, f, gaps(), WriteOptions{Version: "v"}); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%v: %s", f, firstDifference(out.String(), want))
		}
		log, _, err := Read(&out)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := log.Column("b")
		if len(log.Frames) != 4 || log.Frames[3] != 4 || len(b.Present) != 4 || b.Present[0] || !b.Present[1] || b.Present[3] {
			t.Errorf("%v: read back as frames %v, b %+v", f, log.Frames, b)
		}
	}
}

func TestWrite_NoFrames(t *testing.T) {
	table := &vmaf.Table{Width: 64, Height: 48, FPS: nan}
	for f, want := range map[Format]string{
		XML:  "<VMAF version=\"v\">\n  <params qualityWidth=\"64\" qualityHeight=\"48\" />\n  <fyi fps=\"nan\" />\n  <frames>\n  </frames>\n  <pooled_metrics>\n  </pooled_metrics>\n  <aggregate_metrics />\n</VMAF>\n",
		JSON: "{\n  \"version\": \"v\",\n  \"fps\": null,\n  \"frames\": [\n  ],\n  \"pooled_metrics\": {\n  },\n  \"aggregate_metrics\": {\n  }\n}\n",
		CSV:  "Frame,\n",
		SUB:  "",
	} {
		var out bytes.Buffer
		if err := Write(&out, f, table, WriteOptions{Version: "v"}); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%v: %s", f, firstDifference(out.String(), want))
		}
	}
}

func TestWrite_ShortestExample(t *testing.T) {
	table := &vmaf.Table{Frames: 1, Width: 1920, Height: 1080, FPS: inf, Series: []vmaf.Series{{Name: "psnr_y", Values: []float64{41.5}}}}
	var out bytes.Buffer
	if err := Write(&out, CSV, table, WriteOptions{Version: "3.2.0"}); err != nil {
		t.Fatal(err)
	}
	if want := "Frame,psnr_y,\n0,41.500000,\n"; out.String() != want {
		t.Error(firstDifference(out.String(), want))
	}
}

func TestWrite_RefusesBrokenFiles(t *testing.T) {
	named := func(names ...string) *vmaf.Table {
		table := &vmaf.Table{Frames: 1, Width: 1, Height: 1}
		for _, name := range names {
			table.Series = append(table.Series, vmaf.Series{Name: name, Values: []float64{1}})
		}
		return table
	}
	late := &vmaf.Table{Frames: 2, Series: []vmaf.Series{{Name: "a", Values: []float64{0, 1}, Present: []bool{false, true}}}}
	aggregate := named("a")
	aggregate.Aggregates = []vmaf.Aggregate{{Name: `x"`, Value: 1}}
	twice := named("a")
	twice.Aggregates = []vmaf.Aggregate{{Name: "x"}, {Name: "x"}}
	for _, c := range []struct {
		what    string
		formats string
		table   *vmaf.Table
		opt     WriteOptions
	}{
		{"quote in a name", "xml json csv", named(`vmaf"`), WriteOptions{}},
		{"less-than sign in a name", "xml", named("vmaf<"), WriteOptions{}},
		{"ampersand in a name", "xml", named("a&b"), WriteOptions{}},
		{"blank in a name", "xml", named("my model"), WriteOptions{}},
		{"colon in a name", "xml sub", named("a:b"), WriteOptions{}},
		{"name begins with a digit", "xml", named("4k"), WriteOptions{}},
		{"letter beyond ASCII", "xml", named("modèle"), WriteOptions{}},
		{"name of the number's attribute", "xml", named("frameNum"), WriteOptions{}},
		{"name of the number's column", "csv", named("Frame"), WriteOptions{}},
		{"name of vmafossexec's second column", "csv", named("Width", "vmaf"), WriteOptions{}},
		{"backslash in a name", "xml json", named(`a\b`), WriteOptions{}},
		{"comma in a name", "xml csv", named("a,b"), WriteOptions{}},
		{"bar in a name", "xml sub", named("a|b"), WriteOptions{}},
		{"control character in a name", "xml json csv sub", named("a\nb"), WriteOptions{}},
		{"not UTF-8", "xml json csv sub", named("a\xff"), WriteOptions{}},
		{"empty name", "xml json csv sub", named(""), WriteOptions{}},
		{"name twice", "xml json csv sub", named("vmaf", "vmaf"), WriteOptions{}},
		{"name twice after renaming", "xml json csv sub", named("integer_adm2", "VMAF_integer_feature_adm2_score"), WriteOptions{}},
		{"quote in the version", "xml json", named("a"), WriteOptions{Version: `"`}},
		{"aggregate's name", "xml json", aggregate, WriteOptions{}},
		{"aggregate twice", "xml json", twice, WriteOptions{}},
		{"JSON begins with a comma", "json", late, WriteOptions{}},
		{"CSV columns shift", "csv", gaps(), WriteOptions{}},
	} {
		for f := XML; f <= SUB; f++ {
			var out bytes.Buffer
			err := Write(&out, f, c.table, c.opt)
			if refuse := strings.Contains(c.formats, f.String()); refuse != errors.Is(err, ErrUnwritable) || !refuse && err != nil {
				t.Errorf("%s: %v: error %v, want refused: %v", c.what, f, err, refuse)
			}
			if err != nil && out.Len() > 0 {
				t.Errorf("%s: %v: %d bytes written before the refusal", c.what, f, out.Len())
			}
		}
	}
}

func TestWrite_BadArguments(t *testing.T) {
	ok := &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "a", Values: []float64{1}}}}
	for what, write := range map[string]func() error{
		"unknown format": func() error { return Write(io.Discard, 9, ok, WriteOptions{}) },
		"precision 18":   func() error { return Write(io.Discard, XML, ok, WriteOptions{Precision: 18}) },
		"too many values": func() error {
			return Write(io.Discard, XML, &vmaf.Table{Series: ok.Series}, WriteOptions{})
		},
		"marks do not match": func() error {
			return Write(io.Discard, XML, &vmaf.Table{Frames: 1, Series: []vmaf.Series{{Name: "a", Values: []float64{1}, Present: []bool{}}}}, WriteOptions{})
		},
	} {
		if write() == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWrite_ReportsTheWritersError(t *testing.T) {
	for f := range Format(len(formatNames)) {
		if err := Write(brokenWriter{}, f, tableFor(f), WriteOptions{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%v: error %v, want the writer's", f, err)
		}
	}
}

func TestRead_ReportsTheReadersError(t *testing.T) {
	for f := range Format(len(formatNames)) {
		var out bytes.Buffer
		if err := Write(&out, f, tableFor(f), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		half := io.MultiReader(io.LimitReader(&out, int64(out.Len()/2)), iotest.ErrReader(io.ErrNoProgress))
		if _, _, err := Read(half); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%v: error %v, want the reader's", f, err)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for f := XML; f <= SUB; f++ {
		if got, err := ParseFormat(strings.ToUpper(f.String())); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	for f := range Format(len(formatNames)) {
		if got, err := ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
		got, ok := FormatOf("log." + f.String())
		if libvmaf := f <= SUB; ok != libvmaf || libvmaf && got != f {
			t.Errorf("by extension .%v: %v, %v", f, got, ok)
		}
	}
	if _, err := ParseFormat("yaml"); err == nil || !strings.Contains(err.Error(), "xml, json, csv, sub") {
		t.Errorf("error %v, want one that lists the formats", err)
	}
}
