package legacy

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

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
	if n := len(log.Frames); n > 0 {
		if frames := log.Frames[n-1] + 1; len(log.Series)*frames > fuzzLimits.Cells || frames > fuzzLimits.Frames {
			t.Fatalf("%d series of %d frames, beyond the limit", len(log.Series), frames)
		}
	}
	if len(log.Unknown) > maxUnknown+1 {
		t.Fatalf("%d unknown paths: %q", len(log.Unknown), log.Unknown)
	}
	for i, path := range log.Unknown {
		if path == "" || len(path) >= 256 || slices.Contains(log.Unknown[:i], path) || !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Fatalf("unknown path %q of %q", path, log.Unknown)
		}
	}
	for _, p := range log.Pooled {
		for _, figure := range p.Figures {
			if m, err := vmaf.ParsePoolMethod(figure.Name); err != nil || string(m) != figure.Name {
				t.Fatalf("figure of %s by %q: %v", p.Name, figure.Name, err)
			}
		}
	}
	if log.Generation.Program == "" || (log.Generation.First == "") != (log.Generation.Last == "") {
		t.Fatal("no generation")
	}
}

// checkRewrite writes what a log says and reads it again: the same figures, and the same file again of them, where it can be written at all.
func checkRewrite(t *testing.T, log *Log, f Format) {
	t.Helper()
	for _, s := range log.Series {
		if vmaf.Alias(s.Name) != s.Name {
			return // comes back under its written name
		}
	}
	rewrite := func(log *Log) []byte {
		opt := log.WriteOptions()
		opt.Precision = 17 // less rounds again what was rounded
		var out bytes.Buffer
		if err := Write(&out, f, log.Table(), opt); err != nil {
			if !errors.Is(err, ErrUnwritable) {
				t.Fatalf("a log that was read cannot be written: %v", err)
			}
			return nil
		}
		return out.Bytes()
	}
	losses := Losses(f, log.Table(), log.WriteOptions())
	first := rewrite(log)
	if len(first) == 0 {
		return
	}
	again, format, err := Read(bytes.NewReader(first))
	if err != nil || format != f {
		t.Fatalf("written anew, it reads as %v: %v", format, err)
	}
	if second := rewrite(again); f != SUB && !bytes.Equal(first, second) { // SUB's columns have the order of their appearance
		t.Fatal(firstDifference(string(second), string(first)))
	}
	for _, s := range log.Series {
		got, ok := again.Column(s.Name)
		if !ok && len(losses) > 0 {
			continue // nothing that nobody was told of
		}
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
	add := func(table *vmaf.Table, opt WriteOptions) {
		var out bytes.Buffer
		if err := Write(&out, format, table, opt); err != nil {
			return // gaps have no sound form in CSV, nor awkward values in most
		}
		f.Add(out.Bytes())
		f.Add(out.Bytes()[:out.Len()/2])
	}
	for _, table := range []*vmaf.Table{awkward(), tableFor(format), gaps(), modern(), {}} {
		for _, precision := range []int{0, 17} {
			add(table, WriteOptions{Version: "3.2.0", Precision: precision})
		}
	}
	for seed := range uint64(5) {
		add(generated(rand.New(rand.NewPCG(seed, uint64(format))), format))
	}
}

func fuzzOne(f *testing.F, read func(*input, *builder) error, formats ...Format) {
	for _, c := range unknowns {
		f.Add([]byte(c.text))
	}
	for _, format := range formats {
		seeds(f, format)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in := newInput(bytes.NewReader(text), fuzzLimits)
		b := newBuilder(fuzzLimits, formats[0])
		if err := read(in, b); err != nil {
			if message := in.fail(err).Error(); !strings.HasPrefix(message, "line ") {
				t.Fatalf("error %q names no line", message)
			}
			return
		}
		log := b.finish()
		checkLog(t, log)
		checkRewrite(t, log, b.format)
	})
}

func FuzzReadXML(f *testing.F)        { fuzzOne(f, readXML, XML, VmafossexecXML) }
func FuzzReadJSON(f *testing.F)       { fuzzOne(f, readJSON, JSON, VmafossexecJSON) }
func FuzzReadCSV(f *testing.F)        { fuzzOne(f, readCSV, CSV, VmafossexecCSV) }
func FuzzReadSUB(f *testing.F)        { fuzzOne(f, readSUB, SUB) }
func FuzzReadFFmpegPSNR(f *testing.F) { fuzzOne(f, readFFmpegPSNR, FFmpegPSNR) }
func FuzzReadFFmpegSSIM(f *testing.F) { fuzzOne(f, readFFmpegSSIM, FFmpegSSIM) }

func FuzzRead(f *testing.F) {
	for format := range Format(len(formatNames)) {
		seeds(f, format)
	}
	if os.Getenv("VQSD_GOLDEN") != "" { // the sample logs, where asked for: slow seeds
		for _, path := range allSamples(f) {
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

// FuzzRoundTrip writes a table of random content twice, the second time from what was read of the first.
func FuzzRoundTrip(f *testing.F) {
	for format := range uint8(len(formatNames)) {
		f.Add(format, uint64(1))
	}
	f.Fuzz(func(t *testing.T, format uint8, seed uint64) {
		if int(format) < len(formatNames) {
			checkGenerated(t, Format(format), seed)
		}
	})
}
