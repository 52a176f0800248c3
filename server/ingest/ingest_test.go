package ingest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
)

// goldenLogs are the sample logs of the original tools.
func goldenLogs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", "*", "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample logs in %s (%v)", golden.Dir(t), err)
	}
	return slices.DeleteFunc(files, func(name string) bool { return filepath.Ext(name) == ".txt" }) // what programs print
}

// small is a log of two frames.
const small = "Frame,integer_adm2,vmaf,\n0,0.950000,90.000000,\n1,0.960000,91.000000,\n"

func TestRead_goldenLogsComeBackByteForByte(t *testing.T) {
	for _, name := range goldenLogs(t) {
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Read(iotest.OneByteReader(bytes.NewReader(text)), File{Name: name}, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			i := &c.Request.Imported
			if want := fmt.Sprintf("%x", sha256.Sum256(text)); i.Digest != want || len(i.Losses) > 0 {
				t.Errorf("digest %s, want %s; losses %q", i.Digest, want, i.Losses)
			}
			form, err := legacy.ParseFormat(i.Form)
			if err != nil {
				t.Fatal(err)
			}
			var again bytes.Buffer
			if err := legacy.Write(&again, form, c.Request.Table, WriteOptions(i)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), text) {
				t.Errorf("got\n%s\nwant\n%s", again.Bytes(), text)
			}
		})
	}
}

func TestRead_scoresAreToldByTheirNames(t *testing.T) {
	read := func(form, name string) workflow.ImportRequest {
		t.Helper()
		f, err := os.Open(filepath.Join(golden.Dir(t), "legacy-logs", form, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := Read(f, File{Name: name}, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Request
	}
	two := read("libvmaf-3.2.0", "two-models.xml")
	if len(two.Models) != 2 || two.Models[0].Name != "vmaf" || two.Models[1].Name != "vmaf_neg" || two.Models[0].Version != "" {
		t.Errorf("two models: %+v", two.Models)
	}
	if p := two.Imported.Pooled[slices.IndexFunc(two.Imported.Pooled, func(s store.Score) bool { return s.Series == "vmaf_neg" })]; p.Model != "vmaf_neg" {
		t.Errorf("pooled score %+v", p)
	}
	collection := read("libvmaf-3.2.0", "collection.json")
	if len(collection.Models) != 1 || len(collection.Models[0].Series) != 25 || collection.Models[0].Series[0] != "vmaf" {
		t.Errorf("a collection: %+v", collection.Models)
	}
	old := read("vmafossexec-1.3.15", "psnr-ssim-msssim.xml")
	if len(old.Models) != 1 || old.Models[0].Version != "vmaf_v0.6.1" {
		t.Errorf("of 1.x: %+v", old.Models)
	}
}

func TestRead_whatIsKnownBesideTheContent(t *testing.T) {
	resolve := func(uri string) store.Source { return store.Source{Root: "clips", Path: "/" + uri, URI: uri} }
	when := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		file File
		want string // rendition
	}{
		{"nothing but its name", File{Name: "logs/title_720p.xml"}, "title_720p"},
		{"a name of another system", File{Name: `C:\logs\a.b.csv`}, "a.b"},
		{"a name that is all extension", File{Name: ".csv"}, ".csv"},
		{"the distorted video", File{Name: "x.xml", Distorted: "clips:a/b.mp4"}, "b"},
		{"a name for it", File{Name: "x.xml", Distorted: "clips:a/b.mp4", Rendition: "720p"}, "720p"},
	} {
		c.file.Reference, c.file.Resolve, c.file.Measured, c.file.Labels = "r.mp4", resolve, when, map[string]string{"k": "v"}
		got, err := Read(strings.NewReader(small), c.file, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		r := got.Request
		if r.Rendition.Name != c.want || r.Reference.Root != "clips" || !r.Measured.Equal(when) || r.Labels["k"] != "v" || got.Listed != 2 || r.Imported.File != c.file.Name {
			t.Errorf("%s: %+v", c.name, r)
		}
		if (r.Rendition.Source.Root == "clips") != (c.file.Distorted != "") {
			t.Errorf("%s: distorted %+v", c.name, r.Rendition.Source)
		}
	}
}

func TestRead_aRecordsWordCounts(t *testing.T) {
	now := time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC)
	m := &store.Measurement{
		ID: "00000000000000000000000000", State: store.StateSucceeded, Created: now, Started: now, Finished: now,
		Request: store.Request{
			Reference: store.Source{URI: "ref.mp4"}, Labels: map[string]string{"title": "own"},
			Renditions: []store.RenditionRequest{{Name: "720p", Source: store.Source{URI: "720p.mp4"}}},
		},
		Plan:       &store.Plan{Pools: []vmaf.PoolMethod{vmaf.PoolMean}, Chunks: []store.Chunk{{End: 2}}},
		Renditions: []store.Rendition{{Name: "720p", State: store.StateSucceeded, End: 2, Format: store.Format{Width: 64, Height: 36, BitDepth: 8, Subsampling: "4:2:0"}}},
	}
	f := &workflow.Frames{Name: "720p", Table: &vmaf.Table{Frames: 2, Subsample: 1, Width: 64, Height: 36, Series: []vmaf.Series{{Name: "psnr_y", Values: []float64{math.Pi, math.Inf(1)}}}}}
	var text bytes.Buffer
	if err := record.Write(&text, record.FromMeasurement(m, 0, f, nil, "test")); err != nil {
		t.Fatal(err)
	}
	c, err := Read(&text, File{Name: "x.json", Rendition: "other", Labels: map[string]string{"title": "given", "more": "1"}, Resolve: Unrooted, Distorted: "other.mp4"}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Request
	if r.Rendition.Name != "720p" || r.Rendition.Source.URI != "720p.mp4" || r.Labels["title"] != "own" || r.Labels["more"] != "1" || !r.Measured.Equal(now) {
		t.Errorf("request %+v", r)
	}
	if v, ok := r.Table.Series[0].At(0); !ok || v != math.Pi || c.Listed != 2 || r.Imported.Form != "record" {
		t.Errorf("figures %+v, %d listed, form %s", r.Table, c.Listed, r.Imported.Form)
	}
}

func TestRead_seventeenDigitsKeepEveryBit(t *testing.T) {
	odd := []float64{math.Pi, 1.0 / 3, 5e-324, math.MaxFloat64, math.Inf(-1), math.Nextafter(1, 2), 0.1 + 0.2}
	table := &vmaf.Table{Frames: len(odd), Subsample: 1, Width: 64, Height: 36, Series: []vmaf.Series{{Name: "integer_adm2", Values: odd}}}
	for _, form := range []legacy.Format{legacy.XML, legacy.CSV, legacy.SUB} { // JSON has null for what is not finite
		var text bytes.Buffer
		if err := legacy.Write(&text, form, table, legacy.WriteOptions{Version: "3.2.0", Precision: 17}); err != nil {
			t.Fatal(err)
		}
		c, err := Read(&text, File{Name: "x"}, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range odd {
			if got, ok := c.Request.Table.Series[0].At(i); !ok || math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%v, frame %d: %v, want %v", form, i, got, want)
			}
		}
	}
}

func TestRead_refuses(t *testing.T) {
	broken := errors.New("broken")
	names := "Frame,"
	for i := range 600 {
		names += fmt.Sprint("s", i, ",")
	}
	const endless = `{"schema": "vqsd.encode-record/1", "distorted": {"name": "x"}, "comparison": {"end_frame": 9000000000000000}, "scores": {"vmaf": {"mean": 5}}}`
	for _, c := range []struct {
		name, text string
		file       File
		limits     Limits
		in         io.Reader
		want       error
		part       string
	}{
		{name: "nothing at all", want: legacy.ErrMalformed, part: "empty"},
		{name: "cut off", text: small[:len(small)-6], want: legacy.ErrMalformed, part: "line 3"},
		{name: "another form than said", text: small, file: File{Format: "json"}, want: ErrForm, part: "the file has the form csv"},
		{name: "no form", text: small, file: File{Format: "html"}, want: ErrForm, part: "html"},
		{name: "no form, and which there are", text: small, file: File{Format: "html"}, want: ErrForm, part: "ffmpeg-ssim), or record"},
		{name: "a record of no figures for ever", text: endless, want: record.ErrLimit, part: "/comparison/end_frame"},
		{name: "a record that is none", text: small, file: File{Format: "record"}, want: record.ErrMalformed},
		{name: "a record cut off", text: `{"schema": "vqsd.encode-record/1",`, want: record.ErrMalformed},
		{name: "a record of a later version", text: `{"schema": "vqsd.encode-record/9"}`, want: record.ErrSchema},
		{name: "too many names", text: names, want: legacy.ErrLimit, part: "512"},
		{name: "too many values", text: small, limits: Limits{Cells: 3}, want: legacy.ErrLimit},
		{name: "a frame in the far future", text: "Frame,a,\n2000000000,1.000000,\n", want: legacy.ErrLimit},
		{name: "a video", text: "\x00\x00\x00\x18ftypmp42", want: legacy.ErrMalformed},
		{name: "a stream that breaks", in: io.MultiReader(strings.NewReader(small), iotest.ErrReader(broken)), want: broken},
	} {
		in := c.in
		if in == nil {
			in = strings.NewReader(c.text)
		}
		_, err := Read(in, c.file, c.limits)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.part) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.part)
		}
	}
	_, err := Read(strings.NewReader(small), File{}, Limits{Bytes: int64(len(small)) - 1})
	if limit, ok := errors.AsType[*workflow.LimitError](err); !ok || limit.Key != SizeKey {
		t.Errorf("a byte too long: %v", err)
	}
	if _, err := Read(strings.NewReader(small), File{}, Limits{Bytes: int64(len(small))}); err != nil {
		t.Errorf("just not too long: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"schema": "vqsd.encode-record/1", "frames": {"series": {"a": [1, null, "inf"]}}}`))
	f.Add([]byte("Frame,vmaf,vmaf_0001,vmaf_bagging,\n0,1.0,2.0,3.0,\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Read(bytes.NewReader(text), File{Name: "x.log"}, Limits{Frames: 1000, Cells: 10000})
		if err != nil {
			return
		}
		r := &c.Request
		if r.Rendition.Name == "" || r.Imported.Digest != fmt.Sprintf("%x", sha256.Sum256(text)) {
			t.Fatalf("request %+v", r)
		}
		for _, m := range r.Models {
			if m.Name == "" || len(m.Series) == 0 {
				t.Fatalf("model %+v", m)
			}
		}
	})
}
