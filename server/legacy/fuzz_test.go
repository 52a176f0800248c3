package legacy

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/vmaf"
)

// fuzzLimits keep an iteration quick.
var fuzzLimits = Limits{Bytes: 1 << 20, Frames: 1 << 10, Names: 1 << 8, Cells: 1 << 14}

// checkLog fails when a log breaks what Log promises.
func checkLog(t *testing.T, log *Log) {
	t.Helper()
	for i := 1; i < len(log.Frames); i++ {
		if log.Frames[i] <= log.Frames[i-1] {
			t.Fatalf("frames %d, %d", log.Frames[i-1], log.Frames[i])
		}
	}
	names := map[string]bool{}
	for _, s := range log.Series {
		if s.Name == "" || names[s.Name] {
			t.Fatalf("name %q is empty or occurs twice", s.Name)
		}
		names[s.Name] = true
		if len(s.Values) != len(log.Frames) || s.Present != nil && len(s.Present) != len(s.Values) {
			t.Fatalf("%s: %d values, %d marks, %d frames", s.Name, len(s.Values), len(s.Present), len(log.Frames))
		}
		for i, x := range s.Values {
			if s.Present != nil && !s.Present[i] && !math.IsNaN(x) {
				t.Fatalf("%s: missing value is %v", s.Name, x)
			}
		}
	}
	if len(log.Series)*len(log.Frames) > fuzzLimits.Cells {
		t.Fatalf("%d series of %d frames, beyond the limit", len(log.Series), len(log.Frames))
	}
	if log.Generation.Program == "" || (log.Generation.First == "") != (log.Generation.Last == "") {
		t.Fatal("no generation")
	}
}

// checkRewrite writes what a log says and reads it again: the same log, where it can be written at all.
func checkRewrite(t *testing.T, log *Log, f Format) {
	t.Helper()
	table := &vmaf.Table{Width: log.Width, Height: log.Height, FPS: log.FPS, Aggregates: log.Aggregates}
	const most = 1 << 12 // frames; a number in a log may be far larger
	if n := len(log.Frames); n > 0 {
		if table.Frames = log.Frames[n-1] + 1; table.Frames > most {
			return
		}
	}
	for _, s := range log.Series {
		wide := vmaf.Series{Name: s.Name, Values: make([]float64, table.Frames), Present: make([]bool, table.Frames)}
		for row, i := range log.Frames {
			wide.Values[i], wide.Present[i] = s.Values[row], s.Present == nil || s.Present[row]
		}
		table.Series = append(table.Series, wide)
		if vmaf.Alias(s.Name) != s.Name {
			return // comes back under its written name
		}
	}
	var out bytes.Buffer
	if err := Write(&out, f, table, WriteOptions{Version: log.Version, Precision: 17}); err != nil || out.Len() == 0 {
		return
	}
	again, format, err := ReadLimited(&out, Limits{})
	if err != nil || format != f {
		t.Fatalf("written anew, it reads as %v: %v", format, err)
	}
	for _, s := range log.Series {
		got, ok := again.Column(s.Name)
		rows := map[int]int{}
		for row, i := range again.Frames {
			rows[i] = row
		}
		for row, i := range log.Frames {
			if s.Present != nil && !s.Present[row] {
				continue
			}
			k, listed := rows[i]
			want := s.Values[row]
			if f == JSON && notFinite(want) {
				want = math.NaN()
			}
			if !ok || !listed || got.Values[k] != want && !(math.IsNaN(got.Values[k]) && math.IsNaN(want)) {
				t.Fatalf("%s of frame %d changed from %v", s.Name, i, want)
			}
		}
	}
}

// seeds adds small logs of a format, sound ones and damaged ones.
func seeds(f *testing.F, format Format) {
	for _, table := range []*vmaf.Table{awkward(), gaps(), {}} {
		for _, precision := range []int{0, 17} {
			var out bytes.Buffer
			if err := Write(&out, format, table, WriteOptions{Version: "3.2.0", Precision: precision}); err != nil {
				continue // gaps have no sound form in CSV
			}
			f.Add(out.Bytes())
			f.Add(out.Bytes()[:out.Len()/2])
		}
	}
}

func fuzzOne(f *testing.F, format Format, read func(*input, *builder) error) {
	seeds(f, format)
	f.Fuzz(func(t *testing.T, text []byte) {
		in := newInput(bytes.NewReader(text), fuzzLimits)
		b := newBuilder(fuzzLimits, format)
		if err := read(in, b); err != nil {
			if message := in.fail(err).Error(); !strings.HasPrefix(message, "line ") {
				t.Fatalf("error %q names no line", message)
			}
			return
		}
		log := b.finish()
		checkLog(t, log)
		checkRewrite(t, log, format)
	})
}

func FuzzReadXML(f *testing.F)  { fuzzOne(f, XML, readXML) }
func FuzzReadJSON(f *testing.F) { fuzzOne(f, JSON, readJSON) }
func FuzzReadCSV(f *testing.F)  { fuzzOne(f, CSV, readCSV) }
func FuzzReadSUB(f *testing.F)  { fuzzOne(f, SUB, readSUB) }

func FuzzRead(f *testing.F) {
	for format := XML; format <= SUB; format++ {
		seeds(f, format)
	}
	if os.Getenv("VQSD_GOLDEN") != "" { // the sample logs, where asked for: slow seeds
		for _, path := range sampleFiles(f) {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		log, format, err := ReadLimited(bytes.NewReader(text), fuzzLimits)
		if err != nil {
			return
		}
		checkLog(t, log)
		checkRewrite(t, log, format)
	})
}
