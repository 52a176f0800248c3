package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// importOf is a request to import a table under a digest made of name.
func importOf(name string, t *vmaf.Table, models ...store.Model) ImportRequest {
	return ImportRequest{
		Owner: "farm", Labels: map[string]string{"title": name}, Table: t, Models: models,
		Reference: store.Source{URI: "ref.mp4", Path: "ref.mp4"},
		Rendition: store.RenditionRequest{Source: store.Source{URI: name, Path: name}, Name: name},
		Imported:  store.Imported{Form: "xml", Digest: fmt.Sprintf("%064x", name), File: name + ".xml"},
	}
}

// theScore is the model of an imported score called vmaf.
var theScore = store.Model{Name: "vmaf", Series: []string{"vmaf"}}

// oddTable has every kind of value that a log can hold.
func oddTable() *vmaf.Table {
	values := []float64{1, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5e-324, 0.1}
	frames := len(values)
	t := &vmaf.Table{Frames: frames, Subsample: 1, Width: 576, Height: 324, FPS: math.NaN(), Aggregates: []vmaf.Aggregate{{Name: "apsnr_y", Value: math.Inf(-1)}}}
	t.Series = append(t.Series, vmaf.Series{Name: "whole", Values: values})
	gaps := vmaf.Series{Name: "gaps", Values: slices.Repeat([]float64{math.NaN()}, frames), Present: make([]bool, frames)}
	for _, i := range []int{1, 2, 5} { // of these frame 1 has a NaN
		gaps.Values[i], gaps.Present[i] = values[i], true
	}
	t.Series = append(t.Series, gaps, vmaf.Series{Name: "vmaf", Values: []float64{10, 20, 30, 40, 50, 60, 70}})
	return t
}

func (r *rig) imported(req ImportRequest) *Status {
	r.t.Helper()
	st, existed, err := r.s.Import(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	if existed {
		r.t.Fatal("it existed before")
	}
	return st
}

// mean is the mean of a series among scores; NaN without one.
func mean(scores []store.Score, series string) float64 {
	for _, score := range scores {
		for _, p := range score.Pooled {
			if score.Series == series && p.Method == vmaf.PoolMean {
				return p.Value
			}
		}
	}
	return math.NaN()
}

func TestImport_figuresComeBackToTheBit(t *testing.T) {
	subsampled := &vmaf.Table{Frames: 7, Subsample: 3, Series: []vmaf.Series{{
		Name: "vmaf", Values: []float64{1, math.NaN(), math.NaN(), 2, math.NaN(), math.NaN(), 3}, Present: []bool{true, false, false, true, false, false, true},
	}}}
	long := &vmaf.Table{Frames: 40_000, Subsample: 1}
	for k := range 4 { // more than are written together
		values := make([]float64, long.Frames)
		for i := range values {
			values[i] = math.Sqrt(float64(i * (k + 1)))
		}
		long.Series = append(long.Series, vmaf.Series{Name: fmt.Sprint("f", k), Values: values})
	}
	for name, table := range map[string]*vmaf.Table{"every kind of value": oddTable(), "subsampled": subsampled, "long": long} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			st := r.imported(importOf(name, table, theScore))
			if st.State != store.StateSucceeded || !st.State.Final() || st.Imported == nil || st.Progress.Done != int64(table.Frames) {
				t.Errorf("imported: %+v", st.Measurement)
			}
			r.restart()
			f, err := r.s.Frames(t.Context(), st.ID, "")
			if err != nil {
				t.Fatal(err)
			}
			if d := sameBits(f.Table, table); d != "" {
				t.Errorf("(−want +got):\n%s", d)
			}
			if f.Table.Subsample != table.Subsample || f.Table.Width != table.Width || math.Float64bits(f.Table.FPS) != math.Float64bits(table.FPS) || !slices.Equal(f.Table.Aggregates, table.Aggregates) {
				t.Errorf("got %+v, want %+v", f.Table, table)
			}
		})
	}
}

func TestImport_scoresAndSegments(t *testing.T) {
	r := newRig(t, nil)
	req := importOf("a", oddTable(), theScore)
	req.First = 100
	req.Seconds = []float64{0, 1, 2, 3, 4, 5, 6.5}
	// The file's own figures count, as far as it has them.
	req.Imported.Pooled = []store.Score{{Series: "vmaf", Model: "vmaf", Pooled: []store.Pooled{{Method: vmaf.PoolMean, Value: 40.0000001}}}}
	st := r.imported(req)
	scores := st.Measurement.Renditions[0].Scores
	if scores[0].Series != "vmaf" || scores[0].Model != "vmaf" || mean(scores, "vmaf") != 40.0000001 {
		t.Errorf("scores %+v", scores)
	}
	if got := scores[len(scores)-1]; got.Series != "apsnr_y" || got.Pooled[0].Method != poolAggregate || !math.IsInf(got.Pooled[0].Value, -1) {
		t.Errorf("aggregate %+v", got)
	}
	for _, score := range scores {
		if score.Series == "gaps" && len(score.Pooled) > 0 {
			t.Errorf("a series with gaps has pooled figures: %+v", score)
		}
	}
	list, err := r.s.Segments(t.Context(), st.Measurement, 0, SegmentLength{Frames: 4})
	if err != nil || len(list) != 2 || list[1].First != 104 || list[1].End != 107 || mean(list[1].Scores, "vmaf") != 60 {
		t.Errorf("segments %+v, %v", list, err)
	}
	f, err := r.s.Frames(t.Context(), st.ID, "a")
	if err != nil || f.First != 100 || !slices.Equal(f.Seconds, req.Seconds) {
		t.Errorf("frames from %d at %v, %v", f.First, f.Seconds, err)
	}
	var told []SegmentScore
	if err := r.s.Watch(t.Context(), st.ID, true, func(e Event) error {
		if e.Segment != nil {
			told = append(told, *e.Segment)
		}
		return nil
	}); err != nil || len(told) != 1 || mean(told[0].Scores, "vmaf") != 40 {
		t.Errorf("watched %+v, %v", told, err)
	}
}

func TestImport_saysWhereAFileContradictsItself(t *testing.T) {
	const harmonic = 27.540879 // of 10, 20 … 70
	below := oddTable()
	below.Series[2].Values[0] = -0.999999
	unbounded := oddTable()
	unbounded.Series[2].Values[0] = math.Inf(1)
	for _, c := range []struct {
		name   string
		table  *vmaf.Table // nil: none
		stated []store.Pooled
		want   string // "": no warning
	}{
		{"its own figures", oddTable(), []store.Pooled{{Method: vmaf.PoolMin, Value: 10}, {Method: vmaf.PoolMax, Value: 70}, {Method: vmaf.PoolMean, Value: 40.00001}, {Method: vmaf.PoolHarmonicMean, Value: harmonic}}, ""},
		{"another mean", oddTable(), []store.Pooled{{Method: vmaf.PoolMean, Value: 33}}, "mean 33 is not that of the frames it lists, 40"},
		{"another minimum", oddTable(), []store.Pooled{{Method: vmaf.PoolMin, Value: 9}}, "min 9 is not that of the frames it lists, 10"},
		{"another maximum and mean", oddTable(), []store.Pooled{{Method: vmaf.PoolMax, Value: 71}, {Method: vmaf.PoolMean, Value: 41}},
			"mean 41 is not that of the frames it lists, 40, its max 71 is not that of the frames it lists, 70: formed over other frames"},
		{"another harmonic mean", oddTable(), []store.Pooled{{Method: vmaf.PoolHarmonicMean, Value: 20}}, "harmonic_mean 20 is not that"},
		{"a harmonic mean that the last digit decides", below, []store.Pooled{{Method: vmaf.PoolHarmonicMean, Value: 20}}, ""},
		{"minimum above maximum, no frames", nil, []store.Pooled{{Method: vmaf.PoolMin, Value: 5}, {Method: vmaf.PoolMax, Value: 1}}, "min 5 is above its max 1: no frames have such figures"},
		{"mean above maximum, with frames", oddTable(), []store.Pooled{{Method: vmaf.PoolMean, Value: 99}, {Method: vmaf.PoolMax, Value: 70}}, "mean 99 is above its max 70"},
		{"harmonic mean above mean", nil, []store.Pooled{{Method: vmaf.PoolMin, Value: 1}, {Method: vmaf.PoolMean, Value: 4}, {Method: vmaf.PoolHarmonicMean, Value: 5}}, "harmonic_mean 5 is above its mean 4"},
		{"no number", oddTable(), []store.Pooled{{Method: vmaf.PoolMin, Value: math.NaN()}}, ""},
		{"a finite mean of an infinite frame", unbounded, []store.Pooled{{Method: vmaf.PoolMean, Value: 60}}, "mean 60 is not that of the frames it lists, +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := importOf("a", c.table, theScore)
			req.Imported.Frames, req.Imported.Pooled = 7, []store.Score{{Series: "vmaf", Pooled: c.stated}}
			st := newRig(t, nil).imported(req)
			w := st.Plan.Warnings
			if c.want == "" && len(w) > 0 || c.want != "" && (len(w) != 1 || !strings.HasPrefix(w[0], "vmaf: the file's own ") || !strings.Contains(w[0], c.want)) {
				t.Errorf("warnings %q, want %q", w, c.want)
			}
		})
	}
}

func TestImport_recordsOfChunks(t *testing.T) {
	pooled := func(v float64) []store.Score {
		return []store.Score{{Series: "vmaf", Model: "vmaf", Pooled: []store.Pooled{{Method: vmaf.PoolMean, Value: v}, {Method: "p99", Value: v + 1}}}}
	}
	req := importOf("record", nil, theScore)
	req.Imported.Frames, req.Imported.Pooled = 50, pooled(80)
	req.Segments = []SegmentScore{{First: 0, End: 20, Scores: pooled(70)}, {First: 20, End: 50, Scores: pooled(90)}}
	r := newRig(t, nil)
	st := r.imported(req)
	r.restart()
	list, err := r.s.Segments(t.Context(), st.Measurement, 0, SegmentLength{})
	if err != nil || len(list) != 2 || list[1].First != 20 || list[1].End != 50 || mean(list[0].Scores, "vmaf") != 70 || list[1].Scores[0].Pooled[1].Value != 91 {
		t.Errorf("chunks %+v, %v", list, err)
	}
	if _, err := r.s.Frames(t.Context(), st.ID, ""); !errors.Is(err, ErrNotStored) {
		t.Errorf("frames of a record without any: %v", err)
	}
	if _, err := r.s.Rescore(t.Context(), st.ID, RescoreRequest{Models: []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}}); !errors.Is(err, ErrNotStored) {
		t.Errorf("rescored without frames: %v", err)
	}
}

func TestImport_isIdempotentForGood(t *testing.T) {
	r := newRig(t, nil)
	req := importOf("a", oddTable(), theScore)
	const together = 16
	var group sync.WaitGroup
	ids, fresh := make([]store.MeasurementID, together), make([]bool, together)
	for i := range together {
		group.Go(func() {
			st, existed, err := r.s.Import(t.Context(), req)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i], fresh[i] = st.ID, !existed
		})
	}
	group.Wait()
	if len(slices.Compact(ids)) != 1 || !slices.Contains(fresh, true) {
		t.Fatalf("%d imports at once gave %v, new %v", together, ids, fresh)
	}
	// A year later, when no request ID of then counts any more.
	later := time.Now().Add(365 * 24 * time.Hour)
	r.close()
	r.config.Now = func() time.Time { return later }
	r.open()
	st, existed, err := r.s.Import(t.Context(), req)
	if err != nil || !existed || st.ID != ids[0] {
		t.Errorf("imported again: %v, %v, %v", st, existed, err)
	}
	for name, change := range map[string]func(r *ImportRequest){
		"another owner":     func(r *ImportRequest) { r.Owner = "else" },
		"another label":     func(r *ImportRequest) { r.Labels = map[string]string{"title": "b"} },
		"another rendition": func(r *ImportRequest) { r.Rendition.Name = "b" },
		"another reference": func(r *ImportRequest) { r.Reference.Path = "b" },
		"another content":   func(r *ImportRequest) { r.Imported.Digest = strings.Repeat("f", 64) },
		"another time":      func(r *ImportRequest) { r.Measured = time.Unix(1e9, 0) },
	} {
		other := req
		change(&other)
		if st, existed, err := r.s.Import(t.Context(), other); err != nil || existed {
			t.Errorf("%s: %v, existed %v, %v", name, st, existed, err)
		}
	}
	req.Imported.File = "elsewhere/" + req.Imported.File
	if st, existed, err := r.s.Import(t.Context(), req); err != nil || !existed || st.ID != ids[0] {
		t.Errorf("under another file name: %v, %v, %v", st, existed, err)
	}
	// What was made of it is not taken for it.
	if err := r.s.Delete(t.Context(), ids[0], 0); err != nil {
		t.Fatal(err)
	}
	if _, existed, err := r.s.Import(t.Context(), req); err != nil || existed {
		t.Errorf("after it was deleted: existed %v, %v", existed, err)
	}
}

func TestImport_timeOfMeasurement(t *testing.T) {
	r := newRig(t, nil)
	req := importOf("a", oddTable())
	req.Measured = time.Date(2019, 5, 1, 12, 0, 0, 0, time.UTC)
	st := r.imported(req)
	if !st.Finished.Equal(req.Measured) || st.Created.Before(req.Measured.AddDate(1, 0, 0)) {
		t.Errorf("created %v, finished %v", st.Created, st.Finished)
	}
	dry := req
	dry.Labels, dry.DryRun = nil, true
	if st, existed, err := r.s.Import(t.Context(), dry); err != nil || existed || st.ID != "" {
		t.Errorf("dry run: %+v, %v, %v", st, existed, err)
	}
	if ids, err := r.store.MeasurementsInState(t.Context(), store.StateSucceeded); err != nil || len(ids) != 1 {
		t.Errorf("measurements %v, %v", ids, err)
	}
}

func TestImport_outlivesCleaningAndBackups(t *testing.T) {
	r := newRig(t, nil)
	st := r.imported(importOf("a", oddTable(), theScore))
	r.restart() // nobody has asked for its columns lately
	if n, err := r.store.RemoveUnused(t.Context(), -time.Hour); err != nil || n != 0 {
		t.Errorf("%d values removed, %v", n, err)
	}
	if report, err := r.store.Verify(t.Context(), nil); err != nil || !report.OK() {
		t.Errorf("verify: %v, %v", report.Problems, err)
	}
	var copied bytes.Buffer
	if _, err := r.store.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	r.close()
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := store.Restore(t.Context(), store.Config{Dir: dir, Logger: r.config.Logger, MinFreeBytes: -1}, &copied); err != nil {
		t.Fatal(err)
	}
	r.dir = dir
	r.open()
	f, err := r.s.Frames(t.Context(), st.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := sameBits(f.Table, oddTable()); d != "" {
		t.Errorf("after a restore (−want +got):\n%s", d)
	}
	if err := r.s.Delete(t.Context(), st.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if n, err := r.store.RemoveUnused(t.Context(), -time.Hour); err != nil || n != 3 {
		t.Errorf("%d values removed after it was deleted, want its 3 columns; %v", n, err)
	}
}

func TestImport_badRequestsNameEveryField(t *testing.T) {
	r := newRig(t, nil)
	wide := &vmaf.Table{Frames: 1, Subsample: 1}
	for i := range maxImportedSeries + 1 {
		wide.Series = append(wide.Series, vmaf.Series{Name: fmt.Sprint("s", i), Values: []float64{1}})
	}
	for name, change := range map[string]func(r *ImportRequest){
		"rendition: it has no name":                                    func(r *ImportRequest) { r.Rendition.Name = "" },
		"digest: \"x\" is no SHA-256":                                  func(r *ImportRequest) { r.Imported.Digest = "x" },
		"measure_time: 1900":                                           func(r *ImportRequest) { r.Measured = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) },
		"measure_time: 3":                                              func(r *ImportRequest) { r.Measured = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"frames: there are none":                                       func(r *ImportRequest) { r.Table = nil },
		"frames: the file has no figures":                              func(r *ImportRequest) { r.Table = &vmaf.Table{Frames: 5} },
		"series: 513; at most 512":                                     func(r *ImportRequest) { r.Table = wide },
		"series[1]: \"whole\": it is there twice":                      func(r *ImportRequest) { r.Table.Series[1].Name = "whole" },
		"series[0]: \"\": a name has 1 to 255 bytes":                   func(r *ImportRequest) { r.Table.Series[0].Name = "" },
		"series[2]: \"vmaf\": 2 values for 7 frames":                   func(r *ImportRequest) { r.Table.Series[2].Values = []float64{1, 2} },
		"series[0]: \"whole\": a frame that subsampling every 2":       func(r *ImportRequest) { r.Table.Subsample = 2 },
		"times: 1 for 7 frames":                                        func(r *ImportRequest) { r.Seconds = []float64{0} },
		"chunks[0]: frames [0, 9) are not behind the chunk before":     func(r *ImportRequest) { r.Segments = []SegmentScore{{End: 9}} },
		"frames: there are none: 7 frames from -1":                     func(r *ImportRequest) { r.First = -1 },
		"frames: there are none: 7 frames from 9223372036854775807 on": func(r *ImportRequest) { r.First = math.MaxInt64 },
	} {
		req := importOf("a", oddTable())
		change(&req)
		_, _, err := r.s.Import(t.Context(), req)
		if _, ok := errors.AsType[*FieldError](err); !ok || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q in it", err, name)
		}
	}
}
