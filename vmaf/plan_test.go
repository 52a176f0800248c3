package vmaf

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func mustPlan(tb testing.TB, models, features []string) *Plan {
	tb.Helper()
	var ms []*Model
	for _, spec := range models {
		ms = append(ms, mustModel(tb, spec))
	}
	var es []Extraction
	for _, text := range features {
		es = append(es, mustExtraction(tb, text))
	}
	p, err := NewPlan(ms, es)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// luma is a format of which only the size matters.
func luma(width, height int) Format {
	return Format{Width: width, Height: height, BitsPerComponent: 8, Subsampling: Chroma420}
}

func extractionTexts(p *Plan) []string {
	var list []string
	for _, e := range p.Extractions {
		list = append(list, e.String())
	}
	return list
}

func TestNewPlan_registersInLibvmafsOrder(t *testing.T) {
	for _, c := range []struct {
		name             string
		models, features []string
		want             []string
	}{
		{"one model", []string{"vmaf_v0.6.1"}, nil, []string{"adm", "motion", "vif"}},
		{"two models", []string{"vmaf_v0.6.1:name=a", "vmaf_v0.6.1neg:name=b"}, nil,
			[]string{"adm", "motion", "vif", "adm:adm_enhn_gain_limit=1", "vif:vif_enhn_gain_limit=1"}},
		{"features after models", []string{"vmaf_v0.6.1neg"}, []string{"vif", "motion", "motion:motion_max_val=18"},
			[]string{"adm:adm_enhn_gain_limit=1", "motion", "vif:vif_enhn_gain_limit=1", "vif", "motion:motion_max_val=18"}},
		{"features alone", nil, []string{"motion", "vif"}, []string{"motion", "vif"}},
		{"default spelled out", []string{"vmaf_v0.6.1"}, []string{"vif:vif_enhn_gain_limit=100"}, []string{"adm", "motion", "vif"}},
		{"debug of an extractor that a model needs", []string{"vmaf_v0.6.1"}, []string{"vif:debug=true"}, []string{"adm", "motion", "vif:debug=true"}},
		{"debug first", nil, []string{"vif:debug=true", "vif"}, []string{"vif:debug=true"}},
		{"v1", []string{"vmaf_v1.0.16_3d0h"}, nil, []string{"cambi:cambi_high_res_speedup=1080:cambi_max_val=17:cambi_vis_lum_threshold=0.06",
			"speed_chroma:speed_max_val=45:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5",
			"adm:adm_csf_mode=2:adm_dlm_weight=0.7:adm_enhn_gain_limit=1:adm_min_val=0.5:adm_noise_weight=0.02", "motion:motion_max_val=18"}},
		{"more figures of one metric", nil, []string{"psnr:enable_mse=true", "ssim", "psnr:enable_apsnr=true", "float_ssim:enable_lcs=true"},
			[]string{"psnr:enable_apsnr=true:enable_mse=true", "float_ssim:enable_lcs=true"}},
		{"fewer planes and all", nil, []string{"psnr:enable_chroma=false", "psnr"}, []string{"psnr"}},
		{"the other name", nil, []string{"ciede", "ciede2000", "ms_ssim", "float_ms_ssim"}, []string{"ciede", "float_ms_ssim"}},
		{"full reference of what v1 does not ask for", []string{"vmaf_v1.0.16_3d0h"}, []string{"motion", "cambi:full_ref=true", "cambi"},
			[]string{"cambi:cambi_high_res_speedup=1080:cambi_max_val=17:cambi_vis_lum_threshold=0.06",
				"speed_chroma:speed_max_val=45:speed_nn_floor=0.1:speed_sigma_nn=0.19:speed_weight_var_mode=5",
				"adm:adm_csf_mode=2:adm_dlm_weight=0.7:adm_enhn_gain_limit=1:adm_min_val=0.5:adm_noise_weight=0.02", "motion:motion_max_val=18",
				"motion", "cambi:full_ref=true"}},
	} {
		if got := extractionTexts(mustPlan(t, c.models, c.features)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPlan_haloAndChroma(t *testing.T) {
	for _, c := range []struct {
		models, features []string
		halo             int
		chroma           bool
	}{
		{[]string{"vmaf_v0.6.1"}, nil, 1, false},
		{nil, []string{"vif", "motion:motion_five_frame_window=true"}, 2, false},
		{nil, []string{"cambi", "ssim", "ms_ssim", "psnr:enable_chroma=false"}, 0, false},
		{nil, []string{"psnr"}, 0, true},
		{[]string{"vmaf_v1.0.16_hfr_3d0h"}, nil, 2, true},
	} {
		p := mustPlan(t, c.models, c.features)
		if p.Halo() != c.halo || p.NeedsChroma() != c.chroma {
			t.Errorf("%v %v: halo %d, chroma %t, want %d %t", c.models, c.features, p.Halo(), p.NeedsChroma(), c.halo, c.chroma)
		}
	}
}

func TestNewPlan_refuses(t *testing.T) {
	v0 := func(spec string) *Model { return mustModel(t, spec) }
	temporal, err := ReadModelJSON(strings.NewReader(temporalModel), "temporal.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		models []*Model
		extra  []Extraction
		is     error
		want   string
	}{
		{"nothing", nil, nil, nil, "name at least one"},
		{"a model that cannot be computed", []*Model{temporal}, nil, ErrNotComputable, "needs speed_temporal"},
		{"a feature that cannot be computed", nil, []Extraction{mustExtraction(t, "speed_temporal")}, ErrNotComputable, "speed_temporal is not among"},
		{"models of one name", []*Model{v0("vmaf_v0.6.1"), v0("vmaf_v0.6.1neg")}, nil, ErrNameTaken,
			"vmaf is reported by model vmaf_v0.6.1 and by model vmaf_v0.6.1neg; give the model another name"},
		{"a model with a feature's name", []*Model{v0("vmaf_v0.6.1:name=integer_adm2")}, nil, ErrNameTaken, "integer_adm2 is reported by feature adm and by"},
		{"a model with the name of a collection's member", []*Model{v0("vmaf_b_v0.6.3"), v0("vmaf_v0.6.1:name=vmaf_0007")}, nil, ErrNameTaken, "vmaf_0007"},
		{"two kinds of figures under one name", []*Model{v0("vmaf_v0.6.1")}, []Extraction{mustExtraction(t, "adm:adm_skip_aim=true")}, ErrNameTaken,
			"adm and adm:adm_skip_aim=true would report different figures under one name; ask for one of them"},
		{"decibels and ratios under one name", nil, []Extraction{mustExtraction(t, "ssim"), mustExtraction(t, "ssim:enable_db=true")}, ErrNameTaken,
			"float_ssim and float_ssim:enable_db=true would report different figures under one name; ask for one of them"},
		{"two sources under one name", nil, []Extraction{mustExtraction(t, "cambi:full_ref=true"), mustExtraction(t, "cambi:full_ref=true:window_size=31")}, ErrNameTaken,
			"cambi_source is reported by feature cambi:full_ref=true and by feature cambi:full_ref=true:window_size=31; ask for one of them"},
		{"a model with a metric's name", []*Model{v0("vmaf_v0.6.1:name=psnr_y")}, []Extraction{mustExtraction(t, "psnr")}, ErrNameTaken,
			"psnr_y is reported by feature psnr and by model vmaf_v0.6.1; give the model another name"},
	} {
		_, err := NewPlan(c.models, c.extra)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	_, err = NewPlan([]*Model{temporal, v0("vmaf_v0.6.1"), v0("vmaf_v0.6.1")}, nil)
	if !errors.Is(err, ErrNotComputable) || !errors.Is(err, ErrNameTaken) {
		t.Errorf("of two problems only one is reported: %v", err)
	}
}

// randomRaw makes raw figures of plausible size.
func randomRaw(p *Plan, frames int, seed uint64) [][][]float64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	var raw [][][]float64
	for _, e := range p.Extractions {
		var columns [][]float64
		for range e.Raw() {
			column := make([]float64, frames)
			for i := range column {
				column[i] = rng.Float64()
				if e.Extractor() == "motion" {
					column[i] = float64(rng.IntN(1 << 24))
				}
			}
			columns = append(columns, column)
		}
		raw = append(raw, columns)
	}
	return raw
}

func seriesNames(t *Table) []string {
	var names []string
	for _, s := range t.Series {
		names = append(names, Alias(s.Name))
	}
	return names
}

// The column headers of CSV files that libvmaf 3.2.0's own tool wrote for these requests.
func TestEvaluate_seriesOrder(t *testing.T) {
	const adm = "integer_adm2 integer_aim integer_adm3 integer_adm_scale0 integer_adm_scale1 integer_adm_scale2 integer_adm_scale3 "
	const sad = "VMAF_integer_feature_motion_sad_score"
	const vif = "integer_vif_scale0 integer_vif_scale1 integer_vif_scale2 integer_vif_scale3 "
	neg := strings.NewReplacer(" ", "_egl_1 ")
	numbers := make([]string, 20)
	for q := range numbers {
		numbers[q] = "b_00" + string(rune('0'+(q+1)/10)) + string(rune('0'+(q+1)%10))
	}
	for _, c := range []struct {
		name             string
		models, features []string
		want             string
	}{
		{"the default", []string{"vmaf_v0.6.1"}, nil, adm + sad + " " + vif + "integer_motion2 integer_motion3 vmaf"},
		{"collection before plain models", []string{"vmaf_b_v0.6.3:name=b", "vmaf_v0.6.1neg:name=neg", "vmaf_v0.6.1:name=plain"}, nil,
			adm + sad + " " + vif + neg.Replace(adm) + neg.Replace(vif) + "integer_motion2 integer_motion3 b neg plain " +
				strings.Join(numbers, " ") + " b_bagging b_stddev b_ci_p95_lo b_ci_p95_hi"},
		{"three motions", nil, []string{"motion:motion_five_frame_window=true", "motion:motion_max_val=18", "motion"},
			sad + "_mffw " + sad + "_mmxv_18 " + sad + " integer_motion2_mffw integer_motion3_mffw integer_motion2_mmxv_18 integer_motion3_mmxv_18 integer_motion2 integer_motion3"},
		{"force zero with debug", nil, []string{"motion:motion_force_zero=true:debug=true", "motion"},
			sad + "_force_0 integer_motion_force_0 " + sad + " integer_motion2_force_0 integer_motion3_force_0 integer_motion2 integer_motion3"},
		{"features after the model's", []string{"vmaf_v0.6.1"}, []string{"motion:motion_max_val=18", "vif"},
			adm + sad + " " + vif + sad + "_mmxv_18 integer_motion2 integer_motion3 integer_motion2_mmxv_18 integer_motion3_mmxv_18 vmaf"},
	} {
		p := mustPlan(t, c.models, c.features)
		table, err := p.Evaluate(randomRaw(p, 3, 1), luma(64, 48), 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(seriesNames(table), " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestEvaluate_subsamplingLeavesMeasuredFramesAsTheyAre(t *testing.T) {
	p := mustPlan(t, []string{"vmaf_v0.6.1", "vmaf_b_v0.6.3:name=b"}, nil)
	const frames = 10
	raw := randomRaw(p, frames, 2)
	all, err := p.Evaluate(raw, luma(64, 48), frames, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range p.Extractions { // what was not measured holds rubbish
		for _, column := range raw[i] {
			for frame := range column {
				if frame%3 != 0 && e.Extractor() != "motion" {
					column[frame] = math.NaN()
				}
			}
		}
	}
	some, err := p.Evaluate(raw, luma(64, 48), frames, 3)
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range some.Series {
		isMotion := strings.Contains(s.Name, "motion")
		for frame := range frames {
			v, ok := s.At(frame)
			if want := all.Series[k].Values[frame]; ok && v != want {
				t.Errorf("%s frame %d = %v, want %v", s.Name, frame, v, want)
			}
			if want := isMotion || some.Measured(frame); ok != want {
				t.Errorf("%s frame %d: present %t, want %t", s.Name, frame, ok, want)
			}
			if !ok && !math.IsNaN(s.Values[frame]) {
				t.Errorf("%s frame %d holds %v, but was not measured", s.Name, frame, s.Values[frame])
			}
		}
		var measured []float64
		for frame := 0; frame < frames; frame += 3 {
			measured = append(measured, all.Series[k].Values[frame])
		}
		want, _ := Pool(PoolMean, measured)
		if got, ok := some.Pooled(k, PoolMean); !ok || got != want {
			t.Errorf("%s pooled %v %t, want %v", s.Name, got, ok, want)
		}
	}
	if zero, err := p.Evaluate(randomRaw(p, 2, 2), luma(64, 48), 2, 0); err != nil || !zero.Measured(1) || zero.Series[0].Present != nil {
		t.Errorf("interval 0 means every frame: %v", err)
	}
}

// Each frame's score depends on that frame's features alone, so that frames spread over processors give what one gives.
func TestEvaluate_longSequenceEqualsPredictionFrameByFrame(t *testing.T) {
	p := mustPlan(t, []string{"vmaf_v0.6.1"}, nil)
	const frames = 1000
	table, err := p.Evaluate(randomRaw(p, frames, 3), luma(64, 48), frames, 1)
	if err != nil {
		t.Fatal(err)
	}
	scores, _ := table.Column("vmaf")
	x := make([]float64, 6)
	for frame := range frames {
		for i, name := range p.Models[0].Features() {
			column, ok := table.Column(name)
			if !ok {
				t.Fatalf("no column %s", name)
			}
			x[i] = column.Values[frame]
		}
		if want := p.Models[0].Predict(x); scores.Values[frame] != want {
			t.Fatalf("frame %d: %v, want %v", frame, scores.Values[frame], want)
		}
	}
}

func TestEvaluate_refuses(t *testing.T) {
	p := mustPlan(t, []string{"vmaf_v0.6.1"}, nil)
	good := func() [][][]float64 { return randomRaw(p, 4, 4) }
	short := good()
	short[2][1] = short[2][1][:3]
	fewer := good()
	fewer[0] = fewer[0][:6]
	for _, c := range []struct {
		name                             string
		raw                              [][][]float64
		width, height, frames, subsample int
		want                             string
	}{
		{"no frames", good(), 64, 48, 0, 1, "evaluate: no frames"},
		{"a negative interval", good(), 64, 48, 4, -1, "subsampling interval -1 is negative"},
		{"no size", good(), 0, 48, 4, 1, "picture size 0×48 is not positive"},
		{"an extraction missing", good()[:2], 64, 48, 4, 1, "raw figures of 2 extractions, want 3"},
		{"a figure missing", fewer, 64, 48, 4, 1, "adm: 6 raw figures, want 7"},
		{"a short column", short, 64, 48, 4, 1, "vif: vif_scale1 of 3 frames, want 4"},
	} {
		if _, err := p.Evaluate(c.raw, luma(c.width, c.height), c.frames, c.subsample); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := p.Evaluate(good(), luma(64, 48), 0, 1); !errors.Is(err, ErrNoFrames) {
		t.Errorf("no frames: %v", err)
	}
}

func TestTable_columnsAndPooling(t *testing.T) {
	table := &Table{Frames: 3, Series: []Series{
		{Name: "VMAF_integer_feature_adm2_score", Values: []float64{1, 2, 3}},
		{Name: "imported", Values: []float64{1, math.NaN(), 3}, Present: []bool{true, false, true}},
		{Name: "short", Values: []float64{1, 2}},
	}}
	for _, name := range []string{"integer_adm2", "VMAF_integer_feature_adm2_score"} {
		if s, ok := table.Column(name); !ok || s.Name != table.Series[0].Name {
			t.Errorf("%s: %v %t", name, s, ok)
		}
	}
	if _, ok := table.Column("vmaf"); ok {
		t.Error("found a column that is not there")
	}
	if v, ok := table.Pooled(0, "p50"); !ok || v != 2 {
		t.Errorf("median %v %t", v, ok)
	}
	for series := range 2 {
		if v, ok := table.Pooled(1+series, PoolMean); ok {
			t.Errorf("a series with a gap is pooled to %v", v)
		}
	}
	if v, ok := table.Pooled(0, "mode"); ok {
		t.Errorf("an unknown method gives %v", v)
	}
	if v, ok := (&Table{Series: table.Series}).Pooled(0, PoolMean); ok {
		t.Errorf("no frames are pooled to %v", v)
	}
	if _, ok := table.Series[0].At(-1); ok {
		t.Error("frame −1 has a value")
	}
}
