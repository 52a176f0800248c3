package workflow

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/vmaf"
)

// measuredTable is a table of a measurement with the default model, under the names that logs print.
func (r *rig) measuredTable(frames int64) *vmaf.Table {
	r.t.Helper()
	ref, dis := r.clip("ref", clip{frames: frames}), r.clip("dis", clip{frames: frames})
	defer r.work(1, nil)()
	req := request(ref, dis)
	req.Models = []store.ModelSpec{{Spec: "vmaf_v0.6.1"}}
	f, err := r.s.Frames(r.t.Context(), r.wait(r.measure(req)).ID, "")
	if err != nil {
		r.t.Fatal(err)
	}
	t := *f.Table
	t.Series = slices.Clone(t.Series)
	for i := range t.Series {
		t.Series[i].Name = vmaf.Alias(t.Series[i].Name)
	}
	return &t
}

// rounded is a table as a log with so many decimals has it.
func rounded(t *vmaf.Table, decimals int) *vmaf.Table {
	out := *t
	out.Series = slices.Clone(t.Series)
	for i := range out.Series {
		values := slices.Clone(out.Series[i].Values)
		for k, v := range values {
			values[k], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64) // what was just formatted can be parsed
		}
		out.Series[i].Values = values
	}
	return &out
}

// rescoreAs asks for one model.
func rescoreAs(spec string) RescoreRequest {
	return RescoreRequest{Owner: "farm", Models: []store.ModelSpec{{Spec: spec}}}
}

func TestImport_rescoringFullFiguresGivesTheSameBits(t *testing.T) {
	r := newRig(t, nil)
	table := r.measuredTable(50)
	st := r.imported(importOf("a", table, theScore))
	out, err := r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1"))
	if err != nil {
		t.Fatal(err)
	}
	if out.Rescored != st.ID || out.Imported == nil || len(out.Imported.Pooled) > 0 || len(out.Plan.Warnings) > 0 || out.Plan.Models[0].Digest == "" {
		t.Errorf("rescored: %+v, warnings %q", out.Measurement, out.Plan.Warnings)
	}
	r.restart()
	f, err := r.s.Frames(t.Context(), out.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := sameBits(f.Table, table); d != "" {
		t.Errorf("(−want +got):\n%s", d)
	}
	if got, want := mean(only(out).Scores, "vmaf"), mean(only(st).Scores, "vmaf"); got != want {
		t.Errorf("mean %v, want %v", got, want)
	}
	// Scored once more, from the one that was made of it.
	again, err := r.s.Rescore(t.Context(), out.ID, rescoreAs("vmaf_v0.6.1:name=other"))
	if err != nil || mean(only(again).Scores, "other") != mean(only(st).Scores, "vmaf") {
		t.Errorf("scored again: %+v, %v", again, err)
	}
	if f, err = r.s.Frames(t.Context(), again.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Table.Column("vmaf"); ok {
		t.Error("it has the score of the model before, too")
	}
	// Importing the file again still gives the first.
	if same, existed, err := r.s.Import(t.Context(), importOf("a", table, theScore)); err != nil || !existed || same.ID != st.ID {
		t.Errorf("imported again: %v, %v, %v", same, existed, err)
	}
}

// only is the only rendition.
func only(st *Status) *store.Rendition { return &st.Measurement.Renditions[0] }

// A log of six decimals has features that are off by at most 5e-7 each. To first order a frame's score is then off by
//
//	Σ_i |∂score/∂feature_i| · 5e-7
//
// which is formed here from differences over 1e-5 at the features of the log; what is of second order is some 1e-6 of that, for which a tenth is added.
func TestImport_rescoringSixDecimalsIsAsExactAsTheseAllow(t *testing.T) {
	r := newRig(t, nil)
	table := r.measuredTable(200)
	st := r.imported(importOf("a", rounded(table, 6), theScore))
	out, err := r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Plan.Warnings) != 1 || !strings.Contains(out.Plan.Warnings[0], "have 6 decimals") {
		t.Errorf("warnings %q", out.Plan.Warnings)
	}
	f, err := r.s.Frames(t.Context(), out.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	model, err := vmaf.Builtin("vmaf_v0.6.1")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := f.Table.Column("vmaf")
	want, _ := table.Column("vmaf")
	worst, largest, changed := 0.0, 0.0, false
	for frame := range table.Frames {
		x := make([]float64, 0, 6)
		for _, name := range model.Features() {
			series, _ := f.Table.Column(vmaf.Alias(name))
			x = append(x, series.Values[frame])
		}
		const h = 1e-5
		bound := 0.0
		for i, v := range x {
			x[i] = v + h
			up := model.Predict(x)
			x[i] = v - h
			down := model.Predict(x)
			x[i] = v
			bound += math.Abs(up-down) / (2 * h) * 5e-7
		}
		off := math.Abs(got.Values[frame] - want.Values[frame])
		if off > 1.1*bound+1e-12 {
			t.Errorf("frame %d: %v, want %v within %g", frame, got.Values[frame], want.Values[frame], bound)
		}
		worst, largest, changed = max(worst, off), max(largest, bound), changed || off > 0
	}
	t.Logf("largest error %g, largest bound %g", worst, largest)
	if !changed {
		t.Error("rounding the features changed nothing: the test proves nothing")
	}
}

func TestImport_rescoringNamesWhatIsMissing(t *testing.T) {
	r := newRig(t, nil)
	table := r.measuredTable(10)
	st := r.imported(importOf("a", table, theScore))
	_, err := r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1neg"))
	if !errors.Is(err, ErrNotStored) || !strings.Contains(err.Error(), "integer_adm2_egl_1, integer_vif_scale0_egl_1") {
		t.Errorf("a model whose features the file has not: %v", err)
	}
	_, err = r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1:name=integer_adm2"))
	if err == nil {
		t.Error("a model of a feature's name")
	}
	extra := *table
	extra.Series = append(slices.Clone(table.Series), vmaf.Series{Name: "mine", Values: table.Series[0].Values})
	st = r.imported(importOf("b", &extra, theScore))
	if _, err = r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1:name=mine")); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "series mine; give the model another name") {
		t.Errorf("a model of a series' name: %v", err)
	}
}

func TestImport_floatingPointFeaturesStandIn(t *testing.T) {
	r := newRig(t, nil)
	table := rounded(r.measuredTable(10), 5)
	for i := range table.Series {
		table.Series[i].Name = strings.TrimPrefix(table.Series[i].Name, "integer_")
	}
	// Frame 3 lacks a feature: it has no score.
	for i, series := range table.Series {
		if series.Name == "adm2" {
			table.Series[i].Present = slices.Repeat([]bool{true}, 10)
			table.Series[i].Present[3] = false
		}
	}
	st := r.imported(importOf("old", table, theScore))
	out, err := r.s.Rescore(t.Context(), st.ID, rescoreAs("vmaf_v0.6.1"))
	if err != nil {
		t.Fatal(err)
	}
	if w := out.Plan.Warnings; len(w) != 2 || !strings.Contains(w[0], "adm2, motion2, vif_scale0") || !strings.Contains(w[0], "floating-point features") || !strings.Contains(w[1], "5 decimals") {
		t.Errorf("warnings %q", w)
	}
	f, err := r.s.Frames(t.Context(), out.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := f.Table.Column("vmaf")
	want, _ := table.Column("vmaf")
	for i := range 10 {
		v, ok := got.At(i)
		if ok != (i != 3) || ok && math.Abs(v-want.Values[i]) > 0.1 {
			t.Errorf("frame %d: %v, %v, want about %v", i, v, ok, want.Values[i])
		}
	}
}
