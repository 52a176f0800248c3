package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vqsd/vqsd/internal/golden"
	"github.com/vqsd/vqsd/server/ingest"
	"github.com/vqsd/vqsd/server/legacy"
	"github.com/vqsd/vqsd/server/record"
	"github.com/vqsd/vqsd/server/tabular"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
	"github.com/vqsd/vqsd/workflow"
	"github.com/vqsd/vqsd/workflow/rules"
)

// silent is a transport without workers.
type silent struct{}

func (silent) Publish(context.Context, string, string, []byte) error              { return nil }
func (silent) Handle(string, func(ctx context.Context, body []byte) []byte) error { return nil }
func (silent) Listen(string, func(body []byte)) error                             { return nil }
func (silent) Broadcast(string, []byte) error                                     { return nil }

// newService is a workflow with a store of its own.
func newService(t *testing.T) *workflow.Service {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), MinFreeBytes: -1, MemoryBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	made := 0
	w, err := workflow.New(workflow.Config{Store: s, Transport: silent{}, Rules: rules.Builtin(), NewID: func(time.Time) store.MeasurementID {
		made++
		return store.MeasurementID(fmt.Sprintf("%026d", made))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// imported is a file as a measurement.
func imported(t *testing.T, w *workflow.Service, name string, text []byte) *store.Measurement {
	t.Helper()
	c, err := ingest.Read(bytes.NewReader(text), ingest.File{Name: name}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	st, existed, err := w.Import(t.Context(), c.Request)
	if err != nil || existed {
		t.Fatalf("existed %t, %v", existed, err)
	}
	return st.Measurement
}

func write(t *testing.T, src Source, m *store.Measurement, f Format, opt Options) (string, []string) {
	t.Helper()
	var b bytes.Buffer
	losses, err := Write(t.Context(), &b, src, m, 0, f, opt)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return b.String(), losses
}

// sampleLogs calls test with every sample log.
func sampleLogs(t *testing.T, test func(t *testing.T, name string, text []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", "*", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if filepath.Ext(name) == ".txt" { // what programs print
			continue
		}
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			test(t, name, text)
		})
	}
}

// TestImportedComesOutAsItWentIn takes every sample log through the store.
func TestImportedComesOutAsItWentIn(t *testing.T) {
	w := newService(t)
	n := map[Format]int{}
	sampleLogs(t, func(t *testing.T, name string, text []byte) {
		m := imported(t, w, name, text)
		form := Format(m.Imported.Form)
		n[form]++
		got, losses := write(t, w, m, form, Options{})
		// JSON has no word for what is not finite, and null was written then already.
		losses = slices.DeleteFunc(losses, func(s string) bool { return form == JSON && strings.HasSuffix(s, "written as null") })
		if got != string(text) || len(losses) > 0 {
			t.Errorf("losses %q; it comes out as\n%s\nand went in as\n%s", losses, got, text)
		}
	})
	for _, f := range []Format{XML, JSON, CSV, SUB, VmafossexecXML, VmafossexecJSON, VmafossexecCSV, FFmpegPSNR, FFmpegSSIM} {
		if n[f] == 0 {
			t.Errorf("there is no sample log of %s", f)
		}
	}
}

// TestRecordsKeepWhatLogsSay takes every sample log to a record, that to another measurement, that to a record again, and the last one to the form
// that the log had.
func TestRecordsKeepWhatLogsSay(t *testing.T) {
	w := newService(t)
	sampleLogs(t, func(t *testing.T, name string, text []byte) {
		m := imported(t, w, name, text)
		form := Format(m.Imported.Form)
		for round := range 2 {
			document, losses := write(t, w, m, Record, Options{Version: "v1.2.3"})
			if len(losses) > 0 {
				t.Errorf("losses of record %d: %q", round, losses)
			}
			m = imported(t, w, "a.json", []byte(document))
			if m.Imported.Form != record.Form {
				t.Fatalf("the record was imported as %s", m.Imported.Form)
			}
			if got, _ := write(t, w, m, form, Options{}); got != string(text) {
				t.Errorf("of record %d it comes out as\n%s\nand went in as\n%s", round, got, text)
			}
		}
	})
}

// TestRecordsTimesThatNoVideoHas do not place the values of a page.
func TestRecordsTimesThatNoVideoHas(t *testing.T) {
	w := newService(t)
	m := imported(t, w, "a.json", []byte(`{"schema": "vqsd.encode-record/1", "distorted": {"name": "x"},
		"frames": {"end_frame": 3, "times": [2, 1, 0], "series": {"vmaf": [90, 91, 92]}}}`))
	if page, _ := write(t, w, m, HTML, Options{}); !strings.Contains(page, "vmaf of x") {
		t.Errorf("no page:\n%s", page)
	}
}

// TestModelThatNobodyKnows has no name rather than one that is made up.
func TestModelThatNobodyKnows(t *testing.T) {
	w := newService(t)
	m := imported(t, w, "a.csv", []byte("Frame,vmaf,\n0,90.000000,\n1,91.000000,\n"))
	for form, want := range map[Format]string{VmafossexecXML: `<params model="" `, VmafossexecJSON: `"model":"",`} {
		if got, _ := write(t, w, m, form, Options{}); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// whole is a source that has measured chunks, too.
type whole struct{ figures }

func (whole) Segments(context.Context, *store.Measurement, int, workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	return nil, nil
}

// TestRecordOfAMeasuredOne gives the logs that the measurement itself gives: their version is not that of the record's writer.
func TestRecordOfAMeasuredOne(t *testing.T) {
	for name, change := range map[string]func(m *store.Measurement){
		"measured": func(*store.Measurement) {},
		"the features of a log, scored anew": func(m *store.Measurement) {
			m.Rescored = testID
			m.Imported = &store.Imported{Form: string(XML), Version: "2.3.1", Series: []string{"VMAF_integer_feature_adm2_score"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, src := measured()
			m.Renditions[0].Scores = nil // so that all are of the frames
			change(m)
			w := newService(t)
			document, losses := write(t, whole{src}, m, Record, Options{Version: "1.0.0"})
			once := imported(t, w, "a.json", []byte(document))
			document, more := write(t, w, once, Record, Options{Version: "1.0.0"})
			twice := imported(t, w, "a.json", []byte(document))
			if len(losses) > 0 || len(more) > 0 {
				t.Errorf("losses %q, %q", losses, more)
			}
			for _, form := range []Format{XML, JSON, CSV, SUB, VmafossexecXML, VmafossexecJSON, VmafossexecCSV} {
				want, _ := write(t, src, m, form, Options{})
				want = strings.Replace(want, `timeTaken="4" `, "", 1) // records do not say when a measurement began
				for _, again := range []*store.Measurement{once, twice} {
					if got, _ := write(t, w, again, form, Options{}); got != want {
						t.Errorf("%s of the record is\n%s\nand of the measurement\n%s", form, got, want)
					}
				}
			}
		})
	}
}

// TestPoolOfAnImportedLog is honoured in the form that the log had, too.
func TestPoolOfAnImportedLog(t *testing.T) {
	text := `<?xml version="1.0"?>
<VMAF version="1.3.15">
	<params model="vmaf_v0.6.1.pkl" scaledWidth="576" scaledHeight="324" subsample="1" num_bootstrap_models="0" bootstrap_model_list_str="" />
	<fyi numOfFrames="2" aggregateVMAF="82.5" execFps="10" timeTaken="0.2" />
	<frames>
		<frame frameNum="0" vmaf="80" />
		<frame frameNum="1" vmaf="85" />
	</frames>
</VMAF>
`
	w := newService(t)
	m := imported(t, w, "a.xml", []byte(text))
	asked := func(form Format, pool string) string { got, _ := write(t, w, m, form, Options{Pool: pool}); return got }
	if got := asked(VmafossexecXML, ""); got != text {
		t.Errorf("without a pool it comes out as\n%s\nand went in as\n%s", got, text)
	}
	if got := asked(VmafossexecXML, "min"); !strings.Contains(got, `aggregateVMAF="80" poolMethod="min"`) {
		t.Errorf("the minimum is not in\n%s", got)
	}
	if got := asked(VmafossexecJSON, "min"); !strings.Contains(got, `"VMAF score":80.0`) {
		t.Errorf("the minimum is not in\n%s", got)
	}
	m = imported(t, w, "a.json", []byte(asked(VmafossexecJSON, "")))
	if got := asked(VmafossexecJSON, "min"); m.Imported.Form != string(VmafossexecJSON) || !strings.Contains(got, `"VMAF score":80.0`) {
		t.Errorf("the minimum is not in\n%s", got)
	}
}

// TestImportedKeepsItsVersion is with the log of another release of the 1.x tools than the one that vqsd names itself after.
func TestImportedKeepsItsVersion(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "legacy-logs", "vmafossexec-1.3.15", "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample logs, %v", err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`version="1.3.15"`), []byte(`version="1.3.9"`), 1)
	w := newService(t)
	if got, _ := write(t, w, imported(t, w, "a.xml", text), VmafossexecXML, Options{}); got != string(text) || !strings.Contains(got, "1.3.9") {
		t.Errorf("it comes out as\n%s\nand went in as\n%s", got, text)
	}
}

// TestImportedInAnotherForm keeps the file's own pooled figures, which no table of rounded ones gives.
func TestImportedInAnotherForm(t *testing.T) {
	w := newService(t)
	const pooled = "93.123457"
	log := `<VMAF version="2.3.1">
  <params qualityWidth="576" qualityHeight="324" />
  <fyi fps="12.50" />
  <frames>
    <frame frameNum="0" integer_adm2="0.950000" vmaf="93.000000" />
    <frame frameNum="1" integer_adm2="0.960000" vmaf="93.100000" />
  </frames>
  <pooled_metrics>
    <metric name="integer_adm2" min="0.950000" max="0.960000" mean="0.955000" harmonic_mean="0.954987" />
    <metric name="vmaf" min="93.000000" max="93.100000" mean="` + pooled + `" harmonic_mean="93.049960" />
  </pooled_metrics>
  <aggregate_metrics apsnr_y="40.100000" />
</VMAF>
`
	m := imported(t, w, "a.xml", []byte(log))
	json, _ := write(t, w, m, JSON, Options{})
	if !strings.Contains(json, pooled) || !strings.Contains(json, `"version": "2.3.1"`) || !strings.Contains(json, `"fps": 12.50`) {
		t.Errorf("as JSON of libvmaf's:\n%s", json)
	}
	old, losses := write(t, w, m, VmafossexecXML, Options{})
	if !strings.Contains(old, `version="1.3.15"`) || !strings.Contains(old, `adm2="`) || len(losses) == 0 {
		t.Errorf("losses %q; as XML of the 1.x tools:\n%s", losses, old)
	}
	csv, losses := write(t, w, m, CSV, Options{})
	if !slices.ContainsFunc(losses, func(s string) bool { return strings.Contains(s, "apsnr_y") }) {
		t.Errorf("losses %q; as CSV:\n%s", losses, csv)
	}
	var b bytes.Buffer
	if _, err := Write(t.Context(), &b, w, m, 0, FFmpegSSIM, Options{}); !errors.Is(err, ErrNotInForm) || b.Len() > 0 {
		t.Errorf("as SSIM of FFmpeg's: %v, with %d bytes written", err, b.Len())
	}
	page, _ := write(t, w, m, HTML, Options{})
	for _, part := range []string{"<!doctype html>", "vmaf of a", "imported from", "libvmaf"} {
		if !strings.Contains(strings.ToLower(page), part) {
			t.Errorf("the page has no %q", part)
		}
	}
}

func TestRecordComesBack(t *testing.T) {
	w := newService(t)
	m := imported(t, w, "a.csv", []byte("Frame,integer_adm2,vmaf,\n0,0.950000,90.000000,\n1,0.960000,91.000000,\n"))
	whole, _ := write(t, w, m, Record, Options{Version: "v1.2.3"})
	short, _ := write(t, w, m, Record, Options{Version: "v1.2.3", OmitFrames: true})
	if len(short) >= len(whole) {
		t.Errorf("%d bytes without frames, %d with", len(short), len(whole))
	}
	for _, text := range []string{whole, short} {
		d, err := record.Read(strings.NewReader(text), record.Limits{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		r, err := d.ImportRequest()
		if err != nil {
			t.Fatal(err)
		}
		r.Imported.Digest = strings.Repeat("0", 64) // of the file; package ingest fills it in
		st, _, err := newService(t).Import(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(pooledOf(&st.Measurement.Renditions[0], "vmaf")), fmt.Sprint(pooledOf(&m.Renditions[0], "vmaf")); got != want {
			t.Errorf("its scores are %s, and were %s", got, want)
		}
	}
}

// figures is a source of measured ones.
type figures struct{ table *vmaf.Table }

func (f figures) Frames(_ context.Context, _ store.MeasurementID, rendition string) (*workflow.Frames, error) {
	if f.table == nil {
		return nil, workflow.ErrNotStored
	}
	return &workflow.Frames{Name: rendition, Table: f.table}, nil
}

func (f figures) Segments(context.Context, *store.Measurement, int, workflow.SegmentLength) ([]workflow.SegmentScore, error) {
	return nil, workflow.ErrNotStored
}

// measured is a measurement of two frames that vqsd made in four seconds.
func measured() (*store.Measurement, figures) {
	at := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
	m := &store.Measurement{
		ID: testID, State: store.StateSucceeded, Created: at, Started: at, Finished: at.Add(4 * time.Second),
		Request: store.Request{
			Reference:  store.Source{Root: "clips", Path: "ref.mp4", URI: "clips:ref.mp4"},
			Renditions: []store.RenditionRequest{{Name: "a", Source: store.Source{Root: "clips", Path: "a.mp4", URI: "clips:a.mp4"}}},
			Labels:     map[string]string{"title": `<script>"x"</script>`},
		},
		Plan: &store.Plan{Models: []store.Model{{Name: "vmaf", Version: "vmaf_v0.6.1", Series: []string{"vmaf"}}}, Pools: []vmaf.PoolMethod{vmaf.PoolMean}},
		Renditions: []store.Rendition{{
			Name: "a", State: store.StateSucceeded, End: 2, Format: store.Format{Width: 576, Height: 324, BitDepth: 8, Subsampling: "4:2:0"},
			Scores: []store.Score{{Series: "vmaf", Model: "vmaf", Pooled: []store.Pooled{{Method: vmaf.PoolMean, Value: 90.5}}}},
		}},
	}
	return m, figures{&vmaf.Table{Frames: 2, Subsample: 1, Width: 576, Height: 324, Series: []vmaf.Series{
		{Name: "VMAF_integer_feature_adm2_score", Values: []float64{0.95, 0.96}}, {Name: "vmaf", Values: []float64{90, 91}},
	}}}
}

func TestMeasuredLog(t *testing.T) {
	m, src := measured()
	var want bytes.Buffer
	table := *src.table
	table.FPS = 0.5
	if err := legacy.Write(&want, legacy.XML, &table, legacy.WriteOptions{Version: "3.2.0"}); err != nil {
		t.Fatal(err)
	}
	if got, losses := write(t, src, m, XML, Options{}); got != want.String() || len(losses) > 0 {
		t.Errorf("losses %q; got\n%s\nwant\n%s", losses, got, want.String())
	}
	if src.table.FPS != 0 {
		t.Error("the table, which is shared, was changed")
	}
	old, _ := write(t, src, m, VmafossexecXML, Options{Pool: "min"})
	for _, part := range []string{`version="1.3.15"`, `model="vmaf_v0.6.1.pkl"`, `vmaf="90`, `timeTaken="4`} {
		if !strings.Contains(old, part) {
			t.Errorf("the log of the 1.x tools has no %s:\n%s", part, old)
		}
	}
	page, _ := write(t, src, m, HTML, Options{})
	if strings.Contains(page, "<script>") || !strings.Contains(page, "clips:ref.mp4") {
		t.Errorf("the page runs what a label says, or lacks the reference:\n%s", page)
	}
}

func TestNothingIsWrittenOfWhatIsNotThere(t *testing.T) {
	m, _ := measured()
	for _, f := range Formats() {
		opt := Options{}
		if f.Table() {
			opt.Granularity = tabular.Frame
		}
		var b bytes.Buffer
		if _, err := Write(t.Context(), &b, figures{}, m, 0, f, opt); !errors.Is(err, workflow.ErrNotStored) || b.Len() > 0 {
			t.Errorf("%s: %v, with %d bytes written", f, err, b.Len())
		}
	}
	_, src := measured()
	if _, err := Write(t.Context(), &bytes.Buffer{}, src, m, 1, XML, Options{}); !errors.Is(err, workflow.ErrNoRendition) {
		t.Errorf("rendition 1 of 1: %v", err)
	}
	if _, err := Write(t.Context(), &bytes.Buffer{}, src, m, 0, "yaml", Options{}); err == nil {
		t.Error("an unknown format is written")
	}
	if _, err := Write(t.Context(), &bytes.Buffer{}, src, m, 0, HTML, Options{Precision: 18, Pool: "x", OmitFrames: true, Granularity: tabular.Frame}); err == nil ||
		strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four options are wrong: %v", err)
	}
	src.table = &vmaf.Table{Frames: 2}
	if _, err := Write(t.Context(), &bytes.Buffer{}, src, m, 0, HTML, Options{}); !errors.Is(err, ErrNotInForm) {
		t.Errorf("a page without figures: %v", err)
	}
}

func TestTable(t *testing.T) {
	m, src := measured()
	for _, f := range []Format{TableCSV, TableParquet} {
		for _, g := range []tabular.Granularity{tabular.Aggregate, tabular.Frame} {
			opt := Options{Granularity: g}
			var b bytes.Buffer
			table, err := NewTable(&b, f, opt)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				file, err := Prepare(t.Context(), src, m, 0, f, opt)
				if err != nil {
					t.Fatal(err)
				}
				if err := table.Append(file); err != nil {
					t.Fatal(err)
				}
			}
			want := map[tabular.Granularity]int64{tabular.Aggregate: 3, tabular.Frame: 12}[g]
			if table.Rows() != want {
				t.Errorf("%s: %d rows, want %d", f, table.Rows(), want)
			}
			if err := table.Close(); err != nil {
				t.Fatal(err)
			}
			if lines := int64(strings.Count(b.String(), "\n")); f == TableCSV && lines != want+1 {
				t.Errorf("%d lines of %d rows", lines, want)
			}
			if one, _ := write(t, src, m, f, opt); len(one) == 0 || len(one) > b.Len() {
				t.Errorf("%s: a table of one rendition has %d bytes, one of three %d", f, len(one), b.Len())
			}
		}
	}
	if _, err := NewTable(&bytes.Buffer{}, XML, Options{}); !errors.Is(err, ErrNotInForm) {
		t.Errorf("a table of XML: %v", err)
	}
}
