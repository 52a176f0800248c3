package vmaf

import (
	"slices"
	"testing"
)

func TestLean_keepsWhatModelsUse(t *testing.T) {
	var models []*Model
	for _, name := range []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg:name=neg"} {
		m, err := ParseModel(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	full, err := NewPlan(models, nil)
	if err != nil {
		t.Fatal(err)
	}
	lean := full.Lean()
	const frames = 5
	raw := make([][][]float64, len(full.Extractions))
	for i, e := range full.Extractions {
		for k := range e.Raw() {
			column := make([]float64, frames)
			for f := range column {
				column[f] = 0.5 + float64(i+k+f)/100
			}
			raw[i] = append(raw[i], column)
		}
	}
	evaluate := func(p *Plan) *Table {
		table, err := p.Evaluate(raw, luma(64, 64), frames, 1)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	all, few := evaluate(full), evaluate(lean)
	var names []string
	for _, s := range few.Series {
		names = append(names, Alias(s.Name))
		same, ok := all.Column(s.Name)
		if !ok || !slices.Equal(same.Values, s.Values) {
			t.Errorf("%s differs from the whole plan's", s.Name)
		}
	}
	want := []string{
		"integer_adm2", "integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2", "integer_vif_scale3",
		"integer_adm2_egl_1", "integer_vif_scale0_egl_1", "integer_vif_scale1_egl_1", "integer_vif_scale2_egl_1",
		"integer_vif_scale3_egl_1", "integer_motion2", "vmaf", "neg",
	}
	if !slices.Equal(names, want) {
		t.Errorf("lean table has\n%v\nwant\n%v", names, want)
	}
	for _, e := range lean.Extractions {
		if e.Extractor() == "adm" && !e.Bool("adm_skip_aim") {
			t.Errorf("%s computes what no model uses", e)
		}
	}
	for _, e := range full.Extractions {
		if e.Extractor() == "adm" && e.Bool("adm_skip_aim") {
			t.Errorf("Lean changed the plan it came from: %s", e)
		}
	}
}
